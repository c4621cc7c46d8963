"""Clips timed in batches, and the baseline timed against itself, in words: sentences, a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from poc.latency_calls import clips_a_call
from poc.latency_scenarios import CONTROL, OFFLINE_MEMORY, THROUGHPUT
from poc.records import Arm, Comparison, Estimate, LatencyScenario
from reports import remarks
from reports import text as words
from reports.judged import focus_arm
from reports.load import RunView
from reports.text import Text


def control(view: RunView, text: Text) -> str:
    """Return how the baseline stands to itself; empty where a plan does not ask for that."""
    found = view.estimate(view.baseline.id, CONTROL, Comparison.RATIO)
    if found is None:
        return ""
    if found.value is None:
        return text("latency.control.none", why=remarks.said(text, found.reason))
    value, interval = words.estimate(text, found)
    if found.low is None or found.high is None:
        return text("latency.control.few", value=value, n=found.n_clips)
    key = "latency.control.said" if found.low <= 1 <= found.high else "latency.control.off"
    return text(key, value=value, interval=interval, n=found.n_clips)


def summary(view: RunView, text: Text) -> str:
    """Return the throughput of the judged arm and the baseline; empty where none is asked for."""
    offline = view.plan.spec.latency.offline if view.plan.spec.latency else None
    if offline is None:
        return ""
    arms = dict.fromkeys((focus_arm(view).id, view.baseline.id))
    said = (
        f"{row[text('column.arm')]}: {row[_label(text)]}"
        for row in rows(view, text, [arm for arm in view.plan.arms if arm.id in arms])
    )
    return text("latency.offline.said", clips=offline.clips, arms=text("list.comma").join(said))


def rows(view: RunView, text: Text, arms: Sequence[Arm]) -> list[dict[str, str]]:
    """Return one row for each of these arms that was to be timed in batches."""
    return list(_rows(view, text, arms))


def _rows(view: RunView, text: Text, arms: Sequence[Arm]) -> Iterator[dict[str, str]]:
    for arm in arms:
        found = view.estimate(arm.id, THROUGHPUT, Comparison.VALUE)
        if found is None:
            continue
        gain = view.estimate(arm.id, THROUGHPUT, Comparison.RATIO)
        memory = view.estimate(arm.id, OFFLINE_MEMORY, Comparison.VALUE)
        yield {
            text("column.arm"): words.arm_name(text, arm),
            text("column.n"): _count(view, text, found),
            _label(text): _said(text, found),
            text("column.speed_ratio"): _said(text, gain),
            text("column.memory"): _said(text, memory),
        }


def _count(view: RunView, text: Text, found: Estimate) -> str:
    """Return the clips and the calls that made them: an interval stands on the calls."""
    calls = found.n_clips // clips_a_call(view.plan, LatencyScenario.OFFLINE)
    return text("latency.offline.n", n=found.n_clips, calls=calls)


def _label(text: Text) -> str:
    return words.metric_label(text, THROUGHPUT)


def _said(text: Text, found: Estimate | None) -> str:
    if found is None:
        return text("number.none")
    if found.value is None:
        return remarks.said(text, found.reason)
    value, interval = words.estimate(text, found)
    return value if found.low is None else f"{value} ({interval})"
