"""The published claims as a page for a reader who knows them from a newspaper only.

One run tells them, and others those of which it has no number: what an ablation is made for.
Strings ready to show, and what each picture holds. Formats; computes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from poc.claims import ClaimResult, ClaimStatus, TestResult
from reports import evidence
from reports import text as words
from reports.claim_pictures import Picture, picture
from reports.content import make_content
from reports.load import RunView
from reports.model import ClaimNumber, ClaimRow, Content, Line
from reports.text import Text

_TERMS: Final = ("baseline", "steps", "nfe", "prompt", "interval", "n")
_PROVENANCE: Final = 5
"""Lines of provenance before those on machine and packages."""


@dataclass(frozen=True, slots=True)
class Section:
    """One claim: what is said, what came out and why, what it would take, what is shown."""

    anchor: str
    row: ClaimRow
    elsewhere: str
    """That it is told by another run than the page's, and by which; empty where it is not."""
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


class _Told(NamedTuple):
    """A claim as one run tells it."""

    view: RunView
    content: Content
    result: ClaimResult
    row: ClaimRow


def make_page(views: Sequence[RunView], text: Text) -> ClaimsPage:
    """Put the claims of the first run into words and choose their pictures.

    A claim of which that run has no number at all is told by the next run that has one.
    """
    contents = [make_content(view, text) for view in views]
    every = [tuple(_rows(*run)) for run in zip(views, contents, strict=True)]
    told = [_teller(rows) for rows in zip(*every, strict=True)]
    first, content = views[0], contents[0]
    others = {id(one.view): one for one in told if one.view is not first}
    return ClaimsPage(
        text=text,
        tiny=text("claims.page.tiny") if first.demonstration else "",
        warnings=(*content.warnings, *_other_warnings(others.values(), text)),
        intro=_intro(told, text),
        level=content.level,
        outcomes=tuple(
            Line(text(f"claim.{status}"), text(f"claims.page.means.{status}"))
            for status in ClaimStatus
        ),
        sections=tuple(_section(one, text, elsewhere=one.view is not first) for one in told),
        glossary=tuple(_glossary(told, text)),
        method=content.method,
        provenance=tuple(
            line
            for view in (first, *(one.view for one in others.values()))
            for line in _provenance(view, text)
        ),
    )


def _rows(view: RunView, content: Content) -> Iterator[_Told]:
    for result, row in zip(view.claims.claims, content.claims, strict=True):
        yield _Told(view, content, result, row)


def _teller(rows: Sequence[_Told]) -> _Told:
    """Return the first run's row of a claim that has a number; where none has, the first run's."""
    return next(
        (row for row in rows if any(_is_measured(one) for one in row.result.results)), rows[0]
    )


def _is_measured(one: TestResult) -> bool:
    return one.figure.value is not None


def _other_warnings(told: Iterable[_Told], text: Text) -> Iterator[str]:
    for one in told:
        name = words.shown(one.view.plan.spec.name)
        for warning in one.content.warnings:
            yield f"{name}{text('punctuation.colon')}{warning}"


def _provenance(view: RunView, text: Text) -> Iterator[Line]:
    yield Line(text("comparisons.spec"), words.shown(view.plan.spec.name))
    yield from islice(evidence.provenance(view, text), _PROVENANCE)


def _intro(told: Sequence[_Told], text: Text) -> str:
    found = Counter(str(one.result.status) for one in told)
    counts = {str(status): found[str(status)] for status in ClaimStatus}
    return text("claims.page.intro", total=len(told), **counts)


def _section(told: _Told, text: Text, *, elsewhere: bool) -> Section:
    view, result, row = told.view, told.result, told.row
    needed, needs = _needed(text, result)
    run = {"name": words.shown(view.plan.spec.name), "question": told.content.question}
    return Section(
        anchor=result.claim.id,
        row=row,
        elsewhere=text("claims.page.elsewhere", **run) if elsewhere else "",
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
        if _is_measured(one)
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


def _glossary(told: Sequence[_Told], text: Text) -> Iterator[Line]:
    """Yield the words and metrics of the page, each once."""
    for term in _TERMS:
        yield Line(text(f"term.{term}"), text(f"term.{term}.help"))
    tested = (one.metric for claim in told for one in claim.result.results)
    for metric in dict.fromkeys(tested):
        if about := words.metric_help(text, metric):
            yield Line(words.metric_label(text, metric), about)
