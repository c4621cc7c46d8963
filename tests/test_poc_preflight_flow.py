"""Laws of the pre-flight for Wan and LTX, and of every spec that is shipped."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from planning_fixture import changed
from test_poc_preflight import SPEC, Fields, codes, found, planned

from poc import cli
from poc.errors import InputError
from poc.families import FAMILIES
from poc.licences import read_licences
from poc.models import MODELS, read_models
from poc.preflight import Surroundings, licence_rows, preflight, weight_bytes
from poc.records import Severity
from poc.run import read_plan

COMMON: Final = {"negative_prompt": '""', "loras": "[]", "style": "null"}
WAN: Final = COMMON | {
    "base": "wan2.1-t2v-1.3b",
    "scheduler": "flow_unipc",
    "steps": "50",
    "guidance": "5.0",
    "flow_shift": "3.0",
}
SELF_FORCING: Final = WAN | {
    "scheduler": "flow_lcm",
    "steps": "4",
    "guidance": "1.0",
    "flow_shift": "8.0",
    "loras": "[{model: wan-self-forcing-lora, scale: 1.0}]",
}
LTX: Final = COMMON | {
    "base": "ltx-0.9.8-13b-distilled",
    "scheduler": "flow_euler",
    "steps": "8",
    "guidance": "1.0",
    "timesteps": "[1000.0, 993.0, 987.0, 981.0, 975.0, 909.0, 725.0, 0.03]",
}
SEVEN: Final = {"steps": "7", "timesteps": "[1000.0, 993.0, 987.0, 981.0, 975.0, 909.0, 725.0]"}


def head(family: str, shape: str) -> str:
    text = changed(SPEC, "family: animatediff", f"family: {family}")
    return changed(text, "num_frames: 16, height: 512, width: 512", shape)


def of_wan(shape: str = "num_frames: 81, height: 480, width: 832") -> str:
    return head("wan", shape)


def of_ltx(shape: str = "num_frames: 17, height: 512, width: 512") -> str:
    return head("ltx", shape)


@pytest.mark.parametrize(
    ("right", "wrong", "spec", "code"),
    [
        pytest.param(WAN, {"flow_shift": ""}, of_wan(), "flow-shift", id="no shift"),
        pytest.param(SELF_FORCING, {"steps": "8"}, of_wan(), "steps-outside", id="steps"),
        pytest.param(SELF_FORCING, {"guidance": "5.0"}, of_wan(), "guidance-folded", id="guided"),
        pytest.param(
            SELF_FORCING, {"scheduler": "flow_unipc"}, of_wan(), "scheduler-misfit", id="sampler"
        ),
        pytest.param(SELF_FORCING, {"flow_shift": "3.0"}, of_wan(), "flow-shift", id="shift"),
        pytest.param(LTX, {"guidance": "3.0"}, of_ltx(), "guidance-folded", id="guided LTX"),
        pytest.param(LTX, {"timesteps": ""}, of_ltx(), "timestep-grid", id="own grid"),
        pytest.param(LTX, SEVEN, of_ltx(), "timestep-grid", id="a timestep short"),
        pytest.param(LTX, {"steps": "7"}, of_ltx(), "timestep-grid", id="one step too few"),
    ],
)
def test_a_planted_setting_is_named_and_its_twin_is_clean(
    tmp_path: Path, right: Fields, wrong: Fields, spec: str, code: str
) -> None:
    assert found(tmp_path, right, spec) == ()
    assert code in " ".join(name for _, name in codes(found(tmp_path, {**right, **wrong}, spec)))


@pytest.mark.parametrize(
    ("arm", "spec", "code"),
    [
        (WAN, of_wan("num_frames: 80, height: 480, width: 832"), "frame-count"),
        (WAN, of_wan("num_frames: 81, height: 472, width: 832"), "size-multiple"),
        (LTX, of_ltx("num_frames: 21, height: 512, width: 512"), "frame-count"),
        (LTX, of_ltx("num_frames: 17, height: 480, width: 496"), "size-multiple"),
    ],
)
def test_a_shape_that_diffusers_would_round_is_an_error(
    tmp_path: Path, arm: Fields, spec: str, code: str
) -> None:
    errors = [name for kind, name in codes(found(tmp_path, arm, spec)) if kind == "error"]

    assert errors == [code]


def test_a_length_that_a_model_was_not_made_for_is_a_warning(tmp_path: Path) -> None:
    short = of_wan("num_frames: 17, height: 480, width: 832")

    assert codes(found(tmp_path, WAN, short)) == [("warning", "frames-outside-known-good")]


@pytest.mark.parametrize(
    ("arm", "spec", "message"),
    [
        ({**WAN, "beta_schedule": "linear"}, of_wan(), "family wan has no such setting"),
        ({**LTX, "flow_shift": "3.0"}, of_ltx(), "family ltx has no such setting"),
        ({**WAN, "scheduler": "ddim"}, of_wan(), "ddim does not sample family wan"),
        ({**WAN, "motion_adapter": "animatelcm"}, of_wan(), "family wan has no such setting"),
        ({**WAN, "base": "sd15"}, of_wan(), "'sd15' is of family animatediff, the arm of wan"),
        (
            {**COMMON, "base": "sd15", "scheduler": "ddim", "steps": "4", "guidance": "1.0"},
            SPEC,
            "expected a motion module",
        ),
    ],
)
def test_a_setting_that_a_family_does_not_have_is_refused(
    tmp_path: Path, arm: Fields, spec: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        planned(tmp_path, arm, spec)


# --- shipped specs -------------------------------------------------------------------------------

SHIPPED: Final = sorted(
    [*MODELS.parent.glob("*.yaml"), *(MODELS.parent / "ablations").glob("*.yaml")]
)
SPECS: Final = [path for path in SHIPPED if "\narms:" in path.read_text("utf-8")]
MEANT: Final = {"model-unpinned", "model-not-fetched", "model-not-made", "reference-not-there"}
"""What stops a run of a spec until its models are fetched or made, its real clips put there."""

read_table = cache(read_models)


def test_the_shipped_specs_are_found() -> None:
    assert {"tiny", "animatelcm-sd15", "today", "paper-table"} <= {path.stem for path in SPECS}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_is_planned_without_a_network(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_socket(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a plan opened a socket")

    monkeypatch.setattr(socket, "socket", no_socket)
    assert cli.main(["plan", str(path)]) == 0

    shown = capsys.readouterr().out
    plan, _ = read_plan(path)
    assert all(arm.name in shown for arm in plan.arms)
    for part in ("NFE", "\ntime: ", "\ndisk: ", "\nlicence: ", "pre-flight"):
        assert part in shown
    assert ("\nweights: at least " in shown) == bool(weight_bytes(plan, read_table()))
    assert "at most 0 MiB" not in shown


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_has_no_error_but_models_to_fetch(path: Path) -> None:
    plan, models = read_plan(path)
    licences = read_licences()
    found = preflight(plan, models, licences, Surroundings())

    assert {one.code for one in found if one.severity is Severity.ERROR} <= MEANT
    assert all(row.licence for row in licence_rows(plan, models, licences))


def test_the_weights_of_a_plan_are_its_parameters_in_its_format_each_counted_once() -> None:
    """latency-today: SD1.5 with two motion modules and a LoRA, Wan and LTX, in bfloat16."""
    plan, models = read_plan(MODELS.parent / "latency-today.yaml")
    used = (
        "sd15", "animatediff-v1.5-2", "animatelcm", "animatelcm-lora", "wan2.1-t2v-1.3b",
        "ltx-0.9.8-13b-distilled",
    )  # fmt: skip
    numbers = [models.resolve(model).entry.parameters for model in used]

    assert weight_bytes(plan, models) == 2 * sum(one or 0 for one in numbers)
    assert numbers.count(None) == 1  # of AnimateDiff nobody says: "at least"


def test_offloaded_models_are_not_counted_as_on_the_device() -> None:
    plan, models = read_plan(MODELS.parent / "offload.yaml")
    alone = [arm for arm in plan.arms if arm.fast and arm.fast.cpu_offload]

    assert weight_bytes(plan, models) > 0
    assert weight_bytes(plan.model_copy(update={"arms": tuple(alone)}), models) == 0


def test_random_weights_need_no_vocabulary_and_the_real_ones_do() -> None:
    plan, models = read_plan(MODELS.parent / "latency-today.yaml")
    real = tuple(arm.model_copy(update={"weights": None}) for arm in plan.arms)
    asked = plan.model_copy(update={"arms": real})

    def codes_of(one: Any) -> set[str]:
        return {said.code for said in preflight(one, models, read_licences(), Surroundings())}

    assert "vocabulary-missing" not in codes_of(plan)
    assert "vocabulary-missing" in codes_of(asked)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_names_its_reference(path: Path) -> None:
    plan, _ = read_plan(path)
    remark = path.read_text("utf-8").split("\nname:")[0]

    assert plan.spec.references or "eference" in remark


def test_every_family_of_the_table_of_models_has_rules() -> None:
    bases = [m.entry for m in read_table().models.values() if m.entry.kind == "base"]

    assert {entry.family for entry in bases} == set(FAMILIES)
