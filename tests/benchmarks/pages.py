"""How long pages and documents take, and how much memory: of a large run, or of any given.

Without runs it makes one of 10,000 clips and 200,000 measurements in a temporary folder. A real
Chromium opens the first page of a server that has just started, goes through all the others and
back, then a second visitor comes. A page counts as there once its own heading stands and Streamlit
is still. Beside the seconds on the wall stand those that the program computed: on a busy machine
only these are its own.

    PYTHONPATH=tests python tests/benchmarks/pages.py [RUN ...]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import browser_pages as browsing
from large_run import write_large_run
from speed import PROGRAM, Result, family, family_memory_bytes

from poc.fingerprint import take_fingerprint
from poc.store import RunStore
from reports.text import load_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LARGE: Final = 10_000
"""Clips from which on a run is a large one, with limits of its own."""

HEADINGS: Final = {
    "decision": "section.numbers",
    "trade_off": "section.trade_off",
    "videos": "section.videos",
    "latency": "section.latency",
    "evidence": "section.method",
}
"""Page -> a heading that no other page has."""

FIRST_S: Final = {True: 2.0, False: 1.0}
CHANGE_S: Final = 1.0
MEMORY_MIB: Final = 1024.0
DOCUMENT_S: Final = {"pdf": 5.0, "pptx": 15.0}


class Spent(NamedTuple):
    """What a wait took: seconds on the wall, and seconds that the processes computed."""

    wall_s: float
    computed_s: float


def main() -> int:
    """Measure every run, print it, and write it to `--out`; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="run folders (default: a large one)")
    parser.add_argument("--out", type=Path, help="also write the numbers as JSON")
    arguments = parser.parse_args()
    fingerprint = take_fingerprint().model_dump(mode="json")
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        runs = arguments.runs or [write_large_run(Path(folder) / "made" / "large")]
        for number, run in enumerate(runs):
            for one in measured(run, Path(folder) / str(number)):
                results.append(one)
                mark = "" if one.kept else "  BEYOND ITS LIMIT"
                print(f"{one.name}: {one.value:.3g} {one.unit}{mark}", flush=True)
    if arguments.out:
        content = {"fingerprint": fingerprint, "results": [asdict(one) for one in results]}
        arguments.out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    return 0 if all(one.kept for one in results) else 1


def measured(run: Path, folder: Path) -> Iterator[Result]:
    """Yield what the pages and documents of a run take; `folder` is made, for a copy of it."""
    runs = folder / "runs"
    shutil.copytree(run, runs / run.name)
    with RunStore.open_reader(run) as store:
        clips = sum(len(batch.clips) for batch in store.plan.batches)
        name = f"{clips} clips, {len(store.measurements())} measurements"
    yield from pages(runs, name, is_large=clips >= LARGE)
    for form, limit_s in DOCUMENT_S.items():
        command = [*PROGRAM, "report", str(run), "--format", form]
        spent = _finished([*command, "--out", str(folder / f"report.{form}")])
        yield from _both(f"{name}: {form.upper()}", spent, limit_s)


# --- pages ---------------------------------------------------------------------------------------


def pages(runs: Path, name: str, *, is_large: bool) -> Iterator[Result]:
    """Yield the waits of two visitors, one after the other, and the server's memory after them."""
    found = browsing.browser_path()
    if found is None:
        raise SystemExit("no Chromium on this machine (Debian: apt-get install chromium)")
    with browsing.started(runs) as (address, server), browsing.chromium(found) as browser:
        for visitor in ("first", "second"):
            with _visiting(browser) as page:
                spent = _opened(page, address, server)
                limit_s = FIRST_S[is_large]
                yield from _both(f"{name}: first page, {visitor} visitor", spent, limit_s)
                for key in (*list(HEADINGS)[1:], "decision"):
                    spent = _changed(page, key, server)
                    yield from _both(f"{name}: to {key}, {visitor} visitor", spent, CHANGE_S)
        memory = family_memory_bytes(server) / 2**20
        yield Result(f"{name}: memory of the server", memory, "MiB", at_most=MEMORY_MIB)


def _both(name: str, spent: Spent, limit_s: float) -> Iterator[Result]:
    yield Result(name, spent.wall_s, "s", at_most=limit_s)
    yield Result(f"{name}, computed", spent.computed_s, "s")


@contextmanager
def _visiting(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.set_default_timeout(browsing.PATIENCE_MS)
    yield page
    page.close()


def _opened(page: Page, address: str, server: int) -> Spent:
    begun, used = time.perf_counter(), computed_s(server)
    page.goto(f"{address}/?lang=en")
    _stands(page, "decision")
    return Spent(time.perf_counter() - begun, computed_s(server) - used)


def _changed(page: Page, key: str, server: int) -> Spent:
    title = load_text("en")(f"page.{key}")
    link = page.locator("[data-testid=stSidebarNavLink]").filter(has_text=title)
    begun, used = time.perf_counter(), computed_s(server)
    link.click()
    _stands(page, key)
    return Spent(time.perf_counter() - begun, computed_s(server) - used)


def _stands(page: Page, key: str) -> None:
    """Wait until a page's own heading is there and nothing on it is about to change."""
    page.wait_for_function(
        """heading => {
          const app = document.querySelector("[data-testid=stApp]");
          const still = app && app.dataset.testScriptState === "notRunning";
          const heads = [...document.querySelectorAll("h3")];
          const there = heads.some(head => head.innerText.startsWith(heading));
          return still && there && !document.querySelector("[data-stale=true]");
        }""",
        arg=load_text("en")(HEADINGS[key]),
    )


# --- what was computed ---------------------------------------------------------------------------


def computed_s(pid: int) -> float:
    """Return the seconds that a process and all that it started have computed so far."""
    ticks = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))  # of its own and of children that have ended
    return ticks / os.sysconf("SC_CLK_TCK")


def _finished(command: Sequence[str]) -> Spent:
    program = shutil.which(command[0])
    if program is None:
        raise SystemExit(f"{command[0]}: not found")
    begun = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(program, list(command), os.environ, file_actions=quiet)
    _, status, used = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"failed: {' '.join(command)}")
    return Spent(time.perf_counter() - begun, used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
