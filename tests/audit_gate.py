"""How often the regression gate errs: simulated runs of one commit, and planted regressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import gate_runs as g
import numpy as np
import simulated_runs as sim
from audit_page import AGAIN
from audit_rates import ALARMS, FOUND, Bar, Rate
from audit_simulations import Floats, Tally, clustered, laid_out, right, timed

from poc import power
from poc.foresight import Exam
from poc.gate import compare_sides
from poc.gate_limits import limit_of
from poc.gate_pairs import Pair, Side
from poc.gate_quality import quality_trials
from poc.gate_records import GateCell, GateGroup, GateResult, GateRun, GateStatus
from poc.gate_speed import speed_trials
from poc.gate_verdicts import ALARM_RATE, Trial, settle
from poc.latency_estimates import LATENCY
from poc.records import Arm, LatencySample, LatencySpec, Plan
from poc.run import read_plan
from poc.samples import Ledger

SPECS: Final = Path(__file__).parents[1] / "poc" / "specs"
METRICS: Final = ("clip_score", "flicker", "motion", "contrast", "oracle_all", "oracle_motion")
ROUND_NOISE: Final = (0.01, 0.03, 0.06)
"""Spread of a round's seconds, as a share: a quiet machine, a usual one, a shared one."""

DRIFT: Final = 0.05
"""Spread of what hits both rounds of a turn alike."""


def spec_plan(name: str) -> Plan:
    """Return the plan of a spec that ships, such as `gate`."""
    return read_plan(SPECS / f"{name}.yaml")[0]


# --- runs ----------------------------------------------------------------------------------------


@cache
def plan_of(prompts: int, rounds: int, metrics: tuple[str, ...] = METRICS) -> Plan:
    """Return the plan of a teacher and a student."""
    latency = LatencySpec(warmup=1, repeats=rounds) if rounds else None
    arms = [sim.teacher(), sim.arm(sim.STUDENT)]
    return sim.plan(arms, prompts=prompts, metrics=metrics, latency=latency)


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


def side(name: str, plan: Plan, book: Ledger, latencies: Sequence[LatencySample] = ()) -> Side:
    """Return one run as the gate takes it, its clips laid out already."""
    run = GateRun(
        name=name,
        plan=plan,
        generations=(),
        measurements=(),
        latencies=tuple(latencies),
        resolved={arm.id: g.resolved(arm) for arm in plan.arms},
        fingerprints=(),
    )
    return Side(run, book)


def sides(
    plan: Plan, values: Mapping[str, Floats], seconds: Sequence[Floats] = ()
) -> tuple[Side, Side]:
    """Return head and base of arrays, arms x prompts x runs (2); seconds of each were in turns."""
    found = []
    for place, name in enumerate(("head", "base")):
        own = {metric: array[:, :, [place]] for metric, array in values.items()}
        taken = timed(plan, seconds[place], begun=50.0 * place) if len(seconds) else ()
        found.append(side(name, plan, laid_out(plan.arms, own), taken))
    return found[0], found[1]


def seconds_of(rng: np.random.Generator, rounds: int, noise: float) -> Floats:
    """Return seconds of a teacher of 4 s and a student of 1 s, runs (2) x arms (2) x rounds."""
    shared = DRIFT * rng.normal(size=(1, 1, rounds)) + np.linspace(0, 0.2, rounds)
    own = noise * rng.normal(size=(2, 2, rounds))
    return np.array([[4.0], [1.0]]) * np.exp(shared + own)


# --- runs that do not differ ---------------------------------------------------------------------


def false_alarms(prompts: int, rounds: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often two runs of one commit are told apart, and how often they pass.

    What a first look leaves open is looked at once more, at twice the prompts and rounds.
    """
    plan, tight = plan_of(prompts, rounds), g.tight()
    tallies = Tally(), Tally(), Tally(), Tally(), Tally()
    for trial in range(trials):
        rng = np.random.default_rng([seed, prompts, trial])
        values, seconds = values_of(rng, prompts), seconds_of(rng, rounds, 0.03)
        head, base = sides(plan, values, [*seconds])
        first = compare_sides(head, base, g.LIMITS)
        tallies[0].add("equal runs: REGRESSION", first.status is GateStatus.REGRESSION)
        if trial < trials // 4:
            bare = compare_sides(head, base, tight).status
            tallies[1].add("equal runs, limits of 0: REGRESSION", bare is GateStatus.REGRESSION)
        tallies[2].add("equal runs: PASS", first.status is GateStatus.PASS)
        last = second_look(first, values, rounds, rng).status if first.may_extend else first.status
        tallies[3].add(f"equal runs {AGAIN}: REGRESSION", last is GateStatus.REGRESSION)
        tallies[4].add(f"equal runs {AGAIN}: PASS", last is GateStatus.PASS)
    note = f"{rounds} rounds in turns" if rounds else "not timed"
    bars: tuple[Bar | None, ...] = (ALARMS, Bar(most=ALARM_RATE), None, ALARMS, None)
    for tally, bar in zip(tallies, bars, strict=True):
        yield from tally.rates("alarms", prompts, bar, note)


def second_look(
    first: GateResult, values: Mapping[str, Floats], rounds: int, rng: np.random.Generator
) -> GateResult:
    """Return the answer at twice the prompts, the first look's among them, and twice the rounds."""
    prompts = len(next(iter(values.values()))[0])
    more = values_of(rng, prompts)
    both = {name: np.concatenate([array, more[name]], axis=1) for name, array in values.items()}
    plan = plan_of(2 * prompts, 2 * rounds)
    return compare_sides(*sides(plan, both, [*seconds_of(rng, 2 * rounds, 0.03)]), g.LIMITS, first)


# --- planted regressions -------------------------------------------------------------------------


def cells_of(
    head: Side, base: Side, arm: Arm, exam: Exam, rng: np.random.Generator
) -> tuple[GateCell, ...]:
    """Return an arm's cells as in a check of a whole sweep, whose other tests show nothing.

    The other tests' p-values are uniform, as those of arms that did not change.
    """
    pair = Pair.of(arm, head, base)
    own = [*quality_trials(pair, g.LIMITS), *speed_trials(pair, g.LIMITS)]
    others = []
    for group, tests in (
        (GateGroup.QUALITY, exam.of_clips),
        (GateGroup.SPEED, exam.of_seconds),
    ):
        padding = tests - sum(one.p is not None and one.cell.group is group for one in own)
        blank = pair.cell(group, "another arm")
        others += [Trial(blank, p=float(p)) for p in rng.random(max(0, padding))]
    return settle([*own, *others])[: len(own)]


def status_of(cells: Iterable[GateCell], subject: str) -> GateStatus:
    """Return the status of a subject's cell."""
    return next(cell.status for cell in cells if cell.subject == subject)


def planted_slowness(spec: Plan, slower: Sequence[float], trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often a student that takes longer is named, by rounds taken in turns."""
    exam, rounds = Exam.of(spec, g.LIMITS), spec.spec.latency.repeats if spec.spec.latency else 0
    plan = plan_of(1, rounds, ("clip_score",))
    flat = {"clip_score": np.full((2, 1, 2), 80.0)}  # one prompt: seconds alone are asked for
    for noise in ROUND_NOISE:
        named = Tally()
        for factor in slower:
            for trial in range(trials):
                rng = np.random.default_rng([seed, round(1000 * noise), round(100 * factor), trial])
                seconds = seconds_of(rng, rounds, noise)
                seconds[0, 1] *= factor
                head, base = sides(plan, flat, [*seconds])
                cells = cells_of(head, base, plan.arms[1], exam, rng)
                name = f"{factor - 1:+.0%} seconds: REGRESSION"
                named.add(name, status_of(cells, LATENCY) is GateStatus.REGRESSION)
        note = f"rounds vary by {noise:.0%}, {exam.of_seconds} tests of seconds"
        yield from _barred(named, rounds, "+10% seconds: REGRESSION", note)


def _barred(tally: Tally, n: int, promised: str, note: str) -> Iterator[Rate]:
    """Yield rates of which only the promised one has a bar."""
    for rate in tally.rates("planted", n, FOUND, note):
        yield rate if rate.what == promised else replace(rate, bar=None)


CHURN: Final = 5 * (2 * 0.3) ** 0.5 / 80
"""Spread of the relative difference of two seeds' CLIP scores, by `values_of`."""


def planted_losses(spec: Plan, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often a loss of quality is named: what `poc.power` promises of a spec, and 10 %."""
    n, exam = len(spec.prompts), Exam.of(spec, g.LIMITS)
    plan, alpha = plan_of(n, 0), power.per_test(exam.of_clips, exam.families)
    lost = power.lost_share(n, _margin("oracle_all"), alpha)
    lower = power.named_change(CHURN, n, _margin("clip_score"), alpha)
    planted = [
        ("oracle_all", True, lost, FOUND, "as promised"),
        ("oracle_all", True, 0.10, FOUND if lost <= 0.10 else None, "one clip in ten"),
        ("clip_score", False, lower, FOUND, "as promised"),
    ]
    for metric, same, drop, bar, why in planted:
        tally = Tally()
        for trial in range(trials):
            rng = np.random.default_rng([seed, n, int(same), round(1000 * drop), trial])
            values = dict(values_of(rng, n))
            if same:
                values = {name: array[:, :, [0, 0]] for name, array in values.items()}
            values[metric] = _worse(metric, values[metric], drop, rng)
            cells = cells_of(*sides(plan, values), plan.arms[1], exam, rng)
            what = "of clips no longer right" if metric == "oracle_all" else "lower CLIP score"
            name = f"{drop:.1%} {what}, {why}: REGRESSION"
            tally.add(name, status_of(cells, metric) is GateStatus.REGRESSION)
        note = f"{'same' if same else 'other'} seeds, {exam.of_clips} tests of clips"
        yield from tally.rates("planted", n, bar, note)


def _margin(metric: str) -> float:
    limit = limit_of(g.LIMITS, metric)
    if limit is None or limit.margin is None:
        raise ValueError(f"{metric} has no margin")
    return limit.margin


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
