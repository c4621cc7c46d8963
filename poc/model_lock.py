"""models.lock.yaml: what models on the hub were pinned to when they were first fetched.

`poc fetch` writes it beside models.yaml, people commit it, and every run stands on it: a model
whose digests models.yaml does not give is whatever the lock says it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from poc.records import Record
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse

SUFFIX: Final = ".lock.yaml"
_HEAD: Final = """\
# Written by `poc fetch`. Commit it: arms stand on these digests, and files are compared with them
# before anything is loaded. A model that is removed here is pinned anew by the next `poc fetch`.
"""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class LockedFile(Record):
    """A file as it was when it was pinned."""

    name: Annotated[str, Field(min_length=1)]
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class LockedLicence(Record):
    """What a repository had as its licence at the pinned commit."""

    name: str | None
    """Of the file there; None: none was found."""
    sha256: Sha256 | None
    """Of the text, which lies beside the model; None: there is no text that could be kept."""
    looked: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    """Day on which it was looked for, UTC."""
    unreadable: Annotated[str, Field(min_length=1)] | None = None
    """Why a file that is there is no text that people can read."""
    listed: bool = False
    """Where none was found: whether the list of files was searched; else only the usual names."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.name is None) != (self.sha256 is None and self.unreadable is None):
            raise ValueError("a licence has a name and a digest, or neither, or is unreadable")
        if self.sha256 is not None and self.unreadable is not None:
            raise ValueError("a licence that is unreadable has no digest")
        return self


class LockedModel(Record):
    """A model as it was when it was pinned."""

    id: Annotated[str, Field(min_length=1)]
    """Of its entry in models.yaml."""
    repository: Annotated[str, Field(min_length=3)]
    revision: Revision
    """Commit that the files were taken from."""
    files: Annotated[tuple[LockedFile, ...], Field(min_length=1)]
    licence: LockedLicence | None = None
    """None: nobody looked for one."""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by relative POSIX path."""
        return {file.name: file.sha256 for file in self.files}

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files)


class ModelLock(Record):
    """models.lock.yaml as a whole."""

    version: Literal[1]
    models: tuple[LockedModel, ...]

    def find(self, model_id: str) -> LockedModel | None:
        """Return what a model is pinned to; None where nobody pinned it."""
        return next((model for model in self.models if model.id == model_id), None)

    def put(self, model: LockedModel) -> ModelLock:
        """Return the lock with one model pinned, or pinned anew; models stay in order of ids."""
        others = [other for other in self.models if other.id != model.id]
        kept = sorted([*others, model], key=lambda one: one.id)
        return ModelLock(version=1, models=tuple(kept))


NOTHING: Final = ModelLock(version=1, models=())


def lock_path(table: Path) -> Path:
    """Return where the lock of a models.yaml lies.

    >>> lock_path(Path("specs/models.yaml")).as_posix()
    'specs/models.lock.yaml'
    """
    return table.with_suffix(SUFFIX)


def read_lock(path: Path) -> ModelLock:
    """Read a lock, an empty one where there is no such file; raises `InputError`."""
    if not path.exists():
        return NOTHING
    node = load(read_text(path), path)
    lock = decode(ModelLock, node, path)
    refuse(path, _problems(lock, node))
    return lock


def lock_text(lock: ModelLock) -> str:
    """Return a lock as it stands in its file; text in quotes: a digest may look like a number.

    >>> print(lock_text(NOTHING).splitlines()[-1])
    models: []
    """
    if not lock.models:
        return f"{_HEAD}version: 1\nmodels: []\n"
    return f"{_HEAD}version: 1\nmodels:\n" + "".join(_entry(model) for model in lock.models)


def _entry(model: LockedModel) -> str:
    files = "".join(
        f"      - {{name: '{file.name}', sha256: '{file.sha256}', size_bytes: {file.size_bytes}}}\n"
        for file in model.files
    )
    return (
        f"  - id: '{model.id}'\n    repository: '{model.repository}'\n"
        f"    revision: '{model.revision}'\n{_licence(model.licence)}    files:\n{files}"
    )


def _licence(licence: LockedLicence | None) -> str:
    if licence is None:
        return ""
    name, sha256 = (_quoted(one) if one else "null" for one in (licence.name, licence.sha256))
    why = f", unreadable: {_quoted(licence.unreadable)}" if licence.unreadable else ""
    why += ", listed: true" if licence.listed else ""
    return f"    licence: {{name: {name}, sha256: {sha256}, looked: '{licence.looked}'{why}}}\n"


def _quoted(text: str) -> str:
    """Return text as YAML has it in single quotes.

    >>> _quoted("the maker's licence")
    "'the maker''s licence'"
    """
    return "'" + text.replace("'", "''") + "'"


def _problems(lock: ModelLock, node: Node) -> Iterator[Problem]:
    ids = [model.id for model in lock.models]
    for place, model in enumerate(lock.models):
        at = node.get("models", place)
        if model.id in ids[:place]:
            yield Problem(at.line, f"model '{model.id}' is pinned twice. Remove one.")
        names = [file.name for file in model.files]
        for number, name in enumerate(names):
            if name in names[:number]:
                line = at.get("files", number).line
                yield Problem(line, f"file '{name}' is pinned twice. Remove one.")
