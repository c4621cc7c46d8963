"""Intervals of votes that share raters and prompts: the pigeonhole bootstrap. Pure.

Votes of one rater are alike, and so are votes on one prompt. To resample single votes would take
them for independent; to resample raters alone would take the prompts for given.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from poc.intervals import LEVEL, RESAMPLES, FloatArray, Interval, tail, wilson

SEED = 20070
"""Of the resampling, the same for every analysis: the same votes give the same interval."""

FEWEST_RATERS = 5
FEWEST_PROMPTS = 15
"""Below either, numbers are shown and called insufficient: few clusters bootstrap too narrowly."""

LEAST_LIKENESS = 0.1
"""Intra-class correlation that votes of one rater, and votes on one prompt, have at the least.

An assumption: a few dissenting votes cannot estimate it, and an interval that took it from them
would grow narrower with the first loss. With it, simulated panels of 5 to 12 raters whose own
leanings are as large as 1.5 times the noise of a vote cover at least 95 %; without it, 71 %.
"""

WANTED_HALF_WIDTH = 0.10
"""Half-width of an interval of a share that a decision can use: 10 points."""


def pigeonhole_draws(
    raters: npt.NDArray[np.intp],
    prompts: npt.NDArray[np.intp],
    values: FloatArray,
    *,
    seed: int = SEED,
    count: int = RESAMPLES,
) -> FloatArray:
    """Return resampled means of `values` (one per vote); `raters` and `prompts` number them.

    Raters and prompts are drawn with replacement, each on its own; a vote counts as often as its
    rater was drawn times its prompt. Errs on the wide side, by up to three times the variance of
    what is neither the rater's nor the prompt's (Owen 2007, The pigeonhole bootstrap, AOAS 1(2)).
    Draws that hold no vote at all, which a sparse design can give, are left out.
    """
    rng = np.random.default_rng(seed)
    n_raters, n_prompts = int(raters.max()) + 1, int(prompts.max()) + 1
    sums, votes = np.zeros((n_raters, n_prompts)), np.zeros((n_raters, n_prompts))
    np.add.at(sums, (raters, prompts), values)
    np.add.at(votes, (raters, prompts), 1.0)
    by_rater = rng.multinomial(n_raters, np.full(n_raters, 1 / n_raters), count).astype(np.float64)
    by_prompt = rng.multinomial(n_prompts, np.full(n_prompts, 1 / n_prompts), count)
    # No BLAS: its order of summation, and so the last bit, depends on the number of threads.
    total = np.einsum("bp,bp->b", np.einsum("br,rp->bp", by_rater, votes), by_prompt)
    summed = np.einsum("bp,bp->b", np.einsum("br,rp->bp", by_rater, sums), by_prompt)
    drawn: FloatArray = summed[total > 0] / total[total > 0]
    return drawn


def share_interval(
    raters: npt.NDArray[np.intp],
    prompts: npt.NDArray[np.intp],
    values: FloatArray,
    *,
    seed: int = SEED,
    level: float = LEVEL,
) -> Interval | None:
    """Return the interval of a share in 0..1 of votes; None below two raters or two prompts.

    The hull of the bootstrap and of Wilson's interval for the effective number of votes, which
    depends on who voted on what and never on the answers. So one more loss never raises a bound:
    each of the draws sinks or stays, and Wilson's for a fixed number sinks with the share. Where
    few dissent, or nobody, the bootstrap has little or nothing to resample and Wilson's decides.
    """
    if min(len(np.unique(raters)), len(np.unique(prompts))) < 2:
        return None
    floor = wilson(float(values.mean()), effective_votes(raters, prompts), level)
    draws = pigeonhole_draws(raters, prompts, values, seed=seed)
    low, high = np.quantile(draws, [1 - tail(level), tail(level)])
    return Interval(
        min(float(low), floor.low),
        max(float(high), floor.high),
        "pigeonhole bootstrap over raters and prompts, not below Wilson for effective votes",
    )


def effective_votes(raters: npt.NDArray[np.intp], prompts: npt.NDArray[np.intp]) -> float:
    """Return how many independent votes these are worth at `LEAST_LIKENESS`.

    Kish (1965), Survey Sampling: n / (1 + (m - 1) * likeness), m the size of a cluster, weighted by
    size where sizes differ; here with a term for raters and one for prompts.
    """
    surplus = sum(float((np.bincount(one) ** 2).sum()) / one.size - 1 for one in (raters, prompts))
    return raters.size / (1 + LEAST_LIKENESS * surplus)


def votes_needed(n_votes: int, half_width: float, wanted: float = WANTED_HALF_WIDTH) -> int:
    """Return how many more votes bring a half-width in 0..1 down to `wanted`, by the square law.

    It holds when the new votes come from new raters and new prompts in the same proportion: more
    votes of the same few raters gain less.

    >>> votes_needed(100, 0.2, 0.1), votes_needed(100, 0.05, 0.1)
    (300, 0)

    Raises:
        ValueError: `wanted` is not above 0.
    """
    if not wanted > 0:
        raise ValueError(f"wanted half-width must be above 0, got {wanted}; 10 points are 0.1")
    # Rounded first: 0.2 / 0.1 is not 2 in every last bit.
    return max(0, math.ceil(round(n_votes * (half_width / wanted) ** 2, 6)) - n_votes)
