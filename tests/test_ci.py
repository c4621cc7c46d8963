"""What a CI runs: workflows that can do little, and gates whose exit code is the worst of all."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def workflow(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_get_nothing_but_the_code(path: Path) -> None:
    used = [step for step in steps(path) if "uses" in step]

    assert used
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"]) for step in used)
    assert workflow(path)["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow(path)["jobs"].values())
    checkouts = [step for step in used if "/checkout@" in step["uses"]]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert "secrets." not in path.read_text("utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_text_from_outside_becomes_part_of_a_script(path: Path) -> None:
    assert not any("${{" in step.get("run", "") for step in steps(path))


@pytest.mark.parametrize("name", ["ci.yml", "gate-gpu.yml"])
def test_a_gate_keeps_its_files_when_it_fails(name: str) -> None:
    kept = [
        s for s in steps(WORKFLOWS[0].with_name(name)) if "/upload-artifact@" in s.get("uses", "")
    ]

    assert [step["if"] for step in kept] == ["${{ always() }}"]


def test_no_code_of_a_fork_reaches_the_gpu() -> None:
    found = workflow(WORKFLOWS[0].with_name("gate-gpu.yml"))

    # YAML 1.1 reads the key `on` as true.
    assert set(found[True]) == {"push", "workflow_dispatch"}
    (job,) = found["jobs"].values()
    assert "fork" in job["if"]
    assert "ephemeral" in job["runs-on"]


# --- the gate on a GPU ---------------------------------------------------------------------------

TOLD = {0: "gate: PASS", 1: "gate: REGRESSION", 2: "gate: could not be told",
        3: "gate: INCONCLUSIVE"}  # fmt: skip


def saying(code: int | None) -> str:
    """Return what a stand-in for a check does: it says its answer, unless it dies, and exits."""
    said = f"echo '{TOLD[code]}'; " if code in {0, 1, 3} else ""
    return f"{said}exit {code or 0}"


def scripts(folder: Path, *names: str) -> None:
    (folder / ".ci").mkdir()
    for name in names:
        shutil.copy2(ROOT / ".ci" / name, folder / ".ci" / name)


def stub(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{script}\n", "utf-8")
    path.chmod(0o755)


def gate_gpu(
    folder: Path, timed: int, accepted: int | None, again: int = 3, release: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script beside stand-ins for the two checks and a second look: all exit as told.

    `release`: what a second look at the release's baseline exits with, where there is one.
    """
    scripts(folder, "gate-gpu", "worst")
    made = 'mkdir -p "$2/head"; touch "$2/head/manifest.json"; echo "$POC_RUN"'
    stub(folder / ".ci" / "gate-timed", f"{made}; {saying(timed)}")
    files = "out/accepted/gate.json"
    if release is not None:
        files += " out/accepted/release/gate.json"
    stub(
        folder / ".venv" / "bin" / "poc",
        f"mkdir -p out/accepted/release; touch {files}; {saying(accepted)}",
    )
    stub(
        folder / ".ci" / "second-look",
        f"case $1 in */release/*) {saying(release)} ;; *) {saying(again)} ;; esac",
    )
    if accepted is not None:
        (folder / "baseline").mkdir()
        (folder / "baseline" / "accepted.jsonl").touch()
    return subprocess.run(
        [folder / ".ci" / "gate-gpu", "HEAD~1", "out"],
        env={"PATH": "/usr/bin:/bin", "BASELINE": "baseline", "DEVICE": "cuda:7"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("timed", "accepted", "code"),
    [
        (0, None, 0), (0, 0, 0), (0, 1, 1), (1, 0, 1), (3, 0, 3), (0, 3, 3), (3, 1, 1), (1, 3, 1),
        (0, 2, 2), (2, 0, 2), (1, 2, 2), (0, 137, 2), (137, 0, 2),
    ],
)  # fmt: skip
def test_the_worse_of_both_answers_counts(
    tmp_path: Path, timed: int, accepted: int | None, code: int
) -> None:
    done = gate_gpu(tmp_path, timed, accepted)

    assert done.returncode == code
    assert done.stdout.splitlines()[0] == "--device cuda:7"
    assert done.stdout.splitlines()[-1] == TOLD[code]
    assert ("no baseline was accepted" in done.stderr) == (accepted is None)


@pytest.mark.parametrize("again", [0, 1, 3])
def test_what_is_left_open_against_the_accepted_baseline_is_looked_at_again(
    tmp_path: Path, again: int
) -> None:
    assert gate_gpu(tmp_path, 0, 3, again).returncode == again


@pytest.mark.parametrize(
    ("rolling", "release", "code"),
    [(2, 3, 2), (3, 2, 2), (1, 2, 2), (2, 1, 2), (1, 3, 1), (0, 3, 3), (3, 0, 3), (137, 0, 2),
     (0, 0, 0)],
)  # fmt: skip
def test_the_worse_of_both_second_looks_counts(
    tmp_path: Path, rolling: int, release: int, code: int
) -> None:
    done = gate_gpu(tmp_path, 0, 3, rolling, release)

    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, TOLD[code])


def test_a_run_that_broke_off_is_no_pass(tmp_path: Path) -> None:
    scripts(tmp_path, "gate-gpu", "worst")
    stub(tmp_path / ".ci" / "gate-timed", saying(0))
    done = subprocess.run(
        [tmp_path / ".ci" / "gate-gpu", "HEAD~1", "out"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.splitlines()[-1]) == (2, TOLD[2])


def test_what_a_file_keeps_of_the_gate_ends_with_its_answer(tmp_path: Path) -> None:
    gate_gpu(tmp_path, 0, 1)
    shutil.rmtree(tmp_path / "out")
    with (tmp_path / "log").open("w") as log:
        subprocess.run(
            [tmp_path / ".ci" / "gate-gpu", "HEAD~1", "out"],
            env={"PATH": "/usr/bin:/bin", "BASELINE": "baseline"},
            stdout=log,
            check=False,
        )

    lines = (tmp_path / "log").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("--device cuda:0", TOLD[1])


def test_the_gate_on_a_gpu_does_not_judge_the_clips_of_an_earlier_one(tmp_path: Path) -> None:
    gate_gpu(tmp_path, 0, 0)
    done = subprocess.run(
        [tmp_path / ".ci" / "gate-gpu", "HEAD~1", "out"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, f"{TOLD[2]}\n")
    assert "out is there already" in done.stderr


# --- the gate on the embedded models -------------------------------------------------------------


def gate(folder: Path, rolling: str, release: str) -> subprocess.CompletedProcess[str]:
    """Run the script beside stand-ins: a check that leaves both open, then second looks as told."""
    scripts(folder, "gate", "worst")
    (folder / "Makefile").write_text("setup:\n", "utf-8")
    stub(
        folder / ".venv" / "bin" / "poc",
        'if [ "$1" = run ]; then exit 0; fi\n'
        "mkdir -p out/gate/release; touch out/gate/gate.json out/gate/release/gate.json\n"
        "echo gate: INCONCLUSIVE; exit 3",
    )
    stub(
        folder / ".ci" / "second-look",
        f"case $1 in */release/*) {release} ;; *) {rolling} ;; esac",
    )
    return subprocess.run(
        [folder / ".ci" / "gate", "out"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("rolling", "release", "code", "told"),
    [
        ("echo gate: PASS", "echo gate: PASS", 0, "PASS"),
        ("echo gate: INCONCLUSIVE; exit 3", "echo gate: PASS", 3, "INCONCLUSIVE"),
        ("echo gate: PASS", "echo gate: REGRESSION; exit 1", 1, "REGRESSION"),
        ("echo gate: INCOMPLETE; exit 2", "echo gate: PASS", 2, "INCOMPLETE"),
        ("kill -9 $$", "echo gate: PASS", 2, "could not be told"),
        ("echo gate: PASS", "exit 1", 2, "could not be told"),
        ("echo gate: could not be told; exit 2", "echo gate: PASS", 2, "could not be told"),
        ("echo gate: REGRESSION; exit 1", "exit 1", 2, "could not be told"),
    ],
)
def test_a_second_look_that_says_nothing_is_no_pass(
    tmp_path: Path, rolling: str, release: str, code: int, told: str
) -> None:
    done = gate(tmp_path, rolling, release)

    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, f"gate: {told}")


@pytest.mark.parametrize("left", ["out", "out-second"])
def test_folders_of_an_earlier_gate_are_refused_with_what_to_type(
    tmp_path: Path, left: str
) -> None:
    (tmp_path / left).mkdir()
    done = gate(tmp_path, "echo gate: PASS", "echo gate: PASS")

    assert done.returncode == 2
    assert done.stderr.startswith(f"{left} is there already")
    assert "rm -r" in done.stderr
    assert "gate: " not in done.stdout


# --- what blocks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (0, "gate: PASS", 0),
        (1, "gate: REGRESSION", 1),
        (2, "gate: INCOMPLETE", 2),
        (2, "gate: could not be told", 2),
        (3, "gate: INCONCLUSIVE", 0),
        (3, "gate: NOT_COMPARABLE", 3),
        (3, "something else", 3),
        (2, "gate: INCONCLUSIVE", 2),
    ],
)
def test_only_an_answer_that_is_named_is_let_through_and_with_a_warning(
    tmp_path: Path, code: int, said: str, expected: int
) -> None:
    (tmp_path / "log").write_text(f"the table\n{said}\n")
    done = subprocess.run(
        [ROOT / ".ci" / "policy", str(code), tmp_path / "log", "INCONCLUSIVE"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == expected
    assert ("::warning::" in done.stdout) == (code == 3 and expected == 0)


@pytest.mark.parametrize("name", ["ci.yml", "gate-gpu.yml"])
def test_a_workflow_asks_the_policy_last_and_never_lets_a_denial_through(name: str) -> None:
    (gate,) = [
        s["run"] for s in steps(WORKFLOWS[0].with_name(name)) if "policy" in s.get("run", "")
    ]
    last = gate.strip().splitlines()[-1].split()

    assert last[:3] == [".ci/policy", '"$code"', "gate.log"]
    assert "INCONCLUSIVE" in last
    assert not {"REGRESSION", "INCOMPLETE"} & set(last)


@pytest.mark.parametrize("answers", [[], ["gate: PASS", "Killed"], ["gate: PASS", ""]])
def test_an_answer_that_is_none_is_the_worst(answers: list[str]) -> None:
    done = subprocess.run(
        [ROOT / ".ci" / "worst", *answers], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "gate: could not be told\n")


# --- two runs in turns ---------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["base", "head"])
def test_when_one_run_breaks_off_the_other_does_not_wait_for_its_turn(
    tmp_path: Path, broken: str
) -> None:
    scripts(tmp_path, "pair")
    (tmp_path / "Makefile").write_text("setup:\n", "utf-8")
    (tmp_path / "poc").mkdir()
    (tmp_path / "poc" / "turns.py").touch()
    (tmp_path / "spec.yaml").touch()
    # The other's turn would come after longer than this test is let run.
    whose = f'case "$*" in *"--out {tmp_path}/out/{broken} "*) exit 1 ;; *) exec sleep 300 ;; esac'
    stub(tmp_path / ".venv" / "bin" / "python", whose)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "poc"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "base"], check=True)

    done = subprocess.run(
        [tmp_path / ".ci" / "pair", "HEAD", "spec.yaml", "out"],
        capture_output=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 2
