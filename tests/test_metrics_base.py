"""A value that was not measured can never be taken for a number."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.base import ClipMetric, ClipValue, Frames, FramesOnly, Interval, SetBasis, Status

BASIS = SetBasis(
    n=64,
    reference_n=128,
    dimension=32,
    reference="clean-1",
    protocol="frames-1",
    extractor="tiny",
    extractor_digest="ab",
)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_an_ok_value_is_a_finite_number(value: float | None) -> None:
    with pytest.raises(ValueError, match="finite number"):
        ClipValue(value)


def test_a_missing_value_has_a_reason() -> None:
    with pytest.raises(ValueError, match="a reason"):
        ClipValue(None, Status.INVALID)


def test_a_missing_value_carries_no_number() -> None:
    with pytest.raises(ValueError, match="value None"):
        ClipValue(0.0, Status.NOT_MEASURED, "no network given")


def test_numpy_numbers_become_plain_floats() -> None:
    assert type(ClipValue.ok(np.float32(0.5)).value) is float


@pytest.mark.parametrize(("low", "high"), [(2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_an_interval_has_two_finite_ends_in_order(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="low <= high"):
        Interval(low, high, 0.95)


def test_a_level_is_a_fraction_and_not_a_percentage() -> None:
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        Interval(0.0, 1.0, 95)


def test_the_ends_of_an_interval_belong_to_it() -> None:
    assert not Interval(0.0, 1.0, 0.95).excludes(0.0)
    assert Interval(0.1, 1.0, 0.95).excludes(0.0)


def test_equal_bases_have_no_differences() -> None:
    assert BASIS.differences(BASIS) == ()


def test_all_that_differs_between_two_bases_is_named() -> None:
    other = SetBasis(
        n=32,
        reference_n=128,
        dimension=32,
        reference="clean-1",
        protocol="frames-2",
        extractor="tiny",
        extractor_digest="ab",
    )

    assert BASIS.differences(other) == ("n: 64 against 32", "protocol: frames-1 against frames-2")


def test_a_basis_refuses_features_of_another_shape() -> None:
    with pytest.raises(ValueError, match="states shapes"):
        BASIS.check(np.zeros((64, 31)), np.zeros((128, 32)))


def test_n_must_exceed_the_dimension_on_both_sides() -> None:
    assert not BASIS.rank_deficient
    assert SetBasis(
        n=64,
        reference_n=32,
        dimension=32,
        reference="",
        protocol="",
        extractor="",
        extractor_digest="",
    ).rank_deficient


def test_a_metric_of_frames_fits_the_protocol_and_ignores_the_prompt() -> None:
    def brightest(frames: Frames) -> ClipValue:
        return ClipValue.ok(float(frames.max()))

    metric: ClipMetric = FramesOnly(brightest)

    assert metric(np.full((2, 4, 4, 3), 7, np.uint8), "anything") == ClipValue.ok(7.0)
