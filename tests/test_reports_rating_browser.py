"""Rating within the dashboard in a real Chromium: whole rounds, reloads, two windows, a kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import browser_pages as browsing
import pytest
import reports_fixture as fixture
from test_reports_browser import ALIKE, KANA
from test_reports_rating import ask

from poc.panel import Form, Panel
from poc.rating_folder import read_panels
from poc.rating_votes import stored_votes
from poc.store import RunStore
from poc.vote_records import AnswerFile, Question, VoteSummary
from reports.text import Language, load_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page

CHROMIUM = browsing.browser_path()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

VIEW = {"width": 1366, "height": 900}
TRIALS = 3
"""Of each pack: a comparison or a clip, the same again, and a catch."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("rated") / "demo"
    fixture.write_run(run, fixture.plan(count=3), drawn=3)
    ask(run, Form.PAIRS, raters=8)
    ask(run, Form.CLIPS, raters=3)
    return run


@pytest.fixture(scope="module")
def run(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the tests of this file share; each begins packs of its own."""
    return shutil.copytree(written, tmp_path_factory.mktemp("shared") / "runs" / "demo")


@pytest.fixture(scope="module")
def address(run: Path) -> Iterator[str]:
    with browsing.serving(run.parent) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing.chromium(str(CHROMIUM)) as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of its own: what one keeps, the others do not know."""
    opened = browser.new_context(viewport=VIEW)  # type: ignore[arg-type]
    opened.set_default_timeout(browsing.PATIENCE_MS)
    yield opened
    opened.close()


def visit(context: BrowserContext, address: str, language: Language = "en") -> Page:
    page = context.new_page()
    page.goto(f"{address}/rating?lang={language}")
    tab(page, "rate", language)
    page.locator(".ballot .cards").wait_for()
    return page


def tab(page: Page, name: str, language: Language = "en") -> None:
    """Choose a part of the page."""
    label = load_text(language)(f"tab.{name}")
    page.locator("[data-testid=stButtonGroup]").get_by_text(label, exact=True).click()


def framed(page: Page) -> FrameLocator:
    return page.frame_locator(".ballot iframe")


def enter(page: Page, form: Form) -> FrameLocator:
    """Begin a pack, or go on with it, up to its first open trial."""
    page.locator(f".ballot button[data-form={form}]").dblclick()
    frame = framed(page)
    frame.locator("#page button.main").first.wait_for()
    if frame.locator("#rater").count():
        frame.locator("#page button.main").click()
    return frame


def compare(page: Page, frame: FrameLocator) -> None:
    """Answer one pair by keys, as soon as both clips have played to their end."""
    frame.locator("fieldset button:enabled").first.wait_for()
    for _ in Question:
        page.keyboard.press("1")


def kept(frame: FrameLocator, words: str) -> None:
    frame.locator("#kept", has_text=words).wait_for()


def summary(run: Path) -> VoteSummary:
    with RunStore.open_reader(run) as store:
        found = stored_votes(run, store.plan)
        assert found is not None
        return found.summary


def answered(run: Path, form: Form) -> AnswerFile:
    """Return the one file of a form that came back."""
    with RunStore.open_reader(run) as store:
        panels = read_panels(run, store.plan.content_digest())
    packs = {pack.pack_id for panel in panels for pack in panel.packs if pack.form is form}
    files = [AnswerFile.from_json(one.read_bytes()) for one in run.glob("rating/answers/*.json")]
    (found,) = (one for one in files if one.pack_id in packs)
    return found


# --- whole rounds --------------------------------------------------------------------------------


def test_a_round_of_pairs_with_double_clicks_and_a_reload_is_counted_once(
    context: BrowserContext, address: str, run: Path
) -> None:
    problems: list[str] = []
    page = visit(context, address)
    page.on("pageerror", lambda error: problems.append(str(error)))
    frame = enter(page, Form.PAIRS)
    left = frame.get_by_role("button", name="Left")
    assert left.first.is_disabled()  # nothing can be said before both clips have played
    frame.locator("fieldset button:enabled").first.wait_for()
    for n in range(len(Question)):
        left.nth(n).dblclick()
    kept(frame, "pairs stored: 1")
    frame.locator("#next").click()
    compare(page, frame)
    kept(frame, "pairs stored: 2")

    page.reload()
    tab(page, "rate")
    button = page.locator(".ballot button[data-form=pairs]")
    assert button.inner_text() == load_text("en")("rating.go_on")
    button.click()
    kept(frame, "pairs stored: 2")
    frame.locator("#next").click()
    compare(page, frame)
    kept(frame, "pairs stored: 3")
    frame.locator("#next").click()
    frame.locator("#finish").dblclick()
    frame.get_by_text("You have finished").wait_for()

    said = answered(run, Form.PAIRS)
    assert [one.answers.model_dump(mode="json") for one in said.trials if one.answers] == [
        dict.fromkeys(map(str, Question), "left")
    ] * TRIALS
    assert all(one.plays >= 1 and one.duration_s for one in said.trials)
    (votes,) = summary(run).candidates
    assert votes.everyone.n_votes == 1  # kept too, unless the left side failed its catch
    tab(page, "rated")
    n = votes.kept.n_votes
    page.get_by_text(f"{n} votes, {n} raters, {n} prompts").wait_for()
    tab(page, "rate")
    assert button.inner_text() == load_text("en")("rating.begin")  # another pack
    assert problems == []
    page.close()


def test_a_round_of_single_clips_is_counted_once(
    context: BrowserContext, address: str, run: Path
) -> None:
    page = visit(context, address, "ja")
    frame = enter(page, Form.CLIPS)
    for n in range(TRIALS):
        frame.locator("fieldset button:enabled").first.wait_for()
        page.keyboard.press("3")
        assert frame.locator("#next").is_disabled()  # a reason is missing
        frame.get_by_role("button", name="動きが不自然").click()
        kept(frame, f"{n + 1} 本を保存しました")
        frame.locator("#next").click()
    frame.locator("#finish").click()
    frame.get_by_text("終了しました").wait_for()

    said = answered(run, Form.CLIPS)
    assert [one.judgement.model_dump(mode="json") for one in said.trials if one.judgement] == [
        {"verdict": "no", "reasons": ["motion"]}
    ] * TRIALS
    (arm,) = summary(run).arms
    assert (arm.kept.n_votes, arm.kept.no) == (1, 1)
    tab(page, "rated", "ja")
    page.get_by_text("はい0、手直しすれば0、いいえ1").wait_for()
    page.close()


def test_two_browsers_rate_at_once_and_get_packs_of_their_own(
    browser: Browser, context: BrowserContext, address: str
) -> None:
    other = browser.new_context(viewport=VIEW)  # type: ignore[arg-type]
    other.set_default_timeout(browsing.PATIENCE_MS)
    pages = [visit(context, address), visit(other, address)]
    names = []
    for page in pages:
        page.locator(".ballot button[data-form=pairs]").click()
        names.append(framed(page).locator("#rater").input_value())

    assert len(set(names)) == 2
    other.close()


def test_two_windows_of_one_browser_are_one_rater(context: BrowserContext, address: str) -> None:
    first, second = visit(context, address), visit(context, address)
    compare(first, enter(first, Form.PAIRS))
    kept(framed(first), "pairs stored: 1")
    second.reload()
    tab(second, "rate")
    second.locator(".ballot button[data-form=pairs]").click()
    kept(framed(second), "pairs stored: 1")

    assert framed(second).locator("#place").inner_text() == f"1 / {TRIALS}"
    first.close()
    second.close()


def test_a_ticket_that_is_not_known_any_more_gives_way_to_a_new_pack(
    context: BrowserContext, address: str, run: Path
) -> None:
    page = visit(context, address)
    panel = min(read_panels(run, RunStore.open_reader(run).plan.content_digest()), key=_number)
    page.evaluate(f"localStorage.setItem('ballot-{panel.panel_id}-pairs', 'forged')")
    page.reload()
    tab(page, "rate")
    button = page.locator(".ballot button[data-form=pairs]")
    assert button.inner_text() == load_text("en")("rating.go_on")
    button.click()
    page.get_by_text(load_text("en")("rating.gone")).wait_for()
    assert button.inner_text() == load_text("en")("rating.begin")
    button.click()
    framed(page).locator("#rater").wait_for()
    page.close()


def test_a_browser_that_keeps_nothing_takes_one_pack_however_often_it_is_clicked(
    context: BrowserContext, address: str
) -> None:
    context.add_init_script(
        "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError') };"
    )
    page = visit(context, address)
    names = []
    for _ in range(2):
        page.locator(".ballot button[data-form=clips]").click()
        names.append(framed(page).locator("#rater").input_value())
        page.locator(".ballot .close").click()
    button = page.locator(".ballot button[data-form=clips]")

    assert button.inner_text() == load_text("en")("rating.go_on")
    assert names[0] == names[1]
    page.close()


def test_a_begin_whose_answer_is_lost_is_asked_again_for_the_same_pack(
    context: BrowserContext, address: str, run: Path
) -> None:
    page = visit(context, address)
    panel = min(read_panels(run, RunStore.open_reader(run).plan.content_digest()), key=_number)
    chosen = "7" * 48  # as a browser has it that began and heard nothing
    page.evaluate(f"localStorage.setItem('ballot-{panel.panel_id}-clips-chosen', '{chosen}')")
    page.reload()
    tab(page, "rate")
    page.locator(".ballot button[data-form=clips]").click()
    framed(page).locator("#rater").wait_for()
    kept = page.evaluate("Object.entries(localStorage).filter(([key]) => key.startsWith('ballot'))")

    assert kept == [[f"ballot-{panel.panel_id}-clips", chosen]]
    page.close()


def _number(panel: Panel) -> int:
    return panel.request.number


@pytest.mark.slow
def test_a_server_that_is_killed_and_comes_back_loses_no_answer(
    context: BrowserContext, written: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(written, tmp_path / "runs" / "demo")
    port = browsing.free_port()
    with browsing.serving(run.parent, port=port, kill=True) as address:
        page = visit(context, address)
        frame = enter(page, Form.PAIRS)
        compare(page, frame)
        kept(frame, "pairs stored: 1")
        frame.locator("#next").click()
        frame.locator("fieldset button:enabled").first.wait_for()
    compare(page, frame)  # the server is gone
    kept(frame, "pairs not stored yet: 1")
    with browsing.serving(run.parent, port=port):
        kept(frame, "pairs stored: 2")
        frame.locator("#next").click()
        compare(page, frame)
        kept(frame, "pairs stored: 3")
        frame.locator("#next").click()
        frame.locator("#finish").click()
        frame.get_by_text("You have finished").wait_for()
        page.close()

    assert len([one for one in answered(run, Form.PAIRS).trials if one.answers]) == TRIALS


# --- words ---------------------------------------------------------------------------------------


def test_the_switch_of_language_changes_every_string_of_every_tab_and_of_the_rating(
    context: BrowserContext, address: str
) -> None:
    seen: dict[Language, set[str]] = {"en": set(), "ja": set()}
    page = visit(context, address)
    page.locator(".ballot button[data-form=pairs]").click()
    frame = framed(page)
    frame.locator("#rater").wait_for()
    for language, texts in seen.items():
        if language == "ja":
            page.get_by_text("日本語", exact=True).first.click()
            frame.get_by_text("呼び名", exact=True).wait_for()
        texts.update(frame.locator("body").inner_text().splitlines())
    for language, texts in seen.items():
        page.goto(f"{address}/rating?lang={language}")
        for name in ("rated", "packs", "rate"):
            tab(page, name, language)
            texts.update(browsing.settle(page))
    page.close()

    assert {one for one in seen["en"] & seen["ja"] if not ALIKE.fullmatch(one)} == set()
    left = [one for one in seen["en"] if KANA.search(one) and not ALIKE.fullmatch(one)]
    assert left == []
    assert any("評価パック" in one for one in seen["ja"])


# --- login ---------------------------------------------------------------------------------------

SECRETS = """
[auth]
redirect_uri = "{address}/oauth2callback"
cookie_secret = "{secret}"
client_id = "x"
client_secret = "y"
server_metadata_url = "https://login.example/.well-known/openid-configuration"

[access]
allow = ["{allowed}"]
"""
SECRET = "0123456789abcdef0123456789abcdef"


def logged_in(context: BrowserContext, address: str, email: str, secret: str = SECRET) -> None:
    """Give the browser the cookie that Streamlit gives after a login."""
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    user = {"origin": address, "is_logged_in": True, "email": email}
    value = create_signed_value(secret, USER_COOKIE_NAME, json.dumps(user)).decode()
    context.add_cookies([{"name": USER_COOKIE_NAME, "value": value, "url": address}])


@pytest.mark.slow
def test_only_who_is_on_the_list_rates_and_nobody_does_who_was_taken_off_it(
    browser: Browser, context: BrowserContext, written: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(written, tmp_path / "runs" / "demo")
    port, secrets = browsing.free_port(), tmp_path / "secrets.toml"
    address = f"http://127.0.0.1:{port}"

    def allow(email: str) -> None:
        text = SECRETS.format(address=address, secret=SECRET, allowed=email)
        secrets.write_text(text, "utf-8")

    allow("sato@example.co.jp")
    with browsing.serving(run.parent, f"--secrets.files={secrets}", port=port):
        for email, secret in (
            ("", SECRET), ("tanaka@example.co.jp", SECRET), ("sato@example.co.jp", "forged" * 6),
        ):  # fmt: skip
            outside = browser.new_context(viewport=VIEW)  # type: ignore[arg-type]
            if email:
                logged_in(outside, address, email, secret)
            page = outside.new_page()
            page.goto(f"{address}/rating?lang=en")
            why = "access.stranger" if secret == SECRET and email else "access.anonymous"
            page.get_by_text(load_text("en")(why)).wait_for()
            assert page.locator(".ballot").count() == 0
            assert page.get_by_text("DEMONSTRATION").count() == 0
            outside.close()

        logged_in(context, address, "sato@example.co.jp")
        page = visit(context, address)
        frame = enter(page, Form.PAIRS)
        compare(page, frame)
        kept(frame, "pairs stored: 1")
        frame.locator("#next").click()
        frame.locator("fieldset button:enabled").first.wait_for()
        allow("somebody-else@example.co.jp")
        page.wait_for_timeout(3000)  # Streamlit looks at the file about once a second
        compare(page, frame)
        frame.locator("#refused", has_text="not taken here any more").wait_for()
        page.close()

    from poc.ballot import Ballot

    with RunStore.open_reader(run) as store:
        ballot = Ballot.of(store, "en")
        panels = read_panels(run, store.plan.content_digest())
    (sheet,) = ballot._votes.begun([pack.pack_id for one in panels for pack in one.packs])
    assert len(sheet.trials) == 1
    (first,) = sheet.trials
    pack = next(p for one in panels for p in one.packs if p.pack_id == sheet.pack_id)
    assert pack.tasks[0].trial_id == first
