"""What `run`, `decide` and `close` print: the table, the claims, the places and the decision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poc.run import RunResult


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
    for name, place in places.items():
        print(f"{name + ':':<11}{place}")
    print(f"decision: {result.decision.decision}")
