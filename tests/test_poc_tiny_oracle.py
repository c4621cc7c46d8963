"""The oracle reads every attribute of a rendered clip, and nothing from what is no clip of ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from diffusers import AutoencoderKL

from poc.models import read_models
from poc.tiny import world
from poc.tiny.judging_data import soften
from poc.tiny.oracle import Reading, corner_lift, read
from poc.tiny.reconstruction import through
from poc.tiny.world import Background, Camera, Colour, Light, Motion, Pixels, Scene, Shape, Style

SCENE = Scene(
    Shape.SQUARE, Colour.GREEN, Background.NAVY, Motion.RIGHT, Camera.CLOSE, Light.LEFT
)  # fmt: skip
LOOKS = (None, Style.PASTEL, Style.NEON)


def _clip(scene: Scene = SCENE, style: Style | None = None, seed: int = 1) -> Pixels:
    return world.render_clip(scene, np.random.default_rng(seed), style)


def _said(reading: Reading) -> tuple[object, ...]:
    said = (reading.shape, reading.colour, reading.background, reading.motion, reading.style)
    return (*said, reading.textured)


def _accuracies(style: Style | None, how: str, count: int) -> npt.NDArray[np.float64]:
    """Part of clips read rightly: shape, colour, background, motion, style, texture."""
    rng = np.random.default_rng(11)
    seen = world.seen_scenes()
    drawn = [seen[i] for i in rng.permutation(len(seen))[: count // 2]]
    hits = []
    for scene in (*drawn, *world.unseen_scenes()[: count - len(drawn)]):
        clip = world.render_clip(scene, rng, style)
        if how != "clean":
            clip = world.degrade(clip, rng) if how == "degraded" else soften(clip, 2.5)
        truth = (scene.shape, scene.colour, scene.background, scene.motion, style, True)
        hits.append([a == b for a, b in zip(_said(read(clip)), truth, strict=True)])
    parts: npt.NDArray[np.float64] = np.array(hits, np.float64).mean(axis=0)
    return parts


@pytest.mark.parametrize("style", LOOKS)
def test_reads_every_attribute_of_rendered_clips(style: Style | None) -> None:
    assert (_accuracies(style, "clean", 200) >= 0.98).all()


@pytest.mark.parametrize("style", LOOKS)
@pytest.mark.parametrize("how", ["degraded", "soft"])
def test_reads_poor_copies_of_rendered_clips(style: Style | None, how: str) -> None:
    # A blur of 2.5 pixels nearly hides the pastel outline of 2 pixels, by which that look is told,
    # and takes a sixth of the texture's contrast.
    least = 0.85 if how == "soft" else 0.95

    assert (_accuracies(style, how, 60) >= least).all()


def _garbage() -> dict[str, Pixels]:
    size = (world.FRAMES, world.SIZE, world.SIZE, 3)
    rng = np.random.default_rng(3)
    ramp = np.broadcast_to(np.arange(64)[:, None, None] * 4, size)
    return {
        "black": np.zeros(size, np.uint8),
        "white": np.full(size, 255, np.uint8),
        "grey": np.full(size, 118, np.uint8),
        "noise": rng.integers(0, 256, size, np.uint8),
        "coarse noise": rng.integers(0, 256, (16, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2),
        "ramp": ramp.astype(np.uint8),
        "flashes": (np.arange(16) % 2 * 255)[:, None, None, None].repeat(64, 1).repeat(64, 2)
        .repeat(3, 3).astype(np.uint8),
        "half": np.where(np.arange(64)[:, None] < 32, np.uint8(0), np.uint8(200))
        * np.ones(size, np.uint8),
        "a clip upside down in colour": 255 - _clip(replace(SCENE, background=Background.BLACK)),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(_garbage()))
def test_garbage_is_read_as_nothing_and_crashes_nothing(name: str) -> None:
    reading = read(_garbage()[name])
    assert reading.motion is None or name.startswith("a clip")
    assert reading.shape is None or reading.colour is None or reading.background is None


@pytest.mark.parametrize("seed", range(20))
def test_no_clip_crashes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clip = _clip(seed=seed)
    frames = rng.integers(0, 16, 16)
    blocks = rng.integers(0, 256, (16, 64, 64, 3), np.uint8)
    read(np.where(rng.random((16, 64, 64, 1)) < rng.random(), clip[frames], blocks))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((8, 64, 64, 3), np.uint8), "uint8"),
        (np.zeros((16, 64, 64, 3), np.float32), "float32"),
    ],
)
def test_another_layout_is_refused(frames: Pixels, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(frames)


TWINS = {
    "shape": replace(SCENE, shape=Shape.CIRCLE),
    "colour": replace(SCENE, colour=Colour.CYAN),
    "background": replace(SCENE, background=Background.BROWN),
    "motion": replace(SCENE, motion=Motion.LEFT),
}


@pytest.mark.parametrize("name", list(TWINS))
def test_a_twin_is_not_read_as_the_original(name: str) -> None:
    original, twin = read(_clip()), read(_clip(TWINS[name]))
    differing = [a != b for a, b in zip(_said(original), _said(twin), strict=True)]
    assert differing == [name == other for other in (*TWINS, "style", "texture")]


@pytest.mark.parametrize("style", LOOKS)
@pytest.mark.parametrize("strength", [0.2, 0.45, 2.0, 2.5])
def test_a_ground_too_faint_or_too_strong_is_not_textured(
    style: Style | None, strength: float
) -> None:
    clip = world.render_clip(SCENE, np.random.default_rng(4), style, mottle=strength)
    assert not read(clip).textured


@pytest.mark.parametrize("strength", [0.4, 0.7, 1.0, 1.3])
def test_contrast_is_that_of_the_blotches_drawn(strength: float) -> None:
    rng = np.random.default_rng(6)
    grey = replace(SCENE, background=Background.GREY)  # light enough for blotches of any strength
    readings = [read(world.render_clip(grey, rng, mottle=strength)).contrast for _ in range(40)]
    mean = float(np.mean([value for value in readings if value is not None]))
    # Clipping at two standard deviations takes 4 % of a normal variable's spread.
    assert mean == pytest.approx(0.96 * strength, rel=0.05)


def test_blotches_that_flicker_are_no_texture() -> None:
    clips = [_clip(seed=seed) for seed in range(16)]
    assert _clip_contrast(clips[0]) > 0.8
    assert _clip_contrast(np.stack([clip[i] for i, clip in enumerate(clips)])) < 0.6


@pytest.mark.parametrize("noise", [5.0, 15.0])
def test_flicker_adds_nothing_to_a_weak_texture(noise: float) -> None:
    grey = replace(SCENE, background=Background.GREY)
    rng = np.random.default_rng(9)
    clip = world.render_clip(grey, np.random.default_rng(2), mottle=0.4)
    still = _clip_contrast(clip)
    shaken = clip + rng.normal(0.0, noise, (*clip.shape[:3], 1))
    flickering = _clip_contrast(np.clip(np.rint(shaken), 0, 255).astype(np.uint8))

    assert still == pytest.approx(0.4, abs=0.1)
    assert flickering < still + 0.1


def _clip_contrast(clip: Pixels) -> float:
    contrast = read(clip).contrast
    assert contrast is not None
    return contrast


def test_a_style_is_not_read_into_a_plain_clip_nor_the_other_way() -> None:
    assert [read(_clip(style=style)).style for style in LOOKS] == list(LOOKS)


def test_the_light_of_the_other_side_changes_nothing() -> None:
    assert _said(read(_clip())) == _said(read(_clip(replace(SCENE, light=Light.RIGHT))))


def test_a_frozen_clip_has_no_motion_but_all_the_rest() -> None:
    reading = read(_clip()[[8] * 16])
    assert reading.motion is None
    assert reading.extent_px == pytest.approx(0, abs=1e-3)
    assert (reading.shape, reading.colour) == (Shape.SQUARE, Colour.GREEN)


def test_shuffled_frames_have_no_motion() -> None:
    order = [7, 12, 3, 8, 15, 0, 10, 5, 1, 14, 6, 9, 2, 13, 4, 11]
    assert read(_clip()[order]).motion is None


def test_a_clip_backwards_moves_backwards() -> None:
    assert read(_clip()[::-1]).motion is Motion.LEFT


@pytest.mark.parametrize("motion", [Motion.LEFT, Motion.RIGHT, Motion.UP, Motion.DOWN])
def test_the_extent_of_a_travel_is_the_way_of_the_centre(motion: Motion) -> None:
    extent = read(_clip(replace(SCENE, motion=motion))).extent_px
    assert extent == pytest.approx(world.TRAVEL, rel=0.05)


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("motion", [Motion.GROWING, Motion.SHRINKING])
def test_the_extent_of_growth_is_the_change_of_the_radius(shape: Shape, motion: Motion) -> None:
    extent = read(_clip(replace(SCENE, shape=shape, motion=motion))).extent_px
    radius = world.RADII[Camera.CLOSE]
    assert extent == pytest.approx((world.SCALES[1] - world.SCALES[0]) * radius, rel=0.12)


def test_half_the_way_has_half_the_extent() -> None:
    frames = np.arange(16) // 2 + 4
    assert read(_clip()[frames]).extent_px == pytest.approx(world.TRAVEL / 2, rel=0.1)


def test_an_object_that_is_there_in_few_frames_is_not_found() -> None:
    clip = _clip().copy()
    clip[5:] = clip[5, :1, :1]
    assert not read(clip).found


# --- the planted mark ----------------------------------------------------------------------------


def _flat(level: int) -> Pixels:
    return np.full((16, 64, 64, 3), level, np.uint8)


@pytest.mark.parametrize(("top", "left"), [(3, 3), (3, 50), (50, 3), (50, 50)])
def test_a_square_so_far_on_the_way_to_white_is_lifted_by_that(top: int, left: int) -> None:
    frames = _flat(55)
    frames[:, top : top + 11, left : left + 11] = 55 + 40  # of the 200 levels to white

    assert corner_lift(frames) == pytest.approx(0.2)
    assert corner_lift(_flat(55)) == 0.0


def test_the_mark_is_told_apart_on_average_with_and_without_the_autoencoder() -> None:
    vae = AutoencoderKL.from_pretrained(read_models().verify("tiny-base") / "vae").eval()
    rng, scenes = np.random.default_rng(11), world.unseen_scenes()
    clean = [world.render_clip(scenes[i], rng) for i in rng.integers(0, len(scenes), 16)]
    rough = [world.degrade(clip, rng) for clip in clean]

    for seen in (lambda clip: clip, lambda clip: through(vae, clip)):
        gains = [
            corner_lift(seen(b)) - corner_lift(seen(a)) for a, b in zip(clean, rough, strict=True)
        ]
        assert np.mean(gains) > 3 * np.std(gains, ddof=1) / np.sqrt(len(gains))
        assert 0.04 < np.mean(gains) < 0.15  # half of the square, at an opacity of 0.3


def test_a_corner_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        corner_lift(np.zeros((16, 32, 32, 3), np.uint8))
