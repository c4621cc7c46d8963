"""Makes the n-th operation on the disk kill the process, or fail: the loop SQLite is tested by.

`poc.disk` has one door for writing, flushing, cutting and renaming; here its four functions are
counted and, at the n-th call, made to fail. Use it in one of three ways.

- `with injected(Fault(3, Action.FULL)):` in this process.
- `forked(job, Fault(3, Action.KILL))` in a child that is forked, which is quick: `job` is handed a
  function `acknowledge(text)` that reports to this process at once.
- `run_killed_at(3, ["run", "quick.yaml", "--out", ...])` in a fresh interpreter, through the
  command line of the program. Its worker processes are not touched; only the owner writes.

The loop is always the same: n = 1, 2, 3 ... until the run is no longer hit.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from poc import disk
from poc.errors import InputError

OPERATIONS = ("write", "fsync", "truncate", "replace")


class Action(StrEnum):
    """What happens at the n-th operation."""

    COUNT = "count"
    """Nothing; for counting."""
    KILL = "kill"
    """SIGKILL, before the operation."""
    TEAR = "tear"
    """SIGKILL after half of what was to be written."""
    FULL = "full"
    """ENOSPC, from then on."""
    HALF_FULL = "half_full"
    """Half is written, then ENOSPC, from then on."""
    FULL_ONCE = "full_once"
    """ENOSPC, once: somebody else freed space."""
    BROKEN = "broken"
    """EIO, once."""


_ERRORS = {
    Action.FULL: errno.ENOSPC,
    Action.HALF_FULL: errno.ENOSPC,
    Action.FULL_ONCE: errno.ENOSPC,
    Action.BROKEN: errno.EIO,
}
_LASTING = {Action.FULL, Action.HALF_FULL}


@dataclass(frozen=True, slots=True)
class Fault:
    """The `nth` (from 1) of the operations named in `on` is hit."""

    nth: int
    action: Action
    on: frozenset[str] = frozenset(OPERATIONS)


class Injector:
    """Counts operations and hits the one that the fault names."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.count = fault, 0

    @property
    def hit(self) -> bool:
        """Whether the fault has come about."""
        return self.count >= self.fault.nth

    def __call__(self, name: str, original: Callable[..., Any], *arguments: Any) -> Any:
        """Stand in for one operation of `poc.disk`."""
        if name not in self.fault.on:
            return original(*arguments)
        self.count += 1
        first = self.count == self.fault.nth
        if not (first or (self.hit and self.fault.action in _LASTING)):
            return original(*arguments)
        half = self.fault.action in {Action.TEAR, Action.HALF_FULL} and first and name == "write"
        if half:
            written = original(arguments[0], arguments[1][: len(arguments[1]) // 2])
        if self.fault.action in {Action.KILL, Action.TEAR}:
            os.kill(os.getpid(), signal.SIGKILL)
        if half:
            return written
        number = _ERRORS[self.fault.action]
        raise OSError(number, os.strerror(number))


@contextmanager
def injected(fault: Fault) -> Iterator[Injector]:
    """Let the fault come about inside the block."""
    injector = Injector(fault)
    originals = {name: getattr(disk, f"_{name}") for name in OPERATIONS}
    try:
        for name, original in originals.items():
            setattr(disk, f"_{name}", partial(injector, name, original))
        yield injector
    finally:
        for name, original in originals.items():
            setattr(disk, f"_{name}", original)


# --- in a forked child ---------------------------------------------------------------------------

Acknowledge = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: what it acknowledged, and its last words when it failed cleanly."""

    killed: bool
    code: int
    acknowledged: tuple[str, ...]
    error: str


def forked(job: Callable[[Acknowledge], None], fault: Fault) -> Ended:
    """Run `job` in a forked child under `fault`; an `InputError` ends it with that one's code."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of the runner do not matter
        child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(job, fault, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    said = tuple(line[1:] for line in lines if line.startswith("+"))
    error = "\n".join(line[1:] for line in lines if line.startswith("!"))
    return Ended(os.WIFSIGNALED(status), os.waitstatus_to_exitcode(status), said, error)


def _be_the_child(job: Callable[[Acknowledge], None], fault: Fault, pipe: int) -> None:
    def say(mark: str, text: str) -> None:
        os.write(pipe, "".join(f"{mark}{line}\n" for line in text.splitlines()).encode())

    code = 0
    try:
        with injected(fault):
            job(partial(say, "+"))
    except InputError as error:
        say("!", str(error))
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - nothing may get past os._exit into the test runner
        say("!", traceback.format_exc())
        code = 70
    os._exit(code)


# --- in a fresh interpreter ----------------------------------------------------------------------


def run_killed_at(
    nth: int,
    argv: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    action: Action = Action.KILL,
    on: Sequence[str] = OPERATIONS,
    target: str = "poc.cli:main",
    timeout_s: float = 600.0,
) -> subprocess.CompletedProcess[str]:
    """Run the program with `argv`, hit at the `nth` operation; -9 as return code: it was killed.

    `target` is the `module:function` that takes the arguments and returns the exit code.
    """
    here = Path(__file__).resolve()
    paths = [str(here.parent.parent), str(here.parent), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, str(here), str(nth), action, ",".join(on), target, "--", *argv]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, **(env or {}), "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def _main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("nth", type=int)
    parser.add_argument("action", type=Action)
    parser.add_argument("on", type=lambda text: frozenset(text.split(",")))
    parser.add_argument("target")
    parser.add_argument("argv", nargs="*")
    arguments = parser.parse_args()
    module, _, function = arguments.target.partition(":")
    main: Callable[[list[str]], int] = getattr(importlib.import_module(module), function)
    with injected(Fault(arguments.nth, arguments.action, arguments.on)):
        return main(arguments.argv)


if __name__ == "__main__":
    sys.exit(_main())
