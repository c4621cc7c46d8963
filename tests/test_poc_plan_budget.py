"""What a budget proposes: it fits by the plan's own seconds, and says what it gives up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planning_fixture import SPEC, changed, plan_of, write_spec

from poc import cli
from poc.plan import Calibration, summary
from poc.plan_budget import Budget, Cut, budget_text, propose
from poc.records import Plan

PACE = Calibration(seconds_per_nfe=2.0, source="a test")
# Two guided arms of 25 and 4 steps, one unguided of 2: 60 evaluations for a clip of each arm,
# 3 prompts x 2 replicates, and 8 timed calls.
WHOLE_S = 60 * (3 * 2 + 8) * 2.0


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_of(write_spec(tmp_path_factory.mktemp("plan")))


def cut(found: Budget, way: str) -> Cut:
    return next(one for one in found.cuts if one.way == way)


def test_a_plan_that_fits_is_left_as_it_is(plan: Plan) -> None:
    found = propose(plan, WHOLE_S, PACE)

    assert (found.fits, found.cuts, found.seconds) == (True, (), WHOLE_S)
    assert budget_text(found).endswith("fits.")


def test_a_second_less_and_it_does_not_fit(plan: Plan) -> None:
    found = propose(plan, WHOLE_S - 1, PACE)

    assert not found.fits
    assert {one.way for one in found.cuts} == {"replicates", "arms", "prompts"}


def test_fewer_replicates_cost_what_a_plan_of_them_costs(plan: Plan, tmp_path: Path) -> None:
    one = cut(propose(plan, WHOLE_S - 1, PACE), "replicates")
    smaller = plan_of(write_spec(tmp_path, changed(SPEC, "replicates: 2", "replicates: 1")))

    assert one.replicates == 1
    assert one.seconds == pytest.approx(summary(smaller, PACE).seconds_high)
    assert one.fits


def test_fewer_prompts_cost_what_a_plan_of_them_costs(plan: Plan, tmp_path: Path) -> None:
    one = cut(propose(plan, WHOLE_S - 1, PACE), "prompts")
    smaller = plan_of(write_spec(tmp_path, changed(SPEC, "prompts: 3", "prompts: 2")))

    assert one.prompts == 2
    assert one.seconds == pytest.approx(summary(smaller, PACE).seconds_high)
    assert "1.2 times as wide" in one.gives_up  # the root of 3 over 2


def test_the_dearest_arm_goes_first_and_never_the_baseline(plan: Plan) -> None:
    one = cut(propose(plan, WHOLE_S - 1, PACE), "arms")

    assert one.without == ("teacher-4",)
    assert one.seconds == (60 - 8) * (3 * 2 + 8) * 2.0


def test_one_candidate_stays_however_small_the_budget(plan: Plan) -> None:
    found = propose(plan, 1.0, PACE)
    one = cut(found, "arms")

    assert one.without == ("teacher-4",)
    assert not any(one.fits for one in found.cuts)
    assert budget_text(found).count("still too long") == 3


def test_controls_go_before_candidates(tmp_path: Path) -> None:
    text = changed(SPEC, "  - name: fast\n", "  - name: fast\n    role: control\n")
    found = propose(plan_of(write_spec(tmp_path, text)), WHOLE_S - 1, PACE)

    assert cut(found, "arms").without == ("fast",)  # though the candidate costs four times as much


def test_without_calibration_the_upper_end_counts(plan: Plan) -> None:
    assert propose(plan, 1e9).seconds == pytest.approx(summary(plan).seconds_high)


def test_the_command_says_what_to_cut(capsys: pytest.CaptureFixture[str]) -> None:
    spec = "poc/specs/quick-gpu.yaml"
    assert cli.main(["plan", spec, "--budget", "1m"]) == 0
    shown = capsys.readouterr().out
    assert "budget: 1.0 min; the plan takes" in shown
    assert "Gives up" in shown

    assert cli.main(["plan", spec, "--budget", "30d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"]["fits"] is True


@pytest.mark.parametrize("text", ["8", "h", "0h", "-1h", "1e3h", "８h"])
def test_a_budget_that_is_no_time_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["plan", "--budget", text])
    assert stop.value.code == 2
    assert "expected a length of time" in capsys.readouterr().err or text.startswith("-")


def test_nothing_is_said_to_fit_where_nobody_knows_the_seconds(plan: Plan) -> None:
    half = tuple(arm.model_copy(update={"dtype": "float16"}) for arm in plan.arms)
    wan = half[0].model_copy(update={"family": "wan"})
    known = plan.model_copy(update={"arms": half})
    unknown = known.model_copy(update={"arms": (wan, *half[1:])})

    assert propose(known, 1e9).fits
    found = propose(unknown, 1e9)
    assert (found.fits, found.unknown, found.cuts) == (False, ("wan",), ())
    assert "not known" in budget_text(found)
    assert " at most" not in budget_text(found)
