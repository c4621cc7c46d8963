"""Whoever doubts an assumption may change it: what follows is marked, and the decision stays."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import reports_fixture as fixture
from streamlit.testing.v1 import AppTest

from poc.cost_records import MoneyOfRun
from poc.cost_scenario import Change, make_scenario, read_scenarios, save_scenario
from reports import dashboard
from reports.load import load_run
from reports.text import LANGUAGES, Language, load_text

VOLUME = "deliverables_per_month"
HOSTILE = "<script>alert(1)</script> **bold**"


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = fixture.plan(count=2)
    run = fixture.write_run(tmp_path_factory.mktemp("runs") / "demo", plan)
    fixture.decide_beside(run, fixture.money(plan), fixture.rights(plan))
    return run


@pytest.fixture
def run(priced: Path, tmp_path: Path) -> Path:
    return shutil.copytree(priced, tmp_path / "demo")


def opened(run: Path, language: Language, patch: pytest.MonkeyPatch) -> AppTest:
    patch.setattr(sys, "argv", [dashboard.__file__, str(run.parent)])
    app = AppTest.from_file(dashboard.__file__, default_timeout=120)
    app.query_params["lang"] = language
    return app.run()


def said(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.warning, *app.error, *app.success, *app.code]
    cells = [str(c) for one in app.table for c in one.value.reset_index().to_numpy().ravel()]
    words = [str(part.value) for part in parts] + cells + [one.label for one in app.expander]
    return re.sub(r"\\(.)", r"\1", "\n".join(words))


def change(app: AppTest, **ends: float) -> AppTest:
    app.multiselect(key="scenario-demo").set_value([VOLUME]).run()
    for end, value in ends.items():
        app.number_input(key=f"scenario-demo-{VOLUME}-{end}").set_value(value)
    return app.run()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_change_stands_beside_the_decision_is_saved_once_and_marked(
    run: Path, monkeypatch: pytest.MonkeyPatch, language: Language
) -> None:
    text, before = load_text(language), {p: p.read_bytes() for p in run.glob("*.json")}
    app = change(opened(run, language, monkeypatch), value=40.0, high=50.0)
    assert text("scenario.mark") in said(app)
    app.text_input(key="scenario-name-demo").set_value(HOSTILE).run()
    app.button(key="scenario-save").click().run()

    assert not app.exception
    ((kept,), wrong) = read_scenarios(run)
    assert (kept.name, kept.changes, wrong) == (
        HOSTILE, (Change(name=VOLUME, value=40.0, low=2.0, high=50.0),), (),
    )  # fmt: skip
    expected = make_scenario(
        run, _money(run), name=HOSTILE, arm="animatelcm-4", changes=kept.changes
    )
    assert kept == expected
    assert {p: p.read_bytes() for p in run.glob("*.json")} == before
    assert text("scenario.kept", name=HOSTILE) in said(opened(run, language, monkeypatch))


def _money(run: Path) -> MoneyOfRun:
    found = load_run(run).money
    assert found is not None
    return found


def test_without_a_change_there_is_nothing_to_save(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = change(opened(run, "en", monkeypatch))

    assert load_text("en")("scenario.mark") not in said(app)
    assert not [one for one in app.button if one.key == "scenario-save"]


def test_a_number_that_may_not_stand_there_and_a_missing_name_are_explained(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = change(opened(run, "en", monkeypatch), value=0.0, low=0.0)
    assert "expected a number of at least" in said(app)
    change(app, value=40.0, low=2.0, high=50.0)
    app.button(key="scenario-save").click().run()

    assert "expected a name" in said(app)
    assert not app.exception
    assert read_scenarios(run) == ((), ())


def test_a_scenario_of_earlier_prices_says_so_and_a_damaged_one_is_named(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_ = Change(name=VOLUME, value=40.0, low=2.0, high=50.0)
    found = make_scenario(run, _money(run), name="old one", arm="animatelcm-4", changes=[change_])
    save_scenario(run, found.model_copy(update={"estimates_digest": "0" * 64}))
    (run / "scenarios" / "torn.json").write_text("{", "utf-8")
    app = opened(run, "en", monkeypatch)

    assert load_text("en")("scenario.stale", name="old one") in said(app)
    assert "torn.json" in said(app)
    assert not app.exception


def test_every_assumption_is_listed_with_its_source_and_the_tornado_is_drawn(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(run, "en", monkeypatch)
    drawn = [one.proto.spec for one in app.get("vega_lite_chart")]
    top = _money(run).cost.tornado[0]

    assert "example, no offer and no measurement (2026-11-25) EXAMPLE" in said(app)
    assert len(drawn) == 1
    assert "DEMONSTRATION" in drawn[0]
    assert top.label.text_en in said(app)
