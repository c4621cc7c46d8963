"""What people have judged so far, a place to rate in, and how packs are handed out."""

from __future__ import annotations

from typing import Final

import streamlit as st

from reports import app, people, rating
from reports.people_tables import draw_people
from reports.rating_desk import draw_desk, is_pack_left


def draw(shown: app.Shown) -> None:
    """Draw one part of the page; the choice outlives a switch of language, as tabs would not.

    Whoever comes here first may be a rater, and must not be shown what others said.
    """
    text = shown.text
    if _PART not in st.session_state:
        st.session_state[_PART] = "rate" if is_pack_left(shown.view.path) else "rated"
    chosen = st.segmented_control(
        text("page.rating"),
        list(_PARTS),
        default=st.session_state[_PART],
        format_func=lambda name: text(f"tab.{name}"),
        key=f"part-{text.language}",
        required=True,
        label_visibility="collapsed",
    )
    st.session_state[_PART] = chosen
    _PARTS[chosen](shown)


def _rated(shown: app.Shown) -> None:
    view, text = shown.view, shown.text
    if view.votes_open:
        st.subheader(text("section.people"))
        st.warning(text("rating.open"))
        st.code(f"poc rate show {rating.folder_word(view.path)}", language=None)
        return
    back = people.packs(view, text)
    if not shown.content.people and not shown.content.clips:
        st.subheader(text("section.people"))
        st.info(text("people.none"))
        if back:
            st.markdown(app.plain(back))
        st.markdown(text("rating.none.how"))
        return
    draw_people(shown)
    st.caption(app.plain(back))


def _packs(shown: app.Shown) -> None:
    text = shown.text
    st.subheader(text("section.packs"))
    st.markdown(text("section.packs.about"))
    for key, command in rating.commands(shown.view.path, text.language):
        st.markdown(text(key))
        st.code(command, language=None, wrap_lines=True)


_PARTS: Final = {"rated": _rated, "rate": draw_desk, "packs": _packs}
_PART: Final = "poc_rating_part"

draw(app.shown())
