"""The licence text of a model's repository: as it lay there, with digest and day, beside the model.

A repository's card names a licence; what binds is the text. `poc fetch` keeps the text that the
pinned commit holds. It searches the list of files in the top folder; where the hub gives none, it
asks for the names that licences usually have. What was searched without success is said.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from poc.model_lock import LockedLicence

NAMES: Final = (
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "LICENCE",
    "LICENCE.md",
    "LICENCE.txt",
    "LICENSE.rst",
    "COPYING",
)
"""What a repository usually calls its licence, in the order in which it is looked for."""
_NAMED: Final = re.compile(r"licen[cs]e|copying", re.IGNORECASE)
MOST_BYTES: Final = 2**20
SUFFIX: Final = ".licence.txt"


class LicenceText(NamedTuple):
    """A licence as a source has it; without text where the repository has none."""

    record: LockedLicence
    text: bytes


def named_as_licence(files: Iterable[str]) -> tuple[str, ...]:
    """Return the files whose names say that they are a licence, the most usual names first.

    >>> named_as_licence(["model_license.txt", "README.md", "License.TXT", "LICENSE"])
    ('LICENSE', 'License.TXT', 'model_license.txt')
    """
    found = sorted(name for name in files if _NAMED.search(name) and name.isprintable())
    usual = [name.lower() for name in NAMES]
    ranks = {name: place for place, name in reversed([*enumerate(usual)])}
    return tuple(sorted(found, key=lambda name: ranks.get(name.lower(), len(usual))))


def licence_path(folder: Path) -> Path:
    """Return where the licence of the model in a folder lies.

    >>> licence_path(Path("weights/sd15")).as_posix()
    'weights/sd15.licence.txt'
    """
    return folder.with_name(folder.name + SUFFIX)


class NotLookedFor(NamedTuple):
    """Why nobody could look for a licence now; the next fetch tries again."""

    reason: str


def found(name: str, text: bytes, *, looked: str) -> LicenceText:
    """Return a licence that was found; what is no text that people can read is not kept."""
    try:
        readable = len(text) <= MOST_BYTES and "\0" not in text.decode()
    except UnicodeDecodeError:
        readable = False
    if not readable:
        return unreadable(name, len(text), looked=looked)
    sha256 = hashlib.sha256(text).hexdigest()
    return LicenceText(LockedLicence(name=name, sha256=sha256, looked=looked), text)


def unreadable(name: str, size_bytes: int, *, looked: str) -> LicenceText:
    """Return that a licence is there and people cannot read it."""
    why = f"expected UTF-8 text of at most {MOST_BYTES} bytes, got {size_bytes} bytes"
    record = LockedLicence(name=name, sha256=None, looked=looked, unreadable=why)
    return LicenceText(record, b"")


def absent(*, looked: str, listed: bool) -> LicenceText:
    """Return that no licence was found; `listed`: in the list of files, not by usual names."""
    record = LockedLicence(name=None, sha256=None, looked=looked, listed=listed)
    return LicenceText(record, b"")


def is_kept(folder: Path, record: LockedLicence | None) -> bool:
    """Whether a licence is settled: its text lies unchanged beside the model, or none can."""
    if record is None or record.sha256 is None:
        return record is not None
    path = licence_path(folder)
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == record.sha256


def told(record: LockedLicence | None, not_looked: str = "") -> str:
    """Say of a model what is kept of its licence; `not_looked`: why nobody could look for it now.

    >>> told(LockedLicence(name=None, sha256=None, looked="2026-11-29"))
    'none under the usual names (looked on 2026-11-29); no list of files was there'
    >>> told(LockedLicence(name="LICENSE", sha256="ab" * 32, looked="2026-11-29"))
    'LICENSE of 2026-11-29, SHA-256 abababababababab'
    >>> told(None, "offline")
    'no text kept, and nobody looked for one: offline'
    """
    if record is None:
        why = not_looked or "`poc fetch` without --from looks"
        return f"no text kept, and nobody looked for one: {why}"
    if record.name is None:
        if record.listed:
            return f"no file in the top folder is named as a licence (looked on {record.looked})"
        return f"none under the usual names (looked on {record.looked}); no list of files was there"
    if record.unreadable is not None:
        return (
            f"{record.name} is there and cannot be read (looked on {record.looked}): "
            f"{record.unreadable}. Read it on the repository's page before you use the model"
        )
    missing = f"; its text is not here: {not_looked}" if not_looked else ""
    return f"{record.name} of {record.looked}, SHA-256 {str(record.sha256)[:16]}{missing}"
