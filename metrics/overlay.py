"""Which clips carry a mark that came along with the training videos: a watermark, a frame, a logo.

No picture of the mark is needed. What a mark leaves are edges that stay in place, within a clip
while its content moves, and over clips whose contents have nothing to do with each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics import frames as frames_
from metrics.base import FloatArray, Frames

GRID = 128
"""Largest side of a field, in pixels: larger clips are made smaller for it."""

FEWEST = 16
"""Clips below which the edges of the others' contents drown those of a mark that all have."""

_SOFT = 4.0
"""Levels of 255 at which an edge counts half: faint marks are not drowned by strong contours."""

Field = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class OverlayRate:
    """`value` is the share of clips that are `marked` (n,), of which `strength` (n,) says how much.

    `strength` is the cosine of a clip's edges to those of all others, in place.
    """

    value: float
    marked: NDArray[np.bool_]
    strength: FloatArray


def edge_field(frames: Frames) -> Field:
    """The edges of frames uint8 (t, h, w, 3) that stay, int8 (h', w', 2) of down and across.

    The median over time of luma's steps to the next pixel, compressed: 127 is an edge without
    end. h' and w' are one less than the clip's sides, or than `GRID` where those are larger.

    Raises:
        ValueError: frames smaller than 3 px.
    """
    checked = frames_.check(frames)
    height, width = (min(side, GRID) for side in checked.shape[1:3])
    if min(height, width) < 3:
        raise ValueError(f"edges need frames of at least 3 px, got {checked.shape[1:3]}")
    lumas = frames_.luma(frames_.resize(checked, height, width, fit="squash"))
    down, across = np.diff(lumas, axis=1)[:, :, :-1], np.diff(lumas, axis=2)[:, :-1]
    lasting = np.stack([np.median(down, axis=0), np.median(across, axis=0)], axis=-1)
    lengths = np.linalg.norm(lasting, axis=-1, keepdims=True)
    return np.asarray(np.rint(127 * lasting / (lengths + _SOFT)), np.int8)


def overlay_rate(edge_fields: NDArray[np.int8]) -> OverlayRate:
    """Share of clips whose edges agree with the others' best where they are, in [0, 1].

    Of fields (n >= 16, h, w, 2). A clip is marked when its edges, laid on the sum of all others' at
    every shift around the picture, fit best at no shift: contents of their own fit best anywhere.

    Raises:
        ValueError: fewer clips, or another shape.
    """
    fields = np.asarray(edge_fields)
    if fields.ndim != 4 or fields.shape[-1] != 2 or len(fields) < FEWEST:
        raise ValueError(f"`edge_fields` must be (n >= {FEWEST}, h, w, 2), got {fields.shape}")
    total = fields.sum(axis=0, dtype=np.int64)
    judged = [_judge(field, total - field) for field in fields]
    marked = np.array([is_marked for is_marked, _ in judged])
    return OverlayRate(float(marked.mean()), marked, np.array([cosine for _, cosine in judged]))


def _judge(field: Field, others: NDArray[np.int64]) -> tuple[bool, float]:
    lengths = np.linalg.norm(field) * np.linalg.norm(others)
    if lengths == 0:
        return False, 0.0
    spectra = (np.fft.rfft2(one, axes=(0, 1)) for one in (field, others))
    own, theirs = spectra
    shifted = np.fft.irfft2((own * theirs.conj()).sum(axis=-1), s=field.shape[:2]) / lengths
    in_place = float(shifted[0, 0])
    return in_place > 0 and in_place >= float(shifted.max()) - 1e-12, in_place
