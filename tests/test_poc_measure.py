"""What the measure stage supplies besides the metrics: oracle answers, references, stills."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small_run import plan
from tiny_components import make_arm

from metrics.paired import ssim_to_baseline
from poc.measure import (
    BASELINE,
    NO_PARTNER,
    UNPROMPTED,
    Bench,
    Inputs,
    Judges,
    MeasureSetup,
    ReferenceTask,
    oracle_values,
    partners,
    rendered_chunks,
)
from poc.records import Arm, MeasurementStatus, Plan, Prompt, ReferenceSet
from poc.tiny import world
from poc.tiny.oracle import read

SCENE = world.Scene(
    world.Shape.CIRCLE, world.Colour.RED, world.Background.NAVY, world.Motion.LEFT,
    world.Camera.CLOSE, world.Light.LEFT,
)  # fmt: skip


def prompt_of(scene: world.Scene, **changes: str) -> Prompt:
    names = ("shape", "colour", "background", "motion")
    attributes = {name: str(getattr(scene, name)) for name in names} | changes
    return Prompt(
        id="p", text=world.caption(scene), language="en", text_ja="", attributes=attributes
    )


def rendered(style: world.Style | None = None) -> np.ndarray:
    return world.render_clip(SCENE, np.random.default_rng(0), style)


def test_a_clip_that_shows_what_was_asked_is_right_in_everything() -> None:
    values = oracle_values(read(rendered()), make_arm(), prompt_of(SCENE))

    assert {name for name, value in values.items() if value == 1.0} == {
        "oracle_shape",
        "oracle_colour",
        "oracle_background",
        "oracle_texture",
        "oracle_motion",
        "oracle_all",
        "oracle_style",
    }


@pytest.mark.parametrize(
    ("attribute", "other"), [("shape", "ring"), ("colour", "cyan"), ("motion", "growing")]
)
def test_one_wrong_attribute_makes_the_whole_wrong(attribute: str, other: str) -> None:
    asked = prompt_of(SCENE, **{attribute: other})
    values = oracle_values(read(rendered()), make_arm(), asked)

    assert (values[f"oracle_{attribute}"], values["oracle_all"]) == (0.0, 0.0)


@pytest.mark.parametrize("asked", [None, "neon"])
def test_style_is_right_only_where_it_is_the_one_asked_for(asked: str | None) -> None:
    plain = oracle_values(read(rendered()), make_arm(style=asked), prompt_of(SCENE))
    neon = oracle_values(read(rendered(world.Style.NEON)), make_arm(style=asked), prompt_of(SCENE))

    assert plain["oracle_style"] == float(asked is None)
    assert neon["oracle_style"] == float(asked == "neon")


def test_a_clip_without_an_object_is_wrong_and_has_no_extent() -> None:
    grey = np.full((16, 64, 64, 3), 118, np.uint8)
    values = oracle_values(read(grey), make_arm(), prompt_of(SCENE))

    assert values["oracle_all"] == 0.0
    assert values["motion_extent_px"] is None


def test_a_reference_shows_the_plans_own_prompts_in_turn_and_is_the_same_each_time() -> None:
    set_ = ReferenceSet(name="r", kind="rendered", style=None, count=40, seed=3)
    other = world.caption(world.unseen_scenes()[0])
    task = ReferenceTask(set_, (world.caption(SCENE), other), "id")
    first, again = (np.concatenate(list(rendered_chunks(task))) for _ in range(2))

    assert first.shape == (40, 16, 64, 64, 3)
    assert np.array_equal(first, again)
    assert [str(read(clip).colour) for clip in first[:3]] == [
        "red",
        str(world.unseen_scenes()[0].colour),
        "red",
    ]


# --- clips laid beside each other ---------------------------------------------------------------


def _prompted_plan() -> Plan:
    """Four arms: the baseline, one more, and the latter with a negative prompt and as a control."""
    found = plan(steps=(1, 2, 3, 4))
    first, second, third, fourth = found.arms
    same = {"steps": second.steps}
    third = third.model_copy(update=same | {"negative_prompt": "blurry"})
    fourth = fourth.model_copy(update={"negative_prompt": "blurry"})
    return found.model_copy(update={"arms": (first, second, third, fourth)})


def _clip_of(found: Plan, arm: Arm, prompt: str = "p1") -> str:
    return next(
        clip.id
        for batch in found.batches
        for clip in batch.clips
        if (clip.arm_id, clip.prompt_id) == (arm.id, prompt)
    )


def _all_clips(found: Plan) -> set[str]:
    return {clip.id for batch in found.batches for clip in batch.clips}


def test_a_clip_stands_beside_the_baselines_of_the_same_prompt_and_seed() -> None:
    found = _prompted_plan()
    beside = partners(found, _all_clips(found))[BASELINE]

    base, *others = found.arms
    for arm in others:
        assert beside[_clip_of(found, arm)] == _clip_of(found, base)
    assert beside[_clip_of(found, base)] == f"{NO_PARTNER}this is the baseline itself"


def test_a_negative_prompt_stands_beside_the_arm_that_lacks_nothing_else() -> None:
    found = _prompted_plan()
    beside = partners(found, _all_clips(found))[UNPROMPTED]

    base, plain, prompted, alone = found.arms
    assert beside[_clip_of(found, prompted)] == _clip_of(found, plain)
    for arm in (base, plain, alone):
        assert beside[_clip_of(found, arm)].startswith(NO_PARTNER)


def test_beside_a_clip_that_failed_there_is_nothing() -> None:
    found = _prompted_plan()
    lost = _clip_of(found, found.arms[0])
    beside = partners(found, _all_clips(found) - {lost})[BASELINE]

    assert "no valid clip" in beside[_clip_of(found, found.arms[1])]
    assert beside[_clip_of(found, found.arms[1], "p0")] == _clip_of(found, found.arms[0], "p0")


def _bench(found: Plan, frames: Mapping[str, np.ndarray]) -> Bench:
    nowhere = Judges(image_text=Path(), video=Path(), video_digest="", stills=Path())
    bench = Bench(
        MeasureSetup(
            run=Path(),
            judges=nowhere,
            metrics=("ssim_to_baseline", "negative_prompt_effect"),
            arms={},
            prompts={},
            partners=partners(found, _all_clips(found)),
        )
    )
    bench.__dict__["_reader"] = SimpleNamespace(read_clip=frames.__getitem__)
    return bench


def test_a_run_measures_pairs_where_there_are_any_and_says_why_where_there_are_none() -> None:
    found = _prompted_plan()
    rng = np.random.default_rng(0)
    frames = {c: rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8) for c in _all_clips(found)}
    bench = _bench(found, frames)

    def measured(arm: Arm) -> dict[str, tuple[float | None, str]]:
        clip, prompt = _clip_of(found, arm), found.prompts[1]
        inputs = Inputs(bench, frames[clip], prompt, clip)
        rows = list(bench._measurements(arm, clip, inputs, prompt))
        assert {row.status for row in rows} <= {*MeasurementStatus}
        return {row.metric: (row.value, row.reason) for row in rows}

    base, plain, prompted, _ = found.arms
    mine, theirs, without = (frames[_clip_of(found, arm)] for arm in (prompted, base, plain))
    change = np.abs(mine.astype(float) - without).mean()
    assert measured(prompted) == {
        "ssim_to_baseline": (ssim_to_baseline(mine, theirs).value, ""),
        "negative_prompt_effect": (pytest.approx(change), ""),
    }
    assert measured(base) == {
        "ssim_to_baseline": (None, "this is the baseline itself"),
        "negative_prompt_effect": (None, "no arm differs in an empty negative prompt alone"),
    }
