"""`poc rights`: may we use it, on a given day."""

from __future__ import annotations

import argparse
import json
from datetime import date, datetime
from pathlib import Path

from poc.commands.argument_types import day
from poc.commands.parsers import Commands, add_command


def add_rights(commands: Commands) -> None:
    """Add `poc rights`."""
    text = (
        "may we use it? licences, consents, checklist and approvals for a stated use; exits 0 GO, "
        "1 NO_GO, 3 INSUFFICIENT_EVIDENCE, 4 CONDITIONAL; no legal advice"
    )
    parser = add_command(commands, "rights", _rights, text)
    parser.add_argument("subject", type=Path, metavar="SPEC_OR_RUN", help="spec file or run folder")
    parser.add_argument(
        "--rights",
        type=Path,
        required=True,
        metavar="FILE",
        help="rights file; `poc/specs/rights/example.yaml` shows one",
    )
    parser.add_argument("--on", type=day, metavar="DATE", help="day to judge (default: today)")
    parser.add_argument("--arm", metavar="NAME", help="one arm (default: all, the worst counts)")


def _rights(arguments: argparse.Namespace) -> int:
    from poc.governance import only
    from poc.lights import exit_code
    from poc.models import read_models
    from poc.rights import rights_of
    from poc.rights_table import rights_text
    from poc.run import read_plan
    from poc.store import RunStore

    on, subject, beside = arguments.on or today(), arguments.subject, None
    if subject.is_dir():
        plan, models = RunStore.open_reader(subject).plan, read_models()
    else:
        (plan, models), beside = read_plan(subject), subject
    result = rights_of(plan, models, arguments.rights, on=on, beside=beside)
    result = result if arguments.arm is None else only(result, arguments.arm)
    if arguments.json:
        print(json.dumps(result.model_dump(mode="json"), ensure_ascii=False, allow_nan=False))
    else:
        print(rights_text(result))
    return exit_code(result.light)


def today() -> date:
    """Return the day that rights are judged on where `--on` names none: today, local time."""
    return datetime.now().astimezone().date()
