"""How much a clip moves, from dense optical flow.

The flow is OpenCV's DIS (Kroeger et al. 2016) on grey frames: quick on a CPU and without
weights. It sees no motion where there is no texture, and takes flicker for motion. Speeds are
in pixels of the clip as it is, so they compare only between clips of one size and frame rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from metrics import frames as frames_
from metrics.base import AnyFloats, ClipValue, FloatArray, Frames

GreyFrame = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]
"""Where each pixel goes, (h, w, 2) as (x, y) px."""
Flows = npt.NDArray[np.float32]
"""The flows of all pairs of neighbouring frames, (t - 1, h, w, 2)."""

SMALLEST_SIDE = 32
"""DIS matches 8 x 8 patches on a pyramid; below this side its output is noise."""

DYNAMIC_FPS = 8.0
"""Frames per second at which VBench looks for motion: 6 px a frame are twice as fast at 16."""

RATE_TOLERANCE = 0.05
"""How far from `DYNAMIC_FPS` a rate may be. A gif has whole hundredths of a second: 8.33 fps."""

_NO_PAIR = "one frame: there is no motion to see"


def flow_speeds(frames: Frames) -> FloatArray:
    """Length of the flow at each pixel, px/frame, (t - 1, h, w), of frames uint8 (t, h, w, 3).

    Compute once per clip and give to `motion` and `dynamic_degree`. One frame gives (0, h, w).

    Raises:
        ValueError: frames smaller than `SMALLEST_SIDE`.
    """
    grey = _grey(frames)
    return _speeds((_flow(*pair) for pair in pairwise(grey)), (len(grey) - 1, *grey[0].shape))


def pair_flows(frames: Frames) -> Flows:
    """Where each pixel goes in the next frame, float32 (t - 1, h, w, 2) as (x, y) px.

    Of frames uint8 (t, h, w, 3). For `speeds_of` and `warping_error`, where both are wanted.

    Raises:
        ValueError: frames smaller than `SMALLEST_SIDE`.
    """
    grey = _grey(frames)
    flows = np.empty((len(grey) - 1, *grey[0].shape, 2), np.float32)
    for i, (one, other) in enumerate(pairwise(grey)):
        flows[i] = _flow(one, other)
    return flows


def speeds_of(flows: Flows) -> FloatArray:
    """Return what `flow_speeds` does, (t - 1, h, w), from the flows (t - 1, h, w, 2)."""
    return _speeds(flows, flows.shape[:3])


def _speeds(flows: Iterable[Flow], shape: tuple[int, ...]) -> FloatArray:
    speeds = np.empty(shape)
    for i, flow in enumerate(flows):
        speeds[i] = np.linalg.norm(flow, axis=2)
    return speeds


def flow_id() -> str:
    """Name the flow with the version of its library: another version may see other motion."""
    import cv2

    return f"opencv-{cv2.__version__} dis-medium"


def has_dynamic_rate(fps: float | None) -> bool:
    """Tell whether `dynamic_degree` means anything at this frame rate; None is unknown.

    >>> has_dynamic_rate(8.0), has_dynamic_rate(24.0), has_dynamic_rate(None)
    (True, False, False)
    """
    return fps is not None and abs(fps / DYNAMIC_FPS - 1) <= RATE_TOLERANCE


def _grey(frames: Frames) -> list[GreyFrame]:
    import cv2

    checked = frames_.check(frames)
    if min(checked.shape[1:3]) < SMALLEST_SIDE:
        raise ValueError(
            f"optical flow needs frames of at least {SMALLEST_SIDE} px, got {checked.shape[1:3]}"
        )
    return [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in checked]


def _flow(one: GreyFrame, other: GreyFrame) -> npt.NDArray[np.float32]:
    """Where each pixel of `one` went in `other`, (h, w, 2) as (x, y) px."""
    import cv2

    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # DIS starts from the flow it is given: rest, so that each pair is judged alone.
    rest = np.zeros((*one.shape, 2), np.float32)
    return np.asarray(flow.calc(one, other, rest), np.float32)


def warping_error(frames: Frames, flows: Flows | None = None) -> ClipValue:
    """Mean squared difference of each frame to the next one pulled back along the flow.

    RGB in [0, 1], over pixels that are seen in both frames: those whose flow forth and back
    returns to the pixel, and stays in the picture. What moves as one costs nothing, what changes
    its look on the way does. Invalid where no pixel is seen twice. Frames uint8 (t, h, w, 3).
    `flows` are those of `pair_flows`, where they are at hand; None: they are computed.

    Source: Lai et al. 2018, "Learning blind video temporal consistency", with DIS flow; the
    visibility test of Sundaram et al. 2010.

    Raises:
        ValueError: frames smaller than `SMALLEST_SIDE`.
    """
    grey, pictures = _grey(frames), (frames_.to_unit(frame) for frame in frames)
    if len(grey) < 2:
        return ClipValue.invalid(_NO_PAIR)
    errors = []
    pairs = zip(pairwise(grey), pairwise(pictures), strict=True)
    for i, ((one, other), (now, later)) in enumerate(pairs):
        forth = _flow(one, other) if flows is None else flows[i]
        seen = _seen(forth, _pulled(_flow(other, one), forth))
        if seen.any():
            errors.append(float(((now - _pulled(later, forth))[seen] ** 2).mean()))
    if not errors:
        return ClipValue.invalid("the flow finds no pixel of one frame in the next")
    return ClipValue.ok(np.mean(errors))


def motion_smoothness(frames: Frames) -> ClipValue:
    """How well each second frame is foretold by its two neighbours, in [0, 1]; 1 is exactly.

    Frames 1, 3, 5, ... of uint8 (t, h, w, 3) are made anew halfway between their neighbours along
    the optical flow; the value is (255 - m) / 255, m the mean absolute difference to the real ones.
    A still clip scores 1. Fewer than 3 frames have no frame between two others.

    Source: VBench, vbench/motion_smoothness.py, with DIS flow for its AMT network; frames between
    as Jiang et al. 2018 (Super SloMo), equations 1 and 4 at t = 1/2, without their network.

    Raises:
        ValueError: frames smaller than `SMALLEST_SIDE`.
    """
    grey = _grey(frames)
    if len(grey) < 3:
        return ClipValue.invalid("fewer than 3 frames: none lies between two others")
    changes = []
    for i in range(1, len(grey) - 1, 2):
        forth, back = _flow(grey[i - 1], grey[i + 1]), _flow(grey[i + 1], grey[i - 1])
        made = _between(frames[i - 1], frames[i + 1], forth, back)
        changes.append(float(np.abs(made - frames[i]).mean()))
    return ClipValue.ok((255.0 - np.mean(changes)) / 255.0)


def _between(
    before: Frames,
    after: Frames,
    forth: npt.NDArray[np.float32],
    back: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """The picture halfway between two, (h, w, 3) in levels: each is pulled half of the way."""
    half = np.asarray((forth - back) / 4, np.float32)
    pulled = [_pulled(before.astype(np.float32), -half), _pulled(after.astype(np.float32), half)]
    return np.asarray(np.mean(pulled, axis=0), np.float32)


def _pulled(
    image: npt.NDArray[np.float32], flow: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The image's value where each pixel went, bilinear; beyond the border the nearest."""
    import cv2

    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    pulled = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(pulled, np.float32)


def _seen(forth: npt.NDArray[np.float32], back: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    height, width = forth.shape[:2]
    rows, columns = np.indices((height, width))
    x, y = columns + forth[..., 0], rows + forth[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    missed = ((forth + back) ** 2).sum(axis=2)
    allowed = 0.01 * ((forth**2).sum(axis=2) + (back**2).sum(axis=2)) + 0.5
    return np.asarray(inside & (missed < allowed))


def motion(speeds: AnyFloats) -> ClipValue:
    """Mean speed over all pixels and pairs of frames, px/frame, from speeds (t - 1, h, w)."""
    checked = _checked(speeds)
    return ClipValue.ok(checked.mean()) if len(checked) else ClipValue.invalid(_NO_PAIR)


def dynamic_degree(speeds: AnyFloats) -> ClipValue:
    """1 for a clip that moves, 0 for one that does not, by VBench's rule on DIS flow.

    A pair of frames moves when the mean speed of its fastest 5 % of pixels exceeds 6 px/frame
    at a short side of 256, in proportion for others; the clip moves when round(t / 4) pairs do.
    For clips of about `DYNAMIC_FPS`, as VBench samples them: at 24 fps the same motion is a third
    as fast a frame, and nothing here can tell.

    Source: VBench, vbench/dynamic_degree.py, with RAFT there.
    """
    checked = _checked(speeds)
    if len(checked) == 0:
        return ClipValue.invalid(_NO_PAIR)
    threshold = 6.0 * min(checked.shape[1:]) / 256.0
    moving = np.count_nonzero(_fastest(checked) > threshold)
    wanted = max(round(4 * (len(checked) + 1) / 16), 1)
    return ClipValue.ok(1.0 if moving >= wanted else 0.0)


def raft_motion(raft_speeds: AnyFloats) -> ClipValue:
    """Return what `motion` does, from speeds (t - 1, h, w) of RAFT's flow."""
    return motion(raft_speeds)


def raft_dynamic_degree(raft_speeds: AnyFloats) -> ClipValue:
    """Return what `dynamic_degree` does, from speeds (t - 1, h, w) of RAFT's flow."""
    return dynamic_degree(raft_speeds)


def _fastest(speeds: FloatArray) -> FloatArray:
    count = max(int(speeds[0].size * 0.05), 1)
    return np.array([np.sort(one, axis=None)[-count:].mean() for one in speeds])


def _checked(speeds: AnyFloats) -> FloatArray:
    array = np.asarray(speeds, dtype=np.float64)
    if array.ndim != 3 or not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"`speeds` must be finite lengths (t - 1, h, w), got {array.shape}")
    return array
