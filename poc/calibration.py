"""What a machine needs for one evaluation and one clip, from a run that timed arms. Pure.

A minute of `latency-before-weights` is enough: seconds hardly depend on what weights say.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from poc.errors import InputError
from poc.plan import Calibration
from poc.records import LatencySample, Plan


def calibrated(
    plan: Plan, timed: Plan, samples: Iterable[LatencySample], *, source: str
) -> Calibration:
    """Return seconds for `plan` from the timed clips of another run of the same shape.

    `seconds_per_nfe` is the median of denoising over evaluations, `seconds_per_clip` that of text,
    decoding and encoding together; cold calls are left out.

    Raises:
        InputError: the run has no timed clip, or is of another shape, precision or family.
    """
    _refuse_others(plan, timed, source)
    evaluations = {arm.id: arm.sampling.nfe for arm in timed.generated}
    warm = [one for one in samples if one.round >= 0]
    if not warm:
        raise InputError(f"{source}: no clip was timed there. Give a run that timed some.")
    machines = sorted({one.device for one in warm})
    return Calibration(
        seconds_per_nfe=median(one.denoise_s / evaluations[one.arm_id] for one in warm),
        seconds_per_clip=median(one.text_s + one.decode_s + one.encode_s for one in warm),
        source=f"{len(warm)} timed clips of {source} on {', '.join(machines)}",
    )


def _refuse_others(plan: Plan, timed: Plan, source: str) -> None:
    for what, here, there in (
        ("shape", plan.spec.shape, timed.spec.shape),
        ("dtype", _every(plan, "dtype"), _every(timed, "dtype")),
        ("fast settings", _every(plan, "fast"), _every(timed, "fast")),
    ):
        if here != there:
            raise InputError(
                f"{source}: expected clips of {what} {here}, as in the plan, found {there}. Time "
                "this plan's own, with `weights: random` where nothing is fetched."
            )
    bases = {arm.base for arm in plan.generated} | {arm.base for arm in timed.generated}
    if len(bases) > 1:
        raise InputError(
            f"{source}: seconds are of one base's network and no other's, found "
            f"{', '.join(sorted(bases))}. Plan and time each base by a spec of its own."
        )
    untimed = {arm.family for arm in plan.generated} - {arm.family for arm in timed.generated}
    if untimed:
        raise InputError(
            f"{source}: no arm of family {', '.join(sorted(untimed))} was timed there. Time one."
        )


def _every(plan: Plan, setting: str) -> str:
    """Return the values that a plan's timed arms have of a setting, as text."""
    return ", ".join(sorted({str(getattr(arm, setting)) for arm in plan.generated}))
