"""What the GPU's driver told while clips were timed: energy per clip, clocks, throttling, others.

What a page and a document show beside the times; no estimate and no verdict stands on it. Only
warm rounds count. Every figure is over the clips of which the driver told it, with their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from poc.intervals import median_interval
from poc.latency_estimates import ROUNDS_FOR_INTERVAL, Timings, timings
from poc.latency_profile import why_mixed
from poc.records import NOT_THROTTLED, LatencySample, Plan, Telemetry


class Energy(NamedTuple):
    """Median joules of a clip with its 95 % interval from order statistics."""

    median_j: float | None
    low_j: float | None
    high_j: float | None
    n: int
    reason: str
    """Why there is no median, or no interval of it."""


class Span(NamedTuple):
    """The smallest and the largest value that was seen."""

    low: float
    high: float
    n: int


class Share(NamedTuple):
    """How many of the clips of which it is known."""

    clips: int
    n: int

    @property
    def share(self) -> float | None:
        """In 0..1; None of no clips."""
        return self.clips / self.n if self.n else None


class DeviceSeen(NamedTuple):
    """The device over some timed clips; None where the driver told it of none of them."""

    n: int
    """Warm timed clips."""
    n_read: int
    """Of these, the ones of which the driver told something."""
    throttled: Share
    reasons: tuple[tuple[str, int], ...]
    """What throttled, and at how many clips; a clip can have several."""
    shared: Share
    """Clips beside which another process was on the device."""
    most_other_bytes: int | None
    """Of the device's memory, used by others at once."""
    sm_clock_mhz: Span | None
    memory_clock_mhz: Span | None
    power_w: Span | None
    temperature_c: Span | None
    used_bytes: Span | None
    untold: tuple[tuple[str, str], ...]
    """Field of `Telemetry` and why the driver did not tell it, for each that was ever missing."""


class ArmTelemetry(NamedTuple):
    """One arm's energy per clip, and its device."""

    arm_id: str
    energy: Energy
    device: DeviceSeen


class RunTelemetry(NamedTuple):
    """The device over the whole run, and by arm in the plan's order; arms not timed are absent."""

    device: DeviceSeen
    arms: tuple[ArmTelemetry, ...]


def run_telemetry(plan: Plan, latencies: Iterable[LatencySample]) -> RunTelemetry:
    """Return what was told of every arm's timed clips and of all of them together.

    Raises:
        ValueError: a sample of an arm that the plan does not have.
    """
    found = timings(plan, latencies)
    arms = [
        ArmTelemetry(arm.id, _energy(found[arm.id]), device_seen(_clips(found[arm.id])))
        for arm in plan.arms
        if arm.id in found and found[arm.id].by_round
    ]
    every = [clip for timing in found.values() for clip in _clips(timing)]
    return RunTelemetry(device_seen(every), tuple(arms))


def device_seen(clips: Iterable[LatencySample]) -> DeviceSeen:
    """Count and span what the driver told of these clips."""
    every = list(clips)
    told = [one.telemetry for one in every if one.telemetry is not None]
    others = [one.other_processes for one in told if one.other_processes is not None]
    throttled = [one.throttled for one in told if one.throttled is not None]
    reasons = Counter(
        reason for one in told for reason in one.clock_reasons or () if reason not in NOT_THROTTLED
    )
    return DeviceSeen(
        n=len(every),
        n_read=sum(len(one.untold) < len(Telemetry.model_fields) - 1 for one in told),
        throttled=Share(sum(throttled), len(throttled)),
        reasons=tuple(sorted(reasons.items())),
        shared=Share(sum(count > 0 for count in others), len(others)),
        most_other_bytes=max(
            (one.other_bytes for one in told if one.other_bytes is not None), default=None
        ),
        sm_clock_mhz=_span(one.sm_clock_mhz for one in told),
        memory_clock_mhz=_span(one.memory_clock_mhz for one in told),
        power_w=_span(one.power_w for one in told),
        temperature_c=_span(one.temperature_c for one in told),
        used_bytes=_span(one.used_bytes for one in told),
        untold=tuple(sorted({item for one in told for item in one.untold.items()})),
    )


def _clips(timing: Timings) -> Iterator[LatencySample]:
    for samples in timing.by_round.values():
        yield from samples


def _energy(timing: Timings) -> Energy:
    told = [one.telemetry for one in _clips(timing) if one.telemetry is not None]
    joules = np.array([one.energy_j for one in told if one.energy_j is not None])
    n = len(joules)
    if mixed := why_mixed(timing):
        return Energy(None, None, None, n, mixed)
    if n == 0:
        return Energy(None, None, None, 0, "not measured")
    interval = median_interval(joules)
    if interval is None:
        reason = f"{n} clips; an interval of the median needs {ROUNDS_FOR_INTERVAL}"
        return Energy(float(np.median(joules)), None, None, n, reason)
    return Energy(float(np.median(joules)), interval.low, interval.high, n, "")


def _span(values: Iterable[float | None]) -> Span | None:
    known = [value for value in values if value is not None]
    return Span(min(known), max(known), len(known)) if known else None
