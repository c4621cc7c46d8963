"""Rating within the dashboard: what a browser may ask, what it is answered, and commands to type.

A browser sends a message, and Python answers it before it shows anything: a vote is called stored
only after its transaction is on the disk. Votes go where those of `poc rate serve` go, and are
checked by the same code.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from poc.errors import InputError, plain
from poc.panel import Form
from poc.rating_folder import key_files
from poc.records import Record
from poc.vote_intervals import FEWEST_RATERS
from reports.text import Language, Text

if TYPE_CHECKING:
    from poc.ballot import Ballot, Reply

RATERS: Final = 2 * FEWEST_RATERS
"""Packs that the command makes: twice the fewest raters that can be leant on, since some drop out.
"""

PLACE: Final = "POC_VOTES"
"""The variable that says where votes are kept, path or URL, unless in the run; no argument, since
others may read a program's arguments, and a URL can hold a password."""

_LOG: Final = logging.getLogger(__name__)
_MOST_LETTERS: Final = 16_000
_FEWEST_LETTERS: Final = 32
"""Of a ticket that a browser chose; ours are as long."""

_ID: Final = 64
"""Most letters of a message's id."""


class Asked(Record):
    """A message of the browser."""

    id: Annotated[str, Field(min_length=1, max_length=_ID)]
    path: Literal["begin", "page", "vote", "finish"]
    ticket: Annotated[str, Field(max_length=64)] = ""
    """Stands for the pack that this browser began. The browser chooses it before it begins one, so
    that it may ask again when the answer is lost; "" leaves the choice to the server."""
    form: Form | None = None
    """Of the pack that is to be begun."""
    language: Literal["ja", "en"] = "ja"
    """In which the page is to be shown first."""
    body: Annotated[str, Field(max_length=_MOST_LETTERS)] = ""
    """What the rating page sends, as it is."""


def understood(message: object) -> Asked | None:
    """Return a message, or None where it is none."""
    try:
        return Asked.model_validate(message, strict=False)
    except ValidationError:
        return None


def answer(ballot: Ballot, asked: Asked, person: bytes | None = None) -> Reply:
    """Return what becomes of a message; what cannot be done now is answered by 503.

    `person` stands for who has logged in, see `reports.access.Visitor`; None where nobody does.

    Why it cannot is told to the server's log alone: it may name files, places and clips.
    """
    from poc.ballot import Reply

    try:
        return _begun(ballot, asked, person) if asked.path == "begin" else _answer(ballot, asked)
    except InputError as error:
        _LOG.warning("%s failed: %s", asked.path, plain(str(error)))
        return Reply.of(HTTPStatus.SERVICE_UNAVAILABLE, error="not possible now")


def _begun(ballot: Ballot, asked: Asked, person: bytes | None) -> Reply:
    from poc.ballot import Reply

    if asked.form is None or 0 < len(asked.ticket) < _FEWEST_LETTERS:
        return Reply.of(HTTPStatus.BAD_REQUEST, error="not understood")
    if person is None:
        ticket = ballot.enter(asked.form, asked.ticket)
    else:
        ticket = ballot.enter_as(asked.form, person)
    if ticket is None:
        return Reply.of(HTTPStatus.NOT_FOUND, error="no pack is left")
    return Reply.of(HTTPStatus.OK, ticket=ticket)


def _answer(ballot: Ballot, asked: Asked) -> Reply:
    from poc.ballot import Reply

    pack_id = ballot.pack_of(asked.ticket)
    if pack_id is None:
        return Reply.of(HTTPStatus.FORBIDDEN, error="no such ticket")
    if asked.path == "page":
        return Reply(HTTPStatus.OK, ballot.page(pack_id, asked.language))
    return ballot.take(pack_id, asked.path, asked.body.encode())


def refusal() -> Reply:
    """Return what somebody is answered who may not write."""
    from poc.ballot import Reply

    return Reply.of(HTTPStatus.FORBIDDEN, error="not allowed")


def unfit(message: object) -> dict[str, Any] | None:
    """Return what is sent to a message that is not understood, so that its page does not wait.

    None where nobody would hear it: a message without an id is no page's.
    """
    from poc.ballot import Reply

    id_ = message.get("id") if isinstance(message, Mapping) else None
    if not isinstance(id_, str) or not id_.isascii() or not 0 < len(id_) <= _ID:
        return None
    return sent(id_, Reply.of(HTTPStatus.BAD_REQUEST, error="not understood"))


def sent(id_: str, reply: Reply) -> dict[str, Any]:
    """Return the reply to the message of this id as the browser gets it."""
    return {"id": id_, "status": int(reply.status), "body": reply.body}


def open_ballot(run: Path) -> Ballot:
    """Return the ratings of a run, and take in what an earlier server could not finish.

    Raises:
        InputError: nobody is to be asked, or the votes cannot be read or written.
        ImportError: a package of the extra `run` is missing.
    """
    from poc.ballot import Ballot
    from poc.store import RunStore

    ballot = Ballot.of(RunStore.open_reader(run), "ja", os.environ.get(PLACE) or None)
    ballot.take_in()
    return ballot


def panels_stamp(run: Path) -> tuple[tuple[str, int], ...]:
    """Return what changes when somebody makes packs; empty where nobody has."""
    return tuple((one.parent.name, one.stat().st_mtime_ns) for one in key_files(run))


# --- what the page shows -------------------------------------------------------------------------

_WORDS: Final = (
    "begin", "go_on", "close", "loading", "gone", "none_left", "no_answer", "refused", "failed",
    "frame",
)  # fmt: skip


def desk(ballot: Ballot, text: Text, reply: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return everything that the browser needs to offer packs; it names no arm."""
    free = {form: ballot.free(form) for form in Form}
    return {
        "ballot": ballot.name,
        "language": text.language,
        "words": {name: text(f"rating.{name}") for name in _WORDS},
        "forms": [
            {
                "form": str(form),
                "title": text(f"rating.form.{form}"),
                "about": text(f"rating.form.{form}.about"),
                "left": text("rating.left", n=left),
                "is_left": left > 0,
            }
            for form, left in free.items()
            if left is not None
        ],
        "reply": reply,
    }


def folder_word(run: Path) -> str:
    """Return a run's folder as a word of a command; no name can steer the page or the shell.

    >>> folder_word(Path("runs/my run"))
    "'runs/my run'"
    """
    return plain(shlex.quote(str(run)))


def commands(run: Path, language: Language) -> Iterator[tuple[str, str]]:
    """Yield what to type for this run, each with the key of the sentence that says what for."""
    folder = folder_word(run)
    pack = f"poc rate pack {folder} --raters {RATERS} --lang {language}"
    yield "rating.type.pairs", pack
    yield "rating.type.clips", f"{pack} --form clips"
    yield "rating.type.import", f"poc rate import {folder} answers-*.json"
    place = f' --votes "${PLACE}"' if os.environ.get(PLACE) else ""
    serve = f"poc rate serve {folder} --address 0.0.0.0 --lang {language}"
    yield "rating.type.serve", serve + place
    yield "rating.type.collect", f"poc rate collect {folder}{place}"
    yield "rating.type.show", f"poc rate show {folder}"
    yield "rating.type.decide", f"poc decide {folder}"
