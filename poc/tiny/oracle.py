"""Reads what a clip of the tiny world shows, by plain image processing and nothing learned.

The light is fitted to the border and divided out; the object is what differs from the ground; its
outline is compared with the world's own shapes, its path with straight lines. So a generated clip
is judged exactly, and the learned judges can be judged in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from poc.tiny.world import (
    FRAMES,
    MARK_AT,
    MARK_SIDE,
    MOTTLE_SIZE,
    SIZE,
    Background,
    Colour,
    Motion,
    Pixels,
    Shape,
    Style,
    distance,
    palette,
    texture,
)

BORDER: Final = 3  # pixels; no object and no mark of a degraded clip stands there
CORNER: Final = 14  # pixels; the mark of a degraded clip stands there, an object never
LARGEST_LIGHT: Final = 0.4  # a fall-off beyond this is no light of the world
SPREAD: Final = 25.0  # levels; a border that varies more has no ground colour
GROUND_REACH: Final = 40.0  # levels, RGB distance; the nearest two grounds of a look are 57 apart
TINT_REACH: Final = 90.0  # levels, RGB distance; the nearest two colours are 128 apart
CONTRAST: Final = 22.0  # levels; an object must differ this much from the ground
SOLID: Final = 0.62  # a pixel with this part of the object's colour belongs to the object
HOLE: Final = 0.77  # part of the object's colour at the centre; only a ring has less
AREAS: Final = (40.0, 1800.0)  # pixels; the world's objects cover 70 to 1,100
PRESENT: Final = 10  # frames in which the object must be found
OVERLAP: Final = 0.5  # intersection over union below which a shape is none of ours
TRAVEL_LEAST: Final = 8.0  # pixels; a third of the world's travel
GROWTH_LEAST: Final = 0.5  # of the logarithm of the area; a third of the world's growth
STRAIGHT: Final = 0.5  # part of the variance that the straight line must explain
HALO: Final = 0.12  # part of the object's colour about 4 px outside it; neon has 0.25, plain 0
AWAY: Final = 4.0  # pixels from the object's edge, where the ground shows
SEEN: Final = 2  # of 4 frames, in which a pixel must show the ground to tell its texture
LAG: Final = 6  # pixels between which the ground's texture is compared
TEXTURE_LEAST: Final = 0.6  # of the world's own contrast; the autoencoder leaves about 0.8 of it
TEXTURE_MOST: Final = 1.0 / TEXTURE_LEAST
RING: Final = 3  # pixels round a corner's mark that it is compared with
LUMA: Final = np.array([0.299, 0.587, 0.114])  # Rec. 601
LINE: Final = 0.2  # part of white just outside; pastel has 0.8, plain 0

_Floats = npt.NDArray[np.float32]
_WHITE: Final = np.full(3, 255.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a clip shows; `None` where nothing of the world can be read.

    A `style` of `None` is the plain look. `extent_px` is how far the centre travels, or by how
    much the radius changes, over the clip: the larger of the two, by least squares. `contrast` is
    that of the ground's lasting blotches, in parts of the world's own: near 1 in rendered clips.
    """

    shape: Shape | None
    colour: Colour | None
    background: Background | None
    motion: Motion | None
    style: Style | None
    extent_px: float | None
    contrast: float | None
    corner_lift: float
    """See `corner_lift`."""

    @property
    def textured(self) -> bool:
        """Whether the ground is mottled as in the world, with 0.6 to 1.67 times the contrast."""
        return self.contrast is not None and TEXTURE_LEAST <= self.contrast <= TEXTURE_MOST

    @property
    def found(self) -> bool:
        """Whether the clip shows an object at all."""
        return self.extent_px is not None


@dataclass(frozen=True, slots=True)
class _Ground:
    """The picture behind the object, the light taken out."""

    frames: _Floats  # (16, 64, 64, 3) levels, the light divided out
    colour: _Floats  # (3,) levels
    steady: bool  # whether the border has one colour


@dataclass(frozen=True, slots=True)
class _Object:
    """Where the object is, frame by frame; NaN where it is not."""

    tint: _Floats  # (3,) levels, light divided out
    share: _Floats  # (16, 64, 64) the object's part of each pixel, in [0, 1]
    area: _Floats  # (16,) pixels, a hole included
    x: _Floats  # (16,) pixels
    y: _Floats  # (16,) pixels


def read(frames: Pixels) -> Reading:
    """Read a clip, uint8 (16, 64, 64, 3).

    Raises:
        ValueError: another shape or type.
    """
    if frames.shape != (FRAMES, SIZE, SIZE, 3) or frames.dtype != np.uint8:
        raise ValueError(
            f"oracle: expected uint8 {(FRAMES, SIZE, SIZE, 3)}, got {frames.dtype} {frames.shape}"
        )
    ground = _ground(frames)
    pastel = _nearest_style(ground.colour) is Style.PASTEL
    thing = _object(ground, pastel=pastel)
    if thing is None:
        there = _background(ground, None)
        return Reading(None, None, there, None, None, None, None, corner_lift(frames))
    shape, overlap, edge = _shape(thing)
    style = _style(ground, thing, edge, pastel=pastel)
    motion, extent = _motion(thing, shape)
    return Reading(
        shape=shape if overlap >= OVERLAP else None,
        colour=_colour(thing.tint, style),
        background=_background(ground, style),
        motion=motion,
        style=style,
        extent_px=extent,
        contrast=_contrast(ground, thing, edge, style),
        corner_lift=corner_lift(frames),
    )


def corner_lift(frames: Pixels) -> float:
    """How far a corner is lifted towards white, as by the mark of a degraded clip, at most 1.

    Of frames uint8 (t, 64, 64, 3): in each corner the mean of the square where a mark may stand,
    less the median of the pixels round it, over what that median lacks to white; the largest of
    the four. The mark's stripes do not survive the autoencoder, its brightness does. Blotches of
    the ground lift a corner too: clean clips are near 0.03, degraded ones near 0.15, 0.11 after
    the autoencoder. So it is told of many clips, and hardly of one.

    Raises:
        ValueError: another shape or type.
    """
    if frames.shape[1:] != (SIZE, SIZE, 3) or frames.dtype != np.uint8 or not len(frames):
        raise ValueError(
            f"oracle: expected uint8 (t, {SIZE}, {SIZE}, 3), got {frames.dtype} {frames.shape}"
        )
    still = np.median(frames.astype(np.float64) @ LUMA, axis=0)
    return max(_lift(still, top, left) for top in MARK_AT for left in MARK_AT)


def _lift(still: npt.NDArray[np.float64], top: int, left: int) -> float:
    rows, columns = (slice(max(at - RING, 0), at + MARK_SIDE + RING) for at in (top, left))
    ring = np.ones(still.shape, bool)
    mark = slice(top, top + MARK_SIDE), slice(left, left + MARK_SIDE)
    ring[mark] = False
    around = float(np.median(still[rows, columns][ring[rows, columns]]))
    return (float(still[mark].mean()) - around) / max(255.0 - around, 1.0)


def _ground(frames: Pixels) -> _Ground:
    """Fit colour times (1 + a u) to the border, u from 1 at the left to -1 at the right."""
    # (pixels, 3): the median over time leaves out what moves through the border.
    still = np.median(frames[:, _RIM], axis=0)
    u = _ACROSS[None].repeat(SIZE, 0)[_RIM]
    colour, slope = _robust_line(u, still)
    strength = float(slope @ colour / max(float(colour @ colour), 1.0))
    light = 1.0 + np.clip(strength, -LARGEST_LIGHT, LARGEST_LIGHT) * _ACROSS
    spread = np.median(np.abs(still - colour - np.outer(u, slope)))
    flat = frames / light.astype(np.float32)[:, None]
    return _Ground(flat.astype(np.float32), colour.astype(np.float32), bool(spread <= SPREAD))


def _robust_line(
    u: npt.NDArray[np.floating], values: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Offset and slope (3,) of `values` (n, 3) over `u` (n,), far values weighing little."""
    design = np.stack([np.ones_like(u), u], 1)
    offset, slope = np.median(values, axis=0), np.zeros(3)
    for _ in range(4):
        far = np.linalg.norm(values - offset - np.outer(u, slope), axis=1)
        weight = 1.0 / np.maximum(far, 4.0) ** 2
        gram = design.T @ (weight[:, None] * design)
        offset, slope = np.linalg.solve(gram, design.T @ (weight[:, None] * values))
    return offset, slope


def _rim() -> npt.NDArray[np.bool_]:
    rim = np.ones((SIZE, SIZE), bool)
    rim[BORDER:-BORDER, BORDER:-BORDER] = False
    return rim


def _inside() -> npt.NDArray[np.bool_]:
    inside = np.ones((SIZE, SIZE), bool)
    for rows in (slice(0, CORNER), slice(-CORNER, None)):
        for columns in (slice(0, CORNER), slice(-CORNER, None)):
            inside[rows, columns] = False
    return inside


_RIM: Final = _rim()
_INSIDE: Final = _inside()
_ACROSS: Final = (31.5 - np.arange(SIZE)) / 31.5
_STYLES: Final[tuple[Style | None, ...]] = (None, *Style)


def _gap(colour: _Floats, style: Style | None) -> tuple[float, Background]:
    """Distance in levels to the nearest ground of a look, and that ground."""
    grounds = palette(style)[1]
    gaps = {name: float(np.linalg.norm(value - colour)) for name, value in grounds.items()}
    nearest = min(gaps, key=lambda name: gaps[name])
    return gaps[nearest], nearest


def _nearest_style(colour: _Floats) -> Style | None:
    return min(_STYLES, key=lambda style: _gap(colour, style)[0])


def _background(ground: _Ground, style: Style | None) -> Background | None:
    gap, nearest = _gap(ground.colour, style)
    return nearest if gap <= GROUND_REACH and ground.steady else None


def _colour(tint: _Floats, style: Style | None) -> Colour | None:
    tints = palette(style)[0]
    gaps = {name: float(np.linalg.norm(value - tint)) for name, value in tints.items()}
    nearest = min(gaps, key=lambda name: gaps[name])
    return nearest if gaps[nearest] <= TINT_REACH else None


def _object(ground: _Ground, *, pastel: bool) -> _Object | None:
    tint = _tint(ground, pastel=pastel)
    if tint is None:
        return None
    share = _share(ground.frames, ground.colour, tint)
    if pastel:
        share *= _share(ground.frames, _WHITE.astype(np.float32), tint)
    share = np.clip(share, 0.0, 1.0)
    solid = _filled(_large_parts((share > SOLID) & _INSIDE))
    area = solid.sum((1, 2), dtype=np.float32)
    there = (area >= AREAS[0]) & (area <= AREAS[1])
    if there.sum() < PRESENT:
        return None
    area[~there] = np.nan
    columns = np.arange(SIZE, dtype=np.float32)
    x = solid.sum(1, dtype=np.float32) @ columns / area
    y = solid.sum(2, dtype=np.float32) @ columns / area
    return _Object(tint, share, area, x, y)


def _tint(ground: _Ground, *, pastel: bool) -> _Floats | None:
    """The object's colour: the palette's most frequent one, then the median of its pixels."""
    style = Style.PASTEL if pastel else None
    tints = np.stack(list(palette(style)[0].values()))
    known = np.vstack([tints, ground.colour, *([_WHITE] if pastel else [])]).astype(np.float32)
    pixels = ground.frames[::2, _INSIDE].reshape(-1, 3)
    labels = np.argmin((known**2).sum(1) - 2.0 * pixels @ known.T, axis=1)
    counts = np.bincount(labels, minlength=len(known))[: len(tints)]
    best = int(counts.argmax())
    if counts[best] < AREAS[0]:
        return None
    tint: _Floats = np.median(pixels[labels == best], axis=0).astype(np.float32)
    return tint if np.linalg.norm(tint - ground.colour) >= CONTRAST else None


def _share(frames: _Floats, below: _Floats, above: _Floats) -> _Floats:
    """How far each pixel has gone from one colour to another: 0 to 1 and beyond."""
    way = above - below
    share: _Floats = (frames - below) @ (way / max(float(way @ way), 1.0))
    return share


def _large_parts(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask without specks: parts of less than a sixth of the largest are dropped."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large: npt.NDArray[np.bool_] = (sizes > sizes.max(initial=0) / 6.0)[labels] & mask
    return large


def _filled(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask (16, 64, 64) with its holes closed: whatever has no way to the picture's edge."""
    flat = np.zeros((3, 3, 3), bool)
    flat[1] = [[False, True, False], [True, True, True], [False, True, False]]
    labels, count = ndimage.label(~mask, flat)
    outside = np.zeros(count + 1, bool)
    outside[labels[:, _RIM]] = True
    outside[0] = False
    filled: npt.NDArray[np.bool_] = ~outside[labels]
    return filled


def _shape(thing: _Object) -> tuple[Shape, float, _Floats]:
    """The best shape, its overlap in [0, 1] over all frames, and distances from its edge.

    A ring is told by its hole, even where a blur or a halo fills the hole halfway.
    """
    there = np.isfinite(thing.area)[::2]
    near = _disc(thing, 1.5, 3.0)[there]
    share = thing.share[::2][there]
    hole = float(share[_disc(thing, 0.0, 2.2)[there]].mean())
    shapes = [Shape.RING] if hole < HOLE else [s for s in Shape if s is not Shape.RING]
    if hole < HOLE:  # what fills the hole is haze, and lies outside too
        share = np.clip((share - hole) / (1.0 - hole), 0.0, 1.0)
    edges = {shape: _edges(thing, shape) for shape in shapes}
    overlaps = {}
    for shape, edge in edges.items():
        drawn = np.clip(0.5 - edge[there][near] / 2.5, 0.0, 1.0)
        both, either = np.minimum(drawn, share[near]), np.maximum(drawn, share[near])
        overlaps[shape] = float(both.sum() / either.sum())
    best = max(overlaps, key=lambda shape: overlaps[shape])
    return best, overlaps[best], edges[best]


def _disc(thing: _Object, radii: float, more: float) -> npt.NDArray[np.bool_]:
    """Pixels (8, 64, 64) within some radii and some more pixels of the object's centre."""
    grid = np.arange(SIZE, dtype=np.float32)
    x = (grid - thing.x[::2, None]) ** 2
    y = (grid - thing.y[::2, None]) ** 2
    reach = radii * np.sqrt(thing.area[::2] / np.pi) + more
    disc: npt.NDArray[np.bool_] = x[:, None, :] + y[:, :, None] < (reach**2)[:, None, None]
    return disc


def _edges(thing: _Object, shape: Shape) -> _Floats:
    """Signed distances (8, 64, 64) from the shape of the measured place and area, px."""
    grid = np.arange(SIZE, dtype=np.float32)
    radius = np.sqrt(thing.area[::2] / _UNIT_AREAS[shape])[:, None, None]
    x = (grid - thing.x[::2, None])[:, None, :]
    y = (grid - thing.y[::2, None])[:, :, None]
    edge: _Floats = (distance(shape, x / radius, y / radius, 1.0) * radius).astype(np.float32)
    return edge


def _unit_area(shape: Shape) -> float:
    """Area of a shape of radius 1, a ring's hole included, counted on a fine grid."""
    grid = np.linspace(-1.6, 1.6, 801)
    inside = distance(shape, grid[None, :], grid[:, None], 1.0) < 0
    if shape is Shape.RING:
        inside |= np.hypot(grid[None, :], grid[:, None]) < 0.8
    return float(inside.sum() * (grid[1] - grid[0]) ** 2)


_UNIT_AREAS: Final = {shape: _unit_area(shape) for shape in Shape}


def _style(ground: _Ground, thing: _Object, edge: _Floats, *, pastel: bool) -> Style | None:
    """The look: the ground's palette weighed against a white line or a halo round the object."""
    frames = ground.frames[::2]
    if pastel:
        line = frames[(edge > 0.8) & (edge < 2.4)]
        whiteness = _share(line, ground.colour, _WHITE.astype(np.float32))
        return Style.PASTEL if line.size and whiteness.mean() > LINE else None
    band = frames[(edge > 2.5) & (edge < 6.0) & _INSIDE]
    halo = float(_share(band, ground.colour, thing.tint).mean()) if band.size else 0.0
    lean = (_gap(ground.colour, None)[0] - _gap(ground.colour, Style.NEON)[0]) / 30.0
    return Style.NEON if halo / HALO + lean > 1.0 else None


# Mean square of a difference in a field of variance 1: white noise under a Gaussian, its mean over
# the picture taken out.
_LAGGED: Final = (
    2.0
    * (1.0 - np.exp(-(LAG**2) / (4.0 * MOTTLE_SIZE**2)))
    / (1.0 - 4.0 * np.pi * MOTTLE_SIZE**2 / SIZE**2)
)


def _contrast(ground: _Ground, thing: _Object, edge: _Floats, style: Style | None) -> float | None:
    """Strength of the ground's lasting blotches, in parts of what the world draws; 0 for none.

    From differences across `LAG` pixels, which a wrong light does not touch: of the world's own
    field their mean square is known. Those of the first half of the clip are multiplied by those of
    the second, so that blotches that flicker or drift cancel instead of adding up. The part of a
    pixel that a halo of the object's colour explains is taken out first.
    """
    grey, way = np.ones(3, np.float32), thing.tint - ground.colour
    take_grey = np.linalg.pinv(np.stack([grey, way]))[:, 0]
    blotches = (ground.frames[::2] - ground.colour) @ take_grey
    shows = (edge > AWAY) & _INSIDE
    early, late = (_lagged(blotches[half], shows[half]) for half in _HALVES)
    products = (early * late)[np.isfinite(early * late)]
    if products.size < AREAS[0]:
        return None
    power = float(products.mean()) / (_LAGGED * texture(style) ** 2)
    return float(np.sqrt(max(power, 0.0)))


_HALVES: Final = (slice(0, 4), slice(4, 8))  # of every second frame


def _lagged(
    blotches: npt.NDArray[np.floating], shows: npt.NDArray[np.bool_]
) -> npt.NDArray[np.floating]:
    """Differences across and down of the mean over frames; NaN where too few show the ground."""
    mean = np.where(shows, blotches, 0.0).sum(0) / np.maximum(shows.sum(0), 1)
    mean[shows.sum(0) < SEEN] = np.nan
    across, down = mean[:, LAG:] - mean[:, :-LAG], mean[LAG:] - mean[:-LAG]
    return np.concatenate([across.ravel(), down.ravel()])


def _motion(thing: _Object, shape: Shape) -> tuple[Motion | None, float]:
    """The strongest straight change over the clip, and its extent in pixels."""
    radius = np.sqrt(thing.area / _UNIT_AREAS[shape])
    across, growth = _change(thing.x), _change(np.log(thing.area))
    down = _change(thing.y)
    extent = max(float(np.hypot(across[0], down[0])), abs(_change(radius)[0]))
    moves = [
        (across, TRAVEL_LEAST, Motion.RIGHT, Motion.LEFT),
        (down, TRAVEL_LEAST, Motion.DOWN, Motion.UP),
        (growth, GROWTH_LEAST, Motion.GROWING, Motion.SHRINKING),
    ]
    (change, straight), least, up, back = max(moves, key=lambda move: abs(move[0][0]) / move[1])
    if abs(change) < least or straight < STRAIGHT:
        return None, extent
    return (up if change > 0 else back), extent


def _change(values: _Floats) -> tuple[float, float]:
    """Change from first to last frame of the least-squares line; its part of the variance."""
    there = np.isfinite(values)
    times = (np.arange(len(values)) / (len(values) - 1))[there]
    known = values[there].astype(np.float64)
    times, known = times - times.mean(), known - known.mean()
    slope = float(times @ known / (times @ times))
    total = float(known @ known)
    return slope, slope**2 * float(times @ times) / total if total > 0 else 0.0
