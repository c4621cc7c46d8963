"""What `run`, `decide` and `close` print: the table, the claims, the places and the decision."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poc.run import RunResult

_WIDTH = 100


def print_result(result: RunResult, places: Mapping[str, Path | str], *, as_json: bool) -> None:
    """Print what a run came to, and by their names the places to look at; `decision:` is last."""
    from poc.claims_table import claims_text
    from poc.errors import plain

    if as_json:
        found = {name: str(place) for name, place in places.items()}
        print(json.dumps(result.as_json() | found, ensure_ascii=False))
        return
    print(plain(result.table))
    print(f"\n{claims_text(result.claims)}\n")
    if (made := result.occupation) is not None:
        print(
            f"generating: no network at work in {made.idle_share:.0%} of {made.wall_s:.0f} s "
            f"on {made.processes} {'process' if made.processes == 1 else 'processes'} (loading, "
            "switching arms, judging and writing clips)"
        )
    for line in _said(result):
        print(line)
    for name, place in places.items():
        print(f"{name + ':':<11}{place}")
    print(f"decision: {result.decision.decision}")


def _said(result: RunResult) -> Iterator[str]:
    """Yield why it was so decided, on what conditions, what comes next, and what is amiss."""
    from poc.errors import plain

    decision = result.decision
    next_steps = [decision.next_measurement] if decision.next_measurement else []
    parts = {
        "because": [one.text_en for one in decision.reasons],
        "if": [one.text_en for one in decision.conditions],
        "next": [one.text_en for one in next_steps],
        "records": result.findings,
    }
    for name, lines in parts.items():
        for line in lines:
            yield from wrap(
                plain(line), _WIDTH, initial_indent=f"{name + ':':<11}", subsequent_indent=" " * 11
            )
    yield ""
