"""A style LoRA: learns a look from stills alone, on the frozen image model."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from poc.training.diffusion import NoiseSchedule
from poc.training.image import LatentSet, adopt, named
from poc.training.loop import Draw, Log, LoopConfig, StageResult, autocast, train


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
) -> StageResult:
    """Teach the LoRA that `unet` carries to predict the noise in styled stills' latents."""
    steps = len(schedule.alphas_cumprod)

    def loss(draw: Draw) -> torch.Tensor:
        index = draw.indices(len(data.latents), config.batch)
        x0 = data.latents[index]
        t = draw.indices(steps, config.batch)
        noise = draw.noise_like(x0)
        noisy = schedule.add_noise(x0, noise, t)
        with torch.no_grad():
            words = text(data.tokens(draw, index)).last_hidden_state
        with autocast(config):
            predicted = unet(noisy, t, encoder_hidden_states=words).sample
        return schedule.loss(predicted.float(), x0, noise, t)

    parameters = named(unet=unet)
    result = train(name, config, parameters, loss, work=work, log=log)
    adopt(parameters, result)
    return result
