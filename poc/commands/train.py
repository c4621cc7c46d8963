"""`poc train`: models from nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command

EMBEDDED = Path(__file__).parent.parent / "tiny" / "weights"


def add_train(commands: Commands) -> None:
    """Add `poc train`."""
    text = (
        "train models: `tiny` makes weights such as the embedded ones from nothing, `ablations` "
        "variants that leave out one part of the method"
    )
    parser = add_command(commands, "train", _train, text)
    parser.add_argument("what", choices=["tiny", "ablations"])
    parser.add_argument("--out", type=Path, help="default: runs/train-WHAT/weights")
    parser.add_argument("--work", type=Path, help="default: runs/train-WHAT/work")
    parser.add_argument("--quick", action="store_true", help="a handful of steps: a smoke test")
    parser.add_argument(
        "--styles-of",
        type=Path,
        metavar="WEIGHTS",
        help="tiny: train the style LoRAs alone, on these finished weights",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="VARIANT",
        help="ablations: train this variant alone; may be repeated",
    )


def _train(arguments: argparse.Namespace) -> int:
    from poc.tiny.ablations import train_ablations
    from poc.tiny.adopted import train_styles
    from poc.tiny.recipe import train_tiny

    folder = Path("runs") / f"train-{arguments.what}"
    out, work = arguments.out or folder / "weights", arguments.work or folder / "work"
    log, quick = _log(arguments.json), arguments.quick
    if arguments.what == "ablations":
        train_ablations(out, work, EMBEDDED, only=tuple(arguments.only), quick=quick, log=log)
    elif arguments.styles_of:
        train_styles(out, work, arguments.styles_of, quick=quick, log=log)
    else:
        train_tiny(out, work, quick=quick, log=log)
    if arguments.json:
        print(json.dumps({"weights": str(out)}))
    return COMPLETE


def _log(quiet: bool) -> Callable[[str], None]:
    return (
        (lambda _line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    )
