"""How bytes reach the disk so that a crash leaves the old state or the new one, never a mixture.

The four functions with a leading underscore are the only places where a run folder is written,
flushed, cut or renamed; the tests count them and make each of them fail in turn. What the system
refuses becomes one sentence that says what to do.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from poc.errors import InputError

TEMPORARY = ".tmp"
"""Suffix of a file that is not published yet; one that is left over belongs to a dead writer."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def _write(descriptor: int, data: memoryview) -> int:
    return os.write(descriptor, data)


def _fsync(descriptor: int) -> None:
    os.fsync(descriptor)


def _truncate(descriptor: int, size: int) -> None:
    os.ftruncate(descriptor, size)


def _replace(source: Path, target: Path) -> None:
    source.replace(target)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; a short write, which the system may do, is carried on."""
    rest = memoryview(data)
    while rest:
        rest = rest[_write(descriptor, rest) :]


def flush(descriptor: int) -> None:
    """Return once what was written through `descriptor` survives a loss of power."""
    _fsync(descriptor)


def cut(descriptor: int, size: int) -> None:
    """Shorten an open file to `size` bytes, for good."""
    _truncate(descriptor, size)
    _fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Return once the names in `folder` (files made, renamed) survive a loss of power."""
    with explained(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _fsync(descriptor)
        finally:
            os.close(descriptor)


def publish(path: Path, data: bytes) -> None:
    """Put `data` at `path` whole or not at all: written beside, flushed, renamed.

    The name itself survives a loss of power once `sync_folder(path.parent)` has returned.
    """
    with explained(path, wanted=len(data)):
        put(stage(path, data), path)


def stage(path: Path, data: bytes) -> Path:
    """Return a flushed file beside `path` for `put`: what may fail for want of room is done."""
    beside = path.with_name(path.name + TEMPORARY)
    with explained(path, wanted=len(data)):
        try:
            _write_file(beside, data)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
    return beside


def put(beside: Path, path: Path) -> None:
    """Give a staged file its name; what stood there is replaced."""
    with explained(path):
        try:
            _replace(beside, path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise


def _write_file(path: Path, data: bytes) -> None:
    # A link planted at the name must not carry the data to another file.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o666)
    try:
        write_all(descriptor, data)
        _fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make `path` and what is missing above it; their names survive a loss of power."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def remove_temporaries(folder: Path) -> None:
    """Remove what a writer that died had not published."""
    with explained(folder):
        for path in folder.glob(f"*{TEMPORARY}"):
            path.unlink()


def free_bytes(path: Path) -> int:
    """Return the bytes free to this user where `path` is, or would be made."""
    place = path.absolute()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return shutil.disk_usage(there).free


@contextmanager
def explained(path: Path, *, wanted: int = 0) -> Iterator[None]:
    """Turn what the system refuses inside the block into an `InputError` about `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(_explanation(error, path, wanted)) from error


def _explanation(error: OSError, path: Path, wanted: int) -> str:
    reason = error.strerror or type(error).__name__
    if error.errno in _FULL:
        return (
            f"{path}: disk full ({reason}): free {_free(path)}, to be written {wanted} bytes. "
            "What was published is safe and nothing is half-written. "
            "Free some space and run the same command to go on."
        )
    if error.errno in _FORBIDDEN:
        return f"{path}: not writable ({reason}). Change its permissions, or choose another --out."
    if error.errno == errno.ENOENT:
        return f"{path}: is missing. Restore it from a copy."
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return f"{path}: expected a folder, found a file ({reason}). Choose another --out."
    return f"{path}: the disk refused ({reason}). Mend it, then run the same command to go on."


def _free(path: Path) -> str:
    try:
        return f"{free_bytes(path)} bytes"
    except OSError:
        return "unknown"
