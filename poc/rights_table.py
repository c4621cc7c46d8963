"""A rights answer as plain text: arms, parts with reason and way out, what is open, what ends."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from poc.gate_report import shown
from poc.governance import ArmRights, PartKind, PartRights, RightsResult
from poc.governance_findings import USES
from poc.licences import Judgement, Statement, severity
from poc.table import WIDTH, columns

NO_ADVICE = (
    "No legal advice: this joins what was read, asked and decided; lawyers judge the rest.",
    "法的助言ではない。確認・許諾・判断の記録をまとめたもので、法的判断は専門家に委ねる。",
)

_LIMIT = 1000
"""Letters of one sentence."""


def rights_text(result: RightsResult) -> str:
    """Return the whole answer; sentences in English, then Japanese."""
    blocks = [
        list(_head(result)),
        list(_arms(result)),
        list(_parts(result)),
        list(_items(result)),
        list(_ends(result)),
        list(_approvals(result)),
        [*NO_ADVICE, f"valid_until: {result.valid_until or '-'}", f"rights: {result.light}"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _head(result: RightsResult) -> Iterator[str]:
    use, (en, ja) = result.use, USES[result.use.use]
    yield f"{shown(result.name)} / {shown(result.name_ja)}"
    places = ", ".join(use.territory)
    yield f"{en} ({ja}) in {places}, {use.starts} to {use.until}; judged on {result.on}"
    for reason in result.reasons:
        yield from _both(reason, "  ")


def _arms(result: RightsResult) -> Iterator[str]:
    width = max(columns(shown(arm.arm)) for arm in result.arms)
    for arm in result.arms:
        name = shown(arm.arm)
        padding = " " * (width - columns(name))
        until = str(arm.valid_until or "-")
        yield f"{name}{padding}  {arm.light:<21}  {until:<10}  {_why(arm)}".rstrip()


def _why(arm: ArmRights) -> str:
    bad = [part for part in arm.parts if part.judgement is not Judgement.PERMITTED]
    named = [f"{shown(part.part)} {part.judgement}" for part in bad]
    if bad and arm.replacements:
        named.append(f"cleared instead: {', '.join(shown(name) for name in arm.replacements[:3])}")
    return "; ".join(named)


def _parts(result: RightsResult) -> Iterator[str]:
    """Yield every different answer once, the worst first, with the parts and arms it is for."""
    answers: dict[PartRights, dict[str, list[str]]] = {}
    for arm in result.arms:
        for part in arm.parts:
            alike = answers.setdefault(part.model_copy(update=_NAMELESS), {})
            alike.setdefault(f"{part.part} ({part.kind})", []).append(arm.arm)
    for answer in sorted(answers, key=lambda one: -severity(one.judgement)):
        yield from _part(answer, answers[answer], len(result.arms))


_NAMELESS = {"part": "", "kind": PartKind.BASE}
"""Where two parts may differ and still have the same answer."""


def _part(part: PartRights, users: dict[str, list[str]], total: int) -> Iterator[str]:
    until = f" until {part.valid_until}" if part.valid_until else ""
    yield f"{part.judgement}{until}, {shown(part.licence) or 'no licence known'}"
    for name, arms in users.items():
        told = "all arms" if len(arms) == total else ", ".join(map(shown, arms))
        yield from _wrapped(f"{shown(name)}: {told}", "  * ")
    for reason in part.reasons:
        yield from _both(reason, "    ")
    if part.waiver is not None:
        waiver = part.waiver
        until = f"{shown(waiver.owner)}, expires {waiver.expires}"
        yield from _wrapped(f"waived by {until}: {shown(waiver.reason)}", "    ")
    if part.judgement is not Judgement.PERMITTED:
        for way in part.way_out:
            yield from _both(way, "    way out: ")
    for condition in part.conditions:
        yield from _both(condition, "    keep to: ")


def _items(result: RightsResult) -> Iterator[str]:
    if result.open_items:
        yield f"checklist, open questions: {len(result.open_items)}"
    for item in result.open_items:
        who = "not answered" if item.owner is None else f"{shown(item.owner)}, due {item.due}"
        yield f"  {shown(item.item)}: {who}{' (late)' if item.late and item.owner else ''}"
        yield from _both(item.question, "    ")


def _ends(result: RightsResult) -> Iterator[str]:
    if result.expiring:
        yield "ends soon, or has ended"
    for one in result.expiring:
        yield f"  {one.ends}  {shown(one.what)}{' (expired)' if one.past else ''}"


def _approvals(result: RightsResult) -> Iterator[str]:
    for number in result.other_approvals:
        yield f"approval {number} is of other content and counts for nothing here"
    if not result.missing_roles:
        yield f"approved by {', '.join(result.approved_by)}: {result.digest}"
        return
    yield f"to be approved by {', '.join(result.missing_roles)}: add under approvals"
    yield f"  number: {result.next_number}"
    yield f"  digest: {result.digest}"
    yield f"  previous: {result.previous or 'null'}"


def _both(statement: Statement, indent: str) -> Iterator[str]:
    yield from _wrapped(shown(statement.en, _LIMIT), indent)
    yield from _wrapped(shown(statement.ja, _LIMIT), " " * len(indent))


def _wrapped(text: str, indent: str) -> Iterator[str]:
    # Japanese letters take two columns and have no blanks to break at, so their lines are halved.
    wide = columns(text) > 1.5 * len(text)
    width = len(indent) + (WIDTH - len(indent)) // (2 if wide else 1)
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_on_hyphens=False,
    )
