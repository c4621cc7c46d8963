"""What a run can show before it is made: the changes it would find, and the prompts a wish needs.

Pure. A check names a change once it lies beyond its limit and is no chance (`poc.gate_verdicts`); a
decision goes once every must passes (`poc.verdicts`). How often that happens follows from the
spread of prompts' differences, which a pilot run shows. Normal approximations, but for shares of
clips that are lost from clips that otherwise stay as they are, which are exact; `make audit` plants
what is promised here and counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy import special

from poc.gate_verdicts import LOOKS
from poc.intervals import TRIMMED
from poc.records import Comparison, Criterion
from poc.verdicts import PASS_SHARE, slack

FOUND = 0.95
"""Share of checks that name the change that is promised."""

GOES = 0.80
"""Share of runs in which an arm as good as the baseline is to get GO."""

MOST_PROMPTS = 4096
"""Beyond it a number of prompts is called out of reach."""


def per_test(tests: int, families: int) -> float:
    """Return the p-value that the first of Holm's steps asks for, at a check's first look.

    >>> per_test(50, 2) == LOOKS[0] / 100
    True
    """
    return LOOKS[0] / (tests * families)


# --- what a check names --------------------------------------------------------------------------


def lost_share(n: int, limit: float, alpha: float) -> float:
    """Return the share of right clips whose loss is named, where no other clip changes.

    So many are lost in `FOUND` of checks that McNemar's exact test and the limit are both passed.
    Above 1 where that takes more clips than there are: no loss is named.

    >>> round(lost_share(224, 0.06, 0.004 / 54), 3)
    0.091
    """
    pairs = max(math.ceil(-math.log2(alpha)), math.floor(limit * n) + 1)
    if pairs > n:
        return pairs / n
    return float(special.betaincinv(pairs, n - pairs + 1, FOUND))


def named_change(spread: float, n: int, limit: float, alpha: float) -> float:
    """Return the change that is named; `spread` is the standard deviation of one pair of prompts.

    >>> named_change(0.0, 64, 0.03, 1e-4)
    0.03
    """
    error, sure = spread / math.sqrt(n), float(special.ndtri(FOUND))
    shown = float(special.stdtrit(max(n - 1, 1), 1 - alpha))
    return max(limit + sure * error, (shown + sure) * error)


def named_slowdown(spread: float, rounds: int, limit: float, alpha: float) -> float:
    """Return how much longer, as a share, is named by rounds in turns.

    `spread` is the standard deviation of the logarithm of one round's ratio. Trimming leaves fewer
    degrees of freedom and costs 4 % of precision.

    >>> named_slowdown(0.06 * 2**0.5, 36, 0.05, 0.002 / 6) < 0.10
    True
    """
    freedom = rounds - 2 * math.floor(TRIMMED * rounds) - 1
    error, sure = 1.02 * spread / math.sqrt(rounds), float(special.ndtri(FOUND))
    shown = float(special.stdtrit(freedom, 1 - alpha))
    return math.expm1(max(math.log1p(limit) + sure * error, (shown + sure) * error))


# --- what a decision shows -----------------------------------------------------------------------


def pass_chance(criterion: Criterion, spread: float, n: int) -> float:
    """Return how often a must passes on an arm that is truly as good as the baseline.

    `spread`: standard deviation of a prompt's difference to the baseline, or of its logarithm.
    """
    equal = np.array([1.0 if criterion.comparison is Comparison.RATIO else 0.0])
    room, error = slack(criterion, equal), spread / math.sqrt(n)
    if error == 0:
        return float(room.minimum[0] >= 0 and room.target[0] >= 0)
    sure = float(special.ndtri(PASS_SHARE))
    side = float(special.ndtr(min(room.minimum[0] / error - sure, room.target[0] / error)))
    return max(0.0, 2 * side - 1) if criterion.direction == "window" else side


def go_chance(asked: Iterable[tuple[Criterion, float]], n: int) -> float:
    """Return how often all musts pass, as if they were independent; of each its spread."""
    return math.prod(pass_chance(criterion, spread, n) for criterion, spread in asked)


def prompts_for(enough: Callable[[int], bool], step: int = 1) -> int | None:
    """Return the fewest prompts, in steps, from which on `enough` holds; None if out of reach.

    >>> prompts_for(lambda n: n >= 71, step=4)
    72
    """
    return next((n for n in range(step, MOST_PROMPTS + 1, step) if enough(n)), None)


def shown_preference(comparisons: int) -> float:
    """Return the share of votes for one side that is told from a half, in `GOES` of panels.

    At best: votes of one rater are alike, and ties show nothing.

    >>> round(shown_preference(150), 2)
    0.61
    """
    both = float(special.ndtri(0.975) + special.ndtri(GOES))
    return min(1.0, 0.5 + both * 0.5 / math.sqrt(comparisons))


# --- what a pilot shows --------------------------------------------------------------------------


def spread_of_pairs(own: np.ndarray, base: np.ndarray, *, ratio: bool) -> float | None:
    """Return the standard deviation of prompts' differences; of a ratio over the base's mean.

    `own`, `base`: one number a prompt. None below two prompts, or for a ratio to nothing.
    """
    both = np.isfinite(own) & np.isfinite(base)
    if both.sum() < 2 or (ratio and base[both].mean() <= 0):
        return None
    own, base = own[both], base[both]
    if not ratio:
        return float((own - base).std(ddof=1))
    return float((own - own.mean() / base.mean() * base).std(ddof=1) / base.mean())


def worst(spreads: Sequence[float | None]) -> float | None:
    """Return the widest spread that is known."""
    return max((one for one in spreads if one is not None), default=None)
