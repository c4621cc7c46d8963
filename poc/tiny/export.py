"""From a finished training to the folders that diffusers, peft and open_clip load.

Weights are stored in half precision. The folder appears whole: it is written beside its place
and then takes it. `index.json` holds the digest of every file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from poc.tiny import architecture as tiny
from poc.tiny import card_pictures, world
from poc.tiny import recipe as recipes
from poc.tiny.card_pictures import write_pictures
from poc.tiny.judges import evaluate_judges
from poc.tiny.model_card import model_card
from poc.tiny.reconstruction import COUNT, reconstruct

CARD = "MODEL_CARD.md"
INDEX = "index.json"
LORA_FILE = "pytorch_lora_weights.safetensors"
ADAPTERS = {
    "motion_teacher": "motion",
    "motion_stage2": "animatelcm",
    "motion_animatelcm": "rehearsal",
}
LORAS = {"lcm_lora": "lcm_lora"} | {f"style_{style}": f"style_{style}" for style in world.Style}


def export(kitchen: recipes.Kitchen, out: Path) -> None:
    """Write all models of a finished training to `out`, with stills, index and model card."""
    beside = _fresh(out.with_name(out.name + ".part"))
    _write_base(kitchen, beside / "base")
    for folder, stage in ADAPTERS.items():
        adapter = recipes.loaded_motion(kitchen, stage)
        adapter.half().save_pretrained(_fresh(beside / folder), safe_serialization=True)
    for folder, stage in LORAS.items():
        halves = {key: value.half() for key, value in load_file(kitchen.path(stage)).items()}
        save_file(halves, _fresh(beside / folder) / LORA_FILE, metadata={"format": "pt"})
    for judge in recipes.JUDGES:
        shutil.copytree(kitchen.work / judge, beside / judge)
    for style in world.Style:
        shutil.copytree(recipes.written_stills(kitchen, style), beside / "stills" / style)
    write_index(kitchen, beside)
    count = min(COUNT, kitchen.recipe.clips)
    rebuilt = reconstruct(recipes.loaded_vae(kitchen), count=count)
    card = model_card(kitchen, evaluate_judges(beside), rebuilt)
    (beside / CARD).write_text(card, encoding="utf-8")
    write_pictures(beside, count=min(card_pictures.COUNT, kitchen.recipe.clips))
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _write_base(kitchen: recipes.Kitchen, folder: Path) -> None:
    model = recipes.loaded_image_model(kitchen)
    pipe = StableDiffusionPipeline(
        vae=recipes.loaded_vae(kitchen),
        text_encoder=model.text,
        tokenizer=tiny.build_tokenizer(),
        unet=model.unet,
        scheduler=tiny.build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.float16).save_pretrained(_fresh(folder), safe_serialization=True)


def write_index(
    kitchen: recipes.Kitchen, folder: Path, stages: tuple[str, ...] = tuple(recipes.STAGES)
) -> None:
    """Write `index.json`: digests of all files, and what the training of `stages` left."""
    facts: dict[str, Any] = {
        "recipe": recipes.VERSION,
        "guidance": kitchen.recipe.guidance,
        "stages": {stage: _told(kitchen.facts(stage)) for stage in stages},
        "files": digests(folder),
    }
    text = json.dumps(facts, indent=1, sort_keys=True, allow_nan=False)
    (folder / INDEX).write_text(text + "\n", encoding="utf-8")


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's facts without what the folder's index says of all, or concerns a work folder."""
    return {key: value for key, value in facts.items() if key not in {"recipe", recipes.ADOPTED}}


def digests(folder: Path) -> Mapping[str, str]:
    """Return relative path -> SHA-256 of every file in the model folders of `folder`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.parent != folder)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }
