"""Laws of the plan: complete, balanced, paired, and the same whenever it is made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from planning_fixture import ARM, SPEC, changed, pinned_models, plan_of, write_spec

from poc.datasets import read_prompts
from poc.errors import InputError
from poc.models import ModelTable
from poc.plan import Calibration, complete_blocks, describe, make_plan, summary
from poc.records import Plan, Prompt, clip_seed
from poc.spec import read_criteria, read_spec

SPECS = Path(__file__).parent.parent / "poc" / "specs"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """3 prompts x 2 replicates x 3 arms, in batches of 2."""
    return plan_of(write_spec(tmp_path_factory.mktemp("plan")))


@pytest.fixture(scope="module")
def tiny() -> Plan:
    return plan_of(SPECS / "tiny.yaml")


def other(folder: Path, old: str, new: str) -> Plan:
    return plan_of(write_spec(folder, changed(SPEC, old, new)))


# --- identity ------------------------------------------------------------------------------------


def test_the_same_input_gives_the_same_plan_to_the_byte(plan: Plan, tmp_path: Path) -> None:
    assert plan_of(write_spec(tmp_path)).to_json() == plan.to_json()


def test_a_plan_survives_its_own_json_text(plan: Plan) -> None:
    assert Plan.from_json(plan.to_json()) == plan


def test_no_two_arms_batches_or_clips_share_an_id(tiny: Plan) -> None:
    clips = [clip.id for batch in tiny.batches for clip in batch.clips]

    assert len(set(clips)) == len(clips) == 64 * 15
    assert len({batch.id for batch in tiny.batches}) == len(tiny.batches)
    assert len({arm.id for arm in tiny.arms}) == 15


def test_renaming_an_arm_changes_no_clip(plan: Plan, tmp_path: Path) -> None:
    renamed = other(tmp_path, "- name: fast", "- name: quick")

    assert [batch.id for batch in renamed.batches] == [batch.id for batch in plan.batches]


def test_other_weights_are_another_arm(plan: Plan, tmp_path: Path) -> None:
    table = pinned_models()
    base = replace(table.models["tiny-base"], files={"a.json": "f" * 64})
    changed_table = ModelTable(table.path, {**table.models, "tiny-base": base})
    ids = {arm.id for arm in plan_of(write_spec(tmp_path), changed_table).arms}

    assert ids.isdisjoint(arm.id for arm in plan.arms)


def test_weights_that_no_arm_uses_change_nothing(plan: Plan, tmp_path: Path) -> None:
    table = pinned_models()
    lora = replace(table.models["tiny-lcm-lora"], files={"a.json": "f" * 64})
    changed_table = ModelTable(table.path, {**table.models, "tiny-lcm-lora": lora})

    assert plan_of(write_spec(tmp_path), changed_table).to_json() == plan.to_json()


@pytest.mark.parametrize(
    ("old", "new"),
    [("seed: 7", "seed: 8"), ("replicates: 2", "replicates: 1"), ("prompts: 3", "prompts: 4")],
)
def test_sampling_is_no_part_of_an_arm(plan: Plan, tmp_path: Path, old: str, new: str) -> None:
    assert [arm.id for arm in other(tmp_path, old, new).arms] == [arm.id for arm in plan.arms]


@pytest.mark.parametrize(
    ("old", "new"), [("batch_size: 2", "batch_size: 3"), ("dtype: float32", "dtype: float16")]
)
def test_what_can_change_frames_is_part_of_every_arm(
    plan: Plan, tmp_path: Path, old: str, new: str
) -> None:
    ids = {arm.id for arm in other(tmp_path, old, new).arms}

    assert ids.isdisjoint(arm.id for arm in plan.arms)


# --- seeds and blocks ----------------------------------------------------------------------------


def test_seeds_are_shared_by_all_arms_and_by_nothing_else(plan: Plan) -> None:
    texts = {prompt.id: prompt.text for prompt in plan.prompts}
    for batch in plan.batches:
        for clip in batch.clips:
            assert clip.seed == clip_seed(7, texts[clip.prompt_id], clip.replicate)
    seeds = Counter(clip.seed for batch in plan.batches for clip in batch.clips)

    assert len(seeds) == 3 * 2
    assert set(seeds.values()) == {3}


def test_every_block_holds_every_arm_with_the_same_clips(plan: Plan) -> None:
    for block in range(3):
        batches = [batch for batch in plan.batches if batch.block == block]
        made = {tuple((clip.prompt_id, clip.replicate) for clip in b.clips) for b in batches}

        assert [batch.arm_id for batch in batches] == [arm.id for arm in plan.arms]
        assert len(made) == 1


def test_every_prompt_comes_once_before_any_comes_twice(plan: Plan) -> None:
    first = [batch for batch in plan.batches if batch.arm_id == plan.baseline_id]
    replicates = [clip.replicate for batch in first for clip in batch.clips]

    assert replicates == [0, 0, 0, 1, 1, 1]


def test_a_batch_holds_clips_of_its_arm_alone(plan: Plan) -> None:
    assert all(clip.arm_id == batch.arm_id for batch in plan.batches for clip in batch.clips)


def test_a_last_batch_may_be_smaller(tmp_path: Path) -> None:
    sizes = [
        len(batch.clips) for batch in other(tmp_path, "batch_size: 2", "batch_size: 4").batches
    ]

    assert sizes == [4, 4, 4, 2, 2, 2]


def test_a_block_is_complete_when_every_arm_is_done(plan: Plan) -> None:
    ids = [batch.id for batch in plan.batches]

    assert complete_blocks(plan, ids) == (0, 1, 2)
    assert complete_blocks(plan, ids[:3]) == (0,)
    assert complete_blocks(plan, ids[1:]) == (1, 2)
    assert complete_blocks(plan, ids[:2]) == ()
    assert complete_blocks(plan, []) == ()


# --- refusals ------------------------------------------------------------------------------------


def test_two_names_for_one_configuration_are_refused(tmp_path: Path) -> None:
    text = SPEC + ARM.format(name="same", steps="2", guidance="1.0")
    with pytest.raises(InputError, match="arms 'fast' and 'same' are one configuration"):
        plan_of(write_spec(tmp_path, text))


def test_a_model_without_digests_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    table = pinned_models()
    bare = {key: replace(model, files={}) for key, model in table.models.items()}
    with pytest.raises(InputError, match="expected digests of the files of model 'tiny-base'"):
        plan_of(write_spec(tmp_path), ModelTable(table.path, bare))


def make(folder: Path, prompts: tuple[Prompt, ...]) -> Plan:
    path, models = write_spec(folder), pinned_models()
    criteria = read_criteria(folder / "criteria.yaml")
    return make_plan(read_spec(path, models), criteria, prompts, models)


def test_a_word_unknown_to_the_model_is_refused(tmp_path: Path) -> None:
    a, b, c = read_prompts("tiny-world-unseen", 3)
    odd = c.model_copy(update={"text": "a purple circle on a navy background"})

    assert make(tmp_path, (a, b, c)).prompts == (a, b, c)
    with pytest.raises(InputError, match=r"model 'tiny-base' cannot read: .*'purple'"):
        make(tmp_path, (a, b, odd))


def test_a_prompt_given_twice_or_missing_is_refused(tmp_path: Path) -> None:
    a, b, _ = read_prompts("tiny-world-unseen", 3)
    with pytest.raises(InputError, match=r"expected 3 distinct prompts .*, got 3, 2 of them"):
        make(tmp_path, (a, b, b))
    with pytest.raises(InputError, match=r"expected 3 distinct prompts .*, got 2, 2 of them"):
        make(tmp_path, (a, b))


# --- what it costs -------------------------------------------------------------------------------


def test_the_default_sweep_takes_123_evaluations_a_prompt(tiny: Plan) -> None:
    found = summary(tiny)

    assert found.nfe_per_prompt == 123
    assert found.nfe_quality == 123 * 64
    assert found.nfe_latency == 123 * (1 + 9)
    assert [arm.name for arm in found.arms if arm.baseline] == ["teacher-25"]


def test_the_default_sweep_compares_solver_and_student_at_equal_evaluations(tiny: Plan) -> None:
    nfe = {arm.name: arm.nfe for arm in tiny.arms}

    assert nfe["dpmpp-4"] == nfe["animatelcm-8"] == 8
    assert nfe["teacher-2"] == nfe["animatelcm-4"] == 4
    assert nfe["teacher-25"] == 50


def test_replicates_multiply_what_is_made(plan: Plan) -> None:
    found = summary(plan)

    assert found.clips == 3 * 2 * 3
    assert found.nfe_per_prompt == 2 * (2 * 25 + 2 * 4 + 2)
    assert found.nfe_quality == 3 * found.nfe_per_prompt
    assert found.blocks == 3


def test_without_calibration_the_time_is_a_range_with_its_assumption(plan: Plan) -> None:
    found = summary(plan)

    assert 0 < found.seconds_low < found.seconds_high
    assert "not calibrated" in found.assumption


def test_calibrated_time_is_evaluations_times_seconds(plan: Plan) -> None:
    found = summary(plan, Calibration(seconds_per_nfe=0.5, source="a run"))

    assert found.seconds_low == found.seconds_high
    assert found.seconds_low == pytest.approx((found.nfe_quality + found.nfe_latency) * 0.5)
    assert "a run" in found.assumption


def test_the_disk_holds_at_least_every_frame(plan: Plan) -> None:
    assert summary(plan).disk_bytes >= 18 * 16 * 64 * 64 * 3


def test_without_a_latency_pass_it_costs_nothing(tmp_path: Path) -> None:
    assert summary(other(tmp_path, "{warmup: 1, repeats: 7}", "null")).nfe_latency == 0


def test_a_criterion_that_applies_to_no_arm_is_said(tmp_path: Path) -> None:
    text = "applies_to: all"
    criteria = write_spec(tmp_path).with_name("criteria.yaml")
    before = summary(plan_of(tmp_path / "spec.yaml")).notes
    criteria.write_text(criteria.read_text("utf-8").replace(text, "applies_to: styled"), "utf-8")

    assert before == ()
    assert summary(plan_of(tmp_path / "spec.yaml")).notes == (
        "criterion 'words' applies to no arm of this plan",
    )


def test_the_table_shows_every_arm_and_the_totals(tiny: Plan) -> None:
    text = describe(tiny)

    assert all(arm.name in text for arm in tiny.arms)
    assert "teacher-25 *" in text
    assert "dpmpp-4 (c)" in text
    assert "contrast: animatelcm-4 against teacher-2" in text
    assert str(123 * 64) in text
    assert max(map(len, text.splitlines())) <= 160


# --- speed ---------------------------------------------------------------------------------------


def test_planning_loads_no_network_library() -> None:
    heavy = ("torch", "diffusers", "transformers", "scipy", "pandas", "cv2")
    code = f"import sys, poc.plan; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_plan_without_contrasts_has_the_text_that_plans_had_before_them(tmp_path: Path) -> None:
    assert "contrasts" not in json.loads(plan_of(write_spec(tmp_path)).to_json())["spec"]
