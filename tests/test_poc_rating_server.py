"""`poc rate serve`: a link works once, an answer is kept once, and nobody sees an arm."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import browser_pages as browsing
import pytest
import rated_runs as rated
import served_ratings as served
import small_run
from served_ratings import Client

from poc import cli
from poc.ballot import Ballot
from poc.panel import Panel, Trial
from poc.rating_folder import answers_path, imported, served_path
from poc.rating_server import MOST_BYTES, Server
from poc.rating_votes import stored_votes
from poc.store import RunStore
from poc.vote_records import AnswerFile, Outcome, Vote

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

CHROMIUM = browsing.browser_path()
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def win(_trial: Trial) -> Outcome:
    return Outcome.WIN


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = rated.folder(tmp_path_factory.mktemp("served") / "secretly-named-run")
    options = ["--raters", "3", "--candidate", "lcm-2", "--per-rater", "4"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    return run


@pytest.fixture
def run(packed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(packed, tmp_path / "secretly-named-run")


@pytest.fixture
def panel(run: Path) -> Panel:
    (path,) = run.glob("rating/*/key.json")
    return Panel.from_json(path.read_bytes())


@contextmanager
def serving(run: Path) -> Iterator[Server]:
    """Serve a run's packs from a thread."""
    with RunStore.open_reader(run) as store, Server("127.0.0.1", 0, Ballot.of(store, "en")) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield one
        finally:
            one.shutdown()
            thread.join()


@pytest.fixture
def server(run: Path) -> Iterator[Server]:
    with serving(run) as one:
        yield one


@pytest.fixture
def links(server: Server) -> list[str]:
    return [link.path for link in server.ballot.invite()]


def enter(server: Server, link: str) -> Client:
    client = Client(server.server_port)
    assert client.ask("POST", link)[0] == 303
    return client


def page_data(page: bytes) -> dict[str, Any]:
    found = re.search(rb'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


# --- links ---------------------------------------------------------------------------------------


def test_looking_at_a_link_does_not_use_it_and_pressing_its_button_does(
    server: Server, links: list[str]
) -> None:
    stranger = Client(server.server_port)
    assert [stranger.ask("GET", links[0])[0] for _ in range(3)] == [200, 200, 200]
    rater = enter(server, links[0])

    assert rater.ask("GET", "/")[0] == 200
    assert stranger.ask("GET", links[0])[0] == 410
    assert stranger.ask("POST", links[0])[0] == 410
    assert stranger.ask("GET", "/")[0] == 404
    assert rater.ask("GET", "/")[0] == 200  # a reload


def test_without_an_invitation_nothing_is_taken(
    server: Server, links: list[str], panel: Panel
) -> None:
    assert len(links) == len(panel.packs)
    client = Client(server.server_port, cookie="rating=guessed")
    message = served.votes(panel, panel.packs[0], win)[0]

    assert client.ask("POST", "/vote", message)[0] == 403
    assert client.ask("POST", "/finish", {})[0] == 403
    assert client.ask("GET", "/../manifest.json")[0] == 404


def test_another_site_cannot_vote_for_a_rater(
    server: Server, links: list[str], panel: Panel
) -> None:
    client = enter(server, links[0])
    message = served.votes(panel, panel.packs[0], win)[0]
    client.headers = {"Origin": "http://elsewhere.example"}
    assert client.ask("POST", "/vote", message)[0] == 400

    client.headers = {"Origin": f"http://127.0.0.1:{server.server_port}"}
    assert client.ask("POST", "/vote", message)[0] == 200


def test_a_page_of_the_server_tells_no_arm_no_clip_and_no_name(
    run: Path, server: Server, links: list[str]
) -> None:
    plan = small_run.plan(prompts=20)
    secrets = {arm.id for arm in plan.arms} | {arm.name for arm in plan.arms} | {run.name}
    secrets |= {clip.id for batch in plan.batches for clip in batch.clips}
    page = enter(server, links[0]).ask("GET", "/")[1].decode()
    own = re.sub(r"data:video/webm;base64,[A-Za-z0-9+/=]*", "", page)

    assert not [word for word in secrets if word in own]
    assert "connect-src &#x27;self&#x27;" in own


# --- votes ---------------------------------------------------------------------------------------


def test_a_reload_shows_what_was_stored_and_no_more(
    server: Server, links: list[str], panel: Panel
) -> None:
    client = enter(server, links[0])
    messages = served.votes(panel, panel.packs[0], win, rater="sato")
    for message in messages[:2]:
        assert client.ask("POST", "/vote", message)[0] == 200
        assert client.ask("POST", "/vote", message)[0] == 200  # a second click
    known = page_data(client.ask("GET", "/")[1])["server"]

    assert set(known["trials"]) == {one["trial"]["trial_id"] for one in messages[:2]}
    assert (known["rater"], known["sequence"], known["closed"]) == ("sato", 2, False)


def test_a_late_copy_of_an_earlier_answer_is_refused_with_the_later_ones_number(
    server: Server, links: list[str], panel: Panel
) -> None:
    client = enter(server, links[0])
    first = served.votes(panel, panel.packs[0], win)[0]
    changed = {**first, "sequence": 5}
    assert client.ask("POST", "/vote", changed)[0] == 200
    status, reply = client.ask("POST", "/vote", first)

    assert status == 409
    assert json.loads(reply) == {"sequence": 5}


def test_what_no_page_sends_is_refused(server: Server, links: list[str], panel: Panel) -> None:
    client = enter(server, links[0])
    good = served.votes(panel, panel.packs[0], win)[0]
    other = served.votes(panel, panel.packs[1], win)[0]["trial"]
    bad: tuple[Any, ...] = (
        {**good, "trial": other},
        {**good, "trial": {**good["trial"], "plays": 0}},
        {**good, "trial": {**good["trial"], "answers": {"motion": "left"}}},
        {**good, "rater": ""},
        {**good, "more": 1},
        [],
    )
    assert {client.ask("POST", "/vote", one)[0] for one in bad} == {400}
    assert client.ask("POST", "/vote", {"padding": "x" * MOST_BYTES})[0] == 400
    assert page_data(client.ask("GET", "/")[1])["server"]["trials"] == {}


def test_an_answer_that_is_taken_back_is_shown_as_none_and_taken_in_as_none(
    run: Path, server: Server, links: list[str], panel: Panel
) -> None:
    client = enter(server, links[0])
    first, second = served.votes(panel, panel.packs[0], win)[:2]
    back = {**first, "sequence": 3, "trial": {**first["trial"], "answers": None}}
    assert [client.ask("POST", "/vote", one)[0] for one in (first, second, back)] == [200] * 3
    known = page_data(client.ask("GET", "/")[1])["server"]["trials"]
    server.ballot.take_in(unfinished=True)

    assert known[first["trial"]["trial_id"]]["answers"] == {}
    stored = AnswerFile.from_json(answers_path(run, panel.packs[0].pack_id).read_bytes())
    assert [one.trial_id for one in stored.trials if one.is_answered] == [
        second["trial"]["trial_id"]
    ]


def test_finishing_takes_the_answers_in_once_and_sums_them_up(
    run: Path, server: Server, links: list[str], panel: Panel
) -> None:
    pack = panel.packs[0]
    client = enter(server, links[0])
    for message in served.votes(panel, pack, win, rater="sato"):
        client.ask("POST", "/vote", message)
    assert [client.ask("POST", "/finish", {})[0] for _ in range(2)] == [200, 200]
    late = {**served.votes(panel, pack, win)[0], "sequence": 99}

    assert client.ask("POST", "/vote", late)[0] == 410
    expected = AnswerFile.from_json(json.dumps(rated.raw(panel, pack, win, rater="sato")))
    stored = AnswerFile.from_json(answers_path(run, pack.pack_id).read_bytes())
    assert stored.model_copy(update={"taken_in": None}) == expected
    votes = stored_votes(run, RunStore.open_reader(run).plan)
    assert votes is not None
    assert votes.summary.packs_answered == 1


def test_a_server_killed_between_closing_and_taking_in_does_the_rest_later(
    run: Path, server: Server, links: list[str], panel: Panel
) -> None:
    client = enter(server, links[0])
    client.ask("POST", "/vote", served.votes(panel, panel.packs[0], win)[0])
    server.ballot._votes.close(panel.packs[0].pack_id)
    assert imported(run) == {}
    with RunStore.open_reader(run) as store:
        (taken,) = Ballot.of(store, "en").take_in()

    assert (taken.answered, taken.trials) == (1, len(panel.packs[0].trials))


def test_what_is_not_finished_can_be_collected_and_is_closed_then(
    run: Path, server: Server, links: list[str], panel: Panel
) -> None:
    client = enter(server, links[1])
    messages = served.votes(panel, panel.packs[1], win)
    client.ask("POST", "/vote", messages[0])

    assert cli.main(["rate", "collect", str(run)]) == 0
    assert cli.main(["rate", "collect", str(run)]) == 0  # nothing is left, and that is no error
    assert set(imported(run)) == {panel.packs[1].pack_id}
    assert client.ask("POST", "/vote", messages[1])[0] == 410


def test_votes_killed_with_their_server_are_sent_again_and_stand_once(
    run: Path, panel: Panel
) -> None:
    """A kill after an acknowledgement loses nothing; one before it is made good by the page."""
    port, pack = served.free_port(), panel.packs[0]
    messages = served.votes(panel, pack, win)
    with served.process(run, port) as (_, said):
        link = said["links"][0]["link"].split(str(port))[1]
        client = Client(port)
        assert client.ask("POST", link)[0] == 303
        assert [client.ask("POST", "/vote", one)[0] for one in messages[:2]] == [200, 200]
    with served.process(run, port) as (_, said):
        assert said["links"] == []  # the first ones still hold
        known = page_data(client.ask("GET", "/")[1])["server"]["trials"]
        assert set(known) == {one["trial"]["trial_id"] for one in messages[:2]}
        assert [client.insist("/vote", one)[0] for one in messages] == [200] * len(messages)
        assert client.insist("/finish", {})[0] == 200

    stored = AnswerFile.from_json(answers_path(run, pack.pack_id).read_bytes())
    sent = AnswerFile.from_json(json.dumps(rated.raw(panel, pack, win)))
    assert stored.model_copy(update={"taken_in": None}) == sent


def test_runs_of_one_plan_share_a_database_and_no_votes(tmp_path: Path) -> None:
    """The second run's clips are others: one of them failed."""
    runs = [rated.folder(tmp_path / f"run-{bad}", bad=bad) for bad in (0, 1)]
    options = ["--raters", "2", "--candidate", "lcm-2", "--per-rater", "4"]
    assert [cli.main(["rate", "pack", str(run), *options]) for run in runs] == [0, 0]
    stores = [RunStore.open_reader(run) for run in runs]
    ballots = [Ballot.of(one, "en", tmp_path / "shared.sqlite") for one in stores]
    links = [one.invite() for one in ballots]
    (key,) = runs[0].glob("rating/*/key.json")
    panel = Panel.from_json(key.read_bytes())
    message = served.votes(panel, panel.packs[0], win)[0]
    cookie = ballots[0].claim(links[0][0].path[3:])

    assert stores[0].plan == stores[1].plan
    assert [len(one) for one in links] == [2, 2]
    assert (
        ballots[0].cast(panel.packs[0].pack_id, Vote.from_json(json.dumps(message))).status == 200
    )
    assert ballots[1].pack_of(cookie or "") is None
    assert ballots[1].take_in(unfinished=True) == ()
    assert len(ballots[0].take_in(unfinished=True)) == 1


def test_damaged_votes_are_named_and_the_server_does_not_start(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    served_path(run).write_bytes(b"not a database, and long enough to be looked at" * 30)

    assert cli.main(["rate", "serve", str(run), "--port", "0"]) == 2
    assert "served.sqlite: the votes cannot be read or written" in capsys.readouterr().err


# --- in a browser --------------------------------------------------------------------------------


@in_browser
@pytest.mark.slow
def test_a_rater_plays_answers_loses_the_server_reloads_and_finishes(
    browser: Browser, run: Path, panel: Panel
) -> None:
    port = served.free_port()
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.set_default_timeout(browsing.PATIENCE_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    with served.process(run, port, "--lang", "en") as (_, said):
        page.goto(said["links"][0]["link"])
        page.get_by_role("button").click()
        page.get_by_role("button", name="Begin").click()
        answer(page)
        page.locator("#kept", has_text="pairs stored: 1").wait_for()
        page.locator("#next").click()
    answer(page)  # the server is gone
    page.locator("#kept", has_text="pairs not stored yet: 1").wait_for()
    with served.process(run, port, "--lang", "en"):
        page.locator("#kept", has_text="pairs stored: 2").wait_for()
        page.reload()
        page.locator("#kept", has_text="pairs stored: 2").wait_for()
        page.locator("#next").click()
        for _ in range(len(panel.packs[0].trials) - 2):
            answer(page)
            page.locator("#next").click()
        page.locator("#finish").click()
        page.get_by_text("You have finished").wait_for()
    page.close()

    stored = AnswerFile.from_json(answers_path(run, panel.packs[0].pack_id).read_bytes())
    said_same = {"motion": "same", "picture": "same", "as_asked": "same", "overall": "same"}
    given = [one.answers.model_dump(mode="json") for one in stored.trials if one.answers]
    assert given == [said_same] * len(panel.packs[0].trials)
    assert all(one.plays >= 1 and one.duration_s for one in stored.trials)
    assert problems == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing.chromium(str(CHROMIUM)) as one:
        yield one


@pytest.fixture
def page(browser: Browser, server: Server, links: list[str]) -> Iterator[Page]:
    """A rater's page before the first answer."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    one = context.new_page()
    one.set_default_timeout(browsing.PATIENCE_MS)
    one.goto(f"http://127.0.0.1:{server.server_port}{links[0]}")
    one.get_by_role("button").click()
    one.get_by_role("button", name="Begin").click()
    yield one
    context.close()


@in_browser
def test_a_rater_who_is_turned_away_is_told_so_in_both_languages_and_loses_nothing(
    page: Page, server: Server, panel: Panel
) -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.method == "POST" else None)
    (first,) = [link for link in server.ballot.invite(renew=True) if "-01" in link.pseudonym]
    answer(page)
    page.locator("#refused", has_text="This browser's invitation does not hold any more").wait_for()
    assert "not stored: 1, sending has stopped" in page.locator("#kept").inner_text()
    page.locator("#language").click()
    page.locator("#refused", has_text="このブラウザーの招待は無効になっています").wait_for()
    page.wait_for_timeout(2500)  # more than the first pauses of a page that tried again
    assert len(asked) == 1

    beside = page.context.new_page()  # the new link, in the same browser
    beside.goto(f"http://127.0.0.1:{server.server_port}{first.path}")
    beside.get_by_role("button").click()
    beside.locator("#kept", has_text="pairs stored: 1").or_(
        beside.locator("#kept", has_text="1 組を保存しました")
    ).wait_for()
    sheet = server.ballot._votes.sheet(panel.packs[0].pack_id)
    assert len(sheet.trials) == 1


@in_browser
def test_an_answer_that_the_server_does_not_understand_is_not_sent_for_ever(page: Page) -> None:
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=400, body="{}")

    page.route("**/vote", refuse)
    answer(page)
    page.locator("#refused", has_text="This page may no longer fit the server").wait_for()
    page.wait_for_timeout(2500)
    assert len(asked) == 1
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save answers").click()
    kept = AnswerFile.from_json(Path(saved.value.path()).read_bytes())
    assert sum(one.answers is not None for one in kept.trials) == 1


@in_browser
def test_a_server_in_trouble_is_asked_again_after_growing_pauses(
    page: Page, server: Server, panel: Panel
) -> None:
    asked: list[float] = []

    def trouble(route: Route) -> None:
        asked.append(time.monotonic())
        if len(asked) == 1:
            route.abort()  # no answer at all
        elif len(asked) < 4:
            route.fulfill(status=503, body="{}")
        else:
            route.continue_()

    page.route("**/vote", trouble)
    answer(page)
    page.locator("#kept", has_text="pairs stored: 1").wait_for()
    pauses = [later - sooner for sooner, later in itertools.pairwise(asked)]
    least = [0.75 * 2**n for n in range(3)]  # doubling, a quarter less at the most
    assert all(one >= bound for one, bound in zip(pauses, least, strict=True))
    assert len(server.ballot._votes.sheet(panel.packs[0].pack_id).trials) == 1


@in_browser
def test_a_rater_judges_single_clips_by_keys_and_by_the_mouse_and_finishes(
    browser: Browser, tmp_path: Path
) -> None:
    run = rated.folder(tmp_path / "run")
    options = ["--raters", "1", "--candidate", "lcm-2", "--per-rater", "3", "--form", "clips"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(browsing.PATIENCE_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    with serving(run) as server:
        (link,) = server.ballot.invite()
        page.goto(f"http://127.0.0.1:{server.server_port}{link.path}")
        page.get_by_role("button").click()
        page.get_by_role("button", name="Begin").click()
        yes, next_ = page.get_by_role("button", name="Yes"), page.locator("#next")
        assert yes.is_disabled()  # nothing can be said before the clip was played

        page.locator("fieldset button:enabled").first.wait_for()
        page.keyboard.press("3")
        assert next_.is_disabled()  # a reason is missing
        page.keyboard.press("6")
        page.keyboard.press("4")
        page.locator("#kept", has_text="clips stored: 1").wait_for()
        page.keyboard.press("Enter")

        page.locator("fieldset button:enabled").first.wait_for()
        page.get_by_role("button", name="After retouch").click()
        page.get_by_role("button", name="Style does not fit").click()
        next_.click()
        page.reload()
        page.locator("#kept", has_text="clips stored: 2").wait_for()

        for place in range(3):
            page.locator("fieldset button:enabled").first.wait_for()
            page.keyboard.press("1")
            page.keyboard.press("Enter")
            page.locator("#kept", has_text=f"clips stored: {3 + place}").wait_for()
        page.locator("#finish").click()
        page.get_by_text("You have finished").wait_for()
    page.close()

    (path,) = (run / "rating" / "answers").glob("*.json")
    said = [one.judgement for one in AnswerFile.from_json(path.read_bytes()).trials]
    assert [one.model_dump(mode="json") for one in said[:2] if one] == [
        {"verdict": "no", "reasons": ["motion", "shape"]},
        {"verdict": "retouch", "reasons": ["style"]},
    ]
    assert [one.verdict for one in said[2:] if one] == ["yes"] * 3  # judgement, repeat, catch
    assert problems == []


@pytest.fixture
def clip_run(tmp_path: Path) -> Path:
    """A run with one pack of single clips."""
    run = rated.folder(tmp_path / "clips")
    options = ["--raters", "1", "--candidate", "lcm-2", "--per-rater", "1", "--form", "clips"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    return run


@pytest.fixture
def clip_server(clip_run: Path) -> Iterator[Server]:
    with serving(clip_run) as one:
        yield one


@pytest.fixture
def clip_page(browser: Browser, clip_server: Server) -> Iterator[Page]:
    """A page of single clips whose first one has played."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(browsing.PATIENCE_MS)
    (link,) = clip_server.ballot.invite()
    page.goto(f"http://127.0.0.1:{clip_server.server_port}{link.path}")
    page.get_by_role("button").click()
    page.get_by_role("button", name="Begin").click()
    page.locator("fieldset button:enabled").first.wait_for()
    yield page
    page.close()


def counted(run: Path, server: Server) -> int:
    """Take in what was said so far and return how many clips were judged."""
    server.ballot.take_in(unfinished=True)
    (path,) = (run / "rating" / "answers").glob("*.json")
    return sum(one.is_answered for one in AnswerFile.from_json(path.read_bytes()).trials)


@in_browser
def test_a_yes_that_is_taken_back_is_not_counted_though_the_reason_is_missing(
    clip_run: Path, clip_server: Server, clip_page: Page
) -> None:
    page = clip_page
    page.keyboard.press("1")
    page.locator("#kept", has_text="clips stored: 1").wait_for()
    page.keyboard.press("3")
    page.locator("#kept", has_text="clips stored: 0").wait_for()
    assert page.locator("#next").is_disabled()
    page.reload()
    page.locator("fieldset button:enabled").first.wait_for()

    assert page.get_by_role("button", name="Yes").get_attribute("aria-pressed") == "false"
    assert page.locator("#next").is_disabled()
    assert counted(clip_run, clip_server) == 0


@in_browser
def test_a_no_with_its_reason_takes_the_place_of_a_yes(
    clip_run: Path, clip_server: Server, clip_page: Page
) -> None:
    page = clip_page
    page.keyboard.press("1")
    page.locator("#kept", has_text="clips stored: 1").wait_for()
    page.keyboard.press("3")
    page.locator("#kept", has_text="clips stored: 0").wait_for()
    page.keyboard.press("4")
    page.locator("#kept", has_text="clips stored: 1").wait_for()

    assert counted(clip_run, clip_server) == 1
    (path,) = (clip_run / "rating" / "answers").glob("*.json")
    first = AnswerFile.from_json(path.read_bytes()).trials[0].judgement
    assert first is not None
    assert first.model_dump(mode="json") == {"verdict": "no", "reasons": ["motion"]}


@in_browser
def test_an_answer_taken_back_before_it_was_sent_locks_nobody_out(
    clip_run: Path, clip_server: Server, clip_page: Page
) -> None:
    page, is_down = clip_page, [True]

    def trouble(route: Route) -> None:
        if is_down[0]:
            route.fulfill(status=503, body="{}")
        else:
            route.continue_()

    page.route("**/vote", trouble)
    page.keyboard.press("1")
    page.locator("#kept", has_text="clips not stored yet: 1").wait_for()
    page.keyboard.press("3")
    is_down[0] = False
    page.locator("#kept", has_text="clips stored: 0").wait_for()

    assert page.locator("#refused").count() == 0
    assert counted(clip_run, clip_server) == 0


@in_browser
def test_an_offline_page_of_single_clips_saves_a_file_that_is_taken_in(
    browser: Browser, tmp_path: Path
) -> None:
    run = rated.folder(tmp_path / "run")
    options = ["--raters", "1", "--candidate", "lcm-2", "--per-rater", "1", "--form", "clips"]
    assert cli.main(["rate", "pack", str(run), *options]) == 0
    (path,) = run.glob("rating/*/packs/*.html")
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    page.set_default_timeout(browsing.PATIENCE_MS)
    page.goto(path.as_uri())
    page.get_by_role("button", name="始める").click()
    for _ in range(3):  # the clip, the clip again, and a damaged copy
        page.locator("fieldset button:enabled").first.wait_for()
        page.get_by_role("button", name="いいえ").click()
        page.get_by_role("button", name="動きが不自然").click()
        page.locator("#next").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="答えを保存").click()
    saved.value.save_as(tmp_path / "answers.json")
    page.close()

    assert cli.main(["rate", "import", str(run), str(tmp_path / "answers.json")]) == 0
    (kept,) = (run / "rating" / "answers").glob("*.json")
    said = [one.judgement for one in AnswerFile.from_json(kept.read_bytes()).trials]
    assert [one.model_dump(mode="json") for one in said if one] == [
        {"verdict": "no", "reasons": ["motion"]}
    ] * 3


def answer(page: Page) -> None:
    """Answer one pair by its keys, as soon as both clips have played."""
    page.locator("fieldset button:enabled").first.wait_for()
    for _ in range(4):
        page.keyboard.press("2")
