"""What the parts of the method are worth: variants of the tiny models that leave one out.

`poc train ablations` trains them on the embedded weights' own stages; models.yaml names them.
Variants that are compared with each other have the same compute: the same number of frames through
the networks.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from poc.errors import InputError
from poc.tiny import architecture as tiny
from poc.tiny import recipe as recipes
from poc.tiny import world
from poc.tiny.adopted import adopt
from poc.tiny.export import LORA_FILE, write_index
from poc.tiny.stills import as_is, by_phone, write_stills
from poc.training.consistency import LORA, add_lora, distill_motion
from poc.training.loop import Log
from poc.training.style import lora_state

ADOPTED = ("vae", "image", "motion", "lcm_lora")
ROUGHNESS = {"clean": 0.0, "rough": 1.0, "rougher": 2.0}
"""Motion videos as they were rendered, as the recipe degrades them, and twice as much."""
STILLS = (3, 10, 30, 100)
STYLE = world.Style.NEON
STILLS_SEED = 204
PHONE_STILLS = 30

FULL = replace(
    recipes.FULL,
    motion=replace(recipes.FULL.motion, steps=650),
    animatelcm=replace(recipes.FULL.animatelcm, steps=500),
)
"""Shorter than the recipe: a variant is compared with its likes, not with the embedded weights."""

QUICK = recipes.QUICK


@dataclass(frozen=True, slots=True)
class Variant:
    """One trained variant: the stages that it leaves, and how."""

    train: Callable[[recipes.Kitchen, str], None]
    """Called with the kitchen and the variant's name, which begins the stages' names."""
    adapter: bool = False
    """Leaves a motion module, the stage of the variant's name."""
    lora: bool = False
    """Leaves a LoRA: the stage of the variant's name, or NAME_lora beside a motion module."""

    def stages(self, name: str) -> tuple[str, ...]:
        """Names of the stages that are there when the variant is finished."""
        both = self.adapter and self.lora
        return (name, f"{name}_lora") if both else (name,)


def joint_steps(recipe: recipes.Recipe) -> int:
    """Steps on clips that cost what both stages of the decoupled training cost, in frames.

    >>> joint_steps(FULL)
    950
    """
    images = recipe.lcm_lora.steps * recipe.lcm_lora.batch
    clip_frames = recipe.animatelcm.batch * world.FRAMES
    return recipe.animatelcm.steps + -(-images // clip_frames)


def _motion(kitchen: recipes.Kitchen, name: str, *, roughness: float) -> None:
    recipes.stage_motion(kitchen, name, roughness)


def _decoupled(kitchen: recipes.Kitchen, name: str, *, special: bool) -> None:
    recipes.stage_animatelcm(kitchen, name, special_initialisation=special)


def _joint(kitchen: recipes.Kitchen, name: str) -> None:
    """Distil LoRA and motion module together, on the rough clips alone."""
    recipe = kitchen.recipe
    config = replace(recipe.animatelcm, steps=joint_steps(recipe))
    torch.manual_seed(config.seed)
    online, teacher = recipes.video_pair(kitchen, "motion", config)
    add_lora(online, LORA, tiny.TINY.lora_rank, tiny.LORA_TARGETS)
    for key, parameter in online.named_parameters():
        parameter.requires_grad_("motion_modules" in key or "lora_" in key)
    result = distill_motion(
        online,
        teacher,
        recipes.clip_set(kitchen),
        config,
        average=recipe.motion_average,
        special_initialisation=None,
        name=name,
        work=kitchen.work,
        log=kitchen.log,
    )
    kitchen.keep(f"{name}_lora", lora_state(online, LORA), result)
    kitchen.keep(name, recipes.motion_of(online).state_dict(), result)


def _style(kitchen: recipes.Kitchen, name: str, *, count: int, phone: bool) -> None:
    folder = kitchen.work / "stills" / name
    if not folder.exists():
        beside = kitchen.work / f"{name}.part"
        shutil.rmtree(beside, ignore_errors=True)
        take = by_phone if phone else as_is
        write_stills(beside, STYLE, count, STILLS_SEED, heldout=0, take=take)
        folder.parent.mkdir(exist_ok=True)
        beside.rename(folder)
    recipes.learn_style(kitchen, name, folder, kitchen.recipe.style(STYLE))


VARIANTS: dict[str, Variant] = {
    **{
        f"motion-{word}": Variant(partial(_motion, roughness=roughness), adapter=True)
        for word, roughness in ROUGHNESS.items()
    },
    "decoupled": Variant(partial(_decoupled, special=True), adapter=True),
    "plain-initialisation": Variant(partial(_decoupled, special=False), adapter=True),
    "joint": Variant(_joint, adapter=True, lora=True),
    **{
        f"{STYLE}-{count}-stills": Variant(partial(_style, count=count, phone=False), lora=True)
        for count in STILLS
    },
    f"{STYLE}-{PHONE_STILLS}-phone-stills": Variant(
        partial(_style, count=PHONE_STILLS, phone=True), lora=True
    ),
}


def train_ablations(
    out: Path, work: Path, weights: Path, *, only: tuple[str, ...], quick: bool, log: Log
) -> None:
    """Train the variants `only`, or all of them, on `weights`, and export the finished ones.

    Goes on with what `work` has. `quick` takes a handful of steps of each.

    Raises:
        InputError: an unknown variant, or weights that are not whole.
    """
    unknown = sorted(set(only) - set(VARIANTS))
    if unknown:
        raise InputError(
            f"variant: expected one of {', '.join(VARIANTS)}; got {', '.join(unknown)}"
        )
    kitchen = recipes.Kitchen(QUICK if quick else FULL, work, log)
    adopt(kitchen, weights, ADOPTED)
    for name in only or tuple(VARIANTS):
        variant = VARIANTS[name]
        if kitchen.path(variant.stages(name)[0]).exists():
            kitchen.check(name)
            log(f"{name}: already finished")
        else:
            variant.train(kitchen, name)
    export(kitchen, out)
    log(f"weights: {out}")


def export(kitchen: recipes.Kitchen, out: Path) -> None:
    """Write the finished variants to `out` in half precision, with their index."""
    beside = out.with_name(out.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    finished = {name: one for name, one in VARIANTS.items() if kitchen.path(name).exists()}
    for name, variant in finished.items():
        if variant.adapter:
            folder = beside / name
            folder.mkdir(parents=True)
            recipes.loaded_motion(kitchen, name).half().save_pretrained(folder)
        if variant.lora:
            stage = variant.stages(name)[-1]
            folder = beside / stage.replace("_", "-")
            folder.mkdir(parents=True)
            state = {key: value.half() for key, value in load_file(kitchen.path(stage)).items()}
            save_file(state, folder / LORA_FILE, metadata={"format": "pt"})
    write_index(kitchen, beside, stages=tuple(finished))
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)
