"""How the embedded models are made: `poc train tiny`, from the procedural world to the weights.

Stages run in order, each from what the ones before it left in the work folder. A finished stage
is not repeated and an unfinished one goes on at its last checkpoint. Scenes kept as unseen take
part in no stage.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from poc.errors import InputError
from poc.tiny import architecture as tiny
from poc.tiny import world
from poc.tiny.judges import CLIP, VIDEO, JudgeConfig, train_clip, train_video_network
from poc.tiny.stills import read_stills, write_stills
from poc.training.consistency import (
    LORA,
    FusedLora,
    Teacher,
    add_lora,
    distill_images,
    distill_motion,
    image_network,
    rehearse_motion,
    video_network,
)
from poc.training.diffusion import NoiseSchedule
from poc.training.image import LatentSet, train_image_model
from poc.training.loop import Draw, Log, LoopConfig, StageResult
from poc.training.motion import train_motion, with_motion
from poc.training.style import lora_state, train_style
from poc.training.vae import encode, train_vae

VERSION = 5
ADOPTED = "adopted"
"""Among the facts of a stage that came out of finished weights and was not trained where it is."""
HELD_OUT_STILLS = 16
"""Stills of each style that no training sees; style similarity is measured against them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All numbers of the training; two recipes that differ make different weights."""

    pictures: int
    stills: int
    clips: int
    pastel_stills: int
    neon_stills: int
    guidance: float
    """Guidance g = 1 + w that is folded into the consistency models; the baseline's guidance."""
    image_average: float
    motion_average: float
    vae: LoopConfig
    image: LoopConfig
    motion: LoopConfig
    lcm_lora: LoopConfig
    animatelcm: LoopConfig
    rehearsal: LoopConfig
    style_pastel: LoopConfig
    style_neon: LoopConfig
    video_judge: JudgeConfig
    clip_judge: JudgeConfig

    def style(self, style: world.Style) -> LoopConfig:
        """Return how a style is learnt: one that changes every colour takes longer."""
        return self.style_pastel if style is world.Style.PASTEL else self.style_neon

    def stills_of(self, style: world.Style) -> int:
        """Return how many stills a style is learnt from."""
        return self.pastel_stills if style is world.Style.PASTEL else self.neon_stills


FULL = Recipe(
    pictures=6000,
    stills=10000,
    clips=1500,
    pastel_stills=160,
    neon_stills=60,
    guidance=1.5,
    image_average=0.95,
    motion_average=0.95,
    vae=LoopConfig(steps=7500, batch=8, learning_rate=1.5e-3, seed=1, average=0.998, bfloat16=True),
    image=LoopConfig(steps=3600, batch=32, learning_rate=1.2e-3, seed=2),
    motion=LoopConfig(steps=1300, batch=4, learning_rate=1.5e-3, seed=3, average=0.998),
    lcm_lora=LoopConfig(steps=1200, batch=24, learning_rate=1e-3, seed=4, average=0.99),
    animatelcm=LoopConfig(steps=3300, batch=4, learning_rate=1.2e-3, seed=5, average=0.99),
    rehearsal=LoopConfig(
        steps=1300, batch=4, learning_rate=5e-4, seed=8, average=0.99, checkpoint_every=100
    ),
    style_pastel=LoopConfig(steps=1000, batch=16, learning_rate=1.5e-3, seed=6, average=0.98),
    style_neon=LoopConfig(steps=300, batch=16, learning_rate=7e-4, seed=6, average=0.98),
    video_judge=VIDEO,
    clip_judge=CLIP,
)

_FEW: dict[str, Any] = {"steps": 2, "batch": 2, "warmup": 1, "checkpoint_every": 1}
_STAGES = (
    "vae",
    "image",
    "motion",
    "lcm_lora",
    "animatelcm",
    "rehearsal",
    "style_pastel",
    "style_neon",
)
QUICK = replace(
    FULL,
    pictures=8,
    stills=8,
    clips=2,
    pastel_stills=4,
    neon_stills=4,
    video_judge=JudgeConfig(replace(VIDEO.loop, **_FEW), clips=24),
    clip_judge=JudgeConfig(replace(CLIP.loop, **_FEW), clips=24),
    **{stage: replace(getattr(FULL, stage), **_FEW) for stage in _STAGES},
)
"""A handful of steps of everything: shows that the chain holds, teaches nothing."""


# --- examples ------------------------------------------------------------------------------------


def draw_scenes(count: int, rng: np.random.Generator) -> list[world.Scene]:
    """Draw scenes that training may see, with repetition."""
    seen = world.seen_scenes()
    return [seen[index] for index in rng.integers(0, len(seen), count)]


def draw_pictures(count: int, seed: int) -> torch.Tensor:
    """Draw pictures for the autoencoder: plain, degraded and both styles in equal parts."""
    rng = np.random.default_rng(seed)
    looks = (None, None, *world.Style)
    pictures = []
    for number, scene in enumerate(draw_scenes(count, rng)):
        picture = world.render_still(scene, rng, looks[number % len(looks)])
        degraded = number % len(looks) == 1
        pictures.append(world.degrade(picture[None], rng)[0] if degraded else picture)
    return as_tensor(np.stack(pictures))


def as_tensor(pictures: np.ndarray[Any, Any]) -> torch.Tensor:
    """Turn pictures (n, h, w, 3) to (n, 3, h, w)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


class Captions:
    """Token ids of scenes' captions, with words left out as training wants it."""

    def __init__(self, scenes: list[world.Scene], *, empty: float, parts: float) -> None:
        self._scenes, self._empty, self._parts = scenes, empty, parts
        self._tokenizer = tiny.build_tokenizer()

    def __call__(self, draw: Draw, index: torch.Tensor) -> torch.Tensor:
        """Return ids (n, tokens); whole captions and single parts are dropped at random."""
        return self.ids([self._text(draw.rng, self._scenes[i]) for i in index.tolist()])

    def ids(self, texts: list[str]) -> torch.Tensor:
        """Return ids (n, tokens) of texts."""
        found = self._tokenizer(
            texts, padding="max_length", max_length=tiny.TINY.tokens, return_tensors="pt"
        )
        return torch.as_tensor(found.input_ids)

    def _text(self, rng: np.random.Generator, scene: world.Scene) -> str:
        if rng.random() < self._empty:
            return ""
        said = rng.random(3) >= self._parts
        return world.caption(
            replace(
                scene,
                motion=scene.motion if said[0] else None,
                camera=scene.camera if said[1] else None,
                light=scene.light if said[2] else None,
            )
        )


# --- stages --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kitchen:
    """Where a training lives: its recipe, its work folder and its log."""

    recipe: Recipe
    work: Path
    log: Log

    def path(self, stage: str) -> Path:
        """Return the file of a finished stage."""
        return self.work / f"{stage}.safetensors"

    def keep(
        self, stage: str, state: Mapping[str, torch.Tensor], result: StageResult, **facts: float
    ) -> None:
        """Write a finished stage: its weights and what the model card tells of it."""
        weights = {key: tensor.detach().contiguous() for key, tensor in state.items()}
        card = {
            "recipe": VERSION,
            "steps": result.steps,
            "batch": result.config.batch,
            "learning_rate": result.config.learning_rate,
            "seed": result.config.seed,
            "duration_s": result.duration_s,
            "losses": result.losses,
            **facts,
        }
        (self.work / f"{stage}.json").write_text(json.dumps(card, allow_nan=False))
        beside = self.path(stage).with_suffix(".part")
        save_file(weights, beside)
        beside.replace(self.path(stage))
        self.log(f"{stage}: finished after {result.duration_s / 60:.1f} min")

    def facts(self, stage: str) -> dict[str, Any]:
        """Return what a finished stage left of itself: steps, seconds, smoothed losses, notes."""
        facts: dict[str, Any] = json.loads((self.work / f"{stage}.json").read_text())
        return facts

    def note(self, stage: str, text: str) -> None:
        """Add to a finished stage's facts what the model card shall say of it."""
        facts = self.facts(stage) | {"note": text}
        (self.work / f"{stage}.json").write_text(json.dumps(facts, allow_nan=False))

    def check(self, stage: str) -> None:
        """Refuse a finished stage of another version of the recipe; raises `InputError`."""
        version = self.facts(stage).get("recipe")
        if version != VERSION:
            raise InputError(
                f"{self.work / stage}.json: made by version {version} of the recipe, this is "
                f"version {VERSION}. Name an empty --work folder."
            )

    def refuse_adopted(self, stage: str) -> None:
        """Refuse a stage that came out of finished weights; raises `InputError`."""
        if self.path(stage).exists() and ADOPTED in self.facts(stage):
            raise InputError(
                f"{self.path(stage)}: comes out of finished weights and was not trained here. Name "
                "an empty --work folder to train it anew."
            )

    def load(self, stage: str, module: torch.nn.Module) -> None:
        """Fill a network from a finished stage and freeze it."""
        module.load_state_dict(load_file(self.path(stage)))
        module.eval().requires_grad_(False)


def stage_vae(kitchen: Kitchen) -> None:
    """Train the autoencoder and measure the scale of its latents."""
    torch.manual_seed(kitchen.recipe.vae.seed)
    vae = tiny.build_vae()
    pictures = draw_pictures(kitchen.recipe.pictures, seed=101)
    result = train_vae(vae, pictures, kitchen.recipe.vae, work=kitchen.work, log=kitchen.log)
    spread = float(encode(vae.eval(), pictures[:1000]).std())
    kitchen.keep("vae", vae.state_dict(), result, scaling=1.0 / spread)


def loaded_vae(kitchen: Kitchen) -> AutoencoderKL:
    """Return the trained autoencoder with its scaling factor, frozen."""
    vae = tiny.build_vae(scaling=float(kitchen.facts("vae")["scaling"]))
    kitchen.load("vae", vae)
    return vae


def _latents(
    kitchen: Kitchen, name: str, make: Callable[[AutoencoderKL], torch.Tensor]
) -> torch.Tensor:
    """Return scaled latents, encoded once and kept in the work folder."""
    path = kitchen.work / f"latents_{name}.safetensors"
    if not path.exists():
        vae = loaded_vae(kitchen)
        latents = make(vae) * vae.config.scaling_factor
        beside = path.with_suffix(".part")
        save_file({"latents": latents.to(torch.bfloat16).contiguous()}, beside)
        beside.replace(path)
        kitchen.log(f"latents_{name}: {tuple(latents.shape)}")
    return load_file(path)["latents"].float()


def still_set(kitchen: Kitchen) -> LatentSet:
    """Return clean plain stills with their captions."""
    rng = np.random.default_rng(102)
    scenes = draw_scenes(kitchen.recipe.stills, rng)

    def make(vae: AutoencoderKL) -> torch.Tensor:
        pictures = np.stack([world.render_still(scene, rng) for scene in scenes])
        return encode(vae, as_tensor(pictures))

    return LatentSet(_latents(kitchen, "stills", make), Captions(scenes, empty=0.1, parts=0.25))


def clip_set(kitchen: Kitchen, roughness: float = 1.0) -> LatentSet:
    """Return degraded, watermarked clips with their captions, latents (n, c, t, h, w)."""
    rng = np.random.default_rng(103)
    scenes = draw_scenes(kitchen.recipe.clips, rng)

    def make(vae: AutoencoderKL) -> torch.Tensor:
        rough = (world.degrade(world.render_clip(scene, rng), rng, roughness) for scene in scenes)
        return torch.stack([encode(vae, as_tensor(clip)) for clip in rough]).transpose(1, 2)

    name = "clips" if roughness == 1 else f"clips_{roughness:g}"
    return LatentSet(_latents(kitchen, name, make), Captions(scenes, empty=0.1, parts=0.15))


def schedule() -> NoiseSchedule:
    """Return the noise schedule that all stages share."""
    return NoiseSchedule.of(tiny.build_scheduler())


class ImageModel(torch.nn.Module):
    """Text encoder and image UNet, kept in one file."""

    def __init__(self) -> None:
        super().__init__()
        self.text: CLIPTextModel = tiny.build_text_encoder()
        self.unet: UNet2DConditionModel = tiny.build_unet()


def stage_image(kitchen: Kitchen) -> None:
    """Train text encoder and image UNet on stills."""
    torch.manual_seed(kitchen.recipe.image.seed)
    model = ImageModel()
    result = train_image_model(
        model.text,
        model.unet,
        still_set(kitchen),
        schedule(),
        kitchen.recipe.image,
        work=kitchen.work,
        log=kitchen.log,
    )
    kitchen.keep("image", model.state_dict(), result)


def loaded_image_model(kitchen: Kitchen) -> ImageModel:
    """Return the trained image model, frozen."""
    model = ImageModel()
    kitchen.load("image", model)
    return model


def stage_motion(kitchen: Kitchen, name: str = "motion", roughness: float = 1.0) -> None:
    """Train the teacher's motion module on rough clips."""
    torch.manual_seed(kitchen.recipe.motion.seed)
    model = loaded_image_model(kitchen)
    joined = with_motion(model.unet, tiny.build_motion_adapter())
    result = train_motion(
        joined,
        model.text,
        clip_set(kitchen, roughness),
        schedule(),
        kitchen.recipe.motion,
        name=name,
        work=kitchen.work,
        log=kitchen.log,
    )
    kitchen.keep(name, motion_of(joined).state_dict(), result)


def motion_of(joined: Any) -> MotionAdapter:
    """Take the motion module out of a joined UNet, as an adapter that can be saved."""
    adapter = tiny.build_motion_adapter()
    state = {k: v for k, v in joined.state_dict().items() if "motion_modules" in k}
    adapter.load_state_dict(state)
    return adapter


def loaded_motion(kitchen: Kitchen, stage: str) -> MotionAdapter:
    """Return a trained motion module, frozen."""
    adapter = tiny.build_motion_adapter()
    kitchen.load(stage, adapter)
    return adapter


def teacher_of(kitchen: Kitchen, network: Any, model: ImageModel) -> Teacher:
    """Return a frozen network as the teacher of a distillation, with the recipe's guidance."""
    captions = Captions([], empty=0.0, parts=0.0)
    return Teacher(
        network=network,
        words=lambda ids: model.text(ids).last_hidden_state,
        empty=captions.ids([""]),
        guidance=kitchen.recipe.guidance,
        schedule=schedule(),
    )


def stage_lcm_lora(kitchen: Kitchen) -> None:
    """Stage 1: distil the image model into a LoRA."""
    torch.manual_seed(kitchen.recipe.lcm_lora.seed)
    model, frozen = loaded_image_model(kitchen), loaded_image_model(kitchen)
    add_lora(model.unet, LORA, tiny.TINY.lora_rank, tiny.LORA_TARGETS)
    result = distill_images(
        model.unet,
        teacher_of(kitchen, image_network(frozen.unet, kitchen.recipe.lcm_lora), frozen),
        still_set(kitchen),
        kitchen.recipe.lcm_lora,
        average=kitchen.recipe.image_average,
        work=kitchen.work,
        log=kitchen.log,
    )
    kitchen.keep("lcm_lora", lora_state(model.unet, LORA), result)


def stage_animatelcm(
    kitchen: Kitchen, name: str = "animatelcm", *, special_initialisation: bool = True
) -> None:
    """Stage 2: distil the motion module under the frozen LoRA of stage 1."""
    torch.manual_seed(kitchen.recipe.animatelcm.seed)
    online, lora, teacher = _second_pair(kitchen, "motion", kitchen.recipe.animatelcm)
    result = distill_motion(
        online,
        teacher,
        clip_set(kitchen),
        kitchen.recipe.animatelcm,
        average=kitchen.recipe.motion_average,
        special_initialisation=lora if special_initialisation else None,
        name=name,
        work=kitchen.work,
        log=kitchen.log,
    )
    kitchen.keep(name, motion_of(online).state_dict(), result)


def video_pair(kitchen: Kitchen, stage: str, config: LoopConfig) -> tuple[UNetMotionModel, Teacher]:
    """Return a student with the motion module that a stage left, and its teacher."""
    model = loaded_image_model(kitchen)
    teacher = with_motion(model.unet, loaded_motion(kitchen, "motion")).requires_grad_(False)
    student = with_motion(model.unet, loaded_motion(kitchen, stage))
    return student, teacher_of(kitchen, video_network(teacher, config), model)


def _second_pair(
    kitchen: Kitchen, stage: str, config: LoopConfig
) -> tuple[UNetMotionModel, FusedLora, Teacher]:
    """Return a pair whose student has the LoRA of stage 1 fused and learns its motion module."""
    student, teacher = video_pair(kitchen, stage, config)
    lora = FusedLora.of(student, load_file(kitchen.path("lcm_lora")))
    for key, parameter in student.named_parameters():
        parameter.requires_grad_("motion_modules" in key)
    return student, lora, teacher


def stage_rehearsal(kitchen: Kitchen) -> None:
    """Go on with the motion module of stage 2 on the samples that it makes itself."""
    torch.manual_seed(kitchen.recipe.rehearsal.seed)
    online, _, teacher = _second_pair(kitchen, "animatelcm", kitchen.recipe.rehearsal)
    result = rehearse_motion(
        online,
        teacher,
        clip_set(kitchen),
        kitchen.recipe.rehearsal,
        average=kitchen.recipe.motion_average,
        work=kitchen.work,
        log=kitchen.log,
    )
    kitchen.keep("rehearsal", motion_of(online).state_dict(), result)


def written_stills(kitchen: Kitchen, style: world.Style) -> Path:
    """Return the folder of a style's stills, written at first use: training ones and others."""
    folder = kitchen.work / "stills" / style
    if not folder.exists():
        beside = kitchen.work / f"stills-{style}.part"
        seed = 104 + list(world.Style).index(style)
        count = kitchen.recipe.stills_of(style)
        write_stills(beside, style, count, seed, heldout=HELD_OUT_STILLS)
        folder.parent.mkdir(exist_ok=True)
        beside.rename(folder)
    return folder


def stage_style(kitchen: Kitchen, style: world.Style) -> None:
    """Learn one style from stills that no other stage shows."""
    name = f"style_{style}"
    learn_style(kitchen, name, written_stills(kitchen, style), kitchen.recipe.style(style))


def learn_style(kitchen: Kitchen, name: str, stills: Path, config: LoopConfig) -> None:
    """Learn a style from a folder of stills, as the stage `name`."""
    torch.manual_seed(config.seed)
    model = loaded_image_model(kitchen)
    examples = read_stills(stills)
    pictures = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in examples])
    scenes = [world.parse(caption) for _, caption in examples]
    data = LatentSet(
        _latents(kitchen, name, lambda vae: encode(vae, as_tensor(pictures))),
        Captions(scenes, empty=0.1, parts=0.25),
    )
    add_lora(model.unet, "style", tiny.TINY.style_rank, tiny.LORA_TARGETS)
    result = train_style(
        model.text,
        model.unet,
        data,
        schedule(),
        config,
        name=name,
        work=kitchen.work,
        log=kitchen.log,
    )
    kitchen.keep(name, lora_state(model.unet, "style"), result)


def stage_video_judge(kitchen: Kitchen) -> None:
    """Train the video network whose features FVD and KVD stand on."""
    train_video_network(
        kitchen.work, kitchen.work / "video_features", kitchen.recipe.video_judge, kitchen.log
    )


def stage_clip_judge(kitchen: Kitchen) -> None:
    """Train the open_clip model behind CLIP score and style similarity."""
    train_clip(kitchen.work, kitchen.work / "clip", kitchen.recipe.clip_judge, kitchen.log)


JUDGES: dict[str, Callable[[Kitchen], None]] = {
    "video_features": stage_video_judge,
    "clip": stage_clip_judge,
}
"""They learn from pixels alone and need no other stage; each leaves a folder of its name."""

STAGES: dict[str, Callable[[Kitchen], None]] = {
    "vae": stage_vae,
    "image": stage_image,
    "motion": stage_motion,
    "lcm_lora": stage_lcm_lora,
    "animatelcm": stage_animatelcm,
    "rehearsal": stage_rehearsal,
    **{f"style_{style}": partial(stage_style, style=style) for style in world.Style},
}
"""In an order in which each finds what it needs."""


def run_stage(kitchen: Kitchen, stage: str) -> None:
    """Run one stage unless it is finished."""
    kitchen.work.mkdir(parents=True, exist_ok=True)
    finished = kitchen.work / stage if stage in JUDGES else kitchen.path(stage)
    if finished.exists():
        if stage not in JUDGES:
            kitchen.check(stage)
        kitchen.log(f"{stage}: already finished")
        return
    start = time.monotonic()
    (STAGES | JUDGES)[stage](kitchen)
    kitchen.log(f"{stage}: {time.monotonic() - start:.0f} s in all")


def train_tiny(out: Path, work: Path, *, quick: bool, log: Log) -> None:
    """Make all weights of the tiny world from nothing into `out`; goes on with what `work` has.

    `quick` takes a handful of steps of each stage.

    Raises:
        InputError: the work folder has stages of another recipe, or out of finished weights.
    """
    from poc.tiny.export import export

    kitchen = Kitchen(QUICK if quick else FULL, work, log)
    for stage in STAGES:
        kitchen.refuse_adopted(stage)
    for stage in (*JUDGES, *STAGES):
        run_stage(kitchen, stage)
    export(kitchen, out)
    log(f"weights: {out}")
