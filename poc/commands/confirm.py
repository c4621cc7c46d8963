"""`poc confirm`: write the choice down, and a spec that looks again at the chosen arm alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from poc.commands.argument_types import positive
from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command


def add_confirm(commands: Commands) -> None:
    """Add `poc confirm`."""
    text = (
        "write down which arm a run recommends, then a spec with that arm and the baseline on "
        "prompts drawn afterwards; `poc run` of it confirms the choice or not"
    )
    parser = add_command(commands, "confirm", _confirm, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the spec")
    parser.add_argument("--prompts", type=positive, help="how many (default: as in the run)")
    about = "new prompts (text, language, text_ja), where they cannot be drawn"
    parser.add_argument("--prompts-csv", type=Path, metavar="FILE", help=about)


def _confirm(arguments: argparse.Namespace) -> int:
    from poc.confirmation import CHOICE, choose, write_confirmation

    spec = write_confirmation(
        arguments.run, arguments.out, count=arguments.prompts, csv=arguments.prompts_csv
    )
    choice = choose(arguments.run)
    if arguments.json:
        found = {"spec": str(spec), "choice": choice.model_dump(mode="json")}
        print(json.dumps(found, ensure_ascii=False))
        return COMPLETE
    print(f"chosen on {choice.time}: {choice.arm}, written down in {arguments.run / CHOICE}")
    print(f"next: poc run {spec}")
    return COMPLETE
