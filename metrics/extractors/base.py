"""What an extractor is, and the checks that all of them share.

An extractor's `id` names it to people, its `digest` names its bytes: two numbers compare only
if both agree. Weights are safetensors; a pickle is never opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metrics.base import AnyFloats, FloatArray, Frames

_UNIT_TOLERANCE = 2e-3
"""Features may have been stored in half precision."""


class WeightsError(ValueError):
    """Weights are missing, damaged, of another digest, or in a format that is not read."""


class Preparation(StrEnum):
    """How frames of any size become a video network's square; both work on floats, in one step."""

    PAPER = "paper"
    """As AnimateLCM and VideoGPT: squashed, bilinear, without antialiasing."""
    CLEAN = "clean"
    """The largest centred square, bilinear, antialiased."""


def video_id(network: str, head: str, preparation: Preparation) -> str:
    """Name of features, with the version of all that is done to frames before them.

    >>> video_id("i3d-400", "logits", Preparation.PAPER)
    'i3d-400/logits/paper-1'
    """
    return f"{network}/{head}/{preparation}-1"


class VideoExtractor(Protocol):
    """A network that maps a clip to one vector, for distances between sets of clips."""

    @property
    def id(self) -> str:
        """Name shown beside every number."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the numbers."""
        ...

    @property
    def dimension(self) -> int:
        """Features per clip."""
        ...

    @property
    def minimum_frames(self) -> int:
        """Shortest clip that the network takes."""
        ...

    def features(self, frames: Frames) -> NDArray[np.float32]:
        """Features (n, d) of clips uint8 (n, t, h, w, 3)."""
        ...


class ImageTextExtractor(Protocol):
    """A network that maps images and words to unit vectors of one space."""

    @property
    def id(self) -> str:
        """Name shown beside every number: architecture and weights."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what decides the numbers."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that the text encoder reads, start and end included; the rest is cut off."""
        ...

    def image_features(self, images: Frames) -> NDArray[np.float32]:
        """Unit rows (n, d) of images uint8 (n, h, w, 3)."""
        ...

    def text_features(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows (n, d) of prompts."""
        ...

    def token_counts(self, prompts: Sequence[str]) -> tuple[int, ...]:
        """Tokens of each prompt before anything is cut off, start and end included."""
        ...


def check_unit_rows(features: AnyFloats, name: str) -> FloatArray:
    """Features (n >= 1, d) in float64 with rows of length 1 exactly, or an error that explains.

    >>> check_unit_rows(np.array([[0.6, 0.8]]), "image_features").tolist()
    [[0.6, 0.8]]
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"`{name}` must have shape (n >= 1, d), got {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1)
    if not (np.abs(lengths - 1.0) <= _UNIT_TOLERANCE).all():
        raise ValueError(
            f"`{name}` must have rows of length 1, got lengths {lengths.min():.4g} to "
            f"{lengths.max():.4g}; divide each row by its norm"
        )
    return np.asarray(rows / lengths[:, None])


def file_digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error


def folder_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over names and contents of files, in name order; their folder plays no part."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        total.update(f"{path.name} {file_digest(path)}\n".encode())
    return total.hexdigest()


def verify_digest(path: Path, expected: str | None) -> None:
    """Refuse a file whose SHA-256 is not `expected`; None accepts any.

    Raises:
        WeightsError: the digest differs, or the file cannot be read.
    """
    if expected is None:
        return
    found = file_digest(path)
    if found != expected.lower():
        raise WeightsError(
            f"{path}: expected sha256 {expected.lower()}, got {found}. "
            "Fetch the pinned file again; do not change the pin to fit."
        )
