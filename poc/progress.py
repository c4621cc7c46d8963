"""Progress of long work on stderr: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time

_PLAIN_EVERY_S = 15.0


class Progress:
    """Called with (stage, done, planned); prints counts and the time left at the present pace."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet, self._terminal = quiet, sys.stderr.isatty()
        self._stage, self._start, self._first, self._last = "", 0.0, 0, 0.0

    def __call__(self, stage: str, done: int, planned: int) -> None:
        """Show that `done` of `planned` parts of `stage` are finished."""
        if self._quiet or planned == 0:
            return
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._start, self._first, self._last = stage, now, done, 0.0
        if done < planned and now - self._last < (0.2 if self._terminal else _PLAIN_EVERY_S):
            return
        self._last = now
        self._write(self._line(done, planned, now), finished=done >= planned)

    def _line(self, done: int, planned: int, now: float) -> str:
        text = f"{self._stage:<9}{done:>6} of {planned} ({100 * done // planned} %)"
        made, elapsed_s = done - self._first, now - self._start
        if made > 0 and done < planned:
            text += f", {_duration(elapsed_s / made * (planned - done))} left"
        elif done >= planned:
            text += f" in {_duration(elapsed_s)}"
        return text

    def _write(self, line: str, *, finished: bool) -> None:
        if self._terminal:
            print(f"\r\033[K{line}", end="\n" if finished else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    """Write a duration as people say it.

    >>> _duration(42.4), _duration(125), _duration(7265)
    ('42 s', '2 min 05 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
