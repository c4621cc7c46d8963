"""The assumptions behind the cost, to be changed by whoever doubts them; a saved change is marked.

All sums are `poc.cost`'s. A scenario stands beside the decision and never takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import streamlit as st

from poc.cost_file import CostInputs, Dated, Stated
from poc.cost_records import MoneyOfRun
from poc.cost_scenario import (
    Change,
    Scenario,
    editable,
    make_scenario,
    named,
    read_scenarios,
    save_scenario,
)
from poc.errors import InputError
from reports import app, charts
from reports import text as words
from reports.charts import Theme
from reports.money import scenario_lines, swing_table
from reports.text import Text

_PAGE: Final = Theme(height=320)
_ENDS: Final = ("low", "value", "high")


def draw(shown: app.Shown) -> None:
    """Draw the assumptions, what moves the cost, and what changed assumptions would give."""
    money, text = shown.view.money, shown.text
    if money is None:
        return
    with st.expander(text("scenario.title")):
        st.markdown(f"**{text('section.money.swings')}**")
        swings = swing_table(text, money.cost)
        if len(swings):
            subject = shown.subject("cost")
            st.altair_chart(charts.tornado(swings, subject, _PAGE), width="stretch")
        if money.inputs is None:
            st.info(app.plain(text("scenario.none")))
            return
        st.caption(app.plain(text("scenario.about")))
        changes = _asked(text, money.inputs, shown.view.name)
        if changes:
            _what_follows(shown, money, changes)
        st.markdown(f"**{text('scenario.assumptions')}**")
        app.table([_assumption(text, one) for one in editable(money.inputs)])
    _saved(shown, money)


def _label(text: Text, one: Stated) -> str:
    return one.label.ja if text.language == "ja" else one.label.en


def _assumption(text: Text, one: Stated) -> dict[str, str]:
    number = one.number
    example = f" {text('scenario.example')}" if getattr(number, "example", False) else ""
    return {
        text("column.input"): words.shown(_label(text, one)),
        text("column.value"): f"{words.given(number.value)} {number.unit}",
        text("column.ends"): _ends(text, number),
        text("scenario.source"): words.shown(f"{number.source} ({number.date}){example}", 400),
    }


def _ends(text: Text, number: Dated) -> str:
    """Return the range that a number was given with; a measured one may have none."""
    ends = getattr(number, "low", None), getattr(number, "high", None)
    if ends[0] is None or ends[1] is None:
        return text("number.none")
    return f"{words.given(ends[0])} – {words.given(ends[1])}"


# --- changing ------------------------------------------------------------------------------------


def _asked(text: Text, inputs: CostInputs, run: str) -> tuple[Change, ...]:
    """Ask which numbers to change and to what; those left as they are count for nothing."""
    known = {one.name: one for one in editable(inputs)}
    picked = st.multiselect(
        text("scenario.pick"),
        list(known),
        format_func=lambda name: words.shown(_label(text, known[name])),
        placeholder=text("app.choose"),
        key=f"scenario-{run}",
    )
    return tuple(one for name in picked if (one := _change(text, known[name], run)) is not None)


def _change(text: Text, one: Stated, run: str) -> Change | None:
    st.markdown(app.plain(f"{words.shown(_label(text, one))} ({one.number.unit})"))
    given: dict[str, float] = {}
    for column, end in zip(st.columns(3), _ENDS, strict=True):
        given[end] = column.number_input(
            text(f"scenario.{end}"),
            value=float(getattr(one.number, end)),
            format="%g",
            key=f"scenario-{run}-{one.name}-{end}",
        )
    change = Change(name=one.name, **given)
    same = all(given[end] == getattr(one.number, end) for end in _ENDS)
    return None if same else change


@st.cache_data(max_entries=32, show_spinner=False)
def _computed(key: str, _shown: app.Shown, _changes: tuple[Change, ...]) -> Scenario:
    """Return what follows from changes; `key` says of which prices and which changes."""
    money = _shown.view.money
    if money is None:
        raise InputError(f"{key}: no prices were given.")
    arm = next(one for one in _shown.view.plan.arms if one.id == money.basis.arm_id)
    return make_scenario(_shown.view.path, money, name="scenario", arm=arm.name, changes=_changes)


def _what_follows(shown: app.Shown, money: MoneyOfRun, changes: tuple[Change, ...]) -> None:
    text = shown.text
    try:
        said = "".join(one.to_json() for one in changes)
        found = _computed(f"{shown.view.path} {money.content_digest()} {said}", shown, changes)
    except InputError as error:
        _refused(text, error)
        return
    st.warning(app.plain(text("scenario.mark")))
    _beside(shown, money, found)
    name = st.text_input(text("scenario.name"), key=f"scenario-name-{shown.view.name}")
    if st.button(text("scenario.save"), key="scenario-save"):
        try:
            save_scenario(shown.view.path, named(found, name.strip()))
        except InputError as error:
            _refused(text, error)
        else:
            st.success(app.plain(text("scenario.saved", name=words.shown(name))))


def _refused(text: Text, error: InputError) -> None:
    st.error(app.plain(text("scenario.refused")))
    st.code(words.shown(str(error), 1000), language=None, wrap_lines=True)


def _beside(shown: app.Shown, money: MoneyOfRun, found: Scenario) -> None:
    """Draw a scenario's sums beside the decision's own."""
    text = shown.text
    columns = (text("column.term"), text("scenario.decided"), text("scenario.assumed"))
    lines = scenario_lines(text, money.cost, found.cost)
    lights = tuple(text(f"light.{one.light}") for one in (money.economic, found.economic))
    rows = [*lines, (text("lights.economic"), *lights)]
    app.table([dict(zip(columns, row, strict=True)) for row in rows])


# --- saved ones ----------------------------------------------------------------------------------


def _saved(shown: app.Shown, money: MoneyOfRun) -> None:
    """Draw what was saved; the title of each says that it is a scenario."""
    text = shown.text
    try:
        kept, wrong = read_scenarios(shown.view.path)
    except InputError as error:
        _refused(text, error)
        return
    for one in kept:
        name = words.shown(one.name)
        key = "scenario.kept" if one.is_of(money) else "scenario.stale"
        with st.expander(app.plain(text(key, name=name))):
            st.warning(app.plain(text("scenario.mark")))
            if one.is_of(money):
                _beside(shown, money, one)
            st.markdown("\n".join(_changes(text, money, one.changes)))
    for sentence in wrong:
        st.error(app.plain(words.shown(sentence, 400)))


def _changes(text: Text, money: MoneyOfRun, changes: Sequence[Change]) -> Iterator[str]:
    known = {} if money.inputs is None else {one.name: one for one in editable(money.inputs)}
    for one in changes:
        label = _label(text, known[one.name]) if one.name in known else one.name
        said = text("scenario.change", value=words.given(one.value), low=words.given(one.low),
                    high=words.given(one.high), name=words.shown(label))  # fmt: skip
        yield f"- {app.plain(said)}"
