"""Two runs that take turns at timing: every round once, and neither waits for ever."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import simulated_runs as sim
import small_run

from poc import turns
from poc.errors import InputError
from poc.latency_calls import complete_rounds
from poc.records import LatencySample, LatencySpec, Plan
from poc.turns import Turns, rounds_of_other


def _samples(plan: Plan, rounds: int) -> list[LatencySample]:
    return sim.timed(sim.Run(plan), lambda _arm, _round: 1.0, rounds=rounds).latencies


def test_a_round_counts_once_every_arm_has_it() -> None:
    latency = LatencySpec(warmup=1, repeats=3)
    plan = sim.plan([sim.teacher(), sim.arm(sim.STUDENT)], prompts=1, latency=latency)
    samples = _samples(plan, 3)

    assert complete_rounds(samples, plan) == 4  # the cold one and three
    assert complete_rounds(samples[:-1], plan) == 3
    assert complete_rounds(samples[2:], plan) == 0  # not warm
    assert complete_rounds([], plan) == 0


def test_any_two_runs_time_every_round_one_after_the_other() -> None:
    have = {True: 1, False: 1}  # both warm
    order: list[tuple[int, bool]] = []
    while min(have.values()) < 9:
        ready = [
            who for who in have if have[not who] >= rounds_of_other(have[who] - 1, is_first=who)
        ]
        assert len(ready) == 1
        who = ready[0]
        order.append((have[who] - 1, who))
        have[who] += 1

    rounds = [number for number, _ in order]
    assert rounds[:16] == [number for number in range(8) for _ in range(2)]
    assert [who for _, who in order[:8]] == [True, False, False, True, True, False, False, True]


def test_a_run_waits_until_the_other_has_its_rounds(tmp_path: Path) -> None:
    other, plan = tmp_path / "b", small_run.plan(prompts=1)
    asked = plan.spec.model_copy(update={"latency": LatencySpec(warmup=1, repeats=2)})
    plan = plan.model_copy(update={"spec": asked})
    waits = threading.Thread(target=lambda: Turns(tmp_path / "a", other, patience_s=20).until(3))
    waits.start()
    with small_run.open_store(other, plan) as store:
        for number in (-1, 0, 1):
            assert waits.is_alive()
            for arm in plan.arms:
                one = small_run.latency(arm).model_copy(update={"round": number})
                store.append_latency(one)
    waits.join(20)

    assert not waits.is_alive()


def test_a_run_that_gives_no_sign_of_life_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sign of life"):
        Turns(tmp_path / "a", tmp_path / "b", patience_s=2 * turns.POLL_S).before(0)


def test_a_run_does_not_wait_for_itself(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of another run"):
        Turns(tmp_path / "a", tmp_path / "b" / ".." / "a")
