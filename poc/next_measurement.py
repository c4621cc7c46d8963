"""How many more prompts or timed rounds would settle an undecided criterion.

From the spread seen so far: an interval shrinks with the root of the sample. A forecast, made from
the same noise as the estimate it is about; it says where to look next and promises nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from metrics.catalog import SMOOTHNESS
from poc import findings, intervals
from poc.front import find
from poc.intervals import BOOTSTRAP_FROM
from poc.latency_estimates import ROUNDS_FOR_INTERVAL
from poc.outcomes import Draws
from poc.records import (
    Arm,
    ArmSummary,
    Comparison,
    Criterion,
    Estimate,
    Finding,
    SliceEstimates,
    Verdict,
)
from poc.slices import within
from poc.verdicts import FAIL_SHARE, PASS_SHARE, estimate_draws, slack

OUT_OF_REACH = 100
"""Times the present sample beyond which more of it is not worth proposing."""


class Need(NamedTuple):
    """How many times the present sample an undecided criterion wants, and where it would go."""

    factor: float
    toward: Verdict


def sample_need(criterion: Criterion, one: Estimate, draws: Draws) -> Need | None:
    """Return what would settle an undecided criterion, were value and spread to stay as they are.

    The spread of an estimate shrinks with the root of the sample. None where no sample would do:
    the value lies between minimum and target, or exactly on the minimum.
    """
    found, _ = estimate_draws(one, draws)
    if found is None or one.value is None or not np.isfinite(found).all():
        return None
    at_value = slack(criterion, np.array([one.value]))
    short, beyond = float(at_value.minimum[0]), float(at_value.target[0])
    spread = float(np.std(slack(criterion, found).minimum))
    if not math.isfinite(spread) or short == 0 or (short > 0 and beyond <= 0):
        return None
    share = PASS_SHARE if short > 0 else 1 - FAIL_SHARE
    factor = (intervals.normal_quantile(share) * spread / short) ** 2
    return Need(factor, Verdict.PASS if short > 0 else Verdict.FAIL)


class _Proposal(NamedTuple):
    """What one undecided criterion needs; infinite cost when no sample would settle it."""

    clips: float
    finding: Finding


def settle(
    summary: ArmSummary,
    undecided: Sequence[Criterion],
    draws: Draws,
    *,
    replicates: int,
    slices: Sequence[SliceEstimates] = (),
) -> Finding:
    """Return what settles the deciding criterion: the undecided one that needs the most clips."""
    measured = [c for c in undecided if c.metric not in SMOOTHNESS]
    if not measured:
        return findings.add_motion_criterion()
    proposals = [
        _proposal(part, criterion, kept, replicates, widened)
        for criterion in measured
        for part, kept, widened in _parts(summary, criterion, draws, slices)
    ]
    return max(proposals, key=lambda proposal: proposal.clips).finding


def _parts(
    summary: ArmSummary, criterion: Criterion, draws: Draws, slices: Sequence[SliceEstimates]
) -> Iterator[tuple[ArmSummary, Draws, float]]:
    """Yield an arm with its draws, as a whole or in each slice that a criterion is asked of.

    With it comes how many prompts must be made for one of the slice.
    """
    parts = [] if criterion.each is None else [*within(slices, criterion.each, summary, draws)]
    total = sum(part.n_prompts for part, _, _ in parts)
    for part, arm, kept in parts:
        yield arm, kept, total / part.n_prompts
    if not parts:
        yield summary, draws, 1.0


def _proposal(
    summary: ArmSummary, criterion: Criterion, draws: Draws, replicates: int, widened: float
) -> _Proposal:
    arm = summary.arm
    one = find(summary, criterion.metric, criterion.comparison)
    if one is None or one.value is None:
        return _measure_first(criterion, arm, one)
    timed = criterion.metric.startswith("latency_")
    have, least = (one.n_clips, ROUNDS_FOR_INTERVAL) if timed else (one.n_prompts, BOOTSTRAP_FROM)
    if one.low is None and have < least:
        toward = Verdict.INCONCLUSIVE
        extra = math.ceil(widened * (least - have))
        return _more(criterion, arm, extra, toward=toward, replicates=replicates)
    if one.low is None:
        return _measure_first(criterion, arm, one)
    need = sample_need(criterion, one, draws)
    if need is None or need.factor > OUT_OF_REACH:
        return _Proposal(math.inf, findings.clips_do_not_help(criterion.name, arm))
    extra = max(1, math.ceil(widened * have * (need.factor - 1)))
    return _more(criterion, arm, extra, toward=need.toward, replicates=replicates)


def _measure_first(criterion: Criterion, arm: Arm, one: Estimate | None) -> _Proposal:
    reason = one.reason if one else "not measured"
    return _Proposal(math.inf, findings.measure_first(criterion.name, arm, reason))


def _more(
    criterion: Criterion, arm: Arm, extra: int, *, toward: Verdict, replicates: int
) -> _Proposal:
    """Propose `extra` prompts, or timed rounds; a comparison wants them of the baseline too."""
    timed = criterion.metric.startswith("latency_")
    arms = 1 if criterion.comparison is Comparison.VALUE else 2
    clips = extra * arms * (1 if timed else replicates)
    what = findings.more_rounds if timed else findings.more_prompts
    finding = what(criterion.name, arm, count=extra, clips=clips, paired=arms > 1, toward=toward)
    return _Proposal(float(clips), finding)
