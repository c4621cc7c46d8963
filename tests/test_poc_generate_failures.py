"""What fails costs itself alone and is recorded with its memory; devices share the work."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import small_run
import torch
from tiny_components import lora, make_arm, write_models

from poc import audit, baseline, cli, generate
from poc.errors import EXIT_CODE, DeviceLostError, InputError
from poc.generate import Families, GeneratedBatch, Machine, QualitySetup, _publish
from poc.latency_calls import complete_rounds
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.records import (
    Arm,
    Batch,
    ClipRequest,
    ClipShape,
    ClipStatus,
    Generation,
    LatencyFailure,
    LatencySample,
    LatencyScenario,
    LatencySpec,
    OfflineSpec,
    Plan,
)
from poc.run import _devices
from poc.run_folder import LATENCY_FAILURES
from poc.store import RunStore

SMALLEST = ClipShape(num_frames=2, height=32, width=32, fps=8)
FIRST = make_arm(steps=1, shape=SMALLEST)
SECOND = make_arm(steps=1, shape=SMALLEST, loras=(lora("lora_a"),))
PROMPTS = {"p": "a red circle on a grey background"}
TOO_MUCH = 2**50
"""Numbers, 4 PiB of them: no machine has them."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_models(tmp_path_factory.mktemp("models"))


def _batch(arm: Arm, seed: int) -> Batch:
    clip = ClipRequest(id=f"{arm.id}-{seed}", arm_id=arm.id, prompt_id="p", replicate=0, seed=seed)
    return Batch(id=f"batch-{clip.id}", arm_id=arm.id, block=0, clips=(clip,))


def _setup(folders: dict[str, Path], devices: tuple[str, ...] = ("cpu",)) -> QualitySetup:
    arms = {arm.id: arm for arm in (FIRST, SECOND)}
    return QualitySetup(arms=arms, prompts=PROMPTS, folders=folders, devices=devices)


def _digests(made: GeneratedBatch) -> list[str | None]:
    assert [clip.result.status for clip in made.clips] == [ClipStatus.OK]
    return [clip.result.frames_digest for clip in made.clips]


ORDER = [_batch(FIRST, 1), _batch(SECOND, 1), _batch(FIRST, 2)]


@pytest.fixture(scope="module")
def whole(folders: dict[str, Path]) -> list[GeneratedBatch]:
    handle = _setup(folders)(0)
    return [handle(batch) for batch in ORDER]


@pytest.mark.parametrize("where", ["decode", "_put_loras_in"])
def test_a_batch_without_memory_is_recorded_and_its_neighbours_are_untouched(
    folders: dict[str, Path],
    whole: list[GeneratedBatch],
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    own = getattr(AnimateDiffFamily, where)

    def greedy(self: AnimateDiffFamily, *given: Any) -> Any:
        result = own(self, *given)
        arm = self._arm if where == "decode" else given[0]
        if arm is not None and arm.loras:
            torch.empty(TOO_MUCH)
        return result

    monkeypatch.setattr(AnimateDiffFamily, where, greedy)
    handle = _setup(folders)(0)
    before, failed, after = (handle(batch) for batch in ORDER)

    assert _digests(before) == _digests(whole[0])
    assert _digests(after) == _digests(whole[2])
    (clip,) = failed.clips
    assert clip.result.status is ClipStatus.FAILED
    assert "allocate memory" in clip.result.reason
    assert clip.frames is None
    assert failed.peak_memory_bytes is not None
    assert failed.peak_memory_bytes > 2**20
    assert before.peak_memory_bytes is None
    assert (failed.resolved is None) == (where == "_put_loras_in")


def test_a_fault_of_the_program_while_switching_is_not_taken_for_a_failed_clip(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("base weights differ")

    monkeypatch.setattr(AnimateDiffFamily, "_put_loras_in", broken)
    with pytest.raises(RuntimeError, match="base weights differ"):
        _setup(folders)(0)(ORDER[0])


class _Store:
    """Keeps what would be appended to a run folder."""

    def __init__(self) -> None:
        self.generations: list[Generation] = []

    def append_generation(self, generation: Generation) -> None:
        self.generations.append(generation)


def test_the_record_of_a_failed_batch_has_its_peak_memory() -> None:
    failed = generate._failed_batch(ORDER[0], None, MemoryError("no room"), 0.0)
    store = _Store()
    _publish(store, ORDER[0], failed, "", 0)  # type: ignore[arg-type]

    (record,) = store.generations
    assert record.peak_memory_bytes == failed.peak_memory_bytes
    assert record.resolved_digest == ""
    assert record.clips[0].reason == "MemoryError: no room"
    assert Generation.from_json(record.to_json()) == record


# --- the latency pass ----------------------------------------------------------------------------

ONE_CPU = Machine(workers=1, threads=1, devices=("cpu",))


def _plan(latency: LatencySpec) -> Plan:
    small = small_run.plan(prompts=1)
    prompt = small.prompts[0].model_copy(update={"text": PROMPTS["p"]})
    spec = small.spec.model_copy(update={"latency": latency})
    return small.model_copy(
        update={
            "spec": spec,
            "arms": (FIRST, SECOND),
            "baseline_id": FIRST.id,
            "prompts": (prompt,),
            "batches": (),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RunStore]:
    plan = _plan(LatencySpec(warmup=1, repeats=3))
    with small_run.open_store(tmp_path / "run", plan) as opened:
        yield opened


@pytest.fixture
def scenarios(tmp_path: Path) -> Iterator[RunStore]:
    """A run that asks for an A/A control, and for batches of two in its first two rounds."""
    batches = OfflineSpec(clips=2, repeats=2)
    plan = _plan(LatencySpec(warmup=1, repeats=3, control=True, offline=batches))
    with small_run.open_store(tmp_path / "scenarios", plan) as opened:
        yield opened


@pytest.fixture(scope="module")
def families(folders: dict[str, Path]) -> Families:
    return Families(folders, "cpu")


@pytest.fixture(autouse=True)
def _loaded_once(
    request: pytest.FixtureRequest, families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let every latency pass of this file find the pipeline that the one before has loaded."""
    if not {"store", "scenarios"}.isdisjoint(request.fixturenames):
        monkeypatch.setattr(generate, "Families", lambda *_: families)


def _time(store: RunStore) -> None:
    generate.latency_pass(store, {}, ONE_CPU, progress=lambda *_: None)


def _rounds(store: RunStore, arm: Arm) -> list[int]:
    return [sample.round for sample in store.latency() if sample.arm_id == arm.id]


def _fail(
    monkeypatch: pytest.MonkeyPatch, where: str, fault: Callable[[], object], *, calls: int
) -> list[str]:
    """Let a step of an arm with a LoRA fail after so many calls; returns the failed calls."""
    own, seen, failed = getattr(AnimateDiffFamily, where), [0], list[str]()

    def failing(self: AnimateDiffFamily, *given: Any) -> Any:
        arm = given[0] if where == "_put_loras_in" else self._ready()
        result = own(self, *given)
        if arm.loras:
            seen[0] += 1
            if seen[0] > calls:
                failed.append(where)
                fault()
        return result

    monkeypatch.setattr(AnimateDiffFamily, where, failing)
    return failed


@pytest.mark.parametrize(
    "failing", [("denoise", 0, -1), ("decode", 2, 1), ("_put_loras_in", 2, 1)], ids=str
)
def test_an_arm_without_memory_is_recorded_and_the_others_are_timed(
    store: RunStore,
    monkeypatch: pytest.MonkeyPatch,
    failing: tuple[str, int, int],
) -> None:
    where, calls, round_ = failing
    failed = _fail(monkeypatch, where, lambda: torch.empty(TOO_MUCH), calls=calls)
    _time(store)
    _time(store)  # a second start does not try it again

    (failure,) = store.latency_failures()
    assert len(failed) == 1
    assert (failure.arm_id, failure.round) == (SECOND.id, round_)
    assert "allocate memory" in failure.reason
    assert failure.peak_memory_bytes is not None
    assert failure.peak_memory_bytes > 2**20
    assert _rounds(store, FIRST) == [-1, 0, 1, 2]
    assert _rounds(store, SECOND) == []
    assert RunStore.open_reader(store.path).latency_failures() == (failure,)
    assert any("could not be timed: failed" in finding for finding in store.findings)


def _calls(store: RunStore) -> list[tuple[str, str, int, int]]:
    return sorted((s.arm_id, s.scenario, s.round, s.clips) for s in store.timed())


WHOLE_PASS = sorted(
    [(arm.id, "single", number, 1) for arm in (FIRST, SECOND) for number in (-1, 0, 1, 2)]
    + [(FIRST.id, "control", number, 1) for number in (0, 1, 2)]
    + [(arm.id, "offline", number, 2) for arm in (FIRST, SECOND) for number in (0, 1)]
)


def test_control_and_batches_are_timed_beside_single_clips(scenarios: RunStore) -> None:
    _time(scenarios)
    _time(scenarios)  # all is there: nothing is timed again

    assert _calls(scenarios) == WHOLE_PASS
    assert {s.scenario for s in scenarios.latency()} == {LatencyScenario.SINGLE}
    for one in scenarios.timed():
        parts = (one.text_s, one.denoise_s, one.decode_s, one.encode_s)
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(one.total_s)


def test_a_pass_stopped_among_the_batches_times_that_round_again(
    scenarios: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(BaseException):
        pass

    own = RunStore.append_latency

    def stop_at(self: RunStore, sample: LatencySample) -> None:
        if (sample.scenario, sample.round) == (LatencyScenario.OFFLINE, 1):
            raise Stopped
        own(self, sample)

    with monkeypatch.context() as patched:
        patched.setattr(RunStore, "append_latency", stop_at)
        with pytest.raises(Stopped):
            _time(scenarios)
    _time(scenarios)

    assert _calls(scenarios) == WHOLE_PASS  # it was the first of its round


def test_batches_come_after_the_last_single_clip(scenarios: RunStore) -> None:
    """A process that made a batch keeps memory that a single clip never needed."""
    _time(scenarios)
    order = [one.scenario is LatencyScenario.OFFLINE for one in scenarios.timed()]

    assert order == sorted(order)


def test_a_batch_without_memory_leaves_single_clips_timed(
    scenarios: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = AnimateDiffFamily.denoise

    def greedy(self: AnimateDiffFamily, embeddings: Any, seeds: Any) -> Any:
        if len(seeds) > 1 and self._ready().loras:
            torch.empty(TOO_MUCH)
        return own(self, embeddings, seeds)

    monkeypatch.setattr(AnimateDiffFamily, "denoise", greedy)
    _time(scenarios)
    _time(scenarios)

    (failure,) = scenarios.latency_failures()
    assert (failure.arm_id, failure.scenario) == (SECOND.id, LatencyScenario.OFFLINE)
    assert _calls(scenarios) == [c for c in WHOLE_PASS if c[:2] != (SECOND.id, "offline")]


def test_the_first_clip_of_a_batch_is_the_rounds_single_clip(
    scenarios: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    own = AnimateDiffFamily.denoise

    def watched(self: AnimateDiffFamily, embeddings: Any, seeds: Any) -> Any:
        seen.append(tuple(seeds))
        return own(self, embeddings, seeds)

    monkeypatch.setattr(AnimateDiffFamily, "denoise", watched)
    _time(scenarios)

    assert set(seen) == {(0,), (1,), (2,), (3,), (0, 1), (1, 2), (2, 3)}


def test_a_lost_device_stops_the_process_and_the_next_one_times_the_others(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    _fail(monkeypatch, "denoise", lost, calls=1)
    with pytest.raises(DeviceLostError, match="Type the same command again"):
        _time(store)
    _time(store)

    assert [failure.arm_id for failure in store.latency_failures()] == [SECOND.id]
    assert _rounds(store, FIRST)[-3:] == [0, 1, 2]


def test_the_command_starts_again_in_a_new_process_when_the_device_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise DeviceLostError("cuda:0: lost")

    begun: list[list[str]] = []
    monkeypatch.setattr("poc.run.run", lost)
    monkeypatch.setattr(os, "execv", lambda _, words: begun.append(words))
    monkeypatch.setattr(sys, "argv", ["/usr/bin/poc", "run", "spec.yaml"])

    assert cli.main(["run", "spec.yaml"]) == EXIT_CODE  # only where no new process begins
    assert begun == [[sys.executable, "-m", "poc", "run", "spec.yaml"]]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("_put_loras_in", "base weights differ"),
        ("denoise", "CUDA error: no kernel image is available for execution on the device"),
    ],
)
def test_a_fault_of_program_or_machine_stops_the_latency_pass_and_is_no_arms(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, where: str, said: str
) -> None:
    def broken() -> None:
        raise RuntimeError(said)

    _fail(monkeypatch, where, broken, calls=0)
    with pytest.raises(RuntimeError, match=said):
        _time(store)

    assert store.latency_failures() == ()


def test_an_arm_fails_once_and_one_of_the_plan(store: RunStore) -> None:
    failure = LatencyFailure(arm_id=FIRST.id, round=0, reason="no room", peak_memory_bytes=None)
    store.append_latency_failure(failure)

    with pytest.raises(ValueError, match="could not be timed before"):
        store.append_latency_failure(failure)
    with pytest.raises(ValueError, match="is not in the plan"):
        store.append_latency_failure(failure.model_copy(update={"arm_id": "0" * 16}))


def test_a_failure_goes_along_into_a_baseline_and_an_audit(store: RunStore) -> None:
    def packed() -> list[str]:
        return zipfile.ZipFile(io.BytesIO(baseline.packed(store))).namelist()

    assert LATENCY_FAILURES not in packed()
    store.append_latency_failure(
        LatencyFailure(arm_id=FIRST.id, round=0, reason="no room", peak_memory_bytes=1)
    )

    assert LATENCY_FAILURES in packed()
    assert audit._MEMBER.fullmatch(f"run/{LATENCY_FAILURES}")


def test_where_no_arm_is_left_every_round_is_complete(store: RunStore) -> None:
    both = [(arm.id, LatencyScenario.SINGLE) for arm in (FIRST, SECOND)]

    assert complete_rounds([], store.plan, both) == 1 + 3
    assert complete_rounds([], store.plan, both[:1]) == 0


# --- devices -------------------------------------------------------------------------------------


def test_every_worker_has_a_device_of_its_own(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(generate, "Families", lambda _, device: seen.append(device))
    setup = _setup(folders, devices=("cuda:0", "cuda:1"))
    for worker in (0, 1, 1):
        setup(worker)

    assert seen == ["cuda:0", "cuda:1", "cuda:1"]


def test_memory_is_counted_on_the_device_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", used.append)
    for device in ("cpu", "cuda:1"):
        AnimateDiffFamily(base="base", dtype="float32", folders={}, device=device)

    assert used == [torch.device("cuda:1")]


@pytest.mark.parametrize(
    ("devices", "makers"), [(("cpu",), 8), (("cuda:0",), 1), (("cuda:0", "cuda:1"), 2)]
)
def test_a_device_gets_one_process_and_a_cpu_as_many_as_asked(
    devices: tuple[str, ...], makers: int
) -> None:
    machine = Machine(workers=8, threads=1, devices=devices)

    assert machine.makers == makers
    assert machine.device == devices[0]


def test_several_devices_are_named_each_once() -> None:
    assert _devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    for wrong in ("cuda:0,cuda:0", "cpu,cuda:0", "cpu,cpu"):
        with pytest.raises(InputError, match="each once"):
            _devices(wrong)
