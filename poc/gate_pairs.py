"""Head and base side by side: one arm of both runs, its clips aligned by prompt and replicate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from poc.gate_records import GateCell, GateGroup, GateRun, GateStatus
from poc.records import Arm, Counts, Plan
from poc.samples import VALID_SHARE, Grid, Ledger, ledger

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Side:
    """One run with its clips laid out by its plan."""

    run: GateRun
    book: Ledger

    @classmethod
    def of(cls, run: GateRun) -> Side:
        """Lay a run out; raises ValueError when its records contradict each other."""
        return cls(run, ledger(run.plan, run.generations, run.measurements))

    def counts(self, arm_id: str) -> Counts:
        """Return where every planned clip of an arm went."""
        return self.book.counts[arm_id]

    def grid(self, arm_id: str, metric: str) -> Grid:
        """Return an arm's values of a metric, all of them missing where it was not measured."""
        found = self.book.grids.get((arm_id, metric))
        if found is not None:
            return found
        clips = self.book.grids[arm_id, VALID_SHARE]
        return Grid(np.full(clips.values.shape, np.nan), clips.planned, frozenset(), ())

    def asks_for(self, metric: str) -> bool:
        """Return whether the run's spec wants a metric, or a clip of any arm was measured."""
        return metric in self.run.plan.spec.metrics or metric in self.book.metrics


@dataclass(frozen=True, slots=True)
class Pair:
    """One declared arm in both runs."""

    arm: Arm
    head: Side
    base: Side
    rows: tuple[int, ...]
    """For every prompt of the head's plan its row in the base's; empty when they differ."""
    differs: str
    """Why their clips cannot be compared; empty when they can."""
    notes: tuple[str, ...]

    @classmethod
    def of(cls, arm: Arm, head: Side, base: Side) -> Pair:
        """Join an arm that both plans have."""
        found = [*_exam_differences(arm.id, head.run.plan, base.run.plan)]
        places = {prompt.id: row for row, prompt in enumerate(base.run.plan.prompts)}
        rows = () if found else tuple(places[prompt.id] for prompt in head.run.plan.prompts)
        notes = () if found else _seed_notes(arm.id, head.run.plan, base.run.plan)
        return cls(arm, head, base, rows, "; ".join(found), notes)

    def grids(self, metric: str) -> tuple[Grid, Grid]:
        """Return head's and base's values, aligned by prompt; only where `differs` is empty."""
        other = self.base.grid(self.arm.id, metric)
        aligned = replace(other, values=other.values[list(self.rows)])
        return self.head.grid(self.arm.id, metric), aligned

    def cell(
        self,
        group: GateGroup,
        subject: str,
        status: GateStatus = GateStatus.INCONCLUSIVE,
        reason: str = "not decided",
        **numbers: Any,
    ) -> GateCell:
        """Return a cell of this arm."""
        return GateCell(
            arm_id=self.arm.id,
            arm=self.arm.name,
            group=group,
            subject=subject,
            status=status,
            reason=reason,
            **numbers,
        )


def _exam_differences(arm_id: str, head: Plan, base: Plan) -> Iterator[str]:
    """Yield what makes head's clips another exam than base's: prompts or how many of each."""
    if head.spec.protocol != base.spec.protocol:
        yield "the comparison protocol, the form in which clips are measured"
    asked = {prompt.id: prompt.text for prompt in head.prompts}
    before = {prompt.id: prompt.text for prompt in base.prompts}
    if asked.keys() != before.keys():
        only = sorted(asked.keys() ^ before.keys())
        yield (
            f"n: {len(before)} prompts -> {len(asked)} prompts, "
            f"{len(only)} of them in one run only ({', '.join(only[:_SHOWN])})"
        )
        return
    changed = sorted(key for key in asked if asked[key] != before[key])
    if changed:
        yield f"the text of {len(changed)} prompts ({', '.join(changed[:_SHOWN])})"
    own, other = _requests(head, arm_id), _requests(base, arm_id)
    if own.keys() != other.keys():
        yield f"n: {len(other)} planned clips -> {len(own)} planned clips"


def _requests(plan: Plan, arm_id: str) -> dict[tuple[str, int], int | None]:
    """Return prompt and replicate -> seed of every planned clip of an arm."""
    return {
        (clip.prompt_id, clip.replicate): clip.seed
        for batch in plan.batches
        if batch.arm_id == arm_id
        for clip in batch.clips
    }


def _seed_notes(arm_id: str, head: Plan, base: Plan) -> tuple[str, ...]:
    if _requests(head, arm_id) == _requests(base, arm_id):
        return ()
    return ("Seeds differ: paired by prompt only, so the interval is wider.",)
