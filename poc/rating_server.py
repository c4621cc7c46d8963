"""`poc rate serve`: rating pages over a network, each by its own link, each answer kept at once.

It serves rating pages and nothing else, so that nobody finds an arm's name here. A link works once:
whoever presses its button gets a cookie, and the link is used up. The page is the offline one; it
sends each answer and calls it stored only when the server says so.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any, Final

from pydantic import ValidationError

from poc import disk
from poc.errors import InputError
from poc.panel import Panel
from poc.rating_folder import FOLDER, answers_path, read_panels, served_path
from poc.rating_import import Imported, import_sheets
from poc.rating_pack import PanelPages
from poc.rating_page import template
from poc.rating_votes import require_panels
from poc.store import RunStore
from poc.vote_records import AnswerFile, TrialAnswer, Vote
from poc.vote_store import ClosedError, Sheet, VoteStore

MOST_BYTES: Final = 16 * 1024
"""Of one request; a vote has less than one."""

QUIET_S: Final = 30
"""A connection that says nothing for so long is closed."""

COOKIE: Final = "rating"


@dataclass(frozen=True, slots=True)
class Link:
    """An invitation, to be handed to one rater."""

    pseudonym: str
    path: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back."""

    status: HTTPStatus
    body: str = ""
    kind: str = "text/html"
    headers: Mapping[str, str] | None = None

    @classmethod
    def of(cls, status: HTTPStatus, **content: Any) -> Reply:
        """Return an answer to the page's script."""
        return cls(status, json.dumps(content), "application/json")


class Ballot:
    """The ratings of one run as the server sees them: its open packs, their pages, their votes.

    It may be used from several threads, and by several processes on one run.
    """

    def __init__(
        self, store: RunStore, panels: Sequence[Panel], language: str, votes: VoteStore
    ) -> None:
        self._run, self._language, self._votes = store.path, language, votes
        self._packs = {pack.pack_id: (panel, pack) for panel in panels for pack in panel.packs}
        self._pages = {one.panel_id: PanelPages(store, one, language) for one in panels}
        self._drawing, self._finishing = threading.Lock(), threading.Lock()

    @classmethod
    def of(cls, store: RunStore, language: str, votes: Path | str | None = None) -> Ballot:
        """Return the ratings of a run; `votes`: path or URL, None takes a file in the run.

        Raises:
            InputError: nobody is to be asked, or the votes cannot be reached or written.
        """
        panels = read_panels(store.path, store.plan.content_digest())
        require_panels(store.path, panels)
        disk.make_folder(store.path / FOLDER)
        kept = VoteStore.open(served_path(store.path) if votes is None else votes)
        return cls(store, panels, language, kept)

    @property
    def where(self) -> str:
        """Where the votes lie, without user and password."""
        return self._votes.name

    @property
    def language(self) -> str:
        """The language in which a stranger is spoken to."""
        return self._language

    def invite(self, *, renew: bool = False) -> tuple[Link, ...]:
        """Return a new link for each pack that has none and did not come back yet."""
        awaited = [one for one in self._packs if not answers_path(self._run, one).exists()]
        made = self._votes.invite(awaited, renew=renew)
        return tuple(Link(self._packs[one][1].pseudonym, f"/r/{made[one]}") for one in made)

    def is_open(self, link: str) -> bool:
        """Tell whether a link may still be used."""
        return self._votes.is_open(link)

    def claim(self, link: str) -> str | None:
        """Use up a link; returns a cookie, or None where it is used."""
        return self._votes.claim(link)

    def pack_of(self, cookie: str) -> str | None:
        """Return the pack of this run that a cookie stands for."""
        found = self._votes.pack_of(cookie) if cookie else None
        return found if found in self._packs else None

    def page(self, pack_id: str) -> str:
        """Return a rater's page with what was answered already."""
        panel, pack = self._packs[pack_id]
        with self._drawing:
            return self._pages[panel.panel_id].page(pack, _known(self._votes.sheet(pack_id)))

    def cast(self, pack_id: str, vote: Vote) -> Reply:
        """Store a vote."""
        pack = self._packs[pack_id][1]
        asked = {task.trial_id for task in pack.tasks}
        if vote.trial.trial_id not in asked or not vote.trial.fits(pack.form):
            return Reply.of(HTTPStatus.BAD_REQUEST, error="no such trial")
        if answers_path(self._run, pack_id).exists():  # a file came in by another way meanwhile
            return Reply.of(HTTPStatus.GONE, error="finished")
        try:
            receipt = self._votes.cast(pack_id, vote)
        except ClosedError:
            return Reply.of(HTTPStatus.GONE, error="finished")
        status = HTTPStatus.OK if receipt.is_stored else HTTPStatus.CONFLICT
        return Reply.of(status, sequence=receipt.sequence)

    def finish(self, pack_id: str) -> Reply:
        """Close a pack and take its answers in; more than once is no error."""
        self._votes.close(pack_id)
        self.take_in()
        return Reply.of(HTTPStatus.OK)

    def take_in(self, *, unfinished: bool = False) -> tuple[Imported, ...]:
        """Import the answers of closed packs; `unfinished` closes those that are under way first.

        A server that was killed between the two does the rest when it starts again.
        """
        with self._finishing:
            begun = self._votes.begun(list(self._packs))
            if unfinished:
                for one in begun:
                    self._votes.close(one.pack_id)
                begun = self._votes.begun(list(self._packs))
            due = [
                self._answers(one)
                for one in begun
                if one.is_closed and not answers_path(self._run, one.pack_id).exists()
            ]
            return import_sheets(self._run, self.where, due) if due else ()

    def _answers(self, sheet: Sheet) -> AnswerFile:
        panel, pack = self._packs[sheet.pack_id]
        found: dict[str, Any] = {
            "format_version": 1,
            "panel_id": panel.panel_id,
            "pack_id": pack.pack_id,
            "rater": sheet.rater,
            "language": sheet.language,
            "viewport_width_px": sheet.viewport_width_px,
            "viewport_height_px": sheet.viewport_height_px,
            "trials": tuple(
                sheet.trials.get(task.trial_id) or _open(task.trial_id) for task in pack.tasks
            ),
        }
        return AnswerFile(**found)


def _open(trial_id: str) -> TrialAnswer:
    return TrialAnswer(trial_id=trial_id, answers=None, duration_s=None, plays=0)


def _known(sheet: Sheet) -> dict[str, Any]:
    """Return what the page's script goes on from."""
    return {
        "rater": sheet.rater,
        "sequence": sheet.sequence,
        "closed": sheet.is_closed,
        "trials": {
            one.trial_id: {
                # Nothing, where it was taken back: the page must not send its former answer again.
                "answers": {} if said is None else said.model_dump(mode="json"),
                "seconds": one.duration_s or 0,
                "plays": one.plays,
            }
            for one in sheet.trials.values()
            for said in [one.answers or one.judgement]
        },
    }


# --- requests ------------------------------------------------------------------------------------


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
        return _taken(ballot, pack_id, self.path, body)

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


def _taken(ballot: Ballot, pack_id: str, path: str, body: bytes) -> Reply:
    """Return what becomes of a request by a rater who was let in."""
    if path == "/finish":
        return ballot.finish(pack_id)
    if path != "/vote":
        return Reply.of(HTTPStatus.NOT_FOUND, error="not found")
    try:
        vote = Vote.from_json(body)
    except ValidationError:
        return Reply.of(HTTPStatus.BAD_REQUEST, error="not understood")
    return ballot.cast(pack_id, vote)


def _entered(cookie: str) -> Reply:
    held = f"{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"
    return Reply(HTTPStatus.SEE_OTHER, headers={"Location": "/", "Set-Cookie": held})


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What was imported, and where it lay."""

    found: tuple[Imported, ...]
    where: str


def take_in_served(run: Path, votes: Path | str | None = None) -> TakenIn:
    """Import what was answered at the server so far and close those packs, finished or not.

    `votes` is what the server was given: path or URL, None for the file in the run.

    Raises:
        InputError: no run, no panel, or votes that cannot be read.
    """
    with RunStore.open_reader(run) as store:
        ballot = Ballot.of(store, "en", votes)
        return TakenIn(ballot.take_in(unfinished=True), ballot.where)
