"""A run small enough for fault loops: two arms, three prompts, frames of 3 x 8 x 8, no model.

`perform` does to the store what the program does, in the same order, and goes on where it stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from poc import records as r
from poc.fingerprint import Fingerprint
from poc.store import Manifest, RunStore

SHAPE = r.ClipShape(num_frames=3, height=8, width=8, fps=8)


def _criteria() -> r.CriteriaFile:
    one = r.Criterion(
        name="quality",
        metric="clip_score",
        comparison=r.Comparison.VALUE,
        direction="higher",
        target=0.3,
        minimum=0.2,
        weight=r.Weight.MUST,
        applies_to="all",
        reason="a number for tests",
        reason_ja="試験用の値",
    )
    return r.CriteriaFile(
        name="small",
        version=1,
        purpose="tests",
        purpose_ja="試験",
        written="2026-01-01",
        author="tests",
        criteria=(one,),
    )


def _arm_spec(steps: tuple[int, ...]) -> r.ArmSpec:
    return r.ArmSpec(
        name="lcm-{steps}",
        family="animatediff",
        base="base",
        motion_adapter="motion",
        scheduler=r.SchedulerName.LCM,
        steps=steps,
        guidance=(1.0,),
        negative_prompt="",
        loras=(),
        style=None,
    )


def _spec(steps: tuple[int, ...], prompts: int) -> r.SweepSpec:
    return r.SweepSpec(
        name="small",
        question="?",
        question_ja="?",
        kind="demonstration",
        dataset="small",
        prompts=prompts,
        replicates=1,
        seed=1,
        shape=SHAPE,
        dtype="float32",
        batch_size=2,
        baseline="lcm-1",
        arms=(_arm_spec(steps),),
        metrics=("clip_score",),
        references=(),
        latency=r.LatencySpec(warmup=1, repeats=3),
        criteria="small.yaml",
    )


def _arm(steps: int) -> r.Arm:
    fields: dict[str, Any] = {
        "family": "animatediff",
        "base": "base",
        "motion_adapter": "motion",
        "scheduler": r.SchedulerName.LCM,
        "steps": steps,
        "guidance": 1.0,
        "negative_prompt": "",
        "loras": (),
        "style": None,
        "dtype": "float32",
        "shape": SHAPE,
        "batch_size": 2,
        "model_digests": {"base": "0" * 64},
    }
    return r.Arm(id=r.short_id(["arm", steps]), name=f"lcm-{steps}", **fields)


def _batch(arm: r.Arm, block: int, prompts: tuple[r.Prompt, ...]) -> r.Batch:
    clips = tuple(
        r.ClipRequest(
            id=r.short_id([arm.id, prompt.id]),
            arm_id=arm.id,
            prompt_id=prompt.id,
            replicate=0,
            seed=r.clip_seed(1, prompt.text, 0),
        )
        for prompt in prompts
    )
    return r.Batch(id=r.short_id([arm.id, block]), arm_id=arm.id, block=block, clips=clips)


@cache
def plan(*, steps: tuple[int, ...] = (1, 2), prompts: int = 3) -> r.Plan:
    """Two arms over blocks of two prompts; the last block holds what is left."""
    arms = tuple(_arm(one) for one in steps)
    asked = tuple(
        r.Prompt(id=f"p{n}", text=f"prompt {n}", language="en", text_ja="", attributes={})
        for n in range(prompts)
    )
    blocks = [asked[start : start + 2] for start in range(0, prompts, 2)]
    return r.Plan(
        format_version=1,
        spec=_spec(steps, prompts),
        spec_digest="a" * 64,
        criteria=_criteria(),
        criteria_digest=_criteria().content_digest(),
        arms=arms,
        baseline_id=arms[0].id,
        prompts=asked,
        batches=tuple(_batch(arm, n, block) for n, block in enumerate(blocks) for arm in arms),
    )


def fingerprint(**changes: Any) -> Fingerprint:
    """A machine that does not exist, the same every time."""
    fields: dict[str, Any] = {
        "machine": "0" * 16,
        "system": "Linux",
        "cpu": "a processor",
        "cpus": 2,
        "memory_mib": 4096,
        "gpus": (),
        "gpu_driver": "absent",
        "python": "3.11.0",
        "packages": {"torch": "2.14.1"},
        "commit": "unknown",
        "modified": None,
        "settings": {},
        "video_encoder": "none",
    }
    return Fingerprint(**{**fields, **changes})


def manifest(made: r.Plan, **changes: Any) -> Manifest:
    """The manifest of `made`, the same every time."""
    content = Manifest.of("name: small\n", made, fingerprint(**changes))
    return content.model_copy(update={"created": "2026-01-01T00:00:00+00:00"})


def open_store(path: Path, made: r.Plan | None = None, **changes: Any) -> RunStore:
    """Own the run of the small plan at `path`."""
    made = made or plan()
    return RunStore.create_or_open(path, plan=made, manifest=manifest(made, **changes))


def resolved(arm: r.Arm, weights: str = "1" * 64) -> r.ResolvedArm:
    """What an arm turned out to be."""
    return r.ResolvedArm(
        arm_id=arm.id,
        component_digests={"unet": weights},
        scheduler_class="LCMScheduler",
        scheduler_config={"steps": arm.steps},
        timesteps=(999.0,),
        pipeline_arguments={},
        device="cpu",
    )


def frames(clip: r.ClipRequest) -> npt.NDArray[np.uint8]:
    """The frames of a clip, by its id."""
    rng = np.random.default_rng(int(clip.id, 16))
    return rng.integers(0, 256, (3, 8, 8, 3), np.uint8)


def generation(batch: r.Batch, digests: Sequence[str]) -> r.Generation:
    """The record of a batch whose clips are all ok."""
    arm = next(arm for arm in plan().arms if arm.id == batch.arm_id)
    return r.Generation(
        batch_id=batch.id,
        arm_id=batch.arm_id,
        clips=tuple(
            r.ClipResult(
                clip_id=clip.id, status=r.ClipStatus.OK, reason="", frames_digest=frames_digest
            )
            for clip, frames_digest in zip(batch.clips, digests, strict=True)
        ),
        resolved_digest=resolved(arm).content_digest(),
        duration_s=0.5,
        worker=0,
    )


def publish(store: RunStore, batch: r.Batch) -> None:
    """Write the clips of a batch and publish it."""
    store.append_generation(
        generation(batch, [store.write_clip(clip.id, frames(clip)) for clip in batch.clips])
    )


def measurement(clip: r.ClipRequest, metric: str = "clip_score", value: float = 0.5) -> Any:
    """One value of one clip."""
    return r.Measurement(
        metric=metric,
        version=1,
        arm_id=clip.arm_id,
        clip_id=clip.id,
        value=value,
        status=r.MeasurementStatus.OK,
        reason="",
        extractor=None,
    )


def latency(arm: r.Arm) -> r.LatencySample:
    """One timed clip."""
    return r.LatencySample(
        arm_id=arm.id,
        prompt_id="p0",
        round=0,
        text_s=0.1,
        denoise_s=0.2,
        decode_s=0.3,
        encode_s=0.4,
        total_s=1.0,
        peak_memory_bytes=1,
        device="cpu",
    )


def perform(path: Path, acknowledge: Callable[[str], None]) -> None:
    """Make, time and measure whatever is still to do; acknowledge what the store has accepted."""
    with open_store(path) as store:
        _generate(store, acknowledge)
        _time(store, acknowledge)
        _measure(store, acknowledge)
        store.write_derived("estimates.json", "\n".join(m.to_json() for m in store.measurements()))
        acknowledge("estimated")


def _generate(store: RunStore, acknowledge: Callable[[str], None]) -> None:
    for arm in store.plan.arms:
        store.append_resolved(resolved(arm))
        acknowledge(f"resolved {arm.id}")
    for batch in store.pending_batches():
        acknowledge(f"begun {batch.id}")
        store.write_view(batch.clips[0].id, b"a film", ".webm")
        publish(store, batch)
        acknowledge(f"published {batch.id}")


def _time(store: RunStore, acknowledge: Callable[[str], None]) -> None:
    timed = {sample.arm_id for sample in store.latency()}
    for arm in store.plan.arms:
        if arm.id not in timed:
            store.append_latency(latency(arm))
            acknowledge(f"timed {arm.id}")


def _measure(store: RunStore, acknowledge: Callable[[str], None]) -> None:
    measured = {one.clip_id for one in store.measurements()}
    for batch in store.plan.batches:
        clips = [clip for clip in batch.clips if clip.id not in measured]
        for clip in clips:
            features = store.read_clip(clip.id).astype(np.float64).mean(axis=(1, 2))
            store.write_features(clip.id, {"video": features})
        store.append_measurements(
            [measurement(clip, name) for clip in clips for name in ("clip_score", "flicker")]
        )
        for clip in clips:
            acknowledge(f"measured {clip.id}")


def main(argv: Sequence[str]) -> int:
    """Perform the run in the folder named by the only argument."""
    perform(Path(argv[0]), lambda text: print(text, file=sys.stdout, flush=True))  # noqa: T201
    return 0
