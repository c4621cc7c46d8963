"""The audit of our own statistics: that it can find a fault, and its simulations at a reduced size.

In full `make audit` runs them; the bounds here leave room for the noise of so few trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import audit_decisions
import audit_gate
import audit_pool
import audit_simulations as simulations
import audit_verdicts as broken
import gate_runs as g
import numpy as np
import pytest
from audit_page import summary
from audit_rates import COVERAGE, ERRORS, Bar, Rate, Standing
from scipy import stats

from poc import intervals
from poc.estimate import find
from poc.gate_records import GateStatus
from poc.records import Comparison
from poc.store import RunStore

SEED = 5


# --- what counts as kept -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "trials", "bar", "standing"),
    [
        (940, 1000, COVERAGE, Standing.OPEN),
        (3800, 4000, COVERAGE, Standing.KEPT),
        (3600, 4000, COVERAGE, Standing.MISSED),
        (3980, 4000, COVERAGE, Standing.MISSED),
        (95, 100, COVERAGE, Standing.OPEN),
        (0, 1000, ERRORS, Standing.KEPT),
        (0, 20, ERRORS, Standing.OPEN),
        (3, 4, None, Standing.TOLD),
    ],
)
def test_a_bar_is_kept_or_missed_only_where_the_trials_say_so(
    hits: int, trials: int, bar: Bar | None, standing: Standing
) -> None:
    rate = Rate("a part", "a thing", 64, trials, hits, bar)

    assert rate.standing is standing
    assert Rate.from_json(rate.as_json()) == rate


def test_intervals_that_are_half_as_wide_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    wilson = intervals.wilson

    def narrow(share: float, n: float, level: float = 0.95) -> intervals.Interval:
        low, high, method = wilson(share, n, level)
        return intervals.Interval((low + share) / 2, (high + share) / 2, method)

    monkeypatch.setattr(intervals, "wilson", narrow)
    found = {rate.what: rate for rate in simulations.coverage(20, 1, 80, SEED)}

    assert found["value, share near 0.7"].standing is Standing.MISSED
    assert found["value, normal"].standing is not Standing.MISSED


# --- what is true --------------------------------------------------------------------------------


def test_clips_of_a_prompt_are_alike_as_is_said() -> None:
    numbers = simulations.clustered(np.random.default_rng(SEED), 40_000, 2)

    between = np.corrcoef(numbers[0, :, 0], numbers[1, :, 0])[0, 1]
    within = np.corrcoef(numbers[0, :, 0], numbers[0, :, 1])[0, 1]

    assert numbers.std() == pytest.approx(1, abs=0.02)
    assert between == pytest.approx(simulations.OF_PROMPT, abs=0.02)
    assert within == pytest.approx(simulations.OF_PROMPT + simulations.OF_ARM, abs=0.02)


def test_the_true_values_are_the_means_of_very_many_clips() -> None:
    values = simulations.clip_values(np.random.default_rng(SEED), 200_000, 1)

    for (metric, how), truth in simulations.TRUTHS.items():
        teacher, student = values[metric].mean(axis=(1, 2))
        seen = {"value": student, "difference": student - teacher, "ratio": student / teacher}
        assert seen[how] == pytest.approx(truth, rel=0.03, abs=0.003)


def test_the_true_kvd_is_the_mean_kernel_of_very_many_pairs() -> None:
    rng, d = np.random.default_rng(SEED), simulations.DIMENSION
    x, other, y, rest = (rng.normal(size=(400_000, d)) for _ in range(4))
    x, other = x + 0.8, other + 0.8

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((((a * b).sum(axis=1) / d + 1) ** 3).mean())

    seen = kernel(x, other) + kernel(y, rest) - kernel(x, y) - kernel(other, rest)
    assert seen == pytest.approx(simulations.kvd_truth(0.8), rel=0.03)


# --- the rules, at a reduced size ----------------------------------------------------------------


def _within(rates: Iterator[Rate], least: float) -> None:
    """Assert that no share is so low that the promised one would give it in 1 of 10,000 cases."""
    for rate in rates:
        assert rate.hits >= stats.binom.ppf(1e-4, rate.trials, least), rate.what


def test_intervals_of_seconds_hold_the_truth() -> None:
    _within(simulations.latency_coverage(7, 60, SEED), COVERAGE.least)


def test_intervals_of_kvd_hold_the_truth() -> None:
    _within(simulations.kvd_coverage(64, 40, SEED), COVERAGE.least)


def test_an_arm_at_one_minimum_seldom_goes() -> None:
    for rate in audit_decisions.false_go(64, 8, SEED):
        assert rate.hits <= stats.binom.ppf(1 - 1e-4, rate.trials, ERRORS.most), rate.what


def test_equal_runs_seldom_alarm_and_a_plain_loss_is_named() -> None:
    equal = {rate.what: rate for rate in audit_gate.false_alarms(64, 7, 8, SEED)}
    exam = audit_gate.Exam(prompts=64, rounds=7, tests=240)
    slow = audit_gate.planted_slowness(exam, (1.0, 1.5), 5, SEED)
    found = {(rate.what, rate.note): rate.share for rate in slow}

    assert equal["equal runs: REGRESSION"].hits == 0
    quiet = f"rounds vary by 1%, {exam.tests} tests"
    assert found["+50% seconds: REGRESSION", quiet] == 1
    assert found["+0% seconds: REGRESSION", quiet] == 0


def test_a_sweep_that_ships_has_as_many_tests_as_arms_times_what_is_asked_of_one() -> None:
    # gate.yaml: three arms, 17 metrics that all have limits, the clips themselves, no seconds.
    assert audit_gate.exam("gate") == (40, 0, 3 * 18)


# --- pools ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> audit_pool.Pool:
    folder = g.folder(tmp_path_factory.mktemp("pool") / "run")
    return audit_pool.Pool.of(RunStore.open_reader(folder), "small")


def _scores(pool: audit_pool.Pool) -> np.ndarray:
    arm = pool.plan.arms[1].id
    clips = [pool.clips[arm, prompt.id][0] for prompt in pool.plan.prompts]
    return np.array([clip.measurements[0].value for clip in clips])


def test_the_truth_of_a_pool_is_the_mean_of_its_clips(pool: audit_pool.Pool) -> None:
    one = find(pool.whole().evidence().estimates.arms[1], "clip_score", Comparison.VALUE)

    assert one is not None
    assert one.value == pytest.approx(_scores(pool).mean())
    assert one.n_prompts == pool.size == 24


def test_a_prompt_that_is_drawn_twice_counts_twice(pool: audit_pool.Pool) -> None:
    rows = np.array([3] * 10 + [5] * 5)
    arm = pool.drawn(rows, seed=1).evidence().estimates.arms[1]
    one = find(arm, "clip_score", Comparison.VALUE)

    assert one is not None
    assert (one.n_prompts, arm.counts.planned, arm.counts.ok) == (15, 15, 15)
    assert one.value == pytest.approx(_scores(pool)[rows].mean())


def test_right_intervals_hold_a_finite_pools_mean_as_often_as_expected() -> None:
    rng, pool = np.random.default_rng(SEED), np.random.default_rng(1).normal(size=256)
    hits = []
    for _ in range(4000):
        drawn = rng.choice(pool, size=64, replace=False)
        half = stats.t.ppf(0.975, 63) * drawn.std(ddof=1) / math.sqrt(64)
        hits.append(abs(drawn.mean() - pool.mean()) <= half)

    assert np.mean(hits) == pytest.approx(audit_pool.expected(64, 256), abs=0.01)


def test_a_coin_deals_every_clip_to_head_or_base(pool: audit_pool.Pool) -> None:
    coin = audit_pool.Coin(pool, pool.plan.arms[1], pool.plan.arms[0])
    runs = coin.runs(pool.size, np.random.default_rng(SEED))
    dealt = sorted(m.value or 0.0 for run in runs for m in run.measurements)

    clips = [clip for found in pool.clips.values() for clip in found]
    assert dealt == sorted(m.value or 0.0 for clip in clips for m in clip.measurements)
    assert {run.plan.baseline_id for run in runs} == {pool.plan.arms[1].id}
    assert g.check(*runs).status is not GateStatus.REGRESSION


# --- broken runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", broken.CHECKS, ids=lambda case: case.what)
def test_the_gate_says_of_a_broken_run_what_it_should(case: broken.Case, tmp_path: Path) -> None:
    assert broken.checked(case, tmp_path) == (case.says, case.code)


@pytest.mark.parametrize("case", broken.DECISIONS, ids=lambda case: case.what)
def test_the_decision_says_of_a_broken_run_what_it_should(
    case: broken.Case, tmp_path: Path
) -> None:
    assert broken.decided(case, tmp_path) == (case.says, case.code)


# --- the page ------------------------------------------------------------------------------------


def test_the_page_sums_up_in_three_lines_and_in_none_where_nothing_was_run() -> None:
    rows = {
        "intervals": [Rate("intervals", "value", 64, 100, 96, COVERAGE)],
        "false-go": [
            Rate("false GO", "speed, as shipped", 64, 100, 2, ERRORS),
            Rate("false GO", "speed, target moved to the minimum", 64, 100, 4, ERRORS),
        ],
        "power": [Rate("power", "as good as the teacher: GO", 64, 100, 85)],
        "alarms": [Rate("alarms", "equal runs: REGRESSION", 64, 2000, 1)],
        "planted": [
            Rate("planted", "+10% seconds: REGRESSION", 7, 10, 5, None, "rounds vary by 3%")
        ],
    }
    parts = {name: {"rates": [r.as_json() for r in found]} for name, found in rows.items()}
    lines = list(summary({"parts": parts, "pools": {}}))

    assert len(lines) == 3
    for text, part in zip(lines, ("96.0%", "2.0%", "1 false alarms in 2,000"), strict=True):
        assert part in text
    assert list(summary({"parts": {}, "pools": {}})) == []
