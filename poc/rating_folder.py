"""Where blind ratings lie in a run folder: keys and answers, each stored once.

    rating/<panel id>/key.json       which trial showed what; never given to raters
    rating/<panel id>/packs/*.html   what raters get, unless --out says otherwise
    rating/answers/<pack id>.json    what came back
    rating/votes.json                what follows from both, may be deleted at any time
    rating/served.sqlite             what raters told a server and have not finished

One process at a time writes there; who reads needs no lock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from poc import disk, run_folder
from poc.errors import InputError
from poc.ownership import Ownership
from poc.panel import Panel
from poc.vote_records import AnswerFile

FOLDER, ANSWERS, KEY, PACKS = "rating", "answers", "key.json", "packs"
VOTES, SERVED = "votes.json", "served.sqlite"

_ID = re.compile(r"[0-9a-f]{16}")


@contextmanager
def owned(run: Path) -> Iterator[Path]:
    """Give the folder of ratings to be written to; raises InputError while another writes."""
    run_folder.refuse_links(run)
    folder = run / FOLDER
    disk.make_folder(folder)
    _refuse_links(folder)
    owner = Ownership.take(folder)
    try:
        yield folder
    finally:
        owner.release()


def _refuse_links(folder: Path) -> None:
    for one in (folder, *(entry for entry in folder.iterdir() if entry.is_dir())):
        run_folder.refuse_links(one)


def panel_folder(run: Path, panel: Panel) -> Path:
    """Return where a panel's key lies."""
    return run / FOLDER / panel.panel_id


def read_panels(run: Path, plan_digest: str) -> tuple[Panel, ...]:
    """Return the panels of a run in the order they were made.

    Raises:
        InputError: a key that cannot be read, or of another plan than the run's.
    """
    if (run / FOLDER).is_dir():
        _refuse_links(run / FOLDER)
    found = [_read_key(path, plan_digest) for path in key_files(run)]
    return tuple(sorted(found, key=lambda panel: panel.request.number))


def key_files(run: Path) -> tuple[Path, ...]:
    """Return the keys of a run's panels by name, unread; none where nobody is to be asked."""
    folder = run / FOLDER
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    keys = (one / KEY for one in names if _ID.fullmatch(one.name))
    return tuple(path for path in keys if path.exists())


def _read_key(path: Path, plan_digest: str) -> Panel:
    try:
        panel = Panel.from_json(run_folder.read_bytes(path))
    except ValidationError as error:
        raise InputError(f"{path}: is no key ({_first(error)}). Restore it from a copy.") from error
    if panel.plan_digest != plan_digest or panel.panel_id != path.parent.name:
        raise InputError(
            f"{path}: expected the key of panel {path.parent.name} of this run, found another. "
            "Restore it from a copy."
        )
    return panel


def write_key(run: Path, panel: Panel) -> Path:
    """Store a new panel's key and return its path; an existing one is never overwritten."""
    folder = panel_folder(run, panel)
    path = folder / KEY
    if path.exists():
        raise InputError(f"{path}: is there already. Nothing was changed; choose another --seed.")
    disk.make_folder(folder)
    disk.publish(path, panel.to_json().encode() + b"\n")
    disk.sync_folder(folder)
    return path


def answers_path(run: Path, pack_id: str) -> Path:
    """Return where the answers to a pack lie, or would lie; raises ValueError for no id."""
    if not _ID.fullmatch(pack_id):
        raise ValueError(f"{pack_id!r} is no id of a pack")
    return run / FOLDER / ANSWERS / f"{pack_id}.json"


def read_answers(run: Path, panels: tuple[Panel, ...]) -> tuple[AnswerFile, ...]:
    """Return what was imported, in the order of the packs.

    Raises:
        InputError: a stored file that cannot be read; it was whole when it was imported.
    """
    paths = [answers_path(run, pack.pack_id) for panel in panels for pack in panel.packs]
    return tuple(_read_answers(path) for path in paths if path.exists())


def votes_path(run: Path) -> Path:
    """Return where the summed-up votes of a run lie, or would lie."""
    return run / FOLDER / VOTES


def served_path(run: Path) -> Path:
    """Return where votes lie that a server took, or would lie."""
    return run / FOLDER / SERVED


def imported(run: Path) -> dict[str, str]:
    """Return what was imported: pack id -> SHA-256 of the stored file."""
    folder = run / FOLDER / ANSWERS
    paths = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return {
        path.stem: hashlib.sha256(run_folder.read_bytes(path)).hexdigest()
        for path in paths
        if _ID.fullmatch(path.stem)
    }


def _read_answers(path: Path) -> AnswerFile:
    try:
        found = AnswerFile.from_json(run_folder.read_bytes(path))
    except ValidationError as error:
        raise InputError(
            f"{path}: cannot be read ({_first(error)}). Restore it from a copy, or remove it and "
            "import the rater's file again."
        ) from error
    if found.pack_id != path.stem:
        raise InputError(f"{path}: holds answers to pack {found.pack_id}. Restore it from a copy.")
    return found


def _first(error: ValidationError) -> str:
    one = error.errors()[0]
    return f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}"
