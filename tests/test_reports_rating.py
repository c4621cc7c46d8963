"""Rating within the dashboard: every vote is stored once, and no browser learns an arm's name."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rated_runs as rated
import reports_fixture as fixture
import served_ratings as served
from streamlit.testing.v1 import AppTest
from test_reports_access import LISTED, SATO

from poc.ballot import Ballot, Reply
from poc.panel import Form, Pack, Panel, PanelRequest, design_panel
from poc.rating_folder import answers_path, owned, served_path, write_key
from poc.rating_votes import stored_votes
from poc.store import RunStore
from poc.vote_records import AnswerFile, Outcome, Verdict
from reports import access, dashboard, rating
from reports.load import load_run
from reports.people import clips_detail, detail, packs
from reports.text import LANGUAGES, Language, load_text

ENTRY = Path(dashboard.__file__)
PAGE = "app_pages/rating.py"


def ask(run: Path, form: Form, *, raters: int = 2) -> Panel:
    """Make packs of one comparison or clip each, with its repeat and its catch."""
    with RunStore.open_reader(run) as store:
        arms = {arm.name: arm.id for arm in store.plan.arms}
        asked = PanelRequest(
            baseline_id=store.plan.baseline_id, candidate_ids=(arms["animatelcm-2"],),
            raters=raters, per_rater=1, seed=0, number=0 if form is Form.PAIRS else 1, form=form,
        )  # fmt: skip
        ended = {clip_id: one.status for clip_id, one in store.results().items()}
        panel = design_panel(store.plan, ended, asked)
    write_key(run, panel)
    return panel


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "demo"
    return fixture.write_run(folder, fixture.plan(count=3, hostile=True))


@pytest.fixture
def run(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "runs" / "demo")


@pytest.fixture
def panel(run: Path) -> Panel:
    return ask(run, Form.PAIRS)


@pytest.fixture
def ballot(run: Path, panel: Panel) -> Ballot:
    assert panel.packs
    return rating.open_ballot(run)


def send(ballot: Ballot, path: str, **fields: Any) -> Reply:
    """Send one message as the browser does."""
    asked = rating.understood({"id": "1", "path": path} | fields)
    assert asked is not None
    return rating.answer(ballot, asked)


def begin(ballot: Ballot, panel: Panel) -> tuple[str, Pack]:
    """Begin a pack and return its ticket and what it asks."""
    ticket = json.loads(send(ballot, "begin", form="pairs").body)["ticket"]
    pack_id = ballot.pack_of(ticket)
    return ticket, next(pack for pack in panel.packs if pack.pack_id == pack_id)


def bodies(panel: Panel, pack: Pack, opinion: Outcome = Outcome.TIE) -> list[str]:
    return [json.dumps(one) for one in served.votes(panel, pack, lambda _trial: opinion)]


# --- messages ------------------------------------------------------------------------------------


def test_a_round_is_counted_as_if_it_had_come_by_file(
    run: Path, panel: Panel, ballot: Ballot
) -> None:
    ticket, pack = begin(ballot, panel)
    for body in bodies(panel, pack):
        assert send(ballot, "vote", ticket=ticket, body=body).status == 200
    assert stored_votes(run, RunStore.open_reader(run).plan) is None  # not finished: not counted
    assert send(ballot, "finish", ticket=ticket).status == 200

    came = AnswerFile.from_json(answers_path(run, pack.pack_id).read_bytes())
    file = rated.raw(panel, pack, lambda _trial: Outcome.TIE)
    assert came.model_copy(update={"taken_in": None}) == AnswerFile.from_json(json.dumps(file))
    votes = stored_votes(run, RunStore.open_reader(run).plan)
    assert votes is not None
    assert votes.summary.candidates[0].everyone.n_votes == 1


def test_a_vote_that_is_sent_twice_or_late_is_one_vote(panel: Panel, ballot: Ballot) -> None:
    ticket, pack = begin(ballot, panel)
    tie, win = (bodies(panel, pack, one)[0] for one in (Outcome.TIE, Outcome.WIN))
    later = json.dumps(json.loads(win) | {"sequence": 5})
    sent = [send(ballot, "vote", ticket=ticket, body=body) for body in (tie, tie, later, tie)]

    assert [one.status for one in sent] == [200, 200, 200, 409]
    assert json.loads(sent[-1].body) == {"sequence": 5}
    (kept,) = ballot._votes.sheet(pack.pack_id).trials.values()
    assert kept.answers is not None
    assert kept.model_dump(mode="json") == json.loads(later)["trial"]


def test_a_vote_for_another_pack_is_refused_and_one_for_the_own_is_taken(
    panel: Panel, ballot: Ballot
) -> None:
    ticket, pack = begin(ballot, panel)
    other = next(one for one in panel.packs if one is not pack)
    stranger, own = bodies(panel, other)[0], bodies(panel, pack)[0]

    assert send(ballot, "vote", ticket=ticket, body=stranger).status == 400
    assert send(ballot, "vote", ticket="x" * 32, body=own).status == 403
    assert send(ballot, "vote", body=own).status == 403
    assert ballot._votes.sheet(pack.pack_id).trials == {}
    assert send(ballot, "vote", ticket=ticket, body=own).status == 200


def test_after_the_end_no_vote_is_taken(panel: Panel, ballot: Ballot) -> None:
    ticket, pack = begin(ballot, panel)
    first, second, *_ = bodies(panel, pack)
    assert send(ballot, "vote", ticket=ticket, body=first).status == 200
    assert send(ballot, "finish", ticket=ticket).status == 200

    assert send(ballot, "vote", ticket=ticket, body=second).status == 410
    assert send(ballot, "finish", ticket=ticket).status == 200  # a second click ends nothing twice


@pytest.mark.parametrize("body", ["", "{}", "[]", "null", '{"sequence": 1}', "<script>"])
def test_a_vote_that_is_none_is_not_understood(panel: Panel, ballot: Ballot, body: str) -> None:
    ticket, pack = begin(ballot, panel)

    assert send(ballot, "vote", ticket=ticket, body=body).status == 400
    assert ballot._votes.sheet(pack.pack_id).trials == {}


@pytest.mark.parametrize(
    "message",
    [
        None,
        "vote",
        {},
        {"id": "1"},
        {"id": "1", "path": "/etc/passwd"},
        {"id": "", "path": "page"},
        {"id": "1", "path": "page", "language": "fr"},
        {"id": "1", "path": "begin", "form": "everything"},
        {"id": "1", "path": "vote", "body": "x" * 16_001},
        {"id": "1", "path": "vote", "ticket": "x" * 65},
        {"id": "1", "path": "vote", "more": 1},
    ],
)
def test_a_message_that_no_page_sends_is_none(message: object) -> None:
    assert rating.understood(message) is None
    assert rating.understood({"id": "1", "path": "vote", "body": "x" * 16_000}) is not None


def test_a_message_that_is_not_understood_is_answered_where_somebody_waits() -> None:
    answered = rating.unfit({"id": "7", "path": "vote", "body": "x" * 16_001})

    assert answered is not None
    assert (answered["id"], answered["status"]) == ("7", 400)
    for nobody in (None, "vote", {}, {"id": ""}, {"id": 7}, {"id": "x" * 65}, {"id": "\ud800"}):
        assert rating.unfit(nobody) is None


def test_a_begin_whose_answer_was_lost_takes_no_second_pack(ballot: Ballot) -> None:
    ticket = "7" * 48
    first, again = (send(ballot, "begin", form="pairs", ticket=ticket) for _ in range(2))

    assert first == again
    assert json.loads(first.body) == {"ticket": ticket}
    assert ballot.free(Form.PAIRS) == 1
    assert send(ballot, "begin", form="pairs", ticket="easy").status == 400
    assert send(ballot, "begin", form="pairs").status == 200
    assert ballot.free(Form.PAIRS) == 0


def test_one_login_is_one_rater_and_leaves_the_other_packs(run: Path, ballot: Ballot) -> None:
    def begin_as(person: bytes) -> str:
        asked = rating.understood({"id": "1", "path": "begin", "form": "pairs", "ticket": "7" * 32})
        assert asked is not None
        return str(json.loads(rating.answer(ballot, asked, person).body)["ticket"])

    sato = access.identify(LISTED, SATO | {"email": "Sato@example.co.jp"}).person or b""
    again = access.identify(LISTED, SATO).person or b""
    suzuki = access.identify(LISTED, SATO | {"email": "suzuki@example.co.jp"}).person or b""

    assert begin_as(sato) == begin_as(again) != begin_as(suzuki)
    assert ballot.free(Form.PAIRS) == 0
    kept = b"".join(one.read_bytes() for one in served_path(run).parent.glob("served*"))
    assert not any(one in kept for one in (b"sato", b"Sato", sato, begin_as(sato).encode()))


def test_what_cannot_be_done_now_may_be_tried_again(
    run: Path, panel: Panel, ballot: Ballot, caplog: pytest.LogCaptureFixture
) -> None:
    ticket, pack = begin(ballot, panel)
    assert send(ballot, "vote", ticket=ticket, body=bodies(panel, pack)[0]).status == 200
    with owned(run):  # as `poc rate import` does
        busy = send(ballot, "finish", ticket=ticket)

    assert busy.status == 503
    assert json.loads(busy.body) == {"error": "not possible now"}
    assert "in use by" in caplog.text
    assert send(ballot, "finish", ticket=ticket).status == 200


def test_an_end_that_a_killed_server_left_half_done_is_done_when_the_page_is_opened(
    run: Path, panel: Panel, ballot: Ballot
) -> None:
    ticket, pack = begin(ballot, panel)
    assert send(ballot, "vote", ticket=ticket, body=bodies(panel, pack)[0]).status == 200
    ballot._votes.close(pack.pack_id)  # and there it was killed
    assert not answers_path(run, pack.pack_id).exists()

    rating.open_ballot(run)
    assert answers_path(run, pack.pack_id).exists()


def test_a_run_whose_frames_are_gone_says_where_to_its_log_and_not_to_the_browser(
    run: Path, panel: Panel, ballot: Ballot, caplog: pytest.LogCaptureFixture
) -> None:
    ticket, _ = begin(ballot, panel)
    for path in (run / "clips").iterdir():
        path.unlink()
    found = send(ballot, "page", ticket=ticket)

    assert found.status == 503
    assert json.loads(found.body) == {"error": "not possible now"}
    assert str(run / "clips") in caplog.text


def test_nothing_that_a_browser_gets_names_an_arm(run: Path, panel: Panel, ballot: Ballot) -> None:
    ticket, _ = begin(ballot, panel)
    page = send(ballot, "page", ticket=ticket, language="en")
    given = json.dumps([rating.desk(ballot, load_text("en"), None), page.body])
    key = next(run.glob("rating/*/key.json")).read_text()
    with RunStore.open_reader(run) as store:
        shown = {one for t in panel.packs[0].trials for one in (t.left.clip_id, t.right.clip_id)}
        told = {word for arm in store.plan.arms for word in (arm.id, arm.name)} | shown

    assert page.status == 200
    assert [word for word in told if word in given] == []
    assert any(word in key for word in told)  # the twin: the words are those that would tell


def test_votes_are_kept_where_the_variable_says(
    run: Path, panel: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "elsewhere.sqlite"
    monkeypatch.setenv("POC_VOTES", str(place))
    ballot = rating.open_ballot(run)
    ticket, pack = begin(ballot, panel)
    assert send(ballot, "vote", ticket=ticket, body=bodies(panel, pack)[0]).status == 200
    said = dict(rating.commands(run, "en"))

    assert place.exists()
    assert not served_path(run).exists()
    assert said["rating.type.collect"] == f'poc rate collect {run} --votes "$POC_VOTES"'
    monkeypatch.delenv("POC_VOTES")
    assert dict(rating.commands(run, "en"))["rating.type.collect"] == f"poc rate collect {run}"
    assert rating.open_ballot(run).pack_of(ticket) is None
    assert served_path(run).exists()


def test_commands_name_the_run_as_one_word() -> None:
    said = [command for _, command in rating.commands(Path("runs/a b; rm -rf ~"), "en")]

    assert len(said) == 7
    assert all("'runs/a b; rm -rf ~'" in command for command in said)
    assert "\u202e" not in rating.folder_word(Path("runs/\u202egnp"))


# --- the page ------------------------------------------------------------------------------------

Open = Callable[..., AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Open:
    def opened(
        run: Path,
        language: Language = "en",
        page: str = PAGE,
        *,
        part: str = "",
        secrets: dict[str, Any] | None = None,
    ) -> AppTest:
        monkeypatch.setattr(access, "_GUARDS", set())
        monkeypatch.setattr(sys, "argv", [str(ENTRY), str(run.parent)])
        app = AppTest.from_file(ENTRY, default_timeout=60)
        app.query_params["lang"] = language
        app.secrets, app.user = dict(secrets or {}), SATO if secrets else {}
        app.run()
        app.switch_page(page).run()
        if part:
            app.segmented_control(key=f"part-{language}").set_value(part).run()
        return app

    return opened


def said(app: AppTest) -> str:
    """Return every sentence of the page, tables and commands among them."""
    plain = [*app.markdown, *app.caption, *app.subheader, *app.warning, *app.error, *app.info]
    cells = [cell for one in app.table for cell in one.value.reset_index().to_numpy().ravel()]
    words = [one.value for one in (*plain, *app.code)] + cells
    return "\n".join(map(str, words)).replace("\\", "")


def desks(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(one.proto.json) for one in app.get("bidi_component")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_run_without_packs_says_how_to_make_some(
    open_page: Open, run: Path, language: Language
) -> None:
    text, commands = load_text(language), [one for _, one in rating.commands(run, language)]
    rated, here, out = (open_page(run, language, part=part) for part in ("rated", "rate", "packs"))

    assert not any(app.exception for app in (rated, here, out))
    assert text("people.none") in said(rated)
    assert text("rating.no_packs") in said(here)
    assert all(command in said(here) for command in commands[:2])
    assert desks(here) == []
    assert all(command in said(out) for command in commands)


@pytest.mark.parametrize("language", LANGUAGES)
def test_packs_can_be_begun_in_both_forms(
    open_page: Open, run: Path, panel: Panel, language: Language
) -> None:
    ask(run, Form.CLIPS, raters=1)
    app, text = open_page(run, language, part="rate"), load_text(language)

    assert not app.exception
    (desk,) = desks(app)
    assert [(one["form"], one["left"], one["is_left"]) for one in desk["forms"]] == [
        ("pairs", text("rating.left", n=len(panel.packs)), True),
        ("clips", text("rating.left", n=1), True),
    ]
    assert desk["reply"] is None
    app.segmented_control(key="language").set_value("en" if language == "ja" else "ja").run()
    assert len(desks(app)) == 1  # a switch of language leads to no other part


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_has_seen_the_other_pages_is_told_not_to_rate(
    open_page: Open, run: Path, panel: Panel, language: Language
) -> None:
    assert panel.packs
    warnings = [one.value for one in open_page(run, language, part="rate").main.warning]

    text = load_text(language)
    assert text("rating.seen") in warnings
    assert text("tab.rated") in text("rating.seen")


def test_the_page_opens_on_the_rating_while_packs_are_left_and_else_on_what_was_judged(
    open_page: Open, run: Path
) -> None:
    text = load_text("en")
    before = open_page(run)
    panel = ask(run, Form.PAIRS)
    left = open_page(run)
    ballot = rating.open_ballot(run)
    for _ in panel.packs:
        assert ballot.enter(Form.PAIRS)
    begun = open_page(run)

    titles = [[one.value for one in app.subheader] for app in (before, left, begun)]
    assert titles == [[text("section.people")], [text("section.rate")], [text("section.people")]]
    assert text("people.none") not in said(left)


@pytest.mark.parametrize(("secrets", "said_key"), [({}, "unknown"), (LISTED, "known")])
def test_who_rates_is_told_whether_anybody_checks_who_they_are(
    open_page: Open, run: Path, panel: Panel, secrets: dict[str, Any], said_key: str
) -> None:
    assert panel.packs
    app = open_page(run, part="rate", secrets=secrets)

    assert not app.exception
    told = {one for one in ("known", "unknown") if load_text("en")(f"rating.{one}") in said(app)}
    assert told == {said_key}


def test_a_pack_that_was_begun_is_not_left(open_page: Open, run: Path, panel: Panel) -> None:
    ballot = rating.open_ballot(run)
    for _ in panel.packs:
        assert ballot.enter(Form.PAIRS)
    (desk,) = desks(open_page(run, part="rate"))

    assert [one["is_left"] for one in desk["forms"]] == [False]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_said_is_on_the_page_as_it_is_in_the_votes(
    open_page: Open, run: Path, language: Language, tmp_path: Path
) -> None:
    fixture.vote(run, tmp_path / "answers", lambda _trial: Outcome.WIN)
    fixture.judge(run, tmp_path / "judged", lambda _trial: Verdict.RETOUCH)
    app, text, view = open_page(run, language), load_text(language), load_run(run)
    shown = said(app)

    assert not app.exception
    assert packs(view, text) in shown
    (pairs,), (clips,) = detail(view, text), clips_detail(view, text)
    for sentence in (pairs.said, pairs.who, pairs.needed, clips.said, clips.needed):
        assert sentence in shown
    assert pairs.caution
    assert pairs.caution in shown  # three prompts are too few to lean on
    assert all(one in shown for row in pairs.rows for one in (row.counts, row.alpha, row.same))
    assert all(row.not_worse.interval in shown for row in pairs.rows)
    assert all(line.said in shown for line in clips.lines)
    assert view.votes is not None
    summary = view.votes.summary
    assert str(summary.packs) in packs(view, text)
    assert str(summary.candidates[0].kept.n_votes) in pairs.who
    assert text("people.none") not in shown


def test_votes_that_are_not_summed_up_say_what_to_type(
    open_page: Open, run: Path, tmp_path: Path
) -> None:
    fixture.vote(run, tmp_path / "answers", lambda _trial: Outcome.WIN)
    (run / "rating" / "votes.json").unlink()
    app = open_page(run)

    assert not app.exception
    assert load_text("en")("rating.open") in said(app)
    assert f"poc rate show {run}" in said(app)


def test_votes_that_cannot_be_read_stop_the_rating_and_no_other_page(
    open_page: Open, run: Path, panel: Panel
) -> None:
    assert panel.packs
    served_path(run).write_bytes(b"not a database, and long enough to be looked at" * 30)
    app, text = open_page(run, part="rate"), load_text("en")

    assert not app.exception
    assert text("rating.unreadable") in said(app)
    assert "served.sqlite" in said(app)
    assert desks(app) == []
    for name in dashboard.PAGES:
        other = open_page(run, "en", f"app_pages/{name}.py")
        assert not other.exception
        assert text("rating.unreadable") not in said(other)


def test_a_damaged_key_stops_the_rating_and_says_which(
    open_page: Open, run: Path, panel: Panel
) -> None:
    assert panel.packs
    next(run.glob("rating/*/key.json")).write_text("{}")
    app = open_page(run, part="rate")

    assert not app.exception
    assert load_text("en")("rating.unreadable") in said(app)
    assert "key.json" in said(app)


def test_a_run_that_is_not_decided_says_so_and_draws_no_rating(
    open_page: Open, tmp_path: Path
) -> None:
    half = fixture.write_run(tmp_path / "half" / "demo", fixture.plan(count=1), decided=False)
    app = open_page(half)

    assert not app.exception
    assert load_text("en")("problem.not_decided", name="demo") in said(app)
    assert desks(app) == []
