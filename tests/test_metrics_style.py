"""Closeness to held-out stills, its worst frame, and what it has to be read beside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional import pairwise_cosine_similarity

from metrics.base import FloatArray
from metrics.style import (
    frame_similarities,
    nearest_still,
    seed_noise_floor,
    still_similarity,
    style_copy,
    style_similarity,
    style_worst_frame,
    subject_similarity,
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


# --- copies and subjects ------------------------------------------------------------------------

TRAINING = _rows(7, 9, STYLE, 1.0)


def test_the_nearest_still_is_the_one_that_a_search_by_hand_finds() -> None:
    images = _rows(8, 5)
    pairs = {(f, s): float(images[f] @ TRAINING[s]) for f in range(5) for s in range(9)}
    (frame, still), cosine = max(pairs.items(), key=lambda pair: pair[1])

    found = nearest_still(images, TRAINING)

    assert (found.frame, found.still) == (frame, still)
    assert found.cosine == pytest.approx(cosine)


def test_a_clip_that_shows_a_training_still_in_one_frame_is_flagged() -> None:
    clip = _rows(2, 16, STYLE, 0.3)
    copied = clip.copy()
    copied[11] = TRAINING[4]

    assert style_copy(copied, STILLS, TRAINING).value == 1.0
    assert nearest_still(copied, TRAINING)[:2] == (11, 4)


def test_a_clip_as_close_as_a_held_out_still_is_not_flagged_and_a_little_closer_is() -> None:
    training, heldout = np.array([[1.0, 0.0]]), np.array([[0.8, 0.6], [0.0, 1.0]])

    assert style_copy(heldout, heldout, training).value == 0.0
    closer = np.array([[0.81, np.sqrt(1 - 0.81**2)]])
    assert style_copy(closer, heldout, training).value == 1.0


def test_of_clips_in_the_style_as_many_are_flagged_as_chance_has_it() -> None:
    # A clip of one frame and seven held-out stills are draws of one law: the frame is the closest
    # of the eight to the training in one draw of eight.
    trials = 800
    flagged = sum(
        style_copy(stills[:1], stills[1:], TRAINING).value == 1.0
        for stills in (_rows(100 + i, 8, STYLE, 1.0) for i in range(trials))
    )

    assert flagged / trials == pytest.approx(1 / 8, abs=4 * np.sqrt(7 / 64 / trials))


def test_a_subject_is_found_from_whichever_side_it_is_shown() -> None:
    front, back = np.eye(3)[:2]
    clip = np.stack([front, back, 0.6 * front + 0.8 * np.eye(3)[2]])

    assert subject_similarity(clip, np.stack([front, back])).value == pytest.approx(2.6 / 3)


def test_torchmetrics_agrees_on_the_closest_still() -> None:
    images = _rows(1, 5)
    cosines = pairwise_cosine_similarity(torch.from_numpy(images), torch.from_numpy(STILLS))

    assert subject_similarity(images, STILLS).value == pytest.approx(
        float(cosines.max(dim=1).values.mean()), rel=1e-9
    )


def test_more_of_a_subject_scores_higher() -> None:
    subject = np.eye(12)[3:5]
    scores = [
        subject_similarity(_rows(9, 16, np.eye(12)[3], pull), subject).value
        for pull in (0.0, 0.5, 2.0, 8.0)
    ]

    assert scores == sorted(scores, key=lambda value: value or 0.0)


def test_stills_of_another_network_are_refused_for_copies_and_subjects() -> None:
    with pytest.raises(ValueError, match="one network, got 12 and 2"):
        style_copy(_rows(1, 3), STILLS, np.eye(2))
    with pytest.raises(ValueError, match="one network, got 12 and 2"):
        subject_similarity(_rows(1, 3), np.eye(2))
