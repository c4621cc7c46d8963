"""Text and tables on slides: one font for Latin letters, behind it one for Japanese.

PowerPoint takes Japanese from the font that the XML names for East Asian letters; python-pptx has
no call for it, so it is written there.
"""

from __future__ import annotations

import math
import unicodedata
from itertools import accumulate
from typing import Any, Final

from reports.document import Entry, Row, Table
from reports.model import Mark

LATIN: Final = "Segoe UI"
EAST_ASIAN: Final = "Yu Gothic"
"""Both come with Office; where they lack, PowerPoint takes a font of its own for each."""

INK, QUIET, PAPER, GROUND = "1B1F24", "59616B", "FFFFFF", "F1F4F7"
ALARM, GOOD, WARN = "A3261B", "0B6E4F", "8A5A00"
_LEVELS: Final = {
    "GO": GOOD, "PASS": GOOD, "CONDITIONAL": WARN, "NO_GO": ALARM, "FAIL": ALARM,
}  # fmt: skip
_GRID: Final = "{5940675A-B579-460E-94D1-54222C63F5DA}"
"""PowerPoint's own table style without colours: "No Style, Table Grid"."""

_SHORT, _BROAD = 12, 44
"""Letters up to which a column is as wide as it needs, and from which on it gets no more."""

_LETTER: Final = 0.6
"""Width of a Latin letter over its size, and some to spare: fonts differ."""

_MARGINS: Final = 0.2
"""Inches that a cell keeps free at its sides, both together."""


def emu(*inches: float) -> tuple[int, ...]:
    """Return lengths in inches in the unit of the file."""
    from pptx.util import Inches

    return tuple(int(Inches(one)) for one in inches)


def say(
    frame: Any, said: str, size: float, colour: str, *, bold: bool = False, before: float = 0
) -> None:
    """Add a paragraph to a text frame; `size` in points, `before` the points of room above it."""
    from pptx.util import Pt

    first = frame.paragraphs[0]
    paragraph = first if not first.runs else frame.add_paragraph()
    if before and paragraph is not first:
        paragraph.space_before = Pt(before)
    add_run(paragraph, said, size, colour, bold=bold)


def add_run(paragraph: Any, said: str, size: float, colour: str, *, bold: bool = False) -> None:
    """Add words to a paragraph."""
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    run = paragraph.add_run()
    run.text = said
    run.font.size, run.font.bold, run.font.name = Pt(size), bold, LATIN
    run.font.color.rgb = RGBColor.from_string(colour)
    name_east_asian(run.font._element)  # noqa: SLF001  # the library has no call for this font


def name_east_asian(properties: Any) -> None:
    """Name the font of East Asian letters behind that of Latin ones."""
    from pptx.oxml.ns import qn

    latin = properties.find(qn("a:latin"))
    font = properties.makeelement(qn("a:ea"), {"typeface": EAST_ASIAN})
    latin.addnext(font)


def colour_of(mark: Mark) -> str:
    """Return the colour of a light's or verdict's word."""
    return _LEVELS.get(mark.level, QUIET)


# --- tables --------------------------------------------------------------------------------------


def add_table(slide: Any, table: Table, area: tuple[float, float, float], size: float) -> None:
    """Add a table at `area`: left, top and width in inches; letters of `size` points.

    Columns share the width by what they say, and rows are as high as their lines: programs that do
    not widen rows of themselves would cut them.
    """
    left, top, width = area
    widths = _widths(table, width, size)
    head = Row(tuple(Entry(word) for word in table.head))
    heights = [_height(row, widths, size) for row in (head, *table.rows)]
    frame = slide.shapes.add_table(len(heights), len(widths), *emu(left, top, width, sum(heights)))
    properties = frame._element.graphic.graphicData.tbl.tblPr  # noqa: SLF001  # no call for styles
    properties.find(f"{{{properties.nsmap['a']}}}tableStyleId").text = _GRID
    properties.set("bandRow", "0")
    for column, inches in zip(frame.table.columns, widths, strict=True):
        (column.width,) = emu(inches)
    for row, inches in zip(frame.table.rows, heights, strict=True):
        (row.height,) = emu(inches)
    for place, row in enumerate((head, *table.rows)):
        ground = INK if place == 0 else GROUND if row.chosen else PAPER
        for column, one in enumerate(row.entries):
            cell = frame.table.cell(place, column)
            _write(cell, one, size, ink=PAPER if place == 0 else INK, ground=ground)


def _write(cell: Any, entry: Entry, size: float, *, ink: str, ground: str) -> None:
    from pptx.dml.color import RGBColor

    cell.fill.solid()
    cell.fill.fore_color.rgb = RGBColor.from_string(ground)
    cell.text_frame.word_wrap = True
    for margin in ("margin_top", "margin_bottom"):
        setattr(cell, margin, 20_000)
    colour = _LEVELS.get(entry.level, ink)
    say(cell.text_frame, entry.said, size, colour, bold=bool(entry.level))
    for line in entry.small:
        say(cell.text_frame, line, size - 2, QUIET)


def rows_within(table: Table, width: float, size: float, high: float) -> int:
    """Return how many rows, below the head, `high` inches surely have room for; at least one."""
    widths = _widths(table, width, size)
    left = high - _height(Row(tuple(map(Entry, table.head))), widths, size)
    bottoms = accumulate(_height(row, widths, size) for row in table.rows)
    return max(1, sum(bottom <= left for bottom in bottoms))


def _widths(table: Table, width: float, size: float) -> list[float]:
    """Return the widths of columns: short words take what they need, sentences share the rest."""
    if table.shares:
        return [share * width for share in table.shares]
    rows = (map(len_shown, table.head), *(map(_longest, row.entries) for row in table.rows))
    said = [max(column) for column in zip(*rows, strict=True)]
    wanted = [(min(one, _BROAD) + 1) * size * _LETTER / 72 + _MARGINS for one in said]
    kept = sum(inches for inches, one in zip(wanted, said, strict=True) if one <= _SHORT)
    shared = sum(wanted) - kept
    if not shared:
        return [inches * width / kept for inches in wanted]
    return [
        inches if one <= _SHORT else inches * (width - kept) / shared
        for inches, one in zip(wanted, said, strict=True)
    ]


def _longest(entry: Entry) -> int:
    """Return the letters of its longest line; bold ones are wider."""
    bold = 1.25 if entry.level else 1.0
    return max(math.ceil(bold * len_shown(entry.said)), *map(len_shown, ("", *entry.small)))


def _height(row: Row, widths: list[float], size: float) -> float:
    tallest = max(
        sum(
            _lines(line, inches, points) * points
            for line, points in ((entry.said, size), *((one, size - 2) for one in entry.small))
        )
        for entry, inches in zip(row.entries, widths, strict=True)
    )
    return tallest * 1.3 / 72 + 0.08


def _lines(said: str, inches: float, points: float) -> int:
    """Return how many lines a text takes at most."""
    room = max(1.0, (inches - _MARGINS) * 72 / (points * _LETTER))
    return max(1, math.ceil(len_shown(said) / room))


def len_shown(said: str) -> int:
    """Return how wide a text is, in Latin letters.

    >>> len_shown("AB"), len_shown("判定")
    (2, 4)
    """
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in said)
