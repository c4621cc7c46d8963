"""The Streamlit entry: the frame round every page, and the command line that starts it.

streamlit run reports/dashboard.py -- RUNS_DIR
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from reports.access import let_in
from reports.app import choose_language, choose_run, heading, keep

# Where no `.streamlit/config.toml` lies: this machine alone, no telemetry, no looking for edits of
# the source, which would go through all modules for every visitor. A comment and not a string
# below it, because Streamlit would print a string that stands alone in its entry file.
CAREFUL: Final[Mapping[str, str]] = {
    "server.address": "127.0.0.1",
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
}

PAGES: Final = ("decision", "trade_off", "videos", "rating", "latency", "evidence")


def command(runs_dir: Path, extra_args: Sequence[str]) -> list[str]:
    """Return the command line that shows `runs_dir`; `extra_args` go to Streamlit as they are.

    Settings of a config file, of `STREAMLIT_*` variables and of `extra_args` win over ours.
    """
    program = [sys.executable, "-m", "reports.served", "run", str(Path(__file__).resolve())]
    return [*program, *_careful(extra_args), *extra_args, "--", str(runs_dir)]


def _careful(extra_args: Sequence[str]) -> list[str]:
    if Path(".streamlit", "config.toml").is_file():
        return []
    given = {argument.removeprefix("--").partition("=")[0] for argument in extra_args}
    return [
        f"--{name}={value}"
        for name, value in CAREFUL.items()
        if name not in given and _variable(name) not in os.environ
    ]


def _variable(name: str) -> str:
    """Return the variable that sets an option.

    >>> _variable("browser.gatherUsageStats")
    'STREAMLIT_BROWSER_GATHER_USAGE_STATS'
    """
    words = "".join(f"_{char}" if char.isupper() else char for char in name)
    return "STREAMLIT_" + words.replace(".", "_").upper()


def main() -> None:
    """Draw the frame, then the page that the visitor chose."""
    st.set_page_config(page_title="animatelcm-poc", layout="wide")
    st.html("<style>.stMainBlockContainer { padding: 3.5rem 2.5rem; }</style>")
    text = choose_language()
    pages = [
        st.Page(f"app_pages/{name}.py", title=text(f"page.{name}"), url_path=name, default=i == 0)
        for i, name in enumerate(PAGES)
    ]
    if not let_in(text):
        st.navigation(pages, position="hidden")
        st.stop()
    page = st.navigation(pages)
    chosen = choose_run(text)
    if chosen is None:
        st.stop()
    keep(chosen)
    heading(chosen)
    page.run()


if __name__ == "__main__":
    main()
