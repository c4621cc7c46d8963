"""The pages show what the run says, in both languages, and survive runs that cannot be shown."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import reports_fixture as fixture
from streamlit.testing.v1 import AppTest

from poc.latency_scenarios import scenario_outcomes
from poc.records import (
    Arm,
    Estimate,
    LatencySample,
    LatencyScenario,
    LatencySpec,
    OfflineSpec,
    Plan,
    Telemetry,
)
from poc.vote_records import Outcome, Verdict
from reports import dashboard, telemetry
from reports.content import make_content
from reports.judged import focus_arm
from reports.load import load_run
from reports.model import Content
from reports.text import LANGUAGES, Language, harmless_cell, load_text, shown

ENTRY = Path(dashboard.__file__)
ROOT = Path(__file__).parents[1]
PAGES = [f"app_pages/{name}.py" for name in dashboard.PAGES]
Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    fixture.write_run(folder / "demo", fixture.plan(count=4, hostile=True))
    fixture.write_run(folder / "half", fixture.plan(count=1), decided=False)
    (folder / "broken").mkdir()
    (folder / "broken" / "manifest.json").write_text("{", "utf-8")
    (folder / "newer").mkdir()
    (folder / "newer" / "manifest.json").write_text('{"format_version": 99}', "utf-8")
    return folder


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch) -> Open:
    def opened(folder: Path, language: Language = "en", page: str = "") -> AppTest:
        monkeypatch.setattr(sys, "argv", [str(ENTRY), str(folder)])
        app = AppTest.from_file(ENTRY, default_timeout=60)
        app.query_params["lang"] = language
        app.run()
        return app.switch_page(page).run() if page else app

    return opened


def words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.subheader, *app.warning, *app.error, *app.info]
    values = [str(part.value) for part in parts]
    values += [f"{metric.label} {metric.value}" for metric in app.metric]
    return re.sub(r"\\(.)", r"\1", "\n".join(values))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_drawn_in_both_languages(
    open_app: Open, runs: Path, page: str, language: Language
) -> None:
    app = open_app(runs, language, page)

    assert not app.exception
    assert load_text(language)("banner.demonstration") in words(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_decision_page_says_what_the_run_says(
    open_app: Open, runs: Path, language: Language
) -> None:
    app = open_app(runs, language)
    content = make_content(load_run(runs / "demo"), load_text(language))

    assert content.headline in words(app)
    assert [metric.value for metric in app.metric] == [n.cell.value for n in content.numbers]
    assert all(number.cell.interval in words(app) for number in content.numbers)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            (
                "Speed against the baseline, median of the rounds' ratios: ×{value} "
                "(×{low} to ×{high}), so ×{share} of its seconds"
            ),
        ),
        (
            "ja",
            "ベースラインに対する速さ（各回の比の中央値）：{value}倍（{low}倍～{high}倍）。生成時間はベースラインの{share}倍",
        ),
    ],
)
def test_the_speed_at_the_top_is_one_over_the_share_of_seconds_of_that_arm(
    runs: Path, language: Language, said: str
) -> None:
    view = load_run(runs / "demo")
    content = make_content(view, load_text(language))
    arms = json.loads((runs / "demo" / "estimates.json").read_text("utf-8"))["arms"]
    (found,) = (
        one
        for arm in arms
        for one in arm["estimates"]
        if arm["arm"]["id"] == focus_arm(view).id
        and (one["metric"], one["comparison"]) == ("latency_p50_s", "ratio")
    )
    ends = {"value": found["value"], "low": found["high"], "high": found["low"]}
    figures = {name: f"{1 / end:#.3g}" for name, end in ends.items()}

    expected = said.format(**figures, share=f"{found['value']:#.3g}")
    assert content.numbers[1].lines[0] == expected


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run that has prices, a rights file and votes."""
    folder, plan = tmp_path_factory.mktemp("judged"), fixture.plan(count=2)
    run = fixture.write_run(folder / "runs" / "demo", plan)
    fixture.decide_beside(run, fixture.money(plan), fixture.rights(plan))
    fixture.vote(run, folder / "answers", lambda _trial: Outcome.TIE)
    fixture.judge(run, folder / "judged", lambda _trial: Verdict.RETOUCH)
    return run.parent


@pytest.mark.parametrize("language", LANGUAGES)
def test_money_rights_and_votes_are_on_the_decision_page(
    open_app: Open, judged: Path, language: Language
) -> None:
    app = open_app(judged, language)
    content = make_content(load_run(judged / "demo"), load_text(language))
    said, tables = words(app), tabled(app)

    assert not app.exception
    people, _, money = content.numbers
    for sentence in (*people.lines, money.cell.interval, content.asked, content.rights.last_day):
        assert sentence in said
    assert all(row.cost in tables for row in content.ways.rows)
    assert all(way in tables for part in content.rights.parts for way in part.ways_out)
    assert all(line.said in tables for line in (*content.stops, *content.judges))
    for row in content.actions:
        assert all(one in tables for one in (row.what, row.who, row.effect))
        assert row.due.replace("-", "\u2011") in tables


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_vote_and_the_parts_of_the_cost_are_among_the_evidence(
    open_app: Open, judged: Path, language: Language
) -> None:
    app = open_app(judged, language, "app_pages/evidence.py")
    content = make_content(load_run(judged / "demo"), load_text(language))
    tables = tabled(app)

    assert not app.exception
    assert content.money is not None
    assert all(line.said in tables for line in (*content.money.parts, *content.money.returns))
    assert all(row.counts in tables for found in content.people for row in found.rows)
    assert content.clips
    assert all(line.said in tables for found in content.clips for line in found.lines)
    assert "<img" in tables  # a rater's name, as letters: Markdown takes its signs for text
    assert "\u202e" not in tables


def tabled(app: AppTest) -> str:
    """Return all words of the page's tables, as people see them."""
    cells = [str(cell) for one in app.table for cell in one.value.reset_index().to_numpy().ravel()]
    raw = "\n".join(cells)
    assert "\n<" not in raw  # a sign that could begin a tag is escaped
    return re.sub(r"\\(.)", r"\1", raw)


def test_no_japanese_is_left_on_an_english_page(open_app: Open, runs: Path, judged: Path) -> None:
    everything = [(runs, page) for page in PAGES]
    for folder, page in (*everything, (judged, PAGES[0]), (judged, PAGES[-1])):
        said = words(open_app(folder, "en", page)).replace(shown(fixture.HOSTILE), "")

        assert not re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]+", said), page


def test_no_english_sentence_is_left_in_the_tables_of_a_japanese_page(
    open_app: Open, runs: Path
) -> None:
    app = open_app(runs, "ja", "app_pages/evidence.py")
    (estimates,) = app.dataframe
    cells = [str(cell) for cell in estimates.value.to_numpy().ravel()]
    said = re.sub("「.+?」", "", "\n".join([*cells, tabled(app)]))  # a prompt, as it was given

    assert re.findall(r"(?:\b[a-z]{2,} ){3,}", said) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_criterion_stands_once_in_the_table_of_its_weight(
    open_app: Open, runs: Path, language: Language
) -> None:
    text = load_text(language)
    app = open_app(runs, language, "app_pages/evidence.py")
    content = make_content(load_run(runs / "demo"), text)
    must, should = (
        {plainly(one) for one in table.value.columns}
        for table in app.table
        if plainly(table.value.index.name) == text("column.arm")
        and {plainly(one) for one in table.value.columns} & criteria(content)
    )
    weights = {line.term: line.said for line in content.criterion_columns}

    assert must == {
        text("column.light"),
        *(one for one in weights if weights[one] == text("weight.must")),
    }
    assert should == {w for w in weights if weights[w] == text("weight.should")}


def criteria(content: Content) -> set[str]:
    return {line.term for line in content.criterion_columns}


def plainly(said: object) -> str:
    return re.sub(r"\\(.)", r"\1", str(said))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_differs_from_a_claim_stands_once_under_the_letters_of_its_rows(
    open_app: Open, runs: Path, language: Language
) -> None:
    text = load_text(language)
    app = open_app(runs, language, "app_pages/evidence.py")
    content = make_content(load_run(runs / "demo"), text)
    claims, letters = (
        next(one.value for one in app.table if one.value.index.name == text(f"column.{name}"))
        for name in ("claim", "letter")
    )
    legend = {letter: plainly(row.iloc[0]) for letter, row in letters.iterrows()}

    assert len(legend) == len(set(legend.values())) > 5
    for row, marks in zip(content.claims, claims[text("column.differs")], strict=True):
        assert [legend[one] for one in marks.split()] == list(row.differs)


def test_charts_carry_the_watermark(open_app: Open, runs: Path) -> None:
    app = open_app(runs, "en", "app_pages/trade_off.py")
    drawn = app.get("vega_lite_chart")

    assert len(drawn) == 4
    assert all("DEMONSTRATION" in chart.proto.spec for chart in drawn)


def test_the_language_can_be_switched(open_app: Open, runs: Path) -> None:
    app = open_app(runs, "en")
    app.segmented_control(key="language").set_value("ja").run()

    assert not app.exception
    assert load_text("ja")("section.numbers") in words(app)
    assert load_text("en")("section.numbers") not in words(app)


def test_an_empty_folder_says_what_to_type(open_app: Open, tmp_path: Path) -> None:
    app = open_app(tmp_path)

    assert not app.exception
    assert app.code[0].value == f"poc run --out {tmp_path / 'demo'}"


def test_the_first_run_that_can_be_shown_is_shown(open_app: Open, runs: Path) -> None:
    assert open_app(runs).selectbox(key="run").value == runs / "demo"


@pytest.mark.parametrize(
    ("name", "sentence", "hint"),
    [
        ("broken", "problem.damaged", "manifest.json"),
        ("half", "problem.not_decided", "poc decide"),
        ("newer", "problem.newer", "format version 99"),
    ],
)
def test_a_run_that_cannot_be_shown_says_why_and_the_others_stay(
    open_app: Open, runs: Path, name: str, sentence: str, hint: str
) -> None:
    app = open_app(runs)
    app.selectbox(key="run").set_value(runs / name).run()

    assert not app.exception
    assert load_text("en")(sentence, name=name) in words(app)
    assert hint in app.code[0].value
    app.selectbox(key="run").set_value(runs / "demo").run()
    assert len(app.metric) == 3


def test_a_run_that_is_still_going_says_how_far_it_is(open_app: Open, runs: Path) -> None:
    app = open_app(runs)
    app.selectbox(key="run").set_value(runs / "half").run()
    arms = len(fixture.ARMS)

    assert load_text("en")("problem.made", made=arms, planned=arms) in words(app)


def test_another_run_is_compared_when_it_is_chosen_and_a_damaged_one_says_why(
    open_app: Open, runs: Path, judged: Path
) -> None:
    app = open_app(runs, "en", "app_pages/evidence.py")
    other = app.selectbox(key="other")
    assert other.value is None
    other.set_value(runs / "broken").run()

    assert not app.exception
    assert load_text("en")("problem.damaged", name="broken") in words(app)
    alone = open_app(judged, "en", "app_pages/evidence.py")
    assert load_text("en")("compare.none") in words(alone)


def test_two_runs_stand_side_by_side(open_app: Open, tmp_path: Path) -> None:
    for name, count in (("a", 2), ("b", 3)):
        fixture.write_run(tmp_path / name, fixture.plan(count=count))
    app = open_app(tmp_path, "en", "app_pages/evidence.py")
    app.selectbox(key="other").set_value(tmp_path / "b").run()

    assert not app.exception
    assert "prompts.count" in tabled(app)
    assert "2 -> 3" in tabled(app)


def test_a_choice_of_settings_outlives_a_switch_of_language(open_app: Open, runs: Path) -> None:
    app = open_app(runs, "en", "app_pages/latency.py")
    chosen = app.multiselect(key="arms-en-demo")
    chosen.set_value([chosen.value[0]]).run()
    app.segmented_control(key="language").set_value("ja").run()

    assert not app.exception
    assert len(app.multiselect(key="arms-ja-demo").value) == 1


def test_the_order_of_prompts_can_be_walked_and_starts_anew_with_another_setting(
    open_app: Open, runs: Path
) -> None:
    app = open_app(runs, "en", "app_pages/videos.py")
    order = list(app.selectbox(key="prompt").options)
    assert app.selectbox(key="prompt").index == 0
    next(one for one in app.button if one.label == "Better").click().run()
    assert app.selectbox(key="prompt").index == 1
    app.selectbox(key="worst_of").select_index(0).run()

    assert not app.exception
    assert app.selectbox(key="prompt").index == 0
    assert len(order) == 4


def test_clips_of_the_chosen_setting_are_beside_the_trade_off(open_app: Open, runs: Path) -> None:
    app = open_app(runs, "en", "app_pages/trade_off.py")
    app.selectbox(key="clips_of").select_index(1).run()
    app.segmented_control(key="which").set_value("best").run()

    assert not app.exception
    assert len(app.get("bidi_component")) == 1


def test_no_cell_of_a_download_is_a_formula() -> None:
    for sign in ("=", "+", "-", "@", " =", "＝"):
        assert str(harmless_cell(f"{sign}HYPERLINK(1)")).startswith("'")
    assert harmless_cell("72.0 % = a") == "72.0 % = a"
    assert harmless_cell(-3.5) == -3.5


def test_a_hostile_prompt_stays_text_on_the_videos_page(open_app: Open, runs: Path) -> None:
    app = open_app(runs, "en", "app_pages/videos.py")
    fragment = "".join(str(block.proto.body) for block in app.get("html"))

    assert "&lt;script&gt;" in fragment
    assert "<script" not in fragment
    assert "\u202e" not in fragment


def test_the_documents_show_every_page_in_both_languages() -> None:
    text = (ROOT / "reports" / "DASHBOARD.md").read_text("utf-8")
    linked = set(re.findall(r"\]\((screenshots/[^)]+)\)", text))

    assert linked == {
        f"screenshots/{name}-{one}.jpg" for name in dashboard.PAGES for one in LANGUAGES
    }
    assert all((ROOT / "reports" / name).stat().st_size < 100_000 for name in linked)


# --- the command line ----------------------------------------------------------------------------


def test_the_command_stays_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = dashboard.command(Path("runs"), [])

    assert command[:4] == [sys.executable, "-m", "reports.served", "run"]
    assert "--server.address=127.0.0.1" in command
    assert "--browser.gatherUsageStats=false" in command
    assert command[-2:] == ["--", "runs"]


def test_the_server_has_what_pages_stand_on_in_memory_but_no_component() -> None:
    code = (
        "import sys, reports.served; "
        "print('reports.content' in sys.modules, 'reports.charts' in sys.modules, "
        "'reports.app' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True", "False"]


def test_settings_that_were_given_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "true")
    command = dashboard.command(Path("runs"), ["--server.address=0.0.0.0"])

    assert "--server.address=127.0.0.1" not in command
    assert not [part for part in command if part.startswith("--browser.gatherUsageStats")]


def test_a_config_file_is_left_to_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text("", "utf-8")
    monkeypatch.chdir(tmp_path)

    assert len(dashboard.command(Path("runs"), [])) == 7


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("day", "passed"), [("2026-01-31", True), ("2999-12-31", False)])
def test_a_decision_whose_last_day_has_passed_says_so_on_the_day_it_is_read(
    open_app: Open, tmp_path: Path, language: Language, day: str, passed: bool
) -> None:
    path = fixture.write_run(tmp_path / "run", fixture.plan(count=1)) / "decision.json"
    decision = json.loads(path.read_text("utf-8")) | {"valid_until": day}
    path.write_text(json.dumps(decision), "utf-8")
    today = datetime.now().astimezone().date().isoformat()
    text, said = load_text(language), words(open_app(tmp_path, language))

    warning = text("warning.passed", day=day, today=today)
    assert text("warning.until", day=day) in said
    assert (warning in said) is passed


def headings(app: AppTest) -> list[str]:
    """Return the heads of all columns of the page's tables."""
    return [str(name) for one in app.table for name in one.value.columns]


def told_of(number: int) -> Telemetry:
    """What a driver tells of a clip of round `number`; one clip in four is throttled."""
    return Telemetry(
        energy_j=200.0 + number, sm_clock_mhz=1980 - number, memory_clock_mhz=3201, power_w=612.0,
        temperature_c=None, clock_reasons=("sw_power_cap",) if number % 4 == 3 else (),
        used_bytes=2**30, other_processes=0, other_bytes=0,
        untold={"temperature_c": "Not Supported"},
    )  # fmt: skip


def test_energy_and_clocks_stand_on_the_page_and_in_documents_where_the_driver_told_them(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = [
        one.model_copy(update={"telemetry": told_of(one.round)})
        for one in fixture.latency(fixture.plan(count=1))
    ]
    monkeypatch.setattr(fixture, "latency", lambda _made: timed)
    run = fixture.write_run(tmp_path / "demo", fixture.plan(count=1))
    app = open_app(tmp_path, "en", "app_pages/latency.py")

    # Twelve rounds, 0 to 11: the median is 205.5 J, of which the 3rd and the 10th are the interval.
    energy, of = "206 (202 to 209), n = 12", 12 * len(fixture.plan(count=1).arms)
    throttled = f"{of // 4} of {of} (25 %) (sw_power_cap {of // 4})"
    assert energy in tabled(app)
    assert any("Energy" in name for name in headings(app))
    assert "3 of 12 (25 %) (sw_power_cap 3)" in tabled(app)
    assert "Temperature (°C): Not Supported" in words(app)
    assert "1,969 to 1,980" in tabled(app)
    content = make_content(load_run(run), load_text("en"))
    (said,) = (line.said for line in content.method if line.term == "Energy and clocks")
    assert throttled in said
    assert energy in said
    assert "Not measured" not in said


def timed_in_batches(again: float, rounds: int) -> tuple[Plan, list[LatencySample]]:
    """A run with an A/A control, `again` times as slow, and with batches of four."""
    made = fixture.plan(count=1)
    latency = LatencySpec(
        warmup=1, repeats=rounds, control=True, offline=OfflineSpec(clips=4, repeats=rounds)
    )
    made = made.model_copy(
        update={"spec": made.spec.model_copy(update={"latency": latency}), "baseline_id": BASE.id}
    )
    single = [one for one in fixture.latency(made) if 0 <= one.round < rounds]
    control = [
        one.model_copy(update={"scenario": LatencyScenario.CONTROL, "total_s": one.total_s * again})
        for one in single
        if one.arm_id == made.baseline_id
    ]
    batches = [
        one.model_copy(
            update={"scenario": LatencyScenario.OFFLINE, "clips": 4, "total_s": 2.0 * one.total_s}
        )
        for one in single
    ]
    return made, [*single, *control, *batches]


BASE = fixture.plan(count=1).arms[0]


@pytest.mark.parametrize(
    ("language", "again", "rounds", "key"),
    [
        ("en", 1.0, 12, "said"),
        ("ja", 1.0, 12, "said"),
        ("ja", 1.25, 12, "off"),
        ("en", 1.25, 5, "few"),
    ],
)
def test_throughput_and_the_control_stand_on_the_page_and_in_documents(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, language: Language,
    again: float, rounds: int, key: str,
) -> None:  # fmt: skip
    made, samples = timed_in_batches(again, rounds)
    added = scenario_outcomes(made, samples)
    own = fixture.estimates_of

    def with_scenarios(one: Arm, baseline: Arm) -> list[Estimate]:
        return [*own(one, baseline), *(o.estimate for o in added if o.estimate.arm_id == one.id)]

    monkeypatch.setattr(fixture, "latency", lambda _made: samples)
    monkeypatch.setattr(fixture, "estimates_of", with_scenarios)
    run = fixture.write_run(tmp_path / "demo", made)
    app, text = open_app(tmp_path, language, "app_pages/latency.py"), load_text(language)
    content = make_content(load_run(run), text)

    # Four clips in the time of two: twice the clips a second, for every arm.
    seconds = np.median([one.total_s for one in samples if one.arm_id == BASE.id][:rounds])
    throughput = text("number.clips_per_s", value=f"{2 / seconds:#.3g}")
    ratio = text("number.ratio", value=f"{again:.2f}")
    interval = text("number.interval", low=ratio, high=ratio)
    control = text(f"latency.control.{key}", value=ratio, interval=interval, n=rounds)
    assert throughput in tabled(app)
    assert text("latency.offline.n", n=4 * rounds, calls=rounds) in tabled(app)
    assert control in words(app)
    said = {line.term: line.said for line in content.method}
    assert said[text("method.control")] == control
    assert throughput in said[text("method.offline")]
    assert not app.exception


def test_a_run_without_batches_says_nothing_of_throughput(open_app: Open, runs: Path) -> None:
    app, text = open_app(runs, "en", "app_pages/latency.py"), load_text("en")

    assert text("latency.offline") not in words(app)
    assert text("method.control") not in words(app)


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "Not measured: no NVML on this device"), ("ja", "この装置にはNVMLがありません")],
)
def test_a_run_on_a_cpu_says_that_energy_was_not_measured(
    open_app: Open, runs: Path, language: Language, said: str
) -> None:
    app = open_app(runs, language, "app_pages/latency.py")
    text = load_text(language)
    content = make_content(load_run(runs / "demo"), text)

    assert said in words(app)
    assert not any("Energy" in name for name in headings(app))
    assert any(said in one.said for one in content.method if one.term == text("latency.device"))


def test_a_run_on_a_gpu_says_why_energy_was_not_measured(runs: Path) -> None:
    view, text = load_run(runs / "demo"), load_text("en")
    cuda = tuple(one.model_copy(update={"device": "cuda"}) for one in view.resolved)
    fields = [name for name in Telemetry.model_fields if name != "untold"]
    blank = Telemetry(**dict.fromkeys(fields), untold=dict.fromkeys(fields, "Driver Not Loaded"))
    timed = tuple(one.model_copy(update={"telemetry": blank}) for one in view.latency)

    earlier = telemetry.summary(replace(view, resolved=cuda), text)
    blind = telemetry.summary(replace(view, resolved=cuda, latency=timed), text)

    assert earlier.startswith("Not measured: the GPU's driver (NVML) was not asked")
    assert blind.startswith("Not measured: the driver told nothing of this device (Driver Not L")
