"""Brings the models of a spec: pinned, verified, whole or not at all.

A model is gathered beside its place, in `NAME.part`, and moved there in one step once every file
has the digest it must have and none could run code. Where nothing says what digest that is, the
first fetch says it in the lock, for good. Only files that models.yaml names are ever asked for.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from poc import disk, hub, licence_text
from poc.bill_of_materials import bill_of_materials
from poc.errors import InputError
from poc.licence_text import LicenceText, NotLookedFor, is_kept, licence_path
from poc.model_lock import LockedFile, LockedModel, ModelLock, lock_path, lock_text, read_lock
from poc.models import Hub, Model, ModelTable, is_unpinned, pinned_by, run_judges, verify
from poc.ownership import Ownership
from poc.records import Plan, canonical_json, short_id

Progress = Callable[[str, int, int], None]

PART: Final = ".part"
"""Ends the name of a folder in which a model is gathered; may be deleted at any time."""
BILL: Final = "models.bom.json"
_MIB: Final = 2**20


class Outcome(StrEnum):
    """What a fetch did for a model."""

    THERE = "there"
    """Nothing: it was there, unchanged."""
    FETCHED = "fetched"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model that is at its place now."""

    model: Model
    outcome: Outcome
    size_bytes: int
    not_looked: str = ""
    """Why nobody could look for its licence now; empty where that is settled."""

    @property
    def licence_text(self) -> str:
        """What is kept of the text of its licence."""
        locked = self.model.locked
        return licence_text.told(locked.licence if locked else None, self.not_looked)


class Source(Protocol):
    """Where files come from: the hub, or a folder that another machine exported."""

    @property
    def outcome(self) -> Outcome:
        """What a model is that came from here."""

    def bring(self, models: Sequence[Model], progress: Progress) -> Iterator[LockedModel | None]:
        """Put each model's files into `gathered(model)`, and say what it is pinned to now."""

    def licence(self, locked: LockedModel) -> LicenceText | NotLookedFor:
        """Return the licence of a pinned model's repository, or why that is not known here."""


def wanted(plan: Plan, models: ModelTable) -> tuple[Model, ...]:
    """Return the models on the hub that a run of the plan loads: those of arms, then judges."""
    arms = [] if plan.spec.weights else [m for arm in plan.arms for m in arm.model_digests]
    judges = [entry.id for entry in run_judges(models, plan.image_text, plan.video)]
    found = [models.resolve(model) for model in dict.fromkeys([*arms, *judges])]
    return tuple(model for model in found if model.entry.hub is not None)


def fetch(
    asked: Sequence[Model], table: Path, source: Source, progress: Progress
) -> tuple[Fetched, ...]:
    """Bring what is missing of the models of `table`; a second call finds all there.

    Raises:
        InputError: a file that is not what it must be, or could run code; its model's place stays
            empty and the lock as it was.
    """
    with _owned(model.folder.parent for model in asked):
        missing = [model for model in asked if not _is_there(model)]
        brought = [
            _settle(model, locked, table)
            for model, locked in zip(missing, source.bring(missing, progress), strict=True)
        ]
        now = {model.entry.id: model for model in brought}
        return tuple(
            _with_licence(
                _fetched(
                    now.get(model.entry.id, model),
                    source.outcome if model.entry.id in now else Outcome.THERE,
                ),
                table,
                source,
            )
            for model in asked
        )


def export(fetched: Iterable[Fetched], table: Path, target: Path, progress: Progress) -> None:
    """Copy models, their lock and their bill of materials into a folder for `--from`."""
    models = [one.model for one in fetched]
    lock, kept = read_lock(lock_path(table)), ModelLock(version=1, models=())
    for number, model in enumerate(models):
        progress("export", number, len(models))
        verify(model)
        for name in model.files:
            _copy(model.folder / name, target / model.entry.id / name)
        if (locked := lock.find(model.entry.id)) is not None:
            kept = kept.put(locked)
        if licence_path(model.folder).is_file():
            _copy(licence_path(model.folder), licence_path(target / model.entry.id))
    disk.make_folder(target)
    disk.publish(target / lock_path(table).name, lock_text(kept).encode())
    disk.publish(target / BILL, canonical_json(bill_of_materials(models)).encode())
    disk.sync_folder(target)
    progress("export", len(models), len(models))


def gathered(model: Model) -> Path:
    """Return the folder in which a model's files lie until it is whole."""
    return _part(model) / "files"


def _part(model: Model) -> Path:
    return model.folder.with_name(model.folder.name + PART)


# --- at its place --------------------------------------------------------------------------------


def _is_there(model: Model) -> bool:
    """Whether a model is at its place; raises `InputError` where something else is."""
    if not model.folder.exists():
        return False
    if is_unpinned(model):
        raise InputError(
            f"{model.folder}: there are files of model '{model.entry.id}', but nothing says what "
            "they must be. Move the folder away: `poc fetch` brings and pins it."
        )
    verify(model)
    return True


def _settle(model: Model, locked: LockedModel | None, table: Path) -> Model:
    """Check what was gathered, pin it, and move it to its place; on any fault remove it."""
    lock = read_lock(lock_path(table))
    lock = lock if locked is None else lock.put(locked)
    try:
        pinned = pinned_by(model, lock)
        verify(replace(pinned, folder=gathered(model)))
    except InputError:
        shutil.rmtree(_part(model))
        raise
    if locked is not None:  # first, so that a model at its place is never without its pin
        disk.publish(lock_path(table), lock_text(lock).encode())
        disk.sync_folder(table.parent)
    with disk.explained(model.folder):
        gathered(model).rename(model.folder)
        shutil.rmtree(_part(model))
    disk.sync_folder(model.folder.parent)
    return pinned


def _with_licence(one: Fetched, table: Path, source: Source) -> Fetched:
    """Keep the licence of a model's repository beside it and in the lock, unless that was done."""
    model, lock = one.model, read_lock(lock_path(table))
    path, locked = licence_path(model.folder), lock.find(model.entry.id) if model.locked else None
    if locked is None or is_kept(model.folder, locked.licence):
        return one
    found = source.licence(locked)
    if isinstance(found, NotLookedFor):
        return replace(one, not_looked=found.reason)
    if locked.licence is not None and found.record.sha256 != locked.licence.sha256:
        raise InputError(
            f"{path}: expected the licence of SHA-256 {locked.licence.sha256}, as the lock says, "
            f"got {found.record.sha256 or 'none that can be kept'} at the same commit. Find out "
            "which is right."
        )
    if found.record.sha256 is not None:
        disk.publish(path, found.text)
        disk.sync_folder(path.parent)
    if locked.licence is None:
        locked = locked.model_copy(update={"licence": found.record})
        disk.publish(lock_path(table), lock_text(lock.put(locked)).encode())
        disk.sync_folder(table.parent)
    return replace(one, model=replace(model, locked=locked))


def _fetched(model: Model, outcome: Outcome) -> Fetched:
    size = sum((model.folder / name).stat().st_size for name in model.files)
    return Fetched(model, outcome, size)


@contextmanager
def _owned(folders: Iterable[Path]) -> Iterator[None]:
    """Keep other fetches out of the folders above the models, in one order for all."""
    with ExitStack() as stack:
        for folder in sorted(set(folders)):
            disk.make_folder(folder)
            stack.callback(Ownership.take(folder).release)
        yield


# --- from the hub --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FromHub:
    """Files as the hub has them, at the commit that the table, the lock or `main` names."""

    endpoint: str | None = None
    """None: HF_ENDPOINT, or huggingface.co."""
    outcome: Outcome = Outcome.FETCHED

    def bring(self, models: Sequence[Model], progress: Progress) -> Iterator[LockedModel | None]:
        """Download model after model; what has come stays when it is stopped."""
        remotes = [self._look(model) for model in models]
        bar = _Bar(remotes, progress)
        for model, files in zip(models, remotes, strict=True):
            _check_room(model, files)
            yield _downloaded(model, files, bar)

    def licence(self, locked: LockedModel) -> LicenceText | NotLookedFor:
        """Look for a licence at the commit of the files; a hub that cannot be asked is no fault."""
        try:
            return self._licence(locked)
        except InputError as error:
            return NotLookedFor(str(error))

    def _licence(self, locked: LockedModel) -> LicenceText:
        looked = datetime.now(UTC).date().isoformat()
        names, listed = self._names(locked)
        there = hub.look_for(
            locked.repository, names, revision=locked.revision, endpoint=self.endpoint
        )
        if there is None:
            return licence_text.absent(looked=looked, listed=listed)
        name, remote = there
        if remote.size_bytes > licence_text.MOST_BYTES:
            return licence_text.unreadable(name, remote.size_bytes, looked=looked)
        return licence_text.found(name, _licence_bytes(remote), looked=looked)

    def _names(self, locked: LockedModel) -> tuple[Sequence[str], bool]:
        """Return what to look for, and whether that is from the list of files."""
        if locked.licence is not None and locked.licence.name is not None:
            return (locked.licence.name,), False
        files = hub.top_files(locked.repository, revision=locked.revision, endpoint=self.endpoint)
        if files is None:
            return licence_text.NAMES, False
        return licence_text.named_as_licence(files), True

    def _look(self, model: Model) -> dict[str, hub.RemoteFile]:
        """Return all files of a model at one commit: without a revision that of the first."""
        asked, found = _hub_of(model), dict[str, hub.RemoteFile]()
        revision = model.locked.revision if model.locked else asked.revision
        for file in asked.files:
            found[file.name] = hub.look(
                asked.repository, file.name, revision=revision, endpoint=self.endpoint
            )
            revision = found[file.name].commit
        return found


def _licence_bytes(remote: hub.RemoteFile) -> bytes:
    """Return the bytes of a licence, compared with the digest that the hub names."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        hub.download(remote, path, lambda _: None)
        if len(remote.etag) == 40 and _digests(path)[1] != remote.etag:
            raise InputError(
                f"{remote.url}: is not the file of ETag {remote.etag}. It was changed on the way."
            )
        return path.read_bytes()


class _Bar:
    """Adds up the bytes of all files for one line of progress, in MiB."""

    def __init__(self, remotes: Iterable[Mapping[str, hub.RemoteFile]], progress: Progress) -> None:
        self._total = sum(file.size_bytes for files in remotes for file in files.values())
        self._progress, self._done, self._current = progress, 0, 0

    def seen(self, count: int) -> None:
        self._current = count
        self._show()

    def finish(self, size: int) -> None:
        self._done, self._current = self._done + size, 0
        self._show()

    def _show(self) -> None:
        done, total = self._done + self._current, -(-self._total // _MIB)
        self._progress("fetch MiB", total if done == self._total else done // _MIB, total)


def _check_room(model: Model, files: Mapping[str, hub.RemoteFile]) -> None:
    there = sum(_size(_partial(model, name, file)) for name, file in files.items())
    needed = sum(file.size_bytes for file in files.values()) - there
    if (free := disk.free_bytes(model.folder)) < needed:
        raise InputError(
            f"{model.folder}: model '{model.entry.id}' takes {needed} bytes more, {free} are free. "
            "Free some space and run the same command to go on."
        )


def _downloaded(model: Model, files: Mapping[str, hub.RemoteFile], bar: _Bar) -> LockedModel:
    locked = []
    for name, remote in files.items():
        partial = _partial(model, name, remote)
        disk.make_folder(partial.parent)
        hub.download(remote, partial, bar.seen)
        locked.append(_checked(model, name, remote, partial))
        bar.finish(remote.size_bytes)
    if gathered(model).exists():  # what a fetch that was stopped had put together
        shutil.rmtree(gathered(model))
    for name, remote in files.items():
        _link(_partial(model, name, remote), gathered(model) / name)
    return LockedModel(
        id=model.entry.id,
        repository=_hub_of(model).repository,
        revision=next(iter(files.values())).commit,
        files=tuple(locked),
        licence=model.locked.licence if model.locked else None,
    )


def _hub_of(model: Model) -> Hub:
    if model.entry.hub is None:
        raise ValueError(f"model {model.entry.id!r} comes along; there is nothing to fetch")
    return model.entry.hub


def _checked(model: Model, name: str, remote: hub.RemoteFile, partial: Path) -> LockedFile:
    """Return what a downloaded file is; one that is not what it must be is removed."""
    sha256, git = _digests(partial)
    asked = _asked(model, name) or (remote.etag if len(remote.etag) == 64 else sha256)
    if sha256 != asked or (len(remote.etag) == 40 and git != remote.etag):
        partial.unlink()
        raise InputError(
            f"{remote.url}: expected SHA-256 {asked}, got {sha256}; ETag {remote.etag}. The file "
            "was changed there or on the way; it is not kept. Find out which before you go on."
        )
    return LockedFile(name=name, sha256=sha256, size_bytes=partial.stat().st_size)


def _asked(model: Model, name: str) -> str | None:
    """Return the digest that lock or table ask of a file, None where neither does."""
    stated = next(file.sha256 for file in _hub_of(model).files if file.name == name)
    return model.files.get(name, stated)


def _partial(model: Model, name: str, remote: hub.RemoteFile) -> Path:
    """Return where a file is gathered; another version of it is another file."""
    return _part(model) / short_id([remote.commit, name, remote.etag, remote.size_bytes])


def _digests(path: Path) -> tuple[str, str]:
    """Return the SHA-256 of a file, and the SHA-1 that git gives a blob of the same bytes."""
    sha256, blob = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    blob.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while chunk := file.read(_MIB):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


# --- from a folder -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FromFolder:
    """Files that `--export` wrote, `FOLDER/MODEL/NAME`, with the lock beside them."""

    folder: Path
    table: Path
    outcome: Outcome = Outcome.IMPORTED

    def bring(self, models: Sequence[Model], progress: Progress) -> Iterator[LockedModel | None]:
        """Copy model after model; opens no socket."""
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: expected a folder that `poc fetch --export` wrote.")
        theirs = read_lock(self.folder / lock_path(self.table).name)
        for number, model in enumerate(models):
            progress("import", number, len(models))
            pinned = pinned_by(model, theirs) if is_unpinned(model) else model
            if is_unpinned(pinned):
                raise InputError(
                    f"{self.folder}: nothing says what the files of model '{model.entry.id}' must "
                    f"be: expected it in {self.folder / lock_path(self.table).name}. Export again."
                )
            for name in pinned.files:
                _copy(self._inside(model, name), gathered(model) / name)
            yield pinned.locked or _same(theirs.find(model.entry.id), pinned)
        progress("import", len(models), len(models))

    def licence(self, locked: LockedModel) -> LicenceText | NotLookedFor:
        """Return the licence that was exported with a model, where one was looked for."""
        theirs = read_lock(self.folder / lock_path(self.table).name).find(locked.id)
        record = theirs.licence if theirs and theirs.revision == locked.revision else None
        home = self.folder / locked.id
        path = licence_path(home)
        if record is None or (record.sha256 is not None and not path.is_file()):
            return NotLookedFor(f"{path} is not there; `poc fetch` without --from looks")
        if record.sha256 is None:
            return LicenceText(record, b"")
        if not is_kept(home, record):
            raise InputError(
                f"{path}: expected the licence of SHA-256 {record.sha256}, as the lock beside it "
                "says. Export again."
            )
        return LicenceText(record, path.read_bytes())

    def _inside(self, model: Model, name: str) -> Path:
        """Return the place of a file, refusing one that leads out of its folder."""
        home, path = self.folder / model.entry.id, self.folder / model.entry.id / name
        if not path.is_file():
            raise InputError(f"{path}: expected a file of model '{model.entry.id}', found none.")
        if not path.resolve().is_relative_to(home.resolve()):
            raise InputError(f"{path}: a link that leads out of {home}. Export again.")
        return path


def _same(locked: LockedModel | None, pinned: Model) -> LockedModel | None:
    """Return an exported pin where it says the same as ours, so that its revision is kept."""
    return locked if locked is not None and locked.digests == dict(pinned.files) else None


def _copy(source: Path, target: Path) -> None:
    disk.make_folder(target.parent)
    with disk.explained(target, wanted=source.stat().st_size):
        beside = target.with_name(target.name + disk.TEMPORARY)
        shutil.copyfile(source, beside)
        beside.replace(target)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, so that a stop loses nothing; move it where there is only one."""
    disk.make_folder(target.parent)
    try:
        target.hardlink_to(source)
    except OSError:
        with disk.explained(target):
            source.replace(target)
