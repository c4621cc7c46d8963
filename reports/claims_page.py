"""The published claims as a page for a reader who knows them from a newspaper only.

Strings ready to show, and what each picture holds. Formats; computes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poc.claims import ClaimResult, ClaimStatus
from reports import evidence
from reports import text as words
from reports.claim_pictures import Picture, picture
from reports.content import make_content
from reports.load import RunView
from reports.model import ClaimNumber, ClaimRow, Line
from reports.text import Text

_TERMS: Final = ("baseline", "steps", "nfe", "prompt", "interval", "n")
_PROVENANCE: Final = 5
"""Lines of provenance before those on machine and packages."""


@dataclass(frozen=True, slots=True)
class Section:
    """One claim: what is said, what came out and why, what it would take, what is shown."""

    anchor: str
    row: ClaimRow
    decisive: ClaimNumber | None
    """The number that stands for the outcome: the first that has it; None without numbers."""
    published: str
    """The published values in the unit of the first."""
    why: tuple[str, ...]
    needed: str
    """That it cannot be tested here, and what a test would take; empty where it was tested."""
    needs: tuple[str, ...]
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class ClaimsPage:
    """The page in one language, in reading order."""

    text: Text
    tiny: str
    """Empty unless this is a demonstration."""
    warnings: tuple[str, ...]
    intro: str
    level: str
    outcomes: tuple[Line, ...]
    sections: tuple[Section, ...]
    glossary: tuple[Line, ...]
    method: tuple[Line, ...]
    provenance: tuple[Line, ...]


def make_page(view: RunView, text: Text) -> ClaimsPage:
    """Put a run's claims into words and choose their pictures."""
    content = make_content(view, text)
    pairs = zip(view.claims.claims, content.claims, strict=True)
    return ClaimsPage(
        text=text,
        tiny=text("claims.page.tiny") if view.demonstration else "",
        warnings=content.warnings,
        intro=_intro(view, text),
        level=content.level,
        outcomes=tuple(
            Line(text(f"claim.{status}"), text(f"claims.page.means.{status}"))
            for status in ClaimStatus
        ),
        sections=tuple(_section(view, text, result, row) for result, row in pairs),
        glossary=tuple(_glossary(view, text)),
        method=content.method,
        provenance=tuple(evidence.provenance(view, text))[:_PROVENANCE],
    )


def _intro(view: RunView, text: Text) -> str:
    found = Counter(str(result.status) for result in view.claims.claims)
    counts = {str(status): found[str(status)] for status in ClaimStatus}
    return text("claims.page.intro", total=len(view.claims.claims), **counts)


def _section(view: RunView, text: Text, result: ClaimResult, row: ClaimRow) -> Section:
    needed, needs = _needed(text, result)
    return Section(
        anchor=result.claim.id,
        row=row,
        decisive=_decisive(result, row),
        published=text("list.comma").join(_published(result, row)),
        why=_why(text, result, row),
        needed=needed,
        needs=needs,
        picture=picture(view, text, result, row),
    )


def _published(result: ClaimResult, row: ClaimRow) -> tuple[str, ...]:
    values = result.claim.published
    if not values:
        return row.published
    said = zip(values, row.published, strict=True)
    return tuple(words for value, words in said if value.unit == values[0].unit)


def _decisive(result: ClaimResult, row: ClaimRow) -> ClaimNumber | None:
    measured = [
        (one.status is result.status, number)
        for one, number in zip(result.results, row.numbers, strict=True)
        if one.figure.value is not None
    ]
    agreeing = [number for agrees, number in measured if agrees]
    return next(iter([*agreeing, *(number for _, number in measured)]), None)


def _why(text: Text, result: ClaimResult, row: ClaimRow) -> tuple[str, ...]:
    """Return why an outcome is what it is, where it does not follow from what would be needed."""
    if result.status is not ClaimStatus.NOT_TESTABLE:
        return (text(f"claims.page.why.{result.status}"),)
    return row.reasons if result.claim.untestable is not None else ()


def _needed(text: Text, result: ClaimResult) -> tuple[str, tuple[str, ...]]:
    """Return what would make a claim testable: a lead, and the things."""
    claim, reasons = result.claim, tuple(words.shown(text.pick(one)) for one in result.reasons)
    if result.status is not ClaimStatus.NOT_TESTABLE:
        return "", ()
    if claim.needed is not None and claim.needed_ja is not None:
        needed = claim.needed_ja if text.language == "ja" else claim.needed
        return text("claims.page.needed.other"), (words.shown(needed),)
    unmet = {one.said for one in result.differs if one.condition in claim.must_match}
    key = "conditions" if unmet else "parts"
    return text(f"claims.page.needed.{key}"), reasons


def _glossary(view: RunView, text: Text) -> Iterator[Line]:
    """Yield the words and metrics of the page, each once."""
    for term in _TERMS:
        yield Line(text(f"term.{term}"), text(f"term.{term}.help"))
    tested = (one.metric for result in view.claims.claims for one in result.results)
    for metric in dict.fromkeys(tested):
        if about := words.metric_help(text, metric):
            yield Line(words.metric_label(text, metric), about)
