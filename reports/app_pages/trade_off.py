"""The trade-off: quality against speed, quality by steps, and any metric arm by arm."""

from __future__ import annotations

from typing import Final

import altair as alt
import streamlit as st

from reports import app, charts
from reports import text as words
from reports.charts import Theme
from reports.tidy import measured_metrics, points_table

_PAGE: Final = Theme(height=520)


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, content, view = shown.text, shown.content, shown.view
    metric = view.estimates.quality_metric
    points, subject = points_table(view, text, metric), shown.subject(metric)
    st.subheader(text("section.trade_off"))
    st.caption(text("section.trade_off.about", level=content.level))
    _chart(charts.trade_off(points, subject, _PAGE))
    st.subheader(text("section.step_curve"))
    st.caption(text("section.step_curve.about", level=content.level))
    _chart(charts.step_curve(points, subject, _PAGE))
    _any_metric(shown)
    st.subheader(text("section.arms"))
    _arms(shown)


def _any_metric(shown: app.Shown) -> None:
    text = shown.text
    st.subheader(text("section.metric"))
    metric = st.selectbox(
        text("app.metric"),
        measured_metrics(shown.view),
        format_func=lambda name: words.metric_label(text, name),
        placeholder=text("app.choose"),
        key="metric",
    )
    st.caption(app.plain(words.metric_help(text, metric)))
    points = points_table(shown.view, text, metric)
    _chart(charts.metric_bars(points, shown.subject(metric), _PAGE))


def _arms(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    rows = []
    for row in content.arms:
        cells = zip(content.arm_columns, row.cells, strict=True)
        rows.append(
            {
                text("column.arm"): row.name,
                text("column.nfe"): row.nfe,
                text("column.clips"): " ".join(part for part in (row.counts, row.lost) if part),
                text("column.light"): row.mark or row.role,
            }
            | {
                column.term: f"{one.value} ({one.interval}; {one.n})" if one.interval else one.value
                for column, one in cells
            }
        )
    app.table(rows)


def _chart(chart: alt.LayerChart) -> None:
    st.altair_chart(chart, width="stretch")


draw(app.shown())
