"""What a decision is made on: every arm's technical light, and which arm is chosen by it. Pure.

GO needs every must-criterion to pass (intersection-union, so no correction for their number), NO_GO
one that fails; whatever is unknown, thin or unfinished is never GO.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from poc.front import find, speed_axis
from poc.latency_estimates import LATENCY
from poc.lights import ORDER, worst
from poc.outcomes import Draws
from poc.records import (
    Arm,
    ArmDecision,
    ArmSummary,
    Comparison,
    CriteriaFile,
    Criterion,
    CriterionResult,
    Estimates,
    Light,
    Plan,
    SliceEstimates,
    Verdict,
    Weight,
)
from poc.verdicts import applies, is_quality_must, judge_all

SPEED = "latency_"
"""How the metrics of speed begin."""


class Case(NamedTuple):
    """All that the parts of a decision look at."""

    estimates: Estimates
    criteria: tuple[Criterion, ...]
    draws: Draws
    arms: tuple[ArmDecision, ...]
    candidates: tuple[ArmDecision, ...]
    chosen: ArmDecision | None
    barred: ArmDecision | None
    """What would be chosen if rights did not stand in the way; None where that is `chosen`."""
    criteria_digest: str
    edited: bool
    may: Mapping[str, Light]
    """What rights say of arms, by id, as far as the choice goes."""
    withdrawn: Collection[str]

    @property
    def technical(self) -> Light:
        """Return the chosen arm's light, the candidates' best where none is chosen.

        Edited criteria want an approval first.
        """
        lights = [self.chosen.technical] if self.chosen else [a.technical for a in self.candidates]
        light = min(lights, key=ORDER.index, default=Light.INSUFFICIENT_EVIDENCE)
        return worst([light, Light.CONDITIONAL]) if self.edited else light

    def summary(self, arm_id: str) -> ArmSummary:
        """Return what is known of an arm."""
        return next(s for s in self.estimates.arms if s.arm.id == arm_id)

    def musts(self, arm_id: str) -> list[Criterion]:
        """Return the must-criteria that apply to an arm."""
        return musts(self.criteria, self.summary(arm_id))


def case_of(
    plan: Plan,
    estimates: Estimates,
    criteria: CriteriaFile,
    draws: Draws,
    *,
    withdrawn: Collection[str],
    may: Mapping[str, Light],
) -> Case:
    """Judge every arm and choose one; `may`: what rights say of arms, by id."""
    asked = criteria.criteria
    summaries = {s.arm.id: s for s in estimates.arms}
    baseline = summaries[plan.baseline_id]
    arms = tuple(
        judge_arm(
            summary,
            baseline,
            asked,
            draws,
            finished=estimates.complete,
            slices=estimates.slices,
        )
        for arm_id, summary in summaries.items()
        if arm_id != plan.baseline_id
    )
    arms = tuple(_capped(arm) if arm.arm_id in withdrawn else arm for arm in arms)
    candidates = tuple(
        arm
        for arm in arms
        if arm.arm_id not in withdrawn and summaries[arm.arm_id].arm.may_lead(baseline.arm)
    )
    criteria_digest = criteria.content_digest()
    chosen = _choose(candidates, estimates, asked, may)
    by_merit = _choose(candidates, estimates, asked, {})
    return Case(
        estimates=estimates,
        criteria=asked,
        draws=draws,
        arms=arms,
        candidates=candidates,
        chosen=chosen,
        barred=by_merit if by_merit is not chosen else None,
        criteria_digest=criteria_digest,
        edited=criteria_digest != plan.criteria_digest,
        may=may,
        withdrawn=withdrawn,
    )


def _capped(arm: ArmDecision) -> ArmDecision:
    """Return an arm that is there no more: what was measured of it recommends nothing."""
    light = worst([arm.technical, Light.INSUFFICIENT_EVIDENCE])
    return arm.model_copy(update={"technical": light})


def judge_arm(
    summary: ArmSummary,
    baseline: ArmSummary,
    criteria: Sequence[Criterion],
    draws: Draws,
    *,
    finished: bool,
    slices: Sequence[SliceEstimates] = (),
) -> ArmDecision:
    """Return an arm's technical light; `finished`: the run has all that its plan asks for."""
    results = judge_all(criteria, summary, draws, baseline, slices)
    asked = musts(criteria, summary)
    verdicts = [verdict_of(criterion, results) for criterion in asked]
    finished = finished and not (summary.counts.pending or baseline.counts.pending)
    finished = finished and summary.not_timed is None
    if Verdict.FAIL in verdicts:
        light = Light.NO_GO
    elif summary.arm.weights:
        light = Light.INSUFFICIENT_EVIDENCE  # whatever was asked: quality was not measured
    elif finished and carries_go(asked) and all(v is Verdict.PASS for v in verdicts):
        light = Light.GO
    else:
        light = Light.INSUFFICIENT_EVIDENCE
    return ArmDecision(arm_id=summary.arm.id, technical=light, results=results)


def musts(criteria: Iterable[Criterion], summary: ArmSummary) -> list[Criterion]:
    """Return the must-criteria that apply to an arm."""
    return [c for c in criteria if c.weight is Weight.MUST and applies(c, summary)]


def carries_go(asked: Sequence[Criterion]) -> bool:
    """Return whether criteria ask for quality: speed or smoothness alone decide nothing."""
    return any(is_quality_must(criterion) for criterion in asked)


def verdict_of(criterion: Criterion, results: Sequence[CriterionResult]) -> Verdict:
    """Return the verdict of a criterion among an arm's results."""
    return next(r.verdict for r in results if r.criterion == criterion.name)


def undecided_musts(case: Case, arm: ArmDecision) -> list[Criterion]:
    """Return the must-criteria of an arm that are neither passed nor failed."""
    asked = case.musts(arm.arm_id)
    return [c for c in asked if verdict_of(c, arm.results) is Verdict.INCONCLUSIVE]


def _choose(
    candidates: Sequence[ArmDecision],
    estimates: Estimates,
    criteria: tuple[Criterion, ...],
    may: Mapping[str, Light],
) -> ArmDecision | None:
    """Return the cheapest arm of the best light, None when all are NO_GO or could not be timed.

    The light is the worse of what was measured and of what rights say (`may`, by arm id): the best
    arm that may be used goes before a better one that may not. Among arms without GO, the one with
    the fewest undecided musts comes first, then the one that fails the fewest criteria and most
    often reaches its minima: cheap and clearly worse is no lead.
    """
    summaries = {s.arm.id: s for s in estimates.arms}
    on_seconds = speed_axis(estimates.arms) == LATENCY

    def rank(arm: ArmDecision) -> tuple[int, int, int, float, float, int]:
        summary = summaries[arm.arm_id]
        asked = musts(criteria, summary)
        opens = sum(verdict_of(c, arm.results) is not Verdict.PASS for c in asked)
        nfe = summary.arm.sampling.nfe
        cost = _seconds(summary) if on_seconds else float(nfe)
        short = 0.0 if arm.technical is Light.GO else _shortfall(arm.results)
        overall = worst([arm.technical, may.get(arm.arm_id, Light.GO)])
        return ORDER.index(overall), ORDER.index(arm.technical), opens, short, cost, nfe

    timed = [arm for arm in candidates if summaries[arm.arm_id].not_timed is None]
    standing = [arm for arm in timed if arm.technical is not Light.NO_GO]
    return min(standing, key=rank, default=None)


def _seconds(summary: ArmSummary) -> float:
    """Return an arm's seconds per clip; of one without, more than any other's."""
    found = find(summary, LATENCY, Comparison.VALUE)
    return math.inf if found is None or found.value is None else found.value


def _shortfall(results: Sequence[CriterionResult]) -> float:
    """Add up how often each criterion misses its minimum; a criterion without resamples counts 1.

    In tenths, so that arms that differ by chance alone are told apart by their cost.
    """
    missed = [1.0 - (r.minimum_attainment or 0.0) for r in results]
    return round(sum(missed), 1)


def untimed_arms(case: Case) -> list[Arm]:
    """Return the candidates that would stand if they had been timed."""
    standing = [arm for arm in case.candidates if arm.technical is not Light.NO_GO]
    summaries = [case.summary(arm.arm_id) for arm in standing]
    return [one.arm for one in summaries if one.not_timed is not None]


def names_of(criteria: Iterable[Criterion]) -> list[str]:
    """Return the names of criteria, in their order."""
    return [criterion.name for criterion in criteria]


def pending_clips(case: Case) -> int:
    """Return how many planned clips are still to be made."""
    return sum(summary.counts.pending for summary in case.estimates.arms)
