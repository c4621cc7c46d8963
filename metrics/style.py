"""How much a clip looks like a style, by an image network's features of held-out stills.

Stills that were used for training must not be among them, or a copy scores best. The features
carry content too: compare arms on the same prompts, and read the values beside two yardsticks,
what stills of one style reach among themselves and what a change of seed alone does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.base import AnyFloats, ClipValue, FloatArray
from metrics.extractors.base import check_unit_rows


def style_similarity(image_features: AnyFloats, style_features: AnyFloats) -> ClipValue:
    """Mean cosine of frames' unit features (t, d) to stills' unit features (s, d).

    >>> style_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).value
    0.5
    """
    return ClipValue.ok(frame_similarities(image_features, style_features).mean())


def style_worst_frame(image_features: AnyFloats, style_features: AnyFloats) -> ClipValue:
    """The lowest of the frames' mean cosines to the stills."""
    return ClipValue.ok(frame_similarities(image_features, style_features).min())


def frame_similarities(image_features: AnyFloats, style_features: AnyFloats) -> FloatArray:
    """Each frame's mean cosine to the stills, (t,)."""
    images = check_unit_rows(image_features, "image_features")
    stills = check_unit_rows(style_features, "style_features")
    if images.shape[1] != stills.shape[1]:
        raise ValueError(
            f"frames and stills need features of one network, got {images.shape[1]} and "
            f"{stills.shape[1]} dimensions"
        )
    return np.asarray((images @ stills.T).mean(axis=1))


def still_similarity(style_features: AnyFloats) -> float:
    """Mean cosine of different stills (s >= 2, d) of one style: what the style itself reaches.

    A clip far above it copies one still rather than the style.
    """
    stills = check_unit_rows(style_features, "style_features")
    count = len(stills)
    if count < 2:
        raise ValueError(f"stills are compared with each other: 2 are needed, got {count}")
    cosines = stills @ stills.T
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def seed_noise_floor(first: Sequence[float], second: Sequence[float]) -> float:
    """Mean absolute change of style similarity when nothing but the seed changes.

    `first` and `second` hold one arm's values for the same prompts with two seeds each. A
    difference between arms that is smaller than this, clip by clip, is not of the style.

    >>> round(seed_noise_floor([0.5, 0.6], [0.6, 0.5]), 3)
    0.1
    """
    if not first:
        raise ValueError("a noise floor needs one pair of clips or more, got none")
    pairs = zip(first, second, strict=True)
    return float(np.mean([abs(one - other) for one, other in pairs]))
