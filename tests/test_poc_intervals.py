"""Laws of the intervals, against formulas, SciPy's own routines and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from poc import intervals
from poc.intervals import FloatArray, trimmed_mean


def mean_draws(values: FloatArray, *, seed: int) -> FloatArray:
    """The draws of a mean as the estimates make them: of BCa or t, the farther."""
    n, mean = len(values), float(values.mean())
    draws = intervals.resampled_sums(values[:, None], seed=seed)[:, 0] / n
    booted, _ = intervals.bca_draws(mean, draws, (values.sum() - values) / (n - 1))
    return intervals.farther(booted, intervals.t_draws(mean, stats.sem(values), n - 1, len(booted)))


def mean_interval(values: FloatArray, *, seed: int) -> tuple[float, float]:
    return intervals.ends(mean_draws(values, seed=seed))


def t_bounds(values: FloatArray) -> tuple[float, float]:
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return float(low), float(high)


def share_covering(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


# --- rates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (7, 10), (10, 10), (63, 64), (300, 1000)])
def test_wilson_equals_scipys_wilson(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(0.95, "wilson")

    low, high, _ = intervals.wilson(successes / n, n)

    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_quantiles_of_wilson_draws_are_the_wilson_interval() -> None:
    draws = intervals.wilson_draws(0.9, 64, count=100_000)

    low, high, _ = intervals.wilson(0.9, 64)

    assert np.quantile(draws, [0.025, 0.975]) == pytest.approx([low, high], abs=1e-4)


def test_a_rate_of_one_never_has_draws_that_are_all_one() -> None:
    draws = intervals.wilson_draws(1.0, 20)

    assert (draws < 0.95).mean() > 0.1


def test_effective_n_lies_between_prompts_and_clips() -> None:
    one_clip = intervals.effective_n(np.array([0.0, 1.0, 1.0]), 3)
    clustered = intervals.effective_n(np.array([0.0, 1.0, 1.0, 0.0]), 16)
    independent = intervals.effective_n(np.full(8, 0.5) + np.array([0.01, -0.01] * 4), 32)

    assert (one_clip, clustered, independent) == (3, 4, 32)


def constrained_rates(gained: int, lost: int, n: int, difference: float) -> tuple[float, float]:
    """The likeliest shares of gained and lost pairs that differ by `difference`, by search."""

    def loss(p_lost: float) -> float:
        p_gained = p_lost + difference
        agree = n - gained - lost
        terms = ((gained, p_gained), (lost, p_lost), (agree, 1 - p_gained - p_lost))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in terms if k)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    found = optimize.minimize_scalar(
        loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    )
    return float(found.x) + difference, float(found.x)


def test_paired_rate_bounds_solve_tangos_score_equation() -> None:
    gained, lost, n = 9, 3, 50
    differences = np.array([1.0] * gained + [-1.0] * lost + [0.0] * (n - gained - lost))

    interval = intervals.paired_rate_interval(differences)

    for bound in interval[:2]:
        p_gained, p_lost = constrained_rates(gained, lost, n, bound)
        variance = n * (p_gained + p_lost - bound**2)
        score = (gained - lost - n * bound) / math.sqrt(variance)
        assert abs(score) == pytest.approx(1.959964, abs=1e-4)


def test_paired_rates_that_always_agree_keep_a_width() -> None:
    z2 = 1.959964**2

    low, high, _ = intervals.paired_rate_interval(np.zeros(64))

    assert (low, high) == pytest.approx((-z2 / (64 + z2), z2 / (64 + z2)))


def test_a_paired_rate_truly_at_its_minimum_seldom_passes() -> None:
    rng, one_sided = np.random.default_rng(13), np.array([-1.644854])
    passed = []
    for _ in range(1000):
        shared, alone = rng.random(64), rng.random(64)
        base = np.where(rng.random(64) < 0.6, shared, alone) < 0.85
        differences = (shared < 0.7).astype(float) - base
        passed.append(bool(intervals.paired_rate_bound(differences, one_sided)[0] >= -0.15))

    # 0.05 is nominal; 0.07 is 2.9 standard errors of 1000 runs above it.
    assert share_covering(passed) <= 0.07


def test_paired_rate_interval_covers_the_true_difference() -> None:
    rng = np.random.default_rng(11)
    hits = []
    for _ in range(1000):
        own, base = rng.random(40) < 0.9, rng.random(40) < 0.8
        low, high, _ = intervals.paired_rate_interval(own.astype(float) - base.astype(float))
        hits.append(low <= 0.1 <= high)

    assert 0.93 <= share_covering(hits) <= 0.985


def paired_by_prompt(rng: np.random.Generator, prompts: int, replicates: int) -> FloatArray:
    """Differences of clips that are right by 80 and 70 %, alike within prompt and within arm."""
    prompt, own = rng.normal(size=(1, prompts, 1)), rng.normal(size=(2, prompts, 1))
    clip = rng.normal(size=(2, prompts, replicates))
    score = math.sqrt(0.4) * prompt + math.sqrt(0.3) * own + math.sqrt(0.3) * clip
    base, student = score < np.array([0.8416212, 0.5244005])[:, None, None]
    return np.asarray(student.astype(float) - base.astype(float))


@pytest.mark.parametrize(("prompts", "replicates"), [(8, 8), (12, 4), (20, 2), (64, 2), (64, 4)])
def test_intervals_of_several_pairs_a_prompt_cover_as_often_as_they_say(
    prompts: int, replicates: int
) -> None:
    rng, one_sided = np.random.default_rng(21), np.array([-1.644854])
    hits, passed = [], []
    for _ in range(1000):
        pairs = paired_by_prompt(rng, prompts, replicates)
        low, high, _ = intervals.paired_rate_interval(pairs)
        hits.append(low <= -0.1 <= high)
        passed.append(bool(intervals.paired_rate_bound(pairs, one_sided)[0] >= -0.1))

    # 0.95 and 0.05 are nominal; 0.0207 is 3 standard errors of 1000 runs.
    assert 0.93 <= share_covering(hits) <= 0.985
    assert share_covering(passed) <= 0.07


def of_few_prompts(
    rng: np.random.Generator, shape: tuple[int, int], hard: float, failing: float
) -> FloatArray:
    """1 where a clip fails: only prompts that are hard do, and they by a share of their clips."""
    return ((rng.random(shape) < failing) & (rng.random((shape[0], 1)) < hard)).astype(float)


@pytest.mark.parametrize(
    ("prompts", "lost", "gained"),
    [
        (20, (0.2, 0.5), (0, 0)),
        (64, (0.08, 0.5), (0, 0)),
        (128, (0.05, 0.4), (0, 0)),
        (20, (0.1, 0.9), (0.1, 0.5)),
        (32, (0.05, 0.9), (0.05, 0.5)),
    ],
)
def test_failures_of_few_prompts_are_not_taken_as_independent(
    prompts: int, lost: tuple[float, float], gained: tuple[float, float]
) -> None:
    rng, truth = np.random.default_rng(23), math.prod(gained) - math.prod(lost)
    hits, passed = [], []
    for _ in range(1000):
        arms = (of_few_prompts(rng, (prompts, 4), *rates) for rates in (gained, lost))
        pairs = next(arms) - next(arms)
        low, high, _ = intervals.paired_rate_interval(pairs)
        hits.append(low <= truth <= high)
        passed.append(bool((intervals.paired_rate_draws(pairs, count=200) >= truth).mean() >= 0.95))

    # 0.93 and 0.05 are promised; 0.0242 and 0.0207 are 3 standard errors of 1000 runs.
    assert share_covering(hits) >= 0.93 - 0.0242
    assert share_covering(passed) <= 0.05 + 0.0207


def test_pairs_that_agree_within_a_prompt_count_as_one_pair() -> None:
    once = np.array([1.0] * 9 + [-1.0] * 3 + [0.0] * 38)

    twice = np.stack([once, once], axis=1)

    assert intervals.effective_pairs(twice) == 50
    assert intervals.paired_rate_interval(twice) == intervals.paired_rate_interval(once)


def test_pairs_that_know_nothing_of_their_prompt_count_each() -> None:
    # Both halves of each prompt cancel: what is seen between prompts is less than chance alone.
    pairs = np.array([[1.0, -1.0]] * 10 + [[0.0, 0.0]] * 10 + [[1.0, 0.0]])

    assert intervals.effective_pairs(pairs) == 42


def test_prompts_of_unlike_size_are_worth_less_than_their_pairs() -> None:
    # Every prompt weighs alike: ten of two pairs, eleven of one, as 21**2 / (10 / 2 + 11) pairs.
    pairs = np.array([[1.0, -1.0]] * 10 + [[0.0, np.nan]] * 10 + [[1.0, np.nan]])

    assert intervals.effective_pairs(pairs) == pytest.approx(441 / 16)


def test_a_pair_that_is_missing_is_none() -> None:
    pairs = np.array([[1.0, np.nan], [-1.0, np.nan], [0.0, np.nan], [np.nan, np.nan]])

    assert intervals.effective_pairs(pairs) == 3
    expected = intervals.paired_rate_interval(np.array([1.0, -1.0, 0.0]))
    assert intervals.paired_rate_interval(pairs) == expected


def test_quantiles_of_paired_rate_draws_are_tangos_interval() -> None:
    differences = np.array([1.0] * 9 + [-1.0] * 3 + [0.0] * 38)

    draws = intervals.paired_rate_draws(differences, count=20_000)

    expected = intervals.paired_rate_interval(differences)[:2]
    assert np.quantile(draws, [0.025, 0.975]) == pytest.approx(expected, abs=1e-3)


def share_passing(n: int, gains: float, losses: float, *, by_tango: bool = False) -> float:
    """How often, by formula, at least 95 % of draws reach what is exactly true."""
    line, found = gains - losses, 0.0
    for gained in range(n + 1):
        for lost in range(n - gained + 1):
            chance = stats.multinomial.pmf(
                [gained, lost, n - gained - lost], n, [gains, losses, 1 - gains - losses]
            )
            if chance > 1e-9:
                pairs = np.repeat([1.0, -1.0, 0.0], [gained, lost, n - gained - lost])
                if by_tango:
                    low = intervals.paired_rate_bound(pairs, np.array([-1.6448536]))[0]
                    found += chance * (low >= line)
                else:
                    found += chance * ((intervals.paired_rate_draws(pairs) >= line).mean() >= 0.95)
    return found


@pytest.mark.parametrize(
    ("n", "gains", "losses"), [(128, 6 / 256, 0.0), (112, 0.0, 9 / 224), (48, 0.1, 0.005)]
)
def test_where_few_pairs_differ_a_share_at_its_minimum_passes_in_five_percent(
    n: int, gains: float, losses: float
) -> None:
    assert share_passing(n, gains, losses, by_tango=True) > 0.055
    assert share_passing(n, gains, losses) <= 0.05


def test_draws_within_the_interval_lie_half_a_pair_farther_out() -> None:
    gained, lost, n = 19, 13, 100
    pairs = np.array([1.0] * gained + [-1.0] * lost + [0.0] * (n - gained - lost))

    draws = intervals.paired_rate_draws(pairs, count=20_000)
    bound = float(np.quantile(draws, 0.05))

    p_gained, p_lost = constrained_rates(gained, lost, n, bound)
    variance = n * (p_gained + p_lost - bound**2)
    score = (gained - lost - 0.5 - n * bound) / math.sqrt(variance)
    assert score == pytest.approx(1.644854, abs=2e-3)
    # The middle stays where it is: a target is reached as often as before.
    assert np.median(draws) == pytest.approx((gained - lost) / n, abs=1e-3)
    assert (np.diff(draws) >= 0).all()


# --- means ---------------------------------------------------------------------------------------


def test_bootstrap_interval_of_normal_data_is_close_to_students() -> None:
    values = np.random.default_rng(1).normal(5, 2, size=60)
    low, high = t_bounds(values)

    assert mean_interval(values, seed=1) == pytest.approx((low, high), abs=0.1 * (high - low))


@pytest.mark.parametrize("n", [20, 64])
def test_bootstrap_interval_covers_the_mean_of_normal_data(n: int) -> None:
    rng = np.random.default_rng(2)
    bounds = [mean_interval(rng.normal(size=n), seed=s) for s in range(300)]

    assert 0.92 <= share_covering([low <= 0 <= high for low, high in bounds]) <= 0.985


def test_interval_of_skewed_values_covers_where_students_is_too_short() -> None:
    rng = np.random.default_rng(3)
    samples = [rng.lognormal(size=64) for _ in range(1000)]  # of mean exp(1/2)
    ours = [mean_interval(values, seed=7) for values in samples]

    def covering(bounds: list[tuple[float, float]]) -> float:
        return share_covering([low <= math.exp(0.5) <= high for low, high in bounds])

    # 0.93 is promised; 0.0207 is 3 standard errors of 1000 runs.
    assert covering(ours) >= 0.93
    assert covering([t_bounds(values) for values in samples]) < 0.93 - 0.0207 / 3


def test_interval_of_heavy_tails_covers_where_a_bootstrap_is_too_short() -> None:
    rng = np.random.default_rng(4)
    samples = rng.lognormal(size=(1000, 64)) - rng.lognormal(size=(1000, 64))
    ours = [mean_interval(values, seed=7) for values in samples]
    sums = intervals.resampled_sums(samples.T, seed=7).T / 64
    booted = [
        intervals.ends(intervals.bca_draws(v.mean(), row, (v.sum() - v) / 63)[0])
        for v, row in zip(samples, sums, strict=True)
    ]

    def covering(bounds: list[tuple[float, float]]) -> float:
        return share_covering([low <= 0 <= high for low, high in bounds])

    assert 0.93 <= covering(ours) <= 0.97
    assert covering(booted) < 0.92


def test_draws_of_an_outlier_among_equals_stay_within_reach() -> None:
    values = np.array([0.0] * 19 + [1.0])

    low, high = mean_interval(values, seed=5)

    # No end lies farther out than the farther of t's and the most that five resamples show.
    assert low == pytest.approx(t_bounds(values)[0], rel=0.01)
    assert t_bounds(values)[1] <= high < 0.3


def test_t_interval_equals_scipys() -> None:
    values = np.random.default_rng(4).normal(size=6)

    low, high, _ = intervals.t_interval(float(values.mean()), float(stats.sem(values)), 5)

    assert (low, high) == pytest.approx(t_bounds(values))


def test_share_of_t_draws_beyond_a_line_is_the_tail_of_t() -> None:
    draws = intervals.t_draws(1.0, 0.5, 7, 2000)

    assert (draws >= 0).mean() == pytest.approx(stats.t.sf(-2, 7), abs=1 / 2000)


def test_bca_of_many_clusters_equals_scipys() -> None:
    # Of 4,000 clusters t is the normal and n - 1 is n: what is left is BCa alone.
    values = np.random.default_rng(5).exponential(size=4000)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, batch=100, rng=np.random.default_rng(6)
    ).confidence_interval
    draws = intervals.resampled_sums(values[:, None], seed=7, count=4000)[:, 0] / 4000

    booted, name = intervals.bca_draws(values.mean(), draws, (values.sum() - values) / 3999)

    assert name == "BCa"
    spread = expected.high - expected.low
    assert intervals.ends(booted) == pytest.approx((expected.low, expected.high), abs=0.05 * spread)


@pytest.mark.parametrize("value", [0.96, 1.0, 1.04])
def test_bca_levels_are_efrons_at_expanded_quantiles(value: float) -> None:
    jackknife = np.random.default_rng(8).exponential(size=20)
    draws = np.random.default_rng(9).normal(1.0, 0.1, size=2000)
    bias = stats.norm.ppf((draws < value).mean())
    acceleration = stats.skew(jackknife.mean() - jackknife) / (6 * math.sqrt(20))
    z = bias + math.sqrt(20 / 19) * stats.t.ppf([0.2, 0.8], 19)
    levels = stats.norm.cdf(bias + z / (1 - acceleration * z))

    booted, _ = intervals.bca_draws(value, draws, jackknife)

    expected = np.quantile(draws, levels)
    assert np.quantile(booted, [0.2, 0.8]) == pytest.approx(expected, abs=1e-3)


def test_bca_falls_back_to_percentiles_when_all_draws_lie_on_one_side() -> None:
    draws = np.linspace(1, 2, 2000)
    level = stats.norm.cdf(math.sqrt(20 / 19) * stats.t.ppf(0.025, 19))

    booted, name = intervals.bca_draws(0.0, draws, np.arange(20.0))

    assert name == "percentile"
    assert intervals.ends(booted) == pytest.approx((1 + level, 2 - level), abs=1e-3)


def test_no_corrected_quantile_rests_on_fewer_than_five_draws() -> None:
    draws = np.linspace(0, 1, 2000)
    skewed = np.array([0.0] * 19 + [-100.0])

    booted, _ = intervals.bca_draws(0.9, draws, skewed)

    assert booted.max() == pytest.approx(1 - 5 / 1999)


def test_resampled_sums_are_the_same_in_any_chunking(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.random.default_rng(8).normal(size=(30, 3))
    whole = intervals.resampled_sums(columns, seed=9)
    monkeypatch.setattr(intervals, "CHUNK_ELEMENTS", 100)

    assert np.array_equal(intervals.resampled_sums(columns, seed=9), whole)


def test_a_columns_draws_do_not_depend_on_the_columns_beside_it() -> None:
    columns = np.random.default_rng(10).normal(size=(30, 5))

    alone = intervals.resampled_sums(columns[:, 3:4], seed=1)[:, 0]

    assert np.allclose(alone, intervals.resampled_sums(columns, seed=1)[:, 3], rtol=1e-13)


# --- medians -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [6, 9, 20, 72])
def test_order_statistics_hold_the_median_at_least_as_often_as_they_say(n: int) -> None:
    interval = intervals.median_interval(np.arange(1.0, n + 1))
    if interval is None:
        raise AssertionError("an interval was due")
    rank = int(interval.low)
    coverage = 1 - 2 * stats.binom.cdf(rank - 1, n, 0.5)
    narrower = 1 - 2 * stats.binom.cdf(rank, n, 0.5)

    assert interval.high == n + 1 - rank
    assert coverage >= 0.95 > narrower


def test_five_samples_have_no_two_sided_interval() -> None:
    assert intervals.median_interval(np.arange(5.0)) is None


@pytest.mark.parametrize("n", [6, 7, 20, 41])
def test_quantiles_of_median_draws_are_the_ends_of_the_median_interval(n: int) -> None:
    samples = np.random.default_rng(n).lognormal(size=n)
    interval = intervals.median_interval(samples)
    assert interval is not None

    draws = intervals.median_draws(samples)

    assert np.quantile(draws, [0.025, 0.975]).tolist() == list(interval[:2])


def test_seven_rounds_hold_the_median_where_a_bootstrap_of_them_does_not() -> None:
    samples = np.random.default_rng(13).lognormal(size=(1000, 7))  # of median 1

    ordered = np.mean([_holds_one(intervals.median_draws(row)) for row in samples])
    booted = np.mean(
        [
            _holds_one(intervals.resampled_medians(row[:, None], seed=0, count=200)[:, 0])
            for row in samples
        ]
    )

    assert ordered >= 0.95
    assert booted < 0.92


def _holds_one(draws: intervals.FloatArray) -> bool:
    low, high = np.quantile(draws, [0.025, 0.975])
    return bool(low <= 1.0 <= high)


def test_medians_of_arms_are_resampled_together() -> None:
    rounds = np.random.default_rng(12).lognormal(size=(15, 1))

    medians = intervals.resampled_medians(np.hstack([rounds, 2 * rounds]), seed=0)

    assert np.allclose(medians[:, 1], 2 * medians[:, 0])


# --- from an interval alone ----------------------------------------------------------------------


def test_draws_from_an_interval_have_that_interval() -> None:
    draws = intervals.interval_draws(1.0, 0.5, 2.5, level=0.95, count=100_000)

    assert np.quantile(draws, [0.025, 0.5, 0.975]) == pytest.approx([0.5, 1.0, 2.5], abs=1e-3)


def test_a_level_that_is_a_percentage_is_refused() -> None:
    with pytest.raises(ValueError, match=r"95 % is 0\.95"):
        intervals.tail(95)


# --- trimmed means -------------------------------------------------------------------------------


def test_the_difference_of_trimmed_means_is_yuens() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=17), rng.normal(0.3, 2, size=12)
    found = trimmed_mean(one).minus(trimmed_mean(other))
    expected = stats.ttest_ind(one, other, equal_var=False, alternative="greater", trim=0.2)

    assert found.p_above() == pytest.approx(expected.pvalue)


def test_untrimmed_it_is_students_t() -> None:
    samples = np.random.default_rng(4).normal(0.2, 1, size=9)
    found = trimmed_mean(samples, share=0.0)
    expected = stats.ttest_1samp(samples, 0.0, alternative="greater")

    assert found.p_above() == pytest.approx(expected.pvalue)
    low, high = found.interval()
    assert (low, high) == pytest.approx(
        stats.t.interval(0.95, 8, samples.mean(), stats.sem(samples))
    )


def test_samples_without_spread_are_certain() -> None:
    assert trimmed_mean(np.full(6, 0.25)).p_above() == 0
    assert trimmed_mean(np.full(6, -0.25)).p_above() == 1
    assert trimmed_mean(np.full(6, 0.0)).p_above() == 1
