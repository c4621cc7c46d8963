"""A LoRA that cannot change its base is found by names and widths alone, before anything loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from poc.lora_layers import fault
from poc.models import MODELS, ModelTable
from poc.run import _lora_faults, check_plan, read_plan

WEIGHTS = MODELS.parent.parent / "tiny" / "weights"
BASE = WEIGHTS / "base" / "unet"
LORA = WEIGHTS / "lcm_lora" / "pytorch_lora_weights.safetensors"


def lora(folder: Path, *names: str, width: int) -> Path:
    path = folder / "lora.safetensors"
    save_file({name: np.zeros((4, width), np.float32) for name in names}, path)
    return path


def base(folder: Path) -> Path:
    (folder / "unet").mkdir()
    weight = np.zeros((32, 16), np.float32)
    save_file({"down_blocks.0.attn1.to_q.weight": weight}, folder / "unet" / "a.safetensors")
    return folder / "unet"


@pytest.mark.parametrize(
    "name",
    [
        "unet.down_blocks.0.attn1.to_q.lora_A.weight",
        "unet.down_blocks.0.attn1.to_q.lora_A.default.weight",
        "unet.down_blocks.0.attn1.to_q.lora.down.weight",
        "lora_unet_down_blocks_0_attn1_to_q.lora_down.weight",
    ],
)
def test_a_lora_of_this_base_fits_however_its_layers_are_written(tmp_path: Path, name: str) -> None:
    layers = base(tmp_path)

    assert fault(lora(tmp_path, name, width=16), [layers]) == ""
    assert "16" in fault(lora(tmp_path, name, width=24), [layers])
    other = name.replace("down_blocks", "up_blocks")
    assert "none of the 1 layers" in fault(lora(tmp_path, other, width=16), [layers])


@pytest.mark.parametrize(
    "name",
    [
        "diffusion_model.blocks.0.self_attn.q.lora_down.weight",
        "lora_unet_input_blocks_1_1_proj_in.lora_down.weight",
        "lora_te_text_model_encoder_layers_0.lora_down.weight",
    ],
)
def test_names_of_another_program_are_not_judged(tmp_path: Path, name: str) -> None:
    assert fault(lora(tmp_path, name, width=16), [base(tmp_path)]) == ""


def test_the_tiny_loras_fit_their_base_and_no_other_network() -> None:
    assert fault(LORA, [BASE]) == ""
    assert "none of the" in fault(LORA, [WEIGHTS / "base" / "vae"])
    assert fault(LORA, [WEIGHTS / "nowhere", WEIGHTS / "base" / "vae"]) == ""  # not judged
    plan, models = read_plan(MODELS.parent / "tiny.yaml")
    assert any(arm.loras for arm in plan.arms)
    assert dict(_lora_faults(plan, models)) == {}


def test_a_lora_that_matches_no_layer_stops_a_run_before_it_begins(tmp_path: Path) -> None:
    plan, models = read_plan(MODELS.parent / "quick.yaml")
    used = next(use.model for arm in plan.arms for use in arm.loras)
    wrong = tmp_path / used
    wrong.mkdir()
    lora(wrong, "unet.nowhere.to_q.lora_A.weight", width=16)
    table = ModelTable(
        models.path, {**models.models, used: replace(models.resolve(used), folder=wrong)}
    )

    assert check_plan(plan, models, tmp_path / "run") == ()
    (found,) = check_plan(plan, table, tmp_path / "run")
    assert (str(found.severity), found.code, found.where) == (
        "error",
        "lora-matches-no-layer",
        used,
    )
