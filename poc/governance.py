"""May we use it? Every part judged for the stated use, every arm by the worst of its parts.

Pure, and without a clock: the day is an argument. A later day never gives a better light. This is
no legal advice: it joins what people have read, asked and decided, and says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from poc import governance_findings as said
from poc.approvals import approvals, licences_used
from poc.errors import InputError, did_you_mean
from poc.governance_records import (
    ArmParts,
    ArmRights,
    Expiry,
    OpenItem,
    Part,
    PartKind,
    PartRights,
    RightsResult,
    Subject,
)
from poc.licences import Judgement, LicenceTable, Statement
from poc.lights import worst
from poc.part_rights import Circumstances, judge_part
from poc.records import Light
from poc.rights_check import Rights
from poc.rights_file import Status

__all__ = [
    "ArmParts",
    "ArmRights",
    "Part",
    "PartKind",
    "PartRights",
    "RightsResult",
    "Subject",
    "judge",
    "only",
]

_ALLOWED = frozenset({Light.GO, Light.CONDITIONAL})


def judge(subject: Subject, rights: Rights, licences: LicenceTable, *, on: date) -> RightsResult:
    """Return whether every arm may be used as the rights file states, on one day.

    GO: every part permitted, every question closed, every role has approved exactly this.
    CONDITIONAL: what is missing is named, owned and has a day: an open question, an approval, an
    accepted waiver of an unclear part. INSUFFICIENT_EVIDENCE: an unclear part, an unanswered
    question. NO_GO: a forbidden part, which nothing waives.

    Raises:
        InputError: `on` lies before something that was read, given, decided or approved.
    """
    _check_day(subject, rights, licences, on)
    approval = approvals(subject, rights, licences)
    against = Circumstances(rights, licences, on, accepted=not approval.missing)
    items = _open_items(rights, on)
    common = list(_common(rights, items, approval.missing, on))
    shared = worst([Light.GO, *(light for light, _ in common)])
    ends = [rights.file.use.until, *(item.due for item in items if item.due)]
    arms = _with_replacements(
        [_arm(arm, subject, against, shared, min(ends)) for arm in subject.arms]
    )
    light = worst([Light.GO, *(arm.light for arm in arms)])
    return RightsResult(
        on=on,
        name=rights.file.name,
        name_ja=rights.file.name_ja,
        use=rights.file.use,
        light=light,
        arms=arms,
        open_items=items,
        expiring=tuple(_expiring(subject, rights, licences, on)),
        reasons=tuple(reason for _, reason in common),
        digest=approval.digest,
        approved_by=approval.given,
        missing_roles=approval.missing,
        other_approvals=approval.others,
        next_number=len(rights.file.approvals) + 1,
        previous=rights.file.approvals[-1].content_digest() if rights.file.approvals else None,
        valid_until=_earliest(arm.valid_until for arm in arms) if light in _ALLOWED else None,
    )


def only(result: RightsResult, arm: str) -> RightsResult:
    """Return the answer for one arm by its name; raises `InputError`."""
    arms = tuple(one for one in result.arms if one.arm == arm)
    if not arms:
        hint = did_you_mean(arm, [one.arm for one in result.arms])
        raise InputError(f"--arm: no arm is called '{arm}'. {hint}")
    ends = {"light": arms[0].light, "valid_until": arms[0].valid_until}
    return result.model_copy(update={"arms": arms, **ends})


# --- arms ----------------------------------------------------------------------------------------


def _arm(
    arm: ArmParts, subject: Subject, against: Circumstances, shared: Light, end: date
) -> ArmRights:
    parts = tuple(judge_part(part, subject, against) for part in arm.parts)
    light = worst([shared, *map(_light, parts)])
    ends = [end, *(part.valid_until for part in parts)]
    return ArmRights(
        arm_id=arm.arm_id,
        arm=arm.name,
        light=light,
        parts=parts,
        replacements=(),
        valid_until=_earliest(ends) if light in _ALLOWED else None,
    )


def _light(part: PartRights) -> Light:
    if part.judgement is Judgement.FORBIDDEN:
        return Light.NO_GO
    if part.judgement is Judgement.UNCLEAR:
        return Light.CONDITIONAL if part.waiver else Light.INSUFFICIENT_EVIDENCE
    return Light.GO


def _with_replacements(arms: list[ArmRights]) -> tuple[ArmRights, ...]:
    """Name beside each arm that is not cleared those whose every part is."""
    clear = tuple(arm.arm for arm in arms if _is_clear(arm))
    return tuple(
        arm if _is_clear(arm) else arm.model_copy(update={"replacements": clear}) for arm in arms
    )


def _is_clear(arm: ArmRights) -> bool:
    return all(part.judgement is Judgement.PERMITTED for part in arm.parts)


def _earliest(days: Iterable[date | None]) -> date | None:
    return min((day for day in days if day is not None), default=None)


# --- what every arm shares -----------------------------------------------------------------------


def _common(
    rights: Rights, items: tuple[OpenItem, ...], missing: tuple[str, ...], on: date
) -> Iterator[tuple[Light, Statement]]:
    late = [item.item for item in items if item.late]
    waiting = [item.item for item in items if not item.late]
    if rights.file.example:
        yield Light.INSUFFICIENT_EVIDENCE, said.example_only()
    if on > rights.file.use.until:
        yield Light.INSUFFICIENT_EVIDENCE, said.use_ended(rights.file.use.until)
    if late:
        yield Light.INSUFFICIENT_EVIDENCE, said.unanswered(late)
    if waiting:
        yield Light.CONDITIONAL, said.still_open(waiting)
    if missing:
        yield Light.CONDITIONAL, said.not_approved(missing)


def _open_items(rights: Rights, on: date) -> tuple[OpenItem, ...]:
    answers = {answer.item: answer for answer in rights.file.answers}
    found = []
    for item in rights.checklist.asked(rights.file.use.use):
        answer = answers.get(item.id)
        if answer is not None and answer.status is not Status.OPEN:
            continue
        due = answer.due if answer else None
        found.append(
            OpenItem(
                item=item.id,
                question=item.question,
                owner=answer.owner if answer else None,
                due=due,
                late=due is None or on > due,
            )
        )
    return tuple(found)


# --- days ----------------------------------------------------------------------------------------


def _check_day(subject: Subject, rights: Rights, licences: LicenceTable, on: date) -> None:
    """Refuse a day before what the answer stands on: a later day must never give a better one."""
    reads = (fact.read for one in licences_used(subject, licences) for fact in one.facts)
    latest = _latest([*reads, rights.file.latest_record])
    if latest is not None and on < latest:
        raise InputError(
            f"expected a day of {latest} or later, when the last thing relied on was read, given "
            f"or approved; got {on}. Give that day or a later one with --on, or mend the date."
        )


def _latest(days: Iterable[date | None]) -> date | None:
    return max((day for day in days if day is not None), default=None)


def _expiring(
    subject: Subject, rights: Rights, licences: LicenceTable, on: date
) -> Iterator[Expiry]:
    """Yield what has ended or ends within the days of the policy, the earliest first."""
    policy, file = rights.file.policy, rights.file
    reading = timedelta(days=policy.fact_days)
    ends = [
        ("the stated use", file.use.until),
        *((f"consent {one.id}", one.valid_until) for one in file.stills),
        *((f"delivery {one.id}", one.valid_until) for one in file.deliveries),
        *((f"waiver of {one.part}", one.expires) for one in file.waivers),
        *((f"reading of {one.id}", one.read + reading) for one in licences_used(subject, licences)),
    ]
    for what, day in sorted(ends, key=lambda one: (one[1], one[0])):
        if day <= on + timedelta(days=policy.warn_days):
            yield Expiry(what=what, ends=day, past=on > day)
