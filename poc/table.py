"""The plain-text table of a run: one row an arm, intervals beside values, the verdict last."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from metrics.catalog import CATALOG, Direction
from poc.front import find
from poc.latency_estimates import LATENCY
from poc.latency_scenarios import CONTROL, THROUGHPUT
from poc.records import (
    Arm,
    ArmRole,
    ArmSummary,
    Comparison,
    ContrastResult,
    CriteriaFile,
    Criterion,
    CriterionResult,
    Decision,
    Estimate,
    Estimates,
    Light,
    SliceEstimates,
    Standing,
)
from poc.slicing import looks_compare

WIDTH = 120
"""Columns of a terminal that the table fits into."""

GAP = "  "

MISSING = "-"

NO_INTERVAL = "[none]"

SHORT_LIGHTS = {
    Light.GO: "GO",
    Light.CONDITIONAL: "COND",
    Light.INSUFFICIENT_EVIDENCE: "OPEN",
    Light.NO_GO: "NO_GO",
}


STANDINGS = {
    Standing.BETTER: "better",
    Standing.WORSE: "worse",
    Standing.DIFFERENT: "differs",
    Standing.OPEN: "no difference shown",
}


def table(estimates: Estimates, decision: Decision, criteria: CriteriaFile | None = None) -> str:
    """Return the table, at most 120 columns wide, with a legend.

    With `criteria`, the recommended arm's results follow. Rows are in the plan's order.
    """
    quality = _quality_metrics(estimates)
    lights = {arm.arm_id: arm.technical for arm in decision.arms}
    header = ["arm", "steps", "NFE", "ok/plan", "s", "speed-up", *quality, "KVD", "verdict"]
    rows = [header] + [_row(s, estimates, lights, quality) for s in estimates.arms]
    lines = [*(line[:WIDTH] for line in aligned(rows)), "", *_legend(estimates, quality)]
    if criteria is not None and decision.recommended_arm_id is not None:
        lines += ["", *_results(estimates, decision, criteria)]
    lines += _scenarios(estimates)
    lines += _contrasts(estimates)
    lines += _worst_slices(estimates)
    return "\n".join(line.rstrip() for line in lines)


def _quality_metrics(estimates: Estimates) -> list[str]:
    """Return the front's quality metric, then the CLIP score where that is another one."""
    return list(dict.fromkeys([estimates.quality_metric, "clip_score"]))


def _row(
    summary: ArmSummary,
    estimates: Estimates,
    lights: dict[str, Light],
    quality: Sequence[str],
) -> list[str]:
    arm, counts = summary.arm, summary.counts
    is_baseline = arm.id == estimates.baseline_id
    return [
        arm.name,
        MISSING if arm.steps is None else str(arm.steps),
        MISSING if arm.nfe is None else str(arm.nfe),
        f"{counts.ok}/{counts.planned}",
        _number(find(summary, LATENCY, Comparison.VALUE)),
        "1x" if is_baseline else _speed_up(find(summary, LATENCY, Comparison.RATIO)),
        *(_with_interval(find(summary, metric, Comparison.VALUE)) for metric in quality),
        _number(find(summary, "kvd", Comparison.VALUE)),
        _verdict(arm, lights.get(arm.id)),
    ]


def _verdict(arm: Arm, light: Light | None) -> str:
    """Return the arm's light, with (c) when it is a control."""
    if light is None:
        return "baseline"
    return SHORT_LIGHTS[light] + (" (c)" if arm.role is ArmRole.CONTROL else "")


def figure(value: float) -> str:
    """Return three significant digits without an exponent where that stays short.

    >>> figure(12.345), figure(0.12345), figure(1234.5), figure(0.0), figure(0.00001234)
    ('12.3', '0.123', '1234', '0', '1.2e-05')
    """
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}" if abs(value) < 1e6 else f"{value:.1e}"
    return f"{value:#.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def _number(one: Estimate | None) -> str:
    return MISSING if one is None or one.value is None else figure(one.value)


def _with_interval(one: Estimate | None) -> str:
    if one is None or one.value is None:
        return MISSING
    shown = _percent if one.method == "Wilson" else figure
    unit = "%" if one.method == "Wilson" else ""
    if one.low is None or one.high is None:
        return f"{shown(one.value)}{unit} {NO_INTERVAL}"
    return f"{shown(one.value)}{unit} [{shown(one.low)},{shown(one.high)}]"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _speed_up(ratio: Estimate | None) -> str:
    """Return how many times as fast: the inverse of the ratio of seconds, its ends swapped."""
    if ratio is None or ratio.value is None or ratio.value <= 0:
        return MISSING
    if ratio.low is None or ratio.high is None or ratio.low <= 0:
        return f"{1 / ratio.value:.1f}x {NO_INTERVAL}"
    return f"{1 / ratio.value:.1f}x [{1 / ratio.high:.1f},{1 / ratio.low:.1f}]"


# --- layout --------------------------------------------------------------------------------------


def aligned(rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """Return rows as lines: first cells to the left and cut where needed, the rest to the right.

    Wide signs count as the two columns that they take. A line is longer than `width` only where
    eight columns of a name and all of the rest are.

    >>> aligned([["動画", "1"], ["clip", "23"]])
    ['動画   1', 'clip  23']
    """
    widths = [max(columns(cell) for cell in column) for column in zip(*rows, strict=True)]
    others = sum(widths[1:]) + len(GAP) * (len(widths) - 1)
    widths[0] = min(widths[0], max(width - others, 8))
    return [line(row, widths) for row in rows]


def line(row: Sequence[str], widths: Sequence[int]) -> str:
    """Return a row as text: its name to the left and cut to its width, the rest to the right."""
    name = cut(row[0], widths[0])
    cells = [name + " " * (widths[0] - columns(name))]
    cells += [
        " " * (width - columns(cell)) + cell
        for cell, width in zip(row[1:], widths[1:], strict=True)
    ]
    return GAP.join(cells)


def columns(text: str) -> int:
    """Return how many terminal columns a text takes: wide and full-width signs take two.

    >>> columns("LCM"), columns("動画")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def cut(text: str, width: int) -> str:
    """Return a text of at most `width` terminal columns, a tilde where something is left out.

    >>> cut("animatelcm", 8)
    'animate~'
    """
    if columns(text) <= width:
        return text
    while columns(text) > width - 1:
        text = text[:-1]
    return text + "~"


def _legend(estimates: Estimates, quality: Sequence[str]) -> list[str]:
    prompts = [
        one.n_prompts
        for summary in estimates.arms
        for metric in quality
        if (one := find(summary, metric, Comparison.VALUE)) is not None and one.value is not None
    ]
    span = f"{min(prompts)} to {max(prompts)}" if prompts else "0"
    level = f"{estimates.level * 100:g} %"
    lines = [
        f"[low, high]: {level} intervals over {span} prompts. s: median seconds of a warm clip.",
        "ok/plan: clips that can be judged, of those planned. OPEN: INSUFFICIENT_EVIDENCE.",
        "(c): control, never recommended.",
    ]
    if any(find(one, LATENCY, Comparison.RATIO) for one in estimates.arms):
        lines.insert(1, "speed-up: median of the rounds' own ratios, not one median by another.")
    lines += [_delivery(s) for s in estimates.arms if s.delivery is not None]
    if estimates.closed_reason is not None:
        lines.append(f"closed early: {estimates.closed_reason}")
    return lines


def _delivery(summary: ArmSummary) -> str:
    """Return what a delivery states of itself, marked as that."""
    found = summary.delivery
    if found is None:
        return ""
    price, time = found.price_reason or "-", "-"
    if found.price_total is not None:
        price = f"{figure(found.price_total)} {found.currency}"
    if found.price_per_ok is not None:
        price += f", {figure(found.price_per_ok)} a usable clip"
    if found.latency_median_s is not None:
        time = f"median {figure(found.latency_median_s)} s of {found.latency_n}"
    return cut(
        f"{summary.arm.name}: {len(found.picked)} of {found.takes} takes HAND-PICKED; made "
        f"elsewhere, paired by prompt; {found.basis}: price {price}; request to receipt {time}",
        WIDTH,
    )


def _results(estimates: Estimates, decision: Decision, criteria: CriteriaFile) -> list[str]:
    """Return the recommended arm's verdicts, a line each."""
    chosen = next(a for a in decision.arms if a.arm_id == decision.recommended_arm_id)
    name = next(s.arm.name for s in estimates.arms if s.arm.id == chosen.arm_id)
    asked = {criterion.name: criterion for criterion in criteria.criteria}
    lines = [f"{name}: {chosen.technical.value} (with the share of resamples at each line)"]
    lines += [_result(asked[r.criterion], r) for r in chosen.results if r.criterion in asked]
    return [cut(line, WIDTH) for line in lines]


def _scenarios(estimates: Estimates) -> list[str]:
    """Return throughput in batches, and how the baseline stands to itself, where both are there."""
    base = next(s for s in estimates.arms if s.arm.id == estimates.baseline_id)
    control = find(base, CONTROL, Comparison.RATIO)
    lines = []
    if control is not None:
        said = control.reason if control.value is None else _with_interval(control)
        lines.append(f"A/A control, seconds of the baseline by its own: {said}")
    batched = [f"  {s.arm.name}: {_throughput(s)}" for s in estimates.arms if _batched(s)]
    lines += ["throughput, several clips in one call:", *batched] if batched else []
    return [cut(line, WIDTH) for line in ["", *lines]] if lines else []


def _batched(summary: ArmSummary) -> Estimate | None:
    return find(summary, THROUGHPUT, Comparison.VALUE)


def _throughput(summary: ArmSummary) -> str:
    """Return the clips a second of an arm, and by the baseline's, or why there are none."""
    value, gain = _batched(summary), find(summary, THROUGHPUT, Comparison.RATIO)
    if value is None or value.value is None:
        return value.reason if value else MISSING
    said = f"{_with_interval(value)} clips/s"
    return said if gain is None else f"{said}, {_with_interval(gain)} times the baseline's"


def _contrasts(estimates: Estimates) -> list[str]:
    """Return what two arms differ by, a line a metric, and which is better where it is shown."""
    if not estimates.contrasts:
        return []
    names = {s.arm.id: s.arm.name for s in estimates.arms}
    count = sum(len(one.results) for one in estimates.contrasts)
    lines = [
        "",
        "contrasts: the first minus the second, paired by prompt, with the pairs behind each;",
        f"of {count} comparisons about one in 20 would seem to differ by chance",
    ]
    for one in estimates.contrasts:
        lines.append(f"  {names[one.arm_id]} against {names[one.against_id]}")
        lines += [f"    {_contrast(found)}" for found in one.results]
    return [cut(line, WIDTH) for line in lines]


def _contrast(result: ContrastResult) -> str:
    one = result.estimate
    if one.value is None or one.low is None or one.high is None:
        return f"{one.metric}: {_number(one)} ({one.reason})"
    pairs = f"n = {one.n_clips} of {one.n_clips + one.n_missing}"
    interval = _ends(one)
    said = STANDINGS[result.standing]
    return f"{one.metric}: {signed(one.value)} {interval}, {pairs}: {said}"


def _worst_slices(estimates: Estimates) -> list[str]:
    """Return where each candidate differs from the baseline most to its harm, a line a metric."""
    candidates = [
        s.arm
        for s in estimates.arms
        if s.arm.role is ArmRole.CANDIDATE and s.arm.id != estimates.baseline_id
    ]
    asked = dict.fromkeys(e.metric for part in estimates.slices for e in part.estimates)
    base = next(s for s in estimates.arms if s.arm.id == estimates.baseline_id)
    rows = [
        [
            f"  {arm.name}",
            metric,
            f"{signed(one.value)} {_ends(one)}",
            f"{where}, n = {one.n_clips}",
        ]
        for arm in candidates
        for metric in asked
        if looks_compare(metric, arm.style, base.arm.style)
        if (found := _worst_slice(estimates.slices, arm.id, metric)) is not None
        for where, one in [found]
        if one.value is not None
    ]
    if not rows:
        return []
    factors = ", ".join(dict.fromkeys(part.factor for part in estimates.slices))
    head = (
        f"slices by {factors}: of {len(estimates.slices)}, that in which an arm lies furthest "
        "behind the baseline"
    )
    return ["", head, *(line[:WIDTH] for line in aligned(rows))]


def _worst_slice(
    slices: Sequence[SliceEstimates], arm_id: str, metric: str
) -> tuple[str, Estimate] | None:
    """Return a metric's worst difference to the baseline; None without one or a better side."""
    row = CATALOG.get(metric.partition("[")[0])
    if row is None or row.direction not in {Direction.HIGHER, Direction.LOWER}:
        return None
    wanted = (arm_id, metric, Comparison.DIFFERENCE)
    found = [
        (f"{part.factor} {part.value}", one, one.value)
        for part in slices
        for one in part.estimates
        if (one.arm_id, one.metric, one.comparison) == wanted and one.value is not None
    ]
    sign = 1 if row.direction is Direction.HIGHER else -1
    worst = min(found, key=lambda one: sign * one[2], default=None)
    return None if worst is None else worst[:2]


def _ends(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return NO_INTERVAL
    return f"[{signed(one.low)},{signed(one.high)}]"


def signed(value: float) -> str:
    """Return a difference with its sign.

    >>> signed(0.5), signed(-0.5)
    ('+0.500', '-0.500')
    """
    return f"+{figure(value)}" if value > 0 else figure(value)


def _result(criterion: Criterion, result: CriterionResult) -> str:
    value = MISSING if result.value is None else figure(result.value)
    if result.low is not None and result.high is not None:
        value += f" [{figure(result.low)},{figure(result.high)}]"
    where = f" ({criterion.each} {result.slice})" if result.slice is not None else ""
    said = f"{result.verdict.value:<12}  {criterion.weight.value:<6}"
    head = f"  {said}  {criterion.name}{where}: {value}"
    if result.minimum_attainment is None or result.target_attainment is None:
        return f"{head}; {result.reason}"
    lines = f"minimum in {result.minimum_attainment:.1%}, target in {result.target_attainment:.1%}"
    return f"{head}; {lines}"
