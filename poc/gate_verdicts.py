"""From a change with its interval to a cell's status: the one rule of the gate.

PASS         the 95 % interval of the change lies wholly inside the limits: being no worse is shown.
             No correction for many metrics, since all must pass for the whole to pass
             (intersection-union test, Berger 1982).
REGRESSION   the change itself lies beyond a limit, and "no worse than the baseline" is rejected on
             that side after a correction for every test of the check, at `ALARM_RATE`: being worse
             than the baseline is shown, and the best guess is that it is too much. Quality and
             speed share the rate in equal parts, and Holm's correction is over the tests of each,
             so that many metrics of clips do not blunt the few tests of seconds.
INCOMPLETE   the head lacks what the baseline has, so that nothing is known of it there.
INCONCLUSIVE anything else. It exits with 3 and blames nobody; whether that holds a merge up is
             for the CI to say. Where more prompts or rounds would tell, one second look at more of
             them is allowed (`poc.gate_extension`), whose answer is final.

A regression could also ask for the whole interval beyond the margin. Then a drop of just over the
margin would stay INCONCLUSIVE at any n that can be paid for. As it is, a drop beyond the margin is
named as soon as it is no chance. The price: of drops just inside the margin, which are real but
allowed, some are named too. What is promised is about runs that do not differ: of checks of equal
runs at most `ALARM_RATE` report a regression, whatever the number of arms and metrics. A peak of
memory has no interval: its limits alone decide, and no rate is promised of it.

Two looks have two chances to err. Each therefore spends its own part of the rate (`LOOKS`), fixed
beforehand whether or not there will be a second one: whatever clips the looks share, the chance
that either alarms is at most the sum (Bonferroni). No pass is corrected: a change that lies at a
limit passes one look in at most 2.5 % of checks, so one of two in at most 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from poc.gate_records import GateCell, GateGroup, GateStatus
from poc.intervals import FloatArray, tail
from poc.records import Comparison, Estimate

ALARM_RATE = 0.005
"""Family-wise rate, one-sided, of regressions reported between runs that do not differ."""

LOOKS = (0.004, 0.001)
"""What a check spends of `ALARM_RATE`, and what its one extension does. Most goes to the first
look, which most checks end with: it names the same losses of clips as with all of the rate."""

FAMILIES = {
    GateGroup.CLIPS: "clips",
    GateGroup.QUALITY: "clips",
    GateGroup.SPEED: "seconds",
}
"""What the tests of a group are corrected together with. Settings and memory have none: they are
equal or not, beyond both limits or not."""

NO_CHANGE = {Comparison.DIFFERENCE: 0.0, Comparison.RATIO: 1.0}


class Accepted(NamedTuple):
    """The changes that are accepted lie between these, both included; None: no limit there."""

    lowest: float | None
    highest: float | None

    def holds(self, low: float, high: float) -> bool:
        """Return whether all from `low` to `high` is accepted."""
        above = self.lowest is None or self.lowest <= low
        return above and (self.highest is None or high <= self.highest)


@dataclass(frozen=True, slots=True)
class Trial:
    """A cell before the tests of the whole check are weighed against each other.

    `p`: chance of a change this bad if there were none; None when nothing can be tested, and for a
    cell whose status needs no test. `beyond`: the change lies outside the limits. `within`: all of
    its interval lies inside. `hold`: why the cell may not pass although `within`; `held`: what it
    is then.
    """

    cell: GateCell
    p: float | None = None
    beyond: bool = False
    within: bool = False
    hold: str = ""
    held: GateStatus = GateStatus.INCONCLUSIVE
    decided: bool = False


def decided(cell: GateCell) -> Trial:
    """Return the trial of a cell whose status needs no test."""
    return Trial(cell, decided=True)


def settle(trials: Sequence[Trial], level: float = LOOKS[0]) -> tuple[GateCell, ...]:
    """Return all cells with their status, in order; `level` is the rate that this look spends."""
    adjusted = _adjusted(trials)
    return tuple(_settled(trial, adjusted.get(place), level) for place, trial in enumerate(trials))


def _adjusted(trials: Sequence[Trial]) -> dict[int, float]:
    """Return the corrected p-value of every trial that has one, by its place."""
    families: dict[str, list[int]] = {}
    for place, trial in enumerate(trials):
        if trial.p is not None:
            families.setdefault(FAMILIES[trial.cell.group], []).append(place)
    return {
        place: min(1.0, len(families) * p)
        for places in families.values()
        for place, p in zip(places, holm([trials[n].p or 0.0 for n in places]), strict=True)
    }


def _settled(trial: Trial, adjusted: float | None, level: float) -> GateCell:
    if trial.decided:
        return trial.cell
    status, reason = _status(trial, adjusted, level)
    changes = {
        "status": status,
        "reason": reason,
        "p_adjusted": adjusted,
        "improved": trial.cell.improved and status is GateStatus.PASS,
        "more_would_tell": status is GateStatus.INCONCLUSIVE and not trial.hold,
    }
    return trial.cell.model_copy(update=changes)


def _status(trial: Trial, adjusted: float | None, level: float) -> tuple[GateStatus, str]:
    if trial.beyond and adjusted is not None and adjusted <= level:
        text = (
            f"shown to be worse than the baseline (corrected p = {adjusted:.2g}), beyond the limit"
        )
        return GateStatus.REGRESSION, text
    if trial.within and not trial.hold:
        return GateStatus.PASS, ""
    if trial.hold:
        return trial.held, trial.hold
    where = "beyond the limit, but that may be chance" if trial.beyond else "reaches the limit"
    return GateStatus.INCONCLUSIVE, f"the interval {where}: more prompts or rounds would tell"


def overall(cells: Iterable[GateCell]) -> GateStatus:
    """Return the worst status of all cells; of none at all, INCOMPLETE.

    >>> overall([])
    <GateStatus.INCOMPLETE: 'INCOMPLETE'>
    """
    found = {cell.status for cell in cells}
    return next((status for status in GateStatus if status in found), GateStatus.INCOMPLETE)


# --- tests ---------------------------------------------------------------------------------------


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values (Holm 1979), in the order given.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = floor
    return tuple(adjusted)


def p_worse(one: Estimate, accepted: Accepted, freedom: int) -> float | None:
    """Return the p-value of "no change" against a change towards a limit; None without interval.

    Read off that end of the interval which faces "no change", as Student's t. With limits on both
    sides the smaller of the two tails counts twice. Ratios are taken as logarithms.
    """
    if one.value is None or one.low is None or one.high is None:
        return None
    value, low, high, null = _scaled(one, one.value, one.low, one.high)
    quantile = float(special.stdtrit(freedom, tail(one.level)))
    sides = []
    if accepted.lowest is not None:
        sides.append(_tail(null - value, (high - value, (high - low) / 2), quantile, freedom))
    if accepted.highest is not None:
        sides.append(_tail(value - null, (value - low, (high - low) / 2), quantile, freedom))
    return min(1.0, len(sides) * min(sides))


def _scaled(one: Estimate, value: float, low: float, high: float) -> tuple[float, ...]:
    if one.comparison is Comparison.RATIO and low > 0:
        return math.log(value), math.log(low), math.log(high), 0.0
    return value, low, high, NO_CHANGE[one.comparison]


def _tail(distance: float, widths: tuple[float, float], quantile: float, freedom: int) -> float:
    """Return the chance of lying `distance` or more on the bad side; no width is certainty.

    `widths`: of the side that faces "no change", and half the interval, which takes its place
    where the value lies outside its own interval (sub-sampling can do that).
    """
    facing, half = widths
    width = facing if facing > 0 else half
    if width <= 0:
        return 0.0 if distance > 0 else 1.0
    return float(special.stdtr(freedom, -distance / width * quantile))


def p_rate_worse(per_prompt: FloatArray, accepted: Accepted) -> float:
    """Return the p-value of paired 0/1 differences (head minus base) towards a limit.

    Exact (McNemar's test as a binomial) where every prompt has one clip; with several, the score
    test on their means, which errs on the wide side.

    >>> p_rate_worse(np.array([-1.0] * 10 + [0.0] * 54), Accepted(-0.1, None)) == 2.0**-10
    True
    """
    gained = float(np.maximum(per_prompt, 0).sum())
    lost = float(np.maximum(-per_prompt, 0).sum())
    sides = []
    if accepted.lowest is not None:
        sides.append(_more_than_half(lost, gained))
    if accepted.highest is not None:
        sides.append(_more_than_half(gained, lost))
    return min(1.0, len(sides) * min(sides))


def _more_than_half(bad: float, good: float) -> float:
    """Return the chance of `bad` or more bad pairs among the discordant, if both are as likely."""
    if bad + good == 0:
        return 1.0
    if bad.is_integer() and good.is_integer():
        return float(special.bdtrc(bad - 1, int(bad + good), 0.5)) if bad else 1.0
    return float(special.ndtr((good - bad) / math.sqrt(bad + good)))
