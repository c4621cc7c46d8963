"""Another setting may cost less: what is measured of each differs, all else is the same."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from simulated_runs import arm

from poc.cost import evaluate
from poc.cost_file import EXAMPLE, Basis, CostInputs, Quantity, read_cost
from poc.cost_light import economic_light
from poc.cost_records import CostResult, EconomicLight, SettingCost
from poc.cost_settings import settings_beside
from poc.records import Light

INPUTS = read_cost(EXAMPLE)
SIMULATIONS = 1000
OTHER = arm("other-4")


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
    (found,) = settings_beside(ours, [(OTHER, other)], seed=0, simulations=SIMULATIONS)
    return found.share_cheaper


def test_a_setting_costs_what_the_cost_model_says_of_its_inputs() -> None:
    ours, other = accepted(0.3, 0.05), accepted(0.8, 0.05)
    (found,) = settings_beside(ours, [(OTHER, other)], seed=0, simulations=100)
    mine, alone = (evaluate(one, seed=0, simulations=100) for one in (ours, other))

    assert (found.arm_id, found.arm) == (OTHER.id, "other-4")
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


# --- what the economic light makes of it ----------------------------------------------------------


def beside(**changes: Any) -> SettingCost:
    """A setting that is the cheaper one in half of the simulations, and keeps no limit."""
    (found,) = settings_beside(INPUTS, [(OTHER, INPUTS)], seed=0, simulations=10)
    return found.model_copy(update={"share_cheaper": 0.5, "share_within_all": 0.0} | changes)


def result(share_within: float, **changes: Any) -> CostResult:
    """A result on numbers that are measured and no examples, within its limits in that share."""
    found = evaluate(INPUTS, seed=0, simulations=10)
    measured = found.seconds.model_copy(update={"doubt": None, "is_measured": True})
    fields = {
        "seconds": measured, "examples": (), "acceptance_basis": Basis.VOTES, "curves": (),
        "review_basis": Basis.VOTES, "share_within_all": share_within,
        "alternatives": tuple(
            one.model_copy(update={"saving_per_deliverable": 1.0}) for one in found.alternatives
        ),
    }  # fmt: skip
    return found.model_copy(update=fields | changes)


@pytest.mark.parametrize(
    ("cheaper", "within", "light"),
    [
        (0.95, 1.0, Light.CONDITIONAL),
        (0.95, None, Light.CONDITIONAL),
        (0.95, 0.2, Light.CONDITIONAL),
        (0.95, 0.199, Light.GO),
        (0.949, 1.0, Light.GO),
    ],
)
def test_a_setting_that_is_cheaper_for_certain_has_to_be_justified_over(
    cheaper: float, within: float | None, light: Light
) -> None:
    other = beside(share_cheaper=cheaper, share_within_all=within)
    found = economic_light(result(1.0), settings=[other])
    said = [one.text_en[:37] for one in found.conditions]

    assert found.light is light
    assert said == ["Cheaper setting: say why not other-4."] * (light is Light.CONDITIONAL)


def weighed(found: EconomicLight) -> list[bool]:
    """Whether another setting is named as the next step, and as a reason."""
    lines = [*([found.next_step] if found.next_step else []), *found.reasons]
    return [
        one.text_en.startswith("Weigh best-8 instead") for one in lines if "Weigh" in one.text_en
    ]


@pytest.mark.parametrize(
    ("share", "light"), [(0.2, Light.INSUFFICIENT_EVIDENCE), (0.199, Light.NO_GO)]
)
def test_no_price_is_refused_while_another_setting_that_passes_may_keep_the_limits(
    share: float, light: Light
) -> None:
    settings = [beside(share_within_all=0.1), beside(arm="best-8", share_within_all=share)]
    found = economic_light(result(0.1), settings=settings)

    assert found.light is light
    assert weighed(found) == [True, True] * (light is Light.INSUFFICIENT_EVIDENCE)


@pytest.mark.parametrize(("share", "named"), [(0.61, [True]), (0.59, [])])
def test_where_the_limits_are_open_a_setting_that_keeps_them_more_surely_comes_next(
    share: float, named: list[bool]
) -> None:
    found = economic_light(result(0.6), settings=[beside(arm="best-8", share_within_all=share)])

    assert found.light is Light.INSUFFICIENT_EVIDENCE
    assert weighed(found) == named


def test_of_example_numbers_no_setting_is_said_to_keep_the_limits() -> None:
    other = beside(arm="best-8", share_within_all=1.0)
    examples = evaluate(INPUTS, seed=0, simulations=10).examples
    found = economic_light(result(0.1, examples=examples), settings=[other])

    assert found.light is Light.INSUFFICIENT_EVIDENCE
    assert weighed(found) == []


def test_of_offers_that_have_ended_no_setting_is_said_to_keep_the_limits() -> None:
    other = beside(arm="best-8", share_within_all=1.0)
    ended = result(0.1, valid_until="2026-01-31")
    found = economic_light(ended, date(2026, 2, 1), settings=[other])

    assert found.light is Light.INSUFFICIENT_EVIDENCE
    assert weighed(found) == []


def test_without_a_limit_no_setting_is_said_to_keep_it() -> None:
    found = economic_light(result(0.1), settings=[beside(share_within_all=None)])

    assert found.light is Light.NO_GO
