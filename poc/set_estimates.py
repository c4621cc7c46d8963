"""Estimates of set metrics (FVD, KVD), placed as they come and refused where n does not fit.

They are handed in ready, with their differences and ratios, because their intervals come from
features and not from per-clip values. They have no resamples: a decision approximates their draws
from the interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from poc.outcomes import DrawKey, Outcome, key_of
from poc.records import Comparison, Estimate


def set_outcomes(
    estimates: Iterable[Estimate], arm_ids: Sequence[str], baseline_id: str
) -> list[Outcome]:
    """Return ready estimates as outcomes; comparisons over more clips than there are lose theirs.

    Raises:
        ValueError: an arm that the plan does not have, or two estimates of the same thing.
    """
    ready: dict[DrawKey, Estimate] = {}
    for one in estimates:
        if one.arm_id not in arm_ids:
            raise ValueError(f"set estimates: {one.metric} of arm {one.arm_id!r} not in the plan")
        if ready.setdefault(key_of(one), one) != one:
            raise ValueError(f"set estimates: two of {one.metric} {one.comparison} of {one.arm_id}")
    return [Outcome(_comparable(one, ready, baseline_id), None) for one in ready.values()]


def _comparable(one: Estimate, ready: Mapping[DrawKey, Estimate], baseline_id: str) -> Estimate:
    """Return a comparison as it is if both arms' values stand on at least its n clips.

    Set metrics are biased by n: a comparison holds only over as many clips of both arms.
    """
    if one.comparison is Comparison.VALUE or one.value is None:
        return one
    keys = [(arm_id, one.metric, Comparison.VALUE) for arm_id in (one.arm_id, baseline_id)]
    own, base = (ready[key].n_clips if key in ready else 0 for key in keys)
    if one.n_clips <= min(own, base):
        return one
    reason = f"not comparable: {one.n_clips} clips asked for, {own} of the arm and {base} of the"
    blank = {"value": None, "low": None, "high": None, "reason": f"{reason} baseline measured"}
    return one.model_copy(update=blank)
