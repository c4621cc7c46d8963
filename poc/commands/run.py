"""`poc run`, `poc plan` and `poc close`: from a spec to a decided run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from poc.commands.argument_types import clock, duration, positive
from poc.commands.exit_codes import COMPLETE, INCOMPLETE
from poc.commands.parsers import Commands, add_command, add_spec
from poc.commands.result import print_result
from poc.errors import DeviceLostError, plain

if TYPE_CHECKING:
    from poc.plan import Calibration
    from poc.records import Plan


def add_run(commands: Commands) -> None:
    """Add `poc run`."""
    text = "generate, measure, estimate, decide; the same command goes on after any stop"
    parser = add_command(commands, "run", _run, text)
    add_spec(parser)
    parser.add_argument("--out", type=Path, help="run folder (default: runs/SPEC-NAME)")
    parser.add_argument(
        "--workers", type=positive, help="processes (default: one per core, at most 8)"
    )
    text = "cpu, cuda:N, or several as cuda:0,cuda:1: a process each, timing on the first "
    parser.add_argument("--device", default="cpu", help=text + "(default: cpu)")
    parser.add_argument(
        "--until", type=clock, metavar="HH:MM", help="begin no new block after this local time"
    )
    text = "folder of a run that is made at the same time: the two take turns, so that their "
    text += "seconds compare; each names the other"
    parser.add_argument("--in-turns-with", type=Path, metavar="RUN", help=text)
    parser.add_argument("--no-report", action="store_true", help="write no HTML report")


def _run(arguments: argparse.Namespace) -> int:
    from poc.progress import Progress
    from poc.run import run

    try:
        result = run(
            arguments.spec,
            arguments.out,
            workers=arguments.workers,
            device=arguments.device,
            until=arguments.until,
            in_turns_with=arguments.in_turns_with,
            progress=Progress(quiet=arguments.json),
            warn=_warn,
        )
    except DeviceLostError as error:
        _warn(str(error))
        start_again()
        raise
    for summary in result.estimates.arms:
        if summary.not_timed is not None:
            _warn(f"arm {summary.arm.name} could not be timed: {summary.not_timed.told}")
    places = {"run": result.path} if arguments.no_report else _report_places(result.path)
    print_result(result, places, as_json=arguments.json)
    return COMPLETE if result.all_ok else INCOMPLETE


def start_again() -> None:
    """Become a new process of the same command: one that lost its device cannot use it again.

    Every loss takes an arm out of the timing, so that this comes to an end. Does not return where
    this process is that of the command.
    """
    if Path(sys.argv[0]).name in {"poc", "__main__.py"}:
        os.execv(sys.executable, [sys.executable, "-m", "poc", *sys.argv[1:]])  # noqa: S606


def _warn(line: str) -> None:
    print(f"poc: {plain(line)}", file=sys.stderr, flush=True)


def _report_places(run: Path) -> dict[str, Path | str]:
    from reports.export.html import write_report

    return {
        "report": write_report(run, None, language="ja"),
        "clips": run / "clips",
        "dashboard": f"{_this_program()} dashboard {run.parent}",
    }


def _this_program() -> str:
    """Return how this command was called, to be typed again."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "poc" else "poc"


def add_plan(commands: Commands) -> None:
    """Add `poc plan`."""
    text = (
        "show arms, clips, network evaluations, time, disk, licences and what is wrong with the "
        "settings; loads no model"
    )
    parser = add_command(commands, "plan", _plan, text)
    add_spec(parser)
    parser.add_argument(
        "--pilot",
        type=Path,
        metavar="RUN",
        help="earlier run whose spreads say what this plan shows, and how many prompts GO wants",
    )
    text = "write the spec of the gate's second look: twice the prompts and rounds"
    parser.add_argument("--extended", type=Path, metavar="FILE", help=text)
    text = "run on this machine whose timed clips say how long this plan takes"
    parser.add_argument("--calibrate", type=Path, metavar="RUN", help=text)
    text = "hours that there are, such as 8h or 45m: says which arms, replicates or prompts to cut"
    parser.add_argument("--budget", type=duration, metavar="TIME", help=text)


def _plan(arguments: argparse.Namespace) -> int:
    from poc.check import foreseen
    from poc.fault_evidence import untested
    from poc.foresight import describe as promised
    from poc.licences import read_licences
    from poc.plan import describe, summary
    from poc.plan_budget import budget_text, propose
    from poc.preflight import licence_rows, weight_bytes
    from poc.preflight_table import (
        judge_json,
        judge_text,
        preflight_json,
        preflight_text,
        video_judge_json,
    )
    from poc.run import check_plan, read_plan

    if arguments.extended:
        from poc.gate_extension import write_extension

        write_extension(arguments.spec, arguments.extended)
        arguments.spec = arguments.extended
    plan, models = read_plan(arguments.spec)
    found = check_plan(plan, models, Path("runs") / plan.spec.name)
    rows, weights = licence_rows(plan, models, read_licences()), weight_bytes(plan, models)
    shows = foreseen(plan, arguments.pilot)
    unproven = untested(criterion.metric for criterion in plan.criteria.criteria)
    pace = _pace(plan, arguments.calibrate) if arguments.calibrate else None
    budget = propose(plan, arguments.budget, pace) if arguments.budget else None
    if arguments.json:
        shown = summary(plan, pace).model_dump(mode="json") | preflight_json(rows, found, weights)
        shown["judge"] = judge_json(plan, models)
        shown["video_judge"] = video_judge_json(plan, models)
        shown["foresight"] = shows.model_dump(mode="json")
        shown["untested_criteria"] = unproven
        if budget:
            shown["budget"] = budget.model_dump(mode="json")
        print(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        said = judge_text(plan, models) + preflight_text(rows, found, weights)
        print(f"{describe(plan, pace)}\n{promised(shows)}\n{plain(said)}")
        if unproven:
            print(plain(f"criteria {unproven}"))
        if budget:
            print(plain(budget_text(budget)))
    return COMPLETE


def _pace(plan: Plan, run: Path) -> Calibration:
    """Return what a machine needs, from a run folder."""
    from poc.calibration import calibrated
    from poc.store import RunStore

    store = RunStore.open_reader(run)
    return calibrated(plan, store.plan, store.latency(), source=str(run))


def add_close(commands: Commands) -> None:
    """Add `poc close`."""
    text = "end a run at its last complete block; every page says so and why"
    parser = add_command(commands, "close", _close, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--reason", required=True, help="why the run ends here")


def _close(arguments: argparse.Namespace) -> int:
    from poc.run import close

    result = close(arguments.run, arguments.reason)
    print_result(result, {"run": result.path}, as_json=arguments.json)
    return COMPLETE if result.all_ok else INCOMPLETE
