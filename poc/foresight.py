"""What a plan promises: changes that a check of two such runs names, and how often it can say GO.

Pure. The spreads come from a pilot run, an earlier one over the same kind of prompts: its seeds
where it has replicates, its arms against its baseline, its rounds. Without a pilot only shares of
clips have a range, from clips that all stay as they were to clips that are all drawn anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metrics.catalog import CATALOG
from poc import power
from poc.gate_limits import base_name, is_judged, limit_of
from poc.gate_records import GateLimits, MetricLimit
from poc.gate_verdicts import ALARM_RATE
from poc.latency_estimates import LATENCY, Timings, timings
from poc.panel import USUAL_COMPARISONS
from poc.records import (
    ArmRole,
    Comparison,
    Criterion,
    Generation,
    LatencySample,
    Measurement,
    Plan,
    Record,
    Weight,
)
from poc.samples import SHARE_OF_CLIPS, VALID_SHARE, Grid, Ledger, ledger
from poc.slicing import rows_of

ANYHOW = 1 / math.sqrt(2)
"""Spread of a difference of two coin tosses: no pair of shares that do not differ varies more."""

RATERS = 6
"""Raters that the line on votes is written for."""

MODELLED = {Comparison.DIFFERENCE, Comparison.RATIO}


@dataclass(frozen=True, slots=True)
class Pilot:
    """What an earlier run shows of spreads."""

    name: str
    plan: Plan
    book: Ledger
    rounds: dict[str, Timings]

    @classmethod
    def of(
        cls,
        name: str,
        plan: Plan,
        generations: Iterable[Generation],
        measurements: Iterable[Measurement],
        latencies: Iterable[LatencySample],
    ) -> Pilot:
        """Lay the records of a run out; raises ValueError when they contradict each other."""
        book = ledger(plan, generations, measurements)
        return cls(name, plan, book, timings(plan, latencies))

    def of_seeds(self, metric: str, *, ratio: bool) -> float | None:
        """Return the spread between two replicates of a prompt, of the arm that varies most."""
        found = []
        for grid in self._grids(metric):
            if grid.values.shape[1] > 1:
                own, base = grid.values[:, 0], grid.values[:, 1]
                found.append(power.spread_of_pairs(own, base, ratio=ratio))
        return power.worst(found)

    def to_baseline(self, metric: str, *, ratio: bool, replicates: int) -> float | None:
        """Return the spread of a candidate's differences to the baseline.

        Of the candidate whose value is nearest: an arm as good as the baseline differs as it does.
        Of means over as many replicates as are planned; None where the pilot has fewer.
        """
        base = self.book.grids.get((self.plan.baseline_id, metric))
        if base is None or base.values.shape[1] < replicates:
            return None
        goal, found = _means(base, replicates), []
        for arm in self.plan.arms:
            grid = self.book.grids.get((arm.id, metric))
            if arm.role is ArmRole.CANDIDATE and arm.id != self.plan.baseline_id and grid:
                own = _means(grid, replicates)
                both = np.isfinite(own) & np.isfinite(goal)
                spread = power.spread_of_pairs(own, goal, ratio=ratio)
                if spread is not None:
                    found.append((abs(float((own - goal)[both].mean())), spread))
        return min(found)[1] if found else None

    def of_rounds(self) -> float | None:
        """Return the spread of a round's seconds as logarithms, of the arm that varies most.

        Without what all arms of a round share: of runs in turns that cancels.
        """
        arms = list(self.rounds.values())
        shared = sorted(set.intersection(*(set(one.by_round) for one in arms))) if arms else []
        if len(arms) < 2 or len(shared) < 2:
            return None
        logs = np.log(np.stack([one.column(LATENCY, shared) for one in arms]))
        rest = logs - logs.mean(axis=0)
        widen = math.sqrt(len(arms) / (len(arms) - 1))
        return widen * float(rest.std(axis=1, ddof=1).max())

    def shortest_s(self) -> float:
        """Return the median seconds of the fastest arm; there must be one."""
        return min(
            float(np.median(one.column(LATENCY, sorted(one.by_round))))
            for one in self.rounds.values()
        )

    def _grids(self, metric: str) -> list[Grid]:
        return [grid for (_, name), grid in self.book.grids.items() if name == metric]


def _means(grid: Grid, replicates: int) -> np.ndarray:
    values = grid.values[:, :replicates]
    return np.asarray(np.where(np.isfinite(values), values, np.nan).mean(axis=1))


class Named(Record):
    """The smallest change of one subject that a check of two such runs names."""

    subject: str
    ratio: bool
    limit: float
    as_they_were: float | None
    """Where all clips but the spoilt stay as they were: two runs of one seed. None but for shares
    of clips: how far a spoilt clip moves another metric is not known beforehand."""
    drawn_anew: float | None
    """Where every clip is drawn anew, as by other noise; None without a pilot of two replicates."""
    never: tuple[str, ...] = ()
    """Which of both is None as no change is named: prompts are so few that a share of clips would
    have to change by more than 1."""


class Must(Record):
    """How often one must passes on an arm as good as the baseline."""

    criterion: str
    chance: float


class Foresight(Record):
    """What a plan promises."""

    pilot: str
    """Name of the run that the spreads are from; empty without one."""
    prompts: int
    tests: int
    named: tuple[Named, ...]
    rounds: int
    slower: float | None
    """Share of more seconds that is named; None where nothing is timed, or without a pilot."""
    musts: tuple[Must, ...]
    unknown: tuple[str, ...]
    """Musts that compare clips with the baseline and that the pilot tells nothing of."""
    left_out: tuple[str, ...]
    """Musts that are taken to pass: on seconds, and on values of the arm alone."""
    go: float | None
    """How often an arm as good as the baseline gets GO; None unless all its musts are known."""
    go_prompts: int | None
    """The fewest prompts, in whole batches, for a GO in `power.GOES` of runs."""
    preference: float
    """Share of votes that `RATERS` raters tell from a half."""


# --- what is foreseen ----------------------------------------------------------------------------


class Exam(NamedTuple):
    """What a check of two runs of a plan asks of chance."""

    of_clips: int
    """Tests in the family of quality: clips and judged metrics of every arm."""
    of_seconds: int
    families: int

    @classmethod
    def of(cls, plan: Plan, limits: GateLimits) -> Exam:
        """Count the tests of a check."""
        timed = plan.spec.latency is not None
        clips = sum(1 + len(_judged(plan, limits, arm.style)) for arm in plan.arms)
        seconds = len(limits.speed) * len(plan.generated) if timed else 0
        return cls(clips, seconds, 1 + timed)


def _judged(plan: Plan, limits: GateLimits, style: str | None) -> list[str]:
    """Return the metrics that are judged of an arm; a style's own only of its arms."""
    own = f"[{style}]"
    asked = [one for one in plan.spec.metrics if "[" not in one or one.endswith(own)]
    return [one for one in asked if is_judged(limits, one)]


def foresee(plan: Plan, limits: GateLimits, pilot: Pilot | None) -> Foresight:
    """Return what a plan promises, by the limits of the gate and its own criteria."""
    exam, compared = Exam.of(plan, limits), [*_compared(plan)]
    n, step = len(plan.prompts), plan.spec.batch_size
    spreads = [(one, _spread(one, plan, pilot)) for one in compared]
    asked = [
        Asked(name, one, spread * widened)
        for one, spread in spreads
        if spread is not None
        for name, widened in _parts(one, plan)
    ]
    unknown = tuple(one.name for one, spread in spreads if spread is None)
    known = bool(asked) and not unknown
    go = _go(asked, n) if known else None
    return Foresight(
        pilot=pilot.name if pilot else "",
        prompts=n,
        tests=exam.of_clips + exam.of_seconds,
        named=tuple(_named(plan, limits, exam, pilot)),
        rounds=plan.spec.latency.repeats if plan.spec.latency else 0,
        slower=_slower(plan, limits, exam, pilot),
        musts=tuple(
            Must(criterion=name, chance=power.pass_chance(one, spread, n))
            for name, one, spread in asked
        ),
        unknown=unknown,
        left_out=tuple(
            one.name
            for one in plan.criteria.criteria
            if one.weight is Weight.MUST and one not in compared
        ),
        go=go,
        go_prompts=_go_prompts(asked, step) if known else None,
        preference=power.shown_preference(RATERS * USUAL_COMPARISONS),
    )


class Asked(NamedTuple):
    """One question that a GO needs answered well: a must, or a must in one slice."""

    name: str
    criterion: Criterion
    spread: float
    """Of a prompt's differences; of a slice so much wider that all prompts stand for its own."""


def _parts(one: Criterion, plan: Plan) -> Iterator[tuple[str, float]]:
    """Yield a must's name and 1, or for each slice its name and how much wider it spreads.

    An interval goes with the spread over the root of the number of prompts, and a slice has only
    its own. That slices spread as the whole does is assumed.
    """
    if one.each is None:
        yield one.name, 1.0
        return
    for value, rows in rows_of(one.each, plan.prompts).items():
        yield f"{one.name}, {one.each} {value}", math.sqrt(len(plan.prompts) / len(rows))


def _go(asked: Sequence[Asked], n: int) -> float:
    return power.go_chance([(one.criterion, one.spread) for one in asked], n)


def _go_prompts(asked: Sequence[Asked], step: int) -> int | None:
    return power.prompts_for(lambda n: _go(asked, n) >= power.GOES, step)


def _named(plan: Plan, limits: GateLimits, exam: Exam, pilot: Pilot | None) -> Iterator[Named]:
    n, alpha = len(plan.prompts), power.per_test(exam.of_clips, exam.families)
    asked = dict.fromkeys(m for arm in plan.arms for m in _judged(plan, limits, arm.style))
    for metric in asked:
        limit = limit_of(limits, metric)
        if limit is None or metric in {"kvd", "fvd"}:
            continue
        ratio, width = limit.scale == "ratio", _width(limit)
        rate = CATALOG[base_name(metric)].unit == SHARE_OF_CLIPS
        spread = pilot.of_seeds(metric, ratio=ratio) if pilot else None
        if spread is None and rate:
            spread = ANYHOW
        sides = 1 if limit.window is None else 2
        anew = None
        if spread is not None:
            anew = power.named_change(spread, n, width, alpha / sides)
        same = power.lost_share(n, width, alpha) if rate else None
        sizes = {"as_they_were": same, "drawn_anew": anew}
        never = {name for name, size in sizes.items() if rate and not ratio and (size or 0) > 1}
        known = {name: None if name in never else size for name, size in sizes.items()}
        yield Named(subject=metric, ratio=ratio, limit=width, never=tuple(sorted(never)), **known)


def _width(limit: MetricLimit) -> float:
    """Return how far a limit lies from no change."""
    if limit.window is None:
        return limit.margin or 0.0
    return limit.window - 1 if limit.scale == "ratio" else limit.window


def _slower(plan: Plan, limits: GateLimits, exam: Exam, pilot: Pilot | None) -> float | None:
    if plan.spec.latency is None or pilot is None or not limits.speed:
        return None
    spread = pilot.of_rounds()
    if spread is None:
        return None
    alpha = power.per_test(exam.of_seconds, exam.families)
    limit = limits.speed[0].relative_in_turns
    absolute = limits.speed[0].absolute_s / pilot.shortest_s()
    # Rounds of two runs: each has its own noise.
    spread, rounds = math.sqrt(2) * spread, plan.spec.latency.repeats
    return power.named_slowdown(spread, rounds, max(limit, absolute), alpha)


def _compared(plan: Plan) -> Iterator[Criterion]:
    """Yield the musts on clips that compare with the baseline."""
    for one in plan.criteria.criteria:
        compared = one.comparison in MODELLED and not one.metric.startswith("latency_")
        if one.weight is Weight.MUST and one.metric != VALID_SHARE and compared:
            yield one


def _spread(one: Criterion, plan: Plan, pilot: Pilot | None) -> float | None:
    ratio, replicates = one.comparison is Comparison.RATIO, plan.spec.replicates
    return pilot.to_baseline(one.metric, ratio=ratio, replicates=replicates) if pilot else None


# --- in words ------------------------------------------------------------------------------------


def describe(found: Foresight) -> str:
    """Return the lines that `poc plan` prints below its table."""
    return "\n".join(["", *_of_checks(found), "", *_of_decisions(found)])


def _of_checks(found: Foresight) -> Iterator[str]:
    whose = f"spreads from {found.pilot}" if found.pilot else "no --pilot: ranges at most"
    yield (
        f"named by `poc check` in {power.FOUND:.0%} of checks, with false alarms in "
        f"{ALARM_RATE:.1%} or fewer ({found.prompts} prompts, {found.tests} tests, {whose}):"
    )
    yield f"  {'metric':<26}{'limit':>9}{'other clips stay':>19}{'all drawn anew':>17}"
    for one in found.named:
        limit = _change(one.limit, one)
        same, anew = _cell("as_they_were", one), _cell("drawn_anew", one)
        yield f"  {one.subject:<26}{limit:>9}{same:>19}{anew:>17}"
    if any(one.never for one in found.named):
        yield f"  none: not even a change of all clips, as {found.prompts} prompts are too few"
    if found.rounds and found.slower is None:
        yield f"  seconds: {found.rounds} rounds; what they show is not known without a timed pilot"
    if found.slower is not None:
        yield f"  seconds: {found.slower:.1%} more, {found.rounds} rounds in turns"


def _cell(name: str, one: Named) -> str:
    if name in one.never:
        return "none"
    size = getattr(one, name)
    return "not known" if size is None else _change(size, one)


def _change(size: float, one: Named) -> str:
    return f"{size:.1%}" if one.ratio else f"{size:.3g}"


def _of_decisions(found: Foresight) -> Iterator[str]:
    if found.go is None:
        of = f"not known: {found.pilot} tells nothing of {', '.join(found.unknown)}"
        why = of if found.pilot and found.unknown else "not known without a pilot run (--pilot RUN)"
        yield f"GO of an arm as good as the baseline: {why}"
    else:
        wanted = f"{found.go_prompts} prompts" if found.go_prompts else "more than can be made"
        yield (
            f"GO of an arm as good as the baseline and fast: in {found.go:.0%} of runs of "
            f"{found.prompts} prompts; {power.GOES:.0%} wants {wanted}"
        )
        for one in found.musts:
            yield f"  {one.criterion}: passes in {one.chance:.0%}"
        if found.left_out:
            yield f"  taken to pass: {', '.join(found.left_out)}"
    yield (
        f"votes: {RATERS} raters x {USUAL_COMPARISONS} comparisons tell a preference of "
        f"{found.preference:.0%} from a half, at best"
    )
