"""Estimates of the contrasts that a spec asks for: two arms with each other, paired by prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from metrics.catalog import CATALOG, Direction
from poc.outcomes import sample_outcomes
from poc.records import Comparison, Contrast, ContrastEstimates, Estimate, Plan
from poc.samples import Ledger, Sample, difference_sample


def contrast_estimates(
    plan: Plan, book: Ledger, set_differences: Sequence[Sequence[Estimate]], *, seed: int
) -> tuple[ContrastEstimates, ...]:
    """Return every contrast's differences, first arm minus second, in the order asked for.

    `set_differences` are the ready differences of set metrics, one list a contrast in the plan's
    order; empty when there are none.

    Raises:
        ValueError: as many lists as contrasts were expected, another number came.
    """
    asked = plan.spec.contrasts
    ready = list(set_differences) or [()] * len(asked)
    if len(ready) != len(asked):
        raise ValueError(f"contrasts: {len(asked)} asked for, set differences of {len(ready)}")
    pairs = zip(asked, ready, strict=True)
    return tuple(_estimates(plan, book, contrast, found, seed) for contrast, found in pairs)


def _estimates(
    plan: Plan, book: Ledger, contrast: Contrast, ready: Sequence[Estimate], seed: int
) -> ContrastEstimates:
    ids = {arm.name: arm.id for arm in plan.arms}
    arm_id, against_id = ids[contrast.arm], ids[contrast.against]
    samples = list(_samples(book, contrast, arm_id, against_id))
    made = [one.estimate for one in sample_outcomes(samples, book.rates, seed=seed)]
    found = {one.metric: one for one in [*made, *ready]}
    return ContrastEstimates(
        arm_id=arm_id,
        against_id=against_id,
        question=contrast.question,
        question_ja=contrast.question_ja,
        estimates=tuple(found[metric] for metric in contrast.metrics if metric in found),
    )


def _samples(book: Ledger, contrast: Contrast, arm_id: str, against_id: str) -> Iterator[Sample]:
    for metric in contrast.metrics:
        if (arm_id, metric) in book.grids:
            own, other = book.grids[arm_id, metric], book.grids[against_id, metric]
            yield difference_sample(arm_id, metric, own, other, contrast.against)


class Standing(StrEnum):
    """How the first arm of a contrast stands to the second."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "open"
    """The interval holds 0, is missing, or the metric has no better side."""


def standing(difference: Estimate) -> Standing:
    """Return which arm is better by a difference whose whole interval lies on one side of 0.

    Raises:
        ValueError: the estimate is no difference.
    """
    if difference.comparison is not Comparison.DIFFERENCE:
        raise ValueError(f"expected a difference, got a {difference.comparison}")
    row = CATALOG.get(difference.metric.partition("[")[0])
    if row is None or row.direction not in (Direction.HIGHER, Direction.LOWER):
        return Standing.OPEN
    sign = 1.0 if row.direction is Direction.HIGHER else -1.0
    ends = [sign * end for end in (difference.low, difference.high) if end is not None]
    if len(ends) < 2 or min(ends) <= 0 <= max(ends):
        return Standing.OPEN
    return Standing.BETTER if min(ends) > 0 else Standing.WORSE
