"""Lines of equal money lie where a clip's seconds times the price of a second make the amount."""

from __future__ import annotations

import pytest
import reports_fixture as fixture

from poc.cost import evaluate
from poc.cost_file import GpuMode, read_cost
from poc.cost_lines import gpu_lines
from poc.cost_records import CostResult


@pytest.fixture(scope="module")
def cost() -> CostResult:
    return evaluate(read_cost(fixture.SPECS / "cost" / "example.yaml"), seed=0, simulations=50)


def priced(cost: CostResult, per_hour: float, mode: GpuMode, *, is_shared: bool) -> CostResult:
    """The same with one GPU option alone, taken."""
    update = {
        "price_per_hour": per_hour, "mode": mode, "is_shared": is_shared, "is_taken": True,
    }  # fmt: skip
    option = cost.gpu_options[0].model_copy(update=update)
    seconds = cost.seconds.model_copy(update={"is_measured": True, "doubt": None})
    return cost.model_copy(update={"gpu_options": (option,), "seconds": seconds})


def test_at_3600_an_hour_a_second_costs_one(cost: CostResult) -> None:
    lines = gpu_lines(priced(cost, 3600.0, GpuMode.RENTED, is_shared=False), 0.3, 12.0)

    assert [line.amount for line in lines] == pytest.approx([0.5, 1.0, 2.0, 5.0, 10.0])
    assert [line.seconds for line in lines] == pytest.approx([0.5, 1.0, 2.0, 5.0, 10.0])


def test_a_price_half_as_high_pays_for_twice_the_seconds(cost: CostResult) -> None:
    (one,) = gpu_lines(priced(cost, 3600.0, GpuMode.RENTED, is_shared=False), 1.0, 1.0)
    (two,) = gpu_lines(priced(cost, 1800.0, GpuMode.RENTED, is_shared=False), 2.0, 2.0)

    assert one.amount == two.amount
    assert two.seconds == 2 * one.seconds


@pytest.mark.parametrize("mode", [GpuMode.RESERVED, GpuMode.BOUGHT])
def test_gpus_that_are_paid_whole_have_no_price_of_an_hour(cost: CostResult, mode: GpuMode) -> None:
    assert gpu_lines(priced(cost, 3600.0, mode, is_shared=False), 0.3, 12.0) == ()
    assert gpu_lines(priced(cost, 3600.0, mode, is_shared=True), 0.3, 12.0)


def test_seconds_of_another_gpu_are_not_priced(cost: CostResult) -> None:
    measured = priced(cost, 3600.0, GpuMode.RENTED, is_shared=False)
    stated = measured.model_copy(update={"seconds": cost.seconds})

    assert not cost.seconds.is_measured
    assert gpu_lines(stated, 0.3, 12.0) == ()
    assert gpu_lines(measured, 0.3, 12.0)


def test_times_that_cannot_be_are_refused(cost: CostResult) -> None:
    for times in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="expected 0 < fastest"):
            gpu_lines(cost, *times)
