"""Laws of the estimates: pairing, missing clips, order, small samples, set metrics, the front."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from scipy import stats
from simulated_runs import (
    BASELINE,
    LATENCY_SPEC,
    STUDENT,
    Run,
    arm,
    criteria_file,
    criterion,
    generation,
    lose,
    measurement,
    noise,
    plan,
    run,
    teacher,
    timed,
)

from poc import intervals
from poc.decide import decide
from poc.estimate import estimate
from poc.front import dominated, find, smallest_not_inferior_step, speed_axis
from poc.records import (
    Arm,
    ClipStatus,
    Comparison,
    Estimate,
    Estimates,
    LatencyFailure,
    Light,
    MeasurementStatus,
    SchedulerName,
    digest,
)

PAIR = (teacher(), arm(STUDENT))


def score(a: Arm, prompt: int, replicate: int) -> float:
    """A hard prompt is hard for every arm; the student is 0.3 better than the teacher."""
    own = noise(a.id, prompt, replicate) * 0.2
    return 30 + 3 * noise(prompt) + own + (0.3 if a.id == STUDENT else 0.0)


def simulated(prompts: int, replicates: int = 1, **values: Any) -> Run:
    return run(plan(PAIR, prompts=prompts, replicates=replicates), values or {"clip_score": score})


def the(
    estimates: Estimates, arm_id: str, metric: str, comparison: Comparison = Comparison.VALUE
) -> Estimate:
    summary = next(s for s in estimates.arms if s.arm.id == arm_id)
    found = find(summary, metric, comparison)
    if found is None:
        raise AssertionError(f"no {comparison} of {metric} for {arm_id}")
    return found


def bounds(one: Estimate) -> tuple[float, float]:
    if one.low is None or one.high is None:
        raise AssertionError(f"no interval: {one.reason}")
    return one.low, one.high


def clip_values(result: Run, arm_id: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([m.value for m in result.measurements if m.arm_id == arm_id], dtype=float)


# --- values, differences, ratios -----------------------------------------------------------------


def test_a_value_is_the_mean_of_prompt_means_even_when_replicates_are_lost() -> None:
    result = simulated(20, replicates=2)
    lose(result, {f"{STUDENT}/p0000/0"}, ClipStatus.FAILED)
    means = [
        np.mean([score(PAIR[1], p, r) for r in range(2) if (p, r) != (0, 0)]) for p in range(20)
    ]

    one = the(result.evidence().estimates, STUDENT, "clip_score")

    assert one.value == pytest.approx(np.mean(means))
    assert (one.n_clips, one.n_prompts, one.n_missing) == (39, 20, 1)


def test_a_paired_difference_is_far_narrower_than_the_values_it_stands_on() -> None:
    estimates = simulated(64).evidence().estimates

    value = bounds(the(estimates, STUDENT, "clip_score"))
    difference = the(estimates, STUDENT, "clip_score", Comparison.DIFFERENCE)
    low, high = bounds(difference)

    assert high - low < (value[1] - value[0]) / 5
    assert "paired bootstrap" in difference.method


def test_bootstrap_difference_agrees_with_the_paired_t_test() -> None:
    result = simulated(64)
    expected = stats.ttest_rel(
        clip_values(result, STUDENT), clip_values(result, BASELINE)
    ).confidence_interval(0.95)

    low, high = bounds(
        the(result.evidence().estimates, STUDENT, "clip_score", Comparison.DIFFERENCE)
    )

    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.01)


def test_below_fifteen_prompts_the_interval_is_students() -> None:
    result = simulated(8)
    values = clip_values(result, STUDENT)
    expected = stats.t.interval(0.95, 7, loc=values.mean(), scale=stats.sem(values))

    one = the(result.evidence().estimates, STUDENT, "clip_score")

    assert one.method == "t on per-prompt values"
    assert bounds(one) == pytest.approx(expected)


def test_one_prompt_has_a_value_and_no_interval_however_many_replicates() -> None:
    result = simulated(1, replicates=10, clip_score=score, oracle_all=lambda *_: 1.0)

    estimates = result.evidence().estimates.arms[1].estimates

    assert all(one.low is None and one.high is None for one in estimates)
    assert all("at least 2" in one.reason for one in estimates)


def test_replicates_of_a_prompt_narrow_the_interval_less_than_new_prompts_do() -> None:
    few = bounds(the(simulated(20, 1).evidence().estimates, STUDENT, "clip_score"))
    repeated = bounds(the(simulated(20, 4).evidence().estimates, STUDENT, "clip_score"))
    many = bounds(the(simulated(80, 1).evidence().estimates, STUDENT, "clip_score"))

    assert repeated[1] - repeated[0] > 0.9 * (few[1] - few[0])
    assert many[1] - many[0] < 0.7 * (few[1] - few[0])


def test_identical_arms_differ_by_zero_and_neither_is_better() -> None:
    shared = {"clip_score": lambda _a, p, _r: 30 + noise(p)}
    estimates = run(plan(PAIR, prompts=30), shared).evidence().estimates

    difference = the(estimates, STUDENT, "clip_score", Comparison.DIFFERENCE)

    assert (difference.value, difference.low, difference.high) == (0, 0, 0)
    assert "no width" in difference.notes[-1]


def test_few_prompts_that_all_agree_give_no_interval() -> None:
    estimates = simulated(5, clip_score=lambda *_: 30.0).evidence().estimates

    one = the(estimates, STUDENT, "clip_score")

    assert (one.value, one.low) == (30, None)
    assert "no spread" in one.reason


def test_a_ratio_of_means_is_exact_when_one_arm_is_a_multiple_of_the_other() -> None:
    extents = {"motion_extent_px": lambda a, p, _r: (5 + p) * (1.0 if a.id == BASELINE else 0.8)}
    estimates = run(plan(PAIR, prompts=20), extents).evidence().estimates

    ratio = the(estimates, STUDENT, "motion_extent_px", Comparison.RATIO)

    assert (ratio.value, *bounds(ratio)) == pytest.approx((0.8, 0.8, 0.8))


@pytest.mark.parametrize("prompts", [10, 60])
def test_a_ratios_interval_holds_the_ratio_and_is_symmetric_in_logarithms(prompts: int) -> None:
    extents = {
        "motion_extent_px": lambda a, p, _r: (
            (10.0 if a.id == BASELINE else 8.0) * math.exp(0.2 * noise(a.id, p))
        )
    }
    estimates = run(plan(PAIR, prompts=prompts), extents).evidence().estimates

    ratio = the(estimates, STUDENT, "motion_extent_px", Comparison.RATIO)
    low, high = np.log(bounds(ratio))

    assert low < math.log(0.8) < high
    assert (low + high) / 2 == pytest.approx(math.log(ratio.value or 0), abs=0.2 * (high - low))


@pytest.mark.parametrize("prompts", [2, 20])
@pytest.mark.parametrize("student", [0.0, 1.0])
def test_there_is_no_ratio_to_a_baseline_of_zero(prompts: int, student: float) -> None:
    extents = {"motion_extent_px": lambda a, _p, _r: 0.0 if a.id == BASELINE else student}
    estimates = run(plan(PAIR, prompts=prompts), extents).evidence().estimates

    ratio = the(estimates, STUDENT, "motion_extent_px", Comparison.RATIO)

    assert (ratio.value, ratio.low, ratio.high) == (None, None, None)
    assert ratio.reason == "the baseline's mean is 0: there is no ratio to it"


def test_no_ratio_is_made_of_metrics_that_can_be_negative() -> None:
    estimates = simulated(20, kernel=lambda a, p, _r: noise(a.id, p)).evidence().estimates

    assert find(estimates.arms[1], "kernel", Comparison.RATIO) is None
    assert find(estimates.arms[1], "kernel", Comparison.DIFFERENCE) is not None


@pytest.mark.parametrize("prompts", [10, 30])
def test_intervals_of_differences_cover_the_truth_with_clustered_clips(prompts: int) -> None:
    hits = []
    for trial in range(120):
        rng = np.random.default_rng([trial, prompts])
        noises = rng.normal(size=(2, prompts, 2)) + rng.normal(size=(2, prompts, 1))
        values = {
            "x": lambda a, p, r, n=noises: 0.5 * (a.id == STUDENT) + n[int(a.steps == 4), p, r]
        }
        result = run(plan(PAIR, prompts=prompts, replicates=2), values)
        low, high = bounds(the(result.evidence().estimates, STUDENT, "x", Comparison.DIFFERENCE))
        hits.append(low <= 0.5 <= high)

    assert 0.90 <= sum(hits) / len(hits) <= 0.99


# --- rates ---------------------------------------------------------------------------------------


def right(a: Arm, prompt: int, _replicate: int) -> float:
    return float(prompt % 10 != 0 if a.id == BASELINE else prompt % 5 != 0)


def test_a_rates_value_is_wilsons() -> None:
    expected = stats.binomtest(48, 60).proportion_ci(0.95, "wilson")

    one = the(simulated(60, oracle_all=right).evidence().estimates, STUDENT, "oracle_all")

    assert one.value == 0.8
    assert bounds(one) == pytest.approx((expected.low, expected.high))


def test_rates_that_agree_on_every_prompt_keep_an_interval_with_a_width() -> None:
    estimates = simulated(40, oracle_all=lambda *_: 1.0).evidence().estimates

    low, high = bounds(the(estimates, STUDENT, "oracle_all", Comparison.DIFFERENCE))

    assert low < -0.04
    assert high > 0.04


def test_independent_pairs_of_a_prompt_count_each_in_a_difference_of_rates() -> None:
    def right(a: Arm, prompt: int, replicate: int) -> float:
        lost_by = 0 if a.id == STUDENT else 1
        lost = prompt % 4 == 0 and replicate == lost_by
        return float(not lost and not (prompt == 1 and a.id == STUDENT))

    result = run(plan(PAIR, prompts=40, replicates=2), {"oracle_all": right})

    one = the(result.evidence().estimates, STUDENT, "oracle_all", Comparison.DIFFERENCE)
    # Of 80 pairs 10 are gained and 12 lost.
    single = np.array([1.0] * 10 + [-1.0] * 12 + [0.0] * 58)
    assert bounds(one) == pytest.approx(intervals.paired_rate_interval(single)[:2])
    assert one.value == -2 / 80


def test_a_clip_that_failed_is_not_accepted_but_has_no_clip_score() -> None:
    result = simulated(20, clip_score=score, oracle_all=lambda *_: 1.0)
    lose(result, {f"{STUDENT}/p0003/0", f"{STUDENT}/p0004/0"}, ClipStatus.INVALID)
    estimates = result.evidence().estimates

    accuracy, clip_score = (the(estimates, STUDENT, m) for m in ("oracle_all", "clip_score"))
    difference = the(estimates, STUDENT, "clip_score", Comparison.DIFFERENCE)

    assert (accuracy.value, accuracy.n_missing) == (0.9, 0)
    assert accuracy.notes == ("Failed and invalid clips count as not accepted.",)
    assert (clip_score.n_clips, clip_score.n_missing, clip_score.notes) == (18, 2, ())
    assert (difference.n_clips, difference.n_missing) == (18, 2)
    assert "2 of 20 pairs lost" in difference.notes[0]


def test_an_arm_whose_clips_all_failed_has_accuracy_zero_and_no_clip_score() -> None:
    result = simulated(20, clip_score=score, oracle_all=lambda *_: 1.0)
    lose(result, {c.id for c in result.clips() if c.arm_id == STUDENT}, ClipStatus.FAILED)
    estimates = result.evidence().estimates

    assert the(estimates, STUDENT, "oracle_all").value == 0
    assert the(estimates, STUDENT, "valid_share").value == 0
    assert the(estimates, STUDENT, "clip_score").reason == "no clip has a value: no clip"


def test_an_arm_whose_clips_all_failed_has_accuracy_zero_even_without_records() -> None:
    result = simulated(20, clip_score=score, oracle_all=lambda *_: 1.0)
    lose(result, {c.id for c in result.clips() if c.arm_id == STUDENT}, ClipStatus.FAILED)
    result.measurements[:] = [m for m in result.measurements if m.arm_id == BASELINE]
    estimates = result.evidence().estimates

    assert the(estimates, STUDENT, "oracle_all").value == 0
    assert the(estimates, STUDENT, "clip_score").reason == "not measured"
    assert the(estimates, STUDENT, "oracle_all", Comparison.DIFFERENCE).value == -1


def test_an_accuracy_that_does_not_apply_is_not_zero() -> None:
    result = simulated(20)
    result.measurements += [
        measurement(
            c, "oracle_style", None, status=MeasurementStatus.NOT_MEASURED, reason="no style"
        )
        for c in result.clips()
    ]
    lose_one = f"{STUDENT}/p0003/0"
    result.generations[:] = [
        generation(c, ClipStatus.FAILED if c.id == lose_one else ClipStatus.OK)
        for c in result.clips()
    ]

    one = the(result.evidence().estimates, STUDENT, "oracle_style")

    assert (one.value, one.reason) == (None, "no clip has a value: no style")


def test_valid_share_counts_what_ended_and_leaves_out_what_is_pending() -> None:
    result = simulated(40)
    lose(result, {f"{STUDENT}/p0000/0", f"{STUDENT}/p0001/0"}, ClipStatus.FAILED)
    pending = {f"{STUDENT}/p{n:04}/0" for n in range(30, 40)}
    result.generations[:] = [g for g in result.generations if g.clips[0].clip_id not in pending]
    result.measurements[:] = [m for m in result.measurements if m.clip_id not in pending]
    expected = stats.binomtest(28, 30).proportion_ci(0.95, "wilson")
    estimates = result.evidence().estimates

    one = the(estimates, STUDENT, "valid_share")

    assert one.value == pytest.approx(28 / 30)
    assert bounds(one) == pytest.approx((expected.low, expected.high))
    assert (one.n_clips, one.n_missing) == (30, 10)
    assert estimates.arms[1].counts.pending == 10
    assert not estimates.complete


# --- latency -------------------------------------------------------------------------------------


def seconds(a: Arm, r: int) -> float:
    """Both arms are slow in the same rounds; the student takes an eighth."""
    return (8.0 if a.id == BASELINE else 1.0) * (1 + 0.5 * abs(noise("slow", r)))


def latency_run(rounds: int = 12, **changes: Any) -> Run:
    return timed(
        run(plan(PAIR, prompts=20, latency=LATENCY_SPEC), {"clip_score": score}),
        seconds,
        rounds=rounds,
        **changes,
    )


def test_slow_moments_that_hit_both_arms_cancel_in_the_latency_ratio() -> None:
    estimates = latency_run().evidence().estimates

    value = the(estimates, STUDENT, "latency_p50_s")
    ratio = the(estimates, STUDENT, "latency_p50_s", Comparison.RATIO)

    assert value.value == pytest.approx(np.median([seconds(PAIR[1], r) for r in range(12)]))
    assert bounds(value)[1] - bounds(value)[0] > 0.1
    assert (ratio.value, *bounds(ratio)) == pytest.approx((0.125, 0.125, 0.125))
    assert estimates.complete


def uneven(a: Arm, r: int) -> float:
    """The baseline takes 8 seconds, the student one to two, another in every round."""
    return 8.0 if a.id == BASELINE else 1.0 + abs(noise("own", r))


@pytest.mark.parametrize(("rounds", "rank"), [(7, 1), (15, 4)])
def test_a_ratio_of_seconds_spans_the_order_statistics_of_the_rounds_own(
    rounds: int, rank: int
) -> None:
    result = timed(
        run(plan(PAIR, prompts=20, latency=LATENCY_SPEC), {"clip_score": score}),
        uneven,
        rounds=rounds,
    )

    ratio = the(result.evidence().estimates, STUDENT, "latency_p50_s", Comparison.RATIO)

    ratios = sorted(uneven(PAIR[1], r) / 8.0 for r in range(rounds))
    last = rounds + 1 - rank
    assert ratio.value == pytest.approx(np.median(ratios))
    assert bounds(ratio) == pytest.approx((ratios[rank - 1], ratios[last - 1]))
    assert ratio.method == f"rounds' ratios, order statistics {rank} and {last} of {rounds}"


def drifting(a: Arm, r: int) -> float:
    """Rounds get slower for both; in every other the student takes a quarter, else an eighth."""
    return (1 + r) * (8.0 if a.id == BASELINE else 2.0 if r % 2 else 1.0)


def test_a_ratio_of_seconds_pairs_what_was_timed_together() -> None:
    """Not one arm's median by the other's: they are of different rounds here."""
    result = timed(
        run(plan(PAIR, prompts=20, latency=LATENCY_SPEC), {"clip_score": score}), drifting, rounds=7
    )

    ratio = the(result.evidence().estimates, STUDENT, "latency_p50_s", Comparison.RATIO)

    own, base = ([drifting(arm, r) for r in range(7)] for arm in (PAIR[1], PAIR[0]))
    assert np.median(own) / np.median(base) != pytest.approx(0.125)
    assert ratio.value == pytest.approx(0.125)


def test_the_cold_call_is_kept_apart() -> None:
    result = latency_run()
    result.latencies[:] = [
        s.model_copy(update={"total_s": 500.0}) if s.round == -1 else s for s in result.latencies
    ]

    estimates = result.evidence().estimates

    assert the(estimates, STUDENT, "latency_cold_s").value == 500
    assert (the(estimates, STUDENT, "latency_p50_s").value or 0) < 5


def test_five_rounds_give_medians_without_intervals_and_an_incomplete_run() -> None:
    estimates = latency_run(rounds=5).evidence().estimates

    value = the(estimates, STUDENT, "latency_p50_s")
    ratio = the(estimates, STUDENT, "latency_p50_s", Comparison.RATIO)

    assert value.value is not None
    assert value.low is None
    assert value.reason == "5 rounds; an interval of the median needs 6"
    assert ratio.value == pytest.approx(0.125)
    assert ratio.low is None
    assert value.n_missing == 7
    assert not estimates.complete


def test_times_of_different_devices_are_not_compared() -> None:
    result = latency_run()
    result.latencies[:] = [
        s.model_copy(update={"device": "gpu"}) if s.arm_id == STUDENT else s
        for s in result.latencies
    ]
    estimates = result.evidence().estimates

    ratio = the(estimates, STUDENT, "latency_p50_s", Comparison.RATIO)

    assert ratio.value is None
    assert ratio.reason == "not comparable: timed on cpu and on gpu"
    assert speed_axis(estimates.arms) == "nfe"


def not_timed(result: Run, arm_id: str) -> Run:
    failure = LatencyFailure(
        arm_id=arm_id, round=3, reason="OutOfMemoryError: no room", peak_memory_bytes=3 * 2**30
    )
    result.latency_failures.append(failure)
    return result


def test_an_arm_that_could_not_be_timed_has_no_time_and_takes_none_from_the_others() -> None:
    result = not_timed(latency_run(), STUDENT)  # the rounds before it failed are there
    estimates = result.evidence().estimates
    timed_metrics = [
        one
        for summary in estimates.arms
        if summary.arm.id == STUDENT
        for one in summary.estimates
        if one.metric.startswith("latency_") or one.metric == "peak_memory_bytes"
    ]

    assert len(timed_metrics) == 9
    for one in timed_metrics:
        assert (one.value, one.low, one.high) == (None, None, None)
        assert one.reason == "failed in round 3, 3.0 GiB in use at most: OutOfMemoryError: no room"
        assert one.n_missing == result.plan.spec.latency.repeats  # type: ignore[union-attr]
    assert the(estimates, BASELINE, "latency_p50_s").value is not None
    assert estimates.complete
    places = {one.arm.id: (one.on_pareto_front, one.not_timed) for one in estimates.arms}
    assert places[STUDENT] == (None, result.latency_failures[0])
    assert places[BASELINE][1] is None
    assert speed_axis(estimates.arms) == "latency_p50_s"


def test_an_arm_that_could_not_be_timed_is_never_go() -> None:
    criteria = criteria_file(criterion(minimum=-100.0, target=-99.0))
    made = plan(PAIR, prompts=20, criteria=criteria, latency=LATENCY_SPEC)
    result = run(made, {"clip_score": lambda _arm, prompt, _: 30 + noise(prompt)})
    timed(result, lambda _arm, _round: 1.0, rounds=12)

    def light(one: Run) -> tuple[Light, bool]:
        found = one.evidence()
        decision = decide(made, found.estimates, criteria, found.draws)
        told = any("could not be timed" in reason.text_en for reason in decision.reasons)
        return decision.technical, told

    assert light(result) == (Light.GO, False)
    assert light(not_timed(result, STUDENT)) == (Light.INSUFFICIENT_EVIDENCE, True)


def test_an_arm_that_could_not_be_timed_is_never_recommended() -> None:
    """Though all its musts pass, and those of the arm that was timed are open."""
    criteria = criteria_file(criterion(minimum=-0.2, target=-0.1))
    arms = (*PAIR, arm("student-8", steps=8))
    made = plan(arms, prompts=20, criteria=criteria, latency=LATENCY_SPEC)

    def unsure(one: Arm, prompt: int, _replicate: int) -> float:
        spread = 0.0 if one.id in {BASELINE, STUDENT} else 3 * noise(one.id, prompt)
        return 30 + noise(prompt) + spread

    result = run(made, {"clip_score": unsure})
    timed(result, lambda _arm, _round: 1.0, rounds=12)

    def recommended(one: Run) -> str | None:
        found = one.evidence()
        return decide(made, found.estimates, criteria, found.draws).recommended_arm_id

    assert recommended(result) == STUDENT
    assert recommended(not_timed(result, STUDENT)) == made.arms[-1].id


def test_where_no_candidate_could_be_timed_none_is_recommended_and_timing_is_asked_for() -> None:
    criteria = criteria_file(criterion(minimum=-100.0, target=-99.0))
    made = plan(PAIR, prompts=20, criteria=criteria, latency=LATENCY_SPEC)
    result = run(made, {"clip_score": lambda _arm, prompt, _: 30 + noise(prompt)})
    timed(result, lambda _arm, _round: 1.0, rounds=12)
    found = not_timed(result, STUDENT).evidence()

    decision = decide(made, found.estimates, criteria, found.draws)

    assert decision.recommended_arm_id is None
    assert "No candidate is left" in " ".join(reason.text_en for reason in decision.reasons)
    assert decision.next_measurement is not None
    assert decision.next_measurement.text_en.startswith("Time ")


def test_where_the_baseline_could_not_be_timed_there_is_no_ratio_to_it() -> None:
    estimates = not_timed(latency_run(), BASELINE).evidence().estimates
    ratio = the(estimates, STUDENT, "latency_p50_s", Comparison.RATIO)

    assert ratio.value is None
    assert ratio.reason == "the baseline has no timed round"
    assert the(estimates, STUDENT, "latency_p50_s").value is not None


def test_peak_memory_is_the_maximum() -> None:
    one = the(latency_run().evidence().estimates, STUDENT, "peak_memory_bytes")

    assert (one.value, one.low) == (1_000_011, None)


# --- set metrics ---------------------------------------------------------------------------------


def set_estimate(
    arm_id: str, value: float, error: float, comparison: Comparison = Comparison.VALUE, n: int = 64
) -> Estimate:
    return Estimate(
        arm_id=arm_id,
        metric="kvd",
        comparison=comparison,
        value=value,
        low=value - 1.959964 * error,
        high=value + 1.959964 * error,
        level=0.95,
        method="jackknife",
        n_clips=n,
        n_prompts=n,
        n_missing=0,
        reason="",
    )


def kvd_run(baseline_n: int = 64) -> Run:
    result = simulated(20)
    result.set_estimates = [
        set_estimate(BASELINE, 2.0, 0.1, n=baseline_n),
        set_estimate(STUDENT, 3.0, 0.2),
        set_estimate(STUDENT, 1.0, 0.2, Comparison.DIFFERENCE),
    ]
    return result


def test_set_metrics_are_placed_as_they_come() -> None:
    result = kvd_run()

    difference = the(result.evidence().estimates, STUDENT, "kvd", Comparison.DIFFERENCE)

    assert difference == result.set_estimates[2]


def test_a_set_comparison_over_more_clips_than_an_arm_has_is_refused() -> None:
    estimates = kvd_run(baseline_n=63).evidence().estimates

    one = the(estimates, STUDENT, "kvd", Comparison.DIFFERENCE)

    assert (one.value, one.low, one.high) == (None, None, None)
    assert one.reason.startswith("not comparable: 64 clips asked for, 64 of the arm and 63")


# --- comparable, contradictory, unknown ----------------------------------------------------------


def test_arms_measured_by_different_versions_are_not_compared() -> None:
    result = simulated(20)
    result.measurements[:] = [
        m.model_copy(update={"version": 2}) if m.arm_id == STUDENT else m
        for m in result.measurements
    ]
    estimates = result.evidence().estimates

    difference = the(estimates, STUDENT, "clip_score", Comparison.DIFFERENCE)

    assert the(estimates, STUDENT, "clip_score").value is not None
    assert (difference.value, difference.reason) == (
        None,
        "not comparable: version 1 and version 2",
    )


def test_contradicting_or_foreign_records_are_refused() -> None:
    result = simulated(3)
    clip = result.clips()[0]
    foreign = clip.model_copy(update={"id": "elsewhere"})
    result.generations.append(generation(clip, ClipStatus.FAILED))
    with pytest.raises(ValueError, match="both ok and failed"):
        result.evidence()
    result.generations[-1] = generation(foreign)
    with pytest.raises(ValueError, match="not in the plan"):
        result.evidence()
    result.generations.pop()
    result.measurements.append(measurement(clip, "clip_score", 1e6))
    with pytest.raises(ValueError, match="two different records"):
        result.evidence()
    result.measurements[-1] = measurement(foreign, "clip_score", 1.0)
    with pytest.raises(ValueError, match="no such clip"):
        result.evidence()


def test_a_record_that_comes_twice_counts_once() -> None:
    result = simulated(20)
    once = result.evidence().estimates
    result.measurements *= 2
    result.generations *= 2

    assert result.evidence().estimates == once


def test_an_arm_of_which_nothing_is_measured_makes_the_run_incomplete() -> None:
    result = simulated(20)
    result.measurements = [m for m in result.measurements if m.arm_id != STUDENT]

    assert not result.evidence().estimates.complete


def test_a_half_measured_arm_makes_the_run_incomplete() -> None:
    result = simulated(20)
    whole = result.evidence().estimates.complete
    result.measurements.pop()

    assert (whole, result.evidence().estimates.complete) == (True, False)


def test_order_of_records_leaves_no_trace_in_estimates_or_draws() -> None:
    first, second = latency_run(), latency_run()
    first.set_estimates = kvd_run().set_estimates
    second.set_estimates = first.set_estimates[::-1]
    for records in (second.generations, second.measurements, second.latencies):
        records.sort(key=lambda one: digest(one.model_dump(mode="json")))
    one, two = first.evidence(), second.evidence()

    assert one.estimates.to_json() == two.estimates.to_json()
    assert all(np.array_equal(one.draws[key], two.draws[key]) for key in one.draws)


def test_estimates_survive_their_own_json() -> None:
    estimates = latency_run().evidence().estimates

    assert Estimates.from_json(estimates.to_json()) == estimates


def test_estimate_is_evaluate_without_the_draws() -> None:
    result = simulated(20)

    alone = estimate(
        result.plan, result.generations, result.measurements, [], [], closed_reason=None
    )

    assert alone == result.evidence().estimates


def test_an_empty_run_has_counts_and_no_numbers() -> None:
    estimates = Run(plan(PAIR, prompts=3)).evidence().estimates

    assert [s.counts.pending for s in estimates.arms] == [3, 3]
    assert all(one.value is None for s in estimates.arms for one in s.estimates)
    assert not estimates.complete


# --- the front -----------------------------------------------------------------------------------

STUDENTS = tuple(arm(f"student-{n}", steps=n) for n in (1, 2, 4, 8))
STYLED = arm("styled-2", steps=2, style="ink")
NAIVE = arm("naive-2", steps=2, motion_adapter="teacher-motion")
FRONT_ARMS = (teacher(), *STUDENTS, STYLED, NAIVE)


def quality(a: Arm, prompt: int, _replicate: int) -> float:
    """More steps are better up to 4, after which nothing more is gained."""
    level = {25: 1.0, 8: 0.95, 4: 0.95, 2: 0.5, 1: 0.0}[a.sampling.steps]
    return 30 + noise(prompt) + level + 0.1 * noise(a.id, prompt)


def front_estimates() -> Estimates:
    return run(plan(FRONT_ARMS, prompts=30), {"clip_score": quality}).evidence().estimates


def test_an_arm_is_beaten_by_one_that_is_no_worse_in_both_and_better_in_one() -> None:
    cost, value = np.array([1.0, 1.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0, 2.0])

    assert dominated(cost, value).tolist() == [False, False, True, False]


def test_the_front_holds_what_no_arm_of_the_same_style_beats() -> None:
    estimates = front_estimates()
    places = {s.arm.id: s.on_pareto_front for s in estimates.arms}

    assert speed_axis(estimates.arms) == "nfe"
    assert estimates.quality_metric == "clip_score"
    assert places["student-1"]
    assert places["student-4"]
    assert places["styled-2"]


def test_frontier_frequency_tells_a_sure_place_from_a_toss_up() -> None:
    frequency = {s.arm.id: s.frontier_frequency for s in front_estimates().arms}

    assert frequency["student-1"] == 1
    assert frequency["student-2"] is not None
    assert 0 < (frequency["student-8"] or 0) < 1


def test_the_oracle_is_the_quality_axis_where_it_was_measured() -> None:
    both = {"clip_score": quality, "oracle_all": right}
    estimates = run(plan(FRONT_ARMS, prompts=30), both).evidence().estimates

    assert estimates.quality_metric == "oracle_all"


def test_the_smallest_step_that_is_not_inferior_is_found_at_the_margin_asked_for() -> None:
    estimates = front_estimates()

    def smallest(margin: float, style: str | None = None) -> str | None:
        found = smallest_not_inferior_step(
            estimates, metric="clip_score", margin=margin, style=style
        )
        return found.id if found else None

    assert smallest(0.2) == "student-4"
    assert smallest(0.6) == "student-2"
    assert smallest(2.0) == "student-1"
    assert smallest(0.0) is None
    assert smallest(0.6, style="ink") == "styled-2"


def test_the_naive_arm_is_no_animatelcm_and_a_negative_margin_is_refused() -> None:
    estimates = front_estimates()
    naive = {"naive-2"}

    asked = smallest_not_inferior_step(
        estimates, metric="clip_score", margin=2.0, style=None, arm_ids=naive
    )

    assert asked is not None
    assert asked.scheduler is SchedulerName.LCM
    with pytest.raises(ValueError, match="margin"):
        smallest_not_inferior_step(estimates, metric="clip_score", margin=-0.1, style=None)


# --- speed ---------------------------------------------------------------------------------------


def test_a_run_of_768_clips_and_fifteen_metrics_takes_under_five_seconds() -> None:
    arms = (teacher(), *(arm(f"student-{n}", steps=n) for n in range(1, 12)))
    metrics = {
        f"metric_{m:02}": lambda a, p, _r, m=m: 10 + noise(m, p) + 0.1 * a.steps for m in range(15)
    }
    result = run(plan(arms, prompts=64, latency=LATENCY_SPEC), metrics)
    timed(result, seconds, rounds=12)
    started = time.process_time()

    result.evidence()

    assert time.process_time() - started < 5
