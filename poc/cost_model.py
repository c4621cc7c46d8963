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
    """At the stated utilisation."""
    gpus_paid: FloatArray
    """Whole ones where this work alone pays for them."""
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
    """Least deliverables a month at which it costs no more than the alternative."""
    cheaper_below_per_month: FloatArray
    """Deliverables a month up to which it does, where more of them cost more; else infinite."""
    payback_months: FloatArray
    """Undiscounted; from then to the end of the period the money stays repaid, or infinite."""
    npv: FloatArray
    working_days: FloatArray


def figures(
    x: Columns, mode: GpuMode, compared_with: AlternativeName, *, is_shared: bool
) -> Figures:
    """Return all figures of every case; the columns hold values that the inputs file allows.

    `is_shared`: other work pays for the rest of the GPUs' time; otherwise reserved and bought GPUs
    are paid for whole.
    """
    clip = _clip(x)
    volume, months = x["deliverables_per_month"], x["horizon_months"]
    gpu = _Gpu.of(x, mode, clip, is_shared=is_shared)
    rest = {Part.PEOPLE: _people(x, clip), Part.FEES: _fees(x), Part.RIGHTS: _charge(x, "rights")}
    streams = {Part.EQUIPMENT: gpu.charged(volume), **rest}
    parts = {part: one.average(months, volume) for part, one in streams.items()}
    other = _charge(x, f"alternatives.{compared_with}")
    money = _returns(x, [gpu.paid(volume), *rest.values()], other, machine=gpu.machine(x))
    hour = gpu.hour_price(volume)
    return Figures(
        **clip._asdict(),
        gpu_hour_price=hour,
        gpu_hours_per_month=gpu.hours(volume),
        gpus=gpu.needed(volume),
        gpus_paid=gpu.number(volume),
        cost_per_accepted_clip=clip.gpu_s_per_accepted / 3600 * hour + _review_cost(x, clip),
        parts=parts,
        cost_per_deliverable=sum(parts.values(), np.zeros_like(volume)),
        alternative=other.average(months, volume),
        working_days=x["material.working_days"],
        **_break_even(gpu, list(rest.values()), other, x)._asdict(),
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


class _Gpu(NamedTuple):
    """What GPUs cost in one way of paying for them, and how much they work.

    Rented ones, and those that other work shares, are paid by the hour of work. Others are paid
    whole, however little they work.
    """

    is_whole: bool
    hours_per_deliverable: FloatArray
    hours_per_month: FloatArray
    """Of style training."""
    capacity: FloatArray
    """Hours of a month in which one works."""
    month_price: FloatArray
    """Of one, without its purchase."""
    month_loss: FloatArray
    """Of value of a bought one."""
    energy_price: FloatArray
    """Of an hour of work; 0 where it is in the price."""
    price: FloatArray
    """Of buying one; 0 where it is not bought."""

    @classmethod
    def of(cls, x: Columns, mode: GpuMode, clip: _Clip, *, is_shared: bool) -> _Gpu:
        zero = np.zeros_like(x["horizon_months"])
        capacity = HOURS_PER_MONTH * x[f"gpu.{mode}.utilisation"]
        loss, energy, price = zero, zero, zero
        if mode is GpuMode.RENTED:
            month = HOURS_PER_MONTH * x["gpu.rented.price_per_hour"]
        elif mode is GpuMode.RESERVED:
            month = x["gpu.reserved.price_per_month"]
        else:
            month, price = x["gpu.bought.hosting_per_month"], x["gpu.bought.price"]
            loss = price * (1 - x["gpu.bought.residual_share"]) / x["gpu.bought.life_months"]
            energy = x["energy.power_kw"] * x["energy.pue"] * x["energy.price_per_kwh"]
        return cls(
            is_whole=not is_shared and mode is not GpuMode.RENTED,
            hours_per_deliverable=x["material.clips_per_deliverable"]
            * clip.gpu_s_per_accepted
            / 3600,
            hours_per_month=x["style.trainings_per_year"] / 12 * x["style.gpu_h_per_training"],
            capacity=capacity,
            month_price=month,
            month_loss=loss,
            energy_price=energy,
            price=price,
        )

    def hours(self, volume: FloatArray) -> FloatArray:
        """Return the hours of work of a month."""
        return self.hours_per_month + self.hours_per_deliverable * volume

    def needed(self, volume: FloatArray) -> FloatArray:
        """Return how many work at the stated utilisation."""
        return self.hours(volume) / self.capacity

    def number(self, volume: FloatArray) -> FloatArray:
        """Return how many are paid for."""
        needed = self.needed(volume)
        return np.maximum(np.ceil(needed), 1.0) if self.is_whole else needed

    def hour_price(self, volume: FloatArray) -> FloatArray:
        """Return the money per hour of work, the value that a bought one loses included."""
        month = self.month_price + self.month_loss
        share = self.number(volume) / self.hours(volume) if self.is_whole else 1 / self.capacity
        return month * share + self.energy_price

    def charged(self, volume: FloatArray) -> Stream:
        """Return what deliverables bear; a bought one by the value that it loses."""
        return self._stream(self.number(volume), self.month_price + self.month_loss)

    def paid(self, volume: FloatArray) -> Stream:
        """Return what is paid month by month, without the purchase of a bought one."""
        return self._stream(self.number(volume), self.month_price)

    def _stream(self, number: FloatArray, month_price: FloatArray) -> Stream:
        if self.is_whole:
            hour, fixed = self.energy_price, number * month_price
        else:
            hour, fixed = month_price / self.capacity + self.energy_price, np.zeros_like(number)
        month = fixed + self.hours_per_month * hour
        return Stream(np.zeros_like(month), month, month, self.hours_per_deliverable * hour)

    def machine(self, x: Columns) -> _Machine:
        """Return what is paid for bought ones, and what they are worth at the end."""
        price = self.number(x["deliverables_per_month"]) * self.price
        used = x["horizon_months"] / x["gpu.bought.life_months"]
        lost = (1 - x["gpu.bought.residual_share"]) * used
        return _Machine(price, price * (1 - lost))


class _Machine(NamedTuple):
    price: FloatArray
    worth_at_end: FloatArray


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
    back = payback(invested, saved_first, saved_later, months)
    return _Returns(initial, first, later, back, npv)


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


def payback(
    invested: FloatArray, first_year: FloatArray, later: FloatArray, months: FloatArray
) -> FloatArray:
    """Return the month from which on savings a month have repaid a sum, to the end of the period.

    What is repaid early and lost again by the end was never paid back.

    >>> one = np.array([1.0])
    >>> cases = ((3, 0), (2, 1), (1, -1), (5, -1))
    >>> [payback(30 * one, a * one, b * one, 36 * one).tolist()[0] for a, b in cases]
    [10.0, 18.0, inf, 6.0]
    >>> payback(30 * one, 5 * one, -1 * one, 60 * one).tolist()
    [inf]
    """
    year = np.minimum(months, 12.0)
    at_year = first_year * year - invested
    at_end = at_year + later * (months - year)
    early = np.where(invested <= 0, 0.0, _over(invested, first_year))
    back = np.where(at_year >= 0, early, year + _over(-at_year, later))
    return np.where(at_end >= 0, back, np.inf)


class _BreakEven(NamedTuple):
    break_even_per_month: FloatArray
    cheaper_below_per_month: FloatArray


ROUNDS: Final = 100
"""Times that more whole GPUs are tried; where they outrun what they earn, there is no end."""


def _break_even(gpu: _Gpu, rest: list[Stream], other: Stream, x: Columns) -> _BreakEven:
    """Return from which volume on, or up to which, it costs no more than the alternative.

    Whole GPUs come in steps: the least volume is found from none upward. Where each deliverable
    costs more than elsewhere, the volume is at most what the GPUs of the stated one can do.
    """
    stated, zero = x["deliverables_per_month"], np.zeros_like(x["horizon_months"])

    def fixed_and_saved(volume: FloatArray) -> tuple[FloatArray, FloatArray]:
        own = [gpu.charged(volume), *rest]
        months = x["horizon_months"]
        fixed = sum((one.average_month(months) for one in own), zero) - other.average_month(months)
        return fixed, other.per_deliverable - sum((one.per_deliverable for one in own), zero)

    volume = zero
    for _ in range(ROUNDS):
        fixed, saved = fixed_and_saved(volume)
        found = np.where((fixed <= 0) & (saved >= 0), 0.0, _over(fixed, saved))
        is_settled = (found == volume) | np.isinf(found)
        volume = np.where(np.isinf(found), volume, np.maximum(found, volume))
        if is_settled.all():
            break
    fixed, saved = fixed_and_saved(stated)
    below = np.where(fixed < 0, _over(-fixed, -saved), np.inf)
    most = (gpu.number(stated) * gpu.capacity - gpu.hours_per_month) / gpu.hours_per_deliverable
    below = np.where(gpu.is_whole, np.minimum(below, most), below)
    below = np.where((fixed < 0) & (saved < 0), below, np.inf)
    return _BreakEven(np.where(is_settled, found, np.inf), below)


def _over(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Return the quotient, infinite where the divisor is not above zero or too close to it."""
    with np.errstate(over="ignore"):
        quotient: FloatArray = np.divide(
            top, bottom, out=np.full_like(top, np.inf), where=bottom > 0
        )
    return quotient
