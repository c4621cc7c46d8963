"""Every frozen type of the regression gate: what it reads, its limits and its result.

A *cell* is one arm's one subject (a metric, its settings, its clips). Every cell has a status and
every status but PASS has a reason, so nothing can pass by being left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from poc.fingerprint import Fingerprint
from poc.records import (
    Comparison,
    Estimate,
    Generation,
    LatencySample,
    Measurement,
    Plan,
    Record,
    ResolvedArm,
)


class GateStatus(StrEnum):
    """What the gate says of a cell and of the whole; the worst first."""

    REGRESSION = "REGRESSION"
    """Shown to be worse than the baseline, and by more than the limit as far as can be told."""
    INCOMPLETE = "INCOMPLETE"
    """The head lacks what the baseline has: an arm, a metric, or clips, values or rounds of its own
    plan. Whatever is wrong with it, a regression could hide there."""
    NOT_COMPARABLE = "NOT_COMPARABLE"
    """The two runs did not measure the same thing; the reason names what differs."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """All is there, and too little to tell."""
    CALIBRATION_NEEDED = "CALIBRATION_NEEDED"
    """No limit, or no baseline value, to judge by yet."""
    PASS = "PASS"
    """Shown to be no worse than the limit allows."""


EXIT_CODES: Mapping[GateStatus, int] = {
    GateStatus.PASS: 0,
    GateStatus.REGRESSION: 1,
    GateStatus.INCOMPLETE: 2,
    GateStatus.INCONCLUSIVE: 3,
    GateStatus.NOT_COMPARABLE: 3,
    GateStatus.CALIBRATION_NEEDED: 3,
}


class GateGroup(StrEnum):
    """What a cell is about, in the order in which it is asked."""

    SETTINGS = "settings"
    CLIPS = "clips"
    QUALITY = "quality"
    SPEED = "speed"
    MEMORY = "memory"


# --- limits --------------------------------------------------------------------------------------

Reason = Annotated[str, Field(min_length=10, max_length=4000, pattern=r"\S")]
Positive = Annotated[float, Field(gt=0)]


class MetricLimit(Record):
    """How much worse a quality metric may be, and why.

    `scale` difference: head minus base, in the metric's unit; ratio: head over base. `margin`
    (metrics with a better side) is how far head may fall behind: 0.03 as a ratio is 3 %. `window`
    (metrics that have a target) bounds both sides: 0.1 as a difference is -0.1 to 0.1, 1.25 as a
    ratio is 1/1.25 to 1.25.
    """

    metric: str
    scale: Literal["difference", "ratio"]
    margin: Positive | None = None
    window: Positive | None = None
    reason: Reason

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.margin is None) == (self.window is None):
            raise ValueError(f"metric {self.metric!r}: give `margin` or `window`, one of both")
        if self.scale == "ratio" and self.window is not None and self.window <= 1:
            raise ValueError(f"metric {self.metric!r}: a window of a ratio must be above 1")
        if self.scale == "ratio" and self.margin is not None and self.margin >= 1:
            raise ValueError(f"metric {self.metric!r}: a margin of a ratio must be below 1 (100 %)")
        return self


class SpeedLimit(Record):
    """How much slower a stage may be: a regression exceeds the relative and the absolute limit."""

    metric: str
    relative: Positive
    """Of two runs timed apart, which a machine's drift tells apart as well; 0.1 is 10 % more."""
    relative_in_turns: Positive
    """Of two runs timed round by round in turns, of which a drift hits both alike."""
    absolute_s: Positive
    reason: Reason


class MemoryLimit(Record):
    """How much more memory the peak may be: a regression exceeds both limits."""

    relative: Positive
    absolute_bytes: Annotated[int, Field(gt=0)]
    reason: Reason


class NotJudged(Record):
    """A metric that is measured and never judged by the gate, and why."""

    metric: str
    reason: Reason


class GateLimits(Record):
    """All limits of a gate: the numbers that decide, each with its reason."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    version: Annotated[int, Field(ge=1)]
    written: str
    """ISO date on which the numbers were fixed."""
    author: str
    quality: tuple[MetricLimit, ...]
    speed: tuple[SpeedLimit, ...]
    memory: MemoryLimit | None
    not_judged: tuple[NotJudged, ...]


# --- what is compared ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GateRun:
    """What the gate takes of one run folder."""

    name: str
    """The folder as it was given."""
    plan: Plan
    generations: tuple[Generation, ...]
    measurements: tuple[Measurement, ...]
    latencies: tuple[LatencySample, ...]
    resolved: Mapping[str, ResolvedArm]
    """Arm id -> what the arm turned out to be."""
    fingerprints: tuple[Fingerprint, ...]
    """Every machine and installation that the run was made on."""
    findings: tuple[str, ...] = ()
    closed_reason: str | None = None
    set_changes: tuple[Estimate, ...] = ()
    """Of the head only: its set metrics against those of the base, ready."""


# --- the result ----------------------------------------------------------------------------------


class GateCell(Record):
    """One arm's one subject: both values, the change with its interval, the limits, the status."""

    arm_id: str
    arm: str
    group: GateGroup
    subject: str
    """A metric's name, or `settings` or `clips`."""
    status: GateStatus
    reason: str
    """Why; empty only for a plain PASS."""
    base: float | None = None
    head: float | None = None
    comparison: Comparison | None = None
    """How `change` is formed: head minus base, or head over base."""
    change: float | None = None
    low: float | None = None
    high: float | None = None
    """Two-sided 95 % interval of the change."""
    lowest: float | None = None
    highest: float | None = None
    """The changes that the limits accept lie between these; None: no limit on that side."""
    p_adjusted: float | None = None
    """P-value of "no worse than the baseline" (0 .. 1), corrected for every test of the check."""
    improved: bool = False
    """Whether the change is shown to be for the better."""
    more_would_tell: bool = False
    """Whether the cell is INCONCLUSIVE for no other reason than too few prompts or rounds."""
    n_clips: int = 0
    n_prompts: int = 0
    n_missing: int = 0
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if self.status is not GateStatus.PASS and not self.reason.strip():
            raise ValueError("a cell that does not pass needs a reason")
        return self


class RunName(Record):
    """Which run was compared."""

    folder: str
    plan_digest: str
    criteria_digest: str
    commit: str
    modified: bool = False
    """True when files differed from that commit: the run cannot be made again from it alone."""
    exam: str = ""
    """Digest of all that the spec asks but how much of it: prompts and rounds are left out."""
    prompts: int = 0
    rounds: int = 0
    """Timed rounds that are planned; 0 where nothing is timed."""


class GateResult(Record):
    """gate.json: the answer, and everything it stands on."""

    format_version: Literal[1]
    """Raised when a field changes its meaning or goes."""
    status: GateStatus
    head: RunName
    base: RunName
    limits: str
    limits_digest: str
    alarm_rate: float
    """Promised share of checks of two equal runs that report a regression, at most; what a machine
    drifts between the two and memory are not in it. Both looks together, where there are two."""
    level: float | None = None
    """What of that rate this look spends."""
    first: GateResult | None = None
    """The first look, where this is the second and last one, at more prompts or rounds."""
    cells: tuple[GateCell, ...]
    not_judged: tuple[NotJudged, ...]
    differences: tuple[str, ...]
    """What else differs between the runs (base -> head), such as criteria or packages."""
    untested: str = ""
    """Judged metrics that the report card has not tested by planted faults; empty: none."""

    def count(self, status: GateStatus) -> int:
        """Return the number of cells of one status."""
        return sum(cell.status is status for cell in self.cells)

    @property
    def may_extend(self) -> bool:
        """Return whether a second look at more prompts or rounds may answer what this one left.

        Where anything is open for another reason (a clip that is missing), that comes first.
        """
        left = [one for one in self.cells if one.status is GateStatus.INCONCLUSIVE]
        is_open = self.status is GateStatus.INCONCLUSIVE and self.first is None
        return is_open and bool(left) and all(one.more_would_tell for one in left)
