"""A batch that fails costs itself alone and is recorded with its memory; devices share the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_components import lora, make_arm, write_models

from poc import generate
from poc.errors import InputError
from poc.generate import GeneratedBatch, Machine, QualitySetup, _publish
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.records import Arm, Batch, ClipRequest, ClipStatus, Generation
from poc.run import _devices

FIRST, SECOND = make_arm(steps=1), make_arm(steps=1, loras=(lora("lora_a"),))
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


@pytest.mark.parametrize("where", ["decode", "_put_loras_in"])
def test_a_batch_without_memory_is_recorded_and_its_neighbours_are_untouched(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    whole = [_setup(folders)(0)(batch) for batch in ORDER]
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
