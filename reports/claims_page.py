"""The published claims as a page for a reader who knows them from a newspaper only.

One run tells them, and others those that it does not ask about: what an ablation is made for.
Strings ready to show, and what each picture holds. Formats; computes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from poc.claims import ClaimResult, ClaimStatus
from poc.errors import InputError
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
    run: str
    """Name of the run that tells it, where that is another than the page's; else empty."""
    elsewhere: str
    """The same as a sentence."""
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
    runs: tuple[Made, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """How one of the runs behind the page was made, and where its numbers come from."""

    name: str
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

    A claim that its plan does not ask about is told by the one other run that does.

    Raises:
        InputError: another run tells nothing, or two of them tell the same claim.
    """
    contents = [make_content(view, text) for view in views]
    every = [tuple(_rows(*run)) for run in zip(views, contents, strict=True)]
    told = [_teller(rows) for rows in zip(*every, strict=True)]
    for view in views[1:]:
        if not any(one.view is view for one in told):
            raise InputError(
                f"{view.path}: expected a run that tells a claim which {views[0].path} does not "
                "ask about; this one tells none. Leave it out."
            )
    first, content = views[0], contents[0]
    return ClaimsPage(
        text=text,
        tiny=text("claims.page.tiny") if first.demonstration else "",
        warnings=tuple(_warnings(views, contents, text)),
        intro=_intro(told, text),
        level=content.level,
        outcomes=tuple(
            Line(text(f"claim.{status}"), text(f"claims.page.means.{status}"))
            for status in ClaimStatus
        ),
        sections=tuple(_section(one, text, is_other=one.view is not first) for one in told),
        glossary=tuple(_glossary(told, text)),
        runs=tuple(_made(*run, text) for run in zip(views, contents, strict=True)),
    )


def _rows(view: RunView, content: Content) -> Iterator[_Told]:
    for result, row in zip(view.claims.claims, content.claims, strict=True):
        yield _Told(view, content, result, row)


def _teller(rows: Sequence[_Told]) -> _Told:
    """Return the first run's row of a claim; another's only where the first does not ask.

    A number that the first run asks for and lacks stays lacking: no other run may hide that.
    """
    others = [row for row in rows[1:] if row.result.is_asked]
    if rows[0].result.is_asked or not others:
        return rows[0]
    if len(others) > 1:
        paths = ", ".join(str(row.view.path) for row in others)
        raise InputError(
            f"{paths}: expected one run that tells '{rows[0].result.claim.id}', got {len(others)}. "
            "Name one of them: a page that chose between them could choose the better one."
        )
    return others[0]


def _name(view: RunView) -> str:
    return words.shown(view.plan.spec.name)


def _warnings(views: Sequence[RunView], contents: Sequence[Content], text: Text) -> Iterator[str]:
    """Yield the first run's warnings, and the others' with their names."""
    yield from contents[0].warnings
    for view, content in zip(views[1:], contents[1:], strict=True):
        for warning in content.warnings:
            yield f"{_name(view)}{text('punctuation.colon')}{warning}"


def _made(view: RunView, content: Content, text: Text) -> Made:
    provenance = tuple(islice(evidence.provenance(view, text), _PROVENANCE))
    return Made(_name(view), content.method, provenance)


def _intro(told: Sequence[_Told], text: Text) -> str:
    found = Counter(str(one.result.status) for one in told)
    counts = {str(status): found[str(status)] for status in ClaimStatus}
    return text("claims.page.intro", total=len(told), **counts)


def _section(told: _Told, text: Text, *, is_other: bool) -> Section:
    view, result, row = told.view, told.result, told.row
    needed, needs = _needed(text, result, row)
    other = {"name": _name(view), "question": told.content.question}
    return Section(
        anchor=result.claim.id,
        row=row,
        run=_name(view) if is_other else "",
        elsewhere=text("claims.page.elsewhere", **other) if is_other else "",
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


def _needed(text: Text, result: ClaimResult, row: ClaimRow) -> tuple[str, tuple[str, ...]]:
    """Return what would make a claim testable: a lead, and the things."""
    claim = result.claim
    if result.status is not ClaimStatus.NOT_TESTABLE:
        return "", ()
    if claim.needed is not None and claim.needed_ja is not None:
        needed = claim.needed_ja if text.language == "ja" else claim.needed
        return text("claims.page.needed.other"), (words.shown(needed),)
    unmet = {one.said for one in result.differs if one.condition in claim.must_match}
    key = "conditions" if unmet else "parts"
    return text(f"claims.page.needed.{key}"), row.reasons


def _glossary(told: Sequence[_Told], text: Text) -> Iterator[Line]:
    """Yield the words and metrics of the page, each once."""
    for term in _TERMS:
        yield Line(text(f"term.{term}"), text(f"term.{term}.help"))
    tested = (one.metric for claim in told for one in claim.result.results)
    for metric in dict.fromkeys(tested):
        if about := words.metric_help(text, metric):
            yield Line(words.metric_label(text, metric), about)
