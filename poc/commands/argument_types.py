"""From the text of an argument to its value; what is wrong is said by `ArgumentTypeError`."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import date


def positive(text: str) -> int:
    """Return a number of processes, 1 to 1024."""
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise ArgumentTypeError(f"expected a whole number from 1 to 1024, got {text!r}")
    return int(text)


def raters(text: str) -> int:
    """Return a number of raters, 1 to 200."""
    return _at_most(text, 200)


def comparisons(text: str) -> int:
    """Return a number of comparisons for one rater, 1 to 500."""
    return _at_most(text, 500)


def _at_most(text: str, most: int) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) <= 6 and 1 <= int(text) <= most):
        raise ArgumentTypeError(f"expected a whole number from 1 to {most}, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """Return a seed, a whole number from 0 on, of at most 18 digits."""
    if not (text.isdecimal() and text.isascii() and len(text) <= 18):
        raise ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def frame_rate(text: str) -> float:
    """Return frames per second, above 0 and at most 1000."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.0 < rate <= 1000.0:
        raise ArgumentTypeError(f"expected frames per second up to 1000, got {text!r}")
    return rate


def day(text: str) -> date:
    """Return a day.

    >>> day("2026-04-01")
    datetime.date(2026, 4, 1)
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a day as 2026-04-01, got {text!r}") from None


def clock(text: str) -> tuple[int, int]:
    """Return hour and minute of a local time.

    >>> clock("07:30")
    (7, 30)
    """
    hour, _, minute = text.partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):
        raise ArgumentTypeError(f"expected a local time as HH:MM, got {text!r}")
    return int(hour), int(minute)


def up_to(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 1 to `most`."""
    return lambda text: _at_most(text, most)


def positive_number(text: str) -> float:
    """Return a finite number above 0.

    >>> positive_number("1e-4")
    0.0001
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < math.inf:
        raise ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def duration(text: str) -> float:
    """Return a length of time in seconds.

    >>> [duration(text) for text in ("45m", "8h", "1.5d")]
    [2700.0, 28800.0, 129600.0]
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([mhd])", text, re.ASCII)
    seconds = float(match[1]) * {"m": 60.0, "h": 3600.0, "d": 86400.0}[match[2]] if match else 0.0
    if not seconds:
        raise ArgumentTypeError(f"expected a length of time such as 45m, 8h or 2d, got {text!r}")
    return seconds
