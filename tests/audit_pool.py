"""The rules on runs drawn from a run: its measured clips are the pool, and the pool is the truth.

Real clips are neither normal nor of known correlation. Here a run folder with many prompts stands
for the world: prompts are drawn from it with all their clips and measurements, estimated and judged
as a run is, and what the whole pool says is true by definition. What the pool's own prompts leave
out of the world does not matter for that, and says nothing about the models.

Drawn *with* replacement the pool is a population without end, of which the intervals should hold
the truth in 95 %. Drawn *without*, n of N prompts, a mean varies less than the intervals allow for,
by the root of 1 - n/N (Cochran 1977), and right intervals hold the truth more often: `expected`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gate_runs as g
import numpy as np
import numpy.typing as npt
import simulated_runs as sim
from audit_gate import cells_of
from audit_rates import ALARMS, COVERAGE, ERRORS, Bar, Rate
from audit_simulations import Tally, covers
from scipy import special

from poc.decide import decide, musts
from poc.estimate import find
from poc.gate import compare
from poc.gate_records import GateRun, GateStatus
from poc.latency_estimates import LATENCY
from poc.records import (
    Arm,
    ArmRole,
    ArmSummary,
    Batch,
    ClipRequest,
    ClipResult,
    CriteriaFile,
    Criterion,
    Generation,
    LatencySample,
    Light,
    Measurement,
    Plan,
    Verdict,
)
from poc.samples import VALID_SHARE
from poc.store import RunStore
from poc.verdicts import judge, slack

Rows = npt.NDArray[np.intp]
TOLERANCE: Final = 0.02
"""How far the coverage may lie from what is expected: that of a nominal 95 % from 93 to 97 %."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of the pool with everything recorded of it."""

    request: ClipRequest
    result: ClipResult
    measurements: tuple[Measurement, ...]

    def renamed(self, arm_id: str, prompt_id: str, clip_id: str) -> Clip:
        """Return the clip under other names; its numbers stay."""
        names = {"arm_id": arm_id, "prompt_id": prompt_id, "id": clip_id}
        of = {"arm_id": arm_id, "clip_id": clip_id}
        return Clip(
            self.request.model_copy(update=names),
            self.result.model_copy(update={"clip_id": clip_id}),
            tuple(one.model_copy(update=of) for one in self.measurements),
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """A finished run, clip by clip."""

    name: str
    plan: Plan
    clips: Mapping[tuple[str, str], tuple[Clip, ...]]
    """(arm id, prompt id) -> its replicates."""
    latencies: tuple[LatencySample, ...]

    @classmethod
    def read(cls, path: Path, metrics: Collection[str] | None = None) -> Pool:
        """Read the unstyled arms of a run folder, with the clip metrics named, or with all."""
        return cls.of(RunStore.open_reader(path), path.name, metrics)

    @classmethod
    def of(cls, store: RunStore, name: str, metrics: Collection[str] | None = None) -> Pool:
        """Read the unstyled arms of a store."""
        arms = tuple(arm for arm in store.plan.arms if arm.style is None)
        plan = store.plan.model_copy(update={"arms": arms})
        found: dict[str, list[Measurement]] = defaultdict(list)
        for one in store.measurements():
            if one.clip_id is not None and (metrics is None or one.metric in metrics):
                found[one.clip_id].append(one)
        results, ids = store.results(), {arm.id for arm in arms}
        clips: dict[tuple[str, str], list[Clip]] = defaultdict(list)
        for batch in store.plan.batches:
            for request in batch.clips:
                if request.arm_id in ids and request.id in results:
                    clip = Clip(request, results[request.id], tuple(found[request.id]))
                    clips[request.arm_id, request.prompt_id].append(clip)
        latencies = tuple(one for one in store.latency() if one.arm_id in ids)
        return cls(name, plan, {key: tuple(made) for key, made in clips.items()}, latencies)

    @property
    def size(self) -> int:
        """Return the number of prompts."""
        return len(self.plan.prompts)

    def led(self) -> tuple[Arm, Arm]:
        """Return the candidates of the fewest and the most evaluations, or two other arms."""
        others = [arm for arm in self.plan.arms if arm.id != self.plan.baseline_id]
        found = [arm for arm in others if arm.role is ArmRole.CANDIDATE] or others
        found.sort(key=lambda arm: arm.nfe)
        baseline = next(arm for arm in self.plan.arms if arm.id == self.plan.baseline_id)
        return found[0], found[-1] if len(found) > 1 else baseline

    def narrowed(self, arm_ids: Collection[str]) -> Pool:
        """Return the pool of the baseline and the named arms."""
        kept = {self.plan.baseline_id, *arm_ids}
        arms = tuple(arm for arm in self.plan.arms if arm.id in kept)
        return Pool(
            self.name,
            self.plan.model_copy(update={"arms": arms}),
            {key: made for key, made in self.clips.items() if key[0] in kept},
            tuple(one for one in self.latencies if one.arm_id in kept),
        )

    def whole(self) -> sim.Run:
        """Return the run of all prompts: the truth."""
        return self.drawn(np.arange(self.size), seed=0)

    def drawn(self, rows: Rows, *, seed: int) -> sim.Run:
        """Return the run of these rows' prompts; one drawn again is a prompt of its own."""
        times: Counter[str] = Counter()
        prompts, made = [], []
        for row in rows:
            prompt = self.plan.prompts[row]
            copy = times[prompt.id]
            times[prompt.id] += 1
            name = f"{prompt.id}~{copy}" if copy else prompt.id
            prompts.append(prompt.model_copy(update={"id": name}) if copy else prompt)
            for arm in self.plan.arms:
                found = self.clips.get((arm.id, prompt.id), ())
                made += [_named(clip, name, copy) for clip in found]
        return _run(self.plan, tuple(prompts), made, self.latencies, seed)


def _named(clip: Clip, prompt_id: str, copy: int) -> Clip:
    if not copy:
        return clip
    return clip.renamed(clip.request.arm_id, prompt_id, f"{clip.request.id}~{copy}")


def _run(
    plan: Plan,
    prompts: tuple[Any, ...],
    made: Sequence[Clip],
    latencies: Sequence[LatencySample],
    seed: int,
) -> sim.Run:
    """Return a run of clips, each a batch of its own, with a base seed for its resampling."""
    batches = tuple(
        Batch(id=f"b-{one.request.id}", arm_id=one.request.arm_id, block=0, clips=(one.request,))
        for one in made
    )
    spec = plan.spec.model_copy(update={"seed": seed, "prompts": len(prompts)})
    own = plan.model_copy(update={"spec": spec, "prompts": prompts, "batches": batches})
    generations = [
        Generation(
            batch_id=f"b-{one.request.id}",
            arm_id=one.request.arm_id,
            clips=(one.result,),
            resolved_digest="",
            duration_s=1.0,
            worker=0,
        )
        for one in made
    ]
    return sim.Run(own, generations, [m for one in made for m in one.measurements], [*latencies])


def draw(pool: Pool, n: int, rng: np.random.Generator, *, again: bool) -> Rows:
    """Return the rows of n prompts, with replacement or without."""
    return np.asarray(rng.choice(pool.size, size=n, replace=again))


def expected(n: int, size: int, level: float = 0.95) -> float:
    """Return how often right intervals hold the mean of a pool of which n of `size` are drawn.

    >>> round(expected(64, 256), 3), round(expected(1, 10**9), 3)
    (0.976, 0.95)
    """
    z = float(special.ndtri((1 + level) / 2)) / math.sqrt(1 - n / size)
    return float(2 * special.ndtr(z) - 1)


# --- intervals -----------------------------------------------------------------------------------


def coverage(pool: Pool, n: int, trials: int, seed: int, *, again: bool) -> Iterator[Rate]:
    """Yield how often the intervals of every arm but the baseline hold the pool's values."""
    truth, tally = pool.whole().evidence().estimates, Tally()
    asked = [
        (arm, one)
        for arm in truth.arms
        if arm.arm.id != pool.plan.baseline_id
        for one in arm.estimates
        if one.value is not None and one.low != one.high and not _is_fixed(one.metric)
    ]
    for trial in range(trials):
        rng = np.random.default_rng([seed, n, int(again), trial])
        run = pool.drawn(draw(pool, n, rng, again=again), seed=trial)
        arms = {arm.arm.id: arm for arm in run.evidence().estimates.arms}
        for arm, one in asked:
            answer = covers(find(arms[arm.arm.id], one.metric, one.comparison), one.value or 0.0)
            tally.add(f"{arm.arm.name}: {one.metric}, {one.comparison}", answer)
    right = expected(n, pool.size)
    without = Bar(round(right - TOLERANCE, 3), min(1.0, round(right + TOLERANCE, 3)))
    how = (
        "with replacement"
        if again
        else f"without replacement, of {pool.size}: {right:.1%} expected"
    )
    yield from tally.rates(f"pool {pool.name}: intervals", n, COVERAGE if again else without, how)


def _is_fixed(metric: str) -> bool:
    """Return whether every drawn run says the same of it, or all clips of the pool are valid."""
    return metric.startswith("latency_") or metric in {"peak_memory_bytes", VALID_SHARE}


# --- decisions -----------------------------------------------------------------------------------


def asked_of_clips(pool: Pool) -> CriteriaFile:
    """Return the pool's criteria on its clips; on seconds only where the pool was timed."""
    criteria = pool.plan.criteria
    kept = tuple(
        one for one in criteria.criteria if pool.latencies or not one.metric.startswith("latency_")
    )
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
    asked, whole = asked_of_clips(pool), pool.whole().evidence().estimates
    nfe = next(arm.nfe for arm in pool.plan.arms if arm.id == pool.plan.baseline_id)
    arms = [one for one in whole.arms if one.arm.nfe < nfe]
    truth = {one.arm.id: truly(asked.criteria, one) for one in arms}
    found: dict[tuple[str, Light], Tally] = defaultdict(Tally)
    for trial in range(trials):
        rng = np.random.default_rng([seed, n, 2, trial])
        run = pool.drawn(draw(pool, n, rng, again=True), seed=trial)
        estimates, draws = run.evidence()
        lights = {one.arm_id: one for one in decide(run.plan, estimates, asked, draws).arms}
        for one in arms:
            for light in (Light.GO, Light.NO_GO):
                answer = lights[one.arm.id].technical is light
                found[truth[one.arm.id], light].add(f"{one.arm.name}: {light}", answer)
    bars = {("bad", Light.GO): ERRORS, ("good", Light.NO_GO): ERRORS}
    for (kind, light), tally in found.items():
        bar = bars.get((kind, light))
        yield from tally.rates(f"pool {pool.name}: decisions", n, bar, f"in truth {kind}")


def at_the_line(pool: Pool, n: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often a must passes when its minimum and target are the pool's own value.

    The arm then lies exactly at the minimum, whatever arm it is.
    """
    whole, tally = pool.whole().evidence().estimates, Tally()
    moved = [pair for one in whole.arms for pair in _moved(pool, one)]
    for trial in range(trials):
        rng = np.random.default_rng([seed, n, 3, trial])
        run = pool.drawn(draw(pool, n, rng, again=True), seed=trial)
        estimates, draws = run.evidence()
        arms = {arm.arm.id: arm for arm in estimates.arms}
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
        if one is None or one.value is None or _is_fixed(one.metric):
            continue
        line = one.value
        if criterion.direction == "window":
            # Of a criterion whose lines lie at no distance, the distance of the value is the slack.
            bare = criterion.model_copy(update={"minimum": 0.0, "target": 0.0})
            line = -float(slack(bare, np.array([one.value])).minimum[0])
        yield whole.arm, criterion.model_copy(update={"minimum": line, "target": line})


# --- the gate ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coin:
    """Two arms of a pool whose clips are dealt to head and base by a coin, prompt by prompt.

    Head and base then do not differ in truth, while their clips differ as those of two arms do:
    more than those of two seeds of one arm. Rounds of both are drawn from those of one arm.
    """

    pool: Pool
    arm: Arm
    other: Arm

    def runs(self, n: int, rng: np.random.Generator, *, slower: float = 1.0) -> Any:
        """Return head and base; the head takes `slower` times as long."""
        rows = draw(self.pool, n, rng, again=False)
        heads = rng.random(n) < 0.5
        return (
            self._run("head", rows, heads, rng, slower),
            self._run("base", rows, ~heads, rng, 1.0),
        )

    def _run(
        self, name: str, rows: Rows, own: npt.NDArray[np.bool_], rng: Any, slower: float
    ) -> GateRun:
        prompts = [self.pool.plan.prompts[row] for row in rows]
        made = []
        for prompt, is_own in zip(prompts, own, strict=True):
            mine = self.pool.clips[self.arm.id, prompt.id]
            found = mine if is_own else self.pool.clips[self.other.id, prompt.id]
            for slot, clip in zip(mine, found, strict=True):
                made.append(clip.renamed(self.arm.id, prompt.id, slot.request.id))
        plan = self.pool.plan.model_copy(update={"arms": (self.arm,), "baseline_id": self.arm.id})
        return g.made(_run(plan, tuple(prompts), made, self._rounds(rng, slower), 0), name)

    def _rounds(self, rng: Any, slower: float) -> list[LatencySample]:
        timed = [s for s in self.pool.latencies if s.arm_id == self.arm.id and s.round >= 0]
        rounds = sorted({s.round for s in timed})
        found = []
        for place, of in enumerate(rng.choice(rounds, size=len(rounds)) if rounds else []):
            for s in (s for s in timed if s.round == of):
                seconds = {"total_s": slower * s.total_s, "denoise_s": slower * s.denoise_s}
                found.append(s.model_copy(update={"round": place, **seconds}))
        return found


def false_alarms(coin: Coin, n: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often two dealt runs are told apart, and how often they pass."""
    alarms, passes = Tally(), Tally()
    for trial in range(trials):
        head, base = coin.runs(n, np.random.default_rng([seed, n, 4, trial]))
        status = compare(head, base, g.LIMITS).status
        names = f"clips of {coin.arm.name} and {coin.other.name} dealt by a coin"
        alarms.add(f"{names}: REGRESSION", status is GateStatus.REGRESSION)
        passes.add(f"{names}: PASS", status is GateStatus.PASS)
    part = f"pool {coin.pool.name}: gate"
    yield from alarms.rates(part, n, ALARMS)
    yield from passes.rates(part, n, None)


def planted_slowness(
    coin: Coin, slower: Sequence[float], tests: int, trials: int, seed: int
) -> Iterator[Rate]:
    """Yield how often more seconds are named, with the rounds that the pool's machine had."""
    named, stopped = Tally(), Tally()
    for factor in slower:
        for trial in range(trials):
            rng = np.random.default_rng([seed, round(100 * factor), 5, trial])
            head, base = coin.runs(15, rng, slower=factor)
            cells = cells_of(head, base, tests, rng, arm=coin.arm.name)
            status = next(cell.status for cell in cells if cell.subject == LATENCY)
            named.add(f"{factor - 1:+.0%} seconds: REGRESSION", status is GateStatus.REGRESSION)
            stopped.add(f"{factor - 1:+.0%} seconds: no PASS", status is not GateStatus.PASS)
    rounds = len({s.round for s in coin.pool.latencies if s.round >= 0})
    for tally in (named, stopped):
        yield from tally.rates(f"pool {coin.pool.name}: gate", rounds, None, f"{tests} tests")
