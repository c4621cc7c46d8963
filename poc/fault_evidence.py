"""Only metrics that saw a planted fault may gate: asks the card of every limit and criterion.

Speed and memory are no pictures and are not asked for. A metric that the card shows to be blind is
refused where a file is read; one that the card has not tested is named, and may be used meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable

from metrics.catalog import CATALOG
from metrics.report_card import ON_CARD, ReportCard, Standing, shipped_card

_CURE = "run `make report-card`"


def blindness(metric: str, card: ReportCard | None = None) -> str:
    """Return why a metric may hold nothing back; empty where it may, or was not tested yet."""
    asked = card or shipped_card()
    if not _is_pictorial(metric) or asked.standing(metric) is not Standing.BLIND:
        return ""
    best = asked.best(metric)
    nearest = f", {best[1]:.2f} of 1 at best ({best[0].replace('_', ' ')})" if best else ""
    return (
        f"metric '{metric}' saw none of the {len(asked.auc)} faults planted for the report "
        f"card{nearest}: only a metric that saw one may hold a clip back. Take it out, or {_CURE} "
        "with a fault that it is made for."
    )


def untested(metrics: Iterable[str], card: ReportCard | None = None) -> str:
    """Return a sentence on the metrics that no planted fault has tested; empty without any."""
    asked = card or shipped_card()
    names = [
        one
        for one in dict.fromkeys(metrics)
        if _is_pictorial(one) and asked.standing(one) is Standing.UNTESTED
    ]
    if not names:
        return ""
    return (
        f"not tested by planted faults yet: {', '.join(names)}. Whether a fault would show in them "
        f"is not known: {_CURE}."
    )


def _is_pictorial(metric: str) -> bool:
    """Return whether a metric looks at clips: not at a clock or an allocator."""
    row = CATALOG.get(metric.partition("[")[0])
    if row is None:
        return metric in ON_CARD
    return row.takes != ("samples",) and row.name != "peak_memory_bytes"
