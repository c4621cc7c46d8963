"""A realistic run for the tests of `reports`, made from the records alone: no model, no clock.

Numbers are invented, but of the size and shape that the tiny world gives. Some clips failed, some
are invalid, one set-level number is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rated_runs
import rights_fixture
import yaml

from poc import records as r
from poc.cost import evaluate
from poc.cost_file import read_cost
from poc.cost_light import economic_light
from poc.cost_records import MoneyOfRun
from poc.fingerprint import Fingerprint
from poc.governance_records import ArmParts, PartKind, RightsOfRun
from poc.panel import Form, Panel, PanelRequest, design_panel
from poc.rating_folder import write_key
from poc.rating_import import import_answers
from poc.store import Manifest, RunStore
from poc.tiny import world

SHAPE = r.ClipShape(num_frames=16, height=64, width=64, fps=8)
HOSTILE = "<script>alert('x')</script> \u202egnp.exe =HYPERLINK(\"http://x\") & 髙﨑 🎬"

# Of each arm: scheduler, steps, guidance, style; then its oracle_all, KVD and seconds.
ARMS: dict[str, tuple[r.SchedulerName, int, float, str | None, float, float, float]] = {
    "teacher-25": (r.SchedulerName.DDIM, 25, 3.0, None, 0.86, 0.021, 2.61),
    "teacher-4": (r.SchedulerName.DDIM, 4, 3.0, None, 0.41, 0.212, 0.47),
    "dpmpp-4": (r.SchedulerName.DPMPP_2M, 4, 3.0, None, 0.55, 0.120, 0.48),
    "dpmpp-8": (r.SchedulerName.DPMPP_2M, 8, 3.0, None, 0.80, 0.034, 0.89),
    "naive-lcm-lora-4": (r.SchedulerName.LCM, 4, 1.0, None, 0.47, 0.161, 0.27),
    "animatelcm-1": (r.SchedulerName.LCM, 1, 1.0, None, 0.52, 0.140, 0.125),
    "animatelcm-2": (r.SchedulerName.LCM, 2, 1.0, None, 0.74, 0.061, 0.171),
    "animatelcm-4": (r.SchedulerName.LCM, 4, 1.0, None, 0.83, 0.030, 0.262),
    "animatelcm-8": (r.SchedulerName.LCM, 8, 1.0, None, 0.84, 0.027, 0.451),
    "animatelcm-pastel-2": (r.SchedulerName.LCM, 2, 1.0, "pastel", 0.68, 0.081, 0.172),
    "animatelcm-pastel-4": (r.SchedulerName.LCM, 4, 1.0, "pastel", 0.77, 0.052, 0.263),
    "animatelcm-neon-4": (r.SchedulerName.LCM, 4, 1.0, "neon", 0.72, 0.066, 0.264),
}
GREY = np.full((16, 64, 64, 3), 118, np.uint8)
LOST = {"naive-lcm-lora-4": 2, "animatelcm-1": 1, "animatelcm-4": 1}
CONTROLS = {"teacher-4", "dpmpp-4", "dpmpp-8", "naive-lcm-lora-4"}
METRICS = (
    "clip_score", "clip_frame_consistency", "flicker", "motion_extent_px", "oracle_all",
    "oracle_motion", "oracle_style", "style_similarity", "valid_share", "fvd", "kvd",
)  # fmt: skip


@cache
def criteria() -> r.CriteriaFile:
    """The criteria that ship with the tiny world."""
    path = Path(r.__file__).parent / "specs" / "criteria" / "demonstration.yaml"
    return r.CriteriaFile.model_validate(yaml.safe_load(path.read_text("utf-8")), strict=False)


def arm(name: str) -> r.Arm:
    """One arm as a plan holds it."""
    scheduler, steps, guidance, style, *_ = ARMS[name]
    fields: dict[str, Any] = {
        "family": "animatediff",
        "base": "tiny-base",
        "motion_adapter": "tiny-lcm" if name.startswith("animatelcm") else "tiny-teacher",
        "scheduler": scheduler,
        "steps": steps,
        "guidance": guidance,
        "negative_prompt": "",
        "loras": (r.LoraUse(model=f"tiny-{style}", scale=0.8),) if style else (),
        "style": style,
        "dtype": "float32",
        "shape": SHAPE,
        "batch_size": 8,
        "model_digests": {"tiny-base": "0" * 64},
        "role": r.ArmRole.CONTROL if name in CONTROLS else r.ArmRole.CANDIDATE,
    }
    plain = r.Arm(id="x", name=name, **fields).model_dump(mode="json")
    return r.Arm(id=r.arm_id(plain), name=name, **fields)


def spec(kind: str = "demonstration") -> r.SweepSpec:
    """The spec behind the plan; its arms are not expanded from it here."""
    one = r.ArmSpec(
        name="teacher-{steps}", family="animatediff", base="tiny-base",
        motion_adapter="tiny-teacher", scheduler=r.SchedulerName.DDIM, steps=(25, 4),
        guidance=(3.0,), negative_prompt="", loras=(), style=None,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "name": "tiny",
        "question": "Can a few-step AnimateLCM arm replace the 25-step teacher?",
        "question_ja": "少ステップのAnimateLCMは、25ステップの教師モデルを置き換えられるか。",
        "kind": kind,
        "dataset": "tiny-unseen",
        "prompts": 64,
        "replicates": 1,
        "seed": 7,
        "shape": SHAPE,
        "dtype": "float32",
        "batch_size": 8,
        "baseline": "teacher-25",
        "arms": (one,),
        "metrics": METRICS,
        "references": (
            r.ReferenceSet(name="rendered", kind="rendered", style=None, count=256, seed=11),
            r.ReferenceSet(
                name="rendered-pastel", kind="rendered", style="pastel", count=256, seed=12
            ),
        ),
        "latency": r.LatencySpec(warmup=1, repeats=12),
        "criteria": "criteria/demonstration.yaml",
    }
    return r.SweepSpec(**fields)


def prompts(count: int = 64, hostile: bool = False) -> tuple[r.Prompt, ...]:
    """Captions of the tiny world; on request the third is replaced by hostile text."""
    texts = list(world.unseen_prompts(count))
    if hostile:
        texts[2] = HOSTILE
    return tuple(
        r.Prompt(id=r.short_id(t), text=t, language="en", text_ja=f"見出し {t}", attributes={})
        for t in texts
    )


def batches(arms: tuple[r.Arm, ...], asked: tuple[r.Prompt, ...]) -> Iterator[r.Batch]:
    """Blocks of eight prompts, every arm inside each block."""
    for block, one in product(range(0, len(asked), 8), arms):
        clips = tuple(
            r.ClipRequest(
                id=r.short_id([one.id, p.id, 0]), arm_id=one.id, prompt_id=p.id, replicate=0,
                seed=r.clip_seed(7, p.text, 0),
            )
            for p in asked[block : block + 8]
        )  # fmt: skip
        name = r.short_id([c.id for c in clips])
        yield r.Batch(id=name, arm_id=one.id, block=block // 8, clips=clips)


def plan(kind: str = "demonstration", count: int = 64, hostile: bool = False) -> r.Plan:
    """The whole plan: twelve arms, `count` prompts."""
    arms = tuple(arm(name) for name in ARMS)
    asked = prompts(count, hostile)
    return r.Plan(
        format_version=1, spec=spec(kind), spec_digest="a" * 64, criteria=criteria(),
        criteria_digest=r.digest(criteria().model_dump(mode="json")), arms=arms,
        baseline_id=arms[0].id, prompts=asked, batches=tuple(batches(arms, asked)),
    )  # fmt: skip


def outcome(one: r.Arm, index: int) -> tuple[r.ClipStatus, str]:
    """A few clips of the fast arms fail or come out black."""
    if one.name == "naive-lcm-lora-4" and index in {3, 6}:
        return r.ClipStatus.FAILED, "MemoryError: out of memory"
    if one.name in {"animatelcm-1", "animatelcm-4"} and index == 5:
        return r.ClipStatus.INVALID, "black: mean luminance 0.4"
    return r.ClipStatus.OK, ""


def outcomes(made: r.Plan) -> dict[str, tuple[r.ClipStatus, str]]:
    """How every planned clip ended, by its id."""
    names = {a.id: a for a in made.arms}
    order = {p.id: i for i, p in enumerate(made.prompts)}
    return {
        clip.id: outcome(names[clip.arm_id], order[clip.prompt_id])
        for batch in made.batches
        for clip in batch.clips
    }


def resolved(one: r.Arm) -> r.ResolvedArm:
    """What an arm turned out to be."""
    return r.ResolvedArm(
        arm_id=one.id,
        component_digests={"unet": "e" * 64},
        scheduler_class="LCMScheduler",
        scheduler_config={},
        timesteps=(999.0,),
        pipeline_arguments={},
        device="cpu",
    )


def generation(batch: r.Batch, one: r.Arm, digests: dict[str, str], made: r.Plan) -> r.Generation:
    """One batch as it was published; `digests` are those of the frames that were written."""
    ended = outcomes(made)
    clips = tuple(
        r.ClipResult(
            clip_id=clip.id,
            status=ended[clip.id][0],
            reason=ended[clip.id][1],
            frames_digest=digests.get(clip.id),
        )
        for clip in batch.clips
    )
    return r.Generation(
        batch_id=batch.id,
        arm_id=one.id,
        clips=clips,
        resolved_digest=resolved(one).content_digest(),
        duration_s=1.0,
        worker=0,
    )


def measurements(made: r.Plan) -> Iterator[r.Measurement]:
    """CLIP score and oracle per clip, missing where the clip is."""
    rng = np.random.default_rng(3)
    names = {a.id: a.name for a in made.arms}
    ended = outcomes(made)
    for batch, metric in product(made.batches, ("clip_score", "oracle_all")):
        for clip in batch.clips:
            quality = ARMS[names[batch.arm_id]][4]
            value = float(rng.random() < quality) if metric == "oracle_all" else quality * 30
            value += 0.0 if metric == "oracle_all" else float(rng.normal(0, 1.5))
            ok = ended[clip.id][0] is r.ClipStatus.OK
            yield r.Measurement(
                metric=metric, version=1, arm_id=batch.arm_id, clip_id=clip.id,
                value=value if ok else None,
                status=r.MeasurementStatus.OK if ok else r.MeasurementStatus.MISSING,
                reason=ended[clip.id][1], extractor=None,
            )  # fmt: skip


def latency(made: r.Plan) -> Iterator[r.LatencySample]:
    """Twelve timed rounds and one cold call per arm."""
    rng = np.random.default_rng(4)
    for one, turn in product(made.arms, range(-1, 12)):
        total = ARMS[one.name][6] * (3.0 if turn < 0 else float(rng.normal(1, 0.03)))
        yield r.LatencySample(
            arm_id=one.id, prompt_id=made.prompts[0].id, round=turn, text_s=0.01,
            denoise_s=total - 0.08, decode_s=0.05, encode_s=0.02, total_s=total,
            peak_memory_bytes=400_000_000, device="cpu",
        )  # fmt: skip


def _values(name: str) -> dict[str, tuple[float, float]]:
    """Metric -> value and half-width of its interval."""
    _, steps, _, style, share, kvd, seconds = ARMS[name]
    values = {
        "clip_score": (share * 30, 0.5),
        "clip_frame_consistency": (0.90 + 0.08 * share, 0.01),
        "flicker": (0.02 / share, 0.003),
        "motion_extent_px": (20.0 + 4 * share, 0.9),
        "oracle_all": (share, 0.09),
        "oracle_motion": (min(1.0, share + 0.08), 0.07),
        "valid_share": (1.0 if steps > 4 else 0.984, 0.016),
        "fvd": (kvd * 900, kvd * 200),
        "kvd": (kvd, kvd * 0.25),
        "latency_p50_s": (seconds, seconds * 0.03),
    }
    return values | ({"oracle_style": (share + 0.1, 0.08)} if style else {})


def _estimate(one: r.Arm, metric: str, how: r.Comparison, **values: Any) -> r.Estimate:
    lost = (
        2 if one.name == "naive-lcm-lora-4" else int(one.name in {"animatelcm-1", "animatelcm-4"})
    )
    timed = metric.startswith("latency")
    fields: dict[str, Any] = {
        "arm_id": one.id, "metric": metric, "comparison": how, "level": 0.95,
        "method": "order statistics" if timed else "paired bootstrap over prompts (BCa)",
        "n_clips": 12 if timed else 64 - lost, "n_prompts": 12 if timed else 64 - lost,
        "n_missing": 0 if timed else lost, "reason": "",
        "notes": ("noise floor 1.2 at n = 64, ratio 1.5",) if metric == "fvd" else (),
    }  # fmt: skip
    return r.Estimate(**(fields | values))


def estimates_of(one: r.Arm, baseline: r.Arm) -> Iterator[r.Estimate]:
    """Value, difference and ratio of every metric; neon has no reference, so no KVD."""
    base = _values(baseline.name)
    for metric, (value, half) in _values(one.name).items():
        if one.style == "neon" and metric in {"kvd", "fvd"}:
            why = "fewer than 2 clips, or no reference set, have features"
            nothing = {"value": None, "low": None, "high": None, "reason": why}
            yield _estimate(one, metric, r.Comparison.VALUE, **nothing)
            continue
        top = 1.0 if metric.startswith(("oracle", "valid")) else float("inf")
        low, high = value - half, min(top, value + half)
        yield _estimate(one, metric, r.Comparison.VALUE, value=value, low=low, high=high)
        if one.id != baseline.id and metric in base:
            gap, ratio = value - base[metric][0], value / base[metric][0]
            spread = half / base[metric][0]
            yield _estimate(
                one, metric, r.Comparison.DIFFERENCE, value=gap, low=gap - half, high=gap + half
            )
            yield _estimate(
                one, metric, r.Comparison.RATIO, value=ratio, low=ratio - spread,
                high=ratio + spread,
            )  # fmt: skip


def contrast(made: r.Plan) -> r.ContrastEstimates:
    """AnimateLCM at 4 steps against the naive LoRA: better in KVD, open in the oracle's word."""
    arms = {one.name: one for one in made.arms}
    own, other = arms["animatelcm-4"], arms["naive-lcm-lora-4"]
    ends = {"kvd": (-0.131, -0.2, -0.06), "oracle_all": (0.06, -0.02, 0.14)}
    return r.ContrastEstimates(
        arm_id=own.id, against_id=other.id, question="Was stage 2 worth it?",
        question_ja="第2段階の意味はあったか。",
        results=tuple(
            r.ContrastResult(
                estimate=_estimate(
                    own, name, r.Comparison.DIFFERENCE, value=value, low=low, high=high
                ),
                standing=r.Standing.BETTER if name == "kvd" else r.Standing.OPEN,
            )
            for name, (value, low, high) in ends.items()
        ),
    )  # fmt: skip


def estimates(made: r.Plan) -> r.Estimates:
    """estimates.json of the run."""
    front = {"teacher-25", "animatelcm-1", "animatelcm-2", "animatelcm-4", "animatelcm-8"}
    ended = outcomes(made)
    arms = []
    for one in made.arms:
        asked = [c.id for b in made.batches if b.arm_id == one.id for c in b.clips]
        mine = [ended[clip_id][0] for clip_id in asked]
        counts = {s.value: mine.count(s) for s in r.ClipStatus}
        arms.append(
            r.ArmSummary(
                arm=one, counts=r.Counts(planned=len(mine), **counts),
                estimates=tuple(estimates_of(one, made.arms[0])),
                on_pareto_front=one.name in front,
                frontier_frequency=0.9 if one.name in front else 0.05,
            )
        )  # fmt: skip
    return r.Estimates(
        format_version=1, plan_digest=made.content_digest(),
        baseline_id=made.baseline_id, level=0.95, resamples=2000, quality_metric="oracle_all",
        arms=tuple(arms), contrasts=(contrast(made),), complete=True, closed_reason=None,
    )  # fmt: skip


def _verdict(name: str, criterion: r.Criterion) -> r.Verdict:
    share = ARMS[name][4]
    if criterion.metric in {"valid_share", "latency_p50_s", "motion_extent_px"}:
        return r.Verdict.PASS
    if share > 0.82:
        return r.Verdict.INCONCLUSIVE if criterion.metric == "oracle_all" else r.Verdict.PASS
    return r.Verdict.FAIL if share < 0.6 else r.Verdict.INCONCLUSIVE


def _criterion_result(one: r.ArmSummary, criterion: r.Criterion) -> r.CriterionResult:
    found = next(
        (
            e
            for e in one.estimates
            if e.metric == criterion.metric and e.comparison == criterion.comparison
        ),
        None,
    )
    verdict = _verdict(one.arm.name, criterion) if found and found.value is not None else None
    return r.CriterionResult(
        criterion=criterion.name, arm_id=one.arm.id, verdict=verdict or r.Verdict.INCONCLUSIVE,
        value=found.value if found else None, low=found.low if found else None,
        high=found.high if found else None, target_attainment=0.62 if verdict else None,
        minimum_attainment=0.93 if verdict else None,
        reason="minimum reached in 93.0% of resamples" if verdict else "not measured",
    )  # fmt: skip


def decision(made: r.Plan, found: r.Estimates) -> r.Decision:
    """decision.json of the run: thin evidence for one arm, no for the others."""
    candidates = []
    for one in found.arms[1:]:
        asked = [
            c
            for c in made.criteria.criteria
            if c.applies_to in ("all", "styled" if one.arm.style else "unstyled")
        ]
        light = r.Light.INSUFFICIENT_EVIDENCE if ARMS[one.arm.name][4] >= 0.6 else r.Light.NO_GO
        results = tuple(_criterion_result(one, c) for c in asked)
        candidates.append(r.ArmDecision(arm_id=one.arm.id, technical=light, results=results))
    chosen = next(a.id for a in made.arms if a.name == "animatelcm-4")
    return r.Decision(
        format_version=1, kind=made.spec.kind, decision=r.Light.INSUFFICIENT_EVIDENCE,
        technical=r.Light.INSUFFICIENT_EVIDENCE, economic=r.Light.CONDITIONAL,
        rights=r.Light.GO, recommended_arm_id=chosen, arms=tuple(candidates),
        criteria_digest=made.criteria_digest, criteria_edited=False,
        reasons=(
            r.Finding(
                text_en="Right content: the minimum is reached in 93 % of resamples; 95 % needed.",
                text_ja="内容の正しさ：再標本の93%で最低線に達したが、95%が必要。",
            ),
        ),
        conditions=(
            r.Finding(text_en="The GPU price is assumed.", text_ja="GPUの価格は仮定である。"),
        ),
        next_measurement=r.Finding(
            text_en="64 more prompts for two arms (about 4 minutes) would settle 'right content'.",
            text_ja="2つの構成でプロンプトを64件追加すれば（約4分）、内容の正しさが決まる。",
        ),
        estimates_digest=found.content_digest(),
    )  # fmt: skip


def picture(one: r.Arm, text: str, index: int) -> npt.NDArray[np.uint8]:
    """A rendered clip, blurred by noise the more the worse the arm is: (16, 64, 64, 3)."""
    rng = np.random.default_rng(index)
    known = text if text != HOSTILE else world.unseen_prompts(1)[0]
    style = world.Style(one.style) if one.style else None
    clip = world.render_clip(world.parse(known), rng, style).astype(np.float64)
    noise = rng.normal(0, 60 * (1 - ARMS[one.name][4]), (16, 8, 8, 3))
    spread = noise.repeat(8, axis=1).repeat(8, axis=2)
    return np.clip(clip + spread, 0, 255).astype(np.uint8)


def fingerprint() -> Fingerprint:
    """A machine that never changes."""
    return Fingerprint(
        machine="0123456789abcdef",
        system="Linux-6.1-x86_64",
        cpu="Example CPU",
        cpus=2,
        memory_mib=8192,
        gpus=(),
        gpu_driver="absent",
        python="3.11.7",
        packages={"torch": "2.14.1", "diffusers": "0.40.0"},
        commit="f" * 40,
        modified=False,
        settings={"OMP_NUM_THREADS": "1"},
        video_encoder="libvpx-vp9 (VP9, BSD-3-Clause)",
    )


def write_run(folder: Path, made: r.Plan, *, decided: bool = True, drawn: int = 2) -> Path:
    """Write a run folder through the store; only the first `drawn` prompts show something."""
    manifest = Manifest(
        format_version=1,
        created="2026-11-23T00:00:00+00:00",
        spec_text="name: tiny\n",
        plan_digest=made.content_digest(),
        fingerprint=fingerprint(),
    )
    with RunStore.create_or_open(folder, plan=made, manifest=manifest) as store:
        for one in made.arms:
            store.append_resolved(resolved(one))
        for batch in made.batches:
            _publish(store, batch, drawn)
        store.append_measurements(tuple(measurements(made)))
        for sample in latency(made):
            store.append_latency(sample)
        if decided:
            found = estimates(made)
            store.write_derived("estimates.json", found.to_json())
            store.write_derived("decision.json", decision(made, found).to_json())
    return folder


def _publish(store: RunStore, batch: r.Batch, drawn: int) -> None:
    arms = {a.id: a for a in store.plan.arms}
    order = {p.id: i for i, p in enumerate(store.plan.prompts)}
    one, digests = arms[batch.arm_id], {}
    for clip in batch.clips:
        status, _ = outcome(one, order[clip.prompt_id])
        if status is r.ClipStatus.FAILED:
            continue
        index = order[clip.prompt_id]
        frames = GREY if index >= drawn else picture(one, store.plan.prompts[index].text, index)
        frames = frames * np.uint8(status is r.ClipStatus.OK)
        digests[clip.id] = store.write_clip(clip.id, frames)
    store.append_generation(generation(batch, one, digests, store.plan))


# --- what a decision is given beside the records -------------------------------------------------

SPECS = Path(r.__file__).parent / "specs"
DAY = date(2026, 12, 1)


def money(made: r.Plan, **changes: Any) -> MoneyOfRun:
    """The example's price of the recommended arm, with its seconds only stated."""
    inputs = read_cost(SPECS / "cost" / "example.yaml")
    cost = evaluate(inputs, seed=0, simulations=200)
    cost = cost.model_copy(update=changes)
    chosen = next(a.id for a in made.arms if a.name == "animatelcm-4")
    return MoneyOfRun(
        format_version=1, kind=made.spec.kind,
        estimates_digest=estimates(made).content_digest(),
        basis=r.PriceBasis(digest="c" * 64, arm_id=chosen, seed=0),
        cost=cost, economic=economic_light(cost), inputs=inputs,
    )  # fmt: skip


def rights(made: r.Plan) -> RightsOfRun:
    """The arm that is recommended stands on conditions until a waiver ends; the others need none.

    Its motion module is unclear and waived, its base is clear.
    """
    unclear = rights_fixture.part("motion", rights_fixture.UNCLEAR, kind=PartKind.MOTION_ADAPTER)
    clear = rights_fixture.part("base")
    arms = tuple(
        ArmParts(
            arm_id=a.id,
            name=a.name,
            parts=(clear, unclear) if a.name == "animatelcm-4" else (clear,),
        )
        for a in made.arms
    )
    given = rights_fixture.rights(waivers=(rights_fixture.waiver("motion"),))
    result = rights_fixture.judged(rights_fixture.subject(*arms), given, DAY)
    chosen = next(arm for arm in result.arms if arm.arm == "animatelcm-4")
    assert chosen.valid_until is not None
    basis = r.RightsBasis(
        digest=result.digest, on=DAY.isoformat(), valid_until=chosen.valid_until.isoformat()
    )
    return RightsOfRun(format_version=1, kind=made.spec.kind, basis=basis, result=result)


def decide_beside(folder: Path, priced: MoneyOfRun, cleared: RightsOfRun) -> None:
    """Write both into a run folder, as `poc decide --cost --rights` does, with their bases."""
    with RunStore.open_writer(folder) as store:
        text = store.read_derived("decision.json")
        assert text is not None
        update = {
            "price_basis": priced.basis, "economic": priced.economic.light,
            "rights_basis": cleared.basis, "rights": r.Light.CONDITIONAL,
        }  # fmt: skip
        found = r.Decision.from_json(text).model_copy(update=update)
        store.write_derived("money.json", priced.to_json())
        store.write_derived("rights.json", cleared.to_json())
        store.write_derived("decision.json", found.to_json())


def vote(folder: Path, answers: Path, opinion: rated_runs.Opinion, *, raters: int = 5) -> Panel:
    """Ask `raters` people about the recommended arm and import what they say; one is hostile."""
    panel = _asked(folder, Form.PAIRS, raters)
    answers.mkdir()
    files = []
    for number, pack in enumerate(panel.packs):
        name = RATER if number == 0 else None
        files.append(answers / f"{number}.json")
        files[-1].write_text(json.dumps(rated_runs.raw(panel, pack, opinion, rater=name)), "utf-8")
    import_answers(folder, files)
    return panel


def judge(folder: Path, answers: Path, taste: rated_runs.Taste, *, raters: int = 5) -> Panel:
    """The same of its clips, one by one: each takes its rater 15 s."""
    panel = _asked(folder, Form.CLIPS, raters)
    answers.mkdir()
    files = []
    for number in range(raters):
        files.append(answers / f"{number}.json")
        said = rated_runs.judged(panel, number, taste, seconds=15.0)
        files[-1].write_text(said.to_json(), "utf-8")
    import_answers(folder, files)
    return panel


def _asked(folder: Path, form: Form, raters: int) -> Panel:
    made = RunStore.open_reader(folder).plan
    chosen = next(a.id for a in made.arms if a.name == "animatelcm-4")
    ended = {clip_id: status for clip_id, (status, _) in outcomes(made).items()}
    asked = PanelRequest(
        baseline_id=made.baseline_id, candidate_ids=(chosen,), raters=raters, per_rater=None,
        seed=0, number=0, form=form,
    )  # fmt: skip
    panel = design_panel(made, ended, asked)
    write_key(folder, panel)
    return panel


RATER = "<img src=x onerror=alert(1)>\u202e"
