"""Laws of specs and criteria files: what must hold between their values."""

from __future__ import annotations

from math import ceil, log
from pathlib import Path

import pytest
from planning_fixture import (
    ARM,
    CRITERIA,
    SPEC,
    changed,
    line_of,
    pinned_models,
    without_key,
    write_spec,
)

from poc.errors import InputError
from poc.latency_estimates import STAGES
from poc.records import ArmSpec, SchedulerName, SweepSpec
from poc.spec import (
    MetricUse,
    check_criteria,
    expand,
    known_metrics,
    measured_metrics,
    read_criteria,
    read_spec,
    samples_needed,
    split_metric,
)
from poc.verdicts import is_quality_must

SPECS = Path(__file__).parent.parent / "poc" / "specs"


def read(folder: Path, text: str = SPEC) -> SweepSpec:
    return read_spec(write_spec(folder, text), pinned_models())


def headline(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    return str(caught.value).splitlines()[0].removeprefix(f"{folder}/")


def criteria_headline(folder: Path, text: str) -> str:
    path = write_spec(folder, criteria=text).with_name("criteria.yaml")
    with pytest.raises(InputError) as caught:
        read_criteria(path)
    return str(caught.value).splitlines()[0].removeprefix(f"{folder}/")


def with_arm(**values: str) -> str:
    fields = {"name": "more", "steps": "3", "guidance": "1.0"} | values
    return SPEC + ARM.format(**fields)


# --- reading -------------------------------------------------------------------------------------


def test_a_right_spec_is_read(tmp_path: Path) -> None:
    spec = read(tmp_path)

    assert spec.arms[0].steps == (25, 4)
    assert spec.baseline == "teacher-25"


def test_one_value_of_a_factor_is_a_list_of_one(tmp_path: Path) -> None:
    listed = changed(SPEC, "guidance: 4.0", "guidance: [4.0]")

    assert read(tmp_path, listed) == read(tmp_path)


def test_a_whole_number_and_its_decimal_form_are_one_spec(tmp_path: Path) -> None:
    whole = changed(SPEC, "guidance: 4.0", "guidance: 4")

    assert read(tmp_path, whole).content_digest() == read(tmp_path).content_digest()


def test_comments_and_the_order_of_keys_do_not_change_the_digest(tmp_path: Path) -> None:
    moved = "# a comment\nseed: 7\n" + changed(SPEC, "seed: 7\n", "")

    assert read(tmp_path, moved).content_digest() == read(tmp_path).content_digest()


def test_another_seed_changes_the_digest(tmp_path: Path) -> None:
    other = changed(SPEC, "seed: 7", "seed: 8")

    assert read(tmp_path, other).content_digest() != read(tmp_path).content_digest()


@pytest.mark.parametrize(
    "key",
    ["steps", "guidance", "scheduler", "seed", "dtype", "replicates", "num_frames", "loras",
     "negative_prompt", "latency", "batch_size"],
)  # fmt: skip
def test_no_key_that_changes_a_number_has_a_default(tmp_path: Path, key: str) -> None:
    assert f"missing key '{key}'" in headline(tmp_path, without_key(SPEC, key))


def test_a_misspelt_key_names_its_line_and_the_right_one(tmp_path: Path) -> None:
    text = changed(SPEC, "num_frames", "num_frame")

    assert headline(tmp_path, text) == (
        f"spec.yaml:{line_of(text, 'num_frame')}: unknown key 'num_frame'. "
        "Did you mean 'num_frames'?"
    )


def test_a_wrong_value_in_a_factor_names_its_line(tmp_path: Path) -> None:
    text = changed(SPEC, "steps: 2", "steps: two")

    assert headline(tmp_path, text) == (
        f"spec.yaml:{line_of(text, 'steps: two')}: 'arms[1].steps[0]': "
        "expected a whole number, got 'two'."
    )


def test_arms_that_are_no_list_are_said_to_be_none(tmp_path: Path) -> None:
    text = SPEC[: SPEC.index("arms:")] + "arms: 3\n"

    assert "'arms': expected a list, got 3" in headline(tmp_path, text)


@pytest.mark.parametrize("name", ["../up", "a/b", '""', ".hidden", "-option"])
def test_a_spec_name_that_could_leave_the_folder_of_runs_is_refused(
    tmp_path: Path, name: str
) -> None:
    assert "spec.yaml:1: 'name'" in headline(tmp_path, changed(SPEC, "small", name))


# --- arms ----------------------------------------------------------------------------------------


def test_arms_are_the_product_of_the_factors() -> None:
    arm = ArmSpec(
        name="a{steps}-{guidance}",
        family="animatediff",
        base="b",
        motion_adapter="m",
        scheduler=SchedulerName.DDIM,
        steps=(4, 8),
        guidance=(1.0, 7.5),
        negative_prompt="",
        loras=(),
        style=None,
    )

    assert [setting.name for setting in expand(arm)] == ["a4-1", "a4-7.5", "a8-1", "a8-7.5"]


def test_a_factor_missing_from_the_name_is_refused(tmp_path: Path) -> None:
    text = changed(SPEC, "teacher-{steps}", "teacher-25")

    assert f"spec.yaml:{line_of(text, '- name: teacher-25')}: 2 arms would be called" in headline(
        tmp_path, text
    )


def test_a_factor_given_twice_is_refused(tmp_path: Path) -> None:
    assert "2 arms would be called 'teacher-25'" in headline(
        tmp_path, changed(SPEC, "[25, 4]", "[25, 25]")
    )


def test_two_entries_of_one_name_are_refused_and_both_lines_named(tmp_path: Path) -> None:
    text = with_arm(name="fast")
    first = line_of(SPEC, "- name: fast")

    assert headline(tmp_path, text) == (
        f"spec.yaml:{line_of(text, 'steps: 3') - 5}: arm 'fast' exists on line {first}. Rename one."
    )


def test_an_unknown_factor_in_a_name_is_refused(tmp_path: Path) -> None:
    assert "unknown factor '{step}'. Did you mean 'steps'?" in headline(
        tmp_path, with_arm(name="more-{step}")
    )


def test_a_baseline_that_is_no_arm_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    text = changed(SPEC, "baseline: teacher-25", "baseline: techer-25")

    assert headline(tmp_path, text) == (
        f"spec.yaml:{line_of(text, 'baseline')}: 'baseline': no arm is called 'techer-25'. "
        "Did you mean 'teacher-25'?"
    )


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("base: tiny-base", "base: tiny-bse", "unknown model 'tiny-bse'. Did you mean 'tiny-base'"),
        ("base: tiny-base", "base: tiny-lcm-lora", "to be of kind base, it is of kind lora"),
        ("motion_adapter: tiny-motion-teacher", "motion_adapter: tiny-clip", "kind motion_adapter"),
        ("loras: []", "loras: [{model: tiny-clip, scale: 1.0}]", "to be of kind lora"),
        (
            "loras: []",
            "loras: [{model: tiny-lcm-lora, scale: 1}, {model: tiny-lcm-lora, scale: 1}]",
            "model 'tiny-lcm-lora' is used twice",
        ),
    ],
)
def test_a_model_that_does_not_fit_its_place_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, part: str
) -> None:
    text = changed(SPEC, old, new)

    found = headline(tmp_path, text)

    assert found.startswith(f"spec.yaml:{line_of(text, new)}: ")
    assert part in found


def test_a_lora_that_fits_is_accepted(tmp_path: Path) -> None:
    text = changed(SPEC, "loras: []", "loras: [{model: tiny-lcm-lora, scale: 1}]")

    assert read(tmp_path, text).arms[0].loras[0].model == "tiny-lcm-lora"


# --- metrics and references ----------------------------------------------------------------------


def test_a_metric_may_carry_a_style_in_brackets() -> None:
    assert split_metric("style_similarity[neon]") == MetricUse("style_similarity", "neon")
    assert split_metric("fvd") == MetricUse("fvd", None)


@pytest.mark.parametrize(
    ("metric", "part"),
    [
        ("clip_scor", "unknown metric 'clip_scor'. Did you mean 'clip_score'?"),
        ('"clip_score[pastel]"', "metric 'clip_score' takes no style"),
        ("style_similarity", "needs the style it looks for, such as 'style_similarity[pastel]'"),
        ('"style_similarity[pastle]"', "no arm has that style. Did you mean 'pastel'?"),
        ("unsafe", "a run has nothing to measure 'unsafe' with"),
        ('"style_similarity["', "unknown metric 'style_similarity['"),
        ("clip_score, clip_score", "metric 'clip_score' is given twice"),
        ("latency_p50_s", "comes with the latency pass"),
        ("validity", "is always known"),
    ],
)
def test_a_metric_that_cannot_be_measured_is_refused_with_its_line(
    tmp_path: Path, metric: str, part: str
) -> None:
    text = changed(SPEC, 'metrics: [clip_score, fvd, "style_similarity[pastel]"]', "metrics: [M]")

    found = headline(tmp_path, text.replace("[M]", f"[{metric}]"))

    assert found.startswith(f"spec.yaml:{line_of(text, 'metrics')}: ")
    assert part in found


CONTRAST = """\
contrasts:
  - arm: fast
    against: teacher-4
    metrics: [clip_score]
    question: Is it worth anything?
    question_ja: 効果はあるか
"""


def test_a_contrast_of_two_arms_is_accepted(tmp_path: Path) -> None:
    (contrast,) = read(tmp_path, CONTRAST + SPEC).contrasts

    assert (contrast.arm, contrast.against) == ("fast", "teacher-4")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("arm: fast", "arm: fats", "no arm is called 'fats'. Did you mean 'fast'?"),
        ("against: teacher-4", "against: teacher-5", "no arm is called 'teacher-5'"),
        ("metrics: [clip_score]", "metrics: [fvd]", "a contrast cannot ask for 'fvd'."),
        (
            "metrics: [clip_score]",
            "metrics: [flicker]",
            "'flicker' is not in the spec's 'metrics'.",
        ),
        ("metrics: [clip_score]", "metrics: []", "metrics"),
        ("metrics: [clip_score]", "metrics: [clip_score, clip_score]", "is given twice"),
        ("metrics: [clip_score]", "metrics: [latency_p50_s]", "cannot ask for 'latency_p50_s'"),
        ("question: Is it worth anything?", "question: '          '", "question"),
    ],
)
def test_a_contrast_that_cannot_be_answered_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, part: str
) -> None:
    text = changed(CONTRAST + SPEC, old, new)

    found = headline(tmp_path, text)

    assert found.startswith(f"spec.yaml:{line_of(text, new)}: ")
    assert part in found


def test_a_pair_compared_twice_is_refused_whichever_comes_first(tmp_path: Path) -> None:
    turned = CONTRAST.removeprefix("contrasts:\n")
    turned = turned.replace("arm: fast", "arm: teacher-4").replace(
        "against: teacher-4", "against: fast"
    )

    assert "these two arms are compared above" in headline(tmp_path, CONTRAST + turned + SPEC)


def test_arms_of_different_styles_are_not_contrasted(tmp_path: Path) -> None:
    before, _, after = SPEC.rpartition("style: null")
    text = CONTRAST + f"{before}style: pastel{after}"

    assert "'fast' and 'teacher-4' have different styles" in headline(tmp_path, text)


@pytest.mark.parametrize(("more", "refused"), [("", True), (", motion_extent_px", False)])
def test_smoothness_is_not_contrasted_without_motion(
    tmp_path: Path, more: str, refused: bool
) -> None:
    text = changed(SPEC, "metrics: [clip_score", "metrics: [flicker, motion_extent_px, clip_score")
    text = CONTRAST.replace("[clip_score]", f"[flicker{more}]") + text

    if refused:
        assert "smoothness alone favours a frozen clip" in headline(tmp_path, text)
    else:
        assert read(tmp_path, text).contrasts


def test_a_spec_of_controls_alone_is_refused(tmp_path: Path) -> None:
    text = SPEC.replace("    family: animatediff", "    role: control\n    family: animatediff")

    assert "every arm is a control" in headline(tmp_path, text)


def test_an_arm_name_that_could_write_lines_of_its_own_is_refused(tmp_path: Path) -> None:
    assert "name" in headline(tmp_path, with_arm(name='"x\\ndecision: GO"'))


def test_a_contrast_of_an_arm_with_itself_is_refused(tmp_path: Path) -> None:
    text = changed(CONTRAST + SPEC, "against: teacher-4", "against: fast")

    assert "'fast' stands against itself" in headline(tmp_path, text)


def test_fvd_needs_a_reference_for_every_look(tmp_path: Path) -> None:
    clean = "  - {name: clean, kind: rendered, style: null, count: 16, seed: 1}\n"
    text = changed(SPEC, clean, "")

    assert "no reference set of the plain look" in headline(tmp_path, text)


def test_without_fvd_no_reference_is_needed(tmp_path: Path) -> None:
    text = changed(SPEC, "fvd, ", "")
    references = text[text.index("references:") : text.index("latency:")]
    text = changed(
        changed(text, references, "references: []\n"), ', "style_similarity[pastel]"', ""
    )

    assert read(tmp_path, text).references == ()


def test_a_styled_arm_needs_a_styled_reference(tmp_path: Path) -> None:
    text = with_arm().removesuffix("    style: null\n") + "    style: neon\n"

    assert "no reference set of style 'neon'" in headline(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("style: pastel", "style: pastle", "unknown style 'pastle'. Did you mean 'pastel'?"),
        ("style: pastel", "style: null", "have the same style"),
        ("name: pastel", "name: clean", "reference 'clean' is given twice"),
        ("count: 16", "count: 7", "expected a number of at least 8, got 7"),
    ],
)
def test_a_faulty_reference_is_refused(tmp_path: Path, old: str, new: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, changed(SPEC, old, new))

    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("height: 64", "height: 60", "'height': expected a multiple of 8, got 60"),
        ("num_frames: 16", "num_frames: 24", "rendered references have 16 frames of 64 x 64"),
    ],
)
def test_a_shape_that_nothing_fits_is_refused(
    tmp_path: Path, old: str, new: str, part: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, changed(SPEC, old, new))

    assert part in str(caught.value)


# --- criteria ------------------------------------------------------------------------------------


def test_a_criteria_file_that_is_not_there_is_refused_with_the_line_that_names_it(
    tmp_path: Path,
) -> None:
    text = changed(SPEC, "criteria: criteria.yaml", "criteria: none.yaml")

    assert headline(tmp_path, text).startswith(
        f"spec.yaml:{line_of(text, 'criteria: none')}: 'criteria': no file 'none.yaml'"
    )


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("metric: clip_score", "metric: clip_skore", "9: unknown metric 'clip_skore'. Did you"),
        ("direction: higher", "direction: up", "11: 'criteria[0].direction': expected one of"),
        ("target: -1", "target: -3", "8: 'criteria[0]': criterion 'words': target -3.0 lies on"),
        ("weight: must", "weight: most", "14: 'criteria[0].weight': expected one of 'must'"),
        ("    reason: a reason of some length\n", "", "8: missing key 'reason' in 'criteria[0]'"),
        ("a reason of some length", "because", "16: 'criteria[0].reason': expected at least 10"),
    ],
)
def test_a_faulty_criterion_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, part: str
) -> None:
    assert criteria_headline(tmp_path, changed(CRITERIA, old, new)).startswith(
        f"criteria.yaml:{part}"
    )


def test_a_criterion_that_asks_for_the_worse_side_is_refused(tmp_path: Path) -> None:
    text = changed(
        CRITERIA, "direction: higher\n    target: -1", "direction: lower\n    target: -4"
    )

    assert "higher is better for 'clip_score'" in criteria_headline(tmp_path, text)


def test_two_criteria_of_one_name_are_refused(tmp_path: Path) -> None:
    second = CRITERIA[CRITERIA.index("  - name: words") :]

    assert "duplicate criterion 'words'" in criteria_headline(tmp_path, CRITERIA + second)


@pytest.mark.parametrize(
    ("metric", "direction", "part"),
    [
        ("kvd", "lower", "the spec does not measure 'kvd'. Add it to 'metrics'"),
        ("latency_p90_s", "lower", "'latency_p90_s' needs at least 29 timed clips an arm"),
        ("latency_p50_s", "lower", ""),
        ("latency_denoise_p50_s", "lower", ""),
        ("valid_share", "higher", ""),
        ("fvd", "lower", ""),
    ],
)
def test_a_criterion_is_refused_unless_the_run_can_answer_it(
    tmp_path: Path, metric: str, direction: str, part: str
) -> None:
    text = changed(CRITERIA, "metric: clip_score", f"metric: {metric}")
    text = changed(text, "direction: higher", f"direction: {direction}")
    if direction == "lower":
        text = changed(changed(text, "-1", "1"), "-2.5", "2.5")
    path = write_spec(tmp_path, criteria=text)
    spec, criteria = read_spec(path, pinned_models()), read_criteria(tmp_path / "criteria.yaml")
    if part:
        with pytest.raises(InputError, match=f"spec 'small': .*{part}"):
            check_criteria(spec, criteria)
    else:
        check_criteria(spec, criteria)


def test_without_a_latency_pass_no_latency_is_measured(tmp_path: Path) -> None:
    text = changed(SPEC, "latency: {warmup: 1, repeats: 7}", "latency: null")

    assert "latency_p50_s" in measured_metrics(read(tmp_path))
    assert "latency_p50_s" not in measured_metrics(read(tmp_path, text))


@pytest.mark.parametrize("percent", [90, 95, 99])
def test_a_percentile_needs_the_samples_of_its_distribution_free_bound(percent: int) -> None:
    assert samples_needed(f"latency_p{percent}_s") == ceil(log(0.05) / log(percent / 100))


def test_every_number_that_the_latency_pass_estimates_may_be_asked_for() -> None:
    assert set(STAGES) <= known_metrics()


# --- the specs that come along -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tiny", "demonstration"),
        ("quick", "demonstration"),
        ("tiny-evidence", "demonstration"),
        ("tiny-trained", "demonstration"),
        ("animatelcm-sd15", "procurement"),
        ("quick-gpu", "procurement"),
    ],
)
def test_the_specs_that_come_along_are_right(name: str, kind: str) -> None:
    spec = read_spec(SPECS / f"{name}.yaml", pinned_models())

    check_criteria(spec, read_criteria(SPECS / spec.criteria))
    assert spec.name == name
    assert spec.kind == kind


def test_criteria_without_a_judge_of_content_can_never_end_in_go() -> None:
    """No must of real-size asks what a clip shows; the demonstration's do."""
    real = read_criteria(SPECS / "criteria" / "real-size.yaml").criteria
    tiny = read_criteria(SPECS / "criteria" / "demonstration.yaml").criteria

    assert not any(map(is_quality_must, real))
    assert any(map(is_quality_must, tiny))


def test_a_vae_is_named_by_its_kind(tmp_path: Path) -> None:
    text = changed(SPEC, "    style: null\n", "    style: null\n    vae: tiny-lcm-lora\n")

    assert "expected model 'tiny-lcm-lora' to be of kind vae" in headline(tmp_path, text)


def test_every_criterion_of_the_demonstration_names_a_known_metric() -> None:
    criteria = read_criteria(SPECS / "criteria" / "demonstration.yaml").criteria

    assert {criterion.metric for criterion in criteria} <= known_metrics()
    assert [criterion.name for criterion in criteria if criterion.weight == "must"] == [
        "right content",
        "right motion",
        "same amount of motion",
        "speed",
        "usable clips",
        "asked style",
    ]


def test_the_window_of_motion_is_a_quarter_and_a_half_either_way_on_a_log_scale() -> None:
    criteria = read_criteria(SPECS / "criteria" / "demonstration.yaml").criteria
    window = next(criterion for criterion in criteria if criterion.direction == "window")

    assert (window.centre, window.target, window.minimum) == (1.0, log(1.25), log(1.5))


def test_a_folder_given_for_a_spec_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a spec, a YAML file"):
        read_spec(tmp_path)
