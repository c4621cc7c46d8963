"""Planted faults keep a clip a clip, and each is caught by the metric made for it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from metrics.base import ClipValue, Frames
from metrics.faults import FAULTS
from metrics.image import clipped_share, contrast, high_frequency_share, saturation, sharpness
from metrics.motion import flow_speeds, motion, motion_smoothness, warping_error
from metrics.temporal import first_frame_darkness, flashes, flicker, luminance_jump
from metrics.validity import Fault, judge


def _clip() -> Frames:
    """A textured plane that pans by two pixels a frame, in muted colours."""
    rng = np.random.default_rng(1)
    plane = cv2.GaussianBlur(rng.normal(size=(96, 140, 3)), (0, 0), 2.0)
    plane = np.clip(120 + 45 * plane / plane.std(), 0, 255)
    return np.stack([plane[10:74, 2 * i : 2 * i + 64] for i in range(16)]).astype(np.uint8)


CLIP = _clip()


def _spoilt(name: str) -> Frames:
    return FAULTS[name](CLIP, np.random.default_rng(2))


def _motion(frames: Frames) -> ClipValue:
    return motion(flow_speeds(frames))


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_changes_the_clip_and_keeps_its_form(name: str) -> None:
    spoilt = _spoilt(name)

    assert (spoilt.shape, spoilt.dtype) == (CLIP.shape, CLIP.dtype)
    assert not np.array_equal(spoilt, CLIP)
    assert np.array_equal(spoilt, _spoilt(name))


@pytest.mark.parametrize(
    ("name", "metric", "sign"),
    [
        ("blur", sharpness, -1),
        ("blur", high_frequency_share, -1),
        ("noise", high_frequency_share, 1),
        ("noise", warping_error, 1),
        ("flicker", luminance_jump, 1),
        ("dark_start", first_frame_darkness, 1),
        ("washed_out", contrast, -1),
        ("burnt", saturation, 1),
        ("watermark", sharpness, 1),
        ("shuffled", flicker, -1),
        ("half_speed", _motion, -1),
        ("flash", flashes, 1),
    ],
)
def test_a_fault_is_seen_by_the_metric_made_for_it(
    name: str, metric: Callable[[Frames], ClipValue], sign: int
) -> None:
    clean, spoilt = metric(CLIP).value, metric(_spoilt(name)).value
    assert clean is not None
    assert spoilt is not None

    assert sign * (spoilt - clean) > 0.05 * abs(clean)


def test_a_stutter_is_seen_by_smoothness_and_hardly_by_the_mean_motion() -> None:
    stutter = _spoilt("stutter")

    lacks, lacked = (1 - (motion_smoothness(c).value or 0.0) for c in (stutter, CLIP))
    assert lacks > 3 * lacked
    assert _motion(stutter).value == pytest.approx(_motion(CLIP).value or 0.0, rel=0.15)


def test_a_frozen_clip_is_no_clip() -> None:
    assert judge(_spoilt("frozen")).fault is Fault.FROZEN
    assert not judge(_spoilt("half_speed")).reason


def test_what_a_metric_cannot_see_leaves_it_where_it_was() -> None:
    assert clipped_share(_spoilt("shuffled")) == clipped_share(CLIP)
    assert saturation(_spoilt("darkened")).value == pytest.approx(
        saturation(CLIP).value or 0.0, abs=0.01
    )
