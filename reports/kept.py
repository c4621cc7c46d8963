"""Runs that stay in memory: read once per change of their files and shared by all visitors."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from typing import Final

import streamlit as st

from poc.run_folder import CLIPS, JOURNALS, MANIFEST, PLAN, RARE_JOURNALS
from reports.content import make_content
from reports.load import RunNotShownError, RunView, list_runs, load_run
from reports.model import Content
from reports.text import LANGUAGES, Language, load_text

WATCHED: Final = (
    MANIFEST, PLAN, *JOURNALS, *RARE_JOURNALS, CLIPS,
    "estimates.json", "decision.json", "money.json", "rights.json",
    "rating/votes.json", "rating/answers",
)  # fmt: skip

Stamp = tuple[int, ...]
"""When each of the watched files was written, in ns; 0 where it is not there."""


def stamp(run: Path) -> Stamp:
    """Return the version of a run's files."""
    files = [run / name for name in WATCHED]
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)


@st.cache_resource(max_entries=8, show_spinner=False)
def view(path: str, stamp: Stamp) -> RunView:  # noqa: ARG001 - the stamp is the version
    """Read a run.

    Raises:
        RunNotShownError: it cannot be shown.
    """
    found = load_run(Path(path))
    _spare()
    return found


@st.cache_resource(max_entries=16, show_spinner=False)
def content(path: str, stamp: Stamp, language: Language) -> Content:
    """Put a run into words once per language, not whenever somebody touches a page."""
    found = make_content(view(path, stamp), load_text(language))
    _spare()
    return found


def _spare() -> None:
    """Keep the garbage collector from what is in memory now.

    Streamlit collects after every page, and going through all records of a large run takes longer
    than any page. They form no cycles: a run that is dropped is freed without the collector. What
    was in use at an earlier call and is not any more, such as a visitor's session, goes now.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def is_readable(run: Path) -> bool:
    """Return whether a run can be shown; it is in memory then."""
    try:
        view(str(run), stamp(run))
    except RunNotShownError:
        return False
    return True


def warm(folder: Path) -> None:
    """Take the run that the first page will show into memory, in both languages.

    Whatever is wrong with it is for the page to say: the others are still to be shown.
    """
    with suppress(Exception):
        first = next((run for run in list_runs(folder) if is_readable(run)), None)
        if first is not None:
            for language in LANGUAGES:
                content(str(first), stamp(first), language)
