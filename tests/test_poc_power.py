"""What a plan promises: by formula, by counting, and never more with less."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simulated_runs as sim
from gate_runs import LIMITS
from scipy import stats

from poc import power
from poc.errors import InputError
from poc.foresight import Exam, Foresight, Pilot, describe, foresee
from poc.gate_verdicts import LOOKS
from poc.records import Comparison, LatencySpec, Plan

# --- what a check names --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [64, 224, 1000])
def test_the_promised_loss_is_lost_often_enough_by_the_binomial(n: int) -> None:
    alpha, limit = 0.005 / 54, 0.06
    lost = power.lost_share(n, limit, alpha)
    fewest = next(k for k in range(1, n) if 0.5**k <= alpha and k / n > limit)

    assert stats.binom.sf(fewest - 1, n, lost) == pytest.approx(0.95)


def test_a_promised_change_is_beyond_limit_and_chance_in_95_of_100_experiments() -> None:
    n, spread, alpha, limit = 40, 0.3, 1e-3, 0.02
    change = power.named_change(spread, n, limit, alpha)
    rng = np.random.default_rng(2)
    seen = rng.normal(change, spread, size=(4000, n))
    p = stats.ttest_1samp(seen, 0.0, axis=1, alternative="greater").pvalue
    named = (p <= alpha) & (seen.mean(axis=1) > limit)

    assert named.mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("more", ["n", "spread", "tests"])
def test_less_noise_more_prompts_and_fewer_tests_show_smaller_changes(more: str) -> None:
    def change(n: int = 64, spread: float = 0.5, tests: int = 50) -> float:
        return power.named_change(spread, n, 0.01, power.per_test(tests, 1))

    better = {"n": change(n=256), "spread": change(spread=0.2), "tests": change(tests=5)}
    assert better[more] < change()


# --- what a decision shows -----------------------------------------------------------------------


def test_an_arm_as_good_as_the_baseline_passes_as_often_as_counted() -> None:
    criterion, n, spread = sim.criterion(target=-0.05, minimum=-0.15), 80, 0.5
    rng, se = np.random.default_rng(3), spread / math.sqrt(n)
    seen = rng.normal(0.0, se, size=20_000)
    passes = (seen - stats.norm.ppf(0.95) * se >= -0.15) & (seen > -0.05)

    assert power.pass_chance(criterion, spread, n) == pytest.approx(passes.mean(), abs=0.01)


def test_a_window_can_be_missed_on_either_side() -> None:
    window = sim.criterion(
        direction="window", comparison=Comparison.RATIO, centre=1.0, target=0.2, minimum=0.5
    )
    one_sided = stats.norm.cdf(0.2 / (1.2 / math.sqrt(64)))

    assert power.pass_chance(window, 1.2, 64) == pytest.approx(2 * one_sided - 1)


def test_the_planned_prompts_are_the_fewest_that_do() -> None:
    asked = [(sim.criterion(target=-0.05, minimum=-0.15), 0.5)]
    planned = power.prompts_for(lambda n: power.go_chance(asked, n) >= power.GOES)

    assert planned is not None
    assert power.go_chance(asked, planned) >= power.GOES > power.go_chance(asked, planned - 1)
    assert power.prompts_for(lambda _: False) is None


# --- from a pilot --------------------------------------------------------------------------------


def _plan(prompts: int, rounds: int = 0) -> Plan:
    criteria = sim.criteria_file(sim.criterion(target=-1.0, minimum=-3.0))
    latency = LatencySpec(warmup=1, repeats=rounds) if rounds else None
    arms = [sim.teacher(), sim.arm(sim.STUDENT)]
    metrics = ("clip_score", "oracle_all")
    return sim.plan(
        arms, prompts=prompts, replicates=2, criteria=criteria, metrics=metrics, latency=latency
    )


def _pilot(prompts: int = 50, rounds: int = 12) -> Pilot:
    plan = _plan(prompts, rounds)
    run = sim.run(
        plan,
        {
            "clip_score": lambda arm, p, r: 80 + 2 * sim.noise(arm.name, p, r),
            "oracle_all": lambda arm, p, r: float(sim.noise("o", arm.name, p, r) < 1),
        },
    )
    sim.timed(run, lambda arm, n: math.exp(0.05 * sim.noise("s", arm.name, n)), rounds=rounds)
    return Pilot.of("pilot", plan, run.generations, run.measurements, run.latencies)


def _foresight(prompts: int, pilot: Pilot | None) -> Foresight:
    return foresee(_plan(prompts, 30), LIMITS, pilot)


def test_the_spread_of_seeds_is_that_of_the_replicates() -> None:
    spread = _pilot(400).of_seeds("clip_score", ratio=True)

    assert spread == pytest.approx(2 * math.sqrt(2) / 80, rel=0.15)


def test_a_pilot_turns_a_range_into_numbers() -> None:
    without, with_one = _foresight(100, None), _foresight(100, _pilot())

    assert (without.go, without.slower) == (None, None)
    assert with_one.go is not None
    assert with_one.go_prompts is not None
    assert with_one.slower is not None
    assert 0.05 < with_one.slower < 0.15
    named = {one.subject: one for one in without.named}
    assert named["clip_score"].drawn_anew is None
    known = {one.subject: one for one in with_one.named}
    assert (known["oracle_all"].drawn_anew or 1) < (named["oracle_all"].drawn_anew or 0)
    assert known["oracle_all"].as_they_were == named["oracle_all"].as_they_were


@pytest.mark.parametrize(("prompts", "none"), [(2, True), (8, True), (100, False)])
def test_no_share_is_promised_to_change_by_more_than_all_clips(prompts: int, *, none: bool) -> None:
    found = _foresight(prompts, None)
    (oracle,) = (one for one in found.named if one.subject == "oracle_all")
    # The loss of every clip of n is named by McNemar's exact test where 2^-n is small enough.
    exam = Exam.of(_plan(prompts, 30), LIMITS)
    alpha = LOOKS[0] / (exam.of_clips * exam.families)

    assert (0.5**prompts > alpha) is none
    assert ("as_they_were" in oracle.never) is none
    assert (oracle.as_they_were is None) is none
    assert all(size is None or size <= 1 for size in (oracle.as_they_were, oracle.drawn_anew))
    (row,) = (line for line in describe(found).splitlines() if line.startswith("  oracle_all"))
    assert ("none" in row.split()) is none
    assert (f"{prompts} prompts are too few" in describe(found)) is none


def test_a_change_of_no_share_is_not_promised_where_only_some_clips_move() -> None:
    named = {one.subject: one for one in _foresight(100, _pilot()).named}

    assert named["clip_score"].as_they_were is None
    assert (named["oracle_all"].as_they_were or 0) > named["oracle_all"].limit


def test_a_must_that_the_pilot_did_not_measure_leaves_the_chance_open() -> None:
    pilot = _pilot()
    book = replace(
        pilot.book,
        grids={key: grid for key, grid in pilot.book.grids.items() if key[1] != "clip_score"},
    )
    found = _foresight(100, replace(pilot, book=book))

    assert found.unknown
    assert (found.go, found.go_prompts) == (None, None)
    assert f"pilot tells nothing of {', '.join(found.unknown)}" in describe(found)
    assert _foresight(100, pilot).unknown == ()


def test_spreads_are_those_of_as_many_replicates_as_are_planned() -> None:
    pilot = _pilot(400)
    one, two = (
        pilot.to_baseline("clip_score", ratio=True, replicates=count) or 0.0 for count in (1, 2)
    )

    assert two == pytest.approx(one / math.sqrt(2), rel=0.15)
    assert pilot.to_baseline("clip_score", ratio=True, replicates=3) is None


def test_of_a_short_arm_no_less_is_promised_than_the_absolute_limit() -> None:
    pilot, bare = _pilot(), [one.model_copy(update={"absolute_s": 1e-9}) for one in LIMITS.speed]
    coarse = [one.model_copy(update={"absolute_s": 0.4 * pilot.shortest_s()}) for one in bare]
    fine, short = (
        foresee(_plan(100, 30), LIMITS.model_copy(update={"speed": tuple(speed)}), pilot).slower
        for speed in (bare, coarse)
    )

    assert (fine or 1) < 0.15
    assert (short or 0) > 0.4


def test_what_is_promised_is_printed_with_where_it_is_from() -> None:
    text = describe(_foresight(100, _pilot()))

    for part in ("spreads from pilot", "100 prompts", "seconds:", "30 rounds in turns", "votes:"):
        assert part in text
    assert "not known without a pilot run" in describe(_foresight(100, None))


def test_every_test_of_a_check_is_counted() -> None:
    assert Exam.of(_plan(10, 30), LIMITS) == (2 * 3, 2 * 2, 2)
    assert power.per_test(6, 2) == pytest.approx(LOOKS[0] / 12)


def test_a_pilot_that_is_no_run_is_one_clear_error(tmp_path: Path) -> None:
    from poc.check import foreseen

    with pytest.raises(InputError, match="expected a run folder"):
        foreseen(_plan(4), tmp_path / "none")
