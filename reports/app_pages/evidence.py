"""The evidence: how it was measured, what is missing, every estimate, where it comes from."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from reports import app
from reports.model import Cell, Mark
from reports.tidy import shown_estimates


def draw(shown: app.Shown) -> None:
    """Draw the page from top to bottom."""
    text, content = shown.text, shown.content
    term, said = text("column.term"), text("column.said")
    st.subheader(text("section.method"))
    app.lines(content.method, term, said)
    _contrasts(shown)
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
