"""The two passes that touch a model: quality (every clip, deterministic) and latency (timed).

Nothing here judges a clip beyond whether it is one. A latency is never taken from the quality
pass: that pass reuses text embeddings, keeps LoRAs apart from the weights and shares the machine.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from poc.clip_folder import ProtocolError
from poc.engine.local import run_tasks
from poc.errors import DeviceLostError
from poc.fingerprint import (
    free_cached_memory,
    machine_name,
    peak_memory_bytes,
    reset_peak_memory,
)
from poc.imported import ImportedClips, NotDeliveredError
from poc.latency_calls import (
    COLD,
    Call,
    asked,
    clips_a_call,
    complete_batches,
    complete_rounds,
    failed_calls,
)
from poc.records import (
    Arm,
    Batch,
    ClipRequest,
    ClipResult,
    ClipStatus,
    Generation,
    LatencyFailure,
    LatencySample,
    LatencyScenario,
    Plan,
    Prompt,
    ResolvedArm,
    digest,
)
from poc.telemetry import Meter
from poc.turns import Turns
from poc.video import VIEW_SUFFIX, encode_webm

if TYPE_CHECKING:
    from poc.pipelines.base import VideoPipeline
    from poc.store import RunStore

TIMING_VERSION = 2
"""Raised when the same arm takes other seconds or bytes for another reason than its settings.

2: on a CPU the network is replayed and freed memory is kept.
"""

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, planned)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run may use: processes, threads in each, and devices."""

    workers: int
    """Processes that measure, and that make clips where the one device is a CPU."""
    threads: int
    devices: tuple[str, ...]
    """Such as cpu, or cuda:0 and cuda:1."""

    @property
    def device(self) -> str:
        """The one that arms are timed on."""
        return self.devices[0]

    @property
    def makers(self) -> int:
        """Processes that make clips: one a device."""
        return self.workers if self.devices == ("cpu",) else len(self.devices)


@dataclass(frozen=True, slots=True)
class GeneratedClip:
    """One clip as a worker hands it over; `frames` is None when there are none to keep."""

    result: ClipResult
    frames: npt.NDArray[np.uint8] | None
    view: bytes


@dataclass(frozen=True, slots=True)
class GeneratedBatch:
    """One batch as a worker hands it over."""

    clips: tuple[GeneratedClip, ...]
    resolved: ResolvedArm | None
    """None where it failed before that was known."""
    duration_s: float
    peak_memory_bytes: int | None = None
    """Of a batch that failed."""
    network_s: float = 0.0
    """Of `duration_s` the time in which networks were at work."""


@dataclass(frozen=True, slots=True)
class Occupation:
    """How much of the time of making clips was the networks'.

    The rest is loading, switching arms, judging and writing clips, and waiting for each other.
    """

    network_s: float
    """Summed over processes."""
    wall_s: float
    processes: int

    @property
    def idle_share(self) -> float:
        """Return the share of the time in which no network was at work, from 0 to 1.

        >>> Occupation(network_s=90.0, wall_s=60.0, processes=2).idle_share
        0.25
        """
        return max(0.0, 1.0 - self.network_s / (self.wall_s * self.processes))


@dataclass(frozen=True, slots=True)
class QualitySetup:
    """Builds a worker of the quality pass: the arms' family, resident, and a batch handler."""

    arms: Mapping[str, Arm]
    prompts: Mapping[str, str]
    folders: Mapping[str, Path]
    devices: tuple[str, ...]
    imports: Mapping[str, ImportedClips] = field(default_factory=dict)
    """Of the arms whose clips were made elsewhere, by arm id."""

    def __call__(self, worker: int) -> Callable[[Batch], GeneratedBatch]:
        """Return the handler of a worker on its own device; models load at its first batch."""
        families = Families(self.folders, self.devices[worker % len(self.devices)])

        def handle(batch: Batch) -> GeneratedBatch:
            if batch.arm_id in self.imports:
                return _import(batch, self.arms[batch.arm_id], self.imports[batch.arm_id])
            return _generate(batch, self.arms[batch.arm_id], self.prompts, families)

        return handle


class Families:
    """The loaded models, one pipeline per family, base, VAE and precision."""

    def __init__(self, folders: Mapping[str, Path], device: str) -> None:
        self._folders, self._device = folders, device
        self._loaded: dict[tuple[str, str, str | None, str], VideoPipeline] = {}

    def of(self, arm: Arm) -> VideoPipeline:
        """Return the pipeline that can run `arm`, loading it on first use."""
        key = self._key(arm)
        if key not in self._loaded:
            self._loaded[key] = _pipeline_class(arm)(
                base=arm.base,
                vae=arm.vae,
                dtype=arm.dtype,
                folders=self._folders,
                device=self._device,
            )
        return self._loaded[key]

    @property
    def device(self) -> str:
        """The device that the models are on."""
        return self._device

    def drop(self, arm: Arm, arms: Iterable[Arm] = ()) -> frozenset[str]:
        """Forget the pipeline of `arm`, whose switching broke off halfway.

        Returns the ids of those of `arms` that ran in it.
        """
        self._loaded.pop(self._key(arm), None)
        return frozenset(one.id for one in arms if self._key(one) == self._key(arm))

    @staticmethod
    def _key(arm: Arm) -> tuple[str, str, str | None, str]:
        return (arm.family, arm.base, arm.vae, arm.dtype)


def _pipeline_class(arm: Arm) -> Callable[..., VideoPipeline]:
    """Return the class of an arm's family; its networks are imported only where they are used."""
    if arm.family == "wan":
        from poc.pipelines.wan import WanFamily

        return WanFamily
    if arm.family == "ltx":
        from poc.pipelines.ltx import LtxFamily

        return LtxFamily
    from poc.pipelines.animatediff import AnimateDiffFamily

    return AnimateDiffFamily


# --- quality pass --------------------------------------------------------------------------------


def quality_pass(
    store: RunStore,
    folders: Mapping[str, Path],
    machine: Machine,
    *,
    deadline: Callable[[], bool],
    progress: Progress,
    imports: Mapping[str, ImportedClips] = MappingProxyType({}),
) -> Occupation | None:
    """Make every clip of the plan that has no record yet, block after block.

    `deadline` is asked before each block; once it says True no further block is begun, so a run
    that is stopped is balanced over its arms. Returns None where no network had anything to do.
    """
    plan = store.plan
    done = {generation.batch_id for generation in store.generations()}
    open_batches = [batch for batch in plan.batches if batch.id not in done]
    setup = QualitySetup(
        arms={arm.id: arm for arm in plan.arms},
        prompts={prompt.id: prompt.text for prompt in plan.prompts},
        folders=folders,
        devices=machine.devices,
        imports=imports,
    )
    count = len(done)
    progress("generate", count, len(plan.batches))
    tasks = _until(open_batches, deadline)
    workers = max(1, min(machine.makers, len(open_batches)))
    start, network_s = time.perf_counter(), 0.0
    for outcome in run_tasks(setup, tasks, workers=workers, threads=machine.threads):
        _publish(store, outcome.task, outcome.result, outcome.error, outcome.worker)
        network_s += outcome.result.network_s if outcome.result else 0.0
        count += 1
        progress("generate", count, len(plan.batches))
    wall_s = time.perf_counter() - start
    return Occupation(network_s, wall_s, workers) if network_s else None


def _until(batches: Sequence[Batch], deadline: Callable[[], bool]) -> Iterator[Batch]:
    for _, block in itertools.groupby(batches, key=lambda batch: batch.block):
        if deadline():
            return
        yield from block


def _publish(
    store: RunStore, batch: Batch, made: GeneratedBatch | None, error: str, worker: int
) -> None:
    if made is None:
        results = tuple(_failed(request, error) for request in batch.clips)
        store.append_generation(_record(batch, results, GeneratedBatch((), None, 0.0), worker))
        return
    if made.resolved is not None:
        store.append_resolved(made.resolved)
    for request, clip in zip(batch.clips, made.clips, strict=True):
        if clip.frames is not None:
            store.write_clip(request.id, clip.frames)
        if clip.view:
            store.write_view(request.id, clip.view, VIEW_SUFFIX)
    results = tuple(clip.result for clip in made.clips)
    store.append_generation(_record(batch, results, made, worker))


def _record(
    batch: Batch, clips: tuple[ClipResult, ...], made: GeneratedBatch, worker: int
) -> Generation:
    resolved = made.resolved
    return Generation(
        batch_id=batch.id,
        arm_id=batch.arm_id,
        clips=clips,
        resolved_digest=digest(resolved.model_dump(mode="json")) if resolved else "",
        duration_s=made.duration_s,
        worker=worker,
        peak_memory_bytes=made.peak_memory_bytes,
    )


def _failed(request: ClipRequest, reason: str) -> ClipResult:
    return ClipResult(
        clip_id=request.id, status=ClipStatus.FAILED, reason=reason, frames_digest=None
    )


def _generate(
    batch: Batch, arm: Arm, prompts: Mapping[str, str], families: Families
) -> GeneratedBatch:
    reset_peak_memory()
    start = time.perf_counter()
    try:
        family = families.of(arm)
        resolved = family.prepare(arm)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        families.drop(arm)
        return _failed_batch(batch, None, error, start)
    start = time.perf_counter()
    try:
        embeddings = family.encode_reused([prompts[clip.prompt_id] for clip in batch.clips])
        latents = family.denoise(embeddings, [_seed(clip) for clip in batch.clips])
        frames, finite = family.decode(latents)
        network_s = time.perf_counter() - start  # decoding ends with frames in the host's memory
    except (RuntimeError, MemoryError, ValueError) as error:
        if _device_is_lost(error):
            raise
        return _failed_batch(batch, resolved, error, start)
    clips = tuple(
        _clip(request, arm, clip, finite=is_finite)
        for request, clip, is_finite in zip(batch.clips, frames, finite, strict=True)
    )
    return GeneratedBatch(clips, resolved, time.perf_counter() - start, network_s=network_s)


def _failed_batch(
    batch: Batch, resolved: ResolvedArm | None, error: Exception, start: float
) -> GeneratedBatch:
    """Return a batch without clips, with the memory that was in use at the most."""
    duration_s = time.perf_counter() - start
    reason, peak = _put_away(error)
    free_cached_memory()
    clips = tuple(GeneratedClip(_failed(clip, reason), None, b"") for clip in batch.clips)
    return GeneratedBatch(clips, resolved, duration_s, peak)


def _put_away(error: Exception) -> tuple[str, int]:
    """Return what an error says and the memory in use until it came; let go of what it holds."""
    peak = peak_memory_bytes()
    error.__traceback__ = None  # it holds the tensors of every frame that it went through
    return f"{type(error).__name__}: {str(error)[:300]}", peak


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory was short, in the words of CUDA's allocator, the CPU's, or Python."""
    said = str(error)
    return isinstance(error, MemoryError) or "out of memory" in said or "allocate memory" in said


def _import(batch: Batch, arm: Arm, clips: ImportedClips) -> GeneratedBatch:
    """Read the takes of a batch that somebody else made; `duration_s` is no time of theirs."""
    start = time.perf_counter()
    made = tuple(_imported(request, arm, clips) for request in batch.clips)
    return GeneratedBatch(made, clips.resolved(arm), time.perf_counter() - start)


def _imported(request: ClipRequest, arm: Arm, clips: ImportedClips) -> GeneratedClip:
    try:
        frames = clips.frames(request.prompt_id, request.replicate + 1)
    except NotDeliveredError as error:
        return GeneratedClip(_failed(request, str(error)), None, b"")
    except ProtocolError as error:
        result = _failed(request, str(error)).model_copy(update={"status": ClipStatus.INVALID})
        return GeneratedClip(result, None, b"")
    return _clip(request, arm, frames, finite=True)


def _device_is_lost(error: Exception) -> bool:
    """Whether a CUDA error other than memory made the whole process useless for later clips."""
    return "CUDA error" in str(error) and "out of memory" not in str(error)


_MISFITS: Final = (
    "no kernel image",
    "driver version is insufficient",
    "invalid device ordinal",
    "no CUDA-capable device",
    "initialization error",
)
"""What CUDA says of a machine on which nothing runs: no fault of the arm that came first."""


def _is_misfit(error: Exception) -> bool:
    return any(words in str(error) for words in _MISFITS)


def _seed(request: ClipRequest) -> int:
    if request.seed is None:
        raise LookupError(f"clip {request.id} was made elsewhere: it has no seed")
    return request.seed


def _clip(
    request: ClipRequest, arm: Arm, frames: npt.NDArray[np.uint8], *, finite: bool
) -> GeneratedClip:
    """Judge whether the frames are a clip at all; invalid ones are kept to be looked at."""
    from metrics import frames as frame_protocol
    from metrics.validity import judge

    shape = (arm.shape.num_frames, arm.shape.height, arm.shape.width)
    reason = "" if finite else "the decoder produced NaN or infinity"
    reason = reason or judge(frames, expected=shape).reason
    result = ClipResult(
        clip_id=request.id,
        status=ClipStatus.INVALID if reason else ClipStatus.OK,
        reason=reason,
        frames_digest=frame_protocol.digest(frames),
    )
    return GeneratedClip(result, frames, encode_webm(frames, arm.shape.fps))


# --- latency pass --------------------------------------------------------------------------------


def latency_pass(
    store: RunStore,
    folders: Mapping[str, Path],
    machine: Machine,
    *,
    turns: Turns | None = None,
    progress: Progress,
) -> None:
    """Time clips, prompt to encoded video, arms interleaved round by round.

    Each arm's first call of all is kept as cold (round -1); warm-up calls of the same shape are
    not kept. A round counts once it is complete for all arms, so a pass that is stopped goes on
    with the next round. With `turns` another run times its rounds between ours. An arm that fails,
    for want of memory or for another reason, is recorded and not tried again; the others go on.

    Raises:
        InputError: the other run gives no sign of life.
        DeviceLostError: a failure, which is recorded, took the device with it.
    """
    plan, spec = store.plan, store.plan.spec.latency
    if spec is None or not plan.prompts:
        return
    from poc.pipelines.device import set_up_process

    timer = _Timer(store, Families(folders, machine.device), spec.warmup)
    done = max(0, complete_rounds(store.timed(), plan, timer.failed) - 1)
    batches = range(
        complete_batches(store.timed(), plan, timer.failed),
        spec.offline.repeats if spec.offline else 0,
    )
    if done >= spec.repeats and not batches:
        return
    set_up_process(machine.threads)
    for arm in plan.generated if done < spec.repeats else ():
        timer.warm_up(arm, LatencyScenario.SINGLE, cold=done == 0)
    for number in range(done, spec.repeats):
        progress("latency", number, spec.repeats)
        if turns:
            turns.before(number)
        timer.round(number)
    if turns:
        turns.after_all(spec.repeats)
    progress("latency", spec.repeats, spec.repeats)
    for number in batches:
        progress("batches", number, batches.stop)
        timer.batches(number)
    progress("batches", batches.stop, batches.stop)


class _Timer:
    """Times the arms of a run, each on its own: one that fails is recorded and left out."""

    def __init__(self, store: RunStore, families: Families, warm_calls: int) -> None:
        self._store, self._families, self._warm_calls = store, families, warm_calls
        self._warm: set[Call] = set()

    @property
    def failed(self) -> frozenset[Call]:
        """What could not be timed."""
        return failed_calls(self._store.latency_failures())

    @cached_property
    def _meter(self) -> Meter:
        from poc.pipelines.device import cuda_uuid

        return Meter(cuda_uuid(self._families.device))

    def warm_up(self, arm: Arm, scenario: LatencyScenario, *, cold: bool = False) -> None:
        """Call an arm untimed; `cold`: its first call is kept as such."""
        first = None
        for _ in range(self._warm_calls):
            sample = self._call(arm, scenario, COLD)
            if sample is None:
                return
            first = first or sample
        if cold and first:  # written last: a run that takes turns with this one then finds it warm
            self._store.append_latency(first)
        self._warm.add((arm.id, scenario))

    def round(self, number: int) -> None:
        """Time every single clip that is asked of a round, the control's too."""
        calls = asked(self._store.plan)
        self._time([call for call in calls if call[1] is not LatencyScenario.OFFLINE], number)

    def batches(self, number: int) -> None:
        """Time every batch that is asked of a round.

        After the last single clip: a batch leaves memory behind that is none of a single clip's.
        """
        calls = asked(self._store.plan)
        self._time([call for call in calls if call[1] is LatencyScenario.OFFLINE], number)

    def _time(self, calls: Sequence[Call], number: int) -> None:
        """Time each call once, in a rotated order, so that none always follows the same one."""
        arms = {arm.id: arm for arm in self._store.plan.arms}
        for arm_id, scenario in _rotated(calls, number):
            self._keep_warm(arms[arm_id], scenario)
            if (sample := self._call(arms[arm_id], scenario, number)) is not None:
                self._store.append_latency(sample)

    def _keep_warm(self, arm: Arm, scenario: LatencyScenario) -> None:
        """Warm up what is cold: a batch's first call, or the pipeline was dropped at a failure."""
        shape = _SAME_SHAPE.get(scenario, scenario)
        if (arm.id, shape) not in self._warm:
            self.warm_up(arm, shape)

    def _call(self, arm: Arm, scenario: LatencyScenario, number: int) -> LatencySample | None:
        """Return the times of one call; None where the arm failed, now or before.

        Raises:
            DeviceLostError: the failure, which is recorded, took the device with it.
        """
        if (arm.id, scenario) in self.failed:
            return None
        request = _request(self._store.plan, scenario, number)
        reset_peak_memory()
        try:
            family = self._families.of(arm)
            family.prepare(arm)
        except (RuntimeError, MemoryError) as error:
            if _is_misfit(error) or not (_is_out_of_memory(error) or _device_is_lost(error)):
                raise
            self._record(arm, request, error)
            dropped = self._families.drop(arm, self._store.plan.generated)
            self._warm = {call for call in self._warm if call[0] not in dropped}
            return None
        try:
            return _timed(family, arm, request, self._meter)
        except (RuntimeError, MemoryError, ValueError) as error:
            if _is_misfit(error):
                raise
            self._record(arm, request, error)
            return None

    def _record(self, arm: Arm, request: _Request, error: Exception) -> None:
        reason, peak = _put_away(error)
        self._store.append_latency_failure(
            LatencyFailure(
                arm_id=arm.id,
                scenario=request.scenario,
                round=request.round,
                reason=reason,
                peak_memory_bytes=peak,
            )
        )
        if _device_is_lost(error):
            raise DeviceLostError(
                f"{self._families.device}: lost while arm {arm.name!r} was timed ({reason}). That "
                "is recorded. Type the same command again: a new process times the other arms."
            )
        free_cached_memory()


_SAME_SHAPE: Final[Mapping[LatencyScenario, LatencyScenario]] = MappingProxyType(
    {LatencyScenario.CONTROL: LatencyScenario.SINGLE}
)
"""Scenario -> the one whose calls warm it up."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What one call is asked for."""

    scenario: LatencyScenario
    round: int
    prompts: tuple[Prompt, ...]
    """One a clip."""

    @property
    def seeds(self) -> list[int]:
        """Seeds of the clips; the first is that of the round's single clip."""
        return [self.round + 1 + place for place in range(len(self.prompts))]


def _request(plan: Plan, scenario: LatencyScenario, number: int) -> _Request:
    count = clips_a_call(plan, scenario)
    places = range(max(0, number), max(0, number) + count)
    prompts = tuple(plan.prompts[place % len(plan.prompts)] for place in places)
    return _Request(scenario, number, prompts)


def _rotated(calls: Sequence[Call], number: int) -> Sequence[Call]:
    """Return the calls from another one on in every round."""
    shift = number % len(calls) if calls else 0
    return [*calls[shift:], *calls[:shift]]


def _timed(family: VideoPipeline, arm: Arm, request: _Request, meter: Meter) -> LatencySample:
    reset_peak_memory()
    meter.begin()
    begun = time.time()
    marks = [time.perf_counter()]

    def mark(value: Any) -> Any:
        family.synchronize()
        marks.append(time.perf_counter())
        return value

    embeddings = mark(family.encode([prompt.text for prompt in request.prompts]))
    latents = mark(family.denoise(embeddings, request.seeds))
    frames, _ = mark(family.decode(latents))
    meter.look()
    asked_s = time.perf_counter() - marks[-1]  # no time of the clip
    mark([encode_webm(clip, arm.shape.fps) for clip in frames])
    telemetry = meter.end()
    text_s, denoise_s, decode_s, encode_s = np.diff(marks).tolist()
    return LatencySample(
        arm_id=arm.id,
        prompt_id=request.prompts[0].id,
        round=request.round,
        scenario=request.scenario,
        clips=len(request.prompts),
        text_s=text_s,
        denoise_s=denoise_s,
        decode_s=decode_s,
        encode_s=encode_s - asked_s,
        total_s=marks[-1] - marks[0] - asked_s,
        peak_memory_bytes=peak_memory_bytes(),
        device=machine_name(family.device),
        timing_version=TIMING_VERSION,
        started_unix_s=begun,
        telemetry=telemetry,
    )
