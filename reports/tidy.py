"""`RunView` -> tidy pandas tables: one row is one thing, columns are facts. No arithmetic.

Charts and downloads are made from these. Column names are code, not words for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd

from metrics.catalog import CATALOG
from poc.cost_findings import money
from poc.cost_lines import gpu_lines
from poc.front import target_corner
from poc.latency_profile import Tail
from poc.records import Arm, Comparison, Estimate
from reports import people, remarks
from reports import text as words
from reports.judged import SPEED, role_name
from reports.load import RunView
from reports.text import Text

COLD: Final = "latency_cold_s"
STAGES: Final = ("text", "denoise", "decode", "encode")
"""Stages of a clip, in order; their medians are `latency_<stage>_p50_s`."""


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
        text("column.how"): remarks.said(text, found.method),
        text("column.reason"): _remarks(text, found),
    }


def _remarks(text: Text, found: Estimate) -> str:
    notes = (remarks.said(text, one) for one in found.notes)
    return text("list.comma").join(one for one in (remarks.said(text, found.reason), *notes) if one)


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
    Clips made elsewhere have no place on it: their time is stated, not measured.
    """
    speeds = {arm.id: view.estimate(arm.id, SPEED, Comparison.VALUE) for arm in view.plan.generated}
    timed = all(found is not None and found.value is not None for found in speeds.values())
    rows = []
    for summary in view.estimates.arms:
        found = view.estimate(summary.arm.id, metric, Comparison.VALUE)
        if found is None or found.value is None or summary.arm.is_imported:
            continue
        speed = speeds[summary.arm.id] if timed else None
        rows.append(
            {
                "arm": words.arm_name(text, summary.arm),
                "arm_id": summary.arm.id,
                "group": words.arm_group(text, summary.arm),
                "style": summary.arm.style or "",
                "steps": summary.arm.steps,
                "nfe": summary.arm.nfe,
                "seconds": speed.value if speed else None,
                "front": bool(summary.on_pareto_front) and metric == view.estimates.quality_metric,
                "baseline": summary.arm.id == view.plan.baseline_id,
                "role": role_name(view, text, summary.arm),
                "often": summary.frontier_frequency,
                "frequency": words.percent(text, summary.frontier_frequency),
                **_value(text, found),
            }
        )
    return pd.DataFrame(rows, columns=list(POINT_COLUMNS))


def spread_table(view: RunView, text: Text, arms: Sequence[Arm]) -> pd.DataFrame:
    """Return one row per timed clip of the arms, the cold first call among them and marked."""
    rows: list[dict[str, object]] = []
    for arm in arms:
        name, samples = words.arm_name(text, arm), view.profiles[arm.id].samples
        common = {"group": name, "n": len(samples)}
        for one in samples:
            said = {"shown": _seconds(text, one.seconds), "done": words.percent(text, one.share)}
            rows.append({**common, **one._asdict(), **said, "cold": False})
        cold = view.estimate(arm.id, COLD, Comparison.VALUE)
        if samples and cold is not None and cold.value is not None:
            said = {"shown": _seconds(text, cold.value), "done": text("latency.cold")}
            rows.append({**common, "seconds": cold.value, "share": None, **said, "cold": True})
    return pd.DataFrame(rows, columns=["group", "n", "seconds", "share", "shown", "done", "cold"])


def stage_table(view: RunView, text: Text, arms: Sequence[Arm]) -> pd.DataFrame:
    """Return one row per arm and stage with a median, in the order in which they happen."""
    rows = []
    for arm in arms:
        for place, stage in enumerate(STAGES):
            found = view.estimate(arm.id, f"latency_{stage}_p50_s", Comparison.VALUE)
            if found is not None and found.value is not None:
                common = {"arm": words.arm_name(text, arm), "place": place}
                name = text(f"latency.stage.{stage}")
                rows.append({**common, "group": name, **_value(text, found)})
    columns = ["arm", "place", "group", "value", "low", "high", "n", "shown", "interval"]
    return pd.DataFrame(rows, columns=columns)


def acceptance_table(view: RunView, text: Text) -> pd.DataFrame:
    """Return one row per judged arm and answer: would we publish this? None where nobody judged."""
    columns = ["arm", "n", "note", "answer", "count", "label", "start", "end", "low", "high",
               "shown", "interval"]  # fmt: skip
    return pd.DataFrame(people.acceptance_rows(view, text), columns=columns)


def money_lines(view: RunView, text: Text, points: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds at which a clip's GPU time costs round amounts; none without a price."""
    rows = []
    if view.money is not None and len(points) > 0 and points["seconds"].notna().all():
        cost = view.money.cost
        for line in gpu_lines(cost, points["seconds"].min(), points["seconds"].max()):
            said = text.pick(money(line.amount, cost.currency))
            rows.append({"seconds": line.seconds, "amount": said})
    return pd.DataFrame(rows, columns=["seconds", "amount"])


def target_table(view: RunView) -> pd.DataFrame:
    """Return the corner of the field of both targets in one row; none where there is no such.

    Nor where the decision went by edited criteria, of which a run keeps the digest alone.
    """
    fixed = view.plan.criteria.criteria if not view.decision.criteria_edited else ()
    corner = target_corner(view.estimates, fixed)
    rows = [] if corner is None else [corner._asdict()]
    return pd.DataFrame(rows, columns=["seconds", "quality"])


def latency_rows(view: RunView, text: Text, arms: Sequence[Arm]) -> list[dict[str, str]]:
    """Return what is known of every arm's time and memory, as people read it."""
    return [_latency_row(view, text, arm) for arm in arms]


def _latency_row(view: RunView, text: Text, arm: Arm) -> dict[str, str]:
    def said(metric: str, how: Comparison = Comparison.VALUE) -> str:
        found = view.estimate(arm.id, metric, how)
        if found is None or found.value is None:
            return remarks.said(text, found.reason) if found else text("number.none")
        value, interval = words.estimate(text, found)
        return value if found.low is None else f"{value} ({interval})"

    profile = view.profiles[arm.id]
    tails = {
        words.metric_label(text, f"latency_p{tail.percent}_s"): _tail(text, tail)
        for tail in profile.tails
    }
    return {
        text("column.arm"): words.arm_name(text, arm),
        text("column.n"): str(len(profile.samples)),
        words.metric_label(text, SPEED): said(SPEED),
        text("column.speed_ratio"): said(SPEED, Comparison.RATIO),
        **tails,
        text("latency.cold"): said(COLD),
        text("column.memory"): said("peak_memory_bytes"),
    }


def _tail(text: Text, tail: Tail) -> str:
    if tail.seconds is None or tail.upper is None:
        return text("latency.tail.few", n=CATALOG[f"latency_p{tail.percent}_s"].minimum_n)
    return text(
        "latency.tail", value=_seconds(text, tail.seconds), upper=_seconds(text, tail.upper)
    )


def _seconds(text: Text, value: float) -> str:
    return words.number(text, SPEED, Comparison.VALUE, value)


POINT_COLUMNS = (
    "arm", "arm_id", "group", "style", "steps", "nfe", "seconds", "front", "baseline", "role",
    "often", "frequency",
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
