"""Measures one clip after another, taking what an earlier run has; a bad clip is a report too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metrics import catalog
from metrics import frames as frames_
from metrics.base import ClipValue
from metrics.frames import DecodeError
from metrics.validity import Fault, judge
from poc.clip_files import NOT_READ, SUFFIXES, Source, decoder_id, reason_of
from poc.clip_folder import ProtocolError
from poc.clip_given import IMAGE_TEXT, OF_NETWORK, Aids
from poc.clip_judges import Judges, not_tiny, unreadable
from poc.clip_records import (
    CLIP_METRICS,
    VALIDITY,
    ClipReport,
    FolderMeasurement,
    FrameShape,
    Role,
    Status,
)
from poc.clip_video import TinyVideo, VideoNetwork
from poc.clip_work import Feature, Manner, Tally, Task, Work
from poc.fingerprint import usable_cores
from poc.measure import IMAGE_TEXT_EXTRACTOR
from poc.measure_cache import Cache
from poc.records import digest

Floats = npt.NDArray[np.float64]

UNDECODABLE, PROTOCOL_FAULT, UNMEASURABLE = "undecodable", "protocol", "unmeasurable"
"""Faults besides those of `metrics.validity`."""
NO_EXTRACTOR: Final = "no extractor for real video is given"

OVERLAY_CLIPS: Final = 256
"""Clips whose edges are kept: more would not change a share by much, and take memory."""

_EDGES = "edges_"
_NO_PROMPT = "no prompt"
_PAIRED = frozenset({"baseline_frames", "lpips_distances"})


MOST_THREADS: Final = 4
"""Clips measured at once: each holds its frames in memory."""


class Bench:
    """Measures sources, taking what the cache has; counts both."""

    def __init__(self, manner: Manner, cache: Cache) -> None:
        self.manner, self.cache = manner, cache
        self.reused = self.taken = 0
        self.features: dict[str, npt.NDArray[Any]] = {}
        self._edges = 0
        self.baseline: dict[str, tuple[Task, ClipReport]] = {}
        """What clips are laid beside, by name without suffix."""
        protocol = f" {manner.protocol.text}" if manner.protocol else ""
        self.protocol_text = f"{frames_.PROTOCOL}{protocol or ' as decoded'}"

    @cached_property
    def judges(self) -> Judges | None:
        """The networks that the user named; None where none is."""
        return None if self.manner.judges is None else Judges.shipped()

    @cached_property
    def aids(self) -> Aids:
        """What metrics take besides the clip."""
        return Aids(self.manner.given, self.judges)

    def lay_beside(self, tasks: Sequence[Task], reports: Sequence[ClipReport]) -> None:
        """Take measured clips of a baseline for what clips of their names are compared with."""
        pairs = zip(tasks, reports, strict=True)
        self.baseline = {_stem(task.source.name): (task, report) for task, report in pairs}

    @cached_property
    def video(self) -> VideoNetwork | None:
        """The network for distances between sets; None where none is named."""
        return self.manner.video or (None if self.judges is None else TinyVideo(self.judges))

    def protocol_of(self, source: Source) -> str:
        """Return all that is done to the frames of a source before they are measured."""
        if not source.is_folder or self.manner.png_fps is None:
            return self.protocol_text
        return f"{self.protocol_text}, png at {self.manner.png_fps:.12g} fps"

    def measured(self, tasks: Sequence[Task]) -> Generator[ClipReport]:
        """Yield the report of each source, in order; whatever is wrong with one is in its own.

        Several clips are measured at once, each by one thread and alone: no number depends on how
        many. The first is measured before the others, so that libraries are imported by one thread.
        Close the iterator when it is left early, so that the clips that wait are left too.
        """
        pool = ThreadPoolExecutor(min(MOST_THREADS, usable_cores()))
        try:
            for few in (tasks[:1], tasks[1:]):
                for report, tally in pool.map(self._one, few):
                    self._add(tally)
                    yield report
        finally:
            pool.shutdown(cancel_futures=True)

    def _add(self, tally: Tally) -> None:
        """Take what came of one source; what an earlier one had too is there already."""
        self.reused += tally.reused
        self.taken += tally.taken
        for key, found in tally.features.items():
            is_edge = key.startswith(_EDGES)
            if key in self.features or (is_edge and self._edges >= OVERLAY_CLIPS):
                continue
            self.features[key] = found.array
            self._edges += is_edge
            self.reused += found.reused
            self.taken += found.taken

    def _one(self, task: Task) -> tuple[ClipReport, Tally]:
        blank, work = self._blank(task), self._work(task)
        try:
            return self._measured(work, blank), work.tally
        except _refusals() as error:
            # One clip that no check foresaw must not take the numbers of all others with it.
            reason = f"cannot be measured ({reason_of(error, task.source)})"
            return _nothing(task, blank, Status.FAILED, reason, UNMEASURABLE), work.tally

    def _measured(self, work: Work, blank: FolderMeasurement) -> ClipReport:
        task = work.task
        if task.survey.problem:
            return _nothing(task, blank, Status.FAILED, task.survey.problem, UNDECODABLE)
        try:
            blank = blank.model_copy(
                update={"frames_digest": work.frames_digest, "shape": work.shape}
            )
            valid = self._validity(work, blank)
        except DecodeError as error:
            reason = reason_of(error, task.source)
            return _nothing(task, blank, Status.FAILED, reason, UNDECODABLE)
        except ProtocolError as error:
            return _nothing(task, blank, Status.INVALID, str(error), PROTOCOL_FAULT)
        if valid.status is not Status.OK:
            return _nothing(task, blank, valid.status, valid.reason, valid.fault)
        rows = [valid]
        if task.role in {Role.CLIP, Role.BESIDE}:
            rows += [self._metric(name, work, blank) for name in CLIP_METRICS]
        self._keep_features(work, blank)
        return _report(task, blank, rows)

    def _work(self, task: Task) -> Work:
        known = self.cache.place(
            task.survey.file_digest or "", self.protocol_of(task.source), decoder_id(task.source)
        )
        beside, _ = self.baseline.get(_stem(task.source.name), (None, None))
        if task.role is not Role.CLIP or beside is None:
            return Work(task, self.manner, self.aids, known)
        other = Work(beside, self.manner, self.aids, None)
        return Work(task, self.manner, self.aids, known, other)

    def _blank(self, task: Task) -> FolderMeasurement:
        """Return a row of which everything but the number is known."""
        return FolderMeasurement(
            role=task.role,
            file=task.source.name,
            file_digest=task.survey.file_digest,
            frames_digest=None,
            shape=None,
            decoder=decoder_id(task.source),
            protocol=self.protocol_of(task.source),
            prompt=task.prompt,
            **named(VALIDITY),
            value=None,
            status=Status.NOT_MEASURED,
            reason="not yet",
            fault=None,
            extractor=None,
            extractor_digest=None,
            reference_digest=None,
        )

    def _validity(self, work: Work, blank: FolderMeasurement) -> FolderMeasurement:
        size = (work.shape.height, work.shape.width)
        fits = work.task.expected in (None, size)
        known = self.cache.value(blank) if fits else None
        if known is not None:
            return _again(work, known, blank)
        work.tally.taken += 1
        expected = None if fits or work.task.expected is None else work.task.expected
        planned = None if expected is None else (work.shape.num_frames, *expected)
        found = judge(work.frames, expected=planned)
        if found.ok:
            return blank.model_copy(update=_ok(1.0))
        reason = found.reason
        if found.fault is Fault.WRONG_SHAPE:
            reason += ", unlike most clips of the folder; "
            reason += (
                "the protocol keeps aspect ratios"
                if self.manner.protocol
                else "give --protocol to compare them"
            )
        return blank.model_copy(
            update={"status": Status.INVALID, "reason": reason, "fault": str(found.fault)}
        )

    def _metric(self, name: str, work: Work, blank: FolderMeasurement) -> FolderMeasurement:
        row = blank.model_copy(update=named(name))
        if reason := self._why_not(name, work):
            return row.model_copy(update={"reason": reason} | self._network_of(name))
        row = row.model_copy(update=self._seen_by(name, work))
        known = self.cache.value(row)
        if known is not None:
            return _again(work, known, row)
        work.tally.taken += 1
        arguments = [work.get(argument) for argument in catalog.describe(name).takes]
        result: ClipValue = catalog.load(name)(*arguments)
        if result.value is None:
            status = Status(result.status.value)
            return row.model_copy(update={"status": status, "reason": result.reason})
        return row.model_copy(update=_ok(result.value))

    def _network_of(self, name: str) -> dict[str, str]:
        """Return the network or the flow that a metric sees through, by name and version."""
        if _is_of_flow(name):
            from metrics.motion import flow_id

            return {"extractor": flow_id()}
        takes = set(catalog.describe(name).takes)
        if self.aids.is_tiny and self.judges is not None and IMAGE_TEXT & takes:
            pinned = self.judges.image_text_digest
            return {"extractor": IMAGE_TEXT_EXTRACTOR, "extractor_digest": pinned}
        return {}

    def _seen_by(self, name: str, work: Work) -> dict[str, str | None]:
        """Return all that a number of a metric follows from, besides the clip and its prompt."""
        takes, aids = catalog.describe(name).takes, self.aids
        seen: dict[str, str | None] = dict(self._network_of(name))
        if not aids.is_tiny and IMAGE_TEXT & set(takes):
            seen["extractor"], seen["extractor_digest"] = aids.image_text_id
        for argument in OF_NETWORK.keys() & set(takes):
            seen["extractor"], seen["extractor_digest"] = aids.network_id(OF_NETWORK[argument])
        seen["reference_digest"] = aids.stills_digest(takes)
        if _PAIRED & set(takes):
            _, report = self.baseline[_stem(work.task.source.name)]
            seen["reference_digest"] = report.frames_digest
        return seen

    def _why_not(self, name: str, work: Work) -> str:
        """Return why a metric has no number of this clip that is what its name says."""
        takes = catalog.describe(name).takes
        if _is_of_flow(name):
            return _why_no_flow(name, work.shape)
        reasons = self.aids.missing(takes)
        if "raft_speeds" in takes and not reasons:
            reasons.append(_why_no_raft(name, work.shape))
        if IMAGE_TEXT & set(takes):
            reasons += self._why_no_network(takes, work)
        if _PAIRED & set(takes) and not reasons:
            reasons.append(self._why_alone(work))
        return "; ".join(reason for reason in reasons if reason)

    def _why_no_network(self, takes: Sequence[str], work: Work) -> list[str]:
        """Return why the image-text network says nothing of a clip; the first stands for all."""
        prompt, tiny = work.task.prompt, self.aids.is_tiny
        reasons = []
        if "text_features" in takes and prompt is None:
            reasons.append(_NO_PROMPT)
        if tiny:
            reasons.append(NO_EXTRACTOR if self.judges is None else not_tiny(work.shape))
        if "text_features" in takes and tiny and prompt and self.judges is not None:
            reasons.append(unreadable(prompt))
        if "text_features" in takes and not tiny and prompt:
            reasons.append(self.aids.loaded("image_text").why_not(prompt))
        return reasons

    def _why_alone(self, work: Work) -> str:
        """Return why a clip has none of the baseline beside it; empty where it has."""
        _, report = self.baseline.get(_stem(work.task.source.name), (None, None))
        if report is None:
            return "the baseline has no clip of this name"
        if report.status is not Status.OK:
            return f"the baseline's clip of this name is {report.status}: {report.reason}"
        return ""

    def _keep_features(self, work: Work, blank: FolderMeasurement) -> None:
        """Take what metrics of many clips could want of this one."""
        video = self.video
        if video is not None and self.manner.for_sets and not video.why_not(work.shape):
            # One clip at a time: features depend on their batch by rounding.
            key = video.key(blank.frames_digest)
            self._keep(work, key, lambda: video.features(work.frames))
        if work.task.role is not Role.CLIP:
            return
        if not any(self._why_no_network(("image_features",), work)):
            self._keep(work, self._image_key(blank.frames_digest), lambda: work.clip_feature)
        if self._edges < OVERLAY_CLIPS:
            self._keep_edges(work, f"{_EDGES}{blank.frames_digest}")

    def _keep(self, work: Work, key: str, take: Callable[[], Any]) -> None:
        """Have a network's features under a key: those at hand, of the cache, else new ones."""
        if key in self.features:
            return
        known = self.cache.features.get(key)
        if known is not None and known.ndim == 1 and np.isfinite(known).all():
            work.tally.features[key] = Feature(known, reused=1)
            return
        work.tally.features[key] = Feature(np.asarray(take(), np.float64), taken=1)

    def _keep_edges(self, work: Work, key: str) -> None:
        """Have the edges of a clip that stay, as whole numbers."""
        from metrics.overlay import edge_field

        if key in self.features:
            return
        known: npt.NDArray[Any] | None = self.cache.features.get(key)
        if known is None or known.ndim != 3 or known.dtype != np.int8:
            known = edge_field(work.frames)
        work.tally.features[key] = Feature(known)

    def image_of(self, clip: ClipReport) -> Floats | None:
        """Return the one feature of a clip by the image-text network, if it was taken."""
        return self.features.get(self._image_key(clip.frames_digest))

    def edges_of(self, clip: ClipReport) -> npt.NDArray[np.int8] | None:
        """Return the edges of a clip that stay in place, if they were taken."""
        found = self.features.get(f"{_EDGES}{clip.frames_digest}")
        return None if found is None else found.astype(np.int8)

    def _image_key(self, frames_digest: str | None) -> str:
        network = self.image_network
        return f"image_{digest([network and network[1], frames_digest])}"

    @property
    def image_network(self) -> tuple[str, str] | None:
        """Name and digest of the image-text network; None where none is named."""
        if not self.aids.is_tiny:
            return self.aids.image_text_id
        return (
            None if self.judges is None else (IMAGE_TEXT_EXTRACTOR, self.judges.image_text_digest)
        )


def _stem(name: str) -> str:
    """Return a clip's name without its suffix: the same clip may lie in another container."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES | NOT_READ else name


def _refusals() -> tuple[type[Exception], ...]:
    """Return what the libraries beneath raise at input that they cannot take or hold."""
    import cv2

    torch = sys.modules.get("torch")
    memory = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return ValueError, TypeError, ArithmeticError, LookupError, cv2.error, *memory


def _is_of_flow(name: str) -> bool:
    """Tell whether a metric stands on OpenCV's flow."""
    info = catalog.describe(name)
    return (info.target or "").startswith("metrics.motion:") and "raft_speeds" not in info.takes


def _why_no_flow(name: str, shape: FrameShape) -> str:
    from metrics.motion import SMALLEST_SIDE

    if min(shape.height, shape.width) < SMALLEST_SIDE:
        return f"optical flow needs frames of at least {SMALLEST_SIDE} px"
    return _why_no_rate(shape) if name == "dynamic_degree" else ""


def _why_no_raft(name: str, shape: FrameShape) -> str:
    from metrics.extractors.raft import why_not

    reason = why_not(shape.height, shape.width)
    return reason or (_why_no_rate(shape) if name == "raft_dynamic_degree" else "")


def _why_no_rate(shape: FrameShape) -> str:
    from metrics.motion import DYNAMIC_FPS, has_dynamic_rate

    if has_dynamic_rate(shape.fps):
        return ""
    rate = f"{DYNAMIC_FPS:g} fps"
    if shape.fps is None:
        return f"its rule is for {rate}, the clip states no rate: give --png-fps for png frames"
    return f"its rule is for {rate}, the clip has {shape.fps:.4g}: give --protocol with fps:8"


def named(metric: str) -> dict[str, Any]:
    """Return what a row says of its metric."""
    info = catalog.describe(metric)
    return {"metric": info.name, "version": info.version, "unit": info.unit}


def _again(work: Work, known: FolderMeasurement, blank: FolderMeasurement) -> FolderMeasurement:
    """Return an earlier result for the file that has the same frames now."""
    work.tally.reused += 1
    number = ("value", "status", "reason", "fault")
    return blank.model_copy(update={name: getattr(known, name) for name in number})


def _ok(value: float) -> dict[str, Any]:
    return {"value": value, "status": Status.OK, "reason": ""}


def _nothing(
    task: Task, blank: FolderMeasurement, status: Status, reason: str, fault: str | None
) -> ClipReport:
    """Return the report of a source that has no numbers: each metric's row says why."""
    measured = task.role in {Role.CLIP, Role.BESIDE}
    names = (VALIDITY, *CLIP_METRICS) if measured else (VALIDITY,)
    why = {"value": None, "status": status, "reason": reason, "fault": fault}
    return _report(task, blank, [blank.model_copy(update=named(name) | why) for name in names])


def _report(task: Task, blank: FolderMeasurement, rows: Sequence[FolderMeasurement]) -> ClipReport:
    """Return what came of a source; its first row is its validity."""
    return ClipReport(
        name=task.source.name,
        role=task.role,
        status=rows[0].status,
        reason=rows[0].reason,
        shape=blank.shape,
        frames_digest=blank.frames_digest,
        prompt=task.prompt,
        rows=tuple(rows),
    )
