"""What was measured and judged, in words: the numbers, the criteria and the arms of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from poc import findings
from poc.front import smallest_not_inferior_step
from poc.records import (
    Arm,
    ArmDecision,
    ArmRole,
    ArmSummary,
    Comparison,
    ContrastEstimates,
    Criterion,
    CriterionResult,
    DeliverySummary,
    Estimate,
    Light,
    Verdict,
)
from poc.speed_split import times_as_fast
from poc.verdicts import FAIL_SHARE, PASS_SHARE, TARGET_SHARE
from reports import remarks
from reports import text as words
from reports.load import RunView
from reports.model import (
    ArmRow,
    Cell,
    ContrastRow,
    ContrastTable,
    CriterionRow,
    KeyNumber,
    LightRow,
    Line,
    Mark,
)
from reports.text import Text

SPEED: Final = "latency_p50_s"
TABLE_METRICS: Final = ("kvd", "clip_score", "oracle_all", "oracle_motion", SPEED)
"""Columns of the table of arms, after the quality metric."""

_LIGHT_ORDER: Final = list(Light)


def focus_arm(view: RunView) -> Arm:
    """Return the arm that the page is about: the recommended one, else the one that comes closest.

    Closest is the candidate of the best light that fails the fewest criteria, and among those the
    one whose worst criterion is met most often.
    """
    if view.decision.recommended_arm_id is not None:
        return view.arm(view.decision.recommended_arm_id)
    ranked = sorted(view.decision.arms, key=lambda arm: _standing_of(view, arm))
    return view.arm(ranked[0].arm_id) if ranked else view.baseline


def _standing_of(view: RunView, arm: ArmDecision) -> tuple[bool, int, int, float]:
    control = view.arm(arm.arm_id).role is ArmRole.CONTROL
    failed = sum(result.verdict is Verdict.FAIL for result in arm.results)
    worst = min((result.minimum_attainment or 0.0 for result in arm.results), default=0.0)
    return control, _LIGHT_ORDER.index(arm.technical), failed, -worst


def table_metrics(view: RunView) -> tuple[str, ...]:
    """Return the metrics that get a column: the quality metric, then those that the run has."""
    there = {e.metric for arm in view.estimates.arms for e in arm.estimates}
    wanted = (view.estimates.quality_metric, *TABLE_METRICS)
    return tuple(dict.fromkeys(metric for metric in wanted if metric in there))


def light_mark(text: Text, light: Light, part: str = "") -> Mark:
    """Return a light's word in one language: of the whole decision, or of a `part` of it."""
    return Mark(text(f"light.{part}.{light}" if part else f"light.{light}"), str(light))


# --- numbers -------------------------------------------------------------------------------------


def speed_number(view: RunView, text: Text, focus: Arm) -> KeyNumber:
    """Return the seconds of a clip as a number at the top; the NFE where nothing was timed."""
    found = view.estimate(focus.id, SPEED, Comparison.VALUE)
    if found is None:
        return _nfe_number(view, text, focus)
    base = view.estimate(view.baseline.id, SPEED, Comparison.VALUE)
    lines = [*_speed_up(view, text, focus)]
    lines += [text("numbers.baseline", value=words.estimate(text, base)[0])] if base else []
    devices = sorted({sample.device for sample in view.latency})
    lines += [text("numbers.device", device=words.shown(", ".join(devices)))] if devices else []
    return KeyNumber(
        label=words.metric_label(text, SPEED),
        help=words.metric_help(text, SPEED),
        cell=cell(text, found),
        lines=tuple(lines),
    )


def remark(text: Text, number: KeyNumber) -> str:
    """Return a number at the top as a sentence to say in a meeting."""
    one = number.cell
    if one.reason:
        why = one.reason.rstrip("。.")
        return text("remark.number.none", label=number.label, reason=why)
    key = "remark.number" if one.n else "remark.number.plain"
    return text(key, label=number.label, value=one.value, interval=one.interval, n=one.n)


def measured_quality(view: RunView, text: Text, focus: Arm) -> str:
    """Return what the program measured of the quality, in a line; people may say otherwise."""
    metric = view.estimates.quality_metric
    found = view.estimate(focus.id, metric, Comparison.VALUE)
    if found is None or found.value is None:
        return ""
    value, interval = words.estimate(text, found)
    label = words.metric_label(text, metric)
    return text("numbers.program", metric=label, value=value, interval=interval)


def _speed_up(view: RunView, text: Text, focus: Arm) -> Iterator[str]:
    """Yield how many times as fast as the baseline an arm makes a clip: what people call speed."""
    seconds = view.estimate(focus.id, SPEED, Comparison.RATIO)
    if seconds is None or seconds.value is None:
        return
    found = times_as_fast(seconds)
    yield text(
        "numbers.speed_up",
        value=words.number(text, "", Comparison.RATIO, found.value),
        interval=words.interval(text, "", Comparison.RATIO, (found.low, found.high)),
        share=words.estimate(text, seconds)[0],
    )


def _nfe_number(view: RunView, text: Text, focus: Arm) -> KeyNumber:
    base = text("numbers.baseline", value=words.whole(text, view.baseline.nfe))
    none = Cell(value=words.whole(text, focus.nfe), interval=text("numbers.no_latency"), n="")
    return KeyNumber(text("term.nfe"), text("term.nfe.help"), none, (base,))


def cell(text: Text, found: Estimate | None) -> Cell:
    """Return an estimate as a cell; a missing one says why."""
    if found is None:
        return Cell(text("number.none"), "", "", text("cell.absent"))
    value, interval = words.estimate(text, found)
    n = text("n.clips", n=found.n_clips) if found.value is not None else ""
    notes = tuple(remarks.said(text, note) for note in found.notes)
    interval = interval if found.value is not None else ""
    return Cell(value, interval, n, remarks.said(text, found.reason), notes)


def lights(view: RunView, text: Text) -> Iterator[LightRow]:
    """Yield the three lights with their questions, and what a light does not stand on."""
    notes = {"technical": _people_heard(view)}
    if view.decision.price_basis is None and findings.no_price() in view.decision.reasons:
        notes["economic"] = "unpriced"
    if view.decision.rights_basis is None:
        notes["rights"] = "unseen"
    for name in ("technical", "economic", "rights"):
        mark = light_mark(text, getattr(view.decision, name), name)
        question = text(f"lights.{name}.question")
        if note := notes.get(name):
            question = f"{question} {text(f'lights.{name}.{note}')}"
        yield LightRow(text(f"lights.{name}"), question, mark)


def _people_heard(view: RunView) -> str:
    """Return what the technical light, which votes never change, says of them."""
    if view.random_weights:
        return ""
    if view.votes is not None:
        return "voted"
    return "open" if view.votes_open else "unseen"


def smallest_step(view: RunView, text: Text) -> str:
    """Return the fewest steps that are not inferior to the baseline; empty without such a line.

    The margin is the minimum that was fixed for the quality metric's difference; a decision by
    edited criteria went by another one, and a run keeps their digest alone.
    """
    if view.decision.criteria_edited:
        return ""
    metric = view.estimates.quality_metric
    wanted = (metric, Comparison.DIFFERENCE, "higher")
    lines = view.plan.criteria.criteria
    line = next((c for c in lines if (c.metric, c.comparison, c.direction) == wanted), None)
    if line is None or line.minimum > 0:
        return ""
    found = smallest_not_inferior_step(
        view.estimates, metric=metric, margin=-line.minimum, style=None
    )
    arm = text("number.none") if found is None else words.arm_name(text, found)
    bound = words.bound(text, line, line.minimum)
    label = words.criterion_label(text, line)
    return text("step_curve.smallest", arm=arm, criterion=label, line=bound)


# --- criteria ------------------------------------------------------------------------------------


def rule(view: RunView, text: Text) -> str:
    """Return by which rule a criterion passes or fails, and when its lines were fixed."""
    shares = {"passes": PASS_SHARE, "target": TARGET_SHARE, "fails": FAIL_SHARE}
    said = {name: f"{100 * share:.0f}" for name, share in shares.items()}
    told = text("criteria.rule", level=f"{100 * view.estimates.level:.0f}", **said)
    return told if view.decision.criteria_edited else f"{told} {text('criteria.fixed')}"


def criteria(view: RunView, text: Text, focus: Arm) -> Iterator[CriterionRow]:
    """Yield every criterion that applies to the arm in focus, with its result."""
    found = decision_of(view, focus.id)
    results = {r.criterion: r for r in found.results} if found else {}
    for criterion in view.plan.criteria.criteria:
        if criterion.name in results:
            yield _criterion_row(view, text, criterion, results[criterion.name])


def _criterion_row(
    view: RunView, text: Text, criterion: Criterion, result: CriterionResult
) -> CriterionRow:
    metric, how = criterion.metric, criterion.comparison
    interval = words.interval(text, metric, how, (result.low, result.high))
    return CriterionRow(
        label=words.criterion_label(text, criterion),
        name=words.criterion_name(text, criterion),
        help=words.metric_help(text, metric),
        weight=text(f"weight.{criterion.weight}"),
        target=words.bound(text, criterion, criterion.target),
        minimum=words.bound(text, criterion, criterion.minimum),
        cell=Cell(
            words.number(text, metric, how, result.value),
            interval,
            _size(view, text, criterion, result),
        ),
        target_share=words.percent(text, result.target_attainment),
        minimum_share=words.percent(text, result.minimum_attainment),
        mark=Mark(text(f"verdict.{result.verdict}"), str(result.verdict)),
        reason=remarks.said(text, _reason(result)),
        why=words.shown(criterion.reason_ja if text.language == "ja" else criterion.reason),
    )


def _size(view: RunView, text: Text, criterion: Criterion, result: CriterionResult) -> str:
    """Return the clips behind a result, and in which slice where it is asked of each."""
    metric, how = criterion.metric, criterion.comparison
    if criterion.each is None:
        found = view.estimate(result.arm_id, metric, how)
        return text("n.clips", n=found.n_clips) if found else ""
    wanted = (result.arm_id, metric, how)
    there = (
        (part.value, one)
        for part in view.estimates.slices
        if (part.factor, part.value) == (criterion.each, result.slice)
        for one in part.estimates
        if (one.arm_id, one.metric, one.comparison) == wanted
    )
    value, one = next(there, (None, None))
    if value is None or one is None:
        return ""
    at = text("criterion.at", value=words.slice_label(text, value))
    return f"{text('n.clips', n=one.n_clips)}; {at}"


def _reason(result: CriterionResult) -> str:
    """Return why a verdict is what it is, unless the two shares beside it say so already."""
    told = result.target_attainment is not None and result.reason.startswith("minimum reached in")
    return "" if told else result.reason


def decision_of(view: RunView, arm_id: str) -> ArmDecision | None:
    """Return what was decided of an arm; None for the baseline."""
    return next((arm for arm in view.decision.arms if arm.arm_id == arm_id), None)


def criterion_lines(view: RunView, text: Text) -> Iterator[Line]:
    """Yield every criterion as a column head with its weight."""
    for criterion in view.plan.criteria.criteria:
        weight = text(f"weight.{criterion.weight}")
        yield Line(words.criterion_label(text, criterion), weight)


# --- arms ----------------------------------------------------------------------------------------


def metric_line(text: Text, metric: str) -> Line:
    """Return a metric as a column head with its explanation."""
    return Line(words.metric_label(text, metric), words.metric_help(text, metric))


def arm_row(view: RunView, text: Text, summary: ArmSummary) -> ArmRow:
    """Return an arm as a row of the tables of arms."""
    arm, counts = summary.arm, summary.counts
    found = decision_of(view, arm.id)
    results = {r.criterion: r for r in found.results} if found else {}
    names = [c.name for c in view.plan.criteria.criteria]
    return ArmRow(
        arm_id=arm.id,
        name=words.arm_name(text, arm),
        spec_name=words.shown(arm.name),
        steps=words.whole(text, arm.steps),
        nfe=words.whole(text, arm.nfe),
        counts=text("counts.of", ok=counts.ok, planned=counts.planned),
        lost=_losses(text, summary),
        cells=tuple(
            cell(text, view.estimate(arm.id, m, Comparison.VALUE)) for m in table_metrics(view)
        ),
        mark=light_mark(text, found.technical, "technical") if found else None,
        role=_role(view, text, arm),
        marked=arm.id in (view.plan.baseline_id, view.decision.recommended_arm_id),
        verdicts=tuple(_verdict(text, results.get(name)) for name in names),
    )


def _losses(text: Text, summary: ArmSummary) -> str:
    counts = summary.counts
    stated = [] if summary.delivery is None else [delivery_stated(text, summary.delivery)]
    kinds = (("failed", counts.failed), ("invalid", counts.invalid), ("pending", counts.pending))
    lost = [text(f"counts.{kind}", n=n) for kind, n in kinds if n]
    return text("list.comma").join([*lost, *stated])


def delivery_stated(text: Text, found: DeliverySummary) -> str:
    """Return what a delivery states of itself, marked as stated and never as measured."""
    none = text("number.none")
    price, each, time = none, none, none
    if found.price_total is not None:
        price = f"{found.price_total:.4g} {words.shown(found.currency or '')}"
    if found.price_per_ok is not None:
        each = f"{found.price_per_ok:.4g}"
    if found.latency_median_s is not None:
        time = f"{found.latency_median_s:.4g} s"
    picked = f"{len(found.picked)}/{found.takes}"
    return text("delivery.stated", price=price, each=each, time=time, picked=picked)


def role_name(view: RunView, text: Text, arm: Arm) -> str:
    """Return that an arm is the baseline or the best candidate; empty for others."""
    if arm.id == view.plan.baseline_id:
        return text("role.baseline")
    return text("role.recommended") if arm.id == view.decision.recommended_arm_id else ""


def _role(view: RunView, text: Text, arm: Arm) -> str:
    if arm.id != view.plan.baseline_id:
        if arm.name == view.plan.spec.status_quo:
            return text("role.status_quo")
        if arm.role is ArmRole.CONTROL:
            return text("role.control")
    return role_name(view, text, arm)


def _verdict(text: Text, result: CriterionResult | None) -> Mark | None:
    return Mark(text(f"verdict.{result.verdict}"), str(result.verdict)) if result else None


# --- contrasts -----------------------------------------------------------------------------------


def contrasts(view: RunView, text: Text) -> Iterator[ContrastTable]:
    """Yield the pairs of arms that the spec asked to compare with each other."""
    for found in view.estimates.contrasts:
        arm, against = (words.arm_name(text, view.arm(i)) for i in (found.arm_id, found.against_id))
        yield ContrastTable(
            question=words.shown(found.question_ja if text.language == "ja" else found.question),
            pair=text("contrast.pair", arm=arm, against=against),
            rows=tuple(_contrast_rows(text, found)),
        )


def _contrast_rows(text: Text, found: ContrastEstimates) -> Iterator[ContrastRow]:
    for result in found.results:
        one = result.estimate
        pairs = text("contrast.n", n=one.n_clips, planned=one.n_clips + one.n_missing)
        yield ContrastRow(
            label=words.metric_label(text, one.metric),
            help=words.metric_help(text, one.metric),
            cell=replace(cell(text, one), n=pairs if one.value is not None else ""),
            standing=text(f"standing.{result.standing}"),
        )
