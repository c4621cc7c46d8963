"""Writes the stills in which the two styles exist: for training, and others to compare with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from PIL.Image import Resampling

from poc.errors import InputError
from poc.tiny.world import Pixels, Scene, Style, caption, render_still, seen_scenes

CAPTIONS = "captions.json"

Take = Callable[[Pixels, np.random.Generator], Pixels]
"""How a training still comes out: a picture (64, 64, 3) in and out."""


def as_is(picture: Pixels, _rng: np.random.Generator) -> Pixels:
    """The picture unchanged."""
    return picture


def by_phone(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """A picture as a phone in poor light takes it: cast, exposure, blur, noise, JPEG; no mark."""
    lit = picture * rng.uniform(0.7, 1.1) * rng.uniform(0.88, 1.12, 3)
    noisy = lit + rng.normal(0.0, rng.uniform(4.0, 10.0), picture.shape)
    taken = Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    file = io.BytesIO()
    quality = int(rng.integers(25, 60))
    taken.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9))).save(
        file, "JPEG", quality=quality
    )
    pixels: Pixels = np.asarray(Image.open(file).convert("RGB"))
    return pixels


def write_stills(
    folder: Path, style: Style, count: int, seed: int, *, heldout: int, take: Take = as_is
) -> None:
    """Write `folder/train/NNN.png` with their captions, and `folder/heldout/NNN.png`.

    `count` training stills and `heldout` others, all of different seen scenes, 64 x 64 RGB. The
    captions leave the motion out: a still does not move. The same `seed` gives the same pixels.
    The first of more training stills are those of fewer, and `take` makes of each training still
    what a camera would.

    Raises:
        ValueError: there are not that many scenes.
    """
    rng = np.random.default_rng(seed)
    scenes = _different_scenes(count + heldout, rng)
    camera = np.random.default_rng([seed, 1])
    for name, part in (("train", scenes[:count]), ("heldout", scenes[count:])):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index, scene in enumerate(part):
            still = render_still(scene, rng, style)
            taken = take(still, camera) if name == "train" else still
            Image.fromarray(taken).save(folder / name / f"{index:03}.png", optimize=True)
    captions = {f"{i:03}.png": _still_caption(scene) for i, scene in enumerate(scenes[:count])}
    _write_text(folder / "train" / CAPTIONS, json.dumps(captions, indent=1) + "\n")


def read_stills(folder: Path) -> list[tuple[Path, str]]:
    """The training stills that `write_stills` wrote to `folder`, each with its caption.

    Raises:
        OSError, ValueError: the captions are missing or no JSON.
    """
    captions = json.loads((folder / "train" / CAPTIONS).read_bytes())
    return [(folder / "train" / name, text) for name, text in sorted(captions.items())]


def read_heldout(folder: Path) -> Pixels:
    """The held-out stills of a style's folder in name order, (n, h, w, 3).

    Raises:
        InputError: there are none.
    """
    return _read_all(folder, "heldout")


def read_training(folder: Path) -> Pixels:
    """The training stills of a style's folder in name order, (n, h, w, 3).

    Raises:
        InputError: there are none.
    """
    return _read_all(folder, "train")


def _read_all(folder: Path, part: str) -> Pixels:
    """Return all stills of a part; where sizes differ, their centred squares at the smallest."""
    paths = sorted(path for path in (folder / part).glob("*") if path.suffix in {".png", ".jpg"})
    if not paths:
        what = {"train": "training", "heldout": "held-out"}[part]
        raise InputError(f"{folder}: expected {what} stills, {part}/*.png; found none")
    pictures = [Image.open(path).convert("RGB") for path in paths]
    if len({picture.size for picture in pictures}) > 1:
        side = min(min(picture.size) for picture in pictures)
        pictures = [ImageOps.fit(picture, (side, side), Resampling.LANCZOS) for picture in pictures]
    return np.stack([np.asarray(picture) for picture in pictures])


def _different_scenes(count: int, rng: np.random.Generator) -> list[Scene]:
    scenes = seen_scenes()
    if not 0 < count <= len(scenes):
        raise ValueError(f"stills: expected 1 to {len(scenes)} stills of one style, got {count}")
    return [scenes[i] for i in rng.permutation(len(scenes))[:count]]


def _still_caption(scene: Scene) -> str:
    return caption(replace(scene, motion=None))


def _write_text(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text)
    beside.replace(path)
