"""Sameness, flicker and flashes from frame to frame."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from metrics.base import ClipValue, Frames, Status
from metrics.temporal import (
    clip_frame_consistency,
    first_frame_darkness,
    flashes,
    flicker,
    luminance_jump,
)

RNG = np.random.default_rng(0)
STILL: Frames = np.repeat(RNG.integers(40, 200, (1, 24, 32, 3), dtype=np.uint8), 8, axis=0)


def _number(value: ClipValue) -> float:
    assert value.value is not None
    return value.value


def _by_vbench(frames: Frames) -> float:
    """The published definition, frame by frame in float32."""
    pairs = pairwise(frames.astype(np.float32))
    errors = [np.mean(cv2.absdiff(one, two)) for one, two in pairs]
    return (255.0 - float(np.mean(np.array(errors)))) / 255.0


def _flashing(amount: int) -> Frames:
    clip = STILL.copy()
    clip[::2] += np.uint8(amount)
    return clip


# --- flicker ------------------------------------------------------------------------------------


def test_a_still_clip_scores_one() -> None:
    assert _number(flicker(STILL)) == 1.0


def test_black_to_white_and_back_scores_nothing() -> None:
    clip = np.zeros((6, 4, 4, 3), np.uint8)
    clip[1::2] = 255

    assert _number(flicker(clip)) == 0.0


def test_flicker_is_vbenchs_number() -> None:
    clip = RNG.integers(0, 256, (9, 20, 30, 3), dtype=np.uint8)

    assert _number(flicker(clip)) == pytest.approx(_by_vbench(clip), rel=1e-6)


def test_a_known_step_has_a_known_score() -> None:
    assert _number(flicker(_flashing(51))) == pytest.approx(1 - 51 / 255)


def test_more_flicker_scores_lower() -> None:
    scores = [_number(flicker(_flashing(amount))) for amount in (0, 2, 10, 40)]

    assert scores == sorted(scores, reverse=True)


def test_flicker_does_not_depend_on_reading_direction() -> None:
    clip = RNG.integers(0, 256, (9, 20, 30, 3), dtype=np.uint8)

    assert _number(flicker(clip[::-1])) == pytest.approx(_number(flicker(clip)), rel=1e-12)


# --- luminance ----------------------------------------------------------------------------------


def test_a_flash_is_as_large_as_its_step() -> None:
    clip = STILL.copy()
    clip[5] += np.uint8(30)

    assert _number(luminance_jump(clip)) == pytest.approx(30.0)


def test_a_dark_first_frame_is_a_jump() -> None:
    clip = STILL.copy()
    clip[0] //= 2

    assert _number(luminance_jump(clip)) > 20
    assert _number(luminance_jump(STILL)) == 0.0


def test_moving_content_without_a_change_of_light_is_no_jump() -> None:
    clip = np.stack([np.roll(frame, 3 * i, axis=1) for i, frame in enumerate(STILL)])

    assert _number(luminance_jump(clip)) == pytest.approx(0.0, abs=1e-9)


def test_a_first_frame_at_half_light_is_dark_by_half_of_it() -> None:
    clip = np.full((5, 8, 8, 3), 120, np.uint8)
    clip[0] = 60

    assert _number(first_frame_darkness(clip)) == pytest.approx(60.0)
    assert _number(first_frame_darkness(clip[::-1])) == pytest.approx(-15.0)
    assert _number(first_frame_darkness(STILL)) == 0.0


def _by_opencv(frames: Frames) -> NDArray[np.float64]:
    """Mean BT.709 luma of each frame, in OpenCV's arithmetic."""
    weights = np.array([[0.2126, 0.7152, 0.0722]])
    return np.array([cv2.mean(cv2.transform(one.astype(np.float64), weights))[0] for one in frames])


def test_opencv_sees_the_same_jumps_and_dark_first_frames() -> None:
    clip = RNG.integers(0, 256, (9, 20, 30, 3), dtype=np.uint8)
    clip[0] //= 3
    means = _by_opencv(clip)

    jumps = [abs(later - now) for now, later in pairwise(means)]
    assert _number(luminance_jump(clip)) == pytest.approx(max(jumps), rel=1e-12)
    assert _number(first_frame_darkness(clip)) == pytest.approx(
        sum(means[1:]) / 8 - means[0], rel=1e-9
    )


def test_a_dark_first_frame_is_that_of_its_shards() -> None:
    clip = RNG.integers(0, 256, (9, 20, 30, 3), dtype=np.uint8)
    clip[0] //= 3
    # Each shard with the first frame before it: the means of later frames, weighed by their number.
    shards = [np.concatenate([clip[:1], part]) for part in (clip[1:3], clip[3:4], clip[4:])]
    expected = np.average([_number(first_frame_darkness(one)) for one in shards], weights=[2, 1, 5])

    assert _number(first_frame_darkness(clip)) == pytest.approx(expected, rel=1e-12)


def test_a_stronger_flash_jumps_further_and_a_darker_start_is_darker() -> None:
    flashes, starts = [], []
    for amount in (0, 5, 20, 50):
        flash, start = STILL.copy(), STILL.copy()
        flash[5] += np.uint8(amount)
        start[0] -= np.uint8(min(amount, 40))
        flashes.append(_number(luminance_jump(flash)))
        starts.append(_number(first_frame_darkness(start)))

    assert flashes == sorted(set(flashes))
    assert starts == sorted(set(starts))


# --- consistency --------------------------------------------------------------------------------


def test_identical_features_are_fully_consistent() -> None:
    assert _number(clip_frame_consistency(np.tile([0.6, 0.8], (5, 1)))) == pytest.approx(1.0)


def test_a_steady_turn_has_the_cosine_of_its_step() -> None:
    angles = np.radians(20.0 * np.arange(10))
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    assert _number(clip_frame_consistency(rows)) == pytest.approx(np.cos(np.radians(20)))


def test_torch_agrees_on_consistency() -> None:
    rows = RNG.normal(size=(9, 16))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    theirs = torch.nn.functional.cosine_similarity(
        torch.from_numpy(rows[:-1]), torch.from_numpy(rows[1:])
    )

    assert _number(clip_frame_consistency(unit)) == pytest.approx(float(theirs.mean()), rel=1e-9)


def test_shuffled_frames_are_less_consistent() -> None:
    angles = np.radians(9.0 * np.arange(16))
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    assert _number(clip_frame_consistency(rows[RNG.permutation(16)])) < _number(
        clip_frame_consistency(rows)
    )


def test_features_that_are_not_unit_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of length 1"):
        clip_frame_consistency(np.ones((3, 4)))


# --- flashes ------------------------------------------------------------------------------------


def _lit(*levels: int) -> Frames:
    """Grey frames of these levels."""
    return np.stack([np.full((8, 8, 3), level, np.uint8) for level in levels])


DIM, BRIGHT = 100, 180  # relative luminance 0.127 and 0.456


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((DIM,) * 4, 0),
        ((DIM, BRIGHT, DIM), 1),
        ((BRIGHT, DIM, BRIGHT), 1),
        ((DIM, BRIGHT, BRIGHT), 0),  # a cut is half a flash
        ((DIM, BRIGHT, DIM, BRIGHT), 1),
        ((DIM, BRIGHT) * 4, 3),
        ((DIM, 140, BRIGHT, 140, DIM), 1),  # in steps too small by themselves
        ((240, 255, 240), 0),  # 0.87 to 1 and back: bright on both sides
        ((100, 112, 100), 0),  # 0.127 to 0.162: too little
    ],
)
def test_a_flash_is_there_and_back_by_a_tenth_of_white(
    levels: tuple[int, ...], expected: int
) -> None:
    assert _number(flashes(_lit(*levels))) == expected
    assert _number(flashes(_lit(*levels[::-1]))) == expected


def _flashes_by_turning_points(levels: list[float]) -> int:
    """WCAG's pairs, counted another way: drop the smallest swing until all are large enough."""
    points = list(levels)
    while len(points) > 1:
        # Only turning points stay.
        points = [
            p
            for i, p in enumerate(points)
            if i in {0, len(points) - 1} or (p - points[i - 1]) * (points[i + 1] - p) < 0
        ]
        steps = [abs(b - a) for a, b in pairwise(points)]
        if not steps or min(steps) >= 0.1:
            break
        at = steps.index(min(steps))
        inner = 0 < at < len(steps) - 1
        points = (
            points[:at] + points[at + 2 :]
            if inner
            else points[1:] if at == 0 else points[:-1]
        )  # fmt: skip
    return (len(points) - 1) // 2 if len(points) > 1 else 0


@pytest.mark.parametrize("seed", range(20))
def test_counting_turning_points_gives_the_same_number(seed: int) -> None:
    levels = np.random.default_rng(seed).integers(0, 225, 24)  # below 0.8: no bright pair
    unit = [((level / 255 + 0.055) / 1.055) ** 2.4 if level > 10 else level / 255 / 12.92
            for level in levels.tolist()]  # fmt: skip

    assert _number(flashes(_lit(*levels.tolist()))) == _flashes_by_turning_points(unit)


def test_light_counts_by_colour() -> None:
    clip = np.zeros((3, 4, 4, 3), np.uint8)
    for channel, expected in ((0, 1), (1, 1), (2, 0)):  # 0.2126, 0.7152, 0.0722 of white
        flash = clip.copy()
        flash[1, ..., channel] = 255
        assert _number(flashes(flash)) == expected


@pytest.mark.parametrize("cut", [3, 6, 9])
def test_clips_that_meet_at_one_level_have_the_flashes_of_both(cut: int) -> None:
    # Quiet from frame 2 to 10, so that a cut there parts no flash.
    clip = _lit(DIM, BRIGHT, *[DIM] * 9, BRIGHT, DIM, BRIGHT, DIM)

    parts = [_number(flashes(one)) for one in (clip[: cut + 1], clip[cut:])]

    assert parts == [1.0, 2.0]
    assert _number(flashes(clip)) == sum(parts)


def test_every_planted_flash_counts_one_more_and_a_fade_out_none() -> None:
    found = []
    for count in range(4):
        clip = np.repeat(_lit(DIM), 20, axis=0)
        clip[3 : 3 + 4 * count : 4] = BRIGHT
        found.append(_number(flashes(clip)))

    assert found == [0.0, 1.0, 2.0, 3.0]
    assert _number(flashes(_lit(*range(200, 20, -20)))) == 0.0


def test_two_frames_cannot_flash() -> None:
    found = flashes(_lit(DIM, BRIGHT))

    assert (found.value, found.status) == (None, Status.INVALID)


# --- degenerate ---------------------------------------------------------------------------------


def test_one_frame_is_invalid_and_never_a_number() -> None:
    of_frames = (flicker, luminance_jump, first_frame_darkness)
    found = (*(metric(STILL[:1]) for metric in of_frames), clip_frame_consistency(np.eye(1)))

    for value in found:
        assert value.value is None
        assert value.status is Status.INVALID
        assert "one frame" in value.reason


@pytest.mark.parametrize("metric", [flicker, luminance_jump, first_frame_darkness])
def test_a_longer_clip_takes_no_more_memory(metric: Callable[[Frames], ClipValue]) -> None:
    short, long = (_peak_bytes(metric, np.repeat(STILL, times, axis=0)) for times in (1, 20))

    assert long < 1.2 * short + 8 * 20 * len(STILL) + 4096  # a number a frame, and objects


def _peak_bytes(metric: Callable[[Frames], ClipValue], frames: Frames) -> int:
    tracemalloc.start()
    metric(frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_floats_are_refused() -> None:
    for metric in (flicker, luminance_jump, first_frame_darkness):
        with pytest.raises(TypeError, match="uint8"):
            metric(STILL / 255.0)  # type: ignore[arg-type]
