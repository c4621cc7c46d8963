"""Estimates of the latency pass: medians, their ratios to the baseline, peak memory.

Rounds are the sample: in each round every arm is timed once, one after the other, so a slow moment
of the machine hits all arms and cancels in the round's own ratio. The median of these ratios is the
estimate, and two of them are the ends of its interval: of independent rounds that are alike it
holds their median in 95 % of runs or more, whatever the distribution is. The estimate need not
equal one arm's median by the other's, which may be of other rounds. That rounds which follow each
other are alike, or drift apart, is not modelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from poc.intervals import FloatArray, median_draws, median_interval, resampled_medians
from poc.outcomes import NOTHING, Outcome, Size, outcome
from poc.records import Comparison, LatencyFailure, LatencySample, LatencyScenario, Plan

LATENCY = "latency_p50_s"
"""Median seconds from prompt to encoded video, warm."""

DENOISE = "latency_denoise_p50_s"

STAGES: Mapping[str, str] = {
    LATENCY: "total_s",
    DENOISE: "denoise_s",
    "latency_text_p50_s": "text_s",
    "latency_decode_p50_s": "decode_s",
    "latency_encode_p50_s": "encode_s",
}
"""Metric -> field of a sample. The first two also get a ratio to the baseline."""

ROUNDS_FOR_INTERVAL = 6
"""Fewest rounds with a two-sided 95 % distribution-free interval of the median."""


_NONE: Mapping[str, LatencyFailure] = MappingProxyType({})


class Timings(NamedTuple):
    """The timed rounds of one arm, in order."""

    by_round: Mapping[int, tuple[LatencySample, ...]]
    peak_memory_bytes: int
    devices: tuple[str, ...]
    versions: tuple[int, ...]
    """Of the way of timing."""
    cold: LatencySample | None
    n_prompts: int

    @property
    def n_clips(self) -> int:
        """Return the number of timed clips."""
        return sum(sample.clips for samples in self.by_round.values() for sample in samples)

    def column(self, metric: str, rounds: Iterable[int]) -> FloatArray:
        """Return a stage's seconds in the given rounds; the median where a round has several."""
        field = STAGES[metric]
        return np.array([median(getattr(s, field) for s in self.by_round[r]) for r in rounds])

    def span(self, number: int) -> tuple[float, float] | None:
        """Return when a round began and ended, in Unix seconds; None: that was not recorded."""
        spans = [
            (sample.started_unix_s, sample.started_unix_s + sample.total_s)
            for sample in self.by_round[number]
            if sample.started_unix_s is not None
        ]
        if len(spans) < len(self.by_round[number]):
            return None
        return min(begun for begun, _ in spans), max(ended for _, ended in spans)


def timings(
    plan: Plan,
    latencies: Iterable[LatencySample],
    scenario: LatencyScenario = LatencyScenario.SINGLE,
) -> dict[str, Timings]:
    """Return each arm's rounds of a scenario; arms without a timed call of it are left out.

    Raises:
        ValueError: a sample of an arm that the plan does not have.
    """
    arm_ids = {arm.id for arm in plan.arms}
    by_arm: dict[str, list[LatencySample]] = {}
    for sample in latencies:
        if sample.arm_id not in arm_ids:
            raise ValueError(f"latencies: arm {sample.arm_id!r} is not in the plan")
        if sample.scenario is scenario:
            by_arm.setdefault(sample.arm_id, []).append(sample)
    return {arm_id: _timings(found) for arm_id, found in by_arm.items()}


def _timings(found: list[LatencySample]) -> Timings:
    places = {(s.round, s.prompt_id) for s in found}
    tied = len(places) < len(found)
    ordered = sorted(found, key=lambda s: (s.round, s.prompt_id, s.to_json() if tied else ""))
    rounds: dict[int, list[LatencySample]] = {}
    for sample in ordered:
        rounds.setdefault(sample.round, []).append(sample)
    cold = rounds.pop(-1, None)
    return Timings(
        by_round={r: tuple(samples) for r, samples in rounds.items()},
        peak_memory_bytes=max(s.peak_memory_bytes for s in ordered),
        devices=tuple(sorted({s.device for s in ordered})),
        versions=tuple(sorted({s.timing_version for s in found})),
        cold=max(cold, key=lambda s: s.total_s) if cold else None,
        n_prompts=len({s.prompt_id for s in ordered if s.round >= 0}),
    )


def _rounds(found: Mapping[str, Timings], arm_id: str) -> int:
    return len(found[arm_id].by_round) if arm_id in found else 0


def latency_outcomes(
    plan: Plan,
    found: Mapping[str, Timings],
    failures: Mapping[str, LatencyFailure] = _NONE,
) -> list[Outcome]:
    """Return the latency estimates of every arm; none at all when the spec times nothing.

    `failures` are of the arms that could not be timed, by arm id: each of their estimates is
    missing, with the reason.
    """
    if plan.spec.latency is None and not found:
        return []
    outcomes = []
    for arm in plan.arms:
        if arm.is_imported:
            outcomes += _without(plan, arm.id, "made elsewhere: its time is stated, not measured")
            continue
        if arm.id in failures:
            outcomes += _without(plan, arm.id, failures[arm.id].told, _missing(plan, 0))
            continue
        outcomes += [_median(plan, found, arm.id, metric) for metric in STAGES]
        outcomes += [_cold(found.get(arm.id), arm.id), _peak_memory(found.get(arm.id), arm.id)]
        if arm.id != plan.baseline_id:
            outcomes += [_ratio(plan, found, arm.id, m) for m in (LATENCY, DENOISE)]
    return outcomes


def _without(plan: Plan, arm_id: str, reason: str, missing: int = 0) -> list[Outcome]:
    """Return that an arm has no time, and why."""
    asked = [*((metric, Comparison.VALUE) for metric in (*STAGES, "latency_cold_s"))]
    asked += [("peak_memory_bytes", Comparison.VALUE)]
    if arm_id != plan.baseline_id:
        asked += [(metric, Comparison.RATIO) for metric in (LATENCY, DENOISE)]
    n = Size(0, 0, missing)
    return [outcome(arm_id, metric, how, n=n, reason=reason) for metric, how in asked]


def _missing(plan: Plan, rounds: int) -> int:
    return max(0, plan.spec.latency.repeats - rounds) if plan.spec.latency else 0


def _median(plan: Plan, found: Mapping[str, Timings], arm_id: str, metric: str) -> Outcome:
    """Return the median of a stage with its order-statistic interval."""
    n = _rounds(found, arm_id)
    if n == 0:
        nothing = Size(0, 0, _missing(plan, 0))
        return outcome(arm_id, metric, Comparison.VALUE, n=nothing, reason="no timed round")
    timing = found[arm_id]
    seconds = timing.column(metric, timing.by_round)
    interval, reason = None, device_reason(timing, timing)
    if not reason:
        interval = median_interval(seconds)
        reason = "" if interval else too_few(n)
    return outcome(
        arm_id,
        metric,
        Comparison.VALUE,
        value=None if len(timing.devices) > 1 else float(np.median(seconds)),
        interval=interval,
        draws=median_draws(seconds) if interval else None,
        n=Size(timing.n_clips, timing.n_prompts, _missing(plan, n)),
        reason=reason,
    )


def _ratio(plan: Plan, found: Mapping[str, Timings], arm_id: str, metric: str) -> Outcome:
    """Return the ratio of seconds over the rounds that both arms have."""
    own, base = found.get(arm_id), found.get(plan.baseline_id)
    if own is None or base is None:
        whose = "no timed round" if own is None else "the baseline has no timed round"
        nothing = Size(0, 0, _missing(plan, 0))
        return outcome(arm_id, metric, Comparison.RATIO, n=nothing, reason=whose)
    rounds = sorted(own.by_round.keys() & base.by_round.keys())
    timed = [sample for r in rounds for sample in own.by_round[r]]
    n = Size(len(timed), len({s.prompt_id for s in timed}), _missing(plan, len(rounds)))
    reason = device_reason(own, base) or ("" if rounds else "no round has both arms")
    if reason:
        return outcome(arm_id, metric, Comparison.RATIO, reason=reason, n=n)
    columns = np.stack([own.column(metric, rounds), base.column(metric, rounds)], axis=1)
    return ratio_of_rounds(arm_id, metric, columns, n=n)


def ratio_of_rounds(arm_id: str, metric: str, columns: FloatArray, *, n: Size) -> Outcome:
    """Return the median over rounds of the first of two columns by the second, a row a round."""
    if columns[:, 1].min() <= 0:
        reason = "the baseline took 0 seconds in a round: its clock is too coarse for a ratio"
        return outcome(arm_id, metric, Comparison.RATIO, reason=reason, n=n)
    ratios = columns[:, 0] / columns[:, 1]
    interval = median_interval(ratios)
    if interval:
        interval = interval._replace(method=f"rounds' ratios, {interval.method}")
    return outcome(
        arm_id,
        metric,
        Comparison.RATIO,
        value=float(np.median(ratios)),
        interval=interval,
        draws=median_draws(ratios) if interval else None,
        reason="" if interval else too_few(len(ratios)),
        n=n,
    )


def _cold(timing: Timings | None, arm_id: str) -> Outcome:
    """Return the seconds of the first call (of a resumed pass, the slowest); no interval of one."""
    cold = timing.cold if timing else None
    return outcome(
        arm_id,
        "latency_cold_s",
        Comparison.VALUE,
        value=cold.total_s if cold else None,
        n=Size(1, 1, 0) if cold else NOTHING,
        reason="a single first call has no interval" if cold else "no first call was timed",
    )


def _peak_memory(timing: Timings | None, arm_id: str) -> Outcome:
    metric = "peak_memory_bytes"
    if timing is None:
        return outcome(arm_id, metric, Comparison.VALUE, reason="no timed round")
    return outcome(
        arm_id,
        metric,
        Comparison.VALUE,
        value=float(timing.peak_memory_bytes),
        n=Size(timing.n_clips, timing.n_prompts, 0),
        reason="a maximum has no interval",
        method="maximum over timed clips",
    )


def too_few(rounds: int) -> str:
    """Return why so few rounds give no interval."""
    return f"{rounds} rounds; an interval of the median needs {ROUNDS_FOR_INTERVAL}"


def device_reason(own: Timings, base: Timings) -> str:
    """Return why the seconds of two arms cannot stand together; empty where they can."""
    devices = sorted({*own.devices, *base.devices})
    return f"not comparable: timed on {' and on '.join(devices)}" if len(devices) > 1 else ""


def joint_latency_draws(
    found: Mapping[str, Timings], arm_ids: list[str], *, seed: int, count: int
) -> FloatArray | None:
    """Return `count` x arms medians of total seconds over common rounds, resampled together.

    None when an arm has no timed round, or none that all have.
    """
    if any(_rounds(found, arm_id) == 0 for arm_id in arm_ids):
        return None
    rounds = sorted(set.intersection(*(set(found[a].by_round) for a in arm_ids)))
    if not rounds:
        return None
    columns = np.stack([found[a].column(LATENCY, rounds) for a in arm_ids], axis=1)
    return resampled_medians(columns, seed=seed, count=count)
