"""The whole program against kills and full disks, at every point: half an hour, on request.

`make endure` runs this. The store alone is tested at every operation in `test_poc_store_crashes.py`
with every `make test`; here models generate, metrics measure, and the owner dies in between.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fault_injection as fi
import pytest

from poc import cli
from poc.store import RunStore

SPECS = Path("poc/specs")
QUICK = SPECS / "quick.yaml"
LONGER_PROMPTS = 12
RANDOM_KILLS = 20
DERIVED = ("estimates.json", "decision.json")


def run(out: Path) -> int:
    return cli.main(["run", str(QUICK), "--out", str(out), "--workers", "1", "--no-report"])


def as_job(out: Path, _acknowledge: fi.Acknowledge) -> None:
    if code := run(out):
        raise SystemExit(code)


def results(out: Path) -> dict[str, str]:
    """Return the digests of all that may not depend on stops."""
    paths = [out / name for name in ("plan.json", *DERIVED)]
    paths += sorted((out / "clips").iterdir()) + sorted((out / "features").iterdir())
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }


def published(out: Path) -> list[str]:
    """Return the lines of every batch that is published, in the order of the plan."""
    if not (out / "manifest.json").exists():
        return []
    return [made.to_json() for made in RunStore.open_reader(out).generations()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert run(out) == 0
    return results(out)


def stopped(folder: Path, action: fi.Action, on: str) -> Iterator[tuple[Path, fi.Ended]]:
    """Run once for each operation of a kind, hit at that one, until a run is not hit."""
    for nth in itertools.count(1):
        out = folder / str(nth)
        ended = fi.forked(partial(as_job, out), fi.Fault(nth, action, frozenset({on})))
        if ended.code == 0:
            return
        yield out, ended


def test_killed_at_every_fsync_a_run_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    kills = 0
    for out, ended in stopped(tmp_path, fi.Action.KILL, "fsync"):
        kills += 1
        assert ended.killed, ended.error
        before = published(out)
        assert run(out) == 0
        assert published(out)[: len(before)] == before
        assert len(published(out)) == len(set(published(out)))
        assert results(out) == undisturbed

    assert kills >= 20


def test_a_disk_full_at_every_write_is_exit_2_and_the_run_goes_on(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    refusals = 0
    for out, ended in stopped(tmp_path, fi.Action.HALF_FULL, "write"):
        refusals += 1
        assert ended.error.endswith("SystemExit: 2"), ended.error
        before = published(out)
        assert run(out) == 0
        assert published(out)[: len(before)] == before
        assert results(out) == undisturbed

    assert refusals >= 20


# --- at random moments, from outside, with workers -----------------------------------------------


def longer_spec(folder: Path) -> Path:
    """Write the quick spec with more prompts."""
    text = QUICK.read_text().replace("prompts: 2\n", f"prompts: {LONGER_PROMPTS}\n")
    (folder / "criteria").symlink_to((SPECS / "criteria").resolve())
    path = folder / "longer.yaml"
    path.write_text(text)
    return path


def started(spec: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "poc", "run", str(spec), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--workers", "2", "--no-report"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_killed_at_random_moments_a_longer_run_ends_as_one_that_was_not(tmp_path: Path) -> None:
    spec = longer_spec(tmp_path)
    begun = time.monotonic()
    assert started(spec, tmp_path / "whole").wait() == 0
    duration_s = time.monotonic() - begun
    moments = random.Random(20261125)  # noqa: S311 - for when to strike, not for secrets
    out, before = tmp_path / "run", list[str]()
    for _ in range(RANDOM_KILLS):
        process = started(spec, out)
        # A start takes some seconds in which nothing is made; some kills shall hit it too.
        time.sleep(moments.uniform(0.1, 0.7) * duration_s)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        after = published(out)
        # Two workers publish as they get ready: what one left open is filled in by the next start.
        assert set(before) <= set(after)
        before = after

    assert started(spec, out).wait() == 0
    assert set(before) <= set(published(out))
    made = [clip for line in RunStore.open_reader(out).generations() for clip in line.clips]
    assert len(made) == len({clip.clip_id for clip in made})
    assert results(out) == results(tmp_path / "whole")
