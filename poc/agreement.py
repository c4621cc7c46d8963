"""Agreement between raters: Krippendorff's alpha for nominal values. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple


class Agreement(NamedTuple):
    """Alpha, or why there is none."""

    alpha: float | None
    """1: all agree; 0: as often as by chance; below 0: less often than by chance."""
    n_units: int
    """Units with two values or more: the others say nothing of agreement."""
    reason: str
    """Empty where there is an alpha."""


def nominal_alpha(units: Iterable[Sequence[Hashable]]) -> Agreement:
    r"""Return Krippendorff's alpha of nominal values, one sequence of values per rated unit.

    With m_u values in unit u, n_uc of them c; o_cc' = sum over u of the ordered pairs of c with c'
    by different raters, over m_u - 1; n_c = sum of o_cc' over c'; n = sum of n_c:

        alpha = 1 - D_o / D_e = 1 - (n - 1) * (n - sum_c o_cc) / (n^2 - sum_c n_c^2)

    Missing values are left out of their unit. Source: Krippendorff (2011), Computing
    Krippendorff's Alpha-Reliability.

    >>> round(nominal_alpha([("a", "a"), ("b", "b"), ("a", "b")]).alpha, 3)
    0.444
    """
    paired = [Counter(unit) for unit in units if len(unit) > 1]
    if not paired:
        return Agreement(None, 0, "nothing was judged by two raters")
    totals = sum(paired, Counter[Hashable]())
    n = totals.total()
    expected = n**2 - sum(count**2 for count in totals.values())
    if expected == 0:
        return Agreement(None, len(paired), "all answers are the same: chance agrees as well")
    agreeing = sum(_agreeing(unit) for unit in paired)
    return Agreement(1 - (n - 1) * (n - agreeing) / expected, len(paired), "")


def _agreeing(unit: Counter[Hashable]) -> float:
    """Return the unit's part of sum_c o_cc."""
    pairs = sum(count * (count - 1) for count in unit.values())
    return pairs / (unit.total() - 1)
