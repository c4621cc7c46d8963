"""What people would publish, as a picture: in reports, slides and page; or that nobody judged."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pypdfium2
import pytest
import reports_fixture as fixture
from pptx import Presentation
from pptx.oxml.ns import qn
from streamlit.testing.v1 import AppTest

from poc.panel import ClipTrial
from poc.vote_records import Verdict
from reports import charts, dashboard
from reports.charts import Subject, Theme
from reports.content import make_content
from reports.export import html, markdown, pdf, pptx
from reports.load import RunView, load_run
from reports.text import LANGUAGES, Language, arm_name, load_text
from reports.tidy import acceptance_table

EN = load_text("en")
NOBODY = {
    "en": "People have not judged single clips yet.",
    "ja": "クリップを1本ずつ見た人の評価は、まだありません。",
}


def taste(trial: ClipTrial) -> Verdict:
    """A third of the prompts each: published, after retouch, not."""
    return list(Verdict)[int(trial.prompt_id, 16) % 3]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fixture.plan(count=16)
    return fixture.write_run(tmp_path_factory.mktemp("bare") / "runs" / "demo", made)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    run = fixture.write_run(folder / "runs" / "demo", fixture.plan(count=16))
    fixture.judge(run, folder / "answers", taste)
    return run


@pytest.fixture(scope="module")
def view(judged: Path) -> RunView:
    return load_run(judged)


def kept(run: Path) -> dict[str, Any]:
    """The summed-up judgements of the only arm that was judged."""
    (arm,) = json.loads((run / "rating" / "votes.json").read_text("utf-8"))["summary"]["arms"]
    found: dict[str, Any] = arm["kept"]
    return found


def squeezed(text: str) -> str:
    """Text without any space: where lines break is each document's own."""
    return re.sub(r"\s|\u200b", "", text)


def words_of(written: bytes) -> str:
    document = pypdfium2.PdfDocument(written)
    try:
        return "".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


# --- the numbers ---------------------------------------------------------------------------------


def test_the_parts_of_a_bar_are_shares_of_the_answers(judged: Path, view: RunView) -> None:
    found, rows = kept(judged), acceptance_table(view, EN)
    votes, yes, retouch = found["n_votes"], found["yes"], found["retouch"]

    assert min(yes, retouch, found["no"]) > 0
    assert list(rows["count"]) == [yes, retouch, found["no"]]
    assert list(rows["start"]) == pytest.approx([0, yes / votes, (yes + retouch) / votes])
    assert list(rows["end"]) == pytest.approx([yes / votes, (yes + retouch) / votes, 1])
    assert set(rows["n"]) == {votes}


def test_each_end_carries_its_own_interval_and_the_last_none(judged: Path, view: RunView) -> None:
    found, rows = kept(judged), acceptance_table(view, EN)

    for place, name in enumerate(("acceptance", "with_retouch")):
        ends = rows.iloc[place][["low", "high"]]
        assert list(ends) == [found[name]["low"], found[name]["high"]]
    assert rows.iloc[2][["low", "high"]].isna().all()


def test_minutes_of_a_review_stand_below_the_bar_with_their_interval(view: RunView) -> None:
    (note,) = set(acceptance_table(view, EN)["note"])

    assert "5 raters" in note
    assert "0.25 minutes (" in note  # 15 s are a quarter of a minute


# --- the picture ---------------------------------------------------------------------------------


def test_the_chart_draws_bars_both_intervals_and_n(view: RunView) -> None:
    drawn = charts.acceptance(
        acceptance_table(view, EN), Subject(EN, "oracle_all", True, "95"), Theme(width=400)
    ).to_dict()
    kinds = [layer["mark"]["type"] for layer in drawn["layer"]]

    assert (kinds.count("bar"), kinds.count("rule"), kinds.count("point")) == (1, 2, 2)
    assert drawn["title"]["text"].startswith("n = ")
    assert "DEMONSTRATION" in str(drawn)


@pytest.mark.parametrize("language", LANGUAGES)
def test_reports_show_the_bars_in_both_languages(view: RunView, language: Language) -> None:
    text = load_text(language)
    note = acceptance_table(view, text)["note"].iloc[0].split("\n")[0]
    page = html.render(view)

    assert page.count(f">{text('chart.acceptance')}<") == 2  # for wide pages and for narrow ones
    assert note in page
    assert squeezed(note) in squeezed(words_of(pdf.render(view, text)))
    assert NOBODY[language] not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_nobody_judged_a_clip_reports_say_so_and_how_to_ask(
    bare: Path, language: Language
) -> None:
    nobody, text = load_run(bare), load_text(language)
    page, written = html.render(nobody), markdown.render(nobody, text)

    assert f">{text('chart.acceptance')}<" not in page
    for said in map(squeezed, (page, written, words_of(pdf.render(nobody, text)))):
        assert squeezed(NOBODY[language]) in said
        assert "pocratepackRUN--raters6--formclips" in said


def test_where_every_rater_failed_the_catch_clips_no_bar_is_drawn(judged: Path) -> None:
    path = judged / "rating" / "votes.json"
    before = path.read_text("utf-8")
    held = json.loads(before)
    none = {"value": None, "low": None, "high": None, "method": "", "reason": "no votes"}
    counts = dict.fromkeys(
        ("n_votes", "n_raters", "n_prompts", "n_clips", "yes", "retouch", "no"), 0
    )
    held["summary"]["arms"][0]["kept"] |= counts | {
        "acceptance": none, "with_retouch": none, "review_min": none, "reasons": {},
    }  # fmt: skip
    try:
        path.write_text(json.dumps(held), "utf-8")
        spoiled = load_run(judged)
    finally:
        path.write_text(before, "utf-8")

    assert acceptance_table(spoiled, EN).empty
    assert EN("clips.all_left_out") in html.render(spoiled)


def test_judgements_that_are_not_summed_up_are_not_called_none(
    judged: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(judged, tmp_path / "demo")
    (copied / "rating" / "votes.json").unlink()
    found = make_content(load_run(copied), EN).no_clips

    assert found == (EN("people.open"), EN("people.show"))


# --- slides --------------------------------------------------------------------------------------


def bars_of(view: RunView) -> list[Any]:
    deck = Presentation(io.BytesIO(pptx.render(view, EN)))
    shapes = [shape for slide in deck.slides for shape in slide.shapes]
    drawn = [shape.chart for shape in shapes if shape.has_chart]
    return [chart for chart in drawn if chart.plots[0].categories]


def test_the_slide_holds_the_bars_as_numbers_with_the_interval_of_what_is_accepted(
    judged: Path, view: RunView
) -> None:
    (chart,) = bars_of(view)
    found = kept(judged)
    parts = [next(iter(one.values)) for one in chart.plots[0].series]
    (bars,) = chart.plots[0].series[0]._element.findall(qn("c:errBars"))
    plus, minus = ([float(v.text) for v in bars.find(qn(f"c:{way}")).iter(qn("c:v"))]
                   for way in ("plus", "minus"))  # fmt: skip
    accepted = found["acceptance"]

    counts = (found["yes"], found["retouch"], found["no"])
    assert parts == pytest.approx([count / found["n_votes"] for count in counts])
    assert plus == pytest.approx([accepted["high"] - accepted["value"]])
    assert minus == pytest.approx([accepted["value"] - accepted["low"]])


def test_a_full_slide_keeps_focus_and_baseline_and_counts_the_others(
    view: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, focus = acceptance_table(view, EN), make_content(view, EN).focus
    baseline = arm_name(EN, view.baseline)
    names = ["a", "b", "c", "d", baseline, focus]
    many = pd.concat([rows.assign(arm=name) for name in names])
    monkeypatch.setattr(pptx, "acceptance_table", lambda *_: many)
    deck = Presentation(io.BytesIO(pptx.render(view, EN)))
    (slide,) = (one for one in deck.slides if EN("section.acceptance") in one.shapes.title.text)
    (table,) = (shape.table for shape in slide.shapes if shape.has_table)
    said = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]

    assert [row.cells[0].text for row in table.rows][1:] == [focus, baseline, "a", "b"]
    assert any(EN("document.elsewhere", n=2) in one for one in said)


def test_there_is_no_such_slide_where_nobody_judged(bare: Path) -> None:
    assert bars_of(load_run(bare)) == []


def test_judgements_too_few_to_lean_on_say_so_wherever_the_bars_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, view: RunView
) -> None:
    run = fixture.write_run(tmp_path / "runs" / "demo", fixture.plan(count=3))
    fixture.judge(run, tmp_path / "answers", lambda _: Verdict.YES)
    few = load_run(run)
    (found,) = make_content(few, EN).clips
    entry = Path(dashboard.__file__)
    monkeypatch.setattr(sys, "argv", [str(entry), str(run.parent)])
    app = AppTest.from_file(entry, default_timeout=60)
    app.query_params["lang"] = "en"
    app.run()
    deck = Presentation(io.BytesIO(pptx.render(few, EN)))
    slides = " ".join(
        shape.text_frame.text for s in deck.slides for shape in s.shapes if shape.has_text_frame
    )

    assert found.caution
    assert found.caution in html.render(few, language="en")
    assert found.caution in slides
    assert found.caution in [one.value.replace("\\", "") for one in app.warning]
    (enough,) = make_content(view, EN).clips
    assert not enough.caution


# --- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_decision_page_draws_it_or_says_that_nobody_judged(
    monkeypatch: pytest.MonkeyPatch, bare: Path, judged: Path, language: Language
) -> None:
    entry, drawn = Path(dashboard.__file__), {}
    for run in (bare, judged):
        monkeypatch.setattr(sys, "argv", [str(entry), str(run.parent)])
        app = AppTest.from_file(entry, default_timeout=60)
        app.query_params["lang"] = language
        app.run()
        said = [str(one.value).replace("\\", "") for one in app.markdown]
        drawn[run] = len(app.get("vega_lite_chart")), NOBODY[language] in said

    assert drawn == {bare: (0, True), judged: (1, False)}
