"""The audit of our own statistics: that it can find a fault, and its simulations at a reduced size.

In full `make audit` runs them; the bounds here leave room for the noise of so few trials.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import audit
import audit_decisions
import audit_gate
import audit_pool
import audit_pool_file
import audit_simulations as simulations
import audit_verdicts as broken
import gate_runs as g
import numpy as np
import pytest
import simulated_runs as sim
from audit_page import summary
from audit_rates import ALARMS, COVERAGE, ERRORS, FOUND, POWER, Bar, Rate, Standing
from scipy import stats

from poc import intervals
from poc.estimate import find, resampling_seed
from poc.foresight import Exam
from poc.records import Arm, Comparison
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
    for rate in audit_decisions.false_go(64, 12, SEED):
        assert rate.hits <= stats.binom.ppf(1 - 1e-4, rate.trials, ERRORS.most), rate.what


def test_a_good_arm_goes_as_often_as_the_plan_promises() -> None:
    planned = audit_decisions.planned()
    go, no_go = audit_decisions.power(planned, 120, SEED, POWER)

    assert go.hits >= stats.binom.ppf(1e-3, go.trials, POWER.least)
    assert no_go.hits == 0
    # And not because any number would do: with a third of the prompts it seldom goes.
    few, _ = audit_decisions.power(planned // 3, 120, SEED, None)
    assert few.hits <= stats.binom.ppf(1e-3, few.trials, POWER.least)


def test_equal_runs_seldom_alarm() -> None:
    equal = {rate.what: rate for rate in audit_gate.false_alarms(64, 7, 12, SEED)}

    assert equal["equal runs: REGRESSION"].hits == 0
    assert equal["equal runs with a second look: REGRESSION"].hits == 0
    once, twice = equal["equal runs: PASS"].hits, equal["equal runs with a second look: PASS"].hits
    assert once < twice


def test_more_seconds_are_named_as_promised_and_the_same_are_not() -> None:
    slow = audit_gate.planted_slowness(audit_gate.spec_plan("gate-timed"), (1.0, 1.1), 30, SEED)

    for rate in slow:
        if rate.what == "+10% seconds: REGRESSION":
            assert rate.hits >= stats.binom.ppf(1e-3, rate.trials, FOUND.least), rate.note
        else:
            assert rate.hits == 0, rate.note


def test_a_loss_is_named_as_promised() -> None:
    for rate in audit_gate.planted_losses(audit_gate.spec_plan("gate-timed"), 30, SEED):
        assert rate.hits >= stats.binom.ppf(1e-3, rate.trials, FOUND.least), rate.what


def test_a_sweep_that_ships_has_as_many_tests_as_arms_times_what_is_asked_of_one() -> None:
    # Three arms, 17 metrics that all have limits, the clips themselves, two stages of seconds.
    untimed, timed = (
        Exam.of(audit_gate.spec_plan(name), g.LIMITS) for name in ("gate", "gate-timed")
    )

    assert untimed == (3 * 18, 0, 1)
    assert timed == (3 * 18, 3 * 2, 2)


# --- pools ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> audit_pool.Pool:
    folder = g.folder(tmp_path_factory.mktemp("pool") / "run")
    return audit_pool.Pool.of(RunStore.open_reader(folder), "small")


def _scores(pool: audit_pool.Pool) -> np.ndarray:
    return pool.values["clip_score"][1, :, 0]


def test_the_truth_of_a_pool_is_the_mean_of_its_clips(pool: audit_pool.Pool) -> None:
    one = find(pool.whole[pool.plan.arms[1].id], "clip_score", Comparison.VALUE)

    assert one is not None
    assert one.value == pytest.approx(_scores(pool).mean())
    assert one.n_prompts == pool.size == 24


def test_a_prompt_that_is_drawn_twice_counts_twice(pool: audit_pool.Pool) -> None:
    rows = np.array([3] * 10 + [5] * 5)
    cells = audit_pool.Cells(rows, np.zeros((15, 1), int))
    arm = pool.judged(cells, seed=1)[0][pool.plan.arms[1].id]
    one = find(arm, "clip_score", Comparison.VALUE)

    assert one is not None
    assert (one.n_prompts, arm.counts.planned, arm.counts.ok) == (15, 15, 15)
    assert one.value == pytest.approx(_scores(pool)[rows].mean())


def test_what_is_laid_out_is_estimated_as_a_run_of_records_is() -> None:
    plan = simulations.plan_of(20, 2, 0)
    values = simulations.clip_values(np.random.default_rng(SEED), 20, 2)
    rows = {arm.id: row for row, arm in enumerate(plan.arms)}

    def of(array: np.ndarray) -> Callable[[Arm, int, int], float]:
        return lambda arm, prompt, replicate: float(array[rows[arm.id], prompt, replicate])

    run = sim.run(plan, {metric: of(array) for metric, array in values.items()})
    seed = resampling_seed(plan)
    arms, _ = simulations.summed_up(plan, simulations.laid_out(plan.arms, values), (), seed)
    recorded = run.evidence().estimates.arms[1]

    key = attrgetter("metric", "comparison")
    own = sorted(arms[sim.STUDENT].estimates, key=key)
    assert own == sorted(recorded.estimates, key=key)
    assert arms[sim.STUDENT].counts == recorded.counts


def of_seeds(prompts: int, replicates: int) -> audit_pool.Pool:
    """Return a pool whose every clip says its prompt and seed: 100 a prompt, 1 a seed."""
    plan = simulations.plan_of(prompts, replicates, 0)
    cells = 100.0 * np.arange(prompts)[:, None] + np.arange(replicates)
    return audit_pool.Pool("seeds", plan, {"clip_score": np.stack([cells, cells + 0.5])})


def test_a_run_that_is_drawn_has_one_seed_of_a_prompt_and_the_arms_share_it() -> None:
    pool = of_seeds(20, 5)
    cells = audit_pool.draw(pool, 300, np.random.default_rng(SEED))
    base, own = (pool.drawn(cells).grids[a.id, "clip_score"].values for a in pool.plan.arms)

    assert base.shape == (300, 1)
    assert (own - base == 0.5).all()
    assert (base[:, 0] // 100 == cells.rows).all()
    assert set(base[:, 0] % 100) == {0, 1, 2, 3, 4}


def test_two_different_seeds_are_dealt_of_all_that_there_are() -> None:
    pool = of_seeds(20, 5)
    deal = audit_pool.Deal.of_seeds(pool, pool.plan.arms[0])
    head, base = deal.dealt(500, np.random.default_rng(SEED))["clip_score"][0].T

    assert (head // 100 == base // 100).all()
    assert len({*zip(head % 100, base % 100, strict=True)}) == 5 * 4


def test_both_clips_of_a_prompt_are_dealt(pool: audit_pool.Pool) -> None:
    deal = audit_pool.Deal.of_arms(pool, *pool.plan.arms)
    dealt = deal.dealt(200, np.random.default_rng(SEED))["clip_score"][0]
    pairs = {tuple(sorted(pair)) for pair in zip(*pool.values["clip_score"][:, :, 0], strict=True)}

    assert {tuple(sorted(pair)) for pair in dealt} <= pairs
    heads = {pair[0] for pair in dealt}
    assert heads & set(pool.values["clip_score"][0, :, 0])
    assert heads & set(pool.values["clip_score"][1, :, 0])


# --- clips that are kept -------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """Return a finished run whose plan is what its spec makes."""
    store = RunStore.open_reader(g.folder(tmp_path / "run"))
    monkeypatch.setattr(audit_pool_file, "spec_plan", lambda _name: store.plan)
    return store


def test_kept_clips_are_those_of_the_run(made: RunStore, tmp_path: Path) -> None:
    read = audit_pool_file.read(audit_pool_file.write(made.path, tmp_path))
    own = audit_pool.Pool.of(made, read.name)

    assert read.plan == own.plan
    assert read.values.keys() == own.values.keys()
    for metric, values in own.values.items():
        assert np.array_equal(read.values[metric], values.astype(np.float32))


def test_kept_clips_of_one_run_are_the_same_bytes(made: RunStore, tmp_path: Path) -> None:
    first = audit_pool_file.write(made.path, tmp_path).read_bytes()

    assert audit_pool_file.write(made.path, tmp_path).read_bytes() == first


@pytest.fixture
def other(made: RunStore, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes the spec give another plan from now on."""
    changed = made.plan.model_copy(update={"prompts": made.plan.prompts[1:]})
    return lambda: monkeypatch.setattr(audit_pool_file, "spec_plan", lambda _name: changed)


@pytest.mark.parametrize("path", audit_pool_file.kept(), ids=lambda path: path.stem)
def test_the_clips_that_are_kept_can_be_drawn_from(path: Path) -> None:
    assert audit_pool_file.read(path).size > 0


def test_kept_clips_outlive_other_criteria(
    made: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = audit_pool_file.write(made.path, tmp_path)
    changed = made.plan.model_copy(update={"criteria_digest": "0" * 64})
    monkeypatch.setattr(audit_pool_file, "spec_plan", lambda _name: changed)

    assert audit_pool_file.read(path).size == len(made.plan.prompts)


def test_kept_clips_of_another_plan_are_not_drawn_from(
    made: RunStore, other: Callable[[], None], tmp_path: Path
) -> None:
    path = audit_pool_file.write(made.path, tmp_path)
    other()

    with pytest.raises(audit_pool_file.PoolFileError, match="run the spec anew"):
        audit_pool_file.read(path)


def test_kept_clips_whose_spec_is_gone_say_which_and_what_to_do(
    made: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = audit_pool_file.write(made.path, tmp_path)
    monkeypatch.undo()  # the name now stands for a spec that ships, and none is of this name
    gone = path.rename(path.with_stem("gone"))
    with np.load(gone) as packed:
        arrays = {name: packed[name] for name in packed.files}
    about = {**json.loads(str(arrays[audit_pool_file.ABOUT])), "spec": "gone"}
    np.savez(gone, **{**arrays, audit_pool_file.ABOUT: np.array(json.dumps(about))})

    with pytest.raises(audit_pool_file.PoolFileError, match=r"gone\.yaml, which makes no plan now"):
        audit_pool_file.read(gone)


def test_clips_of_another_plan_are_not_kept(
    made: RunStore, other: Callable[[], None], tmp_path: Path
) -> None:
    other()

    with pytest.raises(audit_pool_file.PoolFileError, match="run the spec anew"):
        audit_pool_file.write(made.path, tmp_path / "kept")


@pytest.mark.parametrize(
    ("journal", "told"), [("generations", "not all made"), ("measurements", "a clip has no")]
)
def test_a_run_that_lacks_a_clip_or_a_value_is_not_kept(
    journal: str, told: str, made: RunStore, tmp_path: Path
) -> None:
    path = made.path / f"{journal}.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), "utf-8")

    with pytest.raises(audit_pool_file.PoolFileError, match=told):
        audit_pool_file.write(made.path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


Arrays = dict[str, np.ndarray]


def _about(arrays: Arrays, **changes: object) -> Arrays:
    about = json.loads(str(arrays["about"])) | changes
    return arrays | {"about": np.array(json.dumps(about))}


SPOILT: dict[str, Callable[[Arrays], Arrays]] = {
    "another format": lambda arrays: _about(arrays, format_version=2),
    "another spec": lambda arrays: _about(arrays, spec="../gate"),
    "nothing about it": lambda arrays: {m: array for m, array in arrays.items() if m != "about"},
    "about is a list": lambda arrays: arrays | {"about": np.array("[]")},
    "about is no JSON": lambda arrays: arrays | {"about": np.array("{")},
    "no metric": lambda arrays: {"about": arrays["about"]},
    "a metric less": lambda arrays: {m: a for m, a in arrays.items() if m != "clip_score"},
    "a metric more": lambda arrays: arrays | {"sharpness_2": arrays["clip_score"]},
    "an arm more": lambda arrays: arrays | {"clip_score": arrays["clip_score"].repeat(2, axis=0)},
    "one NaN": lambda arrays: arrays | {"clip_score": _with_nan(arrays["clip_score"])},
    "words": lambda arrays: arrays | {"clip_score": arrays["clip_score"].astype(str)},
}


def _with_nan(array: np.ndarray) -> np.ndarray:
    spoilt = array.copy()
    spoilt[0, 0, 0] = np.nan
    return spoilt


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_pool_file_is_not_drawn_from(
    spoil: Callable[[Arrays], Arrays], made: RunStore, tmp_path: Path
) -> None:
    path = audit_pool_file.write(made.path, tmp_path)
    with np.load(path) as packed:
        arrays: Any = spoil({name: packed[name] for name in packed.files})
    np.savez(path, **arrays)

    with pytest.raises(audit_pool_file.PoolFileError, match="make audit-pool"):
        audit_pool_file.read(path)


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive"], ids=["empty", "cut", "text"])
def test_a_file_that_is_no_pool_is_not_drawn_from(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "clip-pools.npz"
    path.write_bytes(data)

    with pytest.raises(audit_pool_file.PoolFileError, match="make audit-pool"):
        audit_pool_file.read(path)


# --- broken runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", broken.CHECKS, ids=lambda case: case.what)
def test_the_gate_says_of_a_broken_run_what_it_should(case: broken.Case, tmp_path: Path) -> None:
    assert broken.checked(case, tmp_path) == (case.says, case.code)


@pytest.mark.parametrize("case", broken.DECISIONS, ids=lambda case: case.what)
def test_the_decision_says_of_a_broken_run_what_it_should(
    case: broken.Case, tmp_path: Path
) -> None:
    assert broken.decided(case, tmp_path) == (case.says, case.code)


# --- parts one by one ----------------------------------------------------------------------------


def test_a_part_that_is_there_is_not_taken_again_unless_it_would_come_out_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def taken(trials: int) -> bool:
        asked = ["audit", "--only", "kvd", "--trials", str(trials), "--out", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", [*asked, "--resume"])
        audit.main()
        return "KVD" in capsys.readouterr().out

    assert taken(1)
    first = (tmp_path / "audit.json").read_bytes()
    assert not taken(1)
    assert (tmp_path / "audit.json").read_bytes() == first
    assert taken(2)


def test_pools_come_first_and_only_where_they_are_asked_for() -> None:
    jobs = audit.jobs_of(["pools", "kvd"], [Path("runs/a")])

    assert [job.section for job in jobs] == ["pools"] * (len(jobs) - 1) + ["parts"]
    assert audit.jobs_of(["verdicts"], [Path("runs/a")]) == []


def test_pools_are_the_kept_clips_the_runs_named_and_the_gate(tmp_path: Path) -> None:
    kept = tmp_path / "b.npz"
    kept.write_bytes(b"clips")

    jobs = audit.pools_of([Path("runs/a")], [kept])

    assert [(job.name, job.run) for job in jobs] == [
        ("b", kept), ("a", Path("runs/a")), ("gate", None),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["b", "gate"])
def test_two_pools_of_one_name_are_refused(name: str, tmp_path: Path) -> None:
    kept = tmp_path / "b.npz"
    kept.write_bytes(b"clips")

    with pytest.raises(SystemExit, match=f"two pools of one name: {name}"):
        audit.pools_of([Path("runs") / name], [kept])


def test_a_pool_whose_clips_changed_is_taken_again(tmp_path: Path) -> None:
    kept = tmp_path / "b.npz"
    kept.write_bytes(b"clips")
    before = audit.pools_of([], [kept])[0]
    made = {"seed": audit.SEED, "trials": 5, "source": audit.source(), "clips": before.clips}

    assert audit.is_there(made, before, 5)
    kept.write_bytes(b"other clips")
    assert not audit.is_there(made, audit.pools_of([], [kept])[0], 5)


# --- the page ------------------------------------------------------------------------------------


def test_the_page_sums_up_in_three_lines_and_in_none_where_nothing_was_run() -> None:
    rows = {
        "intervals": [
            Rate("intervals", "value", 64, 100, 96, COVERAGE),
            Rate("intervals", "value, by t", 64, 100, 10),
        ],
        "false-go": [
            Rate("false GO", "speed, as shipped", 64, 100, 2, ERRORS),
            Rate("false GO", "speed, target moved to the minimum", 64, 100, 4, ERRORS),
        ],
        "power": [Rate("power", "as good as the teacher: GO", 64, 100, 85)],
        "alarms": [Rate("alarms", "equal runs: REGRESSION", 64, 2000, 1)],
        "planted": [
            Rate("planted", "+10% seconds: REGRESSION", 7, 10, 5, None, "rounds vary by 3%, 6")
        ],
    }
    parts = {name: {"rates": [r.as_json() for r in found]} for name, found in rows.items()}
    dealt = Rate("pool a: gate", "two of 5 seeds: REGRESSION", 64, 500, 2, ALARMS)
    passed = Rate("pool a: gate", "two of 5 seeds: PASS", 64, 500, 400)
    found = [dealt.as_json(), passed.as_json()]
    # The second is of clips that no clone has, and that nobody can repeat.
    pools = {"a": {"clips": "0123", "rates": found}, "b": {"rates": found}}
    lines = list(summary({"parts": parts, "pools": pools}))

    intervals_, decisions, gate = lines
    assert "96.0% to 96.0%" in intervals_
    assert "2.0%" in decisions
    assert "1 false alarms in 2,000 pairs (at most 0.05% of a row's) of equal simulated" in gate
    assert "2 false alarms in 500 pairs (at most 0.40% of a row's) dealt from real clips" in gate
    assert list(summary({"parts": {}, "pools": {}})) == []
