"""Another setting may cost less: what is measured of each differs, all else is the same."""

from __future__ import annotations

import pytest

from poc.cost import evaluate
from poc.cost_file import EXAMPLE, Basis, CostInputs, Quantity, read_cost
from poc.cost_settings import cheaper_settings, settings_beside

INPUTS = read_cost(EXAMPLE)
SIMULATIONS = 1000


def accepted(share: float, half: float, source: str = "votes") -> CostInputs:
    """The example's inputs with an acceptance rate that people gave, known to within `half`."""
    rate = Quantity(
        value=share, low=share - half, high=share + half, is_estimate=True, unit="share",
        date="2026-11-30", source=source, example=False,
    )  # fmt: skip
    changes = {"acceptance_rate": rate, "acceptance_basis": Basis.VOTES}
    return INPUTS.model_copy(update={"material": INPUTS.material.model_copy(update=changes)})


def in_seconds(inputs: CostInputs, seconds: float) -> CostInputs:
    """The same with a time per clip that is known exactly."""
    one = inputs.gpu.seconds_per_clip
    exact = one.model_copy(update={"value": seconds, "low": seconds, "high": seconds})
    return inputs.model_copy(
        update={"gpu": inputs.gpu.model_copy(update={"seconds_per_clip": exact})}
    )


def share_cheaper(ours: CostInputs, other: CostInputs) -> float:
    (found,) = settings_beside(ours, {"other": other}, seed=0, simulations=SIMULATIONS)
    return found.share_cheaper


def test_a_setting_costs_what_the_cost_model_says_of_its_inputs() -> None:
    ours, other = accepted(0.3, 0.05), accepted(0.8, 0.05)
    (found,) = settings_beside(ours, {"a1": other}, seed=0, simulations=100)
    mine, alone = (evaluate(one, seed=0, simulations=100) for one in (ours, other))

    assert found.arm_id == "a1"
    assert found.acceptance == other.material.acceptance_rate
    assert found.cost_per_deliverable == alone.cost_per_deliverable
    assert found.saving_per_deliverable == alone.cost_per_deliverable - mine.cost_per_deliverable
    assert found.working_days == alone.working_days


def test_a_slower_setting_that_is_accepted_far_more_often_is_cheaper() -> None:
    fast, slow = in_seconds(accepted(0.3, 0.05), 1.0), in_seconds(accepted(0.8, 0.05), 4.0)

    assert share_cheaper(fast, slow) == 1.0
    assert share_cheaper(slow, fast) == 0.0


def test_what_both_have_in_common_is_drawn_once() -> None:
    """Wages vary by far more than a second of GPU time costs, and do not blur it."""
    assert share_cheaper(in_seconds(INPUTS, 10.0), in_seconds(INPUTS, 9.0)) == 1.0
    assert share_cheaper(in_seconds(INPUTS, 9.0), in_seconds(INPUTS, 10.0)) == 0.0


def test_the_same_setting_is_never_cheaper_than_itself() -> None:
    assert share_cheaper(accepted(0.5, 0.1), accepted(0.5, 0.1)) == 0.0


def test_equal_rates_of_two_settings_are_drawn_apart() -> None:
    """Of two independent draws of one distribution each is the lower in half the cases."""
    share = share_cheaper(accepted(0.5, 0.1, "votes on one"), accepted(0.5, 0.1, "on the other"))

    assert share == pytest.approx(0.5, abs=4 * 0.5 / SIMULATIONS**0.5)


@pytest.mark.parametrize(("rate", "named"), [(0.8, True), (0.5, False)])
def test_a_setting_has_to_be_justified_over_where_it_is_cheaper_for_certain(
    rate: float, named: bool
) -> None:
    other = accepted(rate, 0.05, "on the other")
    found = settings_beside(accepted(0.5, 0.05), {"a1": other}, seed=0, simulations=SIMULATIONS)
    said = [one.text_en for one in cheaper_settings(found, {"a1": "lcm-4"})]

    assert [text.startswith("Cheaper setting: say why not lcm-4") for text in said] == [
        True
    ] * named
