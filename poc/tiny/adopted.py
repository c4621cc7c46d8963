"""Finished stages out of weights that are there already, so that only some are trained anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from poc.errors import InputError
from poc.tiny import recipe as recipes
from poc.tiny import world
from poc.tiny.export import ADAPTERS, INDEX, LORA_FILE, LORAS, digests, export
from poc.training.loop import Log

NOTE = "trained on the other stages' weights in half precision, as they are in this folder."


def train_styles(
    out: Path,
    work: Path,
    weights: Path,
    *,
    styles: Collection[world.Style],
    quick: bool,
    log: Log,
) -> None:
    """Train LoRAs of `styles` anew on finished weights; all else comes out as it went in.

    `quick` takes a handful of steps.

    Raises:
        InputError: the weights are not whole, or the work folder has a style that was not trained
            there but came out of finished weights.
    """
    kitchen = recipes.Kitchen(recipes.QUICK if quick else recipes.FULL, work, log)
    anew = [f"style_{style}" for style in world.Style if style in styles]
    for stage in anew:
        kitchen.refuse_adopted(stage)
    adopt(kitchen, weights, tuple(stage for stage in recipes.STAGES if stage not in anew))
    for judge in recipes.JUDGES:
        shutil.copytree(weights / judge, work / judge, dirs_exist_ok=True)
    for style in set(world.Style) - set(styles):
        _adopt_stills(kitchen, weights, style)
    for stage in anew:
        recipes.run_stage(kitchen, stage)
        kitchen.note(stage, NOTE)
    export(kitchen, out)
    log(f"weights: {out}")


def _adopt_stills(kitchen: recipes.Kitchen, weights: Path, style: world.Style) -> None:
    """Copy the stills of a style that is not trained anew, whole, unless they are there."""
    folder = kitchen.work / "stills" / style
    if folder.exists():
        return
    beside = kitchen.work / f"stills-{style}.part"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(weights / "stills" / style, beside)
    folder.parent.mkdir(exist_ok=True)
    beside.rename(folder)


def adopt(kitchen: recipes.Kitchen, weights: Path, stages: tuple[str, ...]) -> None:
    """Put finished `stages` of an exported folder into the work folder, as if trained there.

    They come in the half precision in which they were exported, and may be of an older version of
    the recipe: what they say of themselves comes along. A stage that the work folder has already
    is left alone.

    Raises:
        InputError: the folder is not what its index says.
    """
    index = _checked_index(weights)
    kitchen.work.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        if kitchen.path(stage).exists():
            kitchen.check(stage)
            continue
        told = index["stages"][stage]
        facts: dict[str, Any] = {"recipe": recipes.VERSION, **told, recipes.ADOPTED: True}
        state = {key: value.contiguous() for key, value in _state(weights, stage).items()}
        if stage == "vae":
            config = AutoencoderKL.load_config(weights / "base" / "vae")
            facts["scaling"] = config["scaling_factor"]
        (kitchen.work / f"{stage}.json").write_text(json.dumps(facts, allow_nan=False))
        beside = kitchen.path(stage).with_suffix(".part")
        save_file(state, beside)
        beside.replace(kitchen.path(stage))
        kitchen.log(f"{stage}: from {weights}")


def _checked_index(weights: Path) -> dict[str, Any]:
    path = weights / INDEX
    try:
        index: dict[str, Any] = json.loads(path.read_bytes())
        known = set(index["stages"]), dict(index["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: expected the index that `poc train tiny` writes, with its stages and files; "
            f"{error}. Name the folder of finished weights."
        ) from None
    if missing := [stage for stage in recipes.STAGES if stage not in known[0]]:
        raise InputError(
            f"{path}: no {', '.join(missing)}. Name the folder of finished weights that `poc train "
            "tiny` wrote."
        )
    if known[1] != digests(weights):
        raise InputError(
            f"{weights}: its files are not those that {INDEX} lists. Restore them, or train anew."
        )
    return index


def _state(weights: Path, stage: str) -> dict[str, torch.Tensor]:
    """A stage's weights, named as the recipe keeps them."""
    base = weights / "base"
    if stage == "vae":
        return dict(AutoencoderKL.from_pretrained(base / "vae").state_dict())
    if stage == "image":
        parts = {
            "text": CLIPTextModel.from_pretrained(base / "text_encoder"),
            "unet": UNet2DConditionModel.from_pretrained(base / "unet"),
        }
        model = recipes.ImageModel()
        model.text.load_state_dict(parts["text"].state_dict())
        model.unet.load_state_dict(parts["unet"].state_dict())
        return dict(model.state_dict())
    for folder, name in ADAPTERS.items():
        if name == stage:
            return dict(MotionAdapter.from_pretrained(weights / folder).state_dict())
    folders = {name: folder for folder, name in LORAS.items()}
    return dict(load_file(weights / folders[stage] / LORA_FILE))
