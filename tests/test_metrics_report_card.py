"""A metric saw a fault, is blind to all, or was never asked: three different things."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metrics.catalog import CATALOG
from metrics.report_card import CARD, ReportCard, Standing, shipped_card

VERSIONS = {name: row.version for name, row in CATALOG.items()}


def card(auc: dict[str, float | None], paired: dict[str, float | None] | None = None) -> ReportCard:
    """A card of `contrast`, fault by fault."""
    tables = (
        {fault: {"contrast": value} for fault, value in (t or {}).items()} for t in (auc, paired)
    )
    singly, in_pairs = tables
    return ReportCard(64, singly, VERSIONS, in_pairs)


@pytest.mark.parametrize(
    ("auc", "paired", "expected"),
    [
        ({"blur": 0.8}, {}, Standing.SAW),
        ({"blur": 0.79}, {"blur": 0.8}, Standing.SAW),
        ({"blur": 0.79}, {"blur": 0.79}, Standing.BLIND),
        ({"blur": 0.5, "noise": 0.1}, {"blur": 0.5, "noise": 0.0}, Standing.BLIND),
        ({"blur": 0.5, "noise": 0.9}, {"blur": 0.5, "noise": 0.5}, Standing.SAW),
        ({"blur": 0.79}, {}, Standing.UNTESTED),  # scenes differ more than the fault changes them
        ({"blur": 0.5}, {"blur": None}, Standing.UNTESTED),
        ({}, {}, Standing.UNTESTED),
    ],
)  # fmt: skip
def test_a_metric_saw_a_fault_or_is_blind_or_was_not_asked_in_pairs(
    auc: dict[str, float | None], paired: dict[str, float | None], expected: Standing
) -> None:
    assert card(auc, paired).standing("contrast") is expected


def test_what_another_version_saw_does_not_count() -> None:
    seen = card({"blur": 0.9}, {"blur": 1.0})
    older = replace(seen, versions={**VERSIONS, "contrast": VERSIONS["contrast"] + 1})

    assert older.standing("contrast") is Standing.UNTESTED


def test_a_metric_of_a_style_stands_as_its_kind() -> None:
    one = card({"blur": 0.9})
    styled = replace(one, auc={"wrong_style": {"style_similarity": 0.9}})

    assert styled.standing("style_similarity[pastel]") is Standing.SAW


def test_valid_clips_stand_by_the_clips_found_invalid() -> None:
    def found(share: float) -> Standing:
        return ReportCard(64, {"frozen": {"invalid": share}}, VERSIONS).standing("valid_share")

    assert found(1.0) is Standing.SAW
    assert found(0.1) is Standing.BLIND


def test_the_best_told_fault_is_named_whichever_way_it_was_told() -> None:
    assert card({"blur": 0.6, "noise": 0.7}, {"blur": 0.75}).best("contrast") == ("blur", 0.75)
    assert card({}).best("contrast") is None


def test_the_shipped_card_is_the_committed_one_and_no_metric_on_it_is_made_up() -> None:
    shipped = shipped_card()

    assert shipped == ReportCard.from_json(CARD.read_text("utf-8"))
    assert {name for found in shipped.auc.values() for name in found} <= {*CATALOG, "invalid"}
    # Read off the committed table by hand.
    assert shipped.standing("sharpness") is Standing.SAW
    assert shipped.auc["blur"]["sharpness"] == pytest.approx(0.90, abs=0.005)
