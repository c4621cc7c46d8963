"""How often the decision errs: simulated runs of a teacher and a student whose truth is known.

The criteria are those that ship. A student deserves GO when it truly meets every must-criterion's
target; one that truly lies at a minimum deserves none, since the slightest worse one may not pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import simulated_runs as sim
from audit_rates import ERRORS, POWER, Rate
from audit_simulations import (
    CRITERIA,
    ROUNDS,
    Tally,
    clustered,
    plan_of,
    right,
    seeded,
    simulated,
    timed,
)

from poc.decide import decide
from poc.estimate import Evidence
from poc.records import ClipStatus, CriteriaFile, Light, Plan
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


def run_of(student: Student, plan: Plan, rng: np.random.Generator) -> sim.Run:
    """Return a run of a teacher and this student."""
    prompts, rounds = len(plan.prompts), plan.spec.latency.repeats if plan.spec.latency else 0

    def numbers() -> np.ndarray:
        return clustered(rng, prompts, plan.spec.replicates)

    gain = np.array([1.0, student.extent])[:, None, None]
    moves, shows = TEACHER_MOVES + student.motion, TEACHER_RIGHT + student.content
    values = {
        "oracle_all": right(numbers(), (TEACHER_RIGHT, shows)),
        "oracle_motion": right(numbers(), (TEACHER_MOVES, moves)),
        "motion_extent_px": 10 * gain * np.exp(0.3 * numbers()),
    }
    run = simulated(plan, values)
    gone = {c.id for c in run.clips() if c.arm_id == sim.STUDENT and rng.random() > student.valid}
    if gone:
        sim.lose(run, gone, ClipStatus.INVALID)
    noise = np.exp(0.05 * rng.normal(size=(1, rounds)) + 0.03 * rng.normal(size=(2, rounds)))
    return timed(run, 4 * noise * np.array([[1.0], [student.seconds]]))


def light(run: sim.Run, evidence: Evidence, criteria: CriteriaFile) -> Light:
    """Return the student's technical light."""
    found = decide(run.plan, evidence.estimates, criteria, evidence.draws)
    return next(arm.technical for arm in found.arms if arm.arm_id == sim.STUDENT)


def false_go(prompts: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often a student that lies at one minimum gets GO, by both sets of criteria."""
    criteria = shipped()
    asked = {"as shipped": criteria, "target moved to the minimum": without_targets(criteria)}
    plan, tally = plan_of(prompts, 1, ROUNDS, criteria), Tally()
    for place, (name, student) in enumerate(AT_MINIMUM.items()):
        for trial in range(trials):
            rng = np.random.default_rng([seed, prompts, place, trial])
            run = run_of(student, seeded(plan, trial), rng)
            evidence = run.evidence()
            for how, file in asked.items():
                tally.add(f"{name}, {how}", light(run, evidence, file) is Light.GO)
    yield from tally.rates("false GO", prompts, ERRORS, f"{ROUNDS} rounds")


def power(prompts: int, trials: int, seed: int) -> Iterator[Rate]:
    """Yield how often a student as good as the teacher gets GO, and how often NO_GO."""
    plan, tallies = plan_of(prompts, 1, ROUNDS, shipped()), (Tally(), Tally())
    for trial in range(trials):
        run = run_of(GOOD, seeded(plan, trial), np.random.default_rng([seed, prompts, trial]))
        found = light(run, run.evidence(), plan.criteria)
        tallies[0].add("as good as the teacher: GO", found is Light.GO)
        tallies[1].add("as good as the teacher: NO_GO", found is Light.NO_GO)
    yield from tallies[0].rates("power", prompts, POWER, f"{ROUNDS} rounds")
    yield from tallies[1].rates("power", prompts, ERRORS, f"{ROUNDS} rounds")
