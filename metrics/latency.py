"""Percentiles of timed clips with distribution-free intervals, and the ratio of two medians.

Nothing is assumed of the distribution but that samples are independent: every bound is an
order statistic. A percentile whose one-sided 95 % bound the samples cannot give is not
printed: p50 takes 5 samples, p90 29, p95 59, p99 299. Two-sided intervals take 6, 36, 72, 368.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import bdtr

from metrics.base import ClipValue, FloatArray, Interval, Status, check_level

CONFIDENCE = 0.95
PERCENTS = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Percentile:
    """One percentile in the unit of its samples, or the reason why it is not given.

    `value` is the sample below or at which `percent` % of samples lie; `upper` bounds the true
    percentile from above with 95 % confidence, one-sided; `interval` is two-sided.
    """

    percent: int
    n: int
    value: float | None
    upper: float | None
    interval: Interval | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MedianRatio:
    """Median of one set over that of another, with a conservative interval."""

    value: float
    interval: Interval
    n: int
    n_other: int


def minimum_n(percent: int, *, sides: Literal[1, 2], confidence: float = CONFIDENCE) -> int:
    """Fewest samples whose largest one bounds the percentile with this confidence.

    Two-sided, each tail gets half of the error and the smallest sample is the other bound.

    >>> [minimum_n(p, sides=1) for p in PERCENTS]
    [5, 29, 59, 299]
    >>> [minimum_n(p, sides=2) for p in PERCENTS]
    [6, 36, 72, 368]
    """
    check_level(confidence)
    share = _share(percent)
    harder = share if sides == 1 else max(share, 1.0 - share)
    return math.ceil(math.log((1.0 - confidence) / sides) / math.log(harder))


def percentile(samples: Sequence[float], percent: int) -> Percentile:
    """The percentile of samples (n,), such as seconds, all positive.

    Raises:
        ValueError: a sample is not finite and positive, or percent is outside 1..99.
    """
    ordered, share = _ordered(samples), _share(percent)
    n, needed = len(ordered), minimum_n(percent, sides=1)
    if n < needed:
        reason = f"p{percent} needs {needed} samples for a 95 % bound, got {n}"
        return Percentile(percent, n, None, None, None, reason)
    value = float(ordered[math.ceil(share * n) - 1])
    upper = float(ordered[_upper_index(n, share, 1.0 - CONFIDENCE)])
    return Percentile(percent, n, value, upper, _two_sided(ordered, share, CONFIDENCE))


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> MedianRatio:
    """Median of `numerator` over median of `denominator`, with a 95 % interval.

    The interval divides the ends of two order-statistic intervals, each at sqrt(0.95), so that
    both hold together with 95 %: distribution-free, and wider than need be.

    Raises:
        ValueError: fewer than 7 samples on a side.
    """
    sides = [_ordered(samples) for samples in (numerator, denominator)]
    level = math.sqrt(CONFIDENCE)
    intervals = [_two_sided(ordered, 0.5, level) for ordered in sides]
    top, bottom = intervals
    if top is None or bottom is None:
        needed = minimum_n(50, sides=2, confidence=level)
        raise ValueError(
            f"a ratio of medians needs {needed} samples on each side, got "
            f"{len(numerator)} and {len(denominator)}"
        )
    value = float(np.median(sides[0]) / np.median(sides[1]))
    interval = Interval(top.low / bottom.high, top.high / bottom.low, CONFIDENCE)
    return MedianRatio(value, interval, len(numerator), len(denominator))


def latency_p50(samples: Sequence[float]) -> ClipValue:
    """Median of warm clips' seconds, or why it is not given."""
    return _as_value(percentile(samples, 50))


def latency_p90(samples: Sequence[float]) -> ClipValue:
    """90th percentile of warm clips' seconds, or why it is not given."""
    return _as_value(percentile(samples, 90))


def latency_p95(samples: Sequence[float]) -> ClipValue:
    """95th percentile of warm clips' seconds, or why it is not given."""
    return _as_value(percentile(samples, 95))


def latency_p99(samples: Sequence[float]) -> ClipValue:
    """99th percentile of warm clips' seconds, or why it is not given."""
    return _as_value(percentile(samples, 99))


def _as_value(result: Percentile) -> ClipValue:
    if result.value is None:
        return ClipValue(None, Status.NOT_MEASURED, result.reason)
    return ClipValue.ok(result.value)


def _share(percent: int) -> float:
    if not 1 <= percent <= 99:
        raise ValueError(f"`percent` is a whole number from 1 to 99, got {percent!r}")
    return percent / 100.0


def _ordered(samples: Sequence[float]) -> FloatArray:
    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    if ordered.ndim != 1 or not np.isfinite(ordered).all() or (ordered <= 0.0).any():
        raise ValueError("timings must be a list of finite, positive numbers; drop failed clips")
    return ordered


def _two_sided(ordered: FloatArray, share: float, level: float) -> Interval | None:
    tail, n = (1.0 - level) / 2.0, len(ordered)
    low, high = _lower_index(n, share, tail), _upper_index(n, share, tail)
    if low < 0 or high >= n:
        return None
    return Interval(float(ordered[low]), float(ordered[high]), level)


def _upper_index(n: int, share: float, error: float) -> int:
    """Smallest i with P(i-th of n, from 0, lies below the percentile) <= error; n if none."""
    below = 1.0 - bdtr(np.arange(n), n, share)
    return int(np.argmax(below <= error)) if (below <= error).any() else n


def _lower_index(n: int, share: float, error: float) -> int:
    """Largest i with P(i-th of n, from 0, lies above the percentile) <= error; -1 if none."""
    return int(np.count_nonzero(bdtr(np.arange(n), n, share) <= error)) - 1
