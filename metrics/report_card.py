"""What planted faults showed of the metrics: who may gate, who is blind, who was never asked.

Reads the card that `make report-card` measures. Only a metric that saw a fault may gate: a limit on
one that sees none holds nothing back, and looks as if it did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType

from metrics.catalog import CATALOG

SEEN = 0.8
"""AUC, or share of pairs, from which a metric counts as having seen a fault: four of five."""

CARD = Path(__file__).parents[1] / "reports" / "baselines" / "report_card" / "report_card.json"

ON_CARD = MappingProxyType({"validity": "invalid", "valid_share": "invalid"})
"""Metrics that the card has under another name: of validity it counts the clips found invalid."""

_VALIDITY = frozenset(ON_CARD)

Found = Mapping[str, Mapping[str, float | None]]
"""Fault -> metric -> how well they were told apart; None where too few clips had a value."""


class Standing(StrEnum):
    """What the card says of a metric."""

    SAW = "saw"
    """At least one planted fault."""
    BLIND = "blind"
    """None of them, neither clip by clip nor in pairs, as the gate compares."""
    UNTESTED = "untested"
    """The card does not have it, has another version of it, or has it in no pairs."""


@dataclass(frozen=True, slots=True)
class ReportCard:
    """What a report card found, by fault and metric, over `clips` clean and spoilt ones each.

    `auc` is how often a spoilt clip scores worse than any clean one, `paired` how often worse than
    its own clean twin. None where no spoilt clip had a value. `versions` are those of the metrics
    when it was taken.
    """

    clips: int
    auc: Found
    versions: Mapping[str, int]
    paired: Found = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> ReportCard:
        """Read the card as `make report-card` writes it."""
        content = json.loads(text)
        return cls(content["clips"], content["auc"], content["versions"], content.get("paired", {}))

    def of(self, metric: str) -> dict[str, float] | None:
        """AUC of one metric by fault, largest first; None for a metric that is not on the card."""
        return _by_fault(self.auc, metric)

    def of_pairs(self, metric: str) -> dict[str, float] | None:
        """Share of pairs by fault, largest first; None for a metric that was not paired."""
        return _by_fault(self.paired, metric)

    def standing(self, metric: str) -> Standing:
        """Return whether a metric saw a planted fault, as the catalogue defines it now.

        A style in brackets does not count. That a metric saw nothing clip by clip does not make it
        blind: scenes differ more among each other than a fault changes them. Only the comparison
        with the own clean twin, which gate and criteria make too, can show that.

        >>> card = ReportCard(64, {"blur": {"sharpness": 0.9}}, {"sharpness": 1})
        >>> str(card.standing("sharpness")), str(card.standing("contrast"))
        ('saw', 'untested')
        """
        name = metric.partition("[")[0]
        row = CATALOG["validity" if name in _VALIDITY else name]
        if self.versions.get(row.name) != row.version:
            return Standing.UNTESTED
        singly, in_pairs = self.of(name), self.of_pairs(name)
        if any(value >= SEEN for found in (singly, in_pairs) for value in (found or {}).values()):
            return Standing.SAW
        # A clip is invalid or not, whatever its twin is.
        compared = singly if name in _VALIDITY else in_pairs
        return Standing.BLIND if compared else Standing.UNTESTED

    def best(self, metric: str) -> tuple[str, float] | None:
        """Return the fault that a metric told apart best and how well; None where it has none."""
        name = metric.partition("[")[0]
        found = {**(self.of(name) or {})}
        for fault, value in (self.of_pairs(name) or {}).items():
            found[fault] = max(value, found.get(fault, 0.0))
        return max(found.items(), key=lambda one: one[1]) if found else None


@cache
def shipped_card() -> ReportCard:
    """Return the card that this version comes with."""
    return ReportCard.from_json(CARD.read_text("utf-8"))


def _by_fault(table: Found, metric: str) -> dict[str, float] | None:
    name = ON_CARD.get(metric, metric)
    if not any(name in found for found in table.values()):
        return None
    known = {fault: found.get(name) for fault, found in table.items()}
    there = {fault: value for fault, value in known.items() if value is not None}
    return dict(sorted(there.items(), key=lambda item: -item[1]))
