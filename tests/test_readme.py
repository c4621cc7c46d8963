"""The README shows what a run printed, and its commands exist."""

from __future__ import annotations

import json
import re
from pathlib import Path

import audit_page
import pytest

from poc import cli
from poc.records import Comparison, CriteriaFile, Decision, Estimate, Estimates
from poc.table import table

README = Path("README.md").read_text(encoding="utf-8")
DEMO = Path("reports/baselines/demo")


def between(name: str) -> str:
    found = re.search(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", README, re.DOTALL)
    assert found
    return found[1]


def test_the_table_is_the_one_that_follows_from_the_committed_run() -> None:
    printed = table(
        Estimates.from_json((DEMO / "estimates.json").read_text(encoding="utf-8")),
        Decision.from_json((DEMO / "decision.json").read_text(encoding="utf-8")),
        CriteriaFile.from_json((DEMO / "criteria.json").read_text(encoding="utf-8")),
    )

    arms = printed.partition("\ncontrasts: ")[0].strip()
    assert arms in between("demo-output")
    assert arms != printed.strip()


def test_why_it_was_decided_so_is_shown_as_the_decision_has_it() -> None:
    decision = Decision.from_json((DEMO / "decision.json").read_text(encoding="utf-8"))
    shown = " ".join(between("demo-output").split())

    for one in (*decision.reasons, *decision.conditions):
        assert one.text_en in shown


def test_the_decision_shown_is_the_decision_made() -> None:
    decision = Decision.from_json((DEMO / "decision.json").read_text(encoding="utf-8"))

    assert f"decision: {decision.decision}" in between("demo-output").splitlines()


def test_the_audit_is_summed_up_as_its_numbers_say() -> None:
    content = json.loads(Path("reports/baselines/audit/audit.json").read_text(encoding="utf-8"))

    assert between("audit").splitlines() == list(audit_page.summary(content))
    page = Path("reports/baselines/audit/audit.md").read_text(encoding="utf-8")
    assert page == audit_page.page(content)


def percent(one: Estimate) -> str:
    assert one.value is not None
    assert one.low is not None
    assert one.high is not None
    low, high = (round(100 * end) for end in (one.low, one.high))
    return f"{round(100 * one.value)}{{}} [{low}, {high}]"


def test_what_is_said_of_a_training_from_nothing_is_what_its_run_measured() -> None:
    """Points between settings, and the shares of clips that are all right, embedded ones too."""
    trained, embedded = (
        Estimates.from_json((DEMO.parent / name / "estimates.json").read_text(encoding="utf-8"))
        for name in ("trained", "evidence")
    )
    names = {arm.arm.id: arm.arm.name for arm in trained.arms}
    rest = README.partition("**Another training gives other numbers.**")[2]
    said = " ".join(rest.partition("\n- ")[0].split())
    for pair in trained.contrasts:
        (found,) = [one.estimate for one in pair.results if one.estimate.metric == "oracle_all"]
        assert re.search(rf"[ (]{re.escape(percent(found).format(''))}", said), names[
            pair.against_id
        ]
    for run in (trained, embedded):
        for arm in run.arms:
            if arm.arm.name in {"animatelcm-4", "animatelcm-pastel-4"}:
                (right,) = [
                    one
                    for one in arm.estimates
                    if (one.metric, one.comparison) == ("oracle_all", Comparison.VALUE)
                ]
                assert percent(right).format(" %") in said


def test_every_picture_and_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if not link.startswith("http")]

    assert local
    assert [link for link in local if not Path(link).exists()] == []


@pytest.mark.parametrize("command", re.findall(r"^\| `poc (\w+)", README, re.MULTILINE))
def test_every_command_that_is_named_has_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])

    assert ended.value.code == 0
    assert f"usage: poc {command}" in capsys.readouterr().out


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", Path("Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`?make ([a-z]+)`?$", README, re.MULTILINE)) <= targets


def share(estimates: Estimates, arm: str, metric: str) -> float:
    summary = next(s for s in estimates.arms if s.arm.name == arm)
    found = next(
        e for e in summary.estimates if e.metric == metric and e.comparison is Comparison.VALUE
    )
    assert found.value is not None
    return found.value


def test_what_more_prompts_say_of_the_demos_go_is_what_they_said() -> None:
    path = Path("reports/baselines/evidence/estimates.json")
    evidence = Estimates.from_json(path.read_text(encoding="utf-8"))
    few, teacher = (share(evidence, arm, "oracle_all") for arm in ("animatelcm-1", "teacher-25"))
    rival = next(s for s in evidence.arms if s.arm.name == "dpmpp-8")
    found = next(
        e
        for e in rival.estimates
        if (e.metric, e.comparison) == ("oracle_all", Comparison.DIFFERENCE)
    )
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    more, low, high = (f"{100 * one:.0f}" for one in (found.value, found.low, found.high))
    text = " ".join(README.split())

    assert f"{few:.0%} of its clips are all right".replace("%", " %") in text
    assert f"and {teacher:.0%} of the teacher's".replace("%", " %") in text
    assert f"{more} points more [{low}, {high}] over the evidence run's" in text


@pytest.mark.parametrize(
    ("attribute", "least"),
    [("colour", 0.8), ("background", 0.8), ("shape", 0.7), ("motion", 0.6)],
)
def test_the_committed_runs_teacher_follows_its_prompts(attribute: str, least: float) -> None:
    estimates = Estimates.from_json((DEMO / "estimates.json").read_text(encoding="utf-8"))

    assert share(estimates, "teacher-25", f"oracle_{attribute}") >= least


@pytest.mark.parametrize(
    ("name", "pair", "metric", "sign", "written"),
    [
        (
            "consistency",
            ("decoupled", "joint"),
            "oracle_all",
            -1,
            "{} [{}, {}] points more all right",
        ),
        (
            "motion-videos",
            ("videos-rough", "videos-clean"),
            "oracle_motion",
            1,
            "({} [{}, {}] points)",
        ),
    ],
)
def test_the_figures_of_the_ablations_are_those_of_the_committed_runs(
    name: str, pair: tuple[str, str], metric: str, sign: int, written: str
) -> None:
    path = Path("reports/baselines/ablations") / f"ablation-{name}.estimates.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    arms = {one["arm"]["id"]: one["arm"]["name"] for one in found["arms"]}
    (one,) = (
        result["estimate"]
        for contrast in found["contrasts"]
        if (arms[contrast["arm_id"]], arms[contrast["against_id"]]) == pair
        for result in contrast["results"]
        if result["estimate"]["metric"] == metric
    )
    value, *ends = (round(sign * 100 * one[key]) for key in ("value", "low", "high"))

    assert written.format(value, *sorted(ends)) in README
