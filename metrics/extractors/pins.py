"""A lock of digests for weights that nobody published a digest of: pinned at first use.

Whoever uses them first writes the lock, whoever commits it makes everybody use the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from metrics.extractors.base import WeightsError, file_digest


def pin(lock: Path, name: str, files: Sequence[Path]) -> bool:
    """Compare files with the lock's entry `name`, or write that entry; True where it is new.

    Raises:
        WeightsError: a file has another digest or none is listed for it, a file cannot be read,
            or the lock is no lock.
    """
    found = {path.name: file_digest(path) for path in files}
    pins = _read(lock)
    if name not in pins:
        _write(lock, {**pins, name: found})
        return True
    if pins[name] != found:
        odd = next(n for n in (*found, *pins[name]) if pins[name].get(n) != found.get(n))
        raise WeightsError(
            f"{files[0].parent / odd}: expected sha256 {pins[name].get(odd)} as {lock} has it for "
            f"'{name}', got {found.get(odd)}. Put the pinned file back, or give other weights "
            "another folder name; do not change the pin to fit."
        )
    return False


def _read(lock: Path) -> dict[str, dict[str, str]]:
    if not lock.exists():
        return {}
    try:
        pins = json.loads(lock.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{lock}: cannot be read as a lock of weights ({error})") from error
    if not isinstance(pins, dict) or not all(map(_is_entry, pins.values())):
        raise WeightsError(f"{lock}: expected, by name, the sha256 of each file of an extractor")
    return pins


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(value, str) and len(value) == 64 for value in entry.values()
    )


def _write(lock: Path, pins: Mapping[str, Mapping[str, str]]) -> None:
    beside = lock.with_name(f"{lock.name}.tmp")
    try:
        beside.write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n", "utf-8")
        beside.replace(lock)
    except OSError as error:
        raise WeightsError(f"{lock}: cannot be written ({error.strerror})") from error
