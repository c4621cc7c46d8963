"""The report as a workbook: every table as it is read, and the cost model as live formulas.

Words are written as strings whatever they begin with: nothing foreign becomes a formula or a link.
The only formulas are those of `reports.export.cost_sheet`.
"""

from __future__ import annotations

import io
import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from poc.errors import InputError
from reports import text as words
from reports.content import make_content
from reports.document import (
    Block,
    Bullets,
    Entry,
    Heading,
    Paragraph,
    Picture,
    Section,
    Table,
    Terms,
    board_sections,
    evidence_sections,
)
from reports.export import cost_sheet
from reports.export.files import publish
from reports.load import RunView, load_run
from reports.model import Content
from reports.text import Language, Text, load_text
from reports.tidy import estimates_table

FILE_NAME: Final = "report.xlsx"
FONT: Final = "Yu Gothic"
"""Comes with Office for Windows and Mac; others replace it by their own Japanese font."""

_LEVELS: Final = {
    "GO": "#0b6e4f", "PASS": "#0b6e4f", "CONDITIONAL": "#8a5a00", "NO_GO": "#a3261b",
    "FAIL": "#a3261b",
}  # fmt: skip
_LONGEST: Final = 32_000
"""Letters that a cell of a workbook may hold, less a margin."""

_NAME_TAKES: Final = 31
_LONG_AGO: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # the file format knows no zones


def write_xlsx(run: Path, out: Path | None, *, language: Language = "ja") -> Path:
    """Write the report of a run folder as a workbook and return its path.

    Raises:
        RunNotShownError: the run cannot be read or has no decision yet.
        InputError: XlsxWriter is not installed.
    """
    text = load_text(language)
    return publish(out or run / FILE_NAME, render(load_run(run), text))


def render(view: RunView, text: Text) -> bytes:
    """Return the report as a workbook; the same run gives the same bytes."""
    try:
        from xlsxwriter import Workbook
    except ImportError as error:
        raise InputError(
            "XLSX needs XlsxWriter. Install it: pip install 'animatelcm-poc[documents]'"
        ) from error
    buffer = io.BytesIO()
    with Workbook(buffer, {"in_memory": True, **_PLAIN}) as book:
        book.set_properties({"title": view.name, "created": _created(view)})
        content = make_content(view, text)
        sheets = _Sheets(book, text, content)
        sheets.board(board_sections(content, text))
        if view.money is not None and view.money.inputs is not None:
            cost_sheet.write(book, view.money, text, content.watermark)
        for section in evidence_sections(content, text):
            sheets.section(section)
        sheets.estimates(view)
    return buffer.getvalue()


_PLAIN: Final = {
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd",
}


def _created(view: RunView) -> datetime:
    try:
        return datetime.fromisoformat(str(view.manifest.get("created"))).replace(tzinfo=None)
    except ValueError:
        return _LONG_AGO


def sheet_name(title: str, taken: set[str]) -> str:
    r"""Return a title as the name of a sheet: short, and without the signs that it may not have.

    >>> sheet_name("a/b: [c]", {"a b c"})
    'a b c 2'
    """
    bare = " ".join(re.sub(r"[\[\]:*?/\\']", " ", title).split())
    name, count = bare[:_NAME_TAKES], 1
    while name.casefold() in taken:
        count += 1
        name = f"{bare[: _NAME_TAKES - 3]} {count}"
    return name


class _Sheets:
    """Writes sections row by row, each on a sheet of its own or below each other."""

    def __init__(self, book: Any, text: Text, content: Content) -> None:
        self._book, self._text, self._content = book, text, content
        self._taken: set[str] = set()
        base = {"font_name": FONT, "font_size": 10, "valign": "top", "text_wrap": True}
        self._plain = book.add_format(base)
        self._title = book.add_format(base | {"font_size": 14, "bold": True, "text_wrap": False})
        self._heading = book.add_format(base | {"bold": True, "text_wrap": False})
        self._free = book.add_format(base | {"text_wrap": False})
        self._head = book.add_format(base | {"bold": True, "bg_color": "#e7ecf1", "border": 1})
        self._cell = book.add_format(base | {"border": 1})
        self._chosen = book.add_format(base | {"border": 1, "bg_color": "#f1f4f7"})
        self._alarm = book.add_format(
            base | {"bold": True, "font_color": "#a3261b", "text_wrap": False}
        )
        self._levels = {
            level: book.add_format(base | {"border": 1, "bold": True, "font_color": colour})
            for level, colour in _LEVELS.items()
        }

    def board(self, sections: tuple[Section, ...]) -> None:
        sheet = self._sheet(self._content.title)
        row = self._say(sheet, 1, self._content.question, self._free)
        for warning in (self._content.banner, *self._content.warnings):
            row = self._say(sheet, row, warning, self._alarm) if warning else row
        for section in sections:
            row = self._say(sheet, row + 1, section.title, self._heading)
            row = self._blocks(sheet, row, section)

    def section(self, section: Section) -> None:
        self._blocks(self._sheet(section.title), 2, section)

    def estimates(self, view: RunView) -> None:
        """Write every estimate as numbers, to sort and to chart."""
        table = estimates_table(view)
        sheet = self._sheet(self._text("section.estimates"))
        for column, name in enumerate(table.columns):
            sheet.write_string(2, column, str(name), self._head)
        for row, values in enumerate(table.itertuples(index=False), start=3):
            for column, value in enumerate(values):
                self._value(sheet, row, column, value)
        sheet.freeze_panes(3, 1)
        sheet.autofilter(2, 0, 2 + len(table), max(0, len(table.columns) - 1))

    def _value(self, sheet: Any, row: int, column: int, value: Any) -> None:
        if isinstance(value, bool | str):
            sheet.write_string(row, column, words.shown(str(value), _LONGEST), self._free)
        elif value is not None and value == value:  # noqa: PLR0124  # pandas has NaN for None
            sheet.write_number(row, column, value, self._free)

    def _sheet(self, title: str) -> Any:
        name = sheet_name(title, self._taken)
        self._taken.add(name.casefold())
        sheet = self._book.add_worksheet(name)
        sheet.set_column(0, 0, 42)
        sheet.set_column(1, 12, 26)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.write_string(0, 0, _cut(title), self._title)
        if self._content.watermark:
            sheet.write_string(0, 3, self._content.watermark, self._alarm)
            sheet.set_header(f'&C&"{FONT}"{self._content.watermark}')
        return sheet

    def _say(self, sheet: Any, row: int, said: str, form: Any) -> int:
        sheet.write_string(row, 0, _cut(said), form)
        return row + 1

    def _blocks(self, sheet: Any, row: int, section: Section) -> int:
        for block in section.blocks:
            row = self._block(sheet, row, block)
        return row

    def _block(self, sheet: Any, row: int, block: Block) -> int:
        match block:
            case Paragraph(said, tone):
                return self._say(
                    sheet, row, said, self._heading if tone == "strong" else self._free
                )
            case Heading(said):
                return self._say(sheet, row + 1, said, self._heading)
            case Bullets(items):
                for one in items:
                    row = self._say(sheet, row, f"・{one}", self._free)
                return row
            case Terms(lines):
                for line in lines:
                    sheet.write_string(row, 0, _cut(line.term), self._plain)
                    sheet.write_string(row, 1, _cut(line.said), self._free)
                    row += 1
                return row
            case Picture(_, about):
                return self._say(sheet, row, about, self._free)
            case Table():
                return self._table(sheet, row, block)

    def _table(self, sheet: Any, row: int, table: Table) -> int:
        for column, word in enumerate(table.head):
            sheet.write_string(row, column, _cut(word), self._head)
        for line in table.rows:
            row += 1
            plain = self._chosen if line.chosen else self._cell
            for column, entry in enumerate(line.entries):
                form = self._levels.get(entry.level, plain)
                sheet.write_string(row, column, _cut(_lines(entry)), form)
        return row + 2


def _lines(entry: Entry) -> str:
    return "\n".join(filter(None, (entry.said, *entry.small)))


def _cut(said: str) -> str:
    return said if len(said) <= _LONGEST else said[:_LONGEST] + "…"
