"""What a deliverable costs, in words: the sum, what stands beside it, what moves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pandas as pd

from poc import cost_findings as said
from poc.cost_file import AlternativeName
from poc.cost_records import CostResult, OtherWay, SettingCost, Spread, Swing
from poc.records import Arm, Comparison, Light
from reports import text as words
from reports.load import RunView
from reports.model import Cell, KeyNumber, Line, MoneyDetail, SwingRow, WayRow, Ways
from reports.text import Text

SHOWN_SWINGS: Final = 8
"""Bars of the tornado that are shown: the longest."""


def _money(text: Text, cost: CostResult, value: float | None) -> str:
    if value is None:
        return text("number.none")
    return text.pick(said.money(value, cost.currency)).replace("-", words.MINUS)


def _spread(text: Text, cost: CostResult, one: Spread) -> str:
    low, high = (_money(text, cost, end) for end in (one.low, one.high))
    return text("number.interval", low=low, high=high)


def nothing(view: RunView) -> str:
    """Return the key of why there is no money: no arm to price, no prices, or sums not kept."""
    if view.decision.price_basis is not None:
        return "money.absent"
    return "money.no_arm" if view.decision.recommended_arm_id is None else "money.none"


def _how(view: RunView, text: Text) -> tuple[str, ...]:
    return () if nothing(view) == "money.no_arm" else (text("money.how"),)


def key_number(view: RunView, text: Text) -> KeyNumber:
    """Return the cost of a deliverable as the third number."""
    label, helped = text("money.label"), text("money.help")
    if view.money is None:
        none = Cell(text("number.none"), "", "", text(nothing(view)))
        return KeyNumber(label, helped, none, _how(view, text))
    cost = view.money.cost
    drawn = cost.simulation
    cell = Cell(
        value=_money(text, cost, cost.cost_per_deliverable),
        interval=_spread(text, cost, drawn.cost_per_deliverable),
        n=text("money.runs", runs=f"{drawn.runs:,}"),
    )
    return KeyNumber(label, helped, cell, tuple(_lines(text, cost)))


def _lines(text: Text, cost: CostResult) -> Iterator[str]:
    if cost.examples:
        yield text("money.examples", n=len(cost.examples))
    yield words.shown(text.pick(said.deliverable(cost.deliverable)))
    for one in cost.alternatives:
        if one.name is cost.compared_with:
            value = _money(text, cost, one.cost_per_deliverable)
            yield text("money.against", way=text.pick(one.label), value=value)


def amount(view: RunView, text: Text) -> str:
    """Return the money that is asked for: once, in the first year and in each later one."""
    if view.money is None:
        return text(nothing(view))
    cost = view.money.cost
    asked = text(
        "request.amount.said",
        initial=_money(text, cost, cost.initial_cost),
        first=_money(text, cost, cost.first_year_cost),
        later=_money(text, cost, cost.later_year_cost),
    )
    asked += text("request.amount.example") if cost.examples else ""
    buys = view.decision.decision in {Light.GO, Light.CONDITIONAL} and not view.demonstration
    return asked if buys else text("request.amount.later", amount=asked)


# --- beside the other ways -----------------------------------------------------------------------


def ways(view: RunView, text: Text, focus: Arm) -> Ways:
    """Return what else could be done, doing nothing included, beside ours."""
    if view.money is None:
        names = text("list.comma").join(text.pick(said.ALTERNATIVES[n]) for n in AlternativeName)
        about = text("ways.unpriced", nothing=text(nothing(view)), names=names)
        return Ways(about, (), _how(view, text))
    cost = view.money.cost
    days = text.pick(said.days(cost.working_days))
    arm = text("ways.ours", arm=words.arm_name(text, focus))
    ours = WayRow(arm, _money(text, cost, cost.cost_per_deliverable), "", days, "")
    settings = tuple(_setting(view, text, cost, one) for one in view.money.settings)
    others = tuple(_way(text, cost, one) for one in cost.alternatives)
    return Ways(text("ways.about"), (ours, *others, *settings), (text.pick(cost.largest_part),))


def _setting(view: RunView, text: Text, cost: CostResult, one: SettingCost) -> WayRow:
    return WayRow(
        name=words.arm_name(text, view.arm(one.arm_id)),
        cost=_money(text, cost, one.cost_per_deliverable),
        saving=_money(text, cost, one.saving_per_deliverable),
        days=text.pick(said.days(one.working_days)),
        mark=text("ways.setting", share=said.percent(one.share_cheaper)),
    )


def _way(text: Text, cost: CostResult, one: OtherWay) -> WayRow:
    days = one.working_days
    marks = [text("ways.compared")] if one.name is cost.compared_with else []
    marks += [text("ways.example")] if one.is_example else []
    return WayRow(
        name=text.pick(one.label),
        cost=_money(text, cost, one.cost_per_deliverable),
        saving=_money(text, cost, one.saving_per_deliverable),
        days=text("number.none") if days is None else text.pick(said.days(days)),
        mark=text("list.comma").join(marks),
    )


# --- in detail -----------------------------------------------------------------------------------


def detail(view: RunView, text: Text) -> MoneyDetail | None:
    """Return where the money goes, what comes back and what moves both; None without prices."""
    if view.money is None:
        return None
    cost = view.money.cost
    return MoneyDetail(
        about=text.pick(cost.simulation.distribution),
        parts=tuple(_parts(text, cost)),
        returns=tuple(_returns(text, cost)),
        swings=tuple(_swing(text, cost, one) for one in cost.tornado[:SHOWN_SWINGS]),
        rollout=tuple(_rollout(text, cost)),
    )


def _parts(text: Text, cost: CostResult) -> Iterator[Line]:
    for one in cost.parts:
        value = _money(text, cost, one.per_deliverable)
        yield Line(text.pick(one.label), f"{value} ({said.percent(one.share)})")


def _returns(text: Text, cost: CostResult) -> Iterator[Line]:
    drawn, months = cost.simulation, cost.payback_months
    even = said.break_even(cost.break_even_per_month, cost.cheaper_below_per_month)
    npv = _money(text, cost, cost.npv)
    way = next(one.label for one in cost.alternatives if one.name is cost.compared_with)
    yield Line(text("money.compared"), text.pick(way))
    yield Line(text("money.volume"), text("money.volume.said", n=f"{cost.deliverables_per_month:g}",
                                          months=f"{cost.horizon_months:g}"))  # fmt: skip
    yield Line(text("money.initial"), _money(text, cost, cost.initial_cost))
    yield Line(text("money.even"), text.pick(even))
    paid = said.percent(drawn.share_paid_back)
    yield Line(
        text("money.payback"),
        text("money.payback.said", value=text.pick(said.months(months)), share=paid),
    )
    yield Line(text("money.npv"), f"{npv} ({_spread(text, cost, drawn.npv)})")
    yield Line(text("money.seconds"), _seconds(text, cost))
    acceptance = said.percent(cost.acceptance.value)
    yield Line(
        text("money.acceptance"),
        f"{acceptance} ({text.pick(said.basis(cost.acceptance_basis))})",
    )
    minutes = text("clips.minutes", value=f"{cost.review.value:.2g}")
    basis = text.pick(said.basis(cost.review_basis))
    yield Line(text("money.review"), f"{minutes} ({basis})")


def _seconds(text: Text, cost: CostResult) -> str:
    one = cost.seconds
    shown = words.number(text, "_s", Comparison.VALUE, one.value)
    return shown if one.doubt is None else f"{shown} ({words.shown(text.pick(one.doubt))})"


def _swing(text: Text, cost: CostResult, one: Swing) -> SwingRow:
    return SwingRow(
        name=text.pick(one.label),
        low=words.given(one.low),
        high=f"{words.given(one.high)} {one.unit}",
        cost_at_low=_money(text, cost, one.cost_at_low),
        cost_at_high=_money(text, cost, one.cost_at_high),
    )


def _rollout(text: Text, cost: CostResult) -> Iterator[Line]:
    """Yield every stage of the roll-out: how far it goes, its gate and what stops it."""
    stages = {} if cost.rollout is None else cost.rollout.stages()
    for name, stage in stages.items():
        sentence = text.pick(said.stage(stage, cost.currency))
        yield Line(text.pick(said.STAGES[name]), words.shown(sentence, 1500))


def swing_table(text: Text, cost: CostResult) -> pd.DataFrame:
    """Return the longest bars of the tornado: both costs, and the input's own ends in words."""
    rows = [
        {
            "input": words.shown(text.pick(one.label)),
            "low": one.cost_at_low,
            "high": one.cost_at_high,
            "base": cost.cost_per_deliverable,
            "ends": f"{words.given(one.low)} – {words.given(one.high)} {one.unit}",
            "at_low": _money(text, cost, one.cost_at_low),
            "at_high": _money(text, cost, one.cost_at_high),
            "axis": text("chart.money", currency=cost.currency),
        }
        for one in cost.tornado[:SHOWN_SWINGS]
    ]
    return pd.DataFrame(rows)


def scenario_lines(
    text: Text, before: CostResult, after: CostResult
) -> Iterator[tuple[str, str, str]]:
    """Yield a term with what is said of it before and after a change of assumptions."""
    yield text("money.label"), _sum(text, before), _sum(text, after)
    for one, other in zip(_returns(text, before), _returns(text, after), strict=True):
        yield one.term, one.said, other.said


def _sum(text: Text, cost: CostResult) -> str:
    drawn = _spread(text, cost, cost.simulation.cost_per_deliverable)
    return f"{_money(text, cost, cost.cost_per_deliverable)} ({drawn})"


def limits(view: RunView, text: Text) -> Iterator[Line]:
    """Yield every limit on money and days that was set before the result was known."""
    if view.money is None:
        return
    cost = view.money.cost
    for check in cost.limits:
        line = text.pick(said.limited(check.name, check.limit, cost.currency))
        yield Line(text.pick(check.label), text("stop.above", limit=line))
