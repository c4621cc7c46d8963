"""Tiny VideoMAEs as judges, a folder of real clips, and a sweep of seconds for both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from transformers import VideoMAEConfig, VideoMAEModel

from metrics.extractors.base import file_digest
from poc.models import MODELS
from poc.tiny import world
from poc.video import encode_webm

Frames = npt.NDArray[np.uint8]

QUICK: Final = MODELS.parent / "quick.yaml"
REFERENCE: Final = "  - {name: real, kind: folder, style: null, path: real}\n"
TEXT: Final = "a red circle moving left on a navy background"


def write_videomae(folder: Path, seed: int = 0, width: int = 8, frames: int = 4) -> dict[str, str]:
    """Write an untrained VideoMAE of `width` features; returns the digests of its files."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    config = VideoMAEConfig(
        image_size=16,
        patch_size=8,
        num_frames=frames,
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=16,
        initializer_range=0.5,
    )
    VideoMAEModel(config).save_pretrained(folder)
    stated = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))
    return {path.name: file_digest(path) for path in sorted(folder.iterdir())}


def video_entry(name: str, files: dict[str, str | None]) -> str:
    """Return an entry of models.yaml for a VideoMAE on a hub."""
    rows = "".join(
        f"        - {{name: {file}, sha256: {sha256 or 'null'}}}\n"
        for file, sha256 in files.items()
    )
    return f"""\
  - id: {name}
    kind: video_features
    family: videomae
    path: ../weights/{name}
    licence: CC-BY-NC-4.0
    commercial_use: forbidden
    training_data: Nothing at all, drawn by the tests.
    languages: [und]
    vocabulary: null
    combines_with: []
    hub:
      repository: maker/{name}
      revision: null
      files:
{rows}"""


def real_clip(seed: int) -> Frames:
    """Return a clean clip of the tiny world, (16, 64, 64, 3): what stands for a real one here."""
    return world.render_clip(world.parse(TEXT), np.random.default_rng(seed), None)


def write_real(folder: Path, count: int = 10, fps: int = 8) -> None:
    """Fill a folder with clips, each of another seed."""
    folder.mkdir(parents=True)
    for seed in range(count):
        (folder / f"{seed:02d}.webm").write_bytes(encode_webm(real_clip(seed), fps, crf=8))


CRITERION: Final = """
  - name: like real clips
    metric: kvd
    comparison: difference
    direction: lower
    target: 1000
    minimum: 2000
    weight: must
    applies_to: all
    reason: So wide that untrained features cannot miss it.
    reason_ja: 未学習の特徴量でも外れない広い許容差。
"""


def write_judged(folder: Path, judges: str | None, references: str = REFERENCE) -> Path:
    """Write the quick sweep over four prompts with two arms, judged so, and its criteria."""
    text = QUICK.read_text("utf-8").replace("steps: [1, 2]", "steps: 2")
    text = text.replace("prompts: 2", "prompts: 4")
    start, end = text.index("\nreferences:"), text.index("\nlatency:")
    text = f"{text[:start]}\nreferences:\n{references}{text[end:]}"
    if judges is not None:
        text = text.replace("\nmetrics:\n", f"\njudges: {{{judges}}}\nmetrics:\n")
    shutil.copytree(QUICK.parent / "criteria", folder / "criteria", dirs_exist_ok=True)
    criteria = folder / "criteria" / "quick.yaml"
    if CRITERION not in criteria.read_text("utf-8"):
        criteria.write_text(criteria.read_text("utf-8") + CRITERION, "utf-8")
    path = folder / "spec.yaml"
    path.write_text(text, "utf-8")
    return path
