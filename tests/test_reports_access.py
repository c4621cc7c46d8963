"""Whom the dashboard lets in: whatever is not clearly allowed is refused, on every page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import reports_fixture as fixture
import streamlit as st
from streamlit import config
from streamlit.errors import StreamlitAuthError
from streamlit.runtime.secrets import Secrets
from streamlit.testing.v1 import AppTest

from reports import access, dashboard
from reports.access import Standing, judge
from reports.text import LANGUAGES, Language, load_text

ENTRY = Path(dashboard.__file__)
AUTH = {"redirect_uri": "http://x/oauth2callback", "cookie_secret": "s" * 32, "client_id": "a"}
LISTED = {"auth": AUTH, "access": {"allow": ["Sato@Example.co.jp", "suzuki@example.co.jp"]}}
SATO = {"is_logged_in": True, "email": "sato@example.co.jp"}


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget which logins were asked for and ended before."""
    monkeypatch.setattr(access, "_GUARDS", set())
    monkeypatch.setattr(access, "_ENDED", set())


@pytest.mark.parametrize(
    "user",
    [
        SATO,
        SATO | {"email": " SATO@example.CO.JP"},
        SATO | {"email_verified": True},
        SATO | {"email_verified": "true"},
        SATO | {"email": "suzuki@example.co.jp"},
    ],
)
def test_an_address_of_the_list_is_let_in(user: Mapping[str, Any]) -> None:
    assert judge(LISTED, user) is Standing.ADMITTED


@pytest.mark.parametrize(
    "user",
    [
        SATO | {"email": "tanaka@example.co.jp"},
        SATO | {"email": "\u017fato@example.co.jp"},  # a long s, which is an s without its case
        SATO | {"email": "\u017fuzuki@example.co.jp"},
        SATO | {"email": "suzu\u212ai@example.co.jp"},  # the sign of a kelvin
        SATO | {"email": "sato@example.co.jp\u3000"},
        SATO | {"email": "sato@example.co.jp.evil.example"},
        SATO | {"email": "xsato@example.co.jp"},
        SATO | {"email": ""},
        SATO | {"email": None},
        SATO | {"email": ["sato@example.co.jp"]},
        {"is_logged_in": True, "name": "sato@example.co.jp"},
        SATO | {"email_verified": False},
        SATO | {"email_verified": "false"},
        SATO | {"email_verified": None},
    ],
)
def test_any_other_address_and_one_that_is_not_verified_is_not(user: Mapping[str, Any]) -> None:
    assert judge(LISTED, user) is Standing.STRANGER


@pytest.mark.parametrize(
    "user", [{}, {"email": "sato@example.co.jp"}, SATO | {"is_logged_in": "yes"}]
)
def test_who_has_not_logged_in_is_asked_to(user: Mapping[str, Any]) -> None:
    assert judge(LISTED, user) is Standing.ANONYMOUS


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"access": {}},
        {"access": {"allow": []}},
        {"access": {"allow": "sato@example.co.jp"}},
        {"access": {"allow": ["sato@example.co.jp", 7]}},
        {"access": {"allow": ["sato@example.co.jp", ""]}},
        {"access": {"allow": ["*"]}},
        {"access": {"allow": ["sato@example.co.jp", "\u017fato@example.co.jp"]}},
        {"access": ["sato@example.co.jp"]},
        {"access": {"allowed": ["sato@example.co.jp"]}},
    ],
)
def test_a_login_without_a_list_lets_nobody_in(given: Mapping[str, Any]) -> None:
    assert judge({"auth": AUTH, **given}, SATO) is Standing.NO_LIST
    assert judge(LISTED, SATO) is Standing.ADMITTED


def test_without_a_login_everybody_on_this_machine_is_inside() -> None:
    assert judge({}, {}) is Standing.OPEN
    assert judge({"database": {"password": "x"}}, {}) is Standing.OPEN


def test_a_list_without_a_login_and_secrets_that_cannot_be_read_let_nobody_in() -> None:
    assert judge({"access": LISTED["access"]}, SATO) is Standing.NO_LOGIN
    assert judge(None, SATO) is Standing.UNREADABLE


def test_only_two_standings_are_inside() -> None:
    assert {one for one in Standing if one.is_inside} == {Standing.OPEN, Standing.ADMITTED}


def test_a_person_is_an_address_under_a_key_and_nobody_else_is_one() -> None:
    sato = access.identify(LISTED, SATO).person
    other_key = LISTED | {"auth": AUTH | {"cookie_secret": "t" * 32}}

    assert sato is not None
    assert access.identify(LISTED, SATO | {"email": " SATO@example.co.jp"}).person == sato
    assert access.identify(LISTED, SATO | {"email": "suzuki@example.co.jp"}).person != sato
    assert access.identify(other_key, SATO).person not in {None, sato}
    for outside in ({}, SATO | {"email": "tanaka@example.co.jp"}):
        assert access.identify(LISTED, outside).person is None
    assert access.identify({}, SATO) == access.Visitor(Standing.OPEN, None)


# --- in the app ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guarded")
    fixture.write_run(folder / "secret-run", fixture.plan(count=1))
    return folder


def opened(
    monkeypatch: pytest.MonkeyPatch,
    runs: Path,
    secrets: Mapping[str, Any],
    user: Mapping[str, Any],
    *,
    page: str = "decision",
    language: Language = "en",
) -> AppTest:
    monkeypatch.setattr(sys, "argv", [str(ENTRY), str(runs)])
    app = AppTest.from_file(ENTRY, default_timeout=60)
    app.secrets = dict(secrets)
    app.user = dict(user)
    app.query_params["lang"] = language
    app.run()
    return app if page == "decision" else app.switch_page(f"app_pages/{page}.py").run()


def everything(app: AppTest) -> str:
    shown = (*app.main, *app.sidebar)
    return "\n".join(str(getattr(one, "value", "")) + str(one) for one in shown)


OUTSIDE: dict[Standing, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    Standing.ANONYMOUS: (LISTED, {"is_logged_in": False}),
    Standing.STRANGER: (LISTED, SATO | {"email": "tanaka@example.co.jp"}),
    Standing.NO_LIST: ({"auth": AUTH}, SATO),
    Standing.NO_LOGIN: ({"access": LISTED["access"]}, {}),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("standing", OUTSIDE)
def test_who_is_not_inside_is_told_why(
    monkeypatch: pytest.MonkeyPatch, runs: Path, language: Language, standing: Standing
) -> None:
    app = opened(monkeypatch, runs, *OUTSIDE[standing], language=language)

    assert not app.exception
    assert load_text(language)(f"access.{standing}") in [one.value for one in app.markdown]
    assert "secret-run" not in everything(app)


@pytest.mark.parametrize("page", dashboard.PAGES)
def test_who_is_not_inside_sees_no_page(
    monkeypatch: pytest.MonkeyPatch, runs: Path, page: str
) -> None:
    app = opened(monkeypatch, runs, LISTED, SATO | {"email": "tanaka@example.co.jp"}, page=page)

    assert not app.exception
    assert "secret-run" not in everything(app)
    assert "DEMONSTRATION" not in everything(app)


def test_a_missing_list_says_what_to_write(monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    app = opened(monkeypatch, runs, {"auth": AUTH}, SATO)

    assert app.code[0].value == '[access]\nallow = ["name@example.co.jp"]'


@pytest.mark.parametrize(
    ("auth", "labels"),
    [
        (AUTH, ["Log in"]),
        (AUTH | {"client_kwargs": {"prompt": "login"}}, ["Log in"]),
        ({"google": {"client_id": "b"}, "okta": {"client_id": "c"}},
         ["Log in with google", "Log in with okta"]),
    ],
)  # fmt: skip
def test_who_may_log_in_is_asked_to_by_each_provider(
    monkeypatch: pytest.MonkeyPatch, runs: Path, auth: dict[str, Any], labels: list[str]
) -> None:
    monkeypatch.setattr(access, "find_spec", lambda _name: object())
    app = opened(monkeypatch, runs, LISTED | {"auth": auth}, {"is_logged_in": False})

    assert not app.exception
    assert [one.label for one in app.button] == labels


def test_a_login_whose_package_is_missing_or_that_fails_says_so(
    monkeypatch: pytest.MonkeyPatch, runs: Path
) -> None:
    def fail(_provider: str | None) -> None:
        raise StreamlitAuthError("no redirect_uri")

    outside = {"is_logged_in": False}
    monkeypatch.setattr(access, "find_spec", lambda _name: None)
    without = opened(monkeypatch, runs, LISTED, outside)
    monkeypatch.setattr(access, "find_spec", lambda _name: object())
    monkeypatch.setattr(st, "login", fail)
    failing = opened(monkeypatch, runs, LISTED, outside)
    failing.button(key="login-").click().run()

    assert without.code[0].value == 'pip install "streamlit[auth]"'
    assert not failing.exception
    assert load_text("en")("access.amiss") in [one.value for one in failing.error]
    assert failing.code[0].value == "no redirect_uri"


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where Streamlit looks for secrets; nothing is there yet."""
    path = tmp_path / "secrets.toml"
    monkeypatch.setattr(st, "secrets", Secrets())
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(path)])
    yield path
    config.set_option("secrets.files", before)


def change(file: Path, content: str | None) -> None:
    """Leave a file with this content, or none, as Streamlit finds it once it has looked again."""
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content, "utf-8")
    st.secrets._reset()


@pytest.mark.parametrize(
    ("content", "standing"),
    [
        ("[auth", Standing.UNREADABLE),
        ("", Standing.UNREADABLE),
        (" \n", Standing.UNREADABLE),
        ("# none yet", Standing.UNREADABLE),
        ("[database]\nhost = 'x'", Standing.OPEN),
        (None, Standing.OPEN),
    ],
)
def test_secrets_that_are_there_and_say_nothing_let_nobody_in(
    file: Path, content: str | None, standing: Standing
) -> None:
    change(file, content)

    assert access.standing() is standing


def test_a_link_to_secrets_that_are_not_there_lets_nobody_in(file: Path) -> None:
    assert access.standing() is Standing.OPEN
    file.symlink_to(file.with_name("unmounted.toml"))

    assert access.standing() is Standing.UNREADABLE


@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_of_two_that_says_nothing_lets_nobody_in(file: Path, is_link: bool) -> None:
    other = file.with_name("other.toml")
    config.set_option("secrets.files", [str(file), str(other)])
    change(file, "[database]\nhost = 'x'")
    assert access.standing() is Standing.OPEN
    if is_link:
        other.symlink_to(file.with_name("unmounted.toml"))
    else:
        other.touch()

    assert access.standing() is Standing.UNREADABLE


GUARDED = '[auth]\nclient_id = "x"\n[access]\nallow = ["sato@example.co.jp"]\n'


@pytest.mark.parametrize("after", [None, "", "[database]\nhost = 'x'"])
@pytest.mark.parametrize("before", [GUARDED, "[auth]\nclient_id = 'x'", "[access]\nallow = []"])
def test_a_login_that_was_asked_for_does_not_vanish_with_its_file(
    file: Path, before: str, after: str | None
) -> None:
    change(file, before)
    first = access.standing()
    change(file, after)
    vanished = access.standing()
    change(file, before)

    assert not first.is_inside
    assert vanished is Standing.UNREADABLE
    assert access.standing() is first


@pytest.mark.parametrize("address", ["127.0.0.1", "192.0.2.7", None])
def test_a_server_that_others_reach_without_a_login_says_so(
    monkeypatch: pytest.MonkeyPatch, runs: Path, address: str | None
) -> None:
    before = config.get_option("server.address")
    config.set_option("server.address", address)
    try:
        app = opened(monkeypatch, runs, {}, {})
        guarded = opened(monkeypatch, runs, LISTED, SATO)
    finally:
        config.set_option("server.address", before)

    said = load_text("en")("access.exposed")
    assert (said in [one.value for one in app.sidebar.warning]) is (address != "127.0.0.1")
    assert [*guarded.sidebar.warning] == []


@pytest.mark.parametrize("page", dashboard.PAGES)
def test_who_is_on_the_list_sees_every_page_and_may_log_out(
    monkeypatch: pytest.MonkeyPatch, runs: Path, page: str
) -> None:
    app = opened(monkeypatch, runs, LISTED, SATO, page=page)

    assert not app.exception
    assert "secret-run" in everything(app)
    assert "DEMONSTRATION" in everything(app)
    assert [one.label for one in app.sidebar.button] == ["Log out"]


def test_a_login_that_was_ended_is_none_in_any_window_and_another_still_is(
    monkeypatch: pytest.MonkeyPatch, runs: Path
) -> None:
    monkeypatch.setattr(st, "logout", lambda: None)  # the browser stays where it is
    users = [SATO | {"nonce": "1"}, SATO | {"nonce": "2"}, SATO]
    windows = [opened(monkeypatch, runs, LISTED, one) for one in [users[0], *users]]
    windows[0].sidebar.button(key="logout").click().run()
    windows = [one.run() for one in windows]

    assert ["secret-run" in everything(one) for one in windows] == [False, False, True, True]
    windows[3].sidebar.button(key="logout").click().run()  # without a nonce, it is not known
    assert "secret-run" in everything(windows[2].run())


def test_without_a_login_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, runs: Path) -> None:
    app = opened(monkeypatch, runs, {}, {})

    assert app.selectbox(key="run").value == runs / "secret-run"
    assert [*app.sidebar.button] == []
