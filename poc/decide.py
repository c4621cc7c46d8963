"""From estimates and criteria to a decision: technical, economic and rights lights. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from poc import findings
from poc.decision_case import Case, case_of, names_of, pending_clips, undecided_musts, untimed_arms
from poc.decision_reasons import conditions_of, contradicted, technical_reasons
from poc.lights import worst
from poc.next_measurement import settle
from poc.outcomes import Draws
from poc.records import (
    Arm,
    CriteriaFile,
    Decision,
    Estimates,
    Finding,
    Light,
    Plan,
    PriceBasis,
    RightsBasis,
)
from poc.rights_light import CommercialUse, RightsAnswer, RightsLight, governed, licensed, may_use
from poc.vote_records import VotesOfRun


class PriceAnswer(NamedTuple):
    """What a deliverable of the recommended arm costs, as `poc.cost` judged it."""

    light: Light
    reasons: tuple[Finding, ...]
    conditions: tuple[Finding, ...]
    next_step: Finding | None
    basis: PriceBasis


Price = Callable[[Arm, Sequence[Arm]], PriceAnswer]
"""An arm, and the others that could take its place -> what its deliverable costs."""


def decide(
    plan: Plan,
    estimates: Estimates,
    criteria: CriteriaFile,
    draws: Draws,
    *,
    licences: Mapping[str, CommercialUse] | None = None,
    rights: RightsAnswer | None = None,
    price: Price | None = None,
    votes: VotesOfRun | None = None,
    withdrawn: Collection[str] = (),
) -> Decision:
    """Return the decision on a run by the given criteria.

    `draws` come from `poc.estimate.evaluate`; an estimate without draws is judged by a normal
    approximation of its interval, and its result says so. `licences`: model id -> commercial use.
    With `rights`, the rights light is that of the rights file and `licences` do not count. `price`
    is asked what the recommended arm costs, beside the others that pass, of its style and not
    barred by rights; without it, or without an arm, that stays open. Metrics that contradict the
    `votes` are named; the lights are those without votes. An arm whose id is `withdrawn` was taken
    out of the run for good: it is neither GO nor recommended.

    Raises:
        ValueError: the estimates are of another plan, or two criteria share a name.
    """
    if estimates.plan_digest != plan.content_digest():
        raise ValueError("the estimates belong to another plan: estimate again from this run")
    names = names_of(criteria.criteria)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"criteria {criteria.name!r}: two are named {repeated[0]!r}; rename one")
    may = may_use(estimates, licences, rights)
    case = case_of(plan, estimates, criteria, draws, withdrawn=withdrawn, may=may)
    cleared = licensed(case, licences) if rights is None else governed(case, rights)
    technical = case.technical
    priced = _priced(case, price)
    economic = Light.INSUFFICIENT_EVIDENCE if priced is None else priced.light
    last_day = _last_day(cleared.basis, priced.basis if priced else None)
    return Decision(
        format_version=1,
        kind=plan.spec.kind,
        decision=worst([technical, economic, cleared.light]),
        technical=technical,
        economic=economic,
        rights=cleared.light,
        recommended_arm_id=case.chosen.arm_id if case.chosen else None,
        arms=case.arms,
        criteria_digest=case.criteria_digest,
        criteria_edited=case.edited,
        reasons=(
            *technical_reasons(plan, case),
            *(findings.withdrawn(arm) for arm in plan.arms if arm.id in withdrawn),
            *contradicted(case, votes),
            *_price_reasons(priced, asked=price is not None),
            cleared.reason,
            *([findings.valid_until(last_day)] if last_day else []),
        ),
        conditions=(*conditions_of(plan, case, cleared), *(priced.conditions if priced else ())),
        next_measurement=_next_measurement(plan, case, cleared, priced),
        estimates_digest=estimates.content_digest(),
        rights_basis=cleared.basis,
        price_basis=priced.basis if priced else None,
        valid_until=last_day,
    )


def _last_day(*bases: RightsBasis | PriceBasis | None) -> str | None:
    ends = (basis.valid_until for basis in bases if basis is not None)
    return min((end for end in ends if end is not None), default=None)


def _priced(case: Case, price: Price | None) -> PriceAnswer | None:
    """Ask what the chosen arm costs, beside others that pass, of its style and not barred."""
    if price is None or case.chosen is None:
        return None
    chosen = case.summary(case.chosen.arm_id).arm
    passed = [
        case.summary(one.arm_id).arm
        for one in case.candidates
        if one.technical is Light.GO and case.may.get(one.arm_id) is not Light.NO_GO
    ]
    return price(chosen, [a for a in passed if a.id != chosen.id and a.style == chosen.style])


# --- the next measurement ------------------------------------------------------------------------


def _price_reasons(priced: PriceAnswer | None, *, asked: bool) -> tuple[Finding, ...]:
    if priced is not None:
        return priced.reasons
    return (findings.nothing_to_price() if asked else findings.no_price(),)


def _beyond_quality(case: Case, rights: RightsLight, priced: PriceAnswer | None) -> Finding | None:
    """Return what could change the answer where no criterion of the chosen arm is open."""
    untimed = untimed_arms(case) if case.chosen is None else []
    if untimed:
        return findings.time_again(untimed)
    if priced is None:
        return findings.give_prices()
    return priced.next_step or (findings.record_rights() if rights.basis is None else None)


def _next_measurement(
    plan: Plan, case: Case, rights: RightsLight, priced: PriceAnswer | None
) -> Finding | None:
    """Return the cheapest thing that could change the answer; None when nothing would."""
    refused = {case.technical, rights.light, priced.light if priced else None}
    if Light.NO_GO in refused or not case.candidates:
        return None
    if not case.estimates.complete:
        return findings.finish_run(pending_clips(case))
    if plan.spec.weights:
        return findings.take_weights()
    if case.chosen is None or case.chosen.technical is Light.GO:
        return _beyond_quality(case, rights, priced)
    undecided = undecided_musts(case, case.chosen)
    if not undecided:
        return findings.add_quality_criterion()
    summary = case.summary(case.chosen.arm_id)
    return settle(
        summary,
        undecided,
        case.draws,
        replicates=plan.spec.replicates,
        slices=case.estimates.slices,
    )
