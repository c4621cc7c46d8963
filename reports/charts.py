"""Tables -> Altair chart specifications, for pages and documents alike. Pure: draws nothing.

Every chart shows the interval and n of each mark, tells series apart by colour *and* shape in
colours that the colour-blind can separate, and carries the watermark when the run demonstrates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import altair as alt
import pandas as pd
import vl_convert

from metrics.catalog import Direction
from reports import text as words
from reports.text import Text

FONTS: Final = (
    "system-ui, 'Hiragino Sans', 'Yu Gothic UI', 'Noto Sans JP', 'Noto Sans CJK JP', sans-serif"
)

# Okabe and Ito's colours, darkened or lightened until readable on white and on near-black.
COLOURS: Final = (
    "#767676",
    "#0080c6",
    "#d55e00",
    "#009e73",
    "#b8619a",
    "#b58900",
    "#5f6fd0",
    "#8c5a3c",
    "#46a8e0",
    "#a3213b",
    "#7d8c00",
)
# Seven shapes to eleven colours: no pair comes twice before the 78th series.
SHAPES: Final = (
    "square",
    "circle",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
)
_MID: Final = "#808080"
_FITTED: Final = 150
"""Pixels that a page takes from a chart's height for axis, title and legend."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Where a chart will stand: ink for words, and its width in pixels or 'container'."""

    ink: str | None = None
    """Colour of words and axes; None leaves them to the page, `currentColor` to the document."""
    width: int | str = "container"
    height: int = 340
    legend_columns: int = 3
    fonts: str = FONTS


@dataclass(frozen=True, slots=True)
class Subject:
    """What a chart is about: its metric, its language, and whether to mark it a demonstration."""

    text: Text
    metric: str
    demonstration: bool
    level: str


CHOSEN: Final = "chosen"
"""Name of the trade-off's selection: the arm that was clicked."""


def trade_off(
    points: pd.DataFrame,
    subject: Subject,
    theme: Theme,
    *,
    money: pd.DataFrame | None = None,
    target: pd.DataFrame | None = None,
    choose: bool = False,
) -> alt.LayerChart:
    """Return quality against seconds, or against NFE when the arms were not all timed.

    Marks are the fainter the fewer resamples have the arm on the front. `money` draws a line at
    each of its seconds, `target` shades the field in which both targets are reached. With
    `choose` a mark can be clicked.
    """
    text = subject.text
    timed = bool(points["seconds"].notna().all()) and len(points) > 0
    axis = alt.Axis(title=text("chart.seconds" if timed else "chart.nfe"), grid=False, tickCount=5)
    field = "seconds" if timed else "nfe"
    x = alt.X(f"{field}:Q", scale=alt.Scale(type="log", nice=False, padding=24), axis=axis)
    front = (
        alt.Chart(points)
        .transform_filter("datum.front")
        .mark_line(strokeDash=[5, 4], color=_MID, strokeWidth=1.5)
        .encode(x=x, y=_quality(subject), order=f"{field}:Q", detail="style:N")
    )
    layers = [front, *_marks(points, subject, theme, x, field=field, often=True)]
    if choose:
        dots = next(n for n, one in enumerate(layers) if one.mark.type == "point" and n > 2)
        layers[dots] = layers[dots].add_params(
            alt.selection_point(name=CHOSEN, fields=["arm_id"], toggle=False)
        )
    if money is not None and timed:
        layers = [*_money_lines(money, x), *layers]
    if target is not None and timed:
        layers = [_target_field(target, subject, x), *layers]
    return _finish(layers, subject, theme, _alt(subject, "chart.alt.trade_off", points))


def _target_field(target: pd.DataFrame, subject: Subject, x: alt.X) -> alt.Chart:
    field: alt.Chart = (
        alt.Chart(target)
        .mark_rect(color=COLOURS[3], opacity=0.1)
        .encode(x=x, x2=alt.value(0), y=_quality(subject, "quality"), y2=alt.value(0))
    )
    return field


def _money_lines(money: pd.DataFrame, x: alt.X) -> list[alt.Chart]:
    base = alt.Chart(money)
    label = base.mark_text(align="left", dx=4, dy=10, fontSize=10, color=_MID)
    rules = base.mark_rule(color=_MID, strokeDash=[1, 3]).encode(x=x)
    return [rules, label.encode(x=x, y=alt.value(0), text="amount:N")]


def step_curve(points: pd.DataFrame, subject: Subject, theme: Theme) -> alt.LayerChart:
    """Return quality by number of steps, a line per series, the baseline as a band."""
    ticks = sorted({int(step) for step in points["steps"]})
    axis = alt.Axis(title=subject.text("chart.steps"), values=ticks, format="d", grid=False)
    x = alt.X("steps:Q", scale=alt.Scale(type="log", base=2, nice=False, padding=24), axis=axis)
    base = alt.Chart(points).transform_filter("datum.baseline")
    band = base.mark_rect(color=_MID, opacity=0.16).encode(
        y=_quality(subject, "low"), y2="high:Q", x=alt.value(0), x2=alt.value(alt.expr("width"))
    )
    rule = base.mark_rule(color=_MID, strokeDash=[2, 3]).encode(y=_quality(subject))
    lines = (
        alt.Chart(points)
        .mark_line(strokeWidth=1.5)
        .encode(
            x=x,
            y=_quality(subject),
            color=_colour(points, subject),
            strokeDash=_dash(points, subject),
            detail="group:N",
        )
    )
    layers = [band, rule, lines, *_marks(points, subject, theme, x, field="steps", numbered=False)]
    return _finish(layers, subject, theme, _alt(subject, "chart.alt.step_curve", points))


def metric_bars(points: pd.DataFrame, subject: Subject, theme: Theme) -> alt.LayerChart:
    """Return one line per arm with its value and interval: a forest plot, in the plan's order."""
    order = list(points["arm"])
    y = alt.Y("arm:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, grid=False))
    x = alt.X("value:Q", scale=alt.Scale(zero=False, padding=12), axis=_axis(subject))
    base = alt.Chart(points)
    whisker = (
        _whole(base)
        .mark_rule(strokeWidth=2)
        .encode(
            y=y, x=alt.X("low:Q", axis=_axis(subject)), x2="high:Q", color=_colour(points, subject)
        )
    )
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        y=y, x=x, color=_colour(points, subject), shape=_shape(points, subject),
        tooltip=_tooltip(subject),
    )  # fmt: skip
    count = (
        base.mark_text(align="left", dx=6, color=theme.ink or _MID, fontSize=10)
        .encode(y=y, x=alt.value(alt.expr("width")), text=alt.Text("label:N"))
        .transform_calculate(label="'n = ' + datum.n")
    )
    height = 26 * max(1, len(points)) + (0 if theme.ink else _FITTED)
    size = replace(theme, height=height)
    layers = [whisker, dots, count]
    return _finish(layers, subject, size, _alt(subject, "chart.alt.bars", points))


def tornado(swings: pd.DataFrame, subject: Subject, theme: Theme) -> alt.LayerChart:
    """Return what the cost would be with each input at the ends of its range, longest bar first.

    `swings` is `reports.money.swing_table`'s and has a row at least.
    """
    y = alt.Y("input:N", sort=None, title=None, axis=alt.Axis(labelLimit=260, grid=False))
    axis = alt.Axis(title=swings["axis"][0], format="~s")
    scale = alt.Scale(zero=False, padding=12)
    text = subject.text
    tips = [
        alt.Tooltip("input:N", title=text("column.input")),
        alt.Tooltip("ends:N", title=text("column.ends")),
        alt.Tooltip("at_low:N", title=text("column.cost_at_low")),
        alt.Tooltip("at_high:N", title=text("column.cost_at_high")),
    ]
    base = alt.Chart(swings)
    bars = base.mark_bar(color=COLOURS[1], height={"band": 0.6}).encode(
        y=y, x=alt.X("low:Q", axis=axis, scale=scale), x2="high:Q", tooltip=tips
    )
    rule = base.mark_rule(color=_MID, strokeDash=[2, 3]).encode(x=alt.X("base:Q", axis=axis))
    said = text("chart.alt.tornado", n=len(swings)), text("section.money.swings.about")
    return _finish([bars, rule], subject, theme, said)


# --- people ---------------------------------------------------------------------------------------

ANSWERS: Final = (COLOURS[8], COLOURS[5], "#a6a6a6")
"""Yes, after retouch, no: light enough for the ink of the intervals that lie on them."""
_ON_BARS: Final = "#1b1f24"


def acceptance(answers: pd.DataFrame, subject: Subject, theme: Theme) -> alt.LayerChart:
    """Return what people would publish: a bar of answers per arm, with the intervals of its ends.

    `answers` is `reports.tidy.acceptance_table`'s and has a row at least. Names, n and the minutes
    of a review stand above and below each bar, so that a narrow page holds them too.
    """
    text = subject.text
    order = list(dict.fromkeys(answers["arm"]))
    names = list(dict.fromkeys(answers["answer"]))
    y = alt.Y("arm:N", sort=order, title=None, axis=None)
    axis = alt.Axis(title=text("chart.acceptance"), format=".0%", tickCount=5)
    x = alt.X("start:Q", axis=axis, scale=alt.Scale(domain=[0, 1]))
    tips = [
        alt.Tooltip("arm:N", title=text("chart.arm")),
        alt.Tooltip("label:N", title=text("column.counts")),
        alt.Tooltip("shown:N", title=text("column.value")),
        alt.Tooltip("interval:N", title=text("chart.interval", level=subject.level)),
        alt.Tooltip("n:Q", title=text("column.n")),
    ]
    colour = alt.Color(
        "answer:N",
        scale=alt.Scale(domain=names, range=list(ANSWERS)),
        legend=alt.Legend(title=None, orient="bottom", labelLimit=240),
    )
    base = alt.Chart(answers)
    bars = base.mark_bar(height=36, yOffset=-12).encode(
        y=y, x=x, x2="end:Q", color=colour, tooltip=tips
    )
    inside = (
        base.transform_filter("(datum.end - datum.start) * width > 24")
        .transform_calculate(inside="width < 500 ? datum.count : datum.label")
        .mark_text(align="left", dx=4, dy=-12, fontSize=11, color=_ON_BARS)
        .encode(y=y, x=x, text="inside:N")
    )
    first = base.transform_filter(alt.datum.answer == names[0])
    ink = theme.ink or _MID
    arm = first.mark_text(align="left", dy=-40, fontSize=12, fontWeight=600, color=ink)
    note = first.mark_text(align="left", dy=16, fontSize=11, lineBreak="\n", color=ink)
    layers = [
        bars,
        inside,
        *_interval_of(base, names[0], y, "circle", -25),
        *_interval_of(base, names[1], y, "diamond", 1),
        arm.encode(y=y, x=alt.value(0), text="arm:N"),
        note.encode(y=y, x=alt.value(0), text="note:N"),
    ]
    size = replace(theme, height=102 * len(order) + (0 if theme.ink else _FITTED))
    low, high = min(answers["n"]), max(answers["n"])
    count = text("chart.votes.same" if low == high else "chart.votes", low=low, high=high)
    return _finish(layers, subject, size, (text("chart.alt.acceptance", n=len(order)), count))


def _interval_of(
    base: alt.Chart, answer: str, y: alt.Y, shape: str, offset: int
) -> list[alt.Chart]:
    """Return the end of one answer's part of the bar with its interval, `offset` pixels down."""
    mine = base.transform_filter(alt.datum.answer == answer)
    rule = _whole(mine).mark_rule(color=_ON_BARS, strokeWidth=1.5, yOffset=offset)
    dot = mine.mark_point(
        filled=True, shape=shape, size=46, opacity=1, color=_ON_BARS, yOffset=offset
    )
    return [
        rule.encode(y=y, x=alt.X("low:Q"), x2="high:Q"),
        dot.encode(y=y, x=alt.X("end:Q")),
    ]


# --- time ----------------------------------------------------------------------------------------


def spread(samples: pd.DataFrame, subject: Subject, theme: Theme) -> alt.LayerChart:
    """Return the share of an arm's timed clips that are done by a time: a step per clip."""
    text = subject.text
    x = _seconds(text("chart.latency.seconds"))
    y = alt.Y(
        "share:Q",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(title=text("chart.latency.share"), format=".0%", tickCount=5),
    )
    colour, shape = _colour(samples, subject), _shape(samples, subject)
    tooltip = [
        alt.Tooltip("group:N", title=text("chart.arm")),
        alt.Tooltip("shown:N", title=text("chart.latency.seconds")),
        alt.Tooltip("done:N", title=text("chart.latency.share")),
        alt.Tooltip("n:Q", title=text("column.n")),
    ]
    base = alt.Chart(samples)
    warm = base.transform_filter("!datum.cold")
    steps = warm.mark_line(interpolate="step-after", strokeWidth=1.5).encode(
        x=x, y=y, color=colour, detail="group:N"
    )
    dots = warm.mark_point(filled=True, size=50, opacity=1).encode(
        x=x, y=y, color=colour, shape=shape, tooltip=tooltip
    )
    first = (
        base.transform_filter("datum.cold")
        .mark_tick(orient="vertical", size=16, thickness=3)
        .encode(x=x, y=alt.value(alt.expr("height - 8")), color=colour, tooltip=tooltip)
    )
    layers = [steps, dots, first]
    return _finish(layers, subject, theme, _alt(subject, "chart.alt.spread", samples))


def stages(parts: pd.DataFrame, subject: Subject, theme: Theme) -> alt.LayerChart:
    """Return where the seconds of a clip go: the medians of its stages, one behind the other."""
    text = subject.text
    order = list(dict.fromkeys(parts["arm"]))
    names = list(dict.fromkeys(parts["group"]))
    bars = (
        alt.Chart(parts)
        .mark_bar(height=15)
        .encode(
            y=alt.Y("arm:N", sort=order, title=None, axis=alt.Axis(labelLimit=260, grid=False)),
            x=alt.X("value:Q", axis=alt.Axis(title=text("chart.latency.stages"), tickCount=6)),
            color=alt.Color(
                "group:N",
                scale=alt.Scale(domain=names, range=list(COLOURS[1 : len(names) + 1])),
                legend=alt.Legend(title=None, orient="bottom", labelLimit=240),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("arm:N", title=text("chart.arm")),
                alt.Tooltip("group:N", title=text("chart.latency.stage")),
                alt.Tooltip("shown:N", title=text("column.value")),
                alt.Tooltip("interval:N", title=text("chart.interval", level=subject.level)),
                alt.Tooltip("n:Q", title=text("column.n")),
            ],
        )
    )
    height = 26 * max(1, len(order)) + (0 if theme.ink else _FITTED)
    size = Theme(theme.ink, theme.width, height, theme.legend_columns)
    return _finish([bars], subject, size, _alt(subject, "chart.alt.stages", parts))


def _seconds(title: str) -> alt.X:
    axis = alt.Axis(title=title, grid=False, tickCount=6)
    return alt.X("seconds:Q", scale=alt.Scale(type="log", nice=False, padding=24), axis=axis)


# --- steps by style -----------------------------------------------------------------------------


def heat_map(points: pd.DataFrame, subject: Subject, theme: Theme) -> alt.LayerChart:
    """Return one square for each series and number of steps, with value and interval in it."""
    text = subject.text
    y = alt.Y("group:N", sort=_groups(points), title=None, axis=alt.Axis(labelLimit=260))
    steps = sorted({int(step) for step in points["steps"]})
    x = alt.X("steps:O", sort=steps, axis=alt.Axis(title=text("column.steps"), labelAngle=0))
    lower = words.direction(subject.metric) is Direction.LOWER
    label = words.metric_label(text, subject.metric)
    form = ".0%" if words.is_share(subject.metric) else alt.Undefined
    colour = alt.Color(
        "value:Q",
        scale=alt.Scale(scheme="viridis", reverse=lower),
        legend=alt.Legend(title=label, orient="bottom", format=form, gradientLength=240),
    )
    base = alt.Chart(points)
    squares = base.mark_rect(cornerRadius=4).encode(
        x=x, y=y, color=colour, tooltip=_tooltip(subject)
    )
    paper = base.mark_rect(color="#ffffffd9", width=92, height=34, cornerRadius=3).encode(x=x, y=y)
    values = base.mark_text(fontSize=12, fontWeight=600, dy=-7, color="#1f2933").encode(
        x=x, y=y, text="shown:N"
    )
    ends = base.mark_text(fontSize=9, dy=8, color="#1f2933").encode(x=x, y=y, text="interval:N")
    height = 52 * max(1, len(_groups(points))) + (0 if theme.ink else _FITTED)
    size = Theme(theme.ink, theme.width, height, theme.legend_columns)
    layers = [squares, paper, values, ends]
    return _finish(layers, subject, size, _alt(subject, "chart.alt.heat_map", points))


def use_fonts(folder: Path) -> None:
    """Let charts be set in the fonts of a folder, for documents that embed them."""
    vl_convert.register_font_directory(str(folder))


def to_svg(chart: alt.LayerChart, prefix: str) -> str:
    """Return a chart as SVG text to stand inside a page; its ids start with `prefix`.

    Vega numbers its clip paths from zero in every picture, so two pictures would share ids.
    """
    version = alt.SCHEMA_VERSION.removeprefix("v").rpartition(".")[0]
    svg: str = vl_convert.vegalite_to_svg(chart.to_dict(validate=False), vl_version=version)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    return re.sub(r"url\(#", f"url(#{prefix}-", svg)


# --- parts ---------------------------------------------------------------------------------------


def _marks(
    points: pd.DataFrame, subject: Subject, theme: Theme, x: alt.X, *, field: str,
    numbered: bool = True, often: bool = False,
) -> list[alt.Chart]:  # fmt: skip
    """Interval, mark and step count of every arm, over a `field`; a ring round what is named."""
    base = alt.Chart(points)
    colour, shape = _colour(points, subject), _shape(points, subject)
    whisker = (
        _whole(base)
        .mark_rule(strokeWidth=1.5, opacity=0.55)
        .encode(x=x, y=_quality(subject, "low"), y2="high:Q", color=colour)
    )
    named = base.transform_filter("datum.role != ''")
    ring = named.mark_point(shape="circle", size=330, color=_MID, strokeWidth=1.5)
    dots = base.mark_point(filled=True, size=95, opacity=1).encode(
        x=x, y=_quality(subject), color=colour, shape=shape, tooltip=_tooltip(subject)
    )
    if often:
        faint = alt.Scale(domain=[0, 1], range=[0.35, 1])
        dots = dots.encode(opacity=alt.Opacity("often:Q", scale=faint, legend=None))
    names = [
        one.encode(x=x, y=_quality(subject), text="role:N") for one in _names(base, field, theme)
    ]
    layers = [whisker, ring.encode(x=x, y=_quality(subject)), dots, *names]
    if numbered:
        number = base.mark_text(dx=10, dy=-9, fontSize=11, fontWeight=600)
        layers.append(number.encode(x=x, y=_quality(subject), text="steps:Q", color=colour))
    return layers


def _names(base: alt.Chart, field: str, theme: Theme) -> Iterator[alt.Chart]:
    """Say which mark is the baseline and which the best candidate, on the side that has room.

    Settings of as many steps stand above each other, so that there is room to the left; of the
    first of all to the right.
    """
    named = base.transform_joinaggregate(first=f"min({field})").transform_filter("datum.role != ''")
    ink, first = theme.ink or _MID, f"datum.{field} == datum.first"
    one, others = named.transform_filter(first), named.transform_filter(f"!({first})")
    yield one.mark_text(align="left", dx=13, dy=7, fontSize=11, color=ink)
    yield others.mark_text(align="right", dx=-13, dy=7, fontSize=11, color=ink)


def _quality(subject: Subject, field: str = "value") -> alt.Y:
    """Return the quality axis, drawn so that up is better."""
    lower = words.direction(subject.metric) is Direction.LOWER
    beyond = alt.Undefined if words.is_share(subject.metric) else 8  # no axis below 0 %
    scale = alt.Scale(zero=False, reverse=lower, padding=beyond)
    return alt.Y(f"{field}:Q", scale=scale, axis=_axis(subject))


def _axis(subject: Subject) -> alt.Axis:
    way = words.direction(subject.metric)
    known = way if way in (Direction.HIGHER, Direction.LOWER) else Direction.NONE
    label = words.metric_label(subject.text, subject.metric)
    title = subject.text(f"chart.quality.{known}", metric=label)
    form = ".0%" if words.is_share(subject.metric) else alt.Undefined
    return alt.Axis(title=title, format=form, tickCount=6)


def _groups(points: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(points["group"]))


def _colour(points: pd.DataFrame, subject: Subject) -> alt.Color:
    return alt.Color("group:N", scale=_scale(points, COLOURS), legend=_legend(subject))


def _shape(points: pd.DataFrame, subject: Subject) -> alt.Shape:
    return alt.Shape("group:N", scale=_scale(points, SHAPES), legend=_legend(subject))


def _dash(points: pd.DataFrame, subject: Subject) -> alt.StrokeDash:
    """Return whole lines; dashed ones where a colour comes round again."""
    groups = _groups(points)
    dashes = [[1, 0] if n < len(COLOURS) else [5, 3] for n in range(len(groups))]
    return alt.StrokeDash(
        "group:N", scale=alt.Scale(domain=groups, range=dashes), legend=_legend(subject)
    )


def _scale(points: pd.DataFrame, values: tuple[str, ...]) -> alt.Scale:
    groups = _groups(points)
    return alt.Scale(domain=groups, range=[values[i % len(values)] for i in range(len(groups))])


def _legend(subject: Subject) -> alt.Legend:
    return alt.Legend(
        title=subject.text("chart.group"),
        orient="bottom",
        labelLimit=240,
        symbolOpacity=1,
        symbolStrokeWidth=0,
    )


def _tooltip(subject: Subject) -> list[alt.Tooltip]:
    text = subject.text
    return [
        alt.Tooltip("arm:N", title=text("chart.arm")),
        alt.Tooltip("shown:N", title=words.metric_label(text, subject.metric)),
        alt.Tooltip("interval:N", title=text("chart.interval", level=subject.level)),
        alt.Tooltip("n:Q", title=text("column.n")),
        alt.Tooltip("steps:Q", title=text("column.steps")),
        alt.Tooltip("nfe:Q", title=text("column.nfe")),
        alt.Tooltip("frequency:N", title=text("column.front")),
    ]


def _whole(chart: alt.Chart) -> alt.Chart:
    """Keep rows with both ends: a missing interval is left out, never drawn from zero."""
    return chart.transform_filter("isValid(datum.low) && isValid(datum.high)")


def _watermark(subject: Subject) -> list[alt.Chart]:
    if not subject.demonstration:
        return []
    mark = alt.Chart(pd.DataFrame([{"once": True}])).mark_text(
        text=subject.text("watermark"),
        fontSize=alt.expr("min(30, width / 15)"),
        fontWeight="bold",
        color=_MID,
        opacity=0.24,
    )
    middle = {"x": alt.value(alt.expr("width / 2")), "y": alt.value(alt.expr("height / 2"))}
    return [mark.encode(**middle)]


def _counts(points: pd.DataFrame, text: Text) -> str:
    if points.empty:
        return text("number.none")
    low, high = min(points["n"]), max(points["n"])
    return text("chart.n.same" if low == high else "chart.n", low=low, high=high)


def _alt(subject: Subject, key: str, points: pd.DataFrame) -> tuple[str, str]:
    label = words.metric_label(subject.text, subject.metric)
    said = subject.text(key, metric=label, n=len(points))
    return said, _counts(points, subject.text)


def _finish(
    layers: list[alt.Chart], subject: Subject, theme: Theme, said: tuple[str, str]
) -> alt.LayerChart:
    about, counts = said
    title = alt.TitleParams(counts, anchor="start", fontSize=11, fontWeight="normal", offset=8)
    chart = alt.layer(*_watermark(subject), *layers).properties(
        width=theme.width, height=theme.height, title=title, description=about,
        background="transparent",
    )  # fmt: skip
    configured: alt.LayerChart = chart.configure(**_config(theme))
    return configured


def _config(theme: Theme) -> dict[str, Any]:
    grid = {"gridColor": _MID, "gridOpacity": 0.2, "domainColor": _MID, "tickColor": _MID}
    size = {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal"}
    legend = {
        "columns": theme.legend_columns,
        "columnPadding": 24,
        "labelFontSize": 12,
        "titleFontSize": 12,
    }
    if theme.ink is None:
        return {"axis": grid | size, "legend": legend, "view": {"stroke": None}}
    ink = {"labelColor": theme.ink, "titleColor": theme.ink}
    fonts = {"labelFont": theme.fonts, "titleFont": theme.fonts}
    return {
        "font": theme.fonts,
        "axis": grid | size | ink | fonts,
        "legend": ink | fonts | legend,
        "title": {"color": theme.ink, "font": theme.fonts},
        "text": {"font": theme.fonts},
        "view": {"stroke": None},
    }
