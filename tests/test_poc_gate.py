"""The regression gate on simulated runs: what passes, what must not, and what cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import gate_runs as g
import numpy as np
import pytest
import simulated_runs as sim
import small_run
from scipy import stats

from poc.gate import compare
from poc.gate_records import GateGroup, GateResult, GateRun, GateStatus
from poc.gate_verdicts import ALARM_RATE, holm
from poc.records import (
    ClipStatus,
    Comparison,
    Estimate,
    LatencySample,
    LatencySpec,
    Measurement,
    OfflineSpec,
)

PASS, REGRESSION = GateStatus.PASS, GateStatus.REGRESSION
NOT_COMPARABLE, INCONCLUSIVE = GateStatus.NOT_COMPARABLE, GateStatus.INCONCLUSIVE
INCOMPLETE = GateStatus.INCOMPLETE
CALIBRATION = GateStatus.CALIBRATION_NEEDED


@pytest.fixture(scope="module")
def base() -> GateRun:
    return g.gate_run("base")


# --- passing and failing -------------------------------------------------------------------------


def test_two_runs_with_the_same_records_pass_in_every_cell(base: GateRun) -> None:
    result = g.check(base, base)

    assert result.status is PASS
    assert {cell.status for cell in result.cells} == {PASS}
    groups = {cell.group for cell in result.cells if cell.arm == sim.STUDENT}
    assert groups == set(GateGroup)


def test_two_runs_that_differ_by_noise_alone_pass(base: GateRun) -> None:
    assert g.check(g.gate_run("head"), base).status is PASS


def test_a_drop_beyond_the_margin_is_a_regression_of_that_cell_alone(base: GateRun) -> None:
    result = g.check(g.gate_run("head", clip_score=-6.0), base)

    assert result.status is REGRESSION
    worse = [cell for cell in result.cells if cell.status is REGRESSION]
    assert [(cell.arm, cell.subject) for cell in worse] == [(sim.STUDENT, "clip_score")]


def test_swapping_head_and_base_turns_a_regression_into_an_improvement(base: GateRun) -> None:
    worse = g.gate_run("head", clip_score=-6.0)
    result = g.check(base, worse)

    assert result.status is PASS
    assert g.cell(result, "clip_score").improved
    assert not g.cell(result, "clip_score", sim.BASELINE).improved


def test_a_drop_inside_the_margin_passes_however_sure_it_is(base: GateRun) -> None:
    head = g.remeasured(base, _plus("clip_score", -1.0))
    cell = g.cell(g.check(head, base), "clip_score")

    assert cell.status is PASS
    assert cell.high is not None
    assert cell.high < 1.0


def test_the_change_is_the_difference_of_means_and_the_interval_holds_it(base: GateRun) -> None:
    head = g.gate_run("head", flicker=-0.001)
    cell = g.cell(g.check(head, base), "flicker")
    own, other = (float(np.mean(_values(run, "flicker"))) for run in (head, base))

    assert (cell.head, cell.base) == pytest.approx((own, other))
    assert cell.change is not None
    assert cell.low is not None
    assert cell.high is not None
    assert cell.change == pytest.approx(own - other)
    assert cell.low < cell.change < cell.high


def test_the_p_value_is_that_of_a_paired_t_test_times_the_number_of_tests(base: GateRun) -> None:
    head = g.gate_run("head", flicker=-0.0012)
    result = g.check(head, base)
    pairs = [_values(run, "flicker") for run in (head, base)]
    expected = stats.ttest_rel(pairs[0], pairs[1], alternative="less").pvalue
    tests = 2 * _tests(result, GateGroup.CLIPS, GateGroup.QUALITY)

    # The interval is a bootstrap, the reference Student's own: their tails agree in magnitude.
    found = g.cell(result, "flicker").p_adjusted
    assert found is not None
    assert np.log10(found) == pytest.approx(np.log10(expected * tests), abs=1.5)


@pytest.mark.parametrize("factor", [-0.4, 0.6])
def test_a_metric_with_a_target_regresses_on_both_sides(base: GateRun, factor: float) -> None:
    cell = g.cell(g.check(g.gate_run("head", motion=factor), base), "motion")

    assert cell.status is REGRESSION
    assert not cell.improved


def test_clips_that_go_wrong_are_a_regression_of_the_rate(base: GateRun) -> None:
    cell = g.cell(g.check(g.gate_run("head", oracle_all=0.4), base), "oracle_all")

    # Prompts 0 to 3 of every ten are lost: 28 of 64, and the others stay as they were.
    assert cell.change == pytest.approx(-28 / 64)
    assert cell.status is REGRESSION


# --- speed and memory ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slower", "status"), [(1.0, PASS), (1.03, PASS), (1.15, REGRESSION), (0.8, PASS)]
)
def test_speed_by_the_ratio_of_seconds(base: GateRun, slower: float, status: GateStatus) -> None:
    cell = g.cell(g.check(g.gate_run("head", slower=slower), base), "latency_p50_s")

    assert cell.status is status
    assert cell.change == pytest.approx(slower, rel=0.02)
    assert cell.improved is (slower == 0.8)


def test_the_p_value_of_runs_timed_apart_is_yuens_on_logarithms(base: GateRun) -> None:
    result = g.check(g.gate_run("head", slower=1.005), base)
    logs = [
        np.log([one.total_s for one in run.latencies if _is_timed(one)])
        for run in (g.gate_run("head", slower=1.005), base)
    ]
    found = stats.ttest_ind(logs[0], logs[1], equal_var=False, alternative="greater", trim=0.2)
    speed = [cell.p_adjusted or 0.0 for cell in result.cells if cell.group is GateGroup.SPEED]
    expected = float(found.pvalue)

    # Two families share the rate, and Holm multiplies by the tests of speed at most.
    one = g.cell(result, "latency_p50_s").p_adjusted
    assert one is not None
    assert 2 * expected - 1e-12 <= one <= min(1.0, 2 * len(speed) * expected) + 1e-12


def _in_turns(run: GateRun, second: float) -> GateRun:
    """Return a run whose rounds begin every ten seconds, `second` seconds into each."""
    timed = [
        one.model_copy(update={"started_unix_s": 1e9 + 10 * one.round + second})
        for one in run.latencies
    ]
    return replace(run, latencies=tuple(timed))


def _drifting(run: GateRun) -> GateRun:
    """Return a run on a machine that slows by a half, round by round."""
    timed = [
        one.model_copy(
            update={
                "total_s": one.total_s * (1 + one.round / 24),
                "denoise_s": one.denoise_s * (1 + one.round / 24),
            }
        )
        for one in run.latencies
    ]
    return replace(run, latencies=tuple(timed))


@pytest.mark.parametrize(("slower", "status"), [(1.0, PASS), (1.08, REGRESSION)])
def test_runs_timed_in_turns_are_compared_round_by_round(slower: float, status: GateStatus) -> None:
    head, base = (
        _in_turns(_drifting(g.gate_run(name, slower=factor)), second)
        for name, factor, second in (("head", slower, 0.0), ("base", 1.0, 5.0))
    )
    cell = g.cell(g.check(head, base), "latency_p50_s")

    assert cell.status is status
    assert cell.highest == pytest.approx(1.05)
    assert cell.change == pytest.approx(slower, rel=0.01)


def test_rounds_that_overlap_were_not_timed_in_turns() -> None:
    base = _in_turns(g.gate_run("base"), 0.0)
    lengths = [one.total_s for one in base.latencies]
    for second, bound in ((max(lengths) * 1.01, 1.05), (min(lengths) / 2, 1.10)):
        cell = g.cell(g.check(_in_turns(g.gate_run("head"), second), base), "latency_p50_s")
        assert cell.highest == pytest.approx(bound)


def test_the_limits_that_ship_name_a_tenth_more_of_a_tenth_of_a_second() -> None:
    def short(run: GateRun) -> GateRun:
        scale = 0.1 / np.median([one.total_s for one in run.latencies])
        parts = ("text_s", "denoise_s", "decode_s", "encode_s", "total_s")
        samples = [
            one.model_copy(update={part: getattr(one, part) * scale for part in parts})
            for one in run.latencies
        ]
        return replace(run, latencies=tuple(samples))

    base = short(g.gate_run("base"))
    head = [
        one.model_copy(update={"total_s": one.total_s * 1.1, "started_unix_s": None})
        for one in base.latencies
    ]
    slow = _in_turns(replace(base, latencies=tuple(head)), 5.0)
    cell = g.cell(g.check(slow, _in_turns(base, 0.0)), "latency_p50_s")

    assert cell.status is REGRESSION


def test_the_same_runs_timed_apart_show_nothing_of_the_kind() -> None:
    head, base = (
        _drifting(g.gate_run(name, slower=factor)) for name, factor in (("head", 1.08), ("base", 1))
    )
    late = _in_turns(head, 1000.0)
    for one in (head, late):
        cell = g.cell(g.check(one, _in_turns(base, 0.0)), "latency_p50_s")
        assert cell.status is INCONCLUSIVE
        assert cell.highest == pytest.approx(1.10)


def test_a_slower_arm_needs_both_limits_to_be_a_regression() -> None:
    def brief(run: GateRun) -> GateRun:
        samples = [
            one.model_copy(update={"total_s": one.total_s / 500, "denoise_s": one.denoise_s / 500})
            for one in run.latencies
        ]
        return replace(run, latencies=tuple(samples))

    result = g.check(brief(g.gate_run("head", slower=1.15)), brief(g.gate_run("base")))

    # 15 % of 2 ms are 0.3 ms, and the limit is 2 ms.
    assert g.cell(result, "latency_p50_s").status is PASS


def test_faster_is_no_improvement_where_quality_is_worse(base: GateRun) -> None:
    result = g.check(g.gate_run("head", slower=0.5, clip_score=-6.0), base)

    assert g.cell(result, "latency_p50_s").status is PASS
    assert not g.cell(result, "latency_p50_s").improved


@pytest.mark.parametrize(("added", "status"), [(100 << 20, PASS), (300 << 20, REGRESSION)])
def test_memory_regresses_only_beyond_both_limits(
    base: GateRun, added: int, status: GateStatus
) -> None:
    samples = [
        one.model_copy(update={"peak_memory_bytes": one.peak_memory_bytes + added})
        for one in base.latencies
    ]
    result = g.check(replace(base, latencies=tuple(samples)), base)

    assert g.cell(result, "peak_memory_bytes").status is status


def test_too_few_rounds_show_nothing() -> None:
    result = g.check(g.gate_run("head", rounds=5), g.gate_run("base", rounds=5))

    assert g.cell(result, "latency_p50_s").status is INCONCLUSIVE
    assert g.cell(result, "peak_memory_bytes").status is INCONCLUSIVE


def test_a_head_with_rounds_missing_does_not_pass(base: GateRun) -> None:
    kept = tuple(one for one in base.latencies if one.round < 8)
    result = g.check(replace(base, latencies=kept), base)

    assert g.cell(result, "latency_p50_s").status is INCOMPLETE
    assert "4 planned rounds" in g.cell(result, "latency_p50_s").reason


def test_a_head_that_was_not_timed_does_not_pass(base: GateRun) -> None:
    result = g.check(replace(base, latencies=()), base)

    assert g.cell(result, "latency_p50_s").status is INCOMPLETE
    assert result.status is INCOMPLETE


def test_runs_that_time_nothing_have_no_cells_of_speed() -> None:
    result = g.check(g.gate_run("head", rounds=0), g.gate_run("base", rounds=0))

    assert result.status is PASS
    assert not [c for c in result.cells if c.group in {GateGroup.SPEED, GateGroup.MEMORY}]


@pytest.mark.parametrize(
    ("samples", "machine", "named"),
    [
        ({"device": "GPU B"}, {}, "device: GPU A -> GPU B"),
        ({"device": "GPU A"}, {"gpu_driver": "600"}, "GPU driver: 500 -> 600"),
        ({"device": "unknown"}, {}, "device: GPU A -> unknown"),
        ({"device": "GPU A"}, {"gpu_driver": "unknown"}, "GPU driver: 500 -> unknown"),
        ({"device": "GPU A", "timing_version": 2}, {}, "way of timing: 1 -> 2"),
    ],
)
def test_another_gpu_or_driver_is_not_compared_in_speed_and_memory(
    base: GateRun, samples: dict[str, Any], machine: dict[str, Any], named: str
) -> None:
    def on(run: GateRun, sample: dict[str, Any], **fields: Any) -> GateRun:
        there = {"gpus": ("GPU A, 1000 MiB", "GPU B, 1000 MiB"), "gpu_driver": "500"} | fields
        timed = tuple(one.model_copy(update=sample) for one in run.latencies)
        return replace(run, latencies=timed, fingerprints=(small_run.fingerprint(**there),))

    result = g.check(on(base, samples, **machine), on(base, {"device": "GPU A"}))

    for subject in ("latency_p50_s", "latency_denoise_p50_s", "peak_memory_bytes"):
        assert g.cell(result, subject).status is NOT_COMPARABLE
        assert named in g.cell(result, subject).reason
    assert g.cell(result, "clip_score").status is PASS
    assert result.status is NOT_COMPARABLE


# --- missing never passes ------------------------------------------------------------------------


def lost(status: ClipStatus, *, count: int, name: str = "base") -> GateRun:
    """Return a run in which the student's first clips ended badly."""
    result = g.simulated(name)
    clips = {
        c.id for c in result.clips() if c.arm_id == sim.STUDENT and int(c.prompt_id[1:]) < count
    }
    sim.lose(result, clips, status)
    return g.made(result, name)


@pytest.mark.parametrize(
    ("status", "count", "expected"),
    [
        (ClipStatus.FAILED, 1, INCOMPLETE),
        (ClipStatus.FAILED, 20, REGRESSION),
        (ClipStatus.INVALID, 1, INCONCLUSIVE),
        (ClipStatus.INVALID, 20, REGRESSION),
    ],
)
def test_clips_that_ended_badly_never_pass(
    base: GateRun, status: ClipStatus, count: int, expected: GateStatus
) -> None:
    result = g.check(lost(status, count=count), base)

    assert g.cell(result, "clips").status is expected
    assert g.cell(result, "clip_score").status is not PASS
    assert result.status is expected


def test_as_many_lost_clips_as_the_baseline_pass() -> None:
    run = lost(ClipStatus.INVALID, count=2)

    assert g.check(run, run).status is PASS


def test_half_of_all_clips_lost_in_both_runs_is_no_pass() -> None:
    run = lost(ClipStatus.INVALID, count=32)

    assert g.cell(g.check(run, run), "clip_score").status is INCONCLUSIVE


def test_an_arm_without_a_usable_clip_in_either_run_is_no_pass() -> None:
    run = lost(ClipStatus.FAILED, count=64)
    result = g.check(run, run)

    assert g.cell(result, "clips").status is NOT_COMPARABLE
    assert g.cell(result, "clip_score").status is NOT_COMPARABLE


def test_a_pending_clip_in_the_head_is_incomplete_and_in_the_base_not_comparable(
    base: GateRun,
) -> None:
    pending = lost(ClipStatus.PENDING, count=1)

    assert g.cell(g.check(pending, base), "clips").status is INCOMPLETE
    assert g.cell(g.check(base, pending), "clips").status is NOT_COMPARABLE


def test_a_value_that_is_missing_never_passes(base: GateRun) -> None:
    head = replace(base, measurements=base.measurements[:-4])
    result = g.check(head, base)

    assert result.status is INCONCLUSIVE
    assert "1 of 64 clips have no value" in g.cell(result, "oracle_all").reason


@pytest.mark.parametrize("count", [4, 34, 55, 63])
def test_a_metric_that_failed_for_more_than_a_few_clips_is_incomplete(
    base: GateRun, count: int
) -> None:
    gone = {m.clip_id or "" for m in base.measurements if m.metric == "motion"}
    gone = set(sorted(gone)[:count])  # of 64: more than one in twenty
    kept = tuple(m for m in base.measurements if m.metric != "motion" or m.clip_id not in gone)
    cell = g.cell(g.check(replace(base, measurements=kept), base), "motion")

    assert cell.status is INCOMPLETE
    assert f"{count} of 64 clips have no value, 0 in the baseline" in cell.reason


def test_what_the_baseline_lacks_too_is_no_fault_of_the_head(base: GateRun) -> None:
    kept = tuple(m for m in base.measurements if m.metric != "motion")
    run = replace(base, measurements=kept)

    assert g.cell(g.check(run, run), "motion").status is NOT_COMPARABLE


def test_errors_in_the_place_of_invalid_clips_do_not_pass() -> None:
    errors, invalid = (lost(status, count=2) for status in (ClipStatus.FAILED, ClipStatus.INVALID))
    cell = g.cell(g.check(errors, invalid), "clips")

    assert cell.status is INCOMPLETE
    assert "2 of 64 clips ended in an error, 0 in the baseline" in cell.reason


def test_a_metric_that_the_head_has_not_measured_never_passes(base: GateRun) -> None:
    kept = tuple(m for m in base.measurements if m.metric != "motion")
    cell = g.cell(g.check(replace(base, measurements=kept), base), "motion")

    assert cell.status is INCOMPLETE
    assert "no clip of the head has a value" in cell.reason


def test_one_sample_shows_nothing() -> None:
    result = g.check(g.gate_run("head", prompts=1), g.gate_run("base", prompts=1))

    assert result.status is INCONCLUSIVE
    assert {cell.status for cell in g.quality(result)} == {INCONCLUSIVE}


def test_a_few_equal_prompts_show_nothing() -> None:
    run = g.gate_run("base", prompts=14)

    assert {cell.status for cell in g.quality(g.check(run, run))} == {INCONCLUSIVE}


def test_a_metric_without_a_limit_needs_calibration(base: GateRun) -> None:
    limits = g.LIMITS.model_copy(update={"quality": g.LIMITS.quality[1:]})
    result = compare(base, base, limits)

    assert g.cell(result, "clip_score").status is CALIBRATION
    assert result.status is CALIBRATION


def test_a_metric_that_is_new_needs_calibration_and_one_that_went_does_not_pass(
    base: GateRun,
) -> None:
    old = g.gate_run("old", spec={"metrics": ("flicker", "motion", "oracle_all")})
    kept = tuple(m for m in old.measurements if m.metric != "clip_score")
    old = replace(old, measurements=kept)

    assert g.cell(g.check(base, old), "clip_score").status is CALIBRATION
    assert g.cell(g.check(old, base), "clip_score").status is INCOMPLETE


def test_what_is_never_judged_is_named_and_nothing_else(base: GateRun) -> None:
    run = g.gate_run("base", spec={"metrics": (*g.METRICS, "fvd")})
    result = g.check(run, run)

    assert "fvd" in {one.metric for one in result.not_judged}
    assert "fvd" not in {cell.subject for cell in result.cells}
    assert "fvd" not in {one.metric for one in g.check(base, base).not_judged}


def test_that_speed_is_guarded_by_nothing_is_said_where_neither_run_times_anything(
    base: GateRun,
) -> None:
    untimed = g.made(sim.run(sim.plan([sim.teacher()], prompts=64), {}), "run")

    said = [one.reason for one in g.check(untimed, untimed).not_judged]

    assert any("nothing guards speed" in reason for reason in said)
    assert not any("guards speed" in one.reason for one in g.check(base, base).not_judged)


def test_batches_that_are_timed_and_not_judged_are_named(base: GateRun) -> None:
    asked = LatencySpec(warmup=1, repeats=12, offline=OfflineSpec(clips=4, repeats=6))
    run = g.gate_run("base", spec={"latency": asked})

    assert "throughput_clips_per_s" in {one.metric for one in g.check(run, run).not_judged}
    assert "throughput_clips_per_s" not in {one.metric for one in g.check(base, base).not_judged}


def test_an_arm_of_which_no_metric_is_judged_does_not_pass() -> None:
    result = sim.run(sim.plan([sim.teacher()], prompts=64, metrics=("fvd",)), {})
    run = g.made(result, "run")

    assert g.check(run, run).status is INCONCLUSIVE


# --- what does not compare -----------------------------------------------------------------------


def test_another_metric_version_is_not_comparable_by_name(base: GateRun) -> None:
    head = g.remeasured(base, lambda m: m.model_copy(update={"version": 2}))
    result = g.check(head, base)

    assert {cell.status for cell in g.quality(result)} == {NOT_COMPARABLE}
    assert g.cell(result, "motion").reason == "metric version: 1 -> 2"


def test_another_extractor_is_not_comparable_by_name(base: GateRun) -> None:
    head = g.remeasured(base, lambda m: m.model_copy(update={"extractor": "clip@1234"}))

    assert g.cell(g.check(head, base), "clip_score").reason == "extractor: None -> clip@1234"


@pytest.mark.parametrize("prompts", [32, 65])
def test_another_n_is_not_comparable(base: GateRun, prompts: int) -> None:
    result = g.check(g.gate_run("head", prompts=prompts), base)

    assert g.cell(result, "clip_score").status is NOT_COMPARABLE
    assert f"n: 64 prompts -> {prompts} prompts" in g.cell(result, "clip_score").reason


def test_more_clips_of_each_prompt_are_not_comparable(base: GateRun) -> None:
    head = g.made(sim.run(sim.plan(base.plan.arms, prompts=64, replicates=2), g.values("h")), "h")

    assert "n: 64 planned clips -> 128" in g.cell(g.check(head, base), "clip_score").reason


def test_other_prompts_are_not_comparable(base: GateRun) -> None:
    prompts = tuple(p.model_copy(update={"text": f"{p.text}!"}) for p in base.plan.prompts)
    head = replace(base, plan=base.plan.model_copy(update={"prompts": prompts}))

    assert "the text of 64 prompts" in g.cell(g.check(head, base), "clip_score").reason


def test_prompts_in_another_order_are_compared_by_name() -> None:
    base = g.gate_run("base")
    turned = base.plan.model_copy(update={"prompts": base.plan.prompts[::-1]})

    cell = g.cell(g.check(replace(base, plan=turned), base), "clip_score")

    # Pairs of one prompt are equal, so there is no spread; pairs of two prompts would have one.
    assert (cell.change, cell.low, cell.high) == (1.0, 1.0, 1.0)


def test_other_seeds_are_paired_by_prompt_and_said(base: GateRun) -> None:
    batches = tuple(
        b.model_copy(update={"clips": tuple(c.model_copy(update={"seed": 1}) for c in b.clips)})
        for b in base.plan.batches
    )
    head = replace(g.gate_run("head"), plan=base.plan.model_copy(update={"batches": batches}))
    cell = g.cell(g.check(head, base), "clip_score")

    assert cell.status is PASS
    assert any("Seeds differ" in note for note in cell.notes)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"scheduler_config": {"beta_schedule": "scaled"}}, 'beta_schedule: "linear" -> "scaled"'),
        ({"timesteps": (999.0, 500.0)}, "timesteps[1]: 499.0 -> 500.0"),
        ({"component_digests": {"unet": "2" * 64}}, "component_digests.unet"),
        ({"scheduler_class": "DDIMScheduler"}, "scheduler_class"),
    ],
)
def test_settings_that_changed_under_one_id_are_a_regression_by_name(
    base: GateRun, change: dict[str, Any], named: str
) -> None:
    result = g.check(_built(base, **change), base)

    assert g.cell(result, "settings").status is REGRESSION
    assert named in g.cell(result, "settings").reason
    assert result.status is REGRESSION


def test_another_kind_of_device_is_not_comparable(base: GateRun) -> None:
    cell = g.cell(g.check(_built(base, device="cuda"), base), "settings")

    assert (cell.status, cell.reason) == (NOT_COMPARABLE, "device: cpu -> cuda")


def test_settings_that_nobody_recorded_never_pass(base: GateRun) -> None:
    bare = replace(base, resolved={})

    assert g.cell(g.check(bare, base), "settings").status is INCOMPLETE
    assert g.cell(g.check(base, bare), "settings").status is NOT_COMPARABLE


def test_clips_of_other_settings_than_those_on_record_never_pass(base: GateRun) -> None:
    made = [one.model_copy(update={"resolved_digest": "e" * 64}) for one in base.generations]
    cell = g.cell(g.check(replace(base, generations=tuple(made)), base), "settings")

    assert cell.status is INCOMPLETE
    assert "64 of 64 batches" in cell.reason


def test_an_arm_that_is_gone_is_incomplete_and_a_new_one_needs_calibration(
    base: GateRun,
) -> None:
    arms = [sim.teacher()]
    plan = sim.plan(arms, prompts=64, metrics=g.METRICS)
    less = g.made(sim.run(plan, g.values("less")), "less")

    assert g.cell(g.check(less, base), "settings").status is INCOMPLETE
    assert g.cell(g.check(base, less), "settings").status is CALIBRATION


def test_an_arm_that_is_declared_otherwise_says_what_differs(base: GateRun) -> None:
    other = sim.arm(sim.STUDENT, id="another", steps=2)
    plan = sim.plan([sim.teacher(), other], prompts=64, metrics=g.METRICS)
    head = g.made(sim.run(plan, g.values("head")), "head")
    cells = [c for c in g.check(head, base).cells if c.arm == sim.STUDENT]

    assert {cell.status for cell in cells} == {INCOMPLETE, CALIBRATION}
    assert "steps: 4 -> 2" in cells[0].reason


def test_edited_criteria_are_named_and_change_nothing(base: GateRun) -> None:
    head = replace(base, plan=base.plan.model_copy(update={"criteria_digest": "e" * 64}))
    result = g.check(head, base)

    assert result.status is PASS
    assert any("criteria were edited" in text for text in result.differences)
    assert not g.check(base, base).differences


# --- metrics of sets -----------------------------------------------------------------------------


def kvd_runs(**changes: Any) -> tuple[GateRun, GateRun]:
    """Return a head and a base with a KVD whose ratio is as given."""
    run = g.gate_run("base", spec={"metrics": (*g.METRICS, "kvd")})
    fields: dict[str, Any] = {
        "metric": "kvd",
        "comparison": Comparison.RATIO,
        "value": 1.0,
        "low": 0.9,
        "high": 1.1,
        "level": 0.95,
        "method": "jackknife",
        "n_clips": 64,
        "n_prompts": 64,
        "n_missing": 0,
        "reason": "",
    }
    ready = [Estimate(arm_id=arm.id, **(fields | changes)) for arm in run.plan.arms]
    return replace(run, set_changes=tuple(ready)), run


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, PASS),
        ({"value": 2.0, "low": 1.8, "high": 2.2}, REGRESSION),
        ({"value": 1.6, "low": 0.9, "high": 2.4}, INCONCLUSIVE),
        ({"n_prompts": 10}, INCOMPLETE),
        ({"n_clips": 50, "n_missing": 14}, INCOMPLETE),
        ({"value": None, "low": None, "high": None, "reason": "too few"}, INCOMPLETE),
        (
            {
                "value": None,
                "low": None,
                "high": None,
                "reason": "not comparable with x: reference",
            },
            NOT_COMPARABLE,
        ),
    ],
)
def test_kvd_is_judged_by_its_ready_ratio(changes: dict[str, Any], status: GateStatus) -> None:
    head, base = kvd_runs(**changes)

    assert g.cell(g.check(head, base), "kvd").status is status


def test_a_kvd_that_was_not_compared_never_passes() -> None:
    _, base = kvd_runs()

    assert g.cell(g.check(base, base), "kvd").status is INCOMPLETE


# --- the promise ---------------------------------------------------------------------------------


def test_holms_p_values_are_those_of_closed_testing() -> None:
    p_values = (0.01, 0.04, 0.03, 0.005, 0.03)
    places = range(len(p_values))
    sets = [s for n in places for s in combinations(places, n + 1)]

    # A hypothesis is rejected when Bonferroni rejects every set that it is in (Marcus et al. 1976).
    expected = [
        max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets if i in s) for i in places
    ]
    assert holm(p_values) == pytest.approx(expected)
    assert holm(()) == ()


def test_quality_and_speed_share_the_rate_and_holm_counts_the_tests_of_each(base: GateRun) -> None:
    result = g.check(g.gate_run("head", oracle_all=0.4), base)
    tests = _tests(result, GateGroup.CLIPS, GateGroup.QUALITY)

    # The smallest p-value is multiplied by the number of tests: 28 of 28 discordant pairs lost.
    assert tests == 2 * (1 + len(g.METRICS))
    assert _tests(result, GateGroup.SPEED) == 2 * 2
    assert g.cell(result, "oracle_all").p_adjusted == pytest.approx(2 * 0.5**28 * tests)


def test_where_nothing_is_timed_quality_has_the_whole_rate() -> None:
    result = g.check(g.gate_run("head", rounds=0, oracle_all=0.4), g.gate_run("base", rounds=0))
    tests = _tests(result, GateGroup.CLIPS, GateGroup.QUALITY)

    assert g.cell(result, "oracle_all").p_adjusted == pytest.approx(0.5**28 * tests)


def test_equal_runs_raise_no_more_alarms_than_promised() -> None:
    runs, alarms, passes, limits = 40, 0, 0, g.tight()
    for n in range(runs):
        pair = [g.gate_run(f"{who} {n}", prompts=64, rounds=7) for who in ("head", "base")]
        alarms += compare(pair[0], pair[1], limits).status is REGRESSION
        passes += g.check(pair[0], pair[1]).status is PASS

    # The 99.9 % quantile of alarms at the promised rate. With fewer than 61 prompts nothing could
    # pass: a rate that is the same in all of n pairs has an interval of 3.84 / (n + 3.84).
    assert alarms <= stats.binom.ppf(0.999, runs, ALARM_RATE)
    assert passes >= 0.9 * runs


def test_planted_regressions_are_found() -> None:
    runs = 20
    found = [
        g.check(g.gate_run(f"head {n}", slower=1.15, clip_score=-4.0), g.gate_run(f"base {n}"))
        for n in range(runs)
    ]

    for subject in ("clip_score", "latency_p50_s"):
        assert sum(g.cell(one, subject).status is REGRESSION for one in found) >= 0.95 * runs


# --- parts ---------------------------------------------------------------------------------------


def _is(one: Measurement, metric: str) -> bool:
    return one.metric == metric and one.arm_id == sim.STUDENT


def _tests(result: GateResult, *groups: GateGroup) -> int:
    return sum(one.p_adjusted is not None and one.group in groups for one in result.cells)


def _is_timed(one: LatencySample) -> bool:
    return one.arm_id == sim.arm(sim.STUDENT).id and one.round >= 0


def _values(run: GateRun, metric: str) -> list[float]:
    return [m.value for m in run.measurements if _is(m, metric) and m.value is not None]


def _plus(metric: str, shift: float) -> Callable[[Measurement], Measurement]:
    def change(one: Measurement) -> Measurement:
        hit = _is(one, metric) and one.value is not None
        return one.model_copy(update={"value": (one.value or 0.0) + shift}) if hit else one

    return change


def _built(run: GateRun, **changes: Any) -> GateRun:
    """Return a run whose student turned out otherwise, its clips included."""
    student = next(arm for arm in run.plan.arms if arm.name == sim.STUDENT)
    one = g.resolved(student, **changes)
    made = [
        made.model_copy(update={"resolved_digest": one.content_digest()})
        if made.arm_id == student.id
        else made
        for made in run.generations
    ]
    return replace(run, generations=tuple(made), resolved={**run.resolved, student.id: one})


def test_a_plan_that_times_and_a_baseline_that_did_not_need_calibration(base: GateRun) -> None:
    untimed = g.gate_run("base", rounds=0)
    assert base.plan.spec.latency == LatencySpec(warmup=1, repeats=12)

    assert g.cell(g.check(base, untimed), "latency_p50_s").status is CALIBRATION
