"""Draws the pictures of the claims as small PNG files without a word in them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from reports.charts import COLOURS
from reports.claim_pictures import Amount, Bar, Curve, Drawing, Frames, InWindow
from reports.figures import curve_axes, watermark
from reports.text import load_text

FRAME_PIXELS: Final = 96
"""Height of a frame."""
_GAP: Final = 3  # pixels, between two frames
_WIDTH, _HEIGHT, _MARGIN = 240, 26, 6  # pixels, of a bar and of a line with its interval
_SLOW, _FAST, _ASKED = COLOURS[0], COLOURS[1], "#cfe8d5"
_INK, _PAPER = "#202020", "#ffffff"


def draw(drawing: Drawing, path: Path) -> None:
    """Write a drawing as a PNG of at most 256 colours; the same drawing gives the same bytes."""
    match drawing:
        case Bar():
            picture = _bar(drawing)
        case InWindow():
            picture = _in_window(drawing)
        case Frames():
            picture = _frames(drawing)
        case Curve():
            picture = _curve(drawing)
    small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, "PNG", optimize=True)


# --- bars and lines ------------------------------------------------------------------------------


def _bar(drawing: Bar) -> Image.Image:
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    pen, place = ImageDraw.Draw(picture), _Scale(0, max(_ends(drawing.beside)))
    colour = _SLOW if drawing.baseline else _FAST
    pen.rectangle((place(0), 4, place(drawing.amount.value), _HEIGHT - 5), fill=colour)
    _interval(pen, drawing.amount, place)
    return picture


def _in_window(drawing: InWindow) -> Image.Image:
    picture = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    ends, asked = _ends(drawing.beside), drawing.below - drawing.above
    start = min(*ends, drawing.above - asked / 8)
    pen, place = ImageDraw.Draw(picture), _Scale(start, max(*ends, drawing.below + asked / 8))
    pen.rectangle((place(drawing.above), 0, place(drawing.below), _HEIGHT - 1), fill=_ASKED)
    middle, dot = _HEIGHT // 2, place(drawing.amount.value)
    _interval(pen, drawing.amount, place)
    pen.ellipse((dot - 5, middle - 5, dot + 5, middle + 5), fill=_FAST)
    return picture


def _interval(pen: ImageDraw.ImageDraw, amount: Amount, place: _Scale) -> None:
    if amount.low is None or amount.high is None:
        return
    low, high, middle = place(amount.low), place(amount.high), _HEIGHT // 2
    pen.line((low, middle, high, middle), fill=_INK, width=2)
    for end in (low, high):
        pen.line((end, middle - 5, end, middle + 5), fill=_INK, width=2)


def _ends(amounts: Sequence[Amount]) -> list[float]:
    found = [end for one in amounts for end in (one.value, one.low, one.high)]
    return [end for end in found if end is not None]


class _Scale:
    """Where on a line a number lies, in pixels."""

    def __init__(self, start: float, end: float) -> None:
        self._start, self._span = start, (end - start) or 1.0

    def __call__(self, value: float) -> float:
        return _MARGIN + (value - self._start) / self._span * (_WIDTH - 2 * _MARGIN)


# --- frames --------------------------------------------------------------------------------------


def _frames(drawing: Frames) -> Image.Image:
    frames = [_copy(frame) for frame in drawing.pixels]
    wide = sum(frame.width for frame in frames) + _GAP * (len(frames) - 1)
    picture = Image.new("RGB", (wide, FRAME_PIXELS), _PAPER)
    for place, frame in enumerate(frames):
        picture.paste(frame, (place * (frame.width + _GAP), 0))
    return picture


def _copy(frame: npt.NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(frame)
    width = round(picture.width * FRAME_PIXELS / picture.height)
    return picture.resize((width, FRAME_PIXELS), Image.Resampling.BICUBIC)


# --- the curve -----------------------------------------------------------------------------------


def _curve(drawing: Curve) -> Image.Image:
    figure = Figure(figsize=(3.6, 2.8), dpi=100, layout="constrained")
    curve_axes(
        figure.add_subplot(), drawing.points, lower=drawing.lower_is_better, share=drawing.share
    )
    watermark(figure, load_text("en"), shown=drawing.demonstration, size=18)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    with Image.open(buffer) as opened:
        return opened.convert("RGB")
