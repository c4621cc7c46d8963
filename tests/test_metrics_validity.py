"""Clips that cannot be judged are found; odd but real ones are left alone."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal

import numpy as np
import pytest

from metrics.base import Frames
from metrics.validity import Fault, Validity, judge, judge_finite

RNG = np.random.default_rng(0)


def _disc(*, step: float, background: int = 60, disc: int = 200, radius: float = 8.0) -> Frames:
    """16 frames of 64 px, a soft-edged grey disc that moves `step` pixels a frame."""
    y, x = np.mgrid[:64, :64].astype(float)
    shots = []
    for i in range(16):
        distance = np.hypot(x - 24.0 - step * i, y - 32.0)
        shots.append(background + (disc - background) / (1 + np.exp(2 * (distance - radius))))
    return np.repeat(np.round(np.stack(shots))[..., None], 3, axis=3).astype(np.uint8)


def test_an_ordinary_clip_is_valid() -> None:
    assert judge(_disc(step=1.0), expected=(16, 64, 64)) == Validity()


@pytest.mark.parametrize("level", [0, 1, 16])
def test_a_black_clip_is_found(level: int) -> None:
    noise = RNG.integers(0, level + 1, (16, 64, 64, 3)).astype(np.uint8)

    assert judge(noise).fault is Fault.BLACK


@pytest.mark.parametrize("level", [0, 1, 15])
def test_a_white_clip_is_found(level: int) -> None:
    noise = 255 - RNG.integers(0, level + 1, (16, 64, 64, 3)).astype(np.uint8)

    assert judge(noise).fault is Fault.WHITE


def test_a_small_light_in_the_dark_is_no_black_clip() -> None:
    assert judge(_disc(step=1.0, background=0, disc=255, radius=2.0)).ok


def test_a_small_mark_on_white_is_no_white_clip() -> None:
    assert judge(_disc(step=1.0, background=255, disc=40, radius=2.0)).ok


def test_a_clip_that_fades_in_from_black_is_valid() -> None:
    clip = _disc(step=1.0)
    clip[:12] = 0

    assert judge(clip).ok


def test_a_frozen_clip_is_found() -> None:
    assert judge(np.repeat(_disc(step=0.0)[:1], 16, axis=0)).fault is Fault.FROZEN


def test_rounding_of_a_codec_does_not_thaw_a_frozen_clip() -> None:
    still = np.repeat(_disc(step=0.0)[:1], 16, axis=0).astype(int)
    wobble = RNG.integers(-1, 2, still.shape)

    assert judge((still + wobble).astype(np.uint8)).fault is Fault.FROZEN


def test_a_longer_clip_takes_no_more_memory_to_judge() -> None:
    clip = _disc(step=1.0)
    peaks = []
    for times in (1, 20):
        longer = np.repeat(clip, times, axis=0)
        tracemalloc.start()
        assert judge(longer).ok
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.2 * peaks[0]


def _lit(count: int, level: int) -> Frames:
    """Black frames of 64 x 64, `count` pixels of which are grey; one frame differs."""
    clip = np.zeros((4, 64 * 64, 3), np.uint8)
    clip[:, :count] = level
    clip[3, 100:110] = 9
    return clip.reshape(4, 64, 64, 3)


@pytest.mark.parametrize(
    ("count", "level", "fault"),
    [(4, 200, Fault.BLACK), (5, 200, None), (5, 16, Fault.BLACK), (5, 17, None)],
)
def test_black_ends_where_more_than_a_thousandth_is_above_video_black(
    count: int, level: int, fault: Fault | None
) -> None:
    # 0.001 * 64 * 64 = 4.1 pixels, and level 16 is black.
    assert judge(_lit(count, level)).fault is fault
    mirrored = 255 - _lit(count, level)
    assert judge(mirrored).fault is (Fault.WHITE if fault else None)


@pytest.mark.parametrize(("change", "fault"), [(2, Fault.FROZEN), (3, None)])
def test_frozen_ends_where_one_pixel_changes_by_more_than_two_levels(
    change: int, fault: Fault | None
) -> None:
    clip = np.repeat(_disc(step=0.0)[:1], 16, axis=0)
    clip[9, 5, 5, 1] += np.uint8(change)

    assert judge(clip).fault is fault


def _by_loops(clip: Frames) -> Fault | None:
    """The definitions with the standard library alone, pixel by pixel."""
    frames = clip.reshape(len(clip), -1, 3).tolist()
    weights = (Decimal("0.2126"), Decimal("0.7152"), Decimal("0.0722"))
    lumas = [[sum(w * v for w, v in zip(weights, p, strict=True)) for p in f] for f in frames]
    allowed = len(frames[0]) // 1000
    if all(sum(luma > 16 for luma in frame) <= allowed for frame in lumas):
        return Fault.BLACK
    if all(sum(luma < 239 for luma in frame) <= allowed for frame in lumas):
        return Fault.WHITE
    changes = (
        abs(a - b)
        for frame in frames[1:]
        for p, q in zip(frame, frames[0], strict=True)
        for a, b in zip(p, q, strict=True)
    )
    return Fault.FROZEN if max(changes) <= 2 else None


@pytest.mark.parametrize("seed", range(40))
def test_plain_loops_over_pixels_find_the_same_fault(seed: int) -> None:
    rng = np.random.default_rng(seed)
    level = int(rng.choice([0, 15, 16, 120, 238, 239, 240, 253]))
    clip = np.full((4, 40, 50, 3), level, np.uint8)  # 2000 pixels: two of them are allowed
    clip += rng.integers(0, 3, clip.shape if seed % 2 else (1, 40, 50, 3)).astype(np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        y, x = int(rng.integers(40)), int(rng.integers(50))
        clip[rng.integers(4), y, x] = rng.integers(0, 256, 3)

    assert judge(clip).fault == _by_loops(clip)


def test_those_loops_meet_every_answer() -> None:
    moving, still = _disc(step=1.0)[:3, ::4, ::4], _disc(step=0.0)[:3, ::4, ::4]
    clips = (np.zeros_like(moving), np.full_like(moving, 255), still, moving)

    assert [_by_loops(clip) for clip in clips] == [Fault.BLACK, Fault.WHITE, Fault.FROZEN, None]


@pytest.mark.parametrize("fault", ["none", "black", "white", "frozen"])
def test_neither_the_order_of_frames_nor_a_repeated_clip_changes_the_answer(fault: str) -> None:
    clip = {
        "none": _disc(step=1.0),
        "black": np.zeros((16, 64, 64, 3), np.uint8),
        "white": np.full((16, 64, 64, 3), 255, np.uint8),
        "frozen": np.repeat(_disc(step=0.0)[:1], 16, axis=0),
    }[fault]
    expected = None if fault == "none" else Fault(fault)

    for other in (clip, clip[::-1], np.concatenate([clip, clip]), clip[4:9]):
        assert judge(other).fault is expected


@pytest.mark.parametrize("step", [0.01, 0.05])
def test_a_very_slow_clip_is_valid(step: float) -> None:
    assert judge(_disc(step=step)).ok


def test_a_clip_that_moves_only_at_its_end_is_valid() -> None:
    clip = np.repeat(_disc(step=0.0)[:1], 16, axis=0)
    clip[15] = np.roll(clip[15], 1, axis=1)

    assert judge(clip).ok


@pytest.mark.parametrize("expected", [(8, 64, 64), (16, 32, 64), (16, 64, 32)])
def test_another_size_or_count_than_planned_is_found(expected: tuple[int, int, int]) -> None:
    found = judge(_disc(step=1.0), expected=expected)

    assert found.fault is Fault.WRONG_SHAPE
    assert "got 16 of 64x64" in found.reason


@pytest.mark.parametrize("count", [0, 1])
def test_one_frame_or_none_is_no_clip(count: int) -> None:
    assert judge(_disc(step=1.0)[:count]).fault is Fault.SINGLE_FRAME


def test_float_frames_are_an_error_and_not_a_fault() -> None:
    with pytest.raises(TypeError, match="uint8"):
        judge(np.zeros((4, 8, 8, 3)))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_latents_with_nan_or_infinity_are_found_and_counted(bad: float) -> None:
    latents = np.zeros((4, 8), np.float32)
    latents[1, 2] = bad

    found = judge_finite(latents, name="latents")

    assert found.fault is Fault.NOT_FINITE
    assert found.reason.startswith("1 of 32 values of latents")
    assert judge_finite(np.zeros((4, 8)), name="latents").ok


def test_a_fault_without_a_reason_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="go together"):
        Validity(Fault.BLACK)
