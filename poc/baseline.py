"""Baselines of the regression gate: small files to commit, replaced by `poc baseline accept` alone.

    accepted.jsonl         who accepted which run, when and why, each line chained to the one before
    <kind>-<digest>.zip    the records and features of an accepted run, without its clips

A folder has one *rolling* baseline, which moves whenever a change is accepted, and may have one
*release* baseline, which does not: many small losses, each accepted, add up against it. A line that
was changed, an archive that was put in another's place and one that no line in force names (the
ledger lost its end) are refused. That shows an accident or a careless edit; who may change the
folder can also write a new chain, and the version control that holds it shows that.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationError

from poc import disk, run_folder
from poc.errors import InputError
from poc.fingerprint import commits
from poc.gate_records import GateStatus
from poc.gate_report import shown
from poc.latency_calls import failed_calls, timed_all
from poc.records import Record
from poc.run_folder import CLIPS, FEATURES, JOURNALS, MANIFEST, PLAN, RARE_JOURNALS
from poc.samples import ledger as laid_out
from poc.store import RunStore

LEDGER = "accepted.jsonl"
MOST_BYTES = 512 * 1024**2
"""Of all records and features of a baseline, unpacked."""

_MEMBER = re.compile(
    "|".join(map(re.escape, (MANIFEST, PLAN, *JOURNALS, *RARE_JOURNALS)))
    + rf"|{FEATURES}/[0-9a-f]{{16}}\.npz"
)
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every packed file: equal records make equal archives."""

Line = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BaselineKind(StrEnum):
    """Which of a folder's two baselines."""

    ROLLING = "rolling"
    RELEASE = "release"


class Said(NamedTuple):
    """Who accepts a run, and why."""

    by: str
    reason: str


class Acceptance(Record):
    """One line of the ledger: a run took the place of the baseline before it."""

    format_version: Literal[1]
    kind: BaselineKind
    time: Line
    """UTC, ISO 8601."""
    by: Line
    reason: Line
    run: Line
    """Name of the accepted run's folder."""
    spec: Line
    commit: Line
    """Every commit that the run was made with, in order."""
    modified: bool
    """True when files differed from that commit: the run cannot be made again from it alone."""
    plan_digest: Digest
    digest: Digest
    """SHA-256 of the archive."""
    gate: GateStatus | None
    """What the gate said of the run against the baseline before; None where it said nothing."""
    not_judged: Line | None
    """Why the gate said nothing although there was a baseline before."""
    replaced: Digest | None
    """Archive of the baseline before."""
    previous: Digest | None
    """SHA-256 of the ledger's line before, None for the first."""

    @property
    def file(self) -> str:
        """Name of the archive."""
        return f"{self.kind}-{self.digest[:16]}.zip"


# --- ledger --------------------------------------------------------------------------------------


def is_baseline(folder: Path) -> bool:
    """Return whether a folder holds accepted baselines, and not a run."""
    return (folder / LEDGER).is_file()


def read_ledger(folder: Path) -> tuple[Acceptance, ...]:
    """Return every acceptance, oldest first; of a folder without a ledger none.

    Raises:
        InputError: a line that cannot be read or is not chained to the one before.
    """
    path = folder / LEDGER
    if not path.exists():
        return ()
    run_folder.refuse_links(folder)
    found: list[Acceptance] = []
    before: str | None = None
    for number, line in enumerate(run_folder.read_bytes(path).splitlines(), 1):
        try:
            one = Acceptance.from_json(line)
        except (ValidationError, ValueError) as error:
            raise InputError(
                f"{path}:{number}: expected an acceptance, cannot read it "
                f"({type(error).__name__}). Restore the file from version control."
            ) from error
        if one.previous != before:
            raise InputError(
                f"{path}:{number}: is not chained to the line before it: a line was changed, "
                "removed or put in between. Restore the file from version control."
            )
        found.append(one)
        before = hashlib.sha256(line).hexdigest()
    return tuple(found)


def current(ledger: tuple[Acceptance, ...], kind: BaselineKind) -> Acceptance | None:
    """Return the acceptance that counts now, None while there is none of this kind."""
    return next((one for one in reversed(ledger) if one.kind is kind), None)


def in_force(folder: Path) -> tuple[Acceptance, ...]:
    """Return the acceptances that count now, the rolling one first.

    Raises:
        InputError: there is none, the ledger does not hold, or an archive lies there that no line
            names.
    """
    refuse_strangers(folder)
    ledger = read_ledger(folder)
    found = tuple(one for kind in BaselineKind if (one := current(ledger, kind)) is not None)
    if not found:
        raise InputError(f"{folder}: no baseline was accepted yet. `poc baseline accept` does it.")
    # One that an older line names is what an acceptance left that was stopped before it tidied up.
    orphans = sorted({path.name for path in folder.glob("*.zip")} - {one.file for one in ledger})
    if orphans:
        raise InputError(
            f"{folder}: {orphans[0]} is named by no line of {LEDGER}: the ledger lost its "
            "end, or an acceptance was cut short. Restore both from version control, or accept "
            "the run again."
        )
    return found


# --- accepting -----------------------------------------------------------------------------------


def accept(
    run: Path,
    folder: Path,
    kind: BaselineKind,
    said: Said,
    judge: Callable[[RunStore, RunStore], GateStatus],
) -> Acceptance:
    """Make a complete run the baseline; the one before is named in the ledger and removed.

    `judge` says what the gate finds of the run (first) against the baseline before (second). The
    archive is there before the ledger names it, so that a crash leaves the old baseline or the new
    one.

    Raises:
        InputError: no run, one that is damaged or not complete, no name or reason, a ledger that
            does not hold, or a disk that refuses.
    """
    refuse_strangers(folder)
    ledger, store = read_ledger(folder), RunStore.open_reader(run)
    _refuse_unfit(store)
    data, old = packed(store), current(ledger, kind)
    new = _acceptance(store, kind, said, data)
    if old is not None:
        if old.digest == new.digest:
            _remove_others(folder, ledger)
            raise InputError(f"{run}: is the {kind} baseline already. Nothing was changed.")
        new = new.model_copy(update={"replaced": old.digest} | _judged(store, folder, old, judge))
    if ledger:
        new = new.model_copy(update={"previous": _last_digest(folder)})
    disk.make_folder(folder)
    disk.publish(folder / new.file, data)
    disk.sync_folder(folder)
    _append(folder, new)
    _remove_others(folder, (*ledger, new))
    return new


def _judged(
    store: RunStore,
    folder: Path,
    old: Acceptance,
    judge: Callable[[RunStore, RunStore], GateStatus],
) -> dict[str, object]:
    """Return what the gate finds; a lost or outdated archive must not bar the way to a new one."""
    try:
        with opened(folder, old) as before:
            return {"gate": judge(store, before)}
    except InputError as error:
        return {"not_judged": shown(str(error))}


def _acceptance(store: RunStore, kind: BaselineKind, said: Said, data: bytes) -> Acceptance:
    machines = store.fingerprints()
    modified = any(machine.modified for machine in machines)
    if modified and kind is BaselineKind.RELEASE:
        raise InputError(
            f"{store.path}: was made with files that differ from their commit. Run again from a "
            "clean checkout: a release baseline has to be made again from its commit."
        )
    try:
        return Acceptance(
            format_version=1,
            kind=kind,
            time=run_folder.now(),
            by=said.by.strip(),
            reason=said.reason.strip(),
            run=store.path.resolve().name,
            spec=store.plan.spec.name,
            commit=commits(machines),
            modified=modified,
            plan_digest=store.plan.content_digest(),
            digest=hashlib.sha256(data).hexdigest(),
            gate=None,
            not_judged=None,
            replaced=None,
            previous=None,
        )
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"]))
        option = f"--{field}" if field in {"by", "reason"} else f"{store.path}: {field}"
        raise InputError(
            f"{option}: expected one line of 1 to 1000 characters without control characters. "
            "Say who accepts the run, and why."
        ) from error


def _refuse_unfit(store: RunStore) -> None:
    """Raise InputError unless all of a run's plan was made and its records are whole."""
    if store.damage:
        raise InputError(
            f"{store.path}: {store.damage[0]}. A baseline needs whole records: restore the run "
            "from a copy, or accept another."
        )
    pending = len(store.pending_batches())
    if pending:
        raise InputError(
            f"{store.path}: {pending} of {len(store.plan.batches)} planned batches are not made. "
            "Finish the run with the same command, then accept it."
        )
    if what := _unfinished(store):
        raise InputError(
            f"{store.path}: {what}. Finish the run with the same command, then accept it."
        )


def _unfinished(store: RunStore) -> str:
    """Say what a run lacks although all its batches are made; empty when nothing."""
    plan = store.plan
    try:
        book = laid_out(plan, store.generations(), store.measurements())
        failed = failed_calls(store.latency_failures())
        timed = timed_all(store.timed(), plan, failed)
    except ValueError as error:
        raise InputError(f"{store.path}: {error}. Restore the run from a copy.") from error
    if not store.measurements():
        return "nothing is measured"
    if not book.complete:
        return "not every clip is measured"
    return "" if timed else "the latency pass is not finished"


def refuse_strangers(folder: Path) -> None:
    """Raise InputError when a folder holds anything but baselines, such as a run."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder for baselines, found a file.")
    run_folder.refuse_links(folder)
    archive = re.compile(r"(rolling|release)-[0-9a-f]{16}\.zip(\.tmp)?")
    strangers = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in {LEDGER, f"{LEDGER}.tmp"} and not archive.fullmatch(entry.name)
    )
    if strangers:
        raise InputError(
            f"{folder}: expected an empty folder or one of baselines, found {strangers[0]}. "
            "Choose another --baseline; nothing was touched."
        )


def _last_digest(folder: Path) -> str:
    lines = run_folder.read_bytes(folder / LEDGER).splitlines()
    return hashlib.sha256(lines[-1]).hexdigest()


def _append(folder: Path, new: Acceptance) -> None:
    path = folder / LEDGER
    there = run_folder.read_bytes(path) if path.exists() else b""
    if there and not there.endswith(b"\n"):
        there += b"\n"
    disk.publish(path, there + new.to_json().encode() + b"\n")
    disk.sync_folder(folder)


def _remove_others(folder: Path, ledger: tuple[Acceptance, ...]) -> None:
    """Remove archives that no baseline stands on any more; version control has them."""
    kept = {one.file for kind in BaselineKind if (one := current(ledger, kind)) is not None}
    with disk.explained(folder):
        for path in folder.glob("*.zip*"):
            if path.name not in kept:
                path.unlink()


# --- archives ------------------------------------------------------------------------------------


def packed(store: RunStore) -> bytes:
    """Return a run's records and features as an archive; equal records give equal bytes."""
    rare = [name for name in RARE_JOURNALS if (store.path / name).exists()]
    names = [MANIFEST, PLAN, *JOURNALS, *rare]
    names += sorted(
        f"{FEATURES}/{path.name}" for path in (store.path / FEATURES).iterdir()
        if _MEMBER.fullmatch(f"{FEATURES}/{path.name}")
    )  # fmt: skip
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in names:
            data = run_folder.read_bytes(store.path / name)
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def packed_digest(store: RunStore) -> str:
    """Return the SHA-256 that a run's archive has."""
    return hashlib.sha256(packed(store)).hexdigest()


@contextmanager
def opened(folder: Path, one: Acceptance) -> Iterator[RunStore]:
    """Give the records of an accepted run to be read, as long as the context lasts.

    Raises:
        InputError: the archive is missing, is not the accepted one, or holds what none may hold.
    """
    path = folder / one.file
    data = run_folder.read_bytes(path)
    if hashlib.sha256(data).hexdigest() != one.digest:
        raise InputError(
            f"{path}: is not the archive that {LEDGER} names. Restore both from version control; "
            "a new baseline comes from `poc baseline accept`."
        )
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="poc-baseline-")))
        _unpack(path, data, place)
        yield RunStore.open_reader(place)


def _unpack(path: Path, data: bytes, place: Path) -> None:
    """Write the archive's files to `place`: only names that a run has, up to a total size."""
    for name in (CLIPS, FEATURES):
        (place / name).mkdir()
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if not _MEMBER.fullmatch(member.filename):
                    raise InputError(f"{path}: holds {member.filename!r}, which no run has.")
                with archive.open(member) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise InputError(f"{path}: is more than {MOST_BYTES} bytes unpacked.")
                (place / member.filename).write_bytes(content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(f"{path}: expected an archive, cannot read it ({error}).") from error
    for name in (MANIFEST, PLAN, *JOURNALS):
        if not (place / name).is_file():
            raise InputError(f"{path}: lacks {name}. Accept a run anew.")


# --- what people read ----------------------------------------------------------------------------


def history(folder: Path) -> str:
    """Return the ledger as text, newest last."""
    ledger = read_ledger(folder)
    if not ledger:
        return f"{folder}: no baseline was accepted yet"
    kept = {kind: current(ledger, kind) for kind in BaselineKind}
    return "\n\n".join(entry(one, is_current=kept[one.kind] is one) for one in ledger)


def entry(one: Acceptance, *, is_current: bool) -> str:
    """Return one acceptance as text; what people wrote is shown and steers no terminal."""
    mark = " (in force)" if is_current else ""
    against = f"gate against the one before: {one.gate or one.not_judged or 'none before'}"
    commit = f"{one.commit}{', modified' if one.modified else ''}"
    lines = (
        f"{shown(one.time)}  {one.kind}{mark}  {one.digest[:16]}",
        f"  by {shown(one.by)}: {shown(one.reason)}",
        f"  run {shown(one.run)}, spec {shown(one.spec)}, commit {shown(commit)}; {shown(against)}",
    )
    return "\n".join(lines)
