"""How single frames look: sharp or blurred, flat or harsh, pale or garish, clipped, noisy.

None of these is good or bad in itself: fog is soft and neon is garish. They are read as a ratio to
the baseline's clips of the same prompts, where a few-step model that blurs, burns out or leaves
noise behind shows on both sides of 1.
"""

from __future__ import annotations

import numpy as np

from metrics import frames as frames_
from metrics.base import ClipValue, FloatArray, Frames

HALF_NYQUIST = 0.25
"""Cycles per pixel from which detail counts as high-frequency."""

_FLAT = "every frame is of one brightness: there is no detail to weigh"


def sharpness(frames: Frames) -> ClipValue:
    """Variance of the Laplacian of luma, mean over frames uint8 (t, h, w, 3), in levels squared.

    Grows with detail, with noise and with contrast squared; 0 for flat frames. Depends on the
    frame size: compare clips of one size only.

    Source: Pech-Pacheco et al. 2000; the 3 x 3 Laplacian, borders mirrored.
    """
    luma = frames_.luma(frames_.check(frames))
    return ClipValue.ok(_laplacian(luma).var(axis=(1, 2)).mean())


def contrast(frames: Frames) -> ClipValue:
    """Standard deviation of luma within a frame, mean over frames, in levels of 255.

    Source: RMS contrast, Peli 1990.
    """
    luma = frames_.luma(frames_.check(frames))
    return ClipValue.ok(luma.std(axis=(1, 2)).mean())


def saturation(frames: Frames) -> ClipValue:
    """Mean HSV saturation of all pixels, in [0, 1]: (largest - smallest) / largest channel.

    >>> grey_and_red = np.array([[[[90, 90, 90], [200, 0, 0]]]], np.uint8)
    >>> saturation(grey_and_red).value
    0.5
    """
    levels = frames_.check(frames).astype(np.float64)
    largest = levels.max(axis=-1)
    spread = largest - levels.min(axis=-1)
    share = np.divide(spread, largest, out=np.zeros_like(spread), where=largest > 0)
    return ClipValue.ok(share.mean())


def clipped_share(frames: Frames) -> ClipValue:
    """Share of pixels with a channel at 0 or at 255, in [0, 1]: where detail is cut off.

    >>> clipped_share(np.array([[[[0, 9, 9], [9, 9, 9]]]], np.uint8)).value
    0.5
    """
    checked = frames_.check(frames)
    return ClipValue.ok(((checked == 0) | (checked == 255)).any(axis=-1).mean())


def high_frequency_share(frames: Frames) -> ClipValue:
    """Share of a frame's luma variance beyond half the Nyquist frequency, mean over frames.

    In [0, 1]; white noise has 1 - pi / 16 = 0.80 of it there, pictures little. A Hann window fades
    the borders out: left and right edges that do not meet would count as detail. Invalid when every
    frame is flat; flat frames among others are left out.
    """
    luma = frames_.luma(frames_.check(frames))
    detailed = luma.std(axis=(1, 2)) > 0
    if not detailed.any():
        return ClipValue.invalid(_FLAT)
    centred = luma[detailed] - luma[detailed].mean(axis=(1, 2), keepdims=True)
    down, across = (np.hanning(side + 2)[1:-1] for side in luma.shape[1:])
    power = np.abs(np.fft.fft2(centred * np.outer(down, across))) ** 2
    rows, columns = (np.fft.fftfreq(side) for side in luma.shape[1:])
    beyond = np.hypot(rows[:, None], columns[None, :]) > HALF_NYQUIST
    return ClipValue.ok((power[:, beyond].sum(axis=1) / power.sum(axis=(1, 2))).mean())


def _laplacian(luma: FloatArray) -> FloatArray:
    """The sum of the four neighbours minus four times the pixel, (t, h, w)."""
    wide = np.pad(luma, ((0, 0), (1, 1), (1, 1)), mode="reflect")
    neighbours = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
    return np.asarray(neighbours - 4 * luma)
