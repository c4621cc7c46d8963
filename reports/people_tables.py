"""What people said of the clips, drawn: questions, raters, and whether it can be leant on."""

from __future__ import annotations

import streamlit as st

from reports import app
from reports.model import Mark, RaterRow, VoteRow
from reports.text import Text


def draw_people(shown: app.Shown) -> None:
    """Draw the votes of both forms, or nothing where nobody has voted."""
    text, content = shown.text, shown.content
    if not content.people and not content.clips:
        return
    st.subheader(text("section.people"))
    st.caption(app.plain(text("section.people.about", level=content.level)))
    for found in content.people:
        st.markdown(f"**{app.plain(found.pair)}**")
        st.markdown(app.plain(found.said))
        st.caption(app.plain(found.who))
        _warn(found.caution)
        app.table([_votes(text, row) for row in found.rows])
        st.caption(app.plain(found.needed))
    for judged in content.clips:
        st.markdown(f"**{app.plain(judged.title)}**")
        st.markdown(app.plain(judged.said))
        _warn(judged.caution)
        app.lines(judged.lines, text("column.term"), text("column.said"))
        st.caption(app.plain(judged.needed))
    with st.expander(text("people.raters")):
        app.table([_rater(text, one) for one in content.raters])


def _warn(caution: str) -> None:
    if caution:
        st.warning(app.plain(caution))


def _votes(text: Text, row: VoteRow) -> dict[str, str | Mark]:
    return {
        text("column.question"): row.question,
        text("column.counts"): row.counts,
        text("column.not_worse"): app.whole_cell(row.not_worse),
        text("column.preferred"): app.whole_cell(row.preferred),
        text("column.alpha"): row.alpha,
        text("column.same"): row.same,
    }


def _rater(text: Text, one: RaterRow) -> dict[str, str | Mark]:
    return {
        text("column.rater"): one.name,
        text("column.votes"): one.votes,
        text("column.catches"): one.catches,
        text("column.standing.rater"): one.standing,
    }
