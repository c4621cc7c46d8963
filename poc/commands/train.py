"""`poc train`: models from nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from poc.commands.exit_codes import COMPLETE
from poc.commands.parsers import Commands, add_command


def add_train(commands: Commands) -> None:
    """Add `poc train`."""
    text = "train models; `poc train tiny` makes weights such as the embedded ones from nothing"
    parser = add_command(commands, "train", _train, text)
    parser.add_argument("what", choices=["tiny"])
    parser.add_argument("--out", type=Path, default=Path("runs/train-tiny/weights"))
    parser.add_argument("--work", type=Path, default=Path("runs/train-tiny/work"))
    parser.add_argument("--quick", action="store_true", help="a handful of steps: a smoke test")


def _train(arguments: argparse.Namespace) -> int:
    from poc.tiny.recipe import train_tiny

    train_tiny(arguments.out, arguments.work, quick=arguments.quick, log=_log(arguments.json))
    if arguments.json:
        print(json.dumps({"weights": str(arguments.out)}))
    return COMPLETE


def _log(quiet: bool) -> Callable[[str], None]:
    return (
        (lambda _line: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
    )
