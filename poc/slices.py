"""Estimates over part of the prompts: those of one lighting, of one viewpoint.

A mean over all prompts hides what goes wrong in some of them. Each slice is estimated as the whole
is, from its own prompts alone; the same resamples serve all arms of a slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from poc.outcomes import DrawKey, Draws, key_of, sample_outcomes
from poc.records import ArmSummary, Estimate, Plan, SliceEstimates
from poc.samples import Ledger, samples
from poc.slicing import rows_of


class SliceEvidence(NamedTuple):
    """A slice's estimates and the draws behind their intervals."""

    estimates: SliceEstimates
    draws: Draws


def slice_evidence(plan: Plan, book: Ledger, *, seed: int) -> tuple[SliceEvidence, ...]:
    """Return the estimates of every slice that the spec asks for, by factor and value."""
    asked = plan.spec.slices
    if asked is None:
        return ()
    return tuple(
        _evidence(plan, _part(plan, book, rows, asked.metrics), factor, value, seed)
        for factor in asked.by
        for value, rows in rows_of(factor, plan.prompts).items()
    )


def _part(plan: Plan, book: Ledger, rows: Sequence[int], metrics: Sequence[str]) -> Ledger:
    """Return the grids of some metrics at some prompts alone."""
    asked = {plan.prompts[row].id for row in rows}
    counts = Counter(
        clip.arm_id for batch in plan.batches for clip in batch.clips if clip.prompt_id in asked
    )
    grids = {
        key: replace(grid, values=grid.values[list(rows)], planned=counts[key[0]])
        for key, grid in book.grids.items()
        if key[1] in metrics
    }
    return replace(book, grids=grids)


def _evidence(plan: Plan, part: Ledger, factor: str, value: str, seed: int) -> SliceEvidence:
    found = sample_outcomes(samples(part, plan.arms, plan.baseline_id), part.rates, seed=seed)
    made = sorted(found, key=lambda one: one.key)
    estimates = SliceEstimates(
        factor=factor,
        value=value,
        n_prompts=len(next(iter(part.grids.values())).values) if part.grids else 0,
        estimates=tuple(one.estimate for one in made),
    )
    return SliceEvidence(estimates, {o.key: o.draws for o in made if o.draws is not None})


# --- draws of slices beside those of the whole ---------------------------------------------------


def sliced_key(one: SliceEstimates, estimate: Estimate) -> DrawKey:
    """Return where an estimate's draws are kept among those of the whole run."""
    arm_id, metric, comparison = key_of(estimate)
    return arm_id, f"{metric} where {one.factor} is {one.value}", comparison


def sliced_draws(evidence: Sequence[SliceEvidence]) -> dict[DrawKey, np.ndarray]:
    """Return all slices' draws under keys that no metric of the whole run has."""
    return {
        sliced_key(estimates, estimate): draws[key_of(estimate)]
        for estimates, draws in evidence
        for estimate in estimates.estimates
        if key_of(estimate) in draws
    }


def within(
    slices: Sequence[SliceEstimates], factor: str, summary: ArmSummary, draws: Draws
) -> Iterator[tuple[SliceEstimates, ArmSummary, Mapping[DrawKey, np.ndarray]]]:
    """Yield each slice of a factor with an arm as it is there, and the draws behind it."""
    for one in slices:
        if one.factor != factor:
            continue
        own = tuple(found for found in one.estimates if found.arm_id == summary.arm.id)
        keys = {key_of(found): sliced_key(one, found) for found in own}
        kept = {key: draws[there] for key, there in keys.items() if there in draws}
        yield one, summary.model_copy(update={"estimates": own}), kept
