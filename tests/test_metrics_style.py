"""Closeness to held-out stills, its worst frame, and what it has to be read beside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional import pairwise_cosine_similarity

from metrics.base import FloatArray
from metrics.style import (
    frame_similarities,
    seed_noise_floor,
    still_similarity,
    style_similarity,
    style_worst_frame,
)


def _rows(seed: int, n: int, towards: FloatArray | None = None, pull: float = 0.0) -> FloatArray:
    rows = np.random.default_rng(seed).normal(size=(n, 12))
    if towards is not None:
        rows = rows + pull * towards
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


STYLE = np.eye(12)[0] * 3.0
STILLS = _rows(0, 7, STYLE, 1.0)


def _style(images: FloatArray) -> float:
    value = style_similarity(images, STILLS).value
    assert value is not None
    return value


def test_the_closed_form_of_two_frames_and_two_stills() -> None:
    frames, stills = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([[1.0, 0.0], [0.0, 1.0]])

    assert frame_similarities(frames, stills) == pytest.approx([0.5, 0.7])
    assert style_similarity(frames, stills).value == pytest.approx(0.6)
    assert style_worst_frame(frames, stills).value == pytest.approx(0.5)


def test_torchmetrics_agrees() -> None:
    images = _rows(1, 5)
    cosines = pairwise_cosine_similarity(torch.from_numpy(images), torch.from_numpy(STILLS))

    assert _style(images) == pytest.approx(float(cosines.mean()), rel=1e-9)
    assert style_worst_frame(images, STILLS).value == pytest.approx(
        float(cosines.mean(dim=1).min()), rel=1e-9
    )


def test_more_of_the_style_scores_higher() -> None:
    scores = [_style(_rows(2, 16, STYLE, pull)) for pull in (0.0, 0.3, 0.6, 1.0)]

    assert scores == sorted(scores)


def test_one_frame_that_loses_the_style_shows_in_the_worst_frame_most() -> None:
    clip = _rows(2, 16, STYLE, 1.0)
    lost = clip.copy()
    lost[9] = -STYLE / 3.0

    whole, broken = style_worst_frame(clip, STILLS).value, style_worst_frame(lost, STILLS).value

    assert whole is not None
    assert broken is not None
    assert whole - broken > 4 * (_style(clip) - _style(lost)) > 0


def test_the_order_of_frames_and_stills_does_not_matter() -> None:
    images = _rows(2, 16, STYLE, 1.0)

    assert style_similarity(images[::-1], STILLS[::-1]).value == pytest.approx(_style(images))


def test_a_style_among_itself_leaves_out_each_still_against_itself() -> None:
    pairs = [STILLS[i] @ STILLS[j] for i in range(7) for j in range(7) if i != j]

    assert still_similarity(STILLS) == pytest.approx(np.mean(pairs))
    with pytest.raises(ValueError, match="2 are needed, got 1"):
        still_similarity(STILLS[:1])


def test_the_noise_floor_is_the_mean_change_between_seeds() -> None:
    assert seed_noise_floor([0.5, 0.7, 0.6], [0.6, 0.7, 0.4]) == pytest.approx(0.1)
    assert seed_noise_floor([0.5], [0.5]) == 0.0


def test_seeds_that_are_not_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        seed_noise_floor([0.5, 0.6], [0.5])
    with pytest.raises(ValueError, match="got none"):
        seed_noise_floor([], [])


def test_features_of_two_networks_or_of_no_stills_are_refused() -> None:
    with pytest.raises(ValueError, match="one network, got 12 and 2"):
        style_similarity(_rows(1, 3), np.eye(2))
    with pytest.raises(ValueError, match="n >= 1"):
        style_similarity(_rows(1, 3), np.zeros((0, 12)))
