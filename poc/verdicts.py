"""One criterion on one arm: how often resamples reach its lines, and what that makes of it.

The order of the questions makes a missing, thin or unusable estimate INCONCLUSIVE before any
number is compared, so that nothing passes for want of evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from metrics.catalog import BESIDE, LOOK, MOTION, SMOOTHNESS
from poc import intervals
from poc.front import find
from poc.intervals import FloatArray
from poc.outcomes import Draws, key_of
from poc.records import (
    ArmSummary,
    Comparison,
    Criterion,
    CriterionResult,
    Estimate,
    SliceEstimates,
    Verdict,
    Weight,
)
from poc.samples import ACCURACY_PREFIX
from poc.slices import within

PASS_SHARE = 0.95
"""Resamples that must reach the minimum for a PASS."""

TARGET_SHARE = 0.5
"""Resamples that must exceed this share at the target for a PASS."""

FAIL_SHARE = 0.20
"""A minimum reached in fewer resamples than this is a FAIL."""

BASELINE_FLOOR = 0.5
"""Share of clips that a baseline must get right, lower end of its interval, before "no worse than
the baseline" means anything: being as good as something that fails is no recommendation."""

NO_QUALITY_METRICS = (
    MOTION | SMOOTHNESS | LOOK | BESIDE | {"valid_share", "validity", "peak_memory_bytes", "fvd"}
)
"""What does not say that a clip shows what was asked for. FVD never decides alone (its bias
depends on n and its features mix everything)."""

RANK_DEFICIENT = "rank-deficient"
"""Mark of a set metric with fewer clips than feature dimensions: shown, never decided on."""


class Slack(NamedTuple):
    """How far values lie on the right side of a criterion's two lines; negative is short of it."""

    minimum: FloatArray
    target: FloatArray


def slack(criterion: Criterion, values: FloatArray) -> Slack:
    """Return the distance of values to both lines, positive where a line is reached.

    In the criterion's unit; for a window on a ratio in logarithms, where a ratio that is not
    positive lies infinitely far out.
    """
    if criterion.direction == "higher":
        return Slack(values - criterion.minimum, values - criterion.target)
    if criterion.direction == "window":
        values = _distance(criterion, values)
    return Slack(criterion.minimum - values, criterion.target - values)


def _distance(criterion: Criterion, values: FloatArray) -> FloatArray:
    centre = criterion.centre
    if centre is None:
        raise ValueError(f"criterion {criterion.name!r}: a window needs a centre")
    if criterion.comparison is not Comparison.RATIO:
        return np.asarray(np.abs(values - centre))
    if centre <= 0:
        raise ValueError(f"criterion {criterion.name!r}: a ratio's centre must be > 0")
    logs = np.full(values.shape, -np.inf)
    np.log(values / centre, out=logs, where=values > 0)
    return np.asarray(np.abs(logs))


def applies(criterion: Criterion, summary: ArmSummary) -> bool:
    """Return whether a criterion is asked of an arm, by its style."""
    styled = summary.arm.style is not None
    return criterion.applies_to == "all" or (criterion.applies_to == "styled") == styled


def judge_all(
    criteria: Iterable[Criterion],
    summary: ArmSummary,
    draws: Draws,
    baseline: ArmSummary,
    slices: Sequence[SliceEstimates] = (),
) -> tuple[CriterionResult, ...]:
    """Return the result of every criterion that applies to an arm, guards included."""
    asked = [criterion for criterion in criteria if applies(criterion, summary)]
    results = [
        _measured_by(baseline, c, judge(c, summary, draws))
        if c.each is None
        else _worst_slice(c, c.each, (summary, baseline), draws, slices)
        for c in asked
    ]
    moves = [r.verdict for c, r in zip(asked, results, strict=True) if c.metric in MOTION]
    return tuple(_guarded(c, r, moves) for c, r in zip(asked, results, strict=True))


_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


def _worst_slice(
    criterion: Criterion,
    factor: str,
    arms: tuple[ArmSummary, ArmSummary],
    draws: Draws,
    slices: Sequence[SliceEstimates],
) -> CriterionResult:
    """Return a criterion's result in the slice where it stands worst, of `arms`: own and baseline.

    It passes only where every slice does, so that needs no correction. To fail, a slice must reach
    its minimum in that much fewer resamples as there are slices to fail in (Bonferroni).
    """
    own, baseline = arms
    found = zip(
        within(slices, factor, own, draws), within(slices, factor, baseline, draws), strict=True
    )
    parts = list(found)
    if not parts:
        return _result(
            criterion, own, None, Verdict.INCONCLUSIVE, f"not measured: no slices by {factor}"
        )
    results = [
        _measured_by(base, criterion, judge(criterion, arm, kept, among=len(parts))).model_copy(
            update={"slice": part.value}
        )
        for (part, arm, kept), (_, base, _) in parts
    ]
    return min(results, key=lambda one: _standing(criterion, one))


def _standing(criterion: Criterion, result: CriterionResult) -> tuple[int, float, float]:
    """Return what results of one criterion are ordered by, the worst first."""
    room = -np.inf
    if result.value is not None:
        room = float(slack(criterion, np.array([result.value])).minimum[0])
    return _WORST_FIRST.index(result.verdict), result.minimum_attainment or 0.0, room


def judge(
    criterion: Criterion, summary: ArmSummary, draws: Draws, *, among: int = 1
) -> CriterionResult:
    """Return one criterion's result on one arm, without the guards that look at other criteria.

    `among`: slices that are asked alike, any of which may fail it.
    """
    one = find(summary, criterion.metric, criterion.comparison)
    reason = _unusable(criterion, one)
    if one is None or reason:
        return _result(criterion, summary, one, Verdict.INCONCLUSIVE, reason)
    found, approximate = estimate_draws(one, draws)
    if found is None or not np.isfinite(found).all():
        return _result(criterion, summary, one, Verdict.INCONCLUSIVE, "no usable resamples")
    beyond = slack(criterion, found)
    minimum, target = (float((part >= 0).mean()) for part in beyond)
    return CriterionResult(
        criterion=criterion.name,
        arm_id=summary.arm.id,
        verdict=verdict(minimum, target, among=among),
        value=one.value,
        low=one.low,
        high=one.high,
        target_attainment=target,
        minimum_attainment=minimum,
        reason=_attainment(minimum, target, approximate=approximate),
    )


def verdict(minimum_attainment: float, target_attainment: float, *, among: int = 1) -> Verdict:
    """Return the verdict for the shares of resamples that reach minimum and target.

    `among`: questions asked alike, one of which is enough to fail.

    >>> verdict(0.99, 0.60), verdict(0.99, 0.50), verdict(0.19, 0.0)
    (<Verdict.PASS: 'PASS'>, <Verdict.INCONCLUSIVE: 'INCONCLUSIVE'>, <Verdict.FAIL: 'FAIL'>)
    """
    if not (0 <= target_attainment <= 1 and 0 <= minimum_attainment <= 1):
        return Verdict.INCONCLUSIVE
    if minimum_attainment < FAIL_SHARE / among:
        return Verdict.FAIL
    if minimum_attainment >= PASS_SHARE and target_attainment > TARGET_SHARE:
        return Verdict.PASS
    return Verdict.INCONCLUSIVE


def estimate_draws(one: Estimate, draws: Draws) -> tuple[FloatArray | None, bool]:
    """Return an estimate's draws, and whether they are approximated from its interval alone."""
    found = draws.get(key_of(one))
    if found is not None or one.value is None or one.low is None or one.high is None:
        return found, False
    return intervals.interval_draws(one.value, one.low, one.high, level=one.level), True


def _unusable(criterion: Criterion, one: Estimate | None) -> str:
    if one is None:
        return f"not measured: no {criterion.comparison.value} of {criterion.metric}"
    if one.value is None or one.low is None or one.high is None:
        return one.reason or "no interval"
    if any(RANK_DEFICIENT in note for note in one.notes):
        return f"{criterion.metric} is {RANK_DEFICIENT}: fewer clips than feature dimensions"
    return ""


def _result(
    criterion: Criterion, summary: ArmSummary, one: Estimate | None, outcome: Verdict, reason: str
) -> CriterionResult:
    return CriterionResult(
        criterion=criterion.name,
        arm_id=summary.arm.id,
        verdict=outcome,
        value=one.value if one else None,
        low=one.low if one else None,
        high=one.high if one else None,
        target_attainment=None,
        minimum_attainment=None,
        reason=reason,
    )


def _attainment(minimum: float, target: float, *, approximate: bool) -> str:
    text = f"minimum reached in {minimum:.1%} of resamples, target in {target:.1%}"
    return text + (" (normal approximation of the interval)" if approximate else "")


def _guarded(
    criterion: Criterion, result: CriterionResult, moves: Sequence[Verdict]
) -> CriterionResult:
    """Take a smoothness PASS back unless the arm is shown to move as it should."""
    if criterion.metric not in SMOOTHNESS or result.verdict is not Verdict.PASS:
        return result
    if moves and all(one is Verdict.PASS for one in moves):
        return result
    reason = "smoothness counts only where a criterion on motion passes: a frozen clip is smooth"
    return result.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "reason": reason})


def _measured_by(
    baseline: ArmSummary, criterion: Criterion, result: CriterionResult
) -> CriterionResult:
    """Take a PASS against the baseline back where the baseline itself does not do what is asked."""
    is_rate = criterion.metric.startswith(ACCURACY_PREFIX)
    compared = criterion.comparison is not Comparison.VALUE
    if not (is_rate and compared and result.verdict is Verdict.PASS):
        return result
    own = find(baseline, criterion.metric, Comparison.VALUE)
    if own is not None and own.low is not None and own.low >= BASELINE_FLOOR:
        return result
    seen = "is not known" if own is None or own.value is None else f"is {own.value:.0%}"
    reason = (
        f"the baseline's own share {seen}, not shown to be above {BASELINE_FLOOR:.0%}: "
        "to be no worse than it proves nothing"
    )
    return result.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "reason": reason})


def is_quality_must(criterion: Criterion) -> bool:
    """Return whether a criterion is a must on what the clips show."""
    speed = criterion.metric.startswith("latency_")
    quality = not speed and criterion.metric not in NO_QUALITY_METRICS
    return criterion.weight is Weight.MUST and quality
