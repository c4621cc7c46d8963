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

    Never narrower than Wilson's for independent votes: sharing raters and prompts cannot tell
    more. Where all votes agree nothing is known of how raters and prompts differ, and Wilson's
    is taken for as many votes as there are raters or prompts, whichever are fewer.
    """
    n_raters, n_prompts = len(np.unique(raters)), len(np.unique(prompts))
    fewest = min(n_raters, n_prompts)
    if fewest < 2:
        return None
    share = float(values.mean())
    if float(np.ptp(values)) == 0.0:
        low, high, _ = wilson(share, fewest, level)
        return Interval(low, high, "Wilson, all votes agree")
    draws = pigeonhole_draws(raters, prompts, values, seed=seed)
    floor = wilson(share, len(values), level)
    low, high = np.quantile(draws, [1 - tail(level), tail(level)])
    return Interval(
        min(float(low), floor.low),
        max(float(high), floor.high),
        "pigeonhole bootstrap over raters and prompts",
    )


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
