"""Intervals of KVD: right on average, paired, and honest about few prompts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from metrics.base import FloatArray, SetBasis
from metrics.frechet import polynomial_mmd
from metrics.fvd import HeldFeatures
from metrics.kvd import (
    Jackknife,
    TooFewError,
    kvd,
    kvd_difference_interval,
    kvd_interval,
    kvd_jackknife,
)

LEVEL = 0.95
MIXING = np.random.default_rng(5).normal(size=(6, 12))


def _draw(rng: np.random.Generator, n: int, shift: float = 0.0) -> FloatArray:
    """Skewed features, as a rectifier leaves them; `shift` makes them differ from shift 0."""
    rows = rng.normal(size=(n, 6)) @ MIXING * 0.5 + shift + 0.3 * rng.normal(size=(n, 12))
    return np.asarray(np.maximum(rows, 0.0))


def _paired(
    rng: np.random.Generator, n: int, shift_a: float, shift_b: float
) -> tuple[FloatArray, FloatArray]:
    """Two arms whose clips of one prompt share most of what they show."""
    shared = rng.normal(size=(n, 6)) @ MIXING * 0.5
    noise = 0.3 * rng.normal(size=(2, n, 12))
    return (
        np.asarray(np.maximum(shared + shift_a + noise[0], 0.0)),
        np.asarray(np.maximum(shared + shift_b + noise[1], 0.0)),
    )


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _without(x: FloatArray, i: int) -> FloatArray:
    return np.delete(x, i, axis=0)


def test_leave_one_out_values_equal_plain_recomputation() -> None:
    x, z = _draw(_rng(), 9, 0.2), _draw(_rng(1), 14)

    found = kvd_jackknife(x, z, clusters=np.arange(9))

    assert found.value == pytest.approx(polynomial_mmd(x, z), rel=1e-10)
    np.testing.assert_allclose(
        found.without_prompt, [polynomial_mmd(_without(x, i), z) for i in range(9)], rtol=1e-9
    )
    np.testing.assert_allclose(
        found.without_reference, [polynomial_mmd(x, _without(z, j)) for j in range(14)], rtol=1e-9
    )


def test_torchmetrics_kid_is_the_value_where_no_two_clips_share_a_prompt() -> None:
    x, z = _draw(_rng(), 20, 0.2), _draw(_rng(1), 20)
    theirs = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(z)))

    assert kvd_jackknife(x, z, clusters=np.arange(20)).value == pytest.approx(theirs, rel=1e-9)


def test_clips_that_do_not_vary_are_at_the_distance_of_their_points() -> None:
    # Every kernel is that of two points: k(a, a) + k(b, b) - 2 k(a, b), here 1 + 8 - 2.
    x, z = np.zeros((4, 2)), np.ones((5, 2))

    found = kvd_interval(x, z, clusters=np.arange(4), level=LEVEL)
    none = kvd_interval(z[:4], z, clusters=np.arange(4), level=LEVEL)

    assert (found.value, found.interval.low, found.interval.high) == (7.0, 7.0, 7.0)
    assert (none.value, none.interval.low, none.interval.high) == (0.0, 0.0, 0.0)


def test_features_with_nan_are_refused() -> None:
    x = _draw(_rng(), 5)
    x[3, 0] = np.nan

    with pytest.raises(ValueError, match=r"rows \[3\]"):
        kvd_interval(x, _draw(_rng(1), 9), clusters=np.arange(5), level=LEVEL)


def test_leaving_out_a_prompt_leaves_out_all_its_clips() -> None:
    x, z = _draw(_rng(), 12), _draw(_rng(1), 20)
    prompts = np.array(list("aabbbccccdde"))

    found = kvd_jackknife(x, z, clusters=prompts)

    for name, value in zip(found.prompts, found.without_prompt, strict=True):
        rest = prompts != name
        assert value == pytest.approx(kvd_jackknife(x[rest], z, clusters=prompts[rest]).value)


def _of_prompts(rng: np.random.Generator, centres: FloatArray, each: int) -> FloatArray:
    """`each` clips of every prompt: alike within one, different between them."""
    centre = np.repeat(centres, each, axis=0)
    return np.asarray(centre + 0.1 * rng.normal(size=centre.shape))


def test_an_arm_as_good_as_its_reference_of_the_same_prompts_is_at_distance_zero() -> None:
    # Arm and reference show the same prompts by the same law: the distance is 0, and the mean of
    # many estimates must be. Counted with pairs of one prompt it comes out far below.
    ids, right, wrong = np.arange(24), [], []
    for seed in range(60):
        rng = _rng(seed)
        centres = rng.normal(size=(24, 6))
        x, z = _of_prompts(rng, centres, 1), _of_prompts(rng, centres, 4)
        found = kvd_jackknife(x, z, clusters=ids, reference_clusters=np.repeat(ids, 4))
        right.append(found.value)
        wrong.append(polynomial_mmd(x, z))
    error = np.std(right) / np.sqrt(60)

    assert abs(np.mean(right)) < 3 * error
    assert np.mean(wrong) < -10 * error


def test_pairs_of_one_prompt_are_left_out_of_all_three_means() -> None:
    x, z = _draw(_rng(), 5), _draw(_rng(1), 7)
    of_x, of_z = np.array(list("aabcd")), np.array(list("abbcxyy"))

    def mean(p: FloatArray, q: FloatArray, of_p: object, of_q: object) -> float:
        pairs = [
            (a @ b / 12 + 1) ** 3
            for a, i in zip(p, np.asarray(of_p), strict=True)
            for b, j in zip(q, np.asarray(of_q), strict=True)
            if i != j
        ]
        return float(np.mean(pairs))

    expected = mean(x, x, of_x, of_x) + mean(z, z, of_z, of_z) - 2 * mean(x, z, of_x, of_z)
    found = kvd_jackknife(x, z, clusters=of_x, reference_clusters=of_z)

    assert found.value == pytest.approx(expected)


def test_a_prompt_is_left_out_of_arm_and_reference_at_once() -> None:
    x, z = _draw(_rng(), 6), _draw(_rng(1), 10)
    of_x, of_z = np.array(list("aabcde")), np.array(list("abbcdxyyee"))
    found = kvd_jackknife(x, z, clusters=of_x, reference_clusters=of_z)

    def without(name: str) -> float:
        kept_x, kept_z = of_x != name, of_z != name
        rest = kvd_jackknife(
            x[kept_x], z[kept_z], clusters=of_x[kept_x], reference_clusters=of_z[kept_z]
        )
        return rest.value

    assert found.prompts == ("a", "b", "c", "d", "e")
    assert found.without_prompt == pytest.approx([without(name) for name in "abcde"])
    assert found.without_reference == pytest.approx([without(name) for name in "xy"])


def test_a_ratio_needs_no_reference_clip_outside_the_arms_prompts() -> None:
    ids, z = np.arange(8), _draw(_rng(1), 16)
    a, b = (
        kvd_jackknife(
            _draw(_rng(seed), 8, 1.5), z, clusters=ids, reference_clusters=np.repeat(ids, 2)
        )
        for seed in (2, 3)
    )

    assert a.over(b).value == pytest.approx(a.value / b.value)


def test_a_reference_of_clips_of_their_own_equals_one_that_names_no_prompts() -> None:
    x, z = _draw(_rng(), 6), _draw(_rng(1), 9)
    named = np.array([f"reference {i}" for i in range(9)])
    one = kvd_jackknife(x, z, clusters=np.arange(6), reference_clusters=named)
    other = kvd_jackknife(x, z, clusters=np.arange(6))

    assert one.value == pytest.approx(other.value)
    assert one.interval(LEVEL).low == pytest.approx(other.interval(LEVEL).low)


def test_the_interval_covers_the_truth_where_arm_and_reference_share_their_prompts() -> None:
    ids, held = np.arange(32), 0
    for seed in range(100):
        rng = _rng(1000 + seed)
        centres = rng.normal(size=(32, 6))
        x, z = _of_prompts(rng, centres, 1), _of_prompts(rng, centres, 4)
        found = kvd_jackknife(x, z, clusters=ids, reference_clusters=np.repeat(ids, 4))
        held += found.interval(LEVEL).low <= 0 <= found.interval(LEVEL).high

    assert held >= 90


def test_clips_of_one_prompt_are_not_taken_for_independent_draws() -> None:
    # Copies of each clip carry nothing new. Counted as pairs they would add k(x, x).
    x, z = _draw(_rng(), 20), _draw(_rng(1), 30)
    twice = np.repeat(x, 2, axis=0)

    found = kvd_interval(twice, z, clusters=np.repeat(np.arange(20), 2), level=LEVEL)
    once = kvd_interval(x, z, clusters=np.arange(20), level=LEVEL)

    assert found.value == pytest.approx(once.value, rel=1e-10)
    assert found.interval.low == pytest.approx(once.interval.low, rel=1e-9)
    assert polynomial_mmd(twice, z) > found.value


def test_the_difference_is_the_difference_of_the_values() -> None:
    a, b = _paired(_rng(), 20, 0.0, 0.3)
    z = _draw(_rng(1), 40)

    found = kvd_difference_interval(a, b, z, clusters=np.arange(20), level=LEVEL)

    assert found.value == pytest.approx(polynomial_mmd(a, z) - polynomial_mmd(b, z), rel=1e-9)
    assert (found.n, found.n_prompts, found.reference_n) == (20, 20, 40)


def test_swapping_the_arms_mirrors_the_interval() -> None:
    a, b = _paired(_rng(), 20, 0.0, 0.3)
    z, ids = _draw(_rng(1), 40), np.arange(20)

    there = kvd_difference_interval(a, b, z, clusters=ids, level=LEVEL).interval
    back = kvd_difference_interval(b, a, z, clusters=ids, level=LEVEL).interval

    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_an_arm_against_itself_differs_by_exactly_nothing() -> None:
    a, z = _draw(_rng(), 20), _draw(_rng(1), 40)

    found = kvd_difference_interval(a, a, z, clusters=np.arange(20), level=LEVEL)

    assert (found.value, found.interval.low, found.interval.high) == (0.0, 0.0, 0.0)


def test_the_order_of_clips_and_the_names_of_prompts_do_not_matter() -> None:
    a, b = _paired(_rng(), 20, 0.0, 0.3)
    z, order = _draw(_rng(1), 40), _rng(2).permutation(20)
    names = np.array([f"prompt {i:02d}" for i in range(20)])

    one = kvd_difference_interval(a, b, z, clusters=names, level=LEVEL)
    other = kvd_difference_interval(a[order], b[order], z, clusters=names[order], level=LEVEL)

    assert other.interval.low == pytest.approx(one.interval.low, rel=1e-9)
    assert other.interval.high == pytest.approx(one.interval.high, rel=1e-9)


def test_pairing_makes_the_interval_narrower() -> None:
    a, b = _paired(_rng(), 40, 0.3, 0.4)
    z, ids = _draw(_rng(1), 200), np.arange(40)

    paired = kvd_difference_interval(a, b, z, clusters=ids, level=LEVEL)
    shuffled = kvd_difference_interval(a, b[::-1], z, clusters=ids, level=LEVEL)

    assert paired.value == pytest.approx(shuffled.value, rel=1e-9)
    assert paired.standard_error < shuffled.standard_error / 1.3


def test_worse_clips_are_further_away() -> None:
    z, ids = _draw(_rng(1), 200), np.arange(40)

    values = [
        kvd_interval(_draw(_rng(), 40, shift), z, clusters=ids, level=LEVEL).value
        for shift in (0.0, 1.0, 2.0, 4.0)
    ]

    assert values == sorted(values)
    assert values[-1] > 10 * abs(values[0])


@pytest.mark.parametrize("sizes", [(20,), (1,) * 20, (3, 9, 8)])
def test_features_held_batch_by_batch_give_the_same_distance(sizes: tuple[int, ...]) -> None:
    x, z = _draw(_rng(), 20, 0.2), _draw(_rng(1), 30)
    held = HeldFeatures()
    for part in np.split(x, np.cumsum(sizes)[:-1]):
        held.update(part)

    again = kvd_jackknife(held.compute(), z, clusters=np.arange(20))

    assert again.value == kvd_jackknife(x, z, clusters=np.arange(20)).value


def test_the_worse_arm_is_found_at_64_prompts() -> None:
    a, b = _paired(_rng(), 64, 0.05, 0.6)

    found = kvd_difference_interval(a, b, _draw(_rng(1), 256), clusters=np.arange(64), level=LEVEL)

    assert found.interval.high < 0.0


def test_two_equal_arms_are_rarely_told_apart() -> None:
    rng, hits = _rng(3), 0
    for _ in range(200):
        a, b = _paired(rng, 32, 0.3, 0.3)
        found = kvd_difference_interval(a, b, _draw(rng, 96), clusters=np.arange(32), level=LEVEL)
        hits += found.interval.excludes(0.0)

    # 200 draws at 5 % give at most 16 in 97 % of cases.
    assert hits <= 16


def test_the_interval_of_a_difference_covers_the_truth() -> None:
    rng = _rng(4)
    big_a, big_b = _paired(rng, 5000, 0.05, 0.5)
    big_z = _draw(rng, 5000)
    truth = polynomial_mmd(big_a, big_z) - polynomial_mmd(big_b, big_z)
    covered = 0
    for _ in range(200):
        a, b = _paired(rng, 48, 0.05, 0.5)
        found = kvd_difference_interval(a, b, _draw(rng, 144), clusters=np.arange(48), level=LEVEL)
        covered += not found.interval.excludes(truth)

    assert covered >= 178


def test_the_standard_error_is_the_spread_over_repetitions() -> None:
    rng, values, errors = _rng(6), [], []
    for _ in range(200):
        found = kvd_interval(
            _draw(rng, 48, 0.3), _draw(rng, 60), clusters=np.arange(48), level=LEVEL
        )
        values.append(found.value)
        errors.append(found.standard_error)

    # The reference is small on purpose: its share of the error must be counted.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.2)


def test_a_ratio_to_a_clearly_positive_arm_has_an_interval_around_it() -> None:
    a, b = _paired(_rng(), 64, 0.1, 0.6)
    z, ids = _draw(_rng(1), 256), np.arange(64)

    ratio = kvd_jackknife(a, z, clusters=ids).over(kvd_jackknife(b, z, clusters=ids))

    assert ratio.value == pytest.approx(polynomial_mmd(a, z) / polynomial_mmd(b, z), rel=1e-9)
    interval = ratio.interval(LEVEL)
    assert interval.low < ratio.value < interval.high < 1.0


def test_a_ratio_to_nothing_is_refused() -> None:
    one = Jackknife(1.0, ("a", "b", "c"), np.ones(3), np.ones(3))
    none = Jackknife(0.1, ("a", "b", "c"), np.array([0.2, -0.1, 0.2]), np.ones(3))

    with pytest.raises(ValueError, match="take the difference"):
        one.over(none)


def test_arms_with_other_prompts_are_not_paired() -> None:
    z = _draw(_rng(1), 20)
    a = kvd_jackknife(_draw(_rng(), 4), z, clusters=np.array(list("abcd")))
    b = kvd_jackknife(_draw(_rng(), 4), z, clusters=np.array(list("abce")))

    with pytest.raises(ValueError, match=r"only one arm has \['d', 'e'\]"):
        a.minus(b)


def test_arms_against_two_references_are_not_paired() -> None:
    ids = np.arange(4)
    a = kvd_jackknife(_draw(_rng(), 4), _draw(_rng(1), 20), clusters=ids)
    b = kvd_jackknife(_draw(_rng(), 4), _draw(_rng(1), 21), clusters=ids)

    with pytest.raises(ValueError, match="one reference set"):
        a.minus(b)


def test_arms_of_unequal_size_are_refused() -> None:
    with pytest.raises(ValueError, match="same clips in the same order"):
        kvd_difference_interval(
            np.zeros((4, 2)), np.zeros((3, 2)), np.zeros((9, 2)), clusters=np.arange(4), level=0.9
        )


def test_clusters_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="each of 5 rows"):
        kvd_jackknife(np.zeros((5, 2)), np.zeros((9, 2)), clusters=np.arange(4))


def test_too_few_prompts_or_reference_clips_give_no_interval() -> None:
    with pytest.raises(TooFewError, match="3 prompts or more, got 2"):
        kvd_jackknife(np.zeros((4, 2)), np.zeros((9, 2)), clusters=np.array(list("aabb")))
    with pytest.raises(TooFewError, match="3 reference clips or more, got 2"):
        kvd_jackknife(np.zeros((4, 2)), np.zeros((2, 2)), clusters=np.arange(4))


def _basis(n: int) -> SetBasis:
    return SetBasis(
        n=n,
        reference_n=30,
        dimension=12,
        reference="r",
        protocol="p",
        extractor="e",
        extractor_digest="d",
    )


def test_a_result_states_its_value_interval_and_basis() -> None:
    x, z = _draw(_rng(), 20), _draw(_rng(1), 30)

    found = kvd(x, z, basis=_basis(20), clusters=np.arange(20), level=LEVEL)

    assert found.estimate is not None
    assert found.value == pytest.approx(polynomial_mmd(x, z), rel=1e-10)
    assert not found.basis.rank_deficient


def test_a_result_of_two_prompts_has_a_value_and_says_why_it_has_no_interval() -> None:
    x, z = _draw(_rng(), 4), _draw(_rng(1), 30)

    found = kvd(x, z, basis=_basis(4), clusters=np.array(list("aabb")), level=LEVEL)

    assert found.estimate is None
    assert "3 prompts" in found.reason
    assert found.value == pytest.approx(polynomial_mmd(x, z))
