"""The models that specs may name: what they are, what they may be used for, what is in their files.

Reading the table opens no weight: a model's identity is the index of digests written beside the
weights. `ModelTable.verify` compares the files with that index before anything loads them, and
lets nothing through that could run code.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import Field

from poc.errors import InputError, did_you_mean
from poc.model_configs import check_config
from poc.model_lock import LockedModel, ModelLock, Revision, Sha256, lock_path, read_lock
from poc.records import BetaSchedule, FamilyName, Record, SchedulerName, digest
from poc.strict_yaml import Node, Problem, decode, load, read_text, refuse

MODELS: Final = Path(__file__).parent / "specs" / "models.yaml"
SUFFIXES: Final = (".safetensors", ".json", ".txt", ".png", ".jpg")
OWN: Final = "../weights/own"
"""Where `poc train style` leaves models: a folder each, with a table of its own."""
MAX_HEADER_BYTES: Final = 8 << 20  # SD1.5's largest header has 0.1 MiB
MAX_INDEX_BYTES: Final = 4 << 20
UNPINNED: Final = "unpinned"
"""Stands in a plan where the digest of a model's files would: nobody showed one, or made them."""
_PICKLES: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


_COMMAND: Final = r"^(poc [a-z]+( [a-z]+)*|python -m metrics\.extractors\.[a-z0-9]+( [\w./-]+)*)$"
"""What may make a model: a command of ours, or a converter of a published file."""


class ModelKind(StrEnum):
    """What a model is for."""

    BASE = "base"
    MOTION_ADAPTER = "motion_adapter"
    LORA = "lora"
    VAE = "vae"
    """Decodes in place of the VAE of a base."""
    IMAGE_TEXT = "image_text"
    """Judges frames against text and stills."""
    VIDEO_FEATURES = "video_features"
    """Turns clips into the features behind FVD and KVD."""
    STILLS = "stills"
    """Pictures of each style, for training and kept from it; similarity stands on the latter."""


class StillsFolder(Record):
    """Where the stills are that a LoRA learnt from."""

    model: Annotated[str, Field(min_length=1)]
    """Entry of kind `stills`."""
    folder: Annotated[str, Field(min_length=1)]
    """Folder inside it; `.` for all of it."""


class HubFile(Record):
    """A file of a model on the hub."""

    name: Annotated[str, Field(min_length=1)]
    """Relative POSIX path, in the repository as in the model's folder."""
    sha256: Sha256 | None
    """None where no source that we name shows it."""


class Hub(Record):
    """Where a model that does not come along can be had."""

    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    """Owner and name on huggingface.co."""
    revision: Revision | None
    """Commit; None where no source that we name shows it."""
    files: Annotated[tuple[HubFile, ...], Field(min_length=1)]


class Distilled(StrEnum):
    """How a model was taught to need few steps."""

    CONSISTENCY = "consistency"
    ADVERSARIAL = "adversarial"


class Training(Record):
    """What a model was trained on and for: what it is used with has to fit."""

    beta_schedule: BetaSchedule | None = None
    """Of a base that of its scheduler; None: it fits any."""
    distilled: Distilled | None = None
    steps: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """The only numbers of steps it was distilled for; empty: any."""
    grid_steps: Annotated[int, Field(ge=1)] | None = None
    """Timesteps of the grid of a consistency distillation."""
    partner: str | None = None
    """Of a motion module: the LoRA it was trained together with."""
    timesteps: tuple[Annotated[float, Field(ge=0, le=1000)], ...] = ()
    """The only timesteps that a flow was distilled for; empty: any."""


class KnownGood(Record):
    """Settings that a model's makers give."""

    schedulers: Annotated[tuple[SchedulerName, ...], Field(min_length=1)]
    steps: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    """Fewest and most."""
    guidance: tuple[Annotated[float, Field(ge=1)], Annotated[float, Field(ge=1)]]
    """Least and most."""
    flow_shift: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = None
    """Least and most shift of a flow's timesteps; None: it has none."""
    num_frames: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    """Fewest and most frames of a clip; None: not said."""
    source: Annotated[str, Field(min_length=5)]


class ModelEntry(Record):
    """One entry of models.yaml; its files are pinned by an index beside them or under `hub`."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
    kind: ModelKind
    family: FamilyName | Literal["i3d", "open_clip", "tiny_video", "tiny_world", "videomae"]
    path: Annotated[str, Field(min_length=1)]
    """Folder of its files, relative to models.yaml."""
    index: Annotated[str, Field(min_length=1)] | None = None
    """JSON file with the SHA-256 of every file, relative to models.yaml."""
    made_by: Annotated[str, Field(pattern=_COMMAND)] | None = None
    """Command that makes files and index here; None: they come along, or are on the hub."""
    licence: Annotated[str, Field(min_length=1)]
    """SPDX expression, or `LicenseRef-` and a name."""
    commercial_use: Literal["permitted", "forbidden", "unclear"]
    training_data: Annotated[str, Field(min_length=10)]
    languages: Annotated[tuple[str, ...], Field(min_length=1)]
    """BCP 47 tags of what it understands; `und` when it takes no words."""
    vocabulary: Literal["tiny-world"] | None
    """A closed set of words: prompts with others are refused at plan time."""
    combines_with: tuple[str, ...]
    """Base models it fits; empty for what is not plugged into a base."""
    stills: StillsFolder | Literal["none"] | None = None
    """Of a LoRA: the stills of a style that it learnt from, `none`; not said: unclear."""
    hub: Hub | None = None
    """Of a model that does not come along."""
    trained: Training | None = None
    known_good: KnownGood | None = None
    parameters: Annotated[int, Field(ge=1)] | None = None
    """Numbers that it holds; None: not known."""
    has_vae: bool = True
    """Of a base: whether a VAE is among its files."""
    approximate: bool = False
    """Of a VAE: a smaller network that decodes about as the one it stands for."""
    architecture: Annotated[str, Field(min_length=1)] | None = None
    """Folder of its configuration, relative to models.yaml: what `weights: random` builds."""


class ModelsFile(Record):
    """models.yaml as a whole."""

    version: Literal[1]
    models: Annotated[tuple[ModelEntry, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Model:
    """An entry with its place on disk and the digests it is pinned to."""

    entry: ModelEntry
    folder: Path
    index: Path
    """What pins its files: the index, models.yaml itself, or the lock beside it."""
    files: Mapping[str, str]
    """Relative POSIX path -> SHA-256, as pinned; empty unless all of them are."""
    locked: LockedModel | None = None
    """What the lock says of a model on the hub, where that is still what its entry asks for."""


class UnreadTableWarning(UserWarning):
    """A table of models that were trained here has a fault: none of its models is known."""


@dataclass(frozen=True, slots=True)
class ModelTable:
    """All models of one models.yaml, and of the tables of what was trained here."""

    path: Path
    models: Mapping[str, Model]
    unread: tuple[str, ...] = ()
    """Faults of the tables that could not be read: what is not known may lie in one of them."""

    def resolve(self, model_id: str, kind: ModelKind | None = None) -> Model:
        """Return the model called `model_id`, of `kind` if given; raises `InputError`."""
        model = self.models.get(model_id)
        if model is None:
            hint = did_you_mean(model_id, self.models)
            said = f"{self.path}: unknown model '{model_id}'. {hint}"
            raise InputError("\n".join((said, *self.unread)))
        if kind is not None and model.entry.kind is not kind:
            fitting = [key for key, other in self.models.items() if other.entry.kind is kind]
            raise InputError(
                f"{self.path}: expected model '{model_id}' to be of kind {kind}, "
                f"it is of kind {model.entry.kind}. Of that kind: {', '.join(fitting) or 'none'}."
            )
        return model

    def pinned_digest(self, model_id: str) -> str:
        """Return the digest of a model's files as its index pins them; opens no weight."""
        return pinned_digest(self.resolve(model_id))

    def declared_digest(self, model_id: str) -> str:
        """Return the pinned digest, or `unpinned` for files that nobody pinned or made yet."""
        model = self.resolve(model_id)
        return UNPINNED if is_unpinned(model) or is_unmade(model) else pinned_digest(model)

    def architecture(self, model_id: str) -> Path:
        """Return the folder with the configuration of a model; raises `InputError`."""
        entry = self.resolve(model_id).entry
        folder = self.path.parent / (entry.architecture or "")
        if entry.architecture is None or not folder.is_dir():
            raise InputError(
                f"{self.path}: model '{model_id}' has no 'architecture' to draw weights for. "
                "Give the folder of its configuration, or take another model."
            )
        return folder

    def architecture_digest(self, model_id: str) -> str:
        """Return the digest over the files of a model's configuration, what random weights are."""
        folder = self.architecture(model_id)
        files = sorted(path for path in folder.rglob("*.json"))
        return digest(
            {
                path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in files
            }
        )

    def verify(self, model_id: str) -> Path:
        """Return the folder of a model after comparing every file in it with the index."""
        return verify(self.resolve(model_id))


def read_models(path: Path = MODELS) -> ModelTable:
    """Read models.yaml, its lock, the digest indexes it names and the tables of own models.

    An own table with a fault stops nobody who wants other models: it is left out with an
    `UnreadTableWarning`, and named to whoever asks for a model that is not known. Raises
    `InputError` where models.yaml itself has one.
    """
    models, unread = _read_table(path, {}), []
    for own in own_tables(path):
        try:
            models |= _read_table(own, models)
        except InputError as error:
            unread.append(str(error))
            said = f"{error}\n  Its models are left out. Mend it, or remove {own.parent}."
            if _is_left_over(own, models):
                said = (
                    f"{own}: a table of an earlier version, whose ids stand in {path} now. "
                    "Remove this file alone: the weights beside it stay good."
                )
            # Of one place, whoever asks: Python says it once in a process.
            warnings.warn(said, UnreadTableWarning, stacklevel=1)
    return ModelTable(path, models, tuple(unread))


def _is_left_over(own: Path, models: Mapping[str, Model]) -> bool:
    """Whether models beside an own table stand in a table that was read before it."""
    return any(own.parent in model.folder.resolve().parents for model in models.values())


def own_folder(path: Path = MODELS) -> Path:
    """Return where the models that were trained here lie, a folder each."""
    return (path.parent / OWN).resolve()


def own_tables(path: Path = MODELS) -> list[Path]:
    """Return the tables of the models that were trained here, by name."""
    found = own_folder(path).glob("*/models.yaml")
    return sorted(one for one in found if not one.parent.name.endswith(".part"))


def _read_table(path: Path, known: Mapping[str, Model]) -> dict[str, Model]:
    """Read one table; `known` are the models that it may refer to and whose ids are taken."""
    node = load(read_text(path), path)
    file = decode(ModelsFile, node, path)
    refuse(path, _problems(file, node, [model.entry for model in known.values()]))
    lock = read_lock(lock_path(path))
    refuse(path, _disagreements(file, node, lock))
    named = {entry.index for entry in file.models if entry.index}
    indexes = {index: _read_index(path.parent / index) for index in named}
    return {
        entry.id: _on_hub(entry, path, lock) if entry.hub else _embedded(entry, path, indexes)
        for entry in file.models
    }


def is_unpinned(model: Model) -> bool:
    """Whether a model on the hub has a file whose SHA-256 is not known."""
    return model.entry.hub is not None and not model.files


def is_unmade(model: Model) -> bool:
    """Whether a model whose files a command makes here was not made yet."""
    return model.entry.made_by is not None and not model.files


def pinned_by(model: Model, lock: ModelLock) -> Model:
    """Return a model on the hub with the digests that a lock gives it, as it is where it does not.

    Raises `InputError` where the lock contradicts a digest of its entry.
    """
    locked = _locked(model.entry, lock)
    if locked is None:
        return model
    if wrong := _contradicted(model.entry, locked):
        raise InputError(
            f"{model.index}: model '{model.entry.id}': {', '.join(wrong)}: the lock gives another "
            "SHA-256 than the table. Find out which is right before you use either."
        )
    return replace(model, files=dict(sorted(locked.digests.items())), locked=locked)


def run_judges(
    models: ModelTable, image_text: str | None = None, video: str | None = None
) -> Iterator[ModelEntry]:
    """Yield the judges that a run takes: of each kind the one named, or the first."""
    named = {ModelKind.IMAGE_TEXT: image_text, ModelKind.VIDEO_FEATURES: video}
    for kind in (ModelKind.IMAGE_TEXT, ModelKind.VIDEO_FEATURES, ModelKind.STILLS):
        if (judge := named.get(kind)) is not None:
            yield models.resolve(judge, kind).entry
            continue
        every = (model.entry for model in models.models.values() if model.entry.kind is kind)
        if (first := next(every, None)) is not None:
            yield first


def misfit(entry: ModelEntry, base: str) -> str:
    """Return why a model cannot be plugged into the base of that id; empty when it can."""
    if base in entry.combines_with:
        return ""
    fits = ", ".join(entry.combines_with) or "none"
    return f"model '{entry.id}' does not fit base '{base}'. It fits: {fits}."


def pinned_digest(model: Model) -> str:
    """Return the digest over {relative path: SHA-256} of a model's files; raises `InputError`."""
    if is_unpinned(model):
        raise InputError(
            f"{model.index}: model '{model.entry.id}' is unpinned: expected the SHA-256 of every "
            "file under 'hub', found some missing. `poc fetch SPEC` pins it in a lock to commit."
        )
    if not model.files:
        raise InputError(
            f"{model.index}: expected digests of the files of model '{model.entry.id}' under "
            f"'{model.folder.name}/', found none. {_mend(model)}"
        )
    return digest(dict(model.files))


def verify(model: Model) -> Path:
    """Return the folder of a model whose files are all there, unchanged, and unable to run code.

    Raises:
        InputError: the first file that is missing, damaged, not listed or not safetensors.
    """
    pinned_digest(model)
    if not model.folder.is_dir():
        raise InputError(f"{model.folder}: expected a folder of weights. {_mend(model)}")
    for name in sorted({*model.files, *_present(model.folder)}):
        _verify_file(model, name)
    return model.folder


def stills_of(table: ModelTable, style: str) -> Model | None:
    """Return the first entry of kind `stills` with stills of a style kept from training."""
    kept = f"{style}/heldout/"
    return next(
        (
            one
            for one in table.models.values()
            if one.entry.kind is ModelKind.STILLS
            and any(name.startswith(kept) for name in one.files)
        ),
        None,
    )


def heldout_stills(table: ModelTable, style: str) -> tuple[Path, ...]:
    """Return a style's stills that were kept from training, by name; none where there are none.

    They are those that style similarity stands on: of the entry that `stills_of` finds, verified.
    Raises `InputError` where its files are missing or damaged.
    """
    found = stills_of(table, style)
    if found is None:
        return ()
    folder, kept = verify(found), f"{style}/heldout/"
    return tuple(folder / name for name in sorted(found.files) if name.startswith(kept))


def check_weight_file(path: Path) -> None:
    """Refuse a file of a model that could run code when loaded, or is not what its name says.

    Only safetensors, JSON, text, PNG and JPEG pass; a pickle is refused by its name and its first
    bytes. Raises `InputError`.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path}: expected one of {', '.join(SUFFIXES)}, got '{path.suffix}'. "
            "Pickled weights can run code: convert them to safetensors."
        )
    try:
        with path.open("rb") as file:
            start = file.read(8)
            rest = file.read(_header_length(path, start)) if path.suffix == SUFFIXES[0] else b""
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from error
    if start.startswith(_PICKLES):
        raise InputError(
            f"{path}: expected {path.suffix[1:]}, got a pickle or zip archive. "
            "Pickled weights can run code: convert them to safetensors."
        )
    if path.suffix == SUFFIXES[0]:
        _check_header(path, rest)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor in a safetensors file, by name; opens no weight.

    Raises:
        InputError: the file cannot be read, or is not safetensors.
    """
    check_weight_file(path)
    with path.open("rb") as file:
        header = json.loads(file.read(_header_length(path, file.read(8))))
    header.pop("__metadata__", None)
    try:
        return {name: tuple(map(int, tensor["shape"])) for name, tensor in header.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a safetensors file: a tensor has no shape. Restore or convert it."
        ) from error


# --- the table -----------------------------------------------------------------------------------


def _problems(file: ModelsFile, node: Node, known: Collection[ModelEntry]) -> Iterator[Problem]:
    every = (*known, *file.models)
    ids = [entry.id for entry in every]
    bases = {entry.id for entry in every if entry.kind is ModelKind.BASE}
    stills = {entry.id for entry in every if entry.kind is ModelKind.STILLS}
    for place, entry in enumerate(file.models):
        at = node.get("models", place)
        if entry.id in ids[: len(known) + place]:
            yield Problem(at.get("id").line, f"duplicate model id '{entry.id}'. Rename one.")
        if (entry.index is None) == (entry.hub is None):
            yield Problem(at.line, f"'{entry.id}': expected either 'index' or 'hub', not both.")
        if entry.made_by and entry.hub:
            line = at.get("made_by").line
            yield Problem(line, f"'{entry.id}': 'made_by' is not for a model on the hub.")
        yield from _hub_problems(entry, at.get("hub", "files"))
        yield from _trained_problems(entry, at.get("trained"), every)
        for other in set(entry.combines_with) - bases:
            yield Problem(
                at.get("combines_with").line,
                f"'combines_with': '{other}' is no base model. {did_you_mean(other, bases)}",
            )
        yield from _stills_problems(entry, at.get("stills").line, stills)
        for key in ("path", "index", "architecture"):
            if not _is_inside(getattr(entry, key) or "."):
                yield Problem(
                    at.get(key).line,
                    f"'{key}': expected a relative path, got '{getattr(entry, key)}'.",
                )


def _hub_problems(entry: ModelEntry, at: Node) -> Iterator[Problem]:
    names = [file.name for file in entry.hub.files] if entry.hub else []
    for place, name in enumerate(names):
        line = at.get(place, "name").line
        if name in names[:place]:
            yield Problem(line, f"file '{name}' is given twice. Remove one.")
        if not _PLAIN_NAME.fullmatch(name) or ".." in PurePosixPath(name).parts:
            yield Problem(line, f"'name': expected a relative path without '..', got '{name}'.")
        elif PurePosixPath(name).suffix not in SUFFIXES:
            kinds = ", ".join(SUFFIXES)
            yield Problem(line, f"'name': expected a file of kind {kinds}, got '{name}'.")


_PLAIN_NAME: Final = re.compile(r"[\w+-][\w.+-]*(/[\w+-][\w.+-]*)*", re.ASCII)
"""Letters, digits and `_ . + -` between slashes; no part is hidden, empty or `..`."""


def _disagreements(file: ModelsFile, node: Node, lock: ModelLock) -> Iterator[Problem]:
    """Yield digests of models.yaml that the lock contradicts: one of the two was changed."""
    for place, entry in enumerate(file.models):
        if entry.hub is None or (locked := _locked(entry, lock)) is None:
            continue
        for name in _contradicted(entry, locked):
            yield Problem(
                node.get("models", place, "hub", "files").line,
                f"'{entry.id}': file '{name}' has another SHA-256 here than in the lock. "
                "Find out which is right, and remove the wrong one.",
            )


def _contradicted(entry: ModelEntry, locked: LockedModel) -> list[str]:
    files = entry.hub.files if entry.hub else ()
    return [one.name for one in files if one.sha256 not in {None, locked.digests[one.name]}]


def _locked(entry: ModelEntry, lock: ModelLock) -> LockedModel | None:
    """Return what the lock says of a model, unless its entry asks for something else by now."""
    locked, hub = lock.find(entry.id), entry.hub
    if locked is None or hub is None or locked.repository != hub.repository:
        return None
    same = locked.digests.keys() == {one.name for one in hub.files}
    return locked if same and hub.revision in {None, locked.revision} else None


def _trained_problems(
    entry: ModelEntry, at: Node, every: Collection[ModelEntry]
) -> Iterator[Problem]:
    partner = entry.trained.partner if entry.trained else None
    loras = {other.id for other in every if other.kind is ModelKind.LORA}
    if partner is not None and partner not in loras:
        hint = did_you_mean(partner, loras)
        yield Problem(at.get("partner").line, f"'partner': '{partner}' is no LoRA. {hint}")


def _stills_problems(entry: ModelEntry, line: int, known: Collection[str]) -> Iterator[Problem]:
    if entry.stills is not None and entry.kind is not ModelKind.LORA:
        yield Problem(line, f"'stills': only a LoRA names them, this is of kind {entry.kind}.")
    elif isinstance(entry.stills, StillsFolder) and (name := entry.stills.model) not in known:
        hint = did_you_mean(name, known)
        yield Problem(line, f"'stills': '{name}' is of no entry of kind stills. {hint}")


def _is_inside(name: str) -> bool:
    """Whether a path is relative and climbs at most out of the folder of models.yaml."""
    return not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts[1:]


def _read_index(path: Path) -> Mapping[str, str]:
    """Return {relative POSIX path: SHA-256} of the files under the index's folder."""
    if not path.exists():
        return {}
    try:
        content = json.loads(read_text(path, MAX_INDEX_BYTES))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: damaged JSON: {error.msg}.") from error
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, dict) or not all(map(_is_entry, files.items())):
        raise InputError(
            f"{path}: expected a key 'files' with the SHA-256 of each file by its relative path."
        )
    return files


def _is_entry(item: tuple[object, object]) -> bool:
    name, value = item
    is_name = isinstance(name, str) and ".." not in PurePosixPath(name).parts
    return is_name and isinstance(value, str) and len(value) == 64 and set(value) <= _HEX


_HEX: Final = frozenset("0123456789abcdef")


def _on_hub(entry: ModelEntry, table: Path, lock: ModelLock) -> Model:
    folder, locked = (table.parent / entry.path).resolve(), _locked(entry, lock)
    if locked is None:
        return Model(entry, folder, table, _hub_digests(entry.hub))
    pinned = dict(sorted(locked.digests.items()))
    return Model(entry, folder, lock_path(table), pinned, locked)


def _embedded(entry: ModelEntry, table: Path, indexes: Mapping[str, Mapping[str, str]]) -> Model:
    folder = (table.parent / entry.path).resolve()
    index = (table.parent / (entry.index or "")).resolve()
    listed = {(index.parent / name): value for name, value in indexes[entry.index or ""].items()}
    files = {
        path.relative_to(folder).as_posix(): value
        for path, value in sorted(listed.items())
        if path.is_relative_to(folder)
    }
    return Model(entry, folder, index, files)


def _hub_digests(hub: Hub | None) -> Mapping[str, str]:
    """Return {relative path: SHA-256} when all are known, else nothing."""
    files = hub.files if hub else ()
    known = {file.name: file.sha256 for file in files if file.sha256 is not None}
    return dict(sorted(known.items())) if len(known) == len(files) else {}


# --- the files -----------------------------------------------------------------------------------


def _present(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _verify_file(model: Model, name: str) -> None:
    path, expected = model.folder / name, model.files.get(name)
    if expected is not None and not path.is_file():
        raise InputError(
            f"{path}: expected a file with SHA-256 {expected}, found none. {_mend(model)}"
        )
    check_weight_file(path)
    if expected is None:
        raise InputError(
            f"{path}: this file is not listed in {model.index}. Remove it, or list its digest."
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise InputError(
            f"{path}: expected SHA-256 {expected}, found {found}: the file is damaged or another. "
            f"{_mend(model)}"
        )
    if path.suffix == ".json":  # last: of a damaged file it is more to the point that it is damaged
        check_config(path)


def _mend(model: Model) -> str:
    if model.entry.hub is not None:
        return (
            f"Remove {model.folder} where it is there and damaged, and type `poc fetch SPEC`: the "
            f"files are those of huggingface.co/{model.entry.hub.repository}."
        )
    if model.entry.made_by is not None:
        return f"Type `{model.entry.made_by}`, which makes it."
    return f"Restore it (embedded weights: 'git checkout -- {model.folder}')."


def _header_length(path: Path, start: bytes) -> int:
    """Return the header's length in bytes from a safetensors file's first eight."""
    if start.startswith(_PICKLES):
        return 0
    length, room = int.from_bytes(start, "little"), path.stat().st_size - 8
    if len(start) < 8 or not 2 <= length <= min(room, MAX_HEADER_BYTES):
        raise InputError(
            f"{path}: not a safetensors file: expected a header of 2 to "
            f"{max(2, min(room, MAX_HEADER_BYTES))} bytes, got {length}. Restore or convert it."
        )
    return length


def _check_header(path: Path, header: bytes) -> None:
    """Refuse a header whose tensors do not fill the rest of the file exactly, in some order."""
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        spans = sorted(tuple(tensor["data_offsets"]) for tensor in tensors.values())
        ends = [0, *(end for _, end in spans)]
        fits = [start for start, _ in spans] == ends[:-1]
        fits = fits and ends[-1] == path.stat().st_size - 8 - len(header)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        fits = False
    if not fits:
        raise InputError(
            f"{path}: not a safetensors file: its header does not describe its bytes. "
            "Restore or convert it."
        )
