"""How much a clip looks like a style, or shows a subject, by features of held-out stills.

Stills that were used for training must not be among them, or a copy scores best. The features
carry content too: compare arms on the same prompts, and read the values beside two yardsticks,
what stills of one style reach among themselves and what a change of seed alone does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from metrics.base import AnyFloats, ClipValue, FloatArray
from metrics.extractors.base import check_unit_rows


def style_similarity(image_features: AnyFloats, style_features: AnyFloats) -> ClipValue:
    """Mean cosine of frames' unit features (t, d) to stills' unit features (s, d).

    >>> style_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).value
    0.5
    """
    return ClipValue.ok(frame_similarities(image_features, style_features).mean())


def csd_style_similarity(csd_features: AnyFloats, csd_style_features: AnyFloats) -> ClipValue:
    """Mean cosine of frames (t, d) to stills (s, d) by features that leave content out.

    Source: Somepalli et al. 2024, "Measuring Style Similarity in Diffusion Models".
    """
    return style_similarity(csd_features, csd_style_features)


def style_worst_frame(image_features: AnyFloats, style_features: AnyFloats) -> ClipValue:
    """The lowest of the frames' mean cosines to the stills."""
    return ClipValue.ok(frame_similarities(image_features, style_features).min())


def frame_similarities(image_features: AnyFloats, style_features: AnyFloats) -> FloatArray:
    """Each frame's mean cosine to the stills, (t,)."""
    return np.asarray(_cosines(image_features, style_features).mean(axis=1))


def _cosines(image_features: AnyFloats, still_features: AnyFloats) -> FloatArray:
    """The cosine of each frame (t, d) to each still (s, d), (t, s)."""
    images = check_unit_rows(image_features, "image_features")
    stills = check_unit_rows(still_features, "stills")
    if images.shape[1] != stills.shape[1]:
        raise ValueError(
            f"frames and stills need features of one network, got {images.shape[1]} and "
            f"{stills.shape[1]} dimensions"
        )
    return np.asarray(images @ stills.T)


class NearestStill(NamedTuple):
    """The pair of frame and still that are most alike."""

    frame: int
    still: int
    cosine: float


def nearest_still(image_features: AnyFloats, training_features: AnyFloats) -> NearestStill:
    """The training still (n, d) that a frame (t, d) comes closest to; the first of equals.

    >>> nearest_still(np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([[0.0, 1.0]]))
    NearestStill(frame=1, still=0, cosine=0.8)
    """
    cosines = _cosines(image_features, training_features)
    frame, still = np.unravel_index(int(cosines.argmax()), cosines.shape)
    return NearestStill(int(frame), int(still), float(cosines[frame, still]))


def style_copy(
    image_features: AnyFloats, style_features: AnyFloats, training_features: AnyFloats
) -> ClipValue:
    """1 for a clip of which a frame is closer to a training still than any held-out still is.

    Held-out stills (s, d) are in the same style and were not trained on: how close they come to
    the training stills (n, d) is what style alone explains.
    """
    limit = float(_cosines(style_features, training_features).max())
    return ClipValue.ok(float(nearest_still(image_features, training_features).cosine > limit))


def subject_similarity(image_features: AnyFloats, subject_features: AnyFloats) -> ClipValue:
    """Mean over frames (t, d) of the cosine to the closest still of a subject (s, d).

    To the closest, since stills show a subject from several sides and a frame from one.
    """
    return ClipValue.ok(_cosines(image_features, subject_features).max(axis=1).mean())


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
