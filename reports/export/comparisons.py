"""Comparisons of several runs as Markdown in both languages: a folder to show and to commit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from poc.errors import InputError
from poc.store import RunStore
from reports.claim_figures import draw
from reports.comparisons_page import ComparisonsPage, make_page
from reports.export.folder import together
from reports.export.markdown import template
from reports.load import RunView, load_runs
from reports.text import LANGUAGES, Language, load_text

TEMPLATE: Final = "comparisons.md.j2"


def write_comparisons(runs: Sequence[Path], folder: Path, *, note: str = "") -> Path:
    """Write the page of the runs' contrasts, its pictures and each run's estimates into `folder`.

    A `note` stands at the top of both pages, as it is. The same runs give the same bytes.

    Raises:
        RunNotShownError: a run cannot be read or has no decision yet.
        InputError: a run compares nothing, or two are of one name.
    """
    views = load_runs(runs)
    for run, view in zip(runs, views, strict=True):
        _refuse_without_contrasts(run, view)
    notes = (note,) if note else ()
    pages = [make_page(views, load_text(language), notes) for language in LANGUAGES]
    with together(folder) as beside:
        for section in pages[0].sections:  # drawings hold no words, so that all pages share them
            for one in section.picture.drawings if section.picture else ():
                draw(one.drawing, beside / one.file)
        for page in pages:
            (beside / page_name(page.text.language)).write_text(render(page), "utf-8")
        for run, view in zip(runs, views, strict=True):
            derived = RunStore.open_reader(run).read_derived("estimates.json")
            (beside / f"{view.plan.spec.name}.estimates.json").write_text(f"{derived}\n", "utf-8")
    return folder


def _refuse_without_contrasts(run: Path, view: RunView) -> None:
    if not view.estimates.contrasts:
        raise InputError(
            f"{run}: expected a run whose spec has contrasts; this one compares nothing. Add "
            "`contrasts` to the spec, or write another format."
        )


def page_name(language: Language) -> str:
    """Return the file name of a page."""
    return f"comparisons.{language}.md"


def render(page: ComparisonsPage) -> str:
    """Return the page as Markdown."""
    return template(TEMPLATE).render(page=page, t=page.text)
