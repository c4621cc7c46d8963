"""A `Content` as titled sections of paragraphs, lists and tables: what every document prints.

Order and wording are those of the HTML report. PDF, Markdown, XLSX and slides differ in how a
section looks, never in what it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from reports.model import Cell, ClaimNumber, Content, Line, Mark, RightsPage
from reports.text import Text

Tone = Literal["plain", "about", "strong", "warning"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One place of a table: what it says, what stands small below it, the colour of its word."""

    said: str
    small: tuple[str, ...] = ()
    level: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; `chosen` ones stand out."""

    entries: tuple[Entry, ...]
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words that run on."""

    said: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Heading:
    """A title inside a section."""

    said: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """Things that stand below each other."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms and what is said of each."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the row."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    shares: tuple[float, ...] = ()
    """How the columns share the width; where empty, by what they say."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A place for a picture that the writer draws: `trade_off`, `step_curve` or `acceptance`."""

    name: str
    about: str


Block = Paragraph | Heading | Bullets | Terms | Table | Picture


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a document; `key` names it in every language."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def board_sections(content: Content, text: Text) -> tuple[Section, ...]:
    """Return what a board reads first, in the order of a request for approval."""
    return (
        _section(text, "section.conclusion", _conclusion(content, text)),
        _section(text, "section.asked", [Terms(content.request)]),
        _section(text, "section.actions", _actions(content, text)),
        _section(text, "section.numbers", _numbers(content, text)),
        _section(text, "section.worst", [Paragraph(content.worst, "about")]),
        _section(text, "section.ways", _ways(content, text)),
        _section(text, "section.rights", _rights(content.rights, text)),
        _section(text, "section.stops", _stops(content, text)),
        _section(text, "section.judges", [Terms(content.judges)]),
        _section(text, "remark.section", [Bullets(content.remarks)]),
    )


def evidence_sections(content: Content, text: Text) -> Iterator[Section]:
    """Yield what stands behind it, each part where the report has it."""
    yield _section(text, "section.criteria", _criteria(content, text))
    yield _section(text, "section.charts", _charts(content, text))
    yield _section(text, "section.arms", _arms(content, text))
    if content.contrasts:
        yield _section(text, "section.contrasts", _contrasts(content, text))
    if content.slices:
        yield _section(text, "section.slices", _slices(content, text))
    yield _section(text, "section.claims", _claims(content, text))
    yield _section(text, "section.people", _people(content, text))
    if content.money:
        yield _section(text, "section.money", _money(content, text))
    known: list[Block] = [
        Terms(content.method),
        Heading(text("document.known")),
        Terms(content.basis),
    ]
    yield _section(text, "section.method", known)
    yield _section(text, "section.missing", _missing(content, text))
    yield _section(text, "section.glossary", [Terms(content.glossary)])
    yield _section(text, "section.provenance", [Terms(content.provenance)])


def _section(text: Text, key: str, blocks: Iterable[Block]) -> Section:
    return Section(key, text(key), tuple(blocks))


def entry(cell: Cell) -> Entry:
    """Return a value with its interval and n below it, or why there is none."""
    small = (cell.interval, cell.n, cell.reason, *cell.notes)
    return Entry(cell.value, tuple(one for one in small if one))


def marked(mark: Mark | None, text: Text, *small: str) -> Entry:
    """Return a light or verdict; a dash where nothing was judged."""
    if mark is None:
        return Entry(text("number.none"))
    return Entry(mark.word, tuple(one for one in small if one), mark.level)


def first_rows(table: Table, most: int, text: Text) -> Table:
    """Return a table with as many rows as there is room for, and how many more there are."""
    if len(table.rows) <= most:
        return table
    more = Entry(text("document.more", n=len(table.rows) - most))
    rest = Row((more, *[Entry("")] * (len(table.head) - 1)))
    return replace(table, rows=(*table.rows[:most], rest))


# --- first page ----------------------------------------------------------------------------------


def _conclusion(content: Content, text: Text) -> Iterator[Block]:
    yield Paragraph(content.subject, "about")
    yield Paragraph(content.mark.word, "strong")
    yield Paragraph(content.headline, "strong")
    yield Paragraph(content.sureness)
    rows = tuple(
        Row((Entry(light.title, (light.question,)), marked(light.mark, text)))
        for light in content.lights
    )
    yield Table((text("column.question"), text("column.verdict")), rows)
    if content.reasons:
        yield Heading(text("section.reasons"))
        yield Bullets(content.reasons)


def actions_table(content: Content, text: Text) -> Table:
    """Return what is to be done, by whom, by when, and what it can change; the next step first."""
    head = tuple(text(f"column.action.{name}") for name in ("what", "who", "due", "effect"))
    return Table(
        head,
        tuple(
            Row(
                (
                    Entry(row.what, (text("action.next"),) if row.is_next else ()),
                    Entry(row.who),
                    Entry(row.due),
                    Entry(row.effect),
                ),
                chosen=row.is_next,
            )
            for row in content.actions
        ),
        shares=(0.5, 0.2, 0.1, 0.2),
    )


def _actions(content: Content, text: Text) -> Iterator[Block]:
    if content.actions:
        yield actions_table(content, text)
    if content.actions_note:
        yield Paragraph(content.actions_note)


def _numbers(content: Content, text: Text) -> Iterator[Block]:
    yield Paragraph(text("section.numbers.about", arm=content.focus, level=content.level), "about")
    rows = tuple(
        Row((Entry(k.label), entry(k.cell), Entry("", tuple(filter(None, (*k.lines, k.help))))))
        for k in content.numbers
    )
    yield Table((text("column.metric"), text("column.value"), text("column.said")), rows)


def ways_table(content: Content, text: Text) -> Table:
    """Return what else could be done, ours first."""
    head = tuple(text(f"column.{name}") for name in ("way", "cost", "saving", "days"))
    rows = tuple(
        Row(
            (
                Entry(row.name, (row.mark,) if row.mark else ()),
                Entry(row.cost),
                Entry(row.saving),
                Entry(row.days),
            ),
            chosen=place == 0,
        )
        for place, row in enumerate(content.ways.rows)
    )
    return Table(head, rows)


def _ways(content: Content, text: Text) -> Iterator[Block]:
    yield Paragraph(content.ways.about, "about")
    if content.ways.rows:
        yield ways_table(content, text)
    yield from (Paragraph(note, "about") for note in content.ways.notes)


def _rights(page: RightsPage, text: Text) -> Iterator[Block]:
    colon, comma = text("punctuation.colon"), text("list.comma")
    yield Paragraph(f"{page.mark.word} {page.last_day}".strip(), "strong")
    if page.whose:
        yield Paragraph(text("rights.whose") + colon + comma.join(page.whose), "about")
    yield Paragraph(page.said)
    if page.how:
        yield Paragraph(page.how, "about")
        return
    if page.reasons:
        yield Bullets(page.reasons)
    yield from _parts(page, text)
    if page.cleared:
        yield Paragraph(text("rights.cleared") + colon + comma.join(page.cleared), "about")
    if page.missing:
        yield Paragraph(text("rights.missing") + colon + comma.join(page.missing))
    if page.open:
        yield Heading(text("rights.open"))
        yield Terms(page.open)
    yield Paragraph(text("rights.advice"), "about")


def _parts(page: RightsPage, text: Text) -> Iterator[Block]:
    if not page.parts:
        yield Paragraph(text("rights.all_cleared"))
        return
    head = tuple(text(f"column.{name}") for name in ("part", "judgement", "reason", "way_out"))
    rows = tuple(
        Row(
            (
                Entry(part.name, (part.licence,)),
                marked(part.mark, text),
                Entry("\n".join(part.reasons)),
                Entry("\n".join(filter(None, (part.waived, *part.ways_out)))),
            )
        )
        for part in page.parts
    )
    yield Heading(text("rights.parts"))
    yield Table(head, rows)
    if page.instead:
        yield Paragraph(page.instead)


def _stops(content: Content, text: Text) -> Iterator[Block]:
    yield Terms(content.stops) if content.stops else Paragraph(text("section.stops.none"))


# --- evidence ------------------------------------------------------------------------------------


def _criteria(content: Content, text: Text) -> Iterator[Block]:
    yield Paragraph(text("document.criteria.about", arm=content.focus), "about")
    yield Paragraph(content.rule, "about")
    head = (
        text("column.criterion"), text("column.weight"), text("column.target"),
        text("column.minimum"), text("column.result", level=content.level),
        text("column.attainment"), text("column.verdict"),
    )  # fmt: skip
    rows = tuple(
        Row(
            (
                Entry(row.label, tuple(filter(None, (row.name,)))),
                Entry(row.weight),
                Entry(row.target),
                Entry(row.minimum),
                entry(row.cell),
                Entry(
                    text("column.attainment.target", share=row.target_share),
                    (text("column.attainment.minimum", share=row.minimum_share),),
                ),
                marked(row.mark, text, row.reason),
            )
        )
        for row in content.criteria
    )
    yield Table(head, rows)
    yield Heading(text("column.why"))
    yield Terms(tuple(Line(row.label, row.why) for row in content.criteria))


def _charts(content: Content, text: Text) -> Iterator[Block]:
    for name in ("trade_off", "step_curve"):
        yield Heading(text(f"section.{name}"))
        yield Picture(name, text(f"section.{name}.about", level=content.level))


def _arms(content: Content, text: Text) -> Iterator[Block]:
    yield Paragraph(text("section.arms.about", level=content.level), "about")
    columns = (column.term for column in content.arm_columns)
    names = ("arm", "light", "nfe", "clips")
    rows = tuple(
        Row(
            (
                Entry(row.name, tuple(filter(None, (row.spec_name, row.role)))),
                marked(row.mark, text),
                Entry(row.nfe),
                Entry(row.counts, (row.lost,) if row.lost else ()),
                *(entry(one) for one in row.cells),
            ),
            row.marked,
        )
        for row in content.arms
    )
    yield Table((*(text(f"column.{name}") for name in names), *columns), rows)
    yield Heading(text("section.verdicts"))
    judged = tuple(
        Row((Entry(row.name), *(marked(one, text) for one in row.verdicts)), row.marked)
        for row in content.arms
        if row.mark
    )
    heads = (f"{column.term} {column.said}" for column in content.criterion_columns)
    yield Table((text("column.arm"), *heads), judged)


def _contrasts(content: Content, text: Text) -> Iterator[Block]:
    about = text("section.contrasts.about", level=content.level, n=content.compared)
    yield Paragraph(about, "about")
    head = (text("column.metric"), text("column.difference"), text("column.standing"))
    for one in content.contrasts:
        yield Heading(one.pair)
        yield Paragraph(one.question, "about")
        yield Table(
            head,
            tuple(
                Row((Entry(row.label), entry(row.cell), Entry(row.standing))) for row in one.rows
            ),
        )


def _slices(content: Content, text: Text) -> Iterator[Block]:
    yield Paragraph(text("section.slices.about", level=content.level), "about")
    for one in content.slices:
        yield Heading(one.title)
        rows = tuple(
            Row((Entry(row.name), *(entry(found) for found in row.cells)), row.marked)
            for row in one.rows
        )
        yield Table((text("column.arm"), *one.columns), rows)


def _claims(content: Content, text: Text) -> Iterator[Block]:
    yield Paragraph(text("section.claims.about", level=content.level), "about")
    if content.claims_note:
        yield Paragraph(content.claims_note, "strong")
    names = ("claim", "published", "ours", "outcome", "differs")
    rows = tuple(
        Row(
            (
                Entry(row.label, (row.source,)),
                Entry("\n".join(row.published)),
                Entry("\n".join(_ours(text, (*row.numbers, *row.beside))) or text("number.none")),
                marked(row.mark, text, *row.reasons),
                Entry("\n".join(row.differs) or text("number.none")),
            )
        )
        for row in content.claims
    )
    yield Table(tuple(text(f"column.{name}") for name in names), rows)
    if content.splits:
        yield from _splits(content, text)


def _ours(text: Text, numbers: tuple[ClaimNumber, ...]) -> Iterator[str]:
    for one in numbers:
        said = one.cell.reason or " · ".join(filter(None, (one.cell.interval, one.cell.n)))
        asked = text("claim.asked", asked=one.asked) if one.asked else ""
        yield " · ".join(filter(None, (one.cell.value, said, one.label, one.arm, asked)))


def _splits(content: Content, text: Text) -> Iterator[Block]:
    yield Heading(text("section.splits"))
    yield Paragraph(text("section.splits.about", level=content.level), "about")
    names = ("denoise", "steps", "guidance", "rest", "whole", "rest")
    rows = tuple(
        Row(
            (
                Entry(row.name),
                entry(row.denoise),
                Entry(row.steps),
                Entry(row.guidance),
                entry(row.denoise_rest),
                entry(row.whole),
                entry(row.whole_rest),
            )
        )
        for row in content.splits
    )
    yield Table((text("column.arm"), *(text(f"column.split.{name}") for name in names)), rows)


def _people(content: Content, text: Text) -> Iterator[Block]:
    if content.people or content.clips:
        yield Paragraph(text("section.people.about", level=content.level), "about")
    else:
        yield Paragraph(content.judges[0].said)
    names = ("question", "counts", "not_worse", "preferred", "alpha", "same")
    for one in content.people:
        yield Heading(one.pair)
        yield Paragraph(one.said)
        yield Paragraph(one.who, "about")
        if one.caution:
            yield Paragraph(one.caution, "about")
        rows = tuple(
            Row(
                (
                    Entry(row.question),
                    Entry(row.counts),
                    entry(row.not_worse),
                    entry(row.preferred),
                    Entry(row.alpha),
                    Entry(row.same),
                )
            )
            for row in one.rows
        )
        yield Table(tuple(text(f"column.{name}") for name in names), rows)
        if one.needed:
            yield Paragraph(one.needed, "about")
    yield Heading(text("section.acceptance"))
    yield from map(Paragraph, content.no_clips)
    if not content.no_clips:
        yield Picture("acceptance", text("section.acceptance.about", level=content.level))
    for judged in content.clips:
        yield Heading(judged.title)
        yield Paragraph(judged.said)
        if judged.caution:
            yield Paragraph(judged.caution, "about")
        yield Terms(judged.lines)
        if judged.needed:
            yield Paragraph(judged.needed, "about")
    if not content.raters:
        return
    yield Heading(text("people.raters"))
    heads = ("rater", "votes", "catches", "standing.rater")
    raters = tuple(
        Row((Entry(r.name), Entry(r.votes), Entry(r.catches), Entry(r.standing)))
        for r in content.raters
    )
    yield Table(tuple(text(f"column.{name}") for name in heads), raters)


def _money(content: Content, text: Text) -> Iterator[Block]:
    found = content.money
    if found is None:
        return
    yield Paragraph(found.about, "about")
    yield Heading(text("section.money.parts"))
    yield Terms(found.parts)
    yield Heading(text("section.money.returns"))
    yield Terms(found.returns)
    yield Heading(text("section.money.swings"))
    yield Paragraph(text("section.money.swings.about"), "about")
    head = tuple(
        text(f"column.{name}") for name in ("input", "ends", "cost_at_low", "cost_at_high")
    )
    rows = tuple(
        Row(
            (
                Entry(one.name),
                Entry(f"{one.low} – {one.high}"),
                Entry(one.cost_at_low),
                Entry(one.cost_at_high),
            )
        )
        for one in found.swings
    )
    yield Table(head, rows)
    if found.rollout:
        yield Heading(text("section.money.rollout"))
        yield Terms(found.rollout)


def _missing(content: Content, text: Text) -> Iterator[Block]:
    if not content.missing and not content.lost:
        yield Paragraph(text("section.missing.none"))
    if content.missing:
        yield Heading(text("section.missing.cells"))
        yield Terms(content.missing)
    if content.lost:
        yield Heading(text("section.missing.clips"))
        yield Terms(content.lost)
