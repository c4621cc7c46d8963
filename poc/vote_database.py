"""Where a server keeps votes: an SQLite file by its path, or PostgreSQL by its URL.

Only what differs between the two is here; `poc.vote_store` asks both the same questions. A password
is never part of a name, an error or a representation.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from poc.errors import InputError, did_you_mean, plain

WAIT_S: Final = 30
"""Longest that one writer waits for another, and that a database may be silent."""

PASSWORD: Final = "PGPASSWORD"
"""The variable that holds the password where the URL has none, as PostgreSQL's own programs do."""

TABLES: Final = MetaData()
PACKS: Final = Table(
    "packs", TABLES,
    Column("pack_id", Text, primary_key=True),
    Column("link", Text, unique=True, nullable=False),
    Column("cookie", Text, unique=True),
    Column("closed", Integer, nullable=False, default=0),
    Column("rater", Text), Column("language", Text),
    Column("viewport_width_px", Integer), Column("viewport_height_px", Integer),
    sqlite_strict=True,
)  # fmt: skip
VOTES: Final = Table(
    "votes", TABLES,
    Column("pack_id", Text, ForeignKey("packs.pack_id"), primary_key=True),
    Column("trial_id", Text, primary_key=True),
    Column("sequence", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    sqlite_strict=True,
)  # fmt: skip

_BEGIN_WRITING: Final[Mapping[str, str]] = {
    # Taken at once: a reader that becomes a writer later could be refused.
    "sqlite": "BEGIN IMMEDIATE",
    # Whatever the server's default is: an acknowledged vote outlives a power cut.
    "postgresql": "SET LOCAL synchronous_commit = on",
}
_BEGIN_READING: Final[Mapping[str, str]] = {
    "sqlite": "BEGIN",
    "postgresql": "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
}
"""Several questions of one transaction see one state."""

_SCHEMES: Final = ("postgresql", "postgresql+pg8000", "postgres")
_MEANT_AS_URL: Final = re.compile(r"postgres(ql)?([+:]|//)", re.IGNORECASE)
"""A URL with a slip is no path: an error that names a path would print its password."""

_OPTIONS: Final = ("host", "sslmode")


class Database:
    """One place for votes; every connection is new, so that a restarted server is no error."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self.name = engine, name

    @classmethod
    def of(cls, where: Path | str) -> Database:
        """Return the database of a path or a URL; connects to nothing.

        `postgresql://USER:PASSWORD@HOST:PORT/NAME`. As with PostgreSQL's own programs, `?host=DIR`
        is the folder of a Unix socket, `?sslmode=verify-full` demands a certificate that holds, and
        a missing password is taken from `PGPASSWORD`.

        Raises:
            InputError: no such scheme, or an option that is not known.
        """
        if is_url(where):
            return cls._postgresql(_url(str(where)))
        path = Path(where)
        url = URL.create("sqlite", database=str(path))
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": WAIT_S})
        event.listen(engine, "connect", _prepare_file)
        return cls._begun(engine, str(path))

    @classmethod
    def _postgresql(cls, url: URL) -> Database:
        options = dict(url.query)
        for option in options:
            if option not in _OPTIONS:
                hint = did_you_mean(option, _OPTIONS)
                raise InputError(f"{_name(url)}: unknown option {option!r} of the URL. {hint}")
        more: dict[str, Any] = {"timeout": WAIT_S, "password": url.password}
        more["password"] = more["password"] or os.environ.get(PASSWORD)
        if "host" in options:
            more["unix_sock"] = f"{options['host']}/.s.PGSQL.{url.port or 5432}"
        if "sslmode" in options:
            if options["sslmode"] != "verify-full":
                raise InputError(
                    f"{_name(url)}: sslmode: expected verify-full, got {options['sslmode']!r}. "
                    "Leave it out for a connection that is encrypted where the server can."
                )
            more["ssl_context"] = ssl.create_default_context()
        bare = url.set(drivername="postgresql+pg8000", query={})
        engine = create_engine(bare, poolclass=NullPool, connect_args=more, hide_parameters=True)
        return cls._begun(engine, _name(url))

    @classmethod
    def _begun(cls, engine: Engine, name: str) -> Database:
        event.listen(engine, "begin", _begin)
        return cls(engine, name)

    @property
    def is_file(self) -> bool:
        """Whether it is an SQLite file."""
        return self._engine.dialect.name == "sqlite"

    def make_tables(self) -> None:
        """Make the tables where there are none; raises InputError as the others do."""
        try:
            self._make_tables()
        except InputError:  # another process may have made them at the very same moment
            self._make_tables()

    def _make_tables(self) -> None:
        with self.writing() as connection:
            TABLES.create_all(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection whose changes are all on the disk afterwards, or none.

        Raises:
            InputError: the database cannot be reached, read or written.
        """
        with self._explained(), self._connected() as connection:
            connection.execution_options(begins=_BEGIN_WRITING)
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection whose questions all see one state; raises InputError as `writing`."""
        with self._explained(), self._connected() as connection:
            connection.execution_options(begins=_BEGIN_READING)
            with connection.begin():
                yield connection

    def _connected(self) -> Connection:
        try:
            return self._engine.connect()
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001  # a driver raises anything at what is no server
            raise self._refusal(_unlike(error)) from None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise self._refusal(_said(error)) from None

    def _refusal(self, said: str) -> InputError:
        """Return what is raised instead: an error's text and cause could hold what was sent."""
        advice = (
            "Look at the disk, or restore the file from a copy; answers taken in before are "
            "not in it."
            if self.is_file
            else "See that it runs, and that the URL's user may make and change tables there."
        )
        return InputError(f"{self.name}: the votes cannot be read or written ({said}). {advice}")


def is_url(where: Path | str) -> bool:
    """Tell whether votes are to lie in a database with a URL; anything else is a path."""
    return isinstance(where, str) and bool("://" in where or _MEANT_AS_URL.match(where))


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in _SCHEMES or not url.database or not url.username:
        scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*|", text)
        raise InputError(
            "--votes: expected a path, or a URL as postgresql://USER@HOST:5432/NAME, got "
            f"{scheme[0] if scheme else ''}:... Correct it."
        )
    return url


def _name(url: URL) -> str:
    """Return a URL without who asks and with what: neither is anybody's business."""
    host = url.query.get("host") or url.host or "localhost"
    return plain(f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database}")


def _said(error: SQLAlchemyError) -> str:
    """Return what the database said, in one line, without the question and its values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    first = cause.args[0] if cause is not None and cause.args else type(error).__name__
    # A driver that cannot say goodbye after a refusal raises that, and not the refusal.
    words = [one.args[0] for one in _chain(cause) if one.args and isinstance(one.args[0], dict)]
    return plain(str(words[0].get("M", "") if words else first)).split("\n")[0]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from or during."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unlike(error: Exception) -> str:
    """Return what a driver that broke tells, without what it was given."""
    kind = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return plain(f"{kind}: {error.verify_message}")
    if isinstance(error, OSError):
        return plain(f"{kind}: {error.strerror or 'no connection'}")
    return f"no answer that PostgreSQL would give: {kind}"


def _prepare_file(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL: a commit waits for the disk, so an acknowledged vote outlives a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    begins: Mapping[str, str] = connection.get_execution_options()["begins"]
    connection.exec_driver_sql(begins[connection.dialect.name])
