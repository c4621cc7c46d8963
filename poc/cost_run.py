"""Seconds per clip from a run folder: the one thing that the cost model takes from a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from poc.chosen_arm import arm_named, recommended_arm
from poc.cost_file import LEAST, MOST, Quantity, Text
from poc.cost_records import TimedSeconds
from poc.errors import InputError
from poc.records import Arm, LatencySample
from poc.store import RunStore

TINY: Final = "tiny-"
"""How the ids of the tiny world's models begin."""

_TEXT: Final = TypeAdapter(Text)


def seconds_of_run(run: Path, arm: str | None) -> TimedSeconds:
    """Return the median seconds of an arm's warm clips, prompt in to file out, with their range.

    `arm` is a name; None takes the arm that the run's decision recommends. The range is that of
    the single clips: wider than what is known of the median, since a month has slow clips too.

    Raises:
        InputError: no run, no such arm, nothing timed, or timed on several devices.
    """
    with RunStore.open_reader(run) as store:
        chosen = recommended_arm(store, "--arm") if arm is None else arm_named(store, arm, "--arm")
        samples = [s for s in store.latency() if s.arm_id == chosen.id and s.round >= 0]
        return TimedSeconds(
            seconds_per_clip=_range(run, chosen, samples, store.manifest.created[:10]),
            device=samples[0].device,
            shape=chosen.shape,
            rounds=len({sample.round for sample in samples}),
            is_demonstration=_is_demonstration(store, chosen),
        )


def _is_demonstration(store: RunStore, arm: Arm) -> bool:
    """Tell whether the clips show how it works rather than what is to be bought.

    Tiny weights are told by their ids in any kind of run: their seconds are those of a toy.
    """
    tiny = any(name.startswith(TINY) for name in arm.model_digests)
    return tiny or store.plan.spec.kind == "demonstration"


def _range(run: Path, arm: Arm, samples: Sequence[LatencySample], day: str) -> Quantity:
    device = _device(run, arm, samples)
    seconds = np.array([sample.total_s for sample in samples])
    if not (seconds >= LEAST).all() or seconds.max() > MOST:
        raise InputError(
            f"{run}: expected timed clips of {LEAST:g} to {MOST:g} seconds, got {seconds.min():g} "
            f"to {seconds.max():g}. The run's latency records are damaged: time it again."
        )
    return Quantity(
        value=float(np.median(seconds)),
        low=float(seconds.min()),
        high=float(seconds.max()),
        unit="s/clip",
        date=day,
        source=f"median of {len(samples)} timed clips of {arm.name[:80]} on {device[:100]}",
        example=False,
    )


def _device(run: Path, arm: Arm, samples: Sequence[LatencySample]) -> str:
    """Return the one device of the samples; its name and the arm's must be what people can read."""
    if not samples:
        raise InputError(
            f"{run}: expected timed clips of arm {_shown(arm.name)}, got none. Let the run time "
            "them, or leave out --run and state seconds in the inputs."
        )
    devices = sorted({sample.device for sample in samples})
    if len(devices) > 1:
        shown = ", ".join(map(_shown, devices))
        raise InputError(
            f"{run}: arm {_shown(arm.name)} was timed on several devices ({shown}). Time it on "
            "one, in a run of its own."
        )
    for text in (devices[0], arm.name):
        try:
            _TEXT.validate_python(text)
        except ValidationError as error:
            raise InputError(
                f"{run}: expected arm and device by names of 2 to 300 plain letters, got "
                f"{_shown(text)}. The run's records are damaged: time it again."
            ) from error
    return devices[0]


def _shown(text: str) -> str:
    r"""Return a name of a run folder so that it steers no terminal.

    >>> _shown("cpu\x1b[31m")
    "'cpu\\x1b[31m'"
    """
    return ascii(text[:100])
