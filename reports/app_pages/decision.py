"""The decision: what, how sure, on which numbers, against which criteria."""

from __future__ import annotations

import streamlit as st

from reports import app
from reports.model import CriterionRow, KeyNumber, Line, Mark


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, content = shown.text, shown.content
    st.caption(app.plain(content.question))
    app.badge(content.mark)
    st.markdown(f"### {app.plain(content.headline)}")
    st.markdown(app.plain(content.sureness))
    for reason in content.reasons:
        st.markdown(f"- {app.plain(reason)}")
    colon = text("punctuation.colon")
    st.markdown(f"**{text('section.next.step')}**{colon}{app.plain(content.next_step)}")
    _numbers(shown)
    _lights(shown)
    _criteria(shown)


def _numbers(shown: app.Shown) -> None:
    st.subheader(shown.text("section.numbers"))
    about = shown.text("section.numbers.about", arm=shown.content.focus, level=shown.content.level)
    st.caption(app.plain(about))
    for column, number in zip(st.columns(3), shown.content.numbers, strict=False):
        with column.container(border=True):
            _number(number)


def _number(number: KeyNumber) -> None:
    st.metric(app.plain(number.label), number.cell.value, help=app.plain(number.help) or None)
    parts = (number.cell.interval, number.cell.n, number.cell.reason)
    st.markdown(app.plain(" · ".join(part for part in parts if part)))
    for line in (number.against, number.baseline):
        st.caption(app.plain(line))


def _lights(shown: app.Shown) -> None:
    st.subheader(shown.text("section.lights"))
    for column, light in zip(st.columns(3), shown.content.lights, strict=True):
        with column.container(border=True):
            st.markdown(f"**{app.plain(light.title)}**")
            app.badge(light.mark)
            st.caption(app.plain(light.question))


def _criteria(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    st.subheader(text("section.criteria"))
    app.table([_row(shown, row, content.criteria) for row in content.criteria])
    with st.expander(text("column.why")):
        app.lines(
            [Line(row.label, row.why) for row in content.criteria],
            text("column.criterion"),
            text("column.why"),
        )
    if content.conditions:
        st.subheader(text("section.next.conditions"))
        for condition in content.conditions:
            st.markdown(f"- {app.plain(condition)}")


def _row(
    shown: app.Shown, row: CriterionRow, rows: tuple[CriterionRow, ...]
) -> dict[str, str | Mark]:
    text, level = shown.text, shown.content.level
    shares = (
        text("column.attainment.target", share=row.target_share),
        text("column.attainment.minimum", share=row.minimum_share),
    )
    shown_row: dict[str, str | Mark] = {
        text("column.criterion"): row.label,
        text("column.weight"): row.weight,
        text("column.verdict"): row.mark,
        text("column.result", level=level): f"{row.cell.value} ({row.cell.interval}; {row.cell.n})",
        text("column.target"): row.target,
        text("column.minimum"): row.minimum,
        text("column.attainment"): text("list.comma").join(shares),
    }
    if any(one.reason for one in rows):
        shown_row[text("column.reason")] = row.reason
    return shown_row


draw(app.shown())
