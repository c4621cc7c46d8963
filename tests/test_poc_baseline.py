"""Accepted baselines: what the ledger says, what a check does with them, what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gate_runs as g
import pytest

from poc import cli
from poc.baseline import LEDGER, BaselineKind, current, packed, read_ledger
from poc.store import RunStore


def accept(run: Path, folder: Path, *options: str) -> int:
    said = ["--by", "the owner", "--reason", "first baseline of this model"]
    return cli.main(["baseline", "accept", str(run), "--baseline", str(folder), *said, *options])


def check(head: Path, folder: Path, *options: str) -> int:
    return cli.main(["check", str(head), "--baseline", str(folder), *options])


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.err.startswith("poc: error: ")
    return captured.err


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return g.folder(tmp_path_factory.mktemp("first") / "first")


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    """Return a folder with one rolling baseline."""
    assert accept(first, tmp_path / "baselines") == 0
    return tmp_path / "baselines"


# --- accepting -----------------------------------------------------------------------------------


def test_an_accepted_run_is_one_archive_and_one_line(folder: Path, first: Path) -> None:
    (one,) = read_ledger(folder)

    assert {path.name for path in folder.iterdir()} == {LEDGER, one.file}
    assert hashlib.sha256((folder / one.file).read_bytes()).hexdigest() == one.digest
    assert (one.kind, one.by, one.run) == (BaselineKind.ROLLING, "the owner", first.name)
    assert (one.gate, one.replaced, one.previous) == (None, None, None)


def test_the_archive_has_the_records_and_no_clip(folder: Path, first: Path) -> None:
    with zipfile.ZipFile(folder / read_ledger(folder)[0].file) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}

    assert held["measurements.jsonl"] == (first / "measurements.jsonl").read_bytes()
    assert held["plan.json"] == (first / "plan.json").read_bytes()
    assert not any(name.startswith("clips/") for name in held)


def test_equal_records_make_equal_archives(first: Path) -> None:
    assert packed(RunStore.open_reader(first)) == packed(RunStore.open_reader(first))


def test_a_second_acceptance_says_what_it_replaced_and_what_the_gate_found(
    folder: Path, tmp_path: Path
) -> None:
    worse = g.folder(tmp_path / "worse", shift=6.0)
    assert accept(worse, folder) == 0

    before, now = read_ledger(folder)
    line = (folder / LEDGER).read_bytes().splitlines()[0]
    assert now.gate == "REGRESSION"
    assert now.replaced == before.digest
    assert now.previous == hashlib.sha256(line).hexdigest()
    assert {path.name for path in folder.glob("*.zip")} == {now.file}


def test_the_release_stays_while_the_rolling_baseline_moves(
    folder: Path, first: Path, tmp_path: Path
) -> None:
    assert accept(first, folder, "--kind", "release") == 0
    assert accept(g.folder(tmp_path / "second"), folder) == 0

    ledger = read_ledger(folder)
    release = current(ledger, BaselineKind.RELEASE)
    assert release is ledger[1]
    assert release.run == first.name
    assert len([*folder.glob("*.zip")]) == 2


def test_the_history_names_who_and_why_and_what_is_in_force(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accept(g.folder(tmp_path / "second"), folder) == 0
    capsys.readouterr()
    assert cli.main(["baseline", "history", str(folder)]) == 0

    text = capsys.readouterr().out
    assert text.count("by the owner: first baseline of this model") == 2
    assert text.count("(in force)") == 1
    assert text.index("(in force)") > text.index("run first")


# --- checking ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shift", "code"), [(0.0, 0), (6.0, 1)])
def test_a_check_against_accepted_baselines_answers_as_against_the_run(
    folder: Path, first: Path, tmp_path: Path, shift: float, code: int
) -> None:
    head = g.folder(tmp_path / "head", shift=shift)

    assert check(head, first, "--out", str(tmp_path / "a")) == code
    assert check(head, folder, "--out", str(tmp_path / "b")) == code
    one, other = (
        json.loads((tmp_path / name / "gate.json").read_text(encoding="utf-8")) for name in "ab"
    )
    assert one["cells"] == other["cells"]


def test_losses_that_were_accepted_one_by_one_add_up_against_the_release(
    folder: Path, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accept(first, folder, "--kind", "release") == 0
    assert accept(g.folder(tmp_path / "second", shift=6.0), folder) == 0
    head = g.folder(tmp_path / "head", shift=6.0)
    capsys.readouterr()

    assert check(head, folder, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["gate"] for one in found["baselines"]] == ["PASS", "REGRESSION"]
    assert found["gate"] == "REGRESSION"
    assert (head / "gate" / "release" / "gate.json").is_file()


def test_the_accepted_run_itself_is_not_checked(
    folder: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(first, folder) == 2
    assert "the same one" in refused(capsys)


# --- what is refused -----------------------------------------------------------------------------


def _edit_reason(folder: Path) -> None:
    path = folder / LEDGER
    path.write_text(path.read_text().replace("first baseline", "fine baseline", 1))


def _drop_first_line(folder: Path) -> None:
    path = folder / LEDGER
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))


def _drop_last_line(folder: Path) -> None:
    path = folder / LEDGER
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def _swap_archive(folder: Path) -> None:
    (path,) = folder.glob("*.zip")
    path.write_bytes(path.read_bytes() + b"\0")


def _no_json(folder: Path) -> None:
    (folder / LEDGER).write_text("{}\n")


@pytest.mark.parametrize(
    "damage", [_edit_reason, _drop_first_line, _drop_last_line, _swap_archive, _no_json]
)
def test_a_baseline_that_was_not_accepted_is_refused(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert accept(g.folder(tmp_path / "second"), folder) == 0
    head = g.folder(tmp_path / "head")
    assert check(head, folder) == 0
    damage(folder)
    capsys.readouterr()

    assert check(head, folder) == 2
    assert str(folder) in refused(capsys)
    assert not (head / "gate" / "gate.json").exists()


def test_a_lost_release_line_is_noticed_though_both_kinds_hold_one_run(
    folder: Path, first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accept(first, folder, "--kind", "release") == 0
    head = g.folder(tmp_path / "head")
    assert check(head, folder) == 0
    _drop_last_line(folder)
    capsys.readouterr()

    assert check(head, folder) == 2
    assert "the ledger lost its end" in refused(capsys)


def test_an_empty_ledger_is_no_pass(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / LEDGER).write_text("")

    assert check(g.folder(tmp_path / "head"), folder) == 2
    assert "no baseline was accepted yet" in refused(capsys)


def test_a_check_of_a_run_that_is_gone_leaves_no_pass_of_an_earlier_one(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert check(g.folder(tmp_path / "head"), folder, "--out", str(out)) == 0

    assert check(tmp_path / "gone", folder, "--out", str(out)) == 2
    assert not (out / "gate.json").exists()


def test_a_lost_archive_does_not_bar_the_way_to_a_new_baseline(
    folder: Path, tmp_path: Path
) -> None:
    (folder / read_ledger(folder)[0].file).unlink()
    second = g.folder(tmp_path / "second")

    assert accept(second, folder) == 0
    now = read_ledger(folder)[-1]
    assert now.gate is None
    assert now.not_judged is not None
    assert ".zip" in now.not_judged
    assert check(g.folder(tmp_path / "head"), folder) == 0


@pytest.mark.parametrize(("kind", "code"), [("rolling", 0), ("release", 2)])
def test_a_release_comes_from_a_commit_and_nothing_else(
    first: Path, tmp_path: Path, kind: str, code: int
) -> None:
    run = shutil.copytree(first, tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["fingerprint"]["modified"] = True
    (run / "manifest.json").write_text(json.dumps(manifest))

    assert accept(run, tmp_path / "baselines", "--kind", kind) == code
    assert (tmp_path / "baselines").exists() is (code == 0)
    if code == 0:
        assert read_ledger(tmp_path / "baselines")[0].modified


@pytest.mark.parametrize("field", ["time", "by", "reason", "run", "spec", "commit"])
def test_no_line_of_a_ledger_steers_a_terminal(
    folder: Path, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = json.loads((folder / LEDGER).read_text())
    (folder / LEDGER).write_text(json.dumps(one | {field: "\x1b[2Jx"}) + "\n")
    capsys.readouterr()

    assert cli.main(["baseline", "history", str(folder)]) == 2
    assert "\x1b" not in refused(capsys)


def _planted(folder: Path, name: str, size: int = 1) -> None:
    """Accept an archive that was given one more file."""
    one = read_ledger(folder)[0]
    with zipfile.ZipFile(folder / one.file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"\0" * size)
    data = (folder / one.file).read_bytes()
    (folder / one.file).unlink()
    new = one.model_copy(update={"digest": hashlib.sha256(data).hexdigest()})
    (folder / new.file).write_bytes(data)
    (folder / LEDGER).write_text(new.to_json() + "\n")


@pytest.mark.parametrize(
    "name", ["../outside", "/tmp/outside", "clips/0123456789abcdef.png", "x.json"]  # noqa: S108
)  # fmt: skip
def test_an_archive_holds_nothing_but_records(
    folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _planted(folder, name)

    assert check(g.folder(tmp_path / "head"), folder) == 2
    assert "which no run has" in refused(capsys)
    assert not (tmp_path / "outside").exists()


def test_an_archive_that_swells_is_refused(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("poc.baseline.MOST_BYTES", 1 << 20)
    _planted(folder, "features/0123456789abcdef.npz", size=1 << 21)

    assert check(g.folder(tmp_path / "head"), folder) == 2
    assert "bytes unpacked" in refused(capsys)


@pytest.mark.parametrize(
    ("changes", "said"), [({"leave_out": 1}, "batches are not made")]
)  # fmt: skip
def test_only_a_whole_run_becomes_a_baseline(
    tmp_path: Path, changes: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = g.folder(tmp_path / "run", **changes)

    assert accept(run, tmp_path / "baselines") == 2
    assert said in refused(capsys)
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize("option", ["--by", "--reason"])
@pytest.mark.parametrize("text", ["", "  ", "a\nb", "\x1b[31mred", "x" * 1001])
def test_who_and_why_are_one_plain_line_each(
    first: Path, tmp_path: Path, option: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accept(first, tmp_path / "baselines", option, text) == 2
    assert option in refused(capsys)
    assert not (tmp_path / "baselines").exists()


def test_the_run_in_force_is_not_accepted_twice(
    folder: Path, first: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}

    assert accept(first, folder) == 2
    assert "already" in refused(capsys)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_of_something_else_is_left_alone(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = g.folder(tmp_path / "run")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    assert accept(first, run) == 2
    assert "nothing was touched" in refused(capsys)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


# --- runs that are not whole, acceptances that were cut short ------------------------------------


@pytest.mark.parametrize(
    ("journal", "kept", "why"),
    [
        ("measurements.jsonl", 3, "not every clip is measured"),
        ("measurements.jsonl", 0, "nothing is measured"),
        ("latency.jsonl", 5, "the latency pass is not finished"),
        ("latency.jsonl", 0, "the latency pass is not finished"),
    ],
)
def test_a_run_that_is_not_measured_and_timed_to_its_end_is_no_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], journal: str, kept: int, why: str
) -> None:
    run = g.folder(tmp_path / "run")
    lines = (run / journal).read_bytes().splitlines(keepends=True)
    (run / journal).write_bytes(b"".join(lines[:kept]))

    assert accept(run, tmp_path / "baselines") == 2
    assert why in refused(capsys)
    assert not (tmp_path / "baselines").exists()


def test_an_acceptance_that_was_stopped_before_it_tidied_up_leaves_the_new_baseline(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = read_ledger(folder)[0].file
    left = (folder / old).read_bytes()
    second = g.folder(tmp_path / "second", slower=1.01)
    assert accept(second, folder) == 0
    (folder / old).write_bytes(left)

    head = g.folder(tmp_path / "head")
    assert check(head, folder) == 0
    assert accept(second, folder) == 2
    assert "is the rolling baseline already" in refused(capsys)
    assert not (folder / old).exists()
