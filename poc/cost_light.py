"""The economic light of a cost result, why, and what has to be done first. Pure.

What is assumed, stated or an example is marked as such and never becomes more than a condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from poc import cost_findings as said
from poc.cost_file import AlternativeName, Basis, GpuMode
from poc.cost_records import (
    ACCEPTANCE,
    CostResult,
    Curve,
    EconomicLight,
    JudgedClips,
    SettingCost,
    UnusedVotes,
)
from poc.records import Finding, Light
from poc.verdicts import FAIL_SHARE, PASS_SHARE


def economic_light(
    result: CostResult, on: date | None = None, settings: Sequence[SettingCost] = ()
) -> EconomicLight:
    """Return the economic light by the limits of the inputs, on a day where they have a last one.

    GO: all limits hold at once in 95 % of the simulations, and nothing that it stands on is
    assumed, told by the tiny world's oracle or of its clips, not timed on the GPU to be paid for,
    an example, dearer than another way of getting the deliverable or in 95 % of the simulations
    than one of the other `settings` that may keep the limits, or of offers that have ended.
    CONDITIONAL: it would be GO but for these, or it is once an assumed input is shown to reach a
    value of its range. NO_GO: all limits hold at once in fewer than 20 %, at every assumed value,
    on numbers that are neither examples nor of offers that have ended, and so it is by every one
    of the `settings`. INSUFFICIENT_EVIDENCE: anything else, such as no limit.
    """
    ended = has_ended(result.valid_until, on)
    light, reached = _light(result)
    open_ = (*_conditions(result), *_cheaper_settings(settings), *((reached,) if reached else ()))
    no_evidence = ended or bool(result.examples) or _is_of_a_toy(result)
    instead = None if no_evidence else _instead(result, settings)
    opened = instead if light is Light.NO_GO else None
    if opened is not None:
        light = Light.INSUFFICIENT_EVIDENCE
    if ended and result.valid_until is not None:
        light = Light.INSUFFICIENT_EVIDENCE if light is Light.NO_GO else light
        open_ = (*open_, said.renew_offers(result.valid_until))
    if light is Light.GO and open_:
        light = Light.CONDITIONAL
    return EconomicLight(
        light=light,
        reasons=(*_reasons(result, light), *([] if opened is None else [opened])),
        conditions=() if light in {Light.GO, Light.NO_GO} else open_,
        next_step=(instead or _next_step(result)) if light is Light.INSUFFICIENT_EVIDENCE else None,
    )


def has_ended(until: str | None, on: date | None) -> bool:
    """Tell whether a last day, ISO 8601, lies before a day.

    >>> [has_ended("2026-12-31", date(2026, 12, 31)), has_ended("2026-12-31", date(2027, 1, 1))]
    [False, True]
    >>> has_ended(None, date(2027, 1, 1))
    False
    """
    return until is not None and on is not None and date.fromisoformat(until) < on


def _light(result: CostResult) -> tuple[Light, Finding | None]:
    """Return the light before conditions, and the value that an assumed input has to reach."""
    share = result.share_within_all
    if share is None:
        return Light.INSUFFICIENT_EVIDENCE, None
    if share >= PASS_SHARE:
        return Light.GO, None
    if (reached := _reach(result.curves)) is not None:
        return Light.CONDITIONAL, reached
    if _fails(share, result.curves) and not result.examples and not _is_of_a_toy(result):
        return Light.NO_GO, None
    return Light.INSUFFICIENT_EVIDENCE, None


def _is_of_a_toy(result: CostResult) -> bool:
    """Tell whether people judged clips that show how it works, not those to be bought."""
    return isinstance(result.judged, JudgedClips) and result.judged.is_demonstration


def _reach(curves: Sequence[Curve]) -> Finding | None:
    """Return the weakest value of an assumed input from which on every limit holds."""
    for curve in curves:
        at_least = curve.name == ACCEPTANCE
        from_best = reversed(curve.points) if at_least else iter(curve.points)
        weakest = None
        for point in from_best:
            if (point.share_within or 0.0) < PASS_SHARE:
                break
            weakest = point.value
        if weakest is not None:
            shown = (
                f"{100 * weakest:.3g} %" if at_least else f"{said.number(weakest, 3)} {curve.unit}"
            )
            return said.reach(curve.label, shown, at_least=at_least)
    return None


def _fails(share: float, curves: Iterable[Curve]) -> bool:
    """Tell whether the limits are missed, whatever the assumed values are."""
    points = [point.share_within or 0.0 for curve in curves for point in curve.points]
    return max([share, *points]) < FAIL_SHARE


def _reasons(result: CostResult, light: Light) -> Iterator[Finding]:
    yield from (check.said for check in result.limits)
    if not result.limits:
        yield said.no_limit()
    if result.share_within_all is not None and len(result.limits) > 1:
        yield said.all_limits(result.share_within_all)
    if result.mode is not GpuMode.RENTED and result.other_work is not None:
        yield said.shared(result.other_work)
    if Basis.ORACLE in {result.acceptance_basis, result.review_basis}:
        yield said.oracle()
    match result.judged:
        case JudgedClips():
            yield _judged(result.judged)
        case UnusedVotes():
            yield result.judged.why
    share = 1.0 if result.share_within_all is None else result.share_within_all
    if light is Light.INSUFFICIENT_EVIDENCE and result.examples and _fails(share, result.curves):
        yield said.examples_are_no_evidence()


def _judged(one: JudgedClips) -> Finding:
    return said.judged(
        acceptance=one.acceptance,
        review=one.review,
        stated=(one.stated_acceptance, one.stated_review),
        counts=(one.votes, one.raters, one.clips),
    )


def _conditions(result: CostResult) -> Iterator[Finding]:
    if result.acceptance_basis is not Basis.VOTES:
        yield said.measure_acceptance(result.acceptance, result.acceptance_basis)
    if result.review_basis is not Basis.VOTES:
        yield said.measure_review(result.review, result.review_basis)
    if _is_of_a_toy(result):
        yield said.judge_real_clips()
    if result.seconds.doubt is not None:
        yield said.time_on(result.gpu_model, result.seconds.doubt)
    yield from (said.justify_over(name) for name in _cheaper(result))
    if result.examples:
        yield example_inputs(result)


def example_inputs(result: CostResult) -> Finding:
    """Return the condition on inputs that are examples, those that move the result most first."""
    labels = {one.name: one.label for one in result.tornado}
    return said.replace_examples(
        len(result.examples), [labels[name] for name in result.examples[:3]]
    )


def _cheaper(result: CostResult) -> Iterator[AlternativeName]:
    """Yield what delivers at less than ours; doing nothing delivers nothing."""
    for one in result.alternatives:
        if one.saving_per_deliverable < 0 and one.name is not AlternativeName.DOING_NOTHING:
            yield one.name


def _cheaper_settings(settings: Sequence[SettingCost]) -> Iterator[Finding]:
    """Yield the settings that cost less for certain, but for those that miss the limits."""
    for one in settings:
        keeps = one.share_within_all is None or one.share_within_all >= FAIL_SHARE
        if one.share_cheaper >= PASS_SHARE and keeps:
            yield said.justify_over_setting(one.arm, one.share_cheaper)


def _instead(result: CostResult, settings: Sequence[SettingCost]) -> Finding | None:
    """Name the setting that keeps all limits the most surely, where it may and ours less so."""
    shares = {one.arm: one.share_within_all or 0.0 for one in settings}
    best = max(shares, key=shares.__getitem__, default=None)
    if best is None or shares[best] < max(FAIL_SHARE, result.share_within_all or 0.0):
        return None
    return said.buy_setting(best, shares[best])


def _next_step(result: CostResult) -> Finding:
    if not result.limits:
        return said.set_limits()
    worst = min(result.limits, key=lambda check: check.share_within)
    if worst.name == "working_days":
        return said.narrow(worst.label)
    by_npv = worst.name == "payback_months"
    swings = sorted(result.tornado, key=lambda s: s.npv_swing if by_npv else s.cost_swing)
    return said.narrow(swings[-1].label)
