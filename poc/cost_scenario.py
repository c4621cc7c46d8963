"""What a deliverable would cost were some assumptions others: saved beside a run, never its answer.

A changed number has no source, so it counts as an example: no scenario can turn the economic light
to GO. The decision and its own money.json stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from poc import disk, run_folder
from poc.cost import evaluate
from poc.cost_file import Basis, CostInputs, Keys, Quantity, Stated, Text, faults, stated
from poc.cost_light import economic_light
from poc.cost_records import (
    ACCEPTANCE,
    REVIEW,
    CostResult,
    EconomicLight,
    JudgedClips,
    MoneyOfRun,
    UnusedVotes,
)
from poc.cost_run import seconds_of_run
from poc.errors import InputError
from poc.records import PriceBasis, Record, short_id

FOLDER: Final = "scenarios"
MOST: Final = 100
"""Scenarios of one run."""

_NAME: Final = TypeAdapter(Text)

SECONDS: Final = "gpu.seconds_per_clip"


class Change(Record):
    """A number that is assumed to be another, in the unit of the inputs."""

    name: str
    """Dotted, as in `poc.cost_file.stated`."""
    value: float
    low: float
    high: float


class Scenario(Record):
    """scenarios/<id>.json: the inputs of a decision with some numbers changed, and what follows."""

    format_version: Literal[1]
    name: Text
    kind: Literal["procurement", "demonstration"]
    basis: PriceBasis
    """Prices that were changed."""
    estimates_digest: str
    """Of the estimates that the decision stands on."""
    changes: Annotated[tuple[Change, ...], Field(min_length=1)]
    cost: CostResult
    economic: EconomicLight

    @property
    def scenario_id(self) -> str:
        """Name of its file: the same scenario saved again is the same file."""
        return short_id(self.model_dump(mode="json"))

    def is_of(self, money: MoneyOfRun) -> bool:
        """Tell whether it changes these prices, and not those of an earlier decision."""
        return (self.basis, self.estimates_digest) == (money.basis, money.estimates_digest)


def editable(inputs: CostInputs) -> tuple[Stated, ...]:
    """Return every assumption that has a range; limits are no assumptions."""
    return tuple(one for one in stated(inputs) if isinstance(one.number, Quantity))


def changed(inputs: CostInputs, changes: Sequence[Change]) -> CostInputs:
    """Return the inputs with some numbers replaced.

    Raises:
        InputError: no such assumption, one named twice, or a number that may not stand there.
    """
    known = {one.name: one for one in editable(inputs)}
    if len({one.name for one in changes}) != len(changes):
        raise InputError("scenario: expected each assumption once, got one twice. Leave one out.")
    for one in changes:
        if one.name not in known:
            raise InputError(f"scenario: '{one.name[:80]}' is no assumption of these prices.")
        inputs = _put(inputs, known[one.name].keys, _quantity(known[one.name], one))
    inputs = _assumed(inputs, {one.name for one in changes})
    if wrong := [fault.text for fault in faults(inputs)]:
        raise InputError("scenario: " + "\n".join(wrong))
    return inputs


def _assumed(inputs: CostInputs, names: Container[str]) -> CostInputs:
    """Return the inputs with what a scenario replaces called assumed, whoever measured it."""
    bases = {"acceptance_basis": ACCEPTANCE, "review_basis": REVIEW}
    new = {field: Basis.ASSUMED for field, name in bases.items() if name in names}
    return inputs.model_copy(update={"material": inputs.material.model_copy(update=new)})


def make_scenario(
    run: Path, money: MoneyOfRun, *, name: str, arm: str, changes: Sequence[Change]
) -> Scenario:
    """Return what follows from changed assumptions; seconds stay the run's unless they are changed.

    `arm` is the name of the arm that was priced. The simulation has the decision's own seed, so
    that equal inputs give equal numbers.

    Raises:
        InputError: as `changed` does; no change at all; a name that is none; or a run from before
            prices were kept.
    """
    if money.inputs is None:
        raise InputError(f"{run}: keeps no prices. Type `poc decide {run} --cost FILE` again.")
    _require(name, changes)
    inputs = changed(money.inputs, changes)
    is_timed = money.cost.seconds.device is not None and SECONDS not in {c.name for c in changes}
    timed = seconds_of_run(run, arm) if is_timed else None
    judged = _still_judged(money.cost.judged, changes)
    cost = evaluate(inputs, seed=money.basis.seed, timed=timed, judged=judged)
    return Scenario(
        format_version=1,
        name=name,
        kind=money.kind,
        basis=money.basis,
        estimates_digest=money.estimates_digest,
        changes=tuple(changes),
        cost=cost,
        economic=economic_light(cost),  # other settings were priced without its changes
    )


def _still_judged(
    judged: JudgedClips | UnusedVotes | None, changes: Sequence[Change]
) -> JudgedClips | UnusedVotes | None:
    """Return what people's votes still give where a scenario assumes something else."""
    names = {one.name for one in changes}
    gone = {"acceptance": ACCEPTANCE in names, "review": REVIEW in names}
    if all(gone.values()):
        return None
    if not isinstance(judged, JudgedClips):
        return judged
    return judged.model_copy(update={field: None for field, is_gone in gone.items() if is_gone})


def named(scenario: Scenario, name: str) -> Scenario:
    """Return the same scenario under another name; raises InputError for a name that is none."""
    _require(name, scenario.changes)
    return scenario.model_copy(update={"name": name})


def _require(name: str, changes: Sequence[Change]) -> None:
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        raise InputError("scenario: expected a name of 2 to 300 plain letters.") from error
    if not changes:
        raise InputError("scenario: expected at least one change, got none.")


def save_scenario(run: Path, scenario: Scenario) -> Path:
    """Write a scenario into its run, whole or not at all; returns its path.

    Raises:
        InputError: the run has its most already, the folder is a link, or the disk refuses.
    """
    folder = _folder(run)
    path = folder / f"{scenario.scenario_id}.json"
    disk.make_folder(folder)
    if not path.exists() and len(list(folder.glob("*.json"))) >= MOST:
        raise InputError(f"{folder}: has {MOST} scenarios already. Delete those nobody needs.")
    disk.publish(path, scenario.to_json().encode() + b"\n")
    disk.sync_folder(folder)
    return path


def read_scenarios(run: Path) -> tuple[tuple[Scenario, ...], tuple[str, ...]]:
    """Return the scenarios of a run by name, and what is wrong with files that hold none."""
    found, wrong = [], []
    for path in sorted(_folder(run).glob("*.json")):
        try:
            one = Scenario.from_json(run_folder.read_bytes(path))
        except (ValidationError, InputError):
            wrong.append(f"{path}: is no scenario that can be read. Delete it, or restore it.")
            continue
        if one.scenario_id != path.stem:
            wrong.append(f"{path}: was edited after it was saved. Delete it and make it anew.")
            continue
        found.append(one)
    return tuple(sorted(found, key=lambda one: one.name)), tuple(wrong)


def _folder(run: Path) -> Path:
    folder = run / FOLDER
    if folder.is_symlink():
        raise InputError(f"{folder}: is a link, which is not followed. Remove it.")
    return folder


def _quantity(before: Stated, one: Change) -> Quantity:
    number = before.number
    try:
        return Quantity(
            value=one.value,
            low=one.low,
            high=one.high,
            unit=number.unit,
            date=number.date,
            source=f"assumed in a scenario; was {number.value:g}",
            example=True,
        )
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"scenario: '{before.name}': {what}") from error


def _put(inputs: CostInputs, keys: Keys, number: Quantity) -> CostInputs:
    """Return the inputs with the number at `keys` replaced, all else as it was."""
    content = inputs.model_dump(mode="json")
    place: Any = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = number.model_dump(mode="json")
    return CostInputs.model_validate_json(json.dumps(content))
