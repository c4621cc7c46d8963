"""An FVD comes with its n and its noise floor, and says when it may not be used."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import _compute_fid

from metrics.base import FloatArray, SetBasis, SetMetric
from metrics.frechet import Moments, MomentSums, frechet_distance, moments
from metrics.fvd import (
    FvdResult,
    HeldFeatures,
    NotComparableError,
    StreamedFvd,
    fvd,
    fvd_difference,
    fvd_from_moments,
    fvd_infinity,
)


def _features(n: int, *, seed: int, d: int = 8, shift: float = 0.0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(size=(n, d)) * np.linspace(0.5, 2.0, d) + shift)


def _basis(n: int, reference_n: int, dimension: int = 8) -> SetBasis:
    return SetBasis(
        n=n,
        reference_n=reference_n,
        dimension=dimension,
        reference="clean",
        protocol="frames-1",
        extractor="net",
        extractor_digest="00",
    )


def _fvd(arm: FloatArray, reference: FloatArray) -> FvdResult:
    basis = _basis(len(arm), len(reference), arm.shape[1])
    return fvd(arm, reference, basis=basis, draws=16, seed=0)


def test_the_value_is_the_frechet_distance() -> None:
    arm, reference = _features(40, seed=0, shift=0.3), _features(200, seed=1)

    assert _fvd(arm, reference).value == frechet_distance(arm, reference)


def test_arms_of_one_form_are_as_far_as_the_squared_step_between_them() -> None:
    reference = _features(60, seed=1)
    step = np.linspace(-1.0, 2.0, 8)

    assert _fvd(reference + step, reference).value == pytest.approx(float(step @ step), rel=1e-10)
    # Twice as wide in every direction: the trace of (2 s - s)^2 is that of the covariance.
    mean = reference.mean(axis=0)
    wide = _fvd(mean + 2 * (reference - mean), reference).value
    assert wide == pytest.approx(float(np.trace(np.cov(reference, rowvar=False))), rel=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.0])
def test_scipys_matrix_root_and_torchmetrics_give_the_same_value(shift: float) -> None:
    arm, reference = _features(40, seed=0, shift=shift), _features(200, seed=1)
    mu, nu = arm.mean(axis=0), reference.mean(axis=0)
    s, t = np.cov(arm, rowvar=False), np.cov(reference, rowvar=False)
    root = scipy.linalg.sqrtm(s @ t).real
    by_scipy = (mu - nu) @ (mu - nu) + np.trace(s) + np.trace(t) - 2 * np.trace(root)
    by_torchmetrics = float(_compute_fid(*map(torch.from_numpy, (mu, s, nu, t))))

    found = _fvd(arm, reference).value

    assert found == pytest.approx(float(by_scipy), rel=1e-8)
    assert found == pytest.approx(by_torchmetrics, rel=1e-8)


def test_the_order_of_clips_does_not_matter() -> None:
    arm, reference = _features(40, seed=0, shift=0.3), _features(200, seed=1)
    there, back = _fvd(arm, reference), _fvd(arm[::-1], reference[::-1])

    assert back.value == pytest.approx(there.value, rel=1e-10)


def test_shards_of_an_arm_merge_to_the_whole() -> None:
    arm, reference = _features(40, seed=0, shift=0.3), _features(200, seed=1)
    parts = [MomentSums.empty(8).including(part) for part in (arm[:3], arm[3:25], arm[25:])]
    merged = parts[2].merged(parts[0]).merged(parts[1]).moments()
    whole = _fvd(arm, reference)

    again = fvd_from_moments(merged, moments(reference), basis=whole.basis, draws=16, seed=0)

    assert again.value == pytest.approx(whole.value, rel=1e-10)


def test_worse_clips_are_further_away_and_so_are_clips_that_all_look_alike() -> None:
    reference, arm = _features(400, seed=1), _features(60, seed=0)
    noise = np.random.default_rng(2).normal(size=arm.shape)
    noisy = [_fvd(arm + k * noise, reference).value for k in (0, 1, 2, 4)]
    alike = [_fvd(arm * k, reference).value for k in (1.0, 0.5, 0.1)]

    assert noisy == sorted(noisy)
    assert alike == sorted(alike)


def test_features_with_nan_and_a_single_clip_are_refused() -> None:
    arm = _features(9, seed=0)
    arm[4, 2] = np.nan

    with pytest.raises(ValueError, match=r"rows \[4\]"):
        _fvd(arm, _features(9, seed=1))
    with pytest.raises(ValueError, match="n >= 2"):
        _fvd(_features(1, seed=0), _features(9, seed=1))


def test_a_perfect_arm_is_near_its_floor_and_a_bad_one_far_above() -> None:
    reference = _features(400, seed=1)

    perfect = np.mean([_fvd(_features(40, seed=s), reference).ratio or 0 for s in range(10, 30)])
    bad = _fvd(_features(40, seed=0, shift=1.0), reference).ratio

    assert perfect == pytest.approx(1.0, abs=0.2)
    assert bad is not None
    assert bad > 5


def test_a_reference_that_does_not_vary_has_no_ratio() -> None:
    assert _fvd(_features(10, seed=0), np.ones((20, 8))).ratio is None


def test_too_few_clips_are_marked_and_still_shown() -> None:
    result = _fvd(_features(8, seed=0), _features(100, seed=1))

    assert result.basis.rank_deficient
    assert result.value > 0


def test_features_that_do_not_fit_the_basis_are_refused() -> None:
    with pytest.raises(ValueError, match="states shapes"):
        fvd(_features(9, seed=0), _features(9, seed=1), basis=_basis(8, 9), draws=2, seed=0)


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_streaming_gives_the_same_distance_in_any_batches(batch: int) -> None:
    arm, reference = _features(40, seed=0, shift=0.3), _features(200, seed=1)
    streamed: SetMetric[float] = StreamedFvd(moments(reference))
    for i in range(0, 40, batch):
        streamed.update(arm[i : i + batch])

    assert streamed.compute() == pytest.approx(frechet_distance(arm, reference), rel=1e-10)


def test_held_features_keep_their_order() -> None:
    rows = _features(7, seed=0)
    held = HeldFeatures()
    for part in (rows[:3], rows[3:]):
        held.update(part)

    assert np.array_equal(held.compute(), rows)


def test_nothing_held_is_an_error() -> None:
    with pytest.raises(ValueError, match="no features"):
        HeldFeatures().compute()


def test_stored_moments_give_the_fvd_and_floor_of_the_features() -> None:
    arm, reference = _features(40, seed=0, shift=0.3), _features(200, seed=1)
    whole = _fvd(arm, reference)

    stored = fvd_from_moments(moments(arm), moments(reference), basis=whole.basis, draws=16, seed=0)

    assert stored.value == pytest.approx(whole.value, rel=1e-10)
    assert stored.floor == whole.floor


def test_stored_moments_of_another_n_than_stated_are_refused() -> None:
    arm, reference = moments(_features(40, seed=0)), moments(_features(20, seed=1))

    with pytest.raises(ValueError, match="the basis states n"):
        fvd_from_moments(arm, reference, basis=_basis(41, 20), draws=2, seed=0)


@pytest.mark.parametrize("ddof", [0, 1])
def test_moments_of_either_ddof_are_brought_to_one(ddof: int) -> None:
    x = _features(12, seed=0)

    got = Moments.stated(x.mean(0), np.cov(x, rowvar=False, ddof=ddof), n=12, ddof=ddof)

    np.testing.assert_allclose(got.sigma, np.cov(x, rowvar=False), rtol=1e-12)


@pytest.mark.parametrize(
    ("n", "ddof", "sigma", "said"),
    [
        (1, 1, np.eye(2), "n >= 2"),
        (5, 2, np.eye(2), "ddof of 0 or 1"),
        (5, 1, np.eye(3), "sigma"),
        (5, 1, np.full((2, 2), np.nan), "finite"),
    ],
)
def test_moments_that_cannot_be_are_refused(
    n: int, ddof: int, sigma: FloatArray, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Moments.stated(np.zeros(2), sigma, n=n, ddof=ddof)


def test_streaming_takes_no_more_memory_for_more_clips() -> None:
    law, batch = moments(_features(64, seed=1, d=64)), _features(64, seed=0, d=64)

    def peak(batches: int) -> int:
        streamed = StreamedFvd(law)
        tracemalloc.start()
        for _ in range(batches):
            streamed.update(batch)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)
    assert peak(200) < 1.05 * peak(10)


def test_two_arms_on_the_same_ground_differ_by_their_values() -> None:
    reference = _features(200, seed=1)
    near, far = (_fvd(_features(40, seed=0, shift=s), reference) for s in (0.1, 0.9))

    assert fvd_difference(near, far) == near.value - far.value < 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 41}, "n: 40 against 41"),
        ({"reference": "another"}, "reference: clean against another"),
        ({"protocol": "frames-2"}, "protocol"),
        ({"extractor": "i3d"}, "extractor: net against i3d"),
        ({"extractor_digest": "11"}, "extractor_digest"),
    ],
)
def test_arms_on_other_ground_are_not_compared(change: dict[str, object], said: str) -> None:
    one = _fvd(_features(40, seed=0), _features(200, seed=1))
    other = FvdResult(one.value, replace(one.basis, **change), one.floor)  # type: ignore[arg-type]

    with pytest.raises(NotComparableError, match=said):
        fvd_difference(one, other)


def test_rank_deficient_arms_are_not_compared() -> None:
    one = _fvd(_features(8, seed=0), _features(100, seed=1))

    with pytest.raises(NotComparableError, match="rank-deficient: 8 clips"):
        fvd_difference(one, one)


def test_fvd_infinity_takes_off_what_few_clips_add() -> None:
    reference = _features(20_000, seed=99)
    arms = [_features(160, seed=s) for s in range(24)]  # of the same law: the truth is 0

    plain = np.mean([frechet_distance(arm, reference) for arm in arms])
    found = [fvd_infinity(arm, reference, seed=0).value for arm in arms]

    values = [value for value in found if value is not None]
    assert len(values) == 24
    assert abs(np.mean(values)) < 0.3 * plain


@pytest.mark.parametrize(("n", "m", "there"), [(36, 100, True), (35, 100, False), (36, 8, False)])
def test_fvd_infinity_needs_sub_samples_beyond_the_dimension(n: int, m: int, there: bool) -> None:
    found = fvd_infinity(_features(n, seed=0), _features(m, seed=1), seed=0)

    assert (found.value is not None) == there
    assert there or "more than 8 are needed" in found.reason


def test_fvd_infinity_is_the_same_for_the_same_seed() -> None:
    arm, reference = _features(60, seed=0), _features(100, seed=1)

    first, again, other = (fvd_infinity(arm, reference, seed=s).value for s in (1, 1, 2))

    assert first == again != other
