"""From records to per-prompt arrays: what every clip's measurements say, aligned over arms.

The order in which records arrive leaves no trace: all is laid out by the plan. Records that
contradict each other, or that the plan does not know, are errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from metrics.catalog import CATALOG
from poc.intervals import FloatArray
from poc.records import (
    Arm,
    ClipRequest,
    ClipStatus,
    Comparison,
    Counts,
    Generation,
    Measurement,
    MeasurementStatus,
    Plan,
)

BoolArray = npt.NDArray[np.bool_]

VALID_SHARE = "valid_share"
"""Share of ended clips that are ok: computed here from the counts, never handed in."""

ACCURACY_PREFIX = "oracle_"
"""Metrics that ask whether a clip is right; a clip that does not exist is not."""

FAILED_COUNT = "Failed and invalid clips count as not accepted."

SHARE_OF_CLIPS = "fraction of clips"
"""The catalogue's unit of metrics that are 0 or 1 for each clip."""

BASELINE = "the baseline"

ENDED_BADLY = (ClipStatus.FAILED, ClipStatus.INVALID)


class Slot(NamedTuple):
    """A clip's place in an arm's grid: row of its prompt, column of its replicate."""

    prompt: int
    replicate: int


@dataclass(frozen=True, slots=True)
class Grid:
    """One metric of one arm: prompts x replicates, `nan` where there is no value.

    The nan never leaves this module and `poc.intervals`' inputs: it becomes a count of missing.
    """

    values: FloatArray
    planned: int
    provenance: frozenset[tuple[int, str | None]]
    """Metric versions and extractors behind the values; one, or the values do not compare."""
    reasons: tuple[str, ...]
    """Why values are missing, most frequent first."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every planned clip's end and every clip metric's grid, by arm."""

    counts: Mapping[str, Counts]
    grids: Mapping[tuple[str, str], Grid]
    """(arm id, metric) -> grid, for every arm and every metric that any arm was measured with."""
    rates: frozenset[str]
    """Metrics whose values are 0 or 1 by definition: shares of clips."""
    complete: bool
    """No clip is pending and no arm is half-measured in a metric."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of the clip metrics, sorted."""
        return tuple(sorted({metric for _, metric in self.grids}))


@dataclass(frozen=True, slots=True)
class Sample:
    """An estimate as a ratio of two sums over prompts, which is what gets resampled.

    A mean of per-prompt means divides their sum by a column of ones, a ratio of means one arm's
    column by the other's. Absent prompts are 0 in both columns.
    """

    arm_id: str
    metric: str
    comparison: Comparison
    numerator: FloatArray
    denominator: FloatArray
    present: BoolArray
    n_clips: int
    n_missing: int
    notes: tuple[str, ...]
    reason: str
    """Why there is nothing to estimate; empty when there is."""
    cluster: str = "prompt"
    """What the sums are over, as texts call it. In a run that is prompts."""
    pairs: FloatArray | None = None
    """Of a difference: every pair of clips, prompts x replicates, nan where there is none."""

    @property
    def n_prompts(self) -> int:
        """Return the number of prompts with a value."""
        return int(self.present.sum())

    @property
    def per_prompt(self) -> FloatArray:
        """Return the present prompts' means or mean differences (not for ratios)."""
        return self.numerator[self.present]


def ledger(
    plan: Plan, generations: Iterable[Generation], measurements: Iterable[Measurement]
) -> Ledger:
    """Lay the records of a run out by the plan; raises ValueError on contradictions."""
    requests = {clip.id: clip for batch in plan.batches for clip in batch.clips}
    statuses = _statuses(requests, generations)
    per_clip = _per_clip(plan, requests, measurements)
    layout = _Layout.of(plan, requests)
    metrics = sorted({metric for metric, _ in per_clip})
    asked = _asked(plan, per_clip)
    grids = {
        (arm.id, metric): layout.grid(
            arm.id, metric, statuses, per_clip, applies=(arm.style, metric) in asked
        )
        for arm in plan.arms
        for metric in metrics
    }
    for arm in plan.arms:
        grids[arm.id, VALID_SHARE] = layout.validity(arm.id, statuses)
    counts = {arm.id: _counts(layout.clips[arm.id], statuses) for arm in plan.arms}
    return Ledger(counts, grids, _rates(grids), _complete(layout, statuses, per_clip))


def _statuses(
    requests: Mapping[str, ClipRequest], generations: Iterable[Generation]
) -> dict[str, ClipStatus]:
    statuses: dict[str, ClipStatus] = {}
    for generation in generations:
        for clip in generation.clips:
            if clip.clip_id not in requests:
                raise ValueError(
                    f"generations: clip {clip.clip_id!r} of batch {generation.batch_id!r} is not "
                    "in the plan; the records belong to another run"
                )
            if statuses.setdefault(clip.clip_id, clip.status) is not clip.status:
                raise ValueError(
                    f"generations: clip {clip.clip_id!r} is recorded as both "
                    f"{statuses[clip.clip_id]} and {clip.status}; keep one record"
                )
    return statuses


def _per_clip(
    plan: Plan, requests: Mapping[str, ClipRequest], measurements: Iterable[Measurement]
) -> dict[tuple[str, str], Measurement]:
    """Return (metric, clip id) -> measurement; one arm's set measurements are left out."""
    arm_ids = {arm.id for arm in plan.arms}
    found: dict[tuple[str, str], Measurement] = {}
    for one in measurements:
        if one.arm_id not in arm_ids:
            raise ValueError(f"measurements: {one.metric} of arm {one.arm_id!r} is not in the plan")
        if one.clip_id is None:
            continue
        _check_known(one, requests)
        if found.setdefault((one.metric, one.clip_id), one) != one:
            raise ValueError(
                f"measurements: clip {one.clip_id!r} has two different records of {one.metric!r}; "
                "hand in those of one version only"
            )
    return found


def _check_known(one: Measurement, requests: Mapping[str, ClipRequest]) -> None:
    request = requests.get(one.clip_id or "")
    if request is None or request.arm_id != one.arm_id:
        raise ValueError(
            f"measurements: {one.metric} of clip {one.clip_id!r} in arm {one.arm_id!r}: the plan "
            "has no such clip in that arm"
        )
    if one.metric == VALID_SHARE:
        raise ValueError(f"measurements: {VALID_SHARE!r} is computed from the counts, not measured")


def _asked(
    plan: Plan, per_clip: Mapping[tuple[str, str], Measurement]
) -> set[tuple[str | None, str]]:
    """Return (style, metric) wherever a metric applies to a clip of that style.

    An arm none of whose clips exists has no records; what is asked of it is known by its likes.
    """
    styles = {arm.id: arm.style for arm in plan.arms}
    return {
        (styles[one.arm_id], metric)
        for (metric, _), one in per_clip.items()
        if one.status is not MeasurementStatus.NOT_MEASURED
    }


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where each clip of each arm goes."""

    shape: tuple[int, int]
    clips: Mapping[str, Mapping[str, Slot]]
    """Arm id -> clip id -> slot."""

    @classmethod
    def of(cls, plan: Plan, requests: Mapping[str, ClipRequest]) -> _Layout:
        rows = {prompt.id: row for row, prompt in enumerate(plan.prompts)}
        columns = {n: c for c, n in enumerate(sorted({r.replicate for r in requests.values()}))}
        clips: dict[str, dict[str, Slot]] = {arm.id: {} for arm in plan.arms}
        for request in requests.values():
            slot = Slot(rows[request.prompt_id], columns[request.replicate])
            clips[request.arm_id][request.id] = slot
        return cls((len(rows), len(columns)), clips)

    def grid(
        self,
        arm_id: str,
        metric: str,
        statuses: Mapping[str, ClipStatus],
        per_clip: Mapping[tuple[str, str], Measurement],
        *,
        applies: bool,
    ) -> Grid:
        """Return one metric of one arm; clips that ended badly are 0 in an accuracy."""
        values = np.full(self.shape, np.nan)
        found = {c: per_clip[metric, c] for c in self.clips[arm_id] if (metric, c) in per_clip}
        for clip_id, one in found.items():
            if one.value is not None:
                values[self.clips[arm_id][clip_id]] = one.value
        measured = [one for one in found.values() if one.status is MeasurementStatus.OK]
        notes: tuple[str, ...] = ()
        if metric.startswith(ACCURACY_PREFIX) and applies:
            notes = self._count_failures(arm_id, values, statuses)
        reasons = Counter(one.reason for one in found.values() if one.reason)
        return Grid(
            values,
            len(self.clips[arm_id]),
            frozenset((one.version, one.extractor) for one in measured),
            tuple(sorted(reasons, key=lambda reason: (-reasons[reason], reason))),
            notes,
        )

    def _count_failures(
        self, arm_id: str, values: FloatArray, statuses: Mapping[str, ClipStatus]
    ) -> tuple[str, ...]:
        """Write 0 for the clips that ended badly, and return the note that says so."""
        bad = [slot for c, slot in self.clips[arm_id].items() if statuses.get(c) in ENDED_BADLY]
        for slot in bad:
            values[slot] = 0.0
        return (FAILED_COUNT,) if bad else ()

    def validity(self, arm_id: str, statuses: Mapping[str, ClipStatus]) -> Grid:
        """Return 1 for ok, 0 for failed and invalid; pending clips are missing."""
        values = np.full(self.shape, np.nan)
        for clip_id, slot in self.clips[arm_id].items():
            status = statuses.get(clip_id, ClipStatus.PENDING)
            if status is not ClipStatus.PENDING:
                values[slot] = float(status is ClipStatus.OK)
        return Grid(values, len(self.clips[arm_id]), frozenset({(1, None)}), ())


def _counts(clips: Mapping[str, Slot], statuses: Mapping[str, ClipStatus]) -> Counts:
    ends = Counter(statuses.get(clip_id, ClipStatus.PENDING) for clip_id in clips)
    return Counts(
        planned=len(clips),
        ok=ends[ClipStatus.OK],
        failed=ends[ClipStatus.FAILED],
        invalid=ends[ClipStatus.INVALID],
        pending=ends[ClipStatus.PENDING],
    )


def _rates(grids: Mapping[tuple[str, str], Grid]) -> frozenset[str]:
    """Return the metrics that are shares of clips by their row in the catalogue.

    Asked of the definition and not of the values: scores that all happen to be 0 are no rate.
    """
    shares = {name for name, row in CATALOG.items() if row.unit == SHARE_OF_CLIPS}
    return frozenset(metric for _, metric in grids if metric in shares | {VALID_SHARE})


def _complete(
    layout: _Layout,
    statuses: Mapping[str, ClipStatus],
    per_clip: Mapping[tuple[str, str], Measurement],
) -> bool:
    """Return whether every clip ended and no arm was left half-measured, or not at all.

    Which metrics apply to an arm is not known here; that some do is, where any arm has one.
    """
    ended = all(clip_id in statuses for clips in layout.clips.values() for clip_id in clips)
    seen = {(one.arm_id, metric) for (metric, _), one in per_clip.items()}
    measured = all(
        (metric, clip_id) in per_clip
        for arm_id, metric in seen
        for clip_id in layout.clips[arm_id]
        if statuses.get(clip_id) is ClipStatus.OK
    )
    usable = {
        arm_id
        for arm_id, clips in layout.clips.items()
        if any(statuses.get(clip_id) is ClipStatus.OK for clip_id in clips)
    }
    return ended and measured and (not seen or usable <= {arm_id for arm_id, _ in seen})


# --- samples -------------------------------------------------------------------------------------


def samples(book: Ledger, arms: Iterable[Arm], baseline_id: str) -> list[Sample]:
    """Return every value, difference and ratio that the clip metrics give, sorted by nothing.

    Differences and ratios are to the baseline, over pairs (prompt, replicate) that both arms have.
    Ratios only of metrics that are no rates and nowhere negative.
    """
    found = []
    for arm in arms:
        for metric in book.metrics:
            own, base = book.grids[arm.id, metric], book.grids[baseline_id, metric]
            found.append(value_sample(arm.id, metric, own))
            if arm.id == baseline_id:
                continue
            pair = by_prompt(own, base) if arm.is_imported else Pairs(own, base)
            found.append(pair.counted(difference_sample(arm.id, metric, pair.own, pair.base)))
            if metric not in book.rates and not _negative(own, base):
                found.append(pair.counted(ratio_sample(arm.id, metric, pair.own, pair.base)))
    return found


BY_PROMPT = "Paired by prompt only: the seeds of clips made elsewhere are not known."


class Pairs(NamedTuple):
    """Two grids to be compared cell by cell."""

    own: Grid
    base: Grid
    takes: tuple[Grid, Grid] | None = None
    """The clips behind both, where those hold means of prompts."""

    def counted(self, sample: Sample) -> Sample:
        """Return a comparison with the clips that it stands on, not the means."""
        if self.takes is None or sample.reason:
            return sample
        found = [self._found(grid, sample) for grid in self.takes]
        # The side that lost the larger share: what is left of it is a choice.
        count, planned = min(found, key=lambda one: one[0] / max(one[1], 1))
        lost = planned - count
        note = (f"{lost} of {planned} takes have no value.",) if lost else ()
        notes = (*(one for one in sample.notes if "pairs lost" not in one), BY_PROMPT, *note)
        return replace(sample, n_clips=count, n_missing=lost, notes=notes)

    @staticmethod
    def _found(grid: Grid, sample: Sample) -> tuple[int, int]:
        """Return a side's clips with a value at prompts that both have, and those planned."""
        return int((~np.isnan(grid.values))[sample.present].sum()), grid.planned


def by_prompt(own: Grid, base: Grid) -> Pairs:
    """Return two grids that share no seeds as means of prompts, one column each."""
    return Pairs(_of_prompts(own), _of_prompts(base), takes=(own, base))


def _of_prompts(grid: Grid) -> Grid:
    means, present = _prompt_means(grid.values)
    column = np.where(present, means, np.nan)[:, None]
    return replace(grid, values=column, planned=len(column))


def value_sample(arm_id: str, metric: str, grid: Grid) -> Sample:
    """Return the mean of per-prompt means of one arm's metric."""
    means, present = _prompt_means(grid.values)
    n_clips = int((~np.isnan(grid.values)).sum())
    reason = _nothing(grid) if n_clips == 0 else _mixed(grid, grid)
    return Sample(
        arm_id=arm_id,
        metric=metric,
        comparison=Comparison.VALUE,
        numerator=means,
        denominator=present.astype(np.float64),
        present=present,
        n_clips=n_clips,
        n_missing=grid.planned - n_clips,
        notes=grid.notes,
        reason=reason,
    )


def difference_sample(
    arm_id: str, metric: str, own: Grid, base: Grid, whose: str = BASELINE
) -> Sample:
    """Return the difference of two arms' grids, over pairs that both have."""
    pairs = own.values - base.values
    sample = value_sample(arm_id, metric, replace(own, values=pairs))
    pairing = _pairing(own, base, sample, whose)
    return replace(sample, comparison=Comparison.DIFFERENCE, pairs=pairs, **pairing)


def ratio_sample(arm_id: str, metric: str, own: Grid, base: Grid, whose: str = BASELINE) -> Sample:
    """Return the ratio of two arms' means, over pairs that both have."""
    both = ~np.isnan(own.values) & ~np.isnan(base.values)
    below, _ = _prompt_means(np.where(both, base.values, np.nan))
    sample = value_sample(arm_id, metric, replace(own, values=np.where(both, own.values, np.nan)))
    pairing = _pairing(own, base, sample, whose)
    return replace(sample, comparison=Comparison.RATIO, denominator=below, **pairing)


def _pairing(own: Grid, base: Grid, sample: Sample, whose: str = BASELINE) -> dict[str, Any]:
    """Return reason and notes of a comparison: what failed, mixed or lost pairs."""
    reason = _nothing(own) or _nothing(base, f"{whose}: ") or _mixed(own, base)
    if not reason and sample.n_clips == 0:
        reason = "no prompt and replicate has a value in both arms"
    lost = sample.n_missing
    note = (f"{lost} of {own.planned} pairs lost: a clip of the pair has no value.",)
    notes = tuple(dict.fromkeys(own.notes + base.notes)) + (note if lost and not reason else ())
    return {"reason": reason, "notes": notes}


def _prompt_means(values: FloatArray) -> tuple[FloatArray, BoolArray]:
    present = ~np.isnan(values)
    counts = present.sum(axis=1)
    sums = np.where(present, values, 0.0).sum(axis=1)
    return sums / np.maximum(counts, 1), counts > 0


def _negative(own: Grid, base: Grid) -> bool:
    return any(bool((grid.values < 0).any()) for grid in (own, base))


def _nothing(grid: Grid, whose: str = "") -> str:
    if not np.isnan(grid.values).all():
        return ""
    return whose + (f"no clip has a value: {grid.reasons[0]}" if grid.reasons else "not measured")


def _mixed(own: Grid, base: Grid) -> str:
    versions = sorted(
        f"version {version}" + (f" with {extractor}" if extractor else "")
        for version, extractor in own.provenance | base.provenance
    )
    return f"not comparable: {' and '.join(versions)}" if len(versions) > 1 else ""
