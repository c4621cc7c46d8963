"""Two clips of one seed beside each other: SSIM, LPIPS and what a negative prompt changes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from scipy import ndimage

from metrics.base import ClipValue, FloatArray, Frames, Status
from metrics.faults import FAULTS
from metrics.paired import lpips_to_baseline, negative_prompt_effect, ssim_to_baseline

RNG = np.random.default_rng(5)
NOISE: Frames = RNG.integers(0, 256, (3, 40, 48, 3), dtype=np.uint8)
BOTH = (ssim_to_baseline, negative_prompt_effect)


def _clip() -> Frames:
    """A textured plane that pans by two pixels a frame."""
    plane = cv2.GaussianBlur(np.random.default_rng(1).normal(size=(96, 140, 3)), (0, 0), 2.0)
    plane = np.clip(120 + 45 * plane / plane.std(), 0, 255)
    return np.stack([plane[10:74, 2 * i : 2 * i + 64] for i in range(8)]).astype(np.uint8)


CLIP = _clip()
NOISE_LIKE: Frames = RNG.integers(0, 256, CLIP.shape, dtype=np.uint8)


def _number(value: ClipValue) -> float:
    assert value.value is not None
    return value.value


def _flat(level: int) -> Frames:
    return np.full((2, 16, 16, 3), level, np.uint8)


# --- SSIM ---------------------------------------------------------------------------------------


def test_a_clip_is_like_itself() -> None:
    assert _number(ssim_to_baseline(CLIP, CLIP)) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("one", "other"), [(0, 255), (60, 120), (200, 180)])
def test_of_flat_clips_only_the_light_is_compared(one: int, other: int) -> None:
    a, b, c1 = one / 255, other / 255, 0.01**2
    expected = (2 * a * b + c1) / (a**2 + b**2 + c1)

    assert _number(ssim_to_baseline(_flat(one), _flat(other))) == pytest.approx(expected, abs=1e-9)


def _by_scipy(one: Frames, other: Frames) -> float:
    """Wang et al. written out with SciPy's Gaussian filter, borders mirrored."""

    def smooth(image: FloatArray) -> FloatArray:
        # 11 pixels at a deviation of 1.5: cut off after 3.33 of them.
        filtered = ndimage.gaussian_filter(image, 1.5, truncate=5 / 1.5, axes=(0, 1), mode="mirror")
        return np.asarray(filtered)

    values = []
    for frame, beside in zip(one / 255.0, other / 255.0, strict=True):
        mu, nu = smooth(frame), smooth(beside)
        var, war = smooth(frame**2) - mu**2, smooth(beside**2) - nu**2
        both = smooth(frame * beside) - mu * nu
        light = (2 * mu * nu + 0.01**2) / (mu**2 + nu**2 + 0.01**2)
        values.append((light * (2 * both + 0.03**2) / (var + war + 0.03**2)).mean())
    return float(np.mean(values))


@pytest.mark.parametrize("fault", ["blur", "noise", "darkened"])
def test_scipy_gives_the_same_similarity(fault: str) -> None:
    spoilt = FAULTS[fault](CLIP, np.random.default_rng(0))

    found = _number(ssim_to_baseline(spoilt, CLIP))

    assert found == pytest.approx(_by_scipy(spoilt, CLIP), abs=1e-6)


def test_more_noise_is_less_alike() -> None:
    def noisy(amount: float) -> Frames:
        noise = np.random.default_rng(0).normal(0, amount, CLIP.shape)
        return np.clip(np.rint(CLIP + noise), 0, 255).astype(np.uint8)

    scores = [_number(ssim_to_baseline(noisy(amount), CLIP)) for amount in (0, 4, 12, 40)]

    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.3


def test_it_does_not_matter_whose_clip_is_whose() -> None:
    assert _number(ssim_to_baseline(NOISE, NOISE[::-1])) == pytest.approx(
        _number(ssim_to_baseline(NOISE[::-1], NOISE)), abs=1e-12
    )


def test_a_clip_smaller_than_the_window_has_no_similarity() -> None:
    found = ssim_to_baseline(CLIP[:, :10], CLIP[:, :10])

    assert (found.status, found.reason) == (Status.INVALID, "SSIM needs frames of at least 11 px")


# --- the negative prompt ------------------------------------------------------------------------


def test_a_prompt_that_does_nothing_has_no_effect() -> None:
    assert _number(negative_prompt_effect(CLIP, CLIP)) == 0.0


def test_a_known_change_has_its_size() -> None:
    assert _number(negative_prompt_effect(_flat(60), _flat(67))) == 7.0
    assert _number(negative_prompt_effect(_flat(0), _flat(255))) == 255.0


def test_opencv_counts_the_same_change() -> None:
    other = NOISE[::-1]
    expected = np.mean([cv2.absdiff(a, b).mean() for a, b in zip(NOISE, other, strict=True)])

    assert _number(negative_prompt_effect(NOISE, other)) == pytest.approx(float(expected))


def test_a_prompt_that_changes_more_has_more_effect_and_one_that_moves_a_frame_too() -> None:
    effects = []
    for levels in (0, 1, 4, 16):
        changed = np.clip(CLIP.astype(int) + levels, 0, 255).astype(np.uint8)
        effects.append(_number(negative_prompt_effect(CLIP, changed)))

    assert effects == sorted(set(effects))
    assert _number(negative_prompt_effect(CLIP, CLIP[::-1])) > 0


def test_the_effect_is_the_same_from_either_clip() -> None:
    there, back = (negative_prompt_effect(*two) for two in ((CLIP, NOISE_LIKE), (NOISE_LIKE, CLIP)))

    assert there == back


# --- LPIPS --------------------------------------------------------------------------------------
#
# The network's own distances are checked in test_metrics_extractors_lpips.py.


def test_the_distance_of_a_clip_is_the_mean_of_its_frames() -> None:
    distances = np.array([0.1, 0.2, 0.6, 0.5])

    assert _number(lpips_to_baseline(np.array([0.2]))) == 0.2
    assert _number(lpips_to_baseline(distances)) == pytest.approx(sum(distances.tolist()) / 4)
    assert _number(lpips_to_baseline(distances[::-1])) == pytest.approx(0.35, rel=1e-12)


def test_one_frame_that_goes_astray_is_further_away() -> None:
    distances = np.full(8, 0.1)
    far = [
        _number(lpips_to_baseline(np.where(np.arange(8) == 3, astray, distances)))
        for astray in (0.1, 0.3, 0.9)
    ]

    assert far == sorted(set(far))


@pytest.mark.parametrize("bad", [np.zeros(0), np.array([0.1, np.nan]), np.zeros((2, 2))])
def test_distances_that_are_none_are_refused(bad: FloatArray) -> None:
    with pytest.raises(ValueError, match="must be finite, one a frame"):
        lpips_to_baseline(bad)


# --- all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", BOTH)
def test_clips_of_two_shapes_have_no_number(
    metric: Callable[[Frames, Frames], ClipValue],
) -> None:
    found = metric(CLIP, CLIP[:5, :, :60])

    assert found.value is None
    assert found.reason == (
        "8 frames of 64x64 against 5 frames of 60x64: bring both to one form first"
    )


@pytest.mark.parametrize("metric", BOTH)
def test_floats_of_the_other_clip_are_refused_too(
    metric: Callable[[Frames, Frames], ClipValue],
) -> None:
    with pytest.raises(TypeError, match="uint8"):
        metric(CLIP, CLIP / 255)  # type: ignore[arg-type]


def test_a_long_clip_takes_no_more_memory_than_a_short_one() -> None:
    def peak(count: int) -> int:
        clip = np.zeros((count, 64, 64, 3), np.uint8)
        tracemalloc.start()
        negative_prompt_effect(clip, clip)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(64) < 1.5 * peak(4)
