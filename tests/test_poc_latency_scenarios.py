"""Laws of the latency pass besides single clips: the A/A control, and batches with throughput."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simulated_runs as sim
from planning_fixture import changed, write_spec

from poc.decide import decide
from poc.errors import InputError
from poc.estimate import Evidence, evaluate
from poc.front import find
from poc.latency_calls import (
    Call,
    asked,
    clips_timed,
    complete_batches,
    complete_rounds,
    failed_calls,
    misfit,
    timed_all,
)
from poc.latency_scenarios import CONTROL, OFFLINE_MEMORY, THROUGHPUT
from poc.models import MODELS
from poc.plan import summary
from poc.published import Published
from poc.records import (
    Comparison,
    Estimate,
    LatencyFailure,
    LatencySample,
    LatencyScenario,
    LatencySpec,
    OfflineSpec,
    Plan,
)
from poc.run import _turns
from poc.spec import read_spec
from poc.table import table

SINGLE, AGAIN, OFFLINE = LatencyScenario
ROUNDS, BATCHES, CLIPS = 12, 7, 4
TEACHER, STUDENT = sim.teacher(), sim.arm(sim.STUDENT)
WHOLE = LatencySpec(
    warmup=2,
    repeats=ROUNDS,
    control=True,
    offline=OfflineSpec(clips=CLIPS, repeats=BATCHES),
)


def a_plan(latency: LatencySpec = WHOLE, arms: int = 2) -> Plan:
    others = [STUDENT, *(sim.arm(f"{n:016x}") for n in range(2, arms))][: arms - 1]
    return sim.plan([TEACHER, *others], prompts=5, latency=latency)


def sample(call: Call, number: int, total_s: float, **changes: Any) -> LatencySample:
    fields: dict[str, Any] = {
        "arm_id": call[0],
        "scenario": call[1],
        "clips": CLIPS if call[1] is OFFLINE else 1,
        "prompt_id": f"p{max(0, number) % 5:04}",
        "round": number,
        "text_s": 0.0,
        "denoise_s": total_s,
        "decode_s": 0.0,
        "encode_s": 0.0,
        "total_s": total_s,
        "peak_memory_bytes": 1000 + number,
        "device": "cpu",
    }
    return LatencySample(**(fields | changes))


Seconds = Callable[[Call, int], float]


def timed(plan: Plan, seconds: Seconds) -> list[LatencySample]:
    """Return all that a plan asks for, the cold calls too."""
    cold = [sample(call, -1, 9.0) for call in asked(plan) if call[1] is SINGLE]
    warm = [
        sample(call, number, seconds(call, number))
        for call, rounds in asked(plan).items()
        for number in range(rounds)
    ]
    return cold + warm


def even(call: Call, number: int) -> float:
    """The baseline takes 8 seconds a clip and half of that in a batch; the others an eighth."""
    alone = (8.0 if call[0] == TEACHER.id else 1.0) * (1 + 0.01 * number)
    return alone * CLIPS / 2 if call[1] is OFFLINE else alone


def evidence(
    plan: Plan, samples: list[LatencySample], failures: tuple[LatencyFailure, ...] = ()
) -> Evidence:
    return evaluate(plan, [], [], samples, [], closed_reason=None, latency_failures=failures)


def the(found: Evidence, arm_id: str, metric: str, how: Comparison) -> Estimate:
    arms = {one.arm.id: one for one in found.estimates.arms}
    one = find(arms[arm_id], metric, how)
    assert one is not None
    return one


# --- what is asked -------------------------------------------------------------------------------


def test_a_plan_without_scenarios_asks_for_single_clips_alone() -> None:
    plan = a_plan(LatencySpec(warmup=1, repeats=3))

    assert {scenario for _, scenario in asked(plan)} == {SINGLE}
    assert sum(clips_timed(plan, arm) for arm in plan.arms) == 2 * (1 + 3)


def test_the_plan_counts_every_clip_of_every_scenario() -> None:
    plan = a_plan()
    teacher, student = (clips_timed(plan, arm) for arm in plan.arms)

    assert student == (2 + ROUNDS) + CLIPS * (2 + BATCHES)
    assert teacher == student + ROUNDS
    nfe = [arm.sampling.nfe for arm in plan.arms]
    assert summary(plan).nfe_latency == teacher * nfe[0] + student * nfe[1]


@pytest.mark.parametrize("arms", range(1, 8))
def test_the_control_lies_half_a_round_away_from_the_baseline(arms: int) -> None:
    single = [call for call in asked(a_plan(arms=arms)) if call[1] is not OFFLINE]
    away = single.index((TEACHER.id, AGAIN)) - single.index((TEACHER.id, SINGLE))

    around = min(away % len(single), -away % len(single))
    assert around == len(single) // 2


@pytest.mark.parametrize(
    ("call", "rounds", "batches"),
    [((TEACHER.id, AGAIN), 1 + 4, BATCHES), ((STUDENT.id, OFFLINE), 1 + ROUNDS, 4)],
)
def test_a_round_is_complete_with_all_that_is_asked_of_it(
    call: Call, rounds: int, batches: int
) -> None:
    plan = a_plan()
    samples = timed(plan, even)
    without = [s for s in samples if (s.arm_id, s.scenario, s.round) != (*call, 4)]

    assert (complete_rounds(without, plan), complete_batches(without, plan)) == (rounds, batches)
    assert not timed_all(without, plan)
    for whole, failed in ((samples, set[Call]()), (without, {call})):
        assert complete_rounds(whole, plan, failed) == 1 + ROUNDS
        assert complete_batches(whole, plan, failed) == BATCHES
        assert timed_all(whole, plan, failed)


def test_a_round_that_nobody_asked_for_stands_for_none_that_is_missing() -> None:
    plan = a_plan()
    moved = [
        one.model_copy(update={"round": 99}) if one.round == 4 else one for one in timed(plan, even)
    ]

    assert not timed_all(moved, plan)


def test_a_plan_with_nothing_to_time_keeps_no_other_run_waiting() -> None:
    plan = a_plan(LatencySpec(warmup=1, repeats=ROUNDS))
    elsewhere = tuple(arm.model_copy(update={"family": "imported"}) for arm in plan.arms)

    assert complete_rounds([], plan.model_copy(update={"arms": elsewhere})) == 1 + ROUNDS


@pytest.mark.parametrize(
    ("call", "number", "changes", "said"),
    [
        ((TEACHER.id, OFFLINE), 0, {"clips": 1000}, "planned as 4 clips (offline), not 1000"),
        ((TEACHER.id, SINGLE), 0, {"clips": 4}, "planned as 1 clips (single), not 4"),
        ((TEACHER.id, OFFLINE), BATCHES, {}, "round 7 is not in the 7 planned (offline)"),
        ((TEACHER.id, OFFLINE), -1, {}, "round -1 is not in the 7 planned (offline)"),
        ((TEACHER.id, AGAIN), -1, {}, "round -1 is not in the 12 planned (control)"),
        ((TEACHER.id, SINGLE), ROUNDS, {}, "round 12 is not in the 12 planned (single)"),
        ((TEACHER.id, SINGLE), -2, {}, "round -2 is not in the 12 planned (single)"),
        ((STUDENT.id, AGAIN), 0, {}, "in no scenario control"),
        ((TEACHER.id, OFFLINE), 0, {"prompt_id": "p9"}, "prompt p9 is not in the plan"),
    ],
)
def test_a_run_takes_no_sample_that_its_plan_does_not_ask_for(
    call: Call, number: int, changes: dict[str, Any], said: str
) -> None:
    plan = a_plan()
    forged = sample(call, number, 1.0, **changes)

    assert said in misfit(forged, plan)
    assert said in Published(plan).refuse_latency(forged)


def test_a_run_takes_every_sample_that_its_plan_asks_for() -> None:
    plan = a_plan()

    assert {misfit(one, plan) for one in timed(plan, even)} == {""}
    assert (
        misfit(sample((TEACHER.id, SINGLE), 0, 1.0), a_plan(LatencySpec(warmup=1, repeats=1))) == ""
    )


def test_an_arm_that_fails_alone_is_not_waited_for_in_batches_but_not_the_other_way() -> None:
    def failed(scenario: LatencyScenario) -> frozenset[Call]:
        one = LatencyFailure(
            arm_id="a", scenario=scenario, round=0, reason="no", peak_memory_bytes=None
        )
        return failed_calls([one])

    assert failed(OFFLINE) == {("a", OFFLINE)}
    assert failed(SINGLE) == {("a", SINGLE), ("a", AGAIN), ("a", OFFLINE)}


def test_records_of_single_clips_keep_the_text_that_they_had() -> None:
    one = sample((STUDENT.id, SINGLE), 0, 1.0)
    failure = LatencyFailure(arm_id="a", round=0, reason="no", peak_memory_bytes=None)

    assert not {"scenario", "clips"} & one.model_dump(mode="json").keys()
    assert "scenario" not in failure.model_dump(mode="json")
    assert LatencySpec(warmup=1, repeats=2).to_json() == '{"repeats":2,"warmup":1}'
    batch = sample((STUDENT.id, OFFLINE), 0, 1.0)
    assert LatencySample.from_json(batch.to_json()) == batch


SPEC_LATENCY = "latency: {warmup: 1, repeats: 9}"


@pytest.mark.parametrize(
    ("latency", "said"),
    [
        ("{warmup: 1, repeats: 7, offline: {clips: 1, repeats: 7}}", "of at least 2, got 1"),
        ("{warmup: 1, repeats: 7, control: 1}", "expected true or false, got 1"),
    ],
)
def test_batches_that_could_not_be_timed_are_refused(
    tmp_path: Path, latency: str, said: str
) -> None:
    text = (MODELS.parent / "tiny.yaml").read_text("utf-8")
    path = write_spec(tmp_path, changed(text, SPEC_LATENCY, f"latency: {latency}"))

    with pytest.raises(InputError, match=said):
        read_spec(path)


def test_two_runs_that_take_turns_time_no_batches(tmp_path: Path) -> None:
    alone = a_plan(LatencySpec(warmup=1, repeats=3, control=True))

    assert _turns(alone, tmp_path / "a", tmp_path / "b").other == tmp_path / "b"
    with pytest.raises(InputError, match="got one with 'latency\\.offline'"):
        _turns(a_plan(), tmp_path / "a", tmp_path / "b")


# --- estimates -----------------------------------------------------------------------------------


def test_throughput_is_clips_by_seconds_with_the_order_statistics_of_rounds() -> None:
    plan = a_plan()
    found = evidence(plan, timed(plan, even))
    value = the(found, STUDENT.id, THROUGHPUT, Comparison.VALUE)
    gain = the(found, STUDENT.id, THROUGHPUT, Comparison.RATIO)

    each = [CLIPS / even((STUDENT.id, OFFLINE), number) for number in range(BATCHES)]
    assert value.value == pytest.approx(np.median(each))
    assert (value.low, value.high) == pytest.approx((min(each), max(each)))
    assert (value.n_clips, value.n_prompts, value.n_missing) == (CLIPS * BATCHES, 5, 0)
    assert gain.value == pytest.approx(8.0)
    assert find(found.estimates.arms[0], THROUGHPUT, Comparison.RATIO) is None
    memory = the(found, STUDENT.id, OFFLINE_MEMORY, Comparison.VALUE)
    assert memory.value == 1000 + BATCHES - 1


def test_missing_batches_are_counted_in_clips_as_those_that_are_there() -> None:
    plan = a_plan()
    lost = [s for s in timed(plan, even) if s.scenario is not OFFLINE or s.round < 5]
    some = evidence(plan, lost)
    none = evidence(plan, [s for s in lost if s.scenario is not OFFLINE])

    for how in (Comparison.VALUE, Comparison.RATIO):
        one = the(some, STUDENT.id, THROUGHPUT, how)
        assert (one.n_clips, one.n_missing) == (CLIPS * 5, CLIPS * (BATCHES - 5))
        one = the(none, STUDENT.id, THROUGHPUT, how)
        assert (one.value, one.n_clips, one.n_missing) == (None, 0, CLIPS * BATCHES)


def test_a_batch_timed_twice_after_a_stop_counts_as_one_round() -> None:
    plan = a_plan()
    call = (STUDENT.id, OFFLINE)
    twice = [*timed(plan, even), *(sample(call, 3, seconds) for seconds in (0.001, 50.0))]
    value = the(evidence(plan, twice), STUDENT.id, THROUGHPUT, Comparison.VALUE)
    once = the(evidence(plan, timed(plan, even)), STUDENT.id, THROUGHPUT, Comparison.VALUE)

    assert (value.value, value.low, value.high) == (once.value, once.low, once.high)
    assert value.n_clips == CLIPS * (BATCHES + 2)  # all of them were timed


def test_batches_of_two_devices_have_no_throughput() -> None:
    plan = a_plan()
    mixed = [
        one.model_copy(update={"device": "another"})
        if (one.arm_id, one.scenario, one.round) == (STUDENT.id, OFFLINE, 3)
        else one
        for one in timed(plan, even)
    ]
    for how in (Comparison.VALUE, Comparison.RATIO):
        one = the(evidence(plan, mixed), STUDENT.id, THROUGHPUT, how)
        assert one.value is None
        assert one.reason == "not comparable: timed on another and on cpu"


def test_seconds_of_a_clip_are_those_of_single_ones_whatever_batches_take() -> None:
    plan, alone = a_plan(), a_plan(LatencySpec(warmup=2, repeats=ROUNDS))
    whole = evidence(plan, timed(plan, even))
    bare = evidence(alone, timed(alone, even))

    for metric in ("latency_p50_s", "latency_denoise_p50_s", "peak_memory_bytes"):
        one, other = (the(e, STUDENT.id, metric, Comparison.VALUE) for e in (whole, bare))
        assert (one.value, one.low, one.high, one.n_clips) == (
            other.value,
            other.low,
            other.high,
            other.n_clips,
        )


def test_the_baseline_against_itself_is_one_where_the_machine_is_steady() -> None:
    plan = a_plan()
    samples = timed(plan, even)
    control = the(evidence(plan, samples), TEACHER.id, CONTROL, Comparison.RATIO)

    assert (control.value, control.low, control.high) == (1, 1, 1)
    assert control.n_clips == ROUNDS


def unsteady(call: Call, number: int) -> float:
    """Every second call of the baseline takes a fifth longer."""
    return even(call, number) * (1.2 if call[1] is AGAIN else 1.0)


@pytest.mark.parametrize(("seconds", "is_said"), [(even, False), (unsteady, True)])
def test_a_decision_says_that_the_machine_was_not_steady(seconds: Seconds, is_said: bool) -> None:
    plan = a_plan()
    found = evidence(plan, timed(plan, seconds))
    decision = decide(plan, found.estimates, plan.criteria, found.draws, licences={})
    said = [one for one in decision.reasons if "not steady" in one.text_en]

    assert bool(said) == is_said
    if is_said:
        assert "1.2 [1.2, 1.2] times its own seconds" in said[0].text_en
        assert "1.2 [1.2, 1.2]" in said[0].text_ja


def test_the_table_shows_control_and_throughput() -> None:
    plan = a_plan()
    found = evidence(plan, timed(plan, even))
    decision = decide(plan, found.estimates, plan.criteria, found.draws, licences={})
    lines = table(found.estimates, decision).splitlines()

    assert "A/A control, seconds of the baseline by its own: 1.00 [1.00,1.00]" in lines
    (line,) = (line for line in lines if "times the baseline's" in line)
    assert "8.00 [8.00,8.00] times the baseline's" in line


def test_a_batch_that_has_no_memory_costs_throughput_alone() -> None:
    plan = a_plan()
    failure = LatencyFailure(
        arm_id=STUDENT.id, scenario=OFFLINE, round=2, reason="no room", peak_memory_bytes=None
    )
    found = evidence(plan, timed(plan, even), (failure,))
    lost = the(found, STUDENT.id, THROUGHPUT, Comparison.VALUE)

    assert lost.value is None
    assert lost.reason == "failed in round 2 (offline): no room"
    assert the(found, STUDENT.id, "latency_p50_s", Comparison.VALUE).value is not None
    assert found.estimates.arms[1].not_timed is None
    assert found.estimates.arms[1].arm.id == STUDENT.id


def test_a_clock_that_stood_still_gives_no_throughput() -> None:
    plan = a_plan()

    def still(call: Call, number: int) -> float:
        return 0.0 if (call, number) == ((STUDENT.id, OFFLINE), 3) else even(call, number)

    found = evidence(plan, timed(plan, still))
    for how in (Comparison.VALUE, Comparison.RATIO):
        one = the(found, STUDENT.id, THROUGHPUT, how)
        assert one.value is None
        assert "too coarse" in one.reason
