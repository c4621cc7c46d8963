"""How a command comes into the parser, and the arguments that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # argparse has no public name for it
"""Where commands are added: those of `poc`, or the actions of one of them."""


def add_command(
    commands: Commands, name: str, function: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that runs `function` and returns its exit code; `text` is its help."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=function)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def add_actions(commands: Commands, name: str, text: str) -> Commands:
    """Add a command that does nothing itself, and return where its actions are added."""
    parser = commands.add_parser(name, help=text, description=text)
    return parser.add_subparsers(required=True, metavar="ACTION")


def add_spec(parser: argparse.ArgumentParser) -> None:
    """Add the spec file, which may be left out."""
    default = Path(__file__).parents[1] / "specs" / "tiny.yaml"
    parser.add_argument(
        "spec", type=Path, nargs="?", default=default, help="spec file (default: the tiny world)"
    )
