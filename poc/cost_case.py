"""One file of inputs as columns: as stated, and as drawn for the simulation. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from poc.cost_file import (
    LEAST,
    MOST,
    CostInputs,
    GpuMode,
    Quantity,
    currency_of,
    quantities,
    stated,
)
from poc.cost_gpu import Columns
from poc.cost_model import Figures, figures
from poc.intervals import LEVEL, FloatArray, normal_quantile, tail
from poc.records import Finding


class Case:
    """The inputs with all columns made from them: as stated, and as drawn."""

    def __init__(self, inputs: CostInputs, seed: int, simulations: int) -> None:
        self.inputs = inputs
        self.seed = seed
        self.runs = simulations
        self.numbers = quantities(inputs)
        self.labels = {
            s.name: Finding(text_en=s.label.en, text_ja=s.label.ja) for s in stated(inputs)
        }
        self.base = {name: np.array([one.value]) for name, one in self.numbers.items()}
        self.drawn = draws(self.numbers, seed=seed, runs=simulations)

    @property
    def is_shared(self) -> bool:
        """Whether other work pays for the rest of the GPUs' time."""
        return self.inputs.gpu.other_work is not None

    def figures(
        self, raw: Columns, mode: GpuMode | None = None, *, is_shared: bool | None = None
    ) -> Figures:
        """Return the figures of columns in the currencies of the file, GPUs as it takes them."""
        shared = self.is_shared if is_shared is None else is_shared
        mode = mode or self.inputs.gpu.mode
        return figures(self.converted(raw), mode, self.inputs.compared_with, is_shared=shared)

    def converted(self, raw: Columns) -> Columns:
        """Return the columns with every price in the file's own currency."""
        rates = {
            s.name: raw[f"rates.{currency}"]
            for s in stated(self.inputs)
            if (currency := currency_of(s)) not in {None, self.inputs.currency}
        }
        return {name: x * rates[name] if name in rates else x for name, x in raw.items()}


def only(column: FloatArray) -> float:
    """Return the only entry of the stated case."""
    return float(column[0])


def reached(column: FloatArray) -> float | None:
    """Return the only entry of the stated case; None where it is never reached."""
    return finite(only(column))


def finite(value: float) -> float | None:
    """Return a value, None for what is infinite."""
    return value if math.isfinite(value) else None


def draws(
    numbers: Mapping[str, Quantity], *, seed: int | Sequence[int], runs: int
) -> dict[str, FloatArray]:
    """Return `runs` draws of every number, independent, each from a triangle over its range.

    What is estimated with an interval is drawn as `estimated` says.

    An input keeps its place in the stream whatever the others' values are, so two sets of inputs
    with the same names are drawn alike and differ only by what differs between them.
    """
    uniform = np.random.default_rng(seed).random((len(numbers), runs))
    names = sorted(numbers)
    return {name: _drawn(numbers[name], u) for name, u in zip(names, uniform, strict=True)}


def _drawn(one: Quantity, uniform: FloatArray) -> FloatArray:
    return (estimated if one.is_estimate else triangle)(one, uniform)


def triangle(one: Quantity, uniform: FloatArray) -> FloatArray:
    """Return the quantiles `uniform` (0..1) of a triangle from low over value to high.

    >>> said = {"unit": "h", "date": "2026-01-01", "source": "me", "example": True}
    >>> triangle(Quantity(value=1, low=0, high=2, **said), np.array([0, 0.125, 0.5, 1])).tolist()
    [0.0, 0.5, 1.0, 2.0]
    """
    span, left = one.high - one.low, one.value - one.low
    rising = one.low + np.sqrt(uniform * span * left)
    falling = one.high - np.sqrt((1 - uniform) * span * (one.high - one.value))
    inside = np.where(uniform * span < left, rising, falling)
    return np.clip(inside, one.low, one.high)


def estimated(one: Quantity, uniform: FloatArray) -> FloatArray:
    """Return the quantiles `uniform` (0..1) of what is known of an estimate by its 95 % interval.

    The median is the estimate, and 2.5 % lie beyond either bound: two halves of normal
    distributions that meet there (Wallis 2014, The two-piece normal, Statistical Science 29(1)), on
    the scale that makes the variance of a share or of a count the same everywhere: the arcsine of
    the root, and the root (Bartlett 1947, Biometrics 3(1)). So draws stay within what can be.

    >>> said = {"unit": "share", "date": "2026-01-01", "source": "votes", "example": False}
    >>> one = Quantity(value=0.02, low=0.005, high=0.08, is_estimate=True, **said)
    >>> estimated(one, np.array([0.025, 0.5, 0.975])).round(6).tolist()
    [0.005, 0.02, 0.08]
    """
    is_share = one.unit == "share"
    low, value, high = _scaled(np.array([one.low, one.value, one.high]), is_share=is_share)
    inside = np.clip(uniform, LEAST, 1 - LEAST)
    sides = np.where(inside < 0.5, value - low, high - value)
    drawn = value + special.ndtri(inside) / normal_quantile(tail(LEVEL)) * sides
    drawn = np.clip(drawn, 0.0, np.pi / 2 if is_share else np.sqrt(MOST))
    back = np.sin(drawn) ** 2 if is_share else drawn**2
    return np.asarray(np.clip(back, LEAST if is_share else 0.0, 1.0 if is_share else MOST))


def _scaled(values: FloatArray, *, is_share: bool) -> FloatArray:
    root: FloatArray = np.sqrt(values)
    return np.asarray(np.arcsin(root)) if is_share else root
