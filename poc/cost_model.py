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
from poc.cost_gpu import Columns, Gpu, Machine, Stream
from poc.intervals import FloatArray

ROLES: Final = tuple(People.model_fields)


class Part(StrEnum):
    """What money is paid for."""

    EQUIPMENT = "equipment"
    """GPUs, and the electricity of bought ones."""
    PEOPLE = "people"
    FEES = "fees"
    """To others: outside work that remains, software, support, integration."""
    RIGHTS = "rights"


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
    gpu = Gpu.of(x, mode, clip.gpu_s_per_accepted, is_shared=is_shared)
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


def _returns(x: Columns, own: list[Stream], other: Stream, *, machine: Machine) -> _Returns:
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


def _break_even(gpu: Gpu, rest: list[Stream], other: Stream, x: Columns) -> _BreakEven:
    """Return from which volume on, or up to which, it costs no more than the alternative."""
    volume = np.zeros_like(x["horizon_months"])
    least, is_settled = volume, np.zeros(volume.shape, bool)
    for _ in range(ROUNDS):  # whole GPUs come in steps: the least volume is found from none upward
        fixed, saved = _fixed_and_saved([gpu.charged(volume), *rest], other, x["horizon_months"])
        least = np.where((fixed <= 0) & (saved >= 0), 0.0, _over(fixed, saved))
        is_settled = (least <= volume) | np.isinf(least)
        volume = np.where(is_settled, volume, least)
        if is_settled.all():
            break
    return _BreakEven(np.where(is_settled, least, np.inf), _cheaper_below(gpu, rest, other, x))


def _cheaper_below(gpu: Gpu, rest: list[Stream], other: Stream, x: Columns) -> FloatArray:
    """Return the volume up to which it costs less, at most what the GPUs paid for can do."""
    stated = x["deliverables_per_month"]
    fixed, saved = _fixed_and_saved([gpu.charged(stated), *rest], other, x["horizon_months"])
    below = _over(-fixed, -saved)
    if gpu.is_whole:
        hours = gpu.number(stated) * gpu.capacity - gpu.hours_per_month
        below = np.minimum(below, hours / gpu.hours_per_deliverable)
    return np.where((fixed < 0) & (saved < 0), below, np.inf)


def _fixed_and_saved(
    own: list[Stream], other: Stream, months: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what ours costs more by the month and less by the deliverable."""
    zero = np.zeros_like(months)
    fixed = sum((one.average_month(months) for one in own), zero) - other.average_month(months)
    return fixed, other.per_deliverable - sum((one.per_deliverable for one in own), zero)


def _over(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Return the quotient, infinite where the divisor is not above zero or too close to it."""
    with np.errstate(over="ignore"):
        quotient: FloatArray = np.divide(
            top, bottom, out=np.full_like(top, np.inf), where=bottom > 0
        )
    return quotient
