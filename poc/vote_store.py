"""Votes that a server takes: a database in which each acknowledged vote stands exactly once.

A vote is acknowledged after its transaction is on the disk, never before. Its place is its pack and
its trial, so that a second click, a reload or a request sent again changes nothing. Links and
cookies are kept as digests: whoever reads the database cannot vote with it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from poc.vote_database import PACKS, VOTES, Database
from poc.vote_records import TrialAnswer, Vote


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a vote: `sequence` is that of the vote which stands now."""

    is_stored: bool
    sequence: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one rater has answered so far; who that is, is None before the first vote."""

    pack_id: str
    is_closed: bool
    rater: str | None
    language: str | None
    viewport_width_px: int | None
    viewport_height_px: int | None
    sequence: int
    """The highest of its votes, 0 before the first."""
    trials: dict[str, TrialAnswer]


class ClosedError(Exception):
    """The pack is finished; nothing is taken any more."""


class VoteStore:
    """Reads and writes the votes of one or several runs; threads and processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Threads queue here: SQLite lets waiting writers try again by chance, and some for long.
        self._turn = threading.Lock() if database.is_file else nullcontext()

    @classmethod
    def open(cls, where: Path | str) -> VoteStore:
        """Return the store at a path or a URL, see `Database.of`; made where there is none yet.

        Raises:
            InputError: there is something else, or it cannot be reached or written.
        """
        store = cls(Database.of(where))
        store._database.make_tables()
        return store

    @property
    def name(self) -> str:
        """Where the votes lie, without user and password."""
        return self._database.name

    def invite(self, pack_ids: Sequence[str], *, renew: bool = False) -> dict[str, str]:
        """Return a fresh secret for the link of each pack that has none; votes stay as they are.

        `renew` replaces those of packs that are not closed: the former links and cookies end.
        """
        made = {}
        with self._writing() as connection:
            for pack_id in pack_ids:
                secret = secrets.token_urlsafe(24)
                if _added(connection, pack_id, secret) or (
                    renew and _renewed(connection, pack_id, secret)
                ):
                    made[pack_id] = secret
        return made

    def invited(self, pack_ids: Sequence[str]) -> frozenset[str]:
        """Return those of these packs that somebody was given a link to, used or not."""
        question = select(PACKS.c.pack_id).where(PACKS.c.pack_id.in_(pack_ids))
        with self._database.reading() as connection:
            return frozenset(connection.execute(question).scalars())

    def is_open(self, link: str) -> bool:
        """Tell whether a link may still be used."""
        question = select(PACKS.c.pack_id).where(_open(link))
        with self._database.reading() as connection:
            return connection.execute(question).first() is not None

    def claim(self, link: str) -> str | None:
        """Use up a link; returns the cookie that stands for its pack, None where it is used."""
        cookie = secrets.token_urlsafe(24)
        with self._writing() as connection:
            done = connection.execute(
                update(PACKS).where(_open(link)).values(cookie=_digest(cookie))
            )
        return cookie if done.rowcount == 1 else None

    def begin(self, pack_ids: Sequence[str], cookie: str) -> str | None:
        """Give the first of these packs that nobody was invited to a cookie, and return it.

        Whoever comes again with a cookie that stands for a pack gets that pack: a request whose
        answer was lost takes no second one. None where no pack is left.
        """
        mine = select(PACKS.c.pack_id).where(PACKS.c.cookie == _digest(cookie))
        with self._writing() as connection:
            found = connection.execute(mine).scalar()
            if found is not None:
                return str(found)
            for pack_id in pack_ids:
                if _added(connection, pack_id, secrets.token_urlsafe(24), cookie):
                    return pack_id
            # The very same request may have come by two ways at once.
            found = connection.execute(mine).scalar()
        return None if found is None else str(found)

    def pack_of(self, cookie: str) -> str | None:
        """Return the pack that a cookie stands for."""
        question = select(PACKS.c.pack_id).where(PACKS.c.cookie == _digest(cookie))
        with self._database.reading() as connection:
            return connection.execute(question).scalar()

    def cast(self, pack_id: str, vote: Vote) -> Receipt:
        """Store a vote; on return with `is_stored` it is on the disk.

        A later vote on the trial replaces an earlier one; one that comes again is the same vote.
        An earlier one, or another one of the same sequence, is not stored.

        Raises:
            ClosedError: the pack is finished.
            InputError: the disk or the database refuses.
        """
        answer, trial_id = vote.trial.to_json(), vote.trial.trial_id
        place = (VOTES.c.pack_id == pack_id) & (VOTES.c.trial_id == trial_id)
        with self._writing() as connection:
            _hold_open(connection, pack_id)
            question = select(VOTES.c.sequence, VOTES.c.answer).where(place)
            known = connection.execute(question).first()
            if known is not None and known.sequence >= vote.sequence:
                return Receipt((vote.sequence, answer) == tuple(known), known.sequence)
            new = {"sequence": vote.sequence, "answer": answer}
            connection.execute(
                insert(VOTES).values(pack_id=pack_id, trial_id=trial_id, **new)
                if known is None
                else update(VOTES).where(place).values(**new)
            )
            connection.execute(
                update(PACKS)
                .where(PACKS.c.pack_id == pack_id)
                .values(
                    rater=vote.rater,
                    language=vote.language,
                    viewport_width_px=vote.viewport_width_px,
                    viewport_height_px=vote.viewport_height_px,
                )
            )
        return Receipt(is_stored=True, sequence=vote.sequence)

    def close(self, pack_id: str) -> None:
        """Take no more votes on a pack; those it has stay. More than once is no error."""
        with self._writing() as connection:
            connection.execute(update(PACKS).where(PACKS.c.pack_id == pack_id).values(closed=1))

    def begun(self, pack_ids: Sequence[str]) -> tuple[Sheet, ...]:
        """Return what was answered of these packs, in their order, where anything was."""
        question = select(VOTES.c.pack_id).distinct()
        with self._database.reading() as connection:
            found = set(connection.execute(question).scalars())
        return tuple(self.sheet(pack_id) for pack_id in pack_ids if pack_id in found)

    def sheet(self, pack_id: str) -> Sheet:
        """Return what the rater of a pack has answered; raises KeyError for an unknown pack."""
        votes = select(VOTES.c.sequence, VOTES.c.answer).where(VOTES.c.pack_id == pack_id)
        with self._database.reading() as connection:
            pack = connection.execute(select(PACKS).where(PACKS.c.pack_id == pack_id)).first()
            rows = connection.execute(votes.order_by(VOTES.c.trial_id)).all()
        if pack is None:
            raise KeyError(pack_id)
        found = [TrialAnswer.from_json(row.answer) for row in rows]
        return Sheet(
            pack_id=pack_id,
            is_closed=bool(pack.closed),
            rater=pack.rater,
            language=pack.language,
            viewport_width_px=pack.viewport_width_px,
            viewport_height_px=pack.viewport_height_px,
            sequence=max((row.sequence for row in rows), default=0),
            trials={one.trial_id: one for one in found},
        )

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._turn, self._database.writing() as connection:
            yield connection


def _added(connection: Connection, pack_id: str, link: str, cookie: str | None = None) -> bool:
    """Add a pack that is not known; of two servers that add it at once, one does."""
    held = None if cookie is None else _digest(cookie)
    new = insert(PACKS).values(pack_id=pack_id, link=_digest(link), cookie=held)
    try:
        with connection.begin_nested():
            connection.execute(new)
    except IntegrityError:
        return False
    return True


def _renewed(connection: Connection, pack_id: str, secret: str) -> bool:
    is_unfinished = (PACKS.c.pack_id == pack_id) & (PACKS.c.closed == 0)
    change = update(PACKS).where(is_unfinished).values(link=_digest(secret), cookie=None)
    return connection.execute(change).rowcount == 1


def _open(link: str) -> ColumnElement[bool]:
    return (PACKS.c.link == _digest(link)) & PACKS.c.cookie.is_(None) & (PACKS.c.closed == 0)


def _hold_open(connection: Connection, pack_id: str) -> None:
    """Keep others off a pack until the transaction ends; raises ClosedError where it is finished.

    SQLite needs no such lock and its dialect leaves the words out: there is one writer at a time.
    """
    question = select(PACKS.c.closed).where(PACKS.c.pack_id == pack_id).with_for_update()
    if connection.execute(question).scalar() != 0:
        raise ClosedError(pack_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
