"""The contact sheet as a fragment of HTML: film strips that CSS moves in step, without a script.

The report file and the dashboard show the same fragment. Each picture stands once in the style
sheet, so that both languages of a report share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from poc.records import Arm
from reports import text as words
from reports.evidence import prompt_text
from reports.judged import focus_arm
from reports.load import ClipView, RunView
from reports.origin import origin, xmp
from reports.sheet import (
    Column,
    Sheet,
    data_uri,
    make_sheet,
    shows,
    viewing_copy,
    worst_sheet,
)
from reports.text import Text

CLIP_BUDGET: Final = 4_000_000
"""Bytes that the viewing copies may take, so that a report stays fit for mail."""

Pictures = Mapping[str, str]
"""Clip id -> data URI of its film strip."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place of the sheet: the CSS class of its strip, or the word for why there is none."""

    style: str
    word: str
    detail: str
    said: str


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One arm's clips, in the order of the columns."""

    name: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A prompt's words and why it is shown."""

    prompt: str
    rank: str


@dataclass(frozen=True, slots=True)
class SheetText:
    """The sheet in one language; no rows when no clip is stored."""

    about: str
    columns: tuple[SheetColumn, ...]
    rows: tuple[SheetRow, ...]


@cache
def environment() -> Environment:
    """Return the templates of this package: everything escaped, nothing undefined."""
    return Environment(
        loader=PackageLoader("reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def stylesheet(name: str) -> str:
    """Return one of the packaged style sheets."""
    return files("reports").joinpath("templates", name).read_text("utf-8")


def fitting_sheet(view: RunView) -> tuple[Sheet, Pictures]:
    """Return the largest sheet whose viewing copies fit the budget, with the copies."""
    for columns in (6, 4, 3, 2, 1):
        sheet = make_sheet(view, columns)
        pictures = copies(view, sheet, view.plan.arms)
        if sum(map(len, pictures.values())) <= CLIP_BUDGET:
            break
    return sheet, pictures


def copies(view: RunView, sheet: Sheet, arms: tuple[Arm, ...]) -> Pictures:
    """Return viewing copies of the sheet's good clips of the given arms, each with its origin."""
    frames, digest = view.plan.spec.shape.num_frames, view.estimates.plan_digest
    found = {}
    for column in sheet.columns:
        for arm in arms:
            clip = sheet.clips.get((arm.id, column.prompt_id))
            if clip is None or clip.strip is None or shows(clip):
                continue
            said = origin(view.plan, arm, clip.clip_id, plan_digest=digest)
            picture = viewing_copy(clip.strip, frames, xmp(said))
            if picture is not None:
                found[clip.clip_id] = data_uri(picture)
    return found


def strips_css(view: RunView, pictures: Pictures) -> str:
    """Return the rules that place every strip and move all of them frame by frame, in step."""
    shape = view.plan.spec.shape
    common = (
        f".strip, .gap {{ aspect-ratio: {shape.width} / {shape.height}; }}\n"
        f".strip {{ background-size: 100% {100 * shape.num_frames}%; "
        f"animation-duration: {shape.num_frames / shape.fps:.3f}s; "
        f"animation-timing-function: steps({shape.num_frames}, jump-none); }}\n"
    )
    return common + "".join(
        f".k-{clip_id} {{ background-image: url({uri}); }}\n" for clip_id, uri in pictures.items()
    )


def sheet_text(
    view: RunView, text: Text, sheet: Sheet, pictures: Pictures, arms: tuple[Arm, ...]
) -> SheetText:
    """Put the sheet into words of one language."""
    columns = tuple(_column(view, text, column) for column in sheet.columns)
    rows = tuple(_row(text, arm, sheet, columns, pictures) for arm in arms)
    return SheetText(sheet_about(view, text, sheet), columns, rows if pictures else ())


def worst_arms(view: RunView) -> tuple[Arm, ...]:
    """Return whose clips stand beside each other where the worst is shown."""
    focus, baseline = focus_arm(view), view.baseline
    return (focus,) if focus.id == baseline.id else (focus, baseline)


def worst_text(view: RunView, text: Text, pictures: Pictures) -> SheetText:
    """Return the worst clip of the arm in focus beside the baseline's; no rows without an order."""
    sheet = worst_sheet(view)
    if sheet is None:
        return SheetText("", (), ())
    return sheet_text(view, text, sheet, pictures, worst_arms(view))


def worst_html(view: RunView, text: Text) -> str:
    """Return the same as a fragment for a page; empty where nothing can be shown."""
    sheet = worst_sheet(view)
    return "" if sheet is None else sheet_html(view, text, sheet, worst_arms(view))


def sheet_about(view: RunView, text: Text, sheet: Sheet) -> str:
    """Return the sentence that says what the sheet shows and how it was chosen."""
    if sheet.metric is None or not any(column.rank for column in sheet.columns):
        return text("section.clips.plain")
    arm = words.arm_name(text, focus_arm(view))
    return text("section.clips.about", metric=words.metric_label(text, sheet.metric), arm=arm)


def sheet_html(view: RunView, text: Text, sheet: Sheet, arms: tuple[Arm, ...]) -> str:
    """Return the whole fragment with its styles, for a page that has none of its own."""
    pictures = copies(view, sheet, arms)
    shown = sheet_text(view, text, sheet, pictures, arms)
    macro = environment().get_template("sheet.html.j2").module
    table: str = macro.table(shown)  # type: ignore[attr-defined]  # a macro of the template
    style = stylesheet("sheet.css") + strips_css(view, pictures)
    if not shown.rows:
        return ""
    pause = f'<label for="pause">{escape(text("section.clips.pause"))}</label>'
    switch = f'<input type="checkbox" id="pause"> {pause}'
    return f'<style>{style}</style>{switch}<div class="scroll">{table}</div>'


def _column(view: RunView, text: Text, column: Column) -> SheetColumn:
    rank = text(f"clip.rank.{column.rank}") if column.rank else ""
    return SheetColumn(prompt_text(view, text, column.prompt_id), rank)


def _row(
    text: Text, arm: Arm, sheet: Sheet, heads: tuple[SheetColumn, ...], pictures: Pictures
) -> SheetRow:
    name = words.arm_name(text, arm)
    clips = [sheet.clips.get((arm.id, column.prompt_id)) for column in sheet.columns]
    said = [text("clip.alt", arm=name, prompt=head.prompt) for head in heads]
    pairs = zip(clips, said, strict=True)
    return SheetRow(name, tuple(_place(text, clip, pictures, one) for clip, one in pairs))


def _place(text: Text, clip: ClipView | None, pictures: Pictures, said: str) -> Place:
    if clip is not None and clip.clip_id in pictures:
        return Place(f"k-{clip.clip_id}", "", "", said)
    state = shows(clip) or "absent"
    detail = words.shown(clip.reason, 60) if clip else ""
    return Place("", text(f"clip.word.{state}"), detail, said)
