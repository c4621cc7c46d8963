"""Devices and threads: the few questions that only torch can answer."""

from __future__ import annotations

import os

import torch

from poc.errors import InputError


def set_threads(threads: int) -> None:
    """Fix the number of threads of this process; results can depend on it."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)


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
