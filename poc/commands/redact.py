"""`poc redact`: take a subject out of a run for good, and say what was taken."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command


def add_redact(commands: Commands) -> None:
    """Add `poc redact`."""
    text = (
        "remove clips, features and LoRA of a subject, and every export, from a run; a tombstone "
        "says what, when, why and by whom. Cannot be undone"
    )
    parser = add_command(commands, "redact", _redact, text)
    parser.add_argument("run", type=Path, help="run folder")
    about = "model of the run, such as a style LoRA, or the stills that LoRAs learnt from"
    parser.add_argument("--subject", required=True, metavar="ID", help=about)
    parser.add_argument("--by", required=True, metavar="NAME", help="who removes it")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it is removed")


def _redact(arguments: argparse.Namespace) -> int:
    from poc.gate_report import shown
    from poc.models import read_models
    from poc.redact import Said, redact
    from poc.run import decide_again

    said = Said(arguments.by, arguments.reason)
    done = redact(arguments.run, arguments.subject, said, read_models())
    decided = decide_again(arguments.run, criteria=None).decision
    if arguments.json:
        found = done.model_dump(mode="json") | {"decision": str(decided.decision)}
        print(json.dumps(found, ensure_ascii=False))
        return COMPLETE
    print(f"removed {len(done.removed)} files of {len(done.arms)} arms; see redactions.jsonl")
    for line in done.kept:
        print(f"not removed: {shown(line)}")
    print("decided anew without its arms, and without files of --criteria, --rights and --cost")
    print(f"decision: {decided.decision}")
    return COMPLETE
