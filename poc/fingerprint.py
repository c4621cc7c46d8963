"""Where a run was made: machine, GPUs, driver, packages, commit. Loads none of the big libraries.

What cannot be told is "unknown", which is neither "none" nor "unchanged". Machine names stay out:
`machine` tells one machine from another without naming it.
"""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from poc.records import Record

UNKNOWN, ABSENT = "unknown", "absent"

PACKAGES = (
    "accelerate",
    "av",
    "diffusers",
    "numpy",
    "open-clip-torch",
    "opencv-python-headless",
    "peft",
    "pillow",
    "pydantic",
    "safetensors",
    "scipy",
    "torch",
    "torchmetrics",
    "torchvision",
    "transformers",
)
"""Packages whose version may change a number."""

SETTINGS = (
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
)
"""Environment variables that may change a number or a time."""

VIDEO_ENCODER = "libvpx-vp9 (VP9, BSD-3-Clause)"
"""Encoder of the viewing copies; no metric sees its output."""

_TIMEOUT_S = 10.0


class Gpu(NamedTuple):
    """One device as its driver names it."""

    name: str
    memory_mib: str
    driver: str


class Fingerprint(Record):
    """Provenance: recorded with a run and compared on resume; part of no id."""

    machine: str
    """First 16 hex digits of the SHA-256 of the host name."""
    system: str
    cpu: str
    cpus: int
    """Processors that this process may use."""
    memory_mib: int | None
    gpus: tuple[str, ...] | None
    """Name and memory of each; empty: none; None: unknown."""
    gpu_driver: str
    """A version, "absent" or "unknown"."""
    python: str
    packages: dict[str, str]
    """Package -> version, or "absent"."""
    commit: str
    """Commit of the checkout that runs; "unknown" outside a checkout."""
    modified: bool | None
    """Whether tracked files differ from that commit; None: unknown."""
    settings: dict[str, str]
    """Environment variable -> value, or "unset"."""
    video_encoder: str


def take_fingerprint() -> Fingerprint:
    """Look at this machine and this installation; takes well under a second without a GPU."""
    gpus = _gpus()
    commit, modified = _commit(Path(__file__).resolve().parent.parent)
    return Fingerprint(
        machine=hashlib.sha256(socket.gethostname().encode()).hexdigest()[:16],
        system=platform.platform(),
        cpu=_cpu(),
        cpus=usable_cores(),
        memory_mib=_memory_mib(),
        gpus=None if gpus is None else tuple(f"{gpu.name}, {gpu.memory_mib} MiB" for gpu in gpus),
        gpu_driver=UNKNOWN if gpus is None else gpus[0].driver if gpus else ABSENT,
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        commit=commit,
        modified=modified,
        settings={name: os.environ.get(name, "unset") for name in SETTINGS},
        video_encoder=VIDEO_ENCODER,
    )


def machine_name(device: str) -> str:
    """Return what people call a device: `cpu` -> the processor, `cuda:0` -> that GPU."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return _cpu()
    gpus = _gpus() or ()
    index = int(number or 0)
    return gpus[index].name if index < len(gpus) else UNKNOWN


def device_memory_bytes(device: str) -> int | None:
    """Return what a device can hold, before anybody uses it; None where nobody says."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        mib = _memory_mib()
        return None if mib is None else mib * 2**20
    if number and not number.isdecimal():
        return None
    gpus, index = _gpus() or (), int(number or 0)
    known = index < len(gpus) and gpus[index].memory_mib.isdecimal()
    return int(gpus[index].memory_mib) * 2**20 if known else None


# --- parts ---------------------------------------------------------------------------------------


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ABSENT


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or UNKNOWN


def _memory_mib() -> int | None:
    with suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return None


@cache
def _gpus() -> tuple[Gpu, ...] | None:
    """Ask the driver's own tool. Empty: no driver here; None: there is one, but it does not say."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None if Path("/proc/driver/nvidia/version").exists() else ()
    text = _output(
        [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    )
    if text is None:
        return None
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line]
    return tuple(Gpu(*row) for row in rows) if all(len(row) == 3 for row in rows) else None


def _commit(root: Path) -> tuple[str, bool | None]:
    """Return commit and whether tracked files were modified; of this project's checkout only."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return UNKNOWN, None
    commit = _output([git, "-C", str(root), "rev-parse", "HEAD"])
    status = _output([git, "-C", str(root), "status", "--porcelain", "--untracked-files=no"])
    return (commit or "").strip() or UNKNOWN, None if status is None else bool(status.strip())


def _output(command: list[str]) -> str | None:
    """Return what a program prints, None when it fails or hangs."""
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed arguments
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True, env=quiet
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout


# --- memory --------------------------------------------------------------------------------------


def reset_peak_memory() -> None:
    """Let the next `peak_memory_bytes` count from now, where system and device allow it."""
    # proc(5): 5 resets VmHWM, the highest resident size of this process.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    if (cuda := _cuda()) is not None:
        cuda.reset_peak_memory_stats()


def free_cached_memory() -> None:
    """Give back what a failed computation left behind, so that it is not missing in the next."""
    gc.collect()
    if (cuda := _cuda()) is not None:
        cuda.empty_cache()


def peak_memory_bytes() -> int:
    """Return the peak since the last reset: of the CUDA device in use, else of this process."""
    if (cuda := _cuda()) is not None:
        return int(cuda.max_memory_allocated())
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _cuda() -> Any:
    """Return `torch.cuda` when somebody else has loaded torch and uses a device, else None."""
    torch = sys.modules.get("torch")
    in_use = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
    return torch.cuda if in_use and torch is not None else None


def commits(machines: Iterable[Fingerprint]) -> str:
    """Return every commit that a run was made with, in order, each once."""
    return ", ".join(dict.fromkeys(machine.commit for machine in machines)) or "unknown"
