"""Cost and return of a finished deliverable, how sure they are, and the economic light.

Pure: the inputs of `poc.cost_file` in, one record out. What is assumed, stated or an example is
marked as such and never becomes more than a condition. The arithmetic is in `poc.cost_model`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from poc import cost_findings as said
from poc.cost_file import (
    AlternativeName,
    Basis,
    CostInputs,
    Deliverable,
    GpuMode,
    Quantity,
    currency_of,
    faults,
    quantities,
    stated,
)
from poc.cost_model import (
    HOURS_PER_MONTH,
    Columns,
    Figures,
    Part,
    alternative_cost,
    figures,
    gpu_hour_price,
)
from poc.intervals import FloatArray
from poc.records import Finding, Light, Record
from poc.verdicts import FAIL_SHARE, PASS_SHARE

SIMULATIONS: Final = 4000
"""Draws of a Monte Carlo: a share of one half is known to 1.6 points at two standard errors."""

SPREAD: Final = (0.05, 0.5, 0.95)
"""Shares of the simulations below the three figures of a spread."""

CURVE_POINTS: Final = 9
"""Values of an assumed input at which results are given, evenly over its range, ends included."""

FILLED: Final = 0.9
"""Of the stated utilisation: a GPU that this work alone fills so far needs no other work."""

ACCEPTANCE: Final = "material.acceptance_rate"
REVIEW: Final = "material.review_min_per_clip"
SECONDS: Final = "gpu.seconds_per_clip"


class TimedSeconds(Record):
    """Seconds per clip as a run timed them; replaces what the inputs state."""

    seconds_per_clip: Quantity
    device: str
    """Device of the latency pass, as its driver names it."""


class Seconds(Record):
    """Seconds per clip, and whether they are measured on the GPU that is to be paid for."""

    value: float
    low: float
    high: float
    source: str
    device: str | None
    """Where they were timed; None where they are only stated."""
    is_measured: bool


class PartCost(Record):
    """What one of equipment, people, fees and rights costs in a deliverable."""

    part: Part
    label: Finding
    per_deliverable: float
    share: float
    """Of the cost of a deliverable, 0 to 1."""


class GpuOption(Record):
    """One way of paying for GPUs, all else equal."""

    mode: GpuMode
    label: Finding
    price_per_hour: float
    """Of work, at the stated utilisation."""
    cost_per_accepted_clip: float
    cost_per_deliverable: float


class OtherWay(Record):
    """An alternative beside ours."""

    name: AlternativeName
    label: Finding
    cost_per_deliverable: float
    saving_per_deliverable: float
    """What ours costs less; negative where it costs more."""
    working_days: float | None


class Spread(Record):
    """Three quantiles of a simulation; None where it is never reached."""

    low: float | None
    """5 % of the simulations lie below."""
    median: float | None
    high: float | None
    """95 % of the simulations lie below."""


class Simulation(Record):
    """Monte Carlo over the stated ranges; spreads are shares of simulations, not confidence."""

    runs: int
    seed: int
    distribution: Finding
    """Which one, and why."""
    cost_per_accepted_clip: Spread
    cost_per_deliverable: Spread
    payback_months: Spread
    npv: Spread
    share_paid_back: float
    """Simulations in which it is paid back within the period."""
    share_npv_above_zero: float


class Swing(Record):
    """One bar of the tornado: an input at both ends of its range, all others as stated."""

    name: str
    label: Finding
    unit: str
    low: float
    high: float
    cost_at_low: float
    """Per deliverable, with the input at its low end."""
    cost_at_high: float
    npv_at_low: float
    npv_at_high: float

    @property
    def cost_swing(self) -> float:
        """Return how far the cost of a deliverable moves."""
        return abs(self.cost_at_high - self.cost_at_low)

    @property
    def npv_swing(self) -> float:
        """Return how far the net present value moves."""
        return abs(self.npv_at_high - self.npv_at_low)


class CurvePoint(Record):
    """The results at one assumed value."""

    value: float
    cost_per_accepted_clip: float
    cost_per_deliverable: float
    payback_months: float | None
    npv: float
    share_within: float | None
    """Simulations within the limit that is met least often; None without a limit."""


class Curve(Record):
    """The results over the range of an assumed input."""

    name: str
    label: Finding
    unit: str
    points: tuple[CurvePoint, ...]


class LimitCheck(Record):
    """A figure against its limit."""

    name: str
    label: Finding
    value: float | None
    """None: never reached."""
    limit: float
    share_within: float
    """Simulations within it."""
    said: Finding


class CostResult(Record):
    """All that the cost model answers; money in `currency`."""

    name: str
    name_ja: str
    currency: str
    deliverable: Deliverable
    compared_with: AlternativeName
    gpu_model: str
    mode: GpuMode
    deliverables_per_month: float
    horizon_months: float
    seconds: Seconds
    acceptance: Quantity
    acceptance_basis: Basis
    review: Quantity
    review_basis: Basis
    attempts_per_accepted: float
    """Generated clips per accepted one, failures included."""
    reviewed_per_accepted: float
    energy_kwh_per_accepted_clip: float
    gpu_hours_per_month: float
    gpus: float
    """At the stated utilisation."""
    utilisation: float
    fill: float
    """Share of their time in which whole GPUs would work on this alone, at most `utilisation`."""
    cost_per_accepted_clip: float
    cost_per_deliverable: float
    parts: tuple[PartCost, ...]
    largest_part: Finding
    gpu_options: tuple[GpuOption, ...]
    alternatives: tuple[OtherWay, ...]
    initial_cost: float
    first_year_cost: float
    """Paid in the twelve months of the first year, without the initial cost."""
    later_year_cost: float
    working_days: float
    break_even_per_month: float | None
    """Deliverables a month; None: never."""
    payback_months: float | None
    """Undiscounted; None: not within the period."""
    npv: float
    tornado: tuple[Swing, ...]
    """Largest movement of the cost of a deliverable first, then of the net present value."""
    simulation: Simulation
    curves: tuple[Curve, ...]
    """One for each of acceptance rate and review minutes that is only assumed."""
    limits: tuple[LimitCheck, ...]
    examples: tuple[str, ...]
    """Names of the inputs in use that are examples, the one that moves the cost most first."""


class EconomicLight(Record):
    """The economic light, why, and what has to be done first where that has a name."""

    light: Light
    reasons: tuple[Finding, ...]
    conditions: tuple[Finding, ...]
    next_step: Finding | None
    """What would settle it where it is INSUFFICIENT_EVIDENCE."""


def evaluate(
    inputs: CostInputs,
    *,
    seed: int,
    timed: TimedSeconds | None = None,
    simulations: int = SIMULATIONS,
) -> CostResult:
    """Return cost, return and their spread; the same inputs and seed give the same record.

    Raises:
        ValueError: the inputs are not what `read_cost` lets pass, or `simulations` is below 1.
    """
    if simulations < 1:
        raise ValueError(f"simulations: expected at least 1, got {simulations}; 4000 are usual")
    inputs = _with_seconds(inputs, timed)
    if wrong := [fault.text for fault in faults(inputs)]:
        raise ValueError("\n".join(wrong))
    return _result(_Case(inputs, seed, simulations), timed)


def _with_seconds(inputs: CostInputs, timed: TimedSeconds | None) -> CostInputs:
    if timed is None:
        return inputs
    gpu = inputs.gpu.model_copy(update={"seconds_per_clip": timed.seconds_per_clip})
    return inputs.model_copy(update={"gpu": gpu})


class _Case:
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

    def figures(self, raw: Columns, mode: GpuMode | None = None) -> Figures:
        """Return the figures of columns in the currencies of the file."""
        return figures(self.converted(raw), mode or self.inputs.gpu.mode, self.inputs.compared_with)

    def converted(self, raw: Columns) -> Columns:
        """Return the columns with every price in the file's own currency."""
        rates = {
            s.name: raw[f"rates.{currency}"]
            for s in stated(self.inputs)
            if (currency := currency_of(s)) not in {None, self.inputs.currency}
        }
        return {name: x * rates[name] if name in rates else x for name, x in raw.items()}


# --- the result ----------------------------------------------------------------------------------


def _result(case: _Case, timed: TimedSeconds | None) -> CostResult:
    inputs, base = case.inputs, case.figures(case.base)
    drawn, clips = case.figures(case.drawn), inputs.material
    total, tornado = _one(base.cost_per_deliverable), _tornado(case)
    parts = _parts(base, total)
    utilisation = case.numbers[f"gpu.{inputs.gpu.mode}.utilisation"].value
    hours = _one(base.gpu_hours_per_month)
    return CostResult(
        name=inputs.name,
        name_ja=inputs.name_ja,
        currency=inputs.currency,
        deliverable=inputs.deliverable,
        compared_with=inputs.compared_with,
        gpu_model=inputs.gpu.model,
        mode=inputs.gpu.mode,
        deliverables_per_month=inputs.deliverables_per_month.value,
        horizon_months=inputs.horizon_months.value,
        seconds=_seconds(inputs, timed),
        acceptance=clips.acceptance_rate,
        acceptance_basis=clips.acceptance_basis,
        review=clips.review_min_per_clip,
        review_basis=clips.review_basis,
        attempts_per_accepted=_one(base.attempts_per_accepted),
        reviewed_per_accepted=_one(base.reviewed_per_accepted),
        energy_kwh_per_accepted_clip=_one(base.energy_kwh_per_accepted),
        gpu_hours_per_month=hours,
        gpus=_one(base.gpus),
        utilisation=utilisation,
        fill=hours / HOURS_PER_MONTH / max(math.ceil(_one(base.gpus)), 1),
        cost_per_accepted_clip=_one(base.cost_per_accepted_clip),
        cost_per_deliverable=total,
        parts=parts,
        largest_part=said.largest_part(
            total,
            {one.part: one.share for one in parts},
            {one.part: one.per_deliverable for one in parts},
            inputs.currency,
        ),
        gpu_options=tuple(_gpu_option(case, mode) for mode in GpuMode),
        alternatives=tuple(_other_way(case, name, total) for name in AlternativeName),
        initial_cost=_one(base.initial),
        first_year_cost=12 * _one(base.first_year_month),
        later_year_cost=12 * _one(base.later_month),
        working_days=_one(base.working_days),
        break_even_per_month=_reached(base.break_even_per_month),
        payback_months=_reached(base.payback_months),
        npv=_one(base.npv),
        tornado=tornado,
        simulation=_simulation(case, drawn),
        curves=tuple(_curve(case, name) for name in _assumed(inputs)),
        limits=tuple(_limits(case, base, drawn)),
        examples=_examples(case, tornado),
    )


def _one(column: FloatArray) -> float:
    """Return the only entry of the stated case."""
    return float(column[0])


def _reached(column: FloatArray) -> float | None:
    return _finite(_one(column))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _seconds(inputs: CostInputs, timed: TimedSeconds | None) -> Seconds:
    one = inputs.gpu.seconds_per_clip
    return Seconds(
        value=one.value,
        low=one.low,
        high=one.high,
        source=one.source,
        device=None if timed is None else timed.device,
        is_measured=timed is not None and is_same_gpu(timed.device, inputs.gpu.model),
    )


def is_same_gpu(device: str, model: str) -> bool:
    """Tell whether two names are of one GPU model, whatever the case and the dashes.

    The whole name counts: an H100 PCIe is not an H100 SXM.

    >>> is_same_gpu("NVIDIA H100-PCIe", "nvidia h100 pcie"), is_same_gpu("NVIDIA H100 NVL", "H100")
    (True, False)
    """
    one, other = (re.sub(r"[^a-z0-9]", "", text.casefold()) for text in (device, model))
    return one == other


def _parts(base: Figures, total: float) -> tuple[PartCost, ...]:
    costs = {part: _one(base.parts[part]) for part in Part}
    return tuple(
        PartCost(
            part=part,
            label=said.PARTS[part],
            per_deliverable=cost,
            share=cost / total if total > 0 else 0.0,
        )
        for part, cost in costs.items()
    )


def _gpu_option(case: _Case, mode: GpuMode) -> GpuOption:
    base = case.figures(case.base, mode)
    return GpuOption(
        mode=mode,
        label=said.MODES[mode],
        price_per_hour=_one(gpu_hour_price(case.converted(case.base), mode)),
        cost_per_accepted_clip=_one(base.cost_per_accepted_clip),
        cost_per_deliverable=_one(base.cost_per_deliverable),
    )


def _other_way(case: _Case, name: AlternativeName, ours: float) -> OtherWay:
    cost = _one(alternative_cost(case.converted(case.base), name))
    days = case.numbers.get(f"alternatives.{name}.working_days")
    return OtherWay(
        name=name,
        label=said.ALTERNATIVES[name],
        cost_per_deliverable=cost,
        saving_per_deliverable=cost - ours,
        working_days=None if days is None else days.value,
    )


# --- how sure it is ------------------------------------------------------------------------------


def draws(numbers: Mapping[str, Quantity], *, seed: int, runs: int) -> dict[str, FloatArray]:
    """Return `runs` draws of every number, independent, each from a triangle over its range.

    An input keeps its place in the stream whatever the others' values are, so two sets of inputs
    with the same names are drawn alike and differ only by what differs between them.
    """
    uniform = np.random.default_rng(seed).random((len(numbers), runs))
    names = sorted(numbers)
    return {name: triangle(numbers[name], u) for name, u in zip(names, uniform, strict=True)}


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


def _simulation(case: _Case, drawn: Figures) -> Simulation:
    return Simulation(
        runs=case.runs,
        seed=case.seed,
        distribution=said.distribution(),
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
    low, median, high = (_finite(float(end)) for end in ends)
    return Spread(low=low, median=median, high=high)


def _tornado(case: _Case) -> tuple[Swing, ...]:
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


def _assumed(inputs: CostInputs) -> list[str]:
    bases = {
        ACCEPTANCE: inputs.material.acceptance_basis,
        REVIEW: inputs.material.review_basis,
    }
    return [name for name, basis in bases.items() if basis is Basis.ASSUMED]


def _curve(case: _Case, name: str) -> Curve:
    one = case.numbers[name]
    values = dict.fromkeys(np.linspace(one.low, one.high, CURVE_POINTS).tolist())
    return Curve(
        name=name,
        label=case.labels[name],
        unit=one.unit,
        points=tuple(_point(case, name, value) for value in values),
    )


def _point(case: _Case, name: str, value: float) -> CurvePoint:
    base = case.figures(case.base | {name: np.array([value])})
    drawn = case.figures(case.drawn | {name: np.full(case.runs, value)})
    shares = [check.share_within for check in _limits(case, base, drawn)]
    return CurvePoint(
        value=value,
        cost_per_accepted_clip=_one(base.cost_per_accepted_clip),
        cost_per_deliverable=_one(base.cost_per_deliverable),
        payback_months=_reached(base.payback_months),
        npv=_one(base.npv),
        share_within=min(shares, default=None),
    )


def _limits(case: _Case, base: Figures, drawn: Figures) -> Iterator[LimitCheck]:
    columns = {
        "price_per_deliverable": (base.cost_per_deliverable, drawn.cost_per_deliverable),
        "payback_months": (base.payback_months, drawn.payback_months),
        "working_days": (base.working_days, drawn.working_days),
    }
    for name, (own, all_of) in columns.items():
        limit = getattr(case.inputs.limits, name)
        if limit is None:
            continue
        value, share = _reached(own), float(np.mean(all_of <= limit.value))
        label = case.labels[f"limits.{name}"]
        shown, line = (_shown(name, v, case.inputs.currency) for v in (value, limit.value))
        yield LimitCheck(
            name=name,
            label=label,
            value=value,
            limit=limit.value,
            share_within=share,
            said=said.limit(label, shown, line, share),
        )


def _shown(name: str, value: float | None, currency: str) -> Finding:
    if name == "payback_months" or value is None:
        return said.months(value)
    return said.days(value) if name == "working_days" else said.money(value, currency)


def _examples(case: _Case, tornado: Iterable[Swing]) -> tuple[str, ...]:
    unused = tuple(_unused(case.inputs))
    return tuple(
        one.name
        for one in tornado
        if case.numbers[one.name].example and not one.name.startswith(unused)
    )


def _unused(inputs: CostInputs) -> Iterator[str]:
    """Yield the beginnings of names on which neither cost nor return depends."""
    yield from (f"gpu.{mode}." for mode in GpuMode if mode is not inputs.gpu.mode)
    if inputs.gpu.mode is not GpuMode.BOUGHT:
        yield "energy."
    in_use = {inputs.compared_with, AlternativeName.OUTSOURCING}
    yield from (f"alternatives.{name}." for name in AlternativeName if name not in in_use)


# --- the light -----------------------------------------------------------------------------------


def economic_light(result: CostResult) -> EconomicLight:
    """Return the economic light by the limits of the inputs.

    GO: every limit holds in 95 % of the simulations, and nothing that it stands on is assumed,
    stated for another GPU, an example, paid for by work that nobody named, or dearer than another
    way of getting the deliverable.
    CONDITIONAL: it would be GO but for these, or it is once an assumed input is shown to reach a
    value of its range. NO_GO: a limit holds in fewer than 20 %, at every assumed value, on numbers
    that are no examples. INSUFFICIENT_EVIDENCE: anything else, such as no limit.
    """
    light, reached = _light(result)
    open_ = tuple(_conditions(result)) + (() if reached is None else (reached,))
    if light is Light.GO and open_:
        light = Light.CONDITIONAL
    return EconomicLight(
        light=light,
        reasons=tuple(_reasons(result, light)),
        conditions=() if light in {Light.GO, Light.NO_GO} else open_,
        next_step=_next_step(result) if light is Light.INSUFFICIENT_EVIDENCE else None,
    )


def _light(result: CostResult) -> tuple[Light, Finding | None]:
    """Return the light before conditions, and the value that an assumed input has to reach."""
    if not result.limits:
        return Light.INSUFFICIENT_EVIDENCE, None
    least = min(check.share_within for check in result.limits)
    if least >= PASS_SHARE:
        return Light.GO, None
    if (reached := _reach(result.curves)) is not None:
        return Light.CONDITIONAL, reached
    if _fails(least, result.curves) and not result.examples:
        return Light.NO_GO, None
    return Light.INSUFFICIENT_EVIDENCE, None


def _reach(curves: Sequence[Curve]) -> Finding | None:
    """Return the weakest value of an assumed input from which on every limit holds."""
    for curve in curves:
        at_least = curve.name == ACCEPTANCE
        from_best = reversed(curve.points) if at_least else iter(curve.points)
        weakest = None
        for point in from_best:
            if (point.share_within or 0.0) < PASS_SHARE:
                break
            weakest = point.value
        if weakest is not None:
            shown = f"{100 * weakest:.3g} %" if at_least else f"{weakest:.3g} {curve.unit}"
            return said.reach(curve.label, shown, at_least=at_least)
    return None


def _fails(least: float, curves: Iterable[Curve]) -> bool:
    """Tell whether a limit is missed, whatever the assumed values are."""
    points = [point.share_within or 0.0 for curve in curves for point in curve.points]
    return max([least, *points]) < FAIL_SHARE


def _reasons(result: CostResult, light: Light) -> Iterator[Finding]:
    yield from (check.said for check in result.limits)
    if not result.limits:
        yield said.no_limit()
    if Basis.ORACLE in {result.acceptance_basis, result.review_basis}:
        yield said.oracle()
    least = min((check.share_within for check in result.limits), default=1.0)
    if light is Light.INSUFFICIENT_EVIDENCE and result.examples and _fails(least, result.curves):
        yield said.examples_are_no_evidence()


def _conditions(result: CostResult) -> Iterator[Finding]:
    if result.acceptance_basis is Basis.ASSUMED:
        one = result.acceptance
        yield said.measure_acceptance(one.value, one.low, one.high)
    if result.review_basis is Basis.ASSUMED:
        one = result.review
        yield said.measure_review(one.value, one.low, one.high)
    if not result.seconds.is_measured:
        yield said.time_on(result.gpu_model, result.seconds.device)
    if result.mode is not GpuMode.RENTED and result.fill < FILLED * result.utilisation:
        yield said.idle(result.fill, result.utilisation)
    yield from (said.justify_over(name) for name in _cheaper(result))
    if result.examples:
        labels = {one.name: one.label for one in result.tornado}
        yield said.replace_examples(
            len(result.examples), [labels[name] for name in result.examples[:3]]
        )


def _cheaper(result: CostResult) -> Iterator[AlternativeName]:
    """Yield what delivers at less than ours; doing nothing delivers nothing."""
    for one in result.alternatives:
        if one.saving_per_deliverable < 0 and one.name is not AlternativeName.DOING_NOTHING:
            yield one.name


def _next_step(result: CostResult) -> Finding:
    if not result.limits:
        return said.set_limits()
    worst = min(result.limits, key=lambda check: check.share_within)
    if worst.name == "working_days":
        return said.narrow(worst.label)
    by_npv = worst.name == "payback_months"
    swings = sorted(result.tornado, key=lambda s: s.npv_swing if by_npv else s.cost_swing)
    return said.narrow(swings[-1].label)
