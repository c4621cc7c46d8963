"""What a fingerprint says, and that it says "unknown" where it cannot tell."""

from __future__ import annotations

import mmap
import os
import platform
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from poc import fingerprint
from poc.fingerprint import (
    Fingerprint,
    Gpu,
    machine_name,
    peak_memory_bytes,
    reset_peak_memory,
    take_fingerprint,
)

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    fingerprint._gpus.cache_clear()


def program(folder: Path, name: str, script: str) -> None:
    """Put a program on the path that is `folder`."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    file.chmod(0o755)


def test_two_looks_at_one_machine_are_equal_and_survive_json() -> None:
    one, other = take_fingerprint(), take_fingerprint()

    assert one == other
    assert Fingerprint.from_json(one.to_json()) == one


def test_versions_are_those_installed() -> None:
    seen = take_fingerprint()

    assert seen.packages["pydantic"] == metadata.version("pydantic")
    assert set(seen.packages) == set(fingerprint.PACKAGES)
    assert seen.python == platform.python_version()


def test_a_package_that_is_not_there_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "PACKAGES", ("no-such-package",))

    assert take_fingerprint().packages == {"no-such-package": "absent"}


def test_the_machine_is_told_apart_but_not_named() -> None:
    text = take_fingerprint().to_json()

    assert f'"{socket.gethostname()}"' not in text


def test_settings_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    seen = take_fingerprint().settings

    assert (seen["OMP_NUM_THREADS"], seen["NVIDIA_TF32_OVERRIDE"]) == ("3", "unset")


def test_gpus_are_what_the_driver_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "nvidia-smi", "echo 'NVIDIA H200, 143771, 570.10'; echo 'B, 80, 570.10'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    seen = take_fingerprint()

    assert seen.gpus == ("NVIDIA H200, 143771 MiB", "B, 80 MiB")
    assert seen.gpu_driver == "570.10"
    assert machine_name("cuda:1") == "B"
    assert machine_name("cuda") == "NVIDIA H200"
    assert machine_name("cuda:2") == "unknown"


def test_no_driver_is_not_the_same_as_one_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    without = (None, "unknown") if Path("/proc/driver/nvidia/version").exists() else ((), "absent")
    none = take_fingerprint()
    fingerprint._gpus.cache_clear()
    program(tmp_path, "nvidia-smi", "exit 9")
    silent = take_fingerprint()

    assert (none.gpus, none.gpu_driver) == without
    assert (silent.gpus, silent.gpu_driver) == (None, "unknown")


def test_a_driver_that_talks_nonsense_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "nvidia-smi", "echo 'no devices were found'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert take_fingerprint().gpus is None


def test_the_driver_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def answer(command: list[str]) -> str:
        asked.append(command)
        return "A, 1, 2\n"

    monkeypatch.setattr(fingerprint, "_output", answer)
    monkeypatch.setattr("shutil.which", lambda _: "/bin/nvidia-smi")
    for _ in range(3):
        machine_name("cuda:0")

    assert len(asked) == 1
    assert fingerprint._gpus() == (Gpu("A", "1", "2"),)


def test_the_commit_is_that_of_the_checkout_and_changes_are_seen(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    outside = fingerprint._commit(tmp_path)
    git("init", "-q")
    unborn = fingerprint._commit(tmp_path)
    (tmp_path / "file").write_text("one", "utf-8")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    (tmp_path / "untracked").write_text("", "utf-8")
    clean = fingerprint._commit(tmp_path)
    (tmp_path / "file").write_text("two", "utf-8")
    modified = fingerprint._commit(tmp_path)

    head = git("rev-parse", "HEAD")
    assert outside == ("unknown", None)
    assert unborn[0] == "unknown"
    assert (clean, modified) == ((head, False), (head, True))


def test_the_processor_has_a_name() -> None:
    assert machine_name("cpu") == take_fingerprint().cpu != ""


def test_peak_memory_grows_with_what_is_held() -> None:
    reset_peak_memory()
    before = peak_memory_bytes()
    with mmap.mmap(-1, 64 * 2**20) as held:  # not from what the process has kept from before
        for page in range(0, len(held), mmap.PAGESIZE):
            held[page] = 1
        grown = peak_memory_bytes() - before

    assert grown > 32 * 2**20


def test_none_of_the_big_libraries_is_loaded() -> None:
    text = (
        "import sys; from poc.fingerprint import *; take_fingerprint(); peak_memory_bytes()\n"
        "print(sorted({'torch', 'numpy', 'av', 'pynvml'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
