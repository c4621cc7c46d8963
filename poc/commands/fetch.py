"""`poc fetch`: the models of a spec, from the hub or from a folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command, add_spec
from poc.errors import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poc.fetch import Fetched


def add_fetch(commands: Commands) -> None:
    """Add `poc fetch`, the one command that may use the network."""
    text = (
        "bring the models of a spec, pinned and verified; the only command that uses the network "
        "(HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, HF_ENDPOINT and HF_TOKEN are honoured)"
    )
    parser = add_command(commands, "fetch", _fetch, text)
    parser.set_defaults(network=True)
    add_spec(parser)
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="take files from a folder that --export wrote; opens no socket",
    )
    parser.add_argument(
        "--export", type=Path, metavar="DIR", help="copy models, lock and bill into a folder too"
    )
    parser.add_argument(
        "--bom", type=Path, metavar="FILE", help="write a model bill of materials (CycloneDX 1.6)"
    )


def _fetch(arguments: argparse.Namespace) -> int:
    from poc import disk
    from poc.bill_of_materials import bill_of_materials
    from poc.fetch import FromFolder, FromHub, export, fetch, wanted
    from poc.progress import Progress
    from poc.run import read_plan

    plan, models = read_plan(arguments.spec)
    progress, source = Progress(quiet=arguments.json), arguments.source
    origin = FromHub() if source is None else FromFolder(source, models.path)
    found = fetch(wanted(plan, models), models.path, origin, progress)
    if arguments.bom is not None:
        bill = bill_of_materials(one.model for one in found)
        disk.publish(arguments.bom, f"{json.dumps(bill, ensure_ascii=False, indent=1)}\n".encode())
    if arguments.export is not None:
        export(found, models.path, arguments.export, progress)
    _show(found, models.path, as_json=arguments.json)
    return COMPLETE


def _show(found: Sequence[Fetched], table: Path, *, as_json: bool) -> None:
    from poc.model_lock import lock_path

    lock = lock_path(table)
    if as_json:
        rows = [
            {
                "model": one.model.entry.id,
                "outcome": one.outcome,
                "size_bytes": one.size_bytes,
                "licence": one.model.entry.licence,
                "licence_text": one.licence_text,
                "folder": str(one.model.folder),
            }
            for one in found
        ]
        print(json.dumps({"models": rows, "lock": str(lock)}, ensure_ascii=False))
        return
    for one in found:
        entry, size = one.model.entry, one.size_bytes / 2**20
        licence = f"{entry.licence}, commercial use {entry.commercial_use}"
        print(plain(f"{one.outcome:<9}{size:>9,.1f} MiB  {entry.id}  ({licence})"))
        print(plain(f"{'':<23}licence text: {one.licence_text}"))
    if not found:
        print("nothing to fetch: all models of this spec come along")
    elif lock.exists():
        print(f"lock:      {lock} (commit it)")
