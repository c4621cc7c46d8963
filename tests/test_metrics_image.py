"""Sharpness, contrast, saturation, clipping and fine detail of frames."""

from __future__ import annotations

import colorsys
import math
import tracemalloc
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal.windows import hann

from metrics.base import AnyFloats, ClipValue, FloatArray, Frames, Status
from metrics.image import clipped_share, contrast, high_frequency_share, saturation, sharpness

RNG = np.random.default_rng(3)
NOISE: Frames = RNG.integers(0, 256, (3, 40, 48, 3), dtype=np.uint8)
FLAT: Frames = np.full((3, 40, 48, 3), 90, np.uint8)
METRICS = (sharpness, contrast, saturation, clipped_share, high_frequency_share)

Metric = Callable[[Frames], ClipValue]


def _number(value: ClipValue) -> float:
    assert value.value is not None
    return value.value


def _luma(frames: Frames) -> FloatArray:
    return np.asarray(frames @ np.array([0.2126, 0.7152, 0.0722]))


def _grey(levels: AnyFloats | NDArray[np.uint8]) -> Frames:
    return np.repeat(levels[..., None], 3, axis=-1).astype(np.uint8)


def _blurred(frames: Frames) -> Frames:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in frames])


# --- sharpness ----------------------------------------------------------------------------------


def test_sharpness_agrees_with_scipys_laplacian() -> None:
    expected = np.mean([ndimage.laplace(one, mode="mirror").var() for one in _luma(NOISE)])

    assert _number(sharpness(NOISE)) == pytest.approx(expected)


def test_sharpness_of_a_single_dot_has_its_closed_form() -> None:
    dot = np.zeros((1, 20, 20))
    dot[0, 10, 10] = 100
    expected = 100**2 * (4**2 + 4) / 400  # the Laplacian sums to zero: variance is its mean square

    assert _number(sharpness(_grey(dot))) == pytest.approx(expected)


# --- contrast, saturation, clipping -------------------------------------------------------------


def test_contrast_of_two_equal_halves_is_half_their_distance() -> None:
    halves = np.full((2, 8, 8), 50)
    halves[:, :, 4:] = 150

    assert _number(contrast(_grey(halves))) == pytest.approx(50.0)


def test_opencvs_standard_deviation_is_the_contrast() -> None:
    weights = np.array([[0.2126, 0.7152, 0.0722]])
    lumas = [cv2.transform(frame.astype(np.float64), weights) for frame in NOISE]
    expected = np.mean([cv2.meanStdDev(luma)[1].item() for luma in lumas])

    assert _number(contrast(NOISE)) == pytest.approx(expected, rel=1e-9)


def test_plain_loops_count_the_same_clipped_pixels() -> None:
    frames = RNG.choice(np.array([0, 1, 128, 254, 255], np.uint8), (2, 6, 7, 3))
    pixels = [pixel for frame in frames.tolist() for row in frame for pixel in row]
    clipped = sum(1 for pixel in pixels if min(pixel) == 0 or max(pixel) == 255)

    assert _number(clipped_share(frames)) == clipped / 84


def test_saturation_agrees_with_the_standard_librarys_colour_model() -> None:
    pixels = NOISE[:1, :10, :10]
    expected = np.mean([colorsys.rgb_to_hsv(*pixel / 255)[1] for pixel in pixels.reshape(-1, 3)])

    assert _number(saturation(pixels)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("colour", "expected"), [((200, 0, 0), 1.0), ((200, 100, 150), 0.5), ((8, 6, 7), 0.25)]
)
def test_a_colour_has_the_saturation_of_its_hexcone(
    colour: tuple[int, int, int], expected: float
) -> None:
    flat = np.empty((2, 5, 6, 3), np.uint8)
    flat[:] = colour

    assert _number(saturation(flat)) == expected


def test_black_and_grey_have_no_saturation() -> None:
    assert _number(saturation(np.zeros_like(FLAT))) == _number(saturation(FLAT)) == 0.0


def test_clipped_share_counts_pixels_and_not_channels() -> None:
    frames = FLAT.copy()
    frames[:, :10, :12, 0] = 255
    frames[:, :10, :12, 1] = 0
    frames[:, 20:30, :12, 2] = 1

    assert _number(clipped_share(frames)) == 120 / (40 * 48)


# --- fine detail --------------------------------------------------------------------------------


def test_white_noise_has_its_share_beyond_the_circle() -> None:
    noise = RNG.integers(0, 256, (8, 128, 128), dtype=np.uint8)

    found = _number(high_frequency_share(_grey(noise)))

    assert found == pytest.approx(1 - math.pi / 16, abs=0.01)


@pytest.mark.parametrize(("cycles_per_px", "expected"), [(1 / 8, 0.0), (3 / 8, 1.0)])
def test_a_wave_lies_on_its_side_of_half_the_nyquist_frequency(
    cycles_per_px: float, expected: float
) -> None:
    wave = 128 + 100 * np.cos(2 * np.pi * cycles_per_px * np.arange(64))
    frames = _grey(np.rint(np.broadcast_to(wave, (2, 64, 64))))

    assert _number(high_frequency_share(frames)) == pytest.approx(expected, abs=0.01)


def test_a_fourier_sum_written_out_gives_the_same_share() -> None:
    def spectrum(side: int) -> NDArray[np.complex128]:
        steps = np.arange(side)
        return np.asarray(np.exp(-2j * np.pi * np.outer(steps, steps) / side))

    def frequency(k: int, side: int) -> float:
        return min(k, side - k) / side

    shares = []
    for luma in _luma(NOISE):
        window = np.outer(hann(42)[1:-1], hann(50)[1:-1])
        power = np.abs(spectrum(40) @ ((luma - luma.mean()) * window) @ spectrum(48)) ** 2
        high = sum(
            power[y, x]
            for y in range(40)
            for x in range(48)
            if frequency(y, 40) ** 2 + frequency(x, 48) ** 2 > 0.25**2
        )
        shares.append(high / power.sum())

    assert _number(high_frequency_share(NOISE)) == pytest.approx(float(np.mean(shares)), rel=1e-9)


def test_flat_frames_have_no_detail_to_weigh_and_are_left_out_among_others() -> None:
    mixed = np.concatenate([FLAT, NOISE])

    assert high_frequency_share(FLAT).status is Status.INVALID
    assert high_frequency_share(mixed).value == high_frequency_share(NOISE).value


@pytest.mark.parametrize("colour", [(1, 2, 3), (69, 78, 10), (208, 166, 233), (77, 4, 61)])
def test_frames_of_one_colour_are_flat_whatever_rounding_makes_of_it(
    colour: tuple[int, int, int],
) -> None:
    flat = np.empty_like(NOISE)
    flat[:] = colour
    mixed = np.concatenate([flat, NOISE])

    assert high_frequency_share(flat).status is Status.INVALID
    assert high_frequency_share(mixed).value == high_frequency_share(NOISE).value


# --- all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [sharpness, contrast, high_frequency_share])
def test_blur_lowers_what_measures_detail(metric: Metric) -> None:
    assert _number(metric(_blurred(NOISE))) < _number(metric(NOISE))


def _mixed(frames: Frames, share: float) -> Frames:
    """Colours pulled towards their grey by 1 - share."""
    grey = frames.mean(axis=-1, keepdims=True)
    return np.asarray(np.rint(grey + share * (frames - grey)), np.uint8)


def _with_noise(frames: Frames, levels: float) -> Frames:
    noise = np.random.default_rng(0).normal(0, levels, frames.shape)
    return np.asarray(np.clip(np.rint(frames + noise), 0, 255), np.uint8)


def _gained(factor: int) -> Frames:
    return np.asarray(np.minimum(factor * SMOOTH.astype(int), 255), np.uint8)


SMOOTH: Frames = np.stack([cv2.GaussianBlur(frame, (0, 0), 4.0) for frame in NOISE])


@pytest.mark.parametrize(
    ("metric", "clips"),
    [
        (saturation, [_mixed(SMOOTH, share) for share in (0.2, 0.5, 0.8, 1.0)]),
        (contrast, [np.asarray(0.1 * k * SMOOTH + 9, np.uint8) for k in (2, 4, 6, 8)]),
        (clipped_share, [_gained(k) for k in (1, 2, 4)]),
        (sharpness, [_with_noise(SMOOTH, levels) for levels in (0, 2, 6, 18)]),
        (high_frequency_share, [_with_noise(SMOOTH, levels) for levels in (0, 2, 6, 18)]),
    ],
)  # fmt: skip
def test_more_of_what_is_measured_scores_higher(metric: Metric, clips: list[Frames]) -> None:
    values = [_number(metric(clip)) for clip in clips]

    assert values == sorted(set(values))


def test_flat_frames_have_no_sharpness_no_contrast_and_nothing_clipped() -> None:
    assert [_number(metric(FLAT)) for metric in (sharpness, contrast, clipped_share)] == [0, 0, 0]


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_frames_changes_nothing(metric: Metric) -> None:
    assert _number(metric(NOISE[::-1])) == pytest.approx(_number(metric(NOISE)))


@pytest.mark.parametrize("metric", METRICS)
def test_a_longer_clip_takes_no_more_memory(metric: Metric) -> None:
    short, long = (_peak_bytes(metric, np.repeat(NOISE, times, axis=0)) for times in (1, 20))

    assert long < 1.2 * short


def _peak_bytes(metric: Metric, frames: Frames) -> int:
    tracemalloc.start()
    metric(frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("metric", METRICS)
def test_floats_are_refused_with_the_cure(metric: Metric) -> None:
    with pytest.raises(TypeError, match="uint8"):
        metric(NOISE.astype(np.float32) / 255)  # type: ignore[arg-type]
