"""Labelled clips for the tiny world's judges, and the ways in which clips are spoilt for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from poc.tiny import world
from poc.tiny.world import Scene, Style

Labels = npt.NDArray[np.int64]

TEXTURES: Final = (1.0, 0.5, 1.6)
"""Strengths of the ground's blotches, in parts of the world's own."""

ATTRIBUTES: Final[dict[str, tuple[StrEnum | float | None, ...]]] = {
    "shape": tuple(world.Shape),
    "colour": tuple(world.Colour),
    "background": tuple(world.Background),
    "motion": tuple(world.Motion),
    "camera": tuple(world.Camera),
    "light": tuple(world.Light),
    "texture": TEXTURES,
    "style": (None, *Style),
}
"""What a clip is labelled with, and the values in the order of their labels."""

LOOKS: Final[tuple[Style | None, ...]] = (None, None, Style.PASTEL, Style.NEON)
"""Half of all examples are plain."""

UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Examples:
    """Clips of known scenes, clean but for the strength of their texture."""

    clips: world.Pixels  # (n, 16, 64, 64, 3)
    labels: Labels  # (n, 8), columns as in ATTRIBUTES
    scenes: tuple[Scene, ...]


def render_examples(
    scenes: tuple[Scene, ...],
    count: int,
    seed: int,
    *,
    looks: tuple[Style | None, ...] = LOOKS,
    textures: tuple[float, ...] = TEXTURES,
) -> Examples:
    """Render `count` scenes drawn without order from `scenes`, the looks in turn.

    Half of the clips have the first of `textures`, the others one of the rest.
    """
    rng = np.random.default_rng(seed)
    rounds = -(-count // len(scenes))
    order = np.concatenate([rng.permutation(len(scenes)) for _ in range(rounds)])[:count]
    chosen = tuple(scenes[i] for i in order)
    styles = [looks[i % len(looks)] for i in range(count)]
    others = textures[1:] or textures
    strengths = [rng.choice(others) if rng.random() < 0.5 else textures[0] for _ in chosen]
    clips = np.empty((count, world.FRAMES, world.SIZE, world.SIZE, 3), np.uint8)
    drawn = list(zip(chosen, strengths, styles, strict=True))
    for i, (scene, strength, style) in enumerate(drawn):
        clips[i] = world.render_clip(scene, rng, style, mottle=strength)
    return Examples(clips, np.array([_label(*each) for each in drawn], np.int64), chosen)


def training_examples(work: Path, count: int, seed: int) -> Examples:
    """Examples of seen scenes; their pixels are kept in `work` and read again if they are there."""
    path = work / f"judging-{count}-{seed}.npz"
    if not path.exists():
        made = render_examples(world.seen_scenes(), count, seed)
        work.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".tmp")
        with beside.open("wb") as file:
            np.savez(file, clips=made.clips, labels=made.labels)
        beside.replace(path)
        return made
    with np.load(path) as content:
        labels = content["labels"]
        return Examples(content["clips"], labels, tuple(_scene(row) for row in labels))


def _label(scene: Scene, strength: float, style: Style | None) -> list[int]:
    said = [getattr(scene, name) for name in list(ATTRIBUTES)[:-2]]
    kinds = zip(ATTRIBUTES.values(), [*said, strength, style], strict=True)
    return [kind.index(value) for kind, value in kinds]


def _scene(row: Labels) -> Scene:
    values = [kind[i] for kind, i in zip(ATTRIBUTES.values(), row, strict=True)]
    return Scene(*values[:-2])


def to_tensor(clips: world.Pixels) -> torch.Tensor:
    """Float32 (..., 3, t, h, w) in [-1, 1] of uint8 (..., t, h, w, 3)."""
    signed = torch.from_numpy(clips).float() / 127.5 - 1.0
    return signed.movedim(-1, -4).contiguous()


def blur(pictures: torch.Tensor, factor: float) -> torch.Tensor:
    """Pictures (n, 3, h, w) shrunk `factor` times and enlarged again, as a weak decoder draws."""
    size = pictures.shape[-1]
    small = F.interpolate(pictures, size=round(size / factor), mode="area")
    return F.interpolate(small, size=size, mode="bilinear", align_corners=False)


def soften(clip: world.Pixels, factor: float) -> world.Pixels:
    """`blur` for uint8 (t, h, w, 3)."""
    pictures = blur(torch.from_numpy(clip).float().movedim(-1, 1), factor).movedim(1, -1)
    return np.asarray(pictures.round().clamp(0, 255).to(torch.uint8).numpy())
