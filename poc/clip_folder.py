"""A folder of clips made by anybody: its records, comparison protocol, prompts and means.

Pure: text and numbers in, records out. `poc.measure_folder` reads the files, `poc.clip_table`
writes the text that people see.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Self

import numpy as np
from pydantic import model_validator

from metrics import catalog
from poc.errors import InputError, did_you_mean
from poc.outcomes import sample_outcomes
from poc.records import Comparison, Counts, Estimate, Record, short_id
from poc.samples import Sample

FORMAT: Final = "measured-folder-1"
"""Mark of a `summary.json` that `poc measure` wrote."""

VALIDITY: Final = "validity"
SUPPLIED: Final = frozenset({"frames", "speeds", "image_features", "text_features"})
"""What can be had of a clip and its prompt alone, by the catalogue's names."""
CLIP_METRICS: Final = tuple(
    name
    for name, info in catalog.CATALOG.items()
    if info.scope is catalog.Scope.CLIP
    and info.target is not None
    and SUPPLIED.issuperset(info.takes)
    and name != VALIDITY
)
"""Metrics of one clip that need no stills, no baseline and no truth of the tiny world."""
SET_METRICS: Final = ("fvd", "kvd")
RATES: Final = frozenset(
    name for name in CLIP_METRICS if catalog.describe(name).unit == "fraction of clips"
)
"""Metrics that are 0 or 1 for a clip."""

PROMPT_COLUMNS: Final = ("file", "prompt")
_PROTOCOL_PARTS: Final = ("seconds", "fps", "short_side")
_NUMBER: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


class Role(StrEnum):
    """What a measurement belongs to."""

    CLIP = "clip"
    REFERENCE = "reference"
    SET = "set"
    """All valid clips of the folder together."""


class Status(StrEnum):
    """What came of a clip, or of one metric on it."""

    OK = "ok"
    NOT_MEASURED = "not_measured"
    INVALID = "invalid"
    FAILED = "failed"


class FrameShape(Record):
    """Size of the frames that were measured; `fps` is None where the file states none."""

    num_frames: int
    height: int
    width: int
    fps: float | None


class FolderMeasurement(Record):
    """One metric on one file, or on all valid clips (`role` set, `file` None).

    Digests are SHA-256. `frames_digest` is of the frames that were measured, after `protocol`.
    """

    role: Role
    file: str | None
    file_digest: str | None
    frames_digest: str | None
    shape: FrameShape | None
    decoder: str | None
    protocol: str
    prompt: str | None
    metric: str
    version: int
    unit: str
    value: float | None
    status: Status
    reason: str
    fault: str | None
    """Why the clip is invalid, as `metrics.validity.Fault` has it, or `protocol`."""
    extractor: str | None
    extractor_digest: str | None
    reference_digest: str | None
    """Of the reference's frames; for metrics of a set."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.status is Status.OK) != (self.value is not None):
            raise ValueError("a value belongs to status ok and to no other")
        if (self.status is Status.OK) != (self.reason == ""):
            raise ValueError("a missing value needs a reason, a present one has none")
        return self


class NotOk(Record):
    """A file that could not be measured."""

    role: Role
    file: str
    status: Status
    reason: str


class MetricSummary(Record):
    """One metric over the valid clips: a mean, or the number of the set."""

    metric: str
    version: int
    unit: str
    value: float | None
    low: float | None
    high: float | None
    n_clips: int
    n_clusters: int
    clusters: Literal["clips", "prompts"]
    """What the interval resamples: prompts where every clip has one, else clips that differ."""
    n_missing: int
    """Planned clips without a value."""
    method: str
    reason: str
    """Why there is no value, or no interval; empty when there are both."""
    notes: tuple[str, ...]


class FolderSummary(Record):
    """What is known of a folder; equal for equal files, whatever was reused."""

    format: Literal["measured-folder-1"]
    protocol: str
    judges: str | None
    counts: Counts
    reference_counts: Counts | None
    metrics: tuple[MetricSummary, ...]
    not_ok: tuple[NotOk, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClipReport:
    """A file and all that was measured on it."""

    name: str
    role: Role
    status: Status
    reason: str
    shape: FrameShape | None
    frames_digest: str | None
    prompt: str | None
    rows: tuple[FolderMeasurement, ...]

    def row(self, metric: str) -> FolderMeasurement | None:
        """Return the measurement of one metric, if it was asked for."""
        return next((row for row in self.rows if row.metric == metric), None)

    def value(self, metric: str) -> float | None:
        """Return the number of one metric, None where there is none."""
        row = self.row(metric)
        return None if row is None else row.value


# --- the comparison protocol ---------------------------------------------------------------------


class ProtocolError(ValueError):
    """A clip that cannot be brought to the protocol without inventing frames or pixels."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What every clip is brought to before it is measured; the files stay as they are."""

    seconds: float
    fps: float
    short_side: int

    @property
    def num_frames(self) -> int:
        """Frames of every clip."""
        return round(self.seconds * self.fps)

    @property
    def text(self) -> str:
        """The protocol as it is written on the command line."""
        return f"seconds:{self.seconds:.12g},fps:{self.fps:.12g},short_side:{self.short_side}"

    def indices(self, total: int, source_fps: float | None) -> tuple[int, ...]:
        """Return which frames of a clip are taken: the ones shown at the middle of each step.

        Raises:
            ProtocolError: no frame rate is stated, or it would take frames twice or beyond the end.

        >>> Protocol(1.0, 4.0, 64).indices(8, 8.0)
        (1, 3, 5, 7)
        """
        if source_fps is None:
            raise ProtocolError(
                "states no frame rate, which --protocol needs; give --png-fps for png frames"
            )
        asked = f"{self.num_frames} frames at {self.fps:g} fps"
        if source_fps < self.fps * (1 - 1e-3):
            raise ProtocolError(f"{asked} are asked, it has {source_fps:g} fps; none is repeated")
        steps = range(self.num_frames)
        taken = tuple(math.floor((i + 0.5) * source_fps / self.fps) for i in steps)
        if taken[-1] >= total or len(set(taken)) < len(taken):
            seconds = total / source_fps
            raise ProtocolError(
                f"{asked} are asked, it has {total} at {source_fps:g} fps ({seconds:.3g} s); "
                "none is repeated"
            )
        return taken

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width with the short side asked for; the aspect ratio stays.

        Raises:
            ProtocolError: the clip is smaller than that.

        >>> Protocol(2.0, 8.0, 64).size(576, 1024)
        (64, 114)
        """
        short = min(height, width)
        if short < self.short_side:
            raise ProtocolError(
                f"a short side of {self.short_side} px is asked, it has {short}; none is enlarged"
            )
        return round(height * self.short_side / short), round(width * self.short_side / short)


def parse_protocol(text: str) -> Protocol:
    """Return the protocol of `seconds:2,fps:8,short_side:64`: all three, in any order.

    Raises:
        InputError: an unknown, missing, repeated or wrong part, or no whole number of frames.

    >>> parse_protocol("fps:8,seconds:2,short_side:64").num_frames
    16
    """
    parts = [part.partition(":") for part in text.split(",")]
    for name, _, value in parts:
        if name not in _PROTOCOL_PARTS:
            hint = did_you_mean(name, _PROTOCOL_PARTS)
            raise InputError(f"--protocol: unknown part '{name}'. {hint}")
        if not _NUMBER.fullmatch(value) or float(value) == 0:
            raise InputError(f"--protocol: '{name}': expected a number above 0, got {value!r}.")
    found = {name: value for name, _, value in parts}
    if len(found) < len(parts) or len(found) < len(_PROTOCOL_PARTS):
        raise InputError(
            f"--protocol: expected seconds, fps and short_side once each, got {text!r}. "
            "Write it as seconds:2,fps:8,short_side:64."
        )
    seconds, fps = float(found["seconds"]), float(found["fps"])
    frames = seconds * fps
    if abs(frames - round(frames)) > 1e-6 or round(frames) < 2:
        raise InputError(
            f"--protocol: {seconds:g} s at {fps:g} fps are {frames:g} frames; expected a whole "
            "number of 2 or more. Change seconds or fps."
        )
    if not found["short_side"].isdecimal():
        raise InputError(
            f"--protocol: 'short_side': expected whole pixels, got {found['short_side']!r}."
        )
    return Protocol(seconds, fps, int(found["short_side"]))


def common_size(sizes: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """Return the height and width of more than half of the clips, None where there is none.

    >>> common_size([(64, 64), (64, 64), (32, 32)])
    (64, 64)
    >>> common_size([(64, 64), (32, 32)]) is None
    True
    """
    counts = Counter(sizes)
    if not counts:
        return None
    size, count = counts.most_common(1)[0]
    return size if 2 * count > counts.total() else None


# --- prompts -------------------------------------------------------------------------------------


def prompt_of_name(name: str) -> str | None:
    """Return the prompt that a file name spells, None where it spells nothing.

    >>> prompt_of_name("a_red_circle.mp4")
    'a red circle'
    >>> prompt_of_name("_.gif") is None
    True
    """
    stem, dot, suffix = name.rpartition(".")
    spelled = stem if dot and suffix.lower() in {"mp4", "webm", "gif"} else name
    return " ".join(spelled.replace("_", " ").split()) or None


def parse_prompts(text: str, where: str, files: Sequence[str]) -> dict[str, str]:
    """Return the prompt of each file named in a CSV `file,prompt`; all faults in one error.

    Raises:
        InputError: no such columns, a line of another length, no prompt, a file named twice or
            missing from `files`.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise InputError(f"{where}:{reader.line_num}: no readable CSV ({error}).") from error
    if not lines or sorted(lines[0][1]) != sorted(PROMPT_COLUMNS):
        got = ",".join(lines[0][1]) if lines else "nothing"
        raise InputError(
            f"{where}:1: expected the columns {','.join(PROMPT_COLUMNS)}, got {got!r}. "
            "Keep these two and remove the others."
        )
    header = lines[0][1]
    prompts: dict[str, str] = {}
    problems = []
    for number, row in lines[1:]:
        problem = _prompt_problem(row, header, prompts, files)
        if problem:
            problems.append(f"{where}:{number}: {problem}")
            continue
        entry = dict(zip(header, row, strict=True))
        prompts[entry["file"]] = " ".join(entry["prompt"].split())
    if problems:
        raise InputError("\n".join(problems))
    return prompts


def _prompt_problem(
    row: list[str], header: list[str], known: Mapping[str, str], files: Sequence[str]
) -> str:
    if len(row) != len(header):
        return f"expected 2 fields, got {len(row)}. Put a prompt with a comma in quotes."
    entry = dict(zip(header, row, strict=True))
    name = entry["file"]
    if name in known:
        return f"'{name}' is named twice. Remove one line."
    if name not in files:
        return f"no clip '{name}' in the folder. {did_you_mean(name, files)}"
    if not entry["prompt"].strip():
        return f"'{name}' has an empty prompt. Write one, or remove the line."
    return ""


# --- what follows --------------------------------------------------------------------------------


def count(clips: Sequence[ClipReport]) -> Counts:
    """Return where the planned clips went: ok, failed or invalid."""
    found = Counter(clip.status for clip in clips)
    return Counts(
        planned=len(clips),
        ok=found[Status.OK],
        failed=found[Status.FAILED],
        invalid=found[Status.INVALID],
        pending=0,
    )


def clusters_of(clips: Sequence[ClipReport]) -> tuple[Literal["clips", "prompts"], tuple[str, ...]]:
    """Return what valid clips are independent draws of, and the name of each clip's draw.

    Clips of one prompt are alike and copies are the same: neither adds to n. Prompts count only
    where every clip has one.
    """
    if clips and all(clip.prompt for clip in clips):
        return "prompts", tuple(str(clip.prompt) for clip in clips)
    return "clips", tuple(str(clip.frames_digest) for clip in clips)


def mixed(clips: Sequence[ClipReport]) -> str:
    """Return why numbers of valid clips have no common mean; empty where they have.

    Sizes and frame rates must agree: px/frame and changes from frame to frame depend on both.
    """
    shapes = [clip.shape for clip in clips if clip.shape is not None]
    sizes = sorted({f"{shape.width}x{shape.height}" for shape in shapes})
    rates = sorted({"unknown" if s.fps is None else f"{s.fps:.4g}" for s in shapes})
    found = [
        f"{what} are mixed ({', '.join(values[:4])})"
        for what, values in (("sizes", sizes), ("frame rates", rates))
        if len(values) > 1
    ]
    return f"{' and '.join(found)}: give --protocol to compare" if found else ""


def summarise(
    metric: str, clips: Sequence[ClipReport], *, planned: int, refusal: str
) -> MetricSummary:
    """Return the mean of one metric over valid clips, with an interval from 2 clusters on.

    `refusal` says why there is no common mean. A mean weighs every prompt (or clip that differs)
    alike; below 15 of them the interval is Student's t, else a bootstrap (`poc.outcomes`).
    """
    pairs = [(clip, value) for clip in clips if (value := clip.value(metric)) is not None]
    measured = [clip for clip, _ in pairs]
    kind, names = clusters_of(measured)
    if refusal or not measured:
        reason = refusal if measured else _why_none(metric, clips)
        return _summary(metric, kind, reason=reason, n_missing=planned - len(measured))
    groups: dict[str, list[float]] = {}
    for name, (_, value) in zip(names, pairs, strict=True):
        groups.setdefault(name, []).append(value)
    means = np.array([np.mean(group) for group in groups.values()])
    sample = Sample(
        arm_id="",
        metric=metric,
        comparison=Comparison.VALUE,
        numerator=means,
        denominator=np.ones(len(means)),
        present=np.ones(len(means), dtype=np.bool_),
        n_clips=len(measured),
        n_missing=planned - len(measured),
        notes=(),
        reason="",
    )
    # Seeded by what is measured, so that the same clips give the same interval in any folder.
    seed = int(short_id(sorted(groups)), 16)
    (outcome,) = sample_outcomes([sample], RATES, seed=seed)
    return _of_estimate(metric, kind, outcome.estimate)


def _of_estimate(
    metric: str, kind: Literal["clips", "prompts"], estimate: Estimate
) -> MetricSummary:
    # `poc.outcomes` speaks of prompts, since in a run they are what is resampled.
    def said(text: str) -> str:
        return text if kind == "prompts" else text.replace("prompt", "clip")

    return _summary(
        metric,
        kind,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n_clips=estimate.n_clips,
        n_clusters=estimate.n_prompts,
        n_missing=estimate.n_missing,
        method=said(estimate.method),
        reason=said(estimate.reason),
        notes=tuple(said(note) for note in estimate.notes),
    )


def _why_none(metric: str, clips: Sequence[ClipReport]) -> str:
    reasons = [row.reason for clip in clips if (row := clip.row(metric)) is not None]
    if not reasons:
        return "no valid clip"
    return Counter(reasons).most_common(1)[0][0]


def _summary(
    metric: str,
    kind: Literal["clips", "prompts"],
    *,
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    n_clips: int = 0,
    n_clusters: int = 0,
    n_missing: int = 0,
    method: str = "none",
    reason: str = "",
    notes: tuple[str, ...] = (),
) -> MetricSummary:
    info = catalog.describe(metric)
    return MetricSummary(
        metric=metric,
        version=info.version,
        unit=info.unit,
        value=value,
        low=low,
        high=high,
        n_clips=n_clips,
        n_clusters=n_clusters,
        clusters=kind,
        n_missing=n_missing,
        method=method,
        reason=reason,
        notes=notes,
    )


def set_summary(
    metric: str,
    clips: Sequence[ClipReport],
    *,
    planned: int,
    value: float | None = None,
    interval: tuple[float, float] | None = None,
    method: str = "none",
    reason: str = "",
    notes: tuple[str, ...] = (),
) -> MetricSummary:
    """Return the number of a set of valid clips, or why there is none."""
    kind, names = clusters_of(clips)
    low, high = interval or (None, None)
    there = value is not None
    return _summary(
        metric,
        kind,
        value=value,
        low=low,
        high=high,
        n_clips=len(clips) if there else 0,
        n_clusters=len(set(names)) if there else 0,
        n_missing=planned - len(clips) if there else planned,
        method=method,
        reason=reason,
        notes=notes,
    )


def set_refusal(clips: Sequence[ClipReport], reference: Sequence[ClipReport]) -> str:
    """Return why two sets of valid clips have no distance; empty where they have one."""
    both = [*clips, *reference]
    if unlike := mixed(both):
        return unlike
    counts = sorted({clip.shape.num_frames for clip in both if clip.shape is not None})
    if len(counts) > 1:
        return f"frame counts are mixed ({', '.join(map(str, counts[:4]))}): give --protocol"
    if len(clips) != len(reference):
        return (
            f"{len(clips)} valid clips against {len(reference)} of the reference: FVD and KVD are "
            "compared only at equal n; take as many of both"
        )
    return ""


def copies(clips: Sequence[ClipReport]) -> list[str]:
    """Return a note for every group of clips with the same frames: they count once in n."""
    groups: dict[str, list[str]] = {}
    for clip in clips:
        if clip.frames_digest is not None and clip.status is Status.OK:
            groups.setdefault(clip.frames_digest, []).append(clip.name)
    return [f"the same frames: {listed(names)}" for names in groups.values() if len(names) > 1]


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return some names as a sentence lists them.

    >>> listed(["a", "b"]), listed(list("abcdefg"), limit=3)
    ('a, b', 'a, b, c and 4 more')
    """
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
