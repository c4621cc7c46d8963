"""Which arm of a run a command is about: the one that is named, or the one that is recommended."""

from __future__ import annotations

from pydantic import ValidationError

from poc.errors import InputError, did_you_mean
from poc.records import Arm, Decision
from poc.store import RunStore


def arm_named(store: RunStore, name: str, option: str) -> Arm:
    """Return the arm called `name`; raises `InputError` that speaks of `option`."""
    arms = {arm.name: arm for arm in store.plan.arms}
    if name not in arms:
        hint = did_you_mean(name, arms)
        raise InputError(f"{store.path}: {option}: this run has no arm '{name}'. {hint}")
    return arms[name]


def recommended_arm(store: RunStore, option: str) -> Arm:
    """Return the arm that the run's decision recommends.

    Raises:
        InputError: none is recommended, or decision.json cannot be read; says how to name one with
            `option`.
    """
    text = store.read_derived("decision.json")
    try:
        arm_id = None if text is None else Decision.from_json(text).recommended_arm_id
    except ValidationError as error:
        raise InputError(
            f"{store.path}: decision.json is damaged. `poc decide {store.path}` writes it anew; or "
            f"name an arm with {option}."
        ) from error
    found = next((arm for arm in store.plan.arms if arm.id == arm_id), None)
    if found is None:
        raise InputError(
            f"{store.path}: no arm is recommended in this run. Name one with {option}."
        )
    return found
