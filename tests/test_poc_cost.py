"""Laws of the cost model: the sum done by hand, the right direction of every input, the light."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import small_run
import yaml

from poc import cli
from poc import cost_findings as said
from poc.cost import evaluate
from poc.cost_case import draws
from poc.cost_file import (
    EXAMPLE,
    MOST,
    AlternativeName,
    Basis,
    CostInputs,
    GpuMode,
    Quantity,
    quantities,
    read_cost,
    stated,
)
from poc.cost_light import economic_light
from poc.cost_model import Part, payback
from poc.cost_records import ACCEPTANCE, REVIEW, CostResult, EconomicLight, TimedSeconds
from poc.cost_run import seconds_of_run
from poc.cost_table import cost_text
from poc.errors import InputError
from poc.records import ClipShape, Decision, Light
from poc.store import RunStore
from poc.table import WIDTH, columns

INPUTS: Final = read_cost(EXAMPLE)
NAMES: Final = tuple(quantities(INPUTS))
WORKED: Final = EXAMPLE.with_name("README.md")
DEMO: Final = Path("reports/baselines/demo/decision.json")
ROLES: Final = ("training", "operation", "review", "maintenance")


def changed(inputs: CostInputs, changes: Mapping[str, Any]) -> CostInputs:
    """The inputs with some values under their dotted names; a dictionary is merged."""
    content = json.loads(inputs.to_json())
    for name, new in changes.items():
        node = content
        *outer, last = name.split(".")
        if outer == ["rates"]:
            node, outer, last = content["rates"][0], [], "rate"
        for key in outer:
            node = node[key]
        node[last] = node[last] | new if isinstance(new, dict) else new
    return CostInputs.from_json(json.dumps(content))


def exactly(value: float) -> dict[str, float]:
    """A number that is known."""
    return {"value": value, "low": value, "high": value}


def certain(inputs: CostInputs, **but: Any) -> CostInputs:
    """The inputs without ranges, measured, and with no examples among them."""
    fixed: dict[str, Any] = {
        name: exactly(one.value) | {"example": False} for name, one in quantities(inputs).items()
    }
    measured = {"material.acceptance_basis": "votes", "material.review_basis": "votes"}
    return changed(inputs, fixed | measured | {k.replace("__", "."): v for k, v in but.items()})


REAL: Final = ClipShape(num_frames=16, height=512, width=512, fps=8)


def timed_on(device: str, seconds: float = 6.0, **but: Any) -> TimedSeconds:
    one = Quantity(
        value=seconds, low=seconds, high=seconds, unit="s/clip", date="2026-01-01",
        source="a run", example=False,
    )  # fmt: skip
    facts: dict[str, Any] = {"shape": REAL, "rounds": 6, "is_demonstration": False, **but}
    return TimedSeconds(seconds_per_clip=one, device=device, **facts)


def result_of(inputs: CostInputs, simulations: int = 200, **more: Any) -> CostResult:
    return evaluate(inputs, seed=1, simulations=simulations, **more)


# --- by hand -------------------------------------------------------------------------------------


def values() -> dict[str, float]:
    """The example's values by their dotted names, read by nothing of ours."""
    found: dict[str, float] = {}

    def walk(node: object, name: str) -> None:
        if isinstance(node, dict) and "value" in node and "low" in node:
            found[name] = float(node["value"])
        elif isinstance(node, dict):
            for key, item in node.items():
                walk(item, f"{name}.{key}".strip("."))

    content = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    walk({key: item for key, item in content.items() if key != "rates"}, "")
    found["rates.USD"] = float(content["rates"][0]["rate"]["value"])
    return found


def hours_by_hand(v: Mapping[str, float]) -> float:
    """GPU hours of work a month."""
    attempts = 1 / (v["material.acceptance_rate"] * (1 - v["material.failure_rate"]))
    seconds = attempts * v["gpu.seconds_per_clip"] + v["material.upscale_s_per_clip"]
    clips = v["deliverables_per_month"] * v["material.clips_per_deliverable"]
    styles = v["style.trainings_per_year"] / 12 * v["style.gpu_h_per_training"]
    return clips * seconds / 3600 + styles


def whole_by_hand(v: Mapping[str, float], mode: str) -> int:
    return math.ceil(hours_by_hand(v) / (730 * v[f"gpu.{mode}.utilisation"]))


def alone_price(v: Mapping[str, float], mode: str) -> float:
    """Money per GPU hour of work where whole GPUs are paid for by this work alone."""
    if mode == "rented":
        return hour_price(v, mode)
    energy = v["energy.power_kw"] * v["energy.pue"] * v["energy.price_per_kwh"]
    used = 730 * v[f"gpu.{mode}.utilisation"]
    energy = energy if mode == "bought" else 0
    month = (hour_price(v, mode) - energy) * used
    return whole_by_hand(v, mode) * month / hours_by_hand(v) + energy


def hour_price(v: Mapping[str, float], mode: str) -> float:
    """Money per GPU hour of work, other work paying for the rest of the GPU's time."""
    if mode == "rented":
        return v["gpu.rented.price_per_hour"] * v["rates.USD"] / v["gpu.rented.utilisation"]
    if mode == "reserved":
        return v["gpu.reserved.price_per_month"] / (730 * v["gpu.reserved.utilisation"])
    loss = v["gpu.bought.price"] * (1 - v["gpu.bought.residual_share"])
    fixed = loss / v["gpu.bought.life_months"] + v["gpu.bought.hosting_per_month"]
    energy = v["energy.power_kw"] * v["energy.pue"] * v["energy.price_per_kwh"]
    return fixed / (730 * v["gpu.bought.utilisation"]) + energy


def by_hand(v: Mapping[str, float], mode: str = "rented") -> dict[str, float]:
    """Every figure of the worked example, from the formulas of its page."""
    f = clip_by_hand(v, alone_price(v, mode))
    each_and_month_by_hand(f, v, alone_price(v, mode))
    return_by_hand(f, v)
    whole_gpus_by_hand(f, v)
    return f


def whole_gpus_by_hand(f: dict[str, float], v: Mapping[str, float]) -> None:
    """A deliverable and the return with reserved and bought GPUs that this work alone pays for."""
    volume, months = v["deliverables_per_month"], v["horizon_months"]
    other = f["cost per deliverable"] - f["equipment"]
    hours = hours_by_hand(v)
    for mode in ("reserved", "bought"):
        a_month = alone_price(v, mode) * hours
        f[f"deliverable, whole {mode} GPUs"] = other + a_month / volume
    energy = hours * v["energy.power_kw"] * v["energy.pue"] * v["energy.price_per_kwh"]
    paid = f["whole GPUs, bought"] * v["gpu.bought.hosting_per_month"] + energy
    saved = f["equipment"] * volume - paid
    price = f["whole GPUs, bought"] * v["gpu.bought.price"]
    left = price * (1 - (1 - v["gpu.bought.residual_share"]) * months / v["gpu.bought.life_months"])
    worth = [(1 + f["discount rate a month"]) ** -n for n in range(1, round(months) + 1)]
    f["initial cost, bought GPU"] = f["initial cost"] + price
    f["bought GPU, paid a month"] = paid
    f["bought GPU, worth after the period"] = left
    f["net present value, bought GPU"] = (
        f["net present value"] + saved * sum(worth) - price + left * worth[-1]
    )


def clip_by_hand(v: Mapping[str, float], hour: float) -> dict[str, float]:
    f: dict[str, float] = {}
    f["GPU hours a month"] = hours_by_hand(v)
    f["shared reserved GPU, an hour of work"] = hour_price(v, "reserved")
    f["shared bought GPU, an hour of work"] = hour_price(v, "bought")
    f["whole GPUs, reserved"] = whole_by_hand(v, "reserved")
    f["whole GPUs, bought"] = whole_by_hand(v, "bought")
    f["whole reserved GPU, an hour of work"] = alone_price(v, "reserved")
    f["whole bought GPU, an hour of work"] = alone_price(v, "bought")
    f["reviewed clips per accepted one"] = 1 / v["material.acceptance_rate"]
    f["attempts per accepted clip"] = 1 / (
        v["material.acceptance_rate"] * (1 - v["material.failure_rate"])
    )
    f["GPU seconds per accepted clip"] = (
        f["attempts per accepted clip"] * v["gpu.seconds_per_clip"]
        + v["material.upscale_s_per_clip"]
    )
    f["price of a GPU hour of work"] = hour
    f["GPU per accepted clip"] = f["GPU seconds per accepted clip"] / 3600 * hour
    f["review per accepted clip"] = (
        f["reviewed clips per accepted one"]
        * v["material.review_min_per_clip"] / 60 * v["people.review.price_per_hour"]
    )  # fmt: skip
    f["cost per accepted clip"] = f["GPU per accepted clip"] + f["review per accepted clip"]
    return f


def each_and_month_by_hand(f: dict[str, float], v: Mapping[str, float], hour: float) -> None:
    months = v["horizon_months"]
    clips = v["material.clips_per_deliverable"]
    f["GPU"] = clips * f["GPU per accepted clip"]
    f["review"] = clips * f["review per accepted clip"]
    f["editing"] = (
        v["material.editing_min_per_deliverable"] / 60 * v["people.operation.price_per_hour"]
    )
    f["outside work that remains"] = (1 - v["material.replaced_share"]) * v[
        "alternatives.outsourcing.per_deliverable"
    ]
    f["other fees"] = v["fees.per_deliverable"]
    f["rights"] = v["rights.per_deliverable"]
    each = ("GPU", "review", "editing", "outside work that remains", "other fees", "rights")
    f["each deliverable"] = sum(f[name] for name in each)

    years = {
        year: sum(v[f"people.{r}.price_per_hour"] * v[f"people.{r}.{year}_year_h"] for r in ROLES)
        for year in ("first", "later")
    }
    f["people by role"] = (years["first"] + years["later"] * (months - 12) / 12) / months
    trainings = v["style.trainings_per_year"] / 12
    f["style training, people"] = (
        trainings * v["style.people_h_per_training"] * v["people.training.price_per_hour"]
    )
    f["style training, GPU"] = trainings * v["style.gpu_h_per_training"] * hour
    f["integration and fees by the month"] = v["integration.per_month"] + v["fees.per_month"]
    f["rights by the month"] = v["rights.per_month"]
    f["initial cost"] = v["integration.once"] + v["fees.once"] + v["rights.once"]
    f["paid once, a 36th of it"] = f["initial cost"] / months
    fixed = (
        f["style training, people"] + f["style training, GPU"]
        + f["integration and fees by the month"] + f["rights by the month"]
    )  # fmt: skip
    f["each month"] = f["people by role"] + fixed + f["paid once, a 36th of it"]
    f["fixed in a month of the first year"] = years["first"] / 12 + fixed
    f["fixed in a later month"] = years["later"] / 12 + fixed


def return_by_hand(f: dict[str, float], v: Mapping[str, float]) -> None:
    months, volume = v["horizon_months"], v["deliverables_per_month"]
    f["cost per deliverable"] = f["each deliverable"] + f["each month"] / volume
    f["equipment"] = f["GPU"] + f["style training, GPU"] / volume
    f["people"] = (
        f["review"] + f["editing"] + (f["people by role"] + f["style training, people"]) / volume
    )
    once = v["integration.once"] + v["fees.once"]
    f["fees"] = (
        f["outside work that remains"] + f["other fees"]
        + (f["integration and fees by the month"] + once / months) / volume
    )  # fmt: skip
    f["rights in it"] = (
        f["rights"] + (f["rights by the month"] + v["rights.once"] / months) / volume
    )

    saved = v["alternatives.outsourcing.per_deliverable"] - f["each deliverable"]
    f["break-even, deliverables a month"] = f["each month"] / saved
    f["saved in a month of the first year"] = (
        volume * saved - f["fixed in a month of the first year"]
    )
    f["saved in a later month"] = volume * saved - f["fixed in a later month"]
    f["payback, months"] = (
        12
        + (f["initial cost"] - 12 * f["saved in a month of the first year"])
        / f["saved in a later month"]
    )
    f["discount rate a month"] = rate = (1 + v["discount_rate"]) ** (1 / 12) - 1
    # Month by month, not by the closed form that the page and the model use.
    worth = [(1 + rate) ** -month for month in range(1, round(months) + 1)]
    f["a first year of 1 a month, today"] = sum(worth[:12])
    f["three years of 1 a month, today"] = sum(worth)
    f["net present value"] = (
        f["saved in a month of the first year"] * sum(worth[:12])
        + f["saved in a later month"] * sum(worth[12:])
        - f["initial cost"]
    )


def printed() -> dict[str, str]:
    """Figure -> value, of every row of the page's tables."""
    rows = re.findall(r"^\| (.+?) \| .+ \| ([^|]+) \|$", WORKED.read_text("utf-8"), re.MULTILINE)
    return {name.strip("*"): value for name, value in rows if name != "figure"}


def differs(shown: Mapping[str, str], expected: Mapping[str, float]) -> list[str]:
    """The figures whose printed value is not the expected one at the printed precision."""
    return [
        name
        for name, text in shown.items()
        if name not in expected or not is_rounded(text, expected[name])
    ]


def is_rounded(text: str, value: float) -> bool:
    number = text.replace(",", "").replace("\N{MINUS SIGN}", "-")
    decimals = len(number.partition(".")[2])
    return bool(abs(float(number) - value) <= 0.500001 * 10.0**-decimals)


def test_the_worked_example_prints_what_its_formulas_give() -> None:
    shown, expected = printed(), by_hand(values())

    assert differs(shown, expected) == []
    assert set(shown) == set(expected)


def test_a_slip_in_the_worked_example_is_found() -> None:
    slip = printed() | {"editing": "40,001"}

    assert differs(slip, by_hand(values())) == ["editing"]


def test_the_worked_example_has_a_summary_of_ten_lines_in_japanese() -> None:
    summary = WORKED.read_text("utf-8").partition("## 日本語の要約\n")[2].partition("\n## ")[0]

    assert len([line for line in summary.splitlines() if line.strip()]) == 10


def test_the_page_and_the_sentence_name_the_same_amounts() -> None:
    page, result = WORKED.read_text("utf-8"), result_of(INPUTS)

    assert "470,349円" in page
    assert "470,349円" in result.largest_part.text_ja
    assert "67 %は外部への支払い" in page
    assert "67 %" in result.largest_part.text_ja


def test_the_model_gives_the_worked_example() -> None:
    result, f = result_of(INPUTS), by_hand(values())
    parts = {one.part: one.per_deliverable for one in result.parts}

    assert result.attempts_per_accepted == pytest.approx(f["attempts per accepted clip"])
    assert result.cost_per_accepted_clip == pytest.approx(f["cost per accepted clip"])
    assert result.cost_per_deliverable == pytest.approx(f["cost per deliverable"])
    assert parts[Part.EQUIPMENT] == pytest.approx(f["equipment"])
    assert parts[Part.PEOPLE] == pytest.approx(f["people"])
    assert parts[Part.FEES] == pytest.approx(f["fees"])
    assert parts[Part.RIGHTS] == pytest.approx(f["rights in it"])
    assert result.initial_cost == pytest.approx(f["initial cost"])
    assert result.break_even_per_month == pytest.approx(f["break-even, deliverables a month"])
    assert result.payback_months == pytest.approx(f["payback, months"])
    assert result.npv == pytest.approx(f["net present value"])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("mode", ["rented", "reserved"])
def test_random_inputs_cost_what_the_formulas_say(mode: str, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # no secret
    drawn = {name: rng.uniform(one.low, one.high) for name, one in quantities(INPUTS).items()}
    drawn["horizon_months"] = float(rng.randint(13, 60))
    known = {name: exactly(value) for name, value in drawn.items()}
    result, f = result_of(changed(INPUTS, known | {"gpu.mode": mode}), 1), by_hand(drawn, mode)

    assert result.cost_per_deliverable == pytest.approx(f["cost per deliverable"])
    other = "alternatives.outsourcing"
    gain = drawn[f"{other}.once"] + drawn[f"{other}.per_month"] * sum(
        (1 + f["discount rate a month"]) ** -m for m in range(1, round(drawn["horizon_months"]) + 1)
    )
    assert result.npv == pytest.approx(f["net present value"] + gain)


def test_a_bought_gpu_is_paid_whole_at_the_start_and_sold_at_the_end() -> None:
    inputs = changed(INPUTS, {"gpu.mode": "bought", "discount_rate": exactly(0)})
    result, v = result_of(inputs), values()
    f = by_hand(v, "bought")

    # 1.8 hours a month are far less than one GPU, but nobody sells a part of one.
    assert result.gpus == pytest.approx(1.8 / 365)
    assert (result.gpus_paid, result.whole_gpus) == (1, 1)
    assert result.cost_per_deliverable == pytest.approx(470_348.61 - 337.5 + 137_552.92 / 4)
    assert result.initial_cost == pytest.approx(3_600_000 + 6_000_000)
    assert result.payback_months is None
    # Undiscounted, when money is paid does not matter: what is lost is what an hour is charged.
    assert result.npv == pytest.approx(36 * 4 * (500_000 - f["cost per deliverable"]))
    assert result.npv < 0


def test_named_other_work_pays_for_the_rest_of_a_gpu() -> None:
    named = {"gpu.mode": "bought", "gpu.other_work": "rendering of another team"}
    result, v = result_of(changed(INPUTS, named | {"discount_rate": exactly(0)})), values()
    gpus = 1.8 / 365
    hour = hour_price(v, "bought")

    assert result.gpus_paid == pytest.approx(gpus)
    assert result.initial_cost == pytest.approx(3_600_000 + gpus * 6_000_000)
    assert result.cost_per_deliverable == pytest.approx(470_348.61 + 1.8 / 4 * (hour - 750))
    assert result.npv == pytest.approx(36 * 4 * (500_000 - result.cost_per_deliverable))
    shown = [(one.mode, one.is_shared, one.is_taken) for one in result.gpu_options]
    assert shown == [
        (GpuMode.RENTED, False, False),
        (GpuMode.RESERVED, False, False),
        (GpuMode.RESERVED, True, False),
        (GpuMode.BOUGHT, False, False),
        (GpuMode.BOUGHT, True, True),
    ]
    assert said.shared("rendering of another team") in economic_light(result).reasons


def test_beside_a_rented_gpu_others_are_shown_whole() -> None:
    rented, reserved, bought = result_of(INPUTS).gpu_options

    assert rented.cost_per_deliverable == pytest.approx(470_348.61)
    assert reserved.cost_per_deliverable == pytest.approx(470_348.61 - 337.5 + 255_500 / 4)
    assert bought.cost_per_deliverable == pytest.approx(504_399.34, abs=0.01)
    assert bought.npv == pytest.approx(by_hand(values())["net present value, bought GPU"])
    assert "whole, this work alone" in reserved.label.text_en


def test_work_beyond_one_gpu_is_paid_for_with_a_second() -> None:
    # 365 hours a month are one GPU: 363 hours of training and 0.8 of clips fit, 365 do not.
    just = {"style.trainings_per_year": exactly(12), "gpu.mode": "reserved"}
    one = result_of(changed(INPUTS, just | {"style.gpu_h_per_training": exactly(363)}))
    two = result_of(changed(INPUTS, just | {"style.gpu_h_per_training": exactly(365)}))

    assert (one.gpus_paid, two.gpus_paid) == (1, 2)
    assert two.cost_per_deliverable - one.cost_per_deliverable == pytest.approx(255_500 / 4)


@pytest.mark.parametrize("mode", list(GpuMode))
def test_the_parts_are_the_whole_and_their_shares_are_one(mode: GpuMode) -> None:
    result = result_of(changed(INPUTS, {"gpu.mode": mode.value}))

    assert sum(one.per_deliverable for one in result.parts) == pytest.approx(
        result.cost_per_deliverable
    )
    assert sum(one.share for one in result.parts) == pytest.approx(1)
    (taken,) = (one for one in result.gpu_options if one.is_taken)
    assert taken.mode is mode
    assert taken.cost_per_accepted_clip == pytest.approx(result.cost_per_accepted_clip)


def test_at_the_break_even_volume_both_ways_cost_the_same() -> None:
    even = result_of(INPUTS).break_even_per_month
    assert even is not None
    result = result_of(changed(INPUTS, {"deliverables_per_month": exactly(even)}))

    assert result.cost_per_deliverable == pytest.approx(500_000)


@pytest.mark.parametrize("mode", ["reserved", "bought"])
def test_at_the_break_even_volume_of_whole_gpus_both_ways_cost_the_same(mode: str) -> None:
    # An hour a clip and much to earn back: it takes several GPUs.
    heavy = {"gpu.mode": mode, "gpu.seconds_per_clip": exactly(3600), "fees.once": exactly(5e8)}
    inputs = changed(INPUTS, heavy | {"horizon_months": exactly(36)})
    even = result_of(inputs).break_even_per_month
    assert even is not None
    result = result_of(changed(inputs, {"deliverables_per_month": exactly(even)}))

    assert result.gpus_paid > 1
    assert result.cost_per_deliverable == pytest.approx(500_000)


def test_where_the_alternative_has_a_high_fee_ours_is_cheaper_below_a_volume() -> None:
    fee = {"compared_with": "stock_footage", "alternatives.stock_footage.per_month": exactly(3e6)}
    result = result_of(changed(INPUTS, fee))
    # Each month costs 3,000,000 - 651,194.44 less, each deliverable 307,550 - 180,000 more.
    below = (3e6 - 651_194.444) / (307_550 - 180_000)

    assert result.break_even_per_month is None
    assert result.cheaper_below_per_month == pytest.approx(below)
    text = cost_text(result, economic_light(result))
    assert "cheaper below 18.4 deliverables a month" in text
    at = result_of(changed(INPUTS, fee | {"deliverables_per_month": exactly(below)}))
    other = next(one for one in at.alternatives if one.name is AlternativeName.STOCK_FOOTAGE)
    assert other.saving_per_deliverable == pytest.approx(0, abs=0.01)


def test_what_is_cheaper_by_the_month_and_by_the_deliverable_is_so_at_any_volume() -> None:
    result = result_of(changed(INPUTS, {"alternatives.outsourcing.per_month": exactly(3e6)}))

    assert result.break_even_per_month == 0
    assert result.cheaper_below_per_month is None
    assert "cheaper at any volume" in cost_text(result, economic_light(result))


def test_what_is_paid_back_early_and_lost_again_is_not_paid_back() -> None:
    hours = {f"people.{role}.first_year_h": exactly(0) for role in ROLES}
    hours |= {f"people.{role}.later_year_h": exactly(500) for role in ROLES}
    once = {"integration.once": exactly(1e5), "rights.once": exactly(0)}
    result = result_of(changed(INPUTS, hours | once))
    first, later = result.first_year_cost / 12, result.later_year_cost / 12
    gained = 12 * (2e6 - first) + 24 * (2e6 - later)

    assert 12 * (2e6 - first) > result.initial_cost
    assert gained < result.initial_cost
    assert result.npv < 0
    assert result.payback_months is None


def test_payback_is_the_last_time_the_balance_passes_zero_month_by_month() -> None:
    rng = random.Random(3)  # noqa: S311  # no secret
    for _ in range(300):
        months, invested = rng.randint(1, 40), rng.randint(-50, 100)
        first, later = rng.randint(-10, 15), rng.randint(-10, 15)
        columns = [np.array([float(n)]) for n in (invested, first, later, months)]
        found = payback(*columns)[0]
        balance = [-invested]
        for month in range(1, months + 1):
            balance.append(balance[-1] + (first if month <= 12 else later))
        if balance[-1] < 0:
            assert found == math.inf
            continue
        bad = max((n for n, money in enumerate(balance) if money < 0), default=-1)
        assert bad < found <= bad + 1 if bad >= 0 else found == 0


def test_what_never_pays_has_no_break_even_and_no_payback() -> None:
    result = result_of(changed(INPUTS, {"material.replaced_share": exactly(0)}))

    assert result.break_even_per_month is None
    assert result.payback_months is None
    assert result.npv < 0
    assert "not within the period" in result.limits[1].said.text_en


def test_a_payback_after_the_period_is_none() -> None:
    at_ease = changed(INPUTS, {"horizon_months": exactly(20)})
    too_short = changed(INPUTS, {"horizon_months": exactly(19)})

    assert result_of(at_ease).payback_months == pytest.approx(19.346, abs=1e-3)
    assert result_of(too_short).payback_months is None


def test_nothing_that_costs_nothing_divides_by_zero() -> None:
    free = {
        name: exactly(0)
        for name, one in quantities(INPUTS).items()
        if one.unit.startswith(("JPY", "USD")) and not name.startswith("rates.")
    }
    result = result_of(changed(INPUTS, free))

    assert result.cost_per_deliverable == 0
    assert result.npv == 0
    assert {one.share for one in result.parts} == {0.0}


# --- every input in its direction ----------------------------------------------------------------

# What more of an input does to the cost of a deliverable; all others raise it.
CHEAPER: Final = {
    "deliverables_per_month", "horizon_months", "material.acceptance_rate",
    "material.replaced_share", "gpu.rented.utilisation", "gpu.reserved.utilisation",
    "gpu.bought.utilisation", "gpu.bought.residual_share", "gpu.bought.life_months",
}  # fmt: skip
NO_MATTER: Final = {
    "discount_rate", "material.working_days",
    *(f"alternatives.{name}.{what}" for name in AlternativeName
      for what in ("once", "per_month", "per_deliverable", "working_days")),
} - {"alternatives.outsourcing.per_deliverable"}  # fmt: skip
# What more of an input does to the net present value, where it is not the other way round.
OTHERWISE: Final = {
    "alternatives.outsourcing.once": 1, "alternatives.outsourcing.per_month": 1,
    "alternatives.outsourcing.per_deliverable": 1, "discount_rate": -1,
}  # fmt: skip
# Where these lead depends on whether a month pays; the example does.
BY_CASE: Final = {"deliverables_per_month", "horizon_months", "discount_rate"}


def is_unused(name: str, mode: GpuMode) -> bool:
    other = name.startswith("gpu.") and name.split(".")[1] in set(GpuMode) - {mode}
    energy = name.startswith("energy.") and mode is not GpuMode.BOUGHT
    return other or energy or (name == "rates.USD" and mode is not GpuMode.RENTED)


def cost_sign(name: str, mode: GpuMode) -> int:
    if name in NO_MATTER or is_unused(name, mode):
        return 0
    return -1 if name in CHEAPER else 1


def npv_sign(name: str, mode: GpuMode) -> int:
    return OTHERWISE.get(name, -cost_sign(name, mode))


def wrong_ways(result: CostResult, names: Iterable[str] = NAMES) -> list[str]:
    """The inputs that do not move cost and value the way they must, from low to high.

    Whole GPUs cost the same however much of their time is used, until one more is needed.
    """
    asked = set(names)
    none = set() if result.mode is GpuMode.RENTED or result.other_work is not None else {0}
    return sorted(
        one.name
        for one in result.tornado
        if one.name in asked
        and one.low < one.high
        and (
            sign_of(one.cost_at_low, one.cost_at_high)
            not in none | {cost_sign(one.name, result.mode)}
            or sign_of(one.npv_at_low, one.npv_at_high)
            not in none | {npv_sign(one.name, result.mode)}
        )
    )


def sign_of(low: float, high: float) -> int:
    return 0 if math.isclose(low, high, rel_tol=1e-12) else (1 if high > low else -1)


OTHER_WORK: Final = pytest.mark.parametrize("other_work", ["rendering", None])


@OTHER_WORK
@pytest.mark.parametrize("mode", list(GpuMode))
def test_every_input_moves_cost_and_value_the_way_it_must(
    mode: GpuMode, other_work: str | None
) -> None:
    paid = {"gpu.mode": mode.value, "gpu.other_work": other_work}
    result = result_of(changed(INPUTS, paid), 1)

    assert {one.name for one in result.tornado} == set(NAMES)
    # Discounting helps what loses money, as whole GPUs do here.
    loses = {"discount_rate"} if result.npv < 0 else set()
    assert wrong_ways(result, set(NAMES) - loses) == []


@OTHER_WORK
@pytest.mark.parametrize("mode", list(GpuMode))
def test_so_it_does_between_any_two_points_of_its_range(
    mode: GpuMode, other_work: str | None
) -> None:
    rng = random.Random(mode.value)  # noqa: S311  # no secret
    wide = {name: (one.low, one.high) for name, one in quantities(INPUTS).items()}
    wide["gpu.seconds_per_clip"] = (3, 30_000)  # one GPU, or tens of them
    numbers = set()
    for _ in range(25):
        points = {name: sorted(rng.uniform(*ends) for _ in range(3)) for name, ends in wide.items()}
        ranges = {
            name: {"low": low, "value": value, "high": high}
            for name, (low, value, high) in points.items()
        }
        paid = {"gpu.mode": mode.value, "gpu.other_work": other_work}
        result = result_of(changed(INPUTS, ranges | paid), 1)
        numbers.add(result.whole_gpus)

        assert wrong_ways(result, set(NAMES) - BY_CASE) == []
    assert len(numbers) > 3


@pytest.mark.parametrize("name", sorted(BY_CASE))
def test_what_depends_on_the_case_is_monotone_all_the_way(name: str) -> None:
    one = quantities(INPUTS)[name]
    steps = np.linspace(one.low, one.high, 12).tolist()
    found = [result_of(changed(INPUTS, {name: exactly(step)}), 1) for step in steps]
    costs, worth = ([getattr(r, key) for r in found] for key in ("cost_per_deliverable", "npv"))

    assert costs == sorted(costs, reverse=name in CHEAPER)
    assert worth == sorted(worth, reverse=name == "discount_rate")


def test_a_wrong_direction_is_found() -> None:
    result = result_of(INPUTS, 1)
    first = result.tornado[0]
    turned = first.model_copy(
        update={"cost_at_low": first.cost_at_high, "cost_at_high": first.cost_at_low}
    )

    assert wrong_ways(result.model_copy(update={"tornado": (turned,)})) == [first.name]


def test_the_tornado_is_the_model_at_both_ends_longest_first() -> None:
    result = result_of(INPUTS)
    swings = [one.cost_swing for one in result.tornado]

    assert swings == sorted(swings, reverse=True)
    for one in result.tornado[:5]:
        at_low = result_of(changed(INPUTS, {one.name: exactly(one.low)}), 1)
        assert at_low.cost_per_deliverable == pytest.approx(one.cost_at_low)
        assert at_low.npv == pytest.approx(one.npv_at_low)


# --- currencies ----------------------------------------------------------------------------------


def test_a_price_in_another_currency_is_its_rate_times_the_price() -> None:
    in_yen = {"gpu.rented.price_per_hour": exactly(525) | {"unit": "JPY/h"}}
    weaker = changed(INPUTS, {"rates.USD": exactly(172.5)})

    same, dearer = result_of(changed(INPUTS, in_yen)), result_of(weaker)

    assert same.cost_per_deliverable == pytest.approx(result_of(INPUTS).cost_per_deliverable)
    assert dearer.gpu_options[0].price_per_hour == pytest.approx(750 * 172.5 / 150)


def test_inputs_that_no_file_could_hold_are_refused_and_not_computed() -> None:
    bad = changed(INPUTS, {"gpu.rented.utilisation": exactly(0)})

    with pytest.raises(
        ValueError, match="expected a number of at least 1e-06 and at most 1, got 0"
    ):
        evaluate(bad, seed=0)
    with pytest.raises(ValueError, match="simulations: expected at least 1, got 0"):
        evaluate(INPUTS, seed=0, simulations=0)


def test_the_ends_of_what_is_allowed_can_be_computed_and_printed() -> None:
    rng = random.Random(1)  # noqa: S311  # no secret
    for _ in range(40):
        ends = {
            one.name: exactly(rng.choice([one.rule.least, one.rule.most]))
            for one in stated(INPUTS)
            if isinstance(one.number, Quantity)
        }
        ends["gpu.bought.life_months"] = exactly(MOST)
        result = result_of(changed(INPUTS, ends | {"gpu.mode": rng.choice(list(GpuMode))}), 2)

        json.dumps(result.model_dump(mode="json"), allow_nan=False)
        assert cost_text(result, economic_light(result))


def test_large_numbers_are_printed_in_groups_with_their_currency_and_never_with_an_exponent() -> (
    None
):
    price = {"value": 500_000.0, "low": 300_000.0, "high": 6e6}
    often = {"alternatives.outsourcing.per_deliverable": price}
    result = result_of(changed(INPUTS, often | {"deliverables_per_month": exactly(12_345.0)}))
    lines = cost_text(result, economic_light(result)).splitlines()

    assert "12,345 deliverables a month, 36 months" in lines
    (row,) = [line for line in lines if "JPY/deliverable" in line and "6,000,000" in line]
    assert re.search(r"outsourcing.* 300,000 +6,000,000 JPY/deliverable ", row)
    (row,) = [line for line in lines if line.startswith("  initial cost")]
    assert row.split()[2:] == ["3,600,000", "JPY"]
    assert [line for line in lines if re.search(r"\de\+\d", line)] == []


# --- simulation ----------------------------------------------------------------------------------


def test_a_triangle_has_its_mean_and_stays_in_its_range() -> None:
    drawn = draws(quantities(INPUTS), seed=3, runs=20_000)

    for name, one in quantities(INPUTS).items():
        third = (one.low + one.value + one.high) / 3
        spread = math.sqrt(
            (one.low**2 + one.value**2 + one.high**2
             - one.low * one.value - one.low * one.high - one.value * one.high) / 18
        )  # fmt: skip
        assert one.low <= drawn[name].min() <= drawn[name].max() <= one.high
        assert drawn[name].mean() == pytest.approx(third, abs=5 * spread / math.sqrt(20_000))


def test_inputs_are_drawn_apart() -> None:
    drawn = draws(quantities(INPUTS), seed=3, runs=20_000)
    table = np.array([drawn["deliverables_per_month"], drawn[ACCEPTANCE], drawn[REVIEW]])

    assert np.abs(np.corrcoef(table) - np.eye(3)).max() < 0.03


def test_the_same_seed_gives_the_same_record_and_another_does_not() -> None:
    first, again = evaluate(INPUTS, seed=5), evaluate(INPUTS, seed=5)

    assert first.to_json() == again.to_json()
    assert first.simulation != evaluate(INPUTS, seed=6).simulation


def test_without_ranges_every_simulation_is_the_stated_case() -> None:
    result = result_of(certain(INPUTS))
    spread = result.simulation.cost_per_deliverable

    assert spread.low == spread.median == spread.high == pytest.approx(result.cost_per_deliverable)
    assert result.simulation.share_paid_back == 1


def test_a_wider_range_widens_the_interval() -> None:
    name = "alternatives.outsourcing.per_deliverable"
    narrow = result_of(changed(INPUTS, {name: {"low": 450_000, "high": 550_000}}))
    wide = result_of(INPUTS)

    def width(result: CostResult) -> float:
        one = result.simulation.cost_per_deliverable
        assert one.low is not None
        assert one.high is not None
        return one.high - one.low

    assert width(narrow) < width(wide)


def test_intervals_are_called_shares_of_simulations_in_both_languages() -> None:
    words = result_of(INPUTS).simulation.distribution

    assert "not confidence intervals" in words.text_en
    assert "信頼区間ではない" in words.text_ja


# --- assumed, stated, measured -------------------------------------------------------------------


def test_what_is_assumed_is_given_as_a_curve_over_its_range() -> None:
    result = result_of(INPUTS)

    assert [curve.name for curve in result.curves] == [ACCEPTANCE, REVIEW]
    for curve in result.curves:
        one = quantities(INPUTS)[curve.name]
        assert curve.points[0].value == one.low
        assert curve.points[-1].value == one.high
        costs = [point.cost_per_deliverable for point in curve.points]
        assert costs == sorted(costs, reverse=curve.name == ACCEPTANCE)


def test_what_is_measured_has_no_curve() -> None:
    votes = {"material.acceptance_basis": "votes", "material.review_basis": "votes"}
    oracle = {"material.acceptance_basis": "oracle", "material.review_basis": "votes"}

    assert result_of(changed(INPUTS, votes)).curves == ()
    assert [c.basis for c in result_of(changed(INPUTS, oracle)).curves] == [Basis.ORACLE]


@pytest.mark.parametrize(
    ("device", "is_measured"),
    [
        (INPUTS.gpu.model, True),
        (INPUTS.gpu.model.lower().replace(" ", "-"), True),
        ("NVIDIA H100 PCIe", False),
        ("NVIDIA H100", False),
        ("cpu", False),
    ],
)
def test_seconds_are_measured_on_the_same_gpu_model_only(device: str, is_measured: bool) -> None:
    result = result_of(INPUTS, timed=timed_on(device, 12.0))

    assert result.seconds.value == 12.0
    assert result.seconds.is_measured is is_measured
    assert result.attempts_per_accepted * 12 + 20 == pytest.approx(70)
    assert result.cost_per_accepted_clip == pytest.approx(70 / 3600 * 750 + 150)


@pytest.mark.parametrize(
    ("facts", "doubt"),
    [
        ({}, ""),
        ({"is_demonstration": True}, "from a demonstration, with clips of 16 frames, 512 x 512"),
        # The range of n clips misses their median in 2 of 2^n cases: 1/16 with five, 1/32 with six.
        ({"rounds": 5}, "from 5 rounds, 6 are needed"),
        ({"rounds": 1}, "from 1 round, 6 are needed"),
    ],
)
def test_seconds_of_a_toy_or_of_few_rounds_are_no_measurement(
    facts: dict[str, Any], doubt: str
) -> None:
    timed = timed_on(INPUTS.gpu.model, **facts)
    result = result_of(changed(certain(INPUTS), ONE_WAY), timed=timed)
    light = economic_light(result)

    assert result.seconds.is_measured is (doubt == "")
    assert light.light is (Light.CONDITIONAL if doubt else Light.GO)
    assert names(light) == (["Seconds per clip"] if doubt else [])
    assert all(doubt in one.text_en for one in light.conditions)
    text = cost_text(result, light)
    assert "clips of 16 frames, 512 x 512" in text
    assert doubt in text


def test_seconds_of_the_inputs_are_stated() -> None:
    assert not result_of(INPUTS).seconds.is_measured
    assert "stated" in cost_text(result_of(INPUTS), economic_light(result_of(INPUTS)))


# --- the sentence --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "en", "ja"),
    [
        ({}, "fees are the largest part", "最大は外部への支払い"),
        ({"material.replaced_share": exactly(1)}, "people are the largest", "最大は人件費"),
        ({"rights.per_deliverable": exactly(9e5)}, "rights are the largest", "最大は権利"),
        ({"gpu.rented.price_per_hour": exactly(5e4)}, "equipment is the largest", "最大は機器"),
    ],
)
def test_the_sentence_names_the_largest_part(change: dict[str, Any], en: str, ja: str) -> None:
    words = result_of(changed(INPUTS, change)).largest_part

    assert en in words.text_en
    assert ja in words.text_ja


# --- the light -----------------------------------------------------------------------------------

ONE_WAY: Final = {
    f"alternatives.{name}.per_deliverable": exactly(5e5) | {"example": False}
    for name in ("outside_partner", "stock_footage", "own_shooting")
}


def light_of(inputs: CostInputs, device: str | None = INPUTS.gpu.model) -> EconomicLight:
    timed = None if device is None else timed_on(device)
    return economic_light(result_of(changed(inputs, ONE_WAY), timed=timed))


def names(light: EconomicLight) -> list[str]:
    return [one.text_en.partition(":")[0] for one in light.conditions]


def test_within_every_limit_on_measured_numbers_is_go() -> None:
    light = light_of(certain(INPUTS))

    assert light.light is Light.GO
    assert light.conditions == ()
    assert light.next_step is None


@pytest.mark.parametrize(
    ("day", "light"), [(31, Light.GO), (32, Light.CONDITIONAL)], ids=["last day", "day after"]
)
def test_offers_carry_a_go_to_their_last_day(day: int, light: Light) -> None:
    result = result_of(changed(certain(INPUTS), ONE_WAY), timed=timed_on(INPUTS.gpu.model))
    offered = result.model_copy(update={"valid_until": "2026-12-31"})

    found = economic_light(offered, date(2026, 11, 30) + timedelta(days=day))

    assert found.light is light
    assert names(found) == ([] if light is Light.GO else ["Prices"])


def test_offers_that_have_ended_show_no_no_go() -> None:
    limit = {"limits.price_per_deliverable": {"value": 470_000}}
    result = result_of(changed(certain(INPUTS), ONE_WAY | limit), timed=timed_on("any"))
    offered = result.model_copy(update={"valid_until": "2026-12-31"})

    assert economic_light(offered, date(2026, 12, 31)).light is Light.NO_GO
    assert economic_light(offered, date(2027, 1, 1)).light is Light.INSUFFICIENT_EVIDENCE


def test_a_roll_out_moves_no_figure_and_is_printed() -> None:
    planned = result_of(INPUTS)
    without = result_of(INPUTS.model_copy(update={"rollout": None}))

    assert planned.model_copy(update={"rollout": None}) == without
    text = cost_text(planned, economic_light(planned))
    assert "shadow: 3 months, 25 % of the deliverables, at most 3,000,000 JPY." in text
    assert "roll-out" not in cost_text(without, economic_light(without))


def test_beyond_a_limit_is_no_go() -> None:
    limit = {"limits.price_per_deliverable": {"value": 470_000}}
    light = light_of(changed(certain(INPUTS), limit))

    assert light.light is Light.NO_GO
    assert any("limit 470,000 JPY; within it in 0 %" in one.text_en for one in light.reasons)


@pytest.mark.parametrize(
    ("change", "device", "condition"),
    [
        ({"material.acceptance_basis": "assumed"}, INPUTS.gpu.model, "Acceptance rate"),
        ({"material.review_basis": "assumed"}, INPUTS.gpu.model, "Review minutes"),
        ({}, None, "Seconds per clip"),
        ({}, "NVIDIA H100 PCIe", "Seconds per clip"),
        ({"fees.per_month": {"example": True}}, INPUTS.gpu.model, "Example inputs"),
        ({"alternatives.own_shooting.once": exactly(0)}, INPUTS.gpu.model, ""),
    ],
)
def test_what_is_open_makes_it_conditional_by_name(
    change: dict[str, Any], device: str | None, condition: str
) -> None:
    light = light_of(changed(certain(INPUTS), change), device)

    assert names(light) == ([condition] if condition else [])
    assert light.light is (Light.CONDITIONAL if condition else Light.GO)
    assert all(one.text_ja for one in light.conditions)


def test_a_cheaper_way_has_to_be_answered() -> None:
    result = result_of(certain(INPUTS), timed=timed_on(INPUTS.gpu.model))
    light = economic_light(result)

    assert light.light is Light.CONDITIONAL
    assert [one.text_en for one in light.conditions] == [
        said.justify_over(name).text_en
        for name in (
            AlternativeName.OUTSIDE_PARTNER,
            AlternativeName.STOCK_FOOTAGE,
            AlternativeName.OWN_SHOOTING,
        )
    ]


def test_examples_that_are_only_shown_are_counted_and_marked() -> None:
    shown = {
        "gpu.bought.price": {"example": True},
        "alternatives.stock_footage.once": {"example": True},
    }
    result = result_of(changed(certain(INPUTS), shown))
    text = cost_text(result, economic_light(result))

    assert (result.examples, result.other_examples) == ((), 2)
    assert "EXAMPLE: 2 examples stand behind what is shown beside ours" in text
    marked = [line.split("(")[0].strip() for line in text.splitlines() if "(example)" in line]
    assert marked == ["promotional video of 30 seconds", "stock footage", "bought"]
    none = result_of(certain(INPUTS))
    assert "money in JPY; no examples" in cost_text(none, economic_light(none))


def test_an_example_that_is_not_used_is_no_condition() -> None:
    unused = {"gpu.bought.price": {"example": True}, "energy.pue": {"example": True}}

    assert light_of(changed(certain(INPUTS), unused)).light is Light.GO


def test_without_a_limit_nothing_can_be_said() -> None:
    nothing = {f"limits.{name}": None for name in type(INPUTS.limits).model_fields}
    light = light_of(changed(certain(INPUTS), nothing))

    assert light.light is Light.INSUFFICIENT_EVIDENCE
    assert "no limit" in light.reasons[0].text_en
    assert light.next_step == said.set_limits()


def test_neither_nearly_always_nor_hardly_ever_is_insufficient_and_names_what_to_narrow() -> None:
    wide = {"alternatives.outsourcing.per_deliverable": {"low": 3e5, "high": 8e5}}
    light = light_of(changed(certain(INPUTS), wide))

    assert light.light is Light.INSUFFICIENT_EVIDENCE
    assert light.next_step is not None
    assert "outsourcing, per deliverable" in light.next_step.text_en


def test_no_assumed_rate_leads_to_no_go_while_another_value_of_its_range_would_do() -> None:
    limit = {"limits.price_per_deliverable": {"value": 470_000}}
    assumed = {ACCEPTANCE: {"low": 0.1, "high": 0.9}, "material.acceptance_basis": "assumed"}
    inputs = changed(certain(INPUTS), limit | assumed)
    light = light_of(inputs)

    # Generating and reviewing costs 620.83 / rate; 348.61 must go: from 0.2908 on.
    assert light.light is Light.CONDITIONAL
    assert any(
        "Show clips, acceptance rate of at least 30 %" in c.text_en for c in light.conditions
    )

    hopeless = {"limits.price_per_deliverable": {"value": 460_000}}
    assert light_of(changed(inputs, hopeless)).light is Light.NO_GO


def test_examples_are_no_evidence_for_no_go_either() -> None:
    limit = {"limits.price_per_deliverable": {"value": 400_000}}
    inputs = changed(certain(INPUTS), limit)
    example = changed(inputs, {"fees.per_month": {"example": True}})

    assert light_of(inputs).light is Light.NO_GO
    light = light_of(example)
    assert light.light is Light.INSUFFICIENT_EVIDENCE
    assert said.examples_are_no_evidence() in light.reasons


def test_assumed_or_example_inputs_never_give_go_however_good_the_numbers() -> None:
    for seed in range(10):
        rng = random.Random(seed)  # noqa: S311  # no secret
        cheap = {"alternatives.outsourcing.per_deliverable": exactly(rng.uniform(4e5, 9e6))}
        limits = {"limits.price_per_deliverable": {"value": 9e9}}
        basis = {"material.acceptance_basis": Basis.ASSUMED.value}
        light = light_of(changed(certain(INPUTS), cheap | limits | basis))

        assert light.light is not Light.GO


@pytest.mark.parametrize("basis", ["material.acceptance_basis", "material.review_basis"])
def test_what_the_oracle_says_never_gives_go(basis: str) -> None:
    light = light_of(changed(certain(INPUTS), {basis: "oracle"}))

    assert light.light is Light.CONDITIONAL
    assert len(light.conditions) == 1
    assert "the tiny world's oracle" in light.conditions[0].text_en
    assert "判定器" in light.conditions[0].text_ja


def test_two_limits_that_each_hold_in_95_percent_do_not_hold_at_once() -> None:
    # A triangle from 0 over 0 to 1 lies above 1 - r with probability r^2: 4.5 % here, of each.
    edge = 1 - math.sqrt(0.045)
    days = {"value": 0, "low": 0, "high": 1}
    fee = {"value": 0, "low": 0, "high": 1e5}
    base = result_of(changed(certain(INPUTS), {"fees.per_deliverable": exactly(0)}), 1)
    price = {"value": base.cost_per_deliverable + 1e5 * edge}
    ranges = {
        "material.working_days": days,
        "fees.per_deliverable": fee,
        "limits.price_per_deliverable": price,
        "limits.payback_months": None,
        "limits.working_days": {"value": edge},
    }
    dear = {name: exactly(1e6) | {"example": False} for name in ONE_WAY}
    inputs = changed(certain(INPUTS), ranges | dear)
    result = evaluate(inputs, seed=2, timed=timed_on(INPUTS.gpu.model), simulations=20_000)
    shares = [check.share_within for check in result.limits]

    assert shares == pytest.approx([0.955, 0.955], abs=0.004)
    assert result.share_within_all == pytest.approx(0.955**2, abs=0.006)
    light = economic_light(result)
    assert light.light is Light.INSUFFICIENT_EVIDENCE
    assert said.all_limits(0.912) in light.reasons

    one = changed(inputs, {"limits.working_days": None, "limits.price_per_deliverable": price})
    alone = evaluate(one, seed=2, timed=timed_on(INPUTS.gpu.model), simulations=20_000)
    assert alone.share_within_all == alone.limits[0].share_within
    assert economic_light(alone).light is Light.GO


def test_curves_count_what_is_within_all_limits_at_once() -> None:
    result = result_of(INPUTS, 2000)

    for curve in result.curves:
        for point in curve.points:
            at = result_of(changed(INPUTS, {curve.name: exactly(point.value)}), 2000)
            assert point.share_within == pytest.approx(at.share_within_all)
            assert point.share_within is not None
            assert point.share_within <= min(check.share_within for check in at.limits)


def test_what_the_oracle_says_is_told_apart() -> None:
    by_oracle = changed(certain(INPUTS), {"material.acceptance_basis": "oracle"})

    assert said.oracle() in light_of(by_oracle).reasons
    assert said.oracle() not in light_of(certain(INPUTS)).reasons


def test_the_shipped_example_decides_nothing() -> None:
    light = economic_light(evaluate(INPUTS, seed=0))

    assert light.light is Light.INSUFFICIENT_EVIDENCE
    assert "Example inputs" in names(light)


# --- a run and the command -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two arms: lcm-1 timed at 1, 2 and 9 s (and a cold 99 s), lcm-2 not at all."""
    path = tmp_path_factory.mktemp("cost") / "run"
    with small_run.open_store(path) as store:
        one = small_run.latency(store.plan.arms[0])
        for number, seconds in ((-1, 99.0), (0, 9.0), (1, 1.0), (2, 2.0)):
            store.append_latency(one.model_copy(update={"round": number, "total_s": seconds}))
    return path


def test_a_run_gives_the_median_of_its_warm_clips(run: Path) -> None:
    timed = seconds_of_run(run, "lcm-1")
    one = timed.seconds_per_clip

    assert (one.low, one.value, one.high) == (1.0, 2.0, 9.0)
    assert not one.example
    assert timed.device == "cpu"
    assert "3 timed clips of lcm-1" in one.source
    assert (timed.rounds, timed.shape, timed.is_demonstration) == (3, small_run.SHAPE, True)


def test_tiny_weights_are_a_demonstration_whatever_the_run_is_called(tmp_path: Path) -> None:
    made = small_run.plan()
    bought = made.model_copy(update={"spec": made.spec.model_copy(update={"kind": "procurement"})})
    arm = made.arms[0].model_copy(update={"model_digests": {"tiny-base": "0" * 64}})
    toy = bought.model_copy(update={"arms": (arm, *made.arms[1:])})
    for name, plan in (("real", bought), ("toy", toy)):
        with small_run.open_store(tmp_path / name, plan) as store:
            store.append_latency(small_run.latency(arm))

    assert not seconds_of_run(tmp_path / "real", "lcm-1").is_demonstration
    assert seconds_of_run(tmp_path / "toy", "lcm-1").is_demonstration


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"device": "\x1b[31m"}, r"got '\\x1b\[31m'\. The run's records are damaged"),
        ({"device": "cpu\x9b31m"}, r"got 'cpu\\x9b31m'"),
        ({"total_s": 0.0}, "expected timed clips of 1e-06 to 1e\\+15 seconds, got 0 to 0"),
        ({"total_s": -1.0}, "got -1 to -1"),
    ],
)
def test_a_damaged_latency_record_is_refused(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    with small_run.open_store(tmp_path / "run") as store:
        one = small_run.latency(store.plan.arms[0])
        store.append_latency(one.model_copy(update=change))

    with pytest.raises(InputError, match=says):
        seconds_of_run(tmp_path / "run", "lcm-1")


def test_a_damaged_decision_is_named_and_so_is_the_cure(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "decision.json").write_text('{"x": 1}')

    with pytest.raises(InputError, match=r"decision\.json is damaged\. `poc decide .*--arm"):
        seconds_of_run(copy, None)


def test_the_recommended_arm_is_taken_where_none_is_named(run: Path) -> None:
    with pytest.raises(InputError, match=r"no arm is recommended in this run\. Name one"):
        seconds_of_run(run, None)

    with RunStore.open_writer(run) as store:
        arm = store.plan.arms[0]
        found = Decision.from_json(DEMO.read_text("utf-8"))
        decision = found.model_copy(update={"recommended_arm_id": arm.id})
        store.write_derived("decision.json", decision.to_json())
    assert seconds_of_run(run, None) == seconds_of_run(run, arm.name)


def test_what_a_run_lacks_is_refused(run: Path, tmp_path: Path) -> None:
    untimed = next(arm.name for arm in small_run.plan().arms if arm.name != "lcm-1")
    with pytest.raises(InputError, match=f"expected timed clips of arm '{untimed}', got none"):
        seconds_of_run(run, untimed)
    with pytest.raises(InputError, match=r"this run has no arm 'lcm-11'\. Did you mean 'lcm-1'"):
        seconds_of_run(run, "lcm-11")
    with pytest.raises(InputError):
        seconds_of_run(tmp_path / "nothing", "lcm-1")


def test_seconds_from_two_devices_are_refused(tmp_path: Path) -> None:
    with small_run.open_store(tmp_path / "run") as store:
        one = small_run.latency(store.plan.arms[0])
        store.append_latency(one)
        store.append_latency(one.model_copy(update={"round": 1, "device": "another"}))

    with pytest.raises(InputError, match=r"timed on several devices \('another', 'cpu'\)"):
        seconds_of_run(tmp_path / "run", "lcm-1")


def test_the_command_prints_the_table_and_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["cost", "--inputs", str(EXAMPLE)])
    text = capsys.readouterr().out

    assert code == 0
    assert "fees are the largest part" in text
    assert "最大は外部への支払い" in text
    assert text.splitlines()[-1] == "economic: INSUFFICIENT_EVIDENCE"
    assert max(columns(line) for line in text.splitlines()) <= WIDTH
    assert all(said.ALTERNATIVES[name].text_en in text for name in AlternativeName)


def test_the_command_takes_seconds_from_a_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["cost", "--inputs", str(EXAMPLE), "--run", str(run), "--arm", "lcm-1", "--json"]
    code = cli.main(arguments)
    found = json.loads(capsys.readouterr().out)

    assert code == 0
    assert found["cost"]["seconds"]["value"] == 2.0
    assert found["cost"]["seconds"]["is_measured"] is False
    assert found["economic"]["light"] == "INSUFFICIENT_EVIDENCE"


def test_bad_input_ends_the_command_with_2(
    tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "cost.yaml"
    bad.write_text(EXAMPLE.read_text("utf-8").replace("value: 3.5", "value: -3.5"), "utf-8")

    assert cli.main(["cost", "--inputs", str(bad)]) == 2
    assert "cost.yaml:" in capsys.readouterr().err
    assert cli.main(["cost", "--inputs", str(EXAMPLE), "--arm", "lcm-1"]) == 2
    assert "--arm: expected --run beside it" in capsys.readouterr().err
    assert cli.main(["cost", "--inputs", str(EXAMPLE), "--run", str(run), "--arm", "no"]) == 2


def test_every_limit_has_a_name_in_both_languages() -> None:
    labels = [one.label for one in stated(INPUTS) if one.name.startswith("limits.")]

    assert len(labels) == 3
    assert all(label.en and label.ja for label in labels)
