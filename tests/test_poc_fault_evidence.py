"""Only metrics that saw a planted fault may gate; what was never tested is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics.catalog import CATALOG
from metrics.report_card import ReportCard
from poc import fault_evidence
from poc.errors import InputError
from poc.fault_evidence import blindness, untested
from poc.gate_limits import DEFAULT_LIMITS, read_limits
from poc.spec import read_criteria

CRITERIA = sorted((DEFAULT_LIMITS.parents[1] / "criteria").glob("*.yaml"))
VERSIONS = {name: row.version for name, row in CATALOG.items()}


def card(**values: float) -> ReportCard:
    """A card on which each metric told blur apart so well, clip by clip and in pairs."""
    found = {"blur": dict(values)}
    return ReportCard(64, found, VERSIONS, found)


def test_a_metric_that_saw_no_fault_is_named_with_its_best_and_the_cure() -> None:
    said = blindness("contrast", card(contrast=0.62))

    assert "'contrast' saw none of the 1 faults" in said
    assert "0.62 of 1 at best (blur)" in said
    assert "make report-card" in said
    assert blindness("contrast", card(contrast=0.95)) == ""


def test_a_metric_that_no_fault_tested_is_no_blind_one_and_is_named() -> None:
    one = card(contrast=0.95, flicker=0.5)

    assert blindness("kvd", one) == ""
    assert "yet: kvd, saturation." in untested(["contrast", "kvd", "saturation", "kvd"], one)
    assert untested(["contrast", "flicker"], one) == ""


@pytest.mark.parametrize("metric", ["latency_p50_s", "latency_denoise_p50_s", "peak_memory_bytes"])
def test_clocks_and_allocators_are_not_asked_what_they_saw(metric: str) -> None:
    assert blindness(metric, card()) == untested([metric], card()) == ""


@pytest.fixture
def blind_to_light(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card by which `flicker` sees nothing and all others see blur."""
    values = dict.fromkeys(CATALOG, 1.0) | {"invalid": 1.0, "flicker": 0.4}
    monkeypatch.setattr(fault_evidence, "shipped_card", lambda: card(**values))


@pytest.mark.usefixtures("blind_to_light")
def test_a_gate_with_a_blind_metric_is_refused_at_its_line_and_without_it_is_read(
    tmp_path: Path,
) -> None:
    text = DEFAULT_LIMITS.read_text("utf-8")
    line = text[: text.index("- metric: flicker")].count("\n") + 1
    with pytest.raises(InputError, match=rf"default\.yaml:{line}: metric 'flicker' saw none"):
        read_limits(DEFAULT_LIMITS)

    start = text.index("  - metric: flicker")
    rest = text[:start] + text[text.index("  - metric: luminance_jump") :]
    (tmp_path / "rest.yaml").write_text(rest, "utf-8")
    assert read_limits(tmp_path / "rest.yaml").quality


@pytest.mark.usefixtures("blind_to_light")
def test_criteria_with_a_blind_metric_are_refused_and_others_are_read() -> None:
    by_name = {path.stem: path for path in CRITERIA}

    with pytest.raises(InputError, match=r"demonstration\.yaml:\d+: metric 'flicker' saw none"):
        read_criteria(by_name["demonstration"])
    assert read_criteria(by_name["real-size"]).criteria


def test_no_shipped_limit_or_criterion_rests_on_a_metric_that_the_card_shows_blind() -> None:
    asked = {limit.metric for limit in read_limits(DEFAULT_LIMITS).quality}
    asked |= {one.metric for path in CRITERIA for one in read_criteria(path).criteria}

    assert {metric for metric in asked if blindness(metric)} == set()
