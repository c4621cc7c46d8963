"""What a decision says of itself: its reasons and its conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from poc import findings
from poc.decision_case import (
    SPEED,
    Case,
    carries_go,
    names_of,
    pending_clips,
    undecided_musts,
    untimed_arms,
    verdict_of,
)
from poc.front import find, speed_axis
from poc.latency_estimates import LATENCY
from poc.latency_scenarios import CONTROL
from poc.records import (
    Arm,
    ArmDecision,
    ArmRole,
    Comparison,
    Finding,
    Light,
    Plan,
    Verdict,
)
from poc.rights_light import RightsLight
from poc.vote_contradictions import contradictions
from poc.vote_records import VotesOfRun


def contradicted(case: Case, votes: VotesOfRun | None) -> Iterator[Finding]:
    """Yield every metric that contradicts what people voted."""
    for one in contradictions(case.estimates, votes):
        arm = case.summary(one.arm_id).arm
        yield findings.contradicts(arm, one.metric, one.question, metric_better=one.metric_better)


def technical_reasons(plan: Plan, case: Case) -> list[Finding]:
    """Return what stands behind the technical light, the most important first."""
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


def _steadiness(case: Case) -> list[Finding]:
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


def _confirmation(plan: Plan, case: Case) -> list[Finding]:
    choice = plan.spec.confirms
    if choice is None:
        return []
    arms = {one.arm_id: one for one in case.arms}
    light = arms[choice.arm_id].technical if choice.arm_id in arms else None
    return [findings.confirmed(choice, light, len(plan.prompts))]


def _against_today(plan: Plan, case: Case) -> list[Finding]:
    """Say how the chosen arm stands to what is done today, where both were compared."""
    today = next((arm for arm in plan.arms if arm.name == plan.spec.status_quo), None)
    if today is None or case.chosen is None:
        return []
    pair = (case.chosen.arm_id, today.id)
    found = [c for c in case.estimates.contrasts if (c.arm_id, c.against_id) == pair]
    arm = case.summary(case.chosen.arm_id).arm
    return [findings.against_today(arm, today, one.results) for one in found[:1]]


def _barred(case: Case) -> list[Finding]:
    """Name the arm that would lead by what was measured, where rights put another in its place."""
    if case.barred is None or case.chosen is None:
        return []
    barred, chosen = (case.summary(one.arm_id).arm for one in (case.barred, case.chosen))
    forbidden = case.may.get(barred.id) is Light.NO_GO
    may = case.may.get(chosen.id) in {Light.GO, Light.CONDITIONAL}
    return [findings.barred_by_rights(barred, chosen, forbidden=forbidden, may=may)]


def _styled(case: Case) -> list[Finding]:
    """Say how the styled candidates came out where one without style leads."""
    arms = {one.arm_id: case.summary(one.arm_id).arm for one in case.candidates}
    styled = [one for one in case.candidates if arms[one.arm_id].style]
    if case.chosen is None or arms[case.chosen.arm_id].style or not styled:
        return []
    by_light: dict[Light, list[str]] = {}
    for one in styled:
        by_light.setdefault(one.technical, []).append(arms[one.arm_id].name)
    return [findings.leads_without_style(arms[case.chosen.arm_id], by_light)]


def _sufficient_controls(case: Case) -> list[Arm]:
    """Return the few-step controls that do all that is asked, without what a candidate adds."""
    passed = [one for one in _few_step_controls(case) if one.technical is Light.GO]
    return [case.summary(one.arm_id).arm for one in passed]


def _few_step_controls(case: Case) -> list[ArmDecision]:
    """Return the controls that could take a candidate's place: there, with fewer steps, allowed."""
    nfe = case.summary(case.estimates.baseline_id).arm.sampling.nfe
    arms = {one.arm_id: case.summary(one.arm_id).arm for one in case.arms}
    controls = [one for one in case.arms if arms[one.arm_id].role is ArmRole.CONTROL]
    barred = {arm_id for arm_id, light in case.may.items() if light is Light.NO_GO}
    barred |= {arm_id for arm_id, arm in arms.items() if arm.is_imported}
    there = [one for one in controls if one.arm_id not in barred | set(case.withdrawn)]
    return [one for one in there if arms[one.arm_id].sampling.nfe < nfe]


def _slower_controls(case: Case) -> list[Finding]:
    """Say which controls lack nothing but speed: the cheapest rivals, which need less training."""
    if not case.estimates.complete:
        return []
    found = []
    for control in _few_step_controls(case):
        asked, own = case.musts(control.arm_id), case.summary(control.arm_id)
        short = [c for c in asked if verdict_of(c, control.results) is not Verdict.PASS]
        ratio = find(own, LATENCY, Comparison.RATIO)
        only_slow = bool(short) and all(c.metric.startswith(SPEED) for c in short)
        if only_slow and carries_go(asked) and ratio is not None and ratio.value:
            fails = any(verdict_of(c, control.results) is Verdict.FAIL for c in short)
            found.append(findings.control_lacks_speed(own.arm, ratio.value, fails=fails))
    return found


def _headline(case: Case) -> Finding:
    if not case.candidates:
        return findings.no_candidate()
    if case.chosen is None and (untimed := untimed_arms(case)):
        return findings.none_timed(untimed)
    if case.chosen is None:
        failed = {
            r.criterion
            for arm in case.candidates
            for r in arm.results
            if r.verdict is Verdict.FAIL and r.criterion in names_of(case.musts(arm.arm_id))
        }
        return findings.all_fail(sorted(failed))
    arm = case.summary(case.chosen.arm_id).arm
    if case.chosen.technical is Light.GO:
        on_seconds = speed_axis(case.estimates.arms) == LATENCY
        return findings.meets_all(arm, on_seconds=on_seconds)
    undecided = names_of(undecided_musts(case, case.chosen))
    return findings.comes_closest(arm, undecided, len(case.musts(arm.id)))


def _blocks(case: Case) -> list[Finding]:
    """Return what stands in the way of a GO apart from verdicts."""
    clips = pending_clips(case)
    blocks = [findings.pending(clips)] if clips else []
    if not clips and not case.estimates.complete:
        blocks.append(findings.unfinished())
    if case.estimates.closed_reason is not None:
        blocks.append(findings.closed(case.estimates.closed_reason))
    if case.chosen:
        blocks += _criteria_blocks(case, case.chosen)
    return blocks


def _criteria_blocks(case: Case, chosen: ArmDecision) -> list[Finding]:
    asked = case.musts(chosen.arm_id)
    if not asked:
        return [findings.no_must(case.summary(chosen.arm_id).arm)]
    if carries_go(asked):
        return []
    return [findings.no_quality_must(speed=any(c.metric.startswith(SPEED) for c in asked))]


def conditions_of(plan: Plan, case: Case, rights: RightsLight) -> tuple[Finding, ...]:
    """Return what must be done before the chosen arm is used, price apart."""
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
