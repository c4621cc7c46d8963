"""Pictures of clips for paper and slides: the worst, the middle and the best beside the baseline's.

The frames are those that were measured, without loss; only their size on the page differs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from poc.records import Arm, Comparison
from reports import outlook
from reports import text as words
from reports.evidence import prompt_text
from reports.export.clips import worst_arms
from reports.judged import focus_arm
from reports.load import ClipView, RunView
from reports.origin import origin
from reports.sheet import Column, Sheet, frames_of, make_sheet, shows, worst_sheet
from reports.text import Text

FRAMES: Final = 3
"""First, middle and last."""

_WORST: Final = "worst"


@dataclass(frozen=True, slots=True)
class Still:
    """A clip as a row of frames, PNG; or the word for why there is none."""

    arm: Arm
    name: str
    picture: bytes | None
    word: str
    clip: ClipView | None
    poster: bytes | None = None
    """The first frame alone, PNG."""
    wide: float = 1.0
    """Width of a frame over its height."""
    said: Mapping[str, str] = field(default_factory=dict)
    """Its origin, for what is made of it."""


@dataclass(frozen=True, slots=True)
class StillColumn:
    """One prompt: its rank and words, and a still for each arm."""

    rank: str
    prompt: str
    stills: tuple[Still, ...]
    remark: str
    """What to say of it: why this one is shown."""


def still_columns(view: RunView, text: Text) -> tuple[StillColumn, ...]:
    """Return worst, middle and best of the arm in focus, each beside the baseline's clip."""
    sheet = _three(view)
    return tuple(
        StillColumn(
            rank=_rank(text, column),
            prompt=prompt_text(view, text, column.prompt_id),
            stills=tuple(_stills(view, text, sheet, column.prompt_id)),
            remark=_remark(view, text, sheet, column),
        )
        for column in sheet.columns
    )


def _three(view: RunView) -> Sheet:
    """Return the worst clip, as the report names it, with those in the middle and at the top."""
    sheet, worst = make_sheet(view, 3), worst_sheet(view)
    if worst is None or not any(column.rank for column in sheet.columns):
        return sheet
    first = Column(worst.columns[0].prompt_id, _WORST)
    rest = (c for c in sheet.columns if c.rank != _WORST and c.prompt_id != first.prompt_id)
    return replace(sheet, columns=(first, *rest))


def _rank(text: Text, column: Column) -> str:
    if column.rank == _WORST:
        return text("section.worst")
    return text(f"clip.rank.{column.rank}") if column.rank else ""


def _remark(view: RunView, text: Text, sheet: Sheet, column: Column) -> str:
    focus = focus_arm(view)
    if column.rank == _WORST:
        return outlook.worst(view, text, focus, replace(sheet, columns=(column,)))
    clip = sheet.clips.get((focus.id, column.prompt_id))
    if sheet.metric is None or clip is None or not column.rank:
        return stills_about(view, text)
    value = view.clip_values(sheet.metric).get(clip.clip_id)
    return text(
        "slide.pair.rank",
        metric=words.metric_label(text, sheet.metric),
        rank=_rank(text, column),
        value=words.number(text, sheet.metric, Comparison.VALUE, value),
    )


def stills_about(view: RunView, text: Text) -> str:
    """Return what the stills show and what ordered them."""
    sheet = make_sheet(view, 3)
    arms = {
        "arm": words.arm_name(text, focus_arm(view)),
        "baseline": words.arm_name(text, view.baseline),
    }
    if sheet.metric is None:
        return text("document.stills.plain", **arms)
    return text("document.stills", metric=words.metric_label(text, sheet.metric), **arms)


def _stills(view: RunView, text: Text, sheet: Sheet, prompt_id: str) -> Iterator[Still]:
    frames = view.plan.spec.shape.num_frames
    for arm in worst_arms(view):
        clip = sheet.clips.get((arm.id, prompt_id))
        found = _frames(clip, frames)
        state = shows(clip) or ("" if found is not None else "absent")
        word = text(f"clip.word.{state}") if state else ""
        if found is None:
            yield Still(arm, words.arm_name(text, arm), None, word, clip)
            continue
        yield Still(
            arm=arm,
            name=words.arm_name(text, arm),
            picture=_row_of(found),
            word=word,
            clip=clip,
            poster=png(found[0]),
            wide=found.shape[2] / found.shape[1],
            said=_origin(view, arm, clip),
        )


def _origin(view: RunView, arm: Arm, clip: ClipView | None) -> Mapping[str, str]:
    digest = view.estimates.plan_digest
    return origin(view.plan, arm, clip.clip_id, plan_digest=digest) if clip else {}


def _frames(clip: ClipView | None, frames: int) -> npt.NDArray[np.uint8] | None:
    if clip is None or clip.strip is None or shows(clip):
        return None
    return frames_of(clip.strip, frames, FRAMES)


def _row_of(found: npt.NDArray[np.uint8]) -> bytes:
    gap = np.full((found.shape[1], max(1, found.shape[2] // 32), 3), 255, np.uint8)
    parts = [part for frame in found for part in (frame, gap)][:-1]
    return png(np.concatenate(parts, axis=1))


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return pixels (h, w, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
