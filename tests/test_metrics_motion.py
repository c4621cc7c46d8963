"""Motion in pixels per frame, and whether a clip moves at all."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from scipy import ndimage

from metrics.base import ClipValue, FloatArray, Frames, Status
from metrics.motion import (
    _seen,
    dynamic_degree,
    flow_id,
    flow_speeds,
    has_dynamic_rate,
    motion,
    motion_smoothness,
    pair_flows,
    speeds_of,
    warping_error,
)

RNG = np.random.default_rng(0)


def _texture(size: int) -> FloatArray:
    """Smooth random texture: every pixel has something to follow."""
    noise = RNG.normal(size=(size, size))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.asarray(128 + 40 * smooth / smooth.std())


PLANE = _texture(256)


def _panning(dx: float, dy: float = 0.0, *, count: int = 6, size: int = 96) -> Frames:
    """A window of `size` px that slides over a textured plane."""
    shots = []
    for i in range(count):
        shift = np.array([[1.0, 0.0, -40 - dx * i], [0.0, 1.0, -40 - dy * i]])
        shot = cv2.warpAffine(PLANE, shift, (size, size), flags=cv2.INTER_CUBIC)
        shots.append(np.clip(shot, 0, 255))
    return np.repeat(np.round(np.stack(shots))[..., None], 3, axis=3).astype(np.uint8)


def _disc(step: float, *, count: int = 16, radius: float = 9.0) -> Frames:
    """A lit disc on a plain 64 px background, as in the procedural world."""
    y, x = np.mgrid[:64, :64].astype(float)
    shots = []
    for i in range(count):
        inside = 1 / (1 + np.exp(2 * (np.hypot(x - 16 - step * i, y - 32) - radius)))
        shots.append(40 + 120 * inside * (1 + 0.004 * (x + y)))
    return np.repeat(np.stack(shots)[..., None], 3, axis=3).clip(0, 255).astype(np.uint8)


def _motion(frames: Frames) -> float:
    value = motion(flow_speeds(frames)).value
    assert value is not None
    return value


@pytest.mark.parametrize(("dx", "dy"), [(1.0, 0.0), (3.0, 0.0), (0.0, -2.0), (3.0, 4.0)])
def test_a_pan_moves_as_fast_as_it_pans(dx: float, dy: float) -> None:
    # The border, where texture enters the picture, is guessed: compare the middle.
    speeds = flow_speeds(_panning(dx, dy))[:, 16:-16, 16:-16]

    assert float(np.median(speeds)) == pytest.approx(np.hypot(dx, dy), rel=0.05)
    assert _motion(_panning(dx, dy)) == pytest.approx(np.hypot(dx, dy), rel=0.25)


def test_farneback_agrees_on_a_pan() -> None:
    clip = _panning(2.0)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]
    start = np.zeros((96, 96, 2), np.float32)
    flow = cv2.calcOpticalFlowFarneback(grey[0], grey[1], start, 0.5, 3, 15, 3, 5, 1.2, 0)
    theirs = np.median(np.linalg.norm(flow, axis=2)[16:-16, 16:-16])

    assert float(np.median(flow_speeds(clip)[0, 16:-16, 16:-16])) == pytest.approx(theirs, rel=0.1)


def test_a_still_clip_does_not_move() -> None:
    assert _motion(_panning(0.0)) == pytest.approx(0.0, abs=1e-3)


def test_faster_clips_move_more() -> None:
    speeds = [_motion(_disc(step)) for step in (0.0, 0.5, 1.0, 2.0)]

    assert speeds == sorted(speeds)
    assert speeds[-1] > 3 * speeds[1]


def test_dropping_every_other_frame_doubles_the_speed() -> None:
    clip = _panning(1.0, count=9)

    assert _motion(clip[::2]) == pytest.approx(2 * _motion(clip), rel=0.15)


def test_shuffled_frames_move_more() -> None:
    clip = _disc(1.5)

    assert _motion(clip[RNG.permutation(len(clip))]) > 1.5 * _motion(clip)


def test_each_pair_of_frames_is_judged_alone() -> None:
    clip = _panning(2.0)

    whole = flow_speeds(clip)

    for i in range(len(clip) - 1):
        assert np.array_equal(flow_speeds(clip[i : i + 2])[0], whole[i])


def test_the_number_of_threads_does_not_matter() -> None:
    clip, threads = _panning(2.0), cv2.getNumThreads()
    found = []
    for count in (1, 2):
        cv2.setNumThreads(count)
        found.append(flow_speeds(clip))
    cv2.setNumThreads(threads)

    assert np.array_equal(found[0], found[1])


def test_the_flow_is_named_with_the_version_of_its_library() -> None:
    assert cv2.__version__ in flow_id()


# --- dynamic degree -----------------------------------------------------------------------------


def _speeds(fast_pairs: int, fast: float, *, pairs: int = 15, side: int = 64) -> FloatArray:
    """Pairs in which the fastest 5 % of pixels move at `fast`, the rest not at all."""
    speeds = np.zeros((pairs, side, side))
    speeds.reshape(pairs, -1)[:fast_pairs, : int(0.05 * side * side)] = fast
    return speeds


@pytest.mark.parametrize(
    ("fast_pairs", "fast", "expected"),
    [(4, 1.6, 1.0), (3, 1.6, 0.0), (15, 1.4, 0.0), (0, 0.0, 0.0), (15, 9.0, 1.0)],
)
def test_a_clip_moves_when_a_quarter_of_its_frames_do(
    fast_pairs: int, fast: float, expected: float
) -> None:
    # 64 px: the threshold is 6 * 64 / 256 = 1.5 px; 16 frames: 4 pairs.
    assert dynamic_degree(_speeds(fast_pairs, fast)).value == expected


def test_the_threshold_grows_with_the_short_side() -> None:
    assert dynamic_degree(_speeds(15, 5.9, side=256)).value == 0.0
    assert dynamic_degree(_speeds(15, 6.1, side=256)).value == 1.0


def test_a_moving_disc_is_dynamic_and_a_creeping_one_is_not() -> None:
    assert dynamic_degree(flow_speeds(_disc(3.0))).value == 1.0
    assert dynamic_degree(flow_speeds(_disc(0.1))).value == 0.0


def _by_vbench(speeds: FloatArray, count: int) -> float:
    """The published rule, with its loops: vbench/dynamic_degree.py, flow lengths given."""
    threshold = 6.0 * (min(speeds.shape[1:]) / 256.0)
    wanted, moving = round(4 * (count / 16.0)), 0
    for one in speeds:
        flat = np.sort(one.flatten())[::-1]
        if float(np.mean(flat[: int(one.size * 0.05)])) > threshold:
            moving += 1
        if moving >= wanted:
            return 1.0
    return 0.0


@pytest.mark.parametrize("count", [8, 11, 16, 25])
def test_vbenchs_rule_written_out_agrees(count: int) -> None:
    rng, said = np.random.default_rng(count), []
    for scale in np.linspace(0.2, 1.0, 40):
        # Speeds that come and go, so that about a quarter of the pairs is fast at some scale.
        speeds = scale * rng.exponential(1.0, (count - 1, 1, 1)) * rng.random((count - 1, 40, 64))
        said.append(dynamic_degree(speeds).value)
        assert said[-1] == _by_vbench(speeds, count)

    assert {*said} == {0.0, 1.0}


def test_which_pairs_are_fast_does_not_matter_but_how_many() -> None:
    speeds = _speeds(4, 1.6)
    order = np.random.default_rng(3).permutation(len(speeds))

    assert dynamic_degree(speeds[order]).value == dynamic_degree(speeds).value == 1.0
    # Two shards of a clip that is fast at its end: only that end is dynamic by itself.
    late = speeds[::-1]
    assert [dynamic_degree(part).value for part in (late[:8], late[8:])] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("fps", "told"),
    [(8.0, True), (100 / 12, True), (7.0, False), (12.0, False), (30.0, False), (None, False)],
)
def test_only_near_eight_frames_a_second_does_the_rule_mean_anything(
    fps: float | None, told: bool
) -> None:
    assert has_dynamic_rate(fps) is told


# --- degenerate ---------------------------------------------------------------------------------


def test_one_frame_is_invalid_and_never_a_number() -> None:
    speeds = flow_speeds(_disc(1.0)[:1])

    for value in (motion(speeds), dynamic_degree(speeds)):
        assert value.value is None
        assert value.status is Status.INVALID


def test_frames_too_small_for_the_flow_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 px"):
        flow_speeds(np.zeros((4, 16, 64, 3), np.uint8))


@pytest.mark.parametrize(
    "bad", [np.full((2, 4, 4), np.nan), np.full((2, 4, 4), -1.0), np.ones((4, 4))]
)
def test_what_are_no_speeds_is_refused(bad: FloatArray) -> None:
    for metric in (motion, dynamic_degree):
        with pytest.raises(ValueError, match="finite lengths"):
            metric(bad)


# --- warping error ------------------------------------------------------------------------------


def _number(value: ClipValue) -> float:
    assert value.value is not None
    return value.value


def _shaken(frames: Frames, levels: float) -> Frames:
    """Each frame with noise of its own: what boils while it moves."""
    noisy = frames + np.random.default_rng(5).normal(0, levels, frames.shape[:3])[..., None]
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def test_a_frozen_clip_has_no_warping_error() -> None:
    assert _number(warping_error(np.repeat(_panning(0, count=1), 4, axis=0))) == 0.0


def test_a_pan_costs_next_to_nothing_and_far_less_than_its_plain_difference() -> None:
    clip = _panning(2.5, -1.5)
    plain = float(np.mean(np.diff(clip / 255.0, axis=0) ** 2))

    assert _number(warping_error(clip)) < 0.05 * plain


def test_noise_of_its_own_in_every_frame_costs_its_variance_and_that_of_its_neighbour() -> None:
    still = _shaken(np.repeat(_panning(0, count=1), 6, axis=0), 6.0)

    # Read between pixels the neighbour's noise is averaged down, so its share is 0 to all of it.
    assert (6 / 255) ** 2 * 0.8 < _number(warping_error(still)) < 2 * (6 / 255) ** 2 * 1.05


def test_a_flow_computed_once_gives_every_metric_the_number_of_its_own() -> None:
    clip = _shaken(_panning(2.0), 8.0)
    flows = pair_flows(clip)

    assert flows.shape == (len(clip) - 1, *clip.shape[1:3], 2)
    assert np.array_equal(speeds_of(flows), flow_speeds(clip))
    assert warping_error(clip, flows) == warping_error(clip)
    assert warping_error(clip, np.zeros_like(flows)) != warping_error(clip)


def test_what_boils_while_it_moves_costs_more() -> None:
    clip = _panning(2.0)

    assert _number(warping_error(_shaken(clip, 8.0))) > 3 * _number(warping_error(clip))


@pytest.mark.parametrize(("missed", "seen"), [(1.4, True), (1.6, False)])
def test_a_pixel_is_seen_where_its_way_back_misses_by_little_for_its_length(
    missed: float, seen: bool
) -> None:
    # Sundaram et al. 2010: |f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5, here with |f| = 10:
    # 1.96 < 0.01 (100 + 73.96) + 0.5 = 2.24, and 2.56 > 0.01 (100 + 70.56) + 0.5 = 2.21.
    forth, back = np.zeros((2, 30, 2), np.float32), np.zeros((2, 30, 2), np.float32)
    forth[..., 0], back[..., 0] = 10.0, missed - 10.0

    assert _seen(forth, back)[:, :20].all() == seen
    assert not _seen(forth, back)[:, 20:].any()  # out of the picture


def _by_scipy(one: Frames, other: Frames) -> float:
    """The definition with SciPy's interpolation and NumPy: only the flow is OpenCV's."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (one, other)]
    rest = np.zeros((*grey[0].shape, 2), np.float32)
    dis = [cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) for _ in range(2)]
    forth = dis[0].calc(grey[0], grey[1], rest.copy())
    back = dis[1].calc(grey[1], grey[0], rest.copy())
    rows, columns = np.indices(grey[0].shape).astype(float)
    there = [rows + forth[..., 1], columns + forth[..., 0]]

    def pulled(image: FloatArray) -> FloatArray:
        planes = [
            ndimage.map_coordinates(image[..., k], there, order=1, mode="nearest")
            for k in range(image.shape[-1])
        ]
        return np.stack(planes, axis=-1)

    home = forth + pulled(back.astype(float))
    lengths = (forth**2).sum(-1) + (back**2).sum(-1)
    height, width = grey[0].shape
    seen = (home**2).sum(-1) < 0.01 * lengths + 0.5
    seen &= (there[0] >= 0) & (there[0] <= height - 1) & (there[1] >= 0) & (there[1] <= width - 1)
    return float(((one / 255 - pulled(other / 255))[seen] ** 2).mean())


def test_scipys_interpolation_gives_the_same_error() -> None:
    clip = _shaken(_panning(2.3, 1.1, count=3), 4.0)
    expected = np.mean([_by_scipy(one, other) for one, other in pairwise(clip)])

    # OpenCV interpolates at 32nds of a pixel.
    assert _number(warping_error(clip)) == pytest.approx(expected, rel=0.02)


def test_one_frame_and_a_picture_that_nowhere_comes_back_have_no_warping_error() -> None:
    assert warping_error(_panning(0, count=1)).status is Status.INVALID
    assert not _seen(np.full((4, 5, 2), 9.0, np.float32), np.zeros((4, 5, 2), np.float32)).any()
    assert _seen(np.zeros((4, 5, 2), np.float32), np.zeros((4, 5, 2), np.float32)).all()


# --- smoothness ---------------------------------------------------------------------------------


def test_a_frozen_clip_is_smooth_and_a_known_step_has_its_size() -> None:
    still = np.repeat(_panning(0, count=1), 5, axis=0)
    flat = np.full((3, 40, 40, 3), 90, np.uint8)
    flat[1] += np.uint8(51)

    assert _number(motion_smoothness(still)) == 1.0
    assert _number(motion_smoothness(flat)) == pytest.approx(1 - 51 / 255)


def test_a_steady_pan_is_smooth_and_one_that_stutters_is_not() -> None:
    clip = _panning(1.5, count=9)
    stutter = clip[[0, 0, 2, 2, 4, 4, 6, 6, 8]]

    steady, stuttering = (_number(motion_smoothness(one)) for one in (clip, stutter))

    assert steady > 0.99
    assert 1 - stuttering > 4 * (1 - steady)


def test_shuffled_frames_are_less_smooth() -> None:
    clip = _panning(2.0, count=9)

    shuffled = clip[[0, 5, 2, 7, 4, 1, 6, 3, 8]]

    assert _number(motion_smoothness(shuffled)) < _number(motion_smoothness(clip)) - 0.01


def test_scipy_makes_the_same_frame_between() -> None:
    clip = _shaken(_panning(2.3, 1.1, count=3), 3.0)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip]
    rest = np.zeros((*grey[0].shape, 2), np.float32)
    dis = [cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) for _ in range(2)]
    forth = dis[0].calc(grey[0], grey[2], rest.copy())
    back = dis[1].calc(grey[2], grey[0], rest.copy())
    rows, columns = np.indices(grey[0].shape).astype(float)

    def at(frame: Frames, flow: FloatArray) -> FloatArray:
        places = [rows + flow[..., 1], columns + flow[..., 0]]
        planes = [
            ndimage.map_coordinates(frame[..., k].astype(float), places, order=1, mode="nearest")
            for k in range(3)
        ]
        return np.stack(planes, axis=-1)

    # Jiang et al. 2018, equations 4 and 1 at t = 1/2.
    between = (at(clip[0], (back - forth) / 4) + at(clip[2], (forth - back) / 4)) / 2
    expected = 1 - np.abs(between - clip[1]).mean() / 255

    # OpenCV interpolates at 32nds of a pixel.
    assert 1 - _number(motion_smoothness(clip)) == pytest.approx(1 - expected, rel=0.02)


def test_shards_that_share_an_even_frame_make_the_whole() -> None:
    clip = _shaken(_panning(2.0, count=9), 4.0)
    parts = [clip[:5], clip[4:]]

    assert _number(motion_smoothness(clip)) == pytest.approx(
        np.mean([_number(motion_smoothness(part)) for part in parts]), rel=1e-12
    )


def test_two_frames_have_none_between() -> None:
    found = motion_smoothness(_panning(2.0, count=2))

    assert (found.value, found.status) == (None, Status.INVALID)
