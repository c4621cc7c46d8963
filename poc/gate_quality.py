"""Quality cells of the gate: non-inferiority with a margin, two-sided windows, all by prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from metrics.catalog import CATALOG, Scope
from poc.contrasts import LOST_AT_MOST
from poc.estimate import resampling_seed
from poc.gate_limits import accepted_changes, base_name, comparison_of, is_judged, limit_of
from poc.gate_pairs import Pair
from poc.gate_records import GateCell, GateGroup, GateLimits, GateStatus, MetricLimit
from poc.gate_verdicts import NO_CHANGE, Accepted, Trial, decided, p_rate_worse, p_worse
from poc.intervals import BOOTSTRAP_FROM
from poc.outcomes import sample_outcomes, settled
from poc.records import Comparison, Estimate
from poc.samples import (
    SHARE_OF_CLIPS,
    VALID_SHARE,
    Grid,
    Sample,
    difference_sample,
    ratio_sample,
    value_sample,
)

_QUALITY = GateGroup.QUALITY
_NOT_COMPARABLE = "not comparable"


def quality_trials(pair: Pair, limits: GateLimits) -> Iterator[Trial]:
    """Yield one trial for each metric that either run asks for; none is left out in silence."""
    metrics = [one for one in _wanted(pair) if is_judged(limits, one)]
    for metric in metrics:
        yield _trial(pair, metric, limit_of(limits, metric))
    if not metrics:
        text = "no metric is judged for this arm: nothing is known of its quality"
        yield decided(pair.cell(_QUALITY, "any metric", GateStatus.INCONCLUSIVE, text))


def unjudged_metrics(pair: Pair, limits: GateLimits) -> Iterator[str]:
    """Yield the metrics that either run asks for and the limits say are not judged."""
    return (metric for metric in _wanted(pair) if not is_judged(limits, metric))


def _wanted(pair: Pair) -> list[str]:
    """Return the metrics asked of an arm, sorted; a style's own metrics only of its arms."""
    asked = {
        metric
        for side in (pair.head, pair.base)
        for metric in (*side.run.plan.spec.metrics, *side.book.metrics)
    }
    own = f"[{pair.arm.style}]"
    return sorted(m for m in asked - {VALID_SHARE} if "[" not in m or m.endswith(own))


def _trial(pair: Pair, metric: str, limit: MetricLimit | None) -> Trial:
    cell = pair.cell(_QUALITY, metric, notes=pair.notes)
    if limit is None:
        text = f"no limit is known for {metric}: add one with its reason to the limits file"
        return _now(cell, GateStatus.CALIBRATION_NEEDED, text)
    if not pair.base.asks_for(metric):
        text = f"the baseline was not measured with {metric}: there is nothing to compare with"
        return _now(cell, GateStatus.CALIBRATION_NEEDED, text)
    if pair.differs:
        return _now(cell, GateStatus.NOT_COMPARABLE, pair.differs)
    row = CATALOG.get(base_name(metric))
    if row is not None and row.scope is Scope.ARM:
        return _set_trial(pair, cell, limit)
    return _clip_trial(pair, cell, limit)


def _now(cell: GateCell, status: GateStatus, reason: str) -> Trial:
    return decided(cell.model_copy(update={"status": status, "reason": reason}))


# --- metrics of clips ----------------------------------------------------------------------------


def _clip_trial(pair: Pair, cell: GateCell, limit: MetricLimit) -> Trial:
    own, base = pair.grids(cell.subject)
    if np.isnan(base.values).all():
        return _now(cell, GateStatus.NOT_COMPARABLE, _nothing(base, "baseline"))
    if np.isnan(own.values).all():
        return _now(cell, GateStatus.INCOMPLETE, _nothing(own, "head"))
    if differs := _differences(own, base):
        return _now(cell, GateStatus.NOT_COMPARABLE, differs)
    both = ~np.isnan(own.values) & ~np.isnan(base.values)
    if not both.any():
        text = "no prompt and replicate has a value in both runs"
        return _now(cell, _lost(pair, cell.subject).status, text)
    head_mean, base_mean = (_mean(pair, cell.subject, grid, both) for grid in (own, base))
    cell = cell.model_copy(update={"head": head_mean, "base": base_mean})
    if limit.scale == "ratio" and not _has_ratio(own, base, base_mean):
        text = "a ratio needs values that are nowhere negative and a baseline above 0"
        return _now(cell, GateStatus.INCONCLUSIVE, text)
    return _compared(pair, cell, limit, _sample(pair, cell.subject, limit, own=own, base=base))


def _nothing(grid: Grid, whose: str) -> str:
    why = grid.reasons[0] if grid.reasons else "not measured"
    return f"no clip of the {whose} has a value: {why}"


def _differences(own: Grid, base: Grid) -> str:
    """Name what makes two grids' numbers incomparable: metric versions, extractors."""
    texts = []
    for what, place in (("metric version", 0), ("extractor", 1)):
        before = sorted({str(found[place]) for found in base.provenance})
        now = sorted({str(found[place]) for found in own.provenance})
        if before != now or len(now) > 1:
            texts.append(f"{what}: {' and '.join(before)} -> {' and '.join(now)}")
    return "; ".join(texts)


def _mean(pair: Pair, metric: str, grid: Grid, both: np.ndarray) -> float:
    kept = replace(grid, values=np.where(both, grid.values, np.nan))
    sample = value_sample(pair.arm.id, metric, kept)
    return settled(float(sample.numerator.sum() / sample.denominator.sum()))


def _has_ratio(own: Grid, base: Grid, base_mean: float) -> bool:
    negative = any(bool((grid.values < 0).any()) for grid in (own, base))
    return not negative and base_mean > 0


def _sample(pair: Pair, metric: str, limit: MetricLimit, *, own: Grid, base: Grid) -> Sample:
    make = ratio_sample if limit.scale == "ratio" else difference_sample
    return make(pair.arm.id, metric, own, base)


def _compared(pair: Pair, cell: GateCell, limit: MetricLimit, sample: Sample) -> Trial:
    accepted = accepted_changes(limit)
    is_rate = CATALOG[limit.metric].unit == SHARE_OF_CLIPS
    rates = frozenset({sample.metric}) if is_rate else frozenset[str]()
    seed = resampling_seed(pair.head.run.plan)
    one = sample_outcomes([sample], rates, seed=seed)[0].estimate
    thin = _thin(one)
    p = None
    if not thin:
        by_pairs = is_rate and one.comparison is Comparison.DIFFERENCE
        p = (
            p_rate_worse(sample.per_prompt, accepted)
            if by_pairs
            else p_worse(one, accepted, one.n_prompts - 1)
        )
    lost = _lost(pair, cell.subject)
    is_lost = lost.status is GateStatus.INCOMPLETE  # the more is lost, the less is left to show it
    hold = lost if is_lost else _Hold(thin or one.reason) or lost
    return _weighed(cell, one, accepted, p=p, hold=hold)


def _thin(one: Estimate) -> str:
    if one.n_prompts >= BOOTSTRAP_FROM:
        return ""
    return f"{one.n_prompts} prompts: fewer than {BOOTSTRAP_FROM} show nothing"


class _Hold(NamedTuple):
    """Why a cell may not pass, and what it is then; falsy where nothing holds it."""

    why: str
    status: GateStatus = GateStatus.INCONCLUSIVE

    def __bool__(self) -> bool:
        return bool(self.why)


def _lost(pair: Pair, metric: str) -> _Hold:
    """Say why values that are missing forbid a pass: more than in the base, or too many at all."""
    own, base = pair.grids(metric)
    gone = own.planned - int((~np.isnan(own.values)).sum())
    before = base.planned - int((~np.isnan(base.values)).sum())
    lost = own.planned - int((~np.isnan(own.values) & ~np.isnan(base.values)).sum())
    if gone > before:
        many = gone - before > LOST_AT_MOST * own.planned
        status = GateStatus.INCOMPLETE if many else GateStatus.INCONCLUSIVE
        return _Hold(
            f"{gone} of {own.planned} clips have no value, {before} in the baseline", status
        )
    if lost > LOST_AT_MOST * own.planned:
        return _Hold(f"{lost} of {own.planned} pairs are lost: a clip of the pair has no value")
    return _Hold("")


def _weighed(
    cell: GateCell, one: Estimate, accepted: Accepted, *, p: float | None, hold: _Hold
) -> Trial:
    """Return the trial of an estimated change."""
    numbers = {
        "comparison": one.comparison,
        "change": one.value,
        "low": one.low,
        "high": one.high,
        "lowest": accepted.lowest,
        "highest": accepted.highest,
        "improved": _is_better(one, accepted),
        "n_clips": one.n_clips,
        "n_prompts": one.n_prompts,
        "n_missing": one.n_missing,
        "notes": (*cell.notes, *one.notes),
    }
    known = one.value is not None and one.low is not None and one.high is not None
    return Trial(
        cell.model_copy(update=numbers),
        p=p,
        beyond=one.value is not None and not accepted.holds(one.value, one.value),
        within=known and accepted.holds(one.low or 0.0, one.high or 0.0),
        hold=hold.why or ("" if known else "no interval"),
        held=hold.status,
    )


def _is_better(one: Estimate, accepted: Accepted) -> bool:
    """Return whether a change for the better is shown; a window has no better side."""
    if one.low is None or one.high is None:
        return False
    null = NO_CHANGE[one.comparison]
    if accepted.highest is None:
        return one.low > null
    return accepted.lowest is None and one.high < null


# --- metrics of sets -----------------------------------------------------------------------------


def _set_trial(pair: Pair, cell: GateCell, limit: MetricLimit) -> Trial:
    """Return the trial of a set metric, whose change comes ready from the features of both runs."""
    accepted, wanted = accepted_changes(limit), comparison_of(limit)
    one = next(
        (
            found
            for found in pair.head.run.set_changes
            if (found.arm_id, found.metric) == (pair.arm.id, cell.subject)
            and found.comparison is wanted
        ),
        None,
    )
    if one is None:
        text = f"no {wanted} of {cell.subject} to the baseline was formed"
        return _now(cell, GateStatus.INCOMPLETE, text)
    if one.reason.startswith(_NOT_COMPARABLE):
        return _now(cell, GateStatus.NOT_COMPARABLE, one.reason)
    thin = _thin(one) if one.value is not None else one.reason
    p = None if thin else p_worse(one, accepted, one.n_prompts - 1)
    lost = one.n_missing > LOST_AT_MOST * (one.n_clips + one.n_missing)
    few = f"{one.n_missing} of {one.n_clips + one.n_missing} pairs are lost" if lost else ""
    # Of a plan that is large enough, with a baseline that is whole, what is lost the head has lost.
    other = pair.base.counts(pair.arm.id)
    whole = other.ok >= (1 - LOST_AT_MOST) * other.planned and len(pair.rows) >= BOOTSTRAP_FROM
    broken = whole and (one.value is None or one.n_prompts < BOOTSTRAP_FROM or lost)
    status = GateStatus.INCOMPLETE if broken else GateStatus.INCONCLUSIVE
    hold = _Hold(thin or one.reason or few, status)
    return _weighed(cell, one, accepted, p=p, hold=hold)
