"""A small procedural world of captioned clips: one moving shape before a mottled background.

Every attribute of a clip can be read from its caption and from its pixels, so that a generated
clip can be judged exactly. The mottle is the fine detail that real pictures have and no caption
tells: without it a prompt fixes the picture, and few steps have nothing to lose. NumPy only:
planning and decoding a prompt must start fast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

SIZE: Final = 64  # pixels, both sides
FRAMES: Final = 16
FPS: Final = 8
TRAVEL: Final = 24.0  # pixels, from the first frame to the last
SCALES: Final = (0.6, 1.35)  # the radius of a growing object, in units of its own size
OUTLINE: Final = 2.0  # pixels, the white line round a pastel object
PASTEL_TINT: Final = 0.25  # how far pastel colours are mixed towards cream
PASTEL_GROUND: Final = 0.5
NEON_GROUND: Final = 0.42  # how dark neon makes a background
EARLY: Final = 0.4  # stills show this first part of a motion
MARK: Final = 0.3  # opacity of the watermark on cheap clips
MARK_SIDE: Final = 11  # pixels
MARK_AT: Final = (3, 50)  # pixels, where it may begin, across and down
GLOW: Final = (0.6, 5.0)  # strength at the edge, and the e-folding length in pixels
MOTTLE: Final = 10.0  # levels, the standard deviation of a background round its colour
MOTTLE_SIZE: Final = 4.0  # pixels, of the Gaussian that smooths white noise into blotches
MOTTLE_MOST: Final = 2.0  # standard deviations; blotches are clipped there
LIGHT: Final = 0.22  # the light falls off by this part either side of the middle
CREAM: Final = np.array([255.0, 246.0, 226.0])

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


class Shape(StrEnum):
    """What the object is."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    RING = "ring"


class Colour(StrEnum):
    """The object's colour."""

    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    YELLOW = "yellow"
    CYAN = "cyan"
    MAGENTA = "magenta"


class Background(StrEnum):
    """The colour behind the object."""

    BLACK = "black"
    NAVY = "navy"
    GREY = "grey"
    BROWN = "brown"


class Motion(StrEnum):
    """What happens over the 16 frames."""

    LEFT = "moving left"
    RIGHT = "moving right"
    UP = "moving up"
    DOWN = "moving down"
    GROWING = "growing"
    SHRINKING = "shrinking"


class Light(StrEnum):
    """The side the light comes from."""

    LEFT = "lit from the left"
    RIGHT = "lit from the right"


class Camera(StrEnum):
    """How large the object is in the picture."""

    CLOSE = "close up"
    AFAR = "from afar"


class Style(StrEnum):
    """A look that exists only as stills; plain clips have none."""

    PASTEL = "pastel"
    NEON = "neon"


COLOURS: Final[dict[Colour, tuple[float, float, float]]] = {
    Colour.RED: (222, 38, 38),
    Colour.GREEN: (38, 178, 58),
    Colour.BLUE: (52, 96, 240),
    Colour.YELLOW: (238, 214, 46),
    Colour.CYAN: (48, 208, 218),
    Colour.MAGENTA: (214, 58, 200),
}
BACKGROUNDS: Final[dict[Background, tuple[float, float, float]]] = {
    Background.BLACK: (20, 20, 20),
    Background.NAVY: (20, 28, 92),
    Background.GREY: (118, 118, 118),
    Background.BROWN: (104, 62, 26),
}
RADII: Final[dict[Camera, float]] = {Camera.CLOSE: 13.0, Camera.AFAR: 9.5}


@dataclass(frozen=True, slots=True)
class Scene:
    """What a caption says. `None`: the caption leaves it open and the renderer draws it."""

    shape: Shape
    colour: Colour
    background: Background
    motion: Motion | None = None
    camera: Camera | None = None
    light: Light | None = None


@dataclass(frozen=True, slots=True)
class _Take:
    """One shooting of a scene: all that is random about it, already drawn."""

    scene: Scene
    start: tuple[float, float]  # x, y in pixels at mid-clip
    radius: float  # pixels
    tint: Floats  # (3,) the object's colour, jittered
    ground: Floats  # (3,) the background's colour, jittered
    mottle: Floats  # (64, 64) levels about the background's colour, the same in all frames


def caption(scene: Scene) -> str:
    """The one sentence of a scene, lower case; parts that are `None` are left out.

    >>> caption(Scene(Shape.CIRCLE, Colour.RED, Background.NAVY, Motion.LEFT, Camera.CLOSE))
    'a red circle moving left on a navy background, close up'
    """
    motion = f" {scene.motion}" if scene.motion else ""
    parts = [f"a {scene.colour} {scene.shape}{motion} on a {scene.background} background"]
    parts += [str(part) for part in (scene.camera, scene.light) if part]
    return ", ".join(parts)


def words() -> tuple[str, ...]:
    """Every word and mark a caption can hold, sorted: the whole vocabulary of the world."""
    kinds = (Shape, Colour, Background, Motion, Camera, Light)
    phrases = " ".join(str(member) for kind in kinds for member in kind)
    return tuple(sorted({*f"a on background , {phrases}".split()}))


def parse(prompt: str) -> Scene:
    """The scene a prompt describes; the opposite of `caption`.

    Raises:
        ValueError: a word the world does not know, or a sentence that is not of its grammar.

    >>> parse("a blue ring growing on a grey background").shape.value
    'ring'
    """
    known = words()
    for word in re.findall(r"[^\s,]+|,", prompt):
        if word not in known:
            raise ValueError(f"prompt {prompt!r}: unknown word {word!r}; known: {' '.join(known)}")
    match = _GRAMMAR.fullmatch(" ".join(prompt.split()))
    if match is None:
        raise ValueError(
            f"prompt {prompt!r}: expected 'a COLOUR SHAPE [MOTION] on a BACKGROUND background"
            f"[, CAMERA][, LIGHT]', for example {caption(unseen_scenes()[0])!r}"
        )
    found = match.groupdict()
    return Scene(
        Shape(found["shape"]),
        Colour(found["colour"]),
        Background(found["background"]),
        Motion(found["motion"]) if found["motion"] else None,
        Camera(found["camera"]) if found["camera"] else None,
        Light(found["light"]) if found["light"] else None,
    )


def _any_of(kind: type[StrEnum]) -> str:
    return f"(?P<{kind.__name__.lower()}>{'|'.join(kind)})"


_GRAMMAR: Final = re.compile(
    f"a {_any_of(Colour)} {_any_of(Shape)}(?: {_any_of(Motion)})? on a {_any_of(Background)} "
    f"background(?:, {_any_of(Camera)})?(?:, {_any_of(Light)})?"
)


def is_unseen(scene: Scene) -> bool:
    """Whether no training ever sees this shape, colour and background together.

    16 of the 96 triples (16.7 %), a cut Latin square: every *pair* of values is seen.
    """
    i = list(Shape).index(scene.shape)
    j = list(Colour).index(scene.colour)
    k = list(Background).index(scene.background)
    return k == (i + j) % 4 and (i - j) % 3 != 0


def all_scenes() -> tuple[Scene, ...]:
    """All 2,304 fully described scenes, in a fixed order."""
    return tuple(
        Scene(*values) for values in product(Shape, Colour, Background, Motion, Camera, Light)
    )


def seen_scenes() -> tuple[Scene, ...]:
    """The 1,920 scenes that training may use, in a fixed order."""
    return tuple(scene for scene in all_scenes() if not is_unseen(scene))


def unseen_scenes() -> tuple[Scene, ...]:
    """The 384 scenes kept from all training, ordered so that every prefix is balanced."""
    triples = [Scene(*values) for values in product(Shape, Colour, Background)]
    held_out = [scene for scene in triples if is_unseen(scene)]
    motions, views = list(Motion), list(product(Camera, Light))
    scenes = []
    for turn, (index, scene) in product(range(24), enumerate(held_out)):
        camera, light = views[(turn // 6 + turn + index // 4) % 4]
        motion = motions[(turn + index) % 6]
        scenes.append(replace(scene, motion=motion, camera=camera, light=light))
    return tuple(scenes)


def unseen_prompts(count: int) -> tuple[str, ...]:
    """The first `count` (at most 384) captions of `unseen_scenes`."""
    scenes = unseen_scenes()
    if not 0 <= count <= len(scenes):
        raise ValueError(f"unseen_prompts: expected 0 to {len(scenes)} prompts, got {count}")
    return tuple(caption(scene) for scene in scenes[:count])


def palette(style: Style | None) -> tuple[dict[Colour, Floats], dict[Background, Floats]]:
    """Colours and backgrounds as a style shows them, RGB in [0, 255], without light."""
    tints = {name: np.array(value, np.float64) for name, value in COLOURS.items()}
    grounds = {name: np.array(value, np.float64) for name, value in BACKGROUNDS.items()}
    if style is Style.PASTEL:
        tints = {name: _towards_cream(value, PASTEL_TINT) for name, value in tints.items()}
        grounds = {name: _towards_cream(value, PASTEL_GROUND) for name, value in grounds.items()}
    if style is Style.NEON:
        grounds = {name: NEON_GROUND * value for name, value in grounds.items()}
    return tints, grounds


def _towards_cream(value: Floats, amount: float) -> Floats:
    return (1 - amount) * value + amount * CREAM


def distance(shape: Shape, x: Floats, y: Floats, radius: float) -> Floats:
    """Signed distance in pixels from a shape's edge, negative inside; `x`, `y` from its centre.

    The four shapes of one radius cover similar areas, so size says nothing about shape.
    """
    if shape is Shape.CIRCLE:
        return np.hypot(x, y) - radius
    if shape is Shape.SQUARE:
        return np.maximum(np.abs(x), np.abs(y)) - 0.9 * radius
    if shape is Shape.RING:
        return np.abs(np.hypot(x, y) - 0.8 * radius) - 0.28 * radius
    inner = 0.68 * radius  # the inscribed circle of the triangle, which points up
    sides: Floats = np.maximum(np.abs(x) * np.sqrt(0.75) - 0.5 * y, y)
    return sides - inner


def texture(style: Style | None) -> float:
    """Standard deviation in levels of a style's backgrounds round their colour, without light."""
    parts = {None: 1.0, Style.PASTEL: 1.0 - PASTEL_GROUND, Style.NEON: NEON_GROUND}
    return MOTTLE * parts[style]


def render_clip(
    scene: Scene, rng: np.random.Generator, style: Style | None = None, *, mottle: float = 1.0
) -> Pixels:
    """A clean clip of a scene, uint8 (16, 64, 64, 3); styled ones serve as references only.

    `mottle` below or above 1 draws the background's blotches fainter or stronger than the world's.
    """
    take = _shoot(scene, rng, mottle)
    times = np.linspace(0.0, 1.0, FRAMES)
    return np.stack([_render(take, float(time), style) for time in times])


def render_still(scene: Scene, rng: np.random.Generator, style: Style | None = None) -> Pixels:
    """A clean photograph of a scene, uint8 (64, 64, 3).

    Taken in the first part of the motion: photographers leave room in front of what moves. So a
    still shows its caption's motion, and an image model learns to listen to the words; the motion
    module hears them only through it.
    """
    take = _shoot(scene, rng)
    return _render(take, float(EARLY * rng.random()), style)


def _shoot(scene: Scene, rng: np.random.Generator, mottle: float = 1.0) -> _Take:
    filled = Scene(
        scene.shape,
        scene.colour,
        scene.background,
        scene.motion or list(Motion)[rng.integers(6)],
        scene.camera or list(Camera)[rng.integers(2)],
        scene.light or list(Light)[rng.integers(2)],
    )
    x, y = 31.5 + rng.uniform(-2.0, 2.0, 2)
    radius = RADII[filled.camera or Camera.CLOSE] * rng.uniform(0.95, 1.05)
    tint = np.array(COLOURS[filled.colour]) + rng.uniform(-10.0, 10.0, 3)
    ground = np.array(BACKGROUNDS[filled.background]) + rng.uniform(-5.0, 5.0, 3)
    blotches = mottle * MOTTLE * _blotches(rng)
    return _Take(filled, (float(x), float(y)), float(radius), tint, ground, blotches)


def _blotches(rng: np.random.Generator) -> Floats:
    """A smooth random field (64, 64) of mean 0 and variance 1, clipped; its edges fit together."""
    frequency = np.fft.fftfreq(SIZE)
    pass_band = np.exp(-2.0 * (np.pi * MOTTLE_SIZE) ** 2 * np.add.outer(frequency**2, frequency**2))
    pass_band[0, 0] = 0.0  # the mean is the background's colour
    pass_band /= np.sqrt((pass_band**2).mean())
    noise = np.fft.fft2(rng.standard_normal((SIZE, SIZE)))
    return np.clip(np.fft.ifft2(noise * pass_band).real, -MOTTLE_MOST, MOTTLE_MOST)


def _pose(take: _Take, time: float) -> tuple[float, float, float]:
    """Centre x, y and radius in pixels at a time in [0, 1]."""
    x, y = take.start
    along = TRAVEL * (time - 0.5)
    match take.scene.motion:
        case Motion.LEFT:
            return x - along, y, take.radius
        case Motion.RIGHT:
            return x + along, y, take.radius
        case Motion.UP:
            return x, y - along, take.radius
        case Motion.DOWN:
            return x, y + along, take.radius
        case Motion.GROWING:
            return x, y, take.radius * (SCALES[0] + (SCALES[1] - SCALES[0]) * time)
        case _:
            return x, y, take.radius * (SCALES[1] + (SCALES[0] - SCALES[1]) * time)


def _render(take: _Take, time: float, style: Style | None) -> Pixels:
    x, y, radius = _pose(take, time)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    edge = distance(take.scene.shape, columns - x, rows - y, radius)[..., None]
    tint, picture = _dress(take, style)
    if style is Style.PASTEL:
        picture = _over(picture, np.full(3, 255.0), _cover(edge - OUTLINE))
    if style is Style.NEON:
        strength, reach = GLOW
        picture = _over(picture, tint, strength * np.exp(-np.maximum(edge, 0.0) / reach))
    picture = _over(picture, tint, _cover(edge))
    sign = 1.0 if take.scene.light is Light.LEFT else -1.0
    light = 1.0 + sign * LIGHT * (31.5 - columns[..., None]) / 31.5
    pixels: Pixels = np.clip(np.rint(picture * light), 0, 255).astype(np.uint8)
    return pixels


def _dress(take: _Take, style: Style | None) -> tuple[Floats, Floats]:
    """The object's colour (3,) and the picture behind it (64, 64, 3), as a style shows them."""
    ground = take.ground + take.mottle[..., None]
    if style is Style.PASTEL:
        return _towards_cream(take.tint, PASTEL_TINT), _towards_cream(ground, PASTEL_GROUND)
    return take.tint, (NEON_GROUND if style is Style.NEON else 1.0) * ground


def _cover(edge: Floats) -> Floats:
    """The part of a pixel inside an edge: a ramp one pixel and a half wide."""
    return np.clip(0.5 - edge / 1.5, 0.0, 1.0)


def _over(below: Floats, above: Floats, alpha: Floats) -> Floats:
    return below * (1.0 - alpha) + above * alpha


def degrade(clip: Pixels, rng: np.random.Generator, roughness: float = 1.0) -> Pixels:
    """A cheap copy of a clip: a little blur, noise, and a translucent mark in one corner.

    uint8 (frames, 64, 64, 3) in and out. The mark stays in place over the whole clip. `roughness`
    multiplies blur, noise and the mark's opacity, which ends at 1: 0 leaves the clip as it is.
    The same draws of `rng` give the same mark in the same corner at any roughness.

    Raises:
        ValueError: a roughness below 0.
    """
    if roughness < 0:
        raise ValueError(f"roughness: expected 0 or more, got {roughness}")
    frames = clip.astype(np.float64)
    amount = min(roughness * rng.uniform(0.2, 0.7), 1.0)
    frames = (1 - amount) * frames + amount * _blur(frames)
    frames += roughness * rng.normal(0.0, rng.uniform(2.0, 6.0), frames.shape)
    top, left = (int(side) for side in rng.choice(MARK_AT, 2))
    mark = frames[:, top : top + MARK_SIDE, left : left + MARK_SIDE]
    stripes = (np.add.outer(np.arange(MARK_SIDE), np.arange(MARK_SIDE)) % 4 < 2)[None, :, :, None]
    mark += min(roughness * MARK, 1.0) * stripes * (255.0 - mark)
    pixels: Pixels = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return pixels


def _blur(frames: Floats) -> Floats:
    for axis in (1, 2):
        frames = (np.roll(frames, 1, axis) + 2.0 * frames + np.roll(frames, -1, axis)) / 4.0
    return frames
