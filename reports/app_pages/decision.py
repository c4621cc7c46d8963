"""The decision: what, how sure, what is asked, on which numbers, at what cost, by what right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from reports import app, charts, scenarios
from reports.charts import Theme
from reports.export.clips import worst_html
from reports.model import ActionRow, CriterionRow, KeyNumber, Line, Mark, PartRow, WayRow
from reports.text import Text
from reports.tidy import acceptance_table

_PAGE: Final = Theme()


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom, as an executive reads it: the answer first."""
    app.once(shown, _answer)
    scenarios.draw(shown)
    app.once(shown, _grounds)


def _answer(shown: app.Shown) -> None:
    _conclusion(shown)
    _actions(shown)
    _numbers(shown)
    _acceptance(shown)
    _worst(shown)
    _ways(shown)


def _grounds(shown: app.Shown) -> None:
    _rights(shown)
    _stops(shown)
    _heading(shown, "section.judges")
    app.lines(shown.content.judges, shown.text("column.term"), shown.text("column.said"))
    _criteria(shown)


def _heading(shown: app.Shown, key: str) -> None:
    """Draw a heading; in a demonstration it says so, for whoever cuts out what stands below."""
    st.subheader(f"{app.plain(shown.text(key))}{_mark(shown)}")


def _mark(shown: app.Shown) -> str:
    """Return what stands beside everything that a demonstration shows; else nothing."""
    said = shown.content.watermark
    return f" :orange-badge[{app.plain(said)}]" if said else ""


def _bullets(items: Sequence[str]) -> None:
    st.markdown("\n".join(f"- {app.plain(item)}" for item in items))


def _conclusion(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    st.caption(app.plain(content.question))
    st.caption(app.plain(content.subject))
    app.badge(content.mark)
    st.markdown(f"### {app.plain(content.headline)}")
    st.markdown(app.plain(content.sureness))
    for column, light in zip(st.columns(3), content.lights, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{app.plain(light.title)}**{_mark(shown)}")
            app.badge(light.mark)
            st.caption(app.plain(light.question))
    with st.expander(text("section.reasons"), expanded=True):
        _bullets(content.reasons)
    st.subheader(text("section.asked"))
    st.info(app.plain(content.asked))


def _actions(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    _heading(shown, "section.actions")
    if content.actions:
        columns = [text(f"column.action.{name}") for name in ("what", "who", "due", "effect")]
        columns[2] = _unbroken(columns[2])
        rows = [
            (_what(text, row), row.who, _unbroken(row.due), row.effect) for row in content.actions
        ]
        app.table([dict(zip(columns, row, strict=True)) for row in rows])
    if content.actions_note:
        st.markdown(app.plain(content.actions_note))


def _unbroken(short: str) -> str:
    """Return a day, or a word in its place, that no line breaks apart: its column is narrow."""
    return short.replace("-", "\u2011") if short.isascii() else "\u2060".join(short)


def _what(text: Text, row: ActionRow) -> str:
    return (
        f"{text('action.next')}{text('punctuation.colon')}{row.what}" if row.is_next else row.what
    )


def _numbers(shown: app.Shown) -> None:
    _heading(shown, "section.numbers")
    about = shown.text("section.numbers.about", arm=shown.content.focus, level=shown.content.level)
    st.caption(app.plain(about))
    for column, number in zip(st.columns(3), shown.content.numbers, strict=True):
        with column.container(border=True, height="stretch"):
            _number(number)


def _number(number: KeyNumber) -> None:
    st.metric(app.plain(number.label), number.cell.value, help=app.plain(number.help) or None)
    parts = (number.cell.interval, number.cell.n, number.cell.reason)
    st.markdown(app.plain(" · ".join(part for part in parts if part)))
    for line in number.lines:
        st.caption(app.plain(line))


def _acceptance(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    _heading(shown, "section.acceptance")
    if content.no_clips:
        for said in content.no_clips:
            st.markdown(app.plain(said))
        return
    st.caption(app.plain(text("section.acceptance.about", level=content.level)))
    answers = acceptance_table(shown.view, text)
    subject = shown.subject(shown.view.estimates.quality_metric)
    st.altair_chart(charts.acceptance(answers, subject, _PAGE), width="stretch")
    for caution in dict.fromkeys(one.caution for one in content.clips if one.caution):
        st.warning(app.plain(caution))


def _worst(shown: app.Shown) -> None:
    _heading(shown, "section.worst")
    st.caption(app.plain(shown.content.worst))
    fragment = worst_html(shown.view, shown.text)
    if fragment:
        st.html(fragment)


def _ways(shown: app.Shown) -> None:
    text, ways = shown.text, shown.content.ways
    _heading(shown, "section.ways")
    st.caption(app.plain(ways.about))
    columns = [text(f"column.{name}") for name in ("way", "cost", "saving", "days")]
    rows = [(_marked(text, row), row.cost, row.saving, row.days) for row in ways.rows]
    if rows:
        app.table([dict(zip(columns, row, strict=True)) for row in rows])
    for note in ways.notes:
        st.caption(app.plain(note))


def _marked(text: Text, row: WayRow) -> str:
    return text("arm.styled", group=row.name, style=row.mark) if row.mark else row.name


def _rights(shown: app.Shown) -> None:
    text, rights = shown.text, shown.content.rights
    _heading(shown, "section.rights")
    app.badge(rights.mark)
    colon, comma = text("punctuation.colon"), text("list.comma")
    if rights.last_day:
        st.markdown(f"**{app.plain(rights.last_day)}**")
    if rights.whose:
        st.caption(app.plain(f"{text('rights.whose')}{colon}{comma.join(rights.whose)}"))
    st.markdown(app.plain(rights.said))
    if rights.how:
        st.caption(app.plain(rights.how))
        return
    _bullets(rights.reasons)
    if rights.parts:
        st.markdown(f"**{text('rights.parts')}**")
        app.table([_part(text, row) for row in rights.parts])
    else:
        st.markdown(text("rights.all_cleared"))
    if rights.instead:
        st.markdown(app.plain(rights.instead))
    for key, names in (("rights.cleared", rights.cleared), ("rights.missing", rights.missing)):
        if names:
            st.caption(app.plain(f"{text(key)}{colon}{comma.join(names)}"))
    if rights.open:
        with st.expander(text("rights.open")):
            app.lines(rights.open, text("column.question"), text("column.status"))
    st.caption(text("rights.advice"))


def _part(text: Text, row: PartRow) -> dict[str, str | Mark]:
    ways = (row.waived, *row.ways_out) if row.waived else row.ways_out
    return {
        text("column.part"): row.name,
        text("column.judgement"): row.mark,
        text("column.licence"): row.licence,
        text("column.reason"): " ".join(row.reasons),
        text("column.way_out"): " ".join(ways),
    }


def _stops(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    _heading(shown, "section.stops")
    if content.stops:
        app.lines(content.stops, text("column.criterion"), text("column.stop"))
    else:
        st.markdown(text("section.stops.none"))


def _criteria(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    _heading(shown, "section.criteria")
    st.caption(app.plain(content.rule))
    app.table([_row(shown, row, content.criteria) for row in content.criteria])
    with st.expander(text("column.why")):
        app.lines(
            [Line(row.label, row.why) for row in content.criteria],
            text("column.criterion"),
            text("column.why"),
        )


def _row(
    shown: app.Shown, row: CriterionRow, rows: tuple[CriterionRow, ...]
) -> dict[str, str | Mark]:
    text, level = shown.text, shown.content.level
    shares = (
        text("column.attainment.target", share=row.target_share),
        text("column.attainment.minimum", share=row.minimum_share),
    )
    shown_row: dict[str, str | Mark] = {
        text("column.criterion"): row.label,
        text("column.weight"): row.weight,
        text("column.verdict"): row.mark,
        text("column.result", level=level): f"{row.cell.value} ({row.cell.interval}; {row.cell.n})",
        text("column.target"): row.target,
        text("column.minimum"): row.minimum,
        text("column.attainment"): text("list.comma").join(shares),
    }
    if any(one.reason for one in rows):
        shown_row[text("column.reason")] = row.reason
    return shown_row


draw(app.shown())
