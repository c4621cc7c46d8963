"""The evidence: how it was measured, what is missing, every estimate, where it comes from."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from reports import app
from reports.model import Cell, ClaimRow, Mark, SplitRow
from reports.text import Text
from reports.tidy import shown_estimates


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, content = shown.text, shown.content
    term, said = text("column.term"), text("column.said")
    st.subheader(text("section.method"))
    app.lines(content.method, term, said)
    _contrasts(shown)
    _claims(shown)
    st.subheader(text("section.missing"))
    missing = (*content.missing, *content.lost)
    if missing:
        app.lines(missing, term, text("column.reason"))
    else:
        st.markdown(text("section.missing.none"))
    st.subheader(text("app.table"))
    st.dataframe(pd.DataFrame(shown_estimates(shown.view, text)), hide_index=True, width="stretch")
    st.subheader(text("section.verdicts"))
    app.table(_verdicts(shown))
    st.subheader(text("section.provenance"))
    app.lines(content.provenance, term, said)
    st.subheader(text("section.glossary"))
    app.lines(content.glossary, term, said)


def _contrasts(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    if not content.contrasts:
        return
    st.subheader(text("section.contrasts"))
    st.caption(app.plain(text("section.contrasts.about", level=content.level, n=content.compared)))
    for contrast in content.contrasts:
        st.markdown(f"**{app.plain(contrast.pair)}**")
        st.markdown(app.plain(contrast.question))
        app.table(
            [
                {
                    text("column.metric"): row.label,
                    text("column.difference"): _difference(row.cell),
                    text("column.standing"): row.standing,
                }
                for row in contrast.rows
            ]
        )


def _claims(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    st.subheader(text("section.claims"))
    st.caption(app.plain(text("section.claims.about", level=content.level)))
    if content.banner:
        st.caption(app.plain(text("section.claims.demonstration")))
    app.table([_claim(text, row) for row in content.claims])
    if content.splits:
        st.subheader(text("section.splits"))
        st.caption(app.plain(text("section.splits.about", level=content.level)))
        app.table([_split(text, row) for row in content.splits])


def _claim(text: Text, row: ClaimRow) -> dict[str, str | Mark]:
    comma = text("list.comma")
    numbers = [f"{one.label} ({one.arm}): {_difference(one.cell)}" for one in row.numbers]
    return {
        text("column.claim"): row.label,
        text("column.published"): comma.join(row.published),
        text("column.ours"): " / ".join(numbers) or text("number.none"),
        text("column.outcome"): row.mark,
        text("column.reason"): " / ".join(row.reasons),
        text("column.differs"): " / ".join(row.differs),
    }


def _split(text: Text, row: SplitRow) -> dict[str, str | Mark]:
    rest, denoise, whole = (text(f"column.split.{part}") for part in ("rest", "denoise", "whole"))
    return {
        text("column.arm"): row.name,
        denoise: _difference(row.denoise),
        text("column.split.steps"): row.steps,
        text("column.split.guidance"): row.guidance,
        f"{rest} ({denoise})": _difference(row.denoise_rest),
        whole: _difference(row.whole),
        f"{rest} ({whole})": _difference(row.whole_rest),
    }


def _difference(cell: Cell) -> str:
    parts = (cell.value, cell.interval, cell.n, cell.reason)
    return " · ".join(part for part in parts if part)


def _verdicts(shown: app.Shown) -> list[dict[str, str | Mark]]:
    text, content = shown.text, shown.content
    none = text("verdict.none")
    rows: list[dict[str, str | Mark]] = []
    for row in content.arms:
        if row.mark is not None:
            cells = zip(content.criterion_columns, row.verdicts, strict=True)
            found = {column.term: mark or none for column, mark in cells}
            rows.append({text("column.arm"): row.name, text("column.light"): row.mark, **found})
    return rows


draw(app.shown())
