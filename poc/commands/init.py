"""`poc init`: a folder to start from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command


def add_init(commands: Commands) -> None:
    """Add `poc init`."""
    text = "write a starting spec, prompts as CSV, a stills folder and a rights record to fill in"
    parser = add_command(commands, "init", _init, text)
    parser.add_argument("folder", type=Path, metavar="DIR", help="new or empty folder")


def _init(arguments: argparse.Namespace) -> int:
    from poc.starting import start

    files, spec = start(arguments.folder), arguments.folder / "spec.yaml"
    if arguments.json:
        print(json.dumps({"files": [str(path) for path in files]}, ensure_ascii=False))
        return COMPLETE
    print("\n".join(map(str, files)))
    print(f"next: write your prompts into prompts.csv, then type  poc plan {spec}")
    return COMPLETE
