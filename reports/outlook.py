"""What is asked, what would stop it, and who judged. Formats; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator

from metrics.catalog import CATALOG, Direction
from poc.records import Arm, ArmRole, Comparison, Weight
from poc.samples import SHARE_OF_CLIPS, VALID_SHARE
from poc.verdicts import FAIL_SHARE
from reports import evidence, judged, money, people
from reports import text as words
from reports.load import ClipView, RunView
from reports.model import Line
from reports.sheet import Sheet, not_right, rightness
from reports.text import Text


def asked(view: RunView, text: Text, focus: Arm) -> str:
    """Return what the reader is asked for; nothing where the run only demonstrates."""
    key = f"asked.{view.decision.decision}"
    if view.decision.decision == "INSUFFICIENT_EVIDENCE" and view.decision.next_measurement is None:
        key = f"{key}.none"
    said = text(key, arm=words.arm_name(text, focus))
    return text("asked.demonstration", asked=said) if view.demonstration else said


def request(view: RunView, text: Text, focus: Arm) -> Iterator[Line]:
    """Yield what is asked, the amount, until when, and when it was measured."""
    yield Line(text("request.matter"), asked(view, text, focus))
    yield Line(text("request.amount"), money.amount(view, text))
    day, basis = view.decision.valid_until, view.decision.rights_basis
    until = text("request.until.both", day=day) if day else text("request.until.none")
    if not day and basis is not None and basis.valid_until:
        until = text("request.until.rights", day=basis.valid_until)
    yield Line(text("request.until"), until)
    yield Line(text("request.made"), words.shown(str(view.manifest.get("created", ""))[:10]))


def stops(view: RunView, text: Text, focus: Arm) -> Iterator[Line]:
    """Yield every line that was fixed beforehand and ends the matter when it is crossed."""
    found = judged.decision_of(view, focus.id)
    applied = {result.criterion for result in found.results} if found else set()
    for criterion in view.plan.criteria.criteria:
        if criterion.weight is Weight.MUST and criterion.name in applied:
            line = words.bound(text, criterion, criterion.minimum)
            label = words.criterion_label(text, criterion)
            yield Line(label, text("stop.unless", line=line, fails=f"{100 * FAIL_SHARE:.0f}"))
    yield from money.limits(view, text)
    basis = view.decision.rights_basis
    if basis is not None and basis.valid_until is not None:
        yield Line(text("lights.rights"), text("stop.after", day=basis.valid_until))
    priced = view.decision.price_basis
    if priced is not None and priced.valid_until is not None:
        yield Line(text("lights.economic"), text("stop.after", day=priced.valid_until))


def worst(view: RunView, text: Text, focus: Arm, sheet: Sheet | None) -> str:
    """Return what the worst clip is: of which arm, for which prompt, by which number."""
    if sheet is None or sheet.metric is None:
        return text("worst.none")
    clip = sheet.clips[focus.id, sheet.columns[0].prompt_id]
    arm = words.arm_name(text, focus)
    if clip.reason:
        return text("worst.lost", arm=arm, reason=words.shown(clip.reason))
    found = view.clip_values(sheet.metric).get(clip.clip_id)
    value = words.number(text, sheet.metric, Comparison.VALUE, found)
    said = {"arm": arm, "metric": words.metric_label(text, sheet.metric), "value": value}
    own, base = (rightness(view, one.id) for one in (focus, view.baseline))
    wrong = sum(not right for right in own.values())
    if not wrong:
        return text("worst.said", **said)
    counts = {"wrong": wrong, "n": len(own), "of": len(base)}
    counts["base"] = sum(not right for right in base.values())
    asked = words.of_one_clip(text, view.estimates.quality_metric)
    parts = (text("worst.wrong", **said, **counts, asked=asked), *_why(view, text, focus, clip))
    return " ".join(parts) if text.language == "en" else "".join(parts)


def _why(view: RunView, text: Text, focus: Arm, worst: ClipView) -> Iterator[str]:
    """Yield what the worst clip lacks of what was asked, and what all that are wrong lack."""
    wrong = not_right(view, focus.id)
    asked = view.clip_values(view.estimates.quality_metric)
    first = (c for c in view.clips if c.arm_id == focus.id and c.replicate == 0)
    clips = {c.clip_id for c in first if c.prompt_id in wrong and c.clip_id in asked}
    lacking = {
        metric: {c for c in clips if view.clip_values(metric).get(c) == 0.0}
        for metric in view.clip_metrics
        if metric not in {VALID_SHARE, view.estimates.quality_metric}
        and metric in CATALOG
        and CATALOG[metric].unit == SHARE_OF_CLIPS
        and CATALOG[metric].direction is Direction.HIGHER
    }
    named = [words.of_one_clip(text, m) for m, found in lacking.items() if worst.clip_id in found]
    if named:
        yield text("worst.why", what=text("list.comma").join(named))
    counted = sorted(((len(found), m) for m, found in lacking.items() if found), reverse=True)
    causes = [text("worst.cause", what=words.of_one_clip(text, m), n=n) for n, m in counted]
    if len(clips) > 1 and causes:
        yield text("worst.causes", wrong=len(clips), causes=text("list.comma").join(causes))


def judges(view: RunView, text: Text, focus: Arm) -> Iterator[Line]:
    """Yield who and what judged, on how much, and where it was made."""
    yield Line(text("judges.people"), _people(view, text, focus))
    yield Line(text("judges.compared"), _compared(view, text))
    counts = view.summaries[focus.id].counts
    made = text("counts.of", ok=counts.ok, planned=counts.planned)
    yield Line(
        text("judges.program"),
        text("judges.program.said", prompts=len(view.plan.prompts), clips=made),
    )
    yield Line(text("judges.money"), _prices(view, text))
    yield Line(text("judges.machine"), evidence.machine(view, text))


def _compared(view: RunView, text: Text) -> str:
    """Return which settings stood for choice, against what, and how many controls there were."""
    arms = [arm for arm in view.plan.arms if arm.id != view.plan.baseline_id]
    candidates = [words.arm_name(text, arm) for arm in arms if arm.role is ArmRole.CANDIDATE]
    return text(
        "judges.compared.said",
        n=len(candidates),
        candidates=text("list.comma").join(candidates) or text("number.none"),
        controls=len(arms) - len(candidates),
        baseline=words.arm_name(text, view.baseline),
    )


def _people(view: RunView, text: Text, focus: Arm) -> str:
    votes = people.votes_on(view, focus)
    if votes is None or view.votes is None:
        clips = people.clips_of(view, focus)
        return people.clip_sentence(text, clips) if clips else people.sentence(view, text, None)
    out = sum(one.excluded for one in view.votes.summary.raters_of_pairs)
    counts = {"votes": votes.kept.n_votes, "raters": votes.kept.n_raters}
    said = text("people.n", **counts, prompts=votes.kept.n_prompts)
    return text("judges.people.said", counts=said, out=out)


def _prices(view: RunView, text: Text) -> str:
    if view.money is None:
        return text(money.nothing(view))
    return words.shown(view.money.cost.name_ja if text.language == "ja" else view.money.cost.name)
