"""The teacher's motion module: learns from rough clips on top of a frozen image model."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import MotionAdapter, UNet2DConditionModel, UNetMotionModel

from poc.training.diffusion import NoiseSchedule
from poc.training.image import LatentSet, adopt, named
from poc.training.loop import Draw, Log, LoopConfig, StageResult, autocast, train


def with_motion(unet: UNet2DConditionModel, adapter: MotionAdapter) -> UNetMotionModel:
    """Join image model and motion module; only the motion module learns."""
    joined = UNetMotionModel.from_unet2d(unet, adapter)
    joined.requires_grad_(False)
    for key, parameter in joined.named_parameters():
        parameter.requires_grad_("motion_modules" in key)
    return joined


def repeat_words(words: torch.Tensor, frames: int) -> torch.Tensor:
    """Give every frame its clip's words: (n, k, d) to (n * frames, k, d)."""
    return words.repeat_interleave(frames, dim=0)


def noisy_times(draw: Draw, steps: int, count: int) -> torch.Tensor:
    """Draw timesteps (count,) below `steps`, a time's density in proportion to it.

    Where a clip goes is decided at high noise; at low noise the frames already show it, and
    nothing is left to learn from the words.
    """
    share = torch.rand(count, generator=draw.torch_rng).sqrt()
    return (share * steps).long().clamp(max=steps - 1)


def train_motion(
    joined: UNetMotionModel,
    embed: torch.nn.Module,
    data: LatentSet,
    schedule: NoiseSchedule,
    config: LoopConfig,
    *,
    name: str = "motion",
    work: Path,
    log: Log,
) -> StageResult:
    """Teach the motion module in place to predict noise in clips' latents (n, c, t, h, w)."""
    steps, frames = len(schedule.alphas_cumprod), data.latents.shape[2]

    def loss(draw: Draw) -> torch.Tensor:
        index = draw.indices(len(data.latents), config.batch)
        x0 = data.latents[index].float()
        t = noisy_times(draw, steps, config.batch)
        noise = draw.noise_like(x0)
        noisy = schedule.add_noise(x0, noise, t)
        with torch.no_grad():
            words = embed(data.tokens(draw, index)).last_hidden_state
        with autocast(config):
            predicted = joined(noisy, t, encoder_hidden_states=repeat_words(words, frames)).sample
        return schedule.loss(predicted.float(), x0, noise, t)

    parameters = named(motion=joined)
    result = train(name, config, parameters, loss, work=work, log=log)
    adopt(parameters, result)
    return result
