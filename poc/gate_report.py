"""The gate's result for people and machines: terminal table, JUnit XML, Markdown. Pure text.

Whatever comes from a run (names, reasons) is text that somebody else wrote: it is shown, and never
obeyed by a terminal, a browser or a Markdown renderer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from xml.etree import ElementTree as ET

from poc.errors import plain
from poc.gate import worst_first
from poc.gate_records import GateCell, GateResult, GateStatus, RunName
from poc.records import Comparison

MARKDOWN_BYTES = 1 << 20
"""A larger step summary is refused by GitHub, in silence and with a green job."""

_REASON = 400
"""Characters of a reason in tables; all of it is in gate.json and the JUnit file."""

_XML_REASON = 20_000
_RESERVED = 400


def shown(text: str, limit: int = _REASON) -> str:
    r"""Return text on one line, without anything that steers a terminal or reorders letters.

    >>> shown("a\x1b[31m\nb")
    'a�[31m b'
    """
    line = plain(" ".join(text[: 2 * limit].split()))
    return line if len(line) <= limit and len(text) <= 2 * limit else line[: limit - 1] + "…"


# --- numbers -------------------------------------------------------------------------------------


def change_text(cell: GateCell) -> str:
    """Return the change with its interval: a difference as it is, a ratio in per cent."""
    if cell.change is None:
        return "-"
    interval = ""
    if cell.low is not None and cell.high is not None:
        interval = f" [{_one(cell, cell.low)}, {_one(cell, cell.high)}]"
    return _one(cell, cell.change) + interval


def limit_text(cell: GateCell) -> str:
    """Return the changes that are accepted."""
    lowest, highest = cell.lowest, cell.highest
    if lowest is None:
        return "-" if highest is None else f"<= {_one(cell, highest)}"
    if highest is None:
        return f">= {_one(cell, lowest)}"
    return f"{_one(cell, lowest)} .. {_one(cell, highest)}"


def _one(cell: GateCell, value: float) -> str:
    if cell.comparison is Comparison.RATIO:
        return f"{100 * (value - 1):+.1f} %"
    return f"{value:+.3g}"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _word(cell: GateCell) -> str:
    return f"{cell.status} (improved)" if cell.improved else str(cell.status)


def totals(result: GateResult) -> str:
    """Return how many cells have which status.

    Every status that occurs is named, the worst first.
    """
    counts = ((status, result.count(status)) for status in GateStatus)
    return ", ".join(f"{count} {status}" for status, count in counts if count) or "no cells"


# --- terminal ------------------------------------------------------------------------------------


def table(result: GateResult) -> str:
    """Return the table for a terminal; the last line is `gate: ` and the status."""
    lines = [f"{shown(result.head.folder)} against {shown(result.base.folder)}"]
    for arm_id in dict.fromkeys(cell.arm_id for cell in result.cells):
        own = [cell for cell in result.cells if cell.arm_id == arm_id]
        lines += ["", shown(own[0].arm), *_arm_lines(own)]
    lines += ["", *_footnotes(result), totals(result), f"gate: {result.status}"]
    return "\n".join(line.rstrip() for line in lines)


def _arm_lines(cells: Sequence[GateCell]) -> Iterator[str]:
    for cell in cells:
        values = f"{_value(cell.base)} -> {_value(cell.head)}" if cell.head is not None else ""
        change = "" if cell.change is None else f"{change_text(cell)}, accepted {limit_text(cell)}"
        yield f"  {_word(cell):<19} {shown(cell.subject):<22} {values:<20} {change}"
        if cell.reason:
            yield f"  {'':<19} {shown(cell.reason)}"


def _footnotes(result: GateResult) -> Iterator[str]:
    """Yield what stands under the cells: what was not judged, what else differs, the promise."""
    for one in result.not_judged:
        yield f"not judged: {shown(one.metric)}: {shown(one.reason)}"
    for text in result.differences:
        yield f"differs: {shown(text)}"
    if result.untested:
        yield shown(result.untested, limit=2000)
    yield f"base -> head; [low, high]: 95 % intervals. Limits: {shown(result.limits)}."
    yield from _looks(result)
    yield (
        f"Of checks of equal runs at most {result.alarm_rate:.1%} report a REGRESSION "
        "(corrected for every test of clips and of seconds; not in it: memory, which has no "
        "interval, and what a machine drifts between the runs)."
    )


def _looks(result: GateResult) -> Iterator[str]:
    """Yield which look this is and what each spends of the rate of false alarms."""
    first = result.first
    if first is not None:
        yield (
            f"second and last look, at {_size(result.head)}; the first, at {_size(first.head)}, "
            f"was {first.status}. Of the rate below they spend {_rate(result.level)} and "
            f"{_rate(first.level)}."
        )
    elif result.may_extend:
        yield (
            "more prompts or rounds would tell: `poc plan SPEC --extended FILE` writes the spec of "
            "a second and last look, `poc check --after gate.json` judges it."
        )


def _size(run: RunName) -> str:
    return f"{run.prompts} prompts" + (f" and {run.rounds} rounds" if run.rounds else "")


def _rate(level: float | None) -> str:
    return "an unknown part" if level is None else f"{level:.1%}"


# --- JUnit ---------------------------------------------------------------------------------------


def junit(result: GateResult) -> bytes:
    """Return JUnit XML: one testcase a cell.

    REGRESSION is a failure. NOT_COMPARABLE, INCONCLUSIVE and CALIBRATION_NEEDED are errors with
    their reason: a reader that knows nothing but this file must not take them for a pass. What the
    limits say is not judged is skipped, with the reason.
    """
    failed = result.count(GateStatus.REGRESSION)
    skipped = len(result.not_judged)
    counts = {
        "tests": len(result.cells) + skipped,
        "failures": failed,
        "errors": len(result.cells) - failed - result.count(GateStatus.PASS),
        "skipped": skipped,
    }
    numbers = {key: str(count) for key, count in counts.items()}
    root = ET.Element("testsuites", numbers)
    suite = ET.SubElement(root, "testsuite", {"name": "gate", **numbers})
    for cell in result.cells:
        _testcase(suite, cell)
    for one in result.not_judged:
        case = ET.SubElement(suite, "testcase", {"classname": "not judged", "name": one.metric})
        ET.SubElement(case, "skipped", {"message": shown(one.reason)})
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _testcase(suite: ET.Element, cell: GateCell) -> None:
    named = {"classname": shown(cell.arm), "name": shown(f"{cell.group}: {cell.subject}")}
    case = ET.SubElement(suite, "testcase", named)
    properties = ET.SubElement(case, "properties")
    for name, value in _properties(cell):
        ET.SubElement(properties, "property", {"name": name, "value": value})
    if cell.status is GateStatus.PASS:
        return
    kind = "failure" if cell.status is GateStatus.REGRESSION else "error"
    message = {"type": str(cell.status), "message": shown(cell.reason)}
    ET.SubElement(case, kind, message).text = shown(cell.reason, _XML_REASON)


def _properties(cell: GateCell) -> Iterator[tuple[str, str]]:
    yield "status", str(cell.status)
    yield "arm_id", shown(cell.arm_id)
    for name in ("base", "head", "change", "low", "high", "lowest", "highest", "p_adjusted"):
        value = getattr(cell, name)
        if value is not None:
            yield name, repr(value)
    for name in ("n_clips", "n_prompts", "n_missing"):
        yield name, str(getattr(cell, name))


# --- Markdown ------------------------------------------------------------------------------------

_JOINTS = re.compile(r"(?<=[@#])|(?<=www)(?=\.)|(?<=:)(?=//)", re.IGNORECASE)
"""Where names, issues and addresses are cut, which GitHub links even in character references."""

_MARKS = {ord(mark): f"&#{ord(mark)};" for mark in "&<>\"'|`*_~[]()!#@\\$:"}


def escaped(text: str) -> str:
    """Return text that Markdown and HTML show as it is: every mark is a character reference.

    >>> escaped("<script>|")
    '&#60;script&#62;&#124;'
    """
    return _JOINTS.sub("\u200b", shown(text)).translate(_MARKS)


def markdown(result: GateResult, limit: int = MARKDOWN_BYTES) -> str:
    """Return a summary in Markdown, below `limit` bytes in UTF-8; what is left out is said.

    The worst cells come first, so what is cut off last is what is wrong.
    """
    head = [
        f"## gate: {result.status}",
        "",
        f"{escaped(result.head.folder)} against {escaped(result.base.folder)}: {totals(result)}",
        "",
        "| status | arm | subject | base | head | change | accepted | reason |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows = [_row(cell) for cell in worst_first(result.cells)]
    notes = ["", *(f"- {escaped(line)}" for line in _footnotes(result))]
    kept = _fitting([*head, *rows, *notes], limit - _RESERVED)
    lines = [*head, *rows, *notes][:kept]
    left_out = len(head) + len(rows) + len(notes) - kept
    if left_out:
        cells = max(0, len(head) + len(rows) - kept)
        lines += ["", f"**Cut short: {left_out} lines, {cells} of them cells, are in gate.json.**"]
    return "\n".join(lines) + "\n"


def _row(cell: GateCell) -> str:
    parts = (
        _word(cell),
        cell.arm,
        cell.subject,
        _value(cell.base),
        _value(cell.head),
        change_text(cell),
        limit_text(cell),
        cell.reason,
    )
    return f"| {' | '.join(escaped(part) for part in parts)} |"


def _fitting(lines: Iterable[str], limit: int) -> int:
    """Return how many lines fit into `limit` bytes, their ends included."""
    used = kept = 0
    for line in lines:
        used += len(line.encode()) + 1
        if used > limit:
            break
        kept += 1
    return kept
