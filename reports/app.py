"""What every page of the dashboard shares: the language, the chosen run, and small drawing helps.

The run is read once per change of its files and shared by all visitors; pages only draw it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from html import escape
from pathlib import Path
from typing import Any, Final, TypeVar

import pandas as pd
import streamlit as st

from poc.records import Arm
from reports import kept
from reports import text as words
from reports.charts import Subject
from reports.export.clips import stylesheet
from reports.kept import Stamp, stamp
from reports.load import RunNotShownError, RunView, list_runs
from reports.model import Cell, Content, Line, Mark
from reports.player import first_arms, player_data
from reports.text import LANGUAGES, Language, Text, language_of, load_text

COLOURS: Final = {
    "GO": "green", "PASS": "green", "CONDITIONAL": "orange", "NO_GO": "red", "FAIL": "red",
}  # fmt: skip
ICONS: Final = {"green": ":material/check:", "orange": ":material/change_history:",
                "red": ":material/close:", "gray": ":material/question_mark:"}  # fmt: skip

# Streamlit has no video that keeps in step with another; this is the one component of our own.
_PLAYER: Final = st.components.v2.component(
    "poc_player",
    html='<div class="player" tabindex="0">\n</div>',
    css=stylesheet("player.css"),
    js=stylesheet("player.js"),
)

_STATE: Final = "poc_shown"
_ARMS: Final = "poc_arms"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page draws: one run in one language."""

    view: RunView
    text: Text
    content: Content
    stamp: Stamp
    """The version of the run's files that `view` was read from."""

    def subject(self, metric: str) -> Subject:
        """Return what a chart of `metric` needs to know of this run."""
        return Subject(self.text, metric, self.view.demonstration, self.content.level)


def shown() -> Shown:
    """Return what the frame chose for this page."""
    chosen: Shown = st.session_state[_STATE]
    return chosen


def runs_folder() -> Path:
    """Return the folder of runs: the argument after `--`, else `runs`."""
    return Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs")


def choose_language() -> Text:
    """Ask for the language; first the address's `lang`, then the browser's own."""
    asked = st.query_params.get("lang")
    first = asked if asked in LANGUAGES else language_of(st.context.locale)
    language: Language = st.sidebar.segmented_control(
        load_text(first)("app.language"),
        LANGUAGES,
        default=first,
        format_func={"ja": "日本語", "en": "English"}.__getitem__,
        key="language",
        required=True,
    )
    st.query_params["lang"] = language
    return load_text(language)


def choose_run(text: Text) -> Shown | None:
    """Ask which run to show; say what to type when there is none, and what is wrong with one."""
    folder = runs_folder()
    runs = list_runs(folder)
    if not runs:
        st.info(text("app.empty", folder=words.shown(str(folder))))
        st.code(f"poc run --out {folder / 'demo'}", language="bash")
        return None
    first = next((i for i, run in enumerate(runs) if kept.is_readable(run)), 0)
    chosen = st.sidebar.selectbox(
        text("app.run"), runs, index=first, format_func=_run_name, key="run",
        placeholder=text("app.choose"),
    )  # fmt: skip
    version = stamp(chosen)
    view = _read(text, chosen, version)
    if view is None:
        return None
    content = kept.content(str(chosen), version, text.language)
    return Shown(view, text, content, version)


def choose_other(chosen: Shown) -> RunView | None:
    """Ask for another run; None until one is chosen that can be shown. Reads none before."""
    text = chosen.text
    others = [run for run in list_runs(runs_folder()) if run != chosen.view.path]
    if not others:
        st.info(text("compare.none"))
        return None
    other = st.selectbox(
        text("compare.with"), others, index=None, format_func=_run_name, key="other",
        placeholder=text("app.choose"),
    )  # fmt: skip
    return None if other is None else _read(text, other, stamp(other))


def choose_arms(chosen: Shown) -> tuple[Arm, ...]:
    """Ask for arms; the choice holds for every page of a run, in both languages.

    A language has a widget of its own: one widget would go on showing names of the other.
    """
    view, text = chosen.view, chosen.text
    kept = st.session_state.setdefault(_ARMS, {})
    before = kept.get(view.name, [arm.id for arm in first_arms(view)])
    picked = st.multiselect(
        text("app.arms"),
        view.plan.arms,
        default=[arm for arm in view.plan.arms if arm.id in before],
        format_func=lambda arm: words.arm_name(text, arm),
        placeholder=text("app.choose"),
        key=f"arms-{text.language}-{view.name}",
    )
    kept[view.name] = [arm.id for arm in picked]
    return tuple(arm for arm in view.plan.arms if arm in picked)


def keep(chosen: Shown) -> None:
    """Hand the chosen run to the page that is drawn next."""
    st.session_state[_STATE] = chosen


# --- once for all visitors -----------------------------------------------------------------------


def once(shown: Shown, make: Callable[..., T], *choices: Hashable) -> T:
    """Return what `make(shown, *choices)` returns and draw what it draws, made once for everybody.

    Made anew for another run, another version of its files, another language, other choices. So
    `make` is a function of a module, draws no widget, and asks nothing but its arguments: neither
    the session nor the clock.
    """
    code = make.__code__
    place = code.co_filename, code.co_qualname
    key = str(shown.view.path), shown.stamp, shown.text.language
    return _once(place, key, choices, shown, make)  # type: ignore[no-any-return]


@st.cache_resource(max_entries=256, show_spinner=False)
def _once(
    place: tuple[str, str],  # noqa: ARG001 - the first three are what tells results apart
    key: tuple[str, Stamp, Language],  # noqa: ARG001
    choices: tuple[Hashable, ...],
    _shown: Shown,
    _make: Callable[..., Any],
) -> Any:
    return _make(_shown, *choices)


# --- drawing -------------------------------------------------------------------------------------


def heading(chosen: Shown) -> None:
    """Draw what stands above every page: demonstration banner and warnings."""
    st.html(f"<style>{stylesheet('table.css')}</style>")
    if chosen.content.banner:
        st.warning(chosen.content.banner)
    for warning in chosen.content.warnings:
        st.error(plain(warning))
    day = chosen.view.decision.valid_until
    if day is not None and date.fromisoformat(day) < today():
        st.error(plain(chosen.text("warning.passed", day=day, today=today().isoformat())))


def today() -> date:
    """Return the reader's day, as far as this machine knows it; every drawing asks anew."""
    return datetime.now().astimezone().date()


def badge(mark: Mark) -> None:
    """Draw a verdict or light: word, sign and colour."""
    colour = COLOURS.get(mark.level, "gray")
    st.badge(mark.word, color=colour, icon=ICONS[colour])  # type: ignore[arg-type]


def plain(text: str) -> str:
    """Return text that Markdown leaves as it is."""
    return "".join(f"\\{char}" if char in r"\`*_{}[]<>()#+-.!|$~:" else char for char in text)


def inline(mark: Mark) -> str:
    """Return a mark as Markdown, to stand in a table."""
    colour = COLOURS.get(mark.level, "gray")
    return f":{colour}-badge[{ICONS[colour]} {plain(mark.word)}]"


def table(rows: Sequence[Mapping[str, str | Mark]]) -> None:
    """Draw a table whose text wraps; the first column names the row."""
    shown = [{plain(key): _in_table(value) for key, value in row.items()} for row in rows]
    frame = pd.DataFrame(shown)
    st.table(frame.set_index(frame.columns[0]) if shown else frame, border="horizontal")


def whole_cell(cell: Cell) -> str:
    """Return a value with its interval, n and reason, to stand in one cell of a table."""
    parts = (cell.value, cell.interval, cell.n, cell.reason)
    return " · ".join(part for part in parts if part)


def wide_table(columns: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Draw a table that may be moved sideways where it is wider than the page."""
    head = "".join(f"<th scope=col>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_wide_cell, row))}</tr>" for row in rows)
    style = f"<style>{stylesheet('wide.css')}</style>"
    st.html(f"{style}<div class=wide><table><thead><tr>{head}</tr></thead>{body}</table></div>")


def _wide_cell(value: str | Cell) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    small = [f"<small>{escape(one)}</small>" for one in (value.n, value.interval)]
    return f"<td>{escape(value.value)} {'<br>'.join(small)}</td>"


def lines(items: Sequence[Line], term: str, said: str) -> None:
    """Draw terms with what is said of them."""
    table([{term: item.term, said: item.said} for item in items])


def _in_table(value: str | Mark) -> str:
    return inline(value) if isinstance(value, Mark) else plain(value)


def player(
    chosen: Shown, prompt_id: str, arms: Sequence[Arm], *, key: str, replicate: int = 0
) -> None:
    """Draw the clips of one prompt, one arm beside the other, all in step."""
    data = player_data(chosen.view, chosen.text, prompt_id, arms, replicate=replicate)
    if data["tiles"]:
        _PLAYER(data=data, key=key)
    else:
        st.info(chosen.text("section.clips.none"))


def csv(table: pd.DataFrame) -> bytes:
    """Return a table as CSV whose cells no spreadsheet takes for a formula."""
    return table.map(words.harmless_cell).to_csv(index=False).encode("utf-8-sig")


def download(shown: Shown, make: Callable[[Shown], bytes], what: str) -> None:
    """Offer the CSV that `make` makes once of a run, under the run's name and `what` it holds."""
    name = f"{shown.view.name}-{what}"
    safe = once(shown, make)
    st.download_button(
        shown.text("app.download"), safe, f"{name}.csv", mime="text/csv", key=f"csv-{name}"
    )


# --- runs ----------------------------------------------------------------------------------------


def _read(text: Text, run: Path, version: Stamp) -> RunView | None:
    """Return a run; None, with the reason on the page, where it cannot be shown."""
    try:
        return kept.view(str(run), version)
    except RunNotShownError as problem:
        _explain(text, problem)
        return None


def _run_name(run: Path) -> str:
    return words.shown(run.name)


def _explain(text: Text, problem: RunNotShownError) -> None:
    st.error(plain(text(f"problem.{problem.problem}", name=words.shown(problem.path.name))))
    if problem.planned:
        st.markdown(plain(text("problem.made", made=problem.made, planned=problem.planned)))
    st.code(words.shown(problem.detail, 2000), language=None, wrap_lines=True)
