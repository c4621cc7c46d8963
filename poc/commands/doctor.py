"""`poc doctor`: what this machine can run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from poc.commands.exit_codes import COMPLETE, ENVIRONMENT
from poc.commands.parsers import Commands, add_command
from poc.errors import plain

if TYPE_CHECKING:
    from poc.doctor import Check, Cuda

SPECS = Path(__file__).parents[1] / "specs"


def add_doctor(commands: Commands) -> None:
    """Add `poc doctor`."""
    text = "show what this machine can run, what is missing and what to type; 0 if a spec runs"
    add_command(commands, "doctor", _doctor, text)


def _doctor(arguments: argparse.Namespace) -> int:
    from poc import disk
    from poc.doctor import State, check_machine, doctor_text
    from poc.fingerprint import take_fingerprint

    cuda = _cuda()
    machine = check_machine(take_fingerprint(), cuda, free_disk_bytes=disk.free_bytes(Path("runs")))
    specs = [_check(path, cuda.devices if cuda else 0) for path in _specs()]
    if arguments.json:
        parts = {"machine": machine, "specs": specs}
        shown = {part: [one._asdict() for one in rows] for part, rows in parts.items()}
        print(json.dumps(shown, ensure_ascii=False))
    else:
        print(plain(doctor_text(machine, specs)))
    packages = machine[0].state is not State.MISSING
    runs = packages and any(one.state is State.OK for one in specs)
    return COMPLETE if runs else ENVIRONMENT


def _specs() -> list[Path]:
    """Return the specs that come along: the files beside them that state a question."""
    return [path for path in sorted(SPECS.glob("*.yaml")) if "\nquestion:" in path.read_text()]


def _check(path: Path, devices: int) -> Check:
    from poc.doctor import check_spec
    from poc.run import check_plan, read_plan

    plan, models = read_plan(path)
    out = Path("runs") / plan.spec.name
    found = check_plan(plan, models, out, device="cuda:0" if devices else "cpu")
    return check_spec(plan, found, spec=_typed(path), devices=devices)


def _typed(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _cuda() -> Cuda | None:
    from poc.doctor import Cuda

    try:
        from poc.pipelines.device import cuda_state
    except ImportError:
        return None
    return Cuda(*cuda_state())
