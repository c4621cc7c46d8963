"""What to leave out of a plan so that it fits into the hours that there are. Pure.

Three ways, each alone: fewer replicates, fewer arms, fewer prompts. They are proposals: a spec is
changed by whoever answers for it, and what each way gives up is said. Seconds are the upper end of
the plan's own range, so that a plan that fits here fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from poc.latency_calls import clips_timed
from poc.plan import ArmCost, Calibration, PlanSummary, describe_span, summary, unpublished
from poc.records import ArmRole, Plan, Record

FEWEST_PROMPTS: Final = 2
"""Below it nothing has an interval."""


class Cut(Record):
    """One way to make a plan smaller."""

    way: str
    """`replicates`, `arms` or `prompts`."""
    replicates: int
    prompts: int
    without: tuple[str, ...]
    """Names of arms to leave out."""
    seconds: float
    """What is left, at most."""
    fits: bool
    gives_up: str


class Budget(Record):
    """A plan held against an amount of time."""

    budget_s: float
    seconds: float
    """Of the plan as it is, at most."""
    fits: bool
    cuts: tuple[Cut, ...]
    unknown: tuple[str, ...] = ()
    """Families whose seconds nobody knows; then nothing is said of fitting."""


def propose(plan: Plan, budget_s: float, calibration: Calibration | None = None) -> Budget:
    """Return how a plan can be brought into `budget_s` seconds; no cuts where it fits as it is."""
    found = summary(plan, calibration)
    unknown = unpublished(plan) if calibration is None else ()
    seconds = _Seconds(plan, found, calibration)
    whole = seconds.of(found.replicates, found.prompts, found.arms)
    fits = whole <= budget_s and not unknown
    ways = () if fits or unknown else (_replicates, _arms, _prompts)
    cuts = (way(plan, found, seconds, budget_s) for way in ways)
    return Budget(
        budget_s=budget_s,
        seconds=whole,
        fits=fits,
        cuts=tuple(cut for cut in cuts if cut is not None),
        unknown=unknown,
    )


def budget_text(found: Budget) -> str:
    """Return the lines that `poc plan --budget` prints."""
    if found.unknown:
        return (
            f"budget: {describe_span(found.budget_s)}; whether the plan fits is not known: nobody "
            f"published or timed an evaluation of {', '.join(found.unknown)}. Give --calibrate RUN."
        )
    head = f"budget: {describe_span(found.budget_s)}; the plan takes {describe_span(found.seconds)}"
    if found.fits:
        return f"{head} at most and fits."
    lines = [f"{head} at most. Each of these alone:"]
    lines += [f"  {_line(cut)}" for cut in found.cuts]
    return "\n".join(lines)


def _line(cut: Cut) -> str:
    change = {
        "replicates": f"replicates: {cut.replicates}",
        "arms": f"without {', '.join(cut.without)}",
        "prompts": f"prompts: {cut.prompts}",
    }[cut.way]
    left = "" if cut.fits else ", still too long"
    return f"{change} -> {describe_span(cut.seconds)}{left}. Gives up {cut.gives_up}"


class _Seconds:
    """Seconds of a smaller plan: those of its network evaluations and of its clips."""

    def __init__(self, plan: Plan, found: PlanSummary, calibration: Calibration | None) -> None:
        self._timed = {arm.name: clips_timed(plan, arm) for arm in plan.generated}
        self._random = plan.spec.weights is not None
        evaluations = found.nfe_quality + found.nfe_latency
        whole = found.seconds_high / evaluations if evaluations else 0.0
        self._each = calibration.seconds_per_nfe if calibration else whole
        self._besides = calibration.seconds_per_clip if calibration else 0.0

    def of(self, replicates: int, prompts: int, arms: tuple[ArmCost, ...]) -> float:
        """Quality and latency pass together."""
        judged = 0 if self._random else replicates * prompts
        return sum(
            (judged + self._timed[arm.name]) * (arm.nfe_per_clip * self._each + self._besides)
            for arm in arms
            if arm.nfe_per_clip is not None
        )


def _replicates(plan: Plan, found: PlanSummary, seconds: _Seconds, budget_s: float) -> Cut | None:
    if found.replicates == 1 or plan.spec.weights:
        return None

    def of(count: int) -> float:
        return seconds.of(count, found.prompts, found.arms)

    count = _most(of, 1, found.replicates - 1, budget_s)
    return _cut(
        found,
        way="replicates",
        replicates=count,
        seconds=of(count),
        budget_s=budget_s,
        gives_up=f"{found.replicates - count} of {found.replicates} seeds of every prompt; "
        "intervals stand on prompts and widen little.",
    )


def _arms(plan: Plan, found: PlanSummary, seconds: _Seconds, budget_s: float) -> Cut | None:
    """Leave out controls first, those that no contrast names first, the dearest first."""
    compared = {name for one in plan.spec.contrasts for name in (one.arm, one.against)}
    kept, without = list(found.arms), list[ArmCost]()
    costly = [(arm, arm.nfe_per_clip) for arm in found.arms if not arm.baseline]
    order = sorted(
        ((arm, nfe) for arm, nfe in costly if nfe is not None),
        key=lambda one: (one[0].role is not ArmRole.CONTROL, one[0].name in compared, -one[1]),
    )
    for arm, _ in order:
        if seconds.of(found.replicates, found.prompts, tuple(kept)) <= budget_s:
            break
        candidates = [one for one in kept if one.role is ArmRole.CANDIDATE and not one.baseline]
        if candidates == [arm]:
            continue  # nothing would be left to recommend
        kept.remove(arm)
        without.append(arm)
    if not without:
        return None
    lost = [c for c in plan.spec.contrasts if {c.arm, c.against} & {arm.name for arm in without}]
    return _cut(
        found,
        way="arms",
        without=tuple(arm.name for arm in without),
        seconds=seconds.of(found.replicates, found.prompts, tuple(kept)),
        budget_s=budget_s,
        gives_up=f"{len(without)} of {len(found.arms)} arms and {len(lost)} of "
        f"{len(plan.spec.contrasts)} contrasts.",
    )


def _prompts(plan: Plan, found: PlanSummary, seconds: _Seconds, budget_s: float) -> Cut | None:
    if found.prompts <= FEWEST_PROMPTS or plan.spec.weights:
        return None

    def of(count: int) -> float:
        return seconds.of(found.replicates, count, found.arms)

    count = _most(of, FEWEST_PROMPTS, found.prompts - 1, budget_s)
    wider = math.sqrt(found.prompts / count)
    return _cut(
        found,
        way="prompts",
        prompts=count,
        seconds=of(count),
        budget_s=budget_s,
        gives_up=f"{found.prompts - count} of {found.prompts} prompts; intervals about "
        f"{wider:.1f} times as wide.",
    )


def _most(of: Callable[[int], float], least: int, most: int, budget_s: float) -> int:
    """Return the largest count that fits, `least` where none does."""
    fitting = (count for count in range(most, least - 1, -1) if of(count) <= budget_s)
    return next(fitting, least)


def _cut(
    found: PlanSummary,
    *,
    way: str,
    seconds: float,
    budget_s: float,
    gives_up: str,
    replicates: int | None = None,
    prompts: int | None = None,
    without: tuple[str, ...] = (),
) -> Cut:
    return Cut(
        way=way,
        replicates=replicates or found.replicates,
        prompts=prompts or found.prompts,
        without=without,
        seconds=seconds,
        fits=seconds <= budget_s,
        gives_up=gives_up,
    )
