"""Laws of laying a run's numbers beside a report: what is judged, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import simulated_runs as sim

from poc import cli
from poc.records import Comparison, Estimates
from poc.reproduction import Subject, reproduction

TEACHER, STUDENT = sim.teacher(), sim.arm(sim.STUDENT)


def score(arm: Any, prompt: int, _replicate: int) -> float:
    return (0.5 if arm.id == STUDENT.id else 0.4) + 0.05 * sim.noise(arm.id, prompt)


@pytest.fixture(scope="module")
def reported() -> Estimates:
    plan = sim.plan([TEACHER, STUDENT], prompts=20, latency=sim.LATENCY_SPEC)
    measured = sim.run(plan, {"clip_score": score})
    return sim.timed(measured, lambda _arm, number: 1 + 0.1 * (number % 3), rounds=12).evidence()[0]


def moved(estimates: Estimates, metric: str, by: float) -> Estimates:
    """Return estimates of which the student's values of a metric are others, by interval widths."""

    def one(found: Any) -> Any:
        if (found.arm_id, found.metric, found.comparison) != (
            STUDENT.id,
            metric,
            Comparison.VALUE,
        ):
            return found
        return found.model_copy(update={"value": found.value + by * (found.high - found.low)})

    arms = tuple(
        arm.model_copy(update={"estimates": tuple(map(one, arm.estimates))})
        for arm in estimates.arms
    )
    return estimates.model_copy(update={"arms": arms})


def test_a_report_reproduces_itself(reported: Estimates) -> None:
    found = reproduction(reported, reported)

    assert found.quality
    assert found.machine
    assert all(one.within and one.found == one.value for one in (*found.quality, *found.machine))
    assert found.outside == found.missing == ()


@pytest.mark.parametrize(("by", "outside"), [(0.3, 0), (1.1, 1), (-1.1, 1)])
def test_a_number_outside_of_the_interval_reported_is_named(
    reported: Estimates, by: float, outside: int
) -> None:
    found = reproduction(moved(reported, "clip_score", by), reported).outside

    asked = Subject(STUDENT.name, "", "", "clip_score", Comparison.VALUE)
    assert [one.subject for one in found] == [asked] * outside


def test_seconds_are_of_a_machine_and_not_judged(reported: Estimates) -> None:
    found = reproduction(moved(reported, "latency_p50_s", 5.0), reported)

    assert found.outside == ()
    assert [one.subject.metric for one in found.machine if not one.within] == ["latency_p50_s"]


def test_a_number_without_an_interval_is_counted_and_not_judged(reported: Estimates) -> None:
    cold = sum(
        one.value is not None and one.low is None for arm in reported.arms for one in arm.estimates
    )

    assert reproduction(reported, reported).bare == cold > 0


def test_arms_are_found_by_name_whatever_their_weights(reported: Estimates) -> None:
    def named(arm: Any) -> Any:
        other = f"other-{arm.arm.id}"
        own = tuple(one.model_copy(update={"arm_id": other}) for one in arm.estimates)
        return arm.model_copy(
            update={"arm": arm.arm.model_copy(update={"id": other}), "estimates": own}
        )

    trained_anew = reported.model_copy(update={"arms": tuple(map(named, reported.arms))})
    assert reproduction(trained_anew, reported).missing == ()


def asked_otherwise(estimates: Estimates, **changes: Any) -> Estimates:
    """Return estimates of which the student is declared otherwise, with the same numbers."""
    arms = tuple(
        one.model_copy(update={"arm": one.arm.model_copy(update=changes)})
        if one.arm.id == STUDENT.id
        else one
        for one in estimates.arms
    )
    return estimates.model_copy(update={"arms": arms})


def on_fewer_prompts(estimates: Estimates) -> Estimates:
    """Return estimates of which every number stands on one prompt less."""
    arms = tuple(
        arm.model_copy(
            update={
                "estimates": tuple(
                    one.model_copy(update={"n_prompts": one.n_prompts - 1}) for one in arm.estimates
                )
            }
        )
        for arm in estimates.arms
    )
    return estimates.model_copy(update={"arms": arms})


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        (lambda e: e, 0, "yes"),
        (lambda e: moved(e, "clip_score", 2.0), 1, "no"),
        (lambda e: e.model_copy(update={"arms": e.arms[:1]}), 3, "in part"),
        (lambda e: e.model_copy(update={"arms": ()}), 1, "no"),
        (lambda e: asked_otherwise(e, dtype="float16"), 3, "in part"),
        (lambda e: asked_otherwise(e, model_digests={"base": "9" * 64}), 0, "yes"),
        (on_fewer_prompts, 3, "in part"),
    ],
)
def test_the_exit_code_tells_what_came_of_it(
    reported: Estimates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    change: Any,
    code: int,
    word: str,
) -> None:
    (tmp_path / "estimates.json").write_text(reported.to_json(), "utf-8")
    monkeypatch.setattr("poc.run.derived_estimates", lambda _path: change(reported))

    assert cli.main(["reproduce", "run", str(tmp_path)]) == code
    assert capsys.readouterr().out.splitlines()[-1] == f"reproduced: {word}"
    assert cli.main(["reproduce", "run", str(tmp_path / "estimates.json"), "--json"]) == code
    assert json.loads(capsys.readouterr().out)["reproduced"] == word


def test_a_report_that_says_nothing_of_quality_is_not_reproduced(
    reported: Estimates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = reported.model_copy(update={"arms": (), "contrasts": ()})
    (tmp_path / "estimates.json").write_text(empty.to_json(), "utf-8")
    monkeypatch.setattr("poc.run.derived_estimates", lambda _path: reported)

    assert cli.main(["reproduce", "run", str(tmp_path)]) == 1


@pytest.mark.parametrize("text", ["", "[]", '{"format_version": 2}'])
def test_what_is_no_report_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "estimates.json").write_text(text, "utf-8")

    assert cli.main(["reproduce", "run", str(tmp_path)]) == 2
    assert "expected the estimates of a run" in capsys.readouterr().err


@pytest.mark.parametrize("reported_as", [".", "estimates.json"])
def test_a_run_is_not_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reported_as: str
) -> None:
    assert cli.main(["reproduce", str(tmp_path), str(tmp_path / reported_as)]) == 2
    assert "got the run itself" in capsys.readouterr().err
