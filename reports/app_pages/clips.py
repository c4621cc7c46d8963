"""The clips: same prompt and noise side by side, moving in step, worst first."""

from __future__ import annotations

import streamlit as st

from reports import app
from reports import text as words
from reports.export.clips import sheet_about, sheet_html
from reports.sheet import make_sheet


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, view = shown.text, shown.view
    st.subheader(text("section.clips"))
    arms = st.multiselect(
        text("app.arms"),
        view.plan.arms,
        default=view.plan.arms,
        format_func=lambda arm: words.arm_name(text, arm),
        placeholder=text("app.choose"),
        key="arms",
    )
    count = st.slider(text("app.columns"), 1, 12, 6, key="columns")
    sheet = make_sheet(view, count)
    st.caption(app.plain(sheet_about(view, text, sheet)))
    fragment = sheet_html(view, text, sheet, tuple(arms))
    if fragment:
        st.html(fragment)
    else:
        st.info(text("section.clips.none"))
    if shown.content.lost:
        st.subheader(text("section.missing.clips"))
        app.lines(shown.content.lost, text("app.clip"), text("column.reason"))


draw(app.shown())
