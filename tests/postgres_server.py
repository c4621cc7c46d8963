"""A PostgreSQL server that really runs, in a temporary folder, asked through a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

PASSWORD: Final = "a-password-that-nobody-may-see"

_PLACES: Final = "/usr/lib/postgresql/*/bin/initdb"
_USER: Final = "postgres"
"""Who runs the server where the tests run as root, which it refuses."""


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs; None where there is none."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/").glob(_PLACES[1:]))
    return found[-1].parent if found else None


@contextmanager
def serving() -> Iterator[str]:
    """Start a server that demands a password; yields the URL of its database, password included."""
    programs = binaries()
    assert programs is not None
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": _USER, "group": _USER, "extra_groups": []}
    # Not pytest's folder: it is closed to other users, and too long a path for a socket.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as made:
        folder = Path(made)
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        if who:
            for path in (folder, secret):
                shutil.chown(path, _USER, _USER)
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "owner", "--no-sync",
             "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd=folder, **who,
        )  # fmt: skip
        control: list[str | Path] = [programs / "pg_ctl", "-D", folder / "data", "-w", "-s"]
        options = f"-c listen_addresses='' -k {folder}"
        subprocess.run(
            [*control, "-l", folder / "log", "-o", options, "start"],
            check=True, cwd=folder, **who,
        )  # fmt: skip
        try:
            yield f"postgresql://owner:{PASSWORD}@/postgres?host={quote(str(folder), safe='')}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd=folder, **who)
