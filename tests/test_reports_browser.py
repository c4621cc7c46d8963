"""The dashboard in a real Chromium: it loads, says what the run says, speaks both languages, plays.

The films of the run show their own frame number as a shade of grey, so that what the browser draws
tells which frame it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import browser_pages as browsing
import numpy as np
import pytest
import reports_fixture as fixture

from poc.store import RunStore
from poc.video import VIEW_SUFFIX, encode_webm
from reports.charts import COLOURS
from reports.text import LANGUAGES, Language, load_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = browsing.browser_path()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)

PAGES = ("", "trade_off", "videos", "rating", "latency", "evidence")
FRAMES, FPS = fixture.SHAPE.num_frames, fixture.SHAPE.fps
KANA = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def shade(frame: int) -> int:
    """The grey of a frame: 16 apart, so that a lossy film cannot mix up two of them."""
    return 8 + 16 * frame


def film() -> bytes:
    greys = np.array([shade(n) for n in range(FRAMES)], np.uint8)[:, None, None, None]
    return encode_webm(np.broadcast_to(greys, (FRAMES, 64, 64, 3)), FPS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "runs" / "demo"
    fixture.write_run(path, fixture.plan(count=8, hostile=True))
    with RunStore.open_writer(path) as store:
        moving = film()
        for batch in store.plan.batches:
            for clip in batch.clips:
                store.write_view(clip.id, moving, VIEW_SUFFIX)
        fast = next(arm for arm in store.plan.arms if arm.name == "animatelcm-8")
        for clip in (c for b in store.plan.batches for c in b.clips if c.arm_id == fast.id):
            store.write_view(clip.id, b"no film at all", VIEW_SUFFIX)
    return path


@pytest.fixture(scope="module")
def address(run: Path) -> Iterator[str]:
    with browsing.serving(run.parent) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing.chromium(str(CHROMIUM)) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 1000})
    opened.set_default_timeout(browsing.PATIENCE_MS)
    yield opened
    opened.close()


def visit(page: Page, address: str, name: str = "", language: Language = "en") -> list[str]:
    page.goto(f"{address}/{name}?lang={language}")
    return browsing.settle(page)


# --- it loads in both languages ------------------------------------------------------------------

ALIKE = re.compile(
    r"""
    [\d\s.,:;()%×+−–·<>°/?=~-]*                      # figures and signs
    | n | n\ =\ \d+ | NFE | KVD | FVD | CPU | GPUs? | Python  # terms of the field
    | English | 日本語 | Language\ /\ 言語            # languages are named in themselves
    | [0-9a-f]{12,64} | cpu | Linux.* | libvpx.*       # digests and devices
    | b?float(16|32)                                   # number formats
    | demo | [A-Za-z]+Scheduler | Example\ CPU         # names of runs, classes and machines
    | (keyboard_|arrow_|expand_|check|close|help|question_mark|more_vert|change_history).*  # icons
    | Skip\ to\ main\ content                         # Streamlit's own, for screen readers
    | poc\ (rate|decide)\ .*                           # what is to be typed
    | black:\ mean\ luminance.* | MemoryError:.*        # reasons that the run recorded
    """,
    re.VERBOSE,
)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_and_the_switch_of_language_changes_every_visible_string(
    page: Page, address: str, name: str
) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    english = visit(page, address, name, "en")
    page.get_by_text("日本語", exact=True).click()
    page.wait_for_function("document.body.innerText.includes('デモンストレーション')")
    japanese = browsing.settle(page)

    assert load_text("en")("banner.demonstration") in english
    assert load_text("ja")("banner.demonstration") in japanese
    assert {one for one in {*english} & {*japanese} if not ALIKE.fullmatch(one)} == set()
    left = [one for one in english if KANA.search(one) and not ALIKE.fullmatch(one)]
    assert [one for one in left if "gnp.exe" not in one] == []
    assert problems == []
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("[data-testid=stAlertContentError]").count() == 0


# --- it says what the run says -------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_key_number_is_the_one_of_the_estimates(
    page: Page, address: str, run: Path, language: Language
) -> None:
    visit(page, address, language=language)
    shown = page.locator("[data-testid=stMetricValue]").nth(1).inner_text()
    figure = Decimal(re.findall(r"[\d.]+", shown)[0])
    step = Decimal(1).scaleb(int(figure.as_tuple().exponent))

    assert abs(figure - Decimal(recommended(run)["value"])) <= step / 2
    interval = [Decimal(end) for end in re.findall(r"\d\.\d+", beside(page))[:2]]
    for seen, key in zip(interval, ("low", "high"), strict=True):
        assert abs(seen - Decimal(recommended(run)[key])) <= step / 2


def beside(page: Page) -> str:
    card = page.locator("[data-testid=stColumn]").filter(
        has=page.locator("[data-testid=stMetricValue]")
    )
    return card.nth(1).locator("[data-testid=stMarkdown]").first.inner_text()


def recommended(run: Path) -> dict[str, Any]:
    """The median seconds of the recommended arm, straight from the files."""
    arm = json.loads((run / "decision.json").read_text())["recommended_arm_id"]
    arms = json.loads((run / "estimates.json").read_text())["arms"]
    (found,) = (
        one
        for summary in arms
        for one in summary["estimates"]
        if (one["arm_id"], one["metric"], one["comparison"]) == (arm, "latency_p50_s", "value")
    )
    return dict(found)


# --- the videos ----------------------------------------------------------------------------------

GREYS = """(root) => [...root.querySelectorAll('.grid video')].map((video) => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext('2d');
  pen.drawImage(video, 0, 0, 1, 1);
  return pen.getImageData(0, 0, 1, 1).data[0];
})"""


def frames_seen(page: Page) -> list[int]:
    """The frame that each video of the player draws, read from its shade."""
    greys: list[int] = page.locator(".player").first.evaluate(GREYS)
    return [round((grey - shade(0)) / 16) for grey in greys]


@pytest.fixture(scope="module")
def videos(browser: Browser, address: str) -> Iterator[Page]:
    """The page of the videos, its films loaded."""
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(browsing.PATIENCE_MS)
    visit(page, address, "videos")
    page.locator(".player .gap").first.wait_for()  # the film that is none has been given up
    page.wait_for_function(READY)
    yield page
    page.close()


READY = """() => [...document.querySelectorAll('*')].some((one) => one.shadowRoot
  && one.shadowRoot.querySelector('.grid video')
  && [...one.shadowRoot.querySelectorAll('.grid video')].every((v) => v.readyState >= 3))"""


def until(page: Page, wanted: list[int]) -> list[int]:
    """Return the frames that are drawn, as soon as they are the wanted ones; else the last seen."""
    for _ in range(40):
        seen = frames_seen(page)
        if sorted(set(seen)) == wanted:
            break
        page.wait_for_timeout(100)
    return sorted(set(seen))


def test_a_video_plays_and_all_stay_in_step(videos: Page) -> None:
    toggle = videos.locator(".player .toggle")
    toggle.click()
    seen = []
    for _ in range(30):
        videos.wait_for_timeout(70)
        seen.append(frames_seen(videos))
    toggle.click()

    assert len(seen[0]) >= 3
    assert len({frames[0] for frames in seen}) >= 5  # it moves
    turning = {0, FRAMES - 1}  # some are back at the start while others show their last frame
    inside = [frames for frames in seen if turning.isdisjoint(frames)]
    assert inside
    assert all(max(frames) - min(frames) <= 1 for frames in inside)
    resting = int(videos.locator(".player").get_attribute("data-frame") or -1)
    assert until(videos, [resting]) == [resting]  # at rest all show the frame that is counted


def test_frames_are_scrubbed_stepped_and_counted_as_they_are_drawn(videos: Page) -> None:
    player = videos.locator(".player")
    player.locator(".scrub").fill("3")
    assert until(videos, [3]) == [3]
    assert player.locator(".count").inner_text() == "frame 4 of 16"
    player.locator(".forth").click()
    assert until(videos, [4]) == [4]
    player.locator(".back").click()
    player.locator(".back").click()
    assert until(videos, [2]) == [2]


def test_without_loop_it_ends_on_the_last_frame(videos: Page) -> None:
    player = videos.locator(".player")
    player.get_by_label("Loop").uncheck()
    player.locator(".scrub").fill("13")
    player.locator(".toggle").click()
    videos.locator(".player[data-playing=false]").wait_for()

    assert until(videos, [FRAMES - 1]) == [FRAMES - 1]


def test_the_wipe_lays_two_clips_over_each_other(videos: Page) -> None:
    player = videos.locator(".player")
    player.locator("summary").click()
    player.locator(".pair video").last.wait_for()
    player.locator(".wipe > input").fill("20")
    cut = player.locator(".pair video").last.evaluate("v => getComputedStyle(v).clipPath")

    assert player.locator(".pair video").count() == 2
    assert cut == "inset(0px 0px 0px 20%)"


def test_lost_and_broken_clips_are_shown_as_such(videos: Page) -> None:
    # Worst first: the prompt that is shown is the one whose clip of the arm in focus is invalid.
    assert videos.locator(".player .word").first.inner_text() == "INVALID"
    assert videos.locator(".player .gap").first.inner_text() == "This video cannot be played"


def test_a_hostile_prompt_runs_nothing(page: Page, address: str) -> None:
    met: list[str] = []
    page.on("dialog", lambda dialog: met.append(dialog.message))
    visit(page, address, "videos")
    page.get_by_text("gnp.exe").first.wait_for()

    assert met == []
    assert page.locator("script", has_text="alert('x')").count() == 0


# --- the trade-off -------------------------------------------------------------------------------


def test_a_click_on_a_mark_shows_the_clips_of_its_setting(page: Page, address: str) -> None:
    visit(page, address, "trade_off")
    shown = page.locator(".player figcaption b").first
    assert shown.inner_text() == "AnimateLCM, 4 steps"  # the recommended one
    neon = COLOURS[5]  # the sixth series has one mark only
    chart = page.locator("[data-testid=stVegaLiteChart]").first
    chart.locator(f"svg path[fill='{neon}'][opacity]").first.click(force=True)
    page.locator(".player figcaption b", has_text="AnimateLCM (neon), 4 steps").wait_for()

    assert shown.inner_text() == "AnimateLCM (neon), 4 steps"
