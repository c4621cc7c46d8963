"""The cost model as a sheet of inputs and a sheet of formulas, for finance to change and to check.

Formulas are those of `poc/specs/cost/README.md`, for the way in which the GPU is paid for. The
program's own results stand in the cells until a spreadsheet computes them anew; a step that the run
does not keep is empty until then. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from poc.cost_file import AlternativeName, CostInputs, GpuMode, currency_of, stated
from poc.cost_records import CostResult, MoneyOfRun
from reports import text as words
from reports.text import Text

ROLES: Final = ("training", "operation", "review", "maintenance")


class Step(NamedTuple):
    """A line of the sheet: its name in formulas and in the locale, and how it follows."""

    name: str
    formula: str


def steps(inputs: CostInputs) -> tuple[Step, ...]:
    """Return the model as formulas over the dotted names of the inputs; each uses earlier ones."""
    return (*_clip(), *_gpu(inputs), *_streams(), *_sums(inputs), *_returns(inputs))


def _clip() -> Iterator[Step]:
    yield Step("reviewed", "1/material.acceptance_rate")
    yield Step("attempts", "calc.reviewed/(1-material.failure_rate)")
    yield Step("gpu_s", "calc.attempts*gpu.seconds_per_clip+material.upscale_s_per_clip")
    minutes = "calc.reviewed*material.review_min_per_clip"
    yield Step("review_cost", f"{minutes}/60*people.review.price_per_hour")


def is_whole(inputs: CostInputs) -> bool:
    """Tell whether whole GPUs are paid for, however little they work."""
    return inputs.gpu.mode is not GpuMode.RENTED and inputs.gpu.other_work is None


def _gpu(inputs: CostInputs) -> Iterator[Step]:
    mode, whole = inputs.gpu.mode, is_whole(inputs)
    month = {
        GpuMode.RENTED: "730*gpu.rented.price_per_hour",
        GpuMode.RESERVED: "gpu.reserved.price_per_month",
        GpuMode.BOUGHT: "gpu.bought.hosting_per_month",
    }[mode]
    bought = mode is GpuMode.BOUGHT
    loss = "gpu.bought.price*(1-gpu.bought.residual_share)/gpu.bought.life_months"
    energy = "energy.power_kw*energy.pue*energy.price_per_kwh"
    yield Step("capacity", f"730*gpu.{mode}.utilisation")
    yield Step("month_price", month)
    yield Step("month_loss", loss if bought else "0")
    yield Step("energy_price", energy if bought else "0")
    yield Step("hours_per", "material.clips_per_deliverable*calc.gpu_s/3600")
    yield Step("hours_training", "style.trainings_per_year/12*style.gpu_h_per_training")
    yield Step("hours", "calc.hours_training+calc.hours_per*deliverables_per_month")
    needed = "calc.hours/calc.capacity"
    yield Step("gpus", f"MAX(ROUNDUP({needed},0),1)" if whole else needed)
    price = "(calc.month_price+calc.month_loss)"
    share = "calc.gpus/calc.hours" if whole else "1/calc.capacity"
    yield Step("hour_price", f"{price}*{share}+calc.energy_price")
    for name, paid in (("charged", price), ("paid", "calc.month_price")):
        hour = "calc.energy_price" if whole else f"{paid}/calc.capacity+calc.energy_price"
        fixed = f"calc.gpus*{paid}+" if whole else ""
        yield Step(f"gpu_per_{name}", f"calc.hours_per*({hour})")
        yield Step(f"gpu_month_{name}", f"{fixed}calc.hours_training*({hour})")
    yield Step("cost_clip", "calc.gpu_s/3600*calc.hour_price+calc.review_cost")


def _streams() -> Iterator[Step]:
    training = "style.trainings_per_year/12*style.people_h_per_training"
    styles = f"{training}*people.training.price_per_hour"
    for year in ("first_year", "later_year"):
        roles = "+".join(f"people.{one}.{year}_h*people.{one}.price_per_hour" for one in ROLES)
        yield Step(f"people_{year}", f"({roles})/12+{styles}")
    editing = "material.editing_min_per_deliverable/60*people.operation.price_per_hour"
    yield Step("people_per", f"{editing}+material.clips_per_deliverable*calc.review_cost")
    yield Step("fees_once", "integration.once+fees.once")
    yield Step("fees_month", "integration.per_month+fees.per_month")
    remains = "(1-material.replaced_share)*alternatives.outsourcing.per_deliverable"
    yield Step("fees_per", f"fees.per_deliverable+{remains}")


def _sums(inputs: CostInputs) -> Iterator[Step]:
    months, volume = "horizon_months", "deliverables_per_month"
    yield Step("first_months", f"MIN({months},12)")
    first = "calc.people_first_year*calc.first_months"
    people = f"{first}+calc.people_later_year*({months}-calc.first_months)"
    yield Step("part_equipment", f"calc.gpu_per_charged+calc.gpu_month_charged/{volume}")
    yield Step("part_people", f"calc.people_per+({people})/{months}/{volume}")
    yield Step("part_fees", f"calc.fees_per+(calc.fees_once/{months}+calc.fees_month)/{volume}")
    yield Step(
        "part_rights", f"rights.per_deliverable+(rights.once/{months}+rights.per_month)/{volume}"
    )
    parts = ("equipment", "people", "fees", "rights")
    yield Step("cost", "+".join(f"calc.part_{one}" for one in parts))
    for name in AlternativeName:
        way = f"alternatives.{name}"
        month = f"({way}.once/{months}+{way}.per_month)/{volume}"
        yield Step(f"way_{name}", f"{way}.per_deliverable+{month}")
    yield Step("saving", f"calc.way_{inputs.compared_with}-calc.cost")


def _returns(inputs: CostInputs) -> Iterator[Step]:
    months, volume, other = (
        "horizon_months", "deliverables_per_month", f"alternatives.{inputs.compared_with}",
    )  # fmt: skip
    bought = inputs.gpu.mode is GpuMode.BOUGHT
    yield Step("machine", "calc.gpus*gpu.bought.price" if bought else "0")
    yield Step("initial", "calc.fees_once+rights.once+calc.machine")
    each = "calc.gpu_per_paid+calc.people_per+calc.fees_per+rights.per_deliverable"
    fixed = "calc.gpu_month_paid+calc.fees_month+rights.per_month"
    for year in ("first_year", "later_year"):
        yield Step(f"{year}_cost", f"12*({fixed}+calc.people_{year}+({each})*{volume})")
    theirs = f"{other}.per_month+{other}.per_deliverable*{volume}"
    yield Step("saved_first", f"{theirs}-calc.first_year_cost/12")
    yield Step("saved_later", f"{theirs}-calc.later_year_cost/12")
    yield Step("invested", f"calc.initial-{other}.once")
    yield Step("at_year", "calc.saved_first*calc.first_months-calc.invested")
    yield Step("at_end", f"calc.at_year+calc.saved_later*({months}-calc.first_months)")
    early = "IF(calc.invested<=0,0,calc.invested/calc.saved_first)"
    late = "calc.first_months-calc.at_year/calc.saved_later"
    yield Step("payback", f'IF(calc.at_end<0,"–",IF(calc.at_year>=0,{early},{late}))')
    yield Step("annuity_first", _annuity("calc.first_months"))
    yield Step("annuity", _annuity(months))
    left = f"(1-(1-gpu.bought.residual_share)*{months}/gpu.bought.life_months)"
    yield Step("worth", f"calc.machine*{left}*(1+discount_rate)^(-{months}/12)" if bought else "0")
    later = "calc.saved_later*(calc.annuity-calc.annuity_first)"
    first = "calc.saved_first*calc.annuity_first"
    yield Step("npv", f"{first}+{later}+calc.worth-calc.invested")


def _annuity(months: str) -> str:
    worth = f"(1-(1+discount_rate)^(-{months}/12))/((1+discount_rate)^(1/12)-1)"
    return f"IF(discount_rate=0,{months},{worth})"


def known(cost: CostResult) -> Mapping[str, float | None]:
    """Return the steps that the run keeps, as the program computed them."""
    parts = {f"part_{one.part}": one.per_deliverable for one in cost.parts}
    ways = {f"way_{one.name}": one.cost_per_deliverable for one in cost.alternatives}
    (saving,) = (
        one.saving_per_deliverable for one in cost.alternatives if one.name is cost.compared_with
    )
    return parts | ways | {
        "reviewed": cost.reviewed_per_accepted,
        "attempts": cost.attempts_per_accepted,
        "hours": cost.gpu_hours_per_month,
        "gpus": cost.gpus_paid,
        "cost_clip": cost.cost_per_accepted_clip,
        "cost": cost.cost_per_deliverable,
        "saving": saving,
        "initial": cost.initial_cost,
        "first_year_cost": cost.first_year_cost,
        "later_year_cost": cost.later_year_cost,
        "payback": cost.payback_months,
        "npv": cost.npv,
    }  # fmt: skip


MAIN: Final = ("cost_clip", "cost", "saving", "initial", "payback", "npv")
"""Steps that stand out."""


def write(book: Any, money: MoneyOfRun, text: Text, watermark: str) -> None:
    """Add the two sheets to a workbook of XlsxWriter; a run without inputs gets none."""
    if money.inputs is not None:
        _inputs(book, money.inputs, text, watermark)
        sheet = _formulas(book, money, money.inputs, text)
        sheet.write_string(1, 0, watermark, book.add_format({"bold": True}))


def _inputs(book: Any, inputs: CostInputs, text: Text, watermark: str) -> None:
    sheet = book.add_worksheet(text("sheet.inputs"))
    bold, edit = (
        book.add_format({"bold": True}),
        book.add_format({"bg_color": "#fff7d6", "border": 1}),
    )
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 5, 16)
    sheet.set_column(6, 8, 22)
    sheet.write_string(0, 0, text("sheet.inputs.about", currency=inputs.currency), bold)
    sheet.write_string(1, 0, watermark, bold)
    names = ("input", "value", "unit", "in_currency", "low", "high", "date", "source", "example")
    for column, name in enumerate(names):
        sheet.write_string(2, column, text(f"column.{name}"), bold)
    for row, one in enumerate(stated(inputs), start=3):
        number = one.number
        sheet.write_string(
            row, 0, words.shown(one.label.ja if text.language == "ja" else one.label.en)
        )
        sheet.write_number(row, 1, number.value, edit)
        sheet.write_string(row, 2, words.shown(number.unit))
        _converted(sheet, row, inputs, one)
        low, high = getattr(number, "low", None), getattr(number, "high", None)
        for column, end in ((4, low), (5, high)):
            if end is not None:
                sheet.write_number(row, column, end)
        sheet.write_string(row, 6, number.date)
        sheet.write_string(row, 7, words.shown(number.source))
        if getattr(number, "example", False):
            sheet.write_string(row, 8, text("sheet.example"), bold)
        book.define_name(one.name, f"='{text('sheet.inputs')}'!$D${row + 1}")
    sheet.freeze_panes(3, 1)


def _converted(sheet: Any, row: int, inputs: CostInputs, one: Any) -> None:
    """Write a number in the currency of the file; a formula, so that it follows the number."""
    currency = currency_of(one)
    if currency in {None, inputs.currency}:
        sheet.write_formula(row, 3, f"=B{row + 1}", None, one.number.value)
    else:
        sheet.write_formula(row, 3, f"=B{row + 1}*rates.{currency}", None, "")


def _formulas(book: Any, money: MoneyOfRun, inputs: CostInputs, text: Text) -> Any:
    title = text("sheet.formulas")
    sheet = book.add_worksheet(title)
    bold = book.add_format({"bold": True})
    plain, main = (
        book.add_format({"num_format": "#,##0.00"} | more)
        for more in ({}, {"bold": True, "bg_color": "#e7f3ee", "border": 1})
    )
    sheet.set_column(0, 0, 52)
    sheet.set_column(1, 1, 20)
    sheet.set_column(2, 2, 90)
    about = text(
        "sheet.formulas.about", currency=inputs.currency, mode=text(f"gpu.{inputs.gpu.mode}")
    )
    sheet.write_string(0, 0, about, bold)
    there = known(money.cost)
    for row, step in enumerate(steps(inputs), start=2):
        form = main if step.name in MAIN else plain
        kept = there.get(step.name, "")
        sheet.write_string(row, 0, text(f"calc.{step.name}"))
        sheet.write_formula(row, 1, f"={step.formula}", form, "–" if kept is None else kept)
        sheet.write_string(row, 2, step.formula)
        book.define_name(f"calc.{step.name}", f"='{title}'!$B${row + 1}")
    sheet.freeze_panes(2, 1)
    return sheet
