"""The tiny world keeps its promises: what is held out, what a caption says, what a clip shows."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from poc.tiny import world
from poc.tiny.world import Background, Camera, Colour, Light, Motion, Scene, Shape, Style

SCENE = world.seen_scenes()[0]
TRIPLE = ("shape", "colour", "background")


def _render(scene: Scene = SCENE, style: Style | None = None, seed: int = 0) -> world.Pixels:
    return world.render_clip(scene, np.random.default_rng(seed), style)


def _values(scene: Scene, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(getattr(scene, name) for name in names)


def test_at_least_15_percent_of_the_triples_are_held_out() -> None:
    every = {_values(scene, TRIPLE) for scene in world.all_scenes()}
    seen = {_values(scene, TRIPLE) for scene in world.seen_scenes()}
    assert len(every) == 96
    assert 1 - len(seen) / len(every) >= 0.15


def test_seen_and_unseen_scenes_share_no_triple_and_make_up_the_world() -> None:
    seen = {_values(scene, TRIPLE) for scene in world.seen_scenes()}
    unseen = {_values(scene, TRIPLE) for scene in world.unseen_scenes()}
    assert not seen & unseen
    both = {*world.seen_scenes(), *world.unseen_scenes()}
    assert both == set(world.all_scenes())
    assert len(world.seen_scenes()) + len(world.unseen_scenes()) == len(both)


@pytest.mark.parametrize("pair", list(combinations(TRIPLE, 2)))
def test_every_pair_of_values_is_seen(pair: tuple[str, ...]) -> None:
    every = {_values(scene, pair) for scene in world.all_scenes()}
    assert {_values(scene, pair) for scene in world.seen_scenes()} == every


@pytest.mark.parametrize("name", ["shape", "colour", "background", "motion", "camera", "light"])
def test_every_start_of_the_unseen_scenes_is_balanced(name: str) -> None:
    counts = Counter(getattr(scene, name) for scene in world.unseen_scenes()[:64])
    assert max(counts.values()) <= 1.8 * min(counts.values())


def test_unseen_prompts_are_distinct_and_limited() -> None:
    prompts = world.unseen_prompts(384)
    assert len(set(prompts)) == 384
    assert world.unseen_prompts(64) == prompts[:64]
    for count in (-1, 385):
        with pytest.raises(ValueError, match=str(count)):
            world.unseen_prompts(count)


def test_every_caption_parses_back() -> None:
    assert all(world.parse(world.caption(scene)) == scene for scene in world.all_scenes())


@pytest.mark.parametrize("motion", [None, Motion.UP])
@pytest.mark.parametrize("camera", [None, Camera.AFAR])
@pytest.mark.parametrize("light", [None, Light.LEFT])
def test_a_caption_may_leave_parts_open(
    motion: Motion | None, camera: Camera | None, light: Light | None
) -> None:
    scene = Scene(Shape.RING, Colour.CYAN, Background.GREY, motion, camera, light)
    assert world.parse(world.caption(scene)) == scene


def _ground(style: Style | None, mottle: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two frames' left margin, which no object of the scene reaches, the light divided out."""
    scene = Scene(Shape.CIRCLE, Colour.RED, Background.GREY, Motion.UP, Camera.AFAR, Light.LEFT)
    clip = world.render_clip(scene, np.random.default_rng(seed), style, mottle=mottle)
    light = 1 + world.LIGHT * (31.5 - np.arange(12)) / 31.5
    first, last = clip[[0, -1], :, :12, 2] / light  # blue, of which a red halo has little
    return first, last


@pytest.mark.parametrize("style", [None, *Style])
def test_backgrounds_vary_by_the_texture_of_their_style(style: Style | None) -> None:
    deviations = [_ground(style, 1.0, seed)[0] for seed in range(60)]
    # Over many clips; a normal variable clipped at two deviations keeps 96 % of its spread.
    found = np.sqrt(np.mean([np.var(each) for each in deviations]))
    jitter = 5 / np.sqrt(3) * world.texture(style) / world.MOTTLE
    mean_of_all = np.std(np.concatenate(deviations))
    assert found < mean_of_all
    assert mean_of_all == pytest.approx(np.hypot(0.96 * world.texture(style), jitter), rel=0.1)


def test_the_texture_stays_in_place_and_can_be_left_out() -> None:
    first, last = _ground(None, 1.0, 3)
    assert np.array_equal(first, last)
    assert np.std(first) > 4
    assert np.std(_ground(None, 0.0, 3)[0]) < 0.5


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a purple circle on a navy background", "unknown word 'purple'"),
        ("a Red circle on a navy background", "unknown word 'Red'"),
        ("a red circle", "expected 'a COLOUR SHAPE"),
        ("a circle red on a navy background", "expected 'a COLOUR SHAPE"),
        ("a red circle on a navy background, lit from the left, close up", "expected"),
        ("", "expected"),
    ],
)
def test_a_prompt_outside_the_world_is_refused(prompt: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        world.parse(prompt)


def test_the_words_are_those_of_the_captions() -> None:
    used = " ".join(world.caption(scene) for scene in world.all_scenes()).replace(",", " , ")
    assert set(world.words()) == set(used.split())


def test_a_clip_is_16_frames_of_64_pixels_and_the_same_for_the_same_seed() -> None:
    clip = _render()
    assert clip.shape == (world.FRAMES, world.SIZE, world.SIZE, 3)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip, _render())
    assert not np.array_equal(clip, _render(seed=1))


def test_a_clip_moves_and_a_still_is_one_of_its_frames_kind() -> None:
    clip = _render()
    assert (np.abs(np.diff(clip.astype(int), axis=0)).max(axis=(1, 2, 3)) > 30).all()
    assert world.render_still(SCENE, np.random.default_rng(0)).shape == clip.shape[1:]


def test_styles_differ_from_plain_and_from_each_other() -> None:
    means = [_render(style=style).astype(float) for style in (None, *Style)]
    assert all(np.abs(a - b).mean() > 5 for a, b in combinations(means, 2))


@pytest.mark.parametrize("seed", range(8))
def test_degrading_marks_one_corner_for_the_whole_clip_and_only_that(seed: int) -> None:
    clip = _render()
    poor = world.degrade(clip, np.random.default_rng(seed))
    assert poor.shape == clip.shape
    assert poor.dtype == np.uint8
    brighter = (poor.astype(float) - clip).mean(axis=(0, 3))
    corners = [brighter[y : y + 11, x : x + 11].mean() for y in (3, 50) for x in (3, 50)]
    *others, marked = sorted(corners)
    assert marked > 20
    assert max(others) < 5
    later = (poor[8:].astype(float) - clip[8:]).mean(axis=(0, 3))
    assert np.abs(later - brighter).max() < 40


def test_degrading_draws_from_its_generator_alone_and_leaves_the_clip_as_it_is() -> None:
    clip = _render()
    before = clip.copy()
    first = world.degrade(clip, np.random.default_rng(4))
    assert np.array_equal(first, world.degrade(clip, np.random.default_rng(4)))
    assert not np.array_equal(first, world.degrade(clip, np.random.default_rng(5)))
    assert np.array_equal(clip, before)


@pytest.mark.parametrize("shape", list(Shape))
def test_a_shape_is_inside_at_its_body_and_outside_far_away(shape: Shape) -> None:
    body = 8.0 if shape is Shape.RING else 0.0
    x, far, y = np.array([body]), np.array([30.0]), np.array([0.0])
    assert world.distance(shape, x, y, 10.0) < 0 < world.distance(shape, far, y, 10.0)


def test_rougher_copies_carry_the_same_mark_more_plainly() -> None:
    scene = world.unseen_scenes()[0]
    clip = world.render_clip(scene, np.random.default_rng(1))
    grades = [world.degrade(clip, np.random.default_rng(2), r) for r in (0.0, 1.0, 2.0)]

    assert np.array_equal(grades[0], clip)
    assert np.array_equal(grades[1], world.degrade(clip, np.random.default_rng(2)))
    corners = [
        [float(grade[:, t : t + 11, x : x + 11].mean()) for t in (3, 50) for x in (3, 50)]
        for grade in grades
    ]
    once, twice = (np.array(corner) - corners[0] for corner in corners[1:])
    assert once.argmax() == twice.argmax()
    assert twice.max() / once.max() == pytest.approx(2.0, abs=0.1)


def test_a_roughness_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="roughness"):
        world.degrade(np.zeros((16, 64, 64, 3), np.uint8), np.random.default_rng(1), -0.1)
