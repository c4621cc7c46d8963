"""Speed and memory cells of the gate: ratio of medians, and peaks, each with two limits.

The rounds of one run share its hour: what differs from one start of a machine to the next is not
in the interval. That is what the relative limit is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from poc import intervals
from poc.estimate import resampling_seed
from poc.fingerprint import UNKNOWN
from poc.gate_pairs import Pair, Side
from poc.gate_records import GateCell, GateGroup, GateLimits, GateStatus, MemoryLimit, SpeedLimit
from poc.gate_verdicts import Accepted, Trial, decided, p_slower
from poc.intervals import LEVEL, FloatArray
from poc.latency_estimates import ROUNDS_FOR_INTERVAL, Timings, timings
from poc.outcomes import Size, outcome, settled
from poc.records import Comparison, Estimate

PEAK_MEMORY = "peak_memory_bytes"


class Excuse(NamedTuple):
    """Why two timings are not compared, with the status that this has."""

    status: GateStatus
    reason: str


class Timed(NamedTuple):
    """One arm's timings in both runs."""

    head: Timings
    base: Timings
    missing: int
    """Rounds that the head's plan has and the head has not."""

    @property
    def rounds(self) -> int:
        """Return the rounds of the run that has fewer."""
        return min(len(self.head.by_round), len(self.base.by_round))

    @property
    def hold(self) -> str:
        """Say why the rounds do not suffice to pass; empty when they do."""
        if self.missing:
            return f"{self.missing} planned rounds of the head are missing"
        if self.rounds < ROUNDS_FOR_INTERVAL:
            return f"{self.rounds} rounds: fewer than {ROUNDS_FOR_INTERVAL} show nothing"
        return ""


def speed_trials(pair: Pair, limits: GateLimits) -> Iterator[Trial]:
    """Yield a trial for every judged stage, then one for memory; none when nothing is timed."""
    found = _timed(pair)
    if found is None:
        return
    if not limits.speed:
        yield _without_limit(pair, GateGroup.SPEED, "latency")
    for limit in limits.speed:
        yield _speed(pair, limit, found)
    if limits.memory is None:
        yield _without_limit(pair, GateGroup.MEMORY, PEAK_MEMORY)
    else:
        yield _memory(pair, limits.memory, found)


def _without_limit(pair: Pair, group: GateGroup, subject: str) -> Trial:
    text = f"no limit is known for {subject}: add one with its reason to the limits file"
    return decided(pair.cell(group, subject, GateStatus.CALIBRATION_NEEDED, text))


def _decided(cell: GateCell, excuse: Excuse) -> Trial:
    return decided(cell.model_copy(update=excuse._asdict()))


# --- whether they compare ------------------------------------------------------------------------


def _timed(pair: Pair) -> Timed | Excuse | None:
    """Return both timings, why they do not compare, or None when neither run times anything."""
    head, base = (_timings(side, pair.arm.id) for side in (pair.head, pair.base))
    latency = [side.run.plan.spec.latency for side in (pair.head, pair.base)]
    if head is None and base is None and latency == [None, None]:
        return None
    if head is None:
        return Excuse(GateStatus.INCONCLUSIVE, "no timed round in the head")
    if base is None and latency[1] is None:
        return Excuse(GateStatus.CALIBRATION_NEEDED, "the baseline was not timed")
    if base is None:
        return Excuse(GateStatus.NOT_COMPARABLE, "no timed round in the baseline")
    differs = "; ".join(_machine_differences(pair, head, base))
    if differs:
        return Excuse(GateStatus.NOT_COMPARABLE, differs)
    planned = latency[0].repeats if latency[0] else 0
    return Timed(head, base, max(0, planned - len(head.by_round)))


def _timings(side: Side, arm_id: str) -> Timings | None:
    found = timings(side.run.plan, side.run.latencies).get(arm_id)
    return found if found is not None and found.by_round else None


def _machine_differences(pair: Pair, head: Timings, base: Timings) -> Iterator[str]:
    """Yield what keeps seconds and bytes from being compared: device, driver, precision."""
    devices = {*head.devices, *base.devices}
    yield from _difference("device", set(base.devices), set(head.devices))
    versions = [{str(one) for one in side.versions} for side in (base, head)]
    yield from _difference("way of timing", *versions)
    drivers = [_drivers(side, devices) for side in (pair.base, pair.head)]
    yield from _difference("GPU driver", *drivers)
    before = next(arm for arm in pair.base.run.plan.arms if arm.id == pair.arm.id)
    yield from _difference("dtype", {before.dtype}, {pair.arm.dtype})


def _difference(what: str, base: set[str], head: set[str]) -> Iterator[str]:
    if base != head or len(head) > 1:
        yield f"{what}: {' and '.join(sorted(base))} -> {' and '.join(sorted(head))}"
    elif UNKNOWN in head:
        yield f"{what}: {UNKNOWN} in both runs, so it cannot be told whether it is the same"


def _drivers(side: Side, devices: set[str]) -> set[str]:
    """Return the GPU drivers that the timings may depend on: none where the device is no GPU."""
    prints = side.run.fingerprints
    names = {gpu.rpartition(",")[0] for one in prints for gpu in one.gpus or ()}
    unknown = any(one.gpus is None for one in prints)
    if not names & devices and not unknown:
        return {"none in use"}
    return {one.gpu_driver for one in prints}


# --- speed ---------------------------------------------------------------------------------------


def _speed(pair: Pair, limit: SpeedLimit, found: Timed | Excuse) -> Trial:
    cell = pair.cell(GateGroup.SPEED, limit.metric)
    if isinstance(found, Excuse):
        return _decided(cell, found)
    head, base = (one.column(limit.metric, sorted(one.by_round)) for one in found[:2])
    if min(head.min(), base.min()) <= 0:
        text = "a round took 0 seconds: the clock is too coarse for a ratio"
        return _decided(cell, Excuse(GateStatus.INCONCLUSIVE, text))
    medians = {"head": settled(float(np.median(head))), "base": settled(float(np.median(base)))}
    return _weighed(pair, cell.model_copy(update=medians), limit, found, head=head, base=base)


def _weighed(
    pair: Pair,
    cell: GateCell,
    limit: SpeedLimit,
    found: Timed,
    *,
    head: FloatArray,
    base: FloatArray,
) -> Trial:
    seed, enough = resampling_seed(pair.head.run.plan), found.rounds >= ROUNDS_FOR_INTERVAL
    # The runs were timed apart: any quantile of the one may go with any of the other.
    shuffled = np.random.default_rng(seed).permutation
    own, other = shuffled(intervals.median_draws(head)), intervals.median_draws(base)
    size = Size(found.head.n_clips, found.head.n_prompts, found.missing)
    one = outcome(
        pair.arm.id,
        limit.metric,
        Comparison.RATIO,
        value=float(np.median(head) / np.median(base)),
        draws=own / other if enough else None,
        method="order statistics of each run's rounds, combined",
        n=size,
        reason="" if enough else found.hold,
    ).estimate
    more_s = float(np.median(head) - np.median(base))
    most_s = float(np.quantile(own - other, intervals.tail(LEVEL)))
    accepted = Accepted(None, 1 + limit.relative)
    beyond = one.value is not None and one.value > 1 + limit.relative and more_s > limit.absolute_s
    short = most_s <= limit.absolute_s
    within = one.high is not None and (one.high <= 1 + limit.relative or short)
    p = p_slower(head, base) if enough else None
    numbers = _numbers(one, accepted, limit, more_s)
    return Trial(
        cell.model_copy(update=numbers), p=p, beyond=beyond, within=within, hold=found.hold
    )


def _numbers(one: Estimate, accepted: Accepted, limit: SpeedLimit, more_s: float) -> dict[str, Any]:
    seconds = f"{more_s:+.3g} s; a regression exceeds {limit.absolute_s:g} s as well"
    return {
        "comparison": one.comparison,
        "change": one.value,
        "low": one.low,
        "high": one.high,
        "highest": accepted.highest,
        "improved": one.high is not None and one.high < 1,
        "n_clips": one.n_clips,
        "n_prompts": one.n_prompts,
        "n_missing": one.n_missing,
        "notes": (seconds,),
    }


# --- memory --------------------------------------------------------------------------------------


def _memory(pair: Pair, limit: MemoryLimit, found: Timed | Excuse) -> Trial:
    """Compare peaks: a maximum has no interval, so the limits alone decide."""
    cell = pair.cell(GateGroup.MEMORY, PEAK_MEMORY)
    if isinstance(found, Excuse):
        return _decided(cell, found)
    head, base = (one.peak_memory_bytes for one in found[:2])
    if base <= 0 or head <= 0:
        return _decided(cell, Excuse(GateStatus.INCONCLUSIVE, "a peak of 0 bytes was not measured"))
    numbers = {
        "head": float(head),
        "base": float(base),
        "comparison": Comparison.RATIO,
        "change": settled(head / base),
        "highest": 1 + limit.relative,
        "n_clips": found.head.n_clips,
        "n_prompts": found.head.n_prompts,
        "n_missing": found.missing,
    }
    cell = cell.model_copy(update=numbers)
    grown = f"{(head - base) / 2**20:+.0f} MiB"
    if head > base * (1 + limit.relative) and head - base > limit.absolute_bytes:
        text = (
            f"{grown}, beyond both limits ({limit.relative:.0%} and {limit.absolute_bytes} bytes)"
        )
        return _decided(cell, Excuse(GateStatus.REGRESSION, text))
    if found.hold:
        return _decided(cell, Excuse(GateStatus.INCONCLUSIVE, found.hold))
    return _decided(cell, Excuse(GateStatus.PASS, ""))
