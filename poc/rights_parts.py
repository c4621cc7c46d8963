"""What the arms of a plan use: their models, their stills, the judges, the prompts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from poc.governance_records import ArmParts, Part, PartKind, Subject
from poc.models import UNPINNED, Model, ModelKind, ModelTable, StillsFolder, run_judges
from poc.prompt_screen import screen
from poc.records import Arm, Plan, digest
from poc.rights_check import pictures
from poc.rights_file import Words

LICENCE_OF_CLIPS: Final = "LicenseRef-delivered-clips"
"""Of the entry in licences.yaml that leaves everything to the records of deliveries."""
_JUDGES = (ModelKind.IMAGE_TEXT, ModelKind.VIDEO_FEATURES)


def subject_of(
    plan: Plan, models: ModelTable, words: Words, *, prompt_licence: str | None
) -> Subject:
    """Return the arms of a plan with all their parts, and what its prompts name.

    Judges are those that a run takes: the one that its spec names, else the first of each kind.
    `prompt_licence`: of the prompt set; None where it is not known.
    """
    shared = (*_judges(plan, models), _prompts(plan, prompt_licence))
    return Subject(
        arms=tuple(
            ArmParts(
                arm_id=arm.id,
                name=arm.name,
                parts=(*_models_of(arm, models), *_stills(arm, models), *shared),
            )
            for arm in plan.arms
        ),
        n_prompts=len(plan.prompts),
        hits=screen(plan.prompts, (*words.names, *words.brands)),
    )


def _models_of(arm: Arm, models: ModelTable) -> Iterator[Part]:
    if arm.is_imported:  # what made these clips nobody here knows: a contract has to speak for them
        yield Part(
            id=f"clips of {arm.name}",
            kind=PartKind.CLIPS,
            licence=LICENCE_OF_CLIPS,
            commercial_use=None,
            digest=arm.delivery_digest,
        )
        return
    roles = {arm.base: PartKind.BASE}
    roles |= {arm.motion_adapter: PartKind.MOTION_ADAPTER} if arm.motion_adapter else {}
    roles |= {arm.vae: PartKind.BASE} if arm.vae else {}
    for model_id, declared in arm.model_digests.items():
        used = None if declared == UNPINNED else declared
        kind = roles.get(model_id, PartKind.LORA)
        model = models.models.get(model_id)
        if model is None:
            yield Part(id=model_id, kind=kind, licence="", commercial_use=None, digest=used)
        else:
            part = _part(model, kind)
            yield part.model_copy(update={"digest": used, "changed": used != part.digest})


def _stills(arm: Arm, models: ModelTable) -> Iterator[Part]:
    """Yield the stills that an arm's LoRAs learnt from, and those that its style is measured by.

    What a spec calls the style can add stills, never take one away. A LoRA whose stills are not
    known stands for them itself, without files: that is unclear.
    """
    found: dict[str, dict[str, str]] = {}
    for lora in dict.fromkeys(use.model for use in arm.loras):
        model = models.models.get(lora)
        if model is None or model.entry.stills == "none":  # what nobody listed is unclear itself
            continue
        named = model.entry.stills
        if named is not None and (files := _in_folder(named, models)):
            found.setdefault(named.model, {}).update(files)
        else:
            yield _part(model, PartKind.STILLS)
    for key, files in _of_style(arm.style, models).items():
        found.setdefault(key, {}).update(files)
    for key, files in found.items():
        part = _part(models.models[key], PartKind.STILLS)
        yield part.model_copy(update={"files": files, "digest": digest(files)})


def _of_style(style: str | None, models: ModelTable) -> dict[str, dict[str, str]]:
    """Return a style's stills by entry; all stills where no entry has a folder of that name."""
    if style is None:
        return {}
    every = {
        key: pictures(model)
        for key, model in models.models.items()
        if model.entry.kind is ModelKind.STILLS
    }
    own = {key: files for key, them in every.items() if (files := _within(them, style))}
    return own or every


def _in_folder(named: StillsFolder, models: ModelTable) -> dict[str, str]:
    return _within(pictures(models.resolve(named.model, ModelKind.STILLS)), named.folder)


def _within(files: dict[str, str], folder: str) -> dict[str, str]:
    return {k: v for k, v in files.items() if PurePosixPath(k).is_relative_to(folder)}


def _judges(plan: Plan, models: ModelTable) -> Iterator[Part]:
    named = (plan.image_text, plan.video)
    for one in named:
        if one is not None and one not in models.models:  # what nobody lists is unclear
            yield Part(id=one, kind=PartKind.JUDGE, licence="", commercial_use=None, digest=None)
    for entry in run_judges(models, *(one if one in models.models else None for one in named)):
        if entry.kind in _JUDGES:
            yield _part(models.models[entry.id], PartKind.JUDGE)


def _part(model: Model, kind: PartKind) -> Part:
    entry = model.entry
    return Part(
        id=entry.id,
        kind=kind,
        licence=entry.licence,
        commercial_use=entry.commercial_use,
        digest=digest(dict(model.files)) if model.files else None,
    )


def _prompts(plan: Plan, licence: str | None) -> Part:
    texts = [[prompt.text, prompt.text_ja] for prompt in plan.prompts]
    return Part(
        id=plan.spec.dataset,
        kind=PartKind.PROMPTS,
        licence=licence or "",
        commercial_use=None,
        digest=digest(texts),
    )
