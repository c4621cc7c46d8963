"""The benchmark's visitors see what a person would: a page that fails is never a quick page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import browser_pages as browsing
import pytest
from streamlit.testing.v1 import AppTest
from viewers import FIRST, OPENED, Crowd, Wait, errors_of, results_of, waits_of


def seen(script: str) -> list[str]:
    """The errors among all pieces of a page that Streamlit really drew."""
    drawn = AppTest.from_string(script).run()
    queue = drawn.main
    pieces = [one.proto for one in queue if getattr(one, "proto", None) is not None]
    return [error for piece in pieces for error in errors_of_proto(piece)]


def errors_of_proto(piece: object) -> list[str]:
    """Put an element into the piece of a page that carries it."""
    from streamlit.proto.Delta_pb2 import Delta

    name = {"Exception": "exception", "Alert": "alert"}.get(type(piece).__name__)
    if name is None:
        return []
    delta = Delta()
    getattr(delta.new_element, name).CopyFrom(piece)
    return errors_of(delta)


@pytest.mark.parametrize(
    ("script", "errors"),
    [
        ("raise ValueError('gone')", 1),
        ("import streamlit as st\nst.error('gone')", 1),
        ("import streamlit as st\nst.warning('a demonstration')", 0),
    ],
)
def test_an_exception_and_an_error_are_seen_and_a_warning_is_none(script: str, errors: int) -> None:
    assert len(seen(script)) == errors


def test_a_page_that_failed_breaks_the_limit_and_lends_no_time() -> None:
    quick = [Wait("decision", 1.0)] * 19
    for last, kept in ((Wait("decision", 1.0), True), (Wait("decision", 0.1, "gone"), False)):
        results = list(results_of([*quick, last], "run"))
        assert all(one.kept for one in results) is kept
        assert all(one.value == 1.0 for one in results if one.unit == "s")


# --- a server that really runs -------------------------------------------------------------------

PAGES = """
import os
import streamlit as st

def decision(): st.subheader("Numbers")
def raises(): st.subheader("Raises"); raise ValueError("gone")
def says(): st.subheader("Says"); st.error("cannot be read")
def silent(): st.write("no heading of its own")
def dies(): os._exit(1)

names = {names!r}
pages = [st.Page(globals()[one], url_path=one, default=one == "decision") for one in names]
st.navigation(pages).run()
"""


def visited(folder: Path, *names: str) -> Sequence[Wait]:
    """One visitor opens the first page of a served script, then each of its pages once."""
    script, port = folder / "script.py", browsing.free_port()
    script.write_text(PAGES.replace("{names!r}", repr(names)), "utf-8")
    options = {
        "server.port": port, "server.headless": "true", "server.address": "127.0.0.1",
        "server.fileWatcherType": "none", "browser.gatherUsageStats": "false",
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
    titles = {name: "Numbers" if name == FIRST else name.capitalize() for name in names}
    crowd = Crowd(visitors=1, rounds=1, think_s=(0.0, 0.0))
    with browsing.running(command, port, folder / "log", kill=True) as (address, _):
        return waits_of(address, crowd, titles)


def test_a_visitor_counts_what_a_served_page_does_wrong_and_nothing_else(tmp_path: Path) -> None:
    waits = visited(tmp_path, "decision", "raises", "says", "silent")
    errors = {wait.page: wait.error for wait in waits}

    assert len(waits) == 5
    assert errors[OPENED] == errors["decision"] == ""
    assert errors["raises"].startswith("exception:")
    assert errors["says"] == "alert: cannot be read"
    assert errors["silent"] == "no heading 'Silent'"


def test_a_connection_that_is_lost_is_an_error_and_so_is_each_page_after_it(tmp_path: Path) -> None:
    waits = visited(tmp_path, "decision", "dies")
    died = [wait.page for wait in waits].index("dies")

    assert not any(wait.error for wait in waits[:died])
    assert all("ConnectionClosed" in wait.error for wait in waits[died:])
    results = {one.name: one for one in results_of(waits, "run")}
    assert not results["run: errors"].kept


def test_a_server_that_is_not_there_is_an_error() -> None:
    (wait,) = waits_of(f"http://127.0.0.1:{browsing.free_port()}", Crowd(visitors=1), {})

    assert wait.page == OPENED
    assert "refused" in wait.error.lower() or "Connect call failed" in wait.error
