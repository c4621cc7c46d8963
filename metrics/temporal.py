"""How a clip behaves from frame to frame: sameness of content, flicker, flashes.

All of these reward a clip that does not move. Never read one without `metrics.motion`.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from metrics import frames as frames_
from metrics.base import AnyFloats, ClipValue, FloatArray, Frames
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


def _mean_lumas(frames: Frames) -> FloatArray:
    return np.array([luma.mean() for luma in frames_.lumas(frames)])
