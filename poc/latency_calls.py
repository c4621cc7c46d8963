"""Which calls the latency pass of a plan asks for, and how far it has come. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import takewhile

from poc.records import Arm, LatencyFailure, LatencySample, LatencyScenario, Plan

COLD = -1
"""The round of the first call: written once an arm is warm."""

Call = tuple[str, LatencyScenario]
"""Arm id and how its clips are asked for."""


def asked(plan: Plan) -> dict[Call, int]:
    """Return how many rounds each arm is to be timed in, by scenario, in the order of a round.

    The control lies half a round away from the call that it is compared with, as arms lie from the
    baseline on average: next to it, it would see less of what drifts within a round.
    """
    latency = plan.spec.latency
    if latency is None:
        return {}
    calls = [(arm.id, LatencyScenario.SINGLE) for arm in plan.generated]
    if latency.control:
        own, count = calls.index((plan.baseline_id, LatencyScenario.SINGLE)), len(calls)
        opposite = (own + count // 2 + 1) % (count + 1)
        calls.insert(opposite, (plan.baseline_id, LatencyScenario.CONTROL))
    rounds = dict.fromkeys(calls, latency.repeats)
    if latency.offline:
        for arm in plan.generated:
            rounds[arm.id, LatencyScenario.OFFLINE] = latency.offline.repeats
    return rounds


def clips_timed(plan: Plan, arm: Arm) -> int:
    """Return the clips that the pass makes of an arm, those of its warm-up among them.

    The control needs no warm-up: its arm is warm.
    """
    latency, count = plan.spec.latency, 0
    for (arm_id, scenario), rounds in asked(plan).items():
        if latency is None or arm_id != arm.id:
            continue
        warm = 0 if scenario is LatencyScenario.CONTROL else latency.warmup
        count += clips_a_call(plan, scenario) * (warm + rounds)
    return count


def clips_a_call(plan: Plan, scenario: LatencyScenario) -> int:
    """Return how many clips one call makes."""
    offline = plan.spec.latency.offline if plan.spec.latency else None
    return offline.clips if offline and scenario is LatencyScenario.OFFLINE else 1


def misfit(sample: LatencySample, plan: Plan) -> str:
    """Say why a sample is none that a plan asks for; empty where it is one.

    A round may be there twice: a pass that was stopped within it takes it up again.
    """
    rounds = asked(plan).get((sample.arm_id, sample.scenario))
    if rounds is None:
        return f"the plan times arm {sample.arm_id} in no scenario {sample.scenario}"
    first = COLD if sample.scenario is LatencyScenario.SINGLE else 0
    if not first <= sample.round < rounds:
        return f"round {sample.round} is not in the {rounds} planned ({sample.scenario})"
    clips = clips_a_call(plan, sample.scenario)
    if sample.clips != clips:
        return f"a call is planned as {clips} clips ({sample.scenario}), not {sample.clips}"
    known = any(prompt.id == sample.prompt_id for prompt in plan.prompts)
    return "" if known else f"prompt {sample.prompt_id} is not in the plan"


def failed_calls(failures: Iterable[LatencyFailure]) -> frozenset[Call]:
    """Return what could not be timed, and is not waited for.

    An arm that does not make a single clip is timed in no scenario.
    """
    found = set()
    for one in failures:
        alone = one.scenario is LatencyScenario.SINGLE
        found |= {(one.arm_id, each) for each in (LatencyScenario if alone else (one.scenario,))}
    return frozenset(found)


def timed_all(samples: Iterable[LatencySample], plan: Plan, failed: Collection[Call] = ()) -> bool:
    """Return whether all rounds that a plan asks for are there, or failed for good."""
    rounds: dict[Call, set[int]] = {}
    for sample in samples:
        if sample.round != COLD:
            rounds.setdefault((sample.arm_id, sample.scenario), set()).add(sample.round)
    return all(
        call in failed or rounds.get(call, set()).issuperset(range(count))
        for call, count in asked(plan).items()
    )


def complete_rounds(
    samples: Iterable[LatencySample], plan: Plan, failed: Collection[Call] = ()
) -> int:
    """Return how many rounds, from the cold one (which counts) on, hold all single clips asked for.

    The control is among these. What could not be timed (`failed`) is not waited for; where nothing
    else is left, all rounds are complete.
    """
    wanted = {call: n for call, n in asked(plan).items() if call[1] is not LatencyScenario.OFFLINE}
    last = plan.spec.latency.repeats - 1 if plan.spec.latency else COLD - 1
    return _complete(samples, wanted, failed, range(COLD, last + 1))


def complete_batches(
    samples: Iterable[LatencySample], plan: Plan, failed: Collection[Call] = ()
) -> int:
    """Return how many rounds of batches hold all that is asked of them."""
    wanted = {call: n for call, n in asked(plan).items() if call[1] is LatencyScenario.OFFLINE}
    return _complete(samples, wanted, failed, range(max(wanted.values(), default=0)))


def _complete(
    samples: Iterable[LatencySample],
    wanted: Mapping[Call, int],
    failed: Collection[Call],
    numbers: range,
) -> int:
    """Return how many of the rounds, from the first on, hold every call that is wanted."""
    seen: dict[int, set[Call]] = {}
    for sample in samples:
        seen.setdefault(sample.round, set()).add((sample.arm_id, sample.scenario))
    open_calls = {call: rounds for call, rounds in wanted.items() if call not in failed}
    whole = (_of_round(number, open_calls) <= seen.get(number, set()) for number in numbers)
    return sum(1 for _ in takewhile(bool, whole))


def _of_round(number: int, wanted: Mapping[Call, int]) -> set[Call]:
    """Return what is asked of a round; only single clips have a first call that is kept."""
    if number == COLD:
        return {call for call in wanted if call[1] is LatencyScenario.SINGLE}
    return {call for call, rounds in wanted.items() if number < rounds}
