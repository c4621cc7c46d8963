"""Small untrained models of the real classes, saved as a user would have them on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AnimateDiffPipeline, StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict

from poc.records import Arm, ClipShape, FastSettings, LoraUse, SchedulerName, arm_id
from poc.tiny import architecture as tiny

SMALL = tiny.TinyConfig(vae_channels=(8, 8, 8, 8), unet_channels=(16, 32), text_width=16, groups=8)
SHAPE = ClipShape(num_frames=4, height=64, width=64, fps=8)


def write_models(folder: Path) -> dict[str, Path]:
    """Write base, two motion adapters and two LoRAs with seeded random weights."""
    torch.manual_seed(0)
    base = StableDiffusionPipeline(
        vae=tiny.build_vae(SMALL),
        text_encoder=tiny.build_text_encoder(SMALL),
        tokenizer=tiny.build_tokenizer(SMALL),
        unet=tiny.build_unet(SMALL),
        scheduler=tiny.build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    base.save_pretrained(folder / "base", safe_serialization=True)
    for name in ("motion_a", "motion_b"):
        adapter = tiny.build_motion_adapter(SMALL)
        _randomise(adapter)
        adapter.save_pretrained(folder / name, safe_serialization=True)
    for name in ("lora_a", "lora_b"):
        write_lora(folder / name, scale=0.3)
    names = ("base", "motion_a", "motion_b", "lora_a", "lora_b")
    return {name: folder / name for name in names}


def write_lora(folder: Path, *, scale: float) -> None:
    """Write a LoRA over the UNet's attention whose up-matrices have standard deviation `scale`."""
    unet = tiny.build_unet(SMALL)
    unet.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_v", "conv1"]))
    for name, parameter in unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=scale) if scale else torch.nn.init.zeros_(
                parameter
            )
    layers = get_peft_model_state_dict(unet)
    AnimateDiffPipeline.save_lora_weights(folder, unet_lora_layers=layers, safe_serialization=True)


def make_arm(**changes: object) -> Arm:
    """Return a runnable arm on the models of `write_models`, with `changes` applied."""
    fields: dict[str, object] = {
        "family": "animatediff",
        "base": "base",
        "motion_adapter": "motion_a",
        "scheduler": SchedulerName.LCM,
        "steps": 2,
        "guidance": 1.0,
        "negative_prompt": "",
        "loras": (),
        "style": None,
        "dtype": "float32",
        "shape": SHAPE,
        "batch_size": 2,
        "model_digests": {},
    } | changes
    plain = {k: _plain(v) for k, v in fields.items()}
    return Arm(id=arm_id(plain), name="an arm", **fields)  # type: ignore[arg-type]


def lora(name: str, scale: float = 1.0) -> LoraUse:
    """Return one LoRA as an arm uses it."""
    return LoraUse(model=name, scale=scale)


def _plain(value: object) -> object:
    if isinstance(value, ClipShape | FastSettings | LoraUse):
        return value.model_dump(mode="json")
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _randomise(module: torch.nn.Module) -> None:
    """Give zero-initialised projections weights, so that a motion module has an effect."""
    for parameter in module.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.2)
