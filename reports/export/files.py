"""How a document comes to its place: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def publish(path: Path, written: bytes) -> Path:
    """Write a file beside its place and move it there; a reader never sees half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(written)
    beside.replace(path)
    return path
