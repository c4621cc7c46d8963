"""Runs for tests of the regression gate: simulated ones, and small run folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import simulated_runs as sim
import small_run

from poc.gate import compare
from poc.gate_limits import DEFAULT_LIMITS, read_limits
from poc.gate_records import GateCell, GateGroup, GateLimits, GateResult, GateRun
from poc.records import (
    Arm,
    Batch,
    ClipRequest,
    ClipStatus,
    CriteriaFile,
    Generation,
    LatencySpec,
    Measurement,
    Plan,
    ResolvedArm,
)
from poc.store import RunStore

LIMITS = read_limits(DEFAULT_LIMITS)

METRICS = ("clip_score", "flicker", "motion", "oracle_all")

Values = Mapping[str, Callable[[Arm, int, int], float]]


def values(run: str, **shifts: float) -> Values:
    """Return values whose prompts are shared by all runs and whose noise is the run's own.

    `shifts` add to a metric of the student; for `oracle_all` they are a share of clips to lose.
    """

    def score(arm: Arm, prompt: int, replicate: int) -> float:
        shift = shifts.get("clip_score", 0.0) if arm.name == sim.STUDENT else 0.0
        own = sim.noise(run, "clip", arm.name, prompt, replicate)
        return 80 + 5 * sim.noise("clip", prompt) + own + shift

    def flicker(arm: Arm, prompt: int, replicate: int) -> float:
        shift = shifts.get("flicker", 0.0) if arm.name == sim.STUDENT else 0.0
        own = sim.noise(run, "flicker", arm.name, prompt, replicate)
        return 0.95 + 0.01 * sim.noise("flicker", prompt) + 0.002 * own + shift

    def motion(arm: Arm, prompt: int, replicate: int) -> float:
        factor = 1 + shifts.get("motion", 0.0) if arm.name == sim.STUDENT else 1.0
        own = sim.noise(run, "motion", arm.name, prompt, replicate)
        return factor * (2 + 0.2 * sim.noise("motion", prompt) + 0.1 * own)

    def oracle(arm: Arm, prompt: int, _replicate: int) -> float:
        lost = shifts.get("oracle_all", 0.0) if arm.name == sim.STUDENT else 0.0
        return float(prompt % 10 >= round(10 * lost))

    found = {"clip_score": score, "flicker": flicker, "motion": motion, "oracle_all": oracle}
    return {metric: found[metric] for metric in METRICS}


def resolved(arm: Arm, **changes: Any) -> ResolvedArm:
    """Return what an arm turned out to be."""
    fields: dict[str, Any] = {
        "arm_id": arm.id,
        "component_digests": {"unet": "1" * 64},
        "scheduler_class": "LCMScheduler",
        "scheduler_config": {"beta_schedule": "linear"},
        "timesteps": (999.0, 499.0),
        "pipeline_arguments": {},
        "device": "cpu",
    }
    return ResolvedArm(**(fields | changes))


def made(result: sim.Run, name: str, **changes: Any) -> GateRun:
    """Return a simulated run as the gate takes it."""
    arms = {arm.id: resolved(arm) for arm in result.plan.arms}
    digests = {key: one.content_digest() for key, one in arms.items()}
    generations = tuple(
        g.model_copy(update={"resolved_digest": digests[g.arm_id]}) for g in result.generations
    )
    run = GateRun(
        name=name,
        plan=result.plan,
        generations=generations,
        measurements=tuple(result.measurements),
        latencies=tuple(result.latencies),
        resolved=arms,
        fingerprints=(small_run.fingerprint(),),
        closed_reason=result.closed_reason,
    )
    return replace(run, **changes)


def simulated(
    name: str = "run",
    *,
    prompts: int = 64,
    slower: float = 1.0,
    rounds: int = 12,
    spec: Mapping[str, Any] | None = None,
    **shifts: float,
) -> sim.Run:
    """Return the records of a run of a teacher and a student; `slower` times the student's time."""
    fields: dict[str, Any] = {
        "metrics": METRICS,
        "latency": LatencySpec(warmup=1, repeats=rounds) if rounds else None,
    }
    arms = [sim.teacher(), sim.arm(sim.STUDENT)]
    plan = sim.plan(arms, prompts=prompts, **(fields | dict(spec or {})))
    result = sim.run(plan, values(name, **shifts))

    def seconds(arm: Arm, n: int) -> float:
        factor = slower if arm.name == sim.STUDENT else 4.0
        return factor * (1 + 0.01 * sim.noise(name, "s", arm.name, n))

    return sim.timed(result, seconds, rounds=rounds) if rounds else result


def gate_run(name: str = "run", **settings: Any) -> GateRun:
    """Return a simulated run as the gate takes it; settings as for `simulated`."""
    return made(simulated(name, **settings), name)


def check(head: GateRun, base: GateRun) -> GateResult:
    """Return what the gate says with the limits that ship."""
    return compare(head, base, LIMITS)


def tight() -> GateLimits:
    """Return limits that any change for the worse exceeds, so that only the tests hold back."""
    quality = [
        one.model_copy(update={"margin": 1e-9} if one.margin else {"window": 1 + 1e-9})
        for one in LIMITS.quality
    ]
    bare = dict.fromkeys(("relative", "relative_in_turns", "absolute_s"), 1e-9)
    speed = [one.model_copy(update=bare) for one in LIMITS.speed]
    return LIMITS.model_copy(update={"quality": tuple(quality), "speed": tuple(speed)})


def cell(result: GateResult, subject: str, arm: str = sim.STUDENT) -> GateCell:
    """Return the one cell of a subject."""
    found = [one for one in result.cells if (one.subject, one.arm) == (subject, arm)]
    assert len(found) == 1, f"{len(found)} cells of {subject}"
    return found[0]


def quality(result: GateResult) -> list[GateCell]:
    """Return the quality cells."""
    return [one for one in result.cells if one.group is GateGroup.QUALITY]


def remeasured(run: GateRun, change: Callable[[Measurement], Measurement]) -> GateRun:
    """Return a run with every measurement changed."""
    return replace(run, measurements=tuple(change(one) for one in run.measurements))


# --- folders -------------------------------------------------------------------------------------


def criteria(minimum: float) -> CriteriaFile:
    """Return the criteria of the small run with another minimum."""
    file = small_run.plan().criteria
    return file.model_copy(
        update={"criteria": tuple(c.model_copy(update={"minimum": minimum}) for c in file.criteria)}
    )


def folder(
    path: Path,
    *,
    prompts: int = 24,
    steps: tuple[int, ...] = (1, 2),
    shift: float = 0.0,
    slower: float = 1.0,
    rounds: int = 7,
    device: str = "cpu",
    weights: str = "1" * 64,
    criteria_minimum: float | None = None,
    leave_out: int = 0,
    invalid: int = 0,
    unmeasured: int = 0,
    scribbled: int = 0,
) -> Path:
    """Write a run folder of one metric and timed rounds; returns its path.

    Of the last arm the first clips are `invalid`, `unmeasured`, or have NaN `scribbled` over their
    measurement; the last `leave_out` batches of all were never made.
    """
    plan: Plan = small_run.plan(prompts=prompts, steps=steps)
    latency = LatencySpec(warmup=1, repeats=rounds) if rounds else None
    plan = plan.model_copy(update={"spec": plan.spec.model_copy(update={"latency": latency})})
    if criteria_minimum is not None:
        edited = criteria(criteria_minimum)
        plan = plan.model_copy(
            update={"criteria": edited, "criteria_digest": edited.content_digest()}
        )
    last = [c.id for b in plan.batches if b.arm_id == plan.arms[-1].id for c in b.clips]
    with small_run.open_store(path, plan) as store:
        for arm in plan.arms:
            store.append_resolved(small_run.resolved(arm, weights))
        for batch in plan.batches[: len(plan.batches) - leave_out]:
            store.append_generation(_made(store, batch, set(last[:invalid])))
            found = [_measured(clip, shift, set(last[:invalid])) for clip in batch.clips]
            store.append_measurements(
                [one for one in found if one.clip_id not in set(last[:unmeasured])]
            )
        for n in range(rounds):
            for arm in plan.arms:
                seconds = slower * (1 + 0.01 * sim.noise(str(path.name), arm.name, n))
                times = {"round": n, "total_s": seconds, "denoise_s": 0.8 * seconds}
                sample = small_run.latency(arm).model_copy(update=times | {"device": device})
                store.append_latency(sample)
    _scribble(path / "measurements.jsonl", last[:scribbled])
    return path


def _made(store: RunStore, batch: Batch, invalid: Collection[str]) -> Generation:
    """Write a batch's clips; of the invalid ones the frames were not finite, so there are none."""
    digests = [store.write_clip(clip.id, small_run.frames(clip)) for clip in batch.clips]
    made = small_run.generation(batch, digests)
    origin = next(one for one in store.resolved() if one.arm_id == batch.arm_id)
    spoilt = {"status": ClipStatus.INVALID, "reason": "NaN in frame 0", "frames_digest": None}
    clips = tuple(
        one.model_copy(update=spoilt) if one.clip_id in invalid else one for one in made.clips
    )
    return made.model_copy(update={"clips": clips, "resolved_digest": origin.content_digest()})


def _measured(clip: ClipRequest, shift: float, invalid: Collection[str]) -> Measurement:
    if clip.id in invalid:
        return sim.measurement(clip, "clip_score", None)
    value = 80 + sim.noise(clip.prompt_id) - shift
    found: Measurement = small_run.measurement(clip, value=value)
    return found


def _scribble(path: Path, clip_ids: Collection[str]) -> None:
    """Write NaN over the value of these clips' measurements, as an editor of the file might."""
    lines = path.read_text("utf-8").splitlines()
    for place, line in enumerate(lines):
        if any(clip_id in line for clip_id in clip_ids):
            lines[place] = re.sub(r'"value":[-0-9.e]+', '"value":NaN', line)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
