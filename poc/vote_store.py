"""Votes that a server takes: one SQLite file in which each acknowledged vote stands exactly once.

A vote is acknowledged after its transaction is on the disk, never before. Its place is its pack and
its trial, so that a second click, a reload or a request sent again changes nothing. Links and
cookies are kept as digests: whoever reads the file cannot vote with it.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from poc.errors import InputError
from poc.vote_records import TrialAnswer, Vote

WAIT_S = 30
"""Longest that one writer waits for another."""

_TABLES = """
CREATE TABLE IF NOT EXISTS packs (
  pack_id TEXT PRIMARY KEY, link TEXT UNIQUE NOT NULL, cookie TEXT UNIQUE,
  closed INTEGER NOT NULL DEFAULT 0,
  rater TEXT, language TEXT, viewport_width_px INTEGER, viewport_height_px INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS votes (
  pack_id TEXT NOT NULL REFERENCES packs, trial_id TEXT NOT NULL,
  sequence INTEGER NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (pack_id, trial_id)
) STRICT;
"""


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
    """Reads and writes one file of votes; threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Threads queue here: SQLite lets waiting writers try again by chance, and some for long.
        self._turn = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> VoteStore:
        """Return the store, made where there is none yet.

        Raises:
            InputError: the file is no such store, or cannot be written.
        """
        store = cls(path)
        with store._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLES)
        return store

    def invite(self, pack_ids: Sequence[str], *, renew: bool = False) -> dict[str, str]:
        """Return a fresh secret for the link of each pack that has none; votes stay as they are.

        `renew` replaces those of packs that are not closed: the former links and cookies end.
        """
        made = {}
        with self._transaction() as connection:
            known = dict(connection.execute("SELECT pack_id, closed FROM packs"))
            for pack_id in pack_ids:
                if pack_id in known and (known[pack_id] or not renew):
                    continue
                made[pack_id] = secrets.token_urlsafe(24)
                connection.execute(
                    "INSERT INTO packs (pack_id, link) VALUES (?, ?) ON CONFLICT (pack_id) "
                    "DO UPDATE SET link = excluded.link, cookie = NULL",
                    (pack_id, _digest(made[pack_id])),
                )
        return made

    def is_open(self, link: str) -> bool:
        """Tell whether a link may still be used."""
        with self._connected() as connection:
            question = "SELECT 1 FROM packs WHERE link = ? AND cookie IS NULL AND closed = 0"
            return connection.execute(question, (_digest(link),)).fetchone() is not None

    def claim(self, link: str) -> str | None:
        """Use up a link; returns the cookie that stands for its pack, None where it is used."""
        cookie = secrets.token_urlsafe(24)
        with self._transaction() as connection:
            done = connection.execute(
                "UPDATE packs SET cookie = ? WHERE link = ? AND cookie IS NULL AND closed = 0",
                (_digest(cookie), _digest(link)),
            )
        return cookie if done.rowcount == 1 else None

    def pack_of(self, cookie: str) -> str | None:
        """Return the pack that a cookie stands for."""
        with self._connected() as connection:
            question = "SELECT pack_id FROM packs WHERE cookie = ?"
            row = connection.execute(question, (_digest(cookie),)).fetchone()
        return None if row is None else str(row[0])

    def cast(self, pack_id: str, vote: Vote) -> Receipt:
        """Store a vote; on return with `is_stored` it is on the disk.

        A later vote on the trial replaces an earlier one; one that comes again is the same vote.
        An earlier one, or another one of the same sequence, is not stored.

        Raises:
            ClosedError: the pack is finished.
            InputError: the disk refuses.
        """
        answer = vote.trial.to_json()
        with self._transaction() as connection:
            _require_open(connection, pack_id)
            known = connection.execute(
                "SELECT sequence, answer FROM votes WHERE pack_id = ? AND trial_id = ?",
                (pack_id, vote.trial.trial_id),
            ).fetchone()
            if known is not None and known[0] >= vote.sequence:
                return Receipt((vote.sequence, answer) == known, known[0])
            connection.execute(
                "INSERT INTO votes VALUES (?, ?, ?, ?) ON CONFLICT (pack_id, trial_id) "
                "DO UPDATE SET sequence = excluded.sequence, answer = excluded.answer",
                (pack_id, vote.trial.trial_id, vote.sequence, answer),
            )
            connection.execute(
                "UPDATE packs SET rater = ?, language = ?, viewport_width_px = ?, "
                "viewport_height_px = ? WHERE pack_id = ?",
                (vote.rater, vote.language, vote.viewport_width_px, vote.viewport_height_px,
                 pack_id),
            )  # fmt: skip
        return Receipt(is_stored=True, sequence=vote.sequence)

    def close(self, pack_id: str) -> None:
        """Take no more votes on a pack; those it has stay. More than once is no error."""
        with self._transaction() as connection:
            connection.execute("UPDATE packs SET closed = 1 WHERE pack_id = ?", (pack_id,))

    def sheets(self) -> tuple[Sheet, ...]:
        """Return what every invited rater has answered, in the order of their packs."""
        with self._connected() as connection:
            packs = [row[0] for row in connection.execute("SELECT pack_id FROM packs ORDER BY 1")]
        return tuple(self.sheet(pack_id) for pack_id in packs)

    def sheet(self, pack_id: str) -> Sheet:
        """Return what the rater of a pack has answered; raises KeyError for an unknown pack."""
        with self._connected() as connection:
            connection.execute("BEGIN")  # both questions see one state
            pack = connection.execute(
                "SELECT closed, rater, language, viewport_width_px, viewport_height_px "
                "FROM packs WHERE pack_id = ?", (pack_id,),
            ).fetchone()  # fmt: skip
            rows = connection.execute(
                "SELECT sequence, answer FROM votes WHERE pack_id = ? ORDER BY trial_id",
                (pack_id,),
            ).fetchall()
        if pack is None:
            raise KeyError(pack_id)
        found = [TrialAnswer.from_json(answer) for _, answer in rows]
        return Sheet(
            pack_id=pack_id,
            is_closed=bool(pack[0]),
            rater=pack[1],
            language=pack[2],
            viewport_width_px=pack[3],
            viewport_height_px=pack[4],
            sequence=max((sequence for sequence, _ in rows), default=0),
            trials={one.trial_id: one for one in found},
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose changes are all on the disk afterwards, or none."""
        with self._turn, self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            found = sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None)
            with closing(found) as connection:
                # FULL: a commit waits for the disk, so an acknowledged vote outlives a power cut.
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.Error as error:
            raise InputError(
                f"{self._path}: the votes cannot be read or written ({error}). Look at the disk, "
                "or restore the file from a copy; answers taken in before are not in it."
            ) from error


def _require_open(connection: sqlite3.Connection, pack_id: str) -> None:
    row = connection.execute("SELECT closed FROM packs WHERE pack_id = ?", (pack_id,)).fetchone()
    if row is None or row[0]:
        raise ClosedError(pack_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
