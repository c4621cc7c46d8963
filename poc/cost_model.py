"""The arithmetic of cost and return: columns of inputs in, columns of figures out. Pure.

A column holds one input, an entry a case: one entry for the stated values, thousands in a
simulation. Names are those of the inputs file, money is in one currency. The formulas are worked by
hand in `specs/cost/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np

from poc.cost_file import AlternativeName, GpuMode, People
from poc.intervals import FloatArray

Columns = Mapping[str, FloatArray]

HOURS_PER_MONTH: Final = 730.0
"""8760 hours of a year over 12."""

ROLES: Final = tuple(People.model_fields)


class Part(StrEnum):
    """What money is paid for."""

    EQUIPMENT = "equipment"
    """GPUs, and the electricity of bought ones."""
    PEOPLE = "people"
    FEES = "fees"
    """To others: outside work that remains, software, support, integration."""
    RIGHTS = "rights"


class Stream(NamedTuple):
    """Money paid once, by the month of the first and of later years, and by the deliverable."""

    once: FloatArray
    first_year: FloatArray
    later: FloatArray
    per_deliverable: FloatArray

    def average_month(self, months: FloatArray) -> FloatArray:
        """Return what a month costs however much is made; money paid once is spread over all."""
        first = np.minimum(months, 12.0)
        return (self.once + self.first_year * first + self.later * (months - first)) / months

    def average(self, months: FloatArray, volume: FloatArray) -> FloatArray:
        """Return what a deliverable costs on average at `volume` deliverables a month."""
        return self.per_deliverable + self.average_month(months) / volume

    def month(self, volume: FloatArray, *, later: bool) -> FloatArray:
        """Return what is paid in a month of the first year or of a later one."""
        return (self.later if later else self.first_year) + self.per_deliverable * volume


class Figures(NamedTuple):
    """All that follows from the inputs, an entry a case; infinite where it never happens."""

    attempts_per_accepted: FloatArray
    reviewed_per_accepted: FloatArray
    gpu_s_per_accepted: FloatArray
    energy_kwh_per_accepted: FloatArray
    gpu_hour_price: FloatArray
    gpu_hours_per_month: FloatArray
    gpus: FloatArray
    """At the stated utilisation; the rest of a GPU is paid for by other work."""
    cost_per_accepted_clip: FloatArray
    parts: Mapping[Part, FloatArray]
    """Per deliverable."""
    cost_per_deliverable: FloatArray
    alternative: FloatArray
    """Per deliverable, of what it is compared with."""
    initial: FloatArray
    """Paid before the first deliverable, a bought GPU included."""
    first_year_month: FloatArray
    later_month: FloatArray
    """Paid in a month."""
    break_even_per_month: FloatArray
    """Deliverables a month from which on it costs no more than the alternative."""
    payback_months: FloatArray
    """Undiscounted; infinite where it is not within the period."""
    npv: FloatArray
    working_days: FloatArray


def figures(x: Columns, mode: GpuMode, compared_with: AlternativeName) -> Figures:
    """Return all figures of every case; the columns hold values that the inputs file allows."""
    clip = _clip(x)
    volume, months = x["deliverables_per_month"], x["horizon_months"]
    hour = gpu_hour_price(x, mode)
    work = _work_hours(x, clip)
    streams = {
        Part.EQUIPMENT: _equipment(work, hour),
        Part.PEOPLE: _people(x, clip),
        Part.FEES: _fees(x),
        Part.RIGHTS: _charge(x, "rights"),
    }
    parts = {part: one.average(months, volume) for part, one in streams.items()}
    paid = {**streams, Part.EQUIPMENT: _equipment(work, _paid_hour(x, mode))}
    other = _charge(x, f"alternatives.{compared_with}")
    money = _returns(x, list(paid.values()), other, machine=_machine(x, mode, work))
    return Figures(
        **clip._asdict(),
        gpu_hour_price=hour,
        gpu_hours_per_month=work.month + work.deliverable * volume,
        gpus=_gpus(x, mode, work),
        cost_per_accepted_clip=clip.gpu_s_per_accepted / 3600 * hour + _review_cost(x, clip),
        parts=parts,
        cost_per_deliverable=sum(parts.values(), np.zeros_like(volume)),
        alternative=other.average(months, volume),
        break_even_per_month=_break_even(list(streams.values()), other, months),
        working_days=x["material.working_days"],
        **money._asdict(),
    )


# --- a clip --------------------------------------------------------------------------------------


class _Clip(NamedTuple):
    attempts_per_accepted: FloatArray
    reviewed_per_accepted: FloatArray
    gpu_s_per_accepted: FloatArray
    energy_kwh_per_accepted: FloatArray


def _clip(x: Columns) -> _Clip:
    reviewed = 1 / x["material.acceptance_rate"]
    attempts = reviewed / (1 - x["material.failure_rate"])
    gpu_s = attempts * x["gpu.seconds_per_clip"] + x["material.upscale_s_per_clip"]
    return _Clip(attempts, reviewed, gpu_s, gpu_s / 3600 * x["energy.power_kw"] * x["energy.pue"])


def _review_cost(x: Columns, clip: _Clip) -> FloatArray:
    minutes = clip.reviewed_per_accepted * x["material.review_min_per_clip"]
    return minutes / 60 * x["people.review.price_per_hour"]


# --- a GPU ---------------------------------------------------------------------------------------


class _Work(NamedTuple):
    """GPU hours: of a deliverable, and of style training a month."""

    deliverable: FloatArray
    month: FloatArray


def _work_hours(x: Columns, clip: _Clip) -> _Work:
    return _Work(
        x["material.clips_per_deliverable"] * clip.gpu_s_per_accepted / 3600,
        x["style.trainings_per_year"] / 12 * x["style.gpu_h_per_training"],
    )


def gpu_hour_price(x: Columns, mode: GpuMode) -> FloatArray:
    """Return the money per GPU hour of work: what is paid, over the share in which it works.

    >>> x = {"gpu.rented.price_per_hour": np.array([525.0]),
    ...      "gpu.rented.utilisation": np.array([0.7])}
    >>> gpu_hour_price(x, GpuMode.RENTED).round(6).tolist()
    [750.0]
    """
    if mode is GpuMode.BOUGHT:
        loss = x["gpu.bought.price"] * (1 - x["gpu.bought.residual_share"])
        return _paid_hour(x, mode) + loss / x["gpu.bought.life_months"] / _hours(x, mode)
    return _paid_hour(x, mode)


def _paid_hour(x: Columns, mode: GpuMode) -> FloatArray:
    """Return what an hour of work costs while it runs, without the purchase of a bought GPU."""
    if mode is GpuMode.RENTED:
        return x["gpu.rented.price_per_hour"] / x["gpu.rented.utilisation"]
    if mode is GpuMode.RESERVED:
        return x["gpu.reserved.price_per_month"] / _hours(x, mode)
    energy = x["energy.power_kw"] * x["energy.pue"] * x["energy.price_per_kwh"]
    return x["gpu.bought.hosting_per_month"] / _hours(x, mode) + energy


def _hours(x: Columns, mode: GpuMode) -> FloatArray:
    """Return the hours of a month in which a GPU works."""
    return HOURS_PER_MONTH * x[f"gpu.{mode}.utilisation"]


def _gpus(x: Columns, mode: GpuMode, work: _Work) -> FloatArray:
    hours = work.month + work.deliverable * x["deliverables_per_month"]
    return hours / _hours(x, mode)


def _equipment(work: _Work, hour_price: FloatArray) -> Stream:
    """Return what GPUs cost at a price per hour of work."""
    month = work.month * hour_price
    return Stream(np.zeros_like(month), month, month, work.deliverable * hour_price)


class _Machine(NamedTuple):
    """What is paid for bought GPUs, and what they are worth at the end of the period."""

    price: FloatArray
    worth_at_end: FloatArray


def _machine(x: Columns, mode: GpuMode, work: _Work) -> _Machine:
    if mode is not GpuMode.BOUGHT:
        nothing = np.zeros_like(x["horizon_months"])
        return _Machine(nothing, nothing)
    price = _gpus(x, mode, work) * x["gpu.bought.price"]
    used = x["horizon_months"] / x["gpu.bought.life_months"]
    return _Machine(price, price * (1 - (1 - x["gpu.bought.residual_share"]) * used))


# --- people, fees, rights ------------------------------------------------------------------------


def _people(x: Columns, clip: _Clip) -> Stream:
    first, later = (
        sum(
            (x[f"people.{role}.{year}"] * x[f"people.{role}.price_per_hour"] for role in ROLES),
            np.zeros_like(x["horizon_months"]),
        )
        / 12
        for year in ("first_year_h", "later_year_h")
    )
    trainings = x["style.trainings_per_year"] / 12 * x["style.people_h_per_training"]
    styles = trainings * x["people.training.price_per_hour"]
    minutes = x["material.editing_min_per_deliverable"]
    editing = minutes / 60 * x["people.operation.price_per_hour"]
    review = x["material.clips_per_deliverable"] * _review_cost(x, clip)
    return Stream(np.zeros_like(first), first + styles, later + styles, review + editing)


def _fees(x: Columns) -> Stream:
    once = x["integration.once"] + x["fees.once"]
    month = x["integration.per_month"] + x["fees.per_month"]
    remains = (1 - x["material.replaced_share"]) * x["alternatives.outsourcing.per_deliverable"]
    return Stream(once, month, month, x["fees.per_deliverable"] + remains)


def _charge(x: Columns, name: str) -> Stream:
    month = x[f"{name}.per_month"]
    return Stream(x[f"{name}.once"], month, month, x[f"{name}.per_deliverable"])


def alternative_cost(x: Columns, name: AlternativeName) -> FloatArray:
    """Return what a deliverable costs on average in another way of getting it."""
    stream = _charge(x, f"alternatives.{name}")
    return stream.average(x["horizon_months"], x["deliverables_per_month"])


# --- returns -------------------------------------------------------------------------------------


class _Returns(NamedTuple):
    initial: FloatArray
    first_year_month: FloatArray
    later_month: FloatArray
    payback_months: FloatArray
    npv: FloatArray


def _returns(x: Columns, own: list[Stream], other: Stream, *, machine: _Machine) -> _Returns:
    volume, months, rate = x["deliverables_per_month"], x["horizon_months"], x["discount_rate"]
    zero = np.zeros_like(volume)
    initial = sum((one.once for one in own), zero) + machine.price
    first = sum((one.month(volume, later=False) for one in own), zero)
    later = sum((one.month(volume, later=True) for one in own), zero)
    saved_first = other.month(volume, later=False) - first
    saved_later = other.month(volume, later=True) - later
    invested = initial - other.once
    year = annuity(np.minimum(months, 12.0), rate)
    worth = machine.worth_at_end * (1 + rate) ** (-months / 12)
    npv = saved_first * year + saved_later * (annuity(months, rate) - year) + worth - invested
    back = payback(np.maximum(invested, 0.0), saved_first, saved_later)
    return _Returns(initial, first, later, np.where(back <= months, back, np.inf), npv)


def annuity(months: FloatArray, rate_per_year: FloatArray) -> FloatArray:
    """Return what 1 at the end of each month is worth today; a part of a month counts as a part.

    >>> annuity(np.array([12.0, 12.0]), np.array([0.0, 0.05])).round(4).tolist()
    [12.0, 11.6882]
    """
    growth = np.log1p(rate_per_year)
    monthly = np.expm1(growth / 12)
    paid = -np.expm1(-months / 12 * growth)
    worth: FloatArray = np.divide(paid, monthly, out=np.array(months, float), where=monthly > 0)
    return worth


def payback(invested: FloatArray, first_year: FloatArray, later: FloatArray) -> FloatArray:
    """Return the months until savings a month of the first and of later years repay a sum.

    >>> one = np.array([1.0])
    >>> [payback(30 * one, a * one, b * one).tolist()[0] for a, b in ((3, 0), (2, 1), (1, -1))]
    [10.0, 18.0, inf]
    """
    early = _over(invested, first_year)
    late = 12 + _over(invested - 12 * first_year, later)
    return np.where(early <= 12, early, late)


def _break_even(own: list[Stream], other: Stream, months: FloatArray) -> FloatArray:
    zero = np.zeros_like(months)
    fixed = sum((one.average_month(months) for one in own), zero) - other.average_month(months)
    saved = other.per_deliverable - sum((one.per_deliverable for one in own), zero)
    return _over(np.maximum(fixed, 0.0), saved)


def _over(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Return the quotient, infinite where the divisor is not above zero."""
    quotient: FloatArray = np.divide(top, bottom, out=np.full_like(top, np.inf), where=bottom > 0)
    return quotient
