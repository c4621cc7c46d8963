"""A LoRA that cannot change its base is found by names and widths alone, before anything loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanPipeline
from flow_components import wan_transformer
from safetensors.numpy import save_file
from safetensors.torch import load_file

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


def test_a_wan_lora_of_musubi_tuner_is_judged_as_the_loader_takes_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    transformer = wan_transformer()
    transformer.save_pretrained(tmp_path / "transformer")
    theirs = {
        "self_attn": ("attn1", {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0"}),
        "cross_attn": ("attn2", {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0"}),
        "ffn": ("ffn", {"0": "net.0.proj", "2": "net.2"}),
    }
    tensors, layers = {}, []
    for block in range(len(transformer.blocks)):
        for part, (own, names) in theirs.items():
            for name, layer in names.items():
                key = f"lora_unet_blocks_{block}_{part}_{name}"
                module = transformer.get_submodule(f"blocks.{block}.{own}.{layer}")
                tensors[f"{key}.lora_down.weight"] = np.ones((4, module.in_features), np.float32)
                tensors[f"{key}.lora_up.weight"] = np.ones((module.out_features, 4), np.float32)
                tensors[f"{key}.alpha"] = np.array(4, np.float32)
                layers.append(f"blocks.{block}.{own}.{layer}")
    path = tmp_path / "musubi.safetensors"
    save_file(tensors, path)

    # The loader that a Wan arm uses brings every layer, so a run may begin.
    loaded = WanPipeline.lora_state_dict(load_file(path))
    assert {key.split(".lora_")[0] for key in loaded} == {f"transformer.{one}" for one in layers}
    assert fault(path, [tmp_path / "transformer"]) == ""
    assert "none of the 20 layers" in fault(path, [BASE])


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
