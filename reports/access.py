"""Who may look and write: anybody who reaches the address, or those on a list who have logged in.

Streamlit's own secrets decide. Without `[auth]` there is no login, as on one's own machine. With
it, Streamlit asks the company's identity provider who somebody is, and the list says who of them
may enter. Whatever is unclear lets nobody in.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import streamlit as st
from streamlit.errors import StreamlitAPIException

from reports import text as words
from reports.text import Text

SECTION: Final = "access"
LIST: Final = "allow"

_EXAMPLE: Final = f'[{SECTION}]\n{LIST} = ["name@example.co.jp"]'
_PACKAGE: Final = 'pip install "streamlit[auth]"'


class Standing(StrEnum):
    """How somebody stands to the door; each but the first two has a sentence `access.<value>`."""

    OPEN = "open"
    """No login is configured."""
    ADMITTED = "admitted"
    ANONYMOUS = "anonymous"
    """Not logged in yet."""
    STRANGER = "stranger"
    """Logged in, and not on the list."""
    NO_LIST = "no_list"
    """A login is configured, and nobody said who may enter."""
    NO_LOGIN = "no_login"
    """A list is there, and no login that could tell who somebody is."""
    UNREADABLE = "unreadable"
    """The secrets cannot be read, so nobody knows what they ask."""

    @property
    def is_inside(self) -> bool:
        """Whether pages may be seen and votes given."""
        return self in {Standing.OPEN, Standing.ADMITTED}


def judge(secrets: Mapping[str, Any] | None, user: Mapping[str, Any]) -> Standing:
    """Return how a user stands; `secrets` None: they cannot be read, empty: there are none.

    An address that the provider says it has not verified is nobody's.

    >>> judge({}, {})
    <Standing.OPEN: 'open'>
    >>> judge({"auth": {}}, {"is_logged_in": True, "email": "a@example.com"})
    <Standing.NO_LIST: 'no_list'>
    """
    if secrets is None:
        return Standing.UNREADABLE
    if "auth" not in secrets:
        return Standing.NO_LOGIN if SECTION in secrets else Standing.OPEN
    allowed = _allowed(secrets.get(SECTION))
    if not allowed:
        return Standing.NO_LIST
    if user.get("is_logged_in") is not True:
        return Standing.ANONYMOUS
    address = _address(user.get("email"))
    is_known = address in allowed and user.get("email_verified", True) in (True, "true")
    return Standing.ADMITTED if is_known else Standing.STRANGER


def _allowed(section: Any) -> frozenset[str]:
    """Return the addresses of the list; none where it is missing or no list of addresses."""
    named = section.get(LIST) if isinstance(section, Mapping) else None
    if not isinstance(named, list) or not all(_address(one) for one in named):
        return frozenset()
    return frozenset(map(_address, named))


def _address(given: Any) -> str:
    """Return an address as it is compared; "" for what is none."""
    return given.strip().casefold() if isinstance(given, str) and "@" in given else ""


# --- in the app ----------------------------------------------------------------------------------


def standing() -> Standing:
    """Return how the visitor of this session stands now; asked anew for each page and each write.

    The list is read again when its file changes, so whoever is taken off is out at once.
    """
    return judge(_secrets(), st.user.to_dict())


def let_in(text: Text) -> bool:
    """Tell whether the visitor may see pages; draws why not, or how to log in."""
    found = standing()
    if found is Standing.ADMITTED:
        _draw_visitor(text)
    elif not found.is_inside:
        _draw_door(text, found)
    return found.is_inside


def _secrets() -> Mapping[str, Any] | None:
    try:
        if st.secrets.load_if_toml_exists():
            return st.secrets.to_dict()
    except (OSError, ValueError):
        return None
    paths = st.get_option("secrets.files")
    return None if any(Path(one).exists() for one in paths) else {}


def _draw_visitor(text: Text) -> None:
    st.sidebar.caption(words.shown(str(st.user.get("email", "")), 80))
    if st.sidebar.button(text("access.logout"), key="logout"):
        st.logout()


def _draw_door(text: Text, found: Standing) -> None:
    st.subheader(text("access.title"))
    st.markdown(text(f"access.{found}"))
    if found is Standing.NO_LIST:
        st.code(_EXAMPLE, language="toml")
    elif found is Standing.ANONYMOUS:
        _draw_login(text)
    elif found is Standing.STRANGER:
        _draw_visitor(text)


def _draw_login(text: Text) -> None:
    if find_spec("authlib") is None:
        st.error(text("access.package"))
        st.code(_PACKAGE, language="bash")
        return
    for provider in _providers():
        name = "" if provider is None else words.shown(provider, 40)
        label = text("access.login_with", name=name) if name else text("access.login")
        if st.button(label, key=f"login-{name}", type="primary"):
            _log_in(text, provider)


def _providers() -> list[str | None]:
    """Return the names of the providers; None stands for the one that has no name."""
    auth = (_secrets() or {}).get("auth", {})
    sections = ((name, one) for name, one in auth.items() if isinstance(one, Mapping))
    named = [name for name, one in sections if "client_id" in one]
    return [*([None] if "client_id" in auth or not named else []), *named]


def _log_in(text: Text, provider: str | None) -> None:
    try:
        st.login(provider)
    except StreamlitAPIException as error:
        st.error(text("access.amiss"))
        st.code(words.shown(" ".join(str(error).split())), language=None, wrap_lines=True)
