"""May we use it, in words: the light, its last day and whose it is, unclear parts, ways out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from poc.governance_records import ArmRights, OpenItem, PartRights, RightsResult
from poc.licences import Judgement, Statement, severity
from poc.records import ArmRole
from reports import text as words
from reports.judged import light_mark
from reports.load import RunView
from reports.model import Line, Mark, PartRow, RightsPage
from reports.text import Text

_LEVELS: Final = {
    Judgement.PERMITTED: "PASS",
    Judgement.UNCLEAR: "INCONCLUSIVE",
    Judgement.FORBIDDEN: "FAIL",
}
_LIMIT: Final = 1000
"""Letters of one sentence."""


def rights(view: RunView, text: Text) -> RightsPage:
    """Return the rights of the recommended arm, or of all candidates where none is."""
    mark, basis = light_mark(text, view.decision.rights, "rights"), view.decision.rights_basis
    if view.rights is None or basis is None:
        key = "rights.none" if basis is None else "rights.absent"
        return RightsPage(mark=mark, said=text(key), how=text("rights.how"))
    result = view.rights.result
    arms = arms_of(view, result)
    parts = parts_of(arms)
    bad = [one for one in parts if one.judgement is not Judgement.PERMITTED]
    day = basis.valid_until
    return RightsPage(
        mark=mark,
        said=_use(text, result),
        last_day=text("rights.last_day", day=day) if day else text("rights.no_last_day"),
        whose=tuple(_whose(text, result, parts, date.fromisoformat(day))) if day else (),
        reasons=tuple(pick(text, reason) for reason in result.reasons),
        parts=tuple(_part(text, one) for one in bad),
        cleared=tuple(named(text, one) for one in parts if one not in bad),
        instead=_instead(view, text, arms),
        open=tuple(_item(text, one) for one in result.open_items),
        missing=tuple(words.shown(role) for role in result.missing_roles),
    )


def arms_of(view: RunView, result: RightsResult) -> tuple[ArmRights, ...]:
    """Return the arms that the rights light is about."""
    chosen = view.decision.recommended_arm_id
    if chosen is not None:
        return tuple(arm for arm in result.arms if arm.arm_id == chosen)
    decided = {arm.arm_id for arm in view.decision.arms}
    candidates = {i for i in decided if view.arm(i).role is ArmRole.CANDIDATE}
    return tuple(arm for arm in result.arms if arm.arm_id in candidates)


def parts_of(arms: Sequence[ArmRights]) -> list[PartRights]:
    """Return every different part once, the worst first."""
    found = {(part.part, part.kind): part for arm in arms for part in arm.parts}
    return sorted(found.values(), key=lambda one: -severity(one.judgement))


def _use(text: Text, result: RightsResult) -> str:
    use = result.use
    return text(
        "rights.use",
        use=text(f"use.{use.use}"),
        places=text("list.comma").join(words.shown(place) for place in use.territory),
        starts=use.starts,
        until=use.until,
        on=result.on,
    )


def _whose(
    text: Text, result: RightsResult, parts: Sequence[PartRights], day: date
) -> Iterator[str]:
    """Yield what ends on the last day: nothing stands longer than the first of them."""
    if result.use.until == day:
        yield text("rights.ends.use")
    for item in result.open_items:
        if item.due == day:
            who = words.shown(item.owner or "", 80)
            yield text("rights.ends.item", item=pick(text, item.question), owner=who)
    for part in parts:
        if part.waiver is not None and part.waiver.expires == day:
            who = words.shown(part.waiver.owner, 80)
            yield text("rights.ends.waiver", part=named(text, part), owner=who)
        elif part.valid_until == day:
            yield text("rights.ends.part", part=named(text, part))


def named(text: Text, part: PartRights) -> str:
    """Return a part's name with what it does."""
    return text("rights.part", name=words.shown(part.part, 80), kind=text(f"part.{part.kind}"))


def _part(text: Text, part: PartRights) -> PartRow:
    waiver = part.waiver
    return PartRow(
        name=named(text, part),
        licence=words.shown(part.licence, 120) or text("rights.no_licence"),
        mark=Mark(text(f"judgement.{part.judgement}"), _LEVELS[part.judgement]),
        reasons=tuple(pick(text, one) for one in part.reasons),
        ways_out=tuple(pick(text, one) for one in part.way_out),
        waived=""
        if waiver is None
        else text(
            "rights.waived",
            owner=words.shown(waiver.owner, 80),
            day=waiver.expires,
            reason=words.shown(waiver.reason),
        ),
    )


def _instead(view: RunView, text: Text, arms: Sequence[ArmRights]) -> str:
    names = dict.fromkeys(name for arm in arms for name in arm.replacements)
    known = {arm.name: words.arm_name(text, arm) for arm in view.plan.arms}
    shown = text("list.comma").join(known.get(name, words.shown(name, 80)) for name in names)
    return text("rights.instead", arms=shown) if shown else ""


def _item(text: Text, item: OpenItem) -> Line:
    if item.owner is None:
        return Line(pick(text, item.question), text("rights.unanswered"))
    key = "rights.late" if item.late else "rights.due"
    said = text(key, owner=words.shown(item.owner, 80), day=item.due)
    return Line(pick(text, item.question), said)


def pick(text: Text, statement: Statement) -> str:
    """Return a statement of a rights answer in one language."""
    return words.shown(statement.ja if text.language == "ja" else statement.en, _LIMIT)
