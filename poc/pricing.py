"""Prices the setting that a decision asks about, with the run's own seconds and votes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from poc import cost_findings as said
from poc import run_folder
from poc.cost import evaluate, with_judged, with_seconds
from poc.cost_file import CostInputs, read_cost
from poc.cost_light import economic_light, has_ended
from poc.cost_records import JudgedClips, MoneyOfRun, TimedSeconds, UnusedVotes
from poc.cost_run import judged_clips, seconds_of_run
from poc.cost_settings import cheaper_settings, settings_beside
from poc.decide import PriceAnswer
from poc.records import Arm, Estimates, Finding, PriceBasis
from poc.store import RunStore

PRICE_SEED: Final = 0
"""Of the simulation behind the economic light: equal inputs give equal decisions."""


class Pricing:
    """Prices the arm that a decision asks about, and keeps what stands behind the answer."""

    def __init__(self, store: RunStore, estimates: Estimates, inputs: Path, *, on: date) -> None:
        self._store, self._estimates = store, estimates
        self._path, self._on = inputs, on
        self.found: MoneyOfRun | None = None

    def __call__(self, arm: Arm, others: Sequence[Arm]) -> PriceAnswer:
        """Price an arm's deliverable beside those of the `others` timed and judged as it was."""
        inputs = read_cost(self._path)
        timed, judged = self._measured(arm, inputs)
        cost = evaluate(inputs, seed=PRICE_SEED, timed=timed, judged=judged)
        ours = with_judged(with_seconds(inputs, timed), judged)
        judged_too = self._beside(others, inputs) if timed and _accepted(judged) else {}
        settings = settings_beside(ours, judged_too, seed=PRICE_SEED)
        self.found = MoneyOfRun(
            format_version=1,
            kind=self._store.plan.spec.kind,
            estimates_digest=self._estimates.content_digest(),
            basis=self._basis(arm, inputs.valid_until),
            cost=cost,
            economic=economic_light(cost, self._on),
            inputs=ours,
            settings=settings,
        )
        light, names = self.found.economic, {one.id: one.name for one in others}
        return PriceAnswer(
            light=light.light,
            reasons=(*light.reasons, *_not_priced(arm, others, judged_too)),
            conditions=(*light.conditions, *cheaper_settings(settings, names)),
            next_step=light.next_step,
            basis=self.found.basis,
        )

    def _beside(self, others: Sequence[Arm], inputs: CostInputs) -> dict[str, CostInputs]:
        """Return the inputs in use of the arms that were timed and judged, by id."""
        found = {}
        for arm in others:
            timed, judged = self._measured(arm, inputs)
            if timed is not None and _accepted(judged):
                found[arm.id] = with_judged(with_seconds(inputs, timed), judged)
        return found

    def _measured(
        self, arm: Arm, inputs: CostInputs
    ) -> tuple[TimedSeconds | None, JudgedClips | UnusedVotes | None]:
        """Return an arm's own seconds and votes, where the run has them."""
        store = self._store
        timed = any(sample.arm_id == arm.id and sample.round >= 0 for sample in store.latency())
        seconds = seconds_of_run(store.path, arm.name) if timed else None
        return seconds, judged_clips(store, arm, inputs)

    def _basis(self, arm: Arm, until: str | None) -> PriceBasis:
        return PriceBasis(
            digest=hashlib.sha256(run_folder.read_bytes(self._path)).hexdigest(),
            arm_id=arm.id,
            seed=PRICE_SEED,
            on=self._on.isoformat() if until else None,
            valid_until=None if has_ended(until, self._on) else until,
        )


def _accepted(judged: JudgedClips | UnusedVotes | None) -> bool:
    """Tell whether people said of an arm's clips which they would publish."""
    return isinstance(judged, JudgedClips) and judged.acceptance is not None


def _not_priced(arm: Arm, others: Sequence[Arm], priced: Collection[str]) -> tuple[Finding, ...]:
    left = [one.name for one in others if one.id not in priced]
    return (said.not_priced(arm.name, left),) if left else ()
