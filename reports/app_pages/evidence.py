"""The evidence: how it was measured, what is missing, every estimate, where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from string import ascii_lowercase

import pandas as pd
import streamlit as st

from reports import app, evidence
from reports.compare import side_by_side, what_differs
from reports.model import ClaimRow, Line, Mark, SplitRow, SwingRow
from reports.people_tables import draw_people
from reports.text import Text, harmless_cell
from reports.tidy import shown_estimates


def draw(shown: app.Shown) -> None:
    """Draw the page: one tab a subject."""
    text = shown.text
    names = ("method", "results", "people", "origin", "compare", "words")
    tabs = st.tabs([text(f"tab.{name}") for name in names])
    method, results, people, origin, compare, words = tabs
    with results:
        app.once(shown, _results)
        app.download(shown, _estimates_csv, "estimates")
        app.once(shown, _claims)
    with compare:
        _compare(shown)
    fixed = (method, _method), (people, _people_and_money), (origin, _origin), (words, _words)
    for tab, part in fixed:
        with tab:
            app.once(shown, part)


def _method(shown: app.Shown) -> None:
    text, content, view = shown.text, shown.content, shown.view
    st.subheader(text("section.method"))
    app.lines(content.method, text("column.term"), text("column.said"))
    st.subheader(text("section.protocols"))
    st.caption(text("section.protocols.about"))
    app.table([*evidence.protocols(view, text)])
    st.subheader(text("section.resolved"))
    st.caption(text("section.resolved.about"))
    app.table([*evidence.resolved(view, text)])


def _results(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    st.subheader(text("section.missing"))
    missing = (*content.missing, *content.lost)
    if missing:
        app.lines(missing, text("column.term"), text("column.reason"))
    else:
        st.markdown(text("section.missing.none"))
    st.subheader(text("section.verdicts"))
    for weight in ("must", "should"):
        said = text(f"weight.{weight}")
        if any(column.said == said for column in content.criterion_columns):
            st.markdown(f"**{text(f'section.verdicts.{weight}')}**")
            app.table(_verdicts(shown, said))
    _contrasts(shown)
    st.subheader(text("app.table"))
    every = _estimates(shown)
    # Streamlit's own download of this table knows no formulas: names are the spec's words.
    arm = text("column.arm")
    safe = every.assign(**{arm: every[arm].map(harmless_cell)}) if len(every) else every
    st.dataframe(safe, hide_index=True, width="stretch")


def _estimates(shown: app.Shown) -> pd.DataFrame:
    return pd.DataFrame(shown_estimates(shown.view, shown.text))


def _estimates_csv(shown: app.Shown) -> bytes:
    return app.csv(_estimates(shown))


def _people_and_money(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    draw_people(shown)
    _money(shown)
    if not content.people and not content.clips:
        st.subheader(text("section.people"))
        st.markdown(app.plain(next(m.said for m in reversed(content.method))))
    if content.money is None:
        st.subheader(text("section.money"))
        st.markdown(app.plain(content.ways.about))


def _origin(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    term, said = text("column.term"), text("column.said")
    st.subheader(text("section.journal"))
    app.lines([*evidence.journal(shown.view, text)], term, said)
    st.subheader(text("section.provenance"))
    app.lines(content.provenance, term, said)


def _compare(shown: app.Shown) -> None:
    text = shown.text
    st.subheader(text("section.compare"))
    st.caption(text("section.compare.about"))
    other = app.choose_other(shown)
    if other is None:
        return
    rows = [*side_by_side(shown.view, other, text)]
    if rows:
        app.table(rows)
    else:
        st.info(text("compare.no_arm"))
    lines = [*what_differs(shown.view, other, text)]
    if lines:
        app.lines(lines, text("compare.place"), text("compare.change"))
    else:
        st.markdown(text("compare.same"))


def _words(shown: app.Shown) -> None:
    text = shown.text
    st.subheader(text("section.glossary"))
    app.lines(shown.content.glossary, text("column.term"), text("column.said"))


def _money(shown: app.Shown) -> None:
    text, money = shown.text, shown.content.money
    if money is None:
        return
    term, said = text("column.term"), text("column.said")
    st.subheader(text("section.money"))
    st.caption(app.plain(money.about))
    st.markdown(f"**{text('section.money.parts')}**")
    app.lines(money.parts, term, said)
    st.markdown(f"**{text('section.money.returns')}**")
    app.lines(money.returns, term, said)
    st.markdown(f"**{text('section.money.swings')}**")
    st.caption(app.plain(text("section.money.swings.about")))
    app.table([_swing(text, one) for one in money.swings])
    if money.rollout:
        st.markdown(f"**{text('section.money.rollout')}**")
        app.lines(money.rollout, term, said)


def _swing(text: Text, one: SwingRow) -> dict[str, str | Mark]:
    return {
        text("column.input"): one.name,
        text("column.ends"): f"{one.low} – {one.high}",
        text("column.cost_at_low"): one.cost_at_low,
        text("column.cost_at_high"): one.cost_at_high,
    }


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
                    text("column.difference"): app.whole_cell(row.cell),
                    text("column.standing"): row.standing,
                }
                for row in contrast.rows
            ]
        )


def _claims(shown: app.Shown) -> None:
    text, content = shown.text, shown.content
    st.subheader(text("section.claims"))
    st.caption(app.plain(text("section.claims.about", level=content.level)))
    if content.claims_note:
        st.caption(app.plain(content.claims_note))
    letters = _letters(content.claims)
    app.table([_claim(text, row, letters) for row in content.claims])
    if letters:
        st.markdown(f"**{text('claims.letters')}**")
        term, said = text("column.letter"), text("column.differs")
        app.lines([Line(letter, one) for one, letter in letters.items()], term, said)
    if content.splits:
        st.subheader(text("section.splits"))
        st.caption(app.plain(text("section.splits.about", level=content.level)))
        app.table([_split(text, row) for row in content.splits])


def _letters(rows: Sequence[ClaimRow]) -> dict[str, str]:
    """Return a letter for each thing that differs, in the order of their coming."""
    said = dict.fromkeys(one for row in rows for one in row.differs)
    names = (*ascii_lowercase, *("".join(pair) for pair in product(ascii_lowercase, repeat=2)))
    return dict(zip(said, names, strict=False))  # 702 names: a claim has a handful of differences


def _claim(text: Text, row: ClaimRow, letters: Mapping[str, str]) -> dict[str, str | Mark]:
    comma = text("list.comma")
    numbers = [
        f"{one.label} ({one.arm}): {app.whole_cell(one.cell)}"
        for one in (*row.numbers, *row.beside)
    ]
    unmet = " ".join(letters[one] for one in row.reasons if one in letters)
    reasons = [one for one in row.reasons if one not in letters]
    if unmet:
        reasons.append(text("claim.because", letters=unmet))
    return {
        text("column.claim"): row.label,
        text("column.published"): comma.join(row.published),
        text("column.ours"): " / ".join(numbers) or text("number.none"),
        text("column.outcome"): row.mark,
        text("column.reason"): " / ".join(reasons),
        text("column.differs"): " ".join(letters[one] for one in row.differs if one in letters),
    }


def _split(text: Text, row: SplitRow) -> dict[str, str | Mark]:
    rest, denoise, whole = (text(f"column.split.{part}") for part in ("rest", "denoise", "whole"))
    return {
        text("column.arm"): row.name,
        denoise: app.whole_cell(row.denoise),
        text("column.split.steps"): row.steps,
        text("column.split.guidance"): row.guidance,
        f"{rest} ({denoise})": app.whole_cell(row.denoise_rest),
        whole: app.whole_cell(row.whole),
        f"{rest} ({whole})": app.whole_cell(row.whole_rest),
    }


def _verdicts(shown: app.Shown, weight: str) -> list[dict[str, str | Mark]]:
    """Return each setting's verdicts on the criteria of one weight; musts beside its light."""
    text, content = shown.text, shown.content
    none = text("verdict.none")
    rows: list[dict[str, str | Mark]] = []
    for row in content.arms:
        if row.mark is not None:
            cells = zip(content.criterion_columns, row.verdicts, strict=True)
            found = {column.term: mark or none for column, mark in cells if column.said == weight}
            light = {text("column.light"): row.mark} if weight == text("weight.must") else {}
            rows.append({text("column.arm"): row.name, **light, **found})
    return rows


draw(app.shown())
