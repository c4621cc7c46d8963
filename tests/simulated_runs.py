"""Runs made of numbers alone, for tests of estimates and decisions: no model, no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poc.estimate import Evidence, evaluate
from poc.records import (
    Arm,
    ArmSpec,
    Batch,
    ClipRequest,
    ClipResult,
    ClipShape,
    ClipStatus,
    Comparison,
    CriteriaFile,
    Criterion,
    Estimate,
    Generation,
    LatencyFailure,
    LatencySample,
    LatencySpec,
    Measurement,
    MeasurementStatus,
    Plan,
    Prompt,
    SchedulerName,
    SweepSpec,
    Weight,
    clip_seed,
    digest,
)

SHAPE = ClipShape(num_frames=16, height=64, width=64, fps=8)

BASELINE = "teacher-25"
STUDENT = "student-4"


def criterion(**changes: Any) -> Criterion:
    """Return a must on the CLIP score: at most 0.1 below the baseline, 0.0 as target."""
    fields: dict[str, Any] = {
        "name": "quality",
        "metric": "clip_score",
        "comparison": Comparison.DIFFERENCE,
        "direction": "higher",
        "target": -0.05,
        "minimum": -0.1,
        "weight": Weight.MUST,
        "applies_to": "all",
        "reason": "a reason long enough",
        "reason_ja": "十分に長い理由",
    }
    return Criterion(**(fields | changes))


def criteria_file(*criteria: Criterion) -> CriteriaFile:
    """Return a criteria file of the given criteria."""
    return CriteriaFile(
        name="simulated",
        version=1,
        purpose="tests",
        purpose_ja="テスト",
        written="2026-11-23",
        author="the tests",
        criteria=criteria or (criterion(),),
    )


def arm(name: str, *, steps: int = 4, guidance: float = 1.0, **changes: Any) -> Arm:
    """Return an LCM arm with an adapter of its own, unless changed."""
    fields: dict[str, Any] = {
        "id": name,
        "name": name,
        "family": "animatediff",
        "base": "base",
        "motion_adapter": "student-motion",
        "scheduler": SchedulerName.LCM,
        "steps": steps,
        "guidance": guidance,
        "negative_prompt": "",
        "loras": (),
        "style": None,
        "dtype": "float32",
        "shape": SHAPE,
        "batch_size": 1,
        "model_digests": {"base": "0" * 64, "student-motion": "1" * 64},
    }
    return Arm(**(fields | changes))


def teacher() -> Arm:
    """Return the guided 25-step baseline."""
    return arm(
        BASELINE,
        steps=25,
        guidance=7.5,
        motion_adapter="teacher-motion",
        scheduler=SchedulerName.DDIM,
        model_digests={"base": "0" * 64, "teacher-motion": "2" * 64},
    )


def _spec(arms: Sequence[Arm], prompts: int, replicates: int, **changes: Any) -> SweepSpec:
    one = ArmSpec(
        name="{steps}",
        family="animatediff",
        base="base",
        motion_adapter="student-motion",
        scheduler=SchedulerName.LCM,
        steps=tuple(a.sampling.steps for a in arms),
        guidance=(1.0,),
        negative_prompt="",
        loras=(),
        style=None,
    )
    fields: dict[str, Any] = {
        "name": "simulated",
        "question": "does it hold?",
        "question_ja": "成り立つか",
        "kind": "demonstration",
        "dataset": "none",
        "prompts": prompts,
        "replicates": replicates,
        "seed": 0,
        "shape": SHAPE,
        "dtype": "float32",
        "batch_size": 1,
        "baseline": BASELINE,
        "arms": (one,),
        "metrics": ("clip_score",),
        "references": (),
        "latency": None,
        "criteria": "criteria.yaml",
    }
    return SweepSpec(**(fields | changes))


def plan(
    arms: Sequence[Arm],
    *,
    prompts: int,
    replicates: int = 1,
    criteria: CriteriaFile | None = None,
    **spec: Any,
) -> Plan:
    """Return a plan of one-clip batches, block after block."""
    criteria = criteria or criteria_file()
    sweep = _spec(arms, prompts, replicates, **spec)
    asked = tuple(
        Prompt(id=f"p{n:04}", text=f"prompt {n}", language="en", text_ja="", attributes={})
        for n in range(prompts)
    )
    requests = [
        ClipRequest(
            id=f"{a.id}/{p.id}/{r}",
            arm_id=a.id,
            prompt_id=p.id,
            replicate=r,
            seed=clip_seed(0, p.text, r),
        )
        for p in asked
        for r in range(replicates)
        for a in arms
    ]
    return Plan(
        format_version=1,
        spec=sweep,
        spec_digest=digest(sweep.model_dump(mode="json")),
        criteria=criteria,
        criteria_digest=digest(criteria.model_dump(mode="json")),
        arms=tuple(arms),
        baseline_id=BASELINE,
        prompts=asked,
        batches=tuple(
            Batch(id=f"b-{c.id}", arm_id=c.arm_id, block=i, clips=(c,))
            for i, c in enumerate(requests)
        ),
    )


@dataclass
class Run:
    """The records of a run; change the lists before `evidence` to break it."""

    plan: Plan
    generations: list[Generation] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    latencies: list[LatencySample] = field(default_factory=list)
    set_estimates: list[Estimate] = field(default_factory=list)
    latency_failures: list[LatencyFailure] = field(default_factory=list)
    closed_reason: str | None = None

    def evidence(self) -> Evidence:
        """Return the run's estimates and draws."""
        return evaluate(
            self.plan,
            self.generations,
            self.measurements,
            self.latencies,
            self.set_estimates,
            closed_reason=self.closed_reason,
            latency_failures=self.latency_failures,
        )

    def clips(self) -> list[ClipRequest]:
        """Return every planned clip."""
        return [clip for batch in self.plan.batches for clip in batch.clips]


def generation(clip: ClipRequest, status: ClipStatus = ClipStatus.OK) -> Generation:
    """Return the record of a one-clip batch."""
    ok = status is ClipStatus.OK
    result = ClipResult(
        clip_id=clip.id,
        status=status,
        reason="" if ok else "broken on purpose",
        frames_digest="f" * 64 if ok else None,
    )
    return Generation(
        batch_id=f"b-{clip.id}",
        arm_id=clip.arm_id,
        clips=(result,),
        resolved_digest="d" * 64,
        duration_s=1.0,
        worker=0,
    )


def measurement(clip: ClipRequest, metric: str, value: float | None, **changes: Any) -> Measurement:
    """Return a clip's measurement; without a value it is missing."""
    status = MeasurementStatus.OK if value is not None else MeasurementStatus.MISSING
    fields: dict[str, Any] = {
        "metric": metric,
        "version": 1,
        "arm_id": clip.arm_id,
        "clip_id": clip.id,
        "value": value,
        "status": status,
        "reason": "" if value is not None else "no clip",
        "extractor": None,
    }
    return Measurement(**(fields | changes))


Values = Mapping[str, Callable[[Arm, int, int], float]]
"""Metric -> value of (arm, prompt number, replicate)."""


def run(a_plan: Plan, values: Values) -> Run:
    """Return a run whose clips are all ok and measured."""
    result = Run(a_plan)
    arms = {a.id: a for a in a_plan.arms}
    for clip in result.clips():
        result.generations.append(generation(clip))
        for metric, value in values.items():
            number = value(arms[clip.arm_id], int(clip.prompt_id[1:]), clip.replicate)
            result.measurements.append(measurement(clip, metric, float(number)))
    return result


def lose(result: Run, clip_ids: set[str], status: ClipStatus) -> None:
    """Let clips end badly, or be pending: their measurements turn missing, or go."""
    result.generations[:] = [
        generation(clip, status if clip.id in clip_ids else ClipStatus.OK)
        for clip in result.clips()
        if not (clip.id in clip_ids and status is ClipStatus.PENDING)
    ]
    kept = [m for m in result.measurements if m.clip_id not in clip_ids]
    clips = {clip.id: clip for clip in result.clips()}
    lost = [m for m in result.measurements if m.clip_id in clip_ids]
    if status is not ClipStatus.PENDING:
        kept += [measurement(clips[m.clip_id or ""], m.metric, None) for m in lost]
    result.measurements[:] = kept


def timed(result: Run, seconds: Callable[[Arm, int], float], *, rounds: int, **changes: Any) -> Run:
    """Add a latency pass: seconds of (arm, round); round -1 is the cold call."""
    for r in range(-1, rounds):
        for a in result.plan.arms:
            total = seconds(a, r)
            fields: dict[str, Any] = {
                "arm_id": a.id,
                "prompt_id": "p0000",
                "round": r,
                "text_s": 0.01,
                "denoise_s": total * 0.8,
                "decode_s": 0.01,
                "encode_s": 0.01,
                "total_s": total,
                "peak_memory_bytes": 1_000_000 + max(r, 0),
                "device": "cpu",
            }
            result.latencies.append(LatencySample(**(fields | changes)))
    return result


def noise(*key: Any) -> float:
    """Return a standard normal number that depends on the key alone."""
    return float(np.random.default_rng(int(digest(list(key))[:16], 16)).normal())


LATENCY_SPEC = LatencySpec(warmup=1, repeats=12)
