"""The speed-quality front, how often each arm lies on it, and the smallest step that holds up.

Arms of different styles do different work, so each style has a front of its own; arms without a
style are compared with each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from poc.intervals import RESAMPLES, FloatArray
from poc.latency_estimates import LATENCY, Timings, joint_latency_draws
from poc.outcomes import ratio_draws
from poc.records import (
    Arm,
    ArmSummary,
    Comparison,
    Criterion,
    Estimate,
    Estimates,
    SchedulerName,
)
from poc.samples import Ledger, value_sample

QUALITY_METRICS = ("oracle_all", "clip_score")
"""Quality axis of the front, the first that was measured: the truth where there is one."""

SpeedAxis = Literal["latency_p50_s", "nfe"]


class Place(NamedTuple):
    """Where an arm stands: on the front or not, and in which share of resamples."""

    on_front: bool | None
    frequency: float | None


NOWHERE = Place(None, None)


def quality_metric(book: Ledger) -> str:
    """Return the front's quality metric: `oracle_all` where measured, else `clip_score`."""
    measured = {m for (_, m), grid in book.grids.items() if not np.isnan(grid.values).all()}
    return next((metric for metric in QUALITY_METRICS if metric in measured), QUALITY_METRICS[-1])


def speed_axis(summaries: Sequence[ArmSummary]) -> SpeedAxis:
    """Return the front's speed axis: seconds if every arm was timed on one device, else NFE.

    Arms that could not be timed have no place on it, and take the seconds of the others from none.
    """
    summaries = [one for one in summaries if not one.arm.is_imported and one.not_timed is None]
    seconds = [find(s, LATENCY, Comparison.VALUE) for s in summaries]
    ratios = [find(s, LATENCY, Comparison.RATIO) for s in summaries]
    timed = all(one is not None and one.value is not None for one in seconds)
    comparable = all(one is None or one.value is not None for one in ratios)
    return "latency_p50_s" if timed and comparable and summaries else "nfe"


def find(summary: ArmSummary, metric: str, comparison: Comparison) -> Estimate | None:
    """Return one estimate of an arm, None when there is none."""
    wanted = (metric, comparison)
    return next((e for e in summary.estimates if (e.metric, e.comparison) == wanted), None)


def dominated(cost: FloatArray, quality: FloatArray) -> npt.NDArray[np.bool_]:
    """Return, over the last axis, which arms another one beats: no worse in both, better in one.

    >>> dominated(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.9, 0.9])).tolist()
    [False, False, True]
    """
    cheaper = cost[..., :, None] <= cost[..., None, :]
    better = quality[..., :, None] >= quality[..., None, :]
    strictly = (cost[..., :, None] < cost[..., None, :]) | (
        quality[..., :, None] > quality[..., None, :]
    )
    beaten: npt.NDArray[np.bool_] = np.any(cheaper & better & strictly, axis=-2)
    return beaten


def places(
    book: Ledger,
    arms: Sequence[Arm],
    found: Mapping[str, Timings],
    *,
    axis: SpeedAxis,
    seed: int,
) -> dict[str, Place]:
    """Return each arm's place on the front of its style; clips made elsewhere have none."""
    result = {arm.id: NOWHERE for arm in arms}
    arms = [arm for arm in arms if not arm.is_imported]
    styles = sorted({arm.style for arm in arms}, key=lambda style: (style is not None, style or ""))
    for style in styles:
        group = [arm for arm in arms if arm.style == style]
        result.update(_group(book, group, found, axis=axis, seed=seed))
    return result


def _group(
    book: Ledger,
    arms: Sequence[Arm],
    found: Mapping[str, Timings],
    *,
    axis: SpeedAxis,
    seed: int,
) -> dict[str, Place]:
    metric = quality_metric(book)
    grids = {arm.id: book.grids.get((arm.id, metric)) for arm in arms}
    samples = [value_sample(a, metric, grid) for a, grid in grids.items() if grid is not None]
    samples = [s for s in samples if not s.reason]
    judged = [arm for arm in arms if arm.id in {s.arm_id for s in samples}]
    if not judged:
        return {}
    cost = _costs(judged, found, axis)
    quality = np.array([s.numerator.sum() / s.denominator.sum() for s in samples])
    on_front = ~dominated(cost, quality)
    if min(s.n_prompts for s in samples) < 2:
        return {arm.id: Place(bool(on), None) for arm, on in zip(judged, on_front, strict=True)}
    qualities = np.stack(ratio_draws(samples, seed=seed), axis=1)
    frequency = _frequency(_cost_draws(judged, found, axis, seed), qualities)
    return {
        arm.id: Place(bool(on), share)
        for arm, on, share in zip(judged, on_front, frequency, strict=True)
    }


def _frequency(costs: FloatArray, qualities: FloatArray) -> list[float | None]:
    whole = np.isfinite(qualities).all(axis=1)
    if not whole.any():
        return [None] * qualities.shape[1]
    shares = (~dominated(costs[whole], qualities[whole])).mean(axis=0)
    return [float(share) for share in shares]


def _costs(arms: Sequence[Arm], found: Mapping[str, Timings], axis: SpeedAxis) -> FloatArray:
    if axis == "nfe":
        return np.array([float(arm.sampling.nfe) for arm in arms])
    timed = [found[arm.id] for arm in arms]
    return np.array([np.median(timing.column(LATENCY, timing.by_round)) for timing in timed])


def _cost_draws(
    arms: Sequence[Arm], found: Mapping[str, Timings], axis: SpeedAxis, seed: int
) -> FloatArray:
    fixed = np.tile(_costs(arms, found, axis), (RESAMPLES, 1))
    if axis == "nfe":
        return fixed
    drawn = joint_latency_draws(found, [arm.id for arm in arms], seed=seed, count=RESAMPLES)
    return fixed if drawn is None else drawn


class TargetCorner(NamedTuple):
    """Most seconds and least quality at which both targets are reached."""

    seconds: float
    quality: float


def target_corner(estimates: Estimates, criteria: Sequence[Criterion]) -> TargetCorner | None:
    """Return the corner of the field of the targets, reckoned from the baseline's own values.

    For drawing: verdicts stand on paired intervals, not on this. None unless there is a criterion
    on seconds (lower) and one on the quality metric (higher) for arms without a style.
    """
    base = next(s for s in estimates.arms if s.arm.id == estimates.baseline_id)
    seconds = _target(base, criteria, LATENCY, "lower")
    quality = _target(base, criteria, estimates.quality_metric, "higher")
    return None if seconds is None or quality is None else TargetCorner(seconds, quality)


def _target(
    base: ArmSummary, criteria: Sequence[Criterion], metric: str, direction: str
) -> float | None:
    wanted = (c for c in criteria if (c.metric, c.direction) == (metric, direction))
    line = next((c for c in wanted if c.applies_to != "styled"), None)
    if line is None or line.comparison is Comparison.VALUE:
        return None if line is None else line.target
    own = find(base, metric, Comparison.VALUE)
    if own is None or own.value is None:
        return None
    is_ratio = line.comparison is Comparison.RATIO
    return own.value * line.target if is_ratio else own.value + line.target


def consistency_arms(estimates: Estimates) -> tuple[Arm, ...]:
    """Return the AnimateLCM-like arms: LCM sampler and a motion adapter other than the baseline's.

    The naive LCM-LoRA arm keeps the teacher's adapter and so is none of them.
    """
    baseline = next(s.arm for s in estimates.arms if s.arm.id == estimates.baseline_id)
    return tuple(
        s.arm
        for s in estimates.arms
        if s.arm.scheduler is SchedulerName.LCM and s.arm.motion_adapter != baseline.motion_adapter
    )


def smallest_not_inferior_step(
    estimates: Estimates,
    *,
    metric: str,
    margin: float,
    style: str | None,
    arm_ids: Collection[str] | None = None,
) -> Arm | None:
    """Return the AnimateLCM-like arm of a style with the fewest NFE that is not inferior.

    Not inferior: the whole interval of the paired difference to the baseline lies above `-margin`
    (a metric where higher is better), which is a one-sided test at 2.5 %. `arm_ids` replaces the
    choice of `consistency_arms`. None when no arm holds.

    Raises:
        ValueError: a margin that is negative or not finite.
    """
    if not 0 <= margin < float("inf"):
        raise ValueError(f"margin must be a finite number >= 0, got {margin}")
    wanted = {a.id for a in consistency_arms(estimates)} if arm_ids is None else set(arm_ids)
    holding = [
        summary.arm
        for summary in estimates.arms
        if summary.arm.id in wanted
        and not summary.arm.is_imported
        and summary.arm.style == style
        and _not_inferior(find(summary, metric, Comparison.DIFFERENCE), margin)
    ]
    return min(holding, key=lambda arm: (arm.sampling.nfe, arm.sampling.steps), default=None)


def _not_inferior(difference: Estimate | None, margin: float) -> bool:
    return difference is not None and difference.low is not None and difference.low >= -margin
