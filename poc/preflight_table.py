"""What `poc plan` prints of licences and of the pre-flight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from poc.preflight import LicenceRow, line_of
from poc.records import PreflightFinding, Severity


def preflight_text(
    rows: Sequence[LicenceRow], found: Sequence[PreflightFinding], weight_bytes: int = 0
) -> str:
    """Return a line for the weights, where their size is known, each licence and each finding."""
    weights = f"weights: at least {weight_bytes / 2**30:,.1f} GiB on the device"
    lines = [weights] if weight_bytes else []
    return "\n".join([*lines, *map(_licence_line, rows), *_finding_lines(found)])


def preflight_json(
    rows: Iterable[LicenceRow], found: Iterable[PreflightFinding], weight_bytes: int = 0
) -> dict[str, Any]:
    """Return the same for machines; `weight_bytes` is at least, None where nobody knows."""
    return {
        "weight_bytes": weight_bytes or None,
        "licences": [
            {"licence": row.licence, "use": row.judgement, "models": list(row.models)}
            for row in rows
        ],
        "preflight": [one.model_dump(mode="json") for one in found],
    }


def _licence_line(row: LicenceRow) -> str:
    judged = row.judgement or "no use stated"
    return f"licence: {row.licence} ({judged}): {', '.join(row.models)}"


def _finding_lines(found: Sequence[PreflightFinding]) -> Iterator[str]:
    errors = sum(one.severity is Severity.ERROR for one in found)
    yield f"pre-flight: {errors} errors, {len(found) - errors} warnings"
    for one in found:
        yield f"  {line_of(one)}"
