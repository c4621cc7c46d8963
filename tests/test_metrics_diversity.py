"""Diversity across seeds: clips of one prompt against each other, and of no other."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from metrics.base import FloatArray
from metrics.diversity import clip_feature, seed_diversity


def _rows(seed: int, n: int, d: int = 16) -> FloatArray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


ROWS = _rows(0, 24)
PROMPTS = [f"p{i % 6}" for i in range(24)]


def test_equal_clips_have_none_and_opposite_ones_the_most() -> None:
    east, north = np.array([1.0, 0.0]), np.array([0.0, 1.0])

    assert seed_diversity(np.stack([east] * 3), "aaa").value == 0.0
    assert seed_diversity(np.stack([east, north]), "aa").value == pytest.approx(1.0)
    assert seed_diversity(np.stack([east, -east]), "aa").value == pytest.approx(2.0)


def test_scipys_pairwise_cosine_distance_agrees() -> None:
    prompts = np.array(PROMPTS)
    expected = {p: float(pdist(ROWS[prompts == p], "cosine").mean()) for p in set(PROMPTS)}

    found = seed_diversity(ROWS, PROMPTS)

    assert dict(found.of_prompt) == pytest.approx(expected)
    assert found.value == pytest.approx(np.mean(list(expected.values())))


def test_every_prompt_weighs_alike_however_many_clips_it_has() -> None:
    rows = np.concatenate([_rows(1, 2), _rows(2, 9)])
    found = seed_diversity(rows, ["a"] * 2 + ["b"] * 9)

    assert found.value == pytest.approx((found.of_prompt["a"] + found.of_prompt["b"]) / 2)


def test_the_order_of_clips_does_not_matter() -> None:
    order = np.random.default_rng(3).permutation(24)
    found = seed_diversity(ROWS[order], [PROMPTS[i] for i in order])

    assert found.value == pytest.approx(seed_diversity(ROWS, PROMPTS).value, rel=1e-12)


def test_shards_of_whole_prompts_make_the_whole() -> None:
    parts = [seed_diversity(ROWS[i::6], PROMPTS[i::6]).value for i in range(6)]

    assert seed_diversity(ROWS, PROMPTS).value == pytest.approx(np.mean(parts), rel=1e-12)


def test_a_model_that_collapses_has_less() -> None:
    prompt = _rows(4, 1)

    def spread(amount: float) -> float:
        rows = prompt + amount * _rows(5, 12)
        return seed_diversity(rows / np.linalg.norm(rows, axis=1, keepdims=True), ["p"] * 12).value

    values = [spread(amount) for amount in (0.0, 0.1, 0.3, 1.0)]

    assert values == sorted(values)
    assert values[0] == pytest.approx(0.0, abs=1e-12)


def test_fewer_seeds_are_not_less_diverse() -> None:
    # The mean over all pairs of k clips is unbiased: that of pairs, averaged, is the same.
    whole = seed_diversity(ROWS[:6], ["p"] * 6).value
    pairs = [seed_diversity(ROWS[list(two)], ["p"] * 2).value for two in combinations(range(6), 2)]

    assert whole == pytest.approx(np.mean(pairs))


def test_a_prompt_with_one_clip_takes_no_part() -> None:
    found = seed_diversity(ROWS[:5], ["a", "a", "b", "c", "c"])

    assert (set(found.of_prompt), found.clips) == ({"a", "c"}, 4)


def test_without_two_clips_of_a_prompt_there_is_no_number() -> None:
    with pytest.raises(ValueError, match="n >= 2 clips of one prompt"):
        seed_diversity(ROWS[:3], "abc")
    with pytest.raises(ValueError, match="3 clips, 2 ids"):
        seed_diversity(ROWS[:3], "aa")
    with pytest.raises(ValueError, match="rows of length 1"):
        seed_diversity(2 * ROWS[:2], "aa")


def test_a_clips_feature_is_the_direction_of_its_frames_mean() -> None:
    feature = clip_feature(ROWS)
    mean = ROWS.mean(axis=0)

    assert feature == pytest.approx(mean / np.linalg.norm(mean))
    assert clip_feature(ROWS[::-1]) == pytest.approx(feature)


def test_frames_that_cancel_out_have_no_feature() -> None:
    with pytest.raises(ValueError, match="cancel out"):
        clip_feature(np.array([[1.0, 0.0], [-1.0, 0.0]]))
