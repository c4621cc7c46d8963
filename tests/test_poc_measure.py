"""What the measure stage supplies besides the metrics: oracle answers, references, stills."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_components import make_arm

from poc.measure import ReferenceTask, oracle_values, rendered_chunks
from poc.records import Prompt, ReferenceSet
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
