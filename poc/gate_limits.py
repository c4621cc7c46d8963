"""Reading the limits of the gate: strict YAML in, one record out, every fault with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from metrics.catalog import CATALOG, Direction
from poc.errors import did_you_mean
from poc.fault_evidence import blindness
from poc.gate_records import GateLimits, MetricLimit
from poc.gate_verdicts import Accepted
from poc.latency_estimates import STAGES
from poc.records import Comparison
from poc.samples import SHARE_OF_CLIPS, VALID_SHARE
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse

DEFAULT_LIMITS: Final = Path(__file__).parent / "specs" / "gates" / "default.yaml"


def read_limits(path: Path) -> GateLimits:
    """Read a limits file; raises `InputError` with the line of every fault."""
    node = load(read_text(path), path)
    limits = decode(GateLimits, node, path)
    refuse(path, _problems(limits, node))
    return limits


def base_name(metric: str) -> str:
    """Return a metric's name without the style that it looks for.

    >>> base_name("style_similarity[pastel]")
    'style_similarity'
    """
    return metric.partition("[")[0]


def limit_of(limits: GateLimits, metric: str) -> MetricLimit | None:
    """Return the limit of a metric as measured, None when there is none."""
    return next((one for one in limits.quality if one.metric == base_name(metric)), None)


def is_judged(limits: GateLimits, metric: str) -> bool:
    """Return False for a metric that the limits say is never judged."""
    return base_name(metric) not in {one.metric for one in limits.not_judged}


def comparison_of(limit: MetricLimit) -> Comparison:
    """Return how head and base are compared under a limit."""
    return Comparison(limit.scale)


def accepted_changes(limit: MetricLimit) -> Accepted:
    """Return the changes that a limit accepts, by the catalogue's better side.

    Raises:
        ValueError: the catalogue does not know the metric; `read_limits` refuses such a limit.
    """
    ratio = limit.scale == "ratio"
    if limit.window is not None:
        return Accepted(1 / limit.window if ratio else -limit.window, limit.window)
    if limit.margin is None or limit.metric not in CATALOG:
        raise ValueError(f"limits: metric {limit.metric!r} has no margin, or no better side")
    centre = 1.0 if ratio else 0.0
    if CATALOG[limit.metric].direction is Direction.HIGHER:
        return Accepted(centre - limit.margin, None)
    return Accepted(None, centre + limit.margin)


# --- faults --------------------------------------------------------------------------------------


def _problems(limits: GateLimits, node: Node) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for section in ("quality", "speed", "not_judged"):
        for place, one in enumerate(getattr(limits, section)):
            line = node.get(section, place, "metric").line
            if one.metric in seen:
                yield Problem(
                    line,
                    f"metric '{one.metric}' is given twice, first on line {seen[one.metric]}. "
                    "Keep one of them.",
                )
            seen.setdefault(one.metric, line)
    for place, limit in enumerate(limits.quality):
        yield from _limit_problems(limit, node.get("quality", place))
    for place, speed in enumerate(limits.speed):
        if speed.metric not in STAGES:
            line = node.get("speed", place, "metric").line
            hint = did_you_mean(speed.metric, STAGES)
            yield Problem(line, f"unknown stage '{speed.metric}' of the latency pass. {hint}")


def _limit_problems(limit: MetricLimit, node: Node) -> Iterator[Problem]:
    line, row = node.get("metric").line, CATALOG.get(limit.metric)
    if limit.metric == VALID_SHARE or row is None:
        known = set(CATALOG) - {"validity"}
        yield Problem(line, f"unknown metric '{limit.metric}'. {did_you_mean(limit.metric, known)}")
        return
    if row.direction is Direction.NONE:
        yield Problem(line, f"metric '{limit.metric}' describes and has no worse side. Remove it.")
    wants_window = row.direction is Direction.TARGET
    if wants_window != (limit.window is not None):
        right = "'window': too little and too much are worse" if wants_window else "'margin'"
        yield Problem(line, f"metric '{limit.metric}': expected {right}.")
    if row.unit == SHARE_OF_CLIPS and limit.scale == "ratio":
        text = f"metric '{limit.metric}' is a share of clips: expected scale 'difference'."
        yield Problem(node.get("scale").line, text)
    if text := blindness(limit.metric):
        yield Problem(line, text)
