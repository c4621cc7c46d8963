"""Runs tasks on processes of this machine and survives their death.

A worker builds its state once (models stay resident) and then handles tasks one at a time. The
caller's process hands out tasks in order and is the only one that writes results, so a worker may
die at any moment and lose nothing but its task, which is given out again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

MAX_ATTEMPTS = 3
"""A task that has killed this many workers is given up, so that it cannot stop the others."""

Setup = Callable[[int], Callable[[Any], Any]]
"""Builds the state of the worker of that number, from 0, and returns the function that handles one
task; picklable. A worker that takes another's place has its number, and so its device."""


class Outcome(NamedTuple):
    """What came of a task: a result, or the reason why there is none."""

    task: Any
    result: Any
    error: str
    worker: int


@dataclass(slots=True)
class _Worker:
    number: int
    process: BaseProcess
    pipe: Connection
    task: Any = None


def run_tasks(
    setup: Setup, tasks: Iterable[Any], *, workers: int, threads: int
) -> Iterator[Outcome]:
    """Yield an outcome per task, in order of completion.

    With one worker everything happens in this process. `threads` is fixed per worker, because
    kernels are not invariant to it. An exception of a handler is re-raised here as it is; only
    the death of a process becomes an `Outcome` with an error.
    """
    if workers == 1:
        yield from _inline(setup, tasks, threads)
        return
    yield from _Pool(setup, iter(tasks), workers, threads).outcomes()


def _inline(setup: Setup, tasks: Iterable[Any], threads: int) -> Iterator[Outcome]:
    _set_threads(threads)
    handle = None
    for task in tasks:
        handle = handle or setup(0)
        yield Outcome(task, handle(task), "", 0)


class _Pool:
    def __init__(self, setup: Setup, tasks: Iterator[Any], workers: int, threads: int) -> None:
        self._setup, self._tasks, self._threads = setup, tasks, threads
        self._again: deque[Any] = deque()
        self._attempts: dict[int, int] = {}
        self._workers = [self._start(number) for number in range(workers)]

    def _start(self, number: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, self._setup, number, self._threads), daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(number, process, ours)

    def outcomes(self) -> Iterator[Outcome]:
        try:
            for worker in self._workers:
                self._assign(worker)
            while busy := {w.pipe: w for w in self._workers if w.task is not None}:
                for pipe in wait(list(busy)):
                    yield from self._collect(busy[pipe])  # type: ignore[index]
        finally:
            for worker in self._workers:
                worker.pipe.close()
            for worker in self._workers:
                worker.process.join(timeout=5)
                worker.process.kill()

    def _assign(self, worker: _Worker) -> None:
        worker.task = self._again.popleft() if self._again else next(self._tasks, None)
        if worker.task is not None:
            with contextlib.suppress(OSError):  # it died meanwhile: `_collect` will see the end
                worker.pipe.send(worker.task)

    def _collect(self, worker: _Worker) -> Iterator[Outcome]:
        task = worker.task
        try:
            result, exception = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._bury(worker, task)
            return
        if exception is not None:
            raise exception
        self._assign(worker)
        yield Outcome(task, result, "", worker.number)

    def _bury(self, worker: _Worker, task: Any) -> Iterator[Outcome]:
        """Replace a dead worker and give its task out again, until it has killed too many."""
        worker.process.join()
        code = worker.process.exitcode
        self._attempts[id(task)] = self._attempts.get(id(task), 0) + 1
        self._workers[worker.number] = fresh = self._start(worker.number)
        if self._attempts[id(task)] < MAX_ATTEMPTS:
            self._again.append(task)
        else:
            yield Outcome(
                task, None, f"killed its worker {MAX_ATTEMPTS} times (exit {code})", worker.number
            )
        self._assign(fresh)


def _serve(pipe: Connection, setup: Setup, number: int, threads: int) -> None:
    """Body of a worker: one task after another until the other end closes."""
    _set_threads(threads)
    handle = None
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            handle = handle or setup(number)
            pipe.send((handle(task), None))
        except BrokenPipeError:
            return
        except Exception as exception:  # noqa: BLE001  # whatever it is, it belongs to the caller
            pipe.send((None, exception))


def _set_threads(threads: int) -> None:
    from poc.pipelines.device import set_up_process

    set_up_process(threads)
