"""Two runs side by side: what differs is named by place, and each number is the one of its run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import reports_fixture as fixture

from poc.records import Comparison
from reports import text as words
from reports.compare import side_by_side, what_differs
from reports.load import RunView, load_run
from reports.text import load_text

EN = load_text("en")


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    run = fixture.write_run(tmp_path_factory.mktemp("runs") / "demo", fixture.plan(count=4))
    return load_run(run)


def test_a_run_does_not_differ_from_itself(view: RunView) -> None:
    assert list(what_differs(view, view, EN)) == []


def test_each_change_is_named_by_its_place(view: RunView) -> None:
    spec = view.plan.spec.model_copy(update={"seed": 8})
    weights = view.resolved[0].model_copy(update={"timesteps": (998.0,)})
    other = replace(
        view,
        plan=view.plan.model_copy(update={"spec": spec}),
        resolved=(weights, *view.resolved[1:]),
        manifest={"fingerprint": {**view.manifest["fingerprint"], "python": "3.12.0"}},
    )

    assert {line.term: line.said for line in what_differs(view, other, EN)} == {
        "spec.seed": "7 -> 8",
        "arms.teacher-25.resolved.timesteps[0]": "999.0 -> 998.0",
        "machine.python": '"3.11.7" -> "3.12.0"',
    }


def test_arms_of_one_run_alone_are_named_and_not_listed_as_changes(view: RunView) -> None:
    fewer = replace(view, plan=view.plan.model_copy(update={"arms": view.plan.arms[:-1]}))
    (line,) = what_differs(view, fewer, EN)

    assert (line.term, line.said) == ("Settings of this run alone", "animatelcm-neon-4")


def test_numbers_stand_beside_each_other_as_each_run_has_them(
    view: RunView, tmp_path: Path
) -> None:
    other = load_run(fixture.write_run(tmp_path / "other", fixture.plan(count=4)))
    rows = list(side_by_side(view, other, EN))

    assert len(rows) == len(view.plan.arms)
    for arm, row in zip(view.plan.arms, rows, strict=True):
        name, *cells = row.values()
        assert name == words.arm_name(EN, arm)
        assert len(cells) == 4  # quality and seconds of each run
        found = view.estimate(arm.id, view.estimates.quality_metric, Comparison.VALUE)
        assert found is not None
        assert found.value is not None
        assert float(cells[0].split(" %")[0]) == pytest.approx(100 * found.value, abs=0.05)
