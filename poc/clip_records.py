"""What is known of a folder of clips: a row a number, a report a clip, a summary of all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from metrics import catalog
from poc.records import Counts, DeliverySummary, Record

FORMAT: Final = "measured-folder-1"
"""Mark of a `summary.json` that `poc measure` wrote."""

VALIDITY: Final = "validity"
SUPPLIED: Final = frozenset(
    {
        "frames",
        "flows",
        "speeds",
        "image_features",
        "text_features",
        "logit_scale",
        "style_features",
        "training_features",
        "subject_features",
        "baseline_frames",
        "lpips_distances",
        "safety_scores",
        "csd_features",
        "csd_style_features",
        "raft_speeds",
    }
)
"""What can be had of a clip, its prompt and what is given besides, by the catalogue's names."""
CLIP_METRICS: Final = tuple(
    name
    for name, info in catalog.CATALOG.items()
    if info.scope is catalog.Scope.CLIP
    and info.target is not None
    and SUPPLIED.issuperset(info.takes)
    and name != VALIDITY
)
"""Metrics of one clip that need no second arm and no truth of the tiny world."""
SET_METRICS: Final = ("fvd", "kvd")
RATES: Final = frozenset(
    name for name in CLIP_METRICS if catalog.describe(name).unit == "fraction of clips"
)
"""Metrics that are 0 or 1 for a clip."""

# Left out of the canonical JSON where they are not there.
_NOT_THERE: Any = Field(default=None, exclude_if=lambda item: item is None)

Clusters = Literal["clips", "prompts", "clusters"]
"""What an interval resamples: clips that differ, prompts, or prompts and each clip without one."""


class Role(StrEnum):
    """What a measurement belongs to."""

    CLIP = "clip"
    REFERENCE = "reference"
    BESIDE = "beside"
    """A clip of another arm, compared by prompt alone."""
    BASELINE = "baseline"
    """A clip that others of its name are laid beside."""
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
    """The network or the flow that the number stands on, the latter with its version."""
    extractor_digest: str | None
    reference_digest: str | None
    """Of the reference's frames for metrics of a set, else of the stills or the clip beside it."""

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
    clusters: Clusters
    n_missing: int
    """Planned clips without a value."""
    method: str
    reason: str
    """Why there is no value, or no interval; empty when there are both."""
    notes: tuple[str, ...]


class BesideSummary(Record):
    """Another arm's folder, measured alike: the differences are own minus other, by prompt."""

    counts: Counts
    prompts: int
    """Prompts that both have valid clips of."""
    metrics: tuple[MetricSummary, ...]


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
    delivery: DeliverySummary | None = _NOT_THERE
    beside: BesideSummary | None = _NOT_THERE


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
