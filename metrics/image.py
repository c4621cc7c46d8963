"""How single frames look: sharp or blurred, flat or harsh, pale or garish, clipped, noisy.

None of these is good or bad in itself: fog is soft and neon is garish. They are read as a ratio to
the baseline's clips of the same prompts, where a few-step model that blurs, burns out or leaves
noise behind shows on both sides of 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics import frames as frames_
from metrics.base import ClipValue, FloatArray, Frames

HALF_NYQUIST = 0.25
"""Cycles per pixel from which detail counts as high-frequency."""

_ROUNDING = 1e-6
"""Levels by which luma of one brightness may differ: colours that differ in luma differ by more."""

_FLAT = "every frame is of one brightness: there is no detail to weigh"


def sharpness(frames: Frames) -> ClipValue:
    """Variance of the Laplacian of luma, mean over frames uint8 (t, h, w, 3), in levels squared.

    Grows with detail, with noise and with contrast squared; 0 for flat frames. Depends on the
    frame size: compare clips of one size only.

    Source: Pech-Pacheco et al. 2000; the 3 x 3 Laplacian, borders mirrored.
    """
    lumas = frames_.lumas(frames_.check(frames))
    return _mean([_laplacian(luma).var() for luma in lumas])


def contrast(frames: Frames) -> ClipValue:
    """Standard deviation of luma within a frame, mean over frames, in levels of 255.

    Source: RMS contrast, Peli 1990.
    """
    lumas = frames_.lumas(frames_.check(frames))
    return _mean([luma.std() for luma in lumas])


def saturation(frames: Frames) -> ClipValue:
    """Mean HSV saturation of all pixels, in [0, 1]: (largest - smallest) / largest channel.

    >>> grey_and_red = np.array([[[[90, 90, 90], [200, 0, 0]]]], np.uint8)
    >>> saturation(grey_and_red).value
    0.5
    """
    return _mean([_saturation(frame) for frame in frames_.check(frames)])


def clipped_share(frames: Frames) -> ClipValue:
    """Share of pixels with a channel at 0 or at 255, in [0, 1]: where detail is cut off.

    >>> clipped_share(np.array([[[[0, 9, 9], [9, 9, 9]]]], np.uint8)).value
    0.5
    """
    checked = frames_.check(frames)
    clipped = sum(_count_clipped(frame) for frame in checked)
    return ClipValue.ok(clipped / checked[..., 0].size)


def _count_clipped(frame: Frames) -> int:
    at_end = (frame == 0) | (frame == 255)
    return int(np.count_nonzero(at_end[..., 0] | at_end[..., 1] | at_end[..., 2]))


def high_frequency_share(frames: Frames) -> ClipValue:
    """Share of a frame's luma variance beyond half the Nyquist frequency, mean over frames.

    In [0, 1]; white noise has 1 - pi / 16 = 0.80 of it there, pictures little. A Hann window fades
    the borders out: left and right edges that do not meet would count as detail. Invalid when every
    frame is flat; flat frames, of one colour or of one brightness, are left out among others.
    """
    checked = frames_.check(frames)
    down, across = (np.hanning(side + 2)[1:-1] for side in checked.shape[1:3])
    window = np.outer(down, across)
    rows, columns = (np.fft.fftfreq(side) for side in checked.shape[1:3])
    beyond = np.hypot(rows[:, None], columns[None, :]) > HALF_NYQUIST
    shares = []
    for frame, luma in zip(checked, frames_.lumas(checked), strict=True):
        if not _is_flat(frame, luma):
            power = np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
            shares.append(power[beyond].sum() / power.sum())
    return _mean(shares) if shares else ClipValue.invalid(_FLAT)


def _mean(of_frames: Sequence[np.floating]) -> ClipValue:
    """The mean of one number a frame. Frame by frame, a long clip takes no more than a short."""
    return ClipValue.ok(np.mean(of_frames))


def _saturation(frame: Frames) -> np.floating:
    # Channel by channel and in bytes: a reduction over an axis of three takes ten times as long.
    red, green, blue = (frame[..., channel] for channel in range(3))
    largest = np.maximum(np.maximum(red, green), blue)
    spread = largest - np.minimum(np.minimum(red, green), blue)
    share = np.zeros(largest.shape)
    np.divide(spread, largest, out=share, where=largest > 0, dtype=np.float64)
    return np.float64(share.mean())


def _is_flat(frame: Frames, luma: FloatArray) -> bool:
    # Of one colour, luma still differs by rounding: its spread alone does not tell.
    return bool((frame == frame[:1, :1]).all()) or float(luma.std()) <= _ROUNDING


def _laplacian(luma: FloatArray) -> FloatArray:
    """The sum of the four neighbours minus four times the pixel, (h, w)."""
    wide = np.pad(luma, 1, mode="reflect")
    neighbours = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    return np.asarray(neighbours - 4 * luma)
