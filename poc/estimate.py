"""From a run's records to its estimates: values, differences and ratios with intervals.

Pure: the same records, in any order, give the same bytes. Randomness is seeded by what the plan
compares. The parts: `poc.samples` lays clips out by prompt, `poc.outcomes` makes estimates and
draws of them, `poc.latency_estimates` does the timed pass, `poc.set_estimates` places FVD and KVD,
`poc.contrasts` compares arms with each other, `poc.front` makes the speed-quality front,
`poc.intervals` is the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from poc import front
from poc.contrasts import contrast_estimates
from poc.delivery import delivery_stated
from poc.front import Place, find, smallest_not_inferior_step, speed_axis
from poc.intervals import LEVEL, RESAMPLES
from poc.latency_calls import failed_calls, timed_all
from poc.latency_estimates import Timings, latency_outcomes, timings
from poc.latency_scenarios import scenario_outcomes
from poc.outcomes import Draws, Outcome, sample_outcomes, settled
from poc.records import (
    Arm,
    ArmSummary,
    Estimate,
    Estimates,
    Generation,
    LatencyFailure,
    LatencySample,
    LatencyScenario,
    Measurement,
    Plan,
    short_id,
)
from poc.samples import Ledger, ledger, samples
from poc.set_estimates import set_outcomes
from poc.slices import slice_evidence, sliced_draws

__all__ = [
    "Evidence",
    "estimate",
    "evaluate",
    "find",
    "smallest_not_inferior_step",
    "speed_axis",
]


_SINGLE: Final = LatencyScenario.SINGLE


class Timed(NamedTuple):
    """The latency pass by arm id: the rounds, and the arms that failed."""

    found: dict[str, Timings]
    failures: dict[str, LatencyFailure]


class Evidence(NamedTuple):
    """Estimates and the draws behind their intervals, as `poc.decide` takes them."""

    estimates: Estimates
    draws: Draws


def evaluate(
    plan: Plan,
    generations: Iterable[Generation],
    measurements: Iterable[Measurement],
    latencies: Iterable[LatencySample],
    set_estimates: Iterable[Estimate],
    *,
    closed_reason: str | None,
    set_differences: Sequence[Sequence[Estimate]] = (),
    latency_failures: Iterable[LatencyFailure] = (),
) -> Evidence:
    """Return the estimates of a run with their draws.

    `set_estimates` are the ready estimates of FVD, KVD and their differences. Failed, invalid and
    pending clips have no value; they are counted in `n_missing`, except that failed and invalid
    ones are 0 in `valid_share` and in `oracle_*`, which the notes then say. `set_differences` are
    those of KVD for the contrasts, one list a contrast. `latency_failures` are of arms that could
    not be timed: they have no time, and the run does not wait for one.

    Raises:
        ValueError: records that the plan does not know or that contradict each other.
    """
    seed = resampling_seed(plan)
    book = ledger(plan, generations, measurements)
    latencies, latency_failures = tuple(latencies), tuple(latency_failures)
    failures = {one.arm_id: one for one in latency_failures if one.scenario is _SINGLE}
    found = timings(plan, (one for one in latencies if one.arm_id not in failures))
    arm_ids = [arm.id for arm in plan.arms]
    outcomes = [
        *sample_outcomes(samples(book, plan.arms, plan.baseline_id), book.rates, seed=seed),
        *latency_outcomes(plan, found, failures),
        *scenario_outcomes(plan, latencies, latency_failures),
        *set_outcomes(set_estimates, arm_ids, plan.baseline_id),
    ]
    parts = slice_evidence(plan, book, seed=seed)
    estimates = Estimates(
        format_version=1,
        plan_digest=plan.content_digest(),
        baseline_id=plan.baseline_id,
        level=LEVEL,
        resamples=RESAMPLES,
        quality_metric=front.quality_metric(book),
        arms=_summaries(plan, book, Timed(found, failures), outcomes, seed),
        contrasts=contrast_estimates(plan, book, set_differences, seed=seed),
        slices=tuple(part.estimates for part in parts),
        complete=book.complete and timed_all(latencies, plan, failed_calls(latency_failures)),
        closed_reason=closed_reason,
    )
    draws = {o.key: o.draws for o in outcomes if o.draws is not None}
    return Evidence(estimates, draws | sliced_draws(parts))


def resampling_seed(plan: Plan) -> int:
    """Return the seed of a run's resampling: of its arms, prompts and base seed, and no wording."""
    arms, prompts = [arm.id for arm in plan.arms], [prompt.id for prompt in plan.prompts]
    return int(short_id([arms, prompts, plan.spec.seed]), 16)


def estimate(
    plan: Plan,
    generations: Iterable[Generation],
    measurements: Iterable[Measurement],
    latencies: Iterable[LatencySample],
    set_estimates: Iterable[Estimate],
    *,
    closed_reason: str | None,
) -> Estimates:
    """Return the estimates of a run; `evaluate` also returns the draws that a decision needs."""
    evidence = evaluate(
        plan, generations, measurements, latencies, set_estimates, closed_reason=closed_reason
    )
    return evidence.estimates


def _summaries(
    plan: Plan,
    book: Ledger,
    timed: Timed,
    outcomes: list[Outcome],
    seed: int,
) -> tuple[ArmSummary, ...]:
    arms = plan.arms
    by_arm: dict[str, list[Estimate]] = {arm.id: [] for arm in arms}
    for one in sorted(outcomes, key=lambda o: o.key):
        by_arm[one.estimate.arm_id].append(one.estimate)
    bare = [
        _summary(arm, book, by_arm[arm.id]).model_copy(
            update={"not_timed": timed.failures.get(arm.id)}
        )
        for arm in arms
    ]
    standing = [summary.arm for summary in bare if summary.not_timed is None]
    places = front.places(book, standing, timed.found, axis=speed_axis(bare), seed=seed)
    whole = (_placed(summary, places.get(summary.arm.id, front.NOWHERE)) for summary in bare)
    return tuple(_with_delivery(plan, summary) for summary in whole)


def _with_delivery(plan: Plan, summary: ArmSummary) -> ArmSummary:
    if not summary.arm.is_imported:
        return summary
    stated = delivery_stated(plan.delivery(summary.arm), summary.counts)
    return summary.model_copy(update={"delivery": stated})


def _summary(arm: Arm, book: Ledger, estimates: list[Estimate]) -> ArmSummary:
    return ArmSummary(
        arm=arm,
        counts=book.counts[arm.id],
        estimates=tuple(estimates),
        on_pareto_front=None,
        frontier_frequency=None,
    )


def _placed(summary: ArmSummary, place: Place) -> ArmSummary:
    share = None if place.frequency is None else settled(place.frequency)
    return summary.model_copy(
        update={"on_pareto_front": place.on_front, "frontier_frequency": share}
    )
