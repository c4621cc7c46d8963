"""Where an arm's speed-up comes from: fewer steps, no guidance, and the rest.

Steps and guidance are what the arm's settings say; the rest is what was measured divided by both.
It is below 1 where an evaluation takes longer in a short run, or where text, decoding and writing
the file cost what no number of steps saves.
"""

from __future__ import annotations

from typing import Self

from poc.front import find
from poc.latency_estimates import DENOISE, LATENCY
from poc.records import Arm, Comparison, Estimate, Estimates, Record


class Figure(Record):
    """A number with its interval and n; None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def over(self, divisor: float) -> Self:
        """Return it divided by a positive number that has no uncertainty."""
        ends = {"value": self.value, "low": self.low, "high": self.high}
        scaled = {name: None if one is None else one / divisor for name, one in ends.items()}
        return self.model_copy(update=scaled)


class SpeedSplit(Record):
    """One arm's speed-up over the baseline, taken apart.

    `denoise = steps x guidance x denoise_rest`, and the same for `whole`, prompt in to file out.
    """

    arm: Arm
    steps: float
    """Baseline's steps over the arm's."""
    guidance: float
    """Evaluations a step, baseline over arm: 2 where only the baseline is guided."""
    denoise: Figure
    denoise_rest: Figure
    whole: Figure
    whole_rest: Figure


def speed_splits(estimates: Estimates) -> tuple[SpeedSplit, ...]:
    """Return the split of every timed arm but the baseline, in the plan's order."""
    baseline = next(s.arm for s in estimates.arms if s.arm.id == estimates.baseline_id)
    found = []
    for summary in estimates.arms:
        denoise = find(summary, DENOISE, Comparison.RATIO)
        whole = find(summary, LATENCY, Comparison.RATIO)
        if not summary.arm.is_imported and denoise is not None and whole is not None:
            found.append(split(summary.arm, baseline, denoise, whole))
    return tuple(found)


def split(arm: Arm, baseline: Arm, denoise: Estimate, whole: Estimate) -> SpeedSplit:
    """Take two ratios of seconds (arm over baseline) apart by what the two arms' settings say."""
    own, base = arm.sampling, baseline.sampling
    steps = base.steps / own.steps
    guidance = (base.nfe / base.steps) / (own.nfe / own.steps)
    denoised, through = times_as_fast(denoise), times_as_fast(whole)
    return SpeedSplit(
        arm=arm,
        steps=steps,
        guidance=guidance,
        denoise=denoised,
        denoise_rest=denoised.over(steps * guidance),
        whole=through,
        whole_rest=through.over(steps * guidance),
    )


def figure_of(one: Estimate) -> Figure:
    """Return an estimate as it is."""
    return Figure(value=one.value, low=one.low, high=one.high, n=one.n_clips)


def times_as_fast(ratio: Estimate) -> Figure:
    """Return the inverse of a ratio of seconds, its ends swapped; nothing where one is not > 0."""
    if ratio.value is None or ratio.value <= 0:
        return Figure(value=None, low=None, high=None, n=ratio.n_clips)
    if ratio.low is None or ratio.high is None or ratio.low <= 0:
        return Figure(value=1 / ratio.value, low=None, high=None, n=ratio.n_clips)
    return Figure(value=1 / ratio.value, low=1 / ratio.high, high=1 / ratio.low, n=ratio.n_clips)
