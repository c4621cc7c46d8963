"""The claims as Markdown in both languages, with their pictures beside them: a folder to show.

Markdown, because a code-hosting site shows it as a page, with its pictures, and nothing can run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from poc.errors import InputError
from reports.claim_figures import draw
from reports.claims_page import ClaimsPage, make_page
from reports.export.folder import together
from reports.export.markdown import template
from reports.load import RunView, load_runs
from reports.text import LANGUAGES, Language, load_text

TEMPLATE: Final = "claims.md.j2"


def write_claims(runs: Sequence[Path], folder: Path, *, note: str = "") -> Path:
    """Write `claims.<language>.md` and the pictures into `folder` and return it.

    The first run tells the claims; one that it does not ask about is told by the one that does.
    A `note` stands at the top of both pages, as it is. The same runs give the same bytes.

    Raises:
        RunNotShownError: a run cannot be read or has no decision yet.
        InputError: runs that do not belong on one page (of one name, demonstrations beside real
            runs, random weights, nothing or the same to tell), or a damaged still of a style.
    """
    views = load_runs(runs)
    for run, view in zip(runs, views, strict=True):
        _refuse_other_claims(runs[0], views[0], run, view)
    pages = [make_page(views, load_text(language)) for language in LANGUAGES]
    if note:
        pages = [replace(page, warnings=(*page.warnings, note)) for page in pages]
    with together(folder) as beside:
        for section in pages[0].sections:  # drawings hold no words, so that all pages share them
            for one in section.picture.drawings if section.picture else ():
                draw(one.drawing, beside / one.file)
        for page in pages:
            (beside / page_name(page.text.language)).write_text(render(page), "utf-8")
    return folder


def _refuse_other_claims(first: Path, main: RunView, run: Path, view: RunView) -> None:
    """Refuse a run that cannot stand on the first one's page."""
    if view.demonstration is not main.demonstration:
        raise InputError(
            f"{run}: expected a run of the kind of {first}; one of them is a demonstration, the "
            "other is not, and a page is of one kind. Write a page of each."
        )
    if not view.claims.claims:
        raise InputError(
            f"{run}: has random weights, of which no claim is made. Name runs with trained weights."
        )


def page_name(language: Language) -> str:
    """Return the file name of a page."""
    return f"claims.{language}.md"


def render(page: ClaimsPage) -> str:
    """Return the page as Markdown."""
    return template(TEMPLATE).render(page=page, t=page.text)
