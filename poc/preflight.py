"""What is wrong with a plan before anything is loaded: settings that give plausible bad video.

Pure: plan, tables and what is known of the machine go in, findings come out. An error stops a run,
a warning is shown and kept with it. Each rule asks models.yaml what a model was made for; what the
table does not say is not judged, and no setting is mended in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from metrics.catalog import CATALOG
from poc.errors import InputError
from poc.families import FAMILIES
from poc.fast_settings import changes
from poc.licences import Judgement, LicenceTable, Use, ids_of, severity
from poc.models import (
    Distilled,
    KnownGood,
    ModelEntry,
    ModelKind,
    ModelTable,
    is_unmade,
    is_unpinned,
    misfit,
    run_judges,
    stills_of,
)
from poc.plan import summary
from poc.records import (
    LCM_GRID_STEPS,
    Arm,
    Plan,
    PreflightFinding,
    Prompt,
    SchedulerName,
    Severity,
)
from poc.spec import split_metric

BYTES_PER_NUMBER: Final = {"float32": 4, "float16": 2, "bfloat16": 2}
_SHOWN: Final = 6
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of where a plan would run; None: not known, and so not judged."""

    free_disk_bytes: int | None = None
    memory_bytes: int | None = None
    """Of the device that holds the models."""
    workers: int = 1
    """Processes, each with models of its own."""
    not_fetched: tuple[str, ...] = ()
    """Ids of models whose folder is not there."""
    lora_faults: Mapping[str, str] = field(default_factory=dict)
    """LoRAs that cannot change the base that an arm plugs them into, and why, by id."""


class _Said(NamedTuple):
    """A finding without its place: equal ones of several arms become one."""

    code: str
    severity: Severity
    text: str
    change: str


@dataclass(frozen=True, slots=True)
class _Parts:
    """An arm with the entries of its models."""

    arm: Arm
    base: ModelEntry
    motion: ModelEntry | None
    loras: tuple[ModelEntry, ...]
    vae: ModelEntry | None

    @property
    def every(self) -> tuple[ModelEntry, ...]:
        """All entries, the base first."""
        parts = (self.base, self.motion, *self.loras, self.vae)
        return tuple(part for part in parts if part is not None)

    @property
    def distilled(self) -> tuple[ModelEntry, ...]:
        """Those that were distilled to few steps."""
        return tuple(entry for entry in self.every if entry.trained and entry.trained.distilled)


def preflight(
    plan: Plan, models: ModelTable, licences: LicenceTable, around: Surroundings
) -> tuple[PreflightFinding, ...]:
    """Return what is wrong with a plan, errors first, in the order of the rules."""
    parts = [_parts(arm, models) for arm in plan.generated]
    found = [
        *_files(plan, models, around),
        *_references(plan),
        *_settings(parts),
        *_quality_changes(plan, parts),
        *_languages(plan, parts),
        *_judge_languages(plan, models),
        *_judges(plan, models, parts),
        *_rights(plan, models, licences),
        *_room(plan, parts, around),
    ]
    return tuple(sorted(found, key=lambda one: one.severity is not Severity.ERROR))


def refuse_errors(found: Iterable[PreflightFinding]) -> tuple[PreflightFinding, ...]:
    """Return the warnings; raises `InputError` with every error, if there is one."""
    every = tuple(found)
    errors = [one for one in every if one.severity is Severity.ERROR]
    if errors:
        lines = [f"pre-flight: {len(errors)} of {len(every)} findings stop this run"]
        raise InputError("\n".join([*lines, *map(line_of, errors)]))
    return every


def line_of(one: PreflightFinding) -> str:
    """Return a finding as one line.

    >>> line_of(PreflightFinding(code="a", severity=Severity.ERROR, where="b", text="C.",
    ...                          change="D."))
    'error a (b): C. D.'
    """
    return f"{one.severity} {one.code} ({one.where}): {one.text} {one.change}"


def _parts(arm: Arm, models: ModelTable) -> _Parts:
    return _Parts(
        arm=arm,
        base=models.resolve(arm.base).entry,
        motion=models.resolve(arm.motion_adapter).entry if arm.motion_adapter else None,
        loras=tuple(models.resolve(use.model).entry for use in arm.loras),
        vae=models.resolve(arm.vae).entry if arm.vae else None,
    )


def _error(code: str, where: str, text: str, change: str) -> PreflightFinding:
    return PreflightFinding(
        code=code, severity=Severity.ERROR, where=where, text=text, change=change
    )


def _warning(code: str, where: str, text: str, change: str) -> PreflightFinding:
    return PreflightFinding(
        code=code, severity=Severity.WARNING, where=where, text=text, change=change
    )


# --- files ---------------------------------------------------------------------------------------


def used_models(plan: Plan) -> Iterator[str]:
    """Yield what a plan names: the models of its arms, then the judges of its spec."""
    yield from (model for arm in plan.arms for model in arm.model_digests)
    yield from (judge for judge in (plan.image_text, plan.video) if judge is not None)


def _files(plan: Plan, models: ModelTable, around: Surroundings) -> Iterator[PreflightFinding]:
    """Name models that cannot be loaded: without digests first, then those that are not there."""
    if plan.spec.weights:
        return  # nothing is loaded that somebody else made
    used = dict.fromkeys(used_models(plan))
    for unmade, instead in _unmade(plan, models):
        commands = dict.fromkeys(models.resolve(model).entry.made_by for model in unmade)
        typed = " and ".join(f"`{command}`" for command in commands)
        yield _error(
            "model-not-made",
            ", ".join(unmade),
            "these models do not come along, they are made here, and were not yet.",
            f"Type {typed}, or {instead}.",
        )
    unpinned = [model for model in used if is_unpinned(models.resolve(model))]
    if unpinned:
        yield _error(
            "model-unpinned",
            ", ".join(unpinned),
            "no SHA-256 is known of all their files, so what would be loaded is open.",
            "Type `poc fetch SPEC`, which pins them, and commit the lock that it writes; or leave "
            "these arms out.",
        )
    absent = [model for model in used if model in around.not_fetched and model not in unpinned]
    if absent:
        places = ", ".join(str(models.resolve(model).folder) for model in absent)
        yield _error(
            "model-not-fetched",
            ", ".join(absent),
            f"expected their files in {places}, found no such folder.",
            "Type `poc fetch SPEC`, or leave these arms out.",
        )
    for model, fault in around.lora_faults.items():
        yield _error(
            "lora-matches-no-layer",
            model,
            f"the LoRA was made for another base, or is named in another way: {fault}.",
            "Take one that was made for this base.",
        )


def _unmade(plan: Plan, models: ModelTable) -> Iterator[tuple[list[str], str]]:
    """Yield models that were not made yet, with what can be done without them."""
    of_arms = {model for arm in plan.arms for model in arm.model_digests}
    pictures, video = ({one} - of_arms - {None} for one in (plan.image_text, plan.video))
    for used, instead in (
        (of_arms, "leave these arms out"),
        (pictures, "take 'judges: {image_text: ...}' and its metrics out of the spec"),
        (video, "take 'judges: {video: ...}', fvd and kvd out of the spec"),
    ):
        found = dict.fromkeys(one for one in used_models(plan) if one in used)
        if unmade := [one for one in found if is_unmade(models.resolve(one))]:
            yield unmade, instead


def _references(plan: Plan) -> Iterator[PreflightFinding]:
    """Name reference sets whose folder was not there when the plan was made."""
    absent = [one for one in plan.spec.references if not plan.size_of(one)]
    if absent:
        places = ", ".join(f"'{one.path}'" for one in absent)
        yield _error(
            "reference-not-there",
            ", ".join(one.name for one in absent),
            f"expected a folder of real clips at {places}, seen from the spec; found none.",
            "Put clips there that you may use, or take the reference, 'judges: {video}', fvd and "
            "kvd out of the spec.",
        )


# --- settings of arms ----------------------------------------------------------------------------


def _settings(parts: Iterable[_Parts]) -> Iterator[PreflightFinding]:
    """Ask every rule about every arm; arms with the same fault share a finding."""
    arms: dict[_Said, list[str]] = {}
    for one in parts:
        for rule in _RULES:
            for said in rule(one):
                arms.setdefault(said, []).append(one.arm.name)
    for said, names in arms.items():
        where = f"{'arm' if len(names) == 1 else 'arms'} {_few(names)}"
        yield PreflightFinding(where=where, **said._asdict())


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _beta_schedule(parts: _Parts) -> Iterator[_Said]:
    own = parts.base.trained and parts.base.trained.beta_schedule
    used = parts.arm.beta_schedule or own
    motion = parts.motion
    wanted = motion and motion.trained and motion.trained.beta_schedule
    if motion and wanted and used != wanted:
        named = f"the {used} noise schedule" if used else "a noise schedule that nobody states"
        yield _Said(
            "beta-schedule",
            Severity.ERROR,
            f"sampled on {named}, but '{motion.id}' was trained on {wanted}: "
            "the clips come out blurred and dull.",
            f"Give 'beta_schedule: {wanted}'.",
        )


def _trained_steps(parts: _Parts) -> Iterator[_Said]:
    steps = parts.arm.sampling.steps
    for entry in parts.distilled:
        counts = entry.trained.steps if entry.trained else ()
        if counts and steps not in counts:
            named = ", ".join(map(str, counts))
            yield _Said(
                "steps-not-trained",
                Severity.ERROR,
                f"'{entry.id}' was distilled for {named} steps and for no other number, "
                f"got {steps}.",
                "Take the file of that number of steps, or change 'steps'.",
            )


def _known_good_steps(parts: _Parts) -> Iterator[_Said]:
    steps = parts.arm.sampling.steps
    given = [entry for entry in parts.distilled if entry.known_good and not _exact(entry)]
    spans = {entry.id: entry.known_good.steps for entry in given if entry.known_good}
    outside = [model for model, (low, high) in spans.items() if not low <= steps <= high]
    if outside:
        low, high = spans[outside[0]]
        yield _Said(
            "steps-outside-known-good",
            Severity.WARNING,
            f"'steps' is {steps}; the source of {_and(outside)} gives {low} to {high}.",
            "Read the result as an experiment, or change 'steps'.",
        )


def _exact(entry: ModelEntry) -> bool:
    return entry.trained is not None and bool(entry.trained.steps)


def _and(names: Iterable[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def _timestep_grid(parts: _Parts) -> Iterator[_Said]:
    if parts.arm.sampling.scheduler is not SchedulerName.LCM:
        return
    if parts.arm.sampling.steps > LCM_GRID_STEPS:
        yield _Said(
            "timestep-grid",
            Severity.ERROR,
            f"{parts.arm.sampling.steps} steps, but a consistency model is sampled on a grid of "
            f"{LCM_GRID_STEPS} timesteps.",
            f"Give at most {LCM_GRID_STEPS} 'steps'.",
        )
    for entry in parts.distilled:
        grid = entry.trained.grid_steps if entry.trained else None
        if grid is not None and grid != LCM_GRID_STEPS:
            yield _Said(
                "timestep-grid",
                Severity.ERROR,
                f"'{entry.id}' was distilled on a grid of {grid} timesteps, this harness samples "
                f"on one of {LCM_GRID_STEPS}.",
                "Leave the arm out, or take a model of that grid.",
            )


def _guidance(parts: _Parts) -> Iterator[_Said]:
    guidance = parts.arm.sampling.guidance
    if guidance <= 1 or not parts.distilled:
        return
    names = _and(entry.id for entry in parts.distilled)
    goods = [entry.known_good for entry in parts.distilled if entry.known_good]
    most = min((good.guidance[1] for good in goods), default=1.0)
    cost = f"guidance is folded into {names}; above 1 it counts twice and doubles the NFE"
    if guidance > most:
        yield _Said(
            "guidance-folded",
            Severity.ERROR,
            f"{cost}, and {guidance:g} is beyond the {most:g} that its source gives: colours burn.",
            f"Give 'guidance: 1.0', or at most {most:g}.",
        )
    else:
        yield _Said(
            "guidance-folded",
            Severity.WARNING,
            f"{cost}.",
            "Compare at equal NFE, or give 'guidance: 1.0'.",
        )


def _distilled_twice(parts: _Parts) -> Iterator[_Said]:
    spatial = [entry for entry in parts.distilled if entry.kind is not ModelKind.MOTION_ADAPTER]
    whole = [one for one in parts.distilled if one not in spatial and _adversarial(one)]
    if len(spatial) > 1 or (whole and spatial):
        names = [*spatial, *whole]
        yield _Said(
            "lcm-twice",
            Severity.ERROR,
            f"distilled more than once: {', '.join(entry.id for entry in names)} each bring few "
            "steps along; together they wash the picture out.",
            "Keep the one that the motion module was trained with.",
        )


def _adversarial(entry: ModelEntry) -> bool:
    return entry.trained is not None and entry.trained.distilled is Distilled.ADVERSARIAL


def _partner(parts: _Parts) -> Iterator[_Said]:
    motion = parts.motion
    partner = motion and motion.trained and motion.trained.partner
    if motion and partner and partner not in [entry.id for entry in parts.loras]:
        yield _Said(
            "lora-missing",
            Severity.ERROR,
            f"'{motion.id}' was trained together with the LoRA '{partner}', which is not "
            "among 'loras'.",
            f"Add {{model: {partner}, scale: ...}}.",
        )


def _scheduler(parts: _Parts) -> Iterator[_Said]:
    """Distilled parts say which sampler; without one, all parts together."""
    asked = parts.distilled or parts.every
    goods = [entry.known_good for entry in asked if entry.known_good]
    allowed = [name for name in SchedulerName if goods and _all_take(goods, name)]
    if goods and parts.arm.sampling.scheduler not in allowed:
        named = _and(entry.id for entry in asked if entry.known_good)
        yield _Said(
            "scheduler-misfit",
            Severity.ERROR,
            f"scheduler {parts.arm.sampling.scheduler} does not fit {named}.",
            f"Take {' or '.join(allowed) or 'parts that share a scheduler'}.",
        )


def _all_take(goods: Iterable[KnownGood], name: SchedulerName) -> bool:
    return all(name in good.schedulers for good in goods)


def _vae(parts: _Parts) -> Iterator[_Said]:
    if not parts.base.has_vae and parts.vae is None:
        yield _Said(
            "vae-missing",
            Severity.ERROR,
            f"base '{parts.base.id}' comes without a VAE of its own, and the arm names none.",
            "Give 'vae'.",
        )


def _fit(parts: _Parts) -> Iterator[_Said]:
    for entry in parts.every[1:]:
        if text := misfit(entry, parts.base.id):
            change = "Take one made for this base."
            yield _Said("part-of-another-base", Severity.ERROR, text, change)


def _negative_prompt(parts: _Parts) -> Iterator[_Said]:
    if parts.arm.negative_prompt and parts.arm.sampling.guidance <= 1:
        yield _Said(
            "negative-prompt-unused",
            Severity.WARNING,
            "without guidance a negative prompt has no effect.",
            "Leave it empty, or raise 'guidance'.",
        )


def _frame_count(parts: _Parts) -> Iterator[_Said]:
    arm, rules = parts.arm, FAMILIES[parts.arm.family]
    frames, per_latent = arm.shape.num_frames, rules.frames_per_latent
    below = (frames - 1) // per_latent * per_latent + 1
    if frames != below:
        yield _Said(
            "frame-count",
            Severity.ERROR,
            f"{frames} frames, but family {arm.family} makes {per_latent}k + 1: diffusers would "
            f"quietly make {below}.",
            f"Give 'num_frames: {below}' or {below + per_latent}.",
        )
    if rules.most_frames and frames > rules.most_frames:
        yield _Said(
            "frame-count",
            Severity.ERROR,
            f"{frames} frames, but the motion modules of family {arm.family} have positions for "
            f"{rules.most_frames}.",
            f"Give at most {rules.most_frames}.",
        )


def _size_multiple(parts: _Parts) -> Iterator[_Said]:
    arm, multiple = parts.arm, FAMILIES[parts.arm.family].size_multiple
    if arm.shape.height % multiple or arm.shape.width % multiple:
        yield _Said(
            "size-multiple",
            Severity.ERROR,
            f"{arm.shape.width} x {arm.shape.height}, but family {arm.family} makes multiples of "
            f"{multiple} pixels.",
            f"Give a height and a width that {multiple} divides.",
        )


def _known_good_frames(parts: _Parts) -> Iterator[_Said]:
    frames = parts.arm.shape.num_frames
    for entry in parts.every:
        span = entry.known_good and entry.known_good.num_frames
        if span and not span[0] <= frames <= span[1]:
            yield _Said(
                "frames-outside-known-good",
                Severity.WARNING,
                f"'num_frames' is {frames}; the source of '{entry.id}' gives {_span(span)}.",
                "Read the result as an experiment, or change 'num_frames'.",
            )


def _span(span: tuple[float, float]) -> str:
    """Return the two ends of a span.

    >>> _span((3.0, 3.0)), _span((17, 257))
    ('3', '17 to 257')
    """
    low, high = span
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _flow_shift(parts: _Parts) -> Iterator[_Said]:
    if "flow_shift" not in FAMILIES[parts.arm.family].factors:
        return
    shift = parts.arm.flow_shift
    for entry in parts.distilled or parts.every:
        span = entry.known_good and entry.known_good.flow_shift
        if span and (shift is None or not span[0] <= shift <= span[1]):
            yield _Said(
                "flow-shift",
                Severity.ERROR if shift is None else Severity.WARNING,
                f"'flow_shift' is {'not given' if shift is None else f'{shift:g}'}; the source of "
                f"'{entry.id}' gives {_span(span)}: another one spends the steps elsewhere.",
                f"Give {_span(span)}.",
            )


def _given_timesteps(parts: _Parts) -> Iterator[_Said]:
    given = parts.arm.timesteps
    if given is not None and len(given) != parts.arm.steps:
        yield _Said(
            "timestep-grid",
            Severity.ERROR,
            f"{len(given)} 'timesteps' for {parts.arm.steps} 'steps'.",
            f"Give 'steps: {len(given)}', or as many timesteps as steps.",
        )
    for entry in parts.distilled:
        wanted = entry.trained.timesteps if entry.trained else ()
        if wanted and given != wanted:
            yield _Said(
                "timestep-grid",
                Severity.ERROR,
                f"'{entry.id}' was distilled for given timesteps, which this arm does not sample "
                "at: wrong ones over-expose or flash.",
                f"Give 'timesteps: [{', '.join(f'{one:g}' for one in wanted)}]'.",
            )


def _quality_changes(plan: Plan, parts: Iterable[_Parts]) -> Iterator[PreflightFinding]:
    """Mark arms whose frames are not shown to be those of the same arm without a fast setting."""
    for one in parts:
        approximate = one.vae is not None and one.vae.approximate
        found = list(changes(one.arm, dtype=plan.spec.dtype, approximate_vae=approximate))
        if found:
            yield _warning(
                "quality-changes",
                f"arm {one.arm.name}",
                f"its frames may be others than without its fast settings: {'; '.join(found)}.",
                "Judge its clips by a contrast with the arm without them, not by its time alone.",
            )


_VOCABULARIES: Final = ("tokenizer.json", "vocab.json")
"""Files of a vocabulary that are loaded here; a SentencePiece model is not."""


def _vocabulary(parts: _Parts) -> Iterator[_Said]:
    hub = None if parts.arm.weights else parts.base.hub  # random weights have letters for words
    if hub and not any(file.name.rpartition("/")[2] in _VOCABULARIES for file in hub.files):
        yield _Said(
            "vocabulary-missing",
            Severity.ERROR,
            f"'{parts.base.id}' has none of {', '.join(_VOCABULARIES)}: its prompts cannot be "
            "turned into tokens here.",
            "Convert its vocabulary to tokenizer.json, and name that file in models.yaml.",
        )


_RULES: Final[tuple[Callable[[_Parts], Iterator[_Said]], ...]] = (
    _beta_schedule,
    _trained_steps,
    _known_good_steps,
    _timestep_grid,
    _guidance,
    _distilled_twice,
    _partner,
    _scheduler,
    _vae,
    _fit,
    _negative_prompt,
    _frame_count,
    _size_multiple,
    _known_good_frames,
    _flow_shift,
    _given_timesteps,
    _vocabulary,
)


# --- prompts and judges --------------------------------------------------------------------------


def _languages(plan: Plan, parts: Iterable[_Parts]) -> Iterator[PreflightFinding]:
    for base in {one.base.id: one.base for one in parts}.values():
        known = {_primary(tag) for tag in base.languages}
        foreign = [prompt for prompt in plan.prompts if _primary(prompt.language) not in known]
        if foreign:
            yield _foreign(plan, base, foreign)


def _judge_languages(plan: Plan, models: ModelTable) -> Iterator[PreflightFinding]:
    """Refuse a judge for prompts that it never learnt to read, where a metric has it read them."""
    takes = (CATALOG[split_metric(metric).name].takes for metric in plan.spec.metrics)
    if plan.image_text is None or not any("text_features" in one for one in takes):
        return
    known = models.resolve(plan.image_text).entry.languages
    tags = sorted({prompt.language for prompt in plan.prompts})
    foreign = [tag for tag in tags if _primary(tag) not in map(_primary, known)]
    if foreign:
        yield _error(
            "judge-language",
            f"judge {plan.image_text}",
            f"prompts are in {', '.join(foreign)}; it reads {_few(list(known))}: a score of words "
            "that it cannot read means nothing.",
            "Name a judge under 'judges' that reads them, or leave the metrics out.",
        )


def _foreign(plan: Plan, base: ModelEntry, foreign: list[Prompt]) -> PreflightFinding:
    tags = ", ".join(sorted({prompt.language for prompt in foreign}))
    return _error(
        "prompt-language",
        f"dataset {plan.spec.dataset}",
        f"{len(foreign)} of {len(plan.prompts)} prompts are in {tags}; the text encoder of "
        f"'{base.id}' knows {', '.join(base.languages)}: it takes other words for noise.",
        "Give prompts in a language that it knows.",
    )


def _primary(tag: str) -> str:
    """Return the language of a BCP 47 tag without script and region.

    >>> _primary("ja-JP")
    'ja'
    """
    return tag.partition("-")[0].lower()


def _judges(plan: Plan, models: ModelTable, parts: Iterable[_Parts]) -> Iterator[PreflightFinding]:
    """Refuse metrics whose judges know another world than the one the models draw."""
    if all(one.base.vocabulary == "tiny-world" for one in parts):
        return
    judges = {entry.kind: entry for entry in run_judges(models, plan.image_text, plan.video)}
    unfit = {metric: _tiny_judges(metric, judges, models) for metric in plan.spec.metrics}
    judged = [metric for metric, tiny in unfit.items() if tiny]
    if judged:
        named = sorted({one for tiny in unfit.values() for one in tiny})
        yield _error(
            "judge-unfit",
            f"metrics {', '.join(judged)}",
            f"their judges ({', '.join(named)}) know the tiny world only; their numbers on other "
            "clips would mean nothing.",
            "Name a judge under 'judges' for those that look at pictures and words, or at whole "
            "clips, leave the others out, and ask people with `poc rate`.",
        )


def _tiny_judges(
    metric: str, judges: Mapping[ModelKind, ModelEntry], models: ModelTable
) -> set[str]:
    """Return what judges by a metric and knows the tiny world only."""
    name, style = split_metric(metric)
    row = CATALOG[name]
    if row.target is None:
        return {"the oracle"}
    kinds = {_JUDGE_OF[taken] for taken in row.takes if taken in _JUDGE_OF}
    used = [judges[kind] for kind in kinds if kind in judges]
    if style is not None:
        own = stills_of(models, style)
        used += [own.entry if own else judges[ModelKind.STILLS]]
    return {entry.id for entry in used if _of_the_tiny_world(entry)}


_JUDGE_OF: Final = {
    "image_features": ModelKind.IMAGE_TEXT,
    "text_features": ModelKind.IMAGE_TEXT,
    "video_features": ModelKind.VIDEO_FEATURES,
    "reference_features": ModelKind.VIDEO_FEATURES,
}


def _of_the_tiny_world(entry: ModelEntry) -> bool:
    return entry.vocabulary == "tiny-world" or entry.family in {"tiny_video", "tiny_world"}


# --- rights --------------------------------------------------------------------------------------


def _rights(plan: Plan, models: ModelTable, licences: LicenceTable) -> Iterator[PreflightFinding]:
    if plan.spec.use is None:
        if plan.spec.kind == "procurement":
            text = "a procurement without 'use': licences are not judged."
            change = f"Give 'use': {', '.join(Use)}."
            yield _warning("use-not-stated", f"spec {plan.spec.name}", text, change)
        return
    use = Use(plan.spec.use)
    for row in licence_rows(plan, models, licences):
        if row.judgement is Judgement.PERMITTED:
            continue
        forbidden = row.judgement is Judgement.FORBIDDEN
        make = _error if forbidden else _warning
        word = "forbidden" if forbidden else "not known to be permitted"
        yield make(
            "licence-forbids" if forbidden else "licence-unclear",
            f"{'model' if len(row.models) == 1 else 'models'} {', '.join(row.models)}",
            f"{row.licence}: {use} is {word}. {row.reason}",
            "`poc rights` has the ways out.",
        )


class LicenceRow(NamedTuple):
    """A licence of a plan's models, and what it says of the stated use."""

    licence: str
    judgement: Judgement | None
    """None where the spec states no use."""
    models: tuple[str, ...]
    reason: str


def licence_rows(plan: Plan, models: ModelTable, licences: LicenceTable) -> tuple[LicenceRow, ...]:
    """Return the licences of all models of a plan; models of one licence and judgement together."""
    rows: dict[tuple[str, Judgement | None, str], list[str]] = {}
    for model in dict.fromkeys(used_models(plan)):
        entry = models.resolve(model).entry
        judgement, reason = _judged(entry, plan.spec.use, licences)
        rows.setdefault((entry.licence, judgement, reason), []).append(model)
    return tuple(
        LicenceRow(licence, judgement, tuple(names), reason)
        for (licence, judgement, reason), names in rows.items()
    )


def _judged(
    entry: ModelEntry, stated: str | None, licences: LicenceTable
) -> tuple[Judgement | None, str]:
    """Return the worst that the licences, and the table of models itself, say of the use."""
    if stated is None:
        return None, ""
    use = Use(stated)
    known = [licences.find(one) or licences.licences["unknown"] for one in ids_of(entry.licence)]
    said = [(licence.uses.of(use), licence.reason.en) for licence in known]
    if use is not Use.EVALUATION and entry.commercial_use != "permitted":
        own = Judgement(entry.commercial_use)
        said.append((own, f"The table of models says commercial use is {own}."))
    return max(said, key=lambda one: severity(one[0]))


# --- room and time -------------------------------------------------------------------------------


def _room(plan: Plan, parts: Iterable[_Parts], around: Surroundings) -> Iterator[PreflightFinding]:
    where = f"spec {plan.spec.name}"
    found = summary(plan)
    free, memory = around.free_disk_bytes, around.memory_bytes
    disk_bytes = found.disk_bytes + (_weight_bytes(parts) if plan.spec.weights else 0)
    if free is not None and free < disk_bytes:
        yield _error(
            "disk-short",
            where,
            f"not enough disk: {_gib(disk_bytes)} may be needed, {_gib(free)} are free.",
            "Free some space, give another --out, or plan fewer clips.",
        )
    needed = _weight_bytes(parts) * around.workers
    if memory is not None and memory < needed:
        yield _error(
            "memory-short",
            where,
            f"the weights alone take {_gib(needed)}, the device has {_gib(memory)}.",
            "Take a larger device, a smaller dtype or fewer --workers.",
        )
    yield from _hours(plan, found.seconds_low / 3600, found.seconds_high / 3600)


def _hours(plan: Plan, low: float, high: float) -> Iterator[PreflightFinding]:
    budget = plan.spec.hours
    if budget is None or high <= budget:
        return
    make, word = (_error, "takes") if low > budget else (_warning, "may take")
    yield make(
        "hours-over-budget",
        f"spec {plan.spec.name}",
        f"{word} {low:.1f} to {high:.1f} h, 'hours' is {budget:g}.",
        "Plan fewer clips, or raise 'hours'.",
    )


def weight_bytes(plan: Plan, models: ModelTable) -> int:
    """Return the bytes of all weights that a plan keeps on a device: at least.

    Models whose size is not known, and those that wait in main memory, count as nothing.
    """
    return _weight_bytes(_parts(arm, models) for arm in plan.generated)


def _weight_bytes(parts: Iterable[_Parts]) -> int:
    """Return the bytes of all weights that stay resident: at least, where sizes are not known.

    Of an arm whose models wait in main memory nobody says how large each of them is.
    """
    sizes: dict[tuple[str, str], int] = {}
    for one in (one for one in parts if not (one.arm.fast and one.arm.fast.cpu_offload)):
        for entry in one.every:
            size = (entry.parameters or 0) * BYTES_PER_NUMBER[one.arm.dtype]
            sizes[entry.id, one.arm.dtype] = size
    return sum(sizes.values())


def _gib(number: int) -> str:
    return f"{number / _GIB:,.1f} GiB"
