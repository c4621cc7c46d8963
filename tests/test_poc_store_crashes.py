"""The run folder against kills, full disks and power cuts, at every single operation.

Nothing here needs a real flush: a kill leaves the system's cache alone, and the power cut is
played. So flushes are counted but not waited for, which makes the loops quick.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import fault_injection as fi
import pytest
import small_run

from poc import disk
from poc.errors import InputError
from poc.ownership import LOCK_NAME
from poc.store import RunStore


def snapshot(path: Path) -> dict[str, bytes]:
    """Everything in a run folder but the note of its owner."""
    files = (file for file in path.rglob("*") if file.is_file() and file.name != LOCK_NAME)
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def ignore(_: str) -> None:
    """Hear an acknowledgement and forget it."""


def unwaited(_: int) -> None:
    """Stand in for a flush."""


@pytest.fixture(autouse=True, scope="module")
def _unwaited_flushes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "_fsync", unwaited)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """The folder of a run that nothing happened to."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    small_run.perform(path, ignore)
    return snapshot(path)


def assert_nothing_acknowledged_is_lost(path: Path, acknowledged: tuple[str, ...]) -> None:
    if not (path / "manifest.json").exists():
        assert acknowledged == ()
        return
    store = RunStore.open_reader(path)
    there = {f"resolved {arm.arm_id}" for arm in store.resolved()}
    there |= {f"published {made.batch_id}" for made in store.generations()}
    there |= {f"timed {sample.arm_id}" for sample in store.latency()}
    there |= {f"measured {one.clip_id}" for one in store.measurements()}
    there |= {"estimated"} if store.read_derived("estimates.json") else set()

    assert {text for text in acknowledged if not text.startswith("begun")} <= there
    for made in store.generations():
        for clip in made.clips:
            store.read_clip(clip.clip_id)


def assert_nothing_is_made_twice(first: tuple[str, ...], second: tuple[str, ...]) -> None:
    published = {text.split()[1] for text in first if text.startswith("published")}
    begun = {text.split()[1] for text in second if text.startswith("begun")}

    assert published.isdisjoint(begun)


def interruptions(folder: Path, action: fi.Action) -> Iterator[tuple[Path, fi.Ended]]:
    """Run once for each operation, hit at that one; ends with the first run that gets through."""
    for nth in itertools.count(1):
        path = folder / str(nth) / "run"
        ended = fi.forked(partial(small_run.perform, path), fi.Fault(nth, action))
        if ended.code == 0:
            return
        yield path, ended


# --- kills ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [fi.Action.KILL, fi.Action.TEAR])
def test_a_run_killed_at_any_operation_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Mapping[str, bytes], action: fi.Action
) -> None:
    kills = 0
    for path, ended in interruptions(tmp_path, action):
        kills += 1
        assert ended.killed, ended.error
        assert_nothing_acknowledged_is_lost(path, ended.acknowledged)
        again: list[str] = []
        small_run.perform(path, again.append)
        assert_nothing_is_made_twice(ended.acknowledged, tuple(again))
        assert snapshot(path) == undisturbed

    assert kills > 60


def test_a_run_killed_again_and_again_still_gets_done(
    tmp_path: Path, undisturbed: Mapping[str, bytes]
) -> None:
    heard: tuple[str, ...] = ()
    for attempt in range(1, 100):
        ended = fi.forked(
            partial(small_run.perform, tmp_path / "run"),
            fi.Fault(14 + attempt % 5, fi.Action.TEAR),
        )
        assert_nothing_is_made_twice(heard, ended.acknowledged)
        heard += ended.acknowledged
        assert_nothing_acknowledged_is_lost(tmp_path / "run", heard)
        if ended.code == 0:
            break

    assert attempt > 5
    assert snapshot(tmp_path / "run") == undisturbed


def test_the_fault_loop_itself_notices_a_store_that_forgets(
    tmp_path: Path, undisturbed: Mapping[str, bytes]
) -> None:
    path = tmp_path / "run"
    fi.forked(partial(small_run.perform, path), fi.Fault(40, fi.Action.KILL))
    lines = (path / "generations.jsonl").read_bytes().splitlines(keepends=True)
    acknowledged = tuple(
        f"published {made.batch_id}" for made in RunStore.open_reader(path).generations()
    )
    (path / "generations.jsonl").write_bytes(b"".join(lines[1:]))

    with pytest.raises(AssertionError):
        assert_nothing_acknowledged_is_lost(path, acknowledged)
    assert snapshot(path) != undisturbed


# --- full and broken disks -----------------------------------------------------------------------


@pytest.mark.parametrize("action", [fi.Action.HALF_FULL, fi.Action.FULL_ONCE, fi.Action.BROKEN])
def test_a_disk_that_refuses_at_any_operation_is_one_clear_error_and_the_run_goes_on(
    tmp_path: Path, undisturbed: Mapping[str, bytes], action: fi.Action
) -> None:
    refusals = 0
    for path, ended in interruptions(tmp_path, action):
        refusals += 1
        assert ended.code == 2, ended.error
        wanted = "the disk refused" if action is fi.Action.BROKEN else "disk full"
        assert wanted in ended.error
        assert "run the same command to go on" in ended.error
        assert "Traceback" not in ended.error
        assert not list(path.rglob("*.tmp"))
        assert_nothing_acknowledged_is_lost(path, ended.acknowledged)
        small_run.perform(path, ignore)
        assert snapshot(path) == undisturbed

    assert refusals > 60


def test_a_refused_append_leaves_nothing_and_the_owner_may_try_again(tmp_path: Path) -> None:
    with small_run.open_store(tmp_path / "run") as store:
        store.append_resolved(small_run.resolved(store.plan.arms[0]))
        store.append_resolved(small_run.resolved(store.plan.arms[1]))
        before = (tmp_path / "run" / "generations.jsonl").read_bytes()
        fault = fi.Fault(1, fi.Action.HALF_FULL, on=frozenset({"write"}))
        batch = store.plan.batches[0]
        digests = [store.write_clip(clip.id, small_run.frames(clip)) for clip in batch.clips]
        with fi.injected(fault), pytest.raises(InputError, match=r"disk full .* bytes"):
            store.append_generation(small_run.generation(batch, digests))
        during = (tmp_path / "run" / "generations.jsonl").read_bytes()
        store.append_generation(small_run.generation(batch, digests))

        assert during == before
        assert len(store.generations()) == 1
    assert RunStore.open_reader(tmp_path / "run").findings == ()


# --- power cuts ----------------------------------------------------------------------------------


class PowerCutError(BaseException):
    """The lights go out; not for anybody to catch."""


class Surface:
    """What a disk keeps without power: contents as last flushed, names as last flushed.

    Stands in for the operations of `poc.disk`; at the `nth` it rebuilds the folder in `ruins`.
    """

    def __init__(self, root: Path, ruins: Path, nth: int) -> None:
        self.root, self.ruins, self.nth, self.count = root, ruins, nth, 0
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, tuple[int, bool]]] = {}
        self._keep_names(root)

    def __call__(self, name: str, original: Any, *arguments: Any) -> Any:
        self.count += 1
        if self.count == self.nth:
            self._rebuild(self.root.stat().st_ino, self.ruins)
        if self.count >= self.nth:
            raise PowerCutError
        result = original(*arguments)
        if name == "fsync":
            self._keep(Path(f"/proc/self/fd/{arguments[0]}").resolve())
        return result

    def _keep(self, path: Path) -> None:
        if path.is_dir():
            self._keep_names(path)
        else:
            self.contents[path.stat().st_ino] = path.read_bytes()

    def _keep_names(self, folder: Path) -> None:
        entries = {p.name: (p.stat().st_ino, p.is_dir()) for p in folder.iterdir()}
        self.names[folder.stat().st_ino] = entries

    def _rebuild(self, folder: int, target: Path) -> None:
        target.mkdir()
        for name, (inode, is_folder) in self.names.get(folder, {}).items():
            if is_folder:
                self._rebuild(inode, target / name)
            else:
                (target / name).write_bytes(self.contents.get(inode, b""))


def test_a_power_cut_at_any_operation_loses_nothing_that_was_acknowledged(
    tmp_path: Path, undisturbed: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for nth in itertools.count(1):
        heard: list[str] = []
        root = tmp_path / f"{nth}"
        root.mkdir()
        surface = Surface(root, tmp_path / f"{nth}-ruins", nth)
        with monkeypatch.context() as patch:
            for name in fi.OPERATIONS:
                patch.setattr(disk, f"_{name}", partial(surface, name, getattr(disk, f"_{name}")))
            try:
                small_run.perform(root / "run", heard.append)
                break
            except PowerCutError:
                pass
        path = surface.ruins / "run"
        assert_nothing_acknowledged_is_lost(path, tuple(heard))
        small_run.perform(path, ignore)
        assert snapshot(path) == undisturbed

    assert nth > 60


def test_without_flushing_a_power_cut_does_lose_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    (tmp_path / "root").mkdir()
    surface = Surface(tmp_path / "root", tmp_path / "ruins", 45)
    for name in ("write", "truncate", "replace"):
        monkeypatch.setattr(disk, f"_{name}", partial(surface, name, getattr(disk, f"_{name}")))

    with pytest.raises(PowerCutError):
        small_run.perform(tmp_path / "root" / "run", heard.append)

    with pytest.raises(AssertionError):
        assert_nothing_acknowledged_is_lost(surface.ruins / "run", tuple(heard))


# --- the wrapper around the command line ---------------------------------------------------------


def test_a_fresh_interpreter_is_killed_at_the_operation_asked_for(
    tmp_path: Path, undisturbed: Mapping[str, bytes]
) -> None:
    path = tmp_path / "run"
    killed = fi.run_killed_at(25, [str(path)], on=["fsync"], target="small_run:main")
    done = fi.run_killed_at(10_000, [str(path)], on=["fsync"], target="small_run:main")

    assert (killed.returncode, done.returncode) == (-9, 0), killed.stderr + done.stderr
    assert_nothing_is_made_twice(tuple(killed.stdout.splitlines()), tuple(done.stdout.splitlines()))
    assert snapshot(path) == undisturbed


# --- owners that die -----------------------------------------------------------------------------


def hang_up() -> None:
    """Close the pipes to the test, so that it need not wait for this process."""
    for entry in Path("/proc/self/fd").iterdir():
        if entry.exists() and entry.is_fifo():
            os.close(int(entry.name))


def test_a_worker_that_outlives_its_killed_owner_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "run"

    def own_and_leave_an_orphan(acknowledge: fi.Acknowledge) -> None:
        with small_run.open_store(path):
            orphan = os.fork()
            if orphan == 0:
                hang_up()
                time.sleep(30)
                os._exit(0)
            acknowledge(str(orphan))
            os.kill(os.getpid(), 9)

    ended = fi.forked(own_and_leave_an_orphan, fi.Fault(1, fi.Action.COUNT, on=frozenset()))
    try:
        small_run.open_store(path).release()
    finally:
        os.kill(int(ended.acknowledged[0]), 9)

    assert ended.killed
