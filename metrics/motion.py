"""How much a clip moves, from dense optical flow.

The flow is OpenCV's DIS (Kroeger et al. 2016) on grey frames: quick on a CPU and without
weights. It sees no motion where there is no texture, and takes flicker for motion. Speeds are
in pixels of the clip as it is, so they compare only between clips of one size and frame rate.
"""

from __future__ import annotations

import numpy as np

from metrics import frames as frames_
from metrics.base import AnyFloats, ClipValue, FloatArray, Frames

SMALLEST_SIDE = 32
"""DIS matches 8 x 8 patches on a pyramid; below this side its output is noise."""

_NO_PAIR = "one frame: there is no motion to see"


def flow_speeds(frames: Frames) -> FloatArray:
    """Length of the flow at each pixel, px/frame, (t - 1, h, w), of frames uint8 (t, h, w, 3).

    Compute once per clip and give to `motion` and `dynamic_degree`. One frame gives (0, h, w).

    Raises:
        ValueError: frames smaller than `SMALLEST_SIDE`.
    """
    import cv2

    checked = frames_.check(frames)
    if min(checked.shape[1:3]) < SMALLEST_SIDE:
        raise ValueError(
            f"optical flow needs frames of at least {SMALLEST_SIDE} px, got {checked.shape[1:3]}"
        )
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in checked]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    speeds = np.empty((len(grey) - 1, *grey[0].shape))
    for i in range(len(grey) - 1):
        # DIS starts from the flow it is given: rest, so that each pair is judged alone.
        rest = np.zeros((*grey[i].shape, 2), np.float32)
        vectors = flow.calc(grey[i], grey[i + 1], rest)
        speeds[i] = np.linalg.norm(vectors, axis=2)
    return speeds


def motion(speeds: AnyFloats) -> ClipValue:
    """Mean speed over all pixels and pairs of frames, px/frame, from speeds (t - 1, h, w)."""
    checked = _checked(speeds)
    return ClipValue.ok(checked.mean()) if len(checked) else ClipValue.invalid(_NO_PAIR)


def dynamic_degree(speeds: AnyFloats) -> ClipValue:
    """1 for a clip that moves, 0 for one that does not, by VBench's rule on DIS flow.

    A pair of frames moves when the mean speed of its fastest 5 % of pixels exceeds 6 px/frame
    at a short side of 256, in proportion for others; the clip moves when round(t / 4) pairs do.
    For clips of about 8 frames per second, as VBench samples them.

    Source: VBench, vbench/dynamic_degree.py, with RAFT there.
    """
    checked = _checked(speeds)
    if len(checked) == 0:
        return ClipValue.invalid(_NO_PAIR)
    threshold = 6.0 * min(checked.shape[1:]) / 256.0
    moving = np.count_nonzero(_fastest(checked) > threshold)
    wanted = max(round(4 * (len(checked) + 1) / 16), 1)
    return ClipValue.ok(1.0 if moving >= wanted else 0.0)


def _fastest(speeds: FloatArray) -> FloatArray:
    flat = np.sort(speeds.reshape(len(speeds), -1), axis=1)[:, ::-1]
    return np.asarray(flat[:, : max(int(flat.shape[1] * 0.05), 1)].mean(axis=1))


def _checked(speeds: AnyFloats) -> FloatArray:
    array = np.asarray(speeds, dtype=np.float64)
    if array.ndim != 3 or not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"`speeds` must be finite lengths (t - 1, h, w), got {array.shape}")
    return array
