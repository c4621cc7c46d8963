"""How sure cost and return are: simulation, tornado, curves over what is assumed, limits. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from poc import cost_findings as said
from poc.cost_case import Case, finite, only, reached
from poc.cost_file import Basis, CostInputs, Limits
from poc.cost_model import Figures
from poc.cost_records import (
    ACCEPTANCE,
    REVIEW,
    Curve,
    CurvePoint,
    LimitCheck,
    Simulation,
    Spread,
    Swing,
)
from poc.intervals import FloatArray

SPREAD: Final = (0.05, 0.5, 0.95)
"""Shares of the simulations below the three figures of a spread."""

CURVE_POINTS: Final = 9
"""Values of an assumed input at which results are given, evenly over its range, ends included."""


def simulation(case: Case, drawn: Figures) -> Simulation:
    """Return the spread of the drawn figures."""
    return Simulation(
        runs=case.runs,
        seed=case.seed,
        distribution=said.distribution(
            has_estimates=any(one.is_estimate for one in case.numbers.values())
        ),
        cost_per_accepted_clip=spread(drawn.cost_per_accepted_clip),
        cost_per_deliverable=spread(drawn.cost_per_deliverable),
        payback_months=spread(drawn.payback_months),
        npv=spread(drawn.npv),
        share_paid_back=float(np.mean(np.isfinite(drawn.payback_months))),
        share_npv_above_zero=float(np.mean(drawn.npv > 0)),
    )


def spread(values: FloatArray) -> Spread:
    """Return three quantiles, each a value that occurs; infinite ones are never reached.

    >>> spread(np.array([1.0, 2.0, np.inf]))
    Spread(low=1.0, median=2.0, high=None)
    """
    ends = np.quantile(values, SPREAD, method="inverted_cdf")
    low, median, high = (finite(float(end)) for end in ends)
    return Spread(low=low, median=median, high=high)


def tornado(case: Case) -> tuple[Swing, ...]:
    """Return every input at its two ends, all in one go: rows two by two."""
    names = list(case.numbers)
    raw = {name: np.repeat(column, 2 * len(names)) for name, column in case.base.items()}
    for place, name in enumerate(names):
        one = case.numbers[name]
        raw[name][2 * place : 2 * place + 2] = (one.low, one.high)
    ends = case.figures(raw)
    swings = [
        Swing(
            name=name,
            label=case.labels[name],
            unit=case.numbers[name].unit,
            low=case.numbers[name].low,
            high=case.numbers[name].high,
            cost_at_low=float(ends.cost_per_deliverable[2 * place]),
            cost_at_high=float(ends.cost_per_deliverable[2 * place + 1]),
            npv_at_low=float(ends.npv[2 * place]),
            npv_at_high=float(ends.npv[2 * place + 1]),
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(swings, key=lambda one: (-one.cost_swing, -one.npv_swing, one.name)))


def assumed(inputs: CostInputs) -> dict[str, Basis]:
    """Return acceptance and review where no people's votes gave them, and what did.

    The oracle of the tiny world knows nothing of real clips: its numbers are assumptions here.
    """
    bases = {
        ACCEPTANCE: inputs.material.acceptance_basis,
        REVIEW: inputs.material.review_basis,
    }
    return {name: basis for name, basis in bases.items() if basis is not Basis.VOTES}


def curve(case: Case, name: str) -> Curve:
    """Return the results over the range of an input, all others as stated and as drawn."""
    one = case.numbers[name]
    values = dict.fromkeys(np.linspace(one.low, one.high, CURVE_POINTS).tolist())
    return Curve(
        name=name,
        label=case.labels[name],
        basis=assumed(case.inputs)[name],
        unit=one.unit,
        points=tuple(_point(case, name, value) for value in values),
    )


def _point(case: Case, name: str, value: float) -> CurvePoint:
    base = case.figures(case.base | {name: np.array([value])})
    drawn = case.figures(case.drawn | {name: np.full(case.runs, value)})
    return CurvePoint(
        value=value,
        cost_per_accepted_clip=only(base.cost_per_accepted_clip),
        cost_per_deliverable=only(base.cost_per_deliverable),
        payback_months=reached(base.payback_months),
        npv=only(base.npv),
        share_within=share_within_all(case, drawn),
    )


def limits(case: Case, base: Figures, drawn: Figures) -> Iterator[LimitCheck]:
    """Yield every figure that has a limit, beside it."""
    own, all_of = _limited(base), _limited(drawn)
    for name, limit in _set(case.inputs.limits):
        value, share = reached(own[name]), float(np.mean(all_of[name] <= limit))
        label = case.labels[f"limits.{name}"]
        shown, line = (said.limited(name, v, case.inputs.currency) for v in (value, limit))
        yield LimitCheck(
            name=name,
            label=label,
            value=value,
            limit=limit,
            share_within=share,
            said=said.limit(label, shown, line, share),
        )


def share_within_all(case: Case, drawn: Figures) -> float | None:
    """Return the share of the simulations that are within all limits at once; None without one.

    It is at most the smallest share of a single limit: different simulations miss different ones.
    """
    columns = _limited(drawn)
    within = [columns[name] <= limit for name, limit in _set(case.inputs.limits)]
    return float(np.mean(np.all(within, axis=0))) if within else None


def _limited(found: Figures) -> dict[str, FloatArray]:
    return {
        "price_per_deliverable": found.cost_per_deliverable,
        "payback_months": found.payback_months,
        "working_days": found.working_days,
    }


def _set(every: Limits) -> Iterator[tuple[str, float]]:
    for name in type(every).model_fields:
        limit = getattr(every, name)
        if limit is not None:
            yield name, limit.value
