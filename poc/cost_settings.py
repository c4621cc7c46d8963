"""What a deliverable costs by other settings: a slower one that people accept more often. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poc.cost import SIMULATIONS
from poc.cost_case import Case, draws, only
from poc.cost_file import CostInputs
from poc.cost_records import SettingCost
from poc.cost_sensitivity import share_within_all, spread
from poc.records import Arm


def settings_beside(
    ours: CostInputs,
    others: Sequence[tuple[Arm, CostInputs]],
    *,
    seed: int,
    simulations: int = SIMULATIONS,
) -> tuple[SettingCost, ...]:
    """Return what a deliverable costs by each of `others` beside `ours`.

    All are inputs in use, with the seconds and the votes of their own arm. What is the same for
    both, such as a wage, is drawn once for both; what was measured of each is drawn apart. Where
    the same people judged both on the same prompts they err alike, which makes this less sure
    than it could be.
    """
    case = Case(ours, seed, simulations)
    mine = case.figures(case.drawn).cost_per_deliverable
    stated = only(case.figures(case.base).cost_per_deliverable)
    found = []
    for place, (arm, inputs) in enumerate(others, start=1):
        other = Case(inputs, seed, simulations)
        apart = draws(other.numbers, seed=(seed, place), runs=simulations)
        own = {name for name, one in other.numbers.items() if one != case.numbers.get(name)}
        drawn = other.drawn | {name: apart[name] for name in own}
        figures, base = other.figures(drawn), other.figures(other.base)
        cost, each = figures.cost_per_deliverable, only(base.cost_per_deliverable)
        found.append(
            SettingCost(
                arm_id=arm.id,
                arm=arm.name,
                acceptance=inputs.material.acceptance_rate,
                cost_per_deliverable=each,
                saving_per_deliverable=each - stated,
                working_days=only(base.working_days),
                drawn=spread(cost),
                share_cheaper=float(np.mean(cost < mine)),
                share_within_all=share_within_all(other, figures),
            )
        )
    return tuple(found)
