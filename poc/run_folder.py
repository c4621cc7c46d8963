"""The layout of a run folder, what makes it one, and what it is refused for.

A folder is a run once `manifest.json`, the last file to be laid down, is there. What cannot be read
is an error that says what to do; nothing is ever begun anew over it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from operator import not_
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError

from poc import disk
from poc.differences import differences
from poc.errors import InputError
from poc.fingerprint import Fingerprint
from poc.ownership import LOCK_NAME
from poc.records import FORMAT_VERSION, Plan, PreflightFinding, Record
from poc.redaction import REDACTIONS

MANIFEST, PLAN = "manifest.json", "plan.json"
CLIPS, FEATURES = "clips", "features"
JOURNALS = (
    "resolved.jsonl",
    "generations.jsonl",
    "latency.jsonl",
    "measurements.jsonl",
    "closings.jsonl",
    "provenance.jsonl",
)
LATENCY_FAILURES = "latency_failures.jsonl"
RARE_JOURNALS = (LATENCY_FAILURES, REDACTIONS)
"""Those that a run has only once something is to be said in them."""

_ID = re.compile(r"[0-9a-f]{16}")
_DERIVED = re.compile(r"[a-z][a-z0-9_-]{0,63}\.(json|md|html|csv|txt|xml)")
_SECTIONS = ("spec", "criteria", "arms", "prompts", "baseline_id", "batches")
_SHOWN = 5


class Manifest(Record):
    """What a run is and where it began."""

    format_version: Literal[1]
    created: str
    """UTC, ISO 8601."""
    spec_text: str
    """The spec as the engineer wrote it."""
    plan_digest: str
    fingerprint: Fingerprint
    warnings: tuple[PreflightFinding, ...] = Field(default=(), exclude_if=not_)
    """What the pre-flight found and let pass; a run from before it has none."""

    @classmethod
    def of(
        cls,
        spec_text: str,
        plan: Plan,
        fingerprint: Fingerprint,
        warnings: tuple[PreflightFinding, ...] = (),
    ) -> Self:
        """Return the manifest of a run that begins now."""
        return cls(
            format_version=1,
            created=now(),
            spec_text=spec_text,
            plan_digest=plan.content_digest(),
            fingerprint=fingerprint,
            warnings=warnings,
        )


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second; nothing is ordered or named by it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


# --- paths ---------------------------------------------------------------------------------------


def artifact(run: Path, folder: str, identifier: str, suffix: str) -> Path:
    """Return the path of a clip or feature file: names never become paths, only ids do.

    Raises:
        InputError: `identifier` is not 16 lower-case hexadecimal digits.
    """
    if not _ID.fullmatch(identifier):
        raise InputError(
            f"{run}: id {identifier!r}: expected 16 lower-case hexadecimal digits. "
            f"Restore {PLAN} from a copy."
        )
    return run / folder / f"{identifier}{suffix}"


def derived(run: Path, name: str) -> Path:
    """Return the path of a derived file; raises ValueError for any other name."""
    if not _DERIVED.fullmatch(name) or name in {MANIFEST, PLAN}:
        raise ValueError(f"{name!r} is no name of a derived file, such as estimates.json")
    return run / name


# --- laying out ----------------------------------------------------------------------------------


def create(run: Path, plan: Plan, manifest: Manifest) -> None:
    """Lay out an empty run in a folder that is owned; carries on where an earlier try stopped."""
    if manifest.plan_digest != plan.content_digest():
        raise ValueError("the manifest belongs to another plan")
    with disk.explained(run):
        for name in JOURNALS:
            (run / name).touch()
        for name in (CLIPS, FEATURES):
            (run / name).mkdir(exist_ok=True)
    disk.publish(run / PLAN, plan.to_json().encode() + b"\n")
    disk.sync_folder(run)
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=1)
    disk.publish(run / MANIFEST, text.encode() + b"\n")
    disk.sync_folder(run)


def clear_away(run: Path) -> None:
    """Remove what a dead owner had not published."""
    for folder in (run, run / CLIPS, run / FEATURES):
        disk.remove_temporaries(folder)


# --- refusing ------------------------------------------------------------------------------------


def refuse_strangers(run: Path) -> None:
    """Raise InputError for a folder that is neither a run nor an empty beginning of one."""
    with disk.explained(run):
        there = {entry.name: entry for entry in run.iterdir()}
        if MANIFEST in there:
            return
        records = sorted(name for name in JOURNALS if name in there and there[name].stat().st_size)
    if records:
        raise InputError(
            f"{run}: holds {', '.join(records)}, but no {MANIFEST}. Restore it from a copy, or "
            "begin anew with another --out."
        )
    ours = {LOCK_NAME, PLAN, CLIPS, FEATURES, *JOURNALS}
    strangers = sorted(there.keys() - ours - {f"{PLAN}.tmp", f"{MANIFEST}.tmp"})
    if strangers:
        more = " and more" if len(strangers) > _SHOWN else ""
        raise InputError(
            f"{run}: expected an empty folder or a run, found {', '.join(strangers[:_SHOWN])}"
            f"{more}. Choose another --out; nothing was touched."
        )


def refuse_links(run: Path) -> None:
    """Raise InputError when the run holds a link: writing through it would change other files."""
    entries = [run, *run.iterdir()] if run.is_dir() else [run]
    links = [entry.name for entry in entries if entry.is_symlink()]
    if links:
        raise InputError(
            f"{run}: expected plain files and folders, found the link '{links[0]}'. "
            "Copy what it points to into the run, or leave this run alone."
        )


def refuse_no_run(run: Path) -> None:
    """Raise InputError when there is no run."""
    if not (run / MANIFEST).is_file():
        raise InputError(
            f"{run}: expected a run folder, found no {MANIFEST} in it. "
            "Give a folder that `poc run --out` has written."
        )


def refuse_other_plan(run: Path, there: Plan, asked: Plan) -> None:
    """Raise InputError, saying what differs, unless both plans are the same."""
    if there.content_digest() == asked.content_digest():
        return
    found = [*islice(_plan_differences(there, asked), _SHOWN + 1)]
    lines = [*found[:_SHOWN], *(["and more"] if len(found) > _SHOWN else [])]
    raise InputError(
        f"{run}: holds a run of another plan (there -> asked for): {'; '.join(lines)}. "
        "Give the new plan another --out, or run the old spec to go on."
    )


def _plan_differences(old: Plan, new: Plan) -> Iterator[str]:
    """Yield what people changed first, what follows from it last."""
    yield from _changed_files(old, new)
    one, other = old.model_dump(mode="json"), new.model_dump(mode="json")
    for section in _SECTIONS:
        yield from differences(one[section], other[section], section)
    yield from differences(one, other)


def _changed_files(old: Plan, new: Plan) -> Iterator[str]:
    """Yield the files of clips made elsewhere that are no longer those that were planned."""
    before = {(one.arm, t.file): t.file_digest for one in old.deliveries for t in one.takes}
    for one in new.deliveries:
        for take in one.takes:
            key = (one.arm, take.file)
            if take.file is not None and before.get(key, take.file_digest) != take.file_digest:
                yield f"the file '{take.file}' of arm '{one.arm}' has changed"


# --- reading -------------------------------------------------------------------------------------


def read(run: Path) -> tuple[Manifest, Plan]:
    """Return what a run is and what it was planned to be.

    Raises:
        InputError: no run, a newer format, or one of both is missing, damaged or was exchanged.
    """
    refuse_no_run(run)
    manifest, plan = _read_manifest(run / MANIFEST), _read_plan(run / PLAN)
    if manifest.plan_digest != plan.content_digest():
        raise InputError(
            f"{run / PLAN}: not the plan this run was made from: expected digest "
            f"{manifest.plan_digest[:16]}, found {plan.content_digest()[:16]}. Restore the file "
            "from a copy, or begin anew with another --out."
        )
    return manifest, plan


def _read_manifest(file: Path) -> Manifest:
    text = read_text(file)
    try:
        version = json.loads(text)["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise InputError(
                f"{file}: format version {version} is newer than this program, which reads up to "
                f"{FORMAT_VERSION}. Update the program."
            )
        return Manifest.from_json(text)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(file, error) from error


def _read_plan(file: Path) -> Plan:
    text = read_text(file)
    try:
        return Plan.from_json(text)
    except ValidationError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> InputError:
    return InputError(
        f"{file}: cannot be read ({_brief(error)}). Restore it from a copy; the records of the run "
        "are untouched, and nothing is begun anew in this folder."
    )


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"{type(error).__name__}: {error}".splitlines()[0]


def read_text(path: Path) -> str:
    """Return a file's text; raises InputError when it is missing, unreadable or no text."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise _unreadable(path, error) from error


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes; raises InputError when it is missing or unreadable."""
    with disk.explained(path):
        return path.read_bytes()
