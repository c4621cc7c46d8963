"""Text encoder and image UNet, trained together to predict the noise in stills' latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel

from poc.training.diffusion import NoiseSchedule
from poc.training.loop import Draw, Log, LoopConfig, StageResult, autocast, train

Tokens = Callable[[Draw, torch.Tensor], torch.Tensor]
"""Token ids (n, length) of the examples at some indices; may drop words or whole captions."""


@dataclass(frozen=True, slots=True)
class LatentSet:
    """Encoded examples: latents (n, c, h, w), or (n, c, t, h, w) for clips, and their tokens."""

    latents: torch.Tensor
    tokens: Tokens


def named(**modules: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Name all parameters of several modules that still learn, module by module."""
    return {
        f"{prefix}.{key}": parameter
        for prefix, module in modules.items()
        for key, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def train_image_model(
    text: CLIPTextModel,
    unet: UNet2DConditionModel,
    data: LatentSet,
    schedule: NoiseSchedule,
    config: LoopConfig,
    *,
    work: Path,
    log: Log,
) -> StageResult:
    """Teach both networks in place; they end with their averaged weights."""
    unet.to(memory_format=torch.channels_last)
    steps = len(schedule.alphas_cumprod)

    def loss(draw: Draw) -> torch.Tensor:
        index = draw.indices(len(data.latents), config.batch)
        x0 = data.latents[index]
        t = draw.indices(steps, config.batch)
        noise = draw.noise_like(x0)
        noisy = schedule.add_noise(x0, noise, t)
        with autocast(config):
            words = text(data.tokens(draw, index)).last_hidden_state
            predicted = unet(noisy, t, encoder_hidden_states=words).sample
        return schedule.loss(predicted.float(), x0, noise, t)

    parameters = named(text=text, unet=unet)
    result = train("image", config, parameters, loss, work=work, log=log)
    adopt(parameters, result)
    return result


@torch.no_grad()
def adopt(parameters: dict[str, torch.nn.Parameter], result: StageResult) -> None:
    """Put a stage's averaged weights into the networks."""
    for key, parameter in parameters.items():
        parameter.copy_(result.weights[key])
