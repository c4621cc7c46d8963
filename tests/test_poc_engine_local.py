"""The local engine: same results with one and many workers, and a worker's death loses nothing."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from poc.engine.local import MAX_ATTEMPTS, run_tasks
from poc.errors import InputError


def _square(_: int) -> Callable[[int], int]:
    return lambda number: number * number


def _says_who(worker: int) -> Callable[[Path], int]:
    """Answer with the worker's number; the second one dies at its first task."""

    def handle(marker: Path) -> int:
        if worker == 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return worker

    return handle


def _dies_once(marker: Path, _: int) -> Callable[[int], int]:
    def handle(number: int) -> int:
        if number == 2 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return handle


def _always_dies_on_two(_: int) -> Callable[[int], int]:
    def handle(number: int) -> int:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return handle


def _refuses(_: int) -> Callable[[int], int]:
    def handle(number: int) -> int:
        raise InputError(f"task {number}: refused")

    return handle


@pytest.mark.parametrize("workers", [1, 2])
def test_results_do_not_depend_on_the_number_of_workers(workers: int) -> None:
    outcomes = run_tasks(_square, range(5), workers=workers, threads=1)

    assert sorted((o.task, o.result) for o in outcomes) == [(n, n * n) for n in range(5)]


def test_a_task_whose_worker_was_killed_is_done_by_another(tmp_path: Path) -> None:
    setup = functools.partial(_dies_once, tmp_path / "died")

    outcomes = list(run_tasks(setup, range(4), workers=2, threads=1))

    assert sorted(o.result for o in outcomes) == [0, 1, 2, 3]
    assert all(o.error == "" for o in outcomes)


def test_a_task_that_kills_every_worker_is_given_up_and_the_others_finish() -> None:
    outcomes = {o.task: o for o in run_tasks(_always_dies_on_two, range(4), workers=2, threads=1)}

    assert outcomes.pop(2).error == f"killed its worker {MAX_ATTEMPTS} times (exit -9)"
    assert sorted(o.result for o in outcomes.values()) == [0, 1, 3]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_user_reaches_the_caller_unchanged(workers: int) -> None:
    with pytest.raises(InputError, match="refused"):
        list(run_tasks(_refuses, range(3), workers=workers, threads=1))


def test_a_worker_keeps_its_number_and_so_its_device_when_it_is_replaced(tmp_path: Path) -> None:
    tasks = [tmp_path / "died"] * 6

    outcomes = list(run_tasks(_says_who, tasks, workers=2, threads=1))

    assert (tmp_path / "died").exists()
    assert [one.result for one in outcomes] == [one.worker for one in outcomes]
    assert {one.worker for one in outcomes} == {0, 1}
