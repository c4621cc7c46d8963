"""Simulated runs whose truth is known by formula, through the functions that a run goes through.

Clips are clustered: those of one prompt are alike over arms and replicates. Every value comes from
standard normal numbers made of a part of the prompt, a part of arm and prompt, and the clip's own,
so that means, shares and their differences are known exactly whatever the correlation is.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import simulated_runs as sim
from audit_rates import COVERAGE, ERRORS, Bar, Rate
from scipy import special

from metrics.base import SetBasis
from metrics.catalog import CATALOG
from metrics.frames import PROTOCOL
from metrics.kvd import Jackknife, NoRatioError
from poc.estimate import find
from poc.intervals import paired_rate_draws, paired_rate_interval, t_interval
from poc.latency_estimates import LATENCY, latency_outcomes, timings
from poc.outcomes import Draws, sample_outcomes
from poc.records import (
    Arm,
    ArmSummary,
    Comparison,
    Counts,
    CriteriaFile,
    Estimate,
    LatencySample,
    LatencySpec,
    Plan,
)
from poc.samples import (
    ACCURACY_PREFIX,
    SHARE_OF_CLIPS,
    VALID_SHARE,
    Grid,
    Ledger,
    samples,
)
from poc.set_metrics import ArmSet

Floats = npt.NDArray[np.float64]
Truths = Mapping[tuple[str, Comparison], float]
Progress = Callable[[str], None]

CRITERIA: Final = Path(__file__).parents[1] / "poc" / "specs" / "criteria" / "demonstration.yaml"
VALUE, DIFFERENCE, RATIO = Comparison.VALUE, Comparison.DIFFERENCE, Comparison.RATIO

OF_PROMPT, OF_ARM = 0.4, 0.3
"""Shares of the variance that all clips of a prompt have in common, and those of one arm of it."""

ROUNDS = 9
"""Timed rounds of the sweeps that ship and decide."""


def clustered(rng: np.random.Generator, prompts: int, replicates: int) -> Floats:
    """Return standard normal numbers, arms (2) x prompts x replicates."""
    prompt, own = rng.normal(size=(1, prompts, 1)), rng.normal(size=(2, prompts, 1))
    clip = rng.normal(size=(2, prompts, replicates))
    rest = math.sqrt(1 - OF_PROMPT - OF_ARM)
    return math.sqrt(OF_PROMPT) * prompt + math.sqrt(OF_ARM) * own + rest * clip


def right(numbers: Floats, shares: tuple[float, float]) -> Floats:
    """Return 1 for the given share of each arm's clips, on average, and 0 for the others."""
    lines = special.ndtri(np.array(shares))[:, None, None]
    return (numbers < lines).astype(np.float64)


@cache
def plan_of(
    prompts: int, replicates: int, rounds: int, criteria: CriteriaFile | None = None
) -> Plan:
    """Return the plan of a teacher and a student."""
    latency = LatencySpec(warmup=1, repeats=rounds) if rounds else None
    arms = [sim.teacher(), sim.arm(sim.STUDENT)]
    return sim.plan(
        arms, prompts=prompts, replicates=replicates, criteria=criteria, latency=latency
    )


def laid_out(arms: Sequence[Arm], values: Mapping[str, Floats]) -> Ledger:
    """Return the ledger of arrays, each arms x prompts x replicates; nan is a clip that is none.

    As `poc.samples.ledger` lays records out: such a clip is not right either.
    """
    alive = ~np.isnan(next(iter(values.values())))
    grids, counts = {}, {}
    for row, arm in enumerate(arms):
        for metric, array in values.items():
            own = array[row]
            grids[arm.id, metric] = grid(
                np.nan_to_num(own) if metric.startswith(ACCURACY_PREFIX) else own
            )
        grids[arm.id, VALID_SHARE] = grid(alive[row].astype(np.float64))
        ok, planned = int(alive[row].sum()), alive[row].size
        counts[arm.id] = Counts(planned=planned, ok=ok, failed=0, invalid=planned - ok, pending=0)
    rates = {name for name, row in CATALOG.items() if row.unit == SHARE_OF_CLIPS} | {VALID_SHARE}
    return Ledger(counts, grids, frozenset(rates & {m for _, m in grids}), complete=True)


def grid(values: Floats) -> Grid:
    """Return one metric of one arm, prompts x replicates."""
    return Grid(values, values.size, frozenset({(1, None)}), ())


def summed_up(
    plan: Plan, book: Ledger, latencies: Sequence[LatencySample], seed: int
) -> tuple[dict[str, ArmSummary], Draws]:
    """Return every arm's summary with the draws, by the functions that estimate a run."""
    found = [
        *sample_outcomes(samples(book, plan.arms, plan.baseline_id), book.rates, seed=seed),
        *latency_outcomes(plan, timings(plan, latencies)),
    ]
    own: dict[str, list[Estimate]] = {arm.id: [] for arm in plan.arms}
    for one in found:
        own[one.estimate.arm_id].append(one.estimate)
    arms = {
        arm.id: ArmSummary(
            arm=arm,
            counts=book.counts[arm.id],
            estimates=tuple(own[arm.id]),
            on_pareto_front=None,
            frontier_frequency=None,
        )
        for arm in plan.arms
    }
    return arms, {one.key: one.draws for one in found if one.draws is not None}


def covers(one: Estimate | None, truth: float) -> bool | None:
    """Return whether an interval holds the truth; None where there is no interval."""
    if one is None or one.low is None or one.high is None:
        return None
    return one.low <= truth <= one.high


class Tally:
    """Counts, by name, how often something happened among the trials that have an answer."""

    def __init__(self) -> None:
        self._found: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, name: str, answer: bool | None) -> None:
        """Count one answer; None is no answer."""
        hits = self._found[name]
        if answer is not None:
            hits[0] += 1
            hits[1] += answer

    def rates(self, part: str, n: int, bar: Bar | None, note: str = "") -> Iterator[Rate]:
        """Yield a rate for every name, in the order of their first answers."""
        for name, (trials, hits) in self._found.items():
            if trials:
                yield Rate(part, name, n, trials, hits, bar, note)


# --- intervals -----------------------------------------------------------------------------------

TRUTHS: Final[Truths] = {
    ("clip_score", VALUE): 80.0,
    ("clip_score", DIFFERENCE): 2.0,
    ("clip_score", RATIO): 80.0 / 78.0,
    ("motion", VALUE): 1.2 * math.exp(0.125),
    ("motion", DIFFERENCE): 0.2 * math.exp(0.125),
    ("motion", RATIO): 1.2,
    ("warping_error", VALUE): 1.2 * math.exp(0.5),
    ("warping_error", RATIO): 1.2,
    ("oracle_all", VALUE): 0.7,
    ("oracle_all", DIFFERENCE): -0.1,
    ("oracle_motion", VALUE): 0.95,
    ("oracle_motion", DIFFERENCE): -0.02,
}
"""Of the student: a normal score, a skewed one, a very skewed one, a middling and a high share."""

_KINDS: Final = {
    "clip_score": "normal",
    "motion": "skewed (lognormal, s = 0.5)",
    "warping_error": "very skewed (lognormal, s = 1)",
    "oracle_all": "share near 0.7",
    "oracle_motion": "share near 0.95",
}

HIGH_SHARE: Final = "oracle_motion"

_HOW: Final = {VALUE: "value", DIFFERENCE: "paired difference", RATIO: "paired ratio"}


def clip_values(rng: np.random.Generator, prompts: int, replicates: int) -> dict[str, Floats]:
    """Return the values whose truth is `TRUTHS`."""

    def numbers() -> Floats:
        return clustered(rng, prompts, replicates)

    gain = np.array([1.0, 1.2])[:, None, None]
    return {
        "clip_score": 78 + 2 * np.array([0.0, 1.0])[:, None, None] + 5 * numbers(),
        "motion": gain * np.exp(0.5 * numbers()),
        "warping_error": gain * np.exp(numbers()),
        "oracle_all": right(numbers(), (0.8, 0.7)),
        "oracle_motion": right(numbers(), (0.97, 0.95)),
    }


def coverage(prompts: int, replicates: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often the intervals of values, differences and ratios hold the truth."""
    tally, by_t, plan = Tally(), Tally(), plan_of(prompts, replicates, 0)
    for trial in range(trials):
        rng = np.random.default_rng([seed, prompts, replicates, trial])
        values = clip_values(rng, prompts, replicates)
        book = laid_out(plan.arms, values)
        student = summed_up(plan, book, (), trial)[0][sim.STUDENT]
        for (metric, how), truth in TRUTHS.items():
            answer = covers(find(student, metric, how), truth)
            tally.add(f"{_HOW[how]}, {_KINDS[metric]}", answer)
        answer = _held_by_t(values[HIGH_SHARE], TRUTHS[HIGH_SHARE, DIFFERENCE])
        by_t.add(f"{_HOW[DIFFERENCE]}, {_KINDS[HIGH_SHARE]}, by t", answer)
    note = f"{replicates} clips a prompt"
    yield from tally.rates("intervals", prompts, COVERAGE, note)
    yield from by_t.rates("intervals", prompts, None, note)


def _held_by_t(values: Floats, truth: float) -> bool:
    """Return whether t on the prompts' differences, which no estimate of a share uses, holds it."""
    own = (values[1] - values[0]).mean(axis=1)
    error = float(own.std(ddof=1)) / math.sqrt(len(own))
    low, high, _ = t_interval(float(own.mean()), error, len(own) - 1)
    return low <= truth <= high


Failing = tuple[float, float]
"""Share of prompts that are hard for an arm, and share of the clips of such a prompt that fail."""


def hard_prompts(
    prompts: int, replicates: int, lost: Failing, gained: Failing, *, trials: int, seed: int
) -> Iterator[Rate]:
    """Yield how differences of shares fare where few prompts fail, each arm at its own ones.

    `lost`: where the arm fails, `gained`: where the other does. Beside them the same with pairs
    taken as independent.
    """
    kept, alone, truth = Tally(), Tally(), math.prod(gained) - math.prod(lost)
    for trial in range(trials):
        rng = np.random.default_rng([seed, prompts, replicates, trial])
        ours, other = (_hard(rng, (prompts, replicates), rates) for rates in (lost, gained))
        pairs = other - ours
        for tally, seen in ((kept, pairs), (alone, pairs.reshape(-1, 1))):
            low, high, _ = paired_rate_interval(seen)
            tally.add("interval", low <= truth <= high)
            tally.add("pass of what is exactly true", _passes(seen, truth))
    told = [f"{q:.0%} of clips of {h:.0%} of prompts" for h, q in (lost, gained) if h]
    note = f"{replicates} clips a prompt; fails {', the other '.join(told)}"
    for rate in kept.rates("hard-prompts", prompts, COVERAGE, note):
        yield rate if rate.what == "interval" else dataclasses.replace(rate, bar=ERRORS)
    for rate in alone.rates("hard-prompts", prompts, None, note):
        yield dataclasses.replace(rate, what=f"{rate.what}, pairs taken as independent")


def _hard(rng: np.random.Generator, shape: tuple[int, int], failing: Failing) -> Floats:
    """Return 1 for every clip that fails."""
    of_prompts, of_clips = failing
    is_hard = rng.random((shape[0], 1)) < of_prompts
    return ((rng.random(shape) < of_clips) & is_hard).astype(np.float64)


def _passes(pairs: Floats, line: float) -> bool:
    """Return whether 95 % of draws reach the line, as a must-criterion asks."""
    return bool((paired_rate_draws(pairs) >= line).mean() >= 0.95)


# --- seconds -------------------------------------------------------------------------------------

SPEED: Final = 1 / 8


def _steady(rng: np.random.Generator, rounds: int) -> Floats:
    return np.exp(0.05 * rng.normal(size=(1, rounds)) + 0.03 * rng.normal(size=(2, rounds)))


def _with_slow_moments(rng: np.random.Generator, rounds: int) -> Floats:
    """One round in five is half as long again for both arms, one in ten for one of them."""
    both, own = rng.random((1, rounds)) < 0.2, rng.random((2, rounds)) < 0.1
    return _steady(rng, rounds) * np.where(both, 1.5, 1.0) * np.where(own, 1.5, 1.0)


def _drifting(rng: np.random.Generator, rounds: int) -> Floats:
    return _steady(rng, rounds) * np.linspace(1.0, 1.3, rounds)


NOISES: Final = {
    "steady machine": _steady,
    "slow moments": _with_slow_moments,
    "machine that slows by 30 %": _drifting,
}
"""Factors on an arm's seconds, arms (2) x rounds, of one distribution for both arms."""


def latency_coverage(rounds: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often the interval of the ratio of seconds holds the truth."""
    tally, plan = Tally(), plan_of(1, 1, rounds)
    for place, (name, noise) in enumerate(NOISES.items()):
        for trial in range(trials):
            factors = noise(np.random.default_rng([seed, rounds, place, trial]), rounds)
            taken = timings(plan, timed(plan, factors * np.array([[1.0], [SPEED]])))
            found = [one.estimate for one in latency_outcomes(plan, taken)]
            asked = (sim.STUDENT, LATENCY, RATIO)
            one = next(e for e in found if (e.arm_id, e.metric, e.comparison) == asked)
            tally.add(f"ratio of seconds, {name}", covers(one, SPEED))
    yield from tally.rates("seconds", rounds, COVERAGE)


def timed(plan: Plan, seconds: Floats, begun: float | None = None) -> list[LatencySample]:
    """Return a latency pass of seconds, arms (2) x rounds; the cold call is as the first round.

    `begun`: seconds into each round's slot at which it starts, for runs that take turns.
    """
    found = []
    for row, arm in enumerate(plan.arms):
        for blank in _blank(arm, seconds.shape[1]):
            total = float(seconds[row, max(blank.round, 0)])
            changes = {"total_s": total, "denoise_s": total * 0.8}
            if begun is not None:
                changes["started_unix_s"] = 100.0 * blank.round + begun
            found.append(blank.model_copy(update=changes))
    return found


_BLANKS: Final[dict[tuple[str, int], list[LatencySample]]] = {}


def _blank(arm: Arm, rounds: int) -> list[LatencySample]:
    """Return an arm's samples of a second each, checked once and not in every trial."""
    key = (arm.id, rounds)
    if key not in _BLANKS:
        run = sim.Run(sim.plan([arm], prompts=1))
        _BLANKS[key] = sim.timed(run, lambda _arm, _n: 1.0, rounds=rounds).latencies
    return _BLANKS[key]


# --- KVD -----------------------------------------------------------------------------------------

DIMENSION, REFERENCE_N = 8, 512
SHIFTS: Final = (0.5, 0.8)
"""By how much every feature of the teacher and of the student lies off the reference."""


def cubic_mean(mu: Floats, nu: Floats, covariance: Floats) -> float:
    """Return E (x.y / d + 1)^3 of independent normal x and y of equal covariance.

    By the first three moments: E (x.y)^k is the product of the two moment tensors, summed.
    """
    d = len(mu)

    def moments(m: Floats) -> tuple[Floats, Floats]:
        second = covariance + np.outer(m, m)
        mixed = np.einsum("ij,k->ijk", covariance, m)
        third = np.einsum("i,j,k->ijk", m, m, m)
        third += mixed + mixed.transpose(0, 2, 1) + mixed.transpose(2, 1, 0)
        return second, third

    (two, three), (two_y, three_y) = moments(mu), moments(nu)
    first = float(mu @ nu) / d
    return (
        1
        + 3 * first
        + 3 * float((two * two_y).sum()) / d**2
        + float((three * three_y).sum()) / d**3
    )


def kvd_truth(shift: float) -> float:
    """Return the KVD of an arm against the reference, by formula."""
    zero, covariance = np.zeros(DIMENSION), np.eye(DIMENSION)
    mean = np.full(DIMENSION, shift)
    pairs = ((mean, mean, 1), (zero, zero, 1), (mean, zero, -2))
    return sum(sign * cubic_mean(one, other, covariance) for one, other, sign in pairs)


def arm_sets(plan: Plan, rng: np.random.Generator) -> tuple[ArmSet, ...]:
    """Return the features of both arms; half of their variance is that of the prompt."""
    prompts = [prompt.id for prompt in plan.prompts]
    of_prompt = rng.normal(size=(len(prompts), DIMENSION))
    owners = np.arange(REFERENCE_N) % len(prompts)
    reference = (of_prompt[owners] + rng.normal(size=(REFERENCE_N, DIMENSION))) / math.sqrt(2)
    return tuple(
        ArmSet(
            arm=arm,
            features=(of_prompt + rng.normal(size=of_prompt.shape)) / math.sqrt(2) + shift,
            clips=tuple((prompt, 0) for prompt in prompts),
            reference=reference,
            reference_prompts=tuple(prompts[owner] for owner in owners),
            planned=len(prompts),
            basis=SetBasis(
                n=len(prompts),
                reference_n=REFERENCE_N,
                dimension=DIMENSION,
                reference="simulated",
                protocol=PROTOCOL,
                extractor="simulated",
                extractor_digest="0",
            ),
        )
        for arm, shift in zip(plan.arms, SHIFTS, strict=True)
    )


def kvd_coverage(prompts: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often the intervals of KVD, its difference and its ratio hold the truth."""
    base, own = (kvd_truth(shift) for shift in SHIFTS)
    plan, tally = plan_of(prompts, 1, 0), Tally()
    for trial in range(trials):
        teacher, student = arm_sets(plan, np.random.default_rng([seed, prompts, trial]))
        mine, theirs = (one.jackknife_of(student.clips) for one in (student, teacher))
        difference = student.jackknifed("kvd", DIFFERENCE, mine.minus(theirs))
        tally.add("KVD, value", covers(student.jackknifed("kvd", VALUE, mine), own))
        tally.add("KVD, paired difference", covers(difference, own - base))
        ratio = _ratio(student, mine, theirs)
        tally.add("KVD, paired ratio", None if ratio is None else covers(ratio, own / base))
    yield from tally.rates("kvd", prompts, COVERAGE, f"{REFERENCE_N} reference clips")


def _ratio(student: ArmSet, mine: Jackknife, theirs: Jackknife) -> Estimate | None:
    try:
        return student.jackknifed("kvd", RATIO, mine.over(theirs))
    except NoRatioError:
        return None
