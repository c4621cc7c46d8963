"""Time and memory of a clip: how it spreads, where it goes, the first call beside the others."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from poc.records import Arm
from reports import app, charts, telemetry, throughput
from reports.charts import Theme
from reports.judged import SPEED
from reports.tidy import latency_rows, spread_table, stage_table

_PAGE: Final = Theme(height=460)

# Ids of the arms that the visitor chose, in the plan's order. (A string here Streamlit would draw.)
Chosen = tuple[str, ...]


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, view = shown.text, shown.view
    st.subheader(text("section.latency"))
    st.caption(app.plain(next(m.said for m in shown.content.method if _is_speed(m.term, shown))))
    if not view.latency:
        st.info(text("method.latency.none"))
        return
    chosen = tuple(arm.id for arm in app.choose_arms(shown))
    app.once(shown, _clips, chosen)
    app.download(shown, _clips_csv, "latency")
    app.once(shown, _batches, chosen)
    if view.plan.spec.latency and view.plan.spec.latency.offline:
        app.download(shown, _batches_csv, "throughput")
    app.once(shown, _device, chosen)


def _clips(shown: app.Shown, chosen: Chosen) -> None:
    """Draw how the times of the chosen arms spread, where they go, and all that is known."""
    text, view = shown.text, shown.view
    arms, subject = _arms(shown, chosen), shown.subject(SPEED)
    st.markdown(f"**{text('latency.spread')}**")
    st.caption(text("latency.spread.about"))
    st.altair_chart(charts.spread(spread_table(view, text, arms), subject, _PAGE), width="stretch")
    st.markdown(f"**{text('latency.stages')}**")
    st.caption(text("latency.stages.about"))
    parts = stage_table(view, text, arms)
    st.altair_chart(charts.stages(parts, subject, _PAGE), width="stretch")
    st.markdown(f"**{text('app.table')}**")
    st.caption(text("latency.table.about", level=shown.content.level))
    if arms:
        app.table(latency_rows(view, text, arms))


def _arms(shown: app.Shown, chosen: Chosen) -> tuple[Arm, ...]:
    return tuple(map(shown.view.arm, chosen))


def _is_speed(term: str, shown: app.Shown) -> bool:
    return term == shown.text("method.latency")


def _clips_csv(shown: app.Shown) -> bytes:
    view = shown.view
    return app.csv(pd.DataFrame(latency_rows(view, shown.text, view.plan.arms)))


def _batches(shown: app.Shown, chosen: Chosen) -> None:
    """Draw throughput and the A/A control, where the plan asks for them."""
    text, view, arms = shown.text, shown.view, _arms(shown, chosen)
    if said := throughput.control(view, text):
        st.markdown(f"**{text('method.control')}**")
        st.markdown(app.plain(said))
    offline = view.plan.spec.latency.offline if view.plan.spec.latency else None
    if offline is None:
        return
    st.markdown(f"**{text('latency.offline')}**")
    about = text("latency.offline.about", clips=offline.clips, level=shown.content.level)
    st.caption(about)
    if arms:
        app.table(throughput.rows(view, text, arms))


def _batches_csv(shown: app.Shown) -> bytes:
    view = shown.view
    return app.csv(pd.DataFrame(throughput.rows(view, shown.text, view.plan.arms)))


def _device(shown: app.Shown, chosen: Chosen) -> None:
    """Draw energy, clocks and throttling, or that they were not measured."""
    text, view, arms = shown.text, shown.view, _arms(shown, chosen)
    st.markdown(f"**{text('latency.device')}**")
    st.markdown(app.plain(telemetry.summary(view, text)))
    if not view.telemetry.device.n_read:
        return
    st.caption(text("latency.device.about", level=shown.content.level))
    if arms:
        app.table(telemetry.rows(view, text, arms))
    if missing := list(telemetry.untold(view, text)):
        st.caption(app.plain(text("latency.device.missing", what=text("list.comma").join(missing))))


draw(app.shown())
