"""How a clip behaves from frame to frame: sameness of content, flicker, flashes.

All of these reward a clip that does not move. Never read one without `metrics.motion`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from metrics import frames as frames_
from metrics.base import AnyFloats, ClipValue, FloatArray, Frames
from metrics.extractors.base import check_unit_rows

FLASH_STEP = 0.10
"""Change of relative luminance, of 1 for white, from which it is part of a flash."""

FLASH_DARKER = 0.80
"""Relative luminance that the darker side of a flash lies below."""

_ONE_FRAME = "one frame: there is no neighbour to compare with"


def clip_frame_consistency(image_features: AnyFloats) -> ClipValue:
    """Mean cosine of consecutive frames' unit features (t, d), in [-1, 1].

    >>> clip_frame_consistency(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).value
    0.5
    """
    rows = check_unit_rows(image_features, "image_features")
    if len(rows) < 2:
        return ClipValue.invalid(_ONE_FRAME)
    return ClipValue.ok(np.mean(np.sum(rows[:-1] * rows[1:], axis=1)))


def flicker(frames: Frames) -> ClipValue:
    """VBench's temporal flickering score of frames uint8 (t, h, w, 3), in [0, 1], 1 is still.

    (255 - m) / 255, where m is the mean over neighbouring frames of the mean absolute
    difference of all pixels and channels. VBench applies it to static clips only; applied to
    any clip, as here, motion lowers it as flicker does.

    Source: VBench, vbench/temporal_flickering.py.
    """
    checked = frames_.check(frames)
    if len(checked) < 2:
        return ClipValue.invalid(_ONE_FRAME)
    # Pair by pair and in whole numbers: a long clip takes no more memory than a short one.
    changes = sum(_change(one, other) for one, other in pairwise(checked))
    return ClipValue.ok((255.0 - changes / checked[1:].size) / 255.0)


def _change(one: Frames, other: Frames) -> int:
    return int(np.abs(other.astype(np.int16) - one).sum(dtype=np.int64))


def luminance_jump(frames: Frames) -> ClipValue:
    """Largest change of mean luma between neighbouring frames, in levels of 255."""
    checked = frames_.check(frames)
    if len(checked) < 2:
        return ClipValue.invalid(_ONE_FRAME)
    return ClipValue.ok(np.max(np.abs(np.diff(_mean_lumas(checked)))))


def first_frame_darkness(frames: Frames) -> ClipValue:
    """Mean luma of all later frames minus that of the first, in levels of 255; 0 is no change.

    Positive where the clip begins in the dark and lights up, a known fault of motion modules that
    run with another sampler than their own.
    """
    checked = frames_.check(frames)
    if len(checked) < 2:
        return ClipValue.invalid(_ONE_FRAME)
    means = _mean_lumas(checked)
    return ClipValue.ok(means[1:].mean() - means[0])


def flashes(frames: Frames) -> ClipValue:
    """Number of flashes of the whole picture, of frames uint8 (t, h, w, 3).

    A flash is a pair of opposing changes of mean relative luminance by `FLASH_STEP` or more, where
    the darker side lies below `FLASH_DARKER`. A cut from dark to light alone is half a flash and
    does not count. Fewer than 3 frames cannot flash.

    Source: WCAG 2.2, general flash, on whole frames; without its limit of area and time.
    """
    checked = frames_.check(frames)
    if len(checked) < 3:
        return ClipValue.invalid("a flash takes 3 frames: before, bright and after")
    return ClipValue.ok(_swings(_mean_luminances(checked)) // 2)


def _swings(levels: FloatArray) -> int:
    """Count alternating rises and falls by `FLASH_STEP` or more, from extreme to extreme."""
    count, going = 0, 0
    low = high = float(levels[0])
    for level in map(float, levels[1:]):
        low, high = min(low, level), max(high, level)
        if going <= 0 and level - low >= FLASH_STEP and low < FLASH_DARKER:
            count, going, high = count + 1, 1, level
        elif going >= 0 and high - level >= FLASH_STEP and level < FLASH_DARKER:
            count, going, low = count + 1, -1, level
    return count


def _mean_luminances(frames: Frames) -> FloatArray:
    """Mean relative luminance of each frame in [0, 1], from linear light."""
    unit = np.arange(256) / 255.0
    light = np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
    channels = np.array([light[frame].mean(axis=(0, 1)) for frame in frames])
    return np.asarray(channels @ np.array([0.2126, 0.7152, 0.0722]))


def _mean_lumas(frames: Frames) -> FloatArray:
    return np.array([luma.mean() for luma in frames_.lumas(frames)])
