"""The contact sheet: which clips stand side by side, and small viewing copies of their film strips.

Rows are arms, columns prompts, worst first. Copies are lossy and for eyes only; nothing is ever
measured on them.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from metrics.catalog import CATALOG, Direction, Scope
from poc.records import ClipStatus
from poc.samples import SHARE_OF_CLIPS
from reports.judged import focus_arm
from reports.load import ClipView, RunView, worst_first

RANKERS: Final = ("clip_score", "oracle_all")
"""Clip metrics that may order the prompts when the quality metric cannot: finest first."""

FRAME_PIXELS: Final = 160
"""Longer side of a frame in a viewing copy; larger clips are made smaller."""

QUALITY: Final = 82

_UNREADABLE: Final = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True, slots=True)
class Column:
    """A prompt of the sheet and why it is there: worst, low, middle or best."""

    prompt_id: str
    rank: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Clips to show: `clips[arm_id, prompt_id]`, columns in order, and what ordered them."""

    columns: tuple[Column, ...]
    clips: dict[tuple[str, str], ClipView]
    metric: str | None
    """Metric that ordered the columns for the arm in focus; None when nothing could."""


def make_sheet(view: RunView, columns: int = 6) -> Sheet:
    """Choose up to `columns` prompts: the worst of the arm in focus, some of the middle, the best.

    Without a measured clip metric the prompts stand in the plan's order.
    """
    first = [clip for clip in view.clips if clip.replicate == 0]
    clips = {(clip.arm_id, clip.prompt_id): clip for clip in first}
    metric = ranker(view)
    if metric is None:
        chosen = tuple(Column(prompt.id, "") for prompt in view.plan.prompts[:columns])
        return Sheet(chosen, clips, None)
    order = _worst_first(view, focus_arm(view).id, metric)
    return Sheet(_choose(order, columns), clips, metric)


def worst_sheet(view: RunView) -> Sheet | None:
    """Return the sheet of one column, the worst clip of the arm in focus; None without an order.

    Of the clips that are not right, where something says which those are; else of all.
    """
    sheet = make_sheet(view, 1)
    if sheet.metric is None or not sheet.columns:
        return None
    wrong = not_right(view, focus_arm(view).id)
    worst = next(
        (p for p in _worst_first(view, focus_arm(view).id, sheet.metric) if p in wrong),
        sheet.columns[0].prompt_id,
    )
    return replace(sheet, columns=(Column(worst, ""),))


def not_right(view: RunView, arm_id: str) -> frozenset[str]:
    """Return the prompts whose first clip of an arm is lost or not what the quality metric asks."""
    return frozenset(prompt for prompt, right in rightness(view, arm_id).items() if not right)


def rightness(view: RunView, arm_id: str) -> Mapping[str, bool]:
    """Return prompt id -> whether an arm's first clip is what the quality metric asks.

    A clip that failed or is invalid is not; one that was not made or measured yet is left out.
    Empty where the quality metric does not say of a clip that it is right or not.
    """
    metric = view.estimates.quality_metric
    if metric not in CATALOG or CATALOG[metric].unit != SHARE_OF_CLIPS:
        return {}
    values = view.clip_values(metric)
    lost = {ClipStatus.FAILED, ClipStatus.INVALID}
    return {
        clip.prompt_id: clip.status not in lost and values[clip.clip_id] >= 1.0
        for clip in view.clips
        if clip.arm_id == arm_id
        and clip.replicate == 0
        and (clip.status in lost or clip.clip_id in values)
    }


def middle_prompt(view: RunView, arm_id: str) -> str:
    """Return the prompt in the middle of an arm's order from worst to best: none is picked by eye.

    The upper of two in the middle; the first of the plan where nothing measured orders them.
    """
    metric = ranker(view)
    order = [] if metric is None else _worst_first(view, arm_id, metric)
    return order[len(order) // 2] if order else view.plan.prompts[0].id


def _worst_first(view: RunView, arm_id: str, metric: str) -> Sequence[str]:
    lower = CATALOG[metric].direction is Direction.LOWER
    return worst_first(view, arm_id, metric, lower_is_better=lower)


def ranker(view: RunView) -> str | None:
    """Return a clip metric that was measured and says which way is better."""
    wanted = (*RANKERS, view.estimates.quality_metric)
    clip_metrics = [m for m in wanted if m in CATALOG and CATALOG[m].scope is Scope.CLIP]
    return next((metric for metric in clip_metrics if metric in view.clip_metrics), None)


def _choose(order: Sequence[str], columns: int) -> tuple[Column, ...]:
    if len(order) <= columns:
        return tuple(Column(prompt, "") for prompt in order)
    low = max(1, columns // 2)
    best = 1 if columns > 1 else 0
    middle = max(0, columns - low - best)
    start = (len(order) - middle) // 2
    picked = [(order[i], "worst" if i == 0 else "low") for i in range(low)]
    picked += [(prompt, "middle") for prompt in order[start : start + middle]]
    picked += [(prompt, "best") for prompt in order[len(order) - best :]]
    return tuple(Column(prompt, rank) for prompt, rank in dict(picked).items())


def frames_of(strip: Path, count: int, wanted: int) -> npt.NDArray[np.uint8] | None:
    """Return `wanted` evenly spaced frames of a strip of `count`, (t, h, w, 3); None if damaged.

    A damaged picture hurts nobody else: its place says that it is missing.
    """
    try:
        with Image.open(strip) as opened:
            pixels = np.asarray(opened.convert("RGB"), np.uint8)
    except _UNREADABLE:
        return None
    if len(pixels) < count:
        return None
    frames = pixels[: len(pixels) // count * count].reshape(count, -1, *pixels.shape[1:])
    chosen: npt.NDArray[np.uint8] = frames[np.linspace(0, count - 1, wanted).round().astype(int)]
    return chosen


def viewing_copy(strip: Path, frames: int, packet: bytes = b"") -> bytes | None:
    """Return a film strip as a small WebP; None when the file cannot be read as a picture.

    `packet`: what is written into it of its origin, as XMP.

    A damaged picture hurts nobody else: its place in the sheet says that it is missing. The last
    copies stay in memory, for as long as their files are what they were.
    """
    try:
        found = strip.stat()
    except OSError:
        return None
    return _copied(strip, (found.st_mtime_ns, found.st_size), frames, packet)


@lru_cache(maxsize=512)
def _copied(
    strip: Path,
    version: tuple[int, int],  # noqa: ARG001 - tells a file from what lay there before
    frames: int,
    packet: bytes,
) -> bytes | None:
    try:
        with Image.open(strip) as opened:
            picture = opened.convert("RGB")
    except _UNREADABLE:
        return None
    side = max(picture.width, picture.height // frames)
    if side > FRAME_PIXELS:
        height = round(picture.height / frames * FRAME_PIXELS / side) * frames
        picture = picture.resize((round(picture.width * FRAME_PIXELS / side), height))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4, xmp=packet)
    return buffer.getvalue()


def data_uri(picture: bytes) -> str:
    """Return a WebP picture as a data URI."""
    return "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")


def shows(clip: ClipView | None) -> str:
    """Return what the place of a clip says instead of moving: '' for a good clip with a strip."""
    if clip is None or clip.status is ClipStatus.PENDING:
        return "pending"
    if clip.status is not ClipStatus.OK:
        return str(clip.status)
    return "" if clip.strip else "absent"
