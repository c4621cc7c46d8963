"""What a spec may say of who judges its clips, and of the clips that they are held against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from metrics.catalog import CATALOG
from poc.datasets import rendered_shape, rendered_styles
from poc.errors import InputError, did_you_mean
from poc.models import ModelKind, ModelTable
from poc.records import JudgeSpec, ReferenceSet, SweepSpec
from poc.strict_yaml import Node, Problem

REFERENCE_METRICS: Final = frozenset({"fvd", "kvd"})
"""Metrics of whole arms, against a reference set."""

_KEYS: Final = {"rendered": ("count", "seed"), "folder": ("path",)}
"""What a reference of each kind cannot do without."""
_ONLY_OF: Final = {
    "rendered": frozenset({"path", "png_fps"}),
    "folder": frozenset({"count", "seed"}),
}
"""What a reference of each kind does not have."""


def has_folder(spec: SweepSpec) -> bool:
    """Whether a reference set of a spec is a folder of clips."""
    return any(one.kind == "folder" for one in spec.references)


# --- judges --------------------------------------------------------------------------------------


def judge_problems(spec: SweepSpec, node: Node, models: ModelTable) -> Iterator[Problem]:
    """Yield what is wrong with the judges that a spec names."""
    if spec.judges is None:
        return
    at = node.get("judges")
    if spec.judges.image_text is None and spec.judges.video is None:
        yield Problem(at.line, "'judges': names none. Give 'image_text' or 'video', or remove it.")
    yield from _image_text_problems(spec, spec.judges, at, models)
    yield from _video_problems(spec, spec.judges, at, models)


def _image_text_problems(
    spec: SweepSpec, judges: JudgeSpec, at: Node, models: ModelTable
) -> Iterator[Problem]:
    if judges.image_text is None:
        return
    try:
        models.resolve(judges.image_text, ModelKind.IMAGE_TEXT)
    except InputError as error:
        yield Problem(at.get("image_text").line, f"'image_text': {error}")
    rows = (CATALOG.get(metric.partition("[")[0]) for metric in spec.metrics)
    if not any(row is not None and "image_features" in row.takes for row in rows):
        text = "'judges': no metric looks through an image-text network. Measure clip_score, or"
        yield Problem(at.line, f"{text} remove this.")


def _video_problems(
    spec: SweepSpec, judges: JudgeSpec, at: Node, models: ModelTable
) -> Iterator[Problem]:
    if judges.video is None:
        if judges.fvd is not None:
            text = "'fvd': says how a video judge sees frames, and none is named. Name 'video'."
            yield Problem(at.get("fvd").line, text)
        return
    try:
        family = models.resolve(judges.video, ModelKind.VIDEO_FEATURES).entry.family
    except InputError as error:
        yield Problem(at.get("video").line, f"'video': {error}")
        return
    if judges.fvd is not None and family == "tiny_video":
        text = f"'fvd': '{judges.video}' sees frames as they are. Remove this."
        yield Problem(at.get("fvd").line, text)
    if REFERENCE_METRICS.isdisjoint(spec.metrics):
        text = "'judges': no metric looks through a video network. Measure kvd, or remove 'video'."
        yield Problem(at.get("video").line, text)


# --- reference sets ------------------------------------------------------------------------------


def reference_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    """Yield what is wrong with the sets of clips that FVD and KVD are taken against."""
    line = node.get("references").line
    for place, reference in enumerate(spec.references):
        at, earlier = node.get("references", place), spec.references[:place]
        yield from _repeated(reference, earlier, at)
        yield from _key_problems(reference, at)
        rendered = reference.kind == "rendered"
        if rendered and reference.style not in {None, *rendered_styles()}:
            hint = did_you_mean(str(reference.style), rendered_styles())
            yield Problem(at.get("style").line, f"unknown style '{reference.style}'. {hint}")
    used = sorted(REFERENCE_METRICS & set(spec.metrics))
    styles = {arm.style for arm in spec.arms}
    missing = styles - {reference.style for reference in spec.references}
    for style in sorted(missing, key=str) if used else ():
        look = f"style '{style}'" if style else "the plain look (style null)"
        yield Problem(
            line,
            f"no reference set of {look}, which {', '.join(used)} of its arms need. Add one.",
        )
    if has_folder(spec) and not used:
        text = "'references': no metric looks at them. Measure kvd, or remove what is a folder."
        yield Problem(line, text)
    yield from _shape_problems(spec, node)


def _repeated(
    reference: ReferenceSet, earlier: Iterable[ReferenceSet], at: Node
) -> Iterator[Problem]:
    for other in earlier:
        if other.name == reference.name:
            yield Problem(at.line, f"reference '{reference.name}' is given twice. Rename one.")
        if other.style == reference.style:
            yield Problem(
                at.line,
                f"references '{other.name}' and '{reference.name}' have the same style, so "
                "which one counts is open. Remove one.",
            )


def _key_problems(reference: ReferenceSet, at: Node) -> Iterator[Problem]:
    kind = reference.kind
    for key in _KEYS[kind]:
        if getattr(reference, key) is None:
            text = f"missing key '{key}' of reference '{reference.name}', which is {_said(kind)}."
            yield Problem(at.line, f"{text} Add it.")
    for key in sorted(_ONLY_OF[kind]):
        if getattr(reference, key) is not None:
            text = f"'{key}': reference '{reference.name}' is {_said(kind)} and has none. Remove it"
            yield Problem(at.get(key).line, f"{text}.")


def _said(kind: str) -> str:
    return "a folder" if kind == "folder" else "rendered"


def _shape_problems(spec: SweepSpec, node: Node) -> Iterator[Problem]:
    shape, rendered = spec.shape, rendered_shape()
    if shape != rendered and any(one.kind == "rendered" for one in spec.references):
        yield Problem(
            node.get("shape").line,
            f"'shape': rendered references have {rendered.num_frames} frames of "
            f"{rendered.width} x {rendered.height} at {rendered.fps} fps, got "
            f"{shape.num_frames} of {shape.width} x {shape.height} at {shape.fps}. "
            "Use that shape, or other references.",
        )
