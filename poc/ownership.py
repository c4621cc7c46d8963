"""One owner per run folder: an advisory lock that dies with its process.

The lock is the kernel's (`flock`), so nothing is left to clean up after a kill or a power cut; the
text in the file only says to the next one who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from poc import disk
from poc.errors import InputError

LOCK_NAME = "owner.lock"


class Ownership:
    """The right to write to one run folder, held until `release` or the end of the process.

    A forked child does not inherit it: otherwise a worker that outlives its killed parent would
    keep the next start out.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        mine = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _close(mine()))

    @classmethod
    def take(cls, folder: Path) -> Ownership:
        """Take the folder, at once or not at all.

        Raises:
            InputError: somebody else holds it; says who, where and since when.
        """
        path = folder / LOCK_NAME
        with disk.explained(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(descriptor, 0)
                disk.write_all(descriptor, _note())
            except BlockingIOError:
                os.close(descriptor)
                raise InputError(f"{folder}: in use by {_holder(path)}. {_ADVICE}") from None
            except BaseException:
                os.close(descriptor)
                raise
        return cls(descriptor)

    @property
    def held(self) -> bool:
        """Whether this process may write."""
        return self._descriptor >= 0

    def release(self) -> None:
        """Let the next one in; more than once is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


_ADVICE = "Wait until it ends, or stop it; other run folders are free, and anybody may read."


def _close(ownership: Ownership | None) -> None:
    if ownership is not None:
        ownership.release()


def _note() -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}).encode()


def _holder(path: Path) -> str:
    """Return who wrote the note; the holder may not have written it yet."""
    try:
        note: Any = json.loads(path.read_bytes())
        return f"process {note['pid']} on {note['host']} since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
