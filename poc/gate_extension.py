"""The gate's second look: once, at more prompts and rounds, where the first was INCONCLUSIVE.

How much more is a rule that was there before the first run, so that nobody looks until the answer
suits: `MORE` times the prompts, as far as there are any, and `MORE` times the rounds. Both runs are
made anew, since every clip follows from its prompt and seed; the second look's answer is final.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from poc import disk
from poc.datasets import count_prompts, dataset_licences
from poc.errors import InputError
from poc.gate_records import GateResult, RunName
from poc.records import SweepSpec
from poc.spec import read_spec
from poc.spec_judging import has_folder

MORE: Final = 2
"""Times the prompts and rounds of the first look."""


def extended(spec: SweepSpec, available: int) -> SweepSpec:
    """Return the spec of the second look; `available` is how many prompts its dataset has."""
    latency = spec.latency
    more = latency and latency.model_copy(update={"repeats": MORE * latency.repeats})
    prompts = min(MORE * spec.prompts, available)
    return spec.model_copy(update={"prompts": prompts, "latency": more})


def write_extension(spec_path: Path, out: Path) -> SweepSpec:
    """Write the spec of the second look of a spec's runs, and return it.

    Raises:
        InputError: a spec that cannot be read, one with nothing more to look at, or one that names
            files beside itself, which the new one would not find.
    """
    spec = read_spec(spec_path)
    _refuse_neighbours(spec, spec_path, out)
    found = extended(spec, count_prompts(spec.dataset, beside=spec_path))
    if found == spec:
        raise InputError(
            f"{spec_path}: '{spec.dataset}' has no more than its {spec.prompts} prompts and "
            "nothing is timed, so there is nothing more to look at. Write more prompts."
        )
    criteria = (spec_path.parent / spec.criteria).resolve()
    content = found.model_copy(update={"criteria": str(criteria)}).model_dump(mode="json")
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=100)
    disk.make_folder(out.parent)
    disk.publish(out, text.encode())
    return found


def _refuse_neighbours(spec: SweepSpec, spec_path: Path, out: Path) -> None:
    if out.parent.resolve() == spec_path.parent.resolve():
        return
    own = spec.dataset not in dataset_licences()
    if own or has_folder(spec) or any(arm.family == "imported" for arm in spec.arms):
        raise InputError(
            f"{out}: expected a place beside {spec_path}, whose prompts or clips lie there too."
        )


def refuse_second_look(first: GateResult, head: RunName, base: RunName, source: Path) -> None:
    """Refuse a second look that does not answer what the first left open.

    Raises:
        InputError: the first look was the second already, it leaves nothing open that more would
            tell, or the runs are not of the same commits, with no file changed, and spec with
            more prompts or rounds.
    """
    if first.first is not None:
        raise InputError(
            f"{source}: is a second look already, and there is no third: each would have another "
            "chance to alarm. Its answer is final."
        )
    if not first.may_extend:
        raise InputError(
            f"{source}: says {first.status}; expected INCONCLUSIVE for want of prompts or rounds "
            "alone, which is all that a second look can mend."
        )
    for who, before, now in (("head", first.head, head), ("baseline", first.base, base)):
        if before.commit != now.commit:
            raise InputError(
                f"{source}: the {who} of the first look is of commit {before.commit}, this one of "
                f"{now.commit}. Make both runs of the second look with the same code."
            )
        if before.modified or now.modified:
            look = "first" if before.modified else "second"
            raise InputError(
                f"{source}: the {who} of the {look} look was made with files that differ from "
                f"commit {now.commit}, so nothing shows that both looks are of the same code. "
                "Commit them, then make the first look anew."
            )
    grown = head.prompts >= first.head.prompts and head.rounds >= first.head.rounds
    same_size = (head.prompts, head.rounds) == (first.head.prompts, first.head.rounds)
    if head.exam != first.head.exam or not grown or same_size:
        raise InputError(
            f"{head.folder}: expected the spec of the first look with more prompts or rounds. "
            "`poc plan SPEC --extended FILE` writes it."
        )
