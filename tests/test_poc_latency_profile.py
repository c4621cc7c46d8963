"""The spread of timed clips: every one in order, percentiles only where n gives their bound."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import small_run

from poc import records as r
from poc.latency_profile import latency_profiles


def samples(seconds: list[float], **changes: object) -> Iterator[r.LatencySample]:
    """The first arm timed in these seconds, one a round, after a cold call of 100 s."""
    arm = small_run.plan().arms[0]
    for number, total in enumerate([100.0, *seconds]):
        update = {"round": number - 1, "total_s": total, **changes}
        yield small_run.latency(arm).model_copy(update=update)


def test_the_curve_goes_through_every_warm_clip_and_ends_at_the_whole() -> None:
    first, second = latency_profiles(small_run.plan(), samples([3.0, 1.0, 2.0, 2.0]))

    assert [one.seconds for one in first.samples] == [1.0, 2.0, 2.0, 3.0]
    assert [one.share for one in first.samples] == [0.25, 0.5, 0.75, 1.0]
    assert (second.samples, second.tails, second.reason) == ((), (), "no timed round")


@pytest.mark.parametrize(
    ("n", "given"), [(28, []), (29, [90]), (59, [90, 95]), (299, [90, 95, 99])]
)
def test_a_percentile_stands_from_the_n_on_at_which_the_largest_clip_bounds_it(
    n: int, given: list[int]
) -> None:
    # 1 - share**n is the chance that the largest of n samples lies above the percentile.
    assert [p for p in (90, 95, 99) if 1 - (p / 100) ** n >= 0.95] == given
    seconds = [float(value) for value in range(1, n + 1)]
    profile = latency_profiles(small_run.plan(), samples(seconds))[0]

    assert [tail.percent for tail in profile.tails if tail.seconds is not None] == given
    assert all(bool(tail.reason) == (tail.seconds is None) for tail in profile.tails)


def test_a_percentile_is_the_one_that_numpy_gives() -> None:
    seconds = [float(value) for value in np.random.default_rng(1).gamma(4.0, 0.5, 400)]
    profile = latency_profiles(small_run.plan(), samples(seconds))[0]

    for tail in profile.tails:
        wanted = np.quantile(seconds, tail.percent / 100, method="inverted_cdf")
        assert tail.seconds == pytest.approx(wanted)
        assert tail.upper is not None
        assert tail.upper >= wanted


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "another"}, "timed on another and on cpu"),
        ({"timing_version": 2}, "ways 1 and 2"),
    ],
)
def test_clips_of_two_devices_or_ways_of_timing_stand_in_no_one_curve(
    changes: dict[str, object], reason: str
) -> None:
    mixed = [*samples([1.0, 2.0]), *samples([1.5], **changes)]
    profile = latency_profiles(small_run.plan(), mixed)[0]

    assert profile.samples == ()
    assert reason in profile.reason
