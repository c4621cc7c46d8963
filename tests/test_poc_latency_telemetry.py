"""What pages say of the device: counts, spans and energy over the clips that were told of."""

from __future__ import annotations

from statistics import median
from typing import Any, Final

import pytest
import small_run

from poc import records as r
from poc.latency_telemetry import RunTelemetry, Share, Span, run_telemetry

PLAN: Final = small_run.plan()


def told(**changes: Any) -> r.Telemetry:
    """A whole answer; what is changed to None is said to be unknown."""
    fields: dict[str, Any] = {
        "energy_j": 100.0, "sm_clock_mhz": 1980, "memory_clock_mhz": 3201, "power_w": 600.0,
        "temperature_c": 60, "clock_reasons": (), "used_bytes": 5, "other_processes": 0,
        "other_bytes": 0,
    } | changes  # fmt: skip
    missing = {name: "Not Supported" for name, value in fields.items() if value is None}
    return r.Telemetry(**fields, untold=missing)


def seen(*answers: r.Telemetry | None, **changes: Any) -> RunTelemetry:
    """The first arm timed once for each answer, after a cold call that is throttled."""
    cold = told(clock_reasons=("hw_slowdown",), energy_j=1e6, sm_clock_mhz=1)
    one = small_run.latency(PLAN.arms[0])
    samples = [
        one.model_copy(update={"round": number - 1, "telemetry": answer, **changes})
        for number, answer in enumerate([cold, *answers])
    ]
    return run_telemetry(PLAN, samples)


@pytest.mark.parametrize("n", [1, 5, 6, 7])
def test_energy_is_a_median_with_an_interval_from_6_clips_on(n: int) -> None:
    joules = [float(100 + value**2) for value in range(n)]
    energy = seen(*(told(energy_j=one) for one in joules)).arms[0].energy

    assert (energy.median_j, energy.n) == (median(joules), n)
    # All of n lie on one side of the median with chance 2 ** (1 - n): 95 % from 6 on.
    ends = (min(joules), max(joules)) if 2 ** (1 - n) <= 0.05 else (None, None)
    assert (energy.low_j, energy.high_j) == ends
    assert bool(energy.reason) == (ends == (None, None))


def test_energy_stands_on_the_clips_that_were_told_of() -> None:
    energy = seen(told(energy_j=None), told(energy_j=3.0), None).arms[0].energy

    assert (energy.median_j, energy.n) == (3.0, 1)


def test_throttled_are_the_clips_that_idleness_or_a_chosen_clock_does_not_explain() -> None:
    device = seen(
        told(),
        told(clock_reasons=("gpu_idle",)),
        told(clock_reasons=("applications_clocks_setting", "sw_power_cap")),
        told(clock_reasons=("sw_power_cap", "sw_thermal_slowdown")),
        told(clock_reasons=None),
        None,
    ).device

    assert device.throttled == Share(2, 4)
    assert device.reasons == (("sw_power_cap", 2), ("sw_thermal_slowdown", 1))
    assert (device.n_read, device.n) == (5, 6)
    assert device.untold == (("clock_reasons", "Not Supported"),)


def test_other_tenants_are_counted_by_clip_with_the_most_that_they_held() -> None:
    others = [told(other_processes=2, other_bytes=7), told(other_processes=1, other_bytes=None)]
    device = seen(told(), told(other_processes=None, other_bytes=None), *others).device

    assert (device.shared, device.most_other_bytes) == (Share(2, 3), 7)


def test_a_span_is_over_what_was_told() -> None:
    clocks = [told(sm_clock_mhz=mhz) for mhz in (1980, None, 1200)]
    device = seen(*clocks).device

    assert device.sm_clock_mhz == Span(1200, 1980, 2)


def test_a_run_of_which_nothing_was_told_has_no_number() -> None:
    found = seen(None, None)

    assert (found.device.n, found.device.n_read) == (2, 0)
    assert found.device.throttled.share is None
    assert found.device.sm_clock_mhz is None
    assert found.arms[0].energy[:4] == (None, None, None, 0)


def test_a_driver_that_tells_nothing_was_not_read() -> None:
    blank = told(**dict.fromkeys(set(r.Telemetry.model_fields) - {"untold"}))

    assert seen(blank).device.n_read == 0


def test_clips_of_two_devices_have_no_common_energy() -> None:
    one = small_run.latency(PLAN.arms[0]).model_copy(update={"telemetry": told()})
    other = one.model_copy(update={"round": 1, "device": "another"})
    energy = run_telemetry(PLAN, [one, other]).arms[0].energy

    assert energy.median_j is None
    assert "timed on another and on cpu" in energy.reason
