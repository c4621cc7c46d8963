"""`poc rate serve`: rating pages over a network, each by its own link, each answer kept at once.

It serves rating pages and nothing else, so that nobody finds an arm's name here. A link works once:
whoever presses its button gets a cookie, and the link is used up. The page is the offline one; it
sends each answer and calls it stored only when the server says so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import Template
from typing import Any, Final

from poc.ballot import Ballot, Reply
from poc.errors import InputError
from poc.rating_page import template

MOST_BYTES: Final = 16 * 1024
"""Of one request; a vote has less than one."""

QUIET_S: Final = 30
"""A connection that says nothing for so long is closed."""

COOKIE: Final = "rating"


class Server(ThreadingHTTPServer):
    """Serves the ratings of one run until it is shut down."""

    daemon_threads = True

    def __init__(self, address: str, port: int, ballot: Ballot) -> None:
        self.ballot = ballot
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise InputError(
                f"{address}:{port}: expected an address of this machine and a free port, the "
                f"system says: {error.strerror or error}. Choose another --address or --port."
            ) from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away; whatever else failed is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "rating", ""
    timeout = QUIET_S

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep no log: addresses of raters are nobody's business, and paths hold links."""

    def _answer(self, how: Callable[[], Reply]) -> None:
        try:
            reply = how()
        except InputError:
            # Such as a full disk, or a folder that another process writes to: the page tries again.
            reply = Reply.of(HTTPStatus.SERVICE_UNAVAILABLE, error="try again")
        body = reply.body.encode()
        self.send_response(reply.status)
        kept = {
            "Content-Type": f"{reply.kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            **(reply.headers or {}),
        }
        for name, value in kept.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _get(self) -> Reply:
        ballot = self.server.ballot
        if self.path.startswith("/r/"):
            return self._door("open" if ballot.is_open(self.path[3:]) else "used")
        pack_id = self._pack()
        if self.path != "/" or pack_id is None:
            return self._door("stranger")
        return Reply(HTTPStatus.OK, ballot.page(pack_id))

    def _post(self) -> Reply:
        ballot, body = self.server.ballot, self._body()
        if body is None or not self._is_ours():
            return Reply.of(HTTPStatus.BAD_REQUEST, error="not understood")
        if self.path.startswith("/r/"):
            cookie = ballot.claim(self.path[3:])
            return self._door("used") if cookie is None else _entered(cookie)
        pack_id = self._pack()
        if pack_id is None:
            return Reply.of(HTTPStatus.FORBIDDEN, error="no invitation")
        return ballot.take(pack_id, self.path.removeprefix("/"), body)

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "0")
        plain = length.isascii() and length.isdigit() and len(length) <= len(str(MOST_BYTES))
        if not plain or int(length) > MOST_BYTES:
            self.close_connection = True
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _is_ours(self) -> bool:
        """Tell whether a request comes from a page of this server, not from another site."""
        origin = self.headers.get("Origin")
        host = self.headers.get("Host")
        return origin is None or origin in {f"http://{host}", f"https://{host}"}

    def _pack(self) -> str | None:
        try:
            morsel = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if morsel is None else self.server.ballot.pack_of(morsel.value)

    def _door(self, state: str) -> Reply:
        """Return the page before the page: a button, since programs that preview links press none.

        It stands in both languages: nobody knows yet which one the visitor reads.
        """
        texts = json.loads(template("rating.json"))
        said = "".join(
            f'<p lang="{language}">{texts[language][f"door_{state}"]}</p>'
            for language in sorted(texts, key=lambda one: one != self.server.ballot.language)
        )
        button = " / ".join(texts[language]["begin"] for language in texts)
        form = f'<form method="post"><button class="main">{button}</button></form>'
        page = Template(template("rating_door.html")).substitute(
            said=said,
            form=form if state == "open" else "",
            css=template("rating.css"),
            title=texts[self.server.ballot.language]["short_title"],
        )
        status = {"open": HTTPStatus.OK, "used": HTTPStatus.GONE, "stranger": HTTPStatus.NOT_FOUND}
        policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"
        return Reply(status[state], page, headers={"Content-Security-Policy": policy})


def _entered(cookie: str) -> Reply:
    held = f"{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"
    return Reply(HTTPStatus.SEE_OTHER, headers={"Location": "/", "Set-Cookie": held})
