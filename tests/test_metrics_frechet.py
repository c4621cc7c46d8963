"""The laws of the Frechet distance and of the polynomial MMD."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from metrics.base import FloatArray
from metrics.frechet import (
    Moments,
    MomentSums,
    frechet_distance,
    frechet_distance_from_moments,
    moments,
    noise_floor,
    polynomial_mmd,
    sample_size,
)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _features(n: int, d: int, *, seed: int = 0, shift: float = 0.0) -> FloatArray:
    """Correlated, skewed features of uneven scale."""
    rng = _rng(seed)
    mixing = _rng(99).normal(size=(d, d)) * np.linspace(0.1, 3.0, d)
    return np.asarray(np.maximum(rng.normal(size=(n, d)) @ mixing + shift, 0.0))


def _rotation(d: int) -> FloatArray:
    return np.asarray(np.linalg.qr(_rng(7).normal(size=(d, d)))[0])


def _by_scipy(x: FloatArray, y: FloatArray) -> float:
    """The textbook form: eigenvalues of the product of covariances."""
    s1, s2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.clip(scipy.linalg.eigvals(s1 @ s2).real, 0.0, None))
    step = x.mean(0) - y.mean(0)
    return float(step @ step + np.trace(s1) + np.trace(s2) - 2.0 * roots.sum())


def _both(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    a, b = moments(x), moments(y)
    return frechet_distance(x, y), frechet_distance_from_moments(a.mu, a.sigma, b.mu, b.sigma)


# --- Frechet distance ---------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(200, 16), (16, 16), (8, 64), (2, 32), (8, 400)])
def test_identical_sets_are_at_distance_zero_even_when_rank_deficient(n: int, d: int) -> None:
    x = _features(n, d)

    for value in _both(x, x.copy()):
        assert abs(value) <= 1e-12 * np.trace(np.cov(x, rowvar=False))


@pytest.mark.parametrize(("n", "m", "d"), [(100, 80, 8), (20, 500, 40), (10, 12, 64)])
def test_the_distance_is_symmetric(n: int, m: int, d: int) -> None:
    x, y = _features(n, d), _features(m, d, seed=1, shift=0.5)

    for there, back in zip(_both(x, y), _both(y, x), strict=True):
        assert there == pytest.approx(back, rel=1e-12)


def test_the_distance_does_not_change_under_rotation() -> None:
    x, y, q = _features(60, 24), _features(50, 24, seed=1, shift=0.3), _rotation(24)

    for straight, turned in zip(_both(x, y), _both(x @ q, y @ q), strict=True):
        assert turned == pytest.approx(straight, rel=1e-11)


@pytest.mark.parametrize("n", [200, 10])
def test_a_translated_set_is_as_far_as_the_squared_step(n: int) -> None:
    x, step = _features(n, 32), _rng(3).normal(size=32)

    for value in _both(x, x + step):
        assert value == pytest.approx(float(step @ step), rel=1e-11)


def test_a_large_common_offset_changes_nothing() -> None:
    x, y = _features(60, 8), _features(60, 8, seed=1)

    assert frechet_distance(x + 1e4, y + 1e4) == pytest.approx(frechet_distance(x, y), rel=1e-8)


def test_scaling_features_scales_the_distance_by_the_square() -> None:
    x, y = _features(60, 8), _features(60, 8, seed=1)

    assert frechet_distance(3 * x, 3 * y) == pytest.approx(9 * frechet_distance(x, y), rel=1e-11)


def test_diagonal_covariances_have_a_closed_form() -> None:
    s1, s2 = _rng(1).uniform(0, 4, 20), _rng(2).uniform(0, 4, 20)
    mu1, mu2 = _rng(3).normal(size=20), _rng(4).normal(size=20)
    expected = np.sum((mu1 - mu2) ** 2) + np.sum((np.sqrt(s1) - np.sqrt(s2)) ** 2)

    value = frechet_distance_from_moments(mu1, np.diag(s1), mu2, np.diag(s2))

    assert value == pytest.approx(expected, rel=1e-12)


def test_one_dimension_has_a_closed_form() -> None:
    x, y = _features(30, 1), _features(40, 1, seed=1, shift=1.0)
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2

    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("d", [2, 16, 64])
def test_scipys_eigenvalue_form_agrees_at_full_rank(d: int) -> None:
    x, y = _features(400, d, shift=1.0), _features(300, d, seed=1, shift=1.4)

    for value in _both(x, y):
        assert value == pytest.approx(_by_scipy(x, y), rel=1e-8)


def test_torchmetrics_fid_agrees_at_full_rank() -> None:
    x, y = _features(400, 16, shift=1.0), _features(300, 16, seed=1, shift=1.4)
    a, b = ([torch.from_numpy(part) for part in (m.mu, m.sigma)] for m in map(moments, (x, y)))

    for value in _both(x, y):
        assert value == pytest.approx(float(_compute_fid(*a, *b)), rel=1e-8)


def test_few_clips_in_many_dimensions_agree_with_a_reduction_to_their_span() -> None:
    x, y = _features(10, 100), _features(14, 100, seed=1, shift=0.2)
    basis = np.linalg.qr(np.concatenate([x, y]).T)[0]

    for value, reduced in zip(_both(x, y), _both(x @ basis, y @ basis), strict=True):
        assert value == pytest.approx(reduced, rel=1e-9)


def test_features_and_their_moments_give_the_same_distance_when_rank_deficient() -> None:
    features, from_moments = _both(_features(10, 100), _features(14, 100, seed=1))

    assert features == pytest.approx(from_moments, rel=1e-9)


def test_a_worse_set_is_farther() -> None:
    x, noise = _features(200, 16), _rng(5).normal(size=(200, 16))
    reference = _features(500, 16, seed=1)

    distances = [frechet_distance(x + scale * noise, reference) for scale in (0, 1, 3, 9)]

    assert distances == sorted(distances)


def test_half_precision_features_are_taken_at_their_value() -> None:
    x, y = _features(40, 8).astype(np.float16), _features(40, 8, seed=1).astype(np.float16)

    assert frechet_distance(x, y) == frechet_distance(x.astype(float), y.astype(float))


@pytest.mark.parametrize("bad", [np.zeros((1, 4)), np.zeros(4), np.zeros((2, 2, 4))])
def test_a_covariance_needs_two_rows_of_features(bad: FloatArray) -> None:
    with pytest.raises(ValueError, match="n >= 2"):
        frechet_distance(bad, np.zeros((5, 4)))


def test_features_of_two_extractors_are_refused() -> None:
    with pytest.raises(ValueError, match="one extractor, got 4 and 5"):
        frechet_distance(np.zeros((3, 4)), np.zeros((3, 5)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_named(bad: float) -> None:
    x = _features(6, 4)
    x[[2, 5], 1] = bad

    with pytest.raises(ValueError, match=r"rows \[2, 5\]"):
        frechet_distance(x, _features(6, 4))


@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (np.array([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "below 0"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "finite"),
        (np.zeros((2, 3)), "covariance"),
    ],
)
def test_what_is_no_covariance_is_refused(sigma: FloatArray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_distance_from_moments(np.zeros(2), sigma, np.zeros(2), np.eye(2))


def test_means_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="of one d"):
        frechet_distance_from_moments(np.zeros(3), np.eye(2), np.zeros(2), np.eye(2))


def test_n_must_exceed_the_dimension() -> None:
    assert sample_size(np.zeros((32, 32))).rank_deficient
    assert not sample_size(np.zeros((33, 32))).rank_deficient


# --- moments ------------------------------------------------------------------------------------


def test_moments_are_numpys() -> None:
    x = _features(50, 6)
    found = moments(x)

    np.testing.assert_allclose(found.mu, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.sigma, np.cov(x, rowvar=False), rtol=1e-12)


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_streamed_moments_do_not_depend_on_the_batch_size(batch: int) -> None:
    x = _features(50, 6) + 1e3
    sums = MomentSums.empty(6)
    for i in range(0, 50, batch):
        sums = sums.including(x[i : i + batch])

    np.testing.assert_allclose(sums.moments().sigma, np.cov(x, rowvar=False), rtol=1e-9, atol=1e-9)


def test_shards_merge_to_the_whole() -> None:
    x = _features(50, 6)
    parts = [MomentSums.empty(6).including(part) for part in (x[:3], x[3:20], x[20:])]
    merged = parts[0].merged(parts[1]).merged(parts[2]).merged(MomentSums.empty(6)).moments()

    assert merged.n == 50
    np.testing.assert_allclose(merged.mu, x.mean(0), rtol=1e-13)
    np.testing.assert_allclose(merged.sigma, np.cov(x, rowvar=False), rtol=1e-10)


def test_streamed_moments_refuse_another_dimension_and_too_few_clips() -> None:
    with pytest.raises(ValueError, match="expected 6 features"):
        MomentSums.empty(6).including(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="at least two clips"):
        MomentSums.empty(6).including(np.zeros((1, 6))).moments()


# --- noise floor --------------------------------------------------------------------------------


def test_the_floor_in_one_dimension_is_the_known_bias() -> None:
    # E (mean)^2 = s^2 / n, and E (s_n - s)^2 is about s^2 / (2 n) for a Gaussian.
    law = Moments(np.zeros(1), np.array([[4.0]]), 10_000)

    floor = noise_floor(law, n=100, reference_n=None, draws=4000, seed=0)

    assert floor.mean == pytest.approx(1.5 * 4.0 / 100, rel=0.1)


def test_the_floor_falls_with_n_and_rises_with_a_finite_reference() -> None:
    law = moments(_features(2000, 16))

    few, many = (noise_floor(law, n=n, reference_n=None, draws=8, seed=0) for n in (32, 512))
    finite = noise_floor(law, n=32, reference_n=64, draws=8, seed=0)

    assert many.mean < few.mean < finite.mean


def test_the_floor_is_what_perfect_clips_score() -> None:
    rng, mixing = _rng(1), _rng(2).normal(size=(8, 8))
    scores = [
        frechet_distance(rng.normal(size=(40, 8)) @ mixing, rng.normal(size=(80, 8)) @ mixing)
        for _ in range(60)
    ]
    law = Moments(np.zeros(8), mixing.T @ mixing, 10_000)

    floor = noise_floor(law, n=40, reference_n=80, draws=60, seed=3)

    assert floor.mean == pytest.approx(float(np.mean(scores)), rel=0.1)


def test_the_floor_is_the_same_for_the_same_seed_and_not_for_another() -> None:
    law = moments(_features(100, 4))

    first, again, other = (
        noise_floor(law, n=20, reference_n=40, draws=4, seed=s) for s in (1, 1, 2)
    )

    assert first == again
    assert first.mean != other.mean


# --- polynomial MMD -----------------------------------------------------------------------------

JEDI_A = np.arange(1.0, 10.0).reshape(3, 3)
JEDI_B = np.array([[7.0, 6, 5], [4, 3, 2], [1, 1, 8], [0, 2, 5]])


@pytest.mark.parametrize(
    ("degree", "gamma", "coef0", "expected"),
    [(2, 1 / 3, 0.0, 270.72222), (2, 1.0, 0.0, 2436.5), (3, 1 / 3, 1.0, 23088.083)],
)
def test_the_biased_estimate_has_jedis_published_values(
    degree: int, gamma: float, coef0: float, expected: float
) -> None:
    value = polynomial_mmd(JEDI_A, JEDI_B, degree, gamma, coef0, unbiased=False)

    assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(2, 3), (40, 5), (1500, 4)])
def test_torchmetrics_agrees(n: int, d: int) -> None:
    x, y = _features(n, d), _features(n, d, seed=1, shift=0.3)
    expected = float(poly_mmd(torch.from_numpy(x), torch.from_numpy(y)))

    assert polynomial_mmd(x, y) == pytest.approx(expected, rel=1e-9)


def test_sets_of_unequal_size_agree_with_plain_loops() -> None:
    x, y = _features(5, 3), _features(7, 3, seed=1)

    def mean(a: FloatArray, b: FloatArray, *, same: bool) -> float:
        pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if not (same and i == j)]
        return float(np.mean([(a[i] @ b[j] / 3 + 1) ** 3 for i, j in pairs]))

    expected = mean(x, x, same=True) + mean(y, y, same=True) - 2 * mean(x, y, same=False)
    assert polynomial_mmd(x, y) == pytest.approx(expected, rel=1e-12)


def test_the_mmd_is_symmetric_and_does_not_change_under_rotation() -> None:
    x, y, q = _features(30, 8), _features(40, 8, seed=1, shift=0.3), _rotation(8)
    straight = polynomial_mmd(x, y)

    assert polynomial_mmd(y, x) == pytest.approx(straight, rel=1e-10)
    assert polynomial_mmd(x @ q, y @ q) == pytest.approx(straight, rel=1e-9)


def _mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("n", [4, 32])
def test_the_unbiased_estimate_is_zero_on_average_for_one_law_at_any_n(n: int) -> None:
    rng = _rng(11)
    draws = [
        polynomial_mmd(rng.normal(size=(n, 6)), rng.normal(size=(3 * n, 6))) for _ in range(800)
    ]

    mean, error = _mean_and_error(np.array(draws))

    assert abs(mean) < 3 * error


def test_the_biased_estimate_is_not() -> None:
    rng = _rng(11)
    pairs = [(rng.normal(size=(8, 6)), rng.normal(size=(24, 6))) for _ in range(200)]

    mean, error = _mean_and_error(
        np.array([polynomial_mmd(x, y, unbiased=False) for x, y in pairs])
    )

    assert mean > 10 * error


def test_the_unbiased_estimate_has_the_true_mean_for_two_laws() -> None:
    # k = (x y + 1)^1 in one dimension: the squared distance of means, 2^2.
    rng = _rng(12)
    draws = [
        polynomial_mmd(rng.normal(size=(5, 1)), rng.normal(2.0, 1.0, size=(9, 1)), 1, 1.0, 1.0)
        for _ in range(2000)
    ]

    mean, error = _mean_and_error(np.array(draws))

    assert mean == pytest.approx(4.0, abs=3 * error)


def test_moments_are_equal_where_every_number_is() -> None:
    rows = np.random.default_rng(5).normal(size=(9, 3))
    one = moments(rows)

    assert one == moments(rows.copy())
    assert len({one, moments(rows.copy()), moments(rows + 1e-9), moments(rows[:-1])}) == 3
