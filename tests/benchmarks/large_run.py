"""A run folder of 10,000 clips and 200,000 measurements, by the store's own writers: no model.

Values are made up and of the size that the tiny world gives; frames are plain. `poc decide` derives
the estimates and the decision, as in every run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from metrics.catalog import CATALOG
from poc.fingerprint import take_fingerprint
from poc.records import (
    Arm,
    Batch,
    ClipResult,
    ClipStatus,
    Generation,
    LatencySample,
    Measurement,
    MeasurementStatus,
    Plan,
    ResolvedArm,
)
from poc.run import decide_again, read_plan
from poc.store import Manifest, RunStore

SPECS: Final = Path(__file__).parent.parent.parent / "poc" / "specs"
METRICS: Final = (
    "clip_score", "clip_logit", "clip_frame_consistency", "flicker", "luminance_jump", "flashes",
    "warping_error", "motion_smoothness", "sharpness", "contrast", "saturation", "clipped_share",
    "motion", "dynamic_degree", "oracle_shape", "oracle_colour", "oracle_background",
    "oracle_texture", "oracle_motion", "oracle_all",
)  # fmt: skip
"""Of every clip."""

_ARMS: Final = 15
"""Of the default sweep."""

TIMED: Final = 30
"""Clips of an arm."""


def write_large_run(folder: Path, *, clips: int = 10_000) -> Path:
    """Write a run of the default sweep's arms over at least `clips` clips, decided."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    spec = folder.parent / "large.yaml"
    plan = _plan(spec, clips)
    manifest = Manifest.of(spec.read_text("utf-8"), plan, take_fingerprint())
    rng = np.random.default_rng(0)
    with RunStore.create_or_open(folder, plan=plan, manifest=manifest) as store:
        resolved = {arm.id: _resolved(arm) for arm in plan.arms}
        for one in resolved.values():
            store.append_resolved(one)
        for batch in plan.batches:
            _publish(store, batch, resolved[batch.arm_id])
            store.append_measurements(tuple(_measurements(batch, rng)))
        for arm in plan.arms:
            for turn in range(-1, TIMED):
                store.append_latency(_timed(arm, plan, turn, rng))
    decide_again(folder, criteria=None)
    return folder


def _plan(path: Path, clips: int) -> Plan:
    """Return the default sweep's plan over many prompts, with metrics of clips alone."""
    spec = yaml.safe_load((SPECS / "tiny.yaml").read_text("utf-8"))
    criteria = yaml.safe_load((SPECS / "criteria" / "demonstration.yaml").read_text("utf-8"))
    known = {*METRICS, "latency_p50_s", "valid_share"}
    criteria["criteria"] = [one for one in criteria["criteria"] if one["metric"] in known]
    for one in (*spec["contrasts"], spec["slices"]):
        one["metrics"] = [name for name in one["metrics"] if name in known]
    prompts = min(334, math.ceil(clips / _ARMS))
    replicates = math.ceil(clips / (prompts * _ARMS))
    spec |= {"prompts": prompts, "replicates": replicates, "metrics": list(METRICS)}
    spec |= {"references": [], "criteria": "large-criteria.yaml", "batch_size": 8}
    spec["latency"] = {"warmup": 1, "repeats": TIMED}
    criteria_path = path.with_name("large-criteria.yaml")
    criteria_path.write_text(yaml.safe_dump(criteria, allow_unicode=True), "utf-8")
    path.write_text(yaml.safe_dump(spec, sort_keys=False, allow_unicode=True), "utf-8")
    return read_plan(path)[0]


def _resolved(arm: Arm) -> ResolvedArm:
    return ResolvedArm(
        arm_id=arm.id, component_digests={"unet": "0" * 64}, scheduler_class="LCMScheduler",
        scheduler_config={}, timesteps=(999.0,), pipeline_arguments={}, device="cpu",
    )  # fmt: skip


def _publish(store: RunStore, batch: Batch, resolved: ResolvedArm) -> None:
    shape = store.plan.spec.shape
    frames = np.full((shape.num_frames, shape.height, shape.width, 3), 118, np.uint8)
    ended = tuple(
        ClipResult(
            clip_id=clip.id, status=ClipStatus.OK, reason="",
            frames_digest=store.write_clip(clip.id, frames),
        )
        for clip in batch.clips
    )  # fmt: skip
    store.append_generation(
        Generation(
            batch_id=batch.id, arm_id=batch.arm_id, clips=ended,
            resolved_digest=resolved.content_digest(), duration_s=1.0, worker=0,
        )
    )  # fmt: skip


def _measurements(batch: Batch, rng: np.random.Generator) -> Iterator[Measurement]:
    common: dict[str, Any] = {"status": MeasurementStatus.OK, "reason": "", "extractor": None}
    for clip in batch.clips:
        for name in METRICS:
            row = CATALOG[name]
            is_share = row.unit == "fraction of clips"
            value = float(rng.random() < 0.8) if is_share else float(rng.normal(20, 2))
            yield Measurement(
                metric=name, version=row.version, arm_id=clip.arm_id, clip_id=clip.id,
                value=value, **common,
            )  # fmt: skip


def _timed(arm: Arm, plan: Plan, turn: int, rng: np.random.Generator) -> LatencySample:
    denoise_s = 0.05 * arm.sampling.nfe * (3.0 if turn < 0 else float(rng.normal(1, 0.02)))
    return LatencySample(
        arm_id=arm.id, prompt_id=plan.prompts[0].id, round=turn, text_s=0.01,
        denoise_s=denoise_s, decode_s=0.05, encode_s=0.02, total_s=denoise_s + 0.08,
        peak_memory_bytes=400_000_000, device="cpu",
    )  # fmt: skip
