"""What is to be done, who, by when, to what effect: as the run states it, the same everywhere."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
import reports_fixture as fixture
from pptx import Presentation

from poc import findings
from poc.records import Finding, Light
from poc.vote_records import Outcome, VoteStatus
from reports import text as words
from reports.content import make_content
from reports.document import actions_table
from reports.export import html, markdown, pdf, pptx
from reports.load import RunView, load_run
from reports.model import ActionRow, Content
from reports.text import LANGUAGES, Language, Text, load_text

EN = load_text("en")
PLAN = fixture.plan("procurement", count=2)
CHOSEN = next(arm for arm in PLAN.arms if arm.name == "animatelcm-4")
CONTROL = next(arm for arm in PLAN.arms if arm.name == "dpmpp-4")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixture.write_run(tmp_path_factory.mktemp("made") / "board", PLAN, drawn=1)


@pytest.fixture(scope="module")
def governed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with prices, a rights file and votes, approved on the conditions of both files."""
    folder = tmp_path_factory.mktemp("governed")
    run, priced = shutil.copytree(made, folder / "board"), fixture.money(PLAN)
    fixture.decide_beside(run, priced, fixture.rights(PLAN))
    fixture.vote(run, folder / "answers", lambda _trial: Outcome.TIE)
    asked = (findings.keep_rights_conditions(), *priced.economic.conditions)
    decide(run, decision="CONDITIONAL", next_measurement=None, valid_until="2027-03-31",
           conditions=[one.model_dump() for one in asked])  # fmt: skip
    return run


@pytest.fixture(scope="module")
def view(governed: Path) -> RunView:
    return load_run(governed)


@pytest.fixture
def bare(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "board")


@pytest.fixture
def run(governed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(governed, tmp_path / "board")


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    found = json.loads(path.read_text("utf-8"))
    edit(found)
    path.write_text(json.dumps(found), "utf-8")


def decide(run: Path, **values: Any) -> None:
    change(run / "decision.json", lambda found: found.update(values))


def content(run: Path, language: Language = "en") -> Content:
    return make_content(load_run(run), load_text(language))


def row(found: Content, begins: str) -> ActionRow:
    (one,) = (one for one in found.actions if one.what.startswith(begins))
    return one


def settle(run: Path) -> None:
    """Answer everything: enough votes, all lights green, nothing asked and no last day."""
    decide(run, decision="GO", technical="GO", economic="GO", rights="GO", conditions=[],
           next_measurement=None, valid_until=None)  # fmt: skip

    def clear(found: dict[str, Any]) -> None:
        for arm in found["result"]["arms"]:
            arm["parts"] = [one for one in arm["parts"] if one["judgement"] == "permitted"]

    def enough(found: dict[str, Any]) -> None:
        for one in found["summary"]["candidates"]:
            one |= {"status": VoteStatus.SUFFICIENT, "reason": ""}

    change(run / "rights.json", clear)
    change(run / "rating" / "votes.json", enough)


# --- what, who, by when, to what effect ----------------------------------------------------------


def test_a_condition_says_who_by_when_and_which_light_it_can_change(run: Path) -> None:
    found = content(run)
    waived, again = row(found, "motion (motion adapter): "), row(found, "Decide again")
    acceptance, examples = row(found, "Acceptance rate"), row(found, "Example inputs")

    assert (waived.who, waived.due) == ("head of production", "2027-03-31")
    assert waived.effect == "Rights light (now: cleared on conditions)"
    assert (again.due, again.effect) == ("2027-03-31", "The decision as a whole")
    assert acceptance.who == "Raters"
    assert examples.who == "Whoever buys machines and pays for editing"
    assert acceptance.effect == examples.effect == "Economic light (now: not known yet)"
    assert not any("poc rights" in one.what for one in found.actions)  # its parts have rows


@pytest.mark.parametrize(("language", "unset"), [("en", "not set"), ("ja", "未定")])
def test_what_nobody_has_set_is_called_so(run: Path, language: Language, unset: str) -> None:
    timed = {"en": "Seconds per clip", "ja": "生成時間"}[language]
    found = content(run, language)

    assert (row(found, timed).who, row(found, timed).due) == (unset, unset)
    stated = {one.due for one in found.actions}
    assert stated == {unset, "2027-03-31"}


def test_questions_and_approvals_of_the_rights_file_carry_their_owners_and_days(run: Path) -> None:
    def ask(found: dict[str, Any]) -> None:
        named = {"en": "Who keeps the releases?", "ja": "同意書の保管者は誰か。"}
        one = {"item": "releases", "question": named, "owner": "studio", "due": "2027-01-15"}
        late = one | {"item": "names", "question": {"en": "Late?", "ja": "遅れているか。"},
                      "due": "2026-11-30", "late": True}  # fmt: skip
        nobody = one | {"owner": None, "due": None, "late": True}
        items = [one | {"late": False}, late, nobody, nobody | {"item": "brands"}]
        found["result"] |= {"open_items": items, "missing_roles": ["legal"]}

    change(run / "rights.json", ask)
    found = content(run)

    assert [(one.who, one.due) for one in found.actions if one.who == "studio"] == [
        ("studio", "2027-01-15"), ("studio", "2026-11-30 (overdue)")
    ]  # fmt: skip
    unanswered = row(found, "Answer the questions")
    assert unanswered.what.endswith(": 2")
    assert (unanswered.who, unanswered.due) == ("not set", "not set")
    assert row(found, "Approve the rights answer").who == "legal"


def test_a_part_that_nothing_is_said_of_has_a_row_all_the_same(run: Path) -> None:
    def silence(found: dict[str, Any]) -> None:
        for arm in found["result"]["arms"]:
            for part in arm["parts"]:
                part |= {"way_out": [], "reasons": []}

    change(run / "rights.json", silence)

    asked = row(content(run), "motion (motion adapter)").what

    assert asked == "motion (motion adapter): find out whether its rights allow the use"


def test_votes_still_needed_are_those_of_the_summary_and_change_no_light(run: Path) -> None:
    (votes,) = json.loads((run / "rating" / "votes.json").read_text("utf-8"))["summary"][
        "candidates"
    ]
    more = row(content(run), "Collect more votes")

    assert votes["votes_needed"]
    assert f": {votes['votes_needed']} more)" in more.what
    assert more.effect == "People's preference (none of the three lights)"


@pytest.mark.parametrize(
    ("asked", "effect"),
    [
        (findings.confirm(CHOSEN), "Technical light (now: not shown yet)"),
        (findings.approve_criteria(), "Technical light (now: not shown yet)"),
        (findings.clear_licence(sorted(CHOSEN.model_digests)), "Rights light (now: cleared)"),
        (findings.keep_rights_conditions(), "Rights light (now: cleared)"),
        (findings.justify_over_control(CONTROL, CHOSEN), "Which setting is recommended"),
        (Finding(text_en="Ask the board.", text_ja="役員会に諮る。"), "The decision as a whole"),
    ],
)
def test_every_condition_names_what_it_bears_on(bare: Path, asked: Finding, effect: str) -> None:
    decide(bare, conditions=[asked.model_dump()])

    said = words.sentence(load_text("en"), load_run(bare).plan, asked)
    assert row(content(bare), said).effect == effect


# --- the next step -------------------------------------------------------------------------------


def test_the_next_step_comes_first_and_is_marked(bare: Path) -> None:
    first, *others = content(bare).actions

    assert first.is_next
    assert first.what.startswith("64 more prompts")
    assert (first.who, first.due) == ("not set", "not set")
    assert first.effect == "Technical light (now: not shown yet)"
    assert not any(one.is_next for one in others)
    assert content(bare).actions_note == ""


def test_rights_are_asked_for_once_where_they_are_the_next_step(bare: Path) -> None:
    decide(bare, rights="INSUFFICIENT_EVIDENCE", rights_basis=None,
           next_measurement=findings.record_rights().model_dump())  # fmt: skip

    (asked,) = (one for one in content(bare).actions if one.effect.startswith("Rights light"))
    assert asked.is_next
    assert asked.who == "Whoever answers for licences and consents"


def test_prices_are_asked_for_once_where_they_are_the_next_step(bare: Path) -> None:
    def prices(found: Content) -> list[ActionRow]:
        return [one for one in found.actions if one.effect.startswith("Economic light")]

    (asked,) = prices(content(bare))
    assert not asked.is_next

    def passed(found: dict[str, Any]) -> None:
        for arm in found["arms"]:
            arm["technical"] = Light.GO if arm["arm_id"] == CHOSEN.id else arm["technical"]
        found |= {"technical": Light.GO, "next_measurement": findings.give_prices().model_dump()}

    change(bare / "decision.json", passed)
    (asked,) = prices(content(bare))

    assert asked.is_next
    assert asked.what == findings.give_prices().text_en
    assert asked.who == "Whoever buys machines and pays for editing"


# --- the same rows everywhere --------------------------------------------------------------------


def squeezed(said: str) -> str:
    return re.sub(r"\s", "", said.replace("\ufffe", "-"))


def of_pdf(view: RunView, text: Text) -> str:
    document = pypdfium2.PdfDocument(pdf.render(view, text))
    try:
        return squeezed("".join(page.get_textpage().get_text_range() for page in document))
    finally:
        document.close()


def of_markdown(view: RunView, text: Text) -> str:
    plain = markdown.render(view, text).replace("<br>", "").replace("|", "")
    return squeezed(re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), plain))


PAGES: dict[int, tuple[RunView, str]] = {}


def of_html(view: RunView, text: Text) -> str:
    if id(view) not in PAGES:  # it holds both languages; the view is kept, so its id is its own
        PAGES[id(view)] = view, html.render(view)
    page = PAGES[id(view)][1]
    article = page[page.index(f'<article lang="{text.language}">') :]
    return squeezed(unescape(re.sub(r"<[^>]+>", "", article[: article.index("</article>")])))


def of_pptx(view: RunView, text: Text) -> str:
    def said(slide: Any) -> Iterator[str]:
        for shape in slide.shapes:
            if shape.has_text_frame:
                yield shape.text_frame.text
            if shape.has_table:
                yield from (cell.text for line in shape.table.rows for cell in line.cells)

    slides = Presentation(io.BytesIO(pptx.render(view, text))).slides
    return squeezed("".join(one for slide in slides for one in said(slide)))


WRITERS: dict[str, Callable[[RunView, Text], str]] = {
    "pdf": of_pdf,
    "md": of_markdown,
    "html": of_html,
    "pptx": of_pptx,
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", WRITERS)
def test_every_writer_shows_the_same_rows(view: RunView, form: str, language: Language) -> None:
    text = load_text(language)
    found, said = make_content(view, text), WRITERS[form](view, text)
    rows = [f"{one.what}{one.who}{one.due}{one.effect}" for one in found.actions]

    assert len(rows) > 5
    assert [one for one in rows if squeezed(one) not in said] == []
    assert squeezed("".join(actions_table(found, text).head)) in said


@pytest.mark.parametrize("form", WRITERS)
def test_where_nothing_is_missing_no_table_is_drawn(run: Path, form: str) -> None:
    settle(run)
    view = load_run(run)
    found, said = make_content(view, EN), WRITERS[form](view, EN)

    assert found.actions == ()
    assert found.actions_note == EN("action.none")
    assert squeezed(EN("action.none")) in said
    assert squeezed("".join(actions_table(found, EN).head)) not in said


def test_the_first_slide_counts_the_rows_that_a_later_one_shows(view: RunView) -> None:
    slides = Presentation(io.BytesIO(pptx.render(view, EN))).slides
    (shown,) = (shape.table for shape in slides[0].shapes if shape.has_table)
    left_out = len(make_content(view, EN).actions) - (len(shown.rows) - 1)
    words = [shape.text_frame.text for shape in slides[0].shapes if shape.has_text_frame]

    assert left_out > 0
    assert any(EN("document.elsewhere.slide", n=left_out) in one for one in words)
