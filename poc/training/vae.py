"""The autoencoder: pictures to latents an eighth of the size, and back."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from poc.training.image import adopt, named
from poc.training.loop import Draw, Log, LoopConfig, StageResult, autocast, train

ABSOLUTE_SHARE = 0.3
"""Weight of the absolute beside the squared error: edges without losing flat areas."""
KL_WEIGHT = 1e-4
COLOUR_WEIGHT = 1.4
OBJECT_WEIGHT = 4.0
"""Up to five times the weight where a pixel differs from its frame's median; without it small
objects lose their colour."""


def object_weight(pictures: torch.Tensor) -> torch.Tensor:
    """Return weights (n, 1, h, w) from 1 to 5 of pictures (n, 3, h, w) in [-1, 1]."""
    median = pictures.flatten(2).median(-1).values[..., None, None]
    return 1 + OBJECT_WEIGHT * (pictures - median).abs().amax(1, keepdim=True).clamp(max=1)


def reconstruction_loss(wanted: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Mean error of pictures (n, 3, h, w) in [-1, 1], absolute and squared, objects weighing more.

    The squared error of colour differences (R - G and B - G) keeps pale objects from turning grey.
    """
    error = found - wanted
    shaped = ABSOLUTE_SHARE * error.abs() + error**2
    colour = (error[:, (0, 2)] - error[:, 1:2]) ** 2
    weight = object_weight(wanted)
    return (weight * shaped).mean() + COLOUR_WEIGHT * (weight * colour).mean()


def train_vae(
    vae: AutoencoderKL, pictures: torch.Tensor, config: LoopConfig, *, work: Path, log: Log
) -> StageResult:
    """Teach `vae` in place to reproduce pictures, uint8 (n, 3, h, w)."""
    vae.to(memory_format=torch.channels_last)

    def loss(draw: Draw) -> torch.Tensor:
        index = draw.indices(len(pictures), config.batch)
        x = (pictures[index].float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        with autocast(config):
            posterior = vae.encode(x).latent_dist
            noise = draw.noise_like(posterior.mean)
            y = vae.decode(posterior.mean + posterior.std * noise).sample
        return reconstruction_loss(x, y.float()) + KL_WEIGHT * _kl(posterior)

    parameters = named(vae=vae)
    result = train("vae", config, parameters, loss, work=work, log=log)
    adopt(parameters, result)
    return result


def _kl(posterior: DiagonalGaussianDistribution) -> torch.Tensor:
    """Mean over latents of the divergence to a standard normal."""
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    divergence: torch.Tensor = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return divergence


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: torch.Tensor, chunk: int = 64) -> torch.Tensor:
    """Return latent means (n, c, h/8, w/8), not yet scaled, of pictures uint8 (n, 3, h, w)."""
    parts = []
    for start in range(0, len(pictures), chunk):
        x = pictures[start : start + chunk].float() / 127.5 - 1
        parts.append(vae.encode(x).latent_dist.mean)
    return torch.cat(parts)


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: torch.Tensor, chunk: int = 64) -> torch.Tensor:
    """Return pictures uint8 (n, 3, h, w) of latents (n, c, h/8, w/8) that are not scaled."""
    parts = [vae.decode(latents[i : i + chunk]).sample for i in range(0, len(latents), chunk)]
    return ((torch.cat(parts) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
