"""Two runs beside each other, in words: what differs in what was asked and where, and the numbers.

The numbers are those of each run; whether a difference counts is for the gate to say, not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from poc.differences import differences
from poc.records import Arm, Comparison, short_id
from reports import text as words
from reports.judged import SPEED
from reports.load import RunView
from reports.model import Line
from reports.text import Text

SHOWN: Final = 60
"""Differences that are listed; the rest is counted."""


def what_differs(one: RunView, other: RunView, text: Text) -> Iterator[Line]:
    """Yield each difference as place and change, then how many more there are."""
    here, there = ([arm.name for arm in view.plan.arms] for view in (one, other))
    for place, only in (("here", _without(here, there)), ("there", _without(there, here))):
        if only:
            yield Line(text(f"compare.{place}"), text("list.comma").join(only))
    found = [*differences(_compared(one, there), _compared(other, here))]
    for line in found[:SHOWN]:
        place, _, said = line.partition(": ")
        yield Line(words.shown(place), words.shown(said))
    if len(found) > SHOWN:
        yield Line("…", text("compare.more", n=len(found) - SHOWN))


def _without(names: Sequence[str], others: Sequence[str]) -> list[str]:
    return [words.shown(name) for name in names if name not in others]


def _compared(view: RunView, others: Sequence[str]) -> Mapping[str, Any]:
    plan = view.plan.model_dump(mode="json")
    resolved = {found.arm_id: found.model_dump(mode="json") for found in view.resolved}
    arms = {
        arm.name: arm.model_dump(mode="json") | {"resolved": resolved.get(arm.id)}
        for arm in view.plan.arms
        if arm.name in others
    }
    texts = sorted(prompt.text for prompt in view.plan.prompts)
    return {
        "spec": {name: value for name, value in plan["spec"].items() if name != "arms"},
        "criteria": {rule["name"]: rule for rule in plan["criteria"]["criteria"]},
        "arms": arms,
        "prompts": {"count": len(texts), "digest": short_id(texts)},
        "machine": view.manifest.get("fingerprint", {}),
    }


def side_by_side(one: RunView, other: RunView, text: Text) -> Iterator[dict[str, str]]:
    """Yield the quality and the seconds of every arm that both runs have, from each."""
    for arm in one.plan.arms:
        if arm.id in other.arms:
            yield {text("column.arm"): words.arm_name(text, arm)} | {
                text(
                    "compare.of", metric=words.metric_label(text, metric), run=words.shown(run.name)
                ): (_value(run, text, arm, metric))
                for metric in dict.fromkeys((one.estimates.quality_metric, SPEED))
                for run in (one, other)
            }


def _value(view: RunView, text: Text, arm: Arm, metric: str) -> str:
    found = view.estimate(arm.id, metric, Comparison.VALUE)
    if found is None or found.value is None:
        return text("number.none")
    value, interval = words.estimate(text, found)
    return f"{value} ({interval}; {text('n.clips', n=found.n_clips)})"
