"""A log of records that survives crashes: one line each, with a checksum, flushed before it counts.

A line is `{"sha256":"<first 16 hex digits>","record":<canonical JSON>}`; the checksum is taken over
the bytes of the record as they stand in the file, so a reader needs no second opinion. A last line
without an end was never acknowledged: the owner removes it and says so, a reader passes over it. A
damaged line is named by file and line; the others are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from poc import disk
from poc.collector import paused
from poc.errors import InputError
from poc.records import Record

R = TypeVar("R", bound=Record)

_OPENING, _MIDDLE, _CLOSING = b'{"sha256":"', b'","record":', b"}"
_DIGITS = 16
_HEAD = len(_OPENING) + _DIGITS + len(_MIDDLE)


class DamagedLineError(ValueError):
    """A line that is not what was written; says in what way."""


def encode(record: Record) -> bytes:
    """Return the line that stands for `record`, with its end."""
    body = record.to_json().encode()
    return _OPENING + _checksum(body) + _MIDDLE + body + _CLOSING + b"\n"


def decode(line: bytes, kind: type[R]) -> R:
    """Return the record of a line without its end.

    Raises:
        DamagedLineError: no such line, another checksum, or no valid record of `kind`.
    """
    head, body = line[:_HEAD], line[_HEAD : -len(_CLOSING)]
    if not (head.startswith(_OPENING) and head.endswith(_MIDDLE) and line.endswith(_CLOSING)):
        raise DamagedLineError("it is no record with a checksum")
    if head[len(_OPENING) : -len(_MIDDLE)] != _checksum(body):
        raise DamagedLineError("its checksum does not fit")
    try:
        return kind.from_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or kind.__name__
        raise DamagedLineError(f"{where}: {first['msg']}") from error


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:_DIGITS].encode()


class Journal(Generic[R]):
    """One log file. `refusal` says why a record does not fit ("" when it does), `accept` keeps it.

    `refresh` reads what was appended since the last time, so it is cheap to call again.
    """

    def __init__(
        self,
        path: Path,
        kind: type[R],
        *,
        refusal: Callable[[R], str],
        accept: Callable[[R], None],
    ) -> None:
        self._path, self._kind, self._refusal, self._accept = path, kind, refusal, accept
        self._offset = self._line = 0
        self._tail = b""
        self._descriptor = -1
        self._findings: list[str] = []

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with the file, by name and line."""
        if not self._tail:
            return tuple(self._findings)
        text = "the last line has no end yet (being written, or its writer was stopped); left out"
        return (*self._findings, f"{self._place(1)}: {text}")

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self._path.exists()

    def create(self) -> None:
        """Lay down an empty file; one that is there stays as it is."""
        with disk.explained(self._path):
            self._path.touch()

    def refresh(self) -> None:
        """Take in every whole line that was added.

        Raises:
            InputError: the file is missing, unreadable or shorter than it was.
        """
        with disk.explained(self._path), paused(), self._path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._offset:
                raise InputError(f"{self._path}: has become shorter while in use. Read it anew.")
            file.seek(self._offset)
            self._tail = b""
            for line in file:
                self._take(line)

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            self._tail = line
            return
        self._offset += len(line)
        self._line += 1
        try:
            record = decode(line[:-1], self._kind)
        except DamagedLineError as error:
            self._findings.append(f"{self._place()}: damaged record left out: {error}")
            return
        if refusal := self._refusal(record):
            self._findings.append(f"{self._place()}: record left out: {refusal}")
        else:
            self._accept(record)

    def _place(self, ahead: int = 0) -> str:
        return f"{self._path.name}:{self._line + ahead}"

    def open_for_append(self) -> None:
        """Become the writer: read all, mend the tail. The caller owns the run folder."""
        self.refresh()
        with disk.explained(self._path):
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            if self._tail:
                self._mend()

    def _mend(self) -> None:
        """Give a whole last line its end; remove any other."""
        try:
            decode(self._tail, self._kind)
        except DamagedLineError:
            disk.cut(self._descriptor, self._offset)
            done = f"unfinished last line removed ({len(self._tail)} bytes, never published)"
            self._findings.append(f"{self._place(1)}: {done}")
        else:
            disk.write_all(self._descriptor, b"\n")
            disk.flush(self._descriptor)
            self._findings.append(f"{self._place(1)}: the last line lacked its end; completed")
            self._take(self._tail + b"\n")
        self._tail = b""

    def append(self, record: R) -> None:
        """Return once `record` survives a loss of power; on any failure nothing of it is left.

        Raises:
            InputError: the disk refused.
            ValueError: the record does not fit those that are there.
        """
        if refusal := self._refusal(record):
            raise ValueError(f"{self._path}: {refusal}")
        line = encode(record)
        with disk.explained(self._path, wanted=len(line)):
            try:
                disk.write_all(self._descriptor, line)
                disk.flush(self._descriptor)
            except BaseException:
                self._take_back()
                raise
        self._offset += len(line)
        self._line += 1
        self._accept(record)

    def _take_back(self) -> None:
        try:
            disk.cut(self._descriptor, self._offset)
        except OSError:
            # A line of unknown length is left behind: whoever opens the folder next mends it.
            self.close()

    def close(self) -> None:
        """Give the file back; more than once is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
