"""Laws of pausing the collector of cycles: it comes back, whoever ends last."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from poc.collector import paused


@pytest.fixture(autouse=True)
def on() -> Iterator[None]:
    before = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if before else gc.disable)()


def test_it_is_off_inside_and_on_after_an_error() -> None:
    def failing() -> None:
        with paused():
            inside.append(gc.isenabled())
            raise ValueError("x")

    inside: list[bool] = []
    with pytest.raises(ValueError, match="x"):
        failing()

    assert (inside, gc.isenabled()) == ([False], True)


def test_who_had_it_off_finds_it_off() -> None:
    gc.disable()
    with paused():
        pass

    assert not gc.isenabled()


def test_the_last_of_two_threads_turns_it_on_again() -> None:
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with paused():
            inside.set()
            leave.wait(10)

    with paused():
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
    first_left = gc.isenabled()
    leave.set()
    thread.join(10)

    assert (first_left, gc.isenabled()) == (False, True)
