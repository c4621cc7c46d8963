"""An FVD comes with its n and its noise floor, and says when it may not be used."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.base import FloatArray, SetBasis, SetMetric
from metrics.frechet import frechet_distance, moments
from metrics.fvd import FvdResult, HeldFeatures, StreamedFvd, fvd


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
