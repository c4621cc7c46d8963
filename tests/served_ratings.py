"""A rating server that really runs, and a rater's end of it without a browser."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rated_runs import Opinion, raw

from poc.panel import Pack, Panel

PATIENCE_S = 600.0
"""Long: on a busy machine a test may be stopped for minutes."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def process(run: Path, port: int, *options: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Start `poc rate serve` as a program of its own; yields it and what it printed first."""
    command = [sys.executable, "-m", "poc", "rate", "serve", str(run), "--port", str(port)]
    with subprocess.Popen([*command, "--json", *options], stdout=subprocess.PIPE, text=True) as one:
        try:
            assert one.stdout is not None
            yield one, json.loads(one.stdout.readline())
        finally:
            one.kill()


@dataclass
class Client:
    """What a browser does, one request at a time, without waiting for ever."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, content: Any = None) -> tuple[int, bytes]:
        """Send one request; raises OSError or HTTPException where no answer comes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        body = None if content is None else json.dumps(content)
        try:
            connection.request(method, path, body, {"Cookie": self.cookie} | self.headers)
            reply = connection.getresponse()
            found = reply.read()
            self.cookie = (reply.getheader("Set-Cookie") or self.cookie).split(";")[0]
            return reply.status, found
        finally:
            connection.close()

    def insist(self, path: str, content: Any) -> tuple[int, bytes]:
        """Send until an answer comes, as the page does while its server is down."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                status, found = self.ask("POST", path, content)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if status != 503:
                return status, found
        raise TimeoutError(path)


def votes(panel: Panel, pack: Pack, opinion: Opinion, rater: str | None = None) -> list[Any]:
    """Return what a page sends for a pack, one message a trial."""
    whole = raw(panel, pack, opinion, rater=rater)
    who = {name: whole[name] for name in WHO}
    return [{"sequence": n + 1, "trial": trial, **who} for n, trial in enumerate(whole["trials"])]


WHO = ("rater", "language", "viewport_width_px", "viewport_height_px")
