"""Money, rights and votes on the page are what `poc` wrote into the run; nothing is made up."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import reports_fixture as fixture

from poc.findings import confirm, no_price, nothing_to_price
from poc.panel import ClipTrial, Trial
from poc.rating_folder import imported, votes_path
from poc.records import ArmRole, ClipStatus, Finding, Light, Measurement, digest
from poc.vote_records import Outcome, Verdict
from reports.content import make_content
from reports.export import html
from reports.load import RunView, load_run
from reports.model import Content
from reports.sheet import not_right, rightness, worst_sheet
from reports.text import LANGUAGES, Language, load_text

Change = Callable[[dict[str, Any]], None]


def opinion(trial: Trial) -> Outcome:
    """Half of the prompts are won, the other half are lost: whoever is asked."""
    return Outcome.WIN if int(trial.prompt_id, 16) % 2 else Outcome.LOSS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    return fixture.write_run(folder / "demo", fixture.plan(count=2), drawn=1)


@pytest.fixture(scope="module")
def answered(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, plan = tmp_path_factory.mktemp("answered"), fixture.plan(count=2)
    run = shutil.copytree(made, folder / "demo")
    fixture.decide_beside(run, fixture.money(plan), fixture.rights(plan))
    fixture.vote(run, folder / "answers", opinion)
    return run


@pytest.fixture
def bare(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "demo")


@pytest.fixture
def run(answered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(answered, tmp_path / "demo")


def content(run: Path, language: Language = "en") -> Content:
    return make_content(load_run(run), load_text(language))


def change(path: Path, edit: Change) -> None:
    found = json.loads(path.read_text("utf-8"))
    edit(found)
    path.write_text(json.dumps(found), "utf-8")


PAGES: dict[str, str] = {}


def page_of(run: Path) -> str:
    """Draw the page of a run; of the same files only once, since that takes seconds."""
    files = sorted(path for path in run.rglob("*") if path.is_file())
    key = digest({str(p.relative_to(run)): sha256(p.read_bytes()).hexdigest() for p in files})
    if key not in PAGES:
        PAGES[key] = html.render(load_run(run))
    return PAGES[key]


def article(run: Path, language: Language) -> str:
    """Return the visible text of one language's article."""
    page = page_of(run)
    found = re.search(rf'<article lang="{language}">(.*?)</article>', page, flags=re.DOTALL)
    assert found is not None
    bare = re.sub(r"<svg.*?</svg>|<[^>]+>", " ", found.group(1), flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", bare))


# --- money ---------------------------------------------------------------------------------------


def test_the_cost_of_a_deliverable_is_the_one_in_the_run(run: Path) -> None:
    def dearer(found: dict[str, Any]) -> None:
        found["cost"]["cost_per_deliverable"] = 123456.4
        found["cost"]["simulation"]["cost_per_deliverable"] |= {"low": 111111.0, "high": 222222.0}

    before = content(run).numbers[2]
    change(run / "money.json", dearer)
    after = content(run).numbers[2]

    assert before.cell.value == "470,349 JPY"
    assert (after.cell.value, after.cell.interval) == ("123,456 JPY", "111,111 JPY to 222,222 JPY")
    assert content(run, "ja").numbers[2].cell.value == "123,456円"
    assert "123,456 JPY" in article(run, "en")


def test_a_range_of_simulations_is_called_no_confidence_interval(run: Path) -> None:
    assert "90 % of 200 simulations, no confidence interval" in content(run).numbers[2].cell.n


def test_example_prices_are_called_examples_and_real_ones_are_not(run: Path) -> None:
    assert content(run).numbers[2].lines[0].startswith("EXAMPLE PRICES")

    change(run / "money.json", lambda found: found["cost"].update(examples=[]))

    assert not any("EXAMPLE" in line for line in content(run).numbers[2].lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_other_way_stands_beside_ours_doing_nothing_included(
    run: Path, language: Language
) -> None:
    ways = content(run, language).ways
    names = [row.name for row in ways.rows]
    said = article(run, language)

    assert len(ways.rows) == 6
    assert names[-1] == {"en": "doing nothing", "ja": "何もしない"}[language]
    assert all(row.cost in said for row in ways.rows)
    # Outsourcing is 500,000 in the example, ours 470,349: 29,651 less.
    assert ways.rows[2].saving == {"en": "29,651 JPY", "ja": "29,651円"}[language]


def setting(found: dict[str, Any], arm_id: str, name: str) -> dict[str, Any]:
    """Another setting of money.json, 70,000 cheaper."""
    cost = found["cost"]
    return {
        "arm_id": arm_id, "arm": name, "acceptance": cost["acceptance"],
        "cost_per_deliverable": 400_349.0, "saving_per_deliverable": -70_000.0,
        "working_days": cost["working_days"], "share_cheaper": 0.97, "share_within_all": None,
        "drawn": cost["simulation"]["cost_per_deliverable"],
    }  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_another_setting_that_people_accepted_more_often_stands_beside_ours(
    run: Path, language: Language
) -> None:
    other = next(arm for arm in fixture.plan().arms if arm.name == "animatelcm-2")

    def beside(found: dict[str, Any]) -> None:
        found["settings"] = [setting(found, other.id, other.name)]

    change(run / "money.json", beside)
    row = content(run, language).ways.rows[-1]

    yen = {"en": "{} JPY", "ja": "{}円"}[language]
    assert (row.cost, row.saving) == (yen.format("400,349"), yen.format("−70,000"))
    assert "97 %" in row.mark
    assert row.name in article(run, language)


@pytest.mark.parametrize(
    "arms",
    [("nowhere",), ("animatelcm-2", "animatelcm-2"), ("animatelcm-4",), ("teacher-25",)],
    ids=["unknown", "twice", "the recommended one", "the baseline"],
)
def test_prices_of_settings_that_cannot_stand_there_are_not_shown(
    run: Path, arms: tuple[str, ...]
) -> None:
    ids = {arm.name: arm.id for arm in fixture.plan().arms}

    def beside(found: dict[str, Any]) -> None:
        found["settings"] = [setting(found, ids.get(name, name), name) for name in arms]

    change(run / "money.json", beside)

    assert load_run(run).money is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_settings_that_may_be_used_instead_have_the_names_of_the_page(
    run: Path, language: Language
) -> None:
    said = content(run, language).rights.instead

    assert {"en": "AnimateLCM, 2 steps", "ja": "AnimateLCM・2ステップ"}[language] in said
    assert "animatelcm-2" not in said


def test_prices_of_a_setting_under_another_name_are_not_shown(run: Path) -> None:
    other = next(arm for arm in fixture.plan().arms if arm.name == "animatelcm-2")

    def beside(found: dict[str, Any]) -> None:
        found["settings"] = [setting(found, other.id, "animatelcm-8")]

    change(run / "money.json", beside)

    assert load_run(run).money is None


def test_prices_of_an_arm_that_the_run_does_not_have_are_not_shown(run: Path) -> None:
    change(run / "money.json", lambda found: found["basis"].update(arm_id="nowhere"))
    change(run / "decision.json", lambda found: found["price_basis"].update(arm_id="nowhere"))

    assert load_run(run).money is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_prices_the_page_says_so_and_which_command_takes_them(
    bare: Path, language: Language
) -> None:
    found, said = content(bare, language), article(bare, language)
    none = {"en": "Nobody gave prices.", "ja": "価格が入力されていません。"}[language]

    assert (found.numbers[2].cell.value, found.numbers[2].cell.reason) == ("–", none)
    assert not found.ways.rows
    assert {"en": "doing nothing", "ja": "何もしない"}[language] in found.ways.about.lower()
    assert found.money is None
    assert none in said
    assert "poc decide RUN --cost FILE" in said
    assert "JPY" not in said


@pytest.mark.parametrize("spoil", ["gone", "damaged", "other"])
def test_money_that_is_not_of_this_decision_is_not_shown(run: Path, spoil: str) -> None:
    path = run / "money.json"
    if spoil == "gone":
        path.unlink()
    elif spoil == "damaged":
        path.write_text("{", "utf-8")
    else:
        change(path, lambda found: found["basis"].update(digest="d" * 64))
    found = content(run)

    assert found.numbers[2].cell.value == "–"
    assert found.numbers[2].cell.reason.startswith("Prices were given, but")
    assert found.money is None


# --- rights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_last_day_whose_it_is_the_unclear_part_and_the_way_out_are_said(
    run: Path, language: Language
) -> None:
    rights, said = content(run, language).rights, article(run, language)
    (part,) = rights.parts

    # The waiver of the fixture ends on 2027-03-31, before the use and before the reading.
    assert "2027-03-31" in rights.last_day
    (whose,) = rights.whose
    assert "motion" in whose
    assert "head of production" in whose
    assert part.mark.word == {"en": "UNCLEAR", "ja": "不明"}[language]
    assert part.ways_out
    for sentence in (rights.last_day, whose, part.name, part.waived, *part.ways_out, *rights.whose):
        assert sentence in said
    assert rights.cleared == ({"en": "base (base model)", "ja": "base（基盤モデル）"}[language],)


def test_a_day_changed_in_the_run_changes_the_page(run: Path) -> None:
    def earlier(found: dict[str, Any]) -> None:
        found["basis"]["valid_until"] = "2027-02-01"

    change(run / "rights.json", earlier)
    change(
        run / "decision.json", lambda found: found["rights_basis"].update(valid_until="2027-02-01")
    )

    assert content(run).rights.last_day == "Last day: 2027-02-01"
    assert content(run).rights.whose == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_a_rights_file_the_page_says_so_and_which_command_takes_one(
    bare: Path, language: Language
) -> None:
    rights, said = content(bare, language).rights, article(bare, language)

    assert (rights.last_day, rights.parts, rights.cleared) == ("", (), ())
    assert rights.said in said
    assert "poc decide RUN --rights FILE" in said
    assert load_text(language)("rights.advice") not in said


@pytest.mark.parametrize("spoil", ["gone", "damaged", "other"])
def test_rights_that_are_not_of_this_decision_are_not_shown(run: Path, spoil: str) -> None:
    path = run / "rights.json"
    if spoil == "gone":
        path.unlink()
    elif spoil == "damaged":
        path.write_text("{", "utf-8")
    else:
        change(path, lambda found: found["basis"].update(on="2026-12-02"))

    assert content(run).rights.parts == ()
    assert content(run).rights.said.startswith("A rights file was given, but")


# --- people --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_prefer_is_said_of_100_blind_comparisons(run: Path, language: Language) -> None:
    found, said = content(run, language), article(run, language)
    votes = json.loads(votes_path(run).read_text("utf-8"))["summary"]["candidates"][0]["kept"]
    overall = next(one for one in votes["questions"] if one["question"] == "overall")
    share = 100 * (overall["wins"] + overall["ties"]) / votes["n_votes"]
    sentence = found.numbers[0].lines[0]

    assert f"{share:.0f}" in found.numbers[0].cell.value
    numbers = [int(one) for one in re.findall(r"\d+", sentence)]
    assert numbers[:2] == [100, round(share)]
    assert numbers[2] <= share <= numbers[3]
    assert sentence in said
    assert len(found.people) == 1
    assert found.clips == ()  # pairs say nothing of what would be published


def test_a_vote_changed_in_the_run_changes_the_page(run: Path) -> None:
    def liked(found: dict[str, Any]) -> None:
        questions = found["summary"]["candidates"][0]["kept"]["questions"]
        for one in questions:
            one["not_worse"] |= {"value": 0.614, "low": 0.428, "high": 0.771}

    change(votes_path(run), liked)

    assert content(run).numbers[0].lines[0] == (
        "Of 100 blind comparisons, preferred or no difference in 61 (42 to 78)."
    )
    assert content(run).numbers[0].cell.interval == "42 to 78"


def test_too_few_votes_are_called_too_few(run: Path) -> None:
    assert "at least 5 raters" in content(run).numbers[0].lines[1]

    def enough(found: dict[str, Any]) -> None:
        found["summary"]["candidates"][0] |= {"status": "SUFFICIENT", "reason": ""}

    change(votes_path(run), enough)

    assert not any("at least 5 raters" in line for line in content(run).numbers[0].lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_nobody_was_asked_the_page_says_so(bare: Path, language: Language) -> None:
    found, said = content(bare, language), article(bare, language)
    none = {"en": "People have not judged yet.", "ja": "人による評価はまだありません。"}[language]

    assert (found.numbers[0].cell.value, found.numbers[0].cell.reason) == ("–", none)
    assert found.people == ()
    assert said.count(none) >= 2
    assert "poc rate pack RUN --raters 6" in said


def taste(trial: ClipTrial) -> Verdict:
    """Half of the prompts are published, the other half need retouching: whoever is asked."""
    return Verdict.YES if int(trial.prompt_id, 16) % 2 else Verdict.RETOUCH


@pytest.fixture
def only_clips(bare: Path, tmp_path: Path) -> Path:
    """Nobody compared; five people judged clips one by one."""
    fixture.judge(bare, tmp_path / "answers", taste)
    return bare


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_would_publish_is_said_of_100_clips(
    only_clips: Path, language: Language
) -> None:
    found, said = content(only_clips, language), article(only_clips, language)
    kept = json.loads(votes_path(only_clips).read_text("utf-8"))["summary"]["arms"][0]["kept"]
    share = 100 * kept["yes"] / kept["n_votes"]
    (judged,) = found.clips
    numbers = [int(one) for one in re.findall(r"\d+", judged.said)]

    assert str(round(share)) in judged.lines[0].said
    assert round(share) in numbers
    assert "0.25" in judged.said  # 15 s are a quarter of a minute
    assert judged.said in found.numbers[0].lines
    assert all(line.said in said for line in judged.lines)
    assert load_text(language)("people.none") not in said


def test_clips_that_were_judged_alone_are_not_called_compared(only_clips: Path) -> None:
    cell = content(only_clips).numbers[0].cell
    assert (cell.value, cell.reason) == (
        "–",
        "People have judged single clips, but not compared this setting with the baseline yet.",
    )


def test_a_judgement_changed_in_the_run_changes_the_page(only_clips: Path) -> None:
    def liked(found: dict[str, Any]) -> None:
        kept = found["summary"]["arms"][0]["kept"]
        kept["acceptance"] |= {"value": 0.614, "low": 0.428, "high": 0.771}
        kept["review_min"] |= {"value": 1.5, "low": 1.25, "high": 2.0}

    change(votes_path(only_clips), liked)

    assert content(only_clips).clips[0].said == (
        "Of 100 clips judged one by one, people would publish 61 (42 to 78) as they are; "
        "a review takes 1.50 minutes (1.25 to 2.00) a clip."
    )


def forget_a_question(found: dict[str, Any]) -> None:
    found["summary"]["candidates"][0]["kept"]["questions"].pop()


@pytest.mark.parametrize("spoil", ["gone", "damaged", "more", "a question less"])
def test_votes_that_are_not_summed_up_are_not_called_none(run: Path, spoil: str) -> None:
    if spoil == "gone":
        votes_path(run).unlink()
    elif spoil == "damaged":
        votes_path(run).write_text("{", "utf-8")
    elif spoil == "a question less":
        change(votes_path(run), forget_a_question)
    else:
        pack_id = next(iter(imported(run)))
        (run / "rating" / "answers" / f"{pack_id}.json").unlink()
    found = content(run)

    assert found.numbers[0].cell.value == "–"
    assert found.numbers[0].cell.reason.startswith("People have answered, but")
    assert "poc rate show" in found.numbers[0].lines[0]


def test_a_hostile_rater_stays_text(run: Path) -> None:
    page = page_of(run)

    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    assert "\u202e" not in page


def test_hostile_names_of_parts_and_prices_stay_text(run: Path) -> None:
    evil = "</style><img src=x>"

    def rename(found: dict[str, Any]) -> None:
        for arm in found["result"]["arms"]:
            for part in arm["parts"]:
                part |= {"part": evil, "licence": evil}

    change(run / "rights.json", rename)
    change(run / "money.json", lambda found: found["cost"].update(name=evil, name_ja=evil))
    page = html.render(load_run(run))

    assert "&lt;img src=x&gt;" in page
    assert "<img" not in page


# --- the page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_reads_from_the_answer_to_who_judged(run: Path, language: Language) -> None:
    text, said, found = load_text(language), article(run, language), content(run, language)
    order = [
        found.headline, found.sureness, text("section.asked"), found.asked,
        text("section.actions"), found.actions[0].what,
        text("section.numbers"), text("section.worst"), text("section.ways"), text("rights.parts"),
        text("section.stops"),
        text("section.judges"), text("section.criteria.about", arm=found.focus),
    ]  # fmt: skip
    place = 0
    for one in order:
        place = said.index(one, place)  # raises where it does not follow

    assert place < said.index(text("section.provenance"), place)


def test_the_worst_clip_is_shown_with_its_prompt_beside_the_baselines(run: Path) -> None:
    view = load_run(run)
    page = html.render(view, language="en")
    start = page.index('<div class="worst">')
    part = page[start : page.index("</section>", start)]
    arm = next(a for a in view.plan.arms if a.name == "animatelcm-4")
    scores = {
        m.value: m.clip_id
        for m in view.measurements
        if m.arm_id == arm.id and m.metric == "clip_score" and m.value is not None
    }

    assert f"k-{scores[min(scores)]}" in part
    assert part.count('class="strip') == 2
    assert f"{min(scores):.1f}" in content(run).worst


def with_values(view: RunView, metric: str, values: list[float]) -> RunView:
    """Return a run whose leading arm's clips have these values, in the plan's order of prompts."""
    arm = next(a.id for a in view.plan.arms if a.name == "animatelcm-4")
    order = {prompt.id: value for prompt, value in zip(view.plan.prompts, values, strict=True)}
    wanted = {c.clip_id: order[c.prompt_id] for c in view.clips if c.arm_id == arm}
    return replace(
        view,
        measurements=tuple(
            m.model_copy(update={"value": wanted[m.clip_id]})
            if m.metric == metric and m.clip_id in wanted
            else m
            for m in view.measurements
        ),
    )


@pytest.mark.parametrize(("right", "worst"), [([1.0, 0.0], 1), ([0.0, 1.0], 0), ([1.0, 1.0], 0)])
def test_the_worst_clip_is_one_that_misses_what_was_asked_where_there_is_one(
    run: Path, right: list[float], worst: int
) -> None:
    view = with_values(load_run(run), "clip_score", [20.0, 25.0])
    view = with_values(view, "oracle_all", right)

    sheet = worst_sheet(view)

    assert sheet is not None
    assert sheet.columns[0].prompt_id == view.plan.prompts[worst].id
    said = make_content(view, load_text("en")).worst
    assert ("1 of 2 clips" in said) is (0.0 in right)


def of_metric(view: RunView, metric: str = "oracle_all") -> list[Measurement]:
    return [m for m in view.measurements if m.metric == metric]


@pytest.mark.parametrize(
    ("language", "why", "all_of_it"),
    [
        (
            "en",
            "What this clip lacks: Motion as asked.",
            "What the 2 of them that play lack (one may lack several)",
        ),
        (
            "ja",
            "このクリップで満たさなかった項目：動きが指示どおり。",
            "このうち再生に不具合のない2本で満たさなかった項目",
        ),
    ],
)
def test_the_worst_clip_says_what_it_lacks_and_all_that_are_wrong_what_they_lack(
    run: Path, language: Language, why: str, all_of_it: str
) -> None:
    view = with_values(load_run(run), "clip_score", [20.0, 25.0])
    view = with_values(view, "oracle_all", [0.0, 0.0])
    more = [
        m.model_copy(update={"metric": metric, "value": 0.0})
        for metric in ("oracle_motion", "unsafe")
        for m in of_metric(view)
    ]
    view = replace(view, measurements=(*view.measurements, *more))
    view = with_values(view, "oracle_motion", [0.0, 1.0])
    said = make_content(view, load_text(language)).worst

    assert why in said  # and not that it lacks unsafe content, of which it has none
    assert all_of_it in said


def test_prices_that_found_nothing_to_price_are_not_called_missing(bare: Path) -> None:
    view = load_run(bare)

    def economic(reason: Finding) -> str:
        decided = view.decision.model_copy(update={"reasons": (reason,)})
        rows = make_content(replace(view, decision=decided), load_text("en")).lights
        return {row.title: row.question for row in rows}["Economic"]

    assert "No prices were given" in economic(no_price())
    assert "No prices were given" not in economic(nothing_to_price())


def test_the_top_of_a_demonstration_says_so_where_it_is_cut_out_of_its_page(bare: Path) -> None:
    assert content(bare).headline.startswith("Demonstration: ")
    assert content(bare, "ja").headline.startswith("【デモ】")


def test_a_setting_without_style_is_named_so_where_styles_were_asked_for(bare: Path) -> None:
    view = load_run(bare)
    plain = [arm.model_copy(update={"style": None}) for arm in view.plan.arms]
    none = replace(view, plan=view.plan.model_copy(update={"arms": tuple(plain)}))

    assert view.arm(view.decision.recommended_arm_id or "").style is None
    assert "without style" in make_content(view, load_text("en")).headline
    assert "without style" not in make_content(none, load_text("en")).headline


def test_what_passes_and_is_to_be_confirmed_says_so_at_its_top(bare: Path) -> None:
    view = load_run(bare)
    unknown = Light.INSUFFICIENT_EVIDENCE
    chosen = view.arm(view.decision.recommended_arm_id or "")
    lights = {"decision": unknown, "technical": Light.GO, "economic": unknown, "rights": Light.GO}

    def headline(*conditions: Finding) -> str:
        changes = {**lights, "conditions": conditions}
        decided = view.decision.model_copy(update=changes)
        return make_content(replace(view, decision=decided), load_text("en")).headline

    assert headline(confirm(chosen)).endswith("Still open: Economic, a second look on new prompts.")
    assert headline().endswith("Still open: Economic.")


def test_a_run_that_is_open_for_want_of_prices_and_rights_says_so_at_its_top(bare: Path) -> None:
    path = bare / "decision.json"
    found = json.loads(path.read_text("utf-8"))
    unknown = "INSUFFICIENT_EVIDENCE"
    lights = {"technical": "GO", "economic": unknown, "rights": unknown}
    path.write_text(json.dumps(found | lights), "utf-8")

    assert "Still open: Economic, Rights" in content(bare).headline
    assert "未確認：経済性、権利" in content(bare, "ja").headline
    words_of = {row.title: row.mark.word for row in content(bare).lights}
    assert words_of == {
        "Technical": "met",
        "Economic": "not known yet",
        "Rights": "not cleared yet",
    }


def test_a_light_says_what_it_does_not_stand_on(made: Path, answered: Path) -> None:
    nobody, people = (
        {one.title: one.question for one in content(r).lights} for r in (made, answered)
    )

    assert "by the program alone: people have not judged" in nobody["Technical"]
    assert "Not seen: use, stills, consents, approvals" in nobody["Rights"]
    assert "No prices were given" not in people["Economic"]
    assert "by the program alone: what people said stands apart" in people["Technical"]
    assert people["Rights"] == "May we use it?"
    open_ = replace(load_run(made), votes_open=True)
    (technical, *_) = make_content(open_, load_text("en")).lights
    assert "not summed up yet" in technical.question


def test_clips_that_are_not_there_yet_are_no_failures(run: Path) -> None:
    view = with_values(load_run(run), "oracle_all", [1.0, 1.0])
    arm = next(a.id for a in view.plan.arms if a.name == "animatelcm-4")
    last = view.plan.prompts[1].id

    def ended(status: ClipStatus) -> RunView:
        clips = tuple(
            replace(c, status=status) if (c.arm_id, c.prompt_id) == (arm, last) else c
            for c in view.clips
        )
        gone = {c.clip_id for c in clips if (c.arm_id, c.prompt_id) == (arm, last)}
        kept = tuple(m for m in view.measurements if m.clip_id not in gone)
        return replace(view, clips=clips, measurements=kept)

    assert rightness(ended(ClipStatus.PENDING), arm) == {view.plan.prompts[0].id: True}
    assert not_right(ended(ClipStatus.PENDING), arm) == frozenset()
    assert not_right(ended(ClipStatus.FAILED), arm) == {last}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_that_quotes_a_section_quotes_one_that_there_is(language: Language) -> None:
    text = load_text(language)
    below = {"en": "below under (.+?)[.,]", "ja": "下記「(.+?)」"}[language]

    for key in ("asked.CONDITIONAL", "asked.INSUFFICIENT_EVIDENCE"):
        (quoted,) = re.findall(below, text(key, arm="x"))
        assert quoted.casefold() == text("section.actions").casefold()


def test_the_rule_of_a_pass_is_told_and_that_lines_were_fixed_only_where_they_were(
    run: Path,
) -> None:
    assert "in at least 95 % of resamples" in content(run).rule
    assert "fewer than 20 %" in content(run).rule
    assert "fixed before this run began" in content(run).rule

    change(run / "decision.json", lambda found: found.update(criteria_edited=True))

    assert "fixed before" not in content(run).rule


def test_what_was_compared_is_counted(run: Path) -> None:
    arms = load_run(run).plan.arms
    baseline = load_run(run).plan.baseline_id
    candidates = [a for a in arms if a.role is ArmRole.CANDIDATE and a.id != baseline]
    controls = len(arms) - len(candidates) - 1

    said = next(line.said for line in content(run).judges if line.term == "Compared")

    assert said.startswith(f"{len(candidates)} candidates (")
    assert f"beside them {controls} controls" in said


@pytest.mark.parametrize("light", list(Light))
def test_what_is_asked_follows_the_light_and_a_demonstration_asks_nothing(
    tmp_path: Path, light: Light
) -> None:
    run = fixture.write_run(tmp_path / "real", fixture.plan("procurement", count=1), drawn=0)
    change(run / "decision.json", lambda found: found.update(decision=str(light)))
    asked = content(run).asked

    assert ("Approve AnimateLCM, 4 steps" in asked) is (light in {Light.GO, Light.CONDITIONAL})
    assert ("Do not buy" in asked) is (light is Light.NO_GO)
    assert "demonstration" not in asked


def test_a_demonstration_is_marked_on_every_part_and_a_real_run_on_none(
    run: Path, tmp_path: Path
) -> None:
    real = fixture.write_run(tmp_path / "real", fixture.plan("procurement", count=1), drawn=0)

    assert page_of(run).count('class="demo"') == 2 * 9
    assert 'class="demo"' not in html.render(load_run(real))
    assert content(run).asked.startswith("Nothing: this is a demonstration.")
    for name in ("money.json", "rights.json", "rating/votes.json"):
        assert json.loads((run / name).read_text("utf-8"))["kind"] == "demonstration"


def test_every_must_minimum_every_limit_and_the_last_day_stop(run: Path) -> None:
    view, found = load_run(run), content(run)
    musts = [c for c in view.plan.criteria.criteria if c.weight == "must"]
    said = [line.said for line in found.stops]

    assert sum(one.startswith("in under 20 % of resamples ") for one in said) == len(
        [c for c in musts if c.applies_to != "styled"]
    )
    assert "above 500,000 JPY" in said
    assert "after 2027-03-31, unless renewed" in said


def test_the_stages_of_the_roll_out_stand_beside_the_money(run: Path) -> None:
    found = content(run).money
    assert found is not None

    assert [line.term for line in found.rollout] == ["PoC", "shadow", "limited", "scale"]
    assert "at most 3,000,000 JPY. Goes on when: eight of ten" in found.rollout[1].said
    for language in LANGUAGES:
        money = content(run, language).money
        assert money is not None
        assert all(line.said in article(run, language) for line in money.rollout)


def test_what_is_asked_for_ends_when_the_decision_does(run: Path) -> None:
    change(run / "decision.json", lambda found: found.update(valid_until="2027-01-31"))
    change(
        run / "decision.json", lambda found: found["price_basis"].update(valid_until="2027-01-31")
    )

    assert any(line.said.startswith("2027-01-31 at the latest") for line in content(run).request)
    assert "after 2027-01-31, unless renewed" in [line.said for line in content(run).stops]


def test_where_no_arm_is_recommended_nobody_is_blamed_for_missing_prices(bare: Path) -> None:
    change(bare / "decision.json", lambda found: found.update(recommended_arm_id=None))
    found = content(bare)

    assert found.numbers[2].cell.reason == "No setting is recommended, so none was priced."
    said = (*(row.what for row in found.actions), *found.numbers[2].lines)
    assert not any("--cost" in line for line in said)
