"""The report as slides: editable charts, clips that play, and a sentence to say in the notes.

Text is written as text runs, never as markup or links.
"""

from __future__ import annotations

import io
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from poc.errors import InputError
from reports.content import make_content
from reports.document import (
    Entry,
    Row,
    Table,
    actions_table,
    entry,
    marked,
    ways_table,
)
from reports.export.files import publish
from reports.export.slide_charts import add_acceptance, add_scatter
from reports.export.slide_text import (
    ALARM,
    INK,
    QUIET,
    add_run,
    add_table,
    colour_of,
    emu,
    rows_within,
    say,
)
from reports.export.stills import Still, StillColumn, still_columns
from reports.load import RunView, load_run
from reports.model import Content, Line
from reports.origin import marked_film
from reports.text import Language, Text, arm_name, load_text
from reports.tidy import acceptance_table, points_table

FILE_NAME: Final = "report.pptx"
_WIDE, _HIGH, _EDGE = 13.333, 7.5, 0.5
"""Inches."""
_MOST_ROWS: Final = 12
_FOOT: Final = 6.9
"""Inches down to which words stand; the number is below."""
_MOST_JUDGED: Final = 4
"""Arms whose judged clips one slide has room for."""
_INSET: Final = 0.1
"""Inches between the edge of a text box and its words."""
_CHART: Final = (_EDGE, 1.1, _WIDE - 2 * _EDGE, 5.5)
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
    if not content.no_clips:
        slides.acceptance(acceptance_table(view, text), arm_name(text, view.baseline))
    for column in still_columns(view, text):
        slides.clips(column)
    if content.ways.rows:
        slides.table(text("section.ways"), ways_table(content, text), money)
    slides.actions(content.sureness)
    slides.stops(content.remarks)
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
        """Add the answer: the light, how sure, what is asked, what is to be done."""
        content, text = self._content, self._text
        slide = self._slide(content.title, (content.sureness, remark))
        half, colon = (_WIDE - 2 * _EDGE) / 2, text("punctuation.colon")
        about = self._box(slide, (_EDGE, 0.95, _WIDE - 2 * _EDGE, 0.5))
        say(about, content.question, 12, QUIET)
        say(about, content.subject, 11, QUIET)
        box = self._box(slide, (_EDGE, 1.5, _WIDE - 2 * _EDGE, 1.7))
        say(box, content.mark.word, 20, colour_of(content.mark), bold=True)
        say(box, content.headline, 15, INK, bold=True)
        say(box, content.sureness, 11, QUIET, before=4)
        for warning in content.warnings:
            say(box, warning, 12, ALARM)
        top = 3.05 + 0.22 * len(content.warnings)
        left = self._box(slide, (_EDGE, top, half - 0.8, 1.9))
        for light in content.lights:
            said = f"{light.title}{colon}{light.mark.word}"
            say(left, said, 14, colour_of(light.mark), bold=True, before=4)
            say(left, light.question, 10, QUIET)
        right = self._box(slide, (_EDGE + half - 0.6, top, half + 0.6, 1.9))
        say(right, text("section.asked"), 15, INK, bold=True)
        for line in content.request:
            say(right, f"{line.term}{colon}{line.said}", 12, INK, before=3)
        self._first_actions(slide, top + 1.95)

    def _first_actions(self, slide: Any, top: float) -> None:
        """Add as many rows of what is to be done as there is room for, and how many more are."""
        content, text = self._content, self._text
        head = self._box(slide, (_EDGE, top, _WIDE - 2 * _EDGE, 0.35))
        say(head, text("section.actions"), 15, INK, bold=True)
        table, width = actions_table(content, text), _WIDE - 2 * (_EDGE + _INSET)
        most = rows_within(table, width, 11, _FOOT - top - 0.35)
        more = len(table.rows) - most
        beside = [text("document.elsewhere.slide", n=more)] if more > 0 else []
        for said in filter(None, (content.actions_note, *beside)):
            add_run(head.paragraphs[0], f"  {said}", 11, QUIET)
        if table.rows:
            first = replace(table, rows=table.rows[:most])
            add_table(slide, first, (_EDGE + _INSET, top + 0.35, width), 11)

    def numbers(self, remarks: Sequence[str]) -> None:
        """Add the three numbers."""
        slide = self._slide(self._text("section.numbers"), remarks)
        width = (_WIDE - 2 * _EDGE) / len(self._content.numbers)
        for place, one in enumerate(self._content.numbers):
            box = self._box(slide, (_EDGE + place * width, 1.3, width - 0.2, 5.2))
            say(box, one.label, 16, INK, bold=True)
            say(box, one.cell.value, 36, INK, bold=True)
            for line in (one.cell.interval, one.cell.n, one.cell.reason, *one.lines, one.help):
                if line:
                    say(box, line, 14, QUIET, before=6)
        about = self._text("section.numbers.about", arm=self._content.focus,
                           level=self._content.level)  # fmt: skip
        say(self._box(slide, (_EDGE, 6.6, _WIDE - 2 * _EDGE, 0.4)), about, 11, QUIET)

    def lines(self, title: str, lines: Iterable[Line], remark: str) -> None:
        """Add terms and what is said of them."""
        slide = self._slide(title, (remark,))
        box = self._box(slide, (_EDGE, 1.2, _WIDE - 2 * _EDGE, 5.6))
        for line in lines:
            say(box, f"{line.term}{self._text('punctuation.colon')}{line.said}", 16, INK, before=8)

    def actions(self, remark: str) -> None:
        """Add what is to be done, on as many slides as its rows take; or that nothing is."""
        content, title = self._content, self._text("section.actions")
        table, width, size = actions_table(content, self._text), _WIDE - 2 * _EDGE, 12
        if not table.rows:
            slide = self._slide(title, (remark,))
            say(self._box(slide, (_EDGE, 1.2, width, 1)), content.actions_note, 16, INK)
        while table.rows:
            most = rows_within(table, width, size, 5.4)
            slide = self._slide(title, (remark,))
            add_table(slide, replace(table, rows=table.rows[:most]), (_EDGE, 1.2, width), size)
            table = replace(table, rows=table.rows[most:])

    def stops(self, remarks: Sequence[str]) -> None:
        """Add what stops it, risks and rights."""
        content, text = self._content, self._text
        slide = self._slide(text("section.stops"), remarks)
        colon, half = text("punctuation.colon"), (_WIDE - 2 * _EDGE) / 2
        left = self._box(slide, (_EDGE, 1.2, half - 0.2, 5.7))
        for line in content.stops:
            say(left, f"{line.term}{colon}{line.said}", 13, INK, before=4)
        if not content.stops:
            say(left, text("section.stops.none"), 13, INK)
        right = self._box(slide, (_EDGE + half, 1.2, half, 5.7))
        say(right, text("document.risks"), 15, INK, bold=True)
        say(right, content.rights.mark.word, 13, colour_of(content.rights.mark), bold=True)
        for said in (content.rights.last_day, content.rights.said):
            if said:
                say(right, said, 13, INK)

    def table(self, title: str, table: Table, remark: str) -> None:
        """Add a table; rows beyond one slide stand in the other documents, and that is said."""
        slide = self._slide(title, (remark,))
        kept = Table(table.head, table.rows[:_MOST_ROWS])
        add_table(slide, kept, (_EDGE, 1.2, _WIDE - 2 * _EDGE), 13 if len(kept.head) < 5 else 12)
        if len(table.rows) > len(kept.rows):
            more = self._text("document.elsewhere", n=len(table.rows) - len(kept.rows))
            say(self._box(slide, (_EDGE, 6.7, 8, 0.4)), more, 11, QUIET)

    def trade_off(self, points: pd.DataFrame, metric: str, remark: str) -> None:
        """Add quality against seconds as a chart that PowerPoint can edit."""
        timed = bool(points["seconds"].notna().all())
        field, key = ("seconds", "chart.seconds") if timed else ("nfe", "chart.nfe")
        slide = self._slide(self._text("section.trade_off"), (remark,))
        add_scatter(slide, points, metric, self._text, field=field, across=self._text(key),
                    lines=False, area=_CHART)  # fmt: skip
        self._below_chart(slide, points, "slide.trade_off.about")

    def step_curve(self, points: pd.DataFrame, metric: str, remark: str) -> None:
        """Add quality by number of steps."""
        slide = self._slide(self._text("section.step_curve"), (remark,))
        add_scatter(slide, points, metric, self._text, field="steps", lines=True,
                    across=self._text("chart.steps"), area=_CHART)  # fmt: skip
        self._below_chart(slide, points, "slide.step_curve.about")

    def _below_chart(self, slide: Any, points: pd.DataFrame, key: str) -> None:
        text, content = self._text, self._content
        low, high = min(points["n"]), max(points["n"])
        n = text("chart.n.same" if low == high else "chart.n", low=low, high=high)
        foot = self._box(slide, (_EDGE, 6.7, _WIDE - 2 * _EDGE - 0.7, 0.6))
        say(foot, f"{n} · {text(key, level=content.level, arm=content.focus)}", 11, QUIET)

    def acceptance(self, answers: pd.DataFrame, baseline: str) -> None:
        """Add what people would publish: the bars, and below them the numbers with n.

        The arm in focus and the baseline come first; arms without room are counted.
        """
        text, content = self._text, self._content
        remarks = tuple(one.said for one in content.clips)
        slide = self._slide(text("section.acceptance"), remarks)
        judged = list(dict.fromkeys(answers["arm"]))
        names = sorted(judged, key=lambda one: (one != content.focus, one != baseline))
        arms = [answers[answers["arm"] == name] for name in names[:_MOST_JUDGED]]
        shown = pd.concat(arms)
        add_acceptance(slide, shown, text, (_EDGE, 1.1, _WIDE - 2 * _EDGE, 3.3))
        heads = ("column.arm", "clips.accepted", "clips.retouched", "column.n")
        rows = tuple(Row(tuple(_judged(one))) for one in arms)
        table = Table(tuple(map(text, heads)), rows)
        add_table(slide, table, (_EDGE, 4.5, _WIDE - 2 * _EDGE), 12)
        cautions = dict.fromkeys(one.caution for one in content.clips if one.caution)
        about = text("slide.acceptance.about", level=content.level)
        if len(names) > len(arms):
            about = f"{about} · {text('document.elsewhere', n=len(names) - len(arms))}"
        said = " ".join([*cautions, about])
        say(self._box(slide, (_EDGE, 6.7, _WIDE - 2 * _EDGE - 0.7, 0.6)), said, 11, QUIET)

    def clips(self, column: StillColumn) -> None:
        """Add one prompt: the operating point beside the baseline, playing where clips are kept."""
        title = self._text("slide.pair")
        if column.rank:
            title = f"{title} – {column.rank}"
        slide = self._slide(title, (column.remark,))
        say(self._box(slide, (_EDGE, 1.05, _WIDE - 2 * _EDGE, 0.6)), column.prompt, 14, INK)
        width = (_WIDE - 2 * _EDGE) / 2
        for place, still in enumerate(column.stills):
            self._clip(slide, still, (_EDGE + place * width, 1.7), width - 0.3)
        names = [still.name for still in column.stills] * 2
        about = self._text("slide.pair.about", arm=names[0], baseline=names[1])
        say(self._box(slide, (_EDGE, 6.75, _WIDE - 2 * _EDGE, 0.4)), about, 11, QUIET)

    # --- parts -----------------------------------------------------------------------------------

    def _slide(self, title: str, remarks: Iterable[str]) -> Any:
        from pptx.enum.text import MSO_ANCHOR, PP_ALIGN

        slide = self._deck.slides.add_slide(self._deck.slide_layouts[5])
        slide.shapes.title.left, slide.shapes.title.top = emu(_EDGE, 0.25)
        slide.shapes.title.width, slide.shapes.title.height = emu(_WIDE - 2 * _EDGE - 2.5, 0.7)
        frame = slide.shapes.title.text_frame
        frame.word_wrap, frame.vertical_anchor = True, MSO_ANCHOR.MIDDLE
        frame.paragraphs[0].alignment = PP_ALIGN.LEFT
        add_run(frame.paragraphs[0], title, 24, INK, bold=True)
        number = self._box(slide, (_WIDE - _EDGE - 0.6, 7.0, 0.6, 0.3))
        number.paragraphs[0].alignment = PP_ALIGN.RIGHT
        say(number, str(len(self._deck.slides)), 11, QUIET)
        if self._content.watermark:
            mark = self._box(slide, (_WIDE - _EDGE - 2.5, 0.3, 2.5, 0.5))
            mark.paragraphs[0].alignment = PP_ALIGN.RIGHT
            say(mark, self._content.watermark, 14, ALARM, bold=True)
        notes = slide.notes_slide.notes_text_frame
        add_run(notes.paragraphs[0], self._text("slide.notes"), 12, INK, bold=True)
        for said in (*remarks, *filter(None, [self._content.banner])):
            add_run(notes.add_paragraph(), said, 12, INK)
        return slide

    def _box(self, slide: Any, area: tuple[float, float, float, float]) -> Any:
        frame = slide.shapes.add_textbox(*emu(*area)).text_frame
        frame.word_wrap = True
        return frame

    def _clip(self, slide: Any, still: Still, place: tuple[float, float], width: float) -> None:
        left, top = place
        say(self._box(slide, (left, top, width, 0.4)), still.name, 14, INK, bold=True)
        if still.picture is None:
            say(self._box(slide, (left, top + 1.5, width, 0.6)), still.word, 20, ALARM, bold=True)
            return
        moving = _moving(still)
        side, left = 3.2, left + _INSET
        if moving is not None and still.poster is not None:
            # A path, since python-pptx takes the name of the part from its ending.
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / f"clip{moving.suffix}"
                copy.write_bytes(moving.data)
                slide.shapes.add_movie(
                    str(copy), *emu(left, top + 0.45, side * still.wide, side),
                    poster_frame_image=io.BytesIO(still.poster), mime_type=_MIME[moving.suffix],
                )  # fmt: skip
        elif still.poster is not None:
            poster = io.BytesIO(still.poster)
            slide.shapes.add_picture(poster, *emu(left, top + 0.45, side * still.wide, side))
            beside = (left + side * still.wide + 0.1, top + 0.45, 2.2, 1.0)
            say(self._box(slide, beside), self._text("slide.still"), 12, QUIET)
        strip = io.BytesIO(still.picture)
        slide.shapes.add_picture(strip, *emu(left, top + 0.6 + side), height=emu(1.1)[0])


def _judged(rows: pd.DataFrame) -> Iterator[Entry]:
    """Yield an arm's row of the table below the bars of what people would publish."""
    accepted, retouched = rows.to_dict("records")[:2]
    yield Entry(accepted["arm"])
    for one in (accepted, retouched):
        yield Entry(one["shown"], (one["interval"],))
    first, *rest = accepted["note"].split("\n")
    yield Entry(first, tuple(rest))


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
