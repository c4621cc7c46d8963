"""What the arms of a plan use: their models, the stills of their style, the judges, the prompts."""

from __future__ import annotations

from collections.abc import Iterator

from poc.governance_records import ArmParts, Part, PartKind, Subject
from poc.models import Model, ModelKind, ModelTable
from poc.prompt_screen import screen
from poc.records import Arm, Plan, digest
from poc.rights_check import pictures
from poc.rights_file import Words

_JUDGES = (ModelKind.IMAGE_TEXT, ModelKind.VIDEO_FEATURES)


def subject_of(
    plan: Plan, models: ModelTable, words: Words, *, prompt_licence: str | None
) -> Subject:
    """Return the arms of a plan with all their parts, and what its prompts name.

    Judges are those that a run takes: the first of each kind in the table. `prompt_licence`: of the
    prompt set; None where it is not known.
    """
    shared = (*_judges(models), _prompts(plan, prompt_licence))
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
    roles = {arm.base: PartKind.BASE, arm.motion_adapter: PartKind.MOTION_ADAPTER}
    for model_id, used in arm.model_digests.items():
        kind = roles.get(model_id, PartKind.LORA)
        model = models.models.get(model_id)
        if model is None:
            yield Part(id=model_id, kind=kind, licence="", commercial_use=None, digest=used)
        else:
            part = _part(model, kind)
            yield part.model_copy(update={"digest": used, "changed": used != part.digest})


def _stills(arm: Arm, models: ModelTable) -> Iterator[Part]:
    """Yield the stills of an arm's style: those in the folder of its name, or all without one."""
    if arm.style is None:
        return
    for model in models.models.values():
        if model.entry.kind is ModelKind.STILLS:
            every = pictures(model)
            own = {k: v for k, v in every.items() if k.split("/")[0] == arm.style}
            files = own or every
            part = _part(model, PartKind.STILLS)
            yield part.model_copy(update={"files": files, "digest": digest(files)})


def _judges(models: ModelTable) -> Iterator[Part]:
    for kind in _JUDGES:
        fitting = (model for model in models.models.values() if model.entry.kind is kind)
        if (model := next(fitting, None)) is not None:
            yield _part(model, PartKind.JUDGE)


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
