"""Estimates of the latency pass besides single clips: the A/A control, and throughput.

The control times the baseline twice in a round, as if it were two arms. Its ratio is 1 but for
what the machine does in between: no arm's ratio means more than that one errs.

Offline, one call makes several clips. Throughput is the clips of a call by its seconds; its median
and intervals are taken over rounds, as those of seconds are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import numpy as np

from poc.intervals import FloatArray, median_draws, median_interval
from poc.latency_calls import asked, clips_a_call, failed_calls
from poc.latency_estimates import (
    LATENCY,
    Timings,
    device_reason,
    ratio_of_rounds,
    timings,
    too_few,
)
from poc.outcomes import Outcome, Size, outcome
from poc.records import Comparison, LatencyFailure, LatencySample, LatencyScenario, Plan

CONTROL: Final = "latency_control_p50_s"
"""Of the baseline: its second call of a round, in seconds by those of its first."""

THROUGHPUT: Final = "throughput_clips_per_s"
"""Clips of one batched call by its seconds, prompt to encoded video."""

OFFLINE_MEMORY: Final = "offline_peak_memory_bytes"


def scenario_outcomes(
    plan: Plan,
    latencies: Iterable[LatencySample],
    failures: Iterable[LatencyFailure] = (),
) -> list[Outcome]:
    """Return the estimates of the scenarios that a plan asks for; none where it asks for none.

    Raises:
        ValueError: a sample of an arm that the plan does not have.
    """
    failures = tuple(failures)
    failed = failed_calls(failures)
    whole = [one for one in latencies if (one.arm_id, one.scenario) not in failed]
    told = {one.arm_id: one.told for one in failures if one.scenario is LatencyScenario.SINGLE}
    scenarios = {scenario for _, scenario in asked(plan)}
    found: list[Outcome] = []
    if LatencyScenario.CONTROL in scenarios:
        found.append(_control(plan, whole, told | _of(failures, LatencyScenario.CONTROL)))
    if LatencyScenario.OFFLINE in scenarios:
        found += _offline(plan, whole, _of(failures, LatencyScenario.OFFLINE) | told)
    return found


def _of(failures: Iterable[LatencyFailure], scenario: LatencyScenario) -> dict[str, str]:
    return {one.arm_id: one.told for one in failures if one.scenario is scenario}


def _control(plan: Plan, latencies: list[LatencySample], told: Mapping[str, str]) -> Outcome:
    """Return the ratio of the baseline's seconds to its own."""
    arm_id = plan.baseline_id
    again = timings(plan, latencies, LatencyScenario.CONTROL).get(arm_id)
    first = timings(plan, latencies).get(arm_id)
    rounds = sorted(again.by_round.keys() & first.by_round.keys()) if again and first else []
    size = Size(len(rounds), 0, max(0, asked(plan)[arm_id, LatencyScenario.CONTROL] - len(rounds)))
    if again is None or first is None or not rounds:
        reason = told.get(arm_id, "no round was timed twice")
        return outcome(arm_id, CONTROL, Comparison.RATIO, n=size, reason=reason)
    if reason := device_reason(again, first):
        return outcome(arm_id, CONTROL, Comparison.RATIO, n=size, reason=reason)
    size = size._replace(prompts=_prompts(plan, again, rounds))
    columns = np.stack([one.column(LATENCY, rounds) for one in (again, first)], axis=1)
    return ratio_of_rounds(arm_id, CONTROL, columns, n=size)


def _offline(plan: Plan, latencies: list[LatencySample], told: Mapping[str, str]) -> list[Outcome]:
    """Return throughput, its ratio to the baseline's, and memory, of every arm made here."""
    found = timings(plan, latencies, LatencyScenario.OFFLINE)
    base = found.get(plan.baseline_id)
    outcomes = []
    for arm in plan.generated:
        own, reason = found.get(arm.id), told.get(arm.id, "no batch was timed")
        size = _size(plan, arm.id, own, own.by_round if own else ())
        outcomes.append(_throughput(arm.id, own, size, reason))
        outcomes.append(_memory(arm.id, own, size, reason))
        if arm.id != plan.baseline_id:
            outcomes.append(_gain(plan, arm.id, own, base))
    return outcomes


def _size(plan: Plan, arm_id: str, timing: Timings | None, rounds: Collection[int]) -> Size:
    """Return the clips of these rounds, and the clips of those that are missing."""
    gone = max(0, asked(plan)[arm_id, LatencyScenario.OFFLINE] - len(rounds))
    missing = gone * clips_a_call(plan, LatencyScenario.OFFLINE)
    if timing is None:
        return Size(0, 0, missing)
    clips = sum(sample.clips for r in rounds for sample in timing.by_round[r])
    return Size(clips, _prompts(plan, timing, rounds), missing)


def _prompts(plan: Plan, timing: Timings, rounds: Iterable[int]) -> int:
    """Return how many prompts clips were made of: those of a call follow each other in the plan."""
    place = {prompt.id: number for number, prompt in enumerate(plan.prompts)}
    timed = [sample for r in rounds for sample in timing.by_round[r]]
    starts = {(place[sample.prompt_id], sample.clips) for sample in timed}
    return len({(start + k) % len(place) for start, clips in starts for k in range(clips)})


def _throughput(arm_id: str, timing: Timings | None, size: Size, reason: str) -> Outcome:
    how = Comparison.VALUE
    reason = reason if timing is None else _unusable(timing)
    if timing is None or reason:
        return outcome(arm_id, THROUGHPUT, how, n=size, reason=reason)
    column = _clips_per_s(timing, timing.by_round)
    interval = median_interval(column)
    return outcome(
        arm_id,
        THROUGHPUT,
        how,
        value=float(np.median(column)),
        interval=interval,
        draws=median_draws(column) if interval else None,
        n=size,
        reason="" if interval else too_few(len(column)),
    )


def _gain(plan: Plan, arm_id: str, own: Timings | None, base: Timings | None) -> Outcome:
    """Return how many times the baseline's throughput an arm has."""
    how, size = Comparison.RATIO, _size(plan, arm_id, None, ())
    if own is None or base is None:
        whose = "no batch was timed" if own is None else "no batch of the baseline was timed"
        return outcome(arm_id, THROUGHPUT, how, n=size, reason=whose)
    rounds = sorted(own.by_round.keys() & base.by_round.keys())
    reason = device_reason(own, base) or _unusable(own) or _unusable(base)
    reason = reason or ("" if rounds else "no round has both arms")
    if reason:
        return outcome(arm_id, THROUGHPUT, how, n=size, reason=reason)
    size = _size(plan, arm_id, own, rounds)
    columns = np.stack([_clips_per_s(own, rounds), _clips_per_s(base, rounds)], axis=1)
    return ratio_of_rounds(arm_id, THROUGHPUT, columns, n=size)


def _memory(arm_id: str, timing: Timings | None, size: Size, reason: str) -> Outcome:
    how = Comparison.VALUE
    if timing is None:
        return outcome(arm_id, OFFLINE_MEMORY, how, n=size, reason=reason)
    return outcome(
        arm_id,
        OFFLINE_MEMORY,
        how,
        value=float(timing.peak_memory_bytes),
        n=size,
        reason="a maximum has no interval",
        method="maximum over timed batches",
    )


def _unusable(timing: Timings) -> str:
    """Return why seconds of a batch give no throughput; empty where they do."""
    seconds = [sample.total_s for samples in timing.by_round.values() for sample in samples]
    coarse = "a batch took 0 seconds: the clock is too coarse for a throughput"
    return device_reason(timing, timing) or (coarse if min(seconds) <= 0 else "")


def _clips_per_s(timing: Timings, rounds: Iterable[int]) -> FloatArray:
    """Return the throughput of each round; the median where one was timed again."""
    return np.array([np.median([s.clips / s.total_s for s in timing.by_round[r]]) for r in rounds])
