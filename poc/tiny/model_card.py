"""The model card of the tiny weights, written from what the training measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from poc.intervals import wilson
from poc.tiny import card_pictures, world
from poc.tiny import recipe as recipes
from poc.tiny.reconstruction import Reconstruction
from poc.tiny.stills import read_training
from poc.training.diffusion import HUBER

CURVE_WIDTH = 24
NOT_KEPT = "not kept"
_BLOCKS = "▁▂▃▄▅▆▇█"
_STAGE_TEXT = {
    "vae": "AutoencoderKL, 64 px to 8 x 8 x 4, on plain, styled and degraded stills",
    "image": "CLIPTextModel and UNet2DConditionModel, on clean plain stills",
    "motion": "the teacher's MotionAdapter, on degraded, watermarked clips",
    "lcm_lora": "stage 1: image consistency distillation, as a LoRA on the spatial layers",
    "animatelcm": "stage 2: the motion module's consistency distillation, on the same clips",
    "rehearsal": "the same module, on samples of its own for the most part; not in the paper",
    **{f"style_{style}": "style LoRA from {stills} stills alone" for style in world.Style},
}


PICTURES = (
    "## Pictures",
    "",
    "Clips of unseen scenes, first, middle and last frame of each; every column is one prompt.",
    "",
    f"![Rendered, rebuilt and generated clips]({card_pictures.FILE})",
    "",
)


def model_card(
    kitchen: recipes.Kitchen, judges: Mapping[str, float], rebuilt: Reconstruction
) -> str:
    """Return the card as Markdown; `judges` are held-out scores."""
    parts = (_training(kitchen), PICTURES, _judges(judges), _autoencoder(rebuilt))
    return "\n".join(itertools.chain.from_iterable(parts)) + "\n"


def _training(kitchen: recipes.Kitchen) -> Iterator[str]:
    seen, unseen = len(world.seen_scenes()), len(world.unseen_scenes())
    yield "# Tiny AnimateLCM: model card"
    yield ""
    yield (
        "Models of a small procedural world (64 px, 16 frames, 8 fps): for showing and checking "
        "the harness, of no other use. Trained from nothing by the stages of `poc train tiny`; "
        "no outside data, no personal data. Licence: Apache-2.0, as the code that made them."
    )
    yield ""
    yield (
        f"Of {seen + unseen} scenes, {unseen} ({100 * unseen / (seen + unseen):.1f} %) are unseen: "
        "their combination of shape, colour and background takes part in no training, judges "
        "included. Motion was learnt from degraded, watermarked clips, looks from clean stills. "
        "The two styles exist only as stills."
    )
    yield ""
    yield "| stage | what | steps | batch | rate | seed | loss over time | last | minutes |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for stage, text in _STAGE_TEXT.items():
        yield row(kitchen, stage, text.format(stills=_stills(kitchen, stage)))
    yield ""
    yield from _notes(kitchen)
    yield f"Guidance folded into the consistency models: {kitchen.recipe.guidance:g}."
    yield f"Their loss is pseudo-Huber with h = {HUBER:g}, where the paper has 0.001."
    yield (
        "The networks predict v, so that words decide the layout where there is only noise. "
        "Losses are smoothed and belong to their stage; that of a distillation says little, since "
        "its target moves. How good the models are is what a sweep measures."
    )
    yield ""


def _judges(judges: Mapping[str, float]) -> Iterator[str]:
    yield "## Judges, on clips of unseen scenes"
    yield ""
    yield "| score | value |"
    yield "|---|---|"
    for name, value in judges.items():
        yield f"| {name} | {value:.3f} |"
    yield ""
    yield (
        "`clip_auc`: how often a clip's own caption scores above one that differs in exactly one "
        "of shape, colour and background (chance: 0.5). It looks at single frames and cannot see "
        "motion. `style_auc_*`: how often a clip in a style is more similar to that style's "
        "held-out stills than a clip in another look (chance: 0.5). `style_similarity_*`: the mean "
        "similarity to them of clips rendered in the style, and of plain ones: what a style LoRA "
        "has to bridge. `video_*`: the share that a linear probe on the video features names "
        "rightly; texture comes in three strengths."
    )


def _autoencoder(rebuilt: Reconstruction) -> Iterator[str]:
    yield ""
    yield f"## The oracle after the autoencoder, on {rebuilt.count} clips of unseen scenes a look"
    yield ""
    names = list(next(iter(rebuilt.shares.values())))
    yield f"| look | {' | '.join(names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for look, found in rebuilt.shares.items():
        yield f"| {look} | {' | '.join(f'{found[name]:.0%}' for name in names)} |"
    yield ""
    lowest = min(share for found in rebuilt.shares.values() for share in found.values())
    interval = wilson(lowest, rebuilt.count)
    yield (
        "Share of rendered clips that are read as they were drawn. Behind the lowest, "
        f"{lowest:.0%}, is a 95 % interval from {interval.low:.0%} to {interval.high:.0%}."
    )


def _notes(kitchen: recipes.Kitchen) -> Iterator[str]:
    """Say of each stage what was not as the recipe has it, where somebody noted it."""
    for stage in _STAGE_TEXT:
        facts = kitchen.facts(stage)
        if "note" in facts:
            yield f"- {stage}: {facts['note']}"
            yield ""


def row(kitchen: recipes.Kitchen, stage: str, text: str) -> str:
    """Return what a stage kept of itself; finished weights of an older date kept less."""
    facts = kitchen.facts(stage)
    losses = [value for _, value in facts["losses"]]
    last = f"{losses[-1]:.4f}" if losses else NOT_KEPT
    batch, seed = facts.get("batch", NOT_KEPT), facts.get("seed", NOT_KEPT)
    rate = f"{facts['learning_rate']:g}" if "learning_rate" in facts else NOT_KEPT
    return (
        f"| {stage} | {text} | {facts['steps']} | {batch} | {rate} | {seed} | {curve(losses)} | "
        f"{last} | {facts['duration_s'] / 60:.0f} |"
    )


def _stills(kitchen: recipes.Kitchen, stage: str) -> int:
    """Return from how many stills a stage that learns a style learnt; 0 for any other."""
    styles = [style for style in world.Style if stage == f"style_{style}"]
    return sum(len(read_training(recipes.written_stills(kitchen, style))) for style in styles)


def curve(losses: Sequence[float]) -> str:
    """Draw positive losses as a line of at most `CURVE_WIDTH` blocks, on a log scale.

    Each block is the geometric mean of its share of the steps. Empty for fewer than two values.

    >>> curve([1.0, 0.1, 0.01, 0.001])
    '█▆▃▁'
    """
    if len(losses) < 2 or min(losses) <= 0:
        return ""
    shares = np.array_split(np.log(losses), min(CURVE_WIDTH, len(losses)))
    heights = np.array([share.mean() for share in shares])
    low, span = heights.min(), np.ptp(heights) or 1.0
    return "".join(_BLOCKS[round(place)] for place in (heights - low) / span * (len(_BLOCKS) - 1))
