"""What GPUs cost and how much they work, by how they are paid for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from poc.cost_file import GpuMode
from poc.intervals import FloatArray

Columns = Mapping[str, FloatArray]

HOURS_PER_MONTH: Final = 730.0
"""8760 hours of a year over 12."""


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


class Gpu(NamedTuple):
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
    def of(cls, x: Columns, mode: GpuMode, gpu_s: FloatArray, *, is_shared: bool) -> Gpu:
        """Return the GPUs of a way of paying; `gpu_s` are seconds per accepted clip."""
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
            hours_per_deliverable=x["material.clips_per_deliverable"] * gpu_s / 3600,
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

    def machine(self, x: Columns) -> Machine:
        """Return what is paid for bought ones, and what they are worth at the end."""
        price = self.number(x["deliverables_per_month"]) * self.price
        used = x["horizon_months"] / x["gpu.bought.life_months"]
        lost = (1 - x["gpu.bought.residual_share"]) * used
        return Machine(price, price * (1 - lost))


class Machine(NamedTuple):
    """What is paid for bought GPUs, and what they are worth at the end of the period."""

    price: FloatArray
    worth_at_end: FloatArray
