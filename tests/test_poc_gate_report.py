"""The gate's files and its table: counted rightly, cut honestly, and obeyed by nobody."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import gate_runs as g
import pytest
import simulated_runs as sim

from poc.gate_records import (
    EXIT_CODES,
    GateCell,
    GateGroup,
    GateResult,
    GateStatus,
    NotJudged,
    RunName,
)
from poc.gate_report import MARKDOWN_BYTES, junit, markdown, shown, table, totals
from poc.gate_verdicts import overall

HOSTILE = (
    "\x1b[2Jred\x07 <script>alert(1)</script> | a `b` ![x](http://evil.example/p.png) @team #1 "
    "www.evil.example \u202egnp\u202c </testcase> ]]> &amp; \x00\ufffe **bold** a\nb"
)


def cell(status: GateStatus, name: str = "arm", reason: str = "because", n: int = 0) -> GateCell:
    return GateCell(
        arm_id=f"id{n}",
        arm=name,
        group=GateGroup.QUALITY,
        subject=f"metric {n}",
        status=status,
        reason="" if status is GateStatus.PASS else reason,
    )


def result(
    *cells: GateCell, folder: str = "head", reason: str = "nobody asked for it"
) -> GateResult:
    return GateResult(
        format_version=1,
        status=overall(cells),
        head=RunName(folder=folder, plan_digest="a", criteria_digest="b", commit="c"),
        base=RunName(folder="base", plan_digest="a", criteria_digest="b", commit="c"),
        limits="limits",
        limits_digest="d",
        alarm_rate=0.01,
        cells=cells,
        not_judged=(NotJudged(metric="fvd", reason=reason),),
        differences=("spec.seed: 1 -> 2",),
    )


EACH = result(*(cell(status, n=n) for n, status in enumerate(GateStatus)))


# --- the status of the whole ---------------------------------------------------------------------


@pytest.mark.parametrize("status", list(GateStatus))
def test_the_last_line_is_the_status_and_only_a_pass_exits_with_0(status: GateStatus) -> None:
    one = result(cell(GateStatus.PASS), cell(status))

    assert table(one).splitlines()[-1] == f"gate: {status}"
    assert (EXIT_CODES[status] == 0) is (status is GateStatus.PASS)


def test_the_worst_cell_is_the_whole_and_nothing_at_all_is_no_pass() -> None:
    assert EACH.status is GateStatus.REGRESSION
    assert overall([]) is GateStatus.INCOMPLETE
    assert totals(EACH).startswith("1 REGRESSION, 1 INCOMPLETE, 1 NOT_COMPARABLE")


def test_a_cell_that_does_not_pass_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        cell(GateStatus.INCONCLUSIVE, reason=" ")


# --- JUnit ---------------------------------------------------------------------------------------


def test_junit_counts_what_it_holds() -> None:
    suites = ET.fromstring(junit(EACH))  # noqa: S314  # our own file
    suite = suites.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")

    for one in (suites, suite):
        assert one.get("tests") == str(len(cases)) == "7"
        assert one.get("failures") == str(len(suite.findall("testcase/failure"))) == "1"
        assert one.get("errors") == str(len(suite.findall("testcase/error"))) == "4"
        assert one.get("skipped") == str(len(suite.findall("testcase/skipped"))) == "1"


def test_junit_has_no_silent_pass() -> None:
    suites = ET.fromstring(junit(EACH))  # noqa: S314  # our own file
    silent = [case for case in suites.iter("testcase") if not case.findall("*")[1:]]
    statuses = {
        found.get("value")
        for case in silent
        for found in case.iterfind("properties/property[@name='status']")
    }

    assert statuses == {str(GateStatus.PASS)}


def test_junit_of_no_cells_is_no_pass_of_the_gate() -> None:
    assert result().status is not GateStatus.PASS


# --- hostile text --------------------------------------------------------------------------------


def test_junit_shows_hostile_text_and_stays_xml() -> None:
    data = junit(result(cell(GateStatus.REGRESSION, HOSTILE, HOSTILE), reason=HOSTILE))
    case = next(ET.fromstring(data).iter("testcase"))  # noqa: S314  # our own file

    assert "<script>" in (case.get("classname") or "")
    assert "\x1b" not in data.decode()


def test_markdown_shows_hostile_text_as_text() -> None:
    bad = result(cell(GateStatus.REGRESSION, HOSTILE, HOSTILE), folder=HOSTILE, reason=HOSTILE)
    text = markdown(bad)
    row = next(line for line in text.splitlines() if "alert" in line and line.startswith("|"))

    assert not re.search(r"[<>`\[@*\x1b\u202e]", text.replace("**Cut", ""))
    assert not re.search(r"@\w|&#64;\w|&#35;\d|www\.|http:|&#58;//", text)
    assert row.count("|") == 9
    assert len([line for line in text.splitlines() if "alert" in line]) == 3


def test_the_table_shows_hostile_text_on_one_line_without_controls() -> None:
    lines = table(result(cell(GateStatus.REGRESSION, HOSTILE, HOSTILE), folder=HOSTILE))

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", lines)
    assert lines.splitlines()[-1] == "gate: REGRESSION"


def test_what_is_too_long_says_so() -> None:
    assert shown("a" * 500).endswith("…")
    assert len(shown("a" * 500)) == 400
    assert shown("a" * 400) == "a" * 400


# --- the limit of a summary ----------------------------------------------------------------------


def test_a_summary_stays_below_its_limit_and_says_what_is_left_out() -> None:
    cells = [cell(GateStatus.PASS, "\u753b" * 300, n=n) for n in range(3000)]
    cells.append(cell(GateStatus.REGRESSION, "the bad one", n=3000))
    text = markdown(result(*cells))
    rows = [line for line in text.splitlines() if line.startswith(("| PASS", "| REGRESSION"))]
    said = re.search(r"(\d+) of them cells", text)

    assert len(text.encode()) < MARKDOWN_BYTES
    assert "the bad one" in rows[0]
    assert said is not None
    assert int(said[1]) == len(cells) - len(rows) > 0


def test_a_short_summary_leaves_nothing_out() -> None:
    text = markdown(EACH)

    assert "Cut short" not in text
    assert "spec.seed" in text


def test_the_table_names_what_is_compared_with_what_limit() -> None:
    base = g.gate_run("base")
    text = table(g.check(g.gate_run("head"), base))

    assert sim.STUDENT in text
    assert re.search(
        r"PASS +flicker +0\.9\d+ -> 0\.9\d+ +\S+ \[\S+, \S+\], accepted >= -0\.005", text
    )
    assert Path("head").name in text


def test_the_promised_rate_is_said_and_not_rounded_to_nothing() -> None:
    found = result(cell(GateStatus.PASS)).model_copy(update={"alarm_rate": 0.005})

    assert "at most 0.5% report a REGRESSION" in table(found)
