"""Twenty people at one dashboard: how long each waits for a page of a large run.

Every visitor is a real session: a websocket that speaks Streamlit's protocol, without a browser,
so that only the server's work is in the seconds. A page has come when its script is finished, its
last message has arrived and its own heading was among them. All visitors open the first page of a
server that has just started, then walk through all pages, in an order of their own, and think in
between. A visitor holds no copies of earlier messages: each page is sent whole, which a browser
that keeps them would be spared.

    PYTHONPATH=tests python tests/benchmarks/viewers.py [RUN] [--visitors 20] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import browser_pages as browsing
import numpy as np
from large_run import write_large_run
from pages import HEADINGS, computed_s
from speed import Result, family
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from poc.fingerprint import take_fingerprint
from poc.store import RunStore
from reports.text import load_text

OPENED: Final = "first page"
FIRST: Final = "decision"
OWN_HEADINGS: Final = {**HEADINGS, "rating": "section.people"}
"""Page -> a heading that no other page has. Nobody has rated the large run."""

PAGE_S: Final = 3.0
"""Of 95 % of the pages, at most."""

PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Wait:
    """What one visitor waited for a page, and what was wrong with it; "" where nothing was."""

    page: str
    wall_s: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many come, how often each walks through all pages, and how long they think between."""

    visitors: int = 20
    rounds: int = 3
    think_s: tuple[float, float] = (2.0, 8.0)
    seed: int = 0


@dataclass
class Visitor:
    """One session's end of the websocket."""

    socket: ClientConnection
    titles: Mapping[str, str]
    """Page -> its heading."""
    hashes: dict[str, str] = field(default_factory=dict)
    """Page -> Streamlit's name of its script, as the server told it."""

    async def open(self, page: str) -> Wait:
        """Ask for a page and wait until it has come, or something is wrong with it."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.socket.send(_request(self.hashes.get(page, "")))
                error = await self._come(page)
        except (TimeoutError, OSError, WebSocketException) as lost:
            error = f"{type(lost).__name__}: {lost}"
        return Wait(page, time.perf_counter() - begun, error)

    async def _come(self, page: str) -> str:
        """Read messages until the script is finished; returns the first error among them."""
        wrong: list[str] = []
        is_there = False
        while True:
            message = ForwardMsg.FromString(_bytes(await self.socket.recv()))
            kind = message.WhichOneof("type")
            if kind == "navigation":
                pages = message.navigation.app_pages
                self.hashes = {one.url_pathname: one.page_script_hash for one in pages}
            elif kind == "page_not_found":
                wrong.append("page not found")
            elif kind == "delta":
                wrong += errors_of(message.delta)
                is_there |= heading_of(message.delta).startswith(self.titles[page])
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    continue
                if message.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                    wrong.append(ForwardMsg.ScriptFinishedStatus.Name(message.script_finished))
                if not is_there:
                    wrong.append(f"no heading {self.titles[page]!r}")
                return "; ".join(wrong[:1])


def _request(page_hash: str) -> bytes:
    asked = BackMsg()
    asked.rerun_script.query_string = "lang=en"
    asked.rerun_script.page_script_hash = page_hash
    sent: bytes = asked.SerializeToString()
    return sent


def _bytes(received: str | bytes) -> bytes:
    return received.encode() if isinstance(received, str) else received


def errors_of(delta: Delta) -> list[str]:
    """Return what a viewer would see of errors in one piece of a page."""
    element = delta.new_element
    if element.HasField("exception"):
        return [f"exception: {element.exception.type} {element.exception.message}".strip()]
    if element.HasField("alert") and element.alert.format == Alert.ERROR:
        return [f"alert: {element.alert.body}"]
    return []


def heading_of(delta: Delta) -> str:
    """Return the heading that a piece of a page is, without escapes; "" if it is none."""
    return delta.new_element.heading.body.replace("\\", "")


# --- a crowd of them -----------------------------------------------------------------------------


def waits_of(address: str, crowd: Crowd, titles: Mapping[str, str]) -> list[Wait]:
    """Let a crowd of visitors walk through the pages of a served dashboard, all at once."""

    async def everybody() -> list[list[Wait]]:
        seeds = np.random.SeedSequence(crowd.seed).spawn(crowd.visitors)
        visits = (_visit(address, crowd, titles, np.random.default_rng(one)) for one in seeds)
        return await asyncio.gather(*visits)

    return [wait for waits in asyncio.run(everybody()) for wait in waits]


async def _visit(
    address: str, crowd: Crowd, titles: Mapping[str, str], rng: np.random.Generator
) -> list[Wait]:
    url = f"{address.replace('http', 'ws', 1)}/_stcore/stream"
    begun = time.perf_counter()
    try:
        async with connect(url, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
            visitor = Visitor(socket, titles)
            opened = await visitor.open(FIRST)
            waits = [Wait(OPENED, time.perf_counter() - begun, opened.error)]
            for _ in range(crowd.rounds):
                for page in rng.permutation(list(titles)):
                    await asyncio.sleep(rng.uniform(*crowd.think_s))
                    waits.append(await visitor.open(str(page)))
            return waits
    except (OSError, WebSocketException) as lost:
        return [Wait(OPENED, time.perf_counter() - begun, f"{type(lost).__name__}: {lost}")]


# --- what it says --------------------------------------------------------------------------------


def results_of(waits: Sequence[Wait], name: str) -> Iterator[Result]:
    """Yield p50, p95 and the longest wait, of each page and of all, and count the errors.

    A wait that ended in an error counts among the errors alone: such a page has no time.
    """
    came = [wait for wait in waits if not wait.error]
    by_page: dict[str, list[float]] = {"any page": [wait.wall_s for wait in came]}
    for wait in came:
        by_page.setdefault(wait.page, []).append(wait.wall_s)
    for page, seconds in by_page.items():
        if not seconds:
            continue
        what = f"{name}, {page}, n = {len(seconds)}"
        for label, share, limit in (
            ("p50", 0.5, None),
            ("p95", 0.95, PAGE_S),
            ("longest", 1.0, None),
        ):
            value = float(np.quantile(seconds, share, method="inverted_cdf"))
            yield Result(f"{what}: {label}", value, "s", at_most=limit)
    yield Result(f"{name}: pages that came", len(came), "pages", at_least=len(waits) or 1)
    yield Result(f"{name}: errors", len(waits) - len(came), "pages", at_most=0)


def crowded(runs: Path, name: str, crowd: Crowd) -> Iterator[Result]:
    """Serve a folder of runs to a crowd; yields its waits, and what the server needed for them."""
    titles = {page: load_text("en")(key) for page, key in OWN_HEADINGS.items()}
    with browsing.started(runs) as (address, server):
        begun, used, own = time.perf_counter(), computed_s(server), time.process_time()
        waits = waits_of(address, crowd, titles)
        wall_s, computed = time.perf_counter() - begun, computed_s(server) - used
        for error in sorted({f"{wait.page}: {wait.error}" for wait in waits if wait.error}):
            print(f"error: {error}", file=sys.stderr)
        yield from results_of(waits, name)
        yield Result(f"{name}: wall time", wall_s, "s")
        yield Result(f"{name}: computed by the server", computed, "s")
        yield Result(f"{name}: computed by the server, a page", computed / len(waits), "s")
        yield Result(f"{name}: computed by the visitors", time.process_time() - own, "s")
        yield Result(f"{name}: peak memory of the server", peak_memory_mib(server), "MiB")


def peak_memory_mib(pid: int) -> float:
    """Return the most resident memory of a process and its children, each its own most."""
    total = 0
    for one in family(pid):
        lines = Path(f"/proc/{one}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total / 1024


def main() -> int:
    """Measure a run, print it, and write it to `--out`; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="run folder (default: a large one)")
    parser.add_argument("--visitors", type=int, default=Crowd().visitors)
    parser.add_argument(
        "--rounds", type=int, default=Crowd().rounds, help="of each through all pages"
    )
    parser.add_argument("--out", type=Path, help="also write the numbers as JSON")
    arguments = parser.parse_args()
    fingerprint = take_fingerprint().model_dump(mode="json")
    crowd = Crowd(visitors=arguments.visitors, rounds=arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.run or write_large_run(Path(folder) / "made" / "large")
        runs = Path(folder) / "runs"
        shutil.copytree(run, runs / run.name)
        with RunStore.open_reader(run) as store:
            clips = sum(len(batch.clips) for batch in store.plan.batches)
            size = f"{clips} clips, {len(store.measurements())} measurements"
        results = [*crowded(runs, f"{size}, {crowd.visitors} visitors", crowd)]
    for one in results:
        mark = "" if one.kept else "  BEYOND ITS LIMIT"
        print(f"{one.name}: {one.value:.3g} {one.unit}{mark}")
    if arguments.out:
        content = {
            "fingerprint": fingerprint,
            "crowd": asdict(crowd),
            "results": [asdict(one) for one in results],
        }
        arguments.out.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")
    return 0 if all(one.kept for one in results) else 1


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
