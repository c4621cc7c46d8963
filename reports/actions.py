"""What is still to be done: what, who, by when, and which light it can change. Decides nothing.

Roles and days are those that the run states; where nobody set one, the row says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from poc import cost_findings, findings
from poc import governance_findings as governed
from poc.cost_file import Basis
from poc.cost_light import example_inputs
from poc.cost_records import CostResult
from poc.governance_records import OpenItem, PartRights, RightsResult
from poc.licences import Judgement
from poc.records import Arm, Finding, Light
from poc.vote_records import VoteStatus
from reports import judged, people, rights
from reports import text as words
from reports.load import RunView
from reports.model import ActionRow
from reports.text import Text


def actions(view: RunView, text: Text, focus: Arm) -> tuple[ActionRow, ...]:
    """Return what is to be done: the next step first, then what is missing, then the conditions."""
    rows = (
        *_next_step(view, text),
        *_prices(view, text),
        *_rights(view, text),
        *_unfinished(view, text),
        *_people(view, text, focus),
        *_last_day(view, text),
        *(_condition(view, text, one) for one in view.decision.conditions if _is_asked(view, one)),
    )
    return tuple(dict.fromkeys(rows))


def note(view: RunView, text: Text, rows: tuple[ActionRow, ...]) -> str:
    """Return what stands below the rows: that there are none, or no next step; else nothing."""
    if not rows:
        return text("action.none")
    return "" if view.decision.next_measurement else text("next.none")


def _row(text: Text, what: str, effect: str, *, who: str = "", due: str = "") -> ActionRow:
    unset = text("action.unset")
    return ActionRow(what=what, who=who or unset, due=due or unset, effect=effect)


def _light(view: RunView, text: Text, name: str) -> str:
    """Return one of the three lights as what a row can change, with what it says now."""
    mark = judged.light_mark(text, getattr(view.decision, name), name)
    return text("action.light", light=text(f"lights.{name}"), now=mark.word)


# --- the next step -------------------------------------------------------------------------------


def _next_step(view: RunView, text: Text) -> Iterator[ActionRow]:
    step = view.decision.next_measurement
    if step is None:
        return
    who = text("action.prices.who") if _wants_prices(view) else ""
    light = "economic" if _is_economic(view) else "technical"
    if step == findings.record_rights():
        who, light = text("action.rights.who"), "rights"
    row = _row(text, words.sentence(text, view.plan, step), _light(view, text, light), who=who)
    yield ActionRow(row.what, row.who, row.due, row.effect, is_next=True)


def _is_economic(view: RunView) -> bool:
    """Tell whether the next step is about money: nothing technical is open any more."""
    if not view.estimates.complete or view.random_weights:
        return False
    found = judged.decision_of(view, view.decision.recommended_arm_id or "")
    return found is not None and found.technical is Light.GO


def _wants_prices(view: RunView) -> bool:
    return _is_economic(view) and view.decision.price_basis is None


# --- what is missing -----------------------------------------------------------------------------


def _people(view: RunView, text: Text, focus: Arm) -> Iterator[ActionRow]:
    votes, effect = people.votes_on(view, focus), text("action.people.effect")
    if votes is None and view.votes_open:
        yield _row(text, text("action.people.open"), effect)
    elif votes is None:
        yield _row(text, text("action.people.none"), effect, who=text("action.people.who"))
    elif votes.status is VoteStatus.INSUFFICIENT:
        needed = votes.votes_needed
        key = "action.people.few" if needed else "action.people.some"
        said = text(key, n=needed) if needed else text(key)
        yield _row(text, said, effect, who=text("action.people.who"))


def _prices(view: RunView, text: Text) -> Iterator[ActionRow]:
    chosen = view.decision.recommended_arm_id is not None
    asked_for = view.decision.next_measurement is not None and _wants_prices(view)
    if view.decision.price_basis is None and chosen and not asked_for:
        effect = _light(view, text, "economic")
        yield _row(text, text("action.prices"), effect, who=text("action.prices.who"))


def _unfinished(view: RunView, text: Text) -> Iterator[ActionRow]:
    """Ask for the clips that lack, unless that is the next step already."""
    pending = any(summary.counts.pending for summary in view.estimates.arms)
    if pending and view.decision.next_measurement is None:
        yield _row(text, text("action.unfinished"), _light(view, text, "technical"))


def _last_day(view: RunView, text: Text) -> Iterator[ActionRow]:
    day = view.decision.valid_until
    if day is not None:
        yield _row(text, text("action.again"), text("action.decision"), due=day)


# --- rights --------------------------------------------------------------------------------------


def _rights(view: RunView, text: Text) -> Iterator[ActionRow]:
    effect = _light(view, text, "rights")
    if view.decision.rights_basis is None:
        if view.decision.next_measurement != findings.record_rights():
            yield _row(text, text("action.rights"), effect, who=text("action.rights.who"))
    elif view.rights is not None:
        yield from _of_file(view, view.rights.result, text, effect)


def _of_file(view: RunView, result: RightsResult, text: Text, effect: str) -> Iterator[ActionRow]:
    file, office = result.reasons, text("action.rights.who")
    if governed.example_only() in file:
        yield _row(text, text("action.rights.example"), effect, who=office)
    if (ended := governed.use_ended(result.use.until)) in file:
        yield _row(text, rights.pick(text, ended), effect, who=office)
    for part in rights.parts_of(rights.arms_of(view, result)):
        if part.judgement is not Judgement.PERMITTED:
            yield _part(text, part, effect)
    for item in result.open_items:
        if item.owner is not None:
            yield _item(text, item, effect, owner=item.owner)
    unanswered = sum(item.owner is None for item in result.open_items)
    if unanswered:
        yield _row(text, text("action.rights.answer", n=unanswered), effect)
    for role in result.missing_roles:
        yield _row(text, text("action.rights.approve"), effect, who=words.shown(role, 80))


def _part(text: Text, part: PartRights, effect: str) -> ActionRow:
    """Return the first way out of a part that is not cleared; a waiver names whose, and until when.

    The other ways stand with the part among the rights.
    """
    ways, named = part.way_out or part.reasons, rights.named(text, part)
    if ways:
        said = {"part": named, "way": rights.pick(text, ways[0]), "n": len(ways) - 1}
        what = text("action.rights.ways" if len(ways) > 1 else "action.rights.way", **said)
    else:
        what = text("action.rights.unclear", part=named)
    if part.waiver is None:
        return _row(text, what, effect)
    owner = words.shown(part.waiver.owner, 80)
    return _row(text, what, effect, who=owner, due=part.waiver.expires.isoformat())


def _item(text: Text, item: OpenItem, effect: str, *, owner: str) -> ActionRow:
    due = item.due.isoformat() if item.due else ""
    due = text("action.late", day=due) if item.late and due else due
    return _row(text, rights.pick(text, item.question), effect, who=words.shown(owner, 80), due=due)


# --- conditions ----------------------------------------------------------------------------------


def _is_asked(view: RunView, one: Finding) -> bool:
    """Tell whether a condition has a row of its own; what the rights file asks for has its own."""
    return view.rights is None or one != findings.keep_rights_conditions()


def _condition(view: RunView, text: Text, one: Finding) -> ActionRow:
    said = words.sentence(text, view.plan, one)
    return _row(text, said, _effect(view, text, one), who=_who(view, text, one))


def _effect(view: RunView, text: Text, one: Finding) -> str:
    """Return what a condition bears on; of a sentence of another version: on all of it."""
    if view.money is not None and one in view.money.economic.conditions:
        return _light(view, text, "economic")
    if one in (findings.keep_rights_conditions(), _licence(view, one)):
        return _light(view, text, "rights")
    chosen = view.decision.recommended_arm_id
    arm = view.arm(chosen) if chosen else None
    if one == findings.approve_criteria() or (arm and one == findings.confirm(arm)):
        return _light(view, text, "technical")
    if arm and any(one == findings.justify_over_control(c, arm) for c in view.plan.arms):
        return text("action.choice")
    return text("action.decision")


def _licence(view: RunView, one: Finding) -> Finding:
    """Return the condition on licences, of those models that a sentence names."""
    models = sorted({model for arm in view.plan.arms for model in arm.model_digests})
    return findings.clear_licence([model for model in models if model in one.text_en])


def _who(view: RunView, text: Text, one: Finding) -> str:
    if view.money is None:
        return ""
    if one in tuple(_of_raters(view.money.cost)):
        return text("action.raters")
    return text("action.prices.who") if one in tuple(_of_prices(view.money.cost)) else ""


def _of_raters(cost: CostResult) -> Iterator[Finding]:
    if cost.acceptance_basis is not Basis.VOTES:
        yield cost_findings.measure_acceptance(cost.acceptance, cost.acceptance_basis)
    if cost.review_basis is not Basis.VOTES:
        yield cost_findings.measure_review(cost.review, cost.review_basis)


def _of_prices(cost: CostResult) -> Iterator[Finding]:
    if cost.examples:
        yield example_inputs(cost)
    if cost.valid_until is not None:
        yield cost_findings.renew_offers(cost.valid_until)
