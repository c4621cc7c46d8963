"""Charts show intervals and n, mark baseline and demonstration, and draw nothing missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import reports_fixture as fixture
from PIL import Image

from poc.errors import InputError
from reports import charts, figures
from reports.charts import COLOURS, SHAPES, Subject, Theme
from reports.figures import MARKERS
from reports.load import RunView, load_run
from reports.sheet import make_sheet
from reports.text import Language, load_text
from reports.tidy import points_table, target_table

DRAWN = [charts.trade_off, charts.step_curve, charts.metric_bars]


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    run = fixture.write_run(tmp_path_factory.mktemp("runs") / "demo", fixture.plan(count=8))
    return load_run(run)


def subject(language: Language = "en", metric: str = "oracle_all", demo: bool = True) -> Subject:
    return Subject(load_text(language), metric, demo, "95")


def points(view: RunView, metric: str = "oracle_all") -> pd.DataFrame:
    return points_table(view, load_text("en"), metric)


def parts(spec: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary inside a chart's specification."""
    if isinstance(spec, dict):
        yield spec
        for value in spec.values():
            yield from parts(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from parts(value)


def marks(spec: dict[str, Any]) -> list[str]:
    return [layer["mark"]["type"] for layer in spec["layer"]]


@pytest.mark.parametrize("draw", DRAWN)
def test_a_demonstration_is_marked_inside_the_chart_and_nothing_else_is(
    view: RunView, draw: Any
) -> None:
    marked = draw(points(view), subject(), Theme(width=400)).to_dict()
    plain = draw(points(view), subject(demo=False), Theme(width=400)).to_dict()

    assert "DEMONSTRATION / デモ" in str(marked)
    assert "DEMONSTRATION" not in str(plain)
    assert len(marked["layer"]) == len(plain["layer"]) + 1


@pytest.mark.parametrize("draw", DRAWN)
def test_every_chart_shows_intervals_and_n(view: RunView, draw: Any) -> None:
    spec = draw(points(view), subject(), Theme(width=400)).to_dict()

    assert "rule" in marks(spec)
    assert any(part.get("field") == "low" for part in parts(spec))
    assert any(part.get("field") == "n" for part in parts(spec))
    assert spec["title"]["text"] == "n = 62 to 64 clips per mark"


def test_lines_of_money_stand_at_their_seconds_and_only_where_time_is_drawn(view: RunView) -> None:
    money = pd.DataFrame({"seconds": [0.5, 1.0], "amount": ["5 JPY", "10 JPY"]})
    drawn = charts.trade_off(points(view), subject(), Theme(width=400), money=money).to_dict()
    untimed = points(view).assign(seconds=None)
    bare = charts.trade_off(untimed, subject(), Theme(width=400), money=money).to_dict()

    assert "10 JPY" in str(drawn)
    assert "10 JPY" not in str(bare)


def test_the_field_of_the_targets_begins_at_the_baseline_times_and_plus_their_targets(
    view: RunView,
) -> None:
    criteria = {(c.metric, str(c.comparison)): c for c in view.plan.criteria.criteria}
    base = points(view).set_index("baseline").loc[True]
    (corner,) = target_table(view).to_dict("records")

    ratio = criteria["latency_p50_s", "ratio"].target
    assert corner["seconds"] == pytest.approx(base["seconds"] * ratio)
    assert corner["quality"] == base["value"] + criteria["oracle_all", "difference"].target
    drawn = charts.trade_off(
        points(view), subject(), Theme(width=400), target=target_table(view)
    ).to_dict()
    assert drawn["layer"][1]["mark"]["type"] == "rect"
    assert drawn["layer"][1]["encoding"]["x2"] == drawn["layer"][1]["encoding"]["y2"]


def test_a_mark_is_the_fainter_the_fewer_resamples_have_it_on_the_front(view: RunView) -> None:
    spec = charts.trade_off(points(view), subject(), Theme(width=400)).to_dict()
    (faint,) = [part for part in parts(spec) if part.get("field") == "often"]

    assert faint["scale"]["domain"] == [0, 1]
    low, high = faint["scale"]["range"]
    assert 0 < low < high == 1


def test_the_heat_map_holds_value_and_interval_of_every_setting(view: RunView) -> None:
    spec = charts.heat_map(points(view), subject(), Theme(width=400)).to_dict()
    texts = {part["field"] for part in parts(spec) if part.get("field") in {"shown", "interval"}}

    assert texts == {"shown", "interval"}
    (rows,) = [data for data in spec["datasets"].values() if len(data) > 1]
    assert len(rows) == len(points(view))


def test_the_axis_is_seconds_on_a_log_scale(view: RunView) -> None:
    spec = charts.trade_off(points(view), subject(), Theme(width=400)).to_dict()
    axes = [part for part in parts(spec) if part.get("field") == "seconds"]

    assert axes
    assert all(axis["scale"]["type"] == "log" for axis in axes if "scale" in axis)


def test_without_latency_the_axis_is_nfe_and_says_so(view: RunView) -> None:
    untimed = points(view).assign(seconds=None)
    spec = charts.trade_off(untimed, subject(), Theme(width=400)).to_dict()

    assert any(part.get("field") == "nfe" and part.get("type") for part in parts(spec))
    assert not any(part.get("field") == "seconds" for part in parts(spec))
    assert "speed was not measured" in str(spec)


def test_series_differ_in_colour_and_in_shape(view: RunView) -> None:
    spec = charts.trade_off(points(view), subject(), Theme(width=400)).to_dict()
    scales = [part["scale"] for part in parts(spec) if part.get("field") == "group"]

    assert {tuple(s["range"]) for s in scales} == {COLOURS[:6], SHAPES[:6]}


@pytest.mark.parametrize("marks", [SHAPES, MARKERS])
def test_no_mark_comes_twice_among_many_series(marks: tuple[str, ...]) -> None:
    pairs = {(COLOURS[n % len(COLOURS)], marks[n % len(marks)]) for n in range(40)}

    assert len(pairs) == 40


def test_lower_is_better_turns_the_axis_over(view: RunView) -> None:
    def turned(metric: str) -> bool:
        spec = charts.step_curve(
            points(view, metric), subject(metric=metric), Theme(width=400)
        ).to_dict()
        return any(part.get("scale", {}).get("reverse") for part in parts(spec))

    assert turned("kvd")
    assert not turned("oracle_all")


def test_a_missing_interval_is_not_drawn_from_zero(view: RunView) -> None:
    bare = points(view).assign(low=None, high=None)
    svg = charts.to_svg(charts.trade_off(bare, subject(), Theme("currentColor", 400)), "a")

    assert "NaN" not in svg
    spec = charts.trade_off(bare, subject(), Theme(width=400)).to_dict()
    whisker = next(layer for layer in spec["layer"] if "y2" in layer["encoding"])
    assert whisker["transform"] == [{"filter": "isValid(datum.low) && isValid(datum.high)"}]


def test_the_baseline_and_the_best_candidate_are_named_and_no_other_mark_is(view: RunView) -> None:
    named = points(view).set_index("arm_id")["role"]

    assert named[named != ""].to_dict() == {
        view.plan.baseline_id: "baseline",
        view.decision.recommended_arm_id: "best candidate",
    }


def test_where_nothing_is_recommended_the_baseline_alone_is_named(view: RunView) -> None:
    undecided = view.decision.model_copy(update={"recommended_arm_id": None})
    named = points(replace(view, decision=undecided))["role"]

    assert list(named[named != ""]) == ["baseline"]


@pytest.mark.parametrize("draw", [charts.trade_off, charts.step_curve])
def test_names_are_written_at_their_marks(view: RunView, draw: Any) -> None:
    svg = charts.to_svg(draw(points(view), subject(), Theme("currentColor", 400)), "a")

    assert svg.count(">baseline<") == svg.count(">best candidate<") == 1


def test_japanese_charts_have_japanese_axes(view: RunView) -> None:
    table = points_table(view, load_text("ja"), "oracle_all")
    spec = str(charts.trade_off(table, subject("ja"), Theme(width=400)).to_dict())

    assert "1本あたりの生成時間" in spec
    assert "指示どおりの割合（高いほど良い）" in spec
    assert "Seconds per clip" not in spec


@pytest.mark.parametrize("draw", DRAWN)
def test_an_empty_table_gives_an_empty_chart(view: RunView, draw: Any) -> None:
    nothing = points(view).head(0)

    assert "<svg" in charts.to_svg(draw(nothing, subject(), Theme("currentColor", 300)), "e")


def test_two_pictures_on_one_page_share_no_id_and_need_no_address(view: RunView) -> None:
    chart = charts.trade_off(points(view), subject(), Theme("currentColor", 300))
    one, other = charts.to_svg(chart, "one"), charts.to_svg(chart, "two")

    assert one.replace("one-", "two-") == other
    assert "style=" not in one
    assert "href=" not in one
    assert "<script" not in one


# --- stills --------------------------------------------------------------------------------------


def test_the_step_curve_is_written_as_a_picture(view: RunView, tmp_path: Path) -> None:
    figures.step_curve(points(view), subject(), tmp_path / "curve.png")

    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (1280, 720)


def test_japanese_stills_without_a_japanese_font_say_what_to_install(
    view: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "JAPANESE_FONTS", ())
    table = points_table(view, load_text("ja"), "oracle_all")

    with pytest.raises(InputError, match="fonts-noto-cjk"):
        figures.step_curve(table, subject("ja"), tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()


def test_the_contact_sheet_has_a_row_for_each_arm(view: RunView, tmp_path: Path) -> None:
    text, sheet = load_text("en"), make_sheet(view, 2)
    heights = []
    for arms in (view.plan.arms[:2], view.plan.arms[:4]):
        figures.contact_sheet(view, text, sheet, arms, tmp_path / "sheet.jpg")
        with Image.open(tmp_path / "sheet.jpg") as picture:
            heights.append(picture.height)

    assert heights[1] > heights[0]
