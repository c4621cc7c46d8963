"""Intervals of votes that share raters and prompts: the pigeonhole bootstrap. Pure.

Votes of one rater are alike, and so are votes on one prompt. To resample single votes would take
them for independent; to resample raters alone would take the prompts for given.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from poc.intervals import LEVEL, RESAMPLES, FloatArray, Interval, tail, wilson
from poc.vote_records import Share

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


def mean_interval(
    raters: npt.NDArray[np.intp],
    prompts: npt.NDArray[np.intp],
    values: FloatArray,
    *,
    seed: int = SEED,
    level: float = LEVEL,
) -> Interval | None:
    """Return the interval of a mean of what is never below 0, such as minutes; None as for shares.

    The hull of the bootstrap and of Student's t for the effective number of votes, which keeps a
    width where few clusters happen to agree. Not below 0.
    """
    if min(len(np.unique(raters)), len(np.unique(prompts))) < 2:
        return None
    worth = max(2.0, effective_votes(raters, prompts))
    reach = float(special.stdtrit(worth - 1, tail(level)) * values.std(ddof=1) / math.sqrt(worth))
    draws = pigeonhole_draws(raters, prompts, values, seed=seed)
    low, high = np.quantile(draws, [1 - tail(level), tail(level)])
    mean = float(values.mean())
    return Interval(
        max(0.0, min(float(low), mean - reach)),
        max(float(high), mean + reach),
        "pigeonhole bootstrap over raters and prompts, not below t for effective votes",
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


# --- votes by the names of their raters and prompts ----------------------------------------------


def numbered(names: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the place of each name among the sorted ones, whatever order the votes came in.

    >>> numbered(["sato", "ito", "sato"]).tolist()
    [1, 0, 1]
    """
    return np.unique(np.array(names), return_inverse=True)[1]


def share_of(raters: Sequence[str], prompts: Sequence[str], values: FloatArray) -> Share:
    """Return the share that votes worth 0 to 1 make, with its interval, or why it has none."""
    if not values.size:
        return Share(value=None, low=None, high=None, method="", reason="no votes yet")
    found = share_interval(numbered(raters), numbered(prompts), values)
    return Share(
        value=float(values.mean()),
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        method="" if found is None else found.method,
        reason="an interval needs two raters and two prompts" if found is None else "",
    )


def half_width_needed(n_votes: int, share: Share) -> int | None:
    """Return how many more votes a share needs, see `votes_needed`; None without an interval."""
    if share.low is None or share.high is None:
        return None
    return votes_needed(n_votes, (share.high - share.low) / 2)


def shortage(votes: Iterable[tuple[str, str]], unchecked: Collection[str]) -> str:
    """Return what is missing of votes by (rater, prompt): raters, prompts or, empty, nothing.

    Who is `unchecked`, having answered nothing damaged, may not have looked, and does not count.
    Their votes stay in the numbers: nothing is known against them either.
    """
    votes = list(votes)
    checked = [one for one in votes if one[0] not in unchecked]
    raters = max(0, FEWEST_RATERS - len({rater for rater, _ in checked}))
    prompts = max(0, FEWEST_PROMPTS - len({prompt for _, prompt in checked}))
    wanted = [f"{n} more {what}" for n, what in ((raters, "raters"), (prompts, "prompts")) if n]
    if not wanted:
        return ""
    least = f"at least {FEWEST_RATERS} raters and {FEWEST_PROMPTS} prompts"
    names = ", ".join(sorted({rater for rater, _ in votes} & set(unchecked)))
    apart = f"; not counted, no catch pair answered: {names}" if names else ""
    return f"needs {' and '.join(wanted)}: {least}{apart}"
