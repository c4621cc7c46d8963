"""The licence text of a model's repository: as it lay there, with digest and day, beside the model.

A repository's card names a licence; what binds is the text. `poc fetch` keeps the text that the
pinned commit holds, under the names that licences usually have, and says so where there is none.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from poc.errors import InputError
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
"""What a repository may call its licence, in the order in which it is looked for."""
MOST_BYTES: Final = 2**20
SUFFIX: Final = ".licence.txt"


class LicenceText(NamedTuple):
    """A licence as a source has it; without text where the repository has none."""

    record: LockedLicence
    text: bytes


def licence_path(folder: Path) -> Path:
    """Return where the licence of the model in a folder lies.

    >>> licence_path(Path("weights/sd15")).as_posix()
    'weights/sd15.licence.txt'
    """
    return folder.with_name(folder.name + SUFFIX)


def found(name: str, text: bytes, *, looked: str, where: str) -> LicenceText:
    """Return a licence that was found; raises `InputError` for what is no text that people read."""
    try:
        readable = len(text) <= MOST_BYTES and "\0" not in text.decode()
    except UnicodeDecodeError:
        readable = False
    if not readable:
        raise unreadable(where, len(text))
    sha256 = hashlib.sha256(text).hexdigest()
    return LicenceText(LockedLicence(name=name, sha256=sha256, looked=looked), text)


def unreadable(where: str, size_bytes: int) -> InputError:
    """Return the error of a licence that people cannot read."""
    return InputError(
        f"{where}: expected a licence as UTF-8 text of at most {MOST_BYTES} bytes, got "
        f"{size_bytes} bytes. Read it on its page before you use the model; its files are there."
    )


def absent(*, looked: str) -> LicenceText:
    """Return that a repository has no licence under any of the names."""
    return LicenceText(LockedLicence(name=None, sha256=None, looked=looked), b"")


def is_kept(folder: Path, record: LockedLicence | None) -> bool:
    """Whether a licence is settled: its text lies beside the model unchanged, or there is none."""
    if record is None or record.name is None:
        return record is not None
    path = licence_path(folder)
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == record.sha256


def told(record: LockedLicence | None) -> str:
    """Say of a model what is kept of its licence.

    >>> told(LockedLicence(name=None, sha256=None, looked="2026-11-29"))
    'the repository has no licence file (looked on 2026-11-29): its card alone names one'
    >>> told(LockedLicence(name="LICENSE", sha256="ab" * 32, looked="2026-11-29"))
    'LICENSE of 2026-11-29, SHA-256 abababababababab'
    """
    if record is None:
        return "no text kept, and nobody looked for one: `poc fetch` without --from looks"
    if record.name is None:
        return (
            f"the repository has no licence file (looked on {record.looked}): its card alone names "
            "one"
        )
    return f"{record.name} of {record.looked}, SHA-256 {str(record.sha256)[:16]}"
