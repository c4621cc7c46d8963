"""How often the regression gate errs: simulated runs of one commit, and planted regressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import gate_runs as g
import numpy as np
import simulated_runs as sim
from audit_rates import ALARMS, FOUND, Bar, Rate
from audit_simulations import Floats, Tally, clustered, right, seeded, simulated, timed

from poc.gate import compare
from poc.gate_limits import is_judged
from poc.gate_pairs import Pair, Side
from poc.gate_quality import quality_trials
from poc.gate_records import GateCell, GateGroup, GateRun, GateStatus
from poc.gate_speed import speed_trials
from poc.gate_verdicts import ALARM_RATE, Trial, settle
from poc.latency_estimates import LATENCY
from poc.records import LatencySpec, Plan
from poc.run import read_plan

SPECS: Final = Path(__file__).parents[1] / "poc" / "specs"
METRICS: Final = ("clip_score", "flicker", "motion", "contrast", "oracle_all", "oracle_motion")
ROUND_NOISE: Final = (0.01, 0.03, 0.06)
"""Spread of a round's seconds, as a share: a quiet machine, a usual one, a shared one."""


class Exam(NamedTuple):
    """What a sweep that ships asks of the gate: how many prompts, rounds and tests."""

    prompts: int
    rounds: int
    tests: int
    """In Holm's correction: clips, judged metrics and stages of every arm."""


def exam(name: str) -> Exam:
    """Return the exam of a spec that ships, such as `tiny`."""
    plan, _ = read_plan(SPECS / f"{name}.yaml")
    judged = [metric for metric in plan.spec.metrics if is_judged(g.LIMITS, metric)]
    stages = len(g.LIMITS.speed) if plan.spec.latency else 0
    tests = len(plan.arms) * (1 + len(judged) + stages)
    rounds = plan.spec.latency.repeats if plan.spec.latency else 0
    return Exam(len(plan.prompts), rounds, tests)


# --- runs ----------------------------------------------------------------------------------------


def plan_of(prompts: int, rounds: int, metrics: Sequence[str] = METRICS) -> Plan:
    """Return the plan of a teacher and a student."""
    latency = LatencySpec(warmup=1, repeats=rounds) if rounds else None
    arms = [sim.teacher(), sim.arm(sim.STUDENT)]
    return sim.plan(arms, prompts=prompts, metrics=tuple(metrics), latency=latency)


def values_of(rng: np.random.Generator, prompts: int) -> Mapping[str, Floats]:
    """Return every metric of two runs of one commit and other seeds: arms (2) x prompts x runs (2).

    The runs share what is the prompt's and the arm's; the clip's own noise is each run's.
    """

    def numbers() -> Floats:
        return clustered(rng, prompts, 2)

    return {
        "clip_score": 80 + 5 * numbers(),
        "flicker": 0.95 + 0.01 * numbers(),
        "motion": 2 * np.exp(0.3 * numbers()),
        "contrast": 0.2 * np.exp(0.1 * numbers()),
        "oracle_all": right(numbers(), (0.8, 0.8)),
        "oracle_motion": right(numbers(), (0.97, 0.97)),
    }


def pair_of(
    plan: Plan, values: Mapping[str, Floats], seconds: Sequence[Floats]
) -> tuple[GateRun, GateRun]:
    """Return head and base of arrays, arms (2) x prompts x runs (2), and seconds of each run."""
    runs = []
    for place, name in enumerate(("head", "base")):
        own = {metric: array[:, :, [place]] for metric, array in values.items()}
        run = simulated(plan, own)
        runs.append(g.made(timed(run, seconds[place]) if seconds else run, name))
    return runs[0], runs[1]


def seconds_of(rng: np.random.Generator, rounds: int, noise: float) -> Floats:
    """Return seconds of a teacher of 4 s and a student of 1 s, arms (2) x rounds."""
    return np.array([[4.0], [1.0]]) * np.exp(noise * rng.normal(size=(2, rounds)))


# --- runs that do not differ ---------------------------------------------------------------------


def false_alarms(prompts: int, rounds: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often two runs of one commit are told apart, and how often they pass."""
    plan, tight = plan_of(prompts, rounds), g.tight()
    tallies = Tally(), Tally(), Tally()
    for trial in range(trials):
        rng = np.random.default_rng([seed, prompts, trial])
        times = [seconds_of(rng, rounds, 0.03) for _ in range(2)] if rounds else []
        head, base = pair_of(seeded(plan, trial), values_of(rng, prompts), times)
        shipped = compare(head, base, g.LIMITS).status
        tallies[0].add("equal runs: REGRESSION", shipped is GateStatus.REGRESSION)
        if trial < trials // 4:
            bare = compare(head, base, tight).status
            tallies[1].add("equal runs, limits of 0: REGRESSION", bare is GateStatus.REGRESSION)
        tallies[2].add("equal runs: PASS", shipped is GateStatus.PASS)
    note = f"{rounds} rounds" if rounds else "not timed"
    bars: tuple[Bar | None, ...] = (ALARMS, Bar(most=ALARM_RATE), None)
    for tally, bar in zip(tallies, bars, strict=True):
        yield from tally.rates("alarms", prompts, bar, note)


# --- planted regressions -------------------------------------------------------------------------


def cells_of(
    head: GateRun,
    base: GateRun,
    tests: int,
    rng: np.random.Generator,
    *,
    arm: str = sim.STUDENT,
) -> tuple[GateCell, ...]:
    """Return an arm's cells as in a check of `tests` tests, the others of which show nothing.

    The other tests' p-values are uniform, as those of arms that did not change.
    """
    found = next(one for one in head.plan.arms if one.name == arm)
    pair = Pair.of(found, Side.of(head), Side.of(base))
    own = [*quality_trials(pair, g.LIMITS), *speed_trials(pair, g.LIMITS)]
    padding = tests - sum(one.p is not None for one in own)
    blank = pair.cell(GateGroup.QUALITY, "another arm")
    others = [Trial(blank, p=float(p)) for p in rng.random(max(0, padding))]
    return settle([*own, *others])[: len(own)]


def _status(cells: Iterable[GateCell], subject: str) -> GateStatus:
    return next(cell.status for cell in cells if cell.subject == subject)


def planted_slowness(
    exam_: Exam, slower: Sequence[float], trials: int, seed: int
) -> Iterator[Rate]:
    """Yield how often a student that takes longer is named, and how often it does not pass."""
    plan = plan_of(1, exam_.rounds, ("clip_score",))
    flat = {"clip_score": np.full((2, 1, 2), 80.0)}  # one prompt: seconds alone are asked for
    for noise in ROUND_NOISE:
        named, stopped = Tally(), Tally()
        for factor in slower:
            for trial in range(trials):
                rng = np.random.default_rng([seed, round(1000 * noise), round(100 * factor), trial])
                times = [seconds_of(rng, exam_.rounds, noise) for _ in range(2)]
                times[0] = times[0] * np.array([[1.0], [factor]])
                head, base = pair_of(seeded(plan, trial), flat, times)
                status = _status(cells_of(head, base, exam_.tests, rng), LATENCY)
                name = f"{factor - 1:+.0%} seconds"
                named.add(f"{name}: REGRESSION", status is GateStatus.REGRESSION)
                stopped.add(f"{name}: no PASS", status is not GateStatus.PASS)
        note = f"rounds vary by {noise:.0%}, {exam_.tests} tests"
        yield from _barred(named, exam_.rounds, "+10% seconds: REGRESSION", note)
        yield from _barred(stopped, exam_.rounds, "+10% seconds: no PASS", note)


def _barred(tally: Tally, n: int, promised: str, note: str) -> Iterator[Rate]:
    """Yield rates of which only the promised one has a bar."""
    for rate in tally.rates("planted", n, FOUND, note):
        yield rate if rate.what == promised else replace(rate, bar=None)


def planted_losses(exam_: Exam, trials: int, seed: int, *, same: bool) -> Iterator[Rate]:
    """Yield how often a loss of quality is named, by its size; `same`: both runs have one seed.

    Runs of one seed and one code have the same clips, so that all that differs is the loss.
    """
    plan = plan_of(exam_.prompts, 0)
    planted = {
        "oracle_all": [(f"{drop:.0%} of clips no longer right", drop) for drop in (0.1, 0.2, 0.3)],
        "clip_score": [(f"CLIP score {drop:.0%} lower", drop) for drop in (0.03, 0.04, 0.06)],
    }
    for metric, sizes in planted.items():
        named, stopped = Tally(), Tally()
        for name, drop in sizes:
            for trial in range(trials):
                key = [seed, exam_.prompts, int(same), round(1000 * drop), trial]
                rng = np.random.default_rng(key)
                values = dict(values_of(rng, exam_.prompts))
                if same:
                    values = {name: array[:, :, [0, 0]] for name, array in values.items()}
                values[metric] = _worse(metric, values[metric], drop, rng)
                head, base = pair_of(seeded(plan, trial), values, [])
                status = _status(cells_of(head, base, exam_.tests, rng), metric)
                named.add(f"{name}: REGRESSION", status is GateStatus.REGRESSION)
                stopped.add(f"{name}: no PASS", status is not GateStatus.PASS)
        note = f"{'same' if same else 'other'} seeds, {exam_.tests} tests"
        at_limit = sizes[0][0]
        yield from named.rates("planted", exam_.prompts, None, note)
        yield from _barred(stopped, exam_.prompts, f"{at_limit}: no PASS", note)


def _worse(metric: str, values: Floats, drop: float, rng: np.random.Generator) -> Floats:
    """Return values of which the head's student is worse by `drop`; arms x prompts x runs."""
    changed = values.copy()
    own = changed[1, :, 0]
    if metric.startswith("oracle_"):
        # Of the 0.8 that are right, as many are spoilt as make up the drop.
        changed[1, :, 0] = own * (rng.random(len(own)) > drop / 0.8)
    else:
        changed[1, :, 0] = own * (1 - drop)
    return changed
