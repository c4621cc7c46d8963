"""The claims as Markdown in both languages, with their pictures beside them: a folder to show.

Markdown, because a code-hosting site shows it as a page, with its pictures, and nothing can run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from reports.claim_figures import draw
from reports.claims_page import ClaimsPage, make_page
from reports.export.folder import together
from reports.export.markdown import template
from reports.load import load_run
from reports.text import LANGUAGES, Language, load_text

TEMPLATE: Final = "claims.md.j2"


def write_claims(run: Path, folder: Path, *, note: str = "") -> Path:
    """Write `claims.<language>.md` and the pictures into `folder` and return it.

    A `note` stands at the top of both pages, as it is. The same run gives the same bytes.

    Raises:
        RunNotShownError: the run cannot be read or has no decision yet.
        InputError: a still of a style is damaged.
    """
    view = load_run(run)
    pages = [make_page(view, load_text(language)) for language in LANGUAGES]
    if note:
        pages = [replace(page, warnings=(*page.warnings, note)) for page in pages]
    with together(folder) as beside:
        for section in pages[0].sections:  # drawings hold no words, so that all pages share them
            for one in section.picture.drawings if section.picture else ():
                draw(one.drawing, beside / one.file)
        for page in pages:
            (beside / page_name(page.text.language)).write_text(render(page), "utf-8")
    return folder


def page_name(language: Language) -> str:
    """Return the file name of a page."""
    return f"claims.{language}.md"


def render(page: ClaimsPage) -> str:
    """Return the page as Markdown."""
    return template(TEMPLATE).render(page=page, t=page.text)
