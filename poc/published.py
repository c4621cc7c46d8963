"""What a run has published so far: accepted records, by plan. No files.

Every kind of record has a rule that says why one does not fit (an empty text when it does). The
same rules hold for a record that is written now and for one that is read back.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Literal, TypeAlias

from poc.differences import differences
from poc.fingerprint import Fingerprint
from poc.latency_calls import failed_calls, misfit
from poc.records import (
    Batch,
    ClipResult,
    ClipStatus,
    Counts,
    Generation,
    LatencyFailure,
    LatencySample,
    LatencyScenario,
    Measurement,
    MeasurementStatus,
    Plan,
    Record,
    ResolvedArm,
)
from poc.redaction import Redaction

_Key: TypeAlias = tuple[str, str, int, str, str]
_SHOWN = 5


class MeasurementGroup(Record):
    """Measurements that are published together: one line of measurements.jsonl."""

    measurements: tuple[Measurement, ...]


class Closing(Record):
    """A run ended on purpose, or taken up again after that."""

    action: Literal["closed", "reopened"]
    reason: str
    blocks: tuple[int, ...]
    """Blocks that were complete at that moment."""
    time: str
    """UTC, ISO 8601."""


class Published:
    """The accepted records of one run; later reads and writes only ever add to them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.batches = {batch.id: batch for batch in plan.batches}
        self.requests = {clip.id: clip for batch in plan.batches for clip in batch.clips}
        self.arms = {arm.id: arm for arm in plan.arms}
        self.generations: dict[str, Generation] = {}
        self.results: dict[str, ClipResult] = {}
        self.resolved: dict[str, ResolvedArm] = {}
        self.latency: list[LatencySample] = []
        self.not_timed: dict[tuple[str, LatencyScenario], LatencyFailure] = {}
        self.measurements: dict[_Key, Measurement] = {}
        self.closings: list[Closing] = []
        self.fingerprints: list[Fingerprint] = []
        self.redactions: list[Redaction] = []

    # --- generations -----------------------------------------------------------------------------

    def refuse_generation(self, new: Generation) -> str:
        """Say why a batch does not fit: unknown, published before, or not as planned."""
        batch = self.batches.get(new.batch_id)
        if batch is None:
            return f"batch {new.batch_id} is not in the plan"
        if new.batch_id in self.generations:
            return f"batch {new.batch_id} is published already; a finished id is never made again"
        if new.arm_id != batch.arm_id:
            return f"batch {batch.id} belongs to arm {batch.arm_id}, the record says {new.arm_id}"
        planned, came = [clip.id for clip in batch.clips], [clip.clip_id for clip in new.clips]
        if planned != came:
            return f"batch {batch.id} is planned as clips {planned}, the record has {came}"
        if any(clip.status is ClipStatus.PENDING for clip in new.clips):
            return f"batch {batch.id} holds a pending clip; a batch is published whole"
        return ""

    def accept_generation(self, new: Generation) -> None:
        """Keep a batch that fits."""
        self.generations[new.batch_id] = new
        self.results.update((clip.clip_id, clip) for clip in new.clips)

    def refuse_origin(self, new: Generation) -> str:
        """Say why a batch cannot come from the arm as it is recorded.

        Asked when writing only: damage to resolved.jsonl must not hurt batches that are there.
        """
        resolved = self.resolved.get(new.arm_id)
        failed = all(clip.status is ClipStatus.FAILED for clip in new.clips)
        if failed and (resolved is None or new.resolved_digest == ""):
            return ""  # its worker died, or had no memory to load the arm
        if resolved is None:
            return f"arm {new.arm_id} has clips but is not resolved; append_resolved comes first"
        if new.resolved_digest != resolved.content_digest():
            return f"batch {new.batch_id} does not carry the digest of its arm as resolved"
        return ""

    # --- arms ------------------------------------------------------------------------------------

    def refuse_resolved(self, new: ResolvedArm) -> str:
        """Say why an arm cannot be what it was: unknown, or made of other parts than before."""
        if new.arm_id not in self.arms:
            return f"arm {new.arm_id} is not in the plan"
        old = self.resolved.get(new.arm_id)
        if old is not None and old != new:
            found = differences(old.model_dump(mode="json"), new.model_dump(mode="json"))
            return f"{self._name(new.arm_id)} is not what it was: {'; '.join([*found][:_SHOWN])}"
        return "" if old is not None else self._refuse_other_clips(new)

    def _refuse_other_clips(self, new: ResolvedArm) -> str:
        digest = new.content_digest()
        for made in self.generations.values():
            if made.arm_id == new.arm_id and made.resolved_digest not in {digest, ""}:
                return (
                    f"{self._name(new.arm_id)} has clips made with resolved digest "
                    f"{made.resolved_digest}, now it is {digest}"
                )
        return ""

    def _name(self, arm_id: str) -> str:
        return f"arm {self.arms[arm_id].name} ({arm_id})"

    def accept_resolved(self, new: ResolvedArm) -> None:
        """Keep an arm that fits; the same one again changes nothing."""
        self.resolved[new.arm_id] = new

    # --- latency, measurements -------------------------------------------------------------------

    def refuse_latency(self, new: LatencySample) -> str:
        """Say why a sample does not fit; a round that is timed again adds to it."""
        if new.arm_id not in self.arms:
            return f"arm {new.arm_id} is not in the plan"
        return misfit(new, self.plan)

    def refuse_latency_failure(self, new: LatencyFailure) -> str:
        """Say why a failure does not fit: of an unknown arm, or of one that has failed before."""
        if new.arm_id not in self.arms:
            return f"arm {new.arm_id} is not in the plan"
        again = (new.arm_id, new.scenario) in self.not_timed
        return f"{self._name(new.arm_id)} could not be timed before" if again else ""

    def accept_latency_failure(self, new: LatencyFailure) -> None:
        """Keep a failure that fits."""
        self.not_timed[new.arm_id, new.scenario] = new

    def whole_latency(self) -> tuple[LatencySample, ...]:
        """Return the samples of arms that were timed without a failure, as they were taken.

        An arm that failed in one scenario keeps its samples of the others.
        """
        failed = failed_calls(self.not_timed.values())
        return tuple(one for one in self.latency if (one.arm_id, one.scenario) not in failed)

    def failed_timing(self) -> tuple[str, ...]:
        """Return one line for each arm that could not be timed."""
        return tuple(
            f"{self._name(one.arm_id)} could not be timed: {one.told}"
            for one in self.not_timed.values()
        )

    def refuse_measurements(self, new: MeasurementGroup) -> str:
        """Say why a group does not fit: an unknown clip, or a clip's value that is there already.

        A value of an arm's whole set, or one that was missing, may be taken again: the last counts.
        """
        keys: set[_Key] = set()
        for one in new.measurements:
            key = _key(one)
            refusal = self._refuse_subject(one) or self._refuse_again(one, key, keys)
            if refusal:
                return f"metric {one.metric}: {refusal}"
            keys.add(key)
        return ""

    def _refuse_subject(self, one: Measurement) -> str:
        if one.arm_id not in self.arms:
            return f"arm {one.arm_id} is not in the plan"
        if one.clip_id is None:
            return ""
        request = self.requests.get(one.clip_id)
        if request is None or request.arm_id != one.arm_id:
            return f"clip {one.clip_id} is not planned for arm {one.arm_id}"
        return ""

    def _refuse_again(self, one: Measurement, key: _Key, keys: set[_Key]) -> str:
        if key in keys:
            return f"clip {one.clip_id} comes twice in one group"
        old = self.measurements.get(key)
        final = old is not None and old.status is MeasurementStatus.OK
        return f"clip {one.clip_id} is measured already" if final and one.clip_id else ""

    def accept_measurements(self, new: MeasurementGroup) -> None:
        """Keep a group that fits."""
        self.measurements.update((_key(one), one) for one in new.measurements)

    def ordered_measurements(self) -> tuple[Measurement, ...]:
        """Return the values that count, in an order that says nothing of when they were taken."""
        return tuple(self.measurements[key] for key in sorted(self.measurements))

    # --- what is done ----------------------------------------------------------------------------

    def ordered_generations(self) -> tuple[Generation, ...]:
        """Return the published batches in the order of the plan."""
        found = self.generations
        return tuple(found[batch.id] for batch in self.plan.batches if batch.id in found)

    def pending_batches(self) -> tuple[Batch, ...]:
        """Return the batches without a record, in work order."""
        return tuple(batch for batch in self.plan.batches if batch.id not in self.generations)

    def complete_blocks(self) -> tuple[int, ...]:
        """Return the blocks that are published for every arm, in order."""
        begun = {batch.block for batch in self.plan.batches}
        return tuple(sorted(begun - {batch.block for batch in self.pending_batches()}))

    def counts(self, arm_id: str) -> Counts:
        """Return where each planned clip of an arm went."""
        planned = [clip.id for clip in self.requests.values() if clip.arm_id == arm_id]
        ends = Counter(self.results[clip].status for clip in planned if clip in self.results)
        return Counts(
            planned=len(planned),
            ok=ends[ClipStatus.OK],
            failed=ends[ClipStatus.FAILED],
            invalid=ends[ClipStatus.INVALID],
            pending=len(planned) - ends.total(),
        )

    def closed_reason(self) -> str | None:
        """Return why the run was ended, None while it goes on."""
        last = self.closings[-1] if self.closings else None
        return last.reason if last is not None and last.action == "closed" else None

    def changed_machines(self) -> tuple[str, ...]:
        """Return one line for each start on a machine or with packages other than before."""
        dumps = [fingerprint.model_dump(mode="json") for fingerprint in self.fingerprints]
        lines = []
        for old, new in pairwise(dumps):
            found = [*differences(old, new)]
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            lines.append(f"went on elsewhere: {'; '.join(found[:_SHOWN])}{more}")
        return tuple(lines)


def _key(one: Measurement) -> _Key:
    return one.arm_id, one.metric, one.version, one.clip_id or "", one.extractor or ""
