"""`poc check` and `poc baseline accept`: runs in, the gate's answer and its files out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from poc import disk, run_folder
from poc.baseline import (
    Acceptance,
    BaselineKind,
    Said,
    accept,
    in_force,
    is_baseline,
    opened,
    packed_digest,
)
from poc.errors import InputError
from poc.fault_evidence import untested
from poc.foresight import Foresight, Pilot, foresee
from poc.gate import compare
from poc.gate_extension import refuse_second_look
from poc.gate_limits import DEFAULT_LIMITS, read_limits
from poc.gate_records import GateGroup, GateLimits, GateResult, GateRun, GateStatus
from poc.gate_report import junit, markdown
from poc.records import Estimate, Plan
from poc.run_folder import refuse_links
from poc.store import RunStore

FOLDER = "gate"
"""Where the files go in HEAD, unless --out says otherwise."""

FILES = ("gate.json", "gate-junit.xml", "gate.md")


@dataclass(frozen=True, slots=True)
class Checked:
    """What the gate says of a run against one baseline, and the files that say it."""

    against: str
    result: GateResult
    files: Mapping[str, Path]

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return {
            "against": self.against,
            "gate": str(self.result.status),
            "may_extend": self.result.may_extend,
            "cells": {str(status): self.result.count(status) for status in GateStatus},
            "files": {name: str(path) for name, path in self.files.items()},
        }


def check(
    head: Path, base: Path, *, limits: Path | None, out: Path | None, after: Path | None = None
) -> tuple[Checked, ...]:
    """Compare a run with a baseline and write the files; of several results the worst counts.

    `base` is another run, or a folder of accepted baselines: then the run is compared with the
    rolling one and, where there is one, with the release's, whose files lie in a folder `release`.
    Each comparison raises its false alarms on its own. The files of an earlier check go first:
    nobody shall find a pass where a check failed. `after`: gate.json of the first look, where these
    are the runs of the second; `base` is then a run as well.

    Raises:
        InputError: no run, a run compared with itself, bad limits, records that contradict each
            other, a baseline that was not accepted, a second look that is none, or files that
            cannot be written.
    """
    first = None if after is None else _read_first(after)
    folder = out or head / FOLDER
    release = folder / BaselineKind.RELEASE
    for place in (head, folder, release):
        refuse_links(place)
    if after is not None:
        _refuse_to_clear(after, folder, release)
    _clear(folder)
    _clear(release)
    own = RunStore.open_reader(head)
    asked = read_limits(limits or DEFAULT_LIMITS)
    if not is_baseline(base):
        _refuse_itself(head, same=head.resolve() == base.resolve())
        other = RunStore.open_reader(base)
        result = judge(own, other, _name(base), asked, first)
        if first is not None and after is not None:
            refuse_second_look(first, result.head, result.base, after)
            _refuse_other_limits(first, result, after)
        return (Checked(_name(base), result, _write(result, folder)),)
    if after is not None:
        raise InputError(
            f"{base}: --after: expected a run of the baseline's commit, got accepted baselines, "
            "which have no more prompts than the first look saw."
        )
    accepted = in_force(base)
    _refuse_itself(head, same=any(packed_digest(own) == one.digest for one in accepted))
    return tuple(
        _checked_accepted(own, base, one, asked, release if one.kind == release.name else folder)
        for one in accepted
    )


def _refuse_to_clear(first: Path, *folders: Path) -> None:
    """Raise InputError where the first look lies among the files that a check removes first."""
    cleared = {(folder / name).resolve() for folder in folders for name in FILES}
    if first.resolve() in cleared:
        raise InputError(
            f"{first}: --after: expected the first look in another folder than this one's files, "
            "which would take its place. Name another --out."
        )


def _read_first(path: Path) -> GateResult:
    try:
        return GateResult.from_json(run_folder.read_bytes(path))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise InputError(
            f"{path}: --after: expected gate.json of the first look, cannot read it "
            f"({'.'.join(map(str, fault['loc']))}: {fault['msg']})."
        ) from error


def _refuse_other_limits(first: GateResult, now: GateResult, source: Path) -> None:
    if first.limits_digest != now.limits_digest:
        raise InputError(
            f"{source}: was judged by the limits {first.limits}, this look by {now.limits} or an "
            "edited file of that name. Give the same --limits."
        )


def _refuse_itself(head: Path, *, same: bool) -> None:
    if same:
        raise InputError(
            f"{head}: expected another run as --baseline, got the same one. "
            "A run compared with itself always passes and shows nothing."
        )


def _checked_accepted(
    own: RunStore, base: Path, one: Acceptance, asked: GateLimits, folder: Path
) -> Checked:
    name = f"{_name(base)} ({one.kind})"
    with opened(base, one) as other:
        result = judge(own, other, name, asked)
    return Checked(name, result, _write(result, folder))


def judge(
    own: RunStore, other: RunStore, name: str, asked: GateLimits, first: GateResult | None = None
) -> GateResult:
    """Return what the gate says of a run against a baseline that is called `name`.

    Raises:
        InputError: the records of one contradict each other.
    """
    before, now = _read(other, name), _read(own, _name(own.path))
    now = replace(now, set_changes=_set_changes(own, other))
    try:
        found = compare(now, before, asked, first)
    except ValueError as error:
        raise InputError(
            f"{own.path} against {name}: {error}. Restore both from a copy."
        ) from error
    judged = (cell.subject for cell in found.cells if cell.group is GateGroup.QUALITY)
    return found.model_copy(update={"untested": untested(judged)})


def foreseen(plan: Plan, pilot: Path | None) -> Foresight:
    """Return what a plan promises by the limits that ship, with the spreads of a pilot run.

    Raises:
        InputError: the pilot is no run, or its records contradict each other.
    """
    asked = read_limits(DEFAULT_LIMITS)
    if pilot is None:
        return foresee(plan, asked, None)
    store = RunStore.open_reader(pilot)
    records = (store.generations(), store.measurements(), store.latency())
    try:
        return foresee(plan, asked, Pilot.of(_name(pilot), store.plan, *records))
    except ValueError as error:
        raise InputError(f"--pilot {pilot}: {error}. Restore it from a copy.") from error


def worst(found: Sequence[Checked]) -> GateStatus:
    """Return the worst status of all comparisons."""
    return next(status for status in GateStatus if any(c.result.status is status for c in found))


def accept_baseline(
    run: Path, folder: Path, kind: BaselineKind, said: Said, *, limits: Path | None
) -> Acceptance:
    """Make a run the baseline of its kind; raises InputError as `poc.baseline.accept` does."""
    asked = read_limits(limits or DEFAULT_LIMITS)

    def status(own: RunStore, before: RunStore) -> GateStatus:
        return judge(own, before, f"{_name(folder)} ({kind})", asked).status

    return accept(run, folder, kind, said, status)


def _clear(folder: Path) -> None:
    for name in FILES:
        with disk.explained(folder):
            (folder / name).unlink(missing_ok=True)


def _name(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


def _read(store: RunStore, name: str) -> GateRun:
    return GateRun(
        name=name,
        plan=store.plan,
        generations=store.generations(),
        measurements=store.measurements(),
        latencies=store.latency(),
        resolved={one.arm_id: one for one in store.resolved()},
        fingerprints=store.fingerprints(),
        findings=store.findings,
        closed_reason=store.closed_reason,
    )


def _set_changes(head: RunStore, base: RunStore) -> tuple[Estimate, ...]:
    """Return the changes of KVD, which is in the clips' features and not in their measurements."""
    from poc.models import read_models
    from poc.run import judges_on_record
    from poc.set_metrics import changes_between

    asked = [store.plan.spec.metrics for store in (head, base)]
    if not all("kvd" in metrics for metrics in asked):
        return ()
    return changes_between(head, base, judges_on_record(head, read_models()))


def _write(result: GateResult, folder: Path) -> dict[str, Path]:
    text = json.dumps(result.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=1)
    made = (text.encode() + b"\n", junit(result), markdown(result).encode())
    files = dict(zip(FILES, made, strict=True))
    disk.make_folder(folder)
    for name, data in files.items():
        disk.publish(folder / name, data)
    disk.sync_folder(folder)
    return {name: folder / name for name in files}
