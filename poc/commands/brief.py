"""`poc brief`: the plan document of a proof of concept, before any run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command, add_spec


def add_brief(commands: Commands) -> None:
    """Add `poc brief`."""
    text = (
        "write the plan document before any run: question, settings, data and rights, criteria, "
        "sample sizes, votes, schedule, cost, comparison sheet, roles, stages; loads no model"
    )
    parser = add_command(commands, "brief", _brief, text)
    add_spec(parser)
    parser.add_argument("--lang", choices=["ja", "en"], default="ja", help="language")
    parser.add_argument("--cost", type=Path, help="prices to estimate with, as poc/specs/cost")
    parser.add_argument(
        "--out", type=Path, help="file ending in .md or .pdf (default: NAME-brief.md)"
    )


def _brief(arguments: argparse.Namespace) -> int:
    from poc.brief import make_brief
    from poc.cost_file import read_cost
    from poc.licences import read_licences
    from poc.preflight import licence_rows
    from poc.run import read_plan
    from reports.export.brief import write_brief

    plan, models = read_plan(arguments.spec)
    inputs = None if arguments.cost is None else read_cost(arguments.cost)
    brief = make_brief(plan, licence_rows(plan, models, read_licences()), inputs)
    path = write_brief(brief, arguments.spec, arguments.out, language=arguments.lang)
    print(json.dumps({"brief": str(path)}) if arguments.json else f"brief: {path}")
    return COMPLETE
