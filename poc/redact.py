"""`poc redact`: take a subject's clips, features, exports and LoRA out of a run, with a tombstone.

What is to go is written down first, with digests; then it is removed; then the end is written down.
Whoever stops in between leaves a run that says so, and the same command goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from pydantic import ValidationError

from poc import disk, run_folder
from poc.errors import InputError, did_you_mean
from poc.models import ModelKind, ModelTable, StillsFolder, own_folder
from poc.ownership import LOCK_NAME
from poc.records import Arm
from poc.redaction import OWN, REDACTIONS, Redaction, Removed, unfinished
from poc.run_folder import CLIPS, FEATURES
from poc.store import RunStore

EXPORTS: Final = frozenset(
    {
        ".html",
        ".htm",
        ".pdf",
        ".pptx",
        ".zip",
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".webm",
        ".mp4",
        ".gif",
        ".avi",
        ".mov",
    }
)
"""Files besides clips that may show them; they can be written again from what is left."""


class Said(NamedTuple):
    """Who removes, and why."""

    by: str
    reason: str


def redact(run: Path, subject: str, said: Said, models: ModelTable) -> Redaction:
    """Remove all of a subject from a run and return the tombstone.

    `subject` is a model of the run, such as a style LoRA, or an entry of stills: then it is every
    LoRA that learnt from them. Goes on where an earlier try was cut short. The caller decides anew.

    Raises:
        InputError: no run, one in use, an unknown subject, a table of own models that cannot be
            read, no name or reason, or a disk that refuses.
    """
    _refuse_unread(models)
    with RunStore.open_writer(run) as store:
        cut_short = next((r for r in unfinished(store.redactions()) if r.subject == subject), None)
        begun = _begun(store, subject, said, models)
        if cut_short is not None:  # what is gone already is named there alone
            _refuse_foreign(store, begun, cut_short, models)
            both = {gone.path: gone for gone in (*cut_short.removed, *begun.removed)}
            begun = begun.model_copy(update={"removed": tuple(both.values())})
        store.append_redaction(begun)
        for gone in begun.removed:
            _remove(run, gone.path, models)
        for folder in (run, run / CLIPS, run / FEATURES):
            disk.sync_folder(folder)
        _remove_empty(models, begun)
        done = begun.model_copy(update={"action": "done", "time": run_folder.now()})
        store.append_redaction(done)
    return done


def _refuse_unread(models: ModelTable) -> None:
    """Raise InputError where a LoRA of the subject may be in a table that nobody could read."""
    if models.unread:
        said = "--subject: what learnt from it may be in a table that cannot be read"
        raise InputError("\n".join((f"{said}. Mend the table, then remove.", *models.unread)))


def _begun(store: RunStore, subject: str, said: Said, models: ModelTable) -> Redaction:
    names = loras_of(subject, models)
    arms = [arm for arm in store.plan.arms if names & arm.model_digests.keys()]
    if not arms:
        known = sorted({name for arm in store.plan.arms for name in arm.model_digests})
        raise InputError(
            f"{store.path}: --subject: no arm of this run was made with '{subject}'. Expected one "
            f"of {', '.join(known)}, or the stills of one. {did_you_mean(subject, known)}"
        )
    own, kept = _own_files(names, models)
    found = [*_of_run(store, arms), *own]
    try:
        return Redaction(
            action="begun",
            subject=subject,
            by=said.by.strip(),
            reason=said.reason.strip(),
            time=run_folder.now(),
            arms=tuple(arm.id for arm in arms),
            removed=tuple(Removed(path=name, sha256=_digest(path)) for name, path in found),
            kept=(*kept, "exports outside the run folder, accepted baselines, and other runs"),
        )
    except ValidationError as error:
        raise InputError(
            "--by, --reason: expected one plain line each, of up to 1,000 letters. Say who and why."
        ) from error


def _refuse_foreign(
    store: RunStore, begun: Redaction, cut_short: Redaction, models: ModelTable
) -> None:
    """Raise InputError where an earlier line names a file that is none of the subject's."""
    clips = _clips_of(store, begun.arms)
    for gone in cut_short.removed:
        if not _may_go(gone.path, clips, begun, models):
            raise InputError(
                f"{store.path / REDACTIONS}: '{gone.path}' is no file of '{begun.subject}', and is "
                "not removed. The line was not written by this program for this run: take it out."
            )


def _may_go(name: str, clips: set[str], begun: Redaction, models: ModelTable) -> bool:
    if name in {gone.path for gone in begun.removed}:
        return True
    path = PurePosixPath(name.removeprefix(OWN))
    if name.startswith(OWN):  # a model whose table is there is known, and then it is in `begun`
        return not (own_folder(models.path) / path.parts[0] / "models.yaml").exists()
    if path.parts[0] in {CLIPS, FEATURES}:
        return path.stem in clips
    return path.suffix.lower() in EXPORTS


def loras_of(subject: str, models: ModelTable) -> set[str]:
    """Return the models that a subject stands for: itself, or the LoRAs that learnt from it."""
    entry = models.models[subject].entry if subject in models.models else None
    if entry is None or entry.kind is not ModelKind.STILLS:
        return {subject}
    return {
        key
        for key, model in models.models.items()
        if isinstance(model.entry.stills, StillsFolder) and model.entry.stills.model == subject
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(run_folder.read_bytes(path)).hexdigest()


# --- what goes -----------------------------------------------------------------------------------


def _of_run(store: RunStore, arms: list[Arm]) -> Iterator[tuple[str, Path]]:
    """Yield exports first: nothing shall show a clip that is gone."""
    clips = _clips_of(store, [arm.id for arm in arms])
    every = sorted(p for p in store.path.rglob("*") if p.is_file() and not p.is_symlink())
    inside = {path: path.relative_to(store.path) for path in every}
    for path, name in inside.items():
        if name.parts[0] not in {CLIPS, FEATURES} and path.suffix.lower() in EXPORTS:
            yield name.as_posix(), path
    for path, name in inside.items():
        if name.parts[0] in {CLIPS, FEATURES} and path.stem in clips and path.name != LOCK_NAME:
            yield name.as_posix(), path


def _clips_of(store: RunStore, arm_ids: Collection[str]) -> set[str]:
    return {c.id for b in store.plan.batches if b.arm_id in arm_ids for c in b.clips}


def _own_files(
    names: set[str], models: ModelTable
) -> tuple[list[tuple[str, Path]], tuple[str, ...]]:
    """Return all files of the models that were trained here, and what to say of the others."""
    home, found, kept = own_folder(models.path), list[tuple[str, Path]](), list[str]()
    for name in sorted(names & models.models.keys()):
        folder = models.resolve(name).folder.resolve()
        if not folder.is_relative_to(home) or folder == home:
            kept.append(f"the files of model '{name}', which was not trained here")
            continue
        top = home / folder.relative_to(home).parts[0]
        # The table first: a model without it is known to nobody.
        files = sorted(top.rglob("*"), key=lambda path: (path.name != "models.yaml", path))
        found += [(f"{OWN}{p.relative_to(home).as_posix()}", p) for p in files if p.is_file()]
    return found, tuple(kept)


def _remove(run: Path, name: str, models: ModelTable) -> None:
    own = name.startswith(OWN)
    path = own_folder(models.path) / name.removeprefix(OWN) if own else run / name
    with disk.explained(path):
        path.unlink(missing_ok=True)


def _remove_empty(models: ModelTable, done: Redaction) -> None:
    """Remove the folders that the files of own models leave behind."""
    home = own_folder(models.path)
    names = {Path(g.path.removeprefix(OWN)) for g in done.removed if g.path.startswith(OWN)}
    folders = {home / parent for name in names for parent in name.parents if parent.parts}
    for folder in sorted(folders, key=lambda one: -len(one.parts)):
        with disk.explained(folder):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


__all__ = ["REDACTIONS", "Said", "loras_of", "redact"]
