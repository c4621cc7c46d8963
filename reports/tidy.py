"""`RunView` -> tidy pandas tables: one row is one thing, columns are facts. No arithmetic.

Charts and downloads are made from these. Column names are code, not words for people.
"""

from __future__ import annotations

import pandas as pd

from poc.records import Comparison, Estimate
from reports import text as words
from reports.judged import SPEED
from reports.load import RunView
from reports.text import Text


def estimates_table(view: RunView) -> pd.DataFrame:
    """Return every estimate of the run, one row each, missing ones with their reason."""
    names = {arm.id: arm.name for arm in view.plan.arms}
    rows = [
        {"arm": names[found.arm_id], **found.model_dump(mode="json", exclude={"notes"})}
        for summary in view.estimates.arms
        for found in summary.estimates
    ]
    return pd.DataFrame(rows)


def shown_estimates(view: RunView, text: Text) -> list[dict[str, str]]:
    """Return every estimate as people read it, in the plan's order."""
    names = {arm.id: words.arm_name(text, arm) for arm in view.plan.arms}
    return [
        _shown_estimate(text, names[found.arm_id], found)
        for summary in view.estimates.arms
        for found in summary.estimates
    ]


def _shown_estimate(text: Text, arm: str, found: Estimate) -> dict[str, str]:
    value, interval = words.estimate(text, found)
    how = text.get(f"comparison.{found.comparison}", "")
    metric = words.metric_label(text, found.metric)
    return {
        text("column.arm"): arm,
        text("column.metric"): text("criterion.label", metric=metric, how=how),
        text("column.value"): value,
        text("column.interval"): interval,
        text("column.n"): str(found.n_clips),
        text("column.lost"): str(found.n_missing),
        text("column.how"): words.shown(found.method),
        text("column.reason"): words.shown(" ".join((found.reason, *found.notes)).strip()),
    }


def measured_metrics(view: RunView) -> tuple[str, ...]:
    """Return the metrics that at least one arm has a value of, in the order they first appear."""
    found = (e for arm in view.estimates.arms for e in arm.estimates)
    return tuple(
        dict.fromkeys(
            e.metric for e in found if e.comparison is Comparison.VALUE and e.value is not None
        )
    )


def clips_table(view: RunView) -> pd.DataFrame:
    """Return every planned clip and how it ended."""
    names = {arm.id: arm.name for arm in view.plan.arms}
    rows = [
        {
            "clip_id": clip.clip_id,
            "arm": names[clip.arm_id],
            "prompt_id": clip.prompt_id,
            "replicate": clip.replicate,
            "status": str(clip.status),
            "reason": clip.reason,
        }
        for clip in view.clips
    ]
    return pd.DataFrame(rows)


def points_table(view: RunView, text: Text, metric: str) -> pd.DataFrame:
    """Return one row per arm that has a value of `metric`: what every chart is drawn from.

    `seconds` is None for every arm when any of them was not timed: a mixed axis would mislead.
    """
    speeds = {arm.id: view.estimate(arm.id, SPEED, Comparison.VALUE) for arm in view.plan.arms}
    timed = all(found is not None and found.value is not None for found in speeds.values())
    rows = []
    for summary in view.estimates.arms:
        found = view.estimate(summary.arm.id, metric, Comparison.VALUE)
        if found is None or found.value is None:
            continue
        speed = speeds[summary.arm.id] if timed else None
        rows.append(
            {
                "arm": words.arm_name(text, summary.arm),
                "group": words.arm_group(text, summary.arm),
                "style": summary.arm.style or "",
                "steps": summary.arm.steps,
                "nfe": summary.arm.nfe,
                "seconds": speed.value if speed else None,
                "front": bool(summary.on_pareto_front) and metric == view.estimates.quality_metric,
                "baseline": summary.arm.id == view.plan.baseline_id,
                **_value(text, found),
            }
        )
    return pd.DataFrame(rows, columns=list(POINT_COLUMNS))


POINT_COLUMNS = (
    "arm", "group", "style", "steps", "nfe", "seconds", "front", "baseline",
    "value", "low", "high", "n", "shown", "interval",
)  # fmt: skip


def _value(text: Text, found: Estimate) -> dict[str, object]:
    shown, interval = words.estimate(text, found)
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "n": found.n_clips,
        "shown": shown,
        "interval": interval,
    }
