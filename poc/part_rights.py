"""Judges one part for the stated use: licence, the models' own table, consents, words, waivers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from poc import governance_findings as said
from poc.governance_records import Part, PartKind, PartRights, Subject
from poc.licences import (
    Found,
    Judgement,
    LicenceTable,
    Statement,
    Use,
    ids_of,
    judge_licence,
    severity,
)
from poc.rights_check import Rights, fitting
from poc.rights_file import Consent, DeliveryRights, Release, Waiver
from poc.territory import uncovered


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What every part is judged against."""

    rights: Rights
    licences: LicenceTable
    on: date
    accepted: bool
    """Whether every role has approved what the rights file says; only then waivers count."""


def judge_part(part: Part, subject: Subject, against: Circumstances) -> PartRights:
    """Return the worst that any check says of a part, with every reason for it."""
    found = list(_checks(part, subject, against))
    judgement = max((one.judgement for one in found), key=severity)
    told = [one for one in found if judgement is one.judgement or _is_bad(one)]
    waiver = _waiver(part, against) if judgement is Judgement.UNCLEAR else None
    allowed = waiver is not None or judgement is Judgement.PERMITTED
    ends = [one.valid_until for one in found] + [waiver.expires if waiver else None]
    return PartRights(
        part=part.id,
        kind=part.kind,
        licence=part.licence,
        judgement=judgement,
        reasons=_once(one.reason for one in told),
        way_out=_once(way for one in told for way in one.way_out),
        conditions=_once(condition for one in found for condition in one.conditions),
        waiver=waiver,
        valid_until=min((end for end in ends if end), default=None) if allowed else None,
    )


def _is_bad(found: Found) -> bool:
    return found.judgement is not Judgement.PERMITTED


def _once(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    return tuple(dict.fromkeys(statements))


def _waiver(part: Part, against: Circumstances) -> Waiver | None:
    waivers = against.rights.file.waivers
    fits = (one for one in waivers if one.part == part.id and against.on <= one.expires)
    return next(fits, None) if against.accepted else None


def _checks(part: Part, subject: Subject, against: Circumstances) -> Iterator[Found]:
    file = against.rights.file
    for licence_id in ids_of(part.licence):
        days = file.policy.fact_days
        yield judge_licence(licence_id, against.licences, file.use, on=against.on, fact_days=days)
    yield from _own_table(part, file.use.use)
    if part.changed:
        ways = (said.judge_those_files(),)
        yield Found(Judgement.UNCLEAR, said.other_files(), ways)
    if part.kind is PartKind.STILLS:
        yield from _stills(part, against)
    if part.kind is PartKind.CLIPS:
        yield _clips(part, against)
    if part.kind is PartKind.PROMPTS:
        yield _prompts(subject, against)


def _own_table(part: Part, use: Use) -> Iterator[Found]:
    """Yield what models.yaml says itself: of commercial use, which a trial inside is not."""
    if use is not Use.EVALUATION and part.commercial_use not in {None, "permitted"}:
        judgement = Judgement(part.commercial_use)
        yield Found(judgement, said.table_says(judgement), (said.ask_or_replace(),))


# --- stills --------------------------------------------------------------------------------------


def _stills(part: Part, against: Circumstances) -> Iterator[Found]:
    consents = [one for one in against.rights.file.stills if one.model == part.id]
    answers = {one.id: _consent(one, against) for one in consents}
    covering: dict[str, list[Found]] = {name: [] for name in part.files}
    for one in consents:
        for name in fitting(one, part.files):
            covering[name].append(answers[one.id])
    best = {min(found, key=_rank) for found in covering.values() if found}
    bare = sorted(name for name, found in covering.items() if not found)
    yield from sorted(best, key=lambda one: one.reason.en)
    if bare or not part.files:
        reason = said.no_consent(bare, len(part.files)) if bare else said.no_files()
        yield Found(Judgement.UNCLEAR, reason, (said.record_consent(),))


def _rank(found: Found) -> tuple[int, int]:
    """Order answers to one still: the best first, of those the one that holds longest."""
    return severity(found.judgement), -(found.valid_until or date.min).toordinal()


def _consent(consent: Consent, against: Circumstances) -> Found:
    amiss = _out_of_scope(consent, against)
    if amiss is None and consent.model_release.status is Release.NO:
        amiss = said.no_release(consent)
    if amiss is not None:
        return Found(Judgement.FORBIDDEN, amiss, (said.new_consent(),))
    reason = said.consent_holds(consent)
    return Found(Judgement.PERMITTED, reason, valid_until=consent.valid_until)


def _out_of_scope(record: Consent | DeliveryRights, against: Circumstances) -> Statement | None:
    """Return why a record does not reach the stated use on this day; None when it does."""
    use = against.rights.file.use
    if against.on > record.valid_until:
        return said.consent_ended(record)
    if use.use not in record.uses:
        return said.consent_not_for(record, use.use)
    if missing := uncovered(use.territory, record.territory):
        return said.consent_not_in(record, missing)
    return None


# --- delivered clips -----------------------------------------------------------------------------


def _clips(part: Part, against: Circumstances) -> Found:
    """Return what the records of deliveries say of clips: the best that is for exactly these."""
    named = [one for one in against.rights.file.deliveries if one.part == part.id]
    own = [_delivery(one, against) for one in named if one.digest == part.digest]
    if own:
        return min(own, key=_rank)
    reason = said.other_delivery(named[-1]) if named else said.no_delivery(part.id)
    return Found(Judgement.UNCLEAR, reason, (said.record_delivery(part.id, part.digest or ""),))


def _delivery(record: DeliveryRights, against: Circumstances) -> Found:
    amiss = _out_of_scope(record, against)
    if amiss is not None:
        return Found(Judgement.FORBIDDEN, amiss, (said.new_delivery(),))
    reason = said.delivery_holds(record)
    return Found(Judgement.PERMITTED, reason, valid_until=record.valid_until)


# --- prompts -------------------------------------------------------------------------------------


def _prompts(subject: Subject, against: Circumstances) -> Found:
    words = against.rights.file.words
    listed = len(words.names) + len(words.brands)
    if not listed:
        return Found(Judgement.UNCLEAR, said.nothing_listed(), (said.list_words(),))
    if subject.hits:
        terms = tuple(dict.fromkeys(hit.term for hit in subject.hits))
        prompts = tuple(dict.fromkeys(hit.prompt_id for hit in subject.hits))
        reason = said.prompts_name(terms, prompts)
        return Found(Judgement.FORBIDDEN, reason, (said.reword_prompts(),))
    return Found(Judgement.PERMITTED, said.prompts_clean(subject.n_prompts, listed))
