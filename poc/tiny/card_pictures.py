"""The model card's picture: clips of unseen scenes as they are rendered, rebuilt and generated.

    python -m poc.tiny.card_pictures WEIGHTS

writes it beside the card of weights that were exported before.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import (
    AnimateDiffPipeline,
    AutoencoderKL,
    DDIMScheduler,
    LCMScheduler,
    MotionAdapter,
    StableDiffusionPipeline,
)
from PIL import Image, ImageDraw

from poc.tiny import world
from poc.tiny.reconstruction import through

FILE: Final = "pictures.png"
COUNT: Final = 6
SHOWN: Final = (0, 8, 15)
"""Frames of each clip."""
SEED: Final = 34
TEACHER_STEPS, TEACHER_GUIDANCE, STUDENT_STEPS = 25, 1.5, 4
STYLED_LCM_SCALE: Final = 0.8
STYLE_SCALES: Final = {world.Style.PASTEL: 1.1, world.Style.NEON: 1.0}
"""As the shipped sweeps have them."""

_LABEL_PX, _GAP_PX = 14, 4
Rows = Iterator[tuple[str, list[world.Pixels]]]


def write_pictures(weights: Path, *, count: int = COUNT) -> None:
    """Write `FILE` into a folder of exported models: rows of clips, one look and sampler each."""
    texts = world.unseen_prompts(count)
    rows = [*_truth(weights, texts), *_generated(weights, texts)]
    _sheet(rows).save(weights / FILE, optimize=True)


def _truth(weights: Path, texts: Sequence[str]) -> Rows:
    vae = AutoencoderKL.from_pretrained(weights / "base" / "vae", local_files_only=True).float()
    rendered = [
        world.render_clip(world.parse(text), np.random.default_rng([SEED, number]))
        for number, text in enumerate(texts)
    ]
    yield "rendered: what the words say", rendered
    yield "the same through the autoencoder", [through(vae, clip) for clip in rendered]


def _generated(weights: Path, texts: Sequence[str]) -> Rows:
    def run(adapter: str, **loras: float) -> Callable[[int, float], list[world.Pixels]]:
        pipe = _pipeline(weights, adapter, loras)

        def clips(steps: int, guidance: float) -> list[world.Pixels]:
            return _clips(pipe, texts, steps=steps, guidance=guidance)

        return clips

    yield (
        f"teacher, {TEACHER_STEPS} steps",
        run("motion_teacher")(TEACHER_STEPS, TEACHER_GUIDANCE),
    )
    student = f"AnimateLCM, {STUDENT_STEPS} steps"
    yield student, run("motion_animatelcm", lcm_lora=1.0)(STUDENT_STEPS, 1.0)
    for style, scale in STYLE_SCALES.items():
        scales = {"lcm_lora": STYLED_LCM_SCALE, f"style_{style}": scale}
        clips = run("motion_animatelcm", **scales)(STUDENT_STEPS, 1.0)
        yield f"{student}, {style} LoRA at {scale:g}, LCM-LoRA at {STYLED_LCM_SCALE:g}", clips


def _pipeline(weights: Path, adapter: str, loras: Mapping[str, float]) -> AnimateDiffPipeline:
    base = StableDiffusionPipeline.from_pretrained(
        weights / "base", local_files_only=True, safety_checker=None
    ).to(torch.float32)
    motion = MotionAdapter.from_pretrained(weights / adapter, local_files_only=True).float()
    scheduler = LCMScheduler if loras else DDIMScheduler
    pipe = AnimateDiffPipeline(
        vae=base.vae,
        text_encoder=base.text_encoder,
        tokenizer=base.tokenizer,
        unet=base.unet,
        motion_adapter=motion,
        scheduler=scheduler.from_config(base.scheduler.config),
    )
    for name in loras:
        pipe.load_lora_weights(weights / name, adapter_name=name, local_files_only=True)
    if loras:
        pipe.set_adapters(list(loras), list(loras.values()))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _clips(
    pipe: AnimateDiffPipeline, texts: Sequence[str], *, steps: int, guidance: float
) -> list[world.Pixels]:
    made = pipe(
        prompt=list(texts),
        negative_prompt=[""] * len(texts),
        num_frames=world.FRAMES,
        height=world.SIZE,
        width=world.SIZE,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=[torch.Generator().manual_seed(SEED + number) for number in range(len(texts))],
        output_type="np",
    ).frames
    return [np.asarray(np.round(np.asarray(clip) * 255), np.uint8) for clip in made]


def _sheet(rows: Sequence[tuple[str, list[world.Pixels]]]) -> Image.Image:
    """Lay rows under each other, a label above each; columns are prompts, `SHOWN` of each clip."""
    strips = [
        np.concatenate([np.concatenate([clip[i] for i in SHOWN], axis=1) for clip in clips], axis=1)
        for _, clips in rows
    ]
    height, width = strips[0].shape[:2]
    step = _LABEL_PX + height + _GAP_PX
    sheet = Image.new("RGB", (width, step * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, ((label, _), strip) in enumerate(zip(rows, strips, strict=True)):
        draw.text((2, number * step + 1), label, fill="black")
        sheet.paste(Image.fromarray(strip), (0, number * step + _LABEL_PX))
    return sheet


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    write_pictures(parser.parse_args().weights)
