"""Prices the setting that a decision asks about, with the run's own seconds and votes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from poc import cost_findings as said
from poc import run_folder
from poc.cost import ROUNDS, evaluate, with_judged, with_seconds
from poc.cost_file import CostInputs, faults, read_cost
from poc.cost_light import economic_light, has_ended
from poc.cost_records import JudgedClips, MoneyOfRun, TimedSeconds, UnusedVotes
from poc.cost_run import judged_clips, seconds_of_run
from poc.cost_settings import settings_beside
from poc.decide import PriceAnswer
from poc.errors import InputError
from poc.records import Arm, Estimates, PriceBasis
from poc.store import RunStore

PRICE_SEED: Final = 0
"""Of the simulation behind the economic light: equal inputs give equal decisions."""


Judged = JudgedClips | UnusedVotes | None


class Pricing:
    """Prices the arm that a decision asks about, and keeps what stands behind the answer."""

    def __init__(self, store: RunStore, estimates: Estimates, inputs: Path, *, on: date) -> None:
        self._store, self._estimates = store, estimates
        self._path, self._on = inputs, on
        self.found: MoneyOfRun | None = None

    def __call__(self, arm: Arm, others: Sequence[Arm]) -> PriceAnswer:
        """Price an arm's deliverable beside those of the `others` timed and judged as it was."""
        inputs = read_cost(self._path)
        timed, judged = self._seconds(arm), judged_clips(self._store, arm, inputs)
        cost = evaluate(inputs, seed=PRICE_SEED, timed=timed, judged=judged)
        ours = with_judged(with_seconds(inputs, timed), judged)
        priced = [] if timed is None else self._beside(others, inputs, timed, judged)
        settings = settings_beside(ours, priced, seed=PRICE_SEED)
        light = economic_light(cost, self._on, settings)
        self.found = MoneyOfRun(
            format_version=1,
            kind=self._store.plan.spec.kind,
            estimates_digest=self._estimates.content_digest(),
            basis=self._basis(arm, inputs.valid_until),
            cost=cost,
            economic=light,
            inputs=ours,
            settings=settings,
        )
        left = [one.name for one in others if one not in [arm for arm, _ in priced]]
        return PriceAnswer(
            light=light.light,
            reasons=(*light.reasons, *([said.not_priced(arm.name, left)] if left else [])),
            conditions=light.conditions,
            next_step=light.next_step,
            basis=self.found.basis,
        )

    def _beside(
        self, others: Sequence[Arm], inputs: CostInputs, timed: TimedSeconds, judged: Judged
    ) -> list[tuple[Arm, CostInputs]]:
        """Return the inputs in use of the arms that were timed and judged as ours was.

        What is wrong with the records of another arm leaves it out and stops nothing.
        """
        found = []
        for arm in others:
            its = judged_clips(self._store, arm, inputs)
            if not _measured_alike(judged, its):
                continue
            try:
                seconds = self._seconds(arm)
            except InputError:
                continue
            if seconds is None or not _timed_alike(timed, seconds):
                continue
            used = with_judged(with_seconds(inputs, seconds), its)
            if not [*faults(used)]:
                found.append((arm, used))
        return found

    def _seconds(self, arm: Arm) -> TimedSeconds | None:
        store = self._store
        timed = any(sample.arm_id == arm.id and sample.round >= 0 for sample in store.latency())
        return seconds_of_run(store.path, arm.name) if timed else None

    def _basis(self, arm: Arm, until: str | None) -> PriceBasis:
        return PriceBasis(
            digest=hashlib.sha256(run_folder.read_bytes(self._path)).hexdigest(),
            arm_id=arm.id,
            seed=PRICE_SEED,
            on=self._on.isoformat() if until else None,
            valid_until=None if has_ended(until, self._on) else until,
        )


def _measured_alike(ours: Judged, other: Judged) -> bool:
    """Tell whether people gave both arms an acceptance rate, and both or neither minutes."""
    if not isinstance(ours, JudgedClips) or not isinstance(other, JudgedClips):
        return False
    if ours.acceptance is None or other.acceptance is None:
        return False
    alike = ours.is_demonstration == other.is_demonstration
    return alike and (ours.review is None) == (other.review is None)


def _timed_alike(ours: TimedSeconds, other: TimedSeconds) -> bool:
    """Tell whether seconds of two arms can be laid side by side: neither looks surer than it is."""
    fields = ("device", "shape", "is_demonstration")
    same = all(getattr(ours, name) == getattr(other, name) for name in fields)
    return same and other.rounds >= min(ours.rounds, ROUNDS)
