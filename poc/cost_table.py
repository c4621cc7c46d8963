"""The cost model's answer as plain text: what it costs, beside what, how sure, and the light."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from poc import cost_findings as said
from poc.cost_file import GpuMode, Rollout
from poc.cost_findings import amount, number
from poc.cost_records import CostResult, Curve, EconomicLight, Seconds, Spread, Swing
from poc.records import Finding
from poc.table import MISSING, WIDTH, aligned, columns, cut, figure

SHOWN_SWINGS = 8
"""Bars of the tornado that are shown: the longest."""

EXAMPLE_MARK = " (example)"

_ENDS = ("cost at low", "cost at high", "NPV at low", "NPV at high")


def cost_text(result: CostResult, light: EconomicLight) -> str:
    """Return the whole answer, at most 120 columns wide; sentences in English, then Japanese."""
    blocks = [
        _head(result),
        _clip(result),
        _deliverable(result),
        _ways(result),
        _gpus(result),
        _returns(result),
        _tornado(result.tornado, result.currency),
        *(_curve(curve, result.currency) for curve in result.curves),
        *([_rollout(result.rollout, result.currency)] if result.rollout else []),
        _light(light),
        [*_both(result.largest_part), f"economic: {light.light}"],
    ]
    return "\n\n".join("\n".join(cut(line.rstrip(), WIDTH) for line in block) for block in blocks)


def _head(result: CostResult) -> list[str]:
    return [
        f"{result.name} / {result.name_ja}",
        said.deliverable(result.deliverable).text_en,
        _volume(result),
        f"money in {result.currency}; {_examples(result)}",
    ]


def _volume(result: CostResult) -> str:
    volume, months = map(number, (result.deliverables_per_month, result.horizon_months))
    return f"{volume} deliverables a month, {months} months"


def _examples(result: CostResult) -> str:
    count, more = len(result.examples), result.other_examples
    if not count and not more:
        return "no examples"
    parts = [f"{count} inputs in use are examples, no evidence"] if count else []
    parts += [f"{more} examples stand behind what is shown beside ours"] if more else []
    return f"EXAMPLE: {'; '.join(parts)}"


def _clip(result: CostResult) -> list[str]:
    spread = result.simulation.cost_per_accepted_clip
    one, basis = result.seconds, said.basis(result.acceptance_basis).text_en
    timed = [] if one.shape is None else [["of", "", said.timed_clip(one.shape).text_en]]
    rows = [
        ["seconds per clip", figure(one.value), _seconds_mark(one)],
        *timed,
        ["acceptance rate", said.percent(result.acceptance.value), basis],
        ["review", f"{number(result.review.value)} min", said.basis(result.review_basis).text_en],
        ["attempts per accepted clip", figure(result.attempts_per_accepted), "failures included"],
        [
            "energy per accepted clip",
            f"{figure(1000 * result.energy_kwh_per_accepted_clip)} Wh",
            "",
        ],
        ["cost per accepted clip", _money(result, result.cost_per_accepted_clip), _spread(spread)],
    ]
    return ["an accepted clip", *_rows(rows)]


def _money(result: CostResult, value: float) -> str:
    return said.money(value, result.currency).text_en


def _seconds_mark(one: Seconds) -> str:
    if one.doubt is None:
        return f"measured on {one.device}"
    return "stated" if one.shape is None else f"not measured: {one.doubt.text_en}"


def _deliverable(result: CostResult) -> list[str]:
    rows = [
        [one.label.text_en, _money(result, one.per_deliverable), said.percent(one.share)]
        for one in result.parts
    ]
    spread = _spread(result.simulation.cost_per_deliverable)
    rows.append(["in all", _money(result, result.cost_per_deliverable), spread])
    return ["a deliverable", *_rows(rows)]


def _ways(result: CostResult) -> list[str]:
    ours = [["ours", amount(result.cost_per_deliverable), "", number(result.working_days)]]
    others = [
        [
            one.label.text_en
            + (" (compared with)" if one.name is result.compared_with else "")
            + (EXAMPLE_MARK if one.is_example else ""),
            amount(one.cost_per_deliverable),
            amount(one.saving_per_deliverable),
            MISSING if one.working_days is None else number(one.working_days),
        ]
        for one in result.alternatives
    ]
    header = [[f"way ({result.currency})", "per deliverable", "ours saves", "working days"]]
    return _rows(header + ours + others)


def _gpus(result: CostResult) -> list[str]:
    header = [
        [
            f"GPU ({result.currency})",
            "GPUs paid",
            "per hour of work",
            "per clip",
            "per deliverable",
            "NPV",
        ]
    ]
    rows = [
        [
            one.label.text_en
            + (" (taken)" if one.is_taken else "")
            + (EXAMPLE_MARK if one.is_example else ""),
            figure(one.gpus) if one.is_shared or one.mode is GpuMode.RENTED else number(one.gpus),
            amount(one.price_per_hour),
            amount(one.cost_per_accepted_clip),
            amount(one.cost_per_deliverable),
            amount(one.npv),
        ]
        for one in result.gpu_options
    ]
    return [*_rows(header + rows), _needed(result)]


def _needed(result: CostResult) -> str:
    work = f"{figure(result.gpu_hours_per_month)} GPU hours a month"
    needed = f"{figure(result.gpus)} GPUs at {said.percent(result.utilisation)} utilisation"
    noun = "GPU" if result.whole_gpus == 1 else "GPUs"
    fill = f"fill {said.percent(result.fill)} of {result.whole_gpus} whole {noun}"
    return f"{work}: {needed}; they {fill}"


def _returns(result: CostResult) -> list[str]:
    drawn = result.simulation
    level = said.break_even(result.break_even_per_month, result.cheaper_below_per_month).text_en
    paid_back = (
        f"{_spread(drawn.payback_months)}; paid back in {said.percent(drawn.share_paid_back)}"
    )
    rows = [
        ["initial cost", _money(result, result.initial_cost), ""],
        ["first year", _money(result, result.first_year_cost), ""],
        ["later years", _money(result, result.later_year_cost), ""],
        ["break-even", level, ""],
        ["payback", said.months(result.payback_months).text_en, paid_back],
        ["net present value", _money(result, result.npv), _spread(drawn.npv)],
    ]
    against = said.ALTERNATIVES[result.compared_with].text_en
    note = f"[low, high]: 90 % of {drawn.runs} simulations, seed {drawn.seed}. "
    return [
        f"return against {against}",
        *_rows(rows),
        *textwrap.wrap(note + drawn.distribution.text_en, WIDTH),
    ]


def _tornado(swings: Sequence[Swing], currency: str) -> list[str]:
    header = [[f"tornado ({currency})", "low", "high", *_ENDS]]
    rows = [
        [
            one.label.text_en,
            number(one.low),
            f"{number(one.high)} {one.unit}",
            *map(amount, (one.cost_at_low, one.cost_at_high, one.npv_at_low, one.npv_at_high)),
        ]
        for one in swings[:SHOWN_SWINGS]
    ]
    return _rows(header + rows)


def _curve(curve: Curve, currency: str) -> list[str]:
    basis = said.basis(curve.basis).text_en
    header = [
        [f"{curve.label.text_en} ({basis})", "per clip", "per deliverable", "payback", "within"]
    ]
    rows = [
        [
            f"{number(point.value, 3)} {curve.unit}",
            amount(point.cost_per_accepted_clip),
            amount(point.cost_per_deliverable),
            MISSING if point.payback_months is None else f"{point.payback_months:.1f}",
            MISSING if point.share_within is None else said.percent(point.share_within),
        ]
        for point in curve.points
    ]
    note = f"money in {currency}, payback in months; within: simulations within all limits at once"
    return [*_rows(header + rows), note]


def _rollout(rollout: Rollout, currency: str) -> list[str]:
    lines = []
    for name, one in rollout.stages().items():
        called, stage = said.STAGES[name], said.stage(one, currency)
        en, ja = f"{called.text_en}: {stage.text_en}", f"{called.text_ja}: {stage.text_ja}"
        lines += _both(Finding(text_en=en, text_ja=ja))
    return ["roll-out", *lines]


def _light(light: EconomicLight) -> list[str]:
    lines = [line for one in light.reasons for line in _both(one)]
    lines += ["conditions:"] if light.conditions else []
    lines += [line for one in light.conditions for line in _both(one)]
    if light.next_step is not None:
        lines += ["next:", *_both(light.next_step)]
    return lines


def _both(one: Finding) -> list[str]:
    """Return a sentence in both languages; Japanese takes two columns a sign and has no spaces."""
    ja: list[str] = []
    line = ""
    for sign in one.text_ja:
        if columns(line + sign) > WIDTH - 2:
            ja, line = [*ja, line], ""
        line += sign
    return [f"  {part}" for part in [*textwrap.wrap(one.text_en, WIDTH - 2), *ja, line]]


def _spread(one: Spread) -> str:
    low, high = (MISSING if end is None else amount(end) for end in (one.low, one.high))
    return f"[{low}, {high}]"


def _rows(rows: list[list[str]]) -> list[str]:
    return [f"  {line}" for line in aligned(rows, WIDTH - 2)]
