"""`poc check`: two run folders in, the gate's answer and its files out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from poc import disk
from poc.errors import InputError
from poc.gate import compare
from poc.gate_limits import DEFAULT_LIMITS, read_limits
from poc.gate_records import GateResult, GateRun
from poc.gate_report import junit, markdown
from poc.records import Estimate
from poc.run_folder import refuse_links
from poc.store import RunStore

FOLDER = "gate"
"""Where the files go in HEAD, unless --out says otherwise."""

FILES = ("gate.json", "gate-junit.xml", "gate.md")


def check(
    head: Path, base: Path, *, limits: Path | None, out: Path | None
) -> tuple[GateResult, Mapping[str, Path]]:
    """Compare a run with its baseline and write the files; returns the result and their paths.

    The files of an earlier check go first: nobody shall find a pass where a check failed.

    Raises:
        InputError: no run, a run compared with itself, bad limits, records that contradict each
            other, or files that cannot be written.
    """
    own, folder = RunStore.open_reader(head), out or head / FOLDER
    for place in (head, folder):
        refuse_links(place)
    _clear(folder)
    asked = read_limits(limits or DEFAULT_LIMITS)
    if head.resolve() == base.resolve():
        raise InputError(
            f"{head}: expected another run as --baseline, got the same folder. "
            "A run compared with itself always passes and shows nothing."
        )
    other = RunStore.open_reader(base)
    before, now = _read(other, base), _read(own, head)
    now = replace(now, set_changes=_set_changes(own, other))
    try:
        result = compare(now, before, asked)
    except ValueError as error:
        raise InputError(f"{head} against {base}: {error}. Restore both from a copy.") from error
    return result, _write(result, folder)


def _clear(folder: Path) -> None:
    for name in FILES:
        with disk.explained(folder):
            (folder / name).unlink(missing_ok=True)


def _read(store: RunStore, path: Path) -> GateRun:
    return GateRun(
        name=os.fsencode(path).decode("utf-8", "replace"),
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
    from poc.run import judges_of
    from poc.set_metrics import changes_between

    asked = [store.plan.spec.metrics for store in (head, base)]
    if not all("kvd" in metrics for metrics in asked):
        return ()
    return changes_between(head, base, judges_of(read_models()))


def _write(result: GateResult, folder: Path) -> dict[str, Path]:
    text = json.dumps(result.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, indent=1)
    made = (text.encode() + b"\n", junit(result), markdown(result).encode())
    files = dict(zip(FILES, made, strict=True))
    disk.make_folder(folder)
    for name, data in files.items():
        disk.publish(folder / name, data)
    disk.sync_folder(folder)
    return {name: folder / name for name in files}
