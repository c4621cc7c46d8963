"""Faults planted below the spec are found on two prompts where they change what an arm resolves to.

What only clips show wants the gate's own number of prompts: `tests/endurance`, by `make endure`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from light_spec import light
from planted_faults import one_step_less, wrong_beta_schedule

from poc import cli


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light spec: what is looked for shows in no clip."""
    return light(tmp_path_factory.mktemp("spec"))


def run(spec: Path, out: Path) -> Path:
    """Run in this process, where a fault can be planted."""
    assert cli.main(["run", str(spec), "--out", str(out), "--workers", "1", "--no-report"]) == 0
    return out


@pytest.fixture(scope="module")
def base(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(spec, tmp_path_factory.mktemp("base") / "base")


def regressions(head: Path, base: Path) -> tuple[int, dict[tuple[str, str], str]]:
    code = cli.main(["check", str(head), "--baseline", str(base)])
    cells = json.loads((head / "gate" / "gate.json").read_text("utf-8"))["cells"]
    moved = [one for one in cells if one["status"] == "REGRESSION"]
    return code, {(one["arm"], one["subject"]): one["reason"] for one in moved}


@pytest.mark.parametrize(
    ("plant", "named"),
    [(wrong_beta_schedule, "beta_schedule"), (one_step_less, "num_inference_steps")],
)
def test_a_fault_below_the_spec_is_a_regression_of_every_arm_by_name(
    spec: Path, base: Path, tmp_path: Path, plant: Callable[[pytest.MonkeyPatch], None], named: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        head = run(spec, tmp_path / "head")

    code, moved = regressions(head, base)

    assert code == 1
    for arm in ("teacher-2", "animatelcm-2"):
        assert named in moved[arm, "settings"]


def test_a_clean_run_moves_nothing_and_two_prompts_show_no_pass(
    spec: Path, base: Path, tmp_path: Path
) -> None:
    assert regressions(run(spec, tmp_path / "head"), base) == (3, {})
