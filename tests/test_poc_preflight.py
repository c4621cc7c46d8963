"""Laws of the pre-flight: every planted misconfiguration is named, and its correct twin is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from planning_fixture import CRITERIA, changed, plan_of, write_spec
from planning_fixture import pinned_models as read_pinned_models

from poc.errors import InputError
from poc.licences import Use
from poc.licences import read_licences as read_licences_anew
from poc.models import Hub, HubFile, ModelEntry, ModelTable, Training, read_models
from poc.plan import summary
from poc.preflight import Surroundings, preflight, refuse_errors
from poc.records import Plan, PreflightFinding, Severity, SweepSpec

SPEC: Final = """\
name: real
question: Does it work?
question_ja: 動くか。
kind: demonstration
dataset: everyday-scenes
prompts: 3
replicates: 1
seed: 7
shape: {num_frames: 16, height: 512, width: 512, fps: 8}
dtype: float16
batch_size: 1
baseline: under-test
metrics: [motion]
references: []
latency: null
criteria: criteria.yaml
arms:
  - name: under-test
    family: animatediff
"""
MOTION_CRITERIA: Final = changed(CRITERIA, "metric: clip_score", "metric: motion")
ANIMATELCM: Final = {
    "base": "sd15",
    "motion_adapter": "animatelcm",
    "scheduler": "lcm",
    "steps": "4",
    "guidance": "1.0",
    "negative_prompt": '""',
    "loras": "[{model: animatelcm-lora, scale: 0.8}]",
    "style": "null",
    "beta_schedule": "linear",
}
TEACHER: Final = ANIMATELCM | {
    "motion_adapter": "animatediff-v1.5-2",
    "scheduler": "ddim",
    "steps": "25",
    "guidance": "7.5",
    "loras": "[]",
}
LIGHTNING: Final = ANIMATELCM | {
    "motion_adapter": "animatediff-lightning-4step",
    "scheduler": "euler",
    "loras": "[]",
}
NO_VAE: Final = ANIMATELCM | {"base": "realistic-vision-5.1", "vae": "sd-vae-ft-mse"}
WITH_LCM_LORA: Final = "[{model: animatelcm-lora, scale: 0.8}, {model: lcm-lora-sd15, scale: 1.0}]"
LCM_LORA_ALONE: Final = "[{model: lcm-lora-sd15, scale: 1.0}]"

Fields = Mapping[str, str]

pinned_models = cache(read_pinned_models)
read_licences = cache(read_licences_anew)


def planned(
    folder: Path, arm: Fields, head: str = SPEC, models: ModelTable | None = None
) -> tuple[Plan, ModelTable]:
    """Plan one arm at real size, as if all models were pinned."""
    text = head + "".join(f"    {key}: {value}\n" for key, value in arm.items() if value)
    models = models or pinned_models()
    return plan_of(write_spec(folder, text, MOTION_CRITERIA), models), models


def found(
    folder: Path,
    arm: Fields = ANIMATELCM,
    head: str = SPEC,
    *,
    models: ModelTable | None = None,
    around: Surroundings | None = None,
) -> tuple[PreflightFinding, ...]:
    plan, table = planned(folder, arm, head, models)
    return preflight(plan, table, read_licences(), around or Surroundings())


def codes(findings: tuple[PreflightFinding, ...]) -> list[tuple[str, str]]:
    return [(str(one.severity), one.code) for one in findings]


def with_entry(model: str, **fields: Any) -> ModelTable:
    """Return our table with other facts about one model."""
    table = pinned_models()
    there = table.models[model]
    entry = there.entry.model_copy(update=fields)
    return ModelTable(table.path, {**table.models, model: replace(there, entry=entry)})


# --- settings of an arm --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        pytest.param(ANIMATELCM, {"beta_schedule": ""}, "beta-schedule", id="left at SD1.5's"),
        pytest.param(
            TEACHER, {"beta_schedule": "scaled_linear"}, "beta-schedule", id="said wrongly"
        ),
        pytest.param(NO_VAE, {"beta_schedule": ""}, "beta-schedule", id="stated by nobody"),
        pytest.param(LIGHTNING, {"steps": "8"}, "steps-not-trained", id="another file's steps"),
        pytest.param(ANIMATELCM, {"guidance": "7.5"}, "guidance-folded", id="teacher's guidance"),
        pytest.param(LIGHTNING, {"guidance": "1.5"}, "guidance-folded", id="guided Lightning"),
        pytest.param(ANIMATELCM, {"loras": WITH_LCM_LORA}, "lcm-twice", id="two LCM LoRAs"),
        pytest.param(ANIMATELCM, {"loras": "[]"}, "lora-missing", id="without its LoRA"),
        pytest.param(ANIMATELCM, {"loras": LCM_LORA_ALONE}, "lora-missing", id="another LoRA"),
        pytest.param(ANIMATELCM, {"scheduler": "ddim"}, "scheduler-misfit", id="LCM by DDIM"),
        pytest.param(TEACHER, {"scheduler": "lcm"}, "scheduler-misfit", id="teacher by LCM"),
        pytest.param(LIGHTNING, {"scheduler": "dpmpp_2m"}, "scheduler-misfit", id="Lightning"),
        pytest.param(NO_VAE, {"vae": ""}, "vae-missing", id="a base without VAE"),
    ],
)
def test_a_planted_setting_is_an_error_and_its_twin_is_clean(
    tmp_path: Path, right: Fields, wrong: Fields, code: str
) -> None:
    assert found(tmp_path, right) == ()
    assert codes(found(tmp_path, {**right, **wrong})) == [("error", code)]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"guidance": "1.5"}, "guidance-folded"),
        ({"steps": "1"}, "steps-outside-known-good"),
        ({"negative_prompt": "blurry"}, "negative-prompt-unused"),
    ],
)
def test_what_may_be_meant_is_a_warning(tmp_path: Path, wrong: Fields, code: str) -> None:
    assert found(tmp_path) == ()
    assert codes(found(tmp_path, {**ANIMATELCM, **wrong})) == [("warning", code)]


def test_more_steps_than_the_grid_has_timesteps_are_an_error(tmp_path: Path) -> None:
    def errors(steps: str) -> list[tuple[str, str]]:
        every = codes(found(tmp_path, {**ANIMATELCM, "steps": steps}))
        return [one for one in every if one[0] == "error"]

    assert errors("50") == []
    assert errors("51") == [("error", "timestep-grid")]


def test_a_model_of_another_grid_is_an_error(tmp_path: Path) -> None:
    def of_grid(steps: int) -> ModelTable:
        trained = read_models().resolve("animatelcm").entry.trained
        assert trained is not None
        return with_entry("animatelcm", trained=trained.model_copy(update={"grid_steps": steps}))

    assert found(tmp_path, models=of_grid(50)) == ()
    assert codes(found(tmp_path, models=of_grid(200))) == [("error", "timestep-grid")]


def test_a_lora_on_an_adversarial_motion_module_is_distilled_twice(tmp_path: Path) -> None:
    wrong = codes(found(tmp_path, {**LIGHTNING, "loras": LCM_LORA_ALONE}))

    assert ("error", "lcm-twice") in wrong


def test_a_lora_of_another_base_is_an_error(tmp_path: Path) -> None:
    plan, models = planned(tmp_path, ANIMATELCM)
    elsewhere = with_entry("animatelcm-lora", combines_with=("tiny-base",))

    assert preflight(plan, models, read_licences(), Surroundings()) == ()
    wrong = preflight(plan, elsewhere, read_licences(), Surroundings())
    assert codes(wrong) == [("error", "part-of-another-base")]
    assert "'animatelcm-lora' does not fit base 'sd15'" in wrong[0].text


def test_the_naive_lcm_lora_on_the_teacher_is_no_fault(tmp_path: Path) -> None:
    naive = {"scheduler": "lcm", "steps": "4", "guidance": "1.0", "loras": LCM_LORA_ALONE}

    assert found(tmp_path, {**TEACHER, **naive}) == ()


def test_a_fault_of_several_arms_is_one_finding_that_names_them(tmp_path: Path) -> None:
    head = changed(SPEC, "name: under-test", 'name: "arm {steps}"')
    head = changed(head, "baseline: under-test", "baseline: arm 4")
    wrong = found(tmp_path, {**ANIMATELCM, "steps": "[4, 6]", "beta_schedule": ""}, head)

    assert [(one.code, one.where) for one in wrong] == [("beta-schedule", "arms arm 4, arm 6")]


# --- prompts, judges and rights ------------------------------------------------------------------


PROMPTS: Final = """\
version: 1
datasets:
  - id: own
    kind: list
    title: Own
    source: tests
    licence: Apache-2.0
    prompts:
      - {text: a cat, language: en-GB, text_ja: 猫, attributes: {}}
      - {text: a dog, language: en, text_ja: 犬, attributes: {}}
      - {text: 赤い車, language: en, text_ja: 赤い車, attributes: {}}
"""


def test_a_prompt_in_a_language_that_the_text_encoder_lacks_is_an_error(tmp_path: Path) -> None:
    head = changed(SPEC, "dataset: everyday-scenes", "dataset: own")
    (tmp_path / "datasets.yaml").write_text(PROMPTS, "utf-8")
    right = found(tmp_path, head=head)
    japanese = changed(PROMPTS, "赤い車, language: en", "赤い車, language: ja")
    (tmp_path / "datasets.yaml").write_text(japanese, "utf-8")
    wrong = found(tmp_path, head=head)

    assert right == ()
    assert codes(wrong) == [("error", "prompt-language")]
    assert "1 of 3 prompts are in ja" in wrong[0].text


def test_a_judge_of_the_tiny_world_is_refused_at_real_size(tmp_path: Path) -> None:
    head = changed(SPEC, "metrics: [motion]", "metrics: [motion, clip_score, oracle_all]")
    wrong = found(tmp_path, head=head)

    assert found(tmp_path) == ()
    assert codes(wrong) == [("error", "judge-unfit")]
    assert wrong[0].where == "metrics clip_score, oracle_all"


USED: Final = changed(SPEC, "kind: demonstration", "kind: demonstration\nuse: client_work")
PERMISSIVE: Final = {"licence": "Apache-2.0", "commercial_use": "permitted"}


@pytest.mark.parametrize(
    ("fields", "severity", "code"),
    [
        ({"licence": "CC-BY-NC-4.0"}, "error", "licence-forbids"),
        ({"licence": "Apache-2.0 AND CC-BY-NC-4.0"}, "error", "licence-forbids"),
        ({"licence": "Nobody-Knows-1.0"}, "warning", "licence-unclear"),
        ({"commercial_use": "forbidden"}, "error", "licence-forbids"),
        ({"commercial_use": "unclear"}, "warning", "licence-unclear"),
    ],
)
def test_a_licence_is_held_against_the_use(
    tmp_path: Path, fields: dict[str, str], severity: str, code: str
) -> None:
    """With the base alone in question: all other models are made permissive."""

    def table(base: Mapping[str, str]) -> ModelTable:
        models = pinned_models()
        freed = {
            key: replace(model, entry=model.entry.model_copy(update=PERMISSIVE))
            for key, model in models.models.items()
        }
        entry = freed["sd15"].entry.model_copy(update=dict(base))
        return ModelTable(models.path, {**freed, "sd15": replace(freed["sd15"], entry=entry)})

    assert found(tmp_path, head=USED, models=table({})) == ()
    wrong = found(tmp_path, head=USED, models=table(fields))
    assert codes(wrong) == [(severity, code)]
    assert wrong[0].where == "model sd15"


def test_a_trial_inside_does_not_ask_for_commercial_use(tmp_path: Path) -> None:
    trial = changed(USED, "client_work", "evaluation")
    models = with_entry("sd15", commercial_use="forbidden")

    assert "model sd15" not in [one.where for one in found(tmp_path, head=trial, models=models)]


def test_a_procurement_that_states_no_use_is_told_so(tmp_path: Path) -> None:
    unstated = changed(SPEC, "kind: demonstration", "kind: procurement")

    assert codes(found(tmp_path, head=unstated)) == [("warning", "use-not-stated")]
    assert found(tmp_path) == ()


def test_a_spec_may_state_every_use_that_licences_are_judged_for() -> None:
    literal, none = get_args(SweepSpec.model_fields["use"].annotation)

    assert get_args(literal) == tuple(Use)
    assert none is type(None)


# --- files, room and time ------------------------------------------------------------------------


def unpinned(entry: ModelEntry, missing: int) -> ModelEntry:
    files = tuple(
        HubFile(name=f"{place}.safetensors", sha256=None if place < missing else "0" * 64)
        for place in range(2)
    )
    files = (*files, HubFile(name="tokenizer.json", sha256="0" * 64))
    return entry.model_copy(update={"hub": Hub(repository="a/b", revision=None, files=files)})


def test_a_model_without_all_digests_stops_a_run_but_not_a_plan(tmp_path: Path) -> None:
    table = pinned_models()
    there = table.models["sd15"]
    bare = replace(there, entry=unpinned(there.entry, 1), files={})
    models = ModelTable(table.path, {**table.models, "sd15": bare})
    plan, _ = planned(tmp_path, ANIMATELCM, models=models)
    wrong = preflight(plan, models, read_licences(), Surroundings())

    assert plan.arms[0].model_digests["sd15"] == "unpinned"
    assert codes(wrong) == [("error", "model-unpinned")]
    assert wrong[0].where == "sd15"
    assert found(tmp_path) == ()


def test_a_model_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    absent = Surroundings(not_fetched=("animatelcm", "epicrealism"))
    wrong = found(tmp_path, around=absent)

    assert codes(wrong) == [("error", "model-not-fetched")]
    assert wrong[0].where == "animatelcm"
    assert found(tmp_path, around=Surroundings(not_fetched=("epicrealism",))) == ()


def test_too_little_disk_is_an_error(tmp_path: Path) -> None:
    plan, _ = planned(tmp_path, ANIMATELCM)
    needed = summary(plan).disk_bytes

    assert needed >= 3 * 16 * 512 * 512 * 3
    assert found(tmp_path, around=Surroundings(free_disk_bytes=needed)) == ()
    wrong = found(tmp_path, around=Surroundings(free_disk_bytes=needed - 1))
    assert codes(wrong) == [("error", "disk-short")]


@pytest.mark.parametrize(("dtype", "size"), [("float16", 2), ("float32", 4)])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_device_too_small_for_the_weights_is_an_error(
    tmp_path: Path, dtype: str, size: int, workers: int
) -> None:
    head = changed(SPEC, "dtype: float16", f"dtype: {dtype}")
    entries = pinned_models().models
    used = ("sd15", "animatelcm", "animatelcm-lora")
    needed = workers * size * sum(entries[one].entry.parameters or 0 for one in used)

    def on(memory: int) -> list[tuple[str, str]]:
        around = Surroundings(memory_bytes=memory, workers=workers)
        return codes(found(tmp_path, head=head, around=around))

    assert needed > 1e9
    assert on(needed) == []
    assert on(needed - 1) == [("error", "memory-short")]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.0, []),
        (0.5, [("warning", "hours-over-budget")]),
        (0.01, [("error", "hours-over-budget")]),
    ],
)
def test_hours_are_held_against_the_range(
    tmp_path: Path, share: float, expected: list[tuple[str, str]]
) -> None:
    """The range reaches from a sixteenth of its upper end to that end."""
    plan, _ = planned(tmp_path, ANIMATELCM)
    most = 3 * 4 * (0.963 / 4) * 4 / 3600

    assert summary(plan).seconds_high / 3600 == pytest.approx(most)
    head = changed(SPEC, "latency: null", f"latency: null\nhours: {most * share * 1.000001:.12f}")
    assert codes(found(tmp_path, head=head)) == expected


# --- what becomes of findings --------------------------------------------------------------------


def finding(severity: Severity) -> PreflightFinding:
    return PreflightFinding(code="a-code", severity=severity, where="b", text="C.", change="D.")


def test_errors_stop_and_warnings_pass() -> None:
    warning, error = finding(Severity.WARNING), finding(Severity.ERROR)

    assert refuse_errors([warning]) == (warning,)
    with pytest.raises(InputError, match=r"(?s)1 of 2 findings .*error a-code \(b\): C\. D\."):
        refuse_errors([warning, error])


def test_errors_come_first(tmp_path: Path) -> None:
    wrong = {**ANIMATELCM, "negative_prompt": "blurry", "loras": "[]"}

    assert [severity for severity, _ in codes(found(tmp_path, wrong))] == ["error", "warning"]


TINY: Final = Path(__file__).parent.parent / "poc" / "specs"


@pytest.mark.parametrize("name", ["tiny", "quick", "gate", "tiny-evidence", "tiny-trained"])
def test_the_tiny_specs_are_clean(name: str) -> None:
    models = read_models()
    plan = plan_of(TINY / f"{name}.yaml", models)

    assert preflight(plan, models, read_licences(), Surroundings()) == ()


def _training(model: str) -> Training:
    trained = read_models().resolve(model).entry.trained
    assert trained is not None
    return trained


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_lightning_files_say_their_number_of_steps(steps: int) -> None:
    assert _training(f"animatediff-lightning-{steps}step").steps == (steps,)


def test_a_base_without_a_vocabulary_that_is_loaded_here_is_refused(tmp_path: Path) -> None:
    models = pinned_models()
    base = models.models["sd15"]
    assert base.entry.hub is not None
    kept = tuple(
        file
        for file in base.entry.hub.files
        if not file.name.endswith(("vocab.json", "tokenizer.json"))
    )
    entry = base.entry.model_copy(update={"hub": base.entry.hub.model_copy(update={"files": kept})})
    without = ModelTable(models.path, {**models.models, "sd15": replace(base, entry=entry)})

    assert found(tmp_path) == ()
    assert codes(found(tmp_path, models=without)) == [("error", "vocabulary-missing")]
