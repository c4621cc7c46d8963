"""Intervals and draws from plain arrays: means of clusters, rates, medians, ratios.

Every function is pure and knows nothing of arms or runs. *Draws* are equally likely values of an
estimate whose quantiles are its interval: evenly spaced quantiles of the bootstrap or of t, the
farther of the two, where there are enough prompts, of the closed-form interval (t, Wilson, Tango)
where there are not, and of the order statistics of rounds for seconds. A share of draws beyond a
line therefore never says more than the interval beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

RESAMPLES = 2000
"""Bootstrap resamples of every interval; also the number of evenly spaced quantiles."""

LEVEL = 0.95
"""Two-sided confidence level of every interval."""

BOOTSTRAP_FROM = 15
"""Prompts from which the bootstrap is used; below it would under-cover."""

CHUNK_ELEMENTS = 2_000_000
"""Resampling indices held in memory at once (16 MB)."""

HALVINGS = 50
"""Steps of a bisection over a range of 2: the last one is below 2e-15."""

TINY = float(np.finfo(np.float64).tiny)


class Interval(NamedTuple):
    """A two-sided interval and how it was made."""

    low: float
    high: float
    method: str


def even_quantiles(count: int) -> FloatArray:
    """Return the `count` mid-points of equal slices of (0, 1).

    >>> even_quantiles(4).tolist()
    [0.125, 0.375, 0.625, 0.875]
    """
    return (np.arange(count) + 0.5) / count


def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile.

    >>> round(normal_quantile(0.975), 4)
    1.96
    """
    return float(special.ndtri(probability))


def tail(level: float) -> float:
    """Return the upper quantile level of a two-sided interval; raises unless 0 < level < 1.

    >>> tail(0.95)
    0.975
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}; 95 % is 0.95")
    return (1 + level) / 2


def ends(draws: FloatArray, level: float = LEVEL) -> tuple[float, float]:
    """Return the interval that draws have.

    >>> ends(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    low, high = np.quantile(draws, [1 - tail(level), tail(level)])
    return float(low), float(high)


# --- rates ---------------------------------------------------------------------------------------


def wilson_bound(share: float, n: float, z: FloatArray) -> FloatArray:
    """Return Wilson's score bounds of a share, one per normal quantile `z` (negative: lower).

    Wilson (1927); recommended for small n by Brown, Cai and DasGupta (2001). Always inside [0, 1]
    and never of zero width, not even when all or none succeed.
    """
    root = np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    bound = (share + z**2 / (2 * n) + z * root) / (1 + z**2 / n)
    return np.clip(bound, 0.0, 1.0)


def wilson(share: float, n: float, level: float = LEVEL) -> Interval:
    """Return Wilson's score interval of a share in 0..1 out of `n` trials (may be fractional).

    >>> low, high, _ = wilson(0.5, 10)
    >>> round(low, 4), round(high, 4)
    (0.2366, 0.7634)
    """
    z = normal_quantile(tail(level))
    low, high = wilson_bound(share, n, np.array([-z, z]))
    return Interval(float(low), float(high), "Wilson")


def effective_n(prompt_means: FloatArray, n_clips: int) -> float:
    """Return how many independent clips a rate's clustered clips are worth.

    Between the number of prompts (clips of a prompt agree wholly) and the number of clips (they
    are independent): the binomial variance over the variance seen between prompts (Kish's design
    effect). When all clips agree nothing is known of the variance: the number of prompts.
    """
    n_prompts = len(prompt_means)
    share = float(prompt_means.mean())
    variance = float(prompt_means.var(ddof=1)) / n_prompts if n_prompts > 1 else 0.0
    if variance == 0.0 or n_clips == n_prompts:
        return float(n_prompts)
    return min(max(share * (1 - share) / variance, float(n_prompts)), float(n_clips))


def wilson_draws(share: float, n: float, count: int = RESAMPLES) -> FloatArray:
    """Return evenly spaced quantiles of the confidence distribution behind Wilson's interval."""
    return wilson_bound(share, n, special.ndtri(even_quantiles(count)))


def paired_rate_bound(differences: FloatArray, z: FloatArray) -> FloatArray:
    """Return Tango's score bounds of a paired difference of rates, one per normal quantile `z`.

    Tango (1998), made for non-inferiority; inside [-1, 1], and it keeps a width when all pairs
    agree (0 of 64 discordant: +-0.057, where a bootstrap says +-0). `differences`: one per prompt,
    -1, 0 or 1; or prompts x replicates of them, nan where a pair is missing, which count as
    `effective_pairs`. Means of several pairs in one cell err on the wide side.
    """
    return _tango(_tally(differences), z)


class _Pairs(NamedTuple):
    """All that Tango's score knows of pairs of clips, which may be fractions of pairs."""

    gained: float
    lost: float
    n: float


def _tally(differences: FloatArray) -> _Pairs:
    grid = differences.reshape(len(differences), -1)
    gained, lost = _prompt_mean(np.maximum(grid, 0)), _prompt_mean(np.maximum(-grid, 0))
    share = effective_pairs(differences) / len(gained)
    return _Pairs(float(gained.sum()) * share, float(lost.sum()) * share, len(gained) * share)


def _prompt_mean(grid: FloatArray) -> FloatArray:
    """Return the means of the rows that have a value, over those they have."""
    found = ~np.isnan(grid)
    kept = found.any(axis=1)
    means: FloatArray = np.where(found, grid, 0.0).sum(axis=1)[kept] / found.sum(axis=1)[kept]
    return means


def effective_pairs(differences: FloatArray) -> float:
    """Return how many independent pairs of clips those of clustered prompts are worth.

    As `effective_n`, of paired differences of -1, 0 and 1, prompts x replicates, nan where a pair
    is missing: the variance of independent pairs over the variance seen between prompts, from the
    number of prompts to that of pairs (less where prompts have unlike numbers of them, since every
    prompt weighs alike). Where prompts all agree, the number of prompts. The variance of few
    prompts is itself uncertain, which Tango's normal quantiles do not know: it is taken larger by
    the square of t's quantile over the normal one.

    Where few pairs differ this errs on the wide side. To count them as independent there, at one
    end of the interval or at both, covers better where failures are spread over prompts, and
    passes an arm that is exactly at its minimum in up to 17 % of runs where few prompts fail
    (`make audit`, "hard-prompts").

    >>> round(effective_pairs(np.tile([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]], (4, 1))), 1)
    25.4
    """
    grid = differences.reshape(len(differences), -1)
    means, each = _prompt_mean(grid), (~np.isnan(grid)).sum(axis=1)
    n_prompts = len(means)
    seen = float(means.var(ddof=1)) / n_prompts if n_prompts > 1 else 0.0
    if seen == 0.0 or each.sum() == n_prompts:
        return float(n_prompts)
    most = n_prompts**2 / float((1 / each[each > 0]).sum())
    independent = float(_prompt_mean(grid**2).mean()) - float(means.mean()) ** 2
    upper = tail(LEVEL)
    wider = float(special.stdtrit(n_prompts - 1, upper)) / normal_quantile(upper)
    return min(max(independent / (seen * wider**2), float(n_prompts)), most)


def _tango(pairs: _Pairs, z: FloatArray, farther: FloatArray | float = 0.0) -> FloatArray:
    """Return Tango's bounds; `farther`: pairs by which each is taken as more, or less, gained."""
    low, high = np.full(z.shape, -1.0), np.full(z.shape, 1.0)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_below = _paired_score(pairs, middle, farther) > -z
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return np.asarray((low + high) / 2)


def _paired_score(pairs: _Pairs, difference: FloatArray, farther: FloatArray | float) -> FloatArray:
    """Return Tango's statistic, which falls with the difference that is put to the test."""
    gained, lost, n = pairs
    b = (2 * n - gained + lost) * difference - gained - lost
    c = lost * difference * (1 - difference)
    p_lost = (np.sqrt(np.maximum(b**2 + 8 * n * c, 0)) - b) / (4 * n)
    variance = n * (2 * p_lost + difference * (1 - difference))
    # At differences of -1 and 1 nothing varies: the sign alone counts.
    above = gained - lost + farther - n * difference
    return np.asarray(above / np.sqrt(np.maximum(variance, TINY)))


def paired_rate_interval(differences: FloatArray, level: float = LEVEL) -> Interval:
    """Return Tango's interval of a mean of paired 0/1 differences.

    >>> low, high, _ = paired_rate_interval(np.zeros(64))
    >>> round(low, 3), round(high, 3)
    (-0.057, 0.057)
    """
    low, high = _tango_ends(_tally(differences), level)
    return Interval(low, high, "paired rates over prompts, Tango's score")


@lru_cache(maxsize=1024)
def _tango_ends(pairs: _Pairs, level: float) -> tuple[float, float]:
    z = normal_quantile(tail(level))
    low, high = _tango(pairs, np.array([-z, z]))
    return float(low), float(high)


def paired_rate_draws(differences: FloatArray, count: int = RESAMPLES) -> FloatArray:
    """Return evenly spaced quantiles of the distribution of `paired_rate_interval`, read-only.

    Pairs come whole: where few differ, the 95 % that a pass asks for are reached by up to 8 % of
    runs whose true difference is the line. Within the interval draws therefore lie farther out, by
    half a pair (the continuity correction) from where a pass is decided on and by less towards the
    middle, but never beyond the interval's ends.
    """
    return _tango_draws(_tally(differences), count)


@lru_cache(maxsize=1024)  # 16 MB: whoever resamples often meets the same few counts again
def _tango_draws(pairs: _Pairs, count: int) -> FloatArray:
    z = special.ndtri(even_quantiles(count))
    inside = np.abs(z) < normal_quantile(tail(LEVEL))
    half = np.clip(z / normal_quantile(LEVEL), -1, 1) / 2
    draws = _tango(pairs, z, np.where(inside, half, 0.0))
    draws[inside] = np.clip(draws[inside], *_tango_ends(pairs, LEVEL))
    draws.flags.writeable = False
    return draws


# --- means and ratios of clustered values --------------------------------------------------------


def t_draws(value: float, standard_error: float, freedom: int, count: int) -> FloatArray:
    """Return evenly spaced quantiles of Student's t about `value`."""
    return value + standard_error * _t_quantiles(freedom, count)


@lru_cache(maxsize=64)
def _t_quantiles(freedom: int, count: int) -> FloatArray:
    quantiles: FloatArray = special.stdtrit(freedom, even_quantiles(count))
    quantiles.flags.writeable = False
    return quantiles


def t_interval(
    value: float,
    standard_error: float,
    freedom: int,
    level: float = LEVEL,
    *,
    cluster: str = "prompt",
) -> Interval:
    """Return Student's interval; `freedom` is the number of clusters less one."""
    half = standard_error * float(special.stdtrit(freedom, tail(level)))
    return Interval(value - half, value + half, f"t on per-{cluster} values")


def resampled_sums(columns: FloatArray, *, seed: int, count: int = RESAMPLES) -> FloatArray:
    """Return `count` x k sums of n x k `columns` over rows drawn n times with replacement.

    The same rows are drawn for every column, so whatever is computed from them stays paired, and
    for every call with the same seed and n. No BLAS: its order of summation, and so the last bit,
    depends on the number of threads.
    """
    n = len(columns)
    weights = [_weights(seed, n, count)] if n * count <= CHUNK_ELEMENTS else _chunks(seed, n, count)
    return np.concatenate([np.einsum("bn,nk->bk", part, columns) for part in weights])


@lru_cache(maxsize=2)  # 32 MB at most: every metric of a run is resampled alike
def _weights(seed: int, n: int, count: int) -> FloatArray:
    (weights,) = _chunks(seed, n, count)
    weights.flags.writeable = False
    return weights


def _chunks(seed: int, n: int, count: int) -> Iterator[FloatArray]:
    """Yield how often each of n rows is drawn, in so many resamples at once as memory allows."""
    generator = np.random.default_rng(seed)
    rows_at_once = max(1, CHUNK_ELEMENTS // n)
    for start in range(0, count, rows_at_once):
        rows = min(rows_at_once, count - start)
        drawn = generator.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        yield weights.astype(np.float64)


def bca_draws(value: float, draws: FloatArray, jackknife: FloatArray) -> tuple[FloatArray, str]:
    """Return evenly spaced quantiles of a bootstrap, corrected, and what they are called.

    Bias-corrected and accelerated (Efron 1987): each quantile is that of the `draws` at a corrected
    level. Levels are those of t and not of the normal, since clusters may be few, with the variance
    that the bootstrap divides by n and not by n - 1 (the "expanded" levels of Hesterberg 2015,
    section 3.4). `jackknife` holds the estimate with each cluster left out. Where no correction can
    be computed the levels are left as they are: percentiles. None lies beyond the fifth draw from
    either end, where it would rest on a handful of resamples.
    """
    n = len(jackknife)
    z = math.sqrt(n / (n - 1)) * _t_quantiles(n - 1, RESAMPLES)
    corrected = _bca_levels(value, draws, jackknife, z)
    levels, last = special.ndtr(z) if corrected is None else corrected, len(draws) - 1
    # As `np.quantile` does it, forty times as fast.
    places = np.clip(levels * last, 5, last - 5)
    quantiles = np.interp(places, np.arange(last + 1), np.sort(draws))
    return quantiles, "percentile" if corrected is None else "BCa"


def _bca_levels(
    value: float, draws: FloatArray, jackknife: FloatArray, z: FloatArray
) -> FloatArray | None:
    below = float((draws < value).mean() + (draws == value).mean() / 2)
    deviation = jackknife.mean() - jackknife
    scale = float((deviation**2).sum()) ** 1.5
    if not 0 < below < 1 or scale == 0.0:
        return None
    bias = normal_quantile(below)
    acceleration = float((deviation**3).sum()) / (6 * scale)
    # Where it falls to 0 the level is that of an infinite quantile, and stays there.
    denominator = np.maximum(1 - acceleration * (bias + z), 1e-9)
    levels: FloatArray = special.ndtr(bias + (bias + z) / denominator)
    return levels


def farther(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the outer of two sets of evenly spaced quantiles, one by one.

    Of two intervals that err on different sides the wider end is kept. Student's t is too short on
    the long side of skewed values; BCa follows those, and is too short where tails are heavy.

    >>> farther(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 2.5, 2.5, 5.0])).tolist()
    [0.0, 2.0, 3.0, 5.0]
    """
    lower = even_quantiles(len(one)) < 1 / 2
    return np.where(lower, np.minimum(one, other), np.maximum(one, other))


# --- medians -------------------------------------------------------------------------------------


def median_interval(samples: FloatArray, level: float = LEVEL) -> Interval | None:
    """Return the distribution-free interval of the median between two order statistics.

    None when there are too few samples: 95 % two-sided needs 6 (the chance that all of n lie on
    one side of the median is 2 ** (1 - n)).

    >>> median_interval(np.array([5.0, 1.0, 2.0, 3.0, 4.0])) is None
    True
    >>> median_interval(np.array([6.0, 5.0, 1.0, 2.0, 3.0, 4.0]))[:2]
    (1.0, 6.0)
    """
    ordered = np.sort(samples)
    n = len(ordered)
    outside = special.bdtr(np.arange(n // 2), n, 0.5)
    rank = int((outside <= 1 - tail(level)).sum())
    if rank == 0:
        return None
    method = f"order statistics {rank} and {n - rank + 1} of {n}"
    return Interval(float(ordered[rank - 1]), float(ordered[n - rank]), method)


def median_draws(samples: FloatArray, count: int = RESAMPLES) -> FloatArray:
    """Return evenly spaced quantiles of the distribution behind `median_interval`.

    The median lies between the k-th and the next of n ordered samples with chance C(n, k) / 2^n.
    Where in that gap is not known, so each quantile is taken at the gap's outer end; a quantile
    beyond all samples, where nothing bounds it, at the outermost one.

    >>> median_draws(np.array([3.0, 1.0, 2.0]), count=8).tolist()
    [1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0]
    """
    ordered = np.sort(samples)
    n = len(ordered)
    quantiles = even_quantiles(count)
    gap = np.searchsorted(special.bdtr(np.arange(n), n, 0.5), quantiles)
    outer = np.where(quantiles < 1 / 2, gap - 1, gap)
    draws: FloatArray = ordered[np.clip(outer, 0, n - 1)]
    return draws


def resampled_medians(columns: FloatArray, *, seed: int, count: int = RESAMPLES) -> FloatArray:
    """Return `count` x k medians of n x k `columns` over rows drawn with replacement, paired."""
    n, k = columns.shape
    generator = np.random.default_rng(seed)
    rows_at_once = max(1, CHUNK_ELEMENTS // (n * k))
    parts = []
    for start in range(0, count, rows_at_once):
        drawn = generator.integers(0, n, size=(min(rows_at_once, count - start), n))
        parts.append(np.median(columns[drawn], axis=1))
    return np.concatenate(parts)


# --- trimmed means -------------------------------------------------------------------------------


class Location(NamedTuple):
    """An estimate with its standard error and the degrees of freedom of its t."""

    value: float
    standard_error: float
    freedom: float

    def minus(self, other: Location) -> Location:
        """Return the difference to an independent estimate, by Welch's degrees of freedom."""
        own, rest = self.standard_error**2, other.standard_error**2
        freedom = min(self.freedom, other.freedom)
        if own + rest > 0:
            freedom = (own + rest) ** 2 / (own**2 / self.freedom + rest**2 / other.freedom)
        return Location(self.value - other.value, math.sqrt(own + rest), freedom)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the two-sided interval."""
        half = self.standard_error * float(special.stdtrit(self.freedom, tail(level)))
        return self.value - half, self.value + half

    def p_above(self) -> float:
        """Return the one-sided p-value of "not above 0"; without any spread it is 0 or 1."""
        if self.standard_error == 0:
            return 0.0 if self.value > 0 else 1.0
        return float(special.stdtr(self.freedom, -self.value / self.standard_error))


TRIMMED = 0.2
"""Share of samples left out at either end: a few slow moments of a machine then do not count."""


def trimmed_mean(samples: FloatArray, share: float = TRIMMED) -> Location:
    """Return the trimmed mean of two samples or more (Tukey and McLaughlin 1963).

    The standard error comes from the winsorized variance. Where samples are normal it needs 4 %
    more of them than the mean does, a median 57 % more; where some are wild it needs fewer.

    >>> trimmed_mean(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).value
    3.0
    """
    ordered = np.sort(samples)
    n, cut = len(ordered), math.floor(share * len(ordered))
    left = n - 2 * cut
    kept = ordered[cut : n - cut]
    variance = float(np.clip(ordered, kept[0], kept[-1]).var(ddof=1)) * (n - 1) / (left - 1)
    return Location(float(kept.mean()), math.sqrt(variance / left), left - 1)


# --- from an interval alone ----------------------------------------------------------------------


def interval_draws(
    value: float, low: float, high: float, *, level: float, count: int = RESAMPLES
) -> FloatArray:
    """Return evenly spaced quantiles of a normal split at `value` that has this interval.

    For estimates that come with an interval and no resamples. Where the value lies outside its own
    interval (sub-sampling can do that) the interval's middle takes its place.
    """
    centre = value if low <= value <= high else (low + high) / 2
    z = special.ndtri(even_quantiles(count)) / normal_quantile(tail(level))
    draws: FloatArray = centre + np.where(z > 0, z * (high - centre), z * (centre - low))
    return draws
