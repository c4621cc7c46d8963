"""The plan of a proof of concept in words, before any run: what a board approves first.

Sections for the same writers as the report. Every number is planned or assumed and called so.
"""

from __future__ import annotations

from collections.abc import Iterator

from poc import cost_findings as said
from poc.brief import ANSWER_S, LEVEL, POWER, RATERS, Brief
from poc.cost_file import AlternativeName, CostInputs
from poc.cost_records import CostResult, OtherWay
from poc.records import Arm, ArmRole, Weight
from poc.verdicts import FAIL_SHARE
from reports import remarks
from reports import text as words
from reports.document import Block, Bullets, Entry, Heading, Paragraph, Row, Section, Table, Terms
from reports.model import Line
from reports.text import Text


def brief_sections(brief: Brief, text: Text, spec_name: str) -> tuple[Section, ...]:
    """Return the plan document; `spec_name` is what one types to carry it out."""
    parts: tuple[tuple[str, Iterator[Block]], ...] = (
        ("question", _question(brief, text)),
        ("scenarios", _scenarios(brief, text)),
        ("data", _data(brief, text)),
        ("criteria", _criteria(brief, text)),
        ("sizes", _sizes(brief, text)),
        ("people", _people(brief, text)),
        ("schedule", _schedule(brief, text)),
        ("cost", _cost(brief, text)),
        ("compare", _compare(brief, text)),
        ("stops", _stops(brief, text)),
        ("roles", _roles(text)),
        ("stages", _stages(text)),
        ("acceptance", iter([Paragraph(text("brief.acceptance.said"))])),
        ("digests", _digests(brief, text, spec_name)),
    )
    return tuple(Section(f"brief.{key}", text(f"brief.{key}"), tuple(b)) for key, b in parts)


def _question(brief: Brief, text: Text) -> Iterator[Block]:
    spec = brief.plan.spec
    question = spec.question_ja if text.language == "ja" else spec.question
    yield Paragraph(words.shown(question), "strong")
    use = spec.use
    yield Paragraph(
        text("brief.use", use=text(f"use.{use}")) if use else text("brief.use.none"), "about"
    )
    if spec.kind == "demonstration":
        yield Paragraph(text("term.demonstration.help"), "warning")


def _scenarios(brief: Brief, text: Text) -> Iterator[Block]:
    head = tuple(text(f"column.{name}") for name in ("arm", "steps", "nfe", "clips"))
    rows = tuple(
        Row(
            (
                Entry(words.arm_name(text, arm), tuple(filter(None, (_role(brief, text, arm),)))),
                Entry(words.whole(text, one.steps)),
                Entry(words.whole(text, one.nfe_per_clip)),
                Entry(str(one.clips)),
            ),
            chosen=one.baseline,
        )
        for arm, one in zip(brief.plan.arms, brief.summary.arms, strict=True)
    )
    yield Table(head, rows)


def _role(brief: Brief, text: Text, arm: Arm) -> str:
    if arm.id == brief.plan.baseline_id:
        return text("role.baseline")
    if arm.name == brief.plan.spec.status_quo:
        return text("role.status_quo")
    return text("role.control") if arm.role is ArmRole.CONTROL else ""


def _data(brief: Brief, text: Text) -> Iterator[Block]:
    plan = brief.plan
    languages = text("list.comma").join(sorted({one.language for one in plan.prompts}))
    prompts = text("brief.data.prompts.said", n=len(plan.prompts),
                   dataset=words.shown(plan.spec.dataset, 80), languages=languages)  # fmt: skip
    lines = [Line(text("brief.data.prompts"), prompts)]
    styles = sorted({arm.style for arm in plan.arms if arm.style})
    for style in styles:
        named = text.get(f"style.{style}", words.shown(style))
        lines.append(Line(text("brief.data.stills"), text("brief.data.stills.said", style=named)))
    if not styles:
        lines.append(Line(text("brief.data.stills"), text("brief.data.stills.none")))
    said = (words.reference(text, plan, one) for one in plan.spec.references)
    lines += [Line(text("brief.data.reference"), one) for one in said]
    lines.append(Line(text("brief.data.rights"), text("brief.data.rights.said")))
    yield Terms(tuple(lines))
    yield Heading(text("brief.licences"))
    head = tuple(text(f"column.{name}") for name in ("licence", "judgement", "part"))
    yield Table(head, tuple(_licences(brief, text)))


def _licences(brief: Brief, text: Text) -> Iterator[Row]:
    for one in brief.licences:
        named = one.judgement
        judged = text(f"judgement.{named}") if named else text("brief.licence.none")
        models = text("list.comma").join(words.shown(name, 64) for name in one.models)
        yield _cells(words.shown(one.licence, 120), judged, models)


def _criteria(brief: Brief, text: Text) -> Iterator[Block]:
    names = ("criterion", "weight", "target", "minimum", "why")
    rows = tuple(
        Row(
            (
                Entry(
                    words.criterion_label(text, one),
                    tuple(filter(None, (words.criterion_name(text, one),))),
                ),
                Entry(text(f"weight.{one.weight}")),
                Entry(words.bound(text, one, one.target)),
                Entry(words.bound(text, one, one.minimum)),
                Entry(words.shown(one.reason_ja if text.language == "ja" else one.reason)),
            )
        )
        for one in brief.plan.criteria.criteria
    )
    yield Table(tuple(text(f"column.{name}") for name in names), rows)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _sizes(brief: Brief, text: Text) -> Iterator[Block]:
    yield Paragraph(
        text("brief.sizes.about", level=f"{100 * LEVEL:.0f}", power=f"{100 * POWER:.0f}"), "about"
    )
    width = text("brief.sizes.width.said", value=_points(brief.share_half_width),
                 n=len(brief.plan.prompts))  # fmt: skip
    lines = [Line(text("brief.sizes.width"), width)]
    for discordant, least in brief.share_differences:
        key = "none" if least is None else "said"
        values = {"discordant": f"{100 * discordant:.0f}", "value": _points(least or 0.0)}
        shown = text(f"brief.sizes.difference.{key}", **values)
        lines.append(Line(text("brief.sizes.difference"), shown))
    mean = text("brief.sizes.mean.said", value=f"{brief.mean_difference:.2f}")
    lines.append(Line(text("brief.sizes.mean"), mean))
    yield Terms((*lines, Line(text("brief.sizes.latency"), _timed(brief, text))))


def _timed(brief: Brief, text: Text) -> str:
    """Return what the latency pass will time of each setting."""
    timed = brief.plan.spec.latency
    if timed is None:
        return text("brief.sizes.latency.none")
    said = [text("brief.sizes.latency.said", warmup=timed.warmup, repeats=timed.repeats)]
    if timed.control:
        said.append(text("brief.sizes.latency.control", repeats=timed.repeats))
    if timed.offline:
        said.append(text("brief.sizes.latency.offline", **timed.offline.model_dump()))
    return text("list.comma").join(said)


def _people(brief: Brief, text: Text) -> Iterator[Block]:
    raters = text("brief.people.raters.said", n=RATERS, comparisons=brief.comparisons,
                  minutes=f"{brief.minutes_per_rater:.0f}", answer=f"{ANSWER_S:.0f}")  # fmt: skip
    votes = tuple(
        Line(
            text("brief.people.votes"),
            text("brief.people.votes.said", share=f"{100 * share:.0f}", n=n),
        )
        for share, n in brief.votes
    )
    yield Terms((Line(text("brief.people.raters"), raters), *votes))


def _schedule(brief: Brief, text: Text) -> Iterator[Block]:
    found = brief.summary
    hours = (f"{seconds / 3600:.2g}" for seconds in (found.seconds_low, found.seconds_high))
    low, high = hours
    made = text("brief.schedule.generate.said", low=low, high=high,
                assumption=remarks.said(text, found.assumption))  # fmt: skip
    rated = text("brief.schedule.rate.said", minutes=f"{brief.minutes_per_rater:.0f}")
    disk = text("brief.schedule.disk.said", value=f"{found.disk_bytes / 1e9:.2g}")
    yield Terms(
        (
            Line(text("brief.schedule.dates"), text("brief.schedule.dates.said")),
            Line(text("brief.schedule.generate"), made),
            Line(text("brief.schedule.rate"), rated),
            Line(text("brief.schedule.disk"), disk),
        )
    )


def _money(text: Text, cost: CostResult, value: float) -> str:
    return text.pick(said.money(value, cost.currency)).replace("-", words.MINUS)


def _cost(brief: Brief, text: Text) -> Iterator[Block]:
    cost = brief.cost
    if cost is None:
        yield Paragraph(text("brief.cost.none"))
        return
    yield Paragraph(text("brief.cost.about"), "about")
    if cost.examples:
        yield Paragraph(text("brief.cost.examples", n=len(cost.examples)), "warning")
    low, high = cost.simulation.cost_per_deliverable.low, cost.simulation.cost_per_deliverable.high
    each = _money(text, cost, cost.cost_per_deliverable)
    if low is not None and high is not None:
        ends = text("number.interval", low=_money(text, cost, low), high=_money(text, cost, high))
        runs = text("money.runs", runs=f"{cost.simulation.runs:,}")
        each = text("arm.styled", group=each, style=f"{ends}{text('list.comma')}{runs}")
    asked = text(
        "request.amount.said",
        initial=_money(text, cost, cost.initial_cost),
        first=_money(text, cost, cost.first_year_cost),
        later=_money(text, cost, cost.later_year_cost),
    )
    yield Terms((Line(text("money.label"), each), Line(text("request.amount"), asked)))


def _compare(brief: Brief, text: Text) -> Iterator[Block]:
    """Yield the sheet in which every cell is measured, stated or unknown."""
    yield Paragraph(text("brief.compare.about"), "about")
    later, unknown = text("brief.compare.to_measure"), text("brief.compare.unknown")
    names = ("quality", "speed", "cost", "quote")
    head = (text("column.way"), *(text(f"brief.compare.{name}") for name in names))
    own = tuple(
        _cells(words.arm_name(text, arm), later, later, unknown, text("number.none"))
        for arm in brief.plan.arms
        if arm.role is ArmRole.CANDIDATE
    )
    ways = tuple(_way(brief, text, name) for name in AlternativeName)
    vendor = _cells(
        text("brief.compare.vendor"), unknown, unknown, unknown, text("brief.compare.quote.none")
    )
    yield Table(head, (*own, vendor, *ways))


def _cells(*cells: str) -> Row:
    return Row(tuple(map(Entry, cells)))


def _way(brief: Brief, text: Text, name: AlternativeName) -> Row:
    unknown = text("brief.compare.unknown")
    label = text.pick(said.ALTERNATIVES[name])
    if brief.cost is None or brief.inputs is None:
        return _cells(label, unknown, unknown, unknown, text("brief.compare.quote.none"))
    way = next(one for one in brief.cost.alternatives if one.name is name)
    priced = getattr(brief.inputs.alternatives, name).per_deliverable
    return _cells(
        label,
        unknown,
        unknown if way.working_days is None else _stated(brief.inputs, text, way, days=True),
        _stated(brief.inputs, text, way, days=False, cost=brief.cost),
        f"{words.shown(priced.source)} ({priced.date})",
    )


def _stated(
    inputs: CostInputs, text: Text, way: OtherWay, *, days: bool, cost: CostResult | None = None
) -> str:
    stated = getattr(inputs.alternatives, way.name)
    number = stated.working_days if days else stated.per_deliverable
    if days or cost is None:
        value = text.pick(said.days(way.working_days or 0.0))
    else:
        value = _money(text, cost, way.cost_per_deliverable)
    if way.is_example:
        return text("brief.compare.example", value=value)
    return text("brief.compare.stated", value=value, date=number.date)


def _stops(brief: Brief, text: Text) -> Iterator[Block]:
    lines = [
        Line(
            words.criterion_label(text, one),
            text(
                "brief.stops.said",
                line=words.bound(text, one, one.minimum),
                fails=f"{100 * FAIL_SHARE:.0f}",
            ),
        )
        for one in brief.plan.criteria.criteria
        if one.weight is Weight.MUST
    ]
    hours = brief.plan.spec.hours
    if hours is not None:
        lines.append(
            Line(text("brief.stops.time"), text("brief.stops.time.said", hours=f"{hours:g}"))
        )
    yield Terms(tuple(lines))


def _roles(text: Text) -> Iterator[Block]:
    yield Paragraph(text("brief.roles.about"), "about")
    who = {"owner": "no", "engineer": "may", "raters": "may", "rights": "no", "money": "no"}
    head = tuple(text(f"brief.role{name}") for name in ("", ".inhouse", ".partner"))
    yield Table(
        head,
        tuple(
            _cells(text(f"brief.role.{name}"), text("brief.role.yes"), text(f"brief.role.{given}"))
            for name, given in who.items()
        ),
    )


def _stages(text: Text) -> Iterator[Block]:
    head = tuple(text(f"brief.stage{name}") for name in ("", ".gate", ".stop"))
    yield Table(
        head,
        tuple(
            _cells(*(text(f"brief.stage.{name}{part}") for part in ("", ".gate", ".stop")))
            for name in ("poc", "shadow", "limited", "scale")
        ),
    )


def _digests(brief: Brief, text: Text, spec_name: str) -> Iterator[Block]:
    yield Terms(
        (
            Line(text("provenance.plan"), brief.plan.content_digest()),
            Line(text("provenance.spec"), brief.plan.spec_digest),
            Line(text("provenance.criteria"), brief.plan.criteria_digest),
            Line(text("brief.digests.prompts"), brief.prompts_digest),
        )
    )
    yield Bullets((text("brief.next", spec=words.shown(spec_name)),))
