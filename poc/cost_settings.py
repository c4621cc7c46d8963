"""What a deliverable costs by other settings: a slower one that people accept more often. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from poc import cost_findings as said
from poc.cost import SIMULATIONS
from poc.cost_case import Case, draws, only
from poc.cost_file import CostInputs
from poc.cost_records import SettingCost
from poc.cost_sensitivity import spread
from poc.records import Finding
from poc.verdicts import PASS_SHARE


def settings_beside(
    ours: CostInputs,
    others: Mapping[str, CostInputs],
    *,
    seed: int,
    simulations: int = SIMULATIONS,
) -> tuple[SettingCost, ...]:
    """Return what a deliverable costs by each of `others`, arm id -> inputs, beside `ours`.

    All are inputs in use, with the seconds and the votes of their own arm. What is the same for
    both, such as a wage, is drawn once for both; what was measured of each is drawn apart. People
    who judge both on the same prompts err alike in part, so that this is rather too unsure.
    """
    case = Case(ours, seed, simulations)
    mine = case.figures(case.drawn).cost_per_deliverable
    stated = only(case.figures(case.base).cost_per_deliverable)
    found = []
    for place, (arm_id, inputs) in enumerate(others.items(), start=1):
        other = Case(inputs, seed, simulations)
        apart = draws(other.numbers, seed=(seed, place), runs=simulations)
        own = {name for name, one in other.numbers.items() if one != case.numbers.get(name)}
        drawn = other.drawn | {name: apart[name] for name in own}
        cost, base = other.figures(drawn).cost_per_deliverable, other.figures(other.base)
        each = only(base.cost_per_deliverable)
        found.append(
            SettingCost(
                arm_id=arm_id,
                acceptance=inputs.material.acceptance_rate,
                cost_per_deliverable=each,
                saving_per_deliverable=each - stated,
                working_days=only(base.working_days),
                drawn=spread(cost),
                share_cheaper=float(np.mean(cost < mine)),
            )
        )
    return tuple(found)


def cheaper_settings(found: tuple[SettingCost, ...], names: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the settings that cost less in 95 % of the simulations, to be justified over."""
    for one in found:
        if one.share_cheaper >= PASS_SHARE:
            yield said.justify_over_setting(names[one.arm_id], one.share_cheaper)
