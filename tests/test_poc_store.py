"""What a run folder promises to its owner and to its readers."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fault_injection as fi
import numpy as np
import numpy.typing as npt
import pytest
import small_run
from PIL import Image

from metrics import frames as frame_protocol
from poc import disk
from poc import records as r
from poc.errors import InputError
from poc.store import Manifest, RunStore

PLAN = small_run.plan()
ARM, OTHER_ARM = PLAN.arms
BATCH = PLAN.batches[0]
CLIP = BATCH.clips[0]
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _unwaited_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No law here is about power; tests/test_poc_store_crashes.py has those."""
    monkeypatch.setattr(disk, "_fsync", lambda _: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one"


@pytest.fixture
def store(path: Path) -> Iterator[RunStore]:
    """A new run whose arms are resolved."""
    with small_run.open_store(path) as opened:
        for arm in PLAN.arms:
            opened.append_resolved(small_run.resolved(arm))
        yield opened


def tree(path: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below `path` with its bytes and its time of change."""
    return {
        str(p.relative_to(path)): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in path.rglob("*")
        if p.is_file()
    }


def result(clip: r.ClipRequest, status: r.ClipStatus, digest: str | None) -> r.ClipResult:
    reason = "" if status is r.ClipStatus.OK else "a reason"
    return r.ClipResult(clip_id=clip.id, status=status, reason=reason, frames_digest=digest)


def set_value(metric: str, value: float | None) -> r.Measurement:
    """A measurement of the first arm's whole set."""
    return r.Measurement(
        metric=metric,
        version=1,
        arm_id=ARM.id,
        clip_id=None,
        value=value,
        status=r.MeasurementStatus.NOT_MEASURED if value is None else r.MeasurementStatus.OK,
        reason="too few clips" if value is None else "",
        extractor=None,
    )


# --- what comes in comes out ---------------------------------------------------------------------


def test_everything_written_is_read_back_by_a_reader_and_by_the_next_owner(
    store: RunStore, path: Path
) -> None:
    small_run.publish(store, BATCH)
    store.append_latency(small_run.latency(ARM))
    store.append_measurements([small_run.measurement(clip) for clip in BATCH.clips])
    store.write_derived("estimates.json", "{}")
    reader = RunStore.open_reader(path)
    store.release()

    with RunStore.open_writer(path) as owner:
        for seen in (reader, owner):
            assert (seen.plan, seen.manifest) == (PLAN, small_run.manifest(PLAN))
            assert [one.batch_id for one in seen.generations()] == [BATCH.id]
            assert seen.resolved() == tuple(small_run.resolved(arm) for arm in PLAN.arms)
            assert seen.latency() == (small_run.latency(ARM),)
            assert {one.clip_id for one in seen.measurements()} == {c.id for c in BATCH.clips}
            assert seen.read_derived("estimates.json") == "{}"
            assert seen.read_derived("decision.json") is None
            assert seen.findings == ()


def test_a_reader_sees_what_is_added_while_it_looks(store: RunStore, path: Path) -> None:
    reader = RunStore.open_reader(path)
    before = reader.generations()
    small_run.publish(store, BATCH)
    after = reader.generations()

    assert (before, after) == ((), store.generations())
    assert np.array_equal(reader.read_clip(CLIP.id), small_run.frames(CLIP))


def test_a_reader_never_writes(store: RunStore, path: Path) -> None:
    small_run.publish(store, BATCH)
    before = tree(path)
    reader = RunStore.open_reader(path)
    reader.counts(ARM.id)

    with pytest.raises(ValueError, match="reading only"):
        reader.append_latency(small_run.latency(ARM))
    with pytest.raises(ValueError, match="reading only"):
        reader.write_clip(CLIP.id, small_run.frames(CLIP))
    with pytest.raises(ValueError, match="reading only"):
        reader.write_derived("estimates.json", "{}")
    with pytest.raises(ValueError, match="reading only"):
        reader.close("enough")
    assert tree(path) == before


def test_an_owner_that_has_left_can_no_longer_write(store: RunStore) -> None:
    store.release()
    store.release()

    with pytest.raises(ValueError, match="reading only"):
        store.append_latency(small_run.latency(ARM))


def test_batches_come_in_the_order_of_the_plan_whatever_order_they_were_made_in(
    store: RunStore,
) -> None:
    for batch in reversed(PLAN.batches):
        small_run.publish(store, batch)

    assert [one.batch_id for one in store.generations()] == [batch.id for batch in PLAN.batches]


def test_the_order_of_measuring_leaves_no_trace(tmp_path: Path) -> None:
    seen = []
    for name, step in (("forward", 1), ("backward", -1)):
        with small_run.open_store(tmp_path / name) as store:
            for clip in BATCH.clips[::step]:
                store.append_measurements([small_run.measurement(clip)])
            seen.append(store.measurements())

    assert seen[0] == seen[1]
    assert len(seen[0]) == 2


# --- batches -------------------------------------------------------------------------------------


def test_a_batch_is_never_accepted_twice(store: RunStore) -> None:
    small_run.publish(store, BATCH)
    again = store.generations()[0]

    with pytest.raises(ValueError, match=f"clip {CLIP.id} is published already"):
        store.write_clip(CLIP.id, small_run.frames(CLIP))
    with pytest.raises(ValueError, match="write_clip was given none"):
        store.append_generation(again)
    failed = again.model_copy(
        update={"clips": tuple(result(c, r.ClipStatus.FAILED, None) for c in BATCH.clips)}
    )
    with pytest.raises(ValueError, match=f"batch {BATCH.id} is published already"):
        store.append_generation(failed)
    assert store.generations() == (again,)


def test_a_batch_written_twice_behind_our_back_counts_once(store: RunStore, path: Path) -> None:
    small_run.publish(store, BATCH)
    store.release()
    file = path / "generations.jsonl"
    file.write_bytes(file.read_bytes() * 2)
    reader = RunStore.open_reader(path)

    assert len(reader.generations()) == 1
    assert len(reader.findings) == 1
    assert reader.findings[0].startswith("generations.jsonl:2: record left out: batch")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_id": "0" * 16}, "is not in the plan"),
        ({"arm_id": OTHER_ARM.id}, "digest of its arm|belongs to arm"),
        ({"clips": ()}, "is planned as clips"),
        ({"resolved_digest": "0" * 64}, "digest of its arm as resolved"),
    ],
)
def test_a_batch_that_is_not_as_planned_is_refused(
    store: RunStore, changes: dict[str, Any], message: str
) -> None:
    digests = [store.write_clip(clip.id, small_run.frames(clip)) for clip in BATCH.clips]
    wrong = small_run.generation(BATCH, digests).model_copy(update=changes)

    with pytest.raises(ValueError, match=message):
        store.append_generation(wrong)
    assert store.generations() == ()


def test_a_pending_clip_is_not_published(store: RunStore) -> None:
    made = small_run.generation(BATCH, ["a" * 64] * 2)
    pending = tuple(result(clip, r.ClipStatus.PENDING, None) for clip in BATCH.clips)

    with pytest.raises(ValueError, match="published whole"):
        store.append_generation(made.model_copy(update={"clips": pending}))


def test_a_record_may_only_name_frames_that_were_written_for_it(store: RunStore) -> None:
    digest = store.write_clip(CLIP.id, small_run.frames(CLIP))

    with pytest.raises(ValueError, match="write_clip was given none"):
        store.append_generation(small_run.generation(BATCH, [digest, digest]))


def test_frames_left_by_a_dead_attempt_prove_nothing(store: RunStore, path: Path) -> None:
    digests = [store.write_clip(clip.id, small_run.frames(clip)) for clip in BATCH.clips]
    store.release()

    with (
        RunStore.open_writer(path) as later,
        pytest.raises(ValueError, match="write_clip was given none"),
    ):
        later.append_generation(small_run.generation(BATCH, digests))


def test_a_batch_that_failed_before_its_arm_loaded_is_a_record_too(path: Path) -> None:
    failed = small_run.generation(BATCH, ["a" * 64] * 2).model_copy(
        update={
            "clips": tuple(result(clip, r.ClipStatus.FAILED, None) for clip in BATCH.clips),
            "resolved_digest": "",
        }
    )
    with small_run.open_store(path) as store:
        store.append_generation(failed)

        assert store.generations() == (failed,)
        assert store.counts(ARM.id).failed == 2


def test_a_batch_whose_worker_died_is_a_record_though_its_arm_was_loaded_before(
    store: RunStore,
) -> None:
    failed = small_run.generation(BATCH, ["a" * 64] * 2).model_copy(
        update={
            "clips": tuple(result(clip, r.ClipStatus.FAILED, None) for clip in BATCH.clips),
            "resolved_digest": "",
            "peak_memory_bytes": 5,
        }
    )
    assert store.resolved()
    store.append_generation(failed)

    assert store.generations() == (failed,)


def test_clips_of_an_arm_that_was_never_resolved_are_refused(path: Path) -> None:
    with (
        small_run.open_store(path) as store,
        pytest.raises(ValueError, match="append_resolved comes first"),
    ):
        small_run.publish(store, BATCH)


def test_every_planned_clip_is_counted_once(store: RunStore) -> None:
    ok, invalid = BATCH.clips
    digests = [store.write_clip(clip.id, small_run.frames(clip)) for clip in BATCH.clips]
    clips = (
        result(ok, r.ClipStatus.OK, digests[0]),
        result(invalid, r.ClipStatus.INVALID, digests[1]),
    )
    made = small_run.generation(BATCH, digests).model_copy(update={"clips": clips})
    store.append_generation(made)

    assert store.counts(ARM.id) == r.Counts(planned=3, ok=1, failed=0, invalid=1, pending=1)
    assert store.counts(OTHER_ARM.id) == r.Counts(planned=3, ok=0, failed=0, invalid=0, pending=3)
    assert set(store.results()) == {ok.id, invalid.id}


def test_a_block_is_complete_once_every_arm_has_it(store: RunStore) -> None:
    small_run.publish(store, PLAN.batches[0])
    half = store.complete_blocks()
    small_run.publish(store, PLAN.batches[1])

    assert (half, store.complete_blocks()) == ((), (0,))
    assert store.pending_batches() == PLAN.batches[2:]


# --- arms ----------------------------------------------------------------------------------------


def test_an_arm_resolved_the_same_again_changes_nothing(store: RunStore, path: Path) -> None:
    before = (path / "resolved.jsonl").read_bytes()
    store.append_resolved(small_run.resolved(ARM))

    assert (path / "resolved.jsonl").read_bytes() == before


def test_an_arm_that_is_not_what_it_was_is_refused_by_name_of_the_component(
    store: RunStore, path: Path
) -> None:
    store.release()
    with (
        small_run.open_store(path) as later,
        pytest.raises(InputError, match=r"arm lcm-1 .*component_digests\.unet: .*begin anew"),
    ):
        later.append_resolved(small_run.resolved(ARM, weights="2" * 64))


def test_clips_tell_what_an_arm_was_when_its_own_record_is_damaged(
    store: RunStore, path: Path
) -> None:
    small_run.publish(store, BATCH)
    store.release()
    file = path / "resolved.jsonl"
    file.write_bytes(file.read_bytes().replace(b"LCMScheduler", b"XXXScheduler"))
    with small_run.open_store(path) as later:
        assert len(later.generations()) == 1
        with pytest.raises(InputError, match="has clips made with resolved digest"):
            later.append_resolved(small_run.resolved(ARM, weights="2" * 64))
        later.append_resolved(small_run.resolved(ARM))

        assert later.resolved() == (small_run.resolved(ARM),)


# --- measurements --------------------------------------------------------------------------------


def test_a_group_is_one_line_so_that_it_is_published_whole(store: RunStore, path: Path) -> None:
    group = [small_run.measurement(clip, m) for clip in BATCH.clips for m in ("a", "b", "c")]
    store.append_measurements(group)
    store.append_measurements([])

    assert (path / "measurements.jsonl").read_bytes().count(b"\n") == 1
    assert len(store.measurements()) == 6


def test_a_clip_is_measured_once_by_each_version_of_a_metric(store: RunStore) -> None:
    one = small_run.measurement(CLIP)
    newer = one.model_copy(update={"version": 2})
    store.append_measurements([one])
    store.append_measurements([newer])

    with pytest.raises(ValueError, match="is measured already"):
        store.append_measurements([one])
    with pytest.raises(ValueError, match="comes twice"):
        store.append_measurements([small_run.measurement(BATCH.clips[1])] * 2)
    assert store.measurements() == (one, newer)


def test_a_value_of_a_whole_set_may_be_taken_again_when_there_are_more_clips(
    store: RunStore,
) -> None:
    store.append_measurements([set_value("fvd", None)])
    store.append_measurements([set_value("fvd", 3.0)])
    store.append_measurements([set_value("fvd", 2.0)])

    assert store.measurements() == (set_value("fvd", 2.0),)


def test_a_measurement_of_another_arms_clip_is_refused(store: RunStore) -> None:
    wrong = small_run.measurement(CLIP).model_copy(update={"arm_id": OTHER_ARM.id})

    with pytest.raises(ValueError, match="is not planned for arm"):
        store.append_measurements([wrong])


# --- closing -------------------------------------------------------------------------------------


def test_a_closed_run_says_why_and_makes_nothing_more(store: RunStore, path: Path) -> None:
    small_run.publish(store, PLAN.batches[0])
    small_run.publish(store, PLAN.batches[1])
    store.close(" budget spent ")

    with pytest.raises(InputError, match="budget spent"):
        small_run.publish(store, PLAN.batches[2])
    with pytest.raises(InputError, match="budget spent"):
        store.append_latency(small_run.latency(ARM))
    with pytest.raises(InputError, match="was closed"):
        store.close("again")
    store.append_measurements([small_run.measurement(CLIP)])
    reader = RunStore.open_reader(path)
    assert reader.closed_reason == "budget spent"
    assert reader.closings()[0].blocks == (0,)


def test_a_closed_run_may_be_taken_up_again_and_both_are_on_record(store: RunStore) -> None:
    with pytest.raises(InputError, match="not closed"):
        store.reopen("more money")
    store.close("budget spent")
    store.reopen("more money")
    small_run.publish(store, BATCH)

    assert store.closed_reason is None
    assert [one.action for one in store.closings()] == ["closed", "reopened"]


def test_closing_needs_a_reason(store: RunStore) -> None:
    with pytest.raises(InputError, match="--reason"):
        store.close("  ")
    assert store.closed_reason is None


# --- clips and features --------------------------------------------------------------------------


def test_frames_come_back_bit_for_bit_and_are_a_film_strip_for_anybody(
    store: RunStore, path: Path
) -> None:
    small_run.publish(store, BATCH)
    with Image.open(path / "clips" / f"{CLIP.id}.png") as strip:
        seen = np.asarray(strip)

    assert np.array_equal(store.read_clip(CLIP.id), small_run.frames(CLIP))
    assert np.array_equal(seen, small_run.frames(CLIP).reshape(24, 8, 3))


def test_the_digest_is_the_one_that_metrics_take(store: RunStore) -> None:
    frames = small_run.frames(CLIP)

    assert store.write_clip(CLIP.id, frames) == frame_protocol.digest(frames)


def test_a_clip_of_the_wrong_shape_is_kept_to_be_looked_at(store: RunStore) -> None:
    odd = np.zeros((5, 4, 6, 3), np.uint8)
    store.write_clip(CLIP.id, odd)

    assert store.read_clip(CLIP.id, verify=False).shape == (5, 4, 6, 3)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 8, 8, 3), np.float32),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((3, 8, 8, 4), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
)
def test_what_is_no_clip_is_refused(store: RunStore, frames: Any) -> None:
    with pytest.raises(ValueError, match="frames must"):
        store.write_clip(CLIP.id, frames)


def test_exchanged_frames_are_noticed(store: RunStore) -> None:
    small_run.publish(store, BATCH)
    one, other = (store.clip_path(clip.id) for clip in BATCH.clips)
    one.write_bytes(other.read_bytes())

    with pytest.raises(InputError, match=rf"{CLIP.id}\.png: expected frames of digest"):
        store.read_clip(CLIP.id)
    store.read_clip(CLIP.id, verify=False)


def test_frames_without_a_record_are_no_clip(store: RunStore) -> None:
    store.write_clip(CLIP.id, small_run.frames(CLIP))

    with pytest.raises(InputError, match="no such record"):
        store.read_clip(CLIP.id)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_cut_off_clips_and_features_are_named(store: RunStore, path: Path, share: float) -> None:
    small_run.publish(store, BATCH)
    store.write_features(CLIP.id, {"video": np.zeros((4, 3))})
    for file in (store.clip_path(CLIP.id), path / "features" / f"{CLIP.id}.npz"):
        data = file.read_bytes()
        file.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(InputError, match=rf"{CLIP.id}\.png"):
        store.read_clip(CLIP.id)
    with pytest.raises(InputError, match=rf"{CLIP.id}\.npz.*run again"):
        store.read_features(CLIP.id)


def test_missing_clips_and_features_are_named(store: RunStore) -> None:
    with pytest.raises(InputError, match=r"\.png: is missing"):
        store.read_clip(CLIP.id)
    with pytest.raises(InputError, match=r"\.npz: is missing"):
        store.read_features(CLIP.id)


def test_a_foreign_picture_in_place_of_a_clip_is_refused(store: RunStore) -> None:
    Image.new("RGB", (8, 24)).save(store.clip_path(CLIP.id))

    with pytest.raises(InputError, match="no readable film strip"):
        store.read_clip(CLIP.id, verify=False)


def test_features_come_back_with_their_types_and_as_the_same_bytes(
    store: RunStore, path: Path
) -> None:
    arrays: dict[str, npt.NDArray[Any]] = {
        "video": np.arange(6, dtype=np.float64).reshape(2, 3),
        "image": np.asfortranarray(np.ones((2, 2), np.float32)),
        "n": np.array(3),
    }
    file = path / "features" / f"{CLIP.id}.npz"
    missing = store.has_features(CLIP.id)
    store.write_features(CLIP.id, arrays)
    first = file.read_bytes()
    store.write_features(CLIP.id, {name: arrays[name] for name in reversed(arrays)})
    back = store.read_features(CLIP.id)

    assert (missing, store.has_features(CLIP.id)) == (False, True)
    assert file.read_bytes() == first
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)
    with zipfile.ZipFile(file) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_features_hold_numbers_only(store: RunStore) -> None:
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        store.write_features(CLIP.id, {"video": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="array name"):
        store.write_features(CLIP.id, {"../video": np.zeros(2)})
    assert not store.has_features(CLIP.id)


def test_viewing_copies_lie_beside_their_clip(store: RunStore, path: Path) -> None:
    missing = store.view_path(CLIP.id)
    store.write_view(CLIP.id, b"a film", ".webm")

    assert missing is None
    assert store.view_path(CLIP.id) == path / "clips" / f"{CLIP.id}.webm"
    with pytest.raises(ValueError, match="suffix"):
        store.write_view(CLIP.id, b"", ".png")


@pytest.mark.parametrize(
    "clip_id", ["", "../../etc/passwd", "A" * 16, "a" * 15, "a" * 17, "a" * 16 + "\n", "a\0" * 8]
)
def test_only_ids_become_paths(store: RunStore, clip_id: str) -> None:
    for call in (store.read_clip, store.read_features, store.has_features, store.view_path):
        with pytest.raises(InputError, match="16 lower-case hexadecimal"):
            call(clip_id)
    with pytest.raises(InputError, match="16 lower-case hexadecimal"):
        store.write_clip(clip_id, small_run.frames(CLIP))


def test_a_clip_that_was_not_planned_has_no_place(store: RunStore) -> None:
    with pytest.raises(ValueError, match="not in the plan"):
        store.write_clip("0" * 16, small_run.frames(CLIP))


@pytest.mark.parametrize(
    "name", ["manifest.json", "plan.json", "generations.jsonl", "../x.json", "clips/x.json", "x"]
)
def test_a_derived_file_never_replaces_anything_else(store: RunStore, name: str) -> None:
    with pytest.raises(ValueError, match="derived file"):
        store.write_derived(name, "{}")


def test_a_derived_file_is_replaced_whole(store: RunStore, path: Path) -> None:
    store.write_derived("estimates.json", "long" * 100)
    store.write_derived("estimates.json", "short")

    assert store.read_derived("estimates.json") == "short"
    assert not list(path.rglob("*.tmp"))


def test_a_line_carries_the_checksum_of_its_record_for_anybody_to_check(
    store: RunStore, path: Path
) -> None:
    small_run.publish(store, BATCH)
    line = (path / "generations.jsonl").read_bytes().rstrip(b"\n")
    record = line.partition(b'"record":')[2][:-1]

    assert json.loads(line)["sha256"] == hashlib.sha256(record).hexdigest()[:16]
    assert json.loads(record)["batch_id"] == BATCH.id


def test_a_system_that_writes_byte_by_byte_loses_none(
    store: RunStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_write", lambda file, data: os.write(file, data[:1]))
    small_run.publish(store, BATCH)
    reader = RunStore.open_reader(path)

    assert (len(reader.generations()), reader.findings) == (1, ())
    assert np.array_equal(reader.read_clip(CLIP.id), small_run.frames(CLIP))


# --- damage --------------------------------------------------------------------------------------


def test_a_last_line_torn_at_any_byte_is_repaired_and_reported(store: RunStore, path: Path) -> None:
    small_run.publish(store, PLAN.batches[0])
    small_run.publish(store, PLAN.batches[1])
    store.release()
    file = path / "generations.jsonl"
    whole = file.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first + 1, len(whole)):
        file.write_bytes(whole[:cut])
        reader = RunStore.open_reader(path)
        assert len(reader.generations()) == 1
        assert reader.findings[0].startswith("generations.jsonl:2: the last line has no end")
        assert file.read_bytes() == whole[:cut]
        with RunStore.open_writer(path) as owner:
            kept = cut == len(whole) - 1  # nothing but the line's end is missing
            assert len(owner.generations()) == (2 if kept else 1)
            assert len(owner.findings) == 1
            assert owner.findings[0].startswith("generations.jsonl:2: ")
        assert file.read_bytes() == (whole if kept else whole[:first])
        assert RunStore.open_reader(path).findings == ()


def test_a_run_goes_on_behind_a_repaired_tail(store: RunStore, path: Path) -> None:
    small_run.publish(store, PLAN.batches[0])
    small_run.publish(store, PLAN.batches[1])
    store.release()
    file = path / "generations.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    with RunStore.open_writer(path) as owner:
        small_run.publish(owner, PLAN.batches[1])

    assert file.read_bytes() == whole


def test_a_tail_of_zeros_as_a_power_cut_can_leave_is_repaired(store: RunStore, path: Path) -> None:
    small_run.publish(store, BATCH)
    store.release()
    with (path / "generations.jsonl").open("ab") as file:
        file.write(bytes(4096))
    with RunStore.open_writer(path) as owner:
        assert len(owner.generations()) == 1
        assert "4096 bytes" in owner.findings[0]


def test_a_record_damaged_at_any_byte_is_named_and_hurts_no_other(
    store: RunStore, path: Path
) -> None:
    for batch in PLAN.batches[:3]:
        small_run.publish(store, batch)
    store.release()
    file = path / "generations.jsonl"
    whole = file.read_bytes()
    begin = whole.index(b"\n") + 1
    end = whole.index(b"\n", begin)
    others = {PLAN.batches[0].id, PLAN.batches[2].id}
    for place in range(begin, end, 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        if damaged[place] == ord("\n"):
            continue
        file.write_bytes(damaged)
        reader = RunStore.open_reader(path)
        assert {one.batch_id for one in reader.generations()} == others
        assert len(reader.findings) == 1
        assert reader.findings[0].startswith("generations.jsonl:2: damaged record left out")


def test_a_batch_whose_record_is_damaged_is_made_again(store: RunStore, path: Path) -> None:
    small_run.publish(store, PLAN.batches[0])
    small_run.publish(store, PLAN.batches[1])
    store.release()
    file = path / "generations.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"duration_s":0.5', b'"duration_s":0.6', 1))
    with RunStore.open_writer(path) as owner:
        pending = owner.pending_batches()
        small_run.publish(owner, PLAN.batches[0])

        assert pending[0] == PLAN.batches[0]
        assert len(owner.generations()) == 2
        assert len(owner.findings) == 1


def test_a_record_of_another_plan_is_left_out_by_name(
    store: RunStore, path: Path, tmp_path: Path
) -> None:
    small_run.publish(store, BATCH)
    store.release()
    other = small_run.plan(prompts=2, steps=(4, 8))
    small_run.open_store(tmp_path / "other", other).release()
    (tmp_path / "other" / "generations.jsonl").write_bytes(
        (path / "generations.jsonl").read_bytes()
    )
    reader = RunStore.open_reader(tmp_path / "other")

    assert reader.generations() == ()
    assert "not in the plan" in reader.findings[0]


@pytest.mark.parametrize("name", ["manifest.json", "plan.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b"\0" * 40])
def test_an_unreadable_beginning_is_an_error_and_never_a_fresh_start(
    store: RunStore, path: Path, name: str, content: bytes
) -> None:
    small_run.publish(store, BATCH)
    store.release()
    (path / name).write_bytes(content)
    before = tree(path)

    for call in (RunStore.open_reader, RunStore.open_writer, small_run.open_store):
        with pytest.raises(InputError, match=rf"{name}: cannot be read .*[Rr]estore"):
            call(path)
    after = tree(path)
    assert {k: v for k, v in after.items() if k != "owner.lock"} == {
        k: v for k, v in before.items() if k != "owner.lock"
    }


@pytest.mark.parametrize("name", ["plan.json", "generations.jsonl", "measurements.jsonl"])
def test_a_missing_part_is_an_error_that_names_it(store: RunStore, path: Path, name: str) -> None:
    store.release()
    (path / name).unlink()

    for call in (RunStore.open_reader, small_run.open_store):
        with pytest.raises(InputError, match=rf"{name}: is missing\. Restore"):
            call(path)
    assert not (path / name).exists()


def test_records_without_a_manifest_are_never_begun_anew(store: RunStore, path: Path) -> None:
    store.release()
    (path / "manifest.json").unlink()

    with pytest.raises(InputError, match=r"holds resolved\.jsonl, but no manifest\.json"):
        small_run.open_store(path)
    with pytest.raises(InputError, match=r"found no manifest\.json"):
        RunStore.open_reader(path)


def test_an_edited_plan_is_noticed(store: RunStore, path: Path) -> None:
    store.release()
    file = path / "plan.json"
    file.write_bytes(file.read_bytes().replace(b"prompt 0", b"prompt X"))

    with pytest.raises(InputError, match=r"plan\.json: not the plan this run was made from"):
        RunStore.open_reader(path)


def test_a_newer_format_is_refused_by_its_number(store: RunStore, path: Path) -> None:
    store.release()
    file = path / "manifest.json"
    newer = json.loads(file.read_text("utf-8")) | {"format_version": 7, "unknown": 1}
    file.write_text(json.dumps(newer), "utf-8")

    with pytest.raises(InputError, match=r"format version 7 is newer .* up to 1\. Update"):
        RunStore.open_reader(path)


# --- one owner -----------------------------------------------------------------------------------


def test_a_second_start_fails_at_once_and_says_who_is_there(store: RunStore, path: Path) -> None:
    who = f"process {os.getpid()} on {socket.gethostname()} since 20"

    for call in (small_run.open_store, RunStore.open_writer):
        with pytest.raises(InputError, match=f"in use by {who}"):
            call(path)
    store.append_latency(small_run.latency(ARM))


def test_a_second_start_in_another_process_fails_too(store: RunStore, path: Path) -> None:
    program = f"import sys, small_run; sys.exit(small_run.main([{str(path)!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
    )

    assert done.returncode == 1
    assert f"in use by process {os.getpid()}" in done.stderr
    assert store.generations() == ()


def test_other_run_folders_are_free(store: RunStore, tmp_path: Path) -> None:
    small_run.open_store(tmp_path / "runs" / "two").release()

    assert store.plan == PLAN


def test_a_folder_is_free_again_once_its_owner_has_left_or_failed(path: Path) -> None:
    class PlannedError(Exception):
        pass

    with pytest.raises(PlannedError), small_run.open_store(path):
        raise PlannedError
    small_run.open_store(path).release()
    with pytest.raises(InputError, match="another plan"):
        small_run.open_store(path, small_run.plan(prompts=2))
    small_run.open_store(path).release()


def test_a_stale_note_of_a_dead_owner_keeps_nobody_out(store: RunStore, path: Path) -> None:
    store.release()
    (path / "owner.lock").write_text('{"host": "gone", "pid": 1, "since": "2020"}', "utf-8")

    small_run.open_store(path).release()


def test_a_forked_worker_is_no_owner(store: RunStore) -> None:
    def write(_: fi.Acknowledge) -> None:
        store.append_latency(small_run.latency(ARM))

    ended = fi.forked(write, fi.Fault(1, fi.Action.COUNT, on=frozenset()))
    store.append_latency(small_run.latency(ARM))

    assert "ValueError" in ended.error
    assert "reading only" in ended.error
    assert len(store.latency()) == 1


# --- going on ------------------------------------------------------------------------------------


def test_the_same_plan_goes_on_and_the_first_manifest_stays(store: RunStore, path: Path) -> None:
    small_run.publish(store, BATCH)
    store.release()
    later = Manifest.of("name: small  # a comment\n", PLAN, small_run.fingerprint())
    with RunStore.create_or_open(path, plan=PLAN, manifest=later) as again:
        assert again.manifest == small_run.manifest(PLAN)
        assert len(again.generations()) == 1
        assert again.findings == ()


def test_another_plan_is_refused_and_what_differs_is_named(store: RunStore, path: Path) -> None:
    store.release()
    with pytest.raises(InputError) as caught:
        small_run.open_store(path, small_run.plan(prompts=4))

    message = str(caught.value)
    assert "spec.prompts: 3 -> 4" in message
    assert "prompts: 3 entries -> 4 entries" in message
    assert "another --out" in message


def test_going_on_elsewhere_is_recorded_once_and_shown_to_every_reader(
    store: RunStore, path: Path
) -> None:
    store.release()
    moved: dict[str, Any] = {"cpu": "another processor", "packages": {"torch": "2.11.0"}}
    for _ in range(2):
        small_run.open_store(path, **moved).release()
    findings = RunStore.open_reader(path).findings

    assert len(findings) == 1
    assert 'cpu: "a processor" -> "another processor"' in findings[0]
    assert 'packages.torch: "2.14.1" -> "2.11.0"' in findings[0]


def test_what_a_dead_owner_had_not_published_is_cleared_away(store: RunStore, path: Path) -> None:
    store.release()
    left = [path / "estimates.json.tmp", path / "clips" / f"{CLIP.id}.png.tmp"]
    for file in left:
        file.write_bytes(b"half")
    RunStore.open_reader(path)
    seen = [file.exists() for file in left]
    small_run.open_store(path).release()

    assert seen == [True, True]
    assert not any(file.exists() for file in left)


# --- places where no run can be ------------------------------------------------------------------


def test_a_folder_of_something_else_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    before = tree(tmp_path)

    with pytest.raises(InputError, match=r"found thesis\.tex\. Choose another --out"):
        small_run.open_store(tmp_path)
    assert tree(tmp_path) == before


def test_an_empty_folder_becomes_a_run(tmp_path: Path) -> None:
    small_run.open_store(tmp_path).release()

    assert RunStore.open_reader(tmp_path).plan == PLAN


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="expected a folder, found a file"):
            small_run.open_store(place)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_an_unwritable_place_is_one_clear_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"runs/one: not writable .*choose another --out"):
        small_run.open_store(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="not writable"):
            small_run.open_store(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


def test_no_run_is_said_plainly(tmp_path: Path) -> None:
    for call in (RunStore.open_reader, RunStore.open_writer):
        for place in (tmp_path, tmp_path / "nothing"):
            with pytest.raises(InputError, match=r"expected a run folder, found no manifest\.json"):
                call(place)
    assert list(tmp_path.iterdir()) == []


def test_the_store_starts_without_the_libraries_it_rarely_needs() -> None:
    heavy = ("numpy", "PIL", "torch", "pandas")
    program = f"import poc.store, sys; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["measurements.jsonl", "owner.lock", "features"])
def test_a_run_that_holds_a_link_is_refused_and_its_target_stays(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    small_run.perform(run, lambda _: None)
    elsewhere = tmp_path / "elsewhere"
    (run / name).rename(elsewhere)
    (run / name).symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir()) if elsewhere.is_dir() else elsewhere.read_bytes()

    with pytest.raises(InputError, match=f"link '{name}'"):
        RunStore.open_writer(run)
    after = sorted(elsewhere.iterdir()) if elsewhere.is_dir() else elsewhere.read_bytes()
    assert after == before
