"""The regression gate: is a run worse than its baseline? Pure; `poc.check` reads and writes.

Arms are joined by their declared id. Of each pair the gate asks, in this order: were the clips made
with the same settings, are all of them there, is their quality no worse, are they as fast, do they
take as much memory. What cannot be compared says what differs. The rule that turns a change into a
status is in `poc.gate_verdicts`; the limits are a file, read by `poc.gate_limits`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from poc.differences import differences
from poc.fingerprint import commits
from poc.gate_pairs import Pair, Side
from poc.gate_quality import quality_trials, unjudged_metrics
from poc.gate_records import (
    GateCell,
    GateGroup,
    GateLimits,
    GateResult,
    GateRun,
    GateStatus,
    NotJudged,
    RunName,
)
from poc.gate_speed import speed_trials
from poc.gate_verdicts import (
    ALARM_RATE,
    LOOKS,
    Accepted,
    Trial,
    decided,
    overall,
    p_rate_worse,
    settle,
)
from poc.records import Arm, Comparison, Plan, ResolvedArm, digest
from poc.samples import VALID_SHARE, difference_sample

_SHOWN = 5
_SETTINGS, _CLIPS = GateGroup.SETTINGS, GateGroup.CLIPS


def compare(
    head: GateRun, base: GateRun, limits: GateLimits, first: GateResult | None = None
) -> GateResult:
    """Return what the gate says of `head` against `base`.

    `first`: what it said at the first look, where this is the second.

    Raises:
        ValueError: the records of a run contradict each other or its plan.
    """
    return compare_sides(Side.of(head), Side.of(base), limits, first)


def compare_sides(
    own: Side, other: Side, limits: GateLimits, first: GateResult | None = None
) -> GateResult:
    """Return what the gate says of two runs whose clips are laid out already."""
    head, base = own.run, other.run
    before = {arm.id for arm in base.plan.arms}
    pairs = [Pair.of(arm, own, other) for arm in head.plan.arms if arm.id in before]
    trials = [trial for pair in pairs for trial in _trials(pair, limits)]
    trials += [decided(cell) for cell in _unpaired(head, base)]
    level = LOOKS[0] if first is None else LOOKS[1]
    cells = _faster_only_if_as_good(settle(trials, level))
    return GateResult(
        format_version=1,
        status=overall(cells),
        head=_name(head),
        base=_name(base),
        limits=f"{limits.name}, version {limits.version}",
        limits_digest=limits.content_digest(),
        alarm_rate=ALARM_RATE,
        level=level,
        first=first,
        cells=cells,
        not_judged=_not_judged(pairs, limits),
        differences=tuple(_run_differences(head, base)),
    )


def _trials(pair: Pair, limits: GateLimits) -> Iterator[Trial]:
    yield decided(_settings(pair))
    yield _clips(pair)
    yield from quality_trials(pair, limits)
    if not pair.arm.is_imported:  # nobody here timed clips that were made elsewhere
        yield from speed_trials(pair, limits)


def _name(run: GateRun) -> RunName:
    return RunName(
        folder=run.name,
        plan_digest=run.plan.content_digest(),
        criteria_digest=run.plan.criteria_digest,
        commit=commits(run.fingerprints),
        modified=any(one.modified for one in run.fingerprints),
        exam=_exam(run.plan),
        prompts=len(run.plan.prompts),
        rounds=run.plan.spec.latency.repeats if run.plan.spec.latency else 0,
    )


def _exam(plan: Plan) -> str:
    """Return what a plan asks, but for how much of it: equal for both looks of one check."""
    spec = plan.spec.model_dump(mode="json", exclude={"prompts", "criteria"})
    if spec["latency"]:
        del spec["latency"]["repeats"]
    return digest([spec, plan.criteria_digest])


# --- settings ------------------------------------------------------------------------------------


def _settings(pair: Pair) -> GateCell:
    """Compare what an arm turned out to be: the same declared id must mean the same settings."""
    status, reason = _settings_status(pair)
    return pair.cell(_SETTINGS, "settings", status, reason)


def _settings_status(pair: Pair) -> tuple[GateStatus, str]:
    before = next(arm for arm in pair.base.run.plan.arms if arm.id == pair.arm.id)
    declared = [*differences(_declared(before), _declared(pair.arm), "declared")]
    if declared:
        return GateStatus.REGRESSION, _named("one id, but other declared settings", declared)
    own, other = (side.run.resolved.get(pair.arm.id) for side in (pair.head, pair.base))
    if own is None:
        return GateStatus.INCOMPLETE, "head: no record of what the arm turned out to be"
    if other is None:
        return GateStatus.NOT_COMPARABLE, "baseline: no record of what the arm turned out to be"
    return _resolved_status(pair, own, other)


def _resolved_status(pair: Pair, own: ResolvedArm, other: ResolvedArm) -> tuple[GateStatus, str]:
    if found := [*differences(_built(other), _built(own))]:
        return GateStatus.REGRESSION, _named("one declared arm, but other resolved settings", found)
    if own.device != other.device:
        return GateStatus.NOT_COMPARABLE, f"device: {other.device} -> {own.device}"
    strays = _strays(pair.head.run, own)
    return (GateStatus.INCOMPLETE, strays) if strays else (GateStatus.PASS, "")


def _declared(arm: Arm) -> object:
    return arm.model_dump(mode="json", exclude={"id", "name", "role"})


def _built(resolved: ResolvedArm) -> object:
    return resolved.model_dump(mode="json", exclude={"arm_id", "device"})


def _named(headline: str, found: Sequence[str]) -> str:
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{headline} (base -> head): {'; '.join(found[:_SHOWN])}{more}"


def _strays(run: GateRun, resolved: ResolvedArm) -> str:
    """Say so when clips were not made with the settings that are on record."""
    known = {resolved.content_digest(), ""}
    own = [made for made in run.generations if made.arm_id == resolved.arm_id]
    count = sum(made.resolved_digest not in known for made in own)
    if not count:
        return ""
    return f"{count} of {len(own)} batches were made with other settings than those on record"


# --- clips ---------------------------------------------------------------------------------------


def _clips(pair: Pair) -> Trial:
    """Ask whether every planned clip is there: no larger share may be lost than in the base."""
    own, other = (side.counts(pair.arm.id) for side in (pair.head, pair.base))
    cell = pair.cell(
        _CLIPS,
        "clips",
        notes=pair.notes,
        n_clips=own.planned,
        n_missing=own.planned - own.ok,
    )
    if pair.differs:
        return _decided(cell, GateStatus.NOT_COMPARABLE, pair.differs)
    if other.pending or not other.ok:
        text = (
            f"the baseline has {other.ok} usable clips of {other.planned}, {other.pending} pending"
        )
        return _decided(cell, GateStatus.NOT_COMPARABLE, text)
    bad, before = own.failed + own.invalid, other.failed + other.invalid
    grids = pair.grids(VALID_SHARE)
    sample = difference_sample(pair.arm.id, VALID_SHARE, *grids)
    change = (before - bad) / own.planned
    numbers = {
        "head": own.ok / own.planned,
        "base": other.ok / other.planned,
        "comparison": Comparison.DIFFERENCE,
        "change": change,
        "lowest": 0.0,
    }
    hold, held = "", GateStatus.INCONCLUSIVE
    if bad > before:
        hold = f"{bad} of {own.planned} clips failed or are invalid, {before} in the baseline"
    if own.failed > other.failed:  # an error is no chance
        hold = (
            f"{own.failed} of {own.planned} clips ended in an error, {other.failed} in the baseline"
        )
        held = GateStatus.INCOMPLETE
    if own.pending:
        hold = f"{own.pending} of {own.planned} planned clips are pending: finish the run"
        held = GateStatus.INCOMPLETE
    return Trial(
        cell.model_copy(update=numbers),
        p=p_rate_worse(sample.per_prompt, Accepted(0.0, None)) if sample.n_prompts else None,
        beyond=bad > before,
        within=bad <= before,
        hold=hold,
        held=held,
    )


def _decided(cell: GateCell, status: GateStatus, reason: str) -> Trial:
    return decided(cell.model_copy(update={"status": status, "reason": reason}))


# --- arms of one run only ------------------------------------------------------------------------


def _unpaired(head: GateRun, base: GateRun) -> Iterator[GateCell]:
    """Yield a cell for every arm that only one of the runs has."""
    own, other = {arm.id for arm in head.plan.arms}, {arm.id for arm in base.plan.arms}
    for arm in base.plan.arms:
        if arm.id not in own:
            reason = f"the head does not plan this arm of the baseline{_alike(arm, head)}"
            yield _lonely(arm, GateStatus.INCOMPLETE, reason)
    for arm in head.plan.arms:
        if arm.id not in other:
            reason = f"the baseline does not have this arm: accept one that has{_alike(arm, base)}"
            yield _lonely(arm, GateStatus.CALIBRATION_NEEDED, reason)


def _alike(arm: Arm, run: GateRun) -> str:
    """Say how an arm of the same name is declared in the other run."""
    for other in run.plan.arms:
        if other.name == arm.name:
            found = [*differences(_declared(arm), _declared(other))]
            return f"; there '{arm.name}' has {'; '.join(found[:_SHOWN])}" if found else ""
    return ""


def _lonely(arm: Arm, status: GateStatus, reason: str) -> GateCell:
    return GateCell(
        arm_id=arm.id,
        arm=arm.name,
        group=_SETTINGS,
        subject="settings",
        status=status,
        reason=reason,
    )


# --- the whole -----------------------------------------------------------------------------------


def _faster_only_if_as_good(cells: tuple[GateCell, ...]) -> tuple[GateCell, ...]:
    """Take "improved" back from speed where the arm's quality is not shown to be as good."""
    doubtful = {
        cell.arm_id
        for cell in cells
        if cell.group in {_SETTINGS, _CLIPS, GateGroup.QUALITY}
        and cell.status is not GateStatus.PASS
    }
    return tuple(
        cell.model_copy(update={"improved": False})
        if cell.group is GateGroup.SPEED and cell.arm_id in doubtful
        else cell
        for cell in cells
    )


def _not_judged(pairs: Sequence[Pair], limits: GateLimits) -> tuple[NotJudged, ...]:
    """Return what was measured and not judged, so that nobody takes silence for a pass."""
    asked = {metric for pair in pairs for metric in unjudged_metrics(pair, limits)}
    timed = any(_is_timed(side.run) for pair in pairs for side in (pair.head, pair.base))
    named = [
        one
        for one in limits.not_judged
        if one.metric in asked or (timed and one.metric.startswith("latency_"))
    ]
    if any(_has_batches(side.run.plan) for pair in pairs for side in (pair.head, pair.base)):
        named.append(_BATCHES)
    return tuple(named if timed else [*named, _UNTIMED])


_UNTIMED = NotJudged(
    metric="latency and memory",
    reason="neither run has a latency pass, so nothing guards speed here; give the spec one",
)

_BATCHES = NotJudged(
    metric="throughput_clips_per_s",
    reason="No limit is set for clips in batches, nor for their memory; single clips are judged.",
)


def _has_batches(plan: Plan) -> bool:
    return plan.spec.latency is not None and plan.spec.latency.offline is not None


def _is_timed(run: GateRun) -> bool:
    return bool(run.latencies) or run.plan.spec.latency is not None


def _run_differences(head: GateRun, base: GateRun) -> Iterator[str]:
    """Yield what else differs between the runs, as `base -> head`, and what each run reports."""
    if head.plan.criteria_digest != base.plan.criteria_digest:
        names = [
            f"{one.name} version {one.version}" for one in (base.plan.criteria, head.plan.criteria)
        ]
        yield f"criteria were edited: {names[0]} -> {names[1]}; the gate uses its own limits"
    specs = [run.plan.spec.model_dump(mode="json") for run in (base, head)]
    yield from _first(differences(specs[0], specs[1], "spec"))
    if head.fingerprints and base.fingerprints:
        machines = [run.fingerprints[-1].model_dump(mode="json") for run in (base, head)]
        yield from _first(differences(machines[0], machines[1], "machine"))
    for who, run in (("baseline", base), ("head", head)):
        if run.closed_reason is not None:
            yield f"{who}: was closed before its end: {run.closed_reason}"
        yield from (f"{who}: {finding}" for finding in run.findings[:_SHOWN])


def _first(found: Iterator[str], count: int = 20) -> Iterator[str]:
    lines = [*found]
    yield from lines[:count]
    if len(lines) > count:
        yield f"and {len(lines) - count} more"


def worst_first(cells: Sequence[GateCell]) -> list[GateCell]:
    """Return the cells with the worst statuses first, otherwise in order."""
    ranks = {status: rank for rank, status in enumerate(GateStatus)}
    return sorted(cells, key=lambda cell: ranks[cell.status])
