"""Times the program on this machine and writes what it found, with machine and commit.

`make bench` runs it: about half an hour on two cores, which should have nothing else to do. Limits
are those that the project sets itself for two cores; a value beyond its limit is marked, and the
exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from poc.fingerprint import take_fingerprint
from poc.latency_estimates import DENOISE, LATENCY, timings
from poc.store import RunStore

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SPECS = ROOT / "poc" / "specs"
PROGRAM = [sys.executable, "-m", "poc"]
FAST, TEACHER = "animatelcm-4", "teacher-25"
POLL_S = 1.0
REFERENCE_CLIPS = 256
"""Rendered clips behind each FVD, on both sides of the comparison with the plain script."""


@dataclass(frozen=True, slots=True)
class Result:
    """One measured number, and the limit that it must keep: at most, or at least."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the value lies within its limit."""
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took: wall seconds, and the most memory of all its processes as sampled."""

    duration_s: float
    peak_memory_bytes: int


def main() -> int:
    """Measure everything, print it, and write it to `--out`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    parser.add_argument("--plain-prompts", type=int, default=16)
    arguments = parser.parse_args()
    fingerprint = take_fingerprint().model_dump(mode="json")  # before the file itself changes
    with tempfile.TemporaryDirectory() as folder:
        parts = (
            starts,
            partial(sweep, Path(folder)),
            partial(plain, Path(folder), arguments.plain_prompts),
        )
        results: list[Result] = []
        for part in parts:
            results += part()
            write(arguments.out, fingerprint, results)
    return 0 if all(one.kept for one in results) else 1


def write(out: Path, fingerprint: dict[str, Any], results: list[Result]) -> None:
    """Write what is known so far, so that a later part that fails loses nothing; and print it."""
    for one in results:
        print(f"{one.name}: {one.value:.3g} {one.unit}{'' if one.kept else '  BEYOND ITS LIMIT'}")
    content = {"fingerprint": fingerprint, "results": [asdict(one) for one in results]}
    out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")


def starts() -> list[Result]:
    """Time what a person waits for at the command line: the median of five."""
    found = []
    for name, command, limit_s in (
        ("poc --help", ["--help"], 0.5),
        ("poc plan", ["plan"], 1.0),
    ):
        times = [measured([*PROGRAM, *command]).duration_s for _ in range(5)]
        found.append(Result(name, statistics.median(times), "s", at_most=limit_s))
    return found


def sweep(folder: Path) -> list[Result]:
    """Run the default sweep, and read from it how much faster the few-step arm is."""
    out = folder / "demo"
    used = measured([*PROGRAM, "run", "--out", str(out)])
    return [
        Result("sweep", used.duration_s, "s", at_most=600),
        Result("sweep, peak memory (sampled)", used.peak_memory_bytes / 1e9, "GB", at_most=4),
        Result("denoising, speed-up", speed_up(out, DENOISE), "x", at_least=11),
        Result("end to end, speed-up", speed_up(out, LATENCY), "x", at_least=6),
    ]


def speed_up(run: Path, metric: str) -> float:
    """Return how many times as fast the few-step arm is as the teacher, as a run estimates it.

    The median of the rounds' own ratios: in a round both are timed one after the other.
    """
    store = RunStore.open_reader(run)
    plan = store.plan
    found = timings(plan, store.latency())
    ids = {arm.name: arm.id for arm in plan.arms}
    teacher, fast = found[ids[TEACHER]], found[ids[FAST]]
    rounds = sorted(set(teacher.by_round) & set(fast.by_round))
    return float(np.median(teacher.column(metric, rounds) / fast.column(metric, rounds)))


def plain(folder: Path, prompts: int) -> list[Result]:
    """Make the same clips and numbers by the harness and by a plain script, one after the other."""
    spec = folder / "same.yaml"
    spec.write_text(same_spec(prompts), "utf-8")
    (folder / "criteria.yaml").write_text(same_criteria(), "utf-8")
    out = folder / "same"
    mine = measured([*PROGRAM, "run", str(spec), "--out", str(out), "--no-report"])
    weights = ROOT / "poc" / "tiny" / "weights"
    script = [sys.executable, str(HERE / "plain_script.py"), str(out), str(weights)]
    theirs = measured(
        [*script, "--prompts", str(prompts), "--reference-clips", str(REFERENCE_CLIPS)]
    )
    ratio = theirs.duration_s / mine.duration_s
    return [
        Result(f"harness, {prompts} prompts", mine.duration_s, "s"),
        Result(f"plain script, {prompts} prompts", theirs.duration_s, "s"),
        Result("plain script over harness", ratio, "x", at_least=1.5),
    ]


def same_spec(prompts: int) -> str:
    """Return the default spec with fewer prompts and the plain script's two numbers alone."""
    spec = yaml.safe_load((SPECS / "tiny.yaml").read_text("utf-8"))
    for reference in spec["references"]:
        reference["count"] = REFERENCE_CLIPS
    spec |= {"prompts": prompts, "latency": None, "criteria": "criteria.yaml"}
    spec |= {"metrics": ["clip_score", "fvd"], "contrasts": [], "slices": None}
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)


def same_criteria() -> str:
    """Return the quick criteria that need no metric, only clips."""
    criteria = yaml.safe_load((SPECS / "criteria" / "quick.yaml").read_text("utf-8"))
    criteria["criteria"] = [one for one in criteria["criteria"] if one["metric"] == "valid_share"]
    return yaml.safe_dump(criteria, sort_keys=False, allow_unicode=True)


def measured(command: list[str]) -> Usage:
    """Run a command to its end; raises CalledProcessError when it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    try:
        while process.poll() is None:
            peak = max(peak, family_memory_bytes(process.pid))
            time.sleep(POLL_S if time.perf_counter() - begun > 3 else 0.005)
    finally:
        process.kill()
    duration_s = time.perf_counter() - begun
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(duration_s, peak)


def family_memory_bytes(pid: int) -> int:
    """Return the memory of a process and all below it; pages they share are counted once."""
    total = 0
    for one in family(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def family(pid: int) -> list[int]:
    """Return a process and all that it started, as far as they are still there."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return [pid]
    return [pid, *(below for child in text.split() for below in family(int(child)))]


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
