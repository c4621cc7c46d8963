"""`poc cost`: what a finished deliverable costs, beside the alternatives."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from poc.commands.argument_types import whole
from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command
from poc.errors import InputError


def add_cost(commands: Commands) -> None:
    """Add `poc cost`."""
    text = (
        "what a finished deliverable costs, beside the alternatives, with payback and how sure it "
        "is; `poc/specs/cost/example.yaml` shows the inputs"
    )
    parser = add_command(commands, "cost", _cost, text)
    parser.add_argument("--inputs", type=Path, required=True, metavar="FILE", help="inputs file")
    parser.add_argument(
        "--run",
        type=Path,
        metavar="RUN",
        help="take seconds per clip from this run's latency pass, and acceptance and review from "
        "its votes on single clips where there are enough",
    )
    parser.add_argument("--arm", metavar="NAME", help="arm of RUN (default: the recommended one)")
    parser.add_argument("--seed", type=whole, default=0, help="seed of the simulation (default: 0)")


def _cost(arguments: argparse.Namespace) -> int:
    from poc.commands.rights import today
    from poc.cost import evaluate
    from poc.cost_file import read_cost
    from poc.cost_light import economic_light
    from poc.cost_run import judged_of_run, seconds_of_run
    from poc.cost_table import cost_text

    if arguments.arm is not None and arguments.run is None:
        raise InputError("--arm: expected --run beside it, got none. Give the run of that arm.")
    inputs = read_cost(arguments.inputs)
    timed = None if arguments.run is None else seconds_of_run(arguments.run, arguments.arm)
    judged = None if arguments.run is None else judged_of_run(arguments.run, arguments.arm, inputs)
    result = evaluate(inputs, seed=arguments.seed, timed=timed, judged=judged)
    light = economic_light(result, today())
    if arguments.json:
        found = {"cost": result.model_dump(mode="json"), "economic": light.model_dump(mode="json")}
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        print(cost_text(result, light))
    return COMPLETE
