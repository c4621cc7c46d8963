"""Who may look and write: anybody who reaches the address, or those on a list who have logged in.

Streamlit's own secrets decide. Without `[auth]` there is no login, as on one's own machine. With
it, Streamlit asks the company's identity provider who somebody is, and the list says who of them
may enter. Whatever is unclear lets nobody in. A login that was there once does not go away while
the server runs: secrets that vanish are a fault, and open no door.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from ipaddress import ip_address
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
_GUARDS: Final[set[str]] = set()
"""The sections that asked for a login or a list since this process began."""
_ENDED: Final[set[str]] = set()
"""The logins that were ended since this process began, each by the nonce that is its own."""


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
    """The secrets cannot be read, are empty or lost their login, so nobody knows what they ask."""

    @property
    def is_inside(self) -> bool:
        """Whether pages may be seen and votes given."""
        return self in {Standing.OPEN, Standing.ADMITTED}


def judge(secrets: Mapping[str, Any] | None, user: Mapping[str, Any]) -> Standing:
    """Return how a user stands; `secrets` None: they cannot be read, empty: there are none.

    An address that the provider says it has not verified is nobody's. One of which it says neither
    counts: some providers verify every address, or set it themselves, and never send the claim.

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
    """Return an address as it is compared; "" for what is none.

    Beyond ASCII some letters become others' when case is ignored, so that such an address is none.

    >>> [_address(one) for one in (" Kato@Example.com", "\u212aato@example.com", "kato")]
    ['kato@example.com', '', '']
    """
    is_address = isinstance(given, str) and given.isascii() and "@" in given
    return given.strip().lower() if is_address else ""


# --- in the app ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: how they stand, and what tells one who has logged in from the others."""

    standing: Standing
    person: bytes | None
    """A digest of the address that is kept nowhere and that nobody can make without the secrets;
    None for whoever is not known by an address."""


def identify(secrets: Mapping[str, Any] | None, user: Mapping[str, Any]) -> Visitor:
    """Return who a user is to us; the arguments are those of `judge`."""
    found = judge(secrets, user)
    if secrets is None or found is not Standing.ADMITTED:
        return Visitor(found, None)
    key = str(secrets["auth"].get("cookie_secret", ""))  # Streamlit logs nobody in without one
    rater = f"rater {_address(user.get('email'))}"
    return Visitor(found, hmac.digest(key.encode(), rater.encode(), "sha256"))


def visitor() -> Visitor:
    """Return who asks in this session now; asked anew for each page and each write.

    The list is read again when its file changes, so whoever is taken off is out at once. A window
    keeps the user it was opened with, so that a login ended in another one is looked up here.
    """
    user = st.user.to_dict()
    return identify(_secrets(), {} if _login(user) in _ENDED else user)


def standing() -> Standing:
    """Return how the visitor of this session stands now."""
    return visitor().standing


def let_in(text: Text) -> bool:
    """Tell whether the visitor may see pages; draws why not, or how to log in."""
    found = standing()
    if found is Standing.ADMITTED:
        _draw_visitor(text)
    elif found is Standing.OPEN and is_exposed(st.get_option("server.address")):
        st.sidebar.warning(text("access.exposed"))
    elif not found.is_inside:
        _draw_door(text, found)
    return found.is_inside


def _login(user: Mapping[str, Any]) -> str:
    """Return what tells one login from all others; "" where the provider gave nothing."""
    return str(user.get("nonce") or "")


def _secrets() -> Mapping[str, Any] | None:
    """Return the secrets as `judge` takes them; None too where every guard has vanished."""
    found = _read()
    guards = {"auth", SECTION} & set(found or ())
    _GUARDS.update(guards)
    return None if _GUARDS and not guards else found


def _read() -> Mapping[str, Any] | None:
    files = [Path(one) for one in st.get_option("secrets.files")]
    try:
        if any(map(_is_cut_off, files)):
            return None
        if st.secrets.load_if_toml_exists():
            return st.secrets.to_dict() or None
    except (OSError, ValueError):
        return None
    return None if any(one.exists() for one in files) else {}


def _is_cut_off(file: Path) -> bool:
    """Tell whether somebody put a file here, and it says nothing or is gone from behind its link.

    Streamlit reads several files as one, and would not miss it beside another.
    """
    if not file.exists():
        return file.is_symlink()
    return file.is_file() and not file.read_text("utf-8").strip()


def is_exposed(address: str | None) -> bool:
    """Tell whether a server at this address may be reached from other machines.

    >>> [is_exposed(one) for one in ("127.0.0.1", "::1", "localhost", "unix:///run/x")]
    [False, False, False, False]
    >>> [is_exposed(one) for one in (None, "", "0.0.0.0", "::", "192.0.2.7", "dashboard.example")]
    [True, True, True, True, True, True]
    """
    if not address:
        return True  # Streamlit then listens on every address
    try:
        return not ip_address(address).is_loopback
    except ValueError:
        return address != "localhost" and not address.startswith("unix://")


def _draw_visitor(text: Text) -> None:
    st.sidebar.caption(words.shown(str(st.user.get("email", "")), 80))
    if st.sidebar.button(text("access.logout"), key="logout"):
        _ENDED.update({_login(st.user.to_dict())} - {""})
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
