"""Faults planted below the spec are found on two prompts where they change what an arm resolves to.

What only clips show wants the gate's own number of prompts: `tests/endurance`, by `make endure`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from planted_faults import one_step_less, wrong_beta_schedule

from poc import cli

QUICK = Path("poc/specs/quick.yaml").resolve()


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the quick spec without FVD and KVD, which need no look here."""
    text = QUICK.read_text("utf-8")
    for old, new in (
        ("  - fvd\n  - kvd\n", ""),
        ("metrics: [kvd, oracle_all]", "metrics: [oracle_all]"),
        ("  - {name: tiny-clean, kind: rendered, style: null, count: 16, seed: 1}\n", ""),
        ("references:\n", "references: []\n"),
        ("steps: [1, 2]", "steps: [2, 3]"),
        ("against: animatelcm-1", "against: animatelcm-3"),
        ("criteria: criteria/", f"criteria: {QUICK.parent}/criteria/"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("spec") / "quick.yaml"
    path.write_text(text, "utf-8")
    return path


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
    for arm in ("teacher-2", "animatelcm-2", "animatelcm-3"):
        assert named in moved[arm, "settings"]


def test_a_clean_run_moves_nothing_and_two_prompts_show_no_pass(
    spec: Path, base: Path, tmp_path: Path
) -> None:
    assert regressions(run(spec, tmp_path / "head"), base) == (3, {})
