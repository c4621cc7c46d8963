"""How the timed clips of each arm spread: each of them in order, and the percentiles they give.

What a page draws beside the medians of `poc.latency_estimates`; no estimate and no verdict stands
on it. Only warm rounds count, of one device and one way of timing; the cold first call does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from metrics.latency import PERCENTS, percentile
from poc.latency_estimates import Timings, timings
from poc.records import LatencySample, Plan


class Timed(NamedTuple):
    """One timed clip in its place among all of its arm."""

    seconds: float
    share: float
    """Of the arm's timed clips that took no longer: 1/n for the fastest, 1 for the slowest."""


class Tail(NamedTuple):
    """A percentile beyond the median, or why so few samples do not give it."""

    percent: int
    seconds: float | None
    upper: float | None
    """The true percentile lies below with 95 % confidence, one-sided."""
    reason: str


class LatencyProfile(NamedTuple):
    """The spread of one arm's timed clips."""

    arm_id: str
    samples: tuple[Timed, ...]
    """From the fastest to the slowest; none where they cannot be put in one order."""
    tails: tuple[Tail, ...]
    reason: str
    """Why there are no samples; empty otherwise."""


def latency_profiles(plan: Plan, latencies: Iterable[LatencySample]) -> tuple[LatencyProfile, ...]:
    """Return the spread of every arm's timed clips, in the plan's order.

    Raises:
        ValueError: a sample of an arm that the plan does not have.
    """
    found = timings(plan, latencies)
    profiles = []
    for arm in plan.arms:
        timing = found.get(arm.id)
        if timing is None or not timing.by_round:
            profiles.append(LatencyProfile(arm.id, (), (), "no timed round"))
        elif mixed := why_mixed(timing):
            profiles.append(LatencyProfile(arm.id, (), (), mixed))
        else:
            seconds = [s.total_s for samples in timing.by_round.values() for s in samples]
            profiles.append(_profile(arm.id, sorted(seconds)))
    return tuple(profiles)


def why_mixed(timing: Timings) -> str:
    """Return why timed clips cannot stand together; empty where they can."""
    if len(timing.devices) > 1:
        return f"not comparable: timed on {' and on '.join(timing.devices)}"
    versions = " and ".join(map(str, timing.versions))
    return f"not comparable: timed in the ways {versions}" if len(timing.versions) > 1 else ""


def _profile(arm_id: str, seconds: list[float]) -> LatencyProfile:
    n = len(seconds)
    samples = tuple(Timed(value, (place + 1) / n) for place, value in enumerate(seconds))
    return LatencyProfile(arm_id, samples, tuple(_tail(seconds, p) for p in PERCENTS[1:]), "")


def _tail(seconds: list[float], percent: int) -> Tail:
    found = percentile(seconds, percent)
    return Tail(percent, found.value, found.upper, found.reason)
