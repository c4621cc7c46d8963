"""How often our own statistics err: runs whose truth is known, through the rules of a real run.

`make audit` runs it: simulated runs, runs drawn from pools of measured clips, broken run folders.
The promised shares are in `audit_rates` and were written before the first trial. Every part is
written once it is finished and carries its seed, its number of trials and a digest of the code that
it was made with: `--only PART` repeats some and keeps the others, `--resume` leaves out those that
are there already and would come out the same. `--workers 2` takes two parts at a time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import audit_decisions
import audit_gate
import audit_page
import audit_pool
import audit_pool_file
import audit_simulations
import audit_verdicts
from audit_rates import POWER, Rate

from poc.baseline import in_force, opened
from poc.fingerprint import take_fingerprint
from poc.records import digest

ROOT: Final = Path(__file__).parent.parent.parent
OUT: Final = ROOT / "reports" / "baselines" / "audit"
ACCEPTED: Final = ROOT / "reports" / "baselines" / "gate"
README: Final = ROOT / "README.md"
SEED: Final = 20261128
FEW: Final = (12, 4)
"""Prompts, and clips of each: the shape of the sweep at real size."""

Part = Callable[[int], Iterator[Rate]]
"""Number of trials -> rates."""

# --- parts ---------------------------------------------------------------------------------------


def intervals(trials: int) -> Iterator[Rate]:
    """Yield the coverage of intervals over prompts."""
    for prompts, replicates in ((20, 2), (64, 2), (200, 2), (64, 1)):
        yield from audit_simulations.coverage(prompts, replicates, trials, SEED)


def seconds(trials: int) -> Iterator[Rate]:
    """Yield the coverage of ratios of seconds."""
    for rounds in (6, audit_simulations.ROUNDS, 15, 30):
        yield from audit_simulations.latency_coverage(rounds, trials, SEED)


def kvd(trials: int) -> Iterator[Rate]:
    """Yield the coverage of KVD."""
    for prompts in (20, 64, 200):
        yield from audit_simulations.kvd_coverage(prompts, trials, SEED)


def hard_prompts(trials: int) -> Iterator[Rate]:
    """Yield how differences of shares fare where few prompts fail."""
    never = (0.0, 0.0)
    for prompts, replicates, lost, gained in (
        (20, 4, (0.2, 0.5), never),
        (64, 2, (0.15, 0.7), never),
        (64, 4, (0.08, 0.5), never),
        (200, 4, (0.02, 0.7), never),
        (20, 4, (0.1, 0.9), (0.1, 0.5)),
        (32, 4, (0.05, 0.9), (0.05, 0.5)),
    ):
        yield from audit_simulations.hard_prompts(
            prompts, replicates, lost, gained, trials=trials, seed=SEED
        )


def false_go(trials: int) -> Iterator[Rate]:
    """Yield how often arms at a minimum get GO, at the prompts of the default sweep and planned."""
    for prompts in (len(audit_gate.spec_plan("tiny").prompts), audit_decisions.planned()):
        yield from audit_decisions.false_go(prompts, trials, SEED)


def power(trials: int) -> Iterator[Rate]:
    """Yield how often a good arm gets GO; at the planned prompts that is promised."""
    planned = audit_decisions.planned()
    for prompts in sorted({64, planned, 128, 256}):
        bar = POWER if prompts == planned else None
        yield from audit_decisions.power(prompts, trials, SEED, bar)


def alarms(trials: int) -> Iterator[Rate]:
    """Yield how often equal runs alarm, at the sizes of the sweeps that are checked."""
    for name in ("tiny", "gate-timed"):
        plan = audit_gate.spec_plan(name)
        rounds = plan.spec.latency.repeats if plan.spec.latency else 0
        yield from audit_gate.false_alarms(len(plan.prompts), rounds, trials, SEED)


def planted(trials: int) -> Iterator[Rate]:
    """Yield how often planted regressions are named."""
    timed, gate = (audit_gate.spec_plan(name) for name in ("gate-timed", "gate"))
    yield from audit_gate.planted_slowness(timed, (1.05, 1.1, 1.15), trials, SEED)
    for plan in (gate, timed):
        yield from audit_gate.planted_losses(plan, trials, SEED)


def of_pool(pool: audit_pool.Pool, trials: int) -> Iterator[Rate]:
    """Yield everything that a pool is asked, at half of its prompts."""
    half, (first, last) = pool.size // 2, pool.led()
    two = pool.narrowed({first.id, last.id})
    yield from audit_pool.coverage(two, half, trials, SEED)
    if pool.replicates >= FEW[1]:
        yield from audit_pool.coverage(two, FEW[0], trials, SEED, clips=FEW[1])
    yield from audit_pool.at_the_line(pool, half, trials, SEED)
    yield from audit_pool.decisions(pool, half, trials, SEED)
    deals = [audit_pool.Deal.of_arms(pool, first, last)]
    if pool.replicates > 1:
        deals = [audit_pool.Deal.of_seeds(pool, arm) for arm in (first, last)]
    shipped = min(pool.size, len(audit_gate.spec_plan("gate").prompts))
    for deal in deals:
        yield from audit_pool.false_alarms(deal, pool.name, shipped, trials, SEED)


PARTS: Final[Mapping[str, Part]] = {
    "intervals": intervals,
    "seconds": seconds,
    "kvd": kvd,
    "hard-prompts": hard_prompts,
    "false-go": false_go,
    "power": power,
    "alarms": alarms,
    "planted": planted,
}

VERDICTS: Final = {
    "poc check": (audit_verdicts.CHECKS, audit_verdicts.checked),
    "poc decide": (audit_verdicts.DECISIONS, audit_verdicts.decided),
}


def verdicts() -> list[dict[str, Any]]:
    """Return what the program says of broken run folders, beside what it should say."""
    rows = []
    for command, (cases, asked) in VERDICTS.items():
        for case in cases:
            with tempfile.TemporaryDirectory() as folder:
                says, code = asked(case, Path(folder))
            rows.append(
                {
                    "command": command,
                    "what": case.what,
                    "should_say": case.says,
                    "should_exit": case.code,
                    "says": says,
                    "exits": code,
                }
            )
    return rows


# --- the command ---------------------------------------------------------------------------------


def main() -> None:
    """Run the audit and write `audit.json` and `audit.md`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "runs", type=Path, nargs="*", help="finished run folders to draw from beside the kept clips"
    )
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--only", nargs="+", default=[*PARTS, "pools", "verdicts"])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--resume", action="store_true", help="leave out what is there already")
    parser.add_argument("--workers", type=int, default=1, help="processes, a part each")
    arguments = parser.parse_args()
    out, trials = arguments.out, arguments.trials
    if "pools" in arguments.only:
        refuse_stale()
    # Read before anything runs: files may change in the time that this takes.
    before = read(out) if arguments.resume else {}
    jobs = [
        job
        for job in jobs_of(arguments.only, arguments.runs)
        if not is_there(before.get(job.section, {}).get(job.name), job, trials)
    ]
    for job, found in done(jobs, trials, source(), arguments.workers):
        keep(out, job.section, job.name, found)
    if "verdicts" in arguments.only:
        keep(out, "verdicts", "rows", verdicts())
    if out == OUT:
        refresh(README, read(out))


def refuse_stale() -> None:
    """Leave with a message, before the first trial, where kept clips cannot be drawn from."""
    try:
        for path in audit_pool_file.kept():
            audit_pool_file.read(path)
    except audit_pool_file.PoolFileError as error:
        raise SystemExit(str(error)) from error


class Job(NamedTuple):
    """A part that is taken and kept on its own."""

    section: str
    name: str
    run: Path | None = None
    """Of a pool: its run folder or file, None for the accepted run of the gate."""
    clips: str | None = None
    """Digest of the clips that every clone has; None of a part, and of a run folder."""


def jobs_of(only: Collection[str], runs: Sequence[Path]) -> list[Job]:
    """Return the parts asked for; pools first, since they take longest."""
    parts = [Job("parts", name) for name in PARTS if name in only]
    return [*(pools_of(runs, audit_pool_file.kept()) if "pools" in only else []), *parts]


def pools_of(runs: Sequence[Path], kept: Sequence[Path]) -> list[Job]:
    """Return the clips that are kept, the runs named and the accepted run of the gate."""
    found = [Job("pools", path.stem, path, sha256(path.read_bytes()).hexdigest()) for path in kept]
    found += [Job("pools", run.name, run) for run in runs]
    found.append(Job("pools", "gate", None, in_force(ACCEPTED)[0].digest))
    names = [job.name for job in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SystemExit(
            f"two pools of one name: {', '.join(twice)}; give the run folder another name, or keep "
            "its clips in the place of those that are there: make audit-pool RUNS=FOLDER"
        )
    return found


def is_there(found: Mapping[str, Any] | None, job: Job, trials: int) -> bool:
    """Tell whether a part that is written already would come out the same."""
    made = {"seed": SEED, "trials": trials, "source": source(), "clips": job.clips}
    return found is not None and made == {key: found.get(key) for key in made}


def done(
    jobs: Sequence[Job], trials: int, code: str, workers: int
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Yield every job with what it found, as soon as it is done."""
    if workers < 2:
        yield from ((job, taken(job, trials, code)) for job in jobs)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as processes:
        running = {processes.submit(taken, job, trials, code): job for job in jobs}
        yield from ((running[one], one.result()) for one in as_completed(running))


def pool_of(job: Job) -> audit_pool.Pool:
    """Return a pool: a run named, clips that are kept, or the accepted run of the gate."""
    if job.run is not None:
        read = audit_pool_file.read if job.run.is_file() else audit_pool.Pool.read
        return read(job.run)
    with opened(ACCEPTED, in_force(ACCEPTED)[0]) as store:
        return audit_pool.Pool.of(store, "gate")


def taken(job: Job, trials: int, code: str) -> dict[str, Any]:
    """Return a part's rates with what they were made with; prints each as it comes."""
    pool = pool_of(job) if job.section == "pools" else None
    part = PARTS[job.name] if pool is None else partial(of_pool, pool)
    rows, begun = [], time.process_time()
    for rate in part(trials):
        rows.append(rate.as_json())
        spent = (time.process_time() - begun) / 60
        print(f"{job.name:>10} {spent:5.1f} min  {line(rate)}", flush=True)
    fingerprint = take_fingerprint()
    return ({} if pool is None else {"prompts": pool.size, "clips": job.clips}) | {
        "seed": SEED,
        "trials": trials,
        "source": code,
        "cpu": fingerprint.cpu,
        "packages": {name: fingerprint.packages[name] for name in ("numpy", "scipy")},
        "rates": rows,
    }


@cache
def source() -> str:
    """Return a digest of all code that has a part in the numbers, whatever its commit is called."""
    files = [*ROOT.glob("poc/*.py"), *ROOT.glob("poc/specs/**/*.yaml"), *ROOT.glob("metrics/*.py")]
    files += [*ROOT.glob("tests/audit_*.py"), Path(__file__)]
    listed = [(str(file.relative_to(ROOT)), file.read_text("utf-8")) for file in sorted(files)]
    return digest(listed)


def line(rate: Rate) -> str:
    """Return a rate as one line of progress."""
    low, high = rate.interval
    n, share = f"n = {rate.n}", f"{rate.share:.1%} [{low:.1%}, {high:.1%}]"
    return f"{rate.part}  {rate.what}  {n}  {share}  {rate.standing}"


def read(out: Path) -> dict[str, Any]:
    """Return what is written already, to be replaced part by part."""
    path = out / "audit.json"
    if not path.exists():
        return {"format_version": 1, "parts": {}, "pools": {}, "verdicts": {}}
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def keep(out: Path, section: str, name: str, value: Any) -> None:
    """Write a part beside those that are there, as JSON and as Markdown."""
    content = read(out)
    content[section][name] = value
    content["parts"] = {one: content["parts"][one] for one in PARTS if one in content["parts"]}
    content["pools"] = dict(sorted(content["pools"].items(), key=lambda one: one[0] != "gate"))
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    (out / "audit.json").write_text(text, "utf-8")
    (out / "audit.md").write_text(audit_page.page(content), "utf-8")


def refresh(readme: Path, content: dict[str, Any]) -> None:
    """Write the three lines that sum up between their marks in the README."""
    begin, end = "<!-- audit:begin -->\n", "<!-- audit:end -->"
    before, _, rest = readme.read_text("utf-8").partition(begin)
    lines = "".join(f"{text}\n" for text in audit_page.summary(content))
    readme.write_text(before + begin + lines + end + rest.partition(end)[2], "utf-8")


if __name__ == "__main__":
    main()
