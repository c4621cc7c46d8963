"""What the autoencoder alone costs: the oracle's reading of rendered clips that went through it.

It is the oracle's check on pictures that are not perfect, too: the scene is known, and nothing but
the autoencoder has touched it. No bound for a sampler: its latents need not be those of a clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKL

from poc.tiny import world
from poc.tiny.judging_data import LOOKS, TEXTURES, render_examples
from poc.tiny.oracle import read
from poc.training.vae import decode, encode

SAID: Final = ("shape", "colour", "background", "motion")

COUNT: Final = 48


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """What the oracle reads of `count` clips a look after the autoencoder."""

    count: int
    shares: dict[str, dict[str, float]]
    """Look -> attribute -> share of clips, 0 to 1, that are read as they were rendered."""


def reconstruct(vae: AutoencoderKL, *, count: int = COUNT, seed: int = 33) -> Reconstruction:
    """Read rendered clips of unseen scenes in every look after encoding and decoding."""
    looks = dict.fromkeys(LOOKS)
    shares = {str(look or "plain"): _shares(vae, look, count, seed) for look in looks}
    return Reconstruction(count, shares)


def _shares(
    vae: AutoencoderKL, look: world.Style | None, count: int, seed: int
) -> dict[str, float]:
    made = render_examples(world.unseen_scenes(), count, seed, looks=(look,), textures=TEXTURES[:1])
    rows = []
    for clip, scene in zip(made.clips, made.scenes, strict=True):
        reading = read(through(vae, clip))
        said = {name: getattr(reading, name) is getattr(scene, name) for name in SAID}
        rows.append(said | {"style": reading.style is look, "texture": reading.textured})
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def through(vae: AutoencoderKL, clip: world.Pixels) -> world.Pixels:
    """Encode and decode a clip, uint8 (t, h, w, 3)."""
    pictures = torch.from_numpy(clip).permute(0, 3, 1, 2)
    found = decode(vae, encode(vae, pictures))
    return np.ascontiguousarray(found.permute(0, 2, 3, 1).numpy())
