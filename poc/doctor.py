"""What a machine can run, what it lacks, and what to type: pure, from what was seen of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from poc.fingerprint import ABSENT, Fingerprint
from poc.records import Plan, PreflightFinding, Severity

INSTALL: Final = "make setup"
ROOM_BYTES: Final = 20 * 2**30
"""Models of one spec at real size, with what their clips take."""
_GIB: Final = 2**30


class State(StrEnum):
    """Whether something stands in the way."""

    OK = "ok"
    LIMITED = "limited"
    """It does less than it could."""
    MISSING = "missing"


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    type: str
    """What to type or do; empty where nothing is to be done."""


class Cuda(NamedTuple):
    """What torch says of CUDA."""

    built_for: str | None
    """Version that torch was built with; None: it was built without."""
    devices: int
    """Devices that it can use."""


def check_machine(
    seen: Fingerprint, cuda: Cuda | None, *, free_disk_bytes: int
) -> tuple[Check, ...]:
    """Return what was found of packages, GPU, memory and disk; `cuda` is None without torch."""
    return (_packages(seen), _gpu(seen, cuda), _memory(seen), _disk(free_disk_bytes))


def check_spec(
    plan: Plan, findings: Iterable[PreflightFinding], *, spec: str, devices: int
) -> Check:
    """Return whether a spec runs here; `spec` is what to type for it, `devices` counts GPUs."""
    errors = [one.code for one in findings if one.severity is Severity.ERROR]
    needs_gpu = plan.spec.dtype != "float32" and devices == 0
    device = " --device cuda:0" if devices and plan.spec.dtype != "float32" else ""
    if any(code in {"model-unpinned", "model-not-fetched"} for code in errors):
        rest = sorted({*errors} - {"model-unpinned", "model-not-fetched"})
        found = ", ".join(["models not fetched", *rest, *(["no GPU"] if needs_gpu else [])])
        return Check(plan.spec.name, State.MISSING, found, f"poc fetch {spec}")
    if errors:
        return Check(plan.spec.name, State.MISSING, ", ".join(errors), f"poc plan {spec}")
    if needs_gpu:
        found = f"{plan.spec.dtype} needs a GPU"
        return Check(plan.spec.name, State.MISSING, found, "a machine with a CUDA device")
    return Check(plan.spec.name, State.OK, "runs here", f"poc run {spec}{device}")


def doctor_text(machine: Sequence[Check], specs: Sequence[Check]) -> str:
    """Return all checks as a table, machine first."""
    rows = [*machine, *specs]
    names, states = max(len(one.name) for one in rows), max(len(one.state) for one in rows)
    return "\n".join(
        [
            "machine",
            *_lines(machine, names, states),
            "specs that come along",
            *_lines(specs, names, states),
        ]
    )


def _lines(rows: Iterable[Check], names: int, states: int) -> Iterator[str]:
    for one in rows:
        mend = f"  ->  {one.type}" if one.type else ""
        yield f"  {one.state:<{states}}  {one.name:<{names}}  {one.found}{mend}"


# --- parts ---------------------------------------------------------------------------------------


def _packages(seen: Fingerprint) -> Check:
    absent = [name for name, version in seen.packages.items() if version == ABSENT]
    if absent:
        return Check("packages", State.MISSING, f"not installed: {', '.join(absent)}", INSTALL)
    versions = {name: seen.packages[name] for name in ("torch", "diffusers", "transformers")}
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check("packages", State.OK, f"{found}, Python {seen.python}", "")


def _gpu(seen: Fingerprint, cuda: Cuda | None) -> Check:
    """Hold the driver's answer against torch's: each may lack what the other has."""
    if seen.gpus is None:
        return Check(
            "GPU", State.LIMITED, "there is a driver, but it does not answer", "nvidia-smi"
        )
    if not seen.gpus:
        return Check("GPU", State.LIMITED, "none: the tiny specs run on the CPU", "")
    named = f"{'; '.join(seen.gpus)}; driver {seen.gpu_driver}"
    if cuda is None:
        return Check("GPU", State.LIMITED, f"{named}; torch is not installed", INSTALL)
    if cuda.built_for is None:
        return Check("GPU", State.LIMITED, f"{named}; torch was built for CPUs only", INSTALL)
    if cuda.devices == 0:
        found = f"{named}; too old for CUDA {cuda.built_for}, or hidden from this process"
        return Check("GPU", State.LIMITED, found, "update the driver; echo $CUDA_VISIBLE_DEVICES")
    found = f"{named}; CUDA {cuda.built_for}, {cuda.devices} usable"
    return Check("GPU", State.OK, found, "")


def _memory(seen: Fingerprint) -> Check:
    if seen.memory_mib is None:
        return Check("memory", State.LIMITED, "unknown", "")
    return Check("memory", State.OK, f"{seen.memory_mib / 1024:.1f} GiB, {seen.cpus} CPUs", "")


def _disk(free_bytes: int) -> Check:
    found = f"{free_bytes / _GIB:.1f} GiB free here"
    if free_bytes < ROOM_BYTES:
        room = f"{found}; models of real size and their clips take about {ROOM_BYTES // _GIB}"
        return Check("disk", State.LIMITED, room, "free some space, or give --out elsewhere")
    return Check("disk", State.OK, found, "")
