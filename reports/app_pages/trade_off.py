"""The trade-off: quality against speed, quality by steps, and any metric arm by arm."""

from __future__ import annotations

from typing import Final

import altair as alt
import streamlit as st

from reports import app, charts, judged
from reports import text as words
from reports.charts import Theme
from reports.evidence import prompt_text
from reports.judged import focus_arm
from reports.model import Cell
from reports.player import order_metrics, ordered_prompts
from reports.tidy import measured_metrics, money_lines, points_table, target_table

_PAGE: Final = Theme(height=520)


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, content, view = shown.text, shown.content, shown.view
    metric = view.estimates.quality_metric
    points, subject = points_table(view, text, metric), shown.subject(metric)
    st.subheader(text("section.trade_off"))
    st.caption(text("section.trade_off.about", level=content.level))
    lines = money_lines(view, text, points)
    if len(lines):
        st.caption(text("section.trade_off.money"))
    target = target_table(view)
    if len(target):
        st.caption(text("section.trade_off.target"))
    drawn = charts.trade_off(
        points,
        subject,
        _PAGE,
        money=lines if len(lines) else None,
        target=target if len(target) else None,
        choose=True,
    )
    clicked = st.altair_chart(
        drawn,
        width="stretch",
        on_select="rerun",
        selection_mode=charts.CHOSEN,
        key="trade_off",
    )
    _clips_of(shown, _chosen_id(clicked))
    app.once(shown, _by_steps)
    _any_metric(shown)
    _slices(shown)
    app.once(shown, _arms)


def _by_steps(shown: app.Shown) -> None:
    """Draw quality by number of steps: for each style, then as a curve."""
    text, content, view = shown.text, shown.content, shown.view
    metric = view.estimates.quality_metric
    points, subject = points_table(view, text, metric), shown.subject(metric)
    st.subheader(text("section.heat_map"))
    st.caption(text("section.heat_map.about", level=content.level))
    _chart(charts.heat_map(points, subject, _PAGE))
    st.subheader(text("section.step_curve"))
    st.caption(text("section.step_curve.about", level=content.level))
    _chart(charts.step_curve(points, subject, _PAGE))
    if said := judged.smallest_step(view, text):
        st.markdown(app.plain(said))


def _chosen_id(clicked: object) -> str | None:
    """Return the id of the arm whose mark was clicked last."""
    picked = getattr(clicked, "selection", {}).get(charts.CHOSEN, [])
    return picked[0]["arm_id"] if picked else None


def _clips_of(shown: app.Shown, clicked: str | None) -> None:
    """Draw clips of one arm beside the baseline's: its worst, its middle or its best prompt."""
    text, view = shown.text, shown.view
    if clicked is not None and clicked in view.arms and clicked != st.session_state.get("clicked"):
        st.session_state["clips_of"] = view.arm(clicked)
    st.session_state["clicked"] = clicked
    if st.session_state.get("clips_of") not in view.plan.arms:
        st.session_state["clips_of"] = focus_arm(view)
    left, right = st.columns([2, 2], vertical_alignment="bottom")
    arm = left.selectbox(
        text("trade_off.clips_of"),
        view.plan.arms,
        format_func=lambda one: words.arm_name(text, one),
        key="clips_of",
    )
    rank = right.segmented_control(
        text("trade_off.which"),
        ("worst", "middle", "best"),
        default="worst",
        format_func=lambda name: text(f"clip.rank.{name}"),
        required=True,
        key="which",
    )
    metric = next(iter(order_metrics(view)), None)
    order = ordered_prompts(view, arm.id, metric)
    prompt_id = order[{"worst": 0, "middle": len(order) // 2, "best": -1}[rank]]
    st.markdown(app.plain(prompt_text(view, text, prompt_id)))
    beside = [view.baseline] if arm.id != view.plan.baseline_id else []
    app.player(shown, prompt_id, [arm, *beside], key="clips_of_player")


def _any_metric(shown: app.Shown) -> None:
    text = shown.text
    st.subheader(text("section.metric"))
    metrics = measured_metrics(shown.view)
    quality = shown.view.estimates.quality_metric
    metric = st.selectbox(
        text("app.metric"),
        metrics,
        index=metrics.index(quality) if quality in metrics else 0,
        format_func=lambda name: words.metric_label(text, name),
        placeholder=text("app.choose"),
        key="metric",
    )
    app.once(shown, _bars, metric)


def _bars(shown: app.Shown, metric: str) -> None:
    text = shown.text
    st.caption(app.plain(words.metric_help(text, metric)))
    points = points_table(shown.view, text, metric)
    _chart(charts.metric_bars(points, shown.subject(metric), _PAGE))


def _slices(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    if not content.slices:
        return
    st.subheader(text("section.slices"))
    st.caption(app.plain(text("section.slices.about", level=content.level)))
    titles = list(dict.fromkeys(one.title for one in content.slices))
    title = st.selectbox(text("app.slices"), titles, placeholder=text("app.choose"), key="slices")
    app.once(shown, _slice, title)


def _slice(shown: app.Shown, title: str) -> None:
    chosen = next(one for one in shown.content.slices if one.title == title)
    rows: list[list[str | Cell]] = [[row.name, *row.cells] for row in chosen.rows]
    app.wide_table([shown.text("column.arm"), *chosen.columns], rows)


def _arms(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    st.subheader(text("section.arms"))
    heads = ("arm", "nfe", "clips", "light", "front")
    columns = [text(f"column.{name}") for name in heads] + [one.term for one in content.arm_columns]
    rows: list[list[str | Cell]] = [
        [
            row.name,
            row.nfe,
            Cell(row.counts, row.lost, ""),
            row.mark.word if row.mark else row.role,
            _frequency(shown, row.arm_id),
            *row.cells,
        ]
        for row in content.arms
    ]
    app.wide_table(columns, rows)


def _frequency(shown: app.Shown, arm_id: str) -> str:
    summary = shown.view.summaries.get(arm_id)
    return words.percent(shown.text, summary.frontier_frequency if summary else None)


def _chart(chart: alt.LayerChart) -> None:
    st.altair_chart(chart, width="stretch")


draw(app.shown())
