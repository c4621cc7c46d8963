"""Turns a spec, its criteria, prompts and models into the list of all that will be made.

Pure: the same input gives the same plan, to the byte, on every machine. The plan orders work in
blocks, each some prompt-replicates over all arms, so that a run stopped after any block is still
balanced; within a block the clips of one arm form one batch, made together and published whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from poc.datasets import check_vocabulary
from poc.errors import InputError
from poc.latency_calls import clips_timed
from poc.models import ModelKind, ModelTable
from poc.records import (
    Arm,
    ArmRole,
    ArmSpec,
    Batch,
    ClipRequest,
    CriteriaFile,
    Delivery,
    Plan,
    Prompt,
    Record,
    ReferenceClips,
    SweepSpec,
    arm_id,
    clip_seed,
    short_id,
    wording_id,
)
from poc.slicing import check_slices
from poc.spec import Setting, check_criteria, expand, measured_shape
from poc.video_judge import video_judge_of

ASSUMED_S: Final = (0.03, 0.3)
"""Seconds for one network evaluation of one assumed clip, when nothing was measured."""
ASSUMED_PIXELS: Final = 16 * 64 * 64
PUBLISHED_GPU_S: Final = 0.963 / 4
"""Seconds for one network evaluation of one 16-frame 512 x 512 clip in half precision on an A800,
without decoding (AnimateLCM, arXiv 2402.00769v3: 963 ms for 4)."""
PUBLISHED_GPU_PIXELS: Final = 16 * 512 * 512
GPU_SPREAD: Final = 4
"""Other GPUs are taken to be up to this factor slower or faster than the published one."""
BYTES_PER_RECORD: Final = 4096  # what a clip's lines, features and viewing copy take, about


class Calibration(Record):
    """What a machine was seen to need; makes the estimated time a single figure."""

    seconds_per_nfe: float
    """For one network evaluation of one clip of the plan's shape."""
    seconds_per_clip: float = 0.0
    """For what a clip takes besides: text, decoding, encoding. 0: part of its evaluations."""
    source: str
    """Where the number comes from: a run, a machine."""


class ArmCost(Record):
    """What one arm will cost."""

    arm_id: str
    name: str
    baseline: bool
    role: ArmRole
    scheduler: str | None
    """None, as the next three, where the clips were made elsewhere."""
    steps: int | None
    guidance: float | None
    nfe_per_clip: int | None
    clips: int
    nfe: int | None
    """Of all its clips in the quality pass."""


class PlanSummary(Record):
    """What a plan will make and take, before anything is made."""

    name: str
    kind: str
    arms: tuple[ArmCost, ...]
    prompts: int
    replicates: int
    clips: int
    blocks: int
    nfe_per_prompt: int
    nfe_quality: int
    nfe_latency: int
    """Cold call, warm-ups and timed rounds together."""
    seconds_low: float
    seconds_high: float
    assumption: str
    disk_bytes: int
    """At most: every clip's frames uncompressed."""
    notes: tuple[str, ...]


def make_plan(
    spec: SweepSpec,
    criteria: CriteriaFile,
    prompts: Sequence[Prompt],
    models: ModelTable,
    deliveries: Sequence[Delivery] = (),
    *,
    references: Sequence[ReferenceClips] = (),
) -> Plan:
    """Return the plan of a spec.

    `deliveries` are those of its imported arms, `references` the clips of the reference sets that
    are folders.

    Raises:
        InputError: unknown model or missing digests, two arms alike, too few prompts, a word that
            a model does not know, or a criterion that the run could not answer.
    """
    check_criteria(spec, criteria)
    _refuse_seen(spec, prompts)
    prompts = _checked_prompts(spec, prompts, models)
    if spec.slices is not None:
        check_slices(spec.slices, prompts, f"spec '{spec.name}'")
    arms = tuple(_arms(spec, models, {one.arm: one for one in deliveries}))
    _refuse_twins(arms)
    return Plan(
        format_version=1,
        spec=spec,
        spec_digest=spec.content_digest(),
        criteria=criteria,
        criteria_digest=criteria.content_digest(),
        arms=arms,
        baseline_id=_baseline(spec, arms).id,
        prompts=prompts,
        batches=tuple(_batches(spec, arms, prompts, {one.arm: one for one in deliveries})),
        deliveries=tuple(deliveries),
        image_text_digest=_image_text_digest(spec, models),
        video_judge=video_judge_of(spec, models),
        reference_clips=tuple(references),
    )


def _image_text_digest(spec: SweepSpec, models: ModelTable) -> str | None:
    named = None if spec.judges is None else spec.judges.image_text
    return None if named is None else models.declared_digest(named)


def _refuse_seen(spec: SweepSpec, prompts: Sequence[Prompt]) -> None:
    """Refuse to confirm an arm on prompts of the run that chose it."""
    if spec.confirms is None:
        return
    used = set(spec.confirms.used)
    seen = [one.text for one in prompts if wording_id(one.text) in used]
    if seen:
        raise InputError(
            f"spec '{spec.name}': {len(seen)} of {len(prompts)} prompts were in the run that chose "
            f"'{spec.confirms.arm}', first {seen[0]!r}. The choice was made on them, so they "
            "cannot confirm it: replace them in datasets.yaml, or let `poc confirm` draw new ones."
        )


def complete_blocks(plan: Plan, done_batch_ids: Collection[str]) -> tuple[int, ...]:
    """Return the blocks, ascending, of which every arm's batch is done."""
    done, blocks = frozenset(done_batch_ids), itertools.groupby(plan.batches, _block)
    return tuple(block for block, batches in blocks if all(batch.id in done for batch in batches))


def summary(plan: Plan, calibration: Calibration | None = None) -> PlanSummary:
    """Return what a plan will make and take; a range of time unless calibrated."""
    arms = tuple(_arm_cost(plan, arm) for arm in plan.arms)
    quality = sum(arm.nfe or 0 for arm in arms)
    once = sum(arm.sampling.nfe for arm in plan.generated)
    latency = sum(clips_timed(plan, arm) * arm.sampling.nfe for arm in plan.generated)
    low, high = _seconds_per_nfe(plan, calibration)
    clips = sum(arm.clips for arm in arms)
    made = sum(arm.clips for arm in arms if arm.nfe is not None)
    calls = made + sum(clips_timed(plan, arm) for arm in plan.generated)
    besides = calls * (calibration.seconds_per_clip if calibration else 0.0)
    return PlanSummary(
        name=plan.spec.name,
        kind=plan.spec.kind,
        arms=arms,
        prompts=len(plan.prompts),
        replicates=plan.spec.replicates,
        clips=clips,
        blocks=len({batch.block for batch in plan.batches}),
        nfe_per_prompt=once * plan.spec.replicates,
        nfe_quality=quality,
        nfe_latency=latency,
        seconds_low=(quality + latency) * low + besides,
        seconds_high=(quality + latency) * high + besides,
        assumption=_assumption(plan, calibration),
        disk_bytes=clips * (3 * _pixels(plan) + BYTES_PER_RECORD),
        notes=tuple(_notes(plan)),
    )


def describe(plan: Plan, calibration: Calibration | None = None) -> str:
    """Return the table that `poc plan` prints."""
    found = summary(plan, calibration)
    duration = _duration(found.seconds_low, found.seconds_high)
    lines = [
        _title(found),
        "",
        *_table(_rows(found)),
        "",
        _LEGEND,
        f"latency pass: {found.nfe_latency} NFE" if plan.spec.latency else "latency pass: none",
        f"time: {duration}, {found.assumption}",
        f"disk: {_disk(plan, found)}",
        *(f"contrast: {c.arm} against {c.against}" for c in plan.spec.contrasts),
        *(f"note: {note}" for note in found.notes),
    ]
    return "\n".join(lines)


# --- arms ----------------------------------------------------------------------------------------


def _arms(spec: SweepSpec, models: ModelTable, deliveries: Mapping[str, Delivery]) -> Iterator[Arm]:
    for entry in spec.arms:
        if entry.family == "imported":
            (setting,) = expand(entry)
            yield _arm(spec, entry, setting, {}, deliveries[entry.name].files_digest())
            continue
        ids = [entry.base, *([entry.motion_adapter] if entry.motion_adapter else [])]
        ids += [use.model for use in entry.loras] + ([entry.vae] if entry.vae else [])
        named = models.architecture_digest if spec.weights else models.declared_digest
        digests = {model_id: named(model_id) for model_id in ids}
        for setting in expand(entry):
            yield _arm(spec, entry, setting, digests)


def _arm(
    spec: SweepSpec,
    entry: ArmSpec,
    setting: Setting,
    digests: dict[str, str],
    delivery_digest: str | None = None,
) -> Arm:
    draft = Arm(
        id="",
        name=setting.name,
        family=entry.family,
        base=entry.base,
        motion_adapter=entry.motion_adapter,
        scheduler=entry.scheduler,
        steps=setting.steps,
        guidance=setting.guidance,
        negative_prompt=entry.negative_prompt,
        loras=entry.loras,
        style=entry.style,
        dtype=entry.dtype or spec.dtype,
        shape=spec.shape if delivery_digest is None else measured_shape(spec),
        batch_size=spec.batch_size,
        model_digests=digests,
        role=entry.role,
        vae=entry.vae,
        beta_schedule=entry.beta_schedule,
        weights=spec.weights,
        delivery_digest=delivery_digest,
        flow_shift=entry.flow_shift,
        timesteps=entry.timesteps,
        fast=entry.fast,
    )
    return draft.model_copy(update={"id": arm_id(draft.model_dump(mode="json"))})


def _refuse_twins(arms: Sequence[Arm]) -> None:
    names: dict[str, str] = {}
    for arm in arms:
        if arm.id in names:
            raise InputError(
                f"arms '{names[arm.id]}' and '{arm.name}' are one configuration under two names. "
                "Remove one of them."
            )
        names[arm.id] = arm.name


def _baseline(spec: SweepSpec, arms: Sequence[Arm]) -> Arm:
    named = [arm for arm in arms if arm.name == spec.baseline]
    if len(named) != 1:
        raise InputError(
            f"spec '{spec.name}': expected one arm called '{spec.baseline}' (the baseline), "
            f"got {len(named)}. Arms: {', '.join(arm.name for arm in arms)}."
        )
    return named[0]


def _checked_prompts(
    spec: SweepSpec, prompts: Sequence[Prompt], models: ModelTable
) -> tuple[Prompt, ...]:
    texts = {prompt.text for prompt in prompts}
    if not len(texts) == len(prompts) == spec.prompts:
        raise InputError(
            f"spec '{spec.name}': expected {spec.prompts} distinct prompts of dataset "
            f"'{spec.dataset}', got {len(prompts)}, {len(texts)} of them distinct."
        )
    for base in dict.fromkeys(arm.base for arm in spec.arms if arm.family != "imported"):
        if models.resolve(base, ModelKind.BASE).entry.vocabulary == "tiny-world":
            check_vocabulary(prompts, model=base, dataset=spec.dataset)
    return tuple(prompts)


# --- blocks --------------------------------------------------------------------------------------


def _batches(
    spec: SweepSpec,
    arms: Sequence[Arm],
    prompts: Sequence[Prompt],
    deliveries: Mapping[str, Delivery],
) -> Iterator[Batch]:
    """Yield block after block; every prompt comes once before any comes twice.

    Takes that were delivered beyond the replicates asked of other arms come last.
    With random weights there is none: nothing would be judged, and the latency pass makes its own.
    """
    if spec.weights:
        return
    taken = {
        name: {(take.prompt_id, take.attempt - 1) for take in one.takes}
        for name, one in deliveries.items()
    }
    attempts = [attempt + 1 for takes in taken.values() for _, attempt in takes]
    most = max([spec.replicates, *attempts])
    units = [(prompt, n) for n in range(most) for prompt in prompts]
    for block, start in enumerate(range(0, len(units), spec.batch_size)):
        for arm in arms:
            clips = tuple(
                _request(spec, arm, prompt, n)
                for prompt, n in units[start : start + spec.batch_size]
                if ((prompt.id, n) in taken[arm.name] if arm.is_imported else n < spec.replicates)
            )
            if not clips:
                continue
            batch_id = short_id(["batch", arm.id, [clip.id for clip in clips]])
            yield Batch(id=batch_id, arm_id=arm.id, block=block, clips=clips)


def _request(spec: SweepSpec, arm: Arm, prompt: Prompt, replicate: int) -> ClipRequest:
    seed = None if arm.is_imported else clip_seed(spec.seed, prompt.text, replicate)
    return ClipRequest(
        id=short_id(["clip", arm.id, prompt.text, replicate, seed]),
        arm_id=arm.id,
        prompt_id=prompt.id,
        replicate=replicate,
        seed=seed,
    )


def _block(batch: Batch) -> int:
    return batch.block


# --- summary -------------------------------------------------------------------------------------


def _arm_cost(plan: Plan, arm: Arm) -> ArmCost:
    clips = sum(len(batch.clips) for batch in plan.batches if batch.arm_id == arm.id)
    return ArmCost(
        arm_id=arm.id,
        name=arm.name,
        baseline=arm.id == plan.baseline_id,
        role=arm.role,
        scheduler=arm.scheduler,
        steps=arm.steps,
        guidance=arm.guidance,
        nfe_per_clip=arm.nfe,
        clips=clips,
        nfe=None if arm.nfe is None else clips * arm.nfe,
    )


def _pixels(plan: Plan) -> int:
    shape = plan.spec.shape
    return shape.num_frames * shape.height * shape.width


def _seconds_per_nfe(plan: Plan, calibration: Calibration | None) -> tuple[float, float]:
    if calibration is not None:
        return calibration.seconds_per_nfe, calibration.seconds_per_nfe
    if _for_a_gpu(plan):
        scaled = PUBLISHED_GPU_S * _pixels(plan) / PUBLISHED_GPU_PIXELS
        return scaled / GPU_SPREAD, scaled * GPU_SPREAD
    scale = _pixels(plan) / ASSUMED_PIXELS
    return ASSUMED_S[0] * scale, ASSUMED_S[1] * scale


def _for_a_gpu(plan: Plan) -> bool:
    """Whether a plan is meant for a GPU: half precision is for nothing else."""
    return any(arm.dtype != "float32" for arm in plan.generated)


def _assumption(plan: Plan, calibration: Calibration | None) -> str:
    if calibration is not None:
        return f"calibrated by {calibration.source}; metrics come on top"
    if _for_a_gpu(plan):
        return (
            f"not calibrated: assumes a GPU up to {GPU_SPREAD} times slower or faster than the "
            f"{PUBLISHED_GPU_S:.2f} s published for one evaluation of a 16-frame 512 x 512 clip "
            "(A800, half precision), in proportion to pixels; decoding and metrics come on top"
        )
    low, high = ASSUMED_S
    return (
        f"not calibrated: assumes {low} to {high} s per evaluation of a 16-frame 64 x 64 clip, "
        "in proportion to pixels; metrics come on top"
    )


def _leaders(plan: Plan) -> Iterator[Arm]:
    baseline = next(arm for arm in plan.arms if arm.id == plan.baseline_id)
    return (arm for arm in plan.arms if arm.may_lead(baseline))


def unpublished(plan: Plan) -> tuple[str, ...]:
    """Return the families of a plan whose seconds for one evaluation nobody published."""
    families = {arm.family for arm in plan.generated} - {"animatediff"}
    return tuple(sorted(families)) if _for_a_gpu(plan) else ()


def _disk(plan: Plan, found: PlanSummary) -> str:
    if plan.spec.weights:
        return "no clip is kept; the weights are drawn once, beside the run folder"
    return f"at most {found.disk_bytes / 2**20:,.0f} MiB (all frames kept, uncompressed)"


def _notes(plan: Plan) -> Iterator[str]:
    for one in plan.deliveries:
        lost = sum(take.file_digest is None for take in one.takes)
        picked = sum(take.picked for take in one.takes)
        yield (
            f"'{one.arm}' was made elsewhere: {len(one.takes)} takes, {lost} not delivered, "
            f"{picked} hand-picked; compared by prompt only, price and time stated, not measured"
        )
    styles = {arm.style is not None for arm in plan.arms if arm.id != plan.baseline_id}
    for criterion in plan.criteria.criteria:
        wanted = {"all": {True, False}, "styled": {True}, "unstyled": {False}}
        if not styles & wanted[criterion.applies_to]:
            yield f"criterion '{criterion.name}' applies to no arm of this plan"
    if not plan.spec.weights and not any(_leaders(plan)):
        yield (
            "no candidate takes fewer evaluations of the baseline's own network: nothing can be "
            "recommended, and only contrasts tell something"
        )
    if others := unpublished(plan):
        yield (
            f"family {', '.join(others)}: no published seconds for one evaluation; counted as "
            "AnimateLCM's, which a larger network takes many times over"
        )
    if plan.spec.weights:
        yield "random weights: arms are timed, no clip is kept, and quality is not measured"
    elif len(plan.prompts) < 2:
        yield "one prompt has no interval: every criterion will be inconclusive"


MISSING: Final = "-"
IMPORTED: Final = "imported"
"""In place of a scheduler: clips made elsewhere."""

_LEGEND: Final = (
    "* baseline. (c) control. NFE: network evaluations, two a step when guidance is above 1.\n"
    "The total's NFE/clip is the sum over arms, for one prompt with all its replicates."
)


def _title(found: PlanSummary) -> str:
    return (
        f"{found.name} ({found.kind}): {len(found.arms)} arms x {found.prompts} prompts "
        f"x {found.replicates} replicates in {found.blocks} blocks"
    )


def _rows(found: PlanSummary) -> list[tuple[str, ...]]:
    total = ("total", "", "", "", found.nfe_per_prompt, found.clips, found.nfe_quality)
    return [
        ("arm", "scheduler", "steps", "guidance", "NFE/clip", "clips", "NFE"),
        *(_row(arm) for arm in found.arms),
        tuple(map(str, total)),
    ]


def _row(arm: ArmCost) -> tuple[str, ...]:
    mark = " *" if arm.baseline else " (c)" if arm.role is ArmRole.CONTROL else ""
    guidance = None if arm.guidance is None else f"{arm.guidance:g}"
    numbers = (arm.steps, guidance, arm.nfe_per_clip, arm.clips, arm.nfe)
    shown = (MISSING if one is None else str(one) for one in numbers)
    return (arm.name + mark, arm.scheduler or IMPORTED, *shown)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Align columns: the first two to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _duration(low: float, high: float) -> str:
    if low == high:
        return f"about {describe_span(low)}"
    return f"{describe_span(low)} to {describe_span(high)}"


def describe_span(seconds: float) -> str:
    """Return a length of time as people say it.

    >>> [describe_span(value) for value in (5, 90, 5400, 400000)]
    ['5 s', '1.5 min', '1.5 h', '4.6 days']
    """
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
