"""The claims as plain text: a line a claim, our numbers under it, what differs by letter."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_lowercase

from poc.claims import Beside, ClaimResult, ClaimsReport, ClaimStatus, TestResult
from poc.claims_file import Claim, ClaimLook, ClaimTest, How
from poc.records import ArmRole
from poc.speed_split import Figure, SpeedSplit
from poc.table import MISSING, NO_INTERVAL, aligned, columns, cut, figure, signed

WIDTH = 110
"""Columns of a terminal that the block fits into."""

STATUSES: Mapping[ClaimStatus, str] = {
    ClaimStatus.CONFIRMED: "CONFIRMED",
    ClaimStatus.NOT_CONFIRMED: "NOT CONFIRMED",
    ClaimStatus.OPEN: "OPEN",
    ClaimStatus.NOT_TESTABLE: "NOT TESTABLE",
}

TIMES = (How.RATIO, How.SPEED_UP)


def claims_text(report: ClaimsReport) -> str:
    """Return the claims and the split of the speed-ups, at most 110 columns wide."""
    if not report.claims:
        return "\n".join([_NONE, *_splits(report.splits)])
    letters = _letters(report.claims)
    lines = [_head(report)]
    rows = [_row(result, letters) for result in report.claims]
    widths = [max(columns(cell) for cell in column) for column in zip(*rows, strict=True)]
    for result, row in zip(report.claims, rows, strict=True):
        lines.append("  " + "  ".join(_padded(c, w) for c, w in zip(row, widths, strict=True)))
        lines += [f"      {line}" for line in _ours(result, letters)]
    lines += ["what differs from where the claims were made", *_legend(letters)]
    lines += _splits(report.splits)
    return "\n".join(cut(line.rstrip(), WIDTH) for line in lines)


_NONE = "claims of the paper and its author: none is weighed, because the weights are random"


def _head(report: ClaimsReport) -> str:
    tiny = "the tiny world, not at real size" if report.kind == "demonstration" else "this run"
    return f"claims of the paper and its author, tested in {tiny}: status, theirs, what differs"


def _letters(results: Iterable[ClaimResult]) -> dict[str, str]:
    """Return a letter for every sentence on what differs, in the order of their coming."""
    said = dict.fromkeys(d.said.text_en for result in results for d in result.differs)
    names = [*ascii_lowercase, *(f"{a}{b}" for a in ascii_lowercase for b in ascii_lowercase)]
    return dict(zip(said, names, strict=False))


def _row(result: ClaimResult, letters: Mapping[str, str]) -> list[str]:
    marks = " ".join(letters[d.said.text_en] for d in result.differs)
    return [STATUSES[result.status], result.claim.label, theirs(result.claim), marks]


def theirs(claim: Claim) -> str:
    """Return the published values in the unit of the first: '24.47x', '925.71 / 1944.82 FVD'."""
    if not claim.published:
        return "in words"
    unit = claim.published[0].unit
    values = " / ".join(f"{one.value:g}" for one in claim.published if one.unit == unit)
    return values + (unit if unit in {"", "x"} else f" {unit}")


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - columns(cell))


def _ours(result: ClaimResult, letters: Mapping[str, str]) -> list[str]:
    """Return our number of each test; then why nothing is said, where that is so."""
    parts = [_number(one) for one in result.results if one.figure.value is not None]
    parts += [f"beside: {_head_of(one.look, one)}" for one in result.beside]
    unmet = [letters[r.text_en] for r in result.reasons if r.text_en in letters]
    if unmet:
        parts.append(f"cannot be told where these differ: {' '.join(unmet)}")
    if result.status is not ClaimStatus.OPEN or not parts:
        parts += [r.text_en for r in result.reasons if r.text_en not in letters]
    return [line for part in parts for line in _wrapped(part)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 6, subsequent_indent="  ", break_on_hyphens=False)


def _number(one: TestResult) -> str:
    return f"{_head_of(one.test, one)}; asked: {line_text(one.test)}"


def _head_of(look: ClaimLook, one: TestResult | Beside) -> str:
    against = f" against {one.against}" if look.how is How.DIFFERENCE else ""
    said = f"{one.metric}, {one.arm}{against}: {value_text(look, one.figure)}"
    return f"{said}, n = {one.figure.n}"


def value_text(test: ClaimLook, found: Figure) -> str:
    """Return a number as a test reads it, with its interval: '10.7x [9.53,11.2]'."""
    if found.value is None:
        return MISSING
    write = signed if test.how is How.DIFFERENCE else figure
    unit = "x" if test.how in TIMES else ""
    if found.low is None or found.high is None:
        return f"{write(found.value)}{unit} {NO_INTERVAL}"
    return f"{write(found.value)}{unit} [{write(found.low)},{write(found.high)}]"


def line_text(test: ClaimTest) -> str:
    """Return the line or lines of a test: 'above 0', 'above 0.8 and below 1.25'."""
    ends = (("above", test.above), ("below", test.below))
    return " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)


def _legend(letters: Mapping[str, str]) -> list[str]:
    lines = []
    for said, letter in letters.items():
        lines += textwrap.wrap(f"{letter:<3}{said}", WIDTH - 2, subsequent_indent="   ")
    return [f"  {line}" for line in lines]


# --- where the speed comes from ------------------------------------------------------------------


def _splits(splits: Sequence[SpeedSplit]) -> list[str]:
    shown = [one for one in splits if one.arm.role is ArmRole.CANDIDATE and one.denoise.value]
    if not shown:
        return ["speed-up: not measured in this run"]
    header = ["arm", "denoising", "steps", "guidance", "rest", "prompt to file", "rest"]
    rows = [header, *(_split_row(one) for one in shown)]
    head = "speed-up = fewer steps x no guidance x the rest, of denoising and from prompt to file"
    return [head, *aligned(rows, WIDTH)]


def _split_row(one: SpeedSplit) -> list[str]:
    return [
        one.arm.name,
        _times(one.denoise),
        f"{one.steps:.3g}",
        f"{one.guidance:g}",
        _share(one.denoise_rest),
        _times(one.whole),
        _share(one.whole_rest),
    ]


def _times(found: Figure) -> str:
    if found.value is None:
        return MISSING
    if found.low is None or found.high is None:
        return f"{found.value:.1f}x {NO_INTERVAL}"
    return f"{found.value:.1f}x [{found.low:.1f},{found.high:.1f}]"


def _share(found: Figure) -> str:
    if found.value is None:
        return MISSING
    if found.low is None or found.high is None:
        return f"{found.value:.2f} {NO_INTERVAL}"
    return f"{found.value:.2f} [{found.low:.2f},{found.high:.2f}]"
