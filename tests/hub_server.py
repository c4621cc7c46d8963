"""A hub on 127.0.0.1: repositories of bytes, answered as huggingface.co does."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40


@dataclass
class FakeHub:
    """Files of repositories at one commit, which is `main` as well."""

    files: dict[str, bytes] = field(default_factory=dict)
    """`owner/name/path` -> bytes."""
    commit: str = COMMIT
    etags: dict[str, str] = field(default_factory=dict)
    """In place of the true ones."""
    sent: dict[str, bytes] = field(default_factory=dict)
    """What comes in place of a file whose headers stay as they are."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Range of each request."""
    endpoint: str = ""
    lists: bool = True
    """Whether it lists the files of a repository; a mirror may not."""

    def tree(self, path: str) -> list[dict[str, object]] | None:
        """Answer `/api/models/OWNER/NAME/tree/COMMIT`: the top folder; None for another path."""
        repository, _, revision = path.removeprefix("/api/models/").partition("/tree/")
        inside = [name for name in self.files if name.startswith(f"{repository}/")]
        if not self.lists or not path.startswith("/api/models/") or revision != self.commit:
            return None
        found: dict[str, dict[str, object]] = {}
        for name in inside:
            top, _, below = name.removeprefix(f"{repository}/").partition("/")
            kind = "directory" if below else "file"
            size = 0 if below else len(self.files[name])
            found[top] = {"type": kind, "path": top, "size": size, "oid": "0" * 40}
        return list(found.values())

    def etag(self, name: str) -> str:
        """A large file is known by its SHA-256, a small one by the SHA-1 of git's blob."""
        raw = self.files[name]
        if name.endswith(".safetensors"):
            return self.etags.get(name, hashlib.sha256(raw).hexdigest())
        blob = hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False)
        return self.etags.get(name, blob.hexdigest())


def _listed(handler: BaseHTTPRequestHandler, tree: list[dict[str, object]] | None) -> bool:
    """Send a list of files, where there is one."""
    if tree is None:
        return False
    raw = json.dumps(tree).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw)
    return True


def _secured(server: ThreadingHTTPServer, certificate: Path | None) -> str:
    """Let a server speak TLS, where there is a certificate; return its scheme."""
    if certificate is None:
        return "http"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return "https"


@contextmanager
def serving(hub: FakeHub, certificate: Path | None = None) -> Iterator[FakeHub]:
    """Serve a hub on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            path, wanted = unquote(urlsplit(self.path).path), self.headers.get("Range", "")
            hub.asked.append((self.command, path, wanted))
            if _listed(self, hub.tree(path)):
                return
            repository, _, rest = path.strip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            key = f"{repository}/{name}"
            if key not in hub.files or revision not in {"main", hub.commit}:
                self._refuse()
                return
            raw = hub.sent.get(key, hub.files[key]) if with_body else hub.files[key]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("ETag", f'"{hub.etag(key)}"')
            self.send_header("Content-Length", str(len(raw) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(raw) - 1}/{len(raw)}")
            self.end_headers()
            if with_body:
                self.wfile.write(raw[start:])

        def _refuse(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = _secured(server, certificate)
    hub.endpoint = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
