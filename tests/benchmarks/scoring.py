"""Times the metrics against the usual ways, in one run: a distance, and a folder end to end.

    python tests/benchmarks/scoring.py [--clips 256] [--out FILE]

Prints each number, marks one beyond its limit and exits 1 then, and prints the versions behind it.
On a machine that others use, `--cpu` counts seconds of computing, not the clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import scipy.linalg
from speed import Result
from usual_scoring import PROGRAMS

from metrics.base import FloatArray
from metrics.frechet import MomentSums, frechet_distance_from_moments
from poc.tiny import world
from poc.video import encode_webm

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WEIGHTS = ROOT / "poc" / "tiny" / "weights"
PEERS = (
    "open-clip-torch",
    "opencv-python-headless",
    "torchmetrics",
    "scipy",
    "torch",
    "numpy",
    "av",
)
DIMENSION = 400
MANY = 10_000
"""Clips that `poc measure` has to take on a laptop."""


def main() -> int:
    """Measure all, print it, and write it to `--out` where that is given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    own = time.process_time if arguments.cpu else time.perf_counter
    results = [*distances(arguments.repeats, own), streaming()]
    with tempfile.TemporaryDirectory() as folder:
        results += scoring(Path(folder), arguments.clips, _cpu if arguments.cpu else own)
    for one in results:
        print(f"{one.name}: {one.value:.3g} {one.unit}{'' if one.kept else '  BEYOND ITS LIMIT'}")
    versions = {name: version(name) for name in PEERS}
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    if arguments.out is not None:
        content = {"packages": versions, "results": [asdict(one) for one in results]}
        arguments.out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    return 0 if all(one.kept for one in results) else 1


# --- Frechet distance from moments ---------------------------------------------------------------


def distances(repeats: int, now: Callable[[], float]) -> list[Result]:
    """Ours against SciPy's matrix square root on covariances whose distance is known.

    Two covariances with the same eigenvectors are at the summed squares of the differences of
    their standard deviations, in any number of dimensions. Spectra fall over six decades.
    """
    ours, theirs = [], []
    errors: dict[str, list[float]] = {"ours": [], "scipy": []}
    for seed in range(repeats):
        s1, s2, truth = _known(seed)
        zero = np.zeros(DIMENSION)
        mine, seconds = _timed(partial(frechet_distance_from_moments, zero, s1, zero, s2), now)
        ours.append(seconds)
        usual, seconds = _timed(partial(_by_scipy, s1, s2), now)
        theirs.append(seconds)
        errors["ours"].append(abs(mine / truth - 1))
        errors["scipy"].append(abs(usual / truth - 1))
    ratio = statistics.median(t / m for t, m in zip(theirs, ours, strict=True))
    worst = max(errors["scipy"])
    return [
        Result(f"Frechet distance, d = {DIMENSION}", statistics.median(ours), "s"),
        Result("the same by SciPy's sqrtm", statistics.median(theirs), "s"),
        Result("Frechet distance, times as fast", ratio, "x", at_least=2),
        Result("largest relative error by sqrtm", worst, "of the truth"),
        Result("largest relative error", max(errors["ours"]), "of the truth", at_most=worst),
    ]


def _known(seed: int) -> tuple[FloatArray, FloatArray, float]:
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.normal(size=(DIMENSION, DIMENSION)))[0]
    a, b = (np.logspace(2, -4, DIMENSION) * rng.uniform(0.5, 2.0, DIMENSION) for _ in range(2))
    truth = float(np.sum((np.sqrt(a) - np.sqrt(b)) ** 2))
    s1, s2 = ((turned * spectrum) @ turned.T for spectrum in (a, b))
    return (s1 + s1.T) / 2, (s2 + s2.T) / 2, truth


def _by_scipy(s1: FloatArray, s2: FloatArray) -> float:
    return float(np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real))


def _timed(function: Callable[[], float], now: Callable[[], float]) -> tuple[float, float]:
    start = now()
    value = function()
    return value, now() - start


def streaming() -> Result:
    """Peak memory of moments over 20 times the clips, as a ratio."""
    batch = np.random.default_rng(0).normal(size=(64, DIMENSION))

    def peak(batches: int) -> int:
        tracemalloc.start()
        sums = MomentSums.empty(DIMENSION)
        for _ in range(batches):
            sums = sums.including(batch)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)
    return Result("streaming, memory for 20 times n", peak(200) / peak(10), "x", at_most=1.05)


# --- a folder, end to end ------------------------------------------------------------------------


def scoring(folder: Path, count: int, now: Callable[[], float]) -> list[Result]:
    """`poc measure` with all its metrics against one program a metric, and its second run."""
    clips, reference = (
        _rendered(folder / name, count, seed=seed) for seed, name in enumerate("ab")
    )
    command = [sys.executable, "-m", "poc", "measure", str(clips), "--reference", str(reference)]
    command += ["--judges", "tiny", "--prompts", "names", "--out", str(folder / "out")]
    first, again = _run(command, now), _run(command, now)
    programs = {name: _run(_usual(name, clips, reference), now) for name in PROGRAMS}
    theirs = sum(programs.values())
    return [
        *memory(folder, clips),
        Result(f"a folder of {count} clips", first, "s"),
        *(Result(f"the usual way: {name}", value, "s") for name, value in programs.items()),
        Result("a folder, times as fast as the usual way", theirs / first, "x", at_least=2),
        Result("a folder from the cache", again, "s"),
        Result("from the cache, times as fast as the usual way", theirs / again, "x", at_least=20),
        Result("from the cache, times as fast as the first time", first / again, "x"),
    ]


def memory(folder: Path, clips: Path) -> list[Result]:
    """Peak memory of `poc measure` over all clips and over a quarter of them, nothing cached.

    No frames are kept, but every number is until the summary is made: memory grows by a row a
    metric. What 10,000 clips take is drawn out from the two sizes.
    """
    files = sorted(clips.iterdir())
    few = folder / "few"
    few.mkdir()
    for path in files[: len(files) // 4]:
        os.link(path, few / path.name)
    small, large = (_peak_bytes(one, folder / f"peak-{one.name}") for one in (few, clips))
    a_clip = (large - small) / (len(files) - len(files) // 4)
    most = large + a_clip * max(MANY - len(files), 0)
    return [
        Result(f"peak memory, {len(files) // 4} clips", small / 2**20, "MiB"),
        Result(f"peak memory, {len(files)} clips", large / 2**20, "MiB"),
        Result(f"peak memory, {MANY} clips by these", most / 2**20, "MiB", at_most=2048),
    ]


def _peak_bytes(clips: Path, out: Path) -> int:
    command = [sys.executable, "-m", "poc", "measure", str(clips), "--out", str(out)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_maxrss * 1024


def _usual(metric: str, clips: Path, reference: Path) -> list[str]:
    script = str(HERE / "usual_scoring.py")
    return [sys.executable, script, metric, str(clips), str(reference), str(WEIGHTS)]


def _run(command: list[str], now: Callable[[], float]) -> float:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    start = now()
    subprocess.run(
        command,
        check=True,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return now() - start


def _cpu() -> float:
    """Return the seconds that all finished programs of ours have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rendered(folder: Path, count: int, *, seed: int) -> Path:
    folder.mkdir()
    for number, text in enumerate(world.unseen_prompts(count)):
        clip = world.render_clip(world.parse(text), np.random.default_rng([seed, number]))
        (folder / f"{text.replace(' ', '_')}.webm").write_bytes(encode_webm(clip, 8))
    return folder


if __name__ == "__main__":
    sys.exit(main())
