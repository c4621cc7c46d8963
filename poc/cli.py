"""The `poc` command: arguments in, exit code out. What the commands do is in `poc/commands`."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from poc.commands import (
    brief,
    check,
    confirm,
    cost,
    decide,
    doctor,
    fetch,
    init,
    measure,
    rate,
    redact,
    report,
    reproduce,
    rights,
    run,
    train,
)
from poc.commands.exit_codes import ENVIRONMENT, INTERRUPTED, UNREAD
from poc.errors import InputError, plain

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Set before any model library is imported: no command but `poc fetch` may use the network."""
_QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "DIFFUSERS_DISABLE_REMOTE_CODE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Set likewise. Without Xet, files come over HTTPS alone, so that proxy and CA are honoured."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    os.environ.update(_QUIET if "network" in arguments else _OFFLINE | _QUIET)
    command: Callable[[argparse.Namespace], int] = arguments.command
    with warnings.catch_warnings():
        show: Callable[..., None] = _warn
        warnings.showwarning = show
        return _guarded(command, arguments)


def _warn(message: Warning | str, category: type[Warning], *place: Any) -> None:
    """Show a warning of ours as what it says; one of a library with its place, as Python does."""
    ours = category.__module__.partition(".")[0] == "poc"
    text = f"poc: warning: {plain(str(message))}\n"
    said = text if ours else warnings.formatwarning(message, category, *place[:2])
    print(said, end="", file=sys.stderr)


def _guarded(command: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        return _flushed(command(arguments))
    except InputError as error:
        print(f"poc: error: {plain(str(error))}", file=sys.stderr)
        return ENVIRONMENT
    except KeyboardInterrupt:
        print("poc: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read this closed the pipe, as `head` does; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except Exception:  # noqa: BLE001  # a crash must never look like exit 1: NO_GO, REGRESSION
        traceback.print_exc()
        print("poc: error: this is a fault of the program; please report it", file=sys.stderr)
        return ENVIRONMENT


def _flushed(code: int) -> int:
    """Return the code once everything is written, while a closed pipe can still be noticed."""
    sys.stdout.flush()
    return code


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands, in the order in which `poc --help` lists them."""
    parser = argparse.ArgumentParser(
        prog="poc",
        description="Is few-step styled video generation good enough to buy? "
        "Sweep, measure, estimate, decide.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run.add_run(commands)
    run.add_plan(commands)
    brief.add_brief(commands)
    fetch.add_fetch(commands)
    doctor.add_doctor(commands)
    init.add_init(commands)
    measure.add_measure(commands)
    decide.add_decide(commands)
    confirm.add_confirm(commands)
    cost.add_cost(commands)
    rights.add_rights(commands)
    check.add_check(commands)
    check.add_baseline(commands)
    rate.add_rate(commands)
    decide.add_verify(commands)
    reproduce.add_reproduce(commands)
    run.add_close(commands)
    redact.add_redact(commands)
    report.add_report(commands)
    report.add_dashboard(commands)
    train.add_train(commands)
    return parser
