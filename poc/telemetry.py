"""Asks a GPU's driver (NVML) about one timed clip: energy, clocks, power, heat, other processes.

The device is found by its UUID. Nothing is asked while the clock runs: energy is a counter of the
device, read before and after; all else is asked once, when the last frame is decoded, with the
clock stopped. No thread samples power and clocks in between, because it would disturb what is
timed: what happened and ended earlier in the clip is not seen.

The driver renews the energy counter at intervals that it does not state, so the energy of a short
clip is off by up to what the device draws in one. What the driver does not tell is None with the
reason, never 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from poc.records import Telemetry

T = TypeVar("T")

CLOCK_REASONS: Final[Mapping[int, str]] = {
    0: "gpu_idle",
    1: "applications_clocks_setting",
    2: "sw_power_cap",
    3: "hw_slowdown",
    4: "sync_boost",
    5: "sw_thermal_slowdown",
    6: "hw_thermal_slowdown",
    7: "hw_power_brake_slowdown",
    8: "display_clock_setting",
    9: "board_limit",
    10: "reliability",
}
"""Bit -> why clocks are not higher (nvml.h, nvmlClocksEventReasons)."""

FIELDS: Final = tuple(name for name in Telemetry.model_fields if name != "untold")


def reason_names(mask: int) -> tuple[str, ...]:
    """Return what the bits of the driver's mask mean, lowest first; a new bit is not left out.

    >>> reason_names(0), reason_names(0b1000000000100)
    ((), ('sw_power_cap', 'bit_12'))
    """
    bits = (bit for bit in range(mask.bit_length()) if mask >> bit & 1)
    return tuple(CLOCK_REASONS.get(bit, f"bit_{bit}") for bit in bits)


class Meter:
    """Reads one device around one clip at a time: `begin`, `look`, `end`.

    Without a UUID there is nothing to read, and `end` returns None.
    """

    def __init__(self, uuid: str | None) -> None:
        self._uuid = uuid
        self._told: dict[str, Any] = {}
        self._untold: dict[str, str] = {}
        self._begun_mj: int | None = None
        self._nvml: Any = None
        self._blind = "" if uuid is None else self._open(uuid)

    def _open(self, uuid: str) -> str:
        """Find the device; return why it cannot be asked, empty where it can."""
        try:
            import pynvml
        except ImportError:
            return "no NVML: the package nvidia-ml-py is not installed"
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except pynvml.NVMLError as error:
            return f"no NVML: {error}"
        self._nvml = pynvml
        return ""

    def begin(self) -> None:
        """Read the energy counter before the clip."""
        self._told, self._untold = {}, {}
        self._begun_mj = self._energy_mj()

    def look(self) -> None:
        """Ask for the state of the device, which has just worked; takes some milliseconds."""
        nvml = self._nvml
        if nvml is None:
            return
        device = self._handle
        self._ask("sm_clock_mhz", lambda: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM))
        self._ask(
            "memory_clock_mhz", lambda: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM)
        )
        self._ask("power_w", lambda: nvml.nvmlDeviceGetPowerUsage(device) / 1000)
        self._ask(
            "temperature_c",
            lambda: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
        )
        self._ask(
            "clock_reasons",
            lambda: reason_names(nvml.nvmlDeviceGetCurrentClocksEventReasons(device)),
        )
        self._ask("used_bytes", lambda: nvml.nvmlDeviceGetMemoryInfo(device).used)
        self._look_at_others()

    def end(self) -> Telemetry | None:
        """Read the energy counter after the clip, and return all that the driver told."""
        if self._uuid is None:
            return None
        if self._blind:
            blank = dict.fromkeys(FIELDS)
            return Telemetry(**blank, untold=dict.fromkeys(FIELDS, self._blind))
        self._told["energy_j"] = self._energy_j()
        return Telemetry(**self._told, untold=self._untold)

    def _energy_mj(self) -> int | None:
        """Return the millijoules since the driver was loaded; on a failure the reason is kept."""
        nvml = self._nvml
        if nvml is None:
            return None
        return self._try("energy_j", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    def _energy_j(self) -> float | None:
        ended_mj = self._energy_mj()
        if self._begun_mj is None or ended_mj is None:
            return None
        if ended_mj <= self._begun_mj:
            self._untold["energy_j"] = "the device's counter did not rise during the clip"
            return None
        return (ended_mj - self._begun_mj) / 1000

    def _look_at_others(self) -> None:
        """Count the other processes; the driver's list tells only where this one is on it."""
        names = ("other_processes", "other_bytes")
        self._told |= dict.fromkeys(names)
        nvml = self._nvml
        listed = self._try(
            "other_processes", lambda: nvml.nvmlDeviceGetComputeRunningProcesses_v3(self._handle)
        )
        if listed is None:
            self._untold["other_bytes"] = self._untold["other_processes"]
            return
        if os.getpid() not in {one.pid for one in listed}:
            reason = "the driver does not list this process: its list is not that of this container"
            self._untold |= dict.fromkeys(names, reason)
            return
        used = {one.pid: one.usedGpuMemory for one in listed if one.pid != os.getpid()}
        self._told["other_processes"] = len(used)
        if None in used.values():
            self._untold["other_bytes"] = "the driver does not tell the memory of a process"
        else:
            self._told["other_bytes"] = sum(used.values())

    def _ask(self, name: str, question: Callable[[], Any]) -> None:
        self._told[name] = self._try(name, question)

    def _try(self, name: str, question: Callable[[], T]) -> T | None:
        """Return the answer; None where the driver refuses, whose words are then kept."""
        try:
            return question()
        except self._nvml.NVMLError as error:
            self._untold[name] = str(error)
            return None
