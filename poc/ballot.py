"""The ratings of one run as they are taken over a network: open packs, their pages, their votes.

Whoever asks for pages and brings votes, `poc rate serve` or the dashboard, is answered from here,
so that a vote is checked and stored in one way.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from poc import disk
from poc.panel import Form, Panel
from poc.rating_folder import FOLDER, answers_path, read_panels, served_path
from poc.rating_import import Imported, import_sheets
from poc.rating_pack import PanelPages
from poc.rating_votes import require_panels
from poc.store import RunStore
from poc.vote_records import AnswerFile, TrialAnswer, Vote
from poc.vote_store import ClosedError, Sheet, VoteStore


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
    def name(self) -> str:
        """What tells these ratings from those of another run; panels made later do not change it.

        The id of the first panel: it says nothing of the arms.
        """
        return next(iter(self._packs.values()))[0].panel_id

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
        made = self._votes.invite(self._awaited(), renew=renew)
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

    def enter(self, form: Form, cookie: str = "") -> str | None:
        """Take a pack that nobody was invited to; returns its cookie, or None where none is left.

        Who chooses the cookie may ask again when the answer was lost, and gets the same pack; it
        must be as hard to guess as a password. "": one is made. The last packs go first: whoever
        hands out pages as files begins with the first.
        """
        cookie = cookie or secrets.token_urlsafe(24)
        found = self._votes.begin([*reversed(self._awaited(form))], cookie)
        return cookie if found in self._packs else None

    def enter_as(self, form: Form, person: bytes) -> str | None:
        """Take a pack for somebody who is known, one of each panel; returns its cookie.

        `person` is a keyed digest that nobody else can make. From it the cookies follow, so that
        the same person gets the same pack in every browser, and no second one as another rater.
        Who has finished all gets the last one again, which says so. None where no pack is left.
        """
        panels = [panel.panel_id for panel, pack in self._packs.values() if pack.form is form]
        cookies = {one: _cookie(person, one) for one in reversed(panels)}
        awaited = self._awaited(form)
        held = {one: self.pack_of(cookie) for one, cookie in cookies.items()}
        for one, cookie in cookies.items():
            if held[one] in awaited:
                return cookie
        for one, cookie in cookies.items():
            its = [pack_id for pack_id in awaited if self._packs[pack_id][0].panel_id == one]
            if held[one] is None and self._votes.begin([*reversed(its)], cookie):
                return cookie
        return next((cookies[one] for one in held if held[one]), None)

    def free(self, form: Form) -> int | None:
        """Return how many packs of a form nobody was invited to; None where nobody is asked so."""
        if all(pack.form is not form for _, pack in self._packs.values()):
            return None
        awaited = self._awaited(form)
        return len(awaited) - len(self._votes.invited(awaited))

    def _awaited(self, form: Form | None = None) -> list[str]:
        """Return the packs whose answers were not taken in yet."""
        return [
            pack_id
            for pack_id, (_, pack) in self._packs.items()
            if form in {None, pack.form} and not answers_path(self._run, pack_id).exists()
        ]

    def page(self, pack_id: str, language: str | None = None) -> str:
        """Return a rater's page with what was answered already; None: the ballot's language."""
        panel, pack = self._packs[pack_id]
        with self._drawing:
            known = _known(self._votes.sheet(pack_id))
            return self._pages[panel.panel_id].page(pack, known, language)

    def take(self, pack_id: str, what: str, body: bytes) -> Reply:
        """Return what becomes of a message by a rater who was let in: `vote` or `finish`."""
        if what == "finish":
            return self.finish(pack_id)
        if what != "vote":
            return Reply.of(HTTPStatus.NOT_FOUND, error="not found")
        try:
            vote = Vote.from_json(body)
        except ValidationError:
            return Reply.of(HTTPStatus.BAD_REQUEST, error="not understood")
        return self.cast(pack_id, vote)

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


def _cookie(person: bytes, panel_id: str) -> str:
    return hmac.new(person, panel_id.encode(), "sha256").hexdigest()


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
