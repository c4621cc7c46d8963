"""`poc check` on run folders: exit codes, files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import gate_runs as g
import pytest

from poc import cli
from poc.check import FILES
from poc.gate_limits import DEFAULT_LIMITS
from poc.gate_records import GateResult


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return g.folder(tmp_path_factory.mktemp("base") / "base")


def check(head: Path, base: Path, *options: str) -> int:
    return cli.main(["check", str(head), "--baseline", str(base), *options])


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, (0, "PASS")),
        ({"slower": 1.03}, (0, "PASS")),
        ({"slower": 1.15}, (1, "REGRESSION")),
        ({"shift": 6.0}, (1, "REGRESSION")),
        ({"weights": "2" * 64}, (1, "REGRESSION")),
        ({"leave_out": 1}, (2, "INCOMPLETE")),
        ({"prompts": 26}, (3, "NOT_COMPARABLE")),
    ],
)
def test_the_exit_code_and_the_last_line_tell_the_same(
    base: Path,
    tmp_path: Path,
    changes: dict[str, Any],
    answer: tuple[int, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, status = answer
    head = g.folder(tmp_path / "head", **changes)

    assert check(head, base) == code
    assert last_line(capsys) == f"gate: {status}"
    assert json.loads((head / "gate" / "gate.json").read_text())["status"] == status


def test_swapping_a_worse_head_and_its_base_passes(base: Path, tmp_path: Path) -> None:
    worse = g.folder(tmp_path / "worse", shift=6.0)

    assert check(worse, base) == 1
    assert check(base, worse, "--out", str(tmp_path / "out")) == 0


def test_the_files_are_whole_and_agree(base: Path, tmp_path: Path) -> None:
    head, out = g.folder(tmp_path / "head", slower=1.15), tmp_path / "a" / "b"
    before = {path: path.read_bytes() for path in head.rglob("*") if path.is_file()}
    assert check(head, base, "--out", str(out)) == 1

    assert {path.name for path in out.iterdir()} == set(FILES)
    result = GateResult.from_json((out / "gate.json").read_text(encoding="utf-8"))
    cases = ET.parse(out / "gate-junit.xml").findall(".//testcase")  # noqa: S314  # our own file
    assert len(cases) == len(result.cells) + len(result.not_judged)
    assert (out / "gate.md").read_text(encoding="utf-8").startswith("## gate: REGRESSION\n")
    assert {path: path.read_bytes() for path in head.rglob("*") if path.is_file()} == before


def test_json_says_the_status_the_counts_and_the_files(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = g.folder(tmp_path / "head")
    assert check(head, base, "--json") == 0

    answer = json.loads(capsys.readouterr().out)
    (found,) = answer["baselines"]
    assert answer["gate"] == found["gate"] == "PASS"
    assert found["against"] == str(base)
    assert found["cells"]["PASS"] > 0
    assert found["cells"]["REGRESSION"] == 0
    assert {Path(path).exists() for path in found["files"].values()} == {True}
    assert set(found["files"]) == {"gate.json", "gate-junit.xml", "gate.md"}


def test_other_limits_decide_otherwise(base: Path, tmp_path: Path) -> None:
    head, limits = g.folder(tmp_path / "head", slower=1.15), tmp_path / "limits.yaml"
    text = DEFAULT_LIMITS.read_text(encoding="utf-8")
    limits.write_text(text.replace("relative: 0.10", "relative: 0.30"), encoding="utf-8")

    assert check(head, base) == 1
    assert check(head, base, "--limits", str(limits)) == 0


# --- what is refused -----------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("poc: error: ")
    assert "Traceback" not in captured.err
    return captured.err


def test_a_run_is_not_compared_with_itself(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(base, base.parent / "." / base.name) == 2
    assert "got the same one" in refused(capsys)
    assert not (base / "gate").exists()


def test_a_folder_that_holds_no_run_is_bad_input(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, base) == 2
    assert str(tmp_path) in refused(capsys)
    assert check(base, tmp_path / "nowhere") == 2
    assert "nowhere" in refused(capsys)


def test_bad_limits_are_bad_input_and_leave_no_file(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, limits = g.folder(tmp_path / "head"), tmp_path / "limits.yaml"
    limits.write_text("name: mine\n", encoding="utf-8")

    assert check(head, base, "--limits", str(limits)) == 2
    assert "limits.yaml" in refused(capsys)
    assert not (head / "gate").exists()


def test_a_check_that_fails_leaves_no_pass_of_an_earlier_one(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = g.folder(tmp_path / "head")
    assert check(head, base) == 0
    capsys.readouterr()

    assert check(head, tmp_path / "nowhere") == 2
    assert "nowhere" in refused(capsys)
    assert list((head / "gate").iterdir()) == []


def test_files_that_cannot_be_written_are_no_pass(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, taken = g.folder(tmp_path / "head"), tmp_path / "taken"
    taken.write_text("a file", encoding="utf-8")

    assert check(head, base, "--out", str(taken)) == 2
    assert "taken" in refused(capsys)


def test_a_baseline_is_required(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["check", str(base)])

    assert ended.value.code == 2
    assert "--baseline" in capsys.readouterr().err


def test_a_link_in_the_gates_folder_is_refused_and_not_followed(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, out, victim = g.folder(tmp_path / "head"), tmp_path / "out", tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    out.mkdir()
    (out / "gate.json.tmp").symlink_to(victim)

    assert check(head, base, "--out", str(out)) == 2
    assert "link" in refused(capsys)
    assert victim.read_text(encoding="utf-8") == "mine"
