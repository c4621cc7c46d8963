"""The login as people meet it: a dashboard, an identity provider and Chromium, all of them real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import browser_pages as browsing
import identity_provider as identity
import pytest
import reports_fixture as fixture

from reports.text import load_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = browsing.browser_path()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)

RUN = "secret-run"
SAY = load_text("en")
INSIDE = {SAY("banner.demonstration"), SAY("page.decision"), SAY("page.videos"), RUN}
SATO: dict[str, Any] = {"email": "Sato@example.co.jp", "email_verified": True}
SECRETS = """
[auth]
redirect_uri = "{address}/oauth2callback"
cookie_secret = "what only the server of this test knows"
client_id = {id}
client_secret = {secret}
server_metadata_url = "{issuer}/.well-known/openid-configuration"

[access]
allow = {allowed}
"""


@dataclass
class House:
    """A guarded dashboard and the provider that it asks."""

    address: str
    secrets: Path
    provider: identity.IdentityProvider

    def allow(self, *emails: str) -> None:
        """Write the list of those who may enter."""
        text = SECRETS.format(
            address=self.address,
            id=json.dumps(identity.CLIENT_ID),
            secret=json.dumps(identity.CLIENT_SECRET),
            issuer=self.provider.issuer,
            allowed=json.dumps(emails),
        )
        self.secrets.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    runs, port = tmp_path_factory.mktemp("login") / "runs", browsing.free_port()
    fixture.write_run(runs / RUN, fixture.plan(count=1))
    address, secrets = f"http://127.0.0.1:{port}", runs.parent / "secrets.toml"
    with identity.identity_provider(f"{address}/oauth2callback") as provider:
        house = House(address, secrets, provider)
        house.allow("sato@example.co.jp")
        with browsing.serving(runs, f"--secrets.files={secrets}", port=port):
            yield house


@pytest.fixture
def house(served: House) -> House:
    """The same house with nobody before the provider, which answers as it should."""
    provider = served.provider
    provider.person, provider.said, provider.signing = None, {}, None
    provider.asked.clear()
    return served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing.chromium(str(CHROMIUM)) as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of somebody who was never here."""
    context = browser.new_context(viewport={"width": 1366, "height": 900}, locale="en-US")
    context.set_default_timeout(browsing.PATIENCE_MS)
    yield context.new_page()
    context.close()


def log_in(page: Page, house: House, person: dict[str, Any] | None) -> None:
    """Go to the dashboard, then through the provider and back."""
    house.provider.person = person
    page.goto(house.address)
    with page.expect_navigation(url=f"{house.address}/"):
        page.get_by_role("button", name=SAY("access.login")).click()


def inside_of(page: Page) -> set[str]:
    """Return what is there of that which only those inside may see: pages, banner and run."""
    texts = browsing.settle(page)  # what it leaves behind is gone by then
    inputs = page.locator("input").evaluate_all("all => all.map(one => one.value)")
    return INSIDE & {*texts, *inputs}


def assert_outside(page: Page, why: str) -> None:
    """Nothing of a page is there, but why not."""
    page.get_by_text(SAY(f"access.{why}")).wait_for()
    assert inside_of(page) == set()


def assert_inside(page: Page) -> None:
    """Twin of the former, which would else be true of a page that is never drawn."""
    page.get_by_text(SAY("banner.demonstration")).wait_for()
    page.wait_for_function(
        "run => [...document.querySelectorAll('input')].some(one => one.value === run)", arg=RUN
    )
    assert inside_of(page) == INSIDE


@pytest.mark.parametrize("path", ["", "rating"])
def test_who_has_not_logged_in_sees_a_button_and_no_page(
    page: Page, house: House, path: str
) -> None:
    page.goto(f"{house.address}/{path}")

    assert_outside(page, "anonymous")
    assert page.get_by_role("button", name=SAY("access.login")).is_visible()
    assert house.provider.asked == []


def test_an_address_of_the_list_comes_back_from_the_provider_to_the_decision(
    page: Page, house: House
) -> None:
    log_in(page, house, SATO)

    assert_inside(page)
    assert page.get_by_test_id("stSidebar").get_by_text(SATO["email"]).is_visible()
    assert page.get_by_role("heading", name=SAY("section.asked")).is_visible()
    assert {"/authorize", "/token"} <= set(house.provider.asked)


def test_a_login_is_kept_when_the_page_is_loaded_anew(page: Page, house: House) -> None:
    log_in(page, house, SATO)
    house.provider.asked.clear()
    page.goto(f"{house.address}/evidence")

    assert_inside(page)
    assert house.provider.asked == []


@pytest.mark.slow
def test_logging_out_closes_the_door_again_in_every_window(page: Page, house: House) -> None:
    log_in(page, house, SATO)
    other = page.context.new_page()
    other.goto(house.address)
    assert_inside(other)
    with page.expect_navigation(url=f"{house.address}/"):
        page.get_by_role("button", name=SAY("access.logout")).click()

    assert_outside(page, "anonymous")
    assert "/logout" in house.provider.asked
    page.goto(f"{house.address}/decision")
    assert_outside(page, "anonymous")
    other.get_by_role("link", name=SAY("page.evidence")).click()
    assert_outside(other, "anonymous")


@pytest.mark.parametrize(
    "person",
    [
        {"email": "tanaka@example.co.jp", "email_verified": True},
        SATO | {"email_verified": False},
        {"name": "sato@example.co.jp"},
    ],
    ids=["not on the list", "not verified", "no address"],
)
def test_who_logged_in_and_is_not_known_by_an_address_of_the_list_sees_no_page(
    page: Page, house: House, person: dict[str, Any]
) -> None:
    log_in(page, house, person)
    assert_outside(page, "stranger")
    assert "/token" in house.provider.asked
    page.goto(f"{house.address}/decision")
    assert_outside(page, "stranger")


@pytest.mark.parametrize(
    "said",
    [{"nonce": "of another login"}, {"aud": "another dashboard"}, {"exp": 1_000_000_000}, None],
    ids=["another nonce", "for another", "run out", "signed by another"],
)
def test_a_token_that_the_provider_did_not_give_for_this_login_lets_nobody_in(
    page: Page, house: House, said: dict[str, Any] | None
) -> None:
    house.provider.said = said or {}
    house.provider.signing = None if said else identity.new_key()

    log_in(page, house, SATO)
    assert_outside(page, "anonymous")
    assert "/token" in house.provider.asked


def test_who_turns_back_at_the_provider_is_outside_and_may_try_again(
    page: Page, house: House
) -> None:
    log_in(page, house, None)
    assert_outside(page, "anonymous")

    log_in(page, house, SATO)
    assert_inside(page)


@pytest.mark.slow
def test_who_is_taken_off_the_list_is_out_at_the_next_page(page: Page, house: House) -> None:
    log_in(page, house, SATO)
    assert_inside(page)
    house.allow("suzuki@example.co.jp")
    try:
        page.wait_for_timeout(3000)  # Streamlit looks at the file about once a second
        page.get_by_role("link", name=SAY("page.evidence")).click()
        page.get_by_text(SAY("access.stranger")).wait_for()

        assert_outside(page, "stranger")
    finally:
        house.allow("sato@example.co.jp")
        page.wait_for_timeout(3000)
