"""A run in words: everything that a report says, in reading order.

A `Content` holds strings ready to show and nothing to calculate with. Writers decide how it looks;
they add no sentence and no number.
"""

from __future__ import annotations

from collections.abc import Iterator

from poc import findings
from poc.records import Arm, ArmDecision, Finding, Light, Verdict, Weight
from reports import actions, claims, evidence, judged, money, outlook, people, rights
from reports import text as words
from reports.judged import focus_arm, light_mark
from reports.load import RunView
from reports.model import Content
from reports.sheet import worst_sheet
from reports.slices import slice_tables
from reports.text import Text


def _banner(view: RunView, text: Text) -> str:
    """Return what stands above every page of a run that judges no purchase; else nothing."""
    if not view.demonstration:
        return ""
    return text("banner.random" if view.random_weights else "banner.demonstration")


def _claims_note(view: RunView, text: Text) -> str:
    if not view.demonstration:
        return ""
    return text("section.claims.random" if view.random_weights else "section.claims.demonstration")


def make_content(view: RunView, text: Text) -> Content:
    """Put a run into words."""
    focus = focus_arm(view)
    decision = view.decision
    todo = actions.actions(view, text, focus)
    numbers = (
        people.key_number(view, text, focus, judged.measured_quality(view, text, focus)),
        judged.speed_number(view, text, focus),
        money.key_number(view, text),
    )
    return Content(
        title=text("page.title", name=words.shown(view.name)),
        question=spec_question(view, text),
        subject=_subject(view, text, focus),
        level=f"{100 * view.estimates.level:.0f}",
        banner=_banner(view, text),
        warnings=tuple(_warnings(view, text)),
        mark=light_mark(text, decision.decision),
        headline=_headline(view, text),
        sureness=_sureness(view, text, focus),
        lights=tuple(judged.lights(view, text)),
        reasons=tuple(words.sentence(text, view.plan, one) for one in _reasons(view)),
        asked=outlook.asked(view, text, focus),
        watermark=text("mark.demonstration") if view.demonstration else "",
        focus=words.arm_name(text, focus),
        numbers=numbers,
        worst=outlook.worst(view, text, focus, worst_sheet(view)),
        ways=money.ways(view, text, focus),
        rights=rights.rights(view, text),
        stops=tuple(outlook.stops(view, text, focus)),
        actions=todo,
        actions_note=actions.note(view, text, todo),
        judges=tuple(outlook.judges(view, text, focus)),
        criteria=tuple(judged.criteria(view, text, focus)),
        rule=judged.rule(view, text),
        arm_columns=tuple(judged.metric_line(text, m) for m in judged.table_metrics(view)),
        criterion_columns=tuple(judged.criterion_lines(view, text)),
        arms=tuple(judged.arm_row(view, text, summary) for summary in view.estimates.arms),
        contrasts=tuple(judged.contrasts(view, text)),
        compared=str(sum(len(one.results) for one in view.estimates.contrasts)),
        slices=tuple(slice_tables(view, text)),
        claims=tuple(claims.claims(view, text)),
        claims_note=_claims_note(view, text),
        splits=tuple(claims.splits(view, text)),
        people=people.detail(view, text),
        clips=people.clips_detail(view, text),
        no_clips=people.no_clips(view, text),
        money=money.detail(view, text),
        method=tuple(evidence.method(view, text)),
        missing=tuple(evidence.missing(view, text)),
        lost=tuple(evidence.lost(view, text)),
        provenance=tuple(evidence.provenance(view, text)),
        glossary=tuple(evidence.glossary(text)),
        request=tuple(outlook.request(view, text, focus)),
        basis=tuple(evidence.basis(view, text, focus)),
        remarks=tuple(judged.remark(text, number) for number in numbers),
    )


def _reasons(view: RunView) -> Iterator[Finding]:
    """Yield why it was decided so, without what the banner of a demonstration says already."""
    said = findings.demonstration() if view.demonstration else None
    return (one for one in view.decision.reasons if one != said)


def spec_question(view: RunView, text: Text) -> str:
    """Return the question that the spec's author asked."""
    spec = view.plan.spec
    return words.shown(spec.question_ja if text.language == "ja" else spec.question)


def _subject(view: RunView, text: Text, focus: Arm) -> str:
    baseline = view.baseline
    return text(
        "subject",
        arm=words.arm_name(text, focus),
        name=words.shown(focus.name),
        baseline=words.arm_name(text, baseline),
        baseline_name=words.shown(baseline.name),
    )


def _headline(view: RunView, text: Text) -> str:
    said = _answer(view, text)
    return text("headline.demonstration", said=said) if view.demonstration else said


def _answer(view: RunView, text: Text) -> str:
    decision = view.decision
    baseline = words.arm_name(text, view.baseline)
    if decision.recommended_arm_id is None:
        return text(f"headline.{decision.decision}.none", baseline=baseline)
    chosen = view.arm(decision.recommended_arm_id)
    arm = words.arm_name(text, chosen)
    if not chosen.style and any(one.style for one in view.plan.arms):
        arm = text("headline.plain", arm=arm)
    key = f"headline.{decision.decision}"
    left = list(_left_open(view, text, chosen))
    if decision.decision is Light.INSUFFICIENT_EVIDENCE and decision.technical is Light.GO and left:
        return text(f"{key}.open", arm=arm, baseline=baseline, open=text("list.comma").join(left))
    return text(key, arm=arm, baseline=baseline)


def _left_open(view: RunView, text: Text, chosen: Arm) -> Iterator[str]:
    """Yield what a setting that passes by its clips and seconds still lacks."""
    decision = view.decision
    for name, light in (("economic", decision.economic), ("rights", decision.rights)):
        if light is Light.INSUFFICIENT_EVIDENCE:
            yield text(f"lights.{name}")
    if findings.confirm(chosen) in decision.conditions:
        yield text("headline.confirm")


def _sureness(view: RunView, text: Text, focus: Arm) -> str:
    found = judged.decision_of(view, focus.id)
    if found is None:
        return text("sure.none")
    said = text(
        "sure.counts",
        arm=words.arm_name(text, focus),
        prompts=len(view.plan.prompts),
        **_verdicts(view, found, Weight.MUST),
    )
    shoulds = _verdicts(view, found, Weight.SHOULD)
    return f"{said} {text('sure.shoulds', **shoulds)}" if shoulds["asked"] else said


def _verdicts(view: RunView, found: ArmDecision, weight: Weight) -> dict[str, int]:
    """Return how many criteria of a weight were asked of an arm, and what came of them."""
    names = {c.name for c in view.plan.criteria.criteria if c.weight is weight}
    verdicts = [result.verdict for result in found.results if result.criterion in names]
    return {
        "asked": len(verdicts),
        "passed": verdicts.count(Verdict.PASS),
        "open": verdicts.count(Verdict.INCONCLUSIVE),
        "failed": verdicts.count(Verdict.FAIL),
    }


def _warnings(view: RunView, text: Text) -> Iterator[str]:
    if view.closed_reason:
        yield text("warning.closed", reason=words.shown(view.closed_reason))
    if not view.estimates.complete:
        yield text("warning.incomplete")
    if view.decision.criteria_edited:
        yield text("warning.criteria_edited")
    if view.stale:
        yield text("warning.stale")
    if view.decision.valid_until is not None:
        yield text("warning.until", day=view.decision.valid_until)
    for finding in view.findings:
        yield text("warning.store", finding=words.shown(finding))
