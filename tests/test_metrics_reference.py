"""The reference page is the catalogue and the report card, as they are now."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from metrics import CATALOG, describe, reference
from metrics.reference import PAGE, page
from metrics.report_card import CARD, ReportCard

TEXT = PAGE.read_text("utf-8")
READ = ReportCard.from_json(CARD.read_text("utf-8"))
SAW = re.compile(r"([a-z ]+?) \((\d\.\d\d)\)")


def _section(name: str, text: str = TEXT) -> str:
    found = re.search(rf"^## `{re.escape(name)}`\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def _faults(name: str, words: str) -> dict[str, str]:
    """What a metric's line of the card lists after some words, were its card of this version."""
    versions = {name: row.version for name, row in CATALOG.items()}
    section = _section(name, page(replace(READ, versions=versions)))
    (line,) = re.findall(r"^- \*\*Report card\*\* (.*)\.$", section, re.MULTILINE)
    parts = [part.strip() for part in line.split(";")]
    listed = [part.removeprefix(words) for part in parts if part.startswith(words)]
    return {fault.strip(", "): auc for part in listed for fault, auc in SAW.findall(part)}


def _bold_cells() -> dict[str, dict[str, str]]:
    """What the card's own table prints in bold, by metric and fault: another writer than ours."""
    table = CARD.with_suffix(".md").read_text("utf-8").partition("## In pairs")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| ")
    ]
    faults = rows[0][1:]
    return {
        metric: {f: c.strip("*") for f, c in zip(faults, cells, strict=True) if c.startswith("*")}
        for metric, *cells in rows[2:]
    }


def test_the_page_is_up_to_date() -> None:
    assert page(READ) == TEXT, "out of date: run `make metric-reference`"


@pytest.mark.parametrize("name", list(CATALOG))
def test_every_metric_says_what_it_measures_what_it_does_not_see_and_whose_idea_it_was(
    name: str,
) -> None:
    row, section = describe(name), _section(name)

    for told in (row.label_en, row.label_ja, row.what, row.not_seen, row.unit, row.source):
        assert told in section
    assert f"**Version** {row.version}" in section


@pytest.mark.parametrize("name", sorted(_bold_cells()))
def test_what_a_metric_saw_is_what_the_card_prints_in_bold(name: str) -> None:
    assert _faults(name, "saw ") == _bold_cells()[name]


def test_a_fault_that_a_metric_rewards_is_told() -> None:
    # Blur takes away what could change from frame to frame: the card has 0.09.
    assert "blur" in _faults("warping_error", "scored as better")
    assert "blur" not in _faults("sharpness", "scored as better")


def test_what_only_pairs_show_is_told_apart_from_what_single_clips_do() -> None:
    pairs = {"blur": {"contrast": 0.9, "sharpness": 1.0}, "noise": {"contrast": 0.79}}

    text = page(replace(READ, paired=pairs))

    assert "saw none of the planted faults; in pairs also blur (0.90)." in _section(
        "contrast", text
    )
    assert "in pairs" not in _section("sharpness", text)  # blur is seen clip by clip


def test_of_validity_the_card_counts_invalid_clips() -> None:
    assert _faults("validity", "saw ") == {"frozen": "1.00"}


def test_a_metric_that_is_not_on_the_card_says_so() -> None:
    assert "**Report card** not on it." in _section("raft_motion")


def test_another_card_or_another_row_makes_the_page_out_of_date(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    auc = {fault: dict(found) for fault, found in READ.auc.items()}
    auc["blur"]["contrast"] = 0.97
    assert "saw blur (0.97)" in _section("contrast", page(replace(READ, auc=auc)))

    raised = {**CATALOG, "contrast": replace(describe("contrast"), version=9)}
    monkeypatch.setattr(reference, "CATALOG", raised)
    section = _section("contrast", page(READ))
    assert "**Version** 9" in section
    assert "taken at version 1: run `make report-card`" in section


def test_links_of_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    anchors = set(re.findall(r"\]\(#([^)]+)\)", TEXT))

    assert [link for link in links if not (PAGE.parent / link).exists()] == []
    assert anchors == set(CATALOG)


def test_the_page_is_written_where_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reference, "PAGE", tmp_path / "REFERENCE.md")

    reference.main()

    assert (tmp_path / "REFERENCE.md").read_text("utf-8") == TEXT
