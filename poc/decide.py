"""From estimates and criteria to a decision: technical, economic and rights lights.

Pure. GO needs every must-criterion to pass (intersection-union, so no correction for their
number), NO_GO one that fails; whatever is unknown, thin or unfinished is never GO.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from poc import findings
from poc.front import find, speed_axis
from poc.latency_estimates import LATENCY
from poc.latency_scenarios import CONTROL
from poc.next_measurement import settle
from poc.outcomes import Draws
from poc.records import (
    Arm,
    ArmDecision,
    ArmRole,
    ArmSummary,
    Comparison,
    CriteriaFile,
    Criterion,
    CriterionResult,
    Decision,
    Estimates,
    Finding,
    Light,
    Plan,
    PriceBasis,
    RightsBasis,
    SliceEstimates,
    Verdict,
    Weight,
)
from poc.table import table
from poc.verdicts import applies, is_quality_must, judge_all
from poc.vote_contradictions import contradictions
from poc.vote_records import VotesOfRun

__all__ = [
    "EXIT_CODES",
    "CommercialUse",
    "PriceAnswer",
    "RightsAnswer",
    "decide",
    "exit_code",
    "table",
    "worst",
]

CommercialUse = Literal["permitted", "forbidden", "unclear"]
"""What a model's licence says of the stated use."""


class RightsAnswer(NamedTuple):
    """What a rights file says of every arm, as `poc.governance` judged it."""

    lights: Mapping[str, Light]
    """By arm id."""
    valid_until: Mapping[str, str | None]
    digest: str
    on: str


class PriceAnswer(NamedTuple):
    """What a deliverable of the recommended arm costs, as `poc.cost` judged it."""

    light: Light
    reasons: tuple[Finding, ...]
    conditions: tuple[Finding, ...]
    next_step: Finding | None
    basis: PriceBasis


EXIT_CODES: Mapping[Light, int] = {
    Light.GO: 0,
    Light.NO_GO: 1,
    Light.INSUFFICIENT_EVIDENCE: 3,
    Light.CONDITIONAL: 4,
}
"""Exit code of `poc decide`; 2 is left to usage errors."""

SPEED = "latency_"
"""How the metrics of speed begin."""

ORDER = (Light.GO, Light.CONDITIONAL, Light.INSUFFICIENT_EVIDENCE, Light.NO_GO)
"""From best to worst."""


def exit_code(light: Light) -> int:
    """Return the exit code of `poc decide` for a decision's light.

    >>> exit_code(Light.GO)
    0
    """
    return EXIT_CODES[light]


def worst(lights: Iterable[Light]) -> Light:
    """Return the worst of some lights.

    >>> worst([Light.GO, Light.CONDITIONAL]).value
    'CONDITIONAL'
    """
    return max(lights, key=ORDER.index)


def decide(
    plan: Plan,
    estimates: Estimates,
    criteria: CriteriaFile,
    draws: Draws,
    *,
    licences: Mapping[str, CommercialUse] | None = None,
    rights: RightsAnswer | None = None,
    price: Callable[[Arm], PriceAnswer] | None = None,
    votes: VotesOfRun | None = None,
    withdrawn: Collection[str] = (),
) -> Decision:
    """Return the decision on a run by the given criteria.

    `draws` come from `poc.estimate.evaluate`; an estimate without draws is judged by a normal
    approximation of its interval, and its result says so. `licences`: model id -> commercial use.
    With `rights`, the rights light is that of the rights file and `licences` do not count. `price`
    is asked what the recommended arm costs; without one, or without an arm, that stays open.
    Metrics that contradict the `votes` are named; the lights are those without votes. An arm whose
    id is `withdrawn` was taken out of the run for good: it is neither GO nor recommended.

    Raises:
        ValueError: the estimates are of another plan, or two criteria share a name.
    """
    if estimates.plan_digest != plan.content_digest():
        raise ValueError("the estimates belong to another plan: estimate again from this run")
    names = _names(criteria.criteria)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"criteria {criteria.name!r}: two are named {repeated[0]!r}; rename one")
    may = _may_use(estimates, licences, rights)
    case = _case(plan, estimates, criteria, draws, withdrawn=withdrawn, may=may)
    cleared = _rights(case, licences) if rights is None else _governed(case, rights)
    technical = case.technical
    priced = price(case.summary(case.chosen.arm_id).arm) if price and case.chosen else None
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
            *_technical_reasons(plan, case),
            *(findings.withdrawn(arm) for arm in plan.arms if arm.id in withdrawn),
            *_contradictions(case, votes),
            *_price_reasons(priced),
            cleared.reason,
            *([findings.valid_until(last_day)] if last_day else []),
        ),
        conditions=(*_conditions(plan, case, cleared), *(priced.conditions if priced else ())),
        next_measurement=_next_measurement(plan, case, cleared, priced),
        estimates_digest=estimates.content_digest(),
        rights_basis=cleared.basis,
        price_basis=priced.basis if priced else None,
        valid_until=last_day,
    )


def _contradictions(case: _Case, votes: VotesOfRun | None) -> Iterator[Finding]:
    for one in contradictions(case.estimates, votes):
        arm = case.summary(one.arm_id).arm
        yield findings.contradicts(arm, one.metric, one.question, metric_better=one.metric_better)


def _last_day(*bases: RightsBasis | PriceBasis | None) -> str | None:
    ends = (basis.valid_until for basis in bases if basis is not None)
    return min((end for end in ends if end is not None), default=None)


# --- the technical light -------------------------------------------------------------------------


class _Case(NamedTuple):
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


def _case(
    plan: Plan,
    estimates: Estimates,
    criteria: CriteriaFile,
    draws: Draws,
    *,
    withdrawn: Collection[str],
    may: Mapping[str, Light],
) -> _Case:
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
    return _Case(
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
    verdicts = [_verdict_of(criterion, results) for criterion in asked]
    finished = finished and not (summary.counts.pending or baseline.counts.pending)
    finished = finished and summary.not_timed is None
    if Verdict.FAIL in verdicts:
        light = Light.NO_GO
    elif summary.arm.weights:
        light = Light.INSUFFICIENT_EVIDENCE  # whatever was asked: quality was not measured
    elif finished and _carries_go(asked) and all(v is Verdict.PASS for v in verdicts):
        light = Light.GO
    else:
        light = Light.INSUFFICIENT_EVIDENCE
    return ArmDecision(arm_id=summary.arm.id, technical=light, results=results)


def musts(criteria: Iterable[Criterion], summary: ArmSummary) -> list[Criterion]:
    """Return the must-criteria that apply to an arm."""
    return [c for c in criteria if c.weight is Weight.MUST and applies(c, summary)]


def _carries_go(asked: Sequence[Criterion]) -> bool:
    """Return whether criteria ask for quality: speed or smoothness alone decide nothing."""
    return any(is_quality_must(criterion) for criterion in asked)


def _verdict_of(criterion: Criterion, results: Sequence[CriterionResult]) -> Verdict:
    return next(r.verdict for r in results if r.criterion == criterion.name)


def _undecided(case: _Case, arm: ArmDecision) -> list[Criterion]:
    """Return the must-criteria of an arm that are neither passed nor failed."""
    asked = case.musts(arm.arm_id)
    return [c for c in asked if _verdict_of(c, arm.results) is Verdict.INCONCLUSIVE]


def _may_use(
    estimates: Estimates,
    licences: Mapping[str, CommercialUse] | None,
    rights: RightsAnswer | None,
) -> dict[str, Light]:
    """Return what rights say of every arm, as far as the choice goes: licences alone only bar."""
    if rights is not None:
        unknown = Light.INSUFFICIENT_EVIDENCE
        return {s.arm.id: rights.lights.get(s.arm.id, unknown) for s in estimates.arms}
    forbidden = {model for model, use in (licences or {}).items() if use == "forbidden"}
    return {s.arm.id: Light.NO_GO for s in estimates.arms if forbidden & set(s.arm.model_digests)}


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
        opens = sum(_verdict_of(c, arm.results) is not Verdict.PASS for c in asked)
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


# --- the rights light ----------------------------------------------------------------------------


class _Rights(NamedTuple):
    light: Light
    reason: Finding
    unclear: tuple[str, ...] = ()
    basis: RightsBasis | None = None


def _rights(case: _Case, licences: Mapping[str, CommercialUse] | None) -> _Rights:
    """Return the rights light for the chosen arm's models, or all candidates' without one.

    Licences of models alone can forbid and never permit: use, stills, consents and approvals count
    as well, and only a rights file tells of them.
    """
    if licences is None:
        return _Rights(Light.INSUFFICIENT_EVIDENCE, findings.rights_unknown())
    judged = _judged_licences(case, licences)
    forbidden = [model for model, use in judged.items() if use == "forbidden"]
    if forbidden:
        return _Rights(Light.NO_GO, findings.rights_forbidden(forbidden))
    unclear = tuple(model for model, use in judged.items() if use == "unclear")
    reason = findings.rights_unclear(unclear) if unclear else findings.licences_permit()
    return _Rights(Light.INSUFFICIENT_EVIDENCE, reason, unclear)


def _governed(case: _Case, answer: RightsAnswer) -> _Rights:
    """Return the rights light that a rights file gives the chosen arm, or all candidates."""
    arms = [a.arm_id for a in ([case.chosen] if case.chosen else case.candidates)]
    lights = [answer.lights.get(arm, Light.INSUFFICIENT_EVIDENCE) for arm in arms]
    light = worst(lights or [Light.INSUFFICIENT_EVIDENCE])
    ends = [end for arm in arms if (end := answer.valid_until.get(arm)) is not None]
    stands = min(ends, default=None) if light in {Light.GO, Light.CONDITIONAL} else None
    basis = RightsBasis(digest=answer.digest, on=answer.on, valid_until=stands)
    return _Rights(light, findings.rights_judged(light, answer.on, stands), basis=basis)


def _judged_licences(
    case: _Case, licences: Mapping[str, CommercialUse]
) -> dict[str, CommercialUse]:
    known = ("permitted", "forbidden", "unclear")
    wrong = sorted(model for model, use in licences.items() if use not in known)
    if wrong:
        raise ValueError(
            f"licences: {wrong[0]!r} has {licences[wrong[0]]!r}; expected one of {', '.join(known)}"
        )
    arms = [case.chosen] if case.chosen else case.candidates
    models = {m for a in arms for m in case.summary(a.arm_id).arm.model_digests}
    return {model: licences.get(model, "unclear") for model in sorted(models)}


# --- what is said about it -----------------------------------------------------------------------


def _technical_reasons(plan: Plan, case: _Case) -> list[Finding]:
    reasons = []
    if plan.spec.weights:
        reasons.append(findings.random_weights())
    elif plan.spec.kind == "demonstration":
        reasons.append(findings.demonstration())
    reasons.append(_headline(case))
    reasons += _barred(case)
    reasons += _styled(case)
    reasons += _confirmation(plan, case)
    reasons += _against_today(plan, case)
    reasons += _blocks(case)
    best = case.chosen if case.chosen and case.chosen.technical is Light.GO else None
    beside = case.summary(best.arm_id).arm if best else None
    reasons += [findings.control_suffices(c, beside=beside) for c in _sufficient_controls(case)]
    reasons += _slower_controls(case)
    if case.edited:
        reasons.append(findings.edited())
    if case.chosen:
        counts = case.summary(case.chosen.arm_id).counts
        lost = counts.failed + counts.invalid
        arm = case.summary(case.chosen.arm_id).arm
        reasons += [findings.lost_clips(arm, lost)] if lost else []
    arms = case.estimates.arms
    reasons += [findings.not_timed(one.arm) for one in arms if one.not_timed is not None]
    return reasons + _steadiness(case)


def _steadiness(case: _Case) -> list[Finding]:
    """Say where the baseline, timed against itself, did not come out equal."""
    control = find(case.summary(case.estimates.baseline_id), CONTROL, Comparison.RATIO)
    if control is None or control.low is None or control.high is None:
        return []
    return [] if control.low <= 1 <= control.high else [findings.unsteady(control)]


def _confirms(plan: Plan, arm: Arm) -> bool:
    """Tell whether a run was made to look again at this arm alone."""
    choice = plan.spec.confirms
    pair = {one.id for one in plan.arms} == {arm.id, plan.baseline_id}
    return choice is not None and choice.arm_id == arm.id and pair


def _confirmation(plan: Plan, case: _Case) -> list[Finding]:
    choice = plan.spec.confirms
    if choice is None:
        return []
    arms = {one.arm_id: one for one in case.arms}
    light = arms[choice.arm_id].technical if choice.arm_id in arms else None
    return [findings.confirmed(choice, light, len(plan.prompts))]


def _against_today(plan: Plan, case: _Case) -> list[Finding]:
    """Say how the chosen arm stands to what is done today, where both were compared."""
    today = next((arm for arm in plan.arms if arm.name == plan.spec.status_quo), None)
    if today is None or case.chosen is None:
        return []
    pair = (case.chosen.arm_id, today.id)
    found = [c for c in case.estimates.contrasts if (c.arm_id, c.against_id) == pair]
    arm = case.summary(case.chosen.arm_id).arm
    return [findings.against_today(arm, today, one.results) for one in found[:1]]


def _barred(case: _Case) -> list[Finding]:
    """Name the arm that would lead by what was measured, where rights put another in its place."""
    if case.barred is None or case.chosen is None:
        return []
    barred, chosen = (case.summary(one.arm_id).arm for one in (case.barred, case.chosen))
    forbidden = case.may.get(barred.id) is Light.NO_GO
    may = case.may.get(chosen.id) in {Light.GO, Light.CONDITIONAL}
    return [findings.barred_by_rights(barred, chosen, forbidden=forbidden, may=may)]


def _styled(case: _Case) -> list[Finding]:
    """Say how the styled candidates came out where one without style leads."""
    arms = {one.arm_id: case.summary(one.arm_id).arm for one in case.candidates}
    styled = [one for one in case.candidates if arms[one.arm_id].style]
    if case.chosen is None or arms[case.chosen.arm_id].style or not styled:
        return []
    by_light: dict[Light, list[str]] = {}
    for one in styled:
        by_light.setdefault(one.technical, []).append(arms[one.arm_id].name)
    return [findings.leads_without_style(arms[case.chosen.arm_id], by_light)]


def _sufficient_controls(case: _Case) -> list[Arm]:
    """Return the few-step controls that do all that is asked, without what a candidate adds."""
    passed = [one for one in _few_step_controls(case) if one.technical is Light.GO]
    return [case.summary(one.arm_id).arm for one in passed]


def _few_step_controls(case: _Case) -> list[ArmDecision]:
    """Return the controls that could take a candidate's place: there, with fewer steps, allowed."""
    nfe = case.summary(case.estimates.baseline_id).arm.sampling.nfe
    arms = {one.arm_id: case.summary(one.arm_id).arm for one in case.arms}
    controls = [one for one in case.arms if arms[one.arm_id].role is ArmRole.CONTROL]
    barred = {arm_id for arm_id, light in case.may.items() if light is Light.NO_GO}
    barred |= {arm_id for arm_id, arm in arms.items() if arm.is_imported}
    there = [one for one in controls if one.arm_id not in barred | set(case.withdrawn)]
    return [one for one in there if arms[one.arm_id].sampling.nfe < nfe]


def _slower_controls(case: _Case) -> list[Finding]:
    """Say which controls lack nothing but speed: the cheapest rivals, which need less training."""
    if not case.estimates.complete:
        return []
    found = []
    for control in _few_step_controls(case):
        asked, own = case.musts(control.arm_id), case.summary(control.arm_id)
        short = [c for c in asked if _verdict_of(c, control.results) is not Verdict.PASS]
        ratio = find(own, LATENCY, Comparison.RATIO)
        only_slow = bool(short) and all(c.metric.startswith(SPEED) for c in short)
        if only_slow and _carries_go(asked) and ratio is not None and ratio.value:
            fails = any(_verdict_of(c, control.results) is Verdict.FAIL for c in short)
            found.append(findings.control_lacks_speed(own.arm, ratio.value, fails=fails))
    return found


def _headline(case: _Case) -> Finding:
    if not case.candidates:
        return findings.no_candidate()
    if case.chosen is None and (untimed := _untimed(case)):
        return findings.none_timed(untimed)
    if case.chosen is None:
        failed = {
            r.criterion
            for arm in case.candidates
            for r in arm.results
            if r.verdict is Verdict.FAIL and r.criterion in _names(case.musts(arm.arm_id))
        }
        return findings.all_fail(sorted(failed))
    arm = case.summary(case.chosen.arm_id).arm
    if case.chosen.technical is Light.GO:
        on_seconds = speed_axis(case.estimates.arms) == LATENCY
        return findings.meets_all(arm, on_seconds=on_seconds)
    undecided = _names(_undecided(case, case.chosen))
    return findings.comes_closest(arm, undecided, len(case.musts(arm.id)))


def _untimed(case: _Case) -> list[Arm]:
    """Return the candidates that would stand if they had been timed."""
    standing = [arm for arm in case.candidates if arm.technical is not Light.NO_GO]
    summaries = [case.summary(arm.arm_id) for arm in standing]
    return [one.arm for one in summaries if one.not_timed is not None]


def _names(criteria: Iterable[Criterion]) -> list[str]:
    return [criterion.name for criterion in criteria]


def _blocks(case: _Case) -> list[Finding]:
    """Return what stands in the way of a GO apart from verdicts."""
    clips = _pending(case)
    blocks = [findings.pending(clips)] if clips else []
    if not clips and not case.estimates.complete:
        blocks.append(findings.unfinished())
    if case.estimates.closed_reason is not None:
        blocks.append(findings.closed(case.estimates.closed_reason))
    if case.chosen:
        blocks += _criteria_blocks(case, case.chosen)
    return blocks


def _criteria_blocks(case: _Case, chosen: ArmDecision) -> list[Finding]:
    asked = case.musts(chosen.arm_id)
    if not asked:
        return [findings.no_must(case.summary(chosen.arm_id).arm)]
    if _carries_go(asked):
        return []
    return [findings.no_quality_must(speed=any(c.metric.startswith(SPEED) for c in asked))]


def _pending(case: _Case) -> int:
    return sum(summary.counts.pending for summary in case.estimates.arms)


def _conditions(plan: Plan, case: _Case, rights: _Rights) -> tuple[Finding, ...]:
    conditions = [findings.approve_criteria()] if case.edited else []
    if rights.unclear:
        conditions.append(findings.clear_licence(rights.unclear))
    if rights.basis is not None and rights.light is Light.CONDITIONAL:
        conditions.append(findings.keep_rights_conditions())
    if case.chosen and case.chosen.technical is Light.GO:
        chosen = case.summary(case.chosen.arm_id).arm
        most = chosen.sampling.nfe
        cheap = [c for c in _sufficient_controls(case) if c.sampling.nfe <= most]
        conditions += [findings.justify_over_control(control, chosen) for control in cheap]
        conditions += [] if _confirms(plan, chosen) else [findings.confirm(chosen)]
    return tuple(conditions)


# --- the next measurement ------------------------------------------------------------------------


def _price_reasons(priced: PriceAnswer | None) -> tuple[Finding, ...]:
    return (findings.no_price(),) if priced is None else priced.reasons


def _beyond_quality(case: _Case, rights: _Rights, priced: PriceAnswer | None) -> Finding | None:
    """Return what could change the answer where no criterion of the chosen arm is open."""
    untimed = _untimed(case) if case.chosen is None else []
    if untimed:
        return findings.time_again(untimed)
    if priced is None:
        return findings.give_prices()
    return priced.next_step or (findings.record_rights() if rights.basis is None else None)


def _next_measurement(
    plan: Plan, case: _Case, rights: _Rights, priced: PriceAnswer | None
) -> Finding | None:
    """Return the cheapest thing that could change the answer; None when nothing would."""
    refused = {case.technical, rights.light, priced.light if priced else None}
    if Light.NO_GO in refused or not case.candidates:
        return None
    if not case.estimates.complete:
        return findings.finish_run(_pending(case))
    if plan.spec.weights:
        return findings.take_weights()
    if case.chosen is None or case.chosen.technical is Light.GO:
        return _beyond_quality(case, rights, priced)
    undecided = _undecided(case, case.chosen)
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
