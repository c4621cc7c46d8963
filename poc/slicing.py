"""Which prompts make up a slice. Apart from the estimates: planning must start fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from poc.errors import InputError, did_you_mean
from poc.records import Prompt, SliceSpec

FEWEST_PROMPTS: Final = 2
"""Prompts of a slice below which nothing can be said of it."""


def looks_compare(metric: str, style: str | None, baseline_style: str | None) -> bool:
    """Whether a metric compares clips of two looks: of one look all do, of two what is right alone.

    >>> looks_compare("clip_score", "neon", None), looks_compare("oracle_all", "neon", None)
    (False, True)
    """
    return style == baseline_style or metric.startswith("oracle_")


def check_slices(asked: SliceSpec, prompts: Sequence[Prompt], where: str) -> None:
    """Refuse factors that prompts do not have or that do not divide them; raises `InputError`."""
    for factor in asked.by:
        lacking = [prompt for prompt in prompts if factor not in prompt.attributes]
        if lacking:
            hint = did_you_mean(factor, lacking[0].attributes)
            raise InputError(
                f"{where}: 'slices': {len(lacking)} of {len(prompts)} prompts have no attribute "
                f"'{factor}', the first is \"{lacking[0].text}\". {hint}"
            )
        rows = rows_of(factor, prompts)
        small = [value for value, found in rows.items() if len(found) < FEWEST_PROMPTS]
        if len(rows) < 2 or small:
            sizes = ", ".join(f"{value}: {len(found)}" for value, found in rows.items())
            raise InputError(
                f"{where}: 'slices': '{factor}' must divide the prompts into at least two parts of "
                f"{FEWEST_PROMPTS} prompts or more; it gives {sizes}. Take more prompts, or leave "
                "it out."
            )


def rows_of(factor: str, prompts: Sequence[Prompt]) -> dict[str, list[int]]:
    """Return the rows of the prompts in each slice of a factor, by its value, sorted."""
    values = sorted({prompt.attributes[factor] for prompt in prompts})
    return {
        value: [row for row, prompt in enumerate(prompts) if prompt.attributes[factor] == value]
        for value in values
    }
