"""A place in the dashboard to rate in: the offline rating page in a frame, and who hears it.

A component carries the page's messages to Python and the answers back.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from poc.errors import InputError
from poc.panel import Form
from reports import access, app, rating
from reports import text as words
from reports.export.clips import stylesheet

if TYPE_CHECKING:
    from poc.ballot import Ballot

_FINISHED: Final = "poc_finished"
"""In the session: a pack was finished since the page was last drawn."""

# Streamlit has nothing that frames a page of ours and hears what it says.
_DESK: Final = st.components.v2.component(
    "poc_ballot",
    html='<div class="ballot">\n</div>',
    css=stylesheet("ballot.css"),
    js=stylesheet("ballot.js"),
)


@st.fragment
def draw_desk(shown: app.Shown) -> None:
    """Draw a place to rate in, or why there is none; a vote draws nothing else of the page."""
    view, text = shown.view, shown.text
    st.subheader(text("section.rate"))
    st.caption(text("section.rate.about"))
    is_known = access.visitor().person is not None
    st.caption(text("rating.known" if is_known else "rating.unknown"))
    if shown.view.demonstration:
        st.caption(text("rating.demonstration"))
    ballot = _opened(shown)
    if ballot is None:
        return
    st.warning(text("rating.seen"))
    try:
        data = rating.desk(ballot, text, st.session_state.get(_reply_key(view.path)))
    except InputError as error:
        _explain(shown, str(error))
        return
    _DESK(data=data, key=_key(view.path), on_asked_change=partial(_take, ballot, view.path))
    if st.session_state.pop(_FINISHED, False):
        st.rerun()  # what was said counts now: the other tabs show it


def is_pack_left(run: Path) -> bool:
    """Tell whether somebody could begin a pack of a run; False too where nobody can know."""
    try:
        stamp = rating.panels_stamp(run)
        return bool(stamp) and any(_ballot(str(run), stamp).free(form) for form in Form)
    except (InputError, ImportError):
        return False


def _opened(shown: app.Shown) -> Ballot | None:
    """Return the ratings of the run; None, with the reason on the page, where there are none."""
    run, text = shown.view.path, shown.text
    stamp = rating.panels_stamp(run)
    if not stamp:
        st.info(text("rating.no_packs"))
        for _, command in list(rating.commands(run, text.language))[:2]:
            st.code(command, language=None)
        return None
    try:
        return _ballot(str(run), stamp)
    except InputError as error:
        _explain(shown, str(error))
    except ImportError as error:
        st.error(text("rating.packages", name=words.shown(error.name or "?")))
    return None


def _explain(shown: app.Shown, detail: str) -> None:
    st.error(shown.text("rating.unreadable"))
    st.code(words.shown(" ".join(detail.split()), 2000), language=None, wrap_lines=True)


@st.cache_resource(max_entries=4, show_spinner=False)
def _ballot(run: str, stamp: tuple[tuple[str, int], ...]) -> Ballot:  # noqa: ARG001 - the version
    return rating.open_ballot(Path(run))


def _key(run: Path) -> str:
    return f"ballot-{run}"


def _reply_key(run: Path) -> str:
    return f"reply-{run}"


def _take(ballot: Ballot, run: Path) -> None:
    """Answer a message of the browser; runs before anything is drawn, so it asks who that is."""
    message: Any = st.session_state[_key(run)].get("asked")
    asked = rating.understood(message)
    if asked is None:
        if reply := rating.unfit(message):
            st.session_state[_reply_key(run)] = reply
        return
    who = access.visitor()
    is_inside = who.standing.is_inside
    said = rating.answer(ballot, asked, who.person) if is_inside else rating.refusal()
    st.session_state[_reply_key(run)] = rating.sent(asked.id, said)
    st.session_state[_FINISHED] = asked.path == "finish" and said.status == 200
