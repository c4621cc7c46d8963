"""`poc check` and `poc baseline`: the regression gate and what it compares with."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_actions, add_command


def add_check(commands: Commands) -> None:
    """Add `poc check`."""
    text = (
        "compare a run with its baseline; exits 0 PASS, 1 REGRESSION, 2 INCOMPLETE, "
        "3 INCONCLUSIVE, NOT_COMPARABLE or CALIBRATION_NEEDED"
    )
    parser = add_command(commands, "check", _check, text)
    parser.add_argument("head", type=Path, metavar="HEAD", help="run folder to be judged")
    parser.add_argument(
        "--baseline",
        type=Path,
        required=True,
        metavar="BASE",
        help="run folder, or folder of accepted baselines, to compare with",
    )
    parser.add_argument("--limits", type=Path, help="limits file (default: the one that ships)")
    parser.add_argument("--out", type=Path, help="folder to write (default: HEAD/gate)")
    text = "gate.json that was INCONCLUSIVE: HEAD and BASE are the runs of its one second look, of "
    text += "the spec that `poc plan SPEC --extended FILE` wrote; this answer is final"
    parser.add_argument("--after", type=Path, metavar="GATE.JSON", help=text)


def _check(arguments: argparse.Namespace) -> int:
    from poc.check import check, worst
    from poc.gate_records import EXIT_CODES
    from poc.gate_report import table

    found = check(
        arguments.head,
        arguments.baseline,
        limits=arguments.limits,
        out=arguments.out,
        after=arguments.after,
    )
    status = worst(found)
    if arguments.json:
        print(json.dumps({"gate": str(status), "baselines": [one.as_json() for one in found]}))
        return EXIT_CODES[status]
    for one in found:
        print("\n".join(f"{name + ':':<11}{path}" for name, path in one.files.items()))
        print(table(one.result))
    if len(found) > 1:
        print(f"\nthe worst of {len(found)} baselines\ngate: {status}")
    return EXIT_CODES[status]


def add_baseline(commands: Commands) -> None:
    """Add `poc baseline accept` and `poc baseline history`."""
    text = "baselines of the regression gate: small files to commit"
    actions = add_actions(commands, "baseline", text)
    text = "make a complete run the baseline; says what the gate finds against the one before"
    parser = add_command(actions, "accept", _accept, text)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--baseline", type=Path, required=True, metavar="DIR", help="folder of baselines"
    )
    parser.add_argument(
        "--kind",
        choices=["rolling", "release"],
        default="rolling",
        help="release: stays as it is, so that many small losses add up (default: rolling)",
    )
    parser.add_argument("--by", required=True, metavar="WHO", help="who accepts it")
    parser.add_argument("--reason", required=True, metavar="WHY", help="why it is accepted")
    parser.add_argument("--limits", type=Path, help="limits file (default: the one that ships)")
    text = "show who accepted what, when and why"
    parser = add_command(actions, "history", _history, text)
    parser.add_argument("baseline", type=Path, metavar="DIR", help="folder of baselines")


def _accept(arguments: argparse.Namespace) -> int:
    from poc.baseline import BaselineKind, Said, entry
    from poc.check import accept_baseline

    found = accept_baseline(
        arguments.run,
        arguments.baseline,
        BaselineKind(arguments.kind),
        Said(arguments.by, arguments.reason),
        limits=arguments.limits,
    )
    if arguments.json:
        print(json.dumps(found.model_dump(mode="json"), ensure_ascii=False))
    else:
        print(entry(found, is_current=True))
    return COMPLETE


def _history(arguments: argparse.Namespace) -> int:
    from poc.baseline import history, read_ledger

    if arguments.json:
        ledger = [one.model_dump(mode="json") for one in read_ledger(arguments.baseline)]
        print(json.dumps(ledger, ensure_ascii=False))
    else:
        print(history(arguments.baseline))
    return COMPLETE
