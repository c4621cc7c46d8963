"""The metrics agree with what a person sees in real clips, where those are at hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from metrics import frames
from metrics.base import ClipValue, Frames
from metrics.faults import FAULTS
from metrics.image import contrast, high_frequency_share, saturation, sharpness
from metrics.motion import flow_speeds, motion, motion_smoothness, warping_error
from metrics.temporal import flashes, flicker, luminance_jump
from metrics.validity import Fault, judge

DATA = Path(__file__).parents[1].parent / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="no real clips: they lie beside the repository, not in it"
)

CLIPS = (
    "animatelcm_svd_000000",
    "animatelcm_svd_000003",
    "animatelcm_svd_000005",
    "bikes",
    "carphone_distorted",
    "carphone_pristine",
)


def _clip(name: str, count: int = 12) -> Frames:
    """The first frames of a clip, small enough for a quick test."""
    whole = frames.decode(DATA / f"{name}.mp4").frames[:count]
    height, width = whole.shape[1:3]
    scale = 144 / min(height, width)
    return frames.resize(whole, round(height * scale), round(width * scale), fit="squash")


def _number(value: ClipValue) -> float:
    assert value.value is not None
    return value.value


@pytest.mark.parametrize("name", CLIPS)
def test_real_clips_are_valid_and_move(name: str) -> None:
    clip = _clip(name)

    assert judge(clip).ok
    assert 0.01 < _number(motion(flow_speeds(clip))) < 20


def test_size_and_rate_of_an_animatelcm_clip_are_read() -> None:
    decoded = frames.decode(DATA / "animatelcm_svd_000005.mp4")

    assert decoded.frames.shape == (25, 576, 1024, 3)
    assert decoded.fps == pytest.approx(8.0)


def test_planted_faults_are_seen_by_the_metric_made_for_each() -> None:
    clip = _clip("bikes")
    flashing, shuffled = clip.copy(), clip[np.random.default_rng(0).permutation(len(clip))]
    flashing[5] = np.clip(flashing[5].astype(int) + 40, 0, 255).astype(np.uint8)

    assert judge(np.repeat(clip[:1], 12, axis=0)).fault is Fault.FROZEN
    assert judge(clip // 32).fault is Fault.BLACK
    assert _number(luminance_jump(flashing)) > _number(luminance_jump(clip)) + 20
    assert _number(flicker(flashing)) < _number(flicker(clip))
    assert _number(motion(flow_speeds(shuffled))) > _number(motion(flow_speeds(clip)))


@pytest.mark.parametrize("name", CLIPS)
def test_a_flash_is_counted_and_a_shuffled_clip_is_less_smooth(name: str) -> None:
    clip = _clip(name)
    flash, shuffled = (FAULTS[f](clip, np.random.default_rng(0)) for f in ("flash", "shuffled"))

    assert (_number(flashes(clip)), _number(flashes(flash))) == (0.0, 1.0)
    assert _number(motion_smoothness(shuffled)) < _number(motion_smoothness(clip)) - 0.005


SOURCES = ("animatelcm_svd_000003", "bikes", "carphone_pristine")


@pytest.mark.parametrize("name", SOURCES)
def test_a_shuffled_a_frozen_a_darkened_and_a_blurred_clip_are_each_seen(name: str) -> None:
    clip = _clip(name)
    spoilt = {fault: spoil(clip, np.random.default_rng(0)) for fault, spoil in FAULTS.items()}

    assert judge(spoilt["frozen"]).fault is Fault.FROZEN
    assert all(judge(one).ok for fault, one in spoilt.items() if fault != "frozen")
    assert _number(motion(flow_speeds(spoilt["shuffled"]))) > 1.1 * _number(
        motion(flow_speeds(clip))
    )
    assert _number(flicker(spoilt["shuffled"])) < _number(flicker(clip))
    assert _number(warping_error(spoilt["shuffled"])) > 1.1 * _number(warping_error(clip))
    # Of all light 85 % are left, and so of its spread.
    assert _number(contrast(spoilt["darkened"])) == pytest.approx(
        0.85 * _number(contrast(clip)), rel=0.01
    )
    for detail in (sharpness, high_frequency_share):
        assert _number(detail(spoilt["blur"])) < 0.5 * _number(detail(clip))


@pytest.mark.parametrize("name", SOURCES)
def test_metrics_of_single_frames_do_not_see_a_shuffle_nor_those_of_colour_a_dimmed_light(
    name: str,
) -> None:
    clip = _clip(name)
    shuffled, darkened = (
        FAULTS[f](clip, np.random.default_rng(0)) for f in ("shuffled", "darkened")
    )

    for metric in (sharpness, contrast, saturation, high_frequency_share):
        assert _number(metric(shuffled)) == pytest.approx(_number(metric(clip)), rel=1e-9)
    assert _number(saturation(darkened)) == pytest.approx(_number(saturation(clip)), abs=0.01)
    assert _number(motion(flow_speeds(darkened))) == pytest.approx(
        _number(motion(flow_speeds(clip))), rel=0.15
    )


def test_blur_is_no_fault_of_validity_and_hardly_changes_motion() -> None:
    clip = _clip("carphone_pristine")
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.0) for frame in clip]).astype(np.uint8)

    assert judge(blurred).ok
    before, after = (_number(motion(flow_speeds(c))) for c in (clip, blurred))
    assert after == pytest.approx(before, rel=0.3)
