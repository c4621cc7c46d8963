"""How often something happened in seeded trials, held against the share that is promised.

What is promised is written before the trials run. How often something happened is itself uncertain:
a bar counts as kept or missed only where all of the 99 % interval of the share says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scipy import stats

LEVEL = 0.99
"""Of the intervals of shares: among dozens of rows 95 % would call some missed by chance."""


class Standing(StrEnum):
    """How a share stands to its bar."""

    KEPT = "kept"
    OPEN = "too close to tell"
    MISSED = "missed"
    TOLD = "no bar"


@dataclass(frozen=True, slots=True)
class Bar:
    """The shares that are promised: from `least` to `most`, both included."""

    least: float = 0.0
    most: float = 1.0

    def __str__(self) -> str:
        if self.least == 0:
            return f"at most {self.most:.2%}"
        return f"{self.least:.1%} to {self.most:.1%}" if self.most < 1 else f">= {self.least:.0%}"


COVERAGE = Bar(0.93, 0.97)
"""Of a nominal 95 % interval."""

ERRORS = Bar(most=0.05)
"""Of a GO for an arm that does not deserve one."""

POWER = Bar(least=0.80)
"""Of a GO for an arm that deserves one."""

FOUND = Bar(least=0.95)
"""Of a planted regression that is named."""

ALARMS = Bar(most=12 / 2000)
"""Of regressions named between runs that do not differ."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened, and what was promised of it."""

    part: str
    """The table that it belongs to."""
    what: str
    n: int
    """Prompts of a run, or rounds where seconds alone are looked at."""
    trials: int
    hits: int
    bar: Bar | None = None
    note: str = ""

    @property
    def share(self) -> float:
        """Return hits over trials."""
        return self.hits / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Return the exact interval of the share (Clopper and Pearson 1934)."""
        found = stats.binomtest(self.hits, self.trials).proportion_ci(LEVEL, "exact")
        return float(found.low), float(found.high)

    @property
    def standing(self) -> Standing:
        """Return whether the bar is kept, missed, or too close for this many trials."""
        if self.bar is None:
            return Standing.TOLD
        low, high = self.interval
        if self.bar.least <= low and high <= self.bar.most:
            return Standing.KEPT
        outside = high < self.bar.least or low > self.bar.most
        return Standing.MISSED if outside else Standing.OPEN

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Rate:
        """Return the rate that `as_json` wrote."""
        bar = None if row["bar"] is None else Bar(*row["bar"])
        names = ("part", "what", "n", "trials", "hits", "note")
        return cls(bar=bar, **{name: row[name] for name in names})

    def as_json(self) -> dict[str, Any]:
        """Return the row with everything that follows from it."""
        low, high = self.interval
        return {
            "part": self.part,
            "what": self.what,
            "n": self.n,
            "trials": self.trials,
            "hits": self.hits,
            "share": self.share,
            "low": low,
            "high": high,
            "bar": None if self.bar is None else [self.bar.least, self.bar.most],
            "standing": str(self.standing),
            "note": self.note,
        }
