"""The report as PDF: one page for the board, then the evidence.

Typst sets it. All words reach it as data, never as markup; the font is the package's and embedded;
the time in the file is the run's, so the same run gives the same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from poc.errors import InputError
from reports import charts
from reports import text as words
from reports.charts import Subject, Theme
from reports.content import make_content
from reports.document import (
    Entry,
    Row,
    Table,
    actions_table,
    board_sections,
    evidence_sections,
    first_rows,
    marked,
    ways_table,
)
from reports.export.files import publish
from reports.export.letters import FAMILY, Letters, font_folder
from reports.export.stills import StillColumn, still_columns, stills_about
from reports.load import RunView, load_run
from reports.model import Content, KeyNumber, Line
from reports.text import Language, Text, load_text
from reports.tidy import acceptance_table, points_table

FILE_NAME: Final = "report.pdf"
_MOST: Final = {"reasons": 3, "stops": 9, "actions": 8, "criteria": 10}
"""Lines of each part that the first page holds; the rest stand on the pages after it."""

_PROMPT: Final = 90
"""Letters of a prompt over its stills."""

_WIDE: Final = Theme("#1b1f24", 620, 240, fonts=FAMILY)
_SMALL: Final = Theme("#1b1f24", 360, 190, legend_columns=2, fonts=FAMILY)


def write_pdf(run: Path, out: Path | None, *, language: Language = "ja") -> Path:
    """Write the report of a run folder as PDF and return its path.

    Raises:
        RunNotShownError: the run cannot be read or has no decision yet.
        InputError: the packages for documents are not installed.
    """
    target = out or run / FILE_NAME
    return publish(target, render(load_run(run), load_text(language)))


def render(view: RunView, text: Text) -> bytes:
    """Return the report as PDF; the same run gives the same bytes."""
    content, letters = make_content(view, text), Letters()
    columns = still_columns(view, text)
    pictures = dict(_pictures(view, text, content, columns))
    data = letters.fitted(_data(view, text, content, columns))
    data["pictures"] = sorted(pictures)
    data["glyphs"] = glyphs_note(text, letters)
    return typeset("report.typ", data, pictures, made=str(view.manifest.get("created", "")))


def typeset(template: str, data: Any, pictures: dict[str, bytes], *, made: str) -> bytes:
    """Return a packaged Typst template, filled; `made`: the time that the file carries.

    Raises:
        InputError: Typst is not installed, or had something to say: a font or picture that lacks.
    """
    try:
        import typst
    except ImportError as error:
        raise InputError(
            "PDF needs typst. Install it: pip install 'animatelcm-poc[documents]'"
        ) from error
    templates = files("reports").joinpath("templates")
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font_folder())]
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, picture in pictures.items():
            (Path(folder) / name).write_bytes(picture)
        (Path(folder) / "data.json").write_text(json.dumps(data, ensure_ascii=False), "utf-8")
        for name in ("parts.typ", template):
            (Path(folder) / name).write_bytes(templates.joinpath(name).read_bytes())
        compiler = typst.Compiler(str(Path(folder) / template), root=folder, font_paths=fonts)
        made_pdf, warnings = compiler.compile_with_warnings(format="pdf", timestamp=_seconds(made))
    if warnings or not isinstance(made_pdf, bytes):
        raise InputError(f"{template}: {'; '.join(one.message for one in warnings)}")
    return made_pdf


def _seconds(made: str) -> int:
    try:
        return int(datetime.fromisoformat(made).timestamp())
    except ValueError:
        return 0


def glyphs_note(text: Text, letters: Letters) -> str:
    """Return which letters the font lacks and how they are shown; empty where it has all."""
    if not letters.replaced:
        return ""
    return text("document.glyphs", codes=" ".join(letters.replaced.values()))


# --- what is shown -------------------------------------------------------------------------------


def _data(
    view: RunView, text: Text, content: Content, columns: Sequence[StillColumn]
) -> dict[str, Any]:
    return {
        "language": text.language,
        "title": content.title,
        "question": content.question,
        "banner": content.banner,
        "watermark": content.watermark,
        "evidence_title": text("document.evidence"),
        "board": _board(view, text, content, columns),
        "sections": [*board_sections(content, text), *evidence_sections(content, text)],
    }


def _board(
    view: RunView, text: Text, content: Content, columns: Sequence[StillColumn]
) -> dict[str, Any]:
    """Return the first page: what a board reads in the order of a request for approval."""
    return {
        "subject": content.subject,
        "mark": content.mark,
        "headline": content.headline,
        "sureness": content.sureness,
        "warnings": content.warnings,
        "lights": content.lights,
        "reasons": _part(content.reasons, "reasons", text),
        "request_title": text("section.asked"),
        "request": content.request,
        "numbers": [_tile(one) for one in content.numbers],
        "actions_title": text("section.actions"),
        "actions": first_rows(actions_table(content, text), _MOST["actions"], text),
        "actions_note": content.actions_note,
        "scorecard_title": text("document.scorecard", arm=content.focus, level=content.level),
        "scorecard": _scorecard(content, text),
        "rule": content.rule,
        "trade_off_title": text("section.trade_off"),
        "stills_title": stills_about(view, text),
        "stills": [
            {
                "rank": column.rank,
                "prompt": words.shown(column.prompt, _PROMPT),
                "rows": [
                    {"picture": _still_name(i, j) if still.picture else "", "word": still.word}
                    for j, still in enumerate(column.stills)
                ],
            }
            for i, column in enumerate(columns)
        ],
        "ways_title": text("section.ways"),
        "ways": ways_table(content, text),
        "ways_notes": [content.ways.about, *content.ways.notes],
        "rights_title": text("document.risks"),
        "rights_mark": content.rights.mark,
        "rights": [content.rights.last_day, content.rights.said],
        "stops_title": text("section.stops"),
        "stops": _part(content.stops, "stops", text) or [Line(text("section.stops.none"), "")],
        "known_title": text("document.known"),
        "known": [*content.basis, content.judges[0]],
    }


def _tile(number: KeyNumber) -> dict[str, Any]:
    """Return a number at the top; how to get one that is missing stands under what is missing."""
    lines = number.lines[1:] if number.cell.reason else number.lines[:3]
    return {"label": number.label, "cell": number.cell, "lines": lines}


def _scorecard(content: Content, text: Text) -> Table:
    head = (
        text("column.criterion"), text("column.weight"), text("column.target"),
        text("column.minimum"), text("column.value"), text("column.interval"),
        text("column.verdict"),
    )  # fmt: skip
    rows = [
        Row(
            (
                Entry(row.label),
                Entry(row.weight),
                Entry(row.target),
                Entry(row.minimum),
                Entry(row.cell.value),
                Entry(" ".join(filter(None, (row.cell.interval, row.cell.n)))),
                marked(row.mark, text),
            )
        )
        for row in content.criteria
    ]
    return first_rows(Table(head, tuple(rows)), _MOST["criteria"], text)


def _part(items: tuple[Any, ...], name: str, text: Text) -> list[Any]:
    """Return as many as the first page holds, and how many more there are."""
    most = _MOST[name]
    if len(items) <= most:
        return list(items)
    more = text("document.more", n=len(items) - most)
    return [*items[:most], more if isinstance(items[0], str) else Line(more, "")]


# --- pictures ------------------------------------------------------------------------------------


def _pictures(
    view: RunView, text: Text, content: Content, columns: Sequence[StillColumn]
) -> Iterator[tuple[str, bytes]]:
    metric = view.estimates.quality_metric
    points = points_table(view, text, metric)
    subject = Subject(text, metric, view.demonstration, content.level)
    charts.use_fonts(font_folder())
    if len(points):
        for name, draw, theme in (
            ("board.svg", charts.trade_off, _SMALL),
            ("trade_off.svg", charts.trade_off, _WIDE),
            ("step_curve.svg", charts.step_curve, _WIDE),
        ):
            yield name, charts.to_svg(draw(points, subject, theme), name[:-4]).encode()
    if not content.no_clips:
        drawn = charts.acceptance(acceptance_table(view, text), subject, _WIDE)
        yield "acceptance.svg", charts.to_svg(drawn, "acceptance").encode()
    for i, column in enumerate(columns):
        for j, still in enumerate(column.stills):
            if still.picture:
                yield _still_name(i, j), still.picture


def _still_name(column: int, row: int) -> str:
    return f"still-{column}-{row}.png"
