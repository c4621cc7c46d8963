"""A style of one's own: what is to be trained, what forbids it, and the model entry it becomes.

Loads no network. Everything that can be refused is refused here, before any training time is spent.
A trained style is a folder under `weights/own`, with a table of models of its own that every
command reads beside models.yaml.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field

from poc import disk
from poc.datasets import check_vocabulary, dataset_licences
from poc.errors import InputError
from poc.governance_records import ArmParts, Part, PartKind, Subject
from poc.licences import Judgement, read_licences
from poc.models import (
    Model,
    ModelEntry,
    ModelKind,
    ModelTable,
    StillsFolder,
    own_folder,
    stills_of,
)
from poc.own_stills import Still, read_stills
from poc.part_rights import Circumstances, judge_part
from poc.records import Prompt, Record, digest
from poc.rights_check import Rights, fitting, read_rights

VERSION: Final = 1
"""Of how styles are trained; raised when the same request would give another LoRA."""
FILE: Final = "training.json"
LORA_FILE: Final = "pytorch_lora_weights.safetensors"
LICENCE_OF_STILLS: Final = "LicenseRef-own-stills"
"""Of the entry in licences.yaml that leaves everything to the consents."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_JAPANESE: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]")


class StyleTraining(Record):
    """How long and how fast a style is learnt."""

    steps: Annotated[int, Field(ge=1, le=1_000_000)]
    batch: Annotated[int, Field(ge=1, le=1024)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    rank: Annotated[int, Field(ge=1, le=1024)]
    """Of the LoRA's matrices."""
    seed: Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True, slots=True)
class StyleRequest:
    """What somebody asks for."""

    stills: Path
    base: str
    rights: Path
    name: str
    """Of the style, in specs: the model, `style:` of an arm, `style_similarity[NAME]`."""
    training: StyleTraining
    device: str
    captions: Path | None = None
    trigger: str | None = None


@dataclass(frozen=True, slots=True)
class StyleTask:
    """A request that nothing speaks against."""

    request: StyleRequest
    base: Model
    stills: tuple[Still, ...]
    size: int
    """Side in pixels of what the base draws, and of what is trained on."""
    home: Path
    """Folder of the finished style."""
    warnings: tuple[str, ...]
    rights: Mapping[str, Any]
    """What the rights file said, for the record."""

    @property
    def work(self) -> Path:
        """Folder of what is not finished: checkpoints and previews."""
        return self.home.with_name(f"{self.home.name}.work")

    @property
    def training_stills(self) -> tuple[Still, ...]:
        """The stills to learn from."""
        return tuple(still for still in self.stills if not still.heldout)

    @property
    def heldout(self) -> tuple[Still, ...]:
        """The stills that no training sees."""
        return tuple(still for still in self.stills if still.heldout)

    @property
    def digest(self) -> str:
        """Of all that the LoRA follows from: equal ones give equal weights on one machine."""
        return digest(
            {
                "version": VERSION,
                "base": digest(dict(self.base.files)),
                "stills": {still.name(self.request.name): still.caption for still in self.stills},
                "training": self.request.training.model_dump(mode="json"),
                "device": self.request.device.partition(":")[0],
            }
        )

    def is_finished(self) -> bool:
        """Whether exactly this was trained before."""
        return _made_from(self.home / FILE) == self.digest


def style_name(folder: Path) -> str:
    """Return the name of a style that is given none: that of the folder of its stills.

    >>> style_name(Path("my poc/Autumn_2026"))
    'autumn-2026'
    """
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")


def check_style(request: StyleRequest, models: ModelTable, *, on: date) -> StyleTask:
    """Return what is to be trained; raises `InputError` with what speaks against it on a day."""
    base = _base(request.base, models)
    _check_name(request.name, models)
    size = _drawn_size(base)
    stills = read_stills(
        request.stills, smallest=size, captions=request.captions, trigger=request.trigger
    )
    _check_words(stills, base.entry)
    warnings, record = _check_rights(request, base, stills, models, on)
    task = StyleTask(
        request=request,
        base=base,
        stills=stills,
        size=size,
        home=_home(models, request.name),
        warnings=warnings,
        rights=record,
    )
    _check_free(task)
    return task


# --- base and name -------------------------------------------------------------------------------


def _base(model_id: str, models: ModelTable) -> Model:
    base = models.resolve(model_id, ModelKind.BASE)
    if not base.entry.has_vae:
        raise InputError(
            f"--base {model_id}: it comes without a VAE, and stills are learnt from through one. "
            "Give a base that has one, such as the one it was made from."
        )
    models.verify(model_id)
    return base


def _home(models: ModelTable, name: str) -> Path:
    return own_folder(models.path) / name


def _check_name(name: str, models: ModelTable) -> None:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--name: expected small letters, digits and hyphens, 48 at most, got '{name}'. "
            "Give the style a name."
        )
    taken = [key for key in (name, f"{name}-stills") if key in models.models]
    found = stills_of(models, name)
    place = found.folder if found else None
    own = _home(models, name)
    others = [key for key in taken if not models.models[key].folder.is_relative_to(own)]
    if others or (place is not None and not place.is_relative_to(own)):
        raise InputError(f"--name {name}: {models.path} has such a model or style. Give another.")


def _drawn_size(base: Model) -> int:
    """Return the side in pixels that a base draws, by its own configuration."""
    unet = json.loads((base.folder / "unet" / "config.json").read_bytes())
    vae = json.loads((base.folder / "vae" / "config.json").read_bytes())
    latent, factor = unet["sample_size"], 2 ** (len(vae["block_out_channels"]) - 1)
    if not isinstance(latent, int):
        raise InputError(
            f"{base.folder}/unet/config.json: expected one number as 'sample_size', got {latent}. "
            "Give a base that draws squares."
        )
    return int(latent * factor)


def _check_words(stills: Sequence[Still], base: ModelEntry) -> None:
    """Refuse captions that the text encoder of the base takes for noise."""
    if base.vocabulary == "tiny-world":
        texts = dict.fromkeys(still.caption for still in stills)
        prompts = [
            Prompt(id=f"caption-{place}", text=text, language="en", text_ja=text, attributes={})
            for place, text in enumerate(texts)
        ]
        check_vocabulary(prompts, model=base.id, dataset="captions of the stills")
    japanese = [still for still in stills if _JAPANESE.search(still.caption)]
    if japanese and not any(tag.partition("-")[0] == "ja" for tag in base.languages):
        raise InputError(
            f"captions: {len(japanese)} of {len(stills)} are in Japanese, as that of "
            f"'{japanese[0].path.name}'; the text encoder of '{base.id}' knows "
            f"{', '.join(base.languages)}. Give them in a language that it knows."
        )


# --- rights --------------------------------------------------------------------------------------


def _check_rights(
    request: StyleRequest, base: Model, stills: Sequence[Still], models: ModelTable, on: date
) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Return warnings and what is to be recorded; refuses what the rights file does not permit."""
    files = {still.name(request.name): still.sha256 for still in stills}
    entry = stills_entry(request.name, base.entry.id, len(stills))
    given = Model(entry, _home(models, request.name) / "stills", request.rights, files)
    with_stills = ModelTable(models.path, {**models.models, entry.id: given})
    rights = read_rights(request.rights, with_stills, set(dataset_licences(beside=request.rights)))
    _check_use(rights, request.rights, on)
    parts = (_part(base, PartKind.BASE), _part(given, PartKind.STILLS, files))
    subject = Subject(
        arms=(ArmParts(arm_id=request.name, name=request.name, parts=parts),), n_prompts=0, hits=()
    )
    against = Circumstances(rights, read_licences(), on, accepted=False)
    base_found, stills_found = (judge_part(part, subject, against) for part in parts)
    if stills_found.judgement is not Judgement.PERMITTED:
        reasons = " ".join(one.en for one in (*stills_found.reasons, *stills_found.way_out))
        raise InputError(
            f"{request.rights}: no rights to learn from these {len(stills)} stills for "
            f"'{rights.file.use.use}': {reasons}\n  A consent names model '{entry.id}', files "
            f"'{request.name}/*' and digest {digest(files)}."
        )
    reasons = " ".join(one.en for one in base_found.reasons)
    if base_found.judgement is Judgement.FORBIDDEN:
        raise InputError(
            f"--base {base.entry.id}: licence {base.entry.licence} forbids "
            f"'{rights.file.use.use}', which {request.rights} states: {reasons} Take another base."
        )
    unclear = base_found.judgement is Judgement.UNCLEAR
    warnings = (f"rights of base '{base.entry.id}' are unclear: {reasons}",) if unclear else ()
    return warnings, _rights_record(rights, entry.id, files, on)


def _check_use(rights: Rights, path: Path, on: date) -> None:
    file = rights.file
    if file.example:
        raise InputError(
            f"{path}: it is an example, which permits nothing. Fill it in, then set 'example' to "
            "false."
        )
    if on > file.use.until:
        raise InputError(f"{path}: the use ended on {file.use.until}. State one that has not.")
    if file.latest_record is not None and on < file.latest_record:
        raise InputError(
            f"{path}: a record is of {file.latest_record}, after the day {on} that is judged. "
            "Mend the day."
        )


def _part(model: Model, kind: PartKind, files: Mapping[str, str] | None = None) -> Part:
    return Part(
        id=model.entry.id,
        kind=kind,
        licence=model.entry.licence,
        commercial_use=model.entry.commercial_use,
        digest=digest(dict(model.files)),
        files=dict(files or {}),
    )


def _rights_record(
    rights: Rights, model: str, files: Mapping[str, str], on: date
) -> Mapping[str, Any]:
    consents = [one for one in rights.file.stills if one.model == model and fitting(one, files)]
    return {
        "file_digest": rights.file.content_digest(),
        "judged_on": on.isoformat(),
        "use": rights.file.use.model_dump(mode="json"),
        "stills_digest": digest(dict(files)),
        "consents": [one.model_dump(mode="json") for one in consents],
    }


# --- where it goes -------------------------------------------------------------------------------


def _check_free(task: StyleTask) -> None:
    """Refuse a place that holds another style, finished or not."""
    if task.home.exists() and not task.is_finished():
        raise InputError(
            f"{task.home}: holds a style made from other stills, captions or settings. Give "
            "another --name, or remove the folder."
        )
    begun = task.work / FILE
    if begun.exists() and _made_from(begun) != task.digest:
        raise InputError(
            f"{task.work}: another training under this name is not finished. Give another --name, "
            "or remove the folder."
        )


def _made_from(path: Path) -> str | None:
    try:
        found = json.loads(path.read_bytes())["request"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(found)


def begin(task: StyleTask) -> None:
    """Make the work folder and note what it is for."""
    disk.make_folder(task.work / "previews")
    disk.publish(task.work / FILE, _json({"request": task.digest}))


def publish(task: StyleTask, lora: Path, facts: Mapping[str, Any]) -> Path:
    """Put a trained style in its place, whole or not at all, and return its folder.

    Args:
        task: what was trained.
        lora: the safetensors file; moved.
        facts: what the training says of itself, plain JSON; `parameters` among it.
    """
    beside = task.work / "entry"
    shutil.rmtree(beside, ignore_errors=True)
    disk.make_folder(beside / "lora")
    lora.replace(beside / "lora" / LORA_FILE)
    for still in task.stills:
        target = beside / "stills" / still.name(task.request.name)
        disk.make_folder(target.parent)
        disk.publish(target, still.path.read_bytes())
    shutil.copytree(task.work / "previews", beside / "previews")
    disk.publish(beside / "index.json", _json({"files": _digests(beside, ("lora", "stills"))}))
    disk.publish(beside / "models.yaml", entries_text(task, int(facts["parameters"])).encode())
    disk.publish(beside / FILE, _json(record_of(task, facts)))
    with disk.explained(task.home):
        beside.rename(task.home)
    disk.sync_folder(task.home.parent)
    shutil.rmtree(task.work, ignore_errors=True)
    return task.home


def record_of(task: StyleTask, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a training: what from, under which rights, how it went."""
    name = task.request.name
    return {
        "request": task.digest,
        "version": VERSION,
        "base": {"id": task.base.entry.id, "digest": digest(dict(task.base.files))},
        "training": task.request.training.model_dump(mode="json"),
        "size_px": task.size,
        "stills": [
            {
                "file": still.path.name,
                "name": still.name(name),
                "sha256": still.sha256,
                "heldout": still.heldout,
                "caption": still.caption,
            }
            for still in task.stills
        ],
        "rights": dict(task.rights),
        "warnings": list(task.warnings),
        **facts,
    }


def stills_entry(name: str, base: str, count: int) -> ModelEntry:
    """Return the entry of a style's stills."""
    return ModelEntry(
        id=f"{name}-stills",
        kind=ModelKind.STILLS,
        family="animatediff",
        path="stills",
        index="index.json",
        licence=LICENCE_OF_STILLS,
        commercial_use="permitted",
        training_data=f"{count} own stills of the style {name}, for a LoRA on {base}.",
        languages=("und",),
        vocabulary=None,
        combines_with=(),
    )


def lora_entry(name: str, base: ModelEntry, parameters: int, learnt: int) -> ModelEntry:
    """Return the entry of a style's LoRA: it may do what its base may; its stills bind it too."""
    return ModelEntry(
        id=name,
        kind=ModelKind.LORA,
        family="animatediff",
        path="lora",
        index="index.json",
        licence=base.licence,
        commercial_use=base.commercial_use,
        training_data=f"{learnt} own stills of the style {name}, on {base.id}.",
        languages=("und",),
        vocabulary=None,
        combines_with=(base.id,),
        stills=StillsFolder(model=f"{name}-stills", folder=name),
        parameters=parameters,
    )


def entries_text(task: StyleTask, parameters: int) -> str:
    """Return the table of models of a finished style: YAML, of which each entry is JSON."""
    name, base = task.request.name, task.base.entry
    entries = (
        stills_entry(name, base.id, len(task.stills)),
        lora_entry(name, base, parameters, len(task.training_stills)),
    )
    rows = "".join(
        f"  - {json.dumps(one.model_dump(mode='json', exclude_defaults=True))}\n" for one in entries
    )
    return (
        "# Written by `poc train style`; read beside models.yaml. To remove the style, remove this "
        f"folder.\nversion: 1\nmodels:\n{rows}"
    )


def _digests(folder: Path, parts: Sequence[str]) -> dict[str, str]:
    paths = sorted(path for part in parts for path in (folder / part).rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def _json(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False)
    return f"{text}\n".encode()
