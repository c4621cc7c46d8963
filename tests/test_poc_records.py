"""Laws of the records: strict decoding, ids from content, no record that contradicts itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from poc.records import (
    Arm,
    ClipResult,
    ClipShape,
    Counts,
    CriteriaFile,
    Criterion,
    LoraUse,
    Measurement,
    arm_id,
    canonical_json,
    clip_seed,
    digest,
)

ARM: dict[str, Any] = {
    "id": "0" * 16,
    "name": "a",
    "family": "animatediff",
    "base": "b",
    "motion_adapter": "m",
    "scheduler": "ddim",
    "steps": 4,
    "guidance": 4.0,
    "negative_prompt": "",
    "loras": [{"model": "l", "scale": 1.0}, {"model": "s", "scale": 0.5}],
    "style": None,
    "dtype": "float32",
    "shape": {"num_frames": 16, "height": 64, "width": 64, "fps": 8},
    "batch_size": 4,
    "model_digests": {"b": "1" * 64, "m": "2" * 64},
}

CHANGES: dict[str, Any] = {
    "family": "other",
    "base": "b2",
    "motion_adapter": "m2",
    "scheduler": "lcm",
    "steps": 5,
    "guidance": 4.5,
    "negative_prompt": "blurry",
    "loras": [{"model": "s", "scale": 0.5}, {"model": "l", "scale": 1.0}],
    "style": "pastel",
    "dtype": "float16",
    "shape": {"num_frames": 16, "height": 64, "width": 72, "fps": 8},
    "batch_size": 2,
    "vae": "v",
    "beta_schedule": "linear",
    "weights": "random",
    "delivery_digest": "4" * 64,
    "flow_shift": 3.0,
    "timesteps": [1000.0, 500.0],
    "fast": {"channels_last": True},
    "model_digests": {"b": "1" * 64, "m": "3" * 64},
}

CRITERION: dict[str, Any] = {
    "name": "c",
    "metric": "m",
    "comparison": "difference",
    "direction": "higher",
    "target": -0.05,
    "minimum": -0.15,
    "weight": "must",
    "applies_to": "all",
    "reason": "a reason of some length",
    "reason_ja": "十分な長さの理由",
}


def as_arm(**changes: object) -> Arm:
    return Arm.from_json(json.dumps(ARM | changes))


def as_criterion(**changes: object) -> Criterion:
    return Criterion.from_json(json.dumps(CRITERION | changes))


def test_a_record_survives_its_own_json_text() -> None:
    arm = as_arm()

    assert Arm.from_json(arm.to_json()) == arm


def test_canonical_json_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": 2}) == canonical_json({"a": 2, "b": 1})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_has_no_json_text(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(value)


def test_equal_content_has_equal_digests_and_other_content_another() -> None:
    assert as_arm().content_digest() == as_arm().content_digest() == digest(ARM)
    assert as_arm(steps=5).content_digest() != as_arm().content_digest()


@pytest.mark.parametrize("text", ['"4"', "4.5", "true", "null"])
def test_steps_that_are_not_a_whole_number_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Arm.from_json(json.dumps(ARM).replace('"steps": 4', f'"steps": {text}'))


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        as_arm(stepz=4)


def test_nan_is_refused_where_a_number_is_expected() -> None:
    with pytest.raises(ValidationError, match="finite"):
        LoraUse.from_json('{"model": "l", "scale": NaN}')


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        as_arm().steps = 5


@pytest.mark.parametrize(("guidance", "nfe"), [(1.0, 4), (1.5, 8), (7.5, 8)])
def test_guidance_above_one_doubles_the_network_evaluations(guidance: float, nfe: int) -> None:
    assert as_arm(guidance=guidance).nfe == nfe


@pytest.mark.parametrize("field", CHANGES)
def test_each_field_that_can_change_frames_changes_the_arm_id(field: str) -> None:
    assert arm_id(ARM | {field: CHANGES[field]}) != arm_id(ARM)


def test_the_fields_that_change_the_arm_id_are_all_but_id_name_and_role() -> None:
    assert set(CHANGES) == set(Arm.model_fields) - {"id", "name", "role"}


@pytest.mark.parametrize("field", ["id", "name", "role"])
def test_what_an_arm_is_called_or_is_for_does_not_change_its_id(field: str) -> None:
    assert arm_id(ARM | {field: "x"}) == arm_id(ARM)


def test_a_candidate_has_the_text_that_arms_had_before_roles() -> None:
    assert "role" not in json.loads(as_arm().to_json())
    assert json.loads(as_arm(role="control").to_json())["role"] == "control"


def test_seeds_differ_by_prompt_replicate_and_base_seed_and_fit_63_bits() -> None:
    seeds = {clip_seed(base, text, n) for base in (1, 2) for text in "ab" for n in (0, 1)}

    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("status", "reason", "frames"),
    [("ok", "why", "f"), ("failed", "", None), ("ok", "", None), ("invalid", "", "f")],
)
def test_a_clip_result_that_contradicts_itself_is_refused(
    status: str, reason: str, frames: str | None
) -> None:
    text = {"clip_id": "c", "status": status, "reason": reason, "frames_digest": frames}

    with pytest.raises(ValidationError):
        ClipResult.from_json(json.dumps(text))


@pytest.mark.parametrize(
    ("status", "reason", "frames"),
    [("ok", "", "f"), ("failed", "oom", None), ("invalid", "x", "f")],
)
def test_a_clip_result_that_agrees_with_itself_is_accepted(
    status: str, reason: str, frames: str | None
) -> None:
    text = {"clip_id": "c", "status": status, "reason": reason, "frames_digest": frames}

    assert ClipResult.from_json(json.dumps(text)).reason == reason


@pytest.mark.parametrize(
    ("status", "value", "reason", "fits"),
    [
        ("ok", 0.0, "", True),
        ("missing", None, "the clip failed", True),
        ("ok", None, "", False),
        ("missing", 0.0, "the clip failed", False),
        ("missing", None, "", False),
        ("ok", 1.0, "why", False),
    ],
)
def test_a_value_belongs_to_status_ok_and_a_reason_to_every_other(
    status: str, value: float | None, reason: str, fits: bool
) -> None:
    text = json.dumps(
        {
            "metric": "m",
            "version": 1,
            "arm_id": "a",
            "clip_id": "c",
            "value": value,
            "status": status,
            "reason": reason,
            "extractor": None,
        }
    )
    if fits:
        assert Measurement.from_json(text).value == value
    else:
        with pytest.raises(ValidationError):
            Measurement.from_json(text)


def test_counts_that_do_not_sum_to_what_was_planned_are_refused() -> None:
    assert Counts(planned=10, ok=5, failed=2, invalid=1, pending=2).planned == 10
    with pytest.raises(ValidationError, match="planned must equal"):
        Counts(planned=10, ok=5, failed=2, invalid=1, pending=1)


@pytest.mark.parametrize(
    ("direction", "target", "minimum", "centre", "fits"),
    [
        ("higher", 0.9, 0.8, None, True),
        ("higher", 0.8, 0.9, None, False),
        ("lower", 0.2, 0.3, None, True),
        ("lower", 0.3, 0.2, None, False),
        ("window", 0.2, 0.4, 1.0, True),
        ("window", 0.4, 0.2, 1.0, False),
        ("window", 0.2, 0.4, None, False),
        ("higher", 0.9, 0.8, 1.0, False),
    ],
)
def test_a_target_is_at_least_as_hard_as_the_minimum(
    direction: str, target: float, minimum: float, centre: float | None, fits: bool
) -> None:
    changes = {"direction": direction, "target": target, "minimum": minimum, "centre": centre}
    if fits:
        assert as_criterion(**changes).target == target
    else:
        with pytest.raises(ValidationError):
            as_criterion(**changes)


def test_a_criteria_file_without_criteria_is_refused() -> None:
    head = {"name": "n", "version": 1, "purpose": "p", "purpose_ja": "p", "written": "2026-11-23"}
    text = {**head, "author": "a"}

    assert CriteriaFile.from_json(json.dumps({**text, "criteria": [CRITERION]})).version == 1
    with pytest.raises(ValidationError, match="too_short"):
        CriteriaFile.from_json(json.dumps({**text, "criteria": []}))


def test_a_clip_has_at_least_two_frames() -> None:
    assert ClipShape(num_frames=2, height=64, width=64, fps=8).num_frames == 2
    with pytest.raises(ValidationError):
        ClipShape(num_frames=1, height=64, width=64, fps=8)
