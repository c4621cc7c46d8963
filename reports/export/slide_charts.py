"""Charts on slides that PowerPoint can edit: numbers of the run, in the colours of every chart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pandas as pd

from metrics.catalog import Direction
from reports import text as words
from reports.charts import ANSWERS, COLOURS
from reports.export.slide_text import INK, LATIN, QUIET, add_run, emu, name_east_asian
from reports.text import Text

_GRID: Final = "DDE2E7"

Area = tuple[float, float, float, float]
"""Left, top, width and height in inches."""


class _Series(NamedTuple):
    """Marks of one setting, or with no place the line that joins a front."""

    name: str
    rows: pd.DataFrame
    place: int | None


def add_scatter(
    slide: Any, points: pd.DataFrame, metric: str, text: Text, *, field: str, across: str,
    lines: bool, area: Area,
) -> None:  # fmt: skip
    """Add quality against a column of `reports.tidy.points_table`, on a log axis called `across`.

    `lines` joins the marks of a setting; without it the settings of a front are joined, and steps
    are written beside marks.
    """
    from pptx.chart.data import XyChartData
    from pptx.enum.chart import XL_CHART_TYPE

    data, series = XyChartData(), _series(points, text, field, lines=lines)
    for one in series:
        made = data.add_series(one.name)
        for row in one.rows.to_dict("records"):
            made.add_data_point(row[field], row["value"])
    kind = XL_CHART_TYPE.XY_SCATTER_LINES if lines else XL_CHART_TYPE.XY_SCATTER
    chart = slide.shapes.add_chart(kind, *emu(*area), data).chart
    _dress_scatter(chart, metric, text, across)
    _bound(chart.category_axis, points[field])
    for drawn, one in zip(chart.plots[0].series, series, strict=True):
        if one.place is None:
            _dress_front(drawn)
            continue
        _dress_series(drawn, one.rows, one.place, lines=lines)
        if not lines:
            _number(drawn, one.rows)


def _series(points: pd.DataFrame, text: Text, field: str, *, lines: bool) -> list[_Series]:
    """Return what is drawn, those of most marks first.

    LibreOffice leaves out every series that stands before a longer one.
    """
    groups = [
        _Series(str(name), rows.sort_values(field), place)
        for place, (name, rows) in enumerate(points.groupby("group", sort=False))
    ]
    fronts = [] if lines else [*_fronts(points, text, field)]
    return sorted([*groups, *fronts], key=lambda one: -len(one.rows))


def _fronts(points: pd.DataFrame, text: Text, field: str) -> Iterator[_Series]:
    """Yield the settings of each style that no other of it beats, where there is what to join."""
    best, label = points[points["front"]].sort_values(field), text("chart.front")
    for style, rows in best.groupby("style", sort=False):
        if len(rows) > 1:
            known = words.style_name(text, str(style))
            name = text("arm.styled", group=label, style=known) if style else label
            yield _Series(name, rows, None)


def add_acceptance(slide: Any, answers: pd.DataFrame, text: Text, area: Area) -> None:
    """Add what people would publish: a bar an arm, with the interval of what is accepted.

    `answers` is `reports.tidy.acceptance_table`'s and has a row at least.
    """
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION

    # Bars stand from the bottom upwards.
    parts = [(str(name), rows[::-1]) for name, rows in answers.groupby("answer", sort=False)]
    data = CategoryChartData()
    data.categories = list(parts[0][1]["arm"])
    for name, rows in parts:
        data.add_series(name, list(rows["end"] - rows["start"]))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.BAR_STACKED, *emu(*area), data).chart
    _dress(chart)
    plot = chart.plots[0]
    plot.overlap, plot.gap_width = 100, 60
    axis = chart.value_axis
    axis.minimum_scale, axis.maximum_scale, axis.has_title = 0, 1, True
    add_run(axis.axis_title.text_frame.paragraphs[0], text("chart.acceptance"), 12, INK)
    _as_share(axis)
    for series, (_, rows), colour in zip(plot.series, parts, ANSWERS, strict=True):
        series.format.fill.solid()
        series.format.fill.fore_color.rgb = _rgb(colour)
        # Where the line of the interval does not run: at the outer end of each part.
        first = series.name == parts[0][0]
        for place, said in enumerate(rows["label"]):
            label = series.points[place].data_label
            add_run(label.text_frame.paragraphs[0], str(said), 12, INK)
            label.position = (
                XL_LABEL_POSITION.INSIDE_BASE if first else XL_LABEL_POSITION.INSIDE_END
            )
    accepted = parts[0][1].assign(value=parts[0][1]["end"])
    _whiskers(plot.series[0], accepted, before="cat", colour=INK)


# --- dress ---------------------------------------------------------------------------------------


def _rgb(colour: str) -> Any:
    from pptx.dml.color import RGBColor

    return RGBColor.from_string(colour.removeprefix("#").upper())


def _dress(chart: Any) -> None:
    from pptx.enum.chart import XL_LEGEND_POSITION
    from pptx.util import Pt

    chart.has_legend, chart.has_title = True, False
    chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    chart.font.size, chart.font.name = Pt(12), LATIN
    name_east_asian(chart.font._element)  # noqa: SLF001  # the library has no call for this font
    chart.value_axis.has_major_gridlines = True
    chart.value_axis.major_gridlines.format.line.color.rgb = _rgb(_GRID)
    chart.category_axis.has_major_gridlines = False


def _dress_scatter(chart: Any, metric: str, text: Text, across: str) -> None:
    from pptx.enum.chart import XL_AXIS_CROSSES

    _dress(chart)
    way = words.direction(metric)
    known = way if way in (Direction.HIGHER, Direction.LOWER) else Direction.NONE
    label = text(f"chart.quality.{known}", metric=words.metric_label(text, metric))
    chart.value_axis.has_title = chart.category_axis.has_title = True
    for axis, said in ((chart.value_axis, label), (chart.category_axis, across)):
        add_run(axis.axis_title.text_frame.paragraphs[0], said, 12, INK)
    if words.is_share(metric):
        _as_share(chart.value_axis)
    turned = way is Direction.LOWER
    chart.value_axis.reverse_order = turned
    # Where the axes meet: left and below, also on a log axis that holds 1 and on one turned over.
    chart.category_axis.crosses = XL_AXIS_CROSSES.MINIMUM
    chart.value_axis.crosses = XL_AXIS_CROSSES.MAXIMUM if turned else XL_AXIS_CROSSES.MINIMUM


def _as_share(axis: Any) -> None:
    axis.tick_labels.number_format = "0%"
    axis.tick_labels.number_format_is_linked = False


def _bound(axis: Any, values: pd.Series) -> None:
    """Make an axis one of powers of two, from the one below all values to the one above them."""
    from pptx.oxml.ns import qn

    axis.minimum_scale = 2.0 ** math.floor(math.log2(values.min()))
    axis.maximum_scale = 2.0 ** math.ceil(math.log2(values.max()))
    # The library has no call for a log axis; the schema asks for it in this place.
    scaling = axis._element.find(qn("c:scaling"))  # noqa: SLF001
    scaling.insert(0, scaling.makeelement(qn("c:logBase"), {"val": "2"}))


def _dress_series(series: Any, rows: pd.DataFrame, place: int, *, lines: bool) -> None:
    from pptx.enum.chart import XL_MARKER_STYLE
    from pptx.util import Pt

    marks = (XL_MARKER_STYLE.SQUARE, XL_MARKER_STYLE.CIRCLE, XL_MARKER_STYLE.TRIANGLE,
             XL_MARKER_STYLE.DIAMOND, XL_MARKER_STYLE.PLUS, XL_MARKER_STYLE.X,
             XL_MARKER_STYLE.STAR)  # fmt: skip
    colour = COLOURS[place % len(COLOURS)]
    series.marker.style, series.marker.size = marks[place % len(marks)], 9
    series.marker.format.fill.solid()
    series.marker.format.fill.fore_color.rgb = _rgb(colour)
    series.marker.format.line.color.rgb = _rgb(colour)
    series.smooth = False
    if lines:
        series.format.line.color.rgb, series.format.line.width = _rgb(colour), Pt(1.5)
    else:
        series.format.line.fill.background()
    _whiskers(series, rows, before="xVal", colour=colour)


def _number(series: Any, rows: pd.DataFrame) -> None:
    """Write its steps beside every mark, and which is the baseline and which the best candidate."""
    from pptx.enum.chart import XL_LABEL_POSITION

    for place, row in enumerate(rows.to_dict("records")):
        label = series.points[place].data_label
        said = f"{row['steps']} ({row['role']})" if row["role"] else row["steps"]
        add_run(label.text_frame.paragraphs[0], str(said), 11, INK)
        label.position = XL_LABEL_POSITION.RIGHT


def _dress_front(series: Any) -> None:
    from pptx.enum.chart import XL_MARKER_STYLE
    from pptx.enum.dml import MSO_LINE
    from pptx.util import Pt

    series.marker.style = XL_MARKER_STYLE.NONE
    series.smooth = False
    series.format.line.color.rgb, series.format.line.width = _rgb(QUIET), Pt(1.25)
    series.format.line.dash_style = MSO_LINE.DASH


def _whiskers(series: Any, rows: pd.DataFrame, *, before: str, colour: str) -> None:
    """Draw each interval; the file format wants its ends as distances from the value."""
    from pptx.oxml.ns import qn

    if rows[["low", "high"]].isna().to_numpy().any():
        return
    after = series._element.find(qn(f"c:{before}"))  # noqa: SLF001  # no call for intervals
    bars = after.makeelement(qn("c:errBars"), {})
    direction = (("errDir", "y"),) if before == "xVal" else ()
    for name, value in (*direction, ("errBarType", "both"), ("errValType", "cust")):
        _child(bars, f"c:{name}", val=value)
    _child(bars, "c:noEndCap", val="1")
    ends = {"plus": rows["high"] - rows["value"], "minus": rows["value"] - rows["low"]}
    for name, sizes in ends.items():
        numbers = _child(_child(bars, f"c:{name}"), "c:numLit")
        _child(numbers, "c:formatCode").text = "General"
        _child(numbers, "c:ptCount", val=str(len(sizes)))
        for i, size in enumerate(sizes):
            _child(_child(numbers, "c:pt", idx=str(i)), "c:v").text = repr(float(size))
    fill = _child(_child(_child(bars, "c:spPr"), "a:ln", w="15875"), "a:solidFill")
    _child(fill, "a:srgbClr", val=colour.removeprefix("#").upper())
    after.addprevious(bars)


def _child(parent: Any, name: str, **attributes: str) -> Any:
    from pptx.oxml.ns import qn

    child = parent.makeelement(qn(name), attributes)
    parent.append(child)
    return child
