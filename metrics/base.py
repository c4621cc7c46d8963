"""What a metric returns and the two shapes a metric can have.

A clip metric judges one clip; a set metric judges all clips of an arm together. The records
here refuse NaN: a number that could not be measured is `None` with a status and a reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
AnyFloats = NDArray[np.floating]

Result_co = TypeVar("Result_co", covariant=True)


class Status(StrEnum):
    """Whether a value exists, and if not, whose doing that is."""

    OK = "ok"
    INVALID = "invalid"
    """The clip cannot be scored (one frame, wrong size, nothing to see)."""
    NOT_MEASURED = "not_measured"
    """Nobody tried: a network or an input was not given."""


@dataclass(frozen=True, slots=True)
class ClipValue:
    """One metric on one clip: a finite number, or none and the reason why.

    Raises:
        ValueError: the number is NaN or infinite, or value, status and reason contradict.

    >>> ClipValue.ok(0.5).value
    0.5
    >>> ClipValue.invalid("one frame: nothing to compare").value is None
    True
    """

    value: float | None
    status: Status = Status.OK
    reason: str = ""

    def __post_init__(self) -> None:
        if self.status is Status.OK:
            _refuse_unless_finite(self.value)
        elif self.value is not None or not self.reason:
            raise ValueError(
                f"a ClipValue with status '{self.status}' needs value None and a reason, "
                f"got value {self.value!r} and reason {self.reason!r}"
            )

    @classmethod
    def ok(cls, value: float | np.floating) -> ClipValue:
        """Wrap a measured number."""
        return cls(float(value))

    @classmethod
    def invalid(cls, reason: str) -> ClipValue:
        """Say why this clip cannot be scored."""
        return cls(None, Status.INVALID, reason)

    @classmethod
    def not_measured(cls, reason: str) -> ClipValue:
        """Say what was missing to measure at all."""
        return cls(None, Status.NOT_MEASURED, reason)


def _refuse_unless_finite(value: float | None) -> None:
    if value is None or not math.isfinite(value):
        raise ValueError(
            f"a ClipValue with status 'ok' needs a finite number, got {value!r}; "
            "use ClipValue.invalid(reason) or ClipValue.not_measured(reason)"
        )


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval and the confidence it was made for.

    Raises:
        ValueError: an end is not finite, the ends are swapped, or level is outside (0, 1).

    >>> Interval(-2.0, -1.0, level=0.95).excludes(0.0)
    True
    """

    low: float
    high: float
    level: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"an interval needs finite low <= high, got [{self.low}, {self.high}]")
        check_level(self.level)

    def excludes(self, value: float) -> bool:
        """True when `value` lies outside."""
        return not self.low <= value <= self.high


def check_level(level: float) -> None:
    """Refuse a confidence level that is not a fraction, such as 95.

    >>> check_level(0.95)
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` is a fraction between 0 and 1 such as 0.95, got {level!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBasis:
    """What a number of a whole set stands on. Two such numbers compare only if all of it agrees.

    `reference` names the reference set with its digest, `protocol` the frames protocol
    (`metrics.frames.PROTOCOL`), `extractor` the network's id and `extractor_digest` its weights.
    """

    n: int
    reference_n: int
    dimension: int
    reference: str
    protocol: str
    extractor: str
    extractor_digest: str

    @property
    def rank_deficient(self) -> bool:
        """True when n clips cannot span the covariance of `dimension` features."""
        return min(self.n, self.reference_n) <= self.dimension

    def differences(self, other: SetBasis) -> tuple[str, ...]:
        """What keeps two numbers from being compared, one phrase each; empty if nothing does."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return tuple(
            f"{name}: {mine} against {theirs}" for name, mine, theirs in pairs if mine != theirs
        )

    def check(self, features: AnyFloats, reference_features: AnyFloats) -> None:
        """Refuse features whose shapes are not what this basis says.

        Raises:
            ValueError: another n, reference n or dimension.
        """
        stated = ((self.n, self.dimension), (self.reference_n, self.dimension))
        got = (np.shape(features), np.shape(reference_features))
        if stated != got:
            raise ValueError(f"the basis states shapes {stated[0]} and {stated[1]}, got {got}")


class ClipMetric(Protocol):
    """A metric of one clip. Two kinds exist: on frames alone, and on frames with their prompt."""

    def __call__(self, frames: Frames, prompt: str) -> ClipValue:
        """Score frames uint8 (t, h, w, 3) made for `prompt`."""
        ...


class SetMetric(Protocol[Result_co]):
    """A metric of many clips, fed in batches of features in any sizes."""

    def update(self, features: AnyFloats) -> None:
        """Take in features (n, d)."""
        ...

    def compute(self) -> Result_co:
        """The result over all that was taken in."""
        ...


@dataclass(frozen=True, slots=True)
class FramesOnly:
    """Fit a metric that looks at frames alone to the `ClipMetric` protocol."""

    function: Callable[[Frames], ClipValue]

    def __call__(self, frames: Frames, prompt: str) -> ClipValue:
        """Score the frames; the prompt plays no part."""
        del prompt
        return self.function(frames)
