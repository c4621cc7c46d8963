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


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, view = shown.text, shown.view
    st.subheader(text("section.latency"))
    st.caption(app.plain(next(m.said for m in shown.content.method if _is_speed(m.term, shown))))
    if not view.latency:
        st.info(text("method.latency.none"))
        return
    arms, subject = app.choose_arms(shown), shown.subject(SPEED)
    st.markdown(f"**{text('latency.spread')}**")
    st.caption(text("latency.spread.about"))
    st.altair_chart(charts.spread(spread_table(view, text, arms), subject, _PAGE), width="stretch")
    st.markdown(f"**{text('latency.stages')}**")
    st.caption(text("latency.stages.about"))
    parts = stage_table(view, text, arms)
    st.altair_chart(charts.stages(parts, subject, _PAGE), width="stretch")
    _table(shown, arms)
    _batches(shown, arms)
    _device(shown, arms)


def _is_speed(term: str, shown: app.Shown) -> bool:
    return term == shown.text("method.latency")


def _table(shown: app.Shown, arms: tuple[Arm, ...]) -> None:
    text, view = shown.text, shown.view
    st.markdown(f"**{text('app.table')}**")
    st.caption(text("latency.table.about", level=shown.content.level))
    if arms:
        app.table(latency_rows(view, text, arms))
    every = latency_rows(view, text, view.plan.arms)
    app.download(pd.DataFrame(every), text, f"{view.name}-latency")


def _batches(shown: app.Shown, arms: tuple[Arm, ...]) -> None:
    """Draw throughput and the A/A control, where the plan asks for them."""
    text, view = shown.text, shown.view
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
    every = throughput.rows(view, text, view.plan.arms)
    app.download(pd.DataFrame(every), text, f"{view.name}-throughput")


def _device(shown: app.Shown, arms: tuple[Arm, ...]) -> None:
    """Draw energy, clocks and throttling, or that they were not measured."""
    text, view = shown.text, shown.view
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
