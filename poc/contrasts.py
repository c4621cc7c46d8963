"""Estimates of the contrasts that a spec asks for: two arms with each other, paired by prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metrics.catalog import CATALOG, Direction
from poc.intervals import BOOTSTRAP_FROM
from poc.outcomes import outcome, sample_outcomes
from poc.records import (
    Comparison,
    Contrast,
    ContrastEstimates,
    ContrastResult,
    Estimate,
    Plan,
    Standing,
)
from poc.samples import Ledger, Pairs, Sample, by_prompt, difference_sample

LOST_AT_MOST = 0.05
"""Share of pairs that may be lost: what is left of more is a choice of the clips that went well."""


def contrast_estimates(
    plan: Plan, book: Ledger, set_differences: Sequence[Sequence[Estimate]], *, seed: int
) -> tuple[ContrastEstimates, ...]:
    """Return every contrast's differences, first arm minus second, in the order asked for.

    `set_differences` are the ready differences of set metrics, one list a contrast in the plan's
    order; empty when there are none. A metric that was not measured has a reason in its place.

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
    elsewhere = {arm.id for arm in plan.arms if arm.is_imported}
    paired = elsewhere.isdisjoint({arm_id, against_id})
    samples = list(_samples(book, contrast, arm_id, against_id, paired=paired))
    made = [one.estimate for one in sample_outcomes(samples, book.rates, seed=seed)]
    found = {one.metric: one for one in [*made, *ready]}
    estimates = [found.get(metric) or _unmeasured(arm_id, metric) for metric in contrast.metrics]
    return ContrastEstimates(
        arm_id=arm_id,
        against_id=against_id,
        question=contrast.question,
        question_ja=contrast.question_ja,
        results=tuple(ContrastResult(estimate=e, standing=standing(e)) for e in estimates),
    )


def _samples(
    book: Ledger, contrast: Contrast, arm_id: str, against_id: str, *, paired: bool
) -> Iterator[Sample]:
    """Yield each metric's difference; `paired` is false where one arm was made elsewhere."""
    for metric in contrast.metrics:
        if (arm_id, metric) in book.grids:
            own, other = book.grids[arm_id, metric], book.grids[against_id, metric]
            pair = Pairs(own, other) if paired else by_prompt(own, other)
            found = difference_sample(arm_id, metric, pair.own, pair.base, contrast.against)
            yield pair.counted(found)


def _unmeasured(arm_id: str, metric: str) -> Estimate:
    return outcome(arm_id, metric, Comparison.DIFFERENCE, reason="not measured").estimate


def standing(difference: Estimate) -> Standing:
    """Return what may be said of a difference: nothing, where it stands on too little.

    That is fewer than 15 prompts, more than one pair in 20 lost, an interval without width or one
    that holds 0.

    Raises:
        ValueError: the estimate is no difference.
    """
    if difference.comparison is not Comparison.DIFFERENCE:
        raise ValueError(f"expected a difference, got a {difference.comparison}")
    side = _side(difference)
    if side == 0:
        return Standing.OPEN
    row = CATALOG.get(difference.metric.partition("[")[0])
    if row is None or row.direction not in (Direction.HIGHER, Direction.LOWER):
        return Standing.DIFFERENT
    return Standing.BETTER if (side > 0) is (row.direction is Direction.HIGHER) else Standing.WORSE


def _side(one: Estimate) -> int:
    """Return 1 or -1 for the side of 0 on which the interval lies, 0 when nothing is shown."""
    if not rests_on_enough(one) or one.low is None or one.high is None:
        return 0
    if one.low <= 0 <= one.high:
        return 0
    return 1 if one.low > 0 else -1


def rests_on_enough(one: Estimate, *, prompts: int = BOOTSTRAP_FROM) -> bool:
    """Return whether an estimate may carry a statement: an interval, prompts, few losses.

    That is an interval with a width, at least `prompts` prompts, and at most one in 20 of what was
    planned lost.
    """
    planned = one.n_clips + one.n_missing
    if one.n_prompts < prompts or one.n_missing > LOST_AT_MOST * planned:
        return False
    return one.low is not None and one.high is not None and one.low != one.high
