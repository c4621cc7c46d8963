"""Can this clip be judged at all? Faults that make every other number meaningless.

A valid clip may still be bad; that is for the other metrics. An invalid clip is counted and
shown with its reason, and never scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from metrics import frames as frames_
from metrics.base import AnyFloats, Frames

BLACK_LUMA = 16.0
"""Video black: limited-range black read as full range is level 16."""
WHITE_LUMA = 239.0
"""As far from white as `BLACK_LUMA` is from black."""
_ROUNDING = 1e-6
"""Levels by which luma of one brightness may differ: that of grey 239 lies just below 239."""
LIT_SHARE = 0.001
"""Share of pixels that must differ from black or white: 4 of 64 x 64, a small bright object."""
FROZEN_LEVELS = 2
"""Largest change at any pixel in a frozen clip: one level of rounding in encoder and decoder.

Compared with the first frame, not the previous one, so that a very slow drift adds up and
is not condemned: an edge that has moved a twentieth of a pixel shows more than this.
"""


class Fault(StrEnum):
    """Why a clip is invalid."""

    NOT_FINITE = "not_finite"
    WRONG_SHAPE = "wrong_shape"
    SINGLE_FRAME = "single_frame"
    BLACK = "black"
    WHITE = "white"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class Validity:
    """`fault` is None for a clip that can be judged; `reason` is a sentence otherwise.

    >>> Validity().ok
    True
    """

    fault: Fault | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.fault is None) != (self.reason == ""):
            raise ValueError(f"a fault and its reason go together, got {self!r}")

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return self.fault is None


def judge(frames: Frames, *, expected: tuple[int, int, int] | None = None) -> Validity:
    """Judge frames uint8 (t, h, w, 3); `expected` is (t, h, w) as planned, None for any size.

    The first fault in the order of `Fault` is reported.

    Raises:
        TypeError: not uint8.
        ValueError: not (t, h, w, 3).
    """
    checked = frames_.check(frames, minimum=0)
    if expected is not None and checked.shape[:3] != expected:
        return Validity(Fault.WRONG_SHAPE, _shape_reason(expected, checked.shape))
    if len(checked) < 2:
        return Validity(Fault.SINGLE_FRAME, f"a clip needs 2 frames, got {len(checked)}")
    return _judge_light(checked) or _judge_frozen(checked) or Validity()


def judge_finite(array: AnyFloats, *, name: str) -> Validity:
    """Judge floats (latents, decoded images, features) before they are rounded to uint8.

    A cast to uint8 turns NaN into black or garbage without a word, so look before it.
    """
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad == 0:
        return Validity()
    return Validity(Fault.NOT_FINITE, f"{bad} of {array.size} values of {name} are NaN or infinite")


def _shape_reason(expected: tuple[int, int, int], got: tuple[int, ...]) -> str:
    (t, h, w), (got_t, got_h, got_w) = expected, got[:3]
    return f"expected {t} frames of {w}x{h}, got {got_t} of {got_w}x{got_h}"


def _judge_light(frames: Frames) -> Validity | None:
    # The largest shares of any frame; frame by frame, since luma takes many bytes a pixel.
    light = shade = 0.0
    for luma in frames_.lumas(frames):
        light = max(light, float((luma > BLACK_LUMA + _ROUNDING).mean()))
        shade = max(shade, float((luma < WHITE_LUMA - _ROUNDING).mean()))
    if light <= LIT_SHARE:
        return Validity(Fault.BLACK, f"no frame has visible light (luma above {BLACK_LUMA:g})")
    if shade <= LIT_SHARE:
        return Validity(Fault.WHITE, f"every frame is blown out (luma above {WHITE_LUMA:g})")
    return None


def _judge_frozen(frames: Frames) -> Validity | None:
    first = frames[0].astype(np.int16)
    largest = max(int(np.abs(frame - first).max()) for frame in frames[1:])
    if largest > FROZEN_LEVELS:
        return None
    return Validity(
        Fault.FROZEN, f"all {len(frames)} frames are the same to within {largest} of 255 levels"
    )
