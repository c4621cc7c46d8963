"""`poc reproduce`: whether a run says what the report of an earlier one said."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poc.commands.exit_codes import COMPLETE, DIFFERENT, INCOMPLETE
from poc.commands.parsers import Commands, add_command
from poc.errors import InputError, plain

if TYPE_CHECKING:
    from poc.reproduction import Reproduced, Reproduction

_SHOWN = 20
"""Numbers outside that are named; --json has all of them."""


def add_reproduce(commands: Commands) -> None:
    """Add `poc reproduce`."""
    text = (
        "lay a run's numbers beside those of an earlier report: does each lie within the interval "
        "reported? exits 0 when all of quality do, as those of the same clips do (of new "
        "prompts about 17 in 100 do not), 1 when some do not, 3 when some are missing, stand on "
        "fewer prompts, or are of arms with other settings"
    )
    parser = add_command(commands, "reproduce", _reproduce, text)
    parser.add_argument("run", type=Path, help="run folder")
    text = "estimates.json of the report, or a folder with it (a run, a summary)"
    parser.add_argument("reported", type=Path, help=text)


def _reproduce(arguments: argparse.Namespace) -> int:
    from poc.reproduction import reproduction
    from poc.run import derived_estimates, read_estimates

    place = arguments.reported.resolve()
    if arguments.run.resolve() in {place, place.parent}:
        raise InputError(
            f"{arguments.run}: expected another run's report, got the run itself. Whether its own "
            "results follow from its records is what `poc verify` tells."
        )
    reported = read_estimates(arguments.reported)
    own = derived_estimates(arguments.run)
    found = reproduction(own, reported)
    ids = {summary.arm.id for summary in own.arms}
    alike = sum(summary.arm.id in ids for summary in reported.arms)
    if arguments.json:
        print(json.dumps(_as_json(found, alike, len(reported.arms)), ensure_ascii=False))
    else:
        print(f"arms with the settings and weights reported: {alike} of {len(reported.arms)}")
        print("\n".join(_lines(found)))
    return _ANSWERS[_word(found)]


_ANSWERS = {"yes": COMPLETE, "in part": INCOMPLETE, "no": DIFFERENT}


def _word(found: Reproduction) -> str:
    if found.outside or len(found.missing) == len(found.quality):
        return "no"
    return "in part" if found.missing or found.fewer or found.settings else "yes"


def _lines(found: Reproduction) -> list[str]:
    lines = [f"quality: {_count(found.quality)}", f"seconds and memory: {_count(found.machine)}"]
    lines[1] += "; not judged: they are of a machine" if found.machine else ""
    if found.bare:
        lines.append(f"without an interval in the report, so not judged: {found.bare}")
    if found.outside:
        lines.append("outside (of independent prompts about 17 in 100 are, by chance):")
        lines += _named(found.outside)
    if found.missing:
        lines.append("missing in the run:")
        lines += _named(found.missing)
    if found.fewer:
        lines.append(f"on fewer prompts than reported: {found.fewer} numbers of quality")
    if found.settings:
        lines.append("arms with other settings (reported -> found):")
        lines += [f"  {plain(one)}" for one in found.settings]
    return [*lines, f"reproduced: {_word(found)}"]


def _count(pairs: Sequence[Reproduced]) -> str:
    if not pairs:
        return "none reported"
    same = sum(pair.found == pair.value for pair in pairs)
    within = sum(pair.within for pair in pairs)
    return f"{within} of {len(pairs)} within the interval reported, {same} the same"


def _named(pairs: Sequence[Reproduced]) -> list[str]:
    from poc.table import figure

    lines = [
        f"  {plain(str(one.subject))}: {'-' if one.found is None else figure(one.found)}, reported "
        f"{figure(one.value)} [{figure(one.low)}, {figure(one.high)}]"
        for one in pairs[:_SHOWN]
    ]
    return [*lines, f"  and {len(pairs) - _SHOWN} more"] if len(pairs) > _SHOWN else lines


def _as_json(found: Reproduction, alike: int, arms: int) -> dict[str, Any]:
    def named(pairs: Sequence[Reproduced]) -> list[dict[str, Any]]:
        return [{**one._asdict(), "subject": str(one.subject)} for one in pairs]

    return {
        "reproduced": _word(found),
        "arms_alike": alike,
        "arms_reported": arms,
        "quality": len(found.quality),
        "outside": named(found.outside),
        "missing": named(found.missing),
        "machine": len(found.machine),
        "machine_within": sum(pair.within for pair in found.machine),
        "without_interval": found.bare,
        "on_fewer_prompts": found.fewer,
        "other_settings": list(found.settings),
    }
