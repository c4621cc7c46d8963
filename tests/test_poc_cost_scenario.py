"""A scenario changes what it says it changes, is marked, and leaves the decision alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import reports_fixture as fixture

from poc.cost import evaluate
from poc.cost_file import EXAMPLE, CostInputs, quantities, read_cost
from poc.cost_light import economic_light
from poc.cost_records import MoneyOfRun
from poc.cost_scenario import (
    MOST,
    Change,
    Scenario,
    changed,
    editable,
    make_scenario,
    read_scenarios,
    save_scenario,
)
from poc.errors import InputError
from poc.records import Light

VOLUME = "deliverables_per_month"
EDITING = "material.editing_min_per_deliverable"
MORE = Change(name=VOLUME, value=40, low=30, high=50)


@pytest.fixture(scope="module")
def inputs() -> CostInputs:
    return read_cost(EXAMPLE)


@pytest.fixture(scope="module")
def money() -> MoneyOfRun:
    plan = fixture.plan(count=2)
    cost = evaluate(read_cost(EXAMPLE), seed=0)
    return fixture.money(plan).model_copy(update={"cost": cost})


def made(money: MoneyOfRun, run: Path, *changes: Change, name: str = "ten times") -> Scenario:
    return make_scenario(run, money, name=name, arm="animatelcm-4", changes=changes or (MORE,))


@pytest.fixture(scope="module")
def found(money: MoneyOfRun, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return made(money, tmp_path_factory.mktemp("run"))


def test_every_number_can_be_changed_and_the_others_stay(inputs: CostInputs) -> None:
    before = quantities(inputs)
    assert {one.name for one in editable(inputs)} == set(before)
    for name, one in before.items():
        after = quantities(
            changed(inputs, [Change(name=name, value=one.high, low=one.low, high=one.high)])
        )
        assert after[name].value == one.high
        assert {k: v for k, v in after.items() if k != name} == {
            k: v for k, v in before.items() if k != name
        }


def test_a_scenario_costs_what_the_model_says_of_those_inputs(
    money: MoneyOfRun, tmp_path: Path
) -> None:
    assert money.inputs is not None
    people = Change(name=EDITING, value=0, low=0, high=0)
    found = made(money, tmp_path, people)
    minutes, hourly = 480.0, quantities(money.inputs)["people.operation.price_per_hour"].value
    saved = money.cost.cost_per_deliverable - found.cost.cost_per_deliverable

    assert saved == pytest.approx(minutes / 60 * hourly)


def test_a_changed_number_is_an_example_and_no_scenario_is_a_go(
    money: MoneyOfRun, tmp_path: Path
) -> None:
    assert money.inputs is not None
    real = money.inputs.model_dump()
    _claim_real(real)
    inputs = CostInputs.model_validate(real, strict=False)
    cost = evaluate(inputs, seed=0)
    sourced = money.model_copy(
        update={"inputs": inputs, "cost": cost, "economic": economic_light(cost)}
    )
    assert sourced.cost.examples == ()
    found = made(sourced, tmp_path)

    assert found.cost.examples == (VOLUME,)
    assert found.economic.light is not Light.GO


def _claim_real(content: object) -> None:
    if isinstance(content, dict):
        if "example" in content:
            content["example"] = False
        for one in content.values():
            _claim_real(one)
    elif isinstance(content, (list, tuple)):
        for one in content:
            _claim_real(one)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change(name="no.such", value=1, low=1, high=1), "is no assumption"),
        (Change(name=VOLUME, value=9, low=1, high=2), "does not hold its value"),
        (Change(name=VOLUME, value=0, low=0, high=0), "expected a number of at least"),
        (Change(name="material.replaced_share", value=2, low=0, high=2), "expected a number"),
    ],
)
def test_a_number_that_may_not_stand_there_is_refused_by_name(
    money: MoneyOfRun, tmp_path: Path, change: Change, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        made(money, tmp_path, change)


@pytest.mark.parametrize("name", ["", "x", "a\u202eb", "y" * 301])
def test_a_name_that_is_none_is_refused(money: MoneyOfRun, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected a name"):
        made(money, tmp_path, name=name)


def test_without_a_change_it_is_no_scenario(money: MoneyOfRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one change"):
        make_scenario(tmp_path, money, name="same", arm="animatelcm-4", changes=())


# --- beside the run ------------------------------------------------------------------------------


def test_a_scenario_is_saved_once_and_read_as_it_was(
    money: MoneyOfRun, found: Scenario, tmp_path: Path
) -> None:
    assert save_scenario(tmp_path, found) == save_scenario(tmp_path, found)

    assert read_scenarios(tmp_path) == ((found,), ())
    assert found.is_of(money)
    assert not found.is_of(money.model_copy(update={"estimates_digest": "f" * 64}))


def test_an_edited_or_damaged_file_is_named_and_the_others_stay(
    found: Scenario, tmp_path: Path
) -> None:
    save_scenario(tmp_path, found)
    path = save_scenario(tmp_path, found.model_copy(update={"name": "to be edited"}))
    path.write_text(path.read_text("utf-8").replace("to be edited", "edited"), "utf-8")
    (tmp_path / "scenarios" / "torn.json").write_text("{", "utf-8")
    kept, wrong = read_scenarios(tmp_path)

    assert kept == (found,)
    assert len(wrong) == 2
    assert "edited after it was saved" in " ".join(wrong)


def test_a_link_is_not_followed_and_too_many_are_refused(found: Scenario, tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        save_scenario(tmp_path, found)
    folder.unlink()
    folder.mkdir()
    for number in range(MOST):
        (folder / f"{number}.json").touch()
    with pytest.raises(InputError, match="already"):
        save_scenario(tmp_path, found)
