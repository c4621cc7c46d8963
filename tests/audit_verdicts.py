"""What `poc check` and `poc decide` must say of run folders that are broken in a known way.

Each case states the answer and the exit code before the program is asked. The folders are those of
`gate_runs.folder`: two arms, one metric, seven timed rounds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gate_runs as g

from poc import cli


@dataclass(frozen=True, slots=True)
class Case:
    """A broken run, and what is to be said of it."""

    what: str
    head: dict[str, Any]
    base: dict[str, Any]
    says: str
    code: int


PLAIN: Final[dict[str, Any]] = {}
WORSE: Final[dict[str, Any]] = {"shift": 6.0}
ONE: Final[dict[str, Any]] = {"prompts": 1, "rounds": 1}

CHECKS: Final = (
    Case("nothing changed but the noise", PLAIN, PLAIN, "PASS", 0),
    Case("quality beyond the limit", WORSE, PLAIN, "REGRESSION", 1),
    Case("the same with base and head swapped", PLAIN, WORSE, "PASS", 0),
    Case("15 % more seconds", {"slower": 1.15}, PLAIN, "REGRESSION", 1),
    Case("one clip of NaN", {"invalid": 1}, PLAIN, "INCONCLUSIVE", 3),
    Case("all clips of NaN", {"invalid": 24}, PLAIN, "REGRESSION", 1),
    Case("NaN written over a measurement", {"scribbled": 1}, PLAIN, "INCOMPLETE", 2),
    Case("a measurement that is missing", {"unmeasured": 1}, PLAIN, "INCONCLUSIVE", 3),
    Case("a clip that was never made", {"leave_out": 1}, PLAIN, "INCOMPLETE", 2),
    Case("the baseline lacks a clip", PLAIN, {"leave_out": 1}, "NOT_COMPARABLE", 3),
    Case("an arm that is gone", {"steps": (1,)}, PLAIN, "INCOMPLETE", 2),
    Case("an arm that is new", PLAIN, {"steps": (1,)}, "CALIBRATION_NEEDED", 3),
    Case("one prompt, one round", ONE, ONE, "INCONCLUSIVE", 3),
    Case("one round", {"rounds": 1}, {"rounds": 1}, "INCONCLUSIVE", 3),
    Case("another number of prompts", {"prompts": 26}, PLAIN, "NOT_COMPARABLE", 3),
    Case("another GPU", {"device": "GPU B"}, {"device": "GPU A"}, "NOT_COMPARABLE", 3),
    Case("other weights under one id", {"weights": "2" * 64}, PLAIN, "REGRESSION", 1),
    # The gate has limits of its own: edited criteria are named, and change nothing of its answer.
    Case("edited criteria", {"criteria_minimum": 0.1}, PLAIN, "PASS", 0),
)
"""Head, base and what `poc check` says."""


def checked(case: Case, folder: Path) -> tuple[str, int]:
    """Return what `poc check` says of a case, and its exit code."""
    head = g.folder(folder / "head", **case.head)
    base = g.folder(folder / "base", **case.base)
    code, lines = _asked(["check", str(head), "--baseline", str(base)])
    return lines[-1].removeprefix("gate: "), code


DECISIONS: Final = (
    # Nobody gave prices, so the whole is never better than INSUFFICIENT_EVIDENCE.
    Case("a run that meets its criteria", PLAIN, PLAIN, "GO", 3),
    Case("the same with edited criteria", {"edited": 0.25}, PLAIN, "CONDITIONAL", 3),
    Case("a minimum that is not reached", {"shift": 81.0}, PLAIN, "NO_GO", 1),
    Case("one prompt", ONE, PLAIN, "INSUFFICIENT_EVIDENCE", 3),
    Case("a clip that was never made", {"leave_out": 1}, PLAIN, "INSUFFICIENT_EVIDENCE", 3),
    Case("a measurement that is missing", {"unmeasured": 1}, PLAIN, "INSUFFICIENT_EVIDENCE", 3),
    Case("NaN written over a measurement", {"scribbled": 1}, PLAIN, "INSUFFICIENT_EVIDENCE", 3),
    Case("all clips of NaN", {"invalid": 24}, PLAIN, "INSUFFICIENT_EVIDENCE", 3),
)
"""A run, and its technical light with the exit code of `poc decide`."""


def decided(case: Case, folder: Path) -> tuple[str, int]:
    """Return the technical light of a case, and the exit code of `poc decide`."""
    settings = dict(case.head)
    edited = settings.pop("edited", None)
    run = g.folder(folder / "run", steps=(2, 1), **settings)
    options = [] if edited is None else ["--criteria", str(_criteria(folder, edited))]
    code, _ = _asked(["decide", str(run), *options])
    decision = json.loads((run / "decision.json").read_text("utf-8"))
    return str(decision["technical"]), code


def _criteria(folder: Path, minimum: float) -> Path:
    """Write the criteria of the small run with another minimum."""
    path = folder / "criteria.yaml"
    path.write_text(json.dumps(g.criteria(minimum).model_dump(mode="json")), encoding="utf-8")
    return path


def _asked(arguments: list[str]) -> tuple[int, list[str]]:
    out = io.StringIO()
    with redirect_stdout(out):
        code = cli.main(arguments)
    return code, out.getvalue().splitlines()


Answer = Callable[[Case, Path], tuple[str, int]]
