"""`poc decide` and `poc verify`: the decision again from the raw records, and whether it holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from poc.commands.argument_types import day
from poc.commands.exit_codes import COMPLETE, DIFFERENT
from poc.commands.parsers import Commands, add_command
from poc.commands.result import print_result
from poc.commands.rights import today
from poc.errors import InputError

if TYPE_CHECKING:
    from poc.audit import Given


def add_decide(commands: Commands) -> None:
    """Add `poc decide`."""
    text = (
        "decide again from the raw records; exits 0 GO, 1 NO_GO, 3 INSUFFICIENT_EVIDENCE, "
        "4 CONDITIONAL"
    )
    parser = add_command(commands, "decide", _decide, text)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--criteria", type=Path, help="another criteria file (marked as edited)")
    parser.add_argument("--rights", type=Path, metavar="FILE", help="rights file, for its light")
    parser.add_argument(
        "--on", type=day, metavar="DATE", help="day for --rights and --cost (today)"
    )
    parser.add_argument(
        "--cost", type=Path, metavar="FILE", help="inputs of `poc cost`, for the economic light"
    )


def _decide(arguments: argparse.Namespace) -> int:
    from poc.lights import exit_code
    from poc.run import RightsAt, decide_again

    if arguments.on is not None and arguments.rights is None and arguments.cost is None:
        raise InputError("--on: expected --rights or --cost beside it, got none. Give the file.")
    on = arguments.on or today()
    rights = None if arguments.rights is None else RightsAt(arguments.rights, on)
    result = decide_again(
        arguments.run, criteria=arguments.criteria, rights=rights, cost=arguments.cost, on=on
    )
    places: dict[str, Path | str] = {"run": result.path}
    basis = result.decision.rights_basis
    if basis is not None and not arguments.json:
        until = basis.valid_until or "-"
        places["rights"] = f"{result.decision.rights} on {basis.on}, valid until {until}"
    if result.decision.valid_until is not None and not arguments.json:
        places["valid"] = _until(result.decision.valid_until)
    print_result(result, places, as_json=arguments.json)
    return exit_code(result.decision.decision)


def _until(day: str) -> str:
    """Say how long a decision stands, and whether that day has passed."""
    passed = f" (has passed: decide again, today is {today()})" if day < str(today()) else ""
    return f"until {day}{passed}"


def add_verify(commands: Commands) -> None:
    """Add `poc verify`."""
    text = (
        "derive estimates and decision again and compare them and every clip with the records; "
        "exits 0 when all agrees, 1 when not"
    )
    parser = add_command(commands, "verify", _verify, text)
    parser.add_argument("run", type=Path, help="run folder, or archive of `report --format audit`")
    parser.add_argument("--criteria", type=Path, help="criteria that the decision was made with")
    parser.add_argument("--rights", type=Path, help="rights file that the decision was made with")
    parser.add_argument("--cost", type=Path, help="cost inputs that the decision was made with")


def _verify(arguments: argparse.Namespace) -> int:
    from poc.audit import NOT_CHECKED, Given, is_archive
    from poc.gate_report import shown
    from poc.run import is_complete, valid_until, verify

    given = Given(arguments.criteria, arguments.rights, arguments.cost)
    archive = is_archive(arguments.run)
    amiss, until, complete = (
        _verify_archive(arguments.run, given)
        if archive
        else (
            verify(arguments.run, **given._asdict()),
            valid_until(arguments.run),
            is_complete(arguments.run),
        )
    )
    if arguments.json:
        found = {
            "verified": not amiss,
            "complete": complete,
            "clips": not archive,
            "not_checked": list(NOT_CHECKED) if archive else [],
            "amiss": list(amiss),
            "valid_until": until,
            "has_passed": until is not None and until < str(today()),
        }
        print(json.dumps(found, ensure_ascii=False))
    else:
        ends = [f"valid: {_until(until)}"] if until else []
        whole = "yes" if complete else "no: clips, measurements or timed rounds are missing"
        lines = [*map(shown, amiss), *ends, f"complete: {whole}"]
        said = "\n".join([*lines, f"verified: {'no' if amiss else 'yes'}"])
        kept = "records, spec and criteria; not the clips, licence facts and bill of materials"
        print(f"{said} ({kept})" if archive else said)
    return DIFFERENT if amiss else COMPLETE


def _verify_archive(path: Path, given: Given) -> tuple[tuple[str, ...], str | None, bool]:
    """Return what does not hold in an archive, its decision's last day, and whether it is whole.

    Files given by hand go before its own.
    """
    from poc.audit import Given, unpacked
    from poc.run import is_complete, valid_until, verify

    with unpacked(path) as (run, inside, amiss):
        both = Given(*(one or other for one, other in zip(given, inside, strict=True)))
        found = (*amiss, *verify(run, **both._asdict(), clips=False))
        return found, valid_until(run), is_complete(run)
