"""A style LoRA: learns a look from stills alone, on the frozen image model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from peft import get_peft_model_state_dict
from transformers import CLIPTextModel

from poc.training.diffusion import NoiseSchedule
from poc.training.image import LatentSet, adopt, named
from poc.training.loop import After, Draw, Log, LoopConfig, Loss, StageResult, autocast, train


def style_loss(
    text: CLIPTextModel,
    unet: UNet2DConditionModel,
    data: LatentSet,
    schedule: NoiseSchedule,
    config: LoopConfig,
) -> Loss:
    """Return the loss of one step: the error of the noise predicted in styled stills' latents.

    Everything is drawn on the CPU, so that a seed means the same on any device.
    """
    steps, device = len(schedule.alphas_cumprod), unet.device

    def loss(draw: Draw) -> torch.Tensor:
        index = draw.indices(len(data.latents), config.batch)
        x0 = data.latents[index]
        t = draw.indices(steps, config.batch)
        noise = draw.noise_like(x0)
        noisy, wanted = schedule.add_noise(x0, noise, t), schedule.wanted(x0, noise, t)
        with torch.no_grad():
            words = text(data.tokens(draw, index).to(device)).last_hidden_state
        with autocast(config, device.type):
            predicted = unet(noisy.to(device), t.to(device), encoder_hidden_states=words).sample
        error: torch.Tensor = predicted.float() - wanted.to(device)
        return (error**2).mean()

    return loss


def train_style(
    text: CLIPTextModel,
    unet: UNet2DConditionModel,
    data: LatentSet,
    schedule: NoiseSchedule,
    config: LoopConfig,
    *,
    name: str,
    work: Path,
    log: Log,
    after: After | None = None,
) -> StageResult:
    """Teach the LoRA that `unet` carries a look from the latents of stills; it ends averaged."""
    parameters = named(unet=unet)
    loss = style_loss(text, unet, data, schedule, config)
    result = train(name, config, parameters, loss, work=work, log=log, after=after)
    adopt(parameters, result)
    return result


def lora_state(unet: Any, name: str) -> dict[str, torch.Tensor]:
    """Return a copy of a UNet's LoRA in peft's naming, as diffusers' loaders take it.

    diffusers' own conversion for saving mixes two namings here, and a loader then takes half of
    the layers without a word.
    """
    state = get_peft_model_state_dict(unet, adapter_name=name)
    return {f"unet.{key}": tensor.detach().clone() for key, tensor in state.items()}
