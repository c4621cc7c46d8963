"""An estimate together with its draws, and how the two are made from a sample of clips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from poc import intervals
from poc.intervals import LEVEL, FloatArray, Interval
from poc.records import Comparison, Estimate
from poc.samples import Sample

DrawKey = tuple[str, str, Comparison]
"""Arm id, metric, comparison."""

Draws = Mapping[DrawKey, FloatArray]
"""Equally likely values of each estimate; see `poc.intervals`."""


class Size(NamedTuple):
    """What an estimate stands on."""

    clips: int
    prompts: int
    missing: int


NOTHING = Size(0, 0, 0)


class Outcome(NamedTuple):
    """An estimate and the draws behind its interval; None when there is no interval."""

    estimate: Estimate
    draws: FloatArray | None

    @property
    def key(self) -> DrawKey:
        """Return what the estimate is of."""
        return key_of(self.estimate)


def key_of(estimate: Estimate) -> DrawKey:
    """Return arm, metric and comparison of an estimate."""
    return estimate.arm_id, estimate.metric, estimate.comparison


def settled(number: float) -> float:
    """Return a number at 12 significant digits.

    The last bits of a sum depend on the processor's vector width; an estimate must not, or a run
    recomputed elsewhere would differ from itself.

    >>> settled(0.1 + 0.2)
    0.3
    """
    return float(f"{number:.12g}")


def outcome(
    arm_id: str,
    metric: str,
    comparison: Comparison,
    *,
    value: float | None = None,
    interval: Interval | None = None,
    draws: FloatArray | None = None,
    method: str = "",
    n: Size = NOTHING,
    reason: str = "",
    notes: tuple[str, ...] = (),
) -> Outcome:
    """Return an estimate with its draws; without `interval` it is the draws' percentiles."""
    if interval is None and draws is not None:
        interval = Interval(*intervals.ends(draws), method)
    estimate = Estimate(
        arm_id=arm_id,
        metric=metric,
        comparison=comparison,
        value=None if value is None else settled(value),
        low=None if interval is None else settled(interval.low),
        high=None if interval is None else settled(interval.high),
        level=LEVEL,
        method=(interval.method if interval else method) or "none",
        n_clips=n.clips,
        n_prompts=n.prompts,
        n_missing=n.missing,
        reason=reason,
        notes=notes,
    )
    return Outcome(estimate, draws)


def sample_outcomes(found: Sequence[Sample], rates: frozenset[str], *, seed: int) -> list[Outcome]:
    """Return the estimates of all samples; one joint resampling of prompts serves them all."""
    booted = [s for s in found if not s.reason and _is_bootstrapped(s, rates)]
    draws = ratio_draws(booted, seed=seed)
    by_key = {(s.arm_id, s.metric, s.comparison): d for s, d in zip(booted, draws, strict=True)}
    return [_sample_outcome(s, rates, by_key) for s in found]


def ratio_draws(found: Sequence[Sample], *, seed: int) -> list[FloatArray]:
    """Return every sample's estimate in each resample of prompts, the same ones for all samples.

    Resamples that hold none of a sample's prompts are nan there; the caller drops them.
    """
    if not found:
        return []
    columns = [s.numerator for s in found] + [s.denominator for s in found]
    sums = intervals.resampled_sums(np.stack(columns, axis=1), seed=seed)
    above, below = sums[:, : len(found)], sums[:, len(found) :]
    quotients = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotients, where=below != 0)
    return list(quotients.T)


def _is_bootstrapped(sample: Sample, rates: frozenset[str]) -> bool:
    return sample.metric not in rates and sample.n_prompts >= intervals.BOOTSTRAP_FROM


def _sample_outcome(
    sample: Sample, rates: frozenset[str], booted: Mapping[DrawKey, FloatArray]
) -> Outcome:
    if sample.reason:
        return _of(sample, None, None, None, sample.reason)
    if sample.denominator.sum() == 0:
        return _of(sample, None, None, None, "the baseline's mean is 0: there is no ratio to it")
    value = float(sample.numerator.sum() / sample.denominator.sum())
    if sample.n_prompts < 2:
        return _of(sample, value, None, None, f"1 {sample.cluster}: an interval needs at least 2")
    if sample.metric in rates:
        return _rate(sample, value)
    return _mean(sample, value, booted.get((sample.arm_id, sample.metric, sample.comparison)))


def _of(
    sample: Sample,
    value: float | None,
    interval: Interval | None,
    draws: FloatArray | None,
    reason: str = "",
    *notes: str,
) -> Outcome:
    return outcome(
        sample.arm_id,
        sample.metric,
        sample.comparison,
        value=value,
        interval=interval,
        draws=draws,
        n=Size(sample.n_clips, sample.n_prompts, sample.n_missing),
        reason=reason,
        notes=sample.notes + notes,
    )


def _rate(sample: Sample, value: float) -> Outcome:
    means = sample.per_prompt
    if sample.comparison is Comparison.DIFFERENCE:
        pairs = means if sample.pairs is None else sample.pairs[sample.present]
        interval = intervals.paired_rate_interval(pairs)
        return _of(sample, value, interval, intervals.paired_rate_draws(pairs))
    n = intervals.effective_n(means, sample.n_clips)
    return _of(sample, value, intervals.wilson(value, n), intervals.wilson_draws(value, n))


class _Scale(NamedTuple):
    """An estimate on the scale its interval is made on: logarithms for ratios."""

    value: float
    standard_error: float
    jackknife: FloatArray


def _mean(sample: Sample, value: float, draws: FloatArray | None) -> Outcome:
    """Return a mean, difference or ratio: t, and from 15 prompts no nearer than a bootstrap."""
    on_log = sample.comparison is Comparison.RATIO
    if on_log and value <= 0:
        return _of(sample, value, None, None, "a mean of 0 has no interval on a ratio's scale")
    scale = _scale(sample, value, on_log=on_log)
    if scale.standard_error < 1e-12 * max(1.0, abs(scale.value)):
        return _without_spread(sample, value)
    if draws is None:
        return _by_t(sample, value, scale, on_log=on_log)
    return _by_bootstrap(sample, value, scale, draws, on_log=on_log)


def _scale(sample: Sample, value: float, *, on_log: bool) -> _Scale:
    above, below = sample.numerator[sample.present], sample.denominator[sample.present]
    n = len(above)
    residuals = (above - value * below) / below.mean()
    left_out = (above.sum() - above) / np.maximum(below.sum() - below, np.finfo(float).tiny)
    error = float(residuals.std(ddof=1)) / math.sqrt(n)
    if not on_log:
        return _Scale(value, error, left_out)
    return _Scale(math.log(value), error / value, np.log(np.maximum(left_out, 1e-300)))


def _without_spread(sample: Sample, value: float) -> Outcome:
    """Return an estimate whose prompts all agree: certain only where there are many of them."""
    if sample.n_prompts < intervals.BOOTSTRAP_FROM:
        reason = (
            f"all {sample.n_prompts} {sample.cluster}s give the same value: no spread to judge by"
        )
        return _of(sample, value, None, None, reason)
    interval = Interval(value, value, f"none needed: every {sample.cluster} gives the same value")
    note = f"Every {sample.cluster} gives the same value: the interval has no width."
    return _of(sample, value, interval, np.full(intervals.RESAMPLES, value), "", note)


def _by_t(sample: Sample, value: float, scale: _Scale, *, on_log: bool) -> Outcome:
    freedom = sample.n_prompts - 1
    low, high, method = intervals.t_interval(
        scale.value, scale.standard_error, freedom, cluster=sample.cluster
    )
    draws = intervals.t_draws(scale.value, scale.standard_error, freedom, intervals.RESAMPLES)
    return _finish(sample, value, Interval(low, high, method), draws, on_log=on_log)


def _by_bootstrap(
    sample: Sample, value: float, scale: _Scale, draws: FloatArray, *, on_log: bool
) -> Outcome:
    kept = draws[np.isfinite(draws)]
    if on_log and kept.min() <= 0:
        return _of(sample, value, None, None, "the mean comes too close to 0 for a ratio")
    booted, name = intervals.bca_draws(
        scale.value, np.log(kept) if on_log else kept, scale.jackknife
    )
    freedom = sample.n_prompts - 1
    student = intervals.t_draws(scale.value, scale.standard_error, freedom, len(booted))
    outer = intervals.farther(booted, student)
    low, high = intervals.ends(outer)
    method = f"bootstrap over {sample.cluster}s ({name}) or t, the farther end"
    return _finish(sample, value, Interval(low, high, method), outer, on_log=on_log)


PAIRED = {Comparison.DIFFERENCE: "paired ", Comparison.RATIO: "paired, on logarithms: "}


def _finish(
    sample: Sample, value: float, interval: Interval, draws: FloatArray, *, on_log: bool
) -> Outcome:
    low, high, method = interval
    method = PAIRED.get(sample.comparison, "") + method
    if on_log:
        # Draws so far out that their exponential overflows are as far beyond any line as others.
        low, high = math.exp(min(low, 700.0)), math.exp(min(high, 700.0))
        draws = np.exp(np.minimum(draws, 700.0))
    return _of(sample, value, Interval(low, high, method), draws)
