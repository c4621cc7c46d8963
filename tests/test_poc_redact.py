"""What `poc redact` removes, what it leaves, and what a run says when it was cut short."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_run
from pydantic import ValidationError

from poc import cli
from poc.audit import Given, unpacked, write_audit
from poc.errors import InputError
from poc.models import ModelTable, StillsFolder, own_folder, read_models
from poc.records import Plan
from poc.redact import Said, loras_of, redact
from poc.redaction import REDACTIONS, Redaction, Removed
from poc.run import decide_again, valid_until, verify
from poc.store import RunStore

SAID = Said("the data officer", "consent withdrawn")
LORA = "lora-of-a-person"


def plan() -> Plan:
    """Return the small plan whose last arm wears a LoRA."""
    made: Plan = small_run.plan()
    last = made.arms[-1]
    worn = last.model_copy(update={"model_digests": last.model_digests | {LORA: "1" * 64}})
    return made.model_copy(update={"arms": (*made.arms[:-1], worn)})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a decided run with films, features and exports."""
    path = tmp_path_factory.mktemp("whole") / "run"
    with small_run.open_store(path, plan()) as store:
        for arm in store.plan.arms:
            store.append_resolved(small_run.resolved(arm))
            store.append_latency(small_run.latency(arm))
        for batch in store.plan.batches:
            for clip in batch.clips:
                store.write_view(clip.id, b"a film", ".webm")
            small_run.publish(store, batch)
            for clip in batch.clips:
                store.write_features(clip.id, {"video": small_run.frames(clip).astype(float)})
            store.append_measurements([small_run.measurement(clip) for clip in batch.clips])
    decide_again(path, criteria=None)
    (path / "report.html").write_text("a page", "utf-8")
    (path / "rating" / "packs").mkdir(parents=True)
    (path / "rating" / "packs" / "rater-1.html").write_text("a pack", "utf-8")
    return path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "run")


@pytest.fixture(scope="module")
def models() -> ModelTable:
    return read_models()


def clips_of(run: Path, place: int) -> set[str]:
    store = RunStore.open_reader(run)
    arm = store.plan.arms[place].id
    return {c.id for b in store.plan.batches if b.arm_id == arm for c in b.clips}


def there(run: Path) -> dict[str, bytes]:
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in {REDACTIONS, "owner.lock"}
    }


def test_clips_features_and_exports_go_and_nothing_else(run: Path, models: ModelTable) -> None:
    before = there(run)
    hers = clips_of(run, -1)
    expected = {
        name
        for name in before
        if name.startswith(("clips/", "features/")) and Path(name).stem in hers
    } | {"report.html", "rating/packs/rater-1.html"}

    done = redact(run, LORA, SAID, models)

    after = there(run)
    assert len(expected) == 3 * len(hers) + 2
    assert before.keys() - after.keys() == expected
    assert {name: before[name] for name in after if name in before} == {
        name: data for name, data in after.items() if name in before
    }
    assert {gone.path: gone.sha256 for gone in done.removed} == {
        name: hashlib.sha256(before[name]).hexdigest() for name in expected
    }
    assert (done.by, done.reason, done.subject) == (*SAID, LORA)
    assert done.arms == (RunStore.open_reader(run).plan.arms[-1].id,)


def test_the_run_still_verifies_and_says_what_was_taken(run: Path, models: ModelTable) -> None:
    redact(run, LORA, SAID, models)
    decide_again(run, criteria=None)

    assert verify(run, criteria=None) == ()
    assert valid_until(run) is None
    (line,) = RunStore.open_reader(run).findings
    assert "by the data officer" in line
    assert "consent withdrawn" in line
    with pytest.raises(InputError, match="was removed for good"):
        RunStore.open_reader(run).read_clip(min(clips_of(run, -1)))
    assert RunStore.open_reader(run).read_clip(min(clips_of(run, 0))).shape == (3, 8, 8, 3)


def test_another_clip_that_is_gone_is_still_a_fault(run: Path, models: ModelTable) -> None:
    redact(run, LORA, SAID, models)
    decide_again(run, criteria=None)
    other = min(clips_of(run, 0))
    (run / "clips" / f"{other}.png").unlink()

    (found,) = verify(run, criteria=None)

    assert other in found


def test_a_file_that_comes_back_is_named(run: Path, models: ModelTable) -> None:
    redact(run, LORA, SAID, models)
    decide_again(run, criteria=None)
    (run / "report.html").write_text("restored from a copy", "utf-8")

    (found,) = verify(run, criteria=None)

    assert found.startswith("report.html: was removed by `poc redact` and is there again")


@pytest.mark.parametrize(
    "path", ["../other/clip.png", "/etc/passwd", "clips/../../x", "own:../models.yaml", "own:", ""]
)
def test_a_tombstone_cannot_name_a_file_outside_of_its_folder(path: str) -> None:
    with pytest.raises(ValidationError, match="does not lie in the folder"):
        Removed(path=path, sha256="0" * 64)

    assert Removed(path="clips/a.b.png", sha256="0" * 64).path == "clips/a.b.png"


def test_a_redacted_run_is_not_gone_on_with(run: Path, models: ModelTable) -> None:
    redact(run, LORA, SAID, models)

    with pytest.raises(InputError, match="were removed from this run for good"):
        small_run.open_store(run, plan())
    RunStore.open_writer(run).release()


def test_the_tombstone_goes_into_the_archive(run: Path, models: ModelTable, tmp_path: Path) -> None:
    redact(run, LORA, SAID, models)
    decide_again(run, criteria=None)
    table = replace_ids(models)
    archive = write_audit(run, tmp_path / "audit.zip", Given(), table)

    with unpacked(archive) as (inside, _, amiss):
        assert amiss == ()
        assert (inside / REDACTIONS).read_bytes() == (run / REDACTIONS).read_bytes()


def replace_ids(models: ModelTable) -> ModelTable:
    """Return the table with the small run's models in it."""
    some = next(iter(models.models.values()))
    return replace(models, models={**models.models, "base": some, LORA: some})


# --- cut short -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [0, 1, 4, 10])
def test_a_removal_that_was_cut_short_says_so_and_goes_on(
    run: Path, models: ModelTable, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, calls = Path.unlink, iter(range(1000))

    def broken(path: Path, *, missing_ok: bool = False) -> None:
        if next(calls) >= stop:
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    before = there(run)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", broken)
        with pytest.raises(KeyboardInterrupt):
            redact(run, LORA, SAID, models)

    (damage,) = RunStore.open_reader(run).damage
    assert f"the removal of '{LORA}'" in damage
    assert "did not end" in damage
    assert damage in verify(run, criteria=None)
    assert len(before) - len(there(run)) == stop

    done = redact(run, LORA, SAID, models)

    assert RunStore.open_reader(run).damage == ()
    assert {gone.path for gone in done.removed} == before.keys() - there(run).keys()


# --- the LoRA ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["plan.json", "clips/another.png", "own:other/weights.safetensors"]
)
def test_a_run_of_others_cannot_name_what_is_to_go(
    run: Path, models: ModelTable, tmp_path: Path, name: str
) -> None:
    home = tmp_path / "specs" / "models.yaml"
    mine = own_folder(home) / "other"
    mine.mkdir(parents=True)
    (mine / "models.yaml").write_text("models: []", "utf-8")
    (mine / "weights.safetensors").write_bytes(b"mine")
    with RunStore.open_writer(run) as store:
        store.append_redaction(
            Redaction(
                action="begun", subject=LORA, by="x", reason="y", time="2026-01-01T00:00:00Z",
                arms=(), removed=(Removed(path=name, sha256="0" * 64),), kept=(),
            )
        )  # fmt: skip
    before = there(run)

    with pytest.raises(InputError, match="is no file of"):
        redact(run, LORA, SAID, replace(models, path=home))

    assert there(run) == before
    assert (mine / "weights.safetensors").read_bytes() == b"mine"


def test_the_decision_names_every_arm_that_was_taken_out(run: Path, models: ModelTable) -> None:
    gone = redact(run, LORA, SAID, models).arms
    reasons = decide_again(run, criteria=None).decision.reasons

    assert gone
    assert sum("taken out of this run for good" in one.text_en for one in reasons) == len(gone)


def own_lora(tmp_path: Path, models: ModelTable) -> ModelTable:
    """Return a table with a LoRA that was trained here from stills of its own."""
    folder = tmp_path / "weights" / "own" / LORA
    (folder / "lora").mkdir(parents=True)
    (folder / "models.yaml").write_text("models: []", "utf-8")
    (folder / "lora" / "model.safetensors").write_bytes(b"weights")
    some = next(m for m in models.models.values() if m.entry.kind == "lora")
    stills = StillsFolder(model="stills-of-a-person", folder=".")
    worn = replace(
        some,
        folder=folder / "lora",
        entry=some.entry.model_copy(update={"id": LORA, "stills": stills}),
    )
    hers = next(m for m in models.models.values() if m.entry.kind == "stills")
    hers = replace(hers, entry=hers.entry.model_copy(update={"id": "stills-of-a-person"}))
    (tmp_path / "specs").mkdir()
    there = {LORA: worn, "stills-of-a-person": hers}
    return ModelTable(tmp_path / "specs" / "models.yaml", {**models.models, **there})


@pytest.mark.parametrize("subject", [LORA, "stills-of-a-person"])
def test_a_lora_that_was_trained_here_goes_with_all_that_lies_beside_it(
    run: Path, models: ModelTable, tmp_path: Path, subject: str
) -> None:
    table = own_lora(tmp_path, models)
    (tmp_path / "weights" / "own" / "another").mkdir()

    done = redact(run, subject, SAID, table)

    assert loras_of(subject, table) == {LORA}
    assert [path.name for path in (tmp_path / "weights" / "own").iterdir()] == ["another"]
    own = [gone.path for gone in done.removed if gone.path.startswith("own:")]
    assert own == [f"own:{LORA}/models.yaml", f"own:{LORA}/lora/model.safetensors"]
    assert not any("not trained here" in line for line in done.kept)


def test_nothing_is_removed_while_a_table_that_may_hold_the_lora_cannot_be_read(
    run: Path, models: ModelTable
) -> None:
    before = there(run)
    unread = replace(models, unread=("own/autumn/models.yaml:3: missing key 'kind'.",))

    with pytest.raises(InputError, match=r"Mend the table, then remove.\nown/autumn/models.yaml:3"):
        redact(run, LORA, SAID, unread)

    assert there(run) == before


def test_weights_of_others_are_kept_and_named(run: Path, models: ModelTable) -> None:
    done = redact(run, "base", SAID, replace_ids(models))

    assert any("model 'base', which was not trained here" in line for line in done.kept)
    assert done.arms == tuple(arm.id for arm in plan().arms)


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "said", "what"),
    [
        ("lora-of-a-persn", SAID, "Did you mean 'lora-of-a-person'"),
        (LORA, Said(" ", "why"), "--by, --reason: expected one plain line each"),
        (LORA, Said("who", "two\nlines"), "--by, --reason: expected one plain line each"),
    ],
)
def test_what_is_refused_leaves_the_run_as_it_was(
    run: Path, models: ModelTable, subject: str, said: Said, what: str
) -> None:
    before = there(run)

    with pytest.raises(InputError, match=what):
        redact(run, subject, said, models)

    assert there(run) == before
    assert not (run / REDACTIONS).exists()


def test_the_command_decides_anew_and_says_what_it_could_not_reach(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--subject", LORA, "--by", SAID.by, "--reason", SAID.reason]

    assert cli.main(["redact", str(run), *options]) == 0
    said = capsys.readouterr().out
    assert "of 1 arms" in said
    assert "not removed: exports outside the run folder" in said
    assert said.splitlines()[-1].startswith("decision: ")
    assert cli.main(["verify", str(run)]) == 0


def damaged(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    line = json.loads(path.read_text("utf-8").splitlines()[0])
    change(line["record"])
    path.write_text(json.dumps(line, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")


def test_an_edited_tombstone_is_damage(run: Path, models: ModelTable) -> None:
    redact(run, LORA, SAID, models)
    damaged(run / REDACTIONS, lambda record: record.update(reason="nothing happened"))

    assert any("damaged record left out" in line for line in RunStore.open_reader(run).damage)
