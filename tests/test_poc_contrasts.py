"""Laws of contrasts: two arms with each other, paired, and what may be said of the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats
from simulated_runs import BASELINE, STUDENT, Run, arm, lose, noise, plan, run, teacher

from poc.contrasts import contrast_estimates, standing
from poc.estimate import evaluate
from poc.records import ClipStatus, Comparison, Contrast, Estimate, Standing
from poc.samples import ledger

CONTROL = "control-4"
ARMS = (teacher(), arm(STUDENT), arm(CONTROL))


def asked(**changes: Any) -> Contrast:
    fields: dict[str, Any] = {
        "arm": STUDENT,
        "against": CONTROL,
        "metrics": ("clip_score",),
        "question": "Is it worth anything?",
        "question_ja": "効果はあるか",
    }
    return Contrast(**(fields | changes))


def contrasted(prompts: int = 12, **changes: Any) -> Run:
    """A run in which the student gains about 0.5 on the control, whatever the prompt is worth."""
    values = {
        "clip_score": lambda a, p, _r: (
            30 + 5 * noise(p) + 0.3 * noise(a.id, p) + 0.5 * (a.id == STUDENT)
        ),
        "oracle_motion": lambda a, p, _r: float(noise(a.id, p) > -1 + (a.id == CONTROL)),
    }
    return run(plan(ARMS, prompts=prompts, contrasts=(asked(**changes),)), values)


def differences_of(result: Run) -> list[Estimate]:
    (found,) = result.evidence().estimates.contrasts
    return [one.estimate for one in found.results]


def values_of(result: Run, arm_id: str, metric: str) -> np.ndarray[Any, Any]:
    found: Mapping[str, float | None] = {
        m.clip_id or "": m.value
        for m in result.measurements
        if m.metric == metric and m.arm_id == arm_id
    }
    return np.array([value for _, value in sorted(found.items())], float)


def of_control(result: Run, count: int) -> set[str]:
    return {clip.id for clip in [c for c in result.clips() if c.arm_id == CONTROL][:count]}


def test_a_contrast_is_the_paired_t_interval_of_the_two_arms_where_prompts_are_few() -> None:
    result = contrasted()
    differences = values_of(result, STUDENT, "clip_score") - values_of(
        result, CONTROL, "clip_score"
    )
    expected = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    (one,) = differences_of(result)

    assert one.value == pytest.approx(differences.mean())
    assert (one.low, one.high) == pytest.approx((expected.low, expected.high))
    assert one.comparison is Comparison.DIFFERENCE


def test_a_contrast_turned_round_changes_its_sign() -> None:
    (one,) = differences_of(contrasted())
    (other,) = differences_of(contrasted(arm=CONTROL, against=STUDENT))

    assert other.value == pytest.approx(-(one.value or 0.0))


def test_a_contrast_with_the_baseline_equals_the_difference_to_it() -> None:
    result = contrasted(against=BASELINE, metrics=("clip_score", "oracle_motion"), prompts=40)
    estimates = result.evidence().estimates
    summary = next(s for s in estimates.arms if s.arm.id == STUDENT)
    differences = {e.metric: e for e in summary.estimates if e.comparison is Comparison.DIFFERENCE}

    for one in differences_of(result):
        expected = differences[one.metric]
        assert (one.value, one.method) == (expected.value, expected.method)
        assert (one.low, one.high) == pytest.approx((expected.low, expected.high), rel=0.05)


def test_lost_clips_leave_the_pairs_that_are_there_and_are_counted() -> None:
    result = contrasted(prompts=20)
    lose(result, of_control(result, 3), ClipStatus.FAILED)
    (one,) = differences_of(result)

    assert (one.n_clips, one.n_missing) == (17, 3)
    assert any("3 of 20 pairs lost" in note for note in one.notes)


def test_an_arm_without_any_clip_is_named_as_the_reason() -> None:
    result = contrasted()
    lose(result, of_control(result, 12), ClipStatus.FAILED)
    (one,) = differences_of(result)

    assert one.value is None
    assert CONTROL in one.reason


def test_metrics_come_in_the_order_asked_for_and_set_metrics_with_them() -> None:
    result = contrasted(metrics=("kvd", "clip_score"))
    kvd = difference("kvd", -1.0, -2.0, -0.5)
    estimates = evaluate(
        result.plan,
        result.generations,
        result.measurements,
        (),
        (),
        closed_reason=None,
        set_differences=[[kvd]],
    ).estimates

    found = [one.estimate for one in estimates.contrasts[0].results]
    assert [one.metric for one in found] == ["kvd", "clip_score"]
    assert found[0] == kvd


def test_set_differences_of_another_number_of_contrasts_are_refused() -> None:
    result = contrasted()
    book = ledger(result.plan, result.generations, result.measurements)

    with pytest.raises(ValueError, match="1 asked for, set differences of 2"):
        contrast_estimates(result.plan, book, [[], []], seed=0)


def test_a_metric_that_was_not_measured_has_a_reason_in_its_place() -> None:
    first, second = differences_of(contrasted(metrics=("kvd", "clip_score")))

    assert (first.metric, first.value, first.reason) == ("kvd", None, "not measured")
    assert second.value is not None


def test_the_wording_of_a_question_moves_no_interval() -> None:
    one, other = contrasted(prompts=30), contrasted(prompts=30, question="In other words, is it?")

    assert differences_of(one) == differences_of(other)


def difference(metric: str, value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(
        arm_id=STUDENT, metric=metric, comparison=Comparison.DIFFERENCE, value=value,
        low=low, high=high, level=0.95, method="by hand", n_clips=60, n_prompts=60,
        n_missing=0, reason="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "low", "high", "expected"),
    [
        ("clip_score", 0.1, 0.4, Standing.BETTER),
        ("clip_score", -0.4, -0.1, Standing.WORSE),
        ("clip_score", -0.1, 0.4, Standing.OPEN),
        ("clip_score", 0.0, 0.4, Standing.OPEN),
        ("clip_score", None, None, Standing.OPEN),
        ("kvd", -0.4, -0.1, Standing.BETTER),
        ("kvd", 0.1, 0.4, Standing.WORSE),
        ("motion_extent_px", 0.1, 0.4, Standing.DIFFERENT),
        ("motion_extent_px", -0.1, 0.4, Standing.OPEN),
        ("unheard_of", 0.1, 0.4, Standing.DIFFERENT),
    ],
)
def test_an_arm_is_better_only_where_the_whole_interval_says_so(
    metric: str, low: float | None, high: float | None, expected: Standing
) -> None:
    assert standing(difference(metric, 0.2, low, high)) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Standing.BETTER),
        ({"n_clips": 15, "n_prompts": 15}, Standing.BETTER),
        ({"n_clips": 14, "n_prompts": 14}, Standing.OPEN),
        ({"n_clips": 57, "n_missing": 3}, Standing.BETTER),
        ({"n_clips": 56, "n_missing": 4}, Standing.OPEN),
        ({"low": 0.2, "high": 0.2}, Standing.OPEN),
    ],
)
def test_a_difference_that_stands_on_too_little_shows_nothing(
    changes: dict[str, Any], expected: Standing
) -> None:
    one = difference("clip_score", 0.2, 0.1, 0.4).model_copy(update=changes)

    assert standing(one) is expected


def test_only_a_difference_has_a_standing() -> None:
    one = difference("kvd", 1.0, 0.5, 1.5).model_copy(update={"comparison": Comparison.RATIO})

    with pytest.raises(ValueError, match="expected a difference"):
        standing(one)
