"""What licences allow for a use: facts with their source, read strictly, judged without a clock.

A table of what we read and when, no legal advice. What the table does not hold is unclear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, model_validator

from poc.records import Record
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse
from poc.territory import Territory, touched

LICENCES: Final = Path(__file__).parent / "specs" / "licences.yaml"

UNKNOWN: Final = "unknown"
"""Id of the entry that stands for every licence the table does not hold."""

Text = Annotated[
    str, Field(min_length=2, max_length=600, pattern=r"^[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


def _day(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        found = date.fromisoformat(value) if re.fullmatch(r"2\d{3}-\d\d-\d\d", value) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"expected a day of the calendar as 2026-04-01, got '{value}'. Mend it.")
    return found


Day = Annotated[date, BeforeValidator(_day)]
"""A day from 2000 to 2999, written as in ISO 8601."""


class Judgement(StrEnum):
    """What may be said of a part for the stated use, from best to worst."""

    PERMITTED = "permitted"
    UNCLEAR = "unclear"
    FORBIDDEN = "forbidden"


def severity(judgement: Judgement) -> int:
    """Return 0 for permitted, 1 for unclear, 2 for forbidden.

    >>> [severity(one) for one in Judgement]
    [0, 1, 2]
    """
    return list(Judgement).index(judgement)


class Use(StrEnum):
    """What the clips, or the tools that make them, are for."""

    EVALUATION = "evaluation"
    """Tried inside the company; no clip leaves the project."""
    IN_HOUSE = "in_house"
    """Clips are used inside the company, as in training or meetings."""
    ADVERTISING = "advertising"
    """Clips are published for the company's own products."""
    CLIENT_WORK = "client_work"
    """Clips are delivered to a client."""


class Statement(Record):
    """One sentence in both languages."""

    en: Annotated[str, Field(min_length=2, max_length=4000)]
    ja: Annotated[str, Field(min_length=2, max_length=4000)]


class RevenueBand(Record):
    """Annual revenue of the company that uses the parts, its group included; `below` is open."""

    currency: Currency
    at_least: Annotated[float, Field(ge=0)]
    below: Annotated[float, Field(gt=0)] | None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.below is not None and self.below <= self.at_least:
            raise ValueError(
                f"expected 'below' above 'at_least', got {self.below:g} and {self.at_least:g}. "
                "Mend one."
            )
        return self


class UseStatement(Record):
    """What is to be done, where, by how large a company, and from when to when."""

    use: Use
    territory: Annotated[tuple[Territory, ...], Field(min_length=1)]
    annual_revenue: RevenueBand | None
    """None: not stated; a licence with a limit is then unclear."""
    starts: Day
    until: Day
    """Last day of the use; nothing stated here holds longer."""


# --- the table -----------------------------------------------------------------------------------


class Fact(Record):
    """Something that we read: in our words, where, and on which day."""

    says: Text
    source: Text
    dated: Day | None
    """Day of the document itself; None where it bears none."""
    read: Day


class RevenueLimit(Record):
    """From this annual revenue on, the free licence does not hold for these uses."""

    currency: Currency
    amount: Annotated[float, Field(gt=0)]
    includes_amount: bool
    """Whether a revenue of exactly `amount` is over the limit."""
    uses: Annotated[tuple[Use, ...], Field(min_length=1)]


class ByUse(Record):
    """The judgement for each use."""

    evaluation: Judgement
    in_house: Judgement
    advertising: Judgement
    client_work: Judgement

    def of(self, use: Use) -> Judgement:
        """Return the judgement for one use."""
        found: Judgement = getattr(self, use.value)
        return found


class Licence(Record):
    """One licence: what it allows by use, under which conditions, and where that is written."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")]
    """SPDX id where there is one, or `LicenseRef-` and a name."""
    aliases: tuple[str, ...]
    """Other spellings, as on hubs; case does not count."""
    name: Text
    uses: ByUse
    reason: Statement
    conditions: tuple[Statement, ...]
    """What the user has to do or leave, whatever the judgement."""
    revenue_limit: RevenueLimit | None
    not_in: tuple[Territory, ...]
    """Where the licence does not hold."""
    way_out: tuple[Statement, ...]
    """What to do where the answer is not permitted: letter to the author, other arm, purchase."""
    facts: Annotated[tuple[Fact, ...], Field(min_length=1)]

    @property
    def read(self) -> date:
        """Return the day on which the oldest of its facts was read."""
        return min(fact.read for fact in self.facts)

    @property
    def is_open(self) -> bool:
        """Return whether some use, place or revenue is not simply permitted."""
        judged = {self.uses.of(use) for use in Use}
        return judged != {Judgement.PERMITTED} or bool(self.revenue_limit or self.not_in)


class LicencesFile(Record):
    """licences.yaml as a whole."""

    version: Literal[1]
    licences: Annotated[tuple[Licence, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class LicenceTable:
    """All licences of one file, by every id and alias in small letters."""

    licences: Mapping[str, Licence]

    def find(self, licence_id: str) -> Licence | None:
        """Return the licence of this id or alias; None where the table has none."""
        return self.licences.get(licence_id.lower())


def read_licences(path: Path = LICENCES) -> LicenceTable:
    """Read the table; raises `InputError` with the line of every fault."""
    node = load(read_text(path), path)
    file = decode(LicencesFile, node, path)
    refuse(path, _problems(file, node))
    return LicenceTable({key: one for one in file.licences for key in _keys(one)})


def _keys(licence: Licence) -> tuple[str, ...]:
    return tuple(key.lower() for key in (licence.id, *licence.aliases))


def _problems(file: LicencesFile, node: Node) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, one in enumerate(file.licences):
        at = node.get("licences", place)
        for key in _keys(one):
            if key in seen:
                yield Problem(at.get("id").line, f"duplicate licence '{key}'. Keep one.")
            seen.add(key)
        if one.is_open and not one.way_out:
            text = f"licence '{one.id}' is not permitted throughout: expected a way out, got none."
            yield Problem(at.get("way_out").line, f"{text} Say what to do.")
        for number, fact in enumerate(one.facts):
            if fact.dated is not None and fact.dated > fact.read:
                text = f"'dated' {fact.dated} lies after 'read' {fact.read}. Mend one."
                yield Problem(at.get("facts", number).line, text)
    if UNKNOWN not in seen:
        text = f"expected an entry '{UNKNOWN}' for licences that are not listed, got none. Add it."
        yield Problem(node.get("licences").line, text)


# --- judging -------------------------------------------------------------------------------------


class Found(NamedTuple):
    """One check's answer about a part."""

    judgement: Judgement
    reason: Statement
    way_out: tuple[Statement, ...] = ()
    conditions: tuple[Statement, ...] = ()
    valid_until: date | None = None
    """Last day on which a permission stands; None: no end, or no permission."""


def ids_of(expression: str) -> tuple[str, ...]:
    """Return the licences that all hold; a choice or an exception stays whole, and so unknown.

    >>> ids_of("MIT AND CC-BY-4.0"), ids_of("MIT OR Apache-2.0"), ids_of("A WITH B"), ids_of(" ")
    (('MIT', 'CC-BY-4.0'), ('MIT OR Apache-2.0',), ('A WITH B',), ('unknown',))
    """
    words = expression.split()
    if {"OR", "WITH"} & set(words) or any(mark in expression for mark in "()"):
        return (" ".join(words),)
    return tuple(one for one in words if one != "AND") or (UNKNOWN,)


def judge_licence(
    licence_id: str, table: LicenceTable, use: UseStatement, *, on: date, fact_days: int
) -> Found:
    """Return what one licence says of the use on a day.

    `fact_days`: how many days after it was read a fact still counts, the company's own rule. An
    older permission is unclear until somebody has read the licence again.
    """
    known = table.find(licence_id)
    licence = known or table.licences[UNKNOWN]
    reason = licence.reason if known else _not_listed(licence_id)
    until = licence.read + timedelta(days=fact_days)
    plain = Found(licence.uses.of(use.use), reason)
    checks = [plain, *_place(licence, use), *_revenue(licence, use), *_age(licence, on, until)]
    worst = max(checks, key=lambda one: severity(one.judgement))
    permitted = worst.judgement is Judgement.PERMITTED
    return worst._replace(
        way_out=() if permitted else (*worst.way_out, *licence.way_out),
        conditions=licence.conditions,
        valid_until=until if permitted else None,
    )


def _not_listed(licence_id: str) -> Statement:
    return Statement(
        en=f"Licence '{licence_id[:100]}' is not in the table of licences, so nothing is known.",
        ja=f"ライセンス「{licence_id[:100]}」は一覧になく、条件が分からない。",
    )


def _place(licence: Licence, use: UseStatement) -> Iterator[Found]:
    if places := touched(use.territory, licence.not_in):
        named = ", ".join(places)
        yield Found(
            Judgement.FORBIDDEN,
            Statement(
                en=f"{licence.name} does not hold in {named}.",
                ja=f"{licence.name}は{named}では効力がない。",
            ),
        )


def _revenue(licence: Licence, use: UseStatement) -> Iterator[Found]:
    limit, band = licence.revenue_limit, use.annual_revenue
    if limit is None or use.use not in limit.uses:
        return
    named = f"{limit.amount:,.0f} {limit.currency}"
    if band is None or band.currency != limit.currency:
        yield Found(
            Judgement.UNCLEAR,
            Statement(
                en=f"{licence.name} depends on annual revenue ({named}), which is not stated in "
                f"{limit.currency}.",
                ja=f"{licence.name}は年間売上高（{named}）で条件が変わるが、{limit.currency}での"
                "記載がない。",
            ),
            (
                Statement(
                    en=f"State the annual revenue in {limit.currency}.",
                    ja=f"年間売上高を{limit.currency}で記載する。",
                ),
            ),
        )
    elif _is_over(limit, band):
        yield Found(
            Judgement.FORBIDDEN,
            Statement(
                en=f"{licence.name} has to be bought from an annual revenue of {named} on.",
                ja=f"{licence.name}は年間売上高{named}以上の場合、有償契約が必要である。",
            ),
        )
    elif band.below is None or band.below > limit.amount:
        yield Found(
            Judgement.UNCLEAR,
            Statement(
                en=f"{licence.name} changes at an annual revenue of {named}; the stated band "
                "reaches over it.",
                ja=f"{licence.name}は年間売上高{named}で条件が変わるが、記載の範囲がこれをまたぐ。",
            ),
        )


def _is_over(limit: RevenueLimit, band: RevenueBand) -> bool:
    if limit.includes_amount:
        return band.at_least >= limit.amount
    return band.at_least > limit.amount


def _age(licence: Licence, on: date, until: date) -> Iterator[Found]:
    if on > until:
        yield Found(
            Judgement.UNCLEAR,
            Statement(
                en=f"{licence.name} was last read on {licence.read}, too long ago to rely on.",
                ja=f"{licence.name}の最終確認日は{licence.read}で、確認から時間がたちすぎている。",
            ),
            (
                Statement(
                    en="Read the licence again and write down the day.",
                    ja="ライセンスを読み直し、確認日を更新する。",
                ),
            ),
        )
