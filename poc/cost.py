"""Cost and return of a finished deliverable: the inputs of `poc.cost_file` in, one record out.

Pure. The arithmetic is in `poc.cost_model`, how sure it is in `poc.cost_sensitivity`, the light in
`poc.cost_light`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Final

from poc import cost_findings as said
from poc.cost_case import Case, only, reached
from poc.cost_file import (
    AlternativeName,
    Basis,
    CostInputs,
    GpuMode,
    currency_of,
    faults,
    stated,
)
from poc.cost_gpu import HOURS_PER_MONTH
from poc.cost_model import Figures, Part, alternative_cost
from poc.cost_records import (
    CostResult,
    GpuOption,
    JudgedClips,
    OtherWay,
    PartCost,
    Seconds,
    Swing,
    TimedSeconds,
    UnusedVotes,
)
from poc.cost_sensitivity import (
    assumed,
    curve,
    limits,
    share_within_all,
    simulation,
    tornado,
)
from poc.records import Finding

ROUNDS: Final = 6
"""Rounds from which on the range of single clips holds the median in 95 % of the cases.

All of n clips lie on one side of it in 2 of 2^n cases: 6.3 % with five, 3.1 % with six.
"""

SIMULATIONS: Final = 4000
"""Draws of a Monte Carlo: a share of one half is known to 1.6 points at two standard errors."""


def evaluate(
    inputs: CostInputs,
    *,
    seed: int,
    timed: TimedSeconds | None = None,
    judged: JudgedClips | UnusedVotes | None = None,
    simulations: int = SIMULATIONS,
) -> CostResult:
    """Return cost, return and their spread; the same inputs and seed give the same record.

    Raises:
        ValueError: the inputs are not what `read_cost` lets pass, or `simulations` is below 1.
    """
    if simulations < 1:
        raise ValueError(f"simulations: expected at least 1, got {simulations}; 4000 are usual")
    inputs = with_judged(with_seconds(inputs, timed), judged)
    if wrong := [fault.text for fault in faults(inputs)]:
        raise ValueError("\n".join(wrong))
    return _result(Case(inputs, seed, simulations), timed, judged)


def with_seconds(inputs: CostInputs, timed: TimedSeconds | None) -> CostInputs:
    """Return the inputs that are in use: with the seconds that a run timed, where it timed any."""
    if timed is None:
        return inputs
    gpu = inputs.gpu.model_copy(update={"seconds_per_clip": timed.seconds_per_clip})
    return inputs.model_copy(update={"gpu": gpu})


def with_judged(inputs: CostInputs, judged: JudgedClips | UnusedVotes | None) -> CostInputs:
    """Return the inputs that are in use: people's votes go before whatever the inputs state."""
    if not isinstance(judged, JudgedClips):
        return inputs
    new: dict[str, object] = {}
    if judged.acceptance is not None:
        new |= {"acceptance_rate": judged.acceptance, "acceptance_basis": Basis.VOTES}
    if judged.review is not None:
        new |= {"review_min_per_clip": judged.review, "review_basis": Basis.VOTES}
    return inputs.model_copy(update={"material": inputs.material.model_copy(update=new)})


# --- the result ----------------------------------------------------------------------------------


def _result(
    case: Case, timed: TimedSeconds | None, judged: JudgedClips | UnusedVotes | None
) -> CostResult:
    inputs, base = case.inputs, case.figures(case.base)
    drawn, clips = case.figures(case.drawn), inputs.material
    total, swings = only(base.cost_per_deliverable), tornado(case)
    parts = _parts(base, total)
    utilisation = case.numbers[f"gpu.{inputs.gpu.mode}.utilisation"].value
    hours = only(base.gpu_hours_per_month)
    return CostResult(
        name=inputs.name,
        name_ja=inputs.name_ja,
        currency=inputs.currency,
        deliverable=inputs.deliverable,
        compared_with=inputs.compared_with,
        gpu_model=inputs.gpu.model,
        mode=inputs.gpu.mode,
        deliverables_per_month=inputs.deliverables_per_month.value,
        horizon_months=inputs.horizon_months.value,
        seconds=_seconds(inputs, timed),
        acceptance=clips.acceptance_rate,
        acceptance_basis=clips.acceptance_basis,
        review=clips.review_min_per_clip,
        review_basis=clips.review_basis,
        judged=judged,
        attempts_per_accepted=only(base.attempts_per_accepted),
        reviewed_per_accepted=only(base.reviewed_per_accepted),
        energy_kwh_per_accepted_clip=only(base.energy_kwh_per_accepted),
        gpu_hours_per_month=hours,
        gpus=only(base.gpus),
        utilisation=utilisation,
        gpus_paid=only(base.gpus_paid),
        whole_gpus=max(math.ceil(only(base.gpus)), 1),
        other_work=inputs.gpu.other_work,
        fill=hours / HOURS_PER_MONTH / max(math.ceil(only(base.gpus)), 1),
        cost_per_accepted_clip=only(base.cost_per_accepted_clip),
        cost_per_deliverable=total,
        parts=parts,
        largest_part=said.largest_part(
            total,
            {one.part: one.share for one in parts},
            {one.part: one.per_deliverable for one in parts},
            inputs.currency,
        ),
        gpu_options=tuple(_gpu_options(case)),
        alternatives=tuple(_other_way(case, name, total) for name in AlternativeName),
        initial_cost=only(base.initial),
        first_year_cost=12 * only(base.first_year_month),
        later_year_cost=12 * only(base.later_month),
        working_days=only(base.working_days),
        break_even_per_month=reached(base.break_even_per_month),
        cheaper_below_per_month=reached(base.cheaper_below_per_month),
        payback_months=reached(base.payback_months),
        npv=only(base.npv),
        tornado=swings,
        simulation=simulation(case, drawn),
        curves=tuple(curve(case, name) for name in assumed(inputs)),
        limits=tuple(limits(case, base, drawn)),
        share_within_all=share_within_all(case, drawn),
        valid_until=inputs.valid_until,
        rollout=inputs.rollout,
        examples=_examples(case, swings),
        other_examples=sum(one.example for one in case.numbers.values())
        - len(_examples(case, swings)),
    )


def _seconds(inputs: CostInputs, timed: TimedSeconds | None) -> Seconds:
    one, doubt = inputs.gpu.seconds_per_clip, _doubt(inputs.gpu.model, timed)
    return Seconds(
        value=one.value,
        low=one.low,
        high=one.high,
        source=one.source,
        device=None if timed is None else timed.device,
        shape=None if timed is None else timed.shape,
        is_measured=doubt is None,
        doubt=doubt,
    )


def _doubt(model: str, timed: TimedSeconds | None) -> Finding | None:
    """Return why seconds are not measured on the GPU to be paid for; None where they are."""
    if timed is None:
        return said.only_stated()
    if timed.is_demonstration:
        return said.timed_in_demonstration(timed.shape)
    if not is_same_gpu(timed.device, model):
        return said.timed_elsewhere(timed.device)
    return said.too_few_rounds(timed.rounds, ROUNDS) if timed.rounds < ROUNDS else None


def is_same_gpu(device: str, model: str) -> bool:
    """Tell whether two names are of one GPU model, whatever the case and the dashes.

    The whole name counts: an H100 PCIe is not an H100 SXM.

    >>> is_same_gpu("NVIDIA H100-PCIe", "nvidia h100 pcie"), is_same_gpu("NVIDIA H100 NVL", "H100")
    (True, False)
    """
    one, other = (re.sub(r"[^a-z0-9]", "", text.casefold()) for text in (device, model))
    return one == other


def _parts(base: Figures, total: float) -> tuple[PartCost, ...]:
    costs = {part: only(base.parts[part]) for part in Part}
    return tuple(
        PartCost(
            part=part,
            label=said.PARTS[part],
            per_deliverable=cost,
            share=cost / total if total > 0 else 0.0,
        )
        for part, cost in costs.items()
    )


def _gpu_options(case: Case) -> Iterator[GpuOption]:
    """Yield every way of paying: whole GPUs for this work alone, and shared ones where named."""
    yield _gpu_option(case, GpuMode.RENTED, is_shared=False)
    for mode in (GpuMode.RESERVED, GpuMode.BOUGHT):
        for is_shared in (False, True) if case.is_shared else (False,):
            yield _gpu_option(case, mode, is_shared=is_shared)


def _gpu_option(case: Case, mode: GpuMode, *, is_shared: bool) -> GpuOption:
    base = case.figures(case.base, mode, is_shared=is_shared)
    is_rented = mode is GpuMode.RENTED
    return GpuOption(
        mode=mode,
        label=said.gpu_option(mode, is_shared=is_shared),
        is_shared=is_shared,
        is_taken=mode is case.inputs.gpu.mode and (is_rented or is_shared is case.is_shared),
        is_example=_is_example(case, f"gpu.{mode}.", "energy." if mode is GpuMode.BOUGHT else ""),
        gpus=only(base.gpus_paid),
        price_per_hour=only(base.gpu_hour_price),
        cost_per_accepted_clip=only(base.cost_per_accepted_clip),
        cost_per_deliverable=only(base.cost_per_deliverable),
        npv=only(base.npv),
    )


def _is_example(case: Case, *beginnings: str) -> bool:
    """Tell whether a number under one of these names, or its exchange rate, is an example."""
    asked = tuple(name for name in beginnings if name)
    for found in stated(case.inputs):
        if found.name.startswith(asked):
            rate = case.numbers.get(f"rates.{currency_of(found)}")
            if case.numbers[found.name].example or (rate is not None and rate.example):
                return True
    return False


def _other_way(case: Case, name: AlternativeName, ours: float) -> OtherWay:
    cost = only(alternative_cost(case.converted(case.base), name))
    days = case.numbers.get(f"alternatives.{name}.working_days")
    return OtherWay(
        name=name,
        label=said.ALTERNATIVES[name],
        is_example=_is_example(case, f"alternatives.{name}."),
        cost_per_deliverable=cost,
        saving_per_deliverable=cost - ours,
        working_days=None if days is None else days.value,
    )


def _examples(case: Case, swings: Iterable[Swing]) -> tuple[str, ...]:
    unused = tuple(_unused(case.inputs))
    return tuple(
        one.name
        for one in swings
        if case.numbers[one.name].example and not one.name.startswith(unused)
    )


def _unused(inputs: CostInputs) -> Iterator[str]:
    """Yield the beginnings of names on which neither cost nor return depends."""
    yield from (f"gpu.{mode}." for mode in GpuMode if mode is not inputs.gpu.mode)
    if inputs.gpu.mode is not GpuMode.BOUGHT:
        yield "energy."
    in_use = {inputs.compared_with, AlternativeName.OUTSOURCING}
    yield from (f"alternatives.{name}." for name in AlternativeName if name not in in_use)
