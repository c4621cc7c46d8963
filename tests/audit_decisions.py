"""How often the decision errs: simulated runs of a teacher and a student whose truth is known.

The criteria are those that ship. A student deserves GO when it truly meets every must-criterion's
target; one that truly lies at a minimum deserves none, since the slightest worse one may not pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import simulated_runs as sim
from audit_rates import ERRORS, Bar, Rate
from audit_simulations import (
    CRITERIA,
    ROUNDS,
    Floats,
    Tally,
    clustered,
    laid_out,
    plan_of,
    right,
    summed_up,
    timed,
)

from poc.decision_case import judge_arm
from poc.power import GOES, go_chance, prompts_for, spread_of_pairs
from poc.records import Comparison, CriteriaFile, Light, Plan, Weight
from poc.spec import read_criteria

TEACHER_RIGHT, TEACHER_MOVES = 0.80, 0.97
"""Shares of the teacher's clips that are all right, and that move as asked: as in the demo."""


@dataclass(frozen=True, slots=True)
class Student:
    """What is true of the student."""

    content: float = 0.0
    """Share of clips that are all right, less the teacher's."""
    motion: float = 0.0
    """Share of clips that move as asked, less the teacher's."""
    extent: float = 1.0
    """How far its clips move, over the teacher's."""
    seconds: float = 1 / 8
    """Median seconds, over the teacher's."""
    valid: float = 1.0
    """Share of clips that are clips."""


GOOD: Final = Student()
"""As good as the teacher and eight times as fast: beyond every target."""

AT_MINIMUM: Final = {
    "right content": replace(GOOD, content=-0.15),
    "right motion": replace(GOOD, motion=-0.15),
    "same amount of motion (too little)": replace(GOOD, extent=1 / 1.5),
    "same amount of motion (too much)": replace(GOOD, extent=1.5),
    "speed": replace(GOOD, seconds=1 / 3),
    # Lost clips are not right either: a better student hides that, so that validity alone decides.
    "usable clips": replace(GOOD, content=0.15, motion=0.03, valid=0.95),
}
"""Students that lie exactly at one minimum and are good in all else."""


def shipped() -> CriteriaFile:
    """Return the criteria of the demonstration."""
    return read_criteria(CRITERIA)


def without_targets(criteria: CriteriaFile) -> CriteriaFile:
    """Return criteria whose targets are their minima: only the 95 % of resamples hold back."""
    loose = tuple(c.model_copy(update={"target": c.minimum}) for c in criteria.criteria)
    return criteria.model_copy(update={"criteria": loose})


def _values(
    student: Student, rng: np.random.Generator, prompts: int, replicates: int
) -> dict[str, Floats]:
    """Return what the musts ask of the clips of a teacher and this student."""

    def numbers() -> Floats:
        return clustered(rng, prompts, replicates)

    gain = np.array([1.0, student.extent])[:, None, None]
    moves, shows = TEACHER_MOVES + student.motion, TEACHER_RIGHT + student.content
    return {
        "oracle_all": right(numbers(), (TEACHER_RIGHT, shows)),
        "oracle_motion": right(numbers(), (TEACHER_MOVES, moves)),
        "motion_extent_px": 10 * gain * np.exp(0.3 * numbers()),
    }


def light(
    student: Student, plan: Plan, asked: Sequence[CriteriaFile], key: list[int]
) -> list[Light]:
    """Return the technical light of a simulated run of a teacher and this student, by each file."""
    rng, prompts = np.random.default_rng(key), len(plan.prompts)
    rounds = plan.spec.latency.repeats if plan.spec.latency else 0
    values = _values(student, rng, prompts, plan.spec.replicates)
    gone = rng.random(values["oracle_all"].shape[1:]) > student.valid
    for array in values.values():
        array[1][gone] = np.nan
    noise = np.exp(0.05 * rng.normal(size=(1, rounds)) + 0.03 * rng.normal(size=(2, rounds)))
    taken = timed(plan, 4 * noise * np.array([[1.0], [student.seconds]]))
    arms, draws = summed_up(plan, laid_out(plan.arms, values), taken, key[-1])
    return [
        judge_arm(
            arms[sim.STUDENT], arms[plan.baseline_id], file.criteria, draws, finished=True
        ).technical
        for file in asked
    ]


def planned() -> int:
    """Return the prompts at which `poc plan` promises GO to a student as good as the teacher.

    The spreads are those of very many simulated clips, as a pilot run would show them.
    """
    values = _values(GOOD, np.random.default_rng(0), 100_000, 1)
    asked = []
    for one in shipped().criteria:
        if one.metric in values and one.weight is Weight.MUST:
            base, own = values[one.metric][:, :, 0]
            spread = spread_of_pairs(own, base, ratio=one.comparison is Comparison.RATIO)
            asked.append((one, spread or 0.0))
    found = prompts_for(lambda n: go_chance(asked, n) >= GOES, step=4)
    if found is None:
        raise ValueError("no number of prompts will do")
    return found


def false_go(prompts: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often a student that lies at one minimum gets GO, by both sets of criteria."""
    asked = {"as shipped": shipped(), "target moved to the minimum": without_targets(shipped())}
    plan, tally = plan_of(prompts, 1, ROUNDS, shipped()), Tally()
    for place, (name, student) in enumerate(AT_MINIMUM.items()):
        for trial in range(trials):
            key = [seed, prompts, place, trial]
            for how, found in zip(asked, light(student, plan, [*asked.values()], key), strict=True):
                tally.add(f"{name}, {how}", found is Light.GO)
    yield from tally.rates("false GO", prompts, ERRORS, f"{ROUNDS} rounds")


def power(prompts: int, trials: int, seed: int, bar: Bar | None) -> Iterator[Rate]:
    """Yield how often a student as good as the teacher gets GO, and how often NO_GO."""
    plan, tallies = plan_of(prompts, 1, ROUNDS, shipped()), (Tally(), Tally())
    for trial in range(trials):
        found, *_ = light(GOOD, plan, [plan.criteria], [seed, prompts, trial])
        tallies[0].add("as good as the teacher: GO", found is Light.GO)
        tallies[1].add("as good as the teacher: NO_GO", found is Light.NO_GO)
    yield from tallies[0].rates("power", prompts, bar, f"{ROUNDS} rounds")
    yield from tallies[1].rates("power", prompts, ERRORS, f"{ROUNDS} rounds")
