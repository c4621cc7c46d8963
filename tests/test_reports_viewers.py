"""The benchmark's visitors see what a person would: a page that fails is never a quick page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest
from viewers import Wait, errors_of, results_of


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
