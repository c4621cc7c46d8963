"""The rules on runs drawn from a run: its measured clips are the pool, and the pool is the truth.

Real clips are neither normal nor of known correlation. Here a run folder with many prompts stands
for the world: prompts are drawn from it with replacement, each with one of its seeds, which all
arms share; they are estimated and judged as those of a run are, and what the whole pool says is
true by definition. What the pool's own prompts leave out of the world does not matter for that,
and says nothing about the models.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import gate_runs as g
import numpy as np
import numpy.typing as npt
from audit_gate import plan_of, side
from audit_rates import ALARMS, COVERAGE, ERRORS, Rate
from audit_simulations import CRITERIA, Floats, Tally, covers, laid_out, summed_up

from poc.decision_case import judge_arm, musts
from poc.estimate import find
from poc.gate import compare_sides
from poc.gate_limits import is_judged
from poc.gate_records import GateStatus
from poc.outcomes import Draws
from poc.records import (
    Arm,
    ArmRole,
    ArmSummary,
    CriteriaFile,
    Criterion,
    Light,
    Plan,
    Verdict,
)
from poc.samples import VALID_SHARE, Ledger, ledger
from poc.spec import read_criteria
from poc.store import RunStore
from poc.verdicts import judge, slack

Places = npt.NDArray[np.intp]


class Cells(NamedTuple):
    """Clips of a pool, the same of every arm."""

    rows: Places
    """Of their prompts."""
    seeds: Places
    """Prompts x clips of each: which of its replicates."""


@dataclass(frozen=True)
class Pool:
    """A finished run: the values of its unstyled arms, arms x prompts x replicates.

    Its plan has the criteria of the demonstration, so that all pools are asked the same.
    """

    name: str
    plan: Plan
    values: Mapping[str, Floats]

    @classmethod
    def read(cls, path: Path) -> Pool:
        """Read a run folder."""
        return cls.of(RunStore.open_reader(path), path.name)

    @classmethod
    def of(cls, store: RunStore, name: str) -> Pool:
        """Read a store: the metrics that every unstyled arm was measured with."""
        book = ledger(store.plan, store.generations(), store.measurements())
        arms = _unstyled(store.plan)
        values = {
            metric: np.stack([book.grids[arm.id, metric].values for arm in arms])
            for metric in book.metrics
            if metric != VALID_SHARE
        }
        known = {metric: array for metric, array in values.items() if not np.isnan(array).any()}
        return cls.laid(name, store.plan, known)

    @classmethod
    def laid(cls, name: str, plan: Plan, values: Mapping[str, Floats]) -> Pool:
        """Return the pool of a run of this plan; values of its unstyled arms, in its order."""
        update = {"arms": _unstyled(plan), "criteria": read_criteria(CRITERIA)}
        return cls(name, plan.model_copy(update=update), values)

    @property
    def size(self) -> int:
        """Return the number of prompts."""
        return len(self.plan.prompts)

    @property
    def replicates(self) -> int:
        """Return the number of clips of a prompt."""
        return int(next(iter(self.values.values())).shape[2])

    def row(self, arm: Arm) -> int:
        """Return the place of an arm in the arrays."""
        return [one.id for one in self.plan.arms].index(arm.id)

    def led(self) -> tuple[Arm, Arm]:
        """Return the candidates of the fewest and the most evaluations, or two other arms."""
        others = [arm for arm in self.plan.arms if arm.id != self.plan.baseline_id]
        found = [arm for arm in others if arm.role is ArmRole.CANDIDATE] or others
        found.sort(key=lambda arm: arm.sampling.nfe)
        baseline = next(arm for arm in self.plan.arms if arm.id == self.plan.baseline_id)
        return found[0], found[-1] if len(found) > 1 else baseline

    def narrowed(self, arm_ids: Collection[str]) -> Pool:
        """Return the pool of the baseline and the named arms."""
        kept = [
            row
            for row, arm in enumerate(self.plan.arms)
            if arm.id in {self.plan.baseline_id, *arm_ids}
        ]
        arms = tuple(self.plan.arms[row] for row in kept)
        plan = self.plan.model_copy(update={"arms": arms})
        return Pool(self.name, plan, {m: array[kept] for m, array in self.values.items()})

    @cached_property
    def whole(self) -> Mapping[str, ArmSummary]:
        """Return what is true of every arm."""
        rows, seeds = np.arange(self.size), np.arange(self.replicates)
        return self.judged(Cells(rows, np.tile(seeds, (self.size, 1))), seed=0)[0]

    def drawn(self, cells: Cells) -> Ledger:
        """Lay out these clips; a prompt drawn again is a prompt of its own."""
        rows, seeds = cells.rows[:, None], cells.seeds
        found = {metric: array[:, rows, seeds] for metric, array in self.values.items()}
        return laid_out(self.plan.arms, found)

    def asked(self, metrics: Collection[str]) -> Pool:
        """Return the pool of these metrics alone; their estimates and draws stay as they were."""
        kept = {m: array for m, array in self.values.items() if m in metrics}
        return Pool(self.name, self.plan, kept)

    def judged(self, cells: Cells, *, seed: int) -> tuple[Mapping[str, ArmSummary], Draws]:
        """Return the summaries of these clips, with the draws; nothing is timed."""
        untimed = self.plan.model_copy(
            update={"spec": self.plan.spec.model_copy(update={"latency": None})}
        )
        return summed_up(untimed, self.drawn(cells), (), seed)


def _unstyled(plan: Plan) -> tuple[Arm, ...]:
    return tuple(arm for arm in plan.arms if arm.style is None)


def draw(pool: Pool, n: int, rng: np.random.Generator, clips: int = 1) -> Cells:
    """Return n prompts, drawn with replacement, so many clips of each, of different seeds."""
    rows = np.asarray(rng.choice(pool.size, size=n))
    seeds = np.tile(np.arange(pool.replicates), (n, 1))
    return Cells(rows, rng.permuted(seeds, axis=1)[:, :clips])


# --- intervals -----------------------------------------------------------------------------------


def coverage(pool: Pool, n: int, trials: int, seed: int, clips: int = 1) -> Iterator[Rate]:
    """Yield how often the intervals of every arm but the baseline hold the pool's values."""
    tally = Tally()
    asked = [
        (arm, one)
        for arm in pool.whole.values()
        if arm.arm.id != pool.plan.baseline_id
        for one in arm.estimates
        if one.value is not None and one.low != one.high and one.metric != VALID_SHARE
    ]
    for trial in range(trials):
        rng = np.random.default_rng([seed, n, clips, trial])
        arms, _ = pool.judged(draw(pool, n, rng, clips), seed=trial)
        for arm, one in asked:
            answer = covers(find(arms[arm.arm.id], one.metric, one.comparison), one.value or 0.0)
            tally.add(f"{arm.arm.name}: {one.metric}, {one.comparison}", answer)
    note = "1 clip a prompt" if clips == 1 else f"{clips} clips a prompt"
    yield from tally.rates(f"pool {pool.name}: intervals", n, COVERAGE, note)


# --- decisions -----------------------------------------------------------------------------------


def asked_of_clips(pool: Pool) -> CriteriaFile:
    """Return the demonstration's criteria on clips."""
    criteria = pool.plan.criteria
    kept = tuple(one for one in criteria.criteria if not one.metric.startswith("latency_"))
    return criteria.model_copy(update={"criteria": kept})


def truly(criteria: Sequence[Criterion], summary: ArmSummary) -> str:
    """Return what is true of an arm of the whole pool: `good`, `bad` or `between`.

    Good: every must's target is met. Bad: some must's minimum is not, or cannot be known.
    """
    reached = []
    for criterion in musts(criteria, summary):
        one = find(summary, criterion.metric, criterion.comparison)
        if one is None or one.value is None:
            return "bad"
        own = slack(criterion, np.array([one.value]))
        reached.append((own.minimum[0] >= 0, own.target[0] >= 0))
    if not all(minimum for minimum, _ in reached):
        return "bad"
    return "good" if all(target for _, target in reached) else "between"


def decisions(pool: Pool, n: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often every few-step arm gets GO and NO_GO, beside what is true of it."""
    asked = asked_of_clips(pool).criteria
    nfe = next(arm.sampling.nfe for arm in pool.plan.arms if arm.id == pool.plan.baseline_id)
    arms = [one for one in pool.whole.values() if one.arm.sampling.nfe < nfe]
    truth = {one.arm.id: truly(asked, one) for one in arms}
    pool = pool.narrowed(truth).asked({one.metric for one in asked})
    found: dict[tuple[str, Light], Tally] = defaultdict(Tally)
    for trial in range(trials):
        rng = np.random.default_rng([seed, n, 2, trial])
        own, draws = pool.judged(draw(pool, n, rng), seed=trial)
        base = own[pool.plan.baseline_id]
        for one in arms:
            light = judge_arm(own[one.arm.id], base, asked, draws, finished=True).technical
            for kind in (Light.GO, Light.NO_GO):
                found[truth[one.arm.id], kind].add(f"{one.arm.name}: {kind}", light is kind)
    bars = {("bad", Light.GO): ERRORS, ("good", Light.NO_GO): ERRORS}
    for (truth_, kind), tally in found.items():
        bar = bars.get((truth_, kind))
        yield from tally.rates(f"pool {pool.name}: decisions", n, bar, f"in truth {truth_}")


def at_the_line(pool: Pool, n: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often a must passes when its minimum and target are the pool's own value.

    The arm then lies exactly at the minimum, whatever arm it is.
    """
    tally = Tally()
    moved = [pair for one in pool.whole.values() for pair in _moved(pool, one)]
    pool = pool.asked({criterion.metric for _, criterion in moved})
    for trial in range(trials):
        rng = np.random.default_rng([seed, n, 3, trial])
        arms, draws = pool.judged(draw(pool, n, rng), seed=trial)
        for arm, criterion in moved:
            result = judge(criterion, arms[arm.id], draws)
            tally.add(f"{arm.name}: {criterion.name}", result.verdict is Verdict.PASS)
    yield from tally.rates(f"pool {pool.name}: at the minimum", n, ERRORS)


def _moved(pool: Pool, whole: ArmSummary) -> Iterator[tuple[Arm, Criterion]]:
    """Yield the musts on clips with both lines at the arm's own value, where it varies at all."""
    if whole.arm.id == pool.plan.baseline_id:
        return
    for criterion in musts(pool.plan.criteria.criteria, whole):
        one = find(whole, criterion.metric, criterion.comparison)
        if one is None or one.value is None or one.metric == VALID_SHARE:
            continue
        line = one.value
        if criterion.direction == "window":
            # Of a criterion whose lines lie at no distance, the distance of the value is the slack.
            bare = criterion.model_copy(update={"minimum": 0.0, "target": 0.0})
            line = -float(slack(bare, np.array([one.value])).minimum[0])
        yield whole.arm, criterion.model_copy(update={"minimum": line, "target": line})


# --- the gate ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deal:
    """Clips of each prompt, two of which are dealt to head and base at random.

    Head and base then do not differ in truth.
    """

    what: str
    clips: Mapping[str, Floats]
    """Metric -> prompts x clips that may be dealt, two or more."""

    @classmethod
    def of_seeds(cls, pool: Pool, arm: Arm) -> Deal:
        """Return the seeds of one arm, of a pool of two replicates or more."""
        row = pool.row(arm)
        own = {metric: array[row] for metric, array in pool.values.items()}
        return cls(f"two of {pool.replicates} seeds of {arm.name}", own)

    @classmethod
    def of_arms(cls, pool: Pool, arm: Arm, other: Arm) -> Deal:
        """Return two arms, whose clips differ more than those of two seeds do."""
        rows = [pool.row(arm), pool.row(other)]
        both = {metric: array[rows, :, 0].T for metric, array in pool.values.items()}
        return cls(f"clips of {arm.name} and {other.name}", both)

    def dealt(self, n: int, rng: np.random.Generator) -> Mapping[str, Floats]:
        """Return every metric of a single arm's head and base: 1 x prompts x 2."""
        size, count = next(iter(self.clips.values())).shape
        rows, first = rng.choice(size, size=n), rng.integers(count, size=n)
        second = (first + rng.integers(1, count, size=n)) % count
        pair = np.stack([first, second], axis=1)
        return {m: array[rows[:, None], pair][None] for m, array in self.clips.items()}


def false_alarms(deal: Deal, name: str, n: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often two dealt runs are told apart, and how often they pass."""
    alarms, passes = Tally(), Tally()
    judged = tuple(metric for metric in deal.clips if is_judged(g.LIMITS, metric))
    full = plan_of(n, 0, judged)
    plan = full.model_copy(update={"arms": full.arms[:1]})
    for trial in range(trials):
        values = deal.dealt(n, np.random.default_rng([seed, n, 4, trial]))
        head, base = (
            side(who, plan, laid_out(plan.arms, {m: values[m][:, :, [k]] for m in judged}))
            for k, who in enumerate(("head", "base"))
        )
        status = compare_sides(head, base, g.LIMITS).status
        alarms.add(f"{deal.what}: REGRESSION", status is GateStatus.REGRESSION)
        passes.add(f"{deal.what}: PASS", status is GateStatus.PASS)
    part, note = f"pool {name}: gate", f"{len(judged)} metrics of one arm"
    yield from alarms.rates(part, n, ALARMS, note)
    yield from passes.rates(part, n, None, note)
