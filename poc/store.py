"""One folder per run: everything that was planned, made and measured, safe against crashes.

    manifest.json      spec as given, digest of the plan, fingerprint, format version
    plan.json          all that will be made, in work order
    generations.jsonl  measurements.jsonl  resolved.jsonl  latency.jsonl  closings.jsonl
    provenance.jsonl   machine and packages, whenever they changed
    latency_failures.jsonl  arms that could not be timed, where there are any
    clips/<id>.png     lossless film strip; <id>.webm and the like are viewing copies
    features/<id>.npz  arrays that set metrics need
    *.json             derived, may be deleted at any time: estimates.json, decision.json, and where
                       they were asked for money.json, rights.json
    rating/            what people are asked and answered, see `poc.rating_folder`

A record counts once its line is flushed; the frames it speaks of were flushed before it. There is
one owner (`create_or_open`, `open_writer`), used from one thread, and any number of readers
(`open_reader`), who never write. What lies in the folder and cannot be read is an error or a
finding, never a fresh start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from poc import disk, encoding, redaction, run_folder
from poc.errors import InputError
from poc.fingerprint import Fingerprint
from poc.journal import Journal
from poc.ownership import Ownership
from poc.published import Closing, MeasurementGroup, Published
from poc.records import (
    Batch,
    ClipResult,
    Counts,
    Generation,
    LatencyFailure,
    LatencySample,
    LatencyScenario,
    Measurement,
    Plan,
    Record,
    ResolvedArm,
)
from poc.redaction import REDACTIONS, Redaction
from poc.run_folder import CLIPS, FEATURES, LATENCY_FAILURES, MANIFEST, Manifest

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Manifest", "RunStore"]

R = TypeVar("R", bound=Record)

VIEW_SUFFIXES = (".webm", ".mp4", ".gif", ".webp")


class RunStore:
    """One run folder, open for reading or, by its one owner, for writing.

    `plan`, `manifest` and `path` say what it is. Readers see what was added since they opened it.
    """

    def __init__(self, path: Path, owner: Ownership | None = None) -> None:
        self.path, self._owner = path, owner
        self.manifest, self.plan = run_folder.read(path)
        self._published = Published(self.plan)
        self._published.fingerprints.append(self.manifest.fingerprint)
        self._written: dict[str, str] = {}
        self._unsynced: set[Path] = set()
        self._open_journals()
        self._journals: tuple[Journal[Any], ...] = (
            self._resolved,
            self._generations,
            self._latency,
            self._measurements,
            self._closings,
            self._provenance,
        )
        self._journals += tuple(one for one in (self._not_timed, self._redactions) if one.exists())
        self._read_journals()

    def _read_journals(self) -> None:
        try:
            for journal in self._journals:
                journal.open_for_append() if self._owner else journal.refresh()
        except BaseException:
            for journal in self._journals:
                journal.close()
            raise

    def _open_journals(self) -> None:
        run = self._published
        self._resolved = self._journal(
            "resolved", ResolvedArm, run.refuse_resolved, run.accept_resolved
        )
        self._generations = self._journal(
            "generations", Generation, run.refuse_generation, run.accept_generation
        )
        self._latency = self._journal(
            "latency", LatencySample, run.refuse_latency, run.latency.append
        )
        self._measurements = self._journal(
            "measurements", MeasurementGroup, run.refuse_measurements, run.accept_measurements
        )
        self._closings = self._journal("closings", Closing, _welcome, run.closings.append)
        self._provenance = self._journal(
            "provenance", Fingerprint, _welcome, run.fingerprints.append
        )
        self._not_timed = self._journal(
            Path(LATENCY_FAILURES).stem,
            LatencyFailure,
            run.refuse_latency_failure,
            run.accept_latency_failure,
        )
        self._redactions = self._journal(
            Path(REDACTIONS).stem, Redaction, _welcome, run.redactions.append
        )

    def _journal(
        self, name: str, kind: type[R], refusal: Callable[[R], str], accept: Callable[[R], None]
    ) -> Journal[R]:
        return Journal(self.path / f"{name}.jsonl", kind, refusal=refusal, accept=accept)

    # --- opening and leaving ---------------------------------------------------------------------

    @classmethod
    def create_or_open(cls, path: Path, *, plan: Plan, manifest: Manifest) -> Self:
        """Become the owner of a new run, or go on with the run of the same plan.

        A start on another machine or with other packages goes on, and is recorded as a finding.

        Raises:
            InputError: somebody else owns the folder, it holds another plan (says what differs) or
                something else than a run, or it cannot be written.
        """
        disk.make_folder(path)
        run_folder.refuse_links(path)
        run_folder.refuse_strangers(path)
        owner = Ownership.take(path)
        try:
            if not (path / MANIFEST).exists():
                run_folder.create(path, plan, manifest)
            run_folder.refuse_other_plan(path, run_folder.read(path)[1], plan)
            store = cls._own(path, owner)
            store.refuse_redacted()
            store.note_machine(manifest.fingerprint)
        except BaseException:
            owner.release()
            raise
        return store

    @classmethod
    def open_writer(cls, path: Path) -> Self:
        """Become the owner of a run that is there; raises InputError as `create_or_open` does."""
        run_folder.refuse_links(path)
        run_folder.refuse_no_run(path)
        owner = Ownership.take(path)
        try:
            return cls._own(path, owner)
        except BaseException:
            owner.release()
            raise

    @classmethod
    def _own(cls, path: Path, owner: Ownership) -> Self:
        store = cls(path, owner)
        run_folder.clear_away(path)
        return store

    @classmethod
    def open_reader(cls, path: Path) -> Self:
        """Read a run, even while its owner writes; never writes.

        Raises:
            InputError: no run, of a newer format, or manifest or plan cannot be read.
        """
        return cls(path)

    def release(self) -> None:
        """Flush what is left and let the next owner in; more than once is no error."""
        try:
            self._sync_folders()
        finally:
            self._unsynced.clear()
            for journal in self._journals:
                journal.close()
            if self._owner is not None:
                self._owner.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._unsynced.clear()  # a second fault of the disk must not hide the first
        self.release()

    def _require_owner(self) -> None:
        if self._owner is None or not self._owner.held:
            raise ValueError(f"{self.path}: is open for reading only; its owner writes")

    def note_machine(self, fingerprint: Fingerprint) -> None:
        """Record where the run goes on, if that is not where it was."""
        if self._published.fingerprints[-1] != fingerprint:
            self._provenance.append(fingerprint)

    # --- records ---------------------------------------------------------------------------------

    def append_generation(self, generation: Generation) -> None:
        """Publish a batch whole; returns once it, and the frames it speaks of, are safe.

        Raises:
            ValueError: not as planned, published already, of an arm that is not resolved so, or
                naming frames that were not written with `write_clip`.
            InputError: the disk refused, or the run was closed.
        """
        self._require_owner()
        self._refuse_closed()
        if refusal := self._published.refuse_origin(generation) or self._frames_amiss(generation):
            raise ValueError(f"{self.path}: {refusal}")
        self._sync_folders()
        self._generations.append(generation)
        for clip in generation.clips:
            self._written.pop(clip.clip_id, None)

    def _frames_amiss(self, generation: Generation) -> str:
        """A file that a dead attempt left behind proves nothing: only what was written now does."""
        for clip in generation.clips:
            there = self._written.get(clip.clip_id)
            if clip.frames_digest not in {None, there}:
                return (
                    f"clip {clip.clip_id} says its frames have digest {clip.frames_digest}, "
                    f"write_clip was given {there or 'none'}"
                )
        return ""

    def generations(self) -> tuple[Generation, ...]:
        """Return the published batches in the order of the plan."""
        return self._fresh().ordered_generations()

    def append_resolved(self, resolved: ResolvedArm) -> None:
        """Record what an arm turned out to be; the same again changes nothing.

        Raises:
            InputError: it is not what it was (says which component), or the disk refused.
        """
        self._require_owner()
        if self._published.resolved.get(resolved.arm_id) == resolved:
            return
        if refusal := self._published.refuse_resolved(resolved):
            raise InputError(
                f"{self.path}: {refusal}. Put the old weights and versions back, or begin anew "
                "with another --out: clips of two kinds make no arm."
            )
        self._resolved.append(resolved)

    def resolved(self) -> tuple[ResolvedArm, ...]:
        """Return the resolved arms in the order of the plan."""
        found = self._fresh().resolved
        return tuple(found[arm.id] for arm in self.plan.arms if arm.id in found)

    def append_latency(self, sample: LatencySample) -> None:
        """Record one timed clip."""
        self._require_owner()
        self._refuse_closed()
        self._latency.append(sample)

    def timed(self) -> tuple[LatencySample, ...]:
        """Return the samples in the order they were taken, less those of arms that failed later.

        What a failed arm took in its good rounds is no time of that arm.
        """
        return self._fresh().whole_latency()

    def latency(self) -> tuple[LatencySample, ...]:
        """Return what `timed` does of single clips, one at a time: what a latency stands on."""
        return tuple(one for one in self.timed() if one.scenario is LatencyScenario.SINGLE)

    def append_latency_failure(self, failure: LatencyFailure) -> None:
        """Record that an arm could not be timed; it is not tried again."""
        self._require_owner()
        self._refuse_closed()
        self._begin(self._not_timed)
        self._not_timed.append(failure)

    def latency_failures(self) -> tuple[LatencyFailure, ...]:
        """Return the arms that could not be timed in a scenario, in the order of failing."""
        return tuple(self._fresh().not_timed.values())

    def append_measurements(self, measurements: Sequence[Measurement]) -> None:
        """Publish a group whole; features written before are safe once this returns.

        Raises:
            ValueError: an unknown clip, or one that has a value for this metric already.
            InputError: the disk refused.
        """
        self._require_owner()
        self._sync_folders()
        if measurements:
            self._measurements.append(MeasurementGroup(measurements=tuple(measurements)))

    def measurements(self) -> tuple[Measurement, ...]:
        """Return the measurements that count, sorted by what they measure."""
        return self._fresh().ordered_measurements()

    # --- where the run stands --------------------------------------------------------------------

    @property
    def findings(self) -> tuple[str, ...]:
        """What a reader must know: repaired tails, damaged records, a change of machine."""
        run, gone = self._fresh(), redaction.described(self.redactions())
        return (*self.damage, *run.changed_machines(), *run.failed_timing(), *gone)

    @property
    def damage(self) -> tuple[str, ...]:
        """What of the records was lost or cannot be read: repaired tails, damaged lines."""
        self._fresh()
        lost = chain.from_iterable(journal.findings for journal in self._journals)
        return (*lost, *redaction.amiss(self.path, self.redactions()))

    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """Return every machine and installation that the run was made on, the first one first."""
        return tuple(self._fresh().fingerprints)

    def results(self) -> Mapping[str, ClipResult]:
        """Return how each published clip ended, by its id."""
        return dict(self._fresh().results)

    def counts(self, arm_id: str) -> Counts:
        """Return where every planned clip of an arm went."""
        return self._fresh().counts(arm_id)

    def pending_batches(self) -> tuple[Batch, ...]:
        """Return the batches without a record, in work order."""
        return self._fresh().pending_batches()

    def complete_blocks(self) -> tuple[int, ...]:
        """Return the blocks that are published for every arm."""
        return self._fresh().complete_blocks()

    @property
    def closed_reason(self) -> str | None:
        """Why the run was ended before its plan was done; None while it may go on."""
        return self._fresh().closed_reason()

    def close(self, reason: str) -> None:
        """End the run as it is: nothing more is generated or timed, measuring may go on.

        Raises:
            InputError: no reason given, closed already, or the disk refused.
        """
        self._refuse_closed()
        self._record_closing("closed", reason)

    def reopen(self, reason: str) -> None:
        """Take a closed run up again; raises InputError when it is not closed."""
        if self.closed_reason is None:
            raise InputError(f"{self.path}: is not closed; there is nothing to take up again.")
        self._record_closing("reopened", reason)

    def append_redaction(self, one: Redaction) -> None:
        """Write down the beginning or the end of a removal; returns once that is safe."""
        self._require_owner()
        self._begin(self._redactions)
        self._redactions.append(one)

    def _begin(self, journal: Journal[Any]) -> None:
        """Lay down a journal that most runs never need, unless that was done before."""
        if journal in self._journals:
            return
        journal.create()
        disk.sync_folder(self.path)
        journal.open_for_append()
        self._journals += (journal,)

    def redactions(self) -> tuple[Redaction, ...]:
        """Return the beginning and the end of every removal, in order."""
        return tuple(self._fresh().redactions)

    def is_redacted(self, clip_id: str) -> bool:
        """Tell whether the frames of a clip were removed for good, or are about to be."""
        name = self.clip_path(clip_id).relative_to(self.path).as_posix()
        return name in redaction.files(self.redactions())

    def refuse_redacted(self) -> None:
        """Raise InputError for a run from which something was removed: it is not gone on with."""
        if self.redactions():
            raise InputError(
                f"{self.path}: clips were removed from this run for good; nothing more is made in "
                "it. Begin anew with another --out."
            )

    def closings(self) -> tuple[Closing, ...]:
        """Return every end and new beginning, oldest first."""
        return tuple(self._fresh().closings)

    def _record_closing(self, action: Literal["closed", "reopened"], reason: str) -> None:
        self._require_owner()
        if not reason.strip():
            raise InputError("--reason: expected why the run ends here, got nothing.")
        blocks = self.complete_blocks()
        self._closings.append(
            Closing(action=action, reason=reason.strip(), blocks=blocks, time=run_folder.now())
        )

    def _refuse_closed(self) -> None:
        if self.closed_reason is not None:
            raise InputError(
                f"{self.path}: the run was closed ({self.closed_reason}); nothing more is made. "
                "Begin anew with another --out."
            )

    def _fresh(self) -> Published:
        """Return the records; a reader takes in what was added, an owner knows it."""
        if self._owner is None:
            for journal in self._journals:
                journal.refresh()
        return self._published

    # --- clips and features ----------------------------------------------------------------------

    def write_clip(self, clip_id: str, frames: npt.NDArray[np.uint8]) -> str:
        """Keep the frames (t, h, w, 3) of a planned clip; returns their digest.

        They are safe once the batch is appended. A leftover of a dead attempt is replaced.
        """
        path = self.clip_path(clip_id)
        self._require_owner()
        if clip_id not in self._published.requests:
            raise ValueError(f"{self.path}: clip {clip_id} is not in the plan")
        if clip_id in self._published.results:
            raise ValueError(f"{self.path}: clip {clip_id} is published already")
        self._publish(path, encoding.encode_frames(frames))
        self._written[clip_id] = encoding.frames_digest(frames)
        return self._written[clip_id]

    def read_clip(self, clip_id: str, *, verify: bool = True) -> npt.NDArray[np.uint8]:
        """Return the frames (t, h, w, 3) of a clip, by default checked against its record.

        Raises:
            InputError: no frames there, damaged, or not those of the record.
        """
        path = self.clip_path(clip_id)
        if self._published.redactions and self.is_redacted(clip_id):
            raise InputError(f"{path}: was removed for good; {REDACTIONS} says when and why.")
        try:
            frames = encoding.decode_frames(run_folder.read_bytes(path))
        except encoding.DecodingError as error:
            raise InputError(f"{path}: {error}. Restore the file from a copy.") from error
        if verify:
            self._verify(path, frames, clip_id)
        return frames

    def _verify(self, path: Path, frames: npt.NDArray[np.uint8], clip_id: str) -> None:
        result = self._published.results.get(clip_id) or self._fresh().results.get(clip_id)
        expected = None if result is None else result.frames_digest
        came = encoding.frames_digest(frames)
        if came != expected:
            raise InputError(
                f"{path}: expected frames of digest {expected or 'none (no such record)'}, found "
                f"{came}. Restore the file from a copy."
            )

    def clip_path(self, clip_id: str) -> Path:
        """Return where the film strip of a clip lies, or would lie."""
        return run_folder.artifact(self.path, CLIPS, clip_id, ".png")

    def write_view(self, clip_id: str, data: bytes, suffix: str) -> None:
        """Keep a viewing copy, such as `.webm`: for eyes, never measured."""
        if suffix not in VIEW_SUFFIXES:
            raise ValueError(f"suffix {suffix!r}: expected one of {', '.join(VIEW_SUFFIXES)}")
        self._publish(run_folder.artifact(self.path, CLIPS, clip_id, suffix), data)

    def view_path(self, clip_id: str) -> Path | None:
        """Return where a viewing copy of a clip lies, None when there is none."""
        paths = (run_folder.artifact(self.path, CLIPS, clip_id, one) for one in VIEW_SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def write_features(self, clip_id: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Keep the arrays of a clip, or of another 16-digit id; they replace what was there."""
        self._publish(self._features_path(clip_id), encoding.encode_arrays(arrays))

    def has_features(self, clip_id: str) -> bool:
        """Return whether arrays are kept under this id."""
        return self._features_path(clip_id).is_file()

    def read_features(self, clip_id: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays kept under this id; raises InputError when missing or damaged."""
        path = self._features_path(clip_id)
        try:
            return encoding.decode_arrays(run_folder.read_bytes(path))
        except encoding.DecodingError as error:
            raise InputError(
                f"{path}: {error}. Delete the file and run again: they are computed anew."
            ) from error

    def _features_path(self, clip_id: str) -> Path:
        return run_folder.artifact(self.path, FEATURES, clip_id, ".npz")

    def _publish(self, path: Path, data: bytes) -> None:
        self._require_owner()
        disk.publish(path, data)
        self._unsynced.add(path.parent)

    def _sync_folders(self) -> None:
        for folder in sorted(self._unsynced):
            disk.sync_folder(folder)
        self._unsynced.clear()

    # --- derived files ---------------------------------------------------------------------------

    def write_derived(self, name: str, text: str) -> None:
        """Replace a derived file, such as estimates.json, whole."""
        self._publish(run_folder.derived(self.path, name), text.encode())
        self._sync_folders()

    def remove_derived(self, name: str) -> None:
        """Remove a derived file that follows from nothing any more; none there is no error."""
        path = run_folder.derived(self.path, name)
        self._require_owner()
        if path.exists():
            with disk.explained(path):
                path.unlink()
            disk.sync_folder(self.path)

    def read_derived(self, name: str) -> str | None:
        """Return a derived file's text, None when there is none."""
        path = run_folder.derived(self.path, name)
        return run_folder.read_text(path) if path.is_file() else None


def _welcome(_: Record) -> str:
    return ""
