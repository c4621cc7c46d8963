"""What every model family offers to the passes, and how tensors are named by their content."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from poc.records import Arm, ResolvedArm

if TYPE_CHECKING:
    import torch

Frames = npt.NDArray[np.uint8]
"""Clips as stored and measured: (n, t, h, w, 3), RGB, 0 to 255."""


class NonFiniteOutputError(ArithmeticError):
    """The network or the decoder produced NaN or infinity; the clip is invalid, not black."""


class VideoPipeline(Protocol):
    """A family with its models resident; arms are switched, not reloaded."""

    def prepare(self, arm: Arm) -> ResolvedArm:
        """Switch to `arm`, its LoRAs merged into the weights as production would."""

    def encode(self, texts: Sequence[str]) -> Any:
        """Embed prompts for the prepared arm."""

    def encode_reused(self, texts: Sequence[str]) -> Any:
        """As `encode`, each text embedded once and kept; for the quality pass only."""

    def denoise(self, embeddings: Any, seeds: Sequence[int]) -> torch.Tensor:
        """Sample one latent clip per seed."""

    def decode(self, latents: torch.Tensor) -> tuple[Frames, tuple[bool, ...]]:
        """Decode latents to frames and say of each clip whether it was finite."""

    @property
    def device(self) -> str:
        """The device of the models, such as cpu or cuda:0."""

    def synchronize(self) -> None:
        """Wait until the device has finished, so that a clock may be read."""


def tensors_digest(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Return the SHA-256 over sorted (name, shape, dtype, bytes) of tensors.

    Names take part, so that two equal tensors that swap places are not the same model.
    """
    import torch

    sha = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        flat = tensor.detach().to("cpu").contiguous().reshape(-1)
        sha.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        sha.update(flat.view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def to_uint8(video: npt.NDArray[np.floating[Any]]) -> Frames:
    """Round [0, 1] to 0..255; values outside are clipped, NaN must have been refused before.

    >>> to_uint8(np.array([0.0, 0.5, 1.0, 2.0])).tolist()
    [0, 128, 255, 255]
    """
    levels: Frames = np.clip(np.rint(video * 255.0), 0, 255).astype(np.uint8)
    return levels


def plain_json(value: Any) -> Any:
    """Turn a scheduler's config into strict JSON: tuples and arrays to lists, else text."""
    if isinstance(value, Mapping):
        return {str(k): plain_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain_json(value.tolist())
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite and isinstance(value, str | int | float | None) else repr(value)
