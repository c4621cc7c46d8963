"""Faults planted below the spec, with the models that ship: the gate names each, and no clean run.

Some ten minutes, on request: `make endure`. What the spec says stays the same in every run; what
the code does with it does not, as after a careless change.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from poc import cli
from poc.pipelines import animatediff
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.pipelines.schedulers import make_scheduler

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


# --- faults --------------------------------------------------------------------------------------


def wrong_beta_schedule(patch: pytest.MonkeyPatch) -> None:

    def wrong(name: Any, config: dict[str, Any]) -> Any:
        return make_scheduler(name, config | {"beta_schedule": "scaled_linear"})

    patch.setattr(animatediff, "make_scheduler", wrong)


def one_step_less(patch: pytest.MonkeyPatch) -> None:
    arguments = AnimateDiffFamily._arguments

    def fewer(self: AnimateDiffFamily, arm: Any) -> dict[str, Any]:
        found = arguments(self, arm)
        return found | {"num_inference_steps": found["num_inference_steps"] - 1}

    patch.setattr(AnimateDiffFamily, "_arguments", fewer)


def lora_dropped(patch: pytest.MonkeyPatch) -> None:
    """Put the base's weights back after the fusion: the record says that the LoRA is there."""
    put_in = AnimateDiffFamily._put_loras_in

    def dropped(self: AnimateDiffFamily, arm: Any) -> None:
        put_in(self, arm)
        state = self._pipe.unet.state_dict()
        for key, tensor in self._pristine.items():
            state[key.replace(".base_layer.", ".")].copy_(tensor)

    patch.setattr(AnimateDiffFamily, "_put_loras_in", dropped)


def frames_blurred(patch: pytest.MonkeyPatch) -> None:
    decode = AnimateDiffFamily.decode

    def blurred(self: AnimateDiffFamily, latents: torch.Tensor) -> Any:
        frames, finite = decode(self, latents)
        pictures = torch.from_numpy(frames).float().flatten(0, 1).permute(0, 3, 1, 2)
        soft = torch.nn.functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
        whole = soft.permute(0, 2, 3, 1).reshape(frames.shape)
        return whole.round().byte().numpy(), finite

    patch.setattr(AnimateDiffFamily, "decode", blurred)


def slower(patch: pytest.MonkeyPatch) -> None:
    """Take a quarter longer over every denoising: 15 % and more of the whole clip."""
    denoise = AnimateDiffFamily.denoise

    def late(self: AnimateDiffFamily, *given: Any) -> torch.Tensor:
        start = time.perf_counter()
        latents = denoise(self, *given)
        time.sleep(0.25 * (time.perf_counter() - start))
        return latents

    patch.setattr(AnimateDiffFamily, "denoise", late)


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
