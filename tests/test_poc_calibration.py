"""Seconds of a plan from clips that a machine timed: medians, and nothing that does not compare."""

from __future__ import annotations

from pathlib import Path

import pytest
from planning_fixture import SPEC, changed, plan_of, write_spec

from poc.calibration import calibrated
from poc.errors import InputError
from poc.plan import describe, summary
from poc.plan_budget import propose
from poc.records import LatencySample, Plan


def sample(plan: Plan, arm: int, number: int, denoise_s: float, besides_s: float) -> LatencySample:
    return LatencySample(
        arm_id=plan.arms[arm].id,
        prompt_id=plan.prompts[0].id,
        round=number,
        text_s=besides_s / 2,
        denoise_s=denoise_s,
        decode_s=besides_s / 4,
        encode_s=besides_s / 4,
        total_s=denoise_s + besides_s,
        peak_memory_bytes=1,
        device="a machine",
    )


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(write_spec(tmp_path))


def test_seconds_are_medians_over_warm_clips(plan: Plan) -> None:
    """Arms of 50, 8 and 2 evaluations at 2, 3 and 4 s each; the cold call does not count."""
    clips = [
        sample(plan, 0, -1, 9000.0, 900.0),
        sample(plan, 0, 0, 50 * 2.0, 1.0),
        sample(plan, 1, 0, 8 * 3.0, 4.0),
        sample(plan, 2, 0, 2 * 4.0, 8.0),
    ]
    found = calibrated(plan, plan, clips, source="runs/one")

    assert (found.seconds_per_nfe, found.seconds_per_clip) == (3.0, 4.0)
    assert found.source == "3 timed clips of runs/one on a machine"
    # 60 evaluations and 3 clips for each of 3 prompts x 2 replicates and 8 timed calls
    assert summary(plan, found).seconds_low == (60 * 3.0 + 3 * 4.0) * (3 * 2 + 8)
    assert propose(plan, 1e9, found).seconds == summary(plan, found).seconds_high
    assert "calibrated by 3 timed clips of runs/one" in describe(plan, found)


def test_a_run_without_a_warm_clip_is_refused(plan: Plan) -> None:
    with pytest.raises(InputError, match="no clip was timed"):
        calibrated(plan, plan, [sample(plan, 0, -1, 1.0, 1.0)], source="runs/one")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dtype: float32", "dtype: float16", "expected clips of dtype float32"),
        ("fps: 8", "fps: 16", "expected clips of shape"),
    ],
)
def test_a_run_of_other_clips_is_refused(
    plan: Plan, tmp_path: Path, old: str, new: str, message: str
) -> None:
    start, end = SPEC.index("metrics:"), SPEC.index("latency:")
    text = SPEC[:start] + "metrics: [clip_score]\nreferences: []\n" + SPEC[end:]
    other = plan_of(write_spec(tmp_path, changed(text, old, new)))

    with pytest.raises(InputError, match=message):
        calibrated(plan, other, [sample(other, 0, 0, 1.0, 1.0)], source="runs/one")


def test_a_family_that_was_not_timed_is_refused(plan: Plan) -> None:
    arms = tuple(arm.model_copy(update={"family": "wan"}) for arm in plan.arms)
    wan = plan.model_copy(update={"arms": arms})

    with pytest.raises(InputError, match="no arm of family wan was timed"):
        calibrated(wan, plan, [sample(plan, 0, 0, 1.0, 1.0)], source="runs/one")


def test_seconds_of_one_base_are_not_given_to_another(plan: Plan) -> None:
    other = plan.arms[1].model_copy(update={"base": "a-larger-base"})
    mixed = plan.model_copy(update={"arms": (plan.arms[0], other, *plan.arms[2:])})

    for asked, timed in ((mixed, plan), (plan, mixed)):
        with pytest.raises(InputError, match="a-larger-base"):
            calibrated(asked, timed, [sample(plan, 0, 0, 1.0, 1.0)], source="runs/one")
