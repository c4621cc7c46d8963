"""Seconds per clip from a run folder: the one thing that the cost model takes from a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from poc.cost_file import Quantity
from poc.cost_records import TimedSeconds
from poc.errors import InputError, did_you_mean
from poc.records import Arm, Decision, LatencySample
from poc.store import RunStore


def seconds_of_run(run: Path, arm: str | None) -> TimedSeconds:
    """Return the median seconds of an arm's warm clips, prompt in to file out, with their range.

    `arm` is a name; None takes the arm that the run's decision recommends. The range is that of
    the single clips: wider than what is known of the median, since a month has slow clips too.

    Raises:
        InputError: no run, no such arm, nothing timed, or timed on several devices.
    """
    with RunStore.open_reader(run) as store:
        chosen = _named(store, arm) if arm is not None else _recommended(store)
        samples = [s for s in store.latency() if s.arm_id == chosen.id and s.round >= 0]
        return _timed(run, chosen, samples, store.manifest.created[:10])


def _named(store: RunStore, name: str) -> Arm:
    arms = {arm.name: arm for arm in store.plan.arms}
    if name not in arms:
        hint = did_you_mean(name, arms)
        raise InputError(f"{store.path}: --arm: this run has no arm '{name}'. {hint}")
    return arms[name]


def _recommended(store: RunStore) -> Arm:
    text = store.read_derived("decision.json")
    arm_id = None if text is None else Decision.from_json(text).recommended_arm_id
    found = next((arm for arm in store.plan.arms if arm.id == arm_id), None)
    if found is None:
        raise InputError(f"{store.path}: no arm is recommended in this run. Name one with --arm.")
    return found


def _timed(run: Path, arm: Arm, samples: Sequence[LatencySample], day: str) -> TimedSeconds:
    if not samples:
        raise InputError(
            f"{run}: expected timed clips of arm '{arm.name}', got none. Let the run time them, or "
            "leave out --run and state seconds in the inputs."
        )
    devices = sorted({sample.device for sample in samples})
    if len(devices) > 1:
        raise InputError(
            f"{run}: arm '{arm.name}' was timed on several devices ({', '.join(devices)}). "
            "Time it on one, in a run of its own."
        )
    seconds = np.array([sample.total_s for sample in samples])
    return TimedSeconds(
        device=devices[0],
        seconds_per_clip=Quantity(
            value=float(np.median(seconds)),
            low=float(seconds.min()),
            high=float(seconds.max()),
            unit="s/clip",
            date=day,
            source=f"median of {len(samples)} timed clips of {arm.name[:80]} on {devices[0][:100]}",
            example=False,
        ),
    )
