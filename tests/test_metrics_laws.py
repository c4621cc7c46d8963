"""What every metric of a clip obeys, whatever it measures: parts, order, size and odd input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import pytest

from metrics import CATALOG, Scope, describe, load
from metrics.base import ClipValue, FloatArray, Frames, Status
from metrics.motion import flow_speeds, pair_flows

STYLE = np.eye(12)[:3]
TRAINING = np.full((1, 12), 12**-0.5)
TEXT = np.eye(12)[0]

NAMES = sorted(
    name
    for name, row in CATALOG.items()
    if row.scope is Scope.CLIP and row.target is not None and name != "validity"
)


def _clip() -> Frames:
    """A textured plane that pans and flickers a little: every metric has something to measure."""
    rng = np.random.default_rng(4)
    plane = cv2.GaussianBlur(rng.normal(size=(64, 96, 3)), (0, 0), 1.5)
    plane = np.clip(120 + 60 * plane / plane.std(), 0, 255)
    gains = rng.uniform(0.9, 1.1, 9)
    shots = [gain * plane[8:56, 3 * i : 3 * i + 56] for i, gain in enumerate(gains)]
    return np.asarray(np.clip(np.stack(shots), 0, 255), np.uint8)


CLIP = _clip()


def _features(frames: Frames) -> FloatArray:
    """Unit rows (t, 12), the mean colours of the four quarters: no network, same contract."""
    height, width = (side // 2 for side in frames.shape[1:3])
    quarters = [
        frames[:, y : y + height, x : x + width].mean((1, 2))
        for y in (0, height)
        for x in (0, width)
    ]
    rows = np.concatenate(quarters, axis=1) + 1.0
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _other(frames: Frames) -> Frames:
    """The same clip, darker: frame by frame, so that shards go with the whole."""
    return np.asarray(frames * 0.8).astype(np.uint8)


def _value(name: str, frames: Frames) -> ClipValue:
    inputs: Mapping[str, Callable[[], Any]] = {
        "frames": lambda: frames,
        "flows": lambda: pair_flows(frames),
        "speeds": lambda: flow_speeds(frames),
        "image_features": lambda: _features(frames),
        "text_features": lambda: TEXT,
        "style_features": lambda: STYLE,
        "training_features": lambda: TRAINING,
        "subject_features": lambda: STYLE,
        "logit_scale": lambda: 100.0,
        "baseline_frames": lambda: _other(frames),
        "unprompted_frames": lambda: _other(frames),
        "lpips_distances": lambda: frames.mean((1, 2, 3)) / 255,
        "csd_features": lambda: _features(frames),
        "csd_style_features": lambda: STYLE,
        "raft_speeds": lambda: flow_speeds(frames),
        "safety_scores": lambda: frames.mean((1, 2, 3)) / 255 - 0.45,
    }
    value: ClipValue = load(name)(*(inputs[argument]() for argument in describe(name).takes))
    return value


def _number(name: str, frames: Frames) -> float:
    value = _value(name, frames).value
    assert value is not None
    return value


# How the value of a clip follows from those of its parts. Parts of a metric of pairs share the
# frame between them, so that no pair is lost.
FRAMES_MEAN, PAIRS_MEAN, LARGEST, SMALLEST, ANY, WHOLE = (
    "frames",
    "pairs",
    "largest",
    "smallest",
    "any",
    "whole",
)
PARTS: Mapping[str, str] = {
    "clip_score": FRAMES_MEAN,
    "clip_logit": FRAMES_MEAN,
    "clip_frame_consistency": PAIRS_MEAN,
    "flicker": PAIRS_MEAN,
    "luminance_jump": LARGEST,
    "flashes": WHOLE,  # a flash has three parts
    "motion_smoothness": WHOLE,  # leaves out every second frame
    "first_frame_darkness": WHOLE,  # the first frame has a part of its own
    "warping_error": PAIRS_MEAN,
    "sharpness": FRAMES_MEAN,
    "contrast": FRAMES_MEAN,
    "saturation": FRAMES_MEAN,
    "clipped_share": FRAMES_MEAN,
    "high_frequency_share": FRAMES_MEAN,
    "motion": PAIRS_MEAN,
    "dynamic_degree": WHOLE,  # counts pairs against a quarter of all frames
    "style_similarity": FRAMES_MEAN,
    "csd_style_similarity": FRAMES_MEAN,
    "raft_motion": PAIRS_MEAN,
    "raft_dynamic_degree": WHOLE,  # as dynamic_degree
    "style_worst_frame": SMALLEST,
    "style_copy": ANY,
    "subject_similarity": FRAMES_MEAN,
    "ssim_to_baseline": FRAMES_MEAN,
    "lpips_to_baseline": FRAMES_MEAN,
    "negative_prompt_effect": FRAMES_MEAN,
    "unsafe": ANY,
}


def test_of_every_metric_it_is_known_how_its_parts_make_the_whole() -> None:
    assert sorted(PARTS) == NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if PARTS[name] == FRAMES_MEAN])
@pytest.mark.parametrize("sizes", [(4, 5), (1, 2, 6), (1,) * 9])
def test_a_mean_over_frames_is_that_of_its_shards(name: str, sizes: tuple[int, ...]) -> None:
    shards = np.split(CLIP, np.cumsum(sizes)[:-1])
    expected = np.average([_number(name, shard) for shard in shards], weights=sizes)

    assert _number(name, CLIP) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "name", [n for n in NAMES if PARTS[n] in {PAIRS_MEAN, LARGEST, SMALLEST, ANY}]
)
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_a_metric_of_pairs_or_of_the_worst_is_that_of_its_shards(name: str, cut: int) -> None:
    shards = [CLIP[: cut + 1], CLIP[cut:]]
    values = [_number(name, shard) for shard in shards]
    expected = {
        PAIRS_MEAN: float(np.average(values, weights=[cut, 8 - cut])),
        LARGEST: max(values),
        ANY: max(values),
        SMALLEST: min(values),
    }[PARTS[name]]

    assert _number(name, CLIP) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if PARTS[n] in {FRAMES_MEAN, SMALLEST, ANY}])
def test_a_metric_of_frames_does_not_see_their_order(name: str) -> None:
    shuffled = CLIP[np.random.default_rng(0).permutation(9)]

    assert _number(name, shuffled) == pytest.approx(_number(name, CLIP), rel=1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if PARTS[n] in {PAIRS_MEAN, LARGEST}])
def test_a_metric_of_pairs_sees_their_order(name: str) -> None:
    # Every third frame, then the rest: far from each other at every step.
    shuffled = CLIP[[0, 3, 6, 1, 4, 7, 2, 5, 8]]

    assert _number(name, shuffled) != pytest.approx(_number(name, CLIP), rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_fewest_frames_of_a_row_have_a_value_and_one_frame_less_has_none(name: str) -> None:
    fewest = describe(name).minimum_n

    assert _value(name, CLIP[:fewest]).status is Status.OK
    if fewest > 1:
        short = _value(name, CLIP[: fewest - 1])
        assert (short.value, short.status) == (None, Status.INVALID)
        assert short.reason
    else:
        with pytest.raises(ValueError, match=r"at least 1 frames|n >= 1"):
            _value(name, CLIP[:0])


ODD: Mapping[str, Frames] = {
    "black": np.zeros_like(CLIP),
    "white": np.full_like(CLIP, 255),
    "one colour": np.broadcast_to(np.array([69, 78, 10], np.uint8), CLIP.shape),
    "frozen": np.repeat(CLIP[:1], 9, axis=0),
    "noise": np.random.default_rng(1).integers(0, 256, CLIP.shape, dtype=np.uint8),
    "black and white in turn": np.repeat(np.arange(9, dtype=np.uint8) % 2 * 255, CLIP[0].size)
    .reshape(CLIP.shape),
    "a checkerboard": np.broadcast_to(
        (np.indices(CLIP.shape[1:3]).sum(0) % 2 * 255).astype(np.uint8)[..., None], CLIP.shape
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", sorted(ODD))
def test_odd_clips_have_a_finite_value_or_none_with_its_reason(name: str, kind: str) -> None:
    found = _value(name, ODD[kind])

    # A ClipValue holds no NaN; a warning of NumPy's, as of 0 / 0, is an error in these tests.
    assert (found.value is not None) != bool(found.reason)


@pytest.mark.parametrize("name", [name for name in NAMES if "frames" in describe(name).takes])
def test_how_pixels_lie_in_memory_changes_nothing_and_they_are_left_as_they_were(
    name: str,
) -> None:
    before, scattered = CLIP.copy(), np.asfortranarray(CLIP)

    assert _value(name, scattered) == _value(name, CLIP)
    assert np.array_equal(CLIP, before)


@pytest.mark.parametrize("name", [n for n in NAMES if {"frames", "speeds"} & {*describe(n).takes}])
def test_floats_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match="uint8"):
        _value(name, (CLIP / 255).astype(np.float32))
