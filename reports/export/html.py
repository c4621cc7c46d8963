"""The report as one HTML file: both languages, clips that move, nothing fetched, no script.

The language switch, the pause button and the moving film strips are CSS alone, so the file may
forbid all scripts and every address. All text goes through the template's escaping.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reports import charts
from reports import text as words
from reports.charts import Subject, Theme
from reports.content import make_content
from reports.export.clips import (
    Pictures,
    SheetText,
    environment,
    fitting_sheet,
    sheet_text,
    strips_css,
    stylesheet,
    worst_text,
)
from reports.export.files import publish
from reports.load import RunView, load_run
from reports.model import Content
from reports.sheet import Sheet
from reports.text import LANGUAGES, Language, Text, load_text
from reports.tidy import acceptance_table, points_table

FILE_NAME: Final = "report.html"

_WIDE: Final = Theme("currentColor", 900, 380)
_NARROW: Final = Theme("currentColor", 250, 300, legend_columns=2)


@dataclass(frozen=True, slots=True)
class Page:
    """The report in one language."""

    text: Text
    content: Content
    charts: dict[str, str]
    sheet: SheetText
    worst: SheetText


def write_report(run: Path, out: Path | None, *, language: Language = "ja") -> Path:
    """Write the report of a run folder and return its path; `language` is shown first.

    Raises:
        RunNotShownError: the run cannot be read or has no decision yet.
    """
    target = out or run / FILE_NAME
    return publish(target, render(load_run(run), language=language).encode())


def render(view: RunView, *, language: Language = "ja") -> str:
    """Return the report as text; the same run gives the same bytes."""
    sheet, pictures = fitting_sheet(view)
    css = stylesheet("sheet.css") + stylesheet("report.css")
    moving = strips_css(view, pictures)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            language=language,
            title=load_text(language)("page.title", name=words.shown(view.name)),
            policy=_policy(css, moving),
            css=css,
            strips_css=moving,
            pages=[_page(view, load_text(one), sheet, pictures) for one in LANGUAGES],
        )
    )


def _policy(*styles: str) -> str:
    """Allow the two style sheets by digest and pictures inside the file; nothing else."""
    digests = [b64encode(hashlib.sha256(style.encode()).digest()).decode() for style in styles]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    rest = "base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; img-src data:; style-src {allowed}; {rest}"


def _page(view: RunView, text: Text, sheet: Sheet, pictures: Pictures) -> Page:
    content = make_content(view, text)
    shown = sheet_text(view, text, sheet, pictures, view.plan.arms)
    worst = worst_text(view, text, pictures)
    return Page(text, content, _charts(view, text, content), shown, worst)


def _charts(view: RunView, text: Text, content: Content) -> dict[str, str]:
    metric = view.estimates.quality_metric
    points, answers = points_table(view, text, metric), acceptance_table(view, text)
    subject = Subject(text, metric, view.demonstration, content.level)
    drawn = {}
    for size, theme in (("wide", _WIDE), ("narrow", _NARROW)):
        for draw, table in (
            (charts.trade_off, points), (charts.step_curve, points), (charts.acceptance, answers),
        ):  # fmt: skip
            name = f"{draw.__name__}_{size}"
            if len(table) or draw is not charts.acceptance:
                svg = charts.to_svg(draw(table, subject, theme), f"{text.language}-{name}")
                drawn[name] = svg
    return drawn
