"""Spoils clips on purpose, to see which metric notices.

Each fault takes frames uint8 (t, h, w, 3) and a generator, and returns frames of the same shape.
The strengths are those at which a person who looks twice notices something; none is drawn from
what a metric can see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from metrics import frames as frames_
from metrics.base import AnyFloats, Frames

Fault = Callable[[Frames, np.random.Generator], Frames]


def blur(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Smear every frame by a Gaussian of a fiftieth of its short side."""
    import cv2

    checked = frames_.check(frames)
    sigma = min(checked.shape[1:3]) / 50
    return np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in checked]).astype(np.uint8)


def noise(frames: Frames, rng: np.random.Generator) -> Frames:
    """Leave noise of 6 levels in every pixel, as too few denoising steps do."""
    return _levels(frames + rng.normal(0.0, 6.0, frames.shape))


def flicker(frames: Frames, rng: np.random.Generator) -> Frames:
    """Make each frame brighter or darker by up to 6 %."""
    return _levels(frames * rng.uniform(0.94, 1.06, (len(frames), 1, 1, 1)))


def darkened(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Take 15 % of the light away."""
    return _levels(frames * 0.85)


def dark_start(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Halve the light of the first frame."""
    gains = np.ones((len(frames), 1, 1, 1))
    gains[0] = 0.5
    return _levels(frames * gains)


def colour_cast(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Add 12 levels of red and take 12 of blue."""
    return _levels(frames + np.array([12.0, 0.0, -12.0]))


def washed_out(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Pull all levels a quarter of the way to the clip's mean."""
    return _levels(0.75 * frames + 0.25 * frames.mean())


def burnt(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Push colours 40 % away from grey, as too much guidance does."""
    grey = frames.mean(axis=-1, keepdims=True)
    return _levels(grey + 1.4 * (frames - grey))


def watermark(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Lay translucent stripes over a corner, a sixth of each side, in all frames."""
    height, width = (side // 6 for side in frames.shape[1:3])
    stripes = (np.add.outer(np.arange(height), np.arange(width)) % 4 < 2)[..., None]
    marked = frames.astype(np.float64)
    corner = marked[:, -height - 2 : -2, -width - 2 : -2]
    corner += 0.35 * stripes * (255.0 - corner)
    return _levels(marked)


def shuffled(frames: Frames, rng: np.random.Generator) -> Frames:
    """Show the frames in another order."""
    return np.asarray(frames[rng.permutation(len(frames))])


def frozen(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Show the first frame all the time."""
    return np.repeat(frames[:1], len(frames), axis=0)


def half_speed(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Show each frame of the first half twice."""
    return np.repeat(frames, 2, axis=0)[: len(frames)]


def flash(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Lift the middle frame two thirds of the way to white."""
    flashing = frames.astype(np.float64)
    middle = len(frames) // 2
    flashing[middle] += (255.0 - flashing[middle]) * 2 / 3
    return _levels(flashing)


def stutter(frames: Frames, _rng: np.random.Generator) -> Frames:
    """Show every second frame twice and leave out the others."""
    return np.repeat(frames[::2], 2, axis=0)[: len(frames)]


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        fault.__name__: fault
        for fault in (
            blur,
            noise,
            flicker,
            darkened,
            dark_start,
            colour_cast,
            washed_out,
            burnt,
            watermark,
            shuffled,
            frozen,
            half_speed,
            flash,
            stutter,
        )
    }
)


def _levels(values: AnyFloats) -> Frames:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
