"""From a plan and a rights file to the answer of one day: the files in between, read once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from poc.datasets import dataset_licences
from poc.governance import RightsResult, judge
from poc.licences import read_licences
from poc.models import ModelTable
from poc.records import Plan
from poc.rights_check import read_rights
from poc.rights_parts import subject_of


def rights_of(
    plan: Plan, models: ModelTable, path: Path, *, on: date, beside: Path | None = None
) -> RightsResult:
    """Return what the rights file at `path` allows the arms of a plan on a day.

    `beside`: the spec, whose own `datasets.yaml` may hold the prompts; a run does not know it, and
    the licence of such prompts is then unknown.

    Raises:
        InputError: a faulty file, or a day before what the answer stands on.
    """
    prompts = dataset_licences(beside=beside)
    rights = read_rights(path, models, {*prompts, plan.spec.dataset})
    licence = prompts.get(plan.spec.dataset)
    subject = subject_of(plan, models, rights.file.words, prompt_licence=licence)
    return judge(subject, rights, read_licences(), on=on)
