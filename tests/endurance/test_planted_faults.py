"""Faults planted below the spec, with the models that ship: the gate names each, and no clean run.

Most of an hour, on request: `make endure`. What the spec says stays the same in every run; what the
code does with it does not, as after a careless change.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from planted_faults import (
    frames_blurred,
    lora_dropped,
    one_step_less,
    slower,
    wrong_beta_schedule,
)

from poc import cli

SPEC = Path("poc/specs/gate.yaml")
ROUNDS = 15
STUDENT = "animatelcm-4"


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the gate's own spec with a latency pass; it needs a machine that does nothing else."""
    text = SPEC.read_text(encoding="utf-8")
    text = text.replace("latency: null", f"latency: {{warmup: 1, repeats: {ROUNDS}}}")
    text = text.replace("criteria: criteria/", f"criteria: {SPEC.parent.resolve()}/criteria/")
    path = tmp_path_factory.mktemp("spec") / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def run(spec: Path, out: Path) -> Path:
    """Run in this process, where a fault can be planted."""
    assert cli.main(["run", str(spec), "--out", str(out), "--workers", "1", "--no-report"]) == 0
    return out


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(SPEC, tmp_path_factory.mktemp("base") / "base")


def check(head: Path, base: Path) -> tuple[int, set[tuple[str, str]], str]:
    """Return the exit code, the cells (arm, subject) that regressed, and their reasons."""
    code = cli.main(["check", str(head), "--baseline", str(base)])
    cells = json.loads((head / "gate" / "gate.json").read_text(encoding="utf-8"))["cells"]
    moved = [one for one in cells if one["status"] == "REGRESSION"]
    reasons = " ".join(one["reason"] for one in moved)
    return code, {(one["arm"], one["subject"]) for one in moved}, reasons


# --- tests ---------------------------------------------------------------------------------------


def test_two_clean_runs_pass(base: Path, tmp_path: Path) -> None:
    code, moved, _ = check(run(SPEC, tmp_path / "head"), base)

    assert (code, moved) == (0, set())


class Fault(NamedTuple):
    """What is planted, and what of the gate's answer must name it."""

    plant: Callable[[pytest.MonkeyPatch], None]
    moved: set[str]
    said: str


@pytest.mark.parametrize(
    "fault",
    [
        Fault(wrong_beta_schedule, {"settings"}, "beta_schedule"),
        Fault(one_step_less, {"settings"}, "num_inference_steps"),
        Fault(lora_dropped, {"oracle_all"}, "worse"),
        Fault(frames_blurred, {"sharpness"}, "worse"),
    ],
    ids=lambda fault: fault.plant.__name__,
)
def test_a_planted_fault_is_a_regression_that_is_named(
    base: Path, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault.plant(monkeypatch)
    code, found, reasons = check(run(SPEC, tmp_path / "head"), base)

    assert code == 1
    assert {(STUDENT, subject) for subject in fault.moved} <= found
    assert fault.said in reasons


def test_a_slower_stage_is_a_regression_that_is_named(
    timed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(timed, tmp_path / "base")
    slower(monkeypatch)
    code, found, reasons = check(run(timed, tmp_path / "head"), before)

    assert code == 1
    # Every arm was made slower; a machine that drifts may hide it in one.
    assert "latency_denoise_p50_s" in {subject for _, subject in found}
    assert "worse" in reasons
