"""A second look at the arm that a sweep recommends, on prompts that nobody knew when it was chosen.

The best of several arms looks better than it is. So the choice is written down first, into the run
that it was made in; its digest then draws the prompts and the seed of a run with that arm and the
baseline alone, which is decided like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from poc import disk, run_folder
from poc.chosen_arm import recommended_arm
from poc.datasets import composed_prompts, dataset_licences, read_csv
from poc.errors import InputError
from poc.records import Arm, ArmSpec, Choice, Prompt, SweepSpec, short_id, wording_id
from poc.spec import expand
from poc.store import RunStore

CHOICE: Final = "choice.json"
COMPOSED: Final = "tiny-world-unseen"
"""The dataset of which new prompts can be drawn here; of any other they are brought."""


def choose(run: Path) -> Choice:
    """Write down which arm a run's decision recommends, once; the same again changes nothing.

    Raises:
        InputError: no decision, no arm recommended, or another arm was written down before.
    """
    choice = _choice(RunStore.open_reader(run))
    _write(run, choice)
    return choice


def _write(run: Path, choice: Choice) -> None:
    with RunStore.open_writer(run) as store:
        store.write_derived(CHOICE, choice.to_json())


def _choice(store: RunStore) -> Choice:
    """Return the choice of a run, as it was written down first where it was.

    Raises:
        InputError: no decision, no arm recommended, or another arm was written down before.
    """
    arm, before = recommended_arm(store, "--criteria of poc decide"), read_choice(store)
    if before is not None and before.arm_id != arm.id:
        raise InputError(
            f"{store.path / CHOICE}: says {before.arm}, the decision now recommends {arm.name}. "
            "What was chosen first is confirmed first; a new choice wants a new run."
        )
    if before is not None:
        return before
    text = store.read_derived("decision.json") or ""
    return Choice(
        format_version=1,
        arm=arm.name,
        arm_id=arm.id,
        baseline_id=store.plan.baseline_id,
        plan_digest=store.plan.content_digest(),
        decision_digest=hashlib.sha256(text.encode()).hexdigest(),
        time=run_folder.now(),
        used=tuple(sorted({wording_id(one.text) for one in store.plan.prompts})),
    )


def read_choice(store: RunStore) -> Choice | None:
    """Return the choice that was written down in a run, None where none was."""
    text = store.read_derived(CHOICE)
    try:
        return None if text is None else Choice.from_json(text)
    except ValidationError as error:
        raise InputError(f"{store.path / CHOICE}: cannot be read. Restore it.") from error


def write_confirmation(run: Path, out: Path, *, count: int | None, csv: Path | None) -> Path:
    """Write down the choice of a run, then a spec that confirms it; return the spec's path.

    `count`: prompts, by default as many as the run had. `csv`: prompts that were written after the
    choice, wanted for any dataset but the tiny world's, of which they are drawn.

    Raises:
        InputError: as `choose`, clips made elsewhere, prompts that the run has used, too few, or a
            folder that holds something already.
    """
    store = RunStore.open_reader(run)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: expected a new or an empty folder. Name another one.")
    if csv is None and store.plan.spec.dataset != COMPOSED:
        raise InputError(
            f"{run}: --prompts-csv: new prompts of '{store.plan.spec.dataset}' cannot be drawn "
            "here. Have them written now, by somebody who has not seen the clips, and give them."
        )
    choice = _choice(store)
    wanted = count or len(store.plan.prompts)
    prompts = _drawn(store.plan.prompts, choice, wanted) if csv is None else _brought(csv, store)
    if len(prompts) < wanted:
        raise InputError(
            f"{run}: {len(prompts)} new prompts are there, {wanted} were asked for (by default as "
            "many as the run had). Bring more, or ask for fewer with --prompts."
        )
    prompts = prompts[:wanted]
    spec = _spec(store, choice, len(prompts))
    _write(run, choice)
    disk.make_folder(out)
    criteria = store.plan.criteria.model_dump(mode="json")
    _publish(out / "criteria.yaml", criteria)
    _publish(out / "datasets.yaml", _dataset(spec.dataset, prompts, store.plan.spec.dataset))
    _publish(out / "spec.yaml", spec.model_dump(mode="json"))
    disk.sync_folder(out)
    return out / "spec.yaml"


def _publish(path: Path, content: Any) -> None:
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=100)
    disk.publish(path, text.encode())


# --- prompts -------------------------------------------------------------------------------------


def _drawn(used: Sequence[Prompt], choice: Choice, count: int) -> tuple[Prompt, ...]:
    """Return unused prompts of the tiny world in an order that follows from the choice."""
    taken, salt = {wording_id(one.text) for one in used}, choice.salt()
    left = [one for one in composed_prompts() if wording_id(one.text) not in taken]
    return tuple(sorted(left, key=lambda one: short_id(["confirmation", salt, one.id])))[:count]


def _brought(csv: Path, store: RunStore) -> tuple[Prompt, ...]:
    used = {wording_id(one.text) for one in store.plan.prompts}
    found = read_csv(csv)
    known = [one.text for one in found if wording_id(one.text) in used]
    if known:
        raise InputError(
            f"{csv}: the run has used {known[0]!r} already. Prompts that confirm have to be new."
        )
    return tuple(
        Prompt(id=short_id(["prompt", one.text]), **one.model_dump(mode="python")) for one in found
    )


def _dataset(name: str, prompts: Sequence[Prompt], source: str) -> dict[str, Any]:
    entry = {
        "id": name,
        "kind": "list",
        "title": f"New prompts that confirm a choice made on {source}",
        "source": source,
        "licence": dataset_licences().get(source, "LicenseRef-own"),
        "prompts": [one.model_dump(mode="json", exclude={"id"}) for one in prompts],
    }
    return {"version": 1, "datasets": [entry]}


# --- the spec ------------------------------------------------------------------------------------


def _spec(store: RunStore, choice: Choice, count: int) -> SweepSpec:
    """Return the run's spec with the chosen arm and the baseline alone, and what it confirms."""
    spec, arms = store.plan.spec, {arm.id: arm for arm in store.plan.arms}
    pair = [arms[choice.baseline_id], arms[choice.arm_id]]
    for arm in pair:
        if arm.is_imported:
            raise InputError(
                f"{store.path}: arm '{arm.name}' was made elsewhere. Order clips of new prompts, "
                "and compare them in a run of their own."
            )
    styles = {arm.style for arm in pair}
    return spec.model_copy(
        update={
            "name": f"{spec.name[:48]}-confirm",
            "dataset": f"confirmation-{choice.salt()[:8]}",
            "prompts": count,
            "seed": choice.seed(),
            "arms": tuple(_entry(spec, arm) for arm in pair),
            "references": tuple(one for one in spec.references if one.style in styles),
            "contrasts": (),
            "status_quo": None,
            "criteria": "criteria.yaml",
            "confirms": choice,
        }
    )


def _entry(spec: SweepSpec, arm: Arm) -> ArmSpec:
    """Return the entry that an arm came from, narrowed to it."""
    entry = next(e for e in spec.arms if arm.name in {one.name for one in expand(e)})
    sampling = arm.sampling
    return entry.model_copy(
        update={
            "name": arm.name,
            "steps": (sampling.steps,),
            "guidance": (sampling.guidance,),
        }
    )
