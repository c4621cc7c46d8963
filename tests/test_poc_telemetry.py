"""What a driver tells of a timed clip, by the real pynvml over a small library of our own in C."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydantic
import pytest
import small_run
from tiny_components import make_arm

from poc.generate import _Request, _timed
from poc.records import LatencySample, LatencyScenario, Prompt, Telemetry
from poc.telemetry import CLOCK_REASONS, FIELDS, Meter

ROOT: Final = Path(__file__).parent.parent
FIRST, SECOND = "GPU-0a", "GPU-0b"

# Two devices. The first has no energy counter; that of the second rises by FAKE_MJ a reading.
# Numbers of errors and structs as in nvml.h.
DRIVER: Final = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
typedef struct { int number; } Device;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } Process;
static Device first = {0}, second = {1};
static unsigned long asked(const char *name) {
    const char *value = getenv(name);
    return value ? strtoul(value, 0, 0) : 0;
}
int nvmlInitWithFlags(unsigned flags) { return OK; }
int nvmlDeviceGetHandleByUUID(const char *uuid, Device **device) {
    *device = strcmp(uuid, "GPU-0b") ? &first : &second;
    return strcmp(uuid, "GPU-0a") && strcmp(uuid, "GPU-0b") ? NOT_FOUND : OK;
}
int nvmlDeviceGetTotalEnergyConsumption(Device *device, unsigned long long *millijoules) {
    static unsigned long long counter = 9000000000000ULL;
    *millijoules = counter += asked("FAKE_MJ");
    return device == &first ? NOT_SUPPORTED : OK;
}
int nvmlDeviceGetClockInfo(Device *device, int kind, unsigned *mhz) {
    *mhz = (kind == 1 ? 1755 : kind == 2 ? 3201 : 0) - device->number;
    return OK;
}
int nvmlDeviceGetPowerUsage(Device *device, unsigned *milliwatts) {
    *milliwatts = 612345;
    return OK;
}
int nvmlDeviceGetTemperature(Device *device, int sensor, unsigned *celsius) {
    *celsius = 71;
    return sensor ? NOT_SUPPORTED : OK;
}
int nvmlDeviceGetCurrentClocksEventReasons(Device *device, unsigned long long *mask) {
    *mask = asked("FAKE_REASONS");
    return OK;
}
int nvmlDeviceGetMemoryInfo(Device *device, Memory *memory) {
    memory->total = 8ULL << 30, memory->free = 3ULL << 30, memory->used = 5ULL << 30;
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Device *device, unsigned *count, Process *found) {
    Process own = {getpid(), 1 << 20}, other = {1, 3ULL << 30};
    unsigned hidden = asked("FAKE_HIDDEN"), others = asked("FAKE_OTHERS"), room = *count;
    *count = !hidden + others;
    if (room < *count || !found) return *count ? INSUFFICIENT_SIZE : OK;
    if (!hidden) *found++ = own;
    if (asked("FAKE_BLIND")) other.used = ~0ULL;
    for (; others; others--, other.pid++) *found++ = other;
    return OK;
}
"""

PROGRAM: Final = """
import sys
from poc.telemetry import Meter
meter = Meter(sys.argv[1])
for _ in range(2):
    meter.begin(); meter.look(); told = meter.end()
print(told.to_json())
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library, under the name by which pynvml asks the loader for it."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.c").write_text(DRIVER, "utf-8")
    name = "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", name, "driver.c"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def told(folder: Path, uuid: str = SECOND, **settings: object) -> Telemetry:
    """What a process that finds this library reads of its second clip."""
    said = {f"FAKE_{name}": str(value) for name, value in {"MJ": 2500, **settings}.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, uuid],
        cwd=ROOT,
        env={**os.environ, **said, "LD_LIBRARY_PATH": str(folder), "CUDA_VISIBLE_DEVICES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Telemetry.from_json(done.stdout)


def test_every_answer_stands_in_its_unit(driver: Path) -> None:
    assert told(driver) == Telemetry(
        energy_j=2.5,
        sm_clock_mhz=1754,
        memory_clock_mhz=3200,
        power_w=612.345,
        temperature_c=71,
        clock_reasons=(),
        used_bytes=5 * 2**30,
        other_processes=0,
        other_bytes=0,
        untold={},
    )


def test_the_device_is_found_by_its_uuid_and_what_it_lacks_is_none_with_the_reason(
    driver: Path,
) -> None:
    # The only device that the process sees is cuda:0 there; the driver's number 0 is another one.
    found = told(driver, FIRST)

    assert (found.sm_clock_mhz, found.energy_j) == (1755, None)
    assert found.untold == {"energy_j": "Not Supported"}


def test_a_counter_that_stands_still_is_no_energy_of_0(driver: Path) -> None:
    found = told(driver, MJ=0)

    assert found.energy_j is None
    assert "did not rise" in found.untold["energy_j"]


def test_other_tenants_are_counted_with_their_memory(driver: Path) -> None:
    found = told(driver, OTHERS=2)

    assert (found.other_processes, found.other_bytes) == (2, 2 * 3 * 2**30)


def test_a_tenant_whose_memory_is_hidden_is_counted_without_it(driver: Path) -> None:
    found = told(driver, OTHERS=1, BLIND=1)

    assert (found.other_processes, found.other_bytes) == (1, None)
    assert found.untold.keys() == {"other_bytes"}


@pytest.mark.parametrize("others", [0, 1])
def test_a_list_without_this_process_says_nothing_of_others(driver: Path, others: int) -> None:
    # As in a container, where the driver's numbers of processes are not ours.
    found = told(driver, HIDDEN=1, OTHERS=others)

    assert found.other_processes is found.other_bytes is None
    assert found.untold.keys() == {"other_processes", "other_bytes"}


@pytest.mark.parametrize(
    ("mask", "names", "throttled"),
    [
        (0x1 | 0x2, ("gpu_idle", "applications_clocks_setting"), False),
        (0x1 | 0x4, ("gpu_idle", "sw_power_cap"), True),
        (0x20 | 0x40, ("sw_thermal_slowdown", "hw_thermal_slowdown"), True),
        (1 << 40, ("bit_40",), True),
    ],
)
def test_what_holds_the_clocks_down_is_named(
    driver: Path, mask: int, names: tuple[str, ...], *, throttled: bool
) -> None:
    found = told(driver, REASONS=mask)

    assert (found.clock_reasons, found.throttled) == (names, throttled)


def test_bits_have_the_names_that_pynvml_gives_them() -> None:
    pynvml = pytest.importorskip("pynvml")
    prefix = re.compile("nvmlClocks(?:Throttle|Event)Reason(?!None|All|UserDefined)")
    theirs = {
        getattr(pynvml, name): re.sub("(?<!^)(?=[A-Z])", "_", prefix.sub("", name)).lower()
        for name in dir(pynvml)
        if prefix.match(name)
    }

    assert {1 << bit: name for bit, name in CLOCK_REASONS.items()} == theirs


@pytest.mark.parametrize("uuid", ["GPU-unknown", SECOND])
def test_without_the_device_or_the_library_every_value_has_that_reason(
    driver: Path, tmp_path: Path, uuid: str
) -> None:
    (tmp_path / "libnvidia-ml.so.1").touch()  # no library: the loader refuses it
    found = told(driver if uuid != SECOND else tmp_path, uuid)

    reason = "Not Found" if uuid != SECOND else "NVML Shared Library Not Found"
    assert found.untold == dict.fromkeys(FIELDS, f"no NVML: {reason}")
    assert found.throttled is None


# -- the record ------------------------------------------------------------------------------------

READ: Final = Telemetry(
    energy_j=2.5,
    sm_clock_mhz=1755,
    memory_clock_mhz=3201,
    power_w=612.345,
    temperature_c=71,
    clock_reasons=("sw_power_cap",),
    used_bytes=5,
    other_processes=None,
    other_bytes=None,
    untold={"other_processes": "No Permission", "other_bytes": "No Permission"},
)


def test_a_sample_keeps_what_was_told_through_its_text() -> None:
    sample = small_run.latency(make_arm()).model_copy(update={"telemetry": READ})

    assert LatencySample.from_json(sample.to_json()) == sample


@pytest.mark.parametrize(
    "change",
    [{"untold": {}}, {"energy_j": None}, {"other_bytes": 0}, {"energy_j": 0.0}],
)
def test_what_is_missing_has_a_reason_and_nothing_else_has(change: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError, match=r"untold|energy_j"):
        Telemetry(**(dict(READ) | change))


def test_a_sample_of_a_cpu_has_the_bytes_that_it_had_before() -> None:
    sample = small_run.latency(make_arm())
    before = {
        "arm_id": sample.arm_id, "decode_s": 0.3, "denoise_s": 0.2, "device": "cpu",
        "encode_s": 0.4, "peak_memory_bytes": 1, "prompt_id": "p0", "round": 0, "text_s": 0.1,
        "total_s": 1.0,
    }  # fmt: skip

    assert sample.to_json() == json.dumps(before, sort_keys=True, separators=(",", ":"))


# -- the pass --------------------------------------------------------------------------------------


class _Steps:
    """A pipeline whose stages take 1, 2 and 3 seconds of a clock that only they move."""

    device = "cpu"

    def __init__(self) -> None:
        self.now = 0.0

    def synchronize(self) -> None:
        pass

    def encode(self, _texts: list[str]) -> None:
        self.now += 1

    def denoise(self, _embeddings: None, _seeds: list[int]) -> None:
        self.now += 2

    def decode(self, _latents: None) -> tuple[npt.NDArray[np.uint8], list[bool]]:
        self.now += 3
        return np.zeros((1, 2, 16, 16, 3), np.uint8), [True]


class _Slow(Meter):
    """A driver that takes its time over every question."""

    def __init__(self, steps: _Steps) -> None:
        super().__init__(None)
        self._steps = steps
        self.asked: list[tuple[str, float]] = []

    def _take(self, name: str) -> None:
        self.asked.append((name, self._steps.now))
        self._steps.now += 100

    def begin(self) -> None:
        self._take("begin")

    def look(self) -> None:
        self._take("look")

    def end(self) -> Telemetry:
        self._take("end")
        return READ


def timed(steps: _Steps, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> LatencySample:
    """One clip, timed by the clock of the steps."""
    prompt = Prompt(id="p", text="a", text_ja="a", language="en", attributes={})
    with monkeypatch.context() as patched:
        patched.setattr("poc.generate.time.perf_counter", lambda: steps.now)
        request = _Request(LatencyScenario.SINGLE, 0, (prompt,))
        return _timed(steps, make_arm(), request, meter)  # type: ignore[arg-type]


def test_asking_the_driver_costs_no_timed_second(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = _Steps()
    meter = _Slow(steps)
    sample = timed(steps, meter, monkeypatch)

    seconds = (sample.text_s, sample.denoise_s, sample.decode_s, sample.encode_s, sample.total_s)
    assert seconds == (1, 2, 3, 0, 6)
    assert meter.asked == [("begin", 0), ("look", 106), ("end", 206)]
    assert sample.telemetry == READ


def test_on_a_cpu_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    from poc.pipelines.device import cuda_uuid

    sample = timed(_Steps(), Meter(cuda_uuid("cpu")), monkeypatch)

    assert sample.telemetry is None
    assert "telemetry" not in sample.to_json()


def test_torch_tells_the_uuid_of_a_device() -> None:
    import torch

    kind = getattr(torch._C, "_CudaDeviceProperties", None)
    if kind is None:
        pytest.skip("torch without CUDA")
    assert hasattr(kind, "uuid")
