"""Slices: estimates of part of the prompts, and criteria that the worst slice must meet."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planning_fixture import SPEC
from scipy import stats
from simulated_runs import BASELINE, STUDENT, Run, arm, criterion, noise, plan, run, teacher

from poc.decide import decide
from poc.errors import InputError
from poc.foresight import Pilot, foresee
from poc.gate_limits import DEFAULT_LIMITS, read_limits
from poc.records import (
    Arm,
    Batch,
    Comparison,
    CriteriaFile,
    Criterion,
    CriterionResult,
    Decision,
    Estimate,
    Light,
    Plan,
    Prompt,
    SliceEstimates,
    SliceSpec,
    Verdict,
)
from poc.samples import ledger
from poc.slices import slice_evidence
from poc.slicing import check_slices
from poc.spec import check_criteria, read_spec
from poc.table import table
from poc.verdicts import verdict

ARMS = (teacher(), arm(STUDENT))
DARK_EVERY = 3
"""Every third prompt is dark."""
EACH = criterion(each="light")


def is_dark(prompt: int) -> bool:
    return prompt % DARK_EVERY == 0


def lit(a_plan: Plan) -> Plan:
    """Return a plan whose prompts are dark or bright."""
    prompts = tuple(
        one.model_copy(update={"attributes": {"light": "dark" if is_dark(n) else "bright"}})
        for n, one in enumerate(a_plan.prompts)
    )
    return a_plan.model_copy(update={"prompts": prompts})


def sliced(*criteria: Criterion, dark: float = 0.0, bright: float = 0.0, prompts: int = 60) -> Run:
    """A run in which the student differs from the teacher by so much in each light."""

    def score(one: Arm, prompt: int, _replicate: int) -> float:
        change = (dark if is_dark(prompt) else bright) if one.id == STUDENT else 0.0
        return 1.0 + 0.3 * noise(prompt) + 0.01 * noise(one.id, prompt) + change

    asked = criteria or (EACH,)
    a_plan = plan(
        ARMS,
        prompts=prompts,
        criteria=CriteriaFile(
            name="slices",
            version=1,
            purpose="tests",
            purpose_ja="テスト",
            written="2026-11-29",
            author="the tests",
            criteria=asked,
        ),
        slices=SliceSpec(by=("light",), metrics=("clip_score",)),
    )
    return run(lit(a_plan), {"clip_score": score, "oracle_all": lambda *_: 1.0})


def decided(result: Run) -> Decision:
    estimates, draws = result.evidence()
    return decide(result.plan, estimates, result.plan.criteria, draws)


def of_student(decision: Decision) -> CriterionResult:
    (found,) = next(one.results for one in decision.arms if one.arm_id == STUDENT)
    return found


def slice_of(result: Run, value: str) -> SliceEstimates:
    return next(one for one in result.evidence().estimates.slices if one.value == value)


def difference(part: SliceEstimates) -> Estimate:
    wanted = (STUDENT, "clip_score", Comparison.DIFFERENCE)
    return next(e for e in part.estimates if (e.arm_id, e.metric, e.comparison) == wanted)


def values(result: Run, arm_id: str, *, dark: bool) -> np.ndarray[Any, Any]:
    found = [
        m.value
        for m in result.measurements
        if (m.arm_id, m.metric) == (arm_id, "clip_score")
        and is_dark(int((m.clip_id or "").split("/")[1][1:])) is dark
    ]
    return np.array(found, float)


# --- estimates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [True, False])
def test_a_slice_is_the_paired_mean_over_its_own_prompts(dark: bool) -> None:
    result = sliced(dark=-0.5, bright=0.2)
    gains = values(result, STUDENT, dark=dark) - values(result, BASELINE, dark=dark)

    found = difference(slice_of(result, "dark" if dark else "bright"))

    assert found.value == pytest.approx(gains.mean(), abs=1e-9)
    assert (found.n_clips, found.n_prompts) == (len(gains), len(gains))


def test_a_thin_slice_has_the_interval_of_a_paired_t_test() -> None:
    result = sliced(dark=-0.5, prompts=30)
    gains = values(result, STUDENT, dark=True) - values(result, BASELINE, dark=True)
    expected = stats.ttest_1samp(gains, 0.0).confidence_interval(0.95)

    found = difference(slice_of(result, "dark"))

    assert found.n_prompts == 10
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_slices_hold_only_the_metrics_asked_for() -> None:
    metrics = {one.metric for one in slice_of(sliced(), "dark").estimates}

    assert metrics == {"clip_score"}


def test_a_spec_without_slices_keeps_its_digest_and_has_none() -> None:
    result = run(plan(ARMS, prompts=20), {"clip_score": lambda *_: 1.0})

    assert "slices" not in result.plan.spec.model_dump(mode="json")
    assert result.evidence().estimates.slices == ()


# --- verdicts ------------------------------------------------------------------------------------


def test_a_loss_in_one_slice_fails_although_the_mean_passes() -> None:
    whole = decided(sliced(criterion(), dark=-0.2, bright=0.1))
    each = decided(sliced(EACH, dark=-0.2, bright=0.1))

    assert of_student(whole).verdict is Verdict.PASS
    assert (of_student(each).verdict, of_student(each).slice) == (Verdict.FAIL, "dark")


def test_all_slices_good_is_a_pass_that_names_the_worst() -> None:
    found = of_student(decided(sliced(EACH, dark=0.0, bright=0.1)))

    assert (found.verdict, found.slice) == (Verdict.PASS, "dark")


def test_a_slice_that_cannot_be_told_leaves_the_arm_open() -> None:
    decision = decided(sliced(EACH, dark=-0.1, bright=0.1))

    assert of_student(decision).verdict is Verdict.INCONCLUSIVE
    assert next(a for a in decision.arms if a.arm_id == STUDENT).technical is (
        Light.INSUFFICIENT_EVIDENCE
    )


def test_a_chance_of_one_in_five_is_shared_among_the_slices() -> None:
    """At the minimum itself a slice fails by chance in 1 of 5; two may not do so in 2 of 5."""
    assert verdict(0.15, 0.0) is Verdict.FAIL
    assert verdict(0.15, 0.0, among=2) is Verdict.INCONCLUSIVE
    assert verdict(0.09, 0.0, among=2) is Verdict.FAIL


def test_the_next_measurement_counts_prompts_of_all_slices_for_one_of_the_slice() -> None:
    asked = criterion(target=-0.004, minimum=-0.005, each="light")
    result = sliced(asked, dark=0.0, bright=1.0)
    gains = values(result, STUDENT, dark=True) - values(result, BASELINE, dark=True)
    error, room = gains.std(ddof=1) / math.sqrt(len(gains)), gains.mean() + 0.005
    wanted = len(gains) * ((stats.norm.ppf(0.95) * error / room) ** 2 - 1)

    found = decided(result).next_measurement

    assert gains.mean() > -0.004
    assert found is not None
    (count,) = re.findall(r"About (\d+) more prompts", found.text_en)
    assert int(count) == pytest.approx(DARK_EVERY * wanted, rel=0.25)


def test_the_table_says_where_a_candidate_is_worst() -> None:
    result = sliced(dark=-0.2, bright=0.1)
    estimates = result.evidence().estimates

    text = table(estimates, decided(result), result.plan.criteria)

    line = next(one for one in text.splitlines() if "light dark" in one and "n = " in one)
    assert line.split()[:2] == [STUDENT, "clip_score"]
    assert "n = 20" in line


# --- planning ------------------------------------------------------------------------------------


def test_a_must_in_each_slice_is_foreseen_for_each_with_its_own_prompts() -> None:
    result = sliced(criterion(target=-0.001, minimum=-0.004, each="light"), prompts=90)
    pilot = Pilot.of(
        "pilot", result.plan, result.generations, result.measurements, result.latencies
    )
    gains = np.concatenate(
        [
            values(result, STUDENT, dark=dark) - values(result, BASELINE, dark=dark)
            for dark in (True, False)
        ]
    )
    found = foresee(result.plan, read_limits(DEFAULT_LIMITS), pilot)
    chances = {one.criterion: one.chance for one in found.musts}

    # An arm as good as the baseline passes where its interval's 5 % end lies above the minimum and
    # its mean above the target.
    for value, n in (("bright", 60), ("dark", 30)):
        error = gains.std(ddof=1) / math.sqrt(n)
        needed = max(-0.004 + stats.norm.ppf(0.95) * error, -0.001)
        expected = stats.norm.sf(needed / error)
        assert chances[f"quality, light {value}"] == pytest.approx(expected, abs=0.02)


# --- refusals ------------------------------------------------------------------------------------


def prompt(text: str, **attributes: str) -> Prompt:
    return Prompt(id=text, text=text, language="en", text_ja="文", attributes=attributes)


ASKED = SliceSpec(by=("light",), metrics=("clip_score",))


def test_a_prompt_without_the_factor_is_refused_by_name() -> None:
    prompts = [prompt("a", light="dark"), prompt("b", lights="dark")]

    with pytest.raises(InputError, match=r"1 of 2 prompts have no attribute 'light'.*'lights'"):
        check_slices(ASKED, prompts, "spec 'x'")


def test_a_factor_that_does_not_divide_the_prompts_is_refused() -> None:
    same = [prompt(name, light="dark") for name in "abcd"]
    single = [*same, prompt("e", light="bright")]

    for prompts in (same, single):
        with pytest.raises(InputError, match="at least two parts"):
            check_slices(ASKED, prompts, "spec 'x'")
    check_slices(ASKED, [*single, prompt("f", light="bright")], "spec 'x'")


@pytest.mark.parametrize(
    ("slices", "said"),
    [
        ("{by: [light], metrics: [fvd]}", "too few"),
        ("{by: [light], metrics: [clip_scor]}", "did you mean 'clip_score'"),
        ("{by: [light, light], metrics: [clip_score]}", "twice"),
    ],
)
def test_slices_that_cannot_be_estimated_are_refused_with_their_line(
    tmp_path: Path, slices: str, said: str
) -> None:
    (tmp_path / "criteria.yaml").write_text("")
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC + f"slices: {slices}\n")

    with pytest.raises(InputError, match=f"(?i){said}") as refused:
        read_spec(spec)
    assert str(len(spec.read_text().splitlines())) in str(refused.value)


def test_criteria_for_each_slice_need_a_spec_that_has_them() -> None:
    without = plan(ARMS, prompts=4).spec
    asked = sliced().plan.criteria

    with pytest.raises(InputError, match="asked of each 'light'"):
        check_criteria(without, asked)
    check_criteria(sliced().plan.spec, asked)


def test_only_planned_clips_count_as_missing_in_a_slice() -> None:
    """Where one arm has more takes than another has replicates, the others lack none."""
    result = sliced(prompts=30)
    extra = [
        clip.model_copy(update={"id": f"{clip.id}-again", "replicate": 1})
        for clip in result.clips()
        if clip.arm_id == BASELINE
    ]
    batches = [
        Batch(id=f"b-{clip.id}", arm_id=clip.arm_id, block=900 + n, clips=(clip,))
        for n, clip in enumerate(extra)
    ]
    a_plan = result.plan.model_copy(update={"batches": (*result.plan.batches, *batches)})
    book = ledger(a_plan, result.generations, result.measurements)

    (dark,) = [
        one.estimates
        for one in slice_evidence(a_plan, book, seed=1)
        if one.estimates.value == "dark"
    ]
    own = [one for one in dark.estimates if one.arm_id == STUDENT]
    assert {(one.n_clips, one.n_missing) for one in own} == {(10, 0)}
