"""Seconds at which the GPU time of one generated clip costs a round amount."""

from __future__ import annotations

import math
from typing import NamedTuple

from poc.cost_file import GpuMode
from poc.cost_records import CostResult


class MoneyLine(NamedTuple):
    """An amount in the currency of the inputs, and the seconds of GPU time that it pays for."""

    amount: float
    seconds: float


def gpu_lines(cost: CostResult, fastest_s: float, slowest_s: float) -> tuple[MoneyLine, ...]:
    """Return lines at 1, 2 and 5 times powers of ten between two times of one clip.

    None where the seconds were not measured on the GPU that is to be paid for, and none where GPUs
    are paid whole: an hour of work then costs the less the more there is of it, so that no price
    of an hour holds for a faster and a slower arm.

    Raises:
        ValueError: times that are not positive, or in the wrong order.
    """
    if not 0 < fastest_s <= slowest_s:
        raise ValueError(f"expected 0 < fastest <= slowest, got {fastest_s} and {slowest_s}")
    taken = next((one for one in cost.gpu_options if one.is_taken), None)
    if taken is None or not cost.seconds.is_measured:
        return ()
    if not (taken.is_shared or taken.mode is GpuMode.RENTED):
        return ()
    per_second = taken.price_per_hour / 3600
    if per_second <= 0:
        return ()
    powers = range(
        math.floor(math.log10(fastest_s * per_second)),
        math.floor(math.log10(slowest_s * per_second)) + 1,
    )
    amounts = (digit * 10.0**power for power in powers for digit in (1, 2, 5))
    lines = (MoneyLine(amount, amount / per_second) for amount in amounts)
    return tuple(line for line in lines if fastest_s <= line.seconds <= slowest_s)
