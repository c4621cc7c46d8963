"""How a document comes to its place: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from poc.errors import InputError


def publish(path: Path, written: bytes) -> Path:
    """Write a file beside its place and move it there; a reader never sees half of it.

    Raises:
        InputError: the place cannot be written to.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(written)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InputError(
            f"{path}: cannot be written ({error.strerror}). Name a file in a folder that exists "
            "and that you may write to."
        ) from error
    return path
