"""Two runs timed in turns, round by round, so that what slows the machine for a while hits both.

Two processes, each with the code that it is to time, watch each other's run folder: the journal of
seconds says whose turn it is. Nothing else is shared, and either may be stopped and started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from poc.errors import InputError
from poc.latency_calls import complete_rounds, failed_calls
from poc.store import RunStore

POLL_S = 0.02
"""How often the other folder is looked at; a look costs one `stat` a file."""

PATIENCE_S = 1800.0
"""Without any sign of life of the other run, waiting ends after this long."""


def rounds_of_other(number: int, *, is_first: bool) -> int:
    """Return how many rounds the other must have, the cold one included, before ours begins.

    Who begins changes from round to round, so that neither always follows the other.

    >>> [rounds_of_other(number, is_first=True) for number in range(4)]
    [1, 3, 3, 5]
    >>> [rounds_of_other(number, is_first=False) for number in range(4)]
    [2, 2, 4, 4]
    """
    begins = is_first == (number % 2 == 0)
    return number + 1 + (not begins)


@dataclass(frozen=True, slots=True)
class Turns:
    """Our run folder and the one that takes turns with it."""

    own: Path
    other: Path
    patience_s: float = PATIENCE_S

    def __post_init__(self) -> None:
        """Raise `InputError` where a run would wait for itself."""
        if self.own.resolve() == self.other.resolve():
            raise InputError(
                f"--in-turns-with {self.other}: expected the folder of another run, got this one's."
            )

    def before(self, number: int) -> None:
        """Wait until a round may begin.

        Raises:
            InputError: the other run gives no sign of life.
        """
        is_first = self.own.resolve() < self.other.resolve()
        self.until(rounds_of_other(number, is_first=is_first))

    def after_all(self, rounds: int) -> None:
        """Wait until the other has all rounds too: what comes next would disturb its last one."""
        self.until(1 + rounds)

    def until(self, wanted: int) -> None:
        """Wait until the other run has so many rounds, the cold one included."""
        seen, since = _size(self.other), time.monotonic()
        while _rounds(self.other) < wanted:
            size = _waited(lambda: _size(self.other), seen, since + self.patience_s)
            if size == seen:
                raise InputError(
                    f"--in-turns-with {self.other}: no sign of life for {self.patience_s:.0f} s. "
                    "Start the other run, with this one as its --in-turns-with, and this one again."
                )
            seen, since = size, time.monotonic()


def _waited(look: Callable[[], int], seen: int, deadline: float) -> int:
    """Look until something else is seen, or time is up; returns what is seen."""
    while (size := look()) == seen and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return size


def _size(folder: Path) -> int:
    """Return the bytes of a run folder's journals; of none 0."""
    return sum(path.stat().st_size for path in folder.glob("*.jsonl"))


def _rounds(folder: Path) -> int:
    try:
        store = RunStore.open_reader(folder)
    except InputError:
        return 0  # not begun yet
    return complete_rounds(store.timed(), store.plan, failed_calls(store.latency_failures()))
