"""Marks that clips have in common, with the tiny world's own mark as truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics.base import Frames
from metrics.faults import FAULTS
from metrics.overlay import FEWEST, edge_field, overlay_rate
from poc.tiny import world

COUNT = 32


def _clips() -> list[Frames]:
    rng = np.random.default_rng(11)
    scenes = world.all_scenes()
    picked = rng.permutation(len(scenes))[:COUNT]
    return [world.render_clip(scenes[i], rng) for i in picked]


CLIPS = _clips()


def _marked(clip: Frames) -> Frames:
    """The mark of the world's cheap clips, always in one corner, without their blur and noise."""
    frames = clip.astype(np.float64)
    stripes = (np.add.outer(np.arange(11), np.arange(11)) % 4 < 2)[None, :, :, None]
    corner = frames[:, 50:61, 50:61]
    corner += world.MARK * stripes * (255.0 - corner)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def _fields(clips: list[Frames]) -> NDArray[np.int8]:
    return np.stack([edge_field(clip) for clip in clips])


CLEAN, MARKED = _fields(CLIPS), _fields([_marked(clip) for clip in CLIPS])


# --- fields -------------------------------------------------------------------------------------


def test_a_step_has_its_compressed_height_and_a_plain_picture_no_edge() -> None:
    frames = np.full((3, 10, 12, 3), 50, np.uint8)
    assert not edge_field(frames).any()

    frames[:, :, 6:] = 62
    field = edge_field(frames)

    assert field[..., 0].any() == 0
    assert set(field[:, 5, 1].tolist()) == {round(127 * 12 / (12 + 4))}
    assert not np.delete(field[..., 1], 5, axis=1).any()


def test_what_moves_leaves_no_lasting_edge() -> None:
    frames = np.full((15, 10, 40, 3), 50, np.uint8)
    for i, frame in enumerate(frames):
        frame[:, 2 * i : 2 * i + 4] = 200

    assert not edge_field(frames).any()


def test_plain_loops_find_the_same_edges() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    luma = [[[0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in row] for row in frame]
            for frame in frames.tolist()]  # fmt: skip

    field = edge_field(frames)

    for y in range(5):
        for x in range(6):
            down = sorted(one[y + 1][x] - one[y][x] for one in luma)[2]
            across = sorted(one[y][x + 1] - one[y][x] for one in luma)[2]
            scale = 127 / ((down**2 + across**2) ** 0.5 + 4)
            assert field[y, x] == pytest.approx([down * scale, across * scale], abs=0.51)


def test_large_clips_are_made_small() -> None:
    assert edge_field(np.zeros((2, 300, 200, 3), np.uint8)).shape == (127, 127, 2)


# --- the rate -----------------------------------------------------------------------------------


def test_clips_with_the_same_edges_fit_wholly_and_one_without_does_not() -> None:
    fields = np.zeros((FEWEST, 9, 9, 2), np.int8)
    fields[:, 4, 4, 0] = 100
    assert (overlay_rate(fields).value, overlay_rate(fields).strength.tolist()) == (
        1.0,
        pytest.approx([1.0] * FEWEST),
    )

    fields[3] = 0
    fields[3, 1, 2, 0] = 100  # its edge lies elsewhere: it fits best when shifted
    found = overlay_rate(fields)
    assert found.value == (FEWEST - 1) / FEWEST
    assert not found.marked[3]
    assert found.strength[3] == pytest.approx(0.0, abs=1e-12)


def test_clean_clips_have_no_mark_and_the_worlds_mark_is_found_in_all() -> None:
    assert overlay_rate(CLEAN).value == 0.0
    assert overlay_rate(MARKED).value >= 0.95


def test_the_planted_watermark_is_found_in_all() -> None:
    rng = np.random.default_rng(0)
    spoilt = [FAULTS["watermark"](clip, rng) for clip in CLIPS]

    assert overlay_rate(_fields(spoilt)).value >= 0.95


def test_of_a_half_that_is_marked_most_are_found_and_no_other() -> None:
    half = np.where((np.arange(COUNT) % 2 == 0)[:, None, None, None], MARKED, CLEAN)
    found = overlay_rate(half)

    assert found.marked[::2].mean() >= 0.6
    assert found.marked[1::2].mean() == 0.0
    assert found.value == found.marked.mean()


def test_every_shift_tried_by_hand_gives_the_same_answer() -> None:
    fields = np.concatenate([MARKED[:8], CLEAN[:8]])[:, ::3, ::3].astype(np.float64)
    expected, strengths = [], []
    for i, field in enumerate(fields):
        others = np.delete(fields, i, axis=0).sum(axis=0)
        fits = np.array(
            [
                (field * np.roll(others, (y, x), axis=(0, 1))).sum()
                for y in range(field.shape[0])
                for x in range(field.shape[1])
            ]
        )
        expected.append(fits[0] > 0 and fits[0] >= fits.max() - 1e-6)
        strengths.append(fits[0] / np.linalg.norm(field) / np.linalg.norm(others))

    found = overlay_rate(fields.astype(np.int8))

    assert found.marked.tolist() == expected
    assert found.strength == pytest.approx(np.array(strengths))


def test_the_order_of_clips_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(COUNT)

    assert (
        overlay_rate(MARKED[order]).marked.tolist() == overlay_rate(MARKED).marked[order].tolist()
    )


def test_fields_taken_one_clip_at_a_time_are_those_taken_together() -> None:
    shards = [_fields(CLIPS[:5]), _fields(CLIPS[5:])]

    assert np.array_equal(np.concatenate(shards), CLEAN)
    assert overlay_rate(np.concatenate(shards[::-1])).value == overlay_rate(CLEAN).value


def test_a_stronger_mark_fits_better() -> None:
    assert overlay_rate(MARKED).strength.mean() > overlay_rate(CLEAN).strength.mean() + 0.15


def test_plain_clips_have_no_edge_to_share() -> None:
    found = overlay_rate(np.zeros((FEWEST, 5, 5, 2), np.int8))

    assert (found.value, found.strength.tolist()) == (0.0, [0.0] * FEWEST)


def test_too_few_clips_have_no_rate() -> None:
    with pytest.raises(ValueError, match=f"n >= {FEWEST}"):
        overlay_rate(MARKED[: FEWEST - 1])
    with pytest.raises(ValueError, match="at least 3 px"):
        edge_field(np.zeros((2, 2, 9, 3), np.uint8))
    with pytest.raises(TypeError, match="uint8"):
        edge_field(np.zeros((2, 9, 9, 3)))  # type: ignore[arg-type]
