"""The inputs of the cost model: what a file of prices may say, and its reader.

Every number is dated, has a unit, a source and a range, and says whether it is only an example.
What a number means, its unit and the values it may have stand beside its field, once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from operator import not_
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from poc.records import Record
from poc.strict_yaml import Problem, decode, load, read_text, refuse

EXAMPLE: Final = Path(__file__).parent / "specs" / "cost" / "example.yaml"

LEAST: Final = 1e-6
"""Least of what must be above zero, and of what others are divided by."""

MOST: Final = 1e15
"""Most of any number: products of these stay far below what a float holds."""

MONEY: Final = "¤"
"""Stands in a unit for the code of a currency, such as JPY."""

_STEERING: Final = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Signs that steer a terminal or turn the direction of a line around."""

MEASURABLE: Final = ("material.acceptance_rate", "material.review_min_per_clip")
"""What people can measure by judging clips."""

Text = Annotated[
    str,
    Field(min_length=2, max_length=300, pattern=rf"^[^ {_STEERING}][^{_STEERING}]*$"),
]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Keys = tuple[str | int, ...]


class GpuMode(StrEnum):
    """How a GPU is paid for."""

    RENTED = "rented"
    """By the hour; electricity is in the price."""
    RESERVED = "reserved"
    """By the month, used or not; electricity is in the price."""
    BOUGHT = "bought"
    """Once, with hosting by the month and electricity by the hour of work."""


class Basis(StrEnum):
    """Where an acceptance rate or review time comes from."""

    VOTES = "votes"
    """People judged clips of this model."""
    ORACLE = "oracle"
    """The tiny world's own truth; says nothing about real clips."""
    ASSUMED = "assumed"


class AlternativeName(StrEnum):
    """What else could be done."""

    OUTSIDE_PARTNER = "outside_partner"
    OUTSOURCING = "outsourcing"
    STOCK_FOOTAGE = "stock_footage"
    OWN_SHOOTING = "own_shooting"
    DOING_NOTHING = "doing_nothing"


def _real(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"expected a day of the calendar, got '{text}'. Mend the date.") from error
    return text


Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_real)]
"""ISO 8601."""


class Dated(Record):
    """A number with its unit, the day it was true, and who says so."""

    value: float
    unit: Annotated[str, Field(min_length=1, max_length=30)]
    date: Day
    source: Text


class Quantity(Dated):
    """An uncertain number: `low` and `high` are the ends that it is not expected to pass."""

    low: float
    high: float
    example: bool
    """True when it stands here to show the model and must be replaced before anybody decides."""
    is_estimate: bool = Field(default=False, exclude_if=not_)
    """True when `low` and `high` are the 95 % interval of a measured value: draws may pass them."""

    @model_validator(mode="after")
    def _held(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError(
                f"its range {self.low:,.15g} to {self.high:,.15g} does not hold its value "
                f"{self.value:,.15g}. "
                "Widen the range or mend the value."
            )
        return self


@dataclass(frozen=True, slots=True)
class Named:
    """What people call a field, in both languages."""

    en: str
    ja: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What a number is called, its unit, and the values it may have."""

    en: str
    ja: str
    unit: str
    least: float = 0.0
    most: float = MOST

    def bounds(self) -> str:
        """Return the allowed values in words."""
        return f"a number of at least {self.least:,.15g} and at most {self.most:,.15g}"

    def allows(self, value: float) -> bool:
        """Tell whether a value may stand here."""
        return self.least <= value <= self.most


def _positive(en: str, ja: str, unit: str) -> Any:
    return Rule(en, ja, unit, least=LEAST)


def _share(en: str, ja: str, *, least: float = 0.0, most: float = 1.0) -> Any:
    return Rule(en, ja, "share", least=least, most=most)


# --- sections ------------------------------------------------------------------------------------


class Deliverable(Record):
    """The unit of everything here: a finished video, of which clips are material."""

    name: Text
    name_ja: Text
    duration_s: Annotated[float, Field(gt=0, le=7200)]
    width: Annotated[int, Field(ge=8, le=8192)]
    height: Annotated[int, Field(ge=8, le=8192)]
    fps: Annotated[float, Field(gt=0, le=240)]
    aspect: Annotated[str, Field(pattern=r"^[1-9]\d{0,2}:[1-9]\d{0,2}$")]
    sound: bool
    captions: bool

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wide, high = (int(part) for part in self.aspect.split(":"))
        if Fraction(wide, high) != Fraction(self.width, self.height):
            raise ValueError(
                f"aspect {self.aspect} is not that of {self.width} x {self.height}. "
                "Mend one of them."
            )
        return self


class Material(Record):
    """From clips to a deliverable."""

    clips_per_deliverable: Annotated[
        Quantity, _positive("accepted clips in it", "採用クリップ数", "clip/deliverable")
    ]
    acceptance_rate: Annotated[Quantity, _share("acceptance rate", "採用率", least=LEAST)]
    """Accepted clips over reviewed ones."""
    acceptance_basis: Basis
    failure_rate: Annotated[Quantity, _share("failed attempts", "生成失敗率", most=0.99)]
    """Attempts that give no clip to review: GPU time without a clip."""
    review_min_per_clip: Annotated[Quantity, Rule("review per clip", "確認時間", "min/clip")]
    """Of each clip that is reviewed, accepted or not."""
    review_basis: Basis
    upscale_s_per_clip: Annotated[Quantity, Rule("upscaling", "高解像度化", "s/clip")]
    """GPU seconds per accepted clip."""
    editing_min_per_deliverable: Annotated[Quantity, Rule("editing", "編集時間", "min/deliverable")]
    """Paid at the hourly cost of operation."""
    replaced_share: Annotated[Quantity, _share("outside work replaced", "外注作業の代替割合")]
    """The rest is still bought, at the price of `alternatives.outsourcing`."""
    working_days: Annotated[Quantity, Rule("request to approval", "依頼から承認まで", "day")]


class Rented(Record):
    """A GPU by the hour."""

    price_per_hour: Annotated[Quantity, Rule("price", "料金", "¤/h")]
    utilisation: Annotated[Quantity, _share("utilisation", "稼働率", least=LEAST)]
    """Hours of work over hours paid."""


class Reserved(Record):
    """A GPU by the month."""

    price_per_month: Annotated[Quantity, Rule("price", "料金", "¤/month")]
    utilisation: Annotated[Quantity, _share("utilisation", "稼働率", least=LEAST)]


class Bought(Record):
    """A GPU of one's own; the price includes its part of the machine around it."""

    price: Annotated[Quantity, Rule("price", "購入価格", "¤")]
    residual_share: Annotated[Quantity, _share("residual value", "残存価値")]
    life_months: Annotated[Quantity, _positive("life", "使用期間", "month")]
    hosting_per_month: Annotated[Quantity, Rule("hosting", "設置・保守", "¤/month")]
    utilisation: Annotated[Quantity, _share("utilisation", "稼働率", least=LEAST)]


class Gpu(Record):
    """Which GPU, how it is paid for, and what one costs in all three ways."""

    model: Text
    """As the driver names it: seconds count as measured on this model only."""
    mode: GpuMode
    other_work: Text | None
    """What pays for the rest of the time of a reserved or bought GPU; None: this work alone does,
    for whole GPUs."""
    seconds_per_clip: Annotated[Quantity, _positive("seconds per clip", "生成時間", "s/clip")]
    """Stated; the latency pass of a run on this model replaces it."""
    rented: Annotated[Rented, Named("rented", "従量課金")]
    reserved: Annotated[Reserved, Named("reserved", "期間契約")]
    bought: Annotated[Bought, Named("bought", "購入")]


class Energy(Record):
    """Electricity of one GPU at work; money only where the GPU is bought."""

    power_kw: Annotated[Quantity, Rule("power", "消費電力", "kW")]
    pue: Annotated[Quantity, Rule("PUE", "PUE", "ratio", least=1.0)]
    """Power of the whole site over that of its machines."""
    price_per_kwh: Annotated[Quantity, Rule("price", "電気料金", "¤/kWh")]


class Role(Record):
    """Work that is there however many deliverables are made."""

    price_per_hour: Annotated[Quantity, Rule("hourly cost", "時間単価", "¤/h")]
    first_year_h: Annotated[Quantity, Rule("first year", "初年度", "h/year")]
    later_year_h: Annotated[Quantity, Rule("later years", "次年度以降", "h/year")]


class People(Record):
    """People by role; review and editing minutes are paid at the cost of review and operation."""

    training: Annotated[Role, Named("training", "教育")]
    operation: Annotated[Role, Named("operation", "運用")]
    review: Annotated[Role, Named("review", "確認")]
    maintenance: Annotated[Role, Named("maintenance", "保守")]


class Style(Record):
    """Training of style LoRAs; its people are paid at the cost of training."""

    trainings_per_year: Annotated[Quantity, Rule("trainings", "学習回数", "training/year")]
    gpu_h_per_training: Annotated[Quantity, Rule("GPU time", "GPU時間", "h/training")]
    people_h_per_training: Annotated[Quantity, Rule("people", "作業時間", "h/training")]


class Integration(Record):
    """Bringing it into the company's own systems."""

    once: Annotated[Quantity, Rule("once", "初期", "¤")]
    per_month: Annotated[Quantity, Rule("per month", "月額", "¤/month")]


class Charge(Record):
    """Money that is paid once, by the month and by the deliverable."""

    once: Annotated[Quantity, Rule("once", "初期", "¤")]
    per_month: Annotated[Quantity, Rule("per month", "月額", "¤/month")]
    per_deliverable: Annotated[Quantity, Rule("per deliverable", "1本あたり", "¤/deliverable")]


class Alternative(Charge):
    """What a deliverable costs otherwise; for doing nothing, what is lost without it."""

    working_days: Annotated[Quantity | None, Rule("request to approval", "依頼から承認まで", "day")]
    """None where nothing is delivered."""


class Alternatives(Record):
    """All that could be done instead."""

    outside_partner: Annotated[Alternative, Named("outside partner", "外部パートナー")]
    outsourcing: Annotated[Alternative, Named("outsourcing", "外注")]
    stock_footage: Annotated[Alternative, Named("stock footage", "ストック素材")]
    own_shooting: Annotated[Alternative, Named("own shooting", "自社撮影")]
    doing_nothing: Annotated[Alternative, Named("doing nothing", "何もしない")]


class Rate(Record):
    """What one unit of another currency costs in the file's own."""

    currency: Currency
    rate: Annotated[Quantity, _positive("rate", "為替", "¤/other")]


class Limits(Record):
    """What was decided before the result was known; None where nothing was."""

    price_per_deliverable: Annotated[
        Dated | None, _positive("price per deliverable", "1本あたりの費用", "¤/deliverable")
    ]
    payback_months: Annotated[Dated | None, _positive("payback", "回収期間", "month")]
    working_days: Annotated[
        Dated | None, _positive("request to approval", "依頼から承認まで", "day")
    ]


class Stage(Record):
    """One stage of a roll-out: how far it goes, and what lets it go on or ends it."""

    months: Annotated[int, Field(ge=1, le=120)]
    share: Annotated[float, Field(gt=0, le=1)]
    """Of the deliverables: in the shadow stage made beside the usual ones, later in their place."""
    budget: Annotated[Dated, Rule("most to be spent", "支出の上限", "¤")]
    """In this stage; who spends more stops."""
    gate: Text
    gate_ja: Text
    """What must be shown before the next stage begins; of the last, what keeps it going."""
    stop: Text
    stop_ja: Text
    """What ends it, besides the budget."""


class Rollout(Record):
    """From the trial to all deliverables, each stage no smaller than the one before."""

    poc: Annotated[Stage, Named("roll-out, PoC", "段階導入・PoC")]
    shadow: Annotated[Stage, Named("roll-out, shadow", "段階導入・並行運用")]
    limited: Annotated[Stage, Named("roll-out, limited", "段階導入・限定導入")]
    scale: Annotated[Stage, Named("roll-out, scale", "段階導入・全面導入")]

    def stages(self) -> dict[str, Stage]:
        """Return the stages by name, the first one first."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class CostInputs(Record):
    """All inputs of the model; money comes out in `currency`."""

    version: Literal[1]
    name: Text
    name_ja: Text
    currency: Currency
    rates: Annotated[tuple[Rate, ...], Named("exchange rate", "為替レート")]
    compared_with: AlternativeName
    """What is done today: break-even, payback and NPV are against it."""
    deliverable: Deliverable
    deliverables_per_month: Annotated[
        Quantity, _positive("volume", "制作本数", "deliverable/month")
    ]
    horizon_months: Annotated[Quantity, _positive("period", "評価期間", "month")]
    discount_rate: Annotated[Quantity, Rule("discount rate", "割引率", "share/year", most=1.0)]
    material: Annotated[Material, Named("clips", "クリップ")]
    gpu: Annotated[Gpu, Named("GPU", "GPU")]
    energy: Annotated[Energy, Named("energy", "電力")]
    people: Annotated[People, Named("people", "人員")]
    style: Annotated[Style, Named("style training", "画風の学習")]
    integration: Annotated[Integration, Named("integration", "システム連携")]
    fees: Annotated[Charge, Named("fees", "外部費用")]
    rights: Annotated[Charge, Named("rights", "権利")]
    alternatives: Alternatives
    limits: Limits
    valid_until: Day | None = Field(default=None, exclude_if=not_)
    """Last day of the offers behind the prices; None where nobody named one."""
    rollout: Rollout | None = Field(default=None, exclude_if=not_)


# --- walking -------------------------------------------------------------------------------------


class Stated(NamedTuple):
    """One number of the inputs, where it stands, and what it may be."""

    name: str
    """Dotted, such as `gpu.rented.price_per_hour`; `rates.USD` for a rate."""
    keys: Keys
    number: Dated
    rule: Rule
    label: Named


def stated(inputs: CostInputs) -> tuple[Stated, ...]:
    """Return every number of the inputs in the order of the file, limits last."""
    return tuple(_stated(inputs, "", (), Named("", "")))


def quantities(inputs: CostInputs) -> dict[str, Quantity]:
    """Return every uncertain number by its dotted name."""
    return {s.name: s.number for s in stated(inputs) if isinstance(s.number, Quantity)}


def _stated(record: Record, name: str, keys: Keys, label: Named) -> Iterator[Stated]:
    for field, info in type(record).model_fields.items():
        item = getattr(record, field)
        rule = next((m for m in info.metadata if isinstance(m, Rule)), None)
        named = next((m for m in info.metadata if isinstance(m, Named)), Named("", ""))
        here, dotted = (*keys, field), f"{name}.{field}".removeprefix(".")
        if isinstance(item, Dated) and rule is not None:
            yield Stated(dotted, here, item, rule, _joined(label, Named(rule.en, rule.ja)))
        elif isinstance(item, tuple):
            yield from _rates(item, here, named)
        elif isinstance(item, Record):
            yield from _stated(item, dotted, here, _joined(label, named))


def _rates(rates: tuple[Rate, ...], keys: Keys, named: Named) -> Iterator[Stated]:
    for place, one in enumerate(rates):
        rule = _positive("", "", f"{MONEY}/{one.currency}")
        label = Named(f"{named.en} {one.currency}", f"{named.ja} {one.currency}")
        yield Stated(f"rates.{one.currency}", (*keys, place, "rate"), one.rate, rule, label)


def _joined(outer: Named, inner: Named) -> Named:
    if not outer.en or not inner.en:
        return inner if inner.en else outer
    return Named(f"{outer.en}, {inner.en}", f"{outer.ja}・{inner.ja}")


# --- refusing ------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """What is wrong with the inputs, and where."""

    keys: Keys
    text: str


def faults(inputs: CostInputs) -> Iterator[Fault]:
    """Yield all that no single record can see: bounds, units, currencies, and what must fit."""
    yield from _rate_faults(inputs)
    for one in stated(inputs):
        yield from _value_faults(one)
        yield from _estimate_faults(one)
        yield from _unit_faults(one, inputs)
    yield from _life_faults(inputs)
    yield from _rollout_faults(inputs)


def _value_faults(one: Stated) -> Iterator[Fault]:
    for end in ("value", "low", "high"):
        value = getattr(one.number, end, None)
        if value is None or one.rule.allows(value):
            continue
        hint = f" {value:g} % is {value / 100:g}." if one.rule.unit == "share" and value > 1 else ""
        text = (
            f"'{one.name}.{end}': expected {one.rule.bounds()}, got {value:,.15g}.{hint} Mend it."
        )
        yield Fault((*one.keys, end), text)


def _estimate_faults(one: Stated) -> Iterator[Fault]:
    """Refuse an interval of what has other bounds than 0 and, of a share, 1."""
    if getattr(one.number, "is_estimate", False) and one.name not in MEASURABLE:
        yield Fault(
            (*one.keys, "is_estimate"),
            f"'{one.name}.is_estimate': expected it with {' or '.join(MEASURABLE)} alone. Leave it "
            "out, and state a range that is not expected to be passed.",
        )


def currency_of(one: Stated) -> str | None:
    """Return the currency in which a price is given; None where it is no price, or a rate."""
    if MONEY not in one.rule.unit or one.name.startswith("rates."):
        return None
    found = re.fullmatch(_pattern(one.rule.unit), one.number.unit)
    return found[1] if found else None


def _pattern(unit: str) -> str:
    return re.escape(unit).replace(re.escape(MONEY), "([A-Z]{3})")


def _unit_faults(one: Stated, inputs: CostInputs) -> Iterator[Fault]:
    expected = one.rule.unit.replace(MONEY, inputs.currency)
    if one.number.unit == expected:
        return
    came, currency = one.number.unit, currency_of(one)
    if currency is None:
        text = f"expected unit '{expected}', got '{came}'. Convert the number, or mend the unit."
    elif one.name.startswith(("limits.", "rollout.")):
        text = f"expected unit '{expected}', got '{came}'. A limit is in the file's own currency."
    elif currency not in {rate.currency for rate in inputs.rates}:
        text = (
            f"the price is in {currency}, the file in {inputs.currency}, and no rate is stated. "
            f"Add {currency} under 'rates', or convert the price."
        )
    else:
        return
    yield Fault((*one.keys, "unit"), f"'{one.name}': {text}")


def _rate_faults(inputs: CostInputs) -> Iterator[Fault]:
    seen = {inputs.currency}
    for place, rate in enumerate(inputs.rates):
        if rate.currency in seen:
            text = f"a rate for {rate.currency} is there already, or it is the file's own. Keep one"
            yield Fault(("rates", place, "currency"), f"{text}.")
        seen.add(rate.currency)


def _life_faults(inputs: CostInputs) -> Iterator[Fault]:
    horizon, life = inputs.horizon_months.high, inputs.gpu.bought.life_months.low
    if inputs.gpu.mode is GpuMode.BOUGHT and horizon > life:
        yield Fault(
            ("horizon_months", "high"),
            f"'horizon_months': a period of up to {horizon:g} months, but a bought GPU may last "
            f"only {life:g} (gpu.bought.life_months). Shorten the period: one purchase is counted.",
        )


def _rollout_faults(inputs: CostInputs) -> Iterator[Fault]:
    stages = {} if inputs.rollout is None else inputs.rollout.stages()
    for (before, small), (name, large) in pairwise(stages.items()):
        if large.share < small.share:
            text = f"'rollout.{name}.share': {large.share:g} is less than {small.share:g} in stage"
            yield Fault(
                ("rollout", name, "share"), f"{text} '{before}'. A roll-out grows: mend one."
            )


def read_cost(path: Path) -> CostInputs:
    """Read the inputs of the cost model; raises `InputError` with the line of every fault."""
    node = load(read_text(path), path)
    inputs = decode(CostInputs, node, path)
    refuse(path, (Problem(node.get(*f.keys).line, f.text) for f in faults(inputs)))
    return inputs
