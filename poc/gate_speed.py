"""Speed and memory cells of the gate: ratios of seconds, and of peaks, each with two limits.

Seconds are compared as trimmed means of logarithms. Of runs that took turns, round by round, each
round gives one ratio, in which what slows the machine for a while cancels. The rounds of runs that
were timed apart share their hour each: what differs from one hour to the next is not in the
interval. That is what the wider of the two relative limits is for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from poc import intervals
from poc.fingerprint import UNKNOWN
from poc.gate_pairs import Pair, Side
from poc.gate_records import GateCell, GateGroup, GateLimits, GateStatus, MemoryLimit, SpeedLimit
from poc.gate_verdicts import Trial, decided
from poc.latency_estimates import ROUNDS_FOR_INTERVAL, Timings, timings
from poc.outcomes import settled
from poc.records import Comparison

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
    def held(self) -> GateStatus:
        """Return what a cell is that may not pass because of `hold`."""
        return GateStatus.INCOMPLETE if self.missing else GateStatus.INCONCLUSIVE

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
        return Excuse(GateStatus.INCOMPLETE, "no timed round in the head")
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


class Slowdown(NamedTuple):
    """By how much the head is slower, as a logarithm, and how that was found."""

    log: intervals.Location
    in_turns: bool

    @property
    def ratio(self) -> float:
        """Return head over base."""
        return math.exp(self.log.value)

    @property
    def method(self) -> str:
        """Name the estimate."""
        how = "ratios of rounds in turns" if self.in_turns else "rounds of runs timed apart (Yuen)"
        return f"{intervals.TRIMMED:.0%} trimmed mean of logarithms, {how}"


def slowdown(head: Timings, base: Timings, metric: str) -> Slowdown:
    """Return by how much a stage takes longer; both have two rounds or more of seconds above 0.

    In turns: a one-sample trimmed t. Apart: Yuen's (1974) two-sample trimmed t.
    """
    rounds = in_turns(head, base)
    if rounds:
        ratios = np.log(head.column(metric, rounds) / base.column(metric, rounds))
        return Slowdown(intervals.trimmed_mean(ratios), in_turns=True)
    own, other = (
        intervals.trimmed_mean(np.log(one.column(metric, sorted(one.by_round))))
        for one in (head, base)
    )
    return Slowdown(own.minus(other), in_turns=False)


def in_turns(head: Timings, base: Timings) -> tuple[int, ...]:
    """Return the rounds that were timed in turns, all that both have, or none of them.

    In turns means: ordered by the clock, each round of the one lies beside the same round of the
    other, and none begins before the one in front of it has ended. Whichever begins may change
    from round to round.
    """
    rounds = sorted(head.by_round.keys() & base.by_round.keys())
    spans = [(one.span(n), n) for one in (head, base) for n in rounds]
    known = sorted((span, n) for span, n in spans if span is not None)
    if len(rounds) < ROUNDS_FOR_INTERVAL or len(known) < len(spans):
        return ()
    apart = all(before[1] <= after[0] for (before, _), (after, _) in itertools.pairwise(known))
    paired = [n for _, n in known] == [n for n in rounds for _ in range(2)]
    return tuple(rounds) if apart and paired else ()


def _speed(pair: Pair, limit: SpeedLimit, found: Timed | Excuse) -> Trial:
    cell = pair.cell(GateGroup.SPEED, limit.metric)
    if isinstance(found, Excuse):
        return _decided(cell, found)
    head, base = (one.column(limit.metric, sorted(one.by_round)) for one in found[:2])
    if min(head.min(), base.min()) <= 0:
        text = "a round took 0 seconds: the clock is too coarse for a ratio"
        return _decided(cell, Excuse(GateStatus.INCONCLUSIVE, text))
    medians = {"head": settled(float(np.median(head))), "base": settled(float(np.median(base)))}
    cell = cell.model_copy(update=medians)
    if found.rounds < ROUNDS_FOR_INTERVAL:
        ratio = settled(float(np.median(head) / np.median(base)))
        numbers = {"comparison": Comparison.RATIO, "change": ratio}
        return Trial(cell.model_copy(update=numbers), hold=found.hold, held=found.held)
    return _weighed(cell, limit, found, float(np.median(base)))


def _weighed(cell: GateCell, limit: SpeedLimit, found: Timed, base_s: float) -> Trial:
    slower = slowdown(found.head, found.base, limit.metric)
    low, high = map(math.exp, slower.log.interval())
    relative = limit.relative_in_turns if slower.in_turns else limit.relative
    more_s, most_s = ((ratio - 1) * base_s for ratio in (slower.ratio, high))
    numbers = {
        "comparison": Comparison.RATIO,
        "change": settled(slower.ratio),
        "low": settled(low),
        "high": settled(high),
        "highest": 1 + relative,
        "improved": high < 1,
        "n_clips": found.head.n_clips,
        "n_prompts": found.head.n_prompts,
        "n_missing": found.missing,
        "notes": (
            f"{more_s:+.3g} s; a regression exceeds {limit.absolute_s:g} s as well",
            slower.method,
        ),
    }
    return Trial(
        cell.model_copy(update=numbers),
        p=slower.log.p_above(),
        beyond=slower.ratio > 1 + relative and more_s > limit.absolute_s,
        within=high <= 1 + relative or most_s <= limit.absolute_s,
        hold=found.hold,
        held=found.held,
    )


# --- memory --------------------------------------------------------------------------------------


def _memory(pair: Pair, limit: MemoryLimit, found: Timed | Excuse) -> Trial:
    """Compare peaks: a maximum has no interval, so the limits alone decide."""
    cell = pair.cell(GateGroup.MEMORY, PEAK_MEMORY)
    if isinstance(found, Excuse):
        return _decided(cell, found)
    head, base = (one.peak_memory_bytes for one in found[:2])
    if base <= 0 or head <= 0:
        return _decided(cell, Excuse(GateStatus.INCOMPLETE, "a peak of 0 bytes was not measured"))
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
        return _decided(cell, Excuse(found.held, found.hold))
    return _decided(cell, Excuse(GateStatus.PASS, ""))
