"""What is known of a proof of concept before any clip is made: sizes, what they can show, votes.

Pure. Documents put it into words; the numbers of a plan that nobody has measured stay marked as
such.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scipy.stats import norm

from poc import foresight
from poc.cost import evaluate
from poc.cost_file import CostInputs
from poc.cost_records import CostResult
from poc.panel import CATCH_SHARE, REPEAT_SHARE, USUAL_COMPARISONS
from poc.plan import PlanSummary, summary
from poc.preflight import LicenceRow
from poc.records import Plan, digest

LEVEL: Final = 0.95
POWER: Final = 0.80
DISCORDANT: Final = (0.2, 0.4)
"""Assumed shares of prompts on which two arms differ in a yes-or-no metric."""
PREFERENCES: Final = (0.55, 0.60, 0.65, 0.70)
"""True shares of votes for an arm, ties apart, for which votes are counted."""
RATERS: Final = foresight.RATERS
ANSWER_S: Final = 15.0
"""Seconds that a rater is assumed to think and answer; nobody has timed it."""


@dataclass(frozen=True, slots=True)
class Brief:
    """A plan with all that follows from it before it runs."""

    plan: Plan
    summary: PlanSummary
    licences: tuple[LicenceRow, ...]
    prompts_digest: str
    share_half_width: float
    """Half of the 95 % interval of a share of one half."""
    share_differences: tuple[tuple[float, float | None], ...]
    """(share of prompts on which two arms differ, least difference that shows; None: none)."""
    mean_difference: float
    """Least difference of means that shows, in standard deviations of the paired differences."""
    votes: tuple[tuple[float, int], ...]
    """(true preference, independent votes without ties that show it)."""
    comparisons: int
    """Of one rater, repeats and catch pairs included."""
    minutes_per_rater: float
    cost: CostResult | None
    """By prices and seconds as stated; None where nobody gave prices."""
    inputs: CostInputs | None
    """The prices behind it, dated and with their sources."""


def make_brief(
    plan: Plan,
    licences: tuple[LicenceRow, ...],
    inputs: CostInputs | None = None,
) -> Brief:
    """Return what is known of a plan before it runs."""
    prompts, shape = len(plan.prompts), plan.spec.shape
    comparisons = math.ceil(USUAL_COMPARISONS * (1 + REPEAT_SHARE + CATCH_SHARE))
    seconds = 2 * shape.num_frames / shape.fps + ANSWER_S
    return Brief(
        plan=plan,
        summary=summary(plan),
        licences=licences,
        prompts_digest=digest([prompt.model_dump(mode="json") for prompt in plan.prompts]),
        share_half_width=half_width(prompts),
        share_differences=tuple((d, share_difference(prompts, d)) for d in DISCORDANT),
        mean_difference=_detected() / math.sqrt(prompts),
        votes=tuple((one, votes_needed(one)) for one in PREFERENCES),
        comparisons=comparisons,
        minutes_per_rater=comparisons * seconds / 60,
        cost=None if inputs is None else evaluate(inputs, seed=0),
        inputs=inputs,
    )


def _detected() -> float:
    """Return the standard errors that an effect needs to be shown in `POWER` of all runs."""
    return float(norm.ppf((1 + LEVEL) / 2) + norm.ppf(POWER))


def half_width(n: int) -> float:
    """Return half of Wilson's interval of a share of one half, at which it is widest.

    >>> round(half_width(64), 3), round(half_width(256), 3)
    (0.119, 0.061)
    """
    z = float(norm.ppf((1 + LEVEL) / 2))
    return z / 2 * math.sqrt(1 / n + z**2 / n**2) / (1 + z**2 / n)


def share_difference(n: int, discordant: float) -> float | None:
    """Return the least difference of two shares over the same n prompts that shows.

    `discordant`: share of prompts on which the two differ. The normal approximation of McNemar's
    test solved for the difference d: d = sqrt(discordant - d^2) * 2.80 / sqrt(n). None where
    not even all of them in favour of one would show.

    >>> round(share_difference(64, 0.2), 3), round(share_difference(64, 0.4), 3)
    (0.148, 0.209)
    >>> share_difference(12, 0.2) is None
    True
    """
    least = _detected() / math.sqrt(n)
    found = least * math.sqrt(discordant / (1 + least**2))
    return found if found < discordant else None


def votes_needed(preference: float) -> int:
    """Return the independent votes, ties apart, that show a true preference against one half.

    >>> [votes_needed(one) for one in (0.55, 0.60, 0.65, 0.70)]
    [783, 194, 85, 47]
    """
    z, power = float(norm.ppf((1 + LEVEL) / 2)), float(norm.ppf(POWER))
    spread = z / 2 + power * math.sqrt(preference * (1 - preference))
    return math.ceil((spread / (preference - 0.5)) ** 2)
