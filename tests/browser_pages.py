"""A dashboard that really runs, and a real Chromium to look at it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip
PATIENCE_MS: Final = 60_000


def browser_path() -> str | None:
    """Return the browser of the system, `CHROMIUM` first; None where there is none."""
    wanted = (os.environ.get("CHROMIUM", ""), *NAMES)
    return next((found for name in wanted if name and (found := shutil.which(name))), None)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(runs: Path, *more: str, port: int = 0, kill: bool = False) -> Iterator[str]:
    """Start `poc dashboard` over a folder of runs; yields its address. `more` goes to Streamlit.

    `kill` ends it without a chance to tidy up.
    """
    with started(runs, *more, port=port, kill=kill) as (address, _):
        yield address


@contextmanager
def started(runs: Path, *more: str, port: int = 0, kill: bool = False) -> Iterator[tuple[str, int]]:
    """Do the same; yields the process id of the program too."""
    port = port or free_port()
    options = ["--server.port", str(port), "--server.headless", "true", *more]
    command = [sys.executable, "-m", "poc", "dashboard", str(runs), "--", *options]
    with running(command, port, runs.parent / "dashboard.log", kill=kill) as served:
        yield served


@contextmanager
def running(
    command: list[str], port: int, log: Path, *, kill: bool = False
) -> Iterator[tuple[str, int]]:
    """Start any Streamlit program; yields its address and process id once it answers."""
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as program:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, program, log)
            yield address, program.pid
        finally:
            program.kill() if kill else program.terminate()
            program.wait(20)


def _wait(address: str, program: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < until and program.poll() is None:
        try:
            with urlopen(f"{address}/_stcore/health", timeout=2):  # noqa: S310 - our own server
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the dashboard did not start:\n{log.read_text()}")


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Start the browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def settle(page: Page) -> list[str]:
    """Wait until Streamlit has drawn the whole page; returns its visible texts."""
    page.wait_for_selector(
        "[data-testid=stMainBlockContainer] h3 >> visible=true", timeout=PATIENCE_MS
    )
    before: list[str] = []
    until = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < until:
        page.wait_for_selector(
            "[data-testid=stApp][data-test-script-state=notRunning]", timeout=PATIENCE_MS
        )
        now = visible_texts(page)
        if now == before and page.locator("[data-stale=true]").count() == 0:
            return now
        before = now
        page.wait_for_timeout(300)
    raise TimeoutError(f"{page.url}: still changing")


def visible_texts(page: Page) -> list[str]:
    """Return every visible piece of text, in the open shadow roots of components too."""
    found: list[str] = page.evaluate(
        """() => {
          const texts = [];
          const walk = (node) => {
            if (node.nodeType === Node.TEXT_NODE) {
              const box = node.parentElement;
              const drawn = !box || (box.checkVisibility && box.checkVisibility());
              if (drawn && node.textContent.trim()) texts.push(node.textContent.trim());
              return;
            }
            if (["STYLE", "SCRIPT", "NOSCRIPT", "svg"].includes(node.nodeName)) return;
            if (node.shadowRoot) walk(node.shadowRoot);
            node.childNodes.forEach(walk);
          };
          walk(document.querySelector("[data-testid=stApp]"));
          return texts;
        }"""
    )
    return found
