"""The report as slides: editable charts, clips that play, and a sentence to say in the notes.

Text is written as text runs, never as markup or links. PowerPoint takes Japanese from the font that
the XML names for East Asian letters; python-pptx has no call for it, so it is written there.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from metrics.catalog import Direction
from poc.errors import InputError
from reports import text as words
from reports.charts import COLOURS
from reports.content import make_content
from reports.document import Entry, Row, Table, entry, marked, ways_table
from reports.export.files import publish
from reports.export.stills import Still, StillColumn, still_columns
from reports.load import RunView, load_run
from reports.model import Content, Line, Mark
from reports.origin import marked_film
from reports.text import Language, Text, load_text
from reports.tidy import points_table

FILE_NAME: Final = "report.pptx"
LATIN: Final = "Segoe UI"
EAST_ASIAN: Final = "Yu Gothic"
"""Both come with Office; where they lack, PowerPoint takes a font of its own for each."""

_INK, _QUIET, _PAPER = "1B1F24", "59616B", "FFFFFF"
_ALARM, _GOOD, _WARN = "A3261B", "0B6E4F", "8A5A00"
_LEVELS: Final = {
    "GO": _GOOD, "PASS": _GOOD, "CONDITIONAL": _WARN, "NO_GO": _ALARM, "FAIL": _ALARM,
}  # fmt: skip
_WIDE, _HIGH, _EDGE = 13.333, 7.5, 0.5
"""Inches."""
_MOST_ROWS: Final = 12
_MIME: Final = {".webm": "video/webm", ".mp4": "video/mp4"}
_EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001  # the file format knows no zones


def write_pptx(run: Path, out: Path | None, *, language: Language = "ja") -> Path:
    """Write the report of a run folder as slides and return its path.

    Raises:
        RunNotShownError: the run cannot be read or has no decision yet.
        InputError: python-pptx is not installed.
    """
    text = load_text(language)
    return publish(out or run / FILE_NAME, render(load_run(run), text))


def render(view: RunView, text: Text) -> bytes:
    """Return the report as slides; the same run gives the same bytes."""
    try:
        from pptx import Presentation
        from pptx.util import Inches
    except ImportError as error:
        raise InputError(
            "PPTX needs python-pptx. Install it: pip install 'animatelcm-poc[documents]'"
        ) from error
    deck = Presentation()
    deck.slide_width, deck.slide_height = Inches(_WIDE), Inches(_HIGH)
    content = make_content(view, text)
    deck.core_properties.title = content.title
    deck.core_properties.author = ""
    for name in ("created", "modified"):
        setattr(deck.core_properties, name, _created(view))
    slides = _Slides(deck, text, content)
    _fill(slides, view, text, content)
    buffer = io.BytesIO()
    deck.save(buffer)
    return _same_bytes(buffer.getvalue())


def _fill(slides: _Slides, view: RunView, text: Text, content: Content) -> None:
    people, speed, money = content.remarks
    slides.conclusion(people)
    slides.numbers(content.remarks)
    slides.table(text("document.scorecard", arm=content.focus, level=content.level),
                 _scorecard(content, text), content.sureness)  # fmt: skip
    points = points_table(view, text, view.estimates.quality_metric)
    if len(points):
        slides.trade_off(points, view.estimates.quality_metric, speed)
        slides.step_curve(points, view.estimates.quality_metric, content.sureness)
    for column in still_columns(view, text):
        slides.clips(column, content.worst)
    slides.table(text("section.ways"), ways_table(content, text), money)
    slides.onward(content.remarks)
    slides.lines(text("document.known"), content.basis, content.sureness)


def _created(view: RunView) -> datetime:
    try:
        return datetime.fromisoformat(str(view.manifest.get("created"))).replace(tzinfo=None)
    except ValueError:
        return _EPOCH


def _same_bytes(written: bytes) -> bytes:
    """Return a package whose members carry no time of writing, charts' workbooks included."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(written)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            held = old.read(name)
            if name.endswith(".xlsx"):
                held = _same_bytes(held)
            if name == "docProps/core.xml" and b"dcterms:created" in held:
                held = re.sub(rb"(<dcterms:\w+ [^>]*>)[^<]*", rb"\g<1>2000-01-01T00:00:00Z", held)
            new.writestr(zipfile.ZipInfo(name), held, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _scorecard(content: Content, text: Text) -> Table:
    names = ("criterion", "weight", "target", "minimum")
    head = (*(text(f"column.{name}") for name in names),
            text("column.result", level=content.level), text("column.verdict"))  # fmt: skip
    rows = tuple(
        Row(
            (
                Entry(row.label),
                Entry(row.weight),
                Entry(row.target),
                Entry(row.minimum),
                entry(row.cell),
                marked(row.mark, text),
            )
        )
        for row in content.criteria
    )
    return Table(head, rows)


class _Slides:
    """Adds slides, each with a title, the demonstration's mark and a note to say."""

    def __init__(self, deck: Any, text: Text, content: Content) -> None:
        self._deck, self._text, self._content = deck, text, content

    # --- slides ----------------------------------------------------------------------------------

    def conclusion(self, remark: str) -> None:
        """Add the answer: the light, how sure, what is asked."""
        content, text = self._content, self._text
        slide = self._slide(content.title, (content.sureness, remark))
        box = self._box(slide, (_EDGE, 1.15, _WIDE - 2 * _EDGE, 2.6))
        _say(box, content.mark.word, 30, _colour(content.mark), bold=True)
        _say(box, content.headline, 22, _INK, bold=True)
        _say(box, content.sureness, 14, _QUIET)
        for warning in content.warnings:
            _say(box, warning, 12, _ALARM)
        lights = self._box(slide, (_EDGE, 3.55, 5.2, 3.2))
        for light in content.lights:
            _say(lights, f"{light.title}{text('punctuation.colon')}{light.mark.word}", 16,
                 _colour(light.mark), bold=True)  # fmt: skip
            _say(lights, light.question, 11, _QUIET)
        asked = self._box(slide, (6.0, 3.55, _WIDE - 6.0 - _EDGE, 3.2))
        _say(asked, text("section.asked"), 16, _INK, bold=True)
        for line in content.request:
            _say(asked, f"{line.term}{text('punctuation.colon')}{line.said}", 13, _INK)

    def numbers(self, remarks: Sequence[str]) -> None:
        """Add the three numbers."""
        slide = self._slide(self._text("section.numbers"), remarks)
        width = (_WIDE - 2 * _EDGE) / len(self._content.numbers)
        for place, one in enumerate(self._content.numbers):
            box = self._box(slide, (_EDGE + place * width, 1.3, width - 0.2, 5.2))
            _say(box, one.label, 14, _QUIET)
            _say(box, one.cell.value, 34, _INK, bold=True)
            for line in (one.cell.interval, one.cell.n, one.cell.reason, *one.lines):
                if line:
                    _say(box, line, 14, _QUIET)
        about = self._text("section.numbers.about", arm=self._content.focus,
                           level=self._content.level)  # fmt: skip
        _say(self._box(slide, (_EDGE, 6.5, _WIDE - 2 * _EDGE, 0.4)), about, 11, _QUIET)

    def lines(self, title: str, lines: Iterable[Line], remark: str) -> None:
        """Add terms and what is said of them."""
        slide = self._slide(title, (remark,))
        box = self._box(slide, (_EDGE, 1.2, _WIDE - 2 * _EDGE, 5.6))
        for line in lines:
            _say(box, f"{line.term}{self._text('punctuation.colon')}{line.said}", 16, _INK)

    def onward(self, remarks: Sequence[str]) -> None:
        """Add risks and rights, what stops it, what is missing and what comes next."""
        content, text = self._content, self._text
        slide = self._slide(text("section.onward"), remarks)
        colon, half = text("punctuation.colon"), (_WIDE - 2 * _EDGE) / 2
        left = self._box(slide, (_EDGE, 1.2, half - 0.2, 5.7))
        _say(left, text("section.stops"), 15, _INK, bold=True)
        for line in content.stops:
            _say(left, f"{line.term}{colon}{line.said}", 13, _INK)
        _say(left, text("document.risks"), 15, _INK, bold=True)
        _say(left, content.rights.mark.word, 13, _colour(content.rights.mark), bold=True)
        for said in (content.rights.last_day, content.rights.said):
            if said:
                _say(left, said, 13, _INK)
        right = self._box(slide, (_EDGE + half, 1.2, half, 5.7))
        _say(right, text("section.gaps"), 15, _INK, bold=True)
        for gap in content.gaps or (text("section.gaps.none"),):
            _say(right, f"・{gap}", 13, _INK)
        _say(right, text("section.next.happens"), 15, _INK, bold=True)
        _say(right, content.next_step, 13, _INK)

    def table(self, title: str, table: Table, remark: str) -> None:
        """Add a table; rows beyond one slide stand in the other documents, and that is said."""
        from pptx.util import Inches, Pt

        slide = self._slide(title, (remark,))
        rows = table.rows[:_MOST_ROWS]
        area = (
            Inches(_EDGE),
            Inches(1.2),
            Inches(_WIDE - 2 * _EDGE),
            Inches(0.4 * len(rows) + 0.4),
        )
        grid = slide.shapes.add_table(len(rows) + 1, len(table.head), *area).table
        for column, word in enumerate(table.head):
            _cell(grid.cell(0, column), Entry(word), Pt(12), _PAPER)
        for place, row in enumerate(rows, start=1):
            for column, one in enumerate(row.entries):
                _cell(grid.cell(place, column), one, Pt(12))
        if len(table.rows) > len(rows):
            more = self._text("document.elsewhere", n=len(table.rows) - len(rows))
            _say(self._box(slide, (_EDGE, 6.7, 8, 0.4)), more, 11, _QUIET)

    def trade_off(self, points: pd.DataFrame, metric: str, remark: str) -> None:
        """Add quality against seconds as a chart that PowerPoint can edit."""
        timed = bool(points["seconds"].notna().all())
        field, key = ("seconds", "chart.seconds") if timed else ("nfe", "chart.nfe")
        self._scatter(self._text("section.trade_off"), points, metric, remark,
                      across=(field, self._text(key)), lines=False)  # fmt: skip

    def step_curve(self, points: pd.DataFrame, metric: str, remark: str) -> None:
        """Add quality by number of steps."""
        self._scatter(self._text("section.step_curve"), points, metric, remark,
                      across=("steps", self._text("chart.steps")), lines=True)  # fmt: skip

    def clips(self, column: StillColumn, remark: str) -> None:
        """Add one prompt: the operating point beside the baseline, playing where clips are kept."""
        title = self._text("slide.pair")
        if column.rank:
            title = f"{title} – {column.rank}"
        slide = self._slide(title, (remark,))
        _say(self._box(slide, (_EDGE, 1.05, _WIDE - 2 * _EDGE, 0.6)), column.prompt, 14, _INK)
        width = (_WIDE - 2 * _EDGE) / 2
        for place, still in enumerate(column.stills):
            self._clip(slide, still, (_EDGE + place * width, 1.7), width - 0.3)
        names = [still.name for still in column.stills] * 2
        about = self._text("slide.pair.about", arm=names[0], baseline=names[1])
        _say(self._box(slide, (_EDGE, 6.75, _WIDE - 2 * _EDGE, 0.4)), about, 11, _QUIET)

    # --- parts -----------------------------------------------------------------------------------

    def _slide(self, title: str, remarks: Iterable[str]) -> Any:
        slide = self._deck.slides.add_slide(self._deck.slide_layouts[5])
        slide.shapes.title.left, slide.shapes.title.top, *_ = _emu(_EDGE, 0.3)
        slide.shapes.title.width, slide.shapes.title.height = _emu(_WIDE - 2 * _EDGE - 2.5, 0.8)
        frame = slide.shapes.title.text_frame
        frame.word_wrap = True
        _run(frame.paragraphs[0], title, 24, _INK, bold=True)
        if self._content.watermark:
            mark = self._box(slide, (_WIDE - 3.0, 0.3, 2.5, 0.5))
            _say(mark, self._content.watermark, 14, _ALARM, bold=True)
        notes = slide.notes_slide.notes_text_frame
        _run(notes.paragraphs[0], self._text("slide.notes"), 12, _INK, bold=True)
        for said in (*remarks, *filter(None, [self._content.banner])):
            _run(notes.add_paragraph(), said, 12, _INK)
        return slide

    def _box(self, slide: Any, area: tuple[float, float, float, float]) -> Any:
        frame = slide.shapes.add_textbox(*_emu(*area)).text_frame
        frame.word_wrap = True
        return frame

    def _clip(self, slide: Any, still: Still, place: tuple[float, float], width: float) -> None:
        left, top = place
        _say(self._box(slide, (left, top, width, 0.4)), still.name, 14, _INK, bold=True)
        if still.picture is None:
            _say(self._box(slide, (left, top + 1.5, width, 0.6)), still.word, 20, _ALARM, bold=True)
            return
        moving = _moving(still)
        side = 3.2
        if moving is not None and still.poster is not None:
            # A path, since python-pptx takes the name of the part from its ending.
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / f"clip{moving.suffix}"
                copy.write_bytes(moving.data)
                slide.shapes.add_movie(
                    str(copy), *_emu(left, top + 0.45, side * still.wide, side),
                    poster_frame_image=io.BytesIO(still.poster), mime_type=_MIME[moving.suffix],
                )  # fmt: skip
        elif still.poster is not None:
            poster = io.BytesIO(still.poster)
            slide.shapes.add_picture(poster, *_emu(left, top + 0.45, side * still.wide, side))
            beside = (left + side * still.wide + 0.1, top + 0.45, 2.2, 1.0)
            _say(self._box(slide, beside), self._text("slide.still"), 12, _QUIET)
        strip = io.BytesIO(still.picture)
        slide.shapes.add_picture(strip, *_emu(left, top + 0.6 + side), height=_emu(1.1)[0])

    def _scatter(
        self, title: str, points: pd.DataFrame, metric: str, remark: str, *,
        across: tuple[str, str], lines: bool,
    ) -> None:  # fmt: skip
        from pptx.chart.data import XyChartData
        from pptx.enum.chart import XL_CHART_TYPE

        slide = self._slide(title, (remark,))
        data, field = XyChartData(), across[0]
        groups = [(str(name), rows) for name, rows in points.groupby("group", sort=False)]
        for name, rows in groups:
            series = data.add_series(name)
            for row in rows.sort_values(field).to_dict("records"):
                series.add_data_point(row[field], row["value"])
        fronts = [] if lines else self._fronts(points, field)
        for name, rows in fronts:
            series = data.add_series(name)
            for row in rows.to_dict("records"):
                series.add_data_point(row[field], row["value"])
        kind = XL_CHART_TYPE.XY_SCATTER_LINES if lines else XL_CHART_TYPE.XY_SCATTER
        area = _emu(_EDGE, 1.1, _WIDE - 2 * _EDGE, 5.6)
        chart = slide.shapes.add_chart(kind, *area, data).chart
        _dress_chart(chart, metric, self._text, across[1])
        for place, (_, rows) in enumerate(groups):
            _dress_series(chart.plots[0].series[place], rows.sort_values(field), place, lines=lines)
        for place in range(len(groups), len(groups) + len(fronts)):
            _dress_front(chart.plots[0].series[place])
        key = "slide.step_curve.about" if lines else "section.trade_off.about"
        about = self._text(key, level=self._content.level, arm=self._content.focus)
        low, high = min(points["n"]), max(points["n"])
        n = self._text("chart.n.same" if low == high else "chart.n", low=low, high=high)
        foot = self._box(slide, (_EDGE, 6.75, _WIDE - 2 * _EDGE, 0.6))
        _say(foot, f"{n} {about}", 10, _QUIET)

    def _fronts(self, points: pd.DataFrame, field: str) -> list[tuple[str, pd.DataFrame]]:
        """Return the settings of each style that no other of it beats, to be joined by a line."""
        best = points[points["front"]].sort_values(field)
        label = self._text("chart.front")
        return [
            (self._text("arm.styled", group=label, style=style) if style else label, rows)
            for style, rows in best.groupby("style", sort=False)
        ]


class _Film(NamedTuple):
    suffix: str
    data: bytes


def _moving(still: Still) -> _Film | None:
    """Return the viewing copy of a clip with its origin; None where none was kept, or a bad one."""
    if still.clip is None or still.clip.strip is None:
        return None
    for suffix in _MIME:
        path = still.clip.strip.with_suffix(suffix)
        if path.is_file():
            try:
                return _Film(suffix, marked_film(path, still.said))
            except OSError:
                return None
    return None


# --- text ----------------------------------------------------------------------------------------


def _emu(*inches: float) -> tuple[int, ...]:
    from pptx.util import Inches

    return tuple(int(Inches(one)) for one in inches)


def _say(frame: Any, said: str, size: float, colour: str, *, bold: bool = False) -> None:
    first = frame.paragraphs[0]
    paragraph = first if not first.runs else frame.add_paragraph()
    _run(paragraph, said, size, colour, bold=bold)


def _run(paragraph: Any, said: str, size: float, colour: str, *, bold: bool = False) -> None:
    from pptx.dml.color import RGBColor
    from pptx.util import Pt

    run = paragraph.add_run()
    run.text = said
    run.font.size, run.font.bold, run.font.name = Pt(size), bold, LATIN
    run.font.color.rgb = RGBColor.from_string(colour)
    _east_asian(run.font._element)  # noqa: SLF001  # the library has no call for this font


def _east_asian(properties: Any) -> None:
    """Name the font of East Asian letters behind that of Latin ones."""
    from pptx.oxml.ns import qn

    latin = properties.find(qn("a:latin"))
    font = properties.makeelement(qn("a:ea"), {"typeface": EAST_ASIAN})
    latin.addnext(font)


def _cell(cell: Any, entry: Entry, size: Any, ink: str = _INK) -> None:
    frame = cell.text_frame
    frame.word_wrap = True
    for margin in ("margin_top", "margin_bottom"):
        setattr(cell, margin, 20_000)
    strong = bool(entry.level)
    _say(frame, entry.said, size.pt, _LEVELS.get(entry.level, ink), bold=strong)
    for line in entry.small:
        _say(frame, line, size.pt - 2, _QUIET)


def _colour(mark: Mark) -> str:
    return _LEVELS.get(mark.level, _QUIET)


# --- charts --------------------------------------------------------------------------------------


def _dress_chart(chart: Any, metric: str, text: Text, across: str) -> None:
    from pptx.enum.chart import XL_AXIS_CROSSES, XL_LEGEND_POSITION
    from pptx.util import Pt

    chart.has_legend, chart.has_title = True, False
    chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.BOTTOM, False
    chart.font.size, chart.font.name = Pt(11), LATIN
    _east_asian(chart.font._element)  # noqa: SLF001  # as above
    way = words.direction(metric)
    known = way if way in (Direction.HIGHER, Direction.LOWER) else Direction.NONE
    label = text(f"chart.quality.{known}", metric=words.metric_label(text, metric))
    chart.value_axis.has_title = chart.category_axis.has_title = True
    for axis, said in ((chart.value_axis, label), (chart.category_axis, across)):
        _run(axis.axis_title.text_frame.paragraphs[0], said, 12, _INK)
    if words.is_share(metric):
        chart.value_axis.tick_labels.number_format = "0%"
        chart.value_axis.tick_labels.number_format_is_linked = False
    chart.category_axis.has_major_gridlines = False
    chart.value_axis.reverse_order = way is Direction.LOWER
    _scaling(chart.category_axis, "logBase", "2")
    # Where the axes meet: left and below, also on a log axis that holds 1 and on one turned over.
    chart.category_axis.crosses = XL_AXIS_CROSSES.MINIMUM
    turned = way is Direction.LOWER
    chart.value_axis.crosses = XL_AXIS_CROSSES.MAXIMUM if turned else XL_AXIS_CROSSES.MINIMUM


def _scaling(axis: Any, name: str, value: str) -> None:
    """Set what the library has no call for, in the place that the schema asks for."""
    from pptx.oxml.ns import qn

    scaling = axis._element.find(qn("c:scaling"))  # noqa: SLF001  # as above
    scaling.insert(0, scaling.makeelement(qn(f"c:{name}"), {"val": value}))


def _dress_series(series: Any, rows: pd.DataFrame, place: int, *, lines: bool) -> None:
    from pptx.dml.color import RGBColor
    from pptx.enum.chart import XL_LABEL_POSITION, XL_MARKER_STYLE
    from pptx.util import Pt

    marks = (XL_MARKER_STYLE.SQUARE, XL_MARKER_STYLE.CIRCLE, XL_MARKER_STYLE.TRIANGLE,
             XL_MARKER_STYLE.DIAMOND, XL_MARKER_STYLE.PLUS, XL_MARKER_STYLE.X,
             XL_MARKER_STYLE.STAR)  # fmt: skip
    colour = RGBColor.from_string(COLOURS[place % len(COLOURS)].removeprefix("#").upper())
    series.marker.style, series.marker.size = marks[place % len(marks)], 9
    series.marker.format.fill.solid()
    series.marker.format.fill.fore_color.rgb = colour
    series.marker.format.line.color.rgb = colour
    series.smooth = False
    if lines:
        series.format.line.color.rgb, series.format.line.width = colour, Pt(1.5)
    else:
        series.format.line.fill.background()
        for i, steps in enumerate(rows["steps"]):
            label = series.points[i].data_label
            _run(label.text_frame.paragraphs[0], str(steps), 10, _INK)
            label.position = XL_LABEL_POSITION.RIGHT
    _whiskers(series, rows)


def _dress_front(series: Any) -> None:
    from pptx.dml.color import RGBColor
    from pptx.enum.chart import XL_MARKER_STYLE
    from pptx.enum.dml import MSO_LINE

    series.marker.style = XL_MARKER_STYLE.NONE
    series.smooth = False
    series.format.line.color.rgb = RGBColor.from_string(_QUIET)
    series.format.line.dash_style = MSO_LINE.DASH


def _whiskers(series: Any, rows: pd.DataFrame) -> None:
    """Draw each interval; the file format wants its ends as distances from the value."""
    from pptx.oxml.ns import qn

    if rows[["low", "high"]].isna().to_numpy().any():
        return
    before = series._element.find(qn("c:xVal"))  # noqa: SLF001  # as above
    bars = before.makeelement(qn("c:errBars"), {})
    for name, value in (("errDir", "y"), ("errBarType", "both"), ("errValType", "cust")):
        _child(bars, name, val=value)
    _child(bars, "noEndCap", val="1")
    ends = {"plus": rows["high"] - rows["value"], "minus": rows["value"] - rows["low"]}
    for name, sizes in ends.items():
        numbers = _child(_child(bars, name), "numLit")
        _child(numbers, "formatCode").text = "General"
        _child(numbers, "ptCount", val=str(len(sizes)))
        for i, size in enumerate(sizes):
            _child(_child(numbers, "pt", idx=str(i)), "v").text = repr(float(size))
    before.addprevious(bars)


def _child(parent: Any, name: str, **attributes: str) -> Any:
    from pptx.oxml.ns import qn

    child = parent.makeelement(qn(f"c:{name}"), attributes)
    parent.append(child)
    return child
