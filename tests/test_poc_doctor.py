"""Laws of the doctor: what is missing is named with what to type, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from planning_fixture import pinned_models, plan_of, write_spec

from poc import cli
from poc.doctor import Cuda, State, check_machine, check_spec
from poc.fingerprint import ABSENT, PACKAGES, Fingerprint
from poc.records import Plan, PreflightFinding, Severity

CARD = "NVIDIA H100, 81559 MiB"


def fingerprint(**changes: Any) -> Fingerprint:
    fields: dict[str, Any] = {
        "machine": "0" * 16,
        "system": "Linux",
        "cpu": "a processor",
        "cpus": 16,
        "memory_mib": 65536,
        "gpus": (CARD,),
        "gpu_driver": "570.1",
        "python": "3.12.1",
        "packages": dict.fromkeys(PACKAGES, "1.0"),
        "commit": "c" * 40,
        "modified": False,
        "settings": {},
        "video_encoder": "an encoder",
    }
    return Fingerprint(**{**fields, **changes})


def states(seen: Fingerprint, cuda: Cuda | None, disk: int = 100 * 2**30) -> dict[str, State]:
    return {one.name: one.state for one in check_machine(seen, cuda, free_disk_bytes=disk)}


def test_a_machine_with_all_of_it_lacks_nothing() -> None:
    found = check_machine(fingerprint(), Cuda("12.8", 1), free_disk_bytes=100 * 2**30)

    assert {one.state for one in found} == {State.OK}
    assert {one.type for one in found} == {""}


@pytest.mark.parametrize(
    ("changes", "cuda", "said", "typed"),
    [
        ({"gpus": (), "gpu_driver": ABSENT}, Cuda("12.8", 0), "none", ""),
        ({"gpus": None}, Cuda("12.8", 0), "does not answer", "nvidia-smi"),
        ({}, None, "torch is not installed", "make setup"),
        ({}, Cuda(None, 0), "built for CPUs only", "make setup"),
        ({}, Cuda("12.8", 0), "too old for CUDA 12.8", "update the driver"),
    ],
)
def test_what_keeps_a_gpu_from_use_is_named(
    changes: dict[str, Any], cuda: Cuda | None, said: str, typed: str
) -> None:
    (gpu,) = (
        one
        for one in check_machine(fingerprint(**changes), cuda, free_disk_bytes=100 * 2**30)
        if one.name == "GPU"
    )

    assert gpu.state is State.LIMITED
    assert said in gpu.found
    assert gpu.type.startswith(typed)


def test_a_package_that_is_not_there_is_named_and_can_be_installed() -> None:
    packages = dict.fromkeys(PACKAGES, "1.0") | {"peft": ABSENT}
    (first, *_) = check_machine(fingerprint(packages=packages), None, free_disk_bytes=0)

    assert (first.state, first.type) == (State.MISSING, "make setup")
    assert "peft" in first.found
    assert "torch" not in first.found


def test_little_room_is_a_limit_and_enough_is_none() -> None:
    assert states(fingerprint(), Cuda("12.8", 1), 2**30)["disk"] is State.LIMITED
    assert states(fingerprint(), Cuda("12.8", 1))["disk"] is State.OK


# --- specs ---------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_of(write_spec(tmp_path_factory.mktemp("spec")), pinned_models())


def finding(code: str, severity: Severity = Severity.ERROR) -> PreflightFinding:
    return PreflightFinding(code=code, severity=severity, where="a", text="b", change="c")


def test_a_spec_that_runs_says_how(plan: Plan) -> None:
    warned = [finding("guidance-folded", Severity.WARNING)]
    found = check_spec(plan, warned, spec="s.yaml", devices=0)

    assert (found.state, found.type) == (State.OK, "poc run s.yaml")


def test_half_precision_needs_a_gpu(plan: Plan) -> None:
    half = plan.model_copy(update={"spec": plan.spec.model_copy(update={"dtype": "float16"})})

    assert check_spec(half, [], spec="s.yaml", devices=0).state is State.MISSING
    ready = check_spec(half, [], spec="s.yaml", devices=1)
    assert (ready.state, ready.type) == (State.OK, "poc run s.yaml --device cuda:0")


@pytest.mark.parametrize("code", ["model-unpinned", "model-not-fetched"])
def test_models_that_are_not_there_are_fetched_first(plan: Plan, code: str) -> None:
    found = check_spec(plan, [finding(code), finding("memory-short")], spec="s.yaml", devices=1)

    assert (found.state, found.type) == (State.MISSING, "poc fetch s.yaml")
    assert "memory-short" in found.found


def test_another_fault_is_shown_by_the_plan(plan: Plan) -> None:
    found = check_spec(plan, [finding("lcm-twice")], spec="s.yaml", devices=1)

    assert (found.state, found.found, found.type) == (
        State.MISSING, "lcm-twice", "poc plan s.yaml"
    )  # fmt: skip


def test_this_machine_runs_the_tiny_specs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    specs = {row["name"]: row["state"] for row in shown["specs"]}

    assert specs["tiny"] == "ok"
    assert {"quick", "quick-gpu", "animatelcm-sd15", "latency-before-weights"} <= set(specs)
    assert cli.main(["doctor"]) == 0
    assert "specs that come along" in capsys.readouterr().out
