"""Reads specs and criteria files: strictly, and so that whatever is wrong is said with its line.

What a single value may be stands in `poc.records`; here is what must hold between values. What a
spec asks of its criteria, prompts and models together is checked in `poc.plan`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from metrics.catalog import CATALOG, SMOOTHNESS, Direction, Scope
from poc.clip_folder import Protocol, ProtocolError
from poc.datasets import rendered_shape
from poc.errors import InputError, did_you_mean
from poc.families import FAMILIES, FAMILY_FACTORS, FamilyRules
from poc.fast_settings import IDLE, contradictory, idle
from poc.fault_evidence import blindness
from poc.models import ModelKind, ModelTable, misfit, read_models
from poc.records import (
    ArmRole,
    ArmSpec,
    ClipShape,
    Contrast,
    CriteriaFile,
    Criterion,
    SweepSpec,
)
from poc.spec_judging import (
    REFERENCE_METRICS,
    has_folder,
    judge_problems,
    reference_problems,
)
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse

VALID_SHARE: Final = "valid_share"
"""Share of planned clips that are valid: from the counts of a run, so it needs no metric."""

STAGES: Final = frozenset(
    f"latency_{stage}_p50_s" for stage in ("text", "denoise", "decode", "encode")
)
"""Medians of the stages that the latency pass times."""

FACTORS: Final = ("steps", "guidance")
PIXELS_PER_LATENT: Final = 8

NOT_IN_A_RUN: Final = frozenset(
    {"clip_features", "csd_features", "csd_style_features", "edge_fields", "lpips_distances"}
    | {"raft_speeds", "safety_scores", "subject_features"}
)
"""What metrics take, by the catalogue's names, that only `poc measure` can be given."""

_METRIC: Final = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<style>[^\[\]]+)\])?")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_MOVEMENT: Final = frozenset({"motion", "motion_extent_px", "oracle_motion"})
_TODAY: Final = ("oracle_all", "oracle_motion", "clip_score", "style_similarity")
"""By what arms are compared with what is done today: values of single clips with a better side."""


class Setting(NamedTuple):
    """One arm of an `ArmSpec`: a value of each factor, and the name they give."""

    name: str
    steps: int | None
    guidance: float | None


class MetricUse(NamedTuple):
    """A metric as specs name it, taken apart."""

    name: str
    style: str | None


def read_spec(path: Path, models: ModelTable | None = None) -> SweepSpec:
    """Read a spec; `models` is the table that its model ids are looked up in (default: ours).

    Raises:
        InputError: every fault with its line, the topmost first.
    """
    if path.is_dir():
        raise InputError(
            f"{path}: expected a spec, a YAML file as those in poc/specs, got a folder. What a "
            "run's folder comes to is what `poc decide` and `poc report` say."
        )
    node = _with_lists(load(read_text(path), path))
    refuse(path, _idle_names(node))
    spec = decode(SweepSpec, node, path)
    refuse(path, _spec_problems(spec, node, path, models or read_models()))
    return _with_status_quo(spec)


def _with_status_quo(spec: SweepSpec) -> SweepSpec:
    """Add a contrast with what is done today for every candidate of its style that has none."""
    if spec.status_quo is None:
        return spec
    styles = {one.name: arm.style for arm in spec.arms for one in expand(arm)}
    asked = {frozenset({one.arm, one.against}) for one in spec.contrasts}
    new = tuple(
        Contrast(
            arm=one.name,
            against=spec.status_quo,
            metrics=_status_quo_metrics(spec),
            question=f"Is {one.name} better than what is done today?",
            question_ja=f"{one.name}は現状（いま使っている方法）より良いか。",
        )
        for arm in spec.arms
        for one in expand(arm)
        if arm.role is ArmRole.CANDIDATE
        and arm.style == styles[spec.status_quo]
        and one.name not in {spec.baseline, spec.status_quo}
        and frozenset({one.name, spec.status_quo}) not in asked
    )
    return spec.model_copy(update={"contrasts": (*spec.contrasts, *new)})


def _status_quo_metrics(spec: SweepSpec) -> tuple[str, ...]:
    return tuple(metric for metric in _TODAY if metric in spec.metrics)


def read_criteria(path: Path) -> CriteriaFile:
    """Read a criteria file; raises `InputError` with the line of every fault."""
    node = load(read_text(path), path)
    criteria = decode(CriteriaFile, node, path)
    refuse(path, _criteria_problems(criteria, node))
    return criteria


def expand(arm: ArmSpec) -> tuple[Setting, ...]:
    """Return the product of an entry's factors, in the order written; an imported arm is one."""
    if arm.family == "imported":
        return (Setting(arm.name, None, None),)
    return tuple(
        Setting(arm_name(arm.name, steps, guidance), steps, guidance)
        for steps, guidance in product(arm.steps, arm.guidance)
    )


def arm_name(template: str, steps: int, guidance: float) -> str:
    """Fill the factors into the name of an entry.

    >>> arm_name("teacher-{steps} g{guidance}", 25, 4.0)
    'teacher-25 g4'
    """
    return template.replace("{steps}", str(steps)).replace("{guidance}", f"{guidance:g}")


def known_metrics() -> frozenset[str]:
    """Return every name a criterion may use, without the style in brackets."""
    return frozenset(CATALOG) | STAGES | {VALID_SHARE}


def split_metric(metric: str) -> MetricUse:
    """Take the style out of a metric's name.

    >>> split_metric("style_similarity[pastel]")
    MetricUse(name='style_similarity', style='pastel')
    """
    match = _METRIC.fullmatch(metric)
    return MetricUse(match["name"], match["style"]) if match else MetricUse(metric, None)


def measured_metrics(spec: SweepSpec) -> frozenset[str]:
    """Return the names that a run of `spec` has estimates of: what criteria may ask for."""
    always = set() if spec.weights else {VALID_SHARE, "validity"}
    return frozenset(spec.metrics) | always | (_timed() if spec.latency else set())


def check_criteria(spec: SweepSpec, criteria: CriteriaFile) -> None:
    """Refuse criteria that a run of `spec` could never answer; raises `InputError`."""
    for criterion in criteria.criteria:
        if text := _unanswerable(spec, criterion):
            raise InputError(
                f"criteria '{criteria.name}', criterion '{criterion.name}', "
                f"spec '{spec.name}': {text}"
            )


def _unanswerable(spec: SweepSpec, criterion: Criterion) -> str:
    metric, measured = criterion.metric, measured_metrics(spec)
    if criterion.each is not None and not _is_sliced(spec, criterion.each, metric):
        return (
            f"it is asked of each '{criterion.each}', and the spec's 'slices' do not give "
            f"'{metric}' by it. Add both there, or use other criteria."
        )
    if metric not in measured:
        mend = "Give 'latency'" if metric in _timed() else "Add it to 'metrics'"
        mend = (
            "With random weights only times mean anything: ask for those" if spec.weights else mend
        )
        return f"the spec does not measure '{metric}'. {mend}, or use other criteria."
    needed = samples_needed(metric)
    if spec.latency and spec.latency.repeats < needed:
        return (
            f"'{metric}' needs at least {needed} timed clips an arm, "
            f"'latency.repeats' is {spec.latency.repeats}. Raise it, or ask for latency_p50_s."
        )
    return ""


def _is_sliced(spec: SweepSpec, factor: str, metric: str) -> bool:
    asked = spec.slices
    return asked is not None and factor in asked.by and metric in asked.metrics


def samples_needed(metric: str) -> int:
    """Return how many timed clips a percentile needs for a one-sided 95 % bound; else 0.

    The largest of n samples is above the p-quantile with probability 1 - p^n.

    >>> [samples_needed(f"latency_p{percent}_s") for percent in (50, 90, 95, 99)]
    [5, 29, 59, 299]
    """
    match = re.fullmatch(r"latency_(?:[a-z]+_)?p(\d\d)_s", metric)
    if match is None:
        return 0
    share, count = int(match[1]) / 100, 1
    while share**count > 0.05:
        count += 1
    return count


# --- the spec ------------------------------------------------------------------------------------


def _with_lists(root: Node) -> Node:
    """Turn a single value of a factor into a list of one, where the line stays the same."""
    arms = root.get("arms")
    if not isinstance(root.value, Mapping) or not isinstance(arms.value, tuple):
        return root
    listed = replace(arms, value=tuple(_with_list(arm) for arm in arms.value))
    return replace(root, value=MappingProxyType({**root.value, "arms": listed}))


_UNKNOWN_ELSEWHERE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "base": "",
        "motion_adapter": None,
        "scheduler": None,
        "steps": (),
        "guidance": (),
        "negative_prompt": "",
        "loras": (),
    }
)
"""What an imported arm leaves away, since nobody here knows it."""


def _with_list(arm: Node) -> Node:
    if not isinstance(arm.value, Mapping):
        return arm
    values: dict[str, Node] = {}
    if arm.get("family").value == "imported":
        values = {key: Node(value, arm.line) for key, value in _UNKNOWN_ELSEWHERE.items()}
    values |= {
        key: Node((node,), node.line)
        if key in FACTORS and not isinstance(node.value, tuple | Mapping)
        else node
        for key, node in arm.value.items()
    }
    return replace(arm, value=MappingProxyType(values))


def _spec_problems(
    spec: SweepSpec, node: Node, path: Path, models: ModelTable
) -> Iterator[Problem]:
    yield from _name_problems(spec, node)
    yield from _baseline_problems(spec, node)
    yield from _role_problems(spec, node)
    for place, arm in enumerate(spec.arms):
        at = node.get("arms", place)
        if arm.family == "imported":
            yield from _imported_problems(spec, arm, at)
        else:
            yield from _sampling_problems(arm, at)
            yield from _family_problems(arm, FAMILIES[arm.family], at)
            yield from _fast_problems(spec, arm, at)
            yield from _model_problems(arm, at, models)
    yield from _protocol_problems(spec, node)
    yield from _metric_problems(spec, node)
    yield from _weight_problems(spec, node)
    yield from _latency_problems(spec, node)
    yield from _contrast_problems(spec, node)
    yield from _status_quo_problems(spec, node)
    yield from _slice_problems(spec, node)
    yield from judge_problems(spec, node, models)
    yield from reference_problems(spec, node)
    yield from _shape_problems(spec, node)
    if spec.confirms is not None and spec.seed != spec.confirms.seed():
        yield Problem(
            node.get("seed").line,
            f"'seed': expected {spec.confirms.seed()}, which follows from what is confirmed, got "
            f"{spec.seed}. `poc confirm` writes such a spec.",
        )
    if not (path.parent / spec.criteria).is_file():
        yield Problem(
            node.get("criteria").line,
            f"'criteria': no file '{spec.criteria}' in '{path.parent}'. Give its path from there.",
        )


def _name_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for place, arm in enumerate(spec.arms):
        line = node.get("arms", place, "name").line
        factors = FACTORS if arm.family != "imported" else ()
        for word in set(_PLACEHOLDER.findall(arm.name)) - set(factors):
            hint = did_you_mean(word, FACTORS)
            yield Problem(line, f"name '{arm.name}': unknown factor '{{{word}}}'. {hint}")
        for name, count in Counter(setting.name for setting in expand(arm)).items():
            if count > 1:
                yield Problem(
                    line,
                    f"{count} arms would be called '{name}'. "
                    f"Put {{steps}} or {{guidance}} into the name, and no value twice.",
                )
            elif name in seen:
                yield Problem(line, f"arm '{name}' exists on line {seen[name]}. Rename one.")
            seen.setdefault(name, line)


def _baseline_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    names = [setting.name for arm in spec.arms for setting in expand(arm)]
    if spec.baseline not in names:
        hint = did_you_mean(spec.baseline, names)
        line = node.get("baseline").line
        yield Problem(line, f"'baseline': no arm is called '{spec.baseline}'. {hint}")


def _role_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    others = [arm.role for arm in spec.arms if {s.name for s in expand(arm)} != {spec.baseline}]
    if others and ArmRole.CANDIDATE not in others:
        text = "'arms': every arm is a control, so nothing could be recommended. Name a candidate."
        yield Problem(node.get("arms").line, text)


def _contrast_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    styles = {setting.name: arm.style for arm in spec.arms for setting in expand(arm)}
    pairs = [{contrast.arm, contrast.against} for contrast in spec.contrasts]
    for place, contrast in enumerate(spec.contrasts):
        at, named = node.get("contrasts", place), (contrast.arm, contrast.against)
        for key, name in zip(("arm", "against"), named, strict=True):
            if name not in styles:
                hint = did_you_mean(name, styles)
                yield Problem(at.get(key).line, f"contrast: no arm is called '{name}'. {hint}")
        if contrast.arm == contrast.against:
            yield Problem(at.line, f"contrast: '{contrast.arm}' stands against itself.")
        elif len({styles.get(name) for name in named}) > 1:
            text = f"contrast: '{contrast.arm}' and '{contrast.against}' have different styles."
            yield Problem(at.line, f"{text} Compare arms of one style.")
        if pairs[place] in pairs[:place]:
            yield Problem(at.line, "contrast: these two arms are compared above. Remove one.")
        yield from _contrast_metric_problems(spec, contrast, at)


def _status_quo_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    if spec.status_quo is None:
        return
    line = node.get("status_quo").line
    roles = {one.name: arm.role for arm in spec.arms for one in expand(arm)}
    if spec.status_quo not in roles:
        hint = did_you_mean(spec.status_quo, roles)
        yield Problem(line, f"'status_quo': no arm is called '{spec.status_quo}'. {hint}")
    elif spec.status_quo == spec.baseline:
        text = "'status_quo': is the baseline already, which everything is compared with. Leave it"
        yield Problem(line, f"{text} out.")
    elif roles[spec.status_quo] is not ArmRole.CONTROL:
        text = f"'status_quo': '{spec.status_quo}' is a candidate; what is done today is not"
        yield Problem(line, f"{text} recommended anew. Give it 'role: control'.")
    if not _status_quo_metrics(spec):
        text = f"'status_quo': nothing to compare by. Measure one of {', '.join(_TODAY)}."
        yield Problem(line, text)


def _contrast_metric_problems(spec: SweepSpec, contrast: Contrast, at: Node) -> Iterator[Problem]:
    comparable = set(spec.metrics) - {"fvd"}
    for number, metric in enumerate(contrast.metrics):
        text = ""
        if metric == "fvd" or metric in _timed() | {VALID_SHARE, "validity"}:
            text = f"a contrast cannot ask for '{metric}'."
        elif metric not in comparable:
            hint = did_you_mean(metric, comparable)
            text = f"'{metric}' is not in the spec's 'metrics'. {hint}"
        elif metric in contrast.metrics[:number]:
            text = f"'{metric}' is given twice. Remove one."
        if text:
            yield Problem(at.get("metrics", number).line, f"contrast: {text}")
    if set(contrast.metrics) & SMOOTHNESS and not set(contrast.metrics) & _MOVEMENT:
        text = f"smoothness alone favours a frozen clip. Add one of {', '.join(sorted(_MOVEMENT))}."
        yield Problem(at.get("metrics").line, f"contrast: {text}")


def _slice_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    if spec.slices is None:
        return
    at, per_clip = node.get("slices"), set(spec.metrics) - REFERENCE_METRICS
    for place, metric in enumerate(spec.slices.metrics):
        line = at.get("metrics", place).line
        if metric in REFERENCE_METRICS:
            text = f"slices: '{metric}' is of all clips at once; a slice has too few. Remove it."
            yield Problem(line, text)
        elif metric not in per_clip:
            hint = did_you_mean(metric, per_clip)
            yield Problem(line, f"slices: '{metric}' is not in the spec's 'metrics'. {hint}")
    for key, given in (("by", spec.slices.by), ("metrics", spec.slices.metrics)):
        for place, name in enumerate(given):
            if name in given[:place]:
                text = f"slices: '{name}' is given twice. Remove one."
                yield Problem(at.get(key, place).line, text)


def _sampling_problems(arm: ArmSpec, at: Node) -> Iterator[Problem]:
    for key in FACTORS:
        if not getattr(arm, key):
            yield Problem(at.get(key).line, f"'{key}': expected at least one value, got none.")
    if arm.scheduler is None:
        yield Problem(at.get("scheduler").line, "'scheduler': expected a name, got nothing.")
    if arm.clips is not None:
        text = "'clips': this arm is generated here. Remove it, or write family: imported."
        yield Problem(at.get("clips").line, text)


# --- clips made elsewhere ------------------------------------------------------------------------


def _imported_problems(spec: SweepSpec, arm: ArmSpec, at: Node) -> Iterator[Problem]:
    for key, nothing in _UNKNOWN_ELSEWHERE.items():
        if getattr(arm, key) != nothing:
            yield Problem(at.get(key).line, f"'{key}': an imported arm has none. Remove it.")
    for key in sorted((FAMILY_FACTORS | {"dtype", "fast"}) - {"motion_adapter"}):
        if getattr(arm, key) is not None:
            yield Problem(at.get(key).line, f"'{key}': an imported arm has none. Remove it.")
    if arm.clips is None:
        yield Problem(at.line, "an imported arm needs 'clips': {folder: ..., delivery: ...}.")
    if arm.role is not ArmRole.CONTROL:
        text = (
            "an imported arm is a control: its price, time and rights are stated and not measured, "
            "so it is judged and never recommended. Write role: control."
        )
        yield Problem(at.line, text)
    if arm.name == spec.baseline:
        text = "'baseline': clips made elsewhere share no seed with others. Name another arm."
        yield Problem(at.get("name").line, text)
    if spec.weights:
        yield Problem(at.line, "with random weights no clip is judged. Remove the imported arm.")


def _protocol_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    """Yield what is wrong with the form in which clips made here and elsewhere are compared."""
    at, imported = node.get("protocol"), any(arm.family == "imported" for arm in spec.arms)
    if spec.protocol is None:
        if imported:
            text = (
                "an imported arm is compared in one form only. Give 'protocol', such as "
                "{seconds: 2, fps: 8, short_side: 64}."
            )
            yield Problem(node.get("arms").line, text)
        return
    if not imported and not has_folder(spec):
        text = "'protocol': no arm is imported and no reference is a folder. Remove it."
        yield Problem(at.line, text)
    frames = spec.protocol.seconds * spec.protocol.fps
    if abs(frames - round(frames)) > 1e-6 or round(frames) < 2:
        text = f"'protocol': {frames:g} frames; expected a whole number of 2 or more."
        yield Problem(at.line, f"{text} Change seconds or fps.")
        return
    try:
        measured = measured_shape(spec)
    except ProtocolError as error:
        yield Problem(at.line, f"'protocol': for the clips made here {error}.")
        return
    if measured.height % 2 or measured.width % 2:
        size = f"{measured.width}x{measured.height}"
        text = f"'protocol': {size} pixels; expected even numbers, which videos need."
        yield Problem(at.line, f"{text} Change short_side.")
    asked = sorted(name for name in spec.metrics if _asks_the_oracle(name))
    if asked and measured != rendered_shape():
        yield Problem(
            at.line,
            f"'protocol': {', '.join(asked)} read clips of the tiny world as they are rendered. "
            "Remove them, or change nothing by the protocol.",
        )


def measured_shape(spec: SweepSpec) -> ClipShape:
    """Return the number, size and rate of the frames that are measured.

    Raises:
        ProtocolError: the spec's own clips are too short, slow or small for its protocol.
    """
    shape, asked = spec.shape, spec.protocol
    if asked is None:
        return shape
    protocol = Protocol(asked.seconds, asked.fps, asked.short_side)
    protocol.indices(shape.num_frames, shape.fps)
    height, width = protocol.size(shape.height, shape.width)
    return ClipShape(num_frames=protocol.num_frames, height=height, width=width, fps=asked.fps)


def _asks_the_oracle(metric: str) -> bool:
    row = CATALOG.get(split_metric(metric).name)
    return row is not None and row.scope is Scope.CLIP and row.target is None


def _family_problems(arm: ArmSpec, rules: FamilyRules, at: Node) -> Iterator[Problem]:
    """Yield factors that an arm's family does not have, and the one that it cannot do without."""
    if rules.motion_adapter and arm.motion_adapter is None:
        text = f"'motion_adapter': expected a motion module for family {arm.family}, found none."
        yield Problem(at.line, text)
    for factor in sorted(FAMILY_FACTORS - rules.factors):
        if getattr(arm, factor) is not None:
            text = f"'{factor}': family {arm.family} has no such setting. Remove it."
            yield Problem(at.get(factor).line, text)
    if arm.scheduler is not None and arm.scheduler not in rules.schedulers:
        named = ", ".join(sorted(rules.schedulers))
        text = f"'scheduler': {arm.scheduler} does not sample family {arm.family}. Take {named}."
        yield Problem(at.get("scheduler").line, text)


def _idle_names(root: Node) -> Iterator[Problem]:
    """Yield settings that people know from elsewhere and that do nothing on AnimateDiff."""
    arms = root.get("arms")
    for arm in arms.value if isinstance(arms.value, tuple) else ():
        fast = arm.get("fast")
        for name in (name for name in fast.children() if name in IDLE):
            text = f"'fast': '{name}' does nothing here: {IDLE[str(name)]}. Remove it."
            yield Problem(fast.get(name).line, text)


def _fast_problems(spec: SweepSpec, arm: ArmSpec, at: Node) -> Iterator[Problem]:
    for name, reason in idle(arm, spec.shape, spec.batch_size):
        setting = f"'{name}' does nothing here: " if name else ""
        text = f"'fast': {setting}{reason}. Remove it."
        yield Problem(at.get("fast", name).line if name else at.get("fast").line, text)
    for name, reason in contradictory(spec, arm):
        yield Problem(at.get("fast", name).line, f"'fast': '{name}': {reason}")


def _model_problems(arm: ArmSpec, at: Node, models: ModelTable) -> Iterator[Problem]:
    uses = [
        (at.get("base"), arm.base, ModelKind.BASE),
        *(
            [(at.get("motion_adapter"), arm.motion_adapter, ModelKind.MOTION_ADAPTER)]
            if arm.motion_adapter
            else []
        ),
        *(
            (at.get("loras", place, "model"), use.model, ModelKind.LORA)
            for place, use in enumerate(arm.loras)
        ),
        *([(at.get("vae"), arm.vae, ModelKind.VAE)] if arm.vae else []),
    ]
    for place, (node, model_id, kind) in enumerate(uses):
        text = _misfit(arm, model_id, kind, models)
        if model_id in [other for _, other, _ in uses[:place]]:
            text = f"model '{model_id}' is used twice in this arm. Remove one."
        if text:
            yield Problem(node.line, text)


def _misfit(arm: ArmSpec, model_id: str, kind: ModelKind, models: ModelTable) -> str:
    try:
        entry = models.resolve(model_id, kind).entry
    except InputError as error:
        return str(error)
    if entry.family != arm.family:
        return f"model '{model_id}' is of family {entry.family}, the arm of {arm.family}."
    return "" if kind is ModelKind.BASE else misfit(entry, arm.base)


def _metric_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    styles = {style for style in (*_styles(spec), *(r.style for r in spec.references)) if style}
    for place, metric in enumerate(spec.metrics):
        line = node.get("metrics", place).line
        if metric in spec.metrics[:place]:
            yield Problem(line, f"metric '{metric}' is given twice. Remove one.")
        name, style = split_metric(metric)
        text = _metric_fault(metric)
        if name in _timed():
            text = f"'{name}' comes with the latency pass. Remove it, and give 'latency'."
        elif name in {"validity", VALID_SHARE}:
            text = f"'{name}' is always known. Remove it."
        elif not text and style is not None and style not in styles:
            text = f"metric '{metric}': no arm has that style. {did_you_mean(style, styles)}"
        if text:
            yield Problem(line, text)


def _weight_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    """Yield what does not go with random weights, or only with them."""
    if spec.weights is None:
        if not spec.metrics:
            text = "'metrics': expected at least one, got none. Only random weights need none."
            yield Problem(node.get("metrics").line, text)
        return
    if spec.kind != "demonstration":
        text = (
            "'kind': with random weights expected 'demonstration': no purchase is judged by them."
        )
        yield Problem(node.get("kind").line, text)
    if spec.latency is None:
        text = "'latency': random weights are there to be timed. Give 'warmup' and 'repeats'."
        yield Problem(node.get("latency").line, text)
    for key in ("metrics", "references", "contrasts"):
        if getattr(spec, key):
            text = f"'{key}': expected none: clips of random weights show nothing. Remove them."
            yield Problem(node.get(key).line, text)


def _latency_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    """Yield what the latency pass could not be asked for."""
    latency = spec.latency
    if latency is None:
        return
    own = [arm for arm in spec.arms if spec.baseline in {s.name for s in expand(arm)}]
    if latency.control and any(arm.family == "imported" for arm in own):
        text = "'control': the baseline was made elsewhere and is not timed. Remove it."
        yield Problem(node.get("latency", "control").line, text)


def _metric_fault(metric: str) -> str:
    """Return what is wrong with the name of a metric in itself."""
    name, style = split_metric(metric)
    if name not in known_metrics():
        return f"unknown metric '{metric}'. {did_you_mean(name, known_metrics())}"
    if name in CATALOG and not NOT_IN_A_RUN.isdisjoint(CATALOG[name].takes):
        return f"a run has nothing to measure '{name}' with. Remove it, and use `poc measure`."
    wants_style = name in CATALOG and "style_features" in CATALOG[name].takes
    if wants_style and style is None:
        return f"metric '{name}' needs the style it looks for, such as '{name}[pastel]'."
    if style is not None and not wants_style:
        return f"metric '{name}' takes no style, got '{metric}'. Write '{name}'."
    return ""


def _shape_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    shape = spec.shape
    for key in ("height", "width"):
        if getattr(shape, key) % PIXELS_PER_LATENT:
            yield Problem(
                node.get("shape", key).line,
                f"'{key}': expected a multiple of {PIXELS_PER_LATENT}, got {getattr(shape, key)}.",
            )


def _styles(spec: SweepSpec) -> set[str | None]:
    return {arm.style for arm in spec.arms}


def _timed() -> set[str]:
    """Return the names that only the latency pass supplies."""
    sampled = {name for name, row in CATALOG.items() if row.takes == ("samples",)}
    return sampled | STAGES | {"peak_memory_bytes"}


# --- criteria ------------------------------------------------------------------------------------


def _criteria_problems(criteria: CriteriaFile, node: Node) -> Iterator[Problem]:
    names: set[str] = set()
    for place, criterion in enumerate(criteria.criteria):
        at = node.get("criteria", place)
        if criterion.name in names:
            yield Problem(at.get("name").line, f"duplicate criterion '{criterion.name}'.")
        names.add(criterion.name)
        if text := _metric_fault(criterion.metric):
            yield Problem(at.get("metric").line, text)
        elif text := _wrong_way(criterion):
            yield Problem(at.get("direction").line, text)
        elif text := blindness(criterion.metric):
            yield Problem(at.get("metric").line, text)


def _wrong_way(criterion: Criterion) -> str:
    """Return a complaint when a criterion asks for the worse side of its metric."""
    row = CATALOG.get(split_metric(criterion.metric).name)
    opposite = {Direction.HIGHER: "lower", Direction.LOWER: "higher"}
    if row is None or opposite.get(row.direction) != criterion.direction:
        return ""
    return (
        f"criterion '{criterion.name}': {row.direction} is better for '{row.name}', "
        f"got direction '{criterion.direction}'."
    )
