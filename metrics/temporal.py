"""How a clip behaves from frame to frame: sameness of content, flicker, flashes.

All of these reward a clip that does not move. Never read one without `metrics.motion`.
"""

from __future__ import annotations

import numpy as np

from metrics import frames as frames_
from metrics.base import AnyFloats, ClipValue, Frames
from metrics.extractors.base import check_unit_rows

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
    signed = checked.astype(np.int16)
    return ClipValue.ok((255.0 - np.mean(np.abs(np.diff(signed, axis=0)))) / 255.0)


def luminance_jump(frames: Frames) -> ClipValue:
    """Largest change of mean luma between neighbouring frames, in levels of 255."""
    checked = frames_.check(frames)
    if len(checked) < 2:
        return ClipValue.invalid(_ONE_FRAME)
    return ClipValue.ok(np.max(np.abs(np.diff(frames_.luma(checked).mean(axis=(1, 2))))))


def first_frame_darkness(frames: Frames) -> ClipValue:
    """Mean luma of all later frames minus that of the first, in levels of 255; 0 is no change.

    Positive where the clip begins in the dark and lights up, a known fault of motion modules that
    run with another sampler than their own.
    """
    checked = frames_.check(frames)
    if len(checked) < 2:
        return ClipValue.invalid(_ONE_FRAME)
    means = frames_.luma(checked).mean(axis=(1, 2))
    return ClipValue.ok(means[1:].mean() - means[0])
