"""Video networks of our own making as feature extractors.

The architecture is not known here: whoever owns it hands in the module, or a function that
builds it from its config. The module takes float32 (n, 3, t, h, w) in [-1, 1], as I3D does, and
returns (n, dimension).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from metrics import frames as frames_
from metrics.base import Frames
from metrics.extractors.base import WeightsError, folder_digest, verify_digest

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class NetworkExtractor:
    """Features of clips by a module that is handed in, ready for inference.

    `batch_size` bounds memory; it moves features by rounding only.
    """

    module: torch.nn.Module
    id: str
    digest: str
    dimension: int
    minimum_frames: int
    batch_size: int
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.module.training:
            raise ValueError(f"{self.id}: the network is in training mode; call .eval() first")
        if self.batch_size < 1:
            raise ValueError(f"{self.id}: batch_size must be 1 or more, got {self.batch_size}")

    @torch.inference_mode()
    def features(self, frames: Frames) -> NDArray[np.float32]:
        """Features (n, dimension) of clips uint8 (n, t, h, w, 3).

        Raises:
            TypeError: not uint8.
            ValueError: another shape, too few frames, or the network returned NaN or another
                dimension than it states.
        """
        stack = frames_.check_stack(frames, minimum=self.minimum_frames)
        starts = range(0, len(stack), self.batch_size)
        batches = [self._batch(stack[i : i + self.batch_size]) for i in starts]
        return np.concatenate(batches)

    def _batch(self, stack: Frames) -> NDArray[np.float32]:
        signed = torch.from_numpy(frames_.to_signed(stack)).permute(0, 4, 1, 2, 3)
        rows = self.module(signed.to(self.device)).float().cpu().numpy()
        if rows.shape != (len(stack), self.dimension) or not np.isfinite(rows).all():
            raise ValueError(
                f"{self.id}: expected finite features {(len(stack), self.dimension)}, got "
                f"{rows.shape} with {np.count_nonzero(~np.isfinite(rows))} NaN or infinite"
            )
        return np.asarray(rows, dtype=np.float32)


def load_network(
    folder: Path,
    build: Callable[[Mapping[str, Any]], torch.nn.Module],
    *,
    extractor_id: str,
    dimension: int,
    minimum_frames: int,
    batch_size: int,
    expected_sha256: str | None,
    device: str = "cpu",
) -> NetworkExtractor:
    """Build a module from `config.json` and fill it from `model.safetensors` of one folder.

    `build` makes the untrained module of a config. Half-precision weights are widened to the
    module's own type. `expected_sha256` pins the weights file; the digest covers both files.

    Raises:
        WeightsError: a file is missing, damaged or of another digest, or does not fit.
    """
    weights = folder / WEIGHTS
    verify_digest(weights, expected_sha256)
    digest = folder_digest([folder / CONFIG, weights])
    try:
        module = build(json.loads((folder / CONFIG).read_bytes()))
        module.load_state_dict(load_file(weights), strict=True)
    except (ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{folder}: the network cannot be loaded ({error})") from error
    ready = module.eval().to(device)
    return NetworkExtractor(
        ready, extractor_id, digest, dimension, minimum_frames, batch_size, device
    )
