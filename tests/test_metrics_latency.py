"""Percentiles are printed with the samples they need, and their bounds hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, quantile_test

from metrics.base import Status
from metrics.latency import (
    PERCENTS,
    latency_p50,
    latency_p90,
    latency_p95,
    latency_p99,
    median_ratio,
    minimum_n,
    percentile,
)

RNG = np.random.default_rng(0)
ONE_SIDED = {50: 5, 90: 29, 95: 59, 99: 299}
TWO_SIDED = {50: 6, 90: 36, 95: 72, 99: 368}


def _timings(n: int) -> list[float]:
    return [float(t) for t in RNG.lognormal(0.0, 0.5, n)]


@pytest.mark.parametrize("percent", PERCENTS)
def test_the_largest_sample_bounds_the_percentile_from_this_n_on_and_not_before(
    percent: int,
) -> None:
    n, share = minimum_n(percent, sides=1), percent / 100

    assert n == ONE_SIDED[percent]
    assert 1 - share**n >= 0.95 > 1 - share ** (n - 1)


@pytest.mark.parametrize("percent", PERCENTS)
def test_a_percentile_is_given_from_its_minimum_on(percent: int) -> None:
    timings = _timings(ONE_SIDED[percent])

    short, enough = percentile(timings[1:], percent), percentile(timings, percent)

    assert (short.value, short.upper, short.interval) == (None, None, None)
    assert f"needs {ONE_SIDED[percent]} samples" in short.reason
    assert enough.value is not None
    assert enough.upper == max(timings)
    assert enough.interval is None


@pytest.mark.parametrize("percent", PERCENTS)
def test_a_two_sided_interval_is_given_from_its_minimum_on(percent: int) -> None:
    timings = _timings(TWO_SIDED[percent])

    assert minimum_n(percent, sides=2) == TWO_SIDED[percent]
    assert percentile(timings[1:], percent).interval is None
    interval = percentile(timings, percent).interval
    assert interval is not None
    assert interval.high == max(timings)


@pytest.mark.parametrize(("percent", "n"), [(50, 25), (50, 100), (90, 60), (95, 200)])
def test_scipys_quantile_test_gives_the_same_interval(percent: int, n: int) -> None:
    timings = _timings(n)
    theirs: Any = quantile_test(timings, p=percent / 100).confidence_interval(0.95)

    interval = percentile(timings, percent).interval

    assert interval is not None
    assert (interval.low, interval.high) == (theirs.low, theirs.high)


def test_the_value_is_the_sample_at_or_below_which_the_share_lies() -> None:
    timings = [float(i) for i in range(1, 101)]

    assert [percentile(timings, p).value for p in (50, 90, 95)] == [50.0, 90.0, 95.0]


def test_the_order_of_samples_does_not_matter() -> None:
    timings = _timings(80)

    assert percentile(timings, 90) == percentile(timings[::-1], 90)


def test_the_upper_bound_and_the_interval_hold_as_often_as_they_say() -> None:
    true_p90 = float(np.exp(0.5 * 1.2815515655446004))
    above = inside = 0
    for _ in range(1000):
        found = percentile(_timings(60), 90)
        assert found.upper is not None
        assert found.interval is not None
        above += found.upper >= true_p90
        inside += not found.interval.excludes(true_p90)

    for hits in (above, inside):
        assert binomtest(hits, 1000, 0.95, alternative="less").pvalue > 0.01


def test_slower_clips_have_higher_percentiles() -> None:
    timings = _timings(100)

    fast, slow = (percentile([k * t for t in timings], 95).value for k in (1.0, 1.5))

    assert fast is not None
    assert slow == pytest.approx(1.5 * fast)


def test_catalogue_functions_give_the_value_or_say_that_it_was_not_measured() -> None:
    timings = _timings(60)

    assert latency_p50(timings).value == percentile(timings, 50).value
    assert latency_p90(timings).value == percentile(timings, 90).value
    assert latency_p95(timings).value == percentile(timings, 95).value
    missing = latency_p99(timings)
    assert (missing.value, missing.status) == (None, Status.NOT_MEASURED)
    assert "299" in missing.reason


def test_the_ratio_of_medians_has_the_ratio_of_the_laws() -> None:
    held = 0
    for _ in range(300):
        found = median_ratio([12.0 * t for t in _timings(15)], _timings(15))
        held += not found.interval.excludes(12.0)
        assert found.interval.low <= found.value <= found.interval.high

    assert held >= 0.95 * 300


def test_a_ratio_the_other_way_round_is_its_inverse() -> None:
    one, other = _timings(15), _timings(21)

    there, back = median_ratio(one, other), median_ratio(other, one)

    assert back.value == pytest.approx(1 / there.value)
    assert back.interval.low == pytest.approx(1 / there.interval.high)


def test_a_ratio_of_too_few_samples_says_how_many_it_needs() -> None:
    with pytest.raises(ValueError, match="needs 7 samples on each side, got 6 and 20"):
        median_ratio(_timings(6), _timings(20))
    assert median_ratio(_timings(7), _timings(7)).n == 7


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_times_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite, positive"):
        percentile([1.0] * 10 + [bad], 50)


def test_no_samples_are_too_few_and_no_error() -> None:
    assert percentile([], 50).reason == "p50 needs 5 samples for a 95 % bound, got 0"


@pytest.mark.parametrize("percent", [0, 100, -5])
def test_a_percentile_lies_between_the_ends(percent: int) -> None:
    with pytest.raises(ValueError, match="1 to 99"):
        percentile([1.0] * 10, percent)
