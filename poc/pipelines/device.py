"""Devices, threads and memory of a process that runs models."""

from __future__ import annotations

import ctypes
import os
from typing import Final

import torch

from poc.errors import InputError

DTYPES: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt(3)."""
_KEEP_BYTES = (2**30, 2**25)
"""What is asked for, the most that older versions of glibc allow last."""


def set_up_process(threads: int) -> None:
    """Fix the number of threads of this process, on which results can depend; keep its memory.

    glibc gives large blocks back to the system as soon as they are free, and every tensor of a
    network pass is a large block: a tenth of the time went into getting the same pages again, more
    for a guided pass than for one without. Other C libraries are left as they are.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and any(mallopt(_M_MMAP_THRESHOLD, size) for size in _KEEP_BYTES):
        mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES[0])  # alone it would make things slower


def cuda_state() -> tuple[str | None, int]:
    """Return the CUDA version that torch was built with, None without, and the devices it sees."""
    return torch.version.cuda, torch.cuda.device_count()


def cuda_uuid(device: str) -> str | None:
    """Return the UUID by which the driver knows a CUDA device, None for a CPU.

    The number in `cuda:N` does not tell: CUDA_VISIBLE_DEVICES gives devices other numbers.
    """
    if torch.device(device).type != "cuda":
        return None
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def check_device(device: str) -> None:
    """Refuse a device that is not there, before anything is written."""
    if device == "cpu":
        return
    name, _, number = device.partition(":")
    count = torch.cuda.device_count() if name == "cuda" else 0
    if name != "cuda" or not number.isdecimal() or int(number) >= count:
        raise InputError(
            f"--device {device}: expected cpu or cuda:N with N below {count}, the number of CUDA "
            "devices found; check the driver with nvidia-smi."
        )
