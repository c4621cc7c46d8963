"""The videos: one prompt over all settings in step, worst first, then many prompts at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from poc.records import Arm
from reports import app
from reports import text as words
from reports.evidence import prompt_text
from reports.export.clips import sheet_about, sheet_html
from reports.judged import focus_arm
from reports.load import ClipView
from reports.player import clip_value, order_metrics, ordered_prompts
from reports.sheet import make_sheet


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text = shown.text
    st.subheader(text("section.videos"))
    st.caption(text("section.videos.about"))
    arms = app.choose_arms(shown)
    prompt_id, replicate = _prompt(shown)
    prompt = shown.view.prompts[prompt_id]
    st.markdown(f"**{app.plain(prompt_text(shown.view, text, prompt_id))}**")
    if prompt.text_ja and text.language == "ja":
        st.caption(app.plain(text("videos.fed", prompt=words.shown(prompt.text))))
    app.player(shown, prompt_id, arms, replicate=replicate, key="player")
    _sheet(shown, arms)
    if shown.content.lost:
        st.subheader(text("section.missing.clips"))
        app.lines(shown.content.lost, text("app.clip"), text("column.reason"))


def _prompt(shown: app.Shown) -> tuple[str, int]:
    """Ask which prompt; they stand from the worst clip of an arm to its best."""
    text, view = shown.text, shown.view
    metrics = order_metrics(view)
    left, middle, right = st.columns([2, 2, 1])
    arm = left.selectbox(
        text("videos.worst_of"),
        view.plan.arms,
        index=view.plan.arms.index(focus_arm(view)),
        format_func=lambda one: words.arm_name(text, one),
        on_change=_from_the_worst,
        key="worst_of",
    )
    metric = middle.selectbox(
        text("videos.worst_by"),
        metrics,
        format_func=lambda name: words.metric_label(text, name),
        placeholder=text("videos.plan_order"),
        disabled=not metrics,
        on_change=_from_the_worst,
        key="worst_by",
    )
    many = view.plan.spec.replicates
    replicate = right.selectbox(
        text("videos.replicate"),
        range(many),
        format_func=lambda number: f"{number + 1} / {many}",
        disabled=many == 1,
        key="replicate",
    )
    order = ordered_prompts(view, arm.id, metric)
    return _walk(shown, order, arm, metric), replicate


def _from_the_worst() -> None:
    """Begin at the worst clip again: the order is another one."""
    st.session_state.pop("prompt", None)


def _walk(shown: app.Shown, order: Sequence[str], arm: Arm, metric: str | None) -> str:
    """Ask for one prompt of an order, with a step forth and back."""
    text, view = shown.text, shown.view
    first = {c.prompt_id: c for c in view.clips if c.arm_id == arm.id and c.replicate == 0}

    def named(prompt_id: str) -> str:
        place = f"{order.index(prompt_id) + 1}. {prompt_text(view, text, prompt_id)}"
        if metric is None:
            return place
        return f"{place} ({_standing(shown, first[prompt_id], metric)})"

    def move(by: int) -> None:
        now = order.index(st.session_state["prompt"])
        st.session_state["prompt"] = order[min(len(order) - 1, max(0, now + by))]

    wide, back, forth = st.columns([6, 1, 1], vertical_alignment="bottom")
    chosen: str = wide.selectbox(
        text("videos.prompt"),
        order,
        format_func=named,
        placeholder=text("app.choose"),
        key="prompt",
    )
    place = order.index(chosen)
    back.button(
        text("videos.worse"), on_click=move, args=(-1,), disabled=place == 0, width="stretch"
    )
    forth.button(
        text("videos.better"),
        on_click=move,
        args=(1,),
        disabled=place == len(order) - 1,
        width="stretch",
    )
    return chosen


def _standing(shown: app.Shown, clip: ClipView, metric: str) -> str:
    """Return what orders a prompt: the value, or how the clip was lost."""
    if clip.reason:
        return shown.text(f"clip.word.{clip.status}")
    return clip_value(shown.view, shown.text, clip, metric)


def _sheet(shown: app.Shown, arms: tuple[Arm, ...]) -> None:
    text, view = shown.text, shown.view
    st.subheader(text("section.clips"))
    count = st.slider(text("app.columns"), 1, 12, 6, key="columns")
    sheet = make_sheet(view, count)
    st.caption(app.plain(sheet_about(view, text, sheet)))
    fragment = sheet_html(view, text, sheet, arms)
    if fragment:
        st.html(fragment)
    else:
        st.info(text("section.clips.none"))


draw(app.shown())
