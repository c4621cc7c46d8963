"""What a careful person would write without the harness: loop, generate, score, print.

Same clips and same numbers as a sweep's CLIP score and FVD, by diffusers, open_clip and a plain
Frechet distance. Each arm loads its own pipeline, as such scripts do. Used as a yardstick of speed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import open_clip
import torch
from diffusers import AnimateDiffPipeline, MotionAdapter
from PIL import Image
from scipy.linalg import sqrtm

from poc.pipelines.schedulers import make_scheduler
from poc.records import Arm, Plan
from poc.store import RunStore
from poc.tiny import world
from poc.tiny.video_network import load_video_extractor


def main() -> None:
    """Make and score the clips of a finished run's plan again, and print seconds and numbers."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--reference-clips", type=int, default=256)
    arguments = parser.parse_args()
    plan = RunStore.open_reader(arguments.run).plan
    start = time.perf_counter()
    scores = {arm.name: _arm(plan, arm, arguments) for arm in plan.arms}
    print(json.dumps({"seconds": time.perf_counter() - start, "arms": scores}))


def _folder(weights: Path, model: str) -> Path:
    return weights / model.removeprefix("tiny-").replace("-", "_")


def _arm(plan: Plan, arm: Arm, arguments: argparse.Namespace) -> dict[str, float]:
    weights: Path = arguments.weights
    prompts: int = arguments.prompts
    count: int = arguments.reference_clips
    pipe = _pipeline(arm, weights)
    seeds = {request.prompt_id: request.seed or 0 for b in plan.batches for request in b.clips}
    clips = []
    for prompt in plan.prompts[:prompts]:
        result = pipe(
            prompt.text,
            num_frames=arm.shape.num_frames,
            height=arm.shape.height,
            width=arm.shape.width,
            num_inference_steps=arm.steps,
            guidance_scale=arm.guidance,
            generator=torch.Generator().manual_seed(seeds[prompt.id]),
            output_type="np",
        )
        clips.append(np.rint(result.frames[0] * 255).astype(np.uint8))
    texts = [prompt.text for prompt in plan.prompts[:prompts]]
    return {
        "clip_score": _clip_score(clips, texts, weights / "clip"),
        "fvd": _fvd(np.stack(clips), _rendered(texts, arm.style, count), weights),
    }


def _pipeline(arm: Arm, weights: Path) -> AnimateDiffPipeline:
    single = torch.float32
    adapter = MotionAdapter.from_pretrained(
        _folder(weights, arm.motion_adapter or ""), dtype=single
    )
    pipe = AnimateDiffPipeline.from_pretrained(
        weights / "base", motion_adapter=adapter, dtype=single
    )
    pipe.scheduler = make_scheduler(arm.sampling.scheduler, dict(pipe.scheduler.config))
    pipe.set_progress_bar_config(disable=True)
    for number, use in enumerate(arm.loras):
        pipe.load_lora_weights(_folder(weights, use.model), adapter_name=f"lora{number}")
    if arm.loras:
        names = [f"lora{number}" for number in range(len(arm.loras))]
        pipe.set_adapters(names, [use.scale for use in arm.loras])
    return pipe


@torch.inference_mode()
def _clip_score(clips: list[np.ndarray], texts: list[str], folder: Path) -> float:
    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    scores = []
    for clip, text in zip(clips, texts, strict=True):
        words = model.encode_text(tokenizer([text]), normalize=True)
        for frame in clip:
            image = transform(Image.fromarray(frame)).unsqueeze(0)
            scores.append(100 * float(model.encode_image(image, normalize=True) @ words.T))
    return float(np.mean(scores))


def _rendered(texts: list[str], style: str | None, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    look = world.Style(style) if style else None
    return [world.render_clip(world.parse(texts[i % len(texts)]), rng, look) for i in range(count)]


def _fvd(clips: np.ndarray, reference: list[np.ndarray], weights: Path) -> float:
    extractor = load_video_extractor(weights / "video_features", extractor_id="plain")
    x = np.concatenate([extractor.features(clip[None]) for clip in clips])
    y = np.concatenate([extractor.features(clip[None]) for clip in reference])
    product = sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False))
    spread = np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * product.real)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + spread)


if __name__ == "__main__":
    main()
