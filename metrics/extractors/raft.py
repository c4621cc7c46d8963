"""Optical flow by RAFT, from weights that lie on this machine; meant for a GPU.

The network's code is torchvision's (Teed and Deng 2020, "RAFT"). Nothing is downloaded, and of a
pickle only the numbers are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.models.optical_flow import raft_large

from metrics import frames as frames_
from metrics.base import Frames
from metrics.extractors.base import WeightsError, file_digest, verify_digest
from metrics.extractors.torch_files import named_tensors

PUBLISHED: Final = "raft_large_C_T_SKHT_V2-ff5fadd5.pth"
"""torchvision's file; by its convention the digits are the first of the file's SHA-256."""

WHERE: Final = f"https://download.pytorch.org/models/{PUBLISHED}"

SMALLEST_SIDE: Final = 128
"""Below it nothing is left of a picture in the coarsest level of its correlations, px."""

STRIDE: Final = 8
"""Sides have to be whole multiples of it; frames are continued by their edges, and cut again."""

MOST_BYTES: Final = 2 * 2**30
"""What the correlations of the pairs at once may take; a pair that alone takes more is refused."""

UPDATES: Final = 12
"""Refinements of the flow, torchvision's own number."""


def pair_bytes(height: int, width: int) -> int:
    """Memory of the correlations of two frames: every patch with every other, at four scales.

    >>> pair_bytes(512, 512) / 2**20
    85.0
    """
    patches = math.ceil(height / STRIDE) * math.ceil(width / STRIDE)
    return patches * sum(4 * (patches >> (2 * scale)) for scale in range(4))


def why_not(height: int, width: int) -> str:
    """Return why frames of this size are not taken; empty where they are."""
    if min(height, width) < SMALLEST_SIDE:
        return f"RAFT needs frames of at least {SMALLEST_SIDE} px, got {height}x{width}"
    if pair_bytes(height, width) > MOST_BYTES:
        return (
            f"RAFT takes too much memory at {height}x{width}: give --protocol, to make it smaller"
        )
    return ""


@dataclass(frozen=True, slots=True)
class Raft:
    """The flow of each frame to the next, `batch_size` pairs at once at most."""

    network: Any
    id: str
    digest: str
    batch_size: int
    device: str = "cpu"

    @torch.inference_mode()
    def flows(self, frames: Frames) -> NDArray[np.float32]:
        """Where each pixel goes in the next frame, (t - 1, h, w, 2) as (x, y) px.

        Of frames uint8 (t, h, w, 3).

        Raises:
            ValueError: frames too small or too large.
        """
        checked = frames_.check(frames)
        height, width = checked.shape[1:3]
        if reason := why_not(height, width):
            raise ValueError(reason)
        if len(checked) < 2:
            return np.empty((0, height, width, 2), np.float32)
        at_once = max(1, min(self.batch_size, MOST_BYTES // pair_bytes(height, width)))
        starts = range(0, len(checked) - 1, at_once)
        parts = [self._pairs(checked[i : i + at_once + 1]) for i in starts]
        return np.concatenate(parts)[:, :height, :width]

    def _pairs(self, frames: Frames) -> NDArray[np.float32]:
        signed = torch.from_numpy(frames_.to_signed(frames)).permute(0, 3, 1, 2).to(self.device)
        height, width = signed.shape[2:]
        missing = (0, -width % STRIDE, 0, -height % STRIDE)
        whole = torch.nn.functional.pad(signed, missing, mode="replicate")
        flow = self.network(whole[:-1], whole[1:], num_flow_updates=UPDATES)[-1]
        return np.asarray(flow.permute(0, 2, 3, 1).float().cpu().numpy(), np.float32)

    def speeds(self, frames: Frames) -> NDArray[np.float64]:
        """Length of the flow at each pixel, px/frame, (t - 1, h, w)."""
        flows = self.flows(frames).astype(np.float64)
        return np.asarray(np.linalg.norm(flows, axis=-1))


def load_raft(
    weights: Path, *, batch_size: int, device: str = "cpu", expected_sha256: str | None = None
) -> Raft:
    """Load RAFT (large) with `PUBLISHED`, or its tensors as safetensors.

    Raises:
        WeightsError: missing, damaged, of another digest, or no such network.
    """
    if not weights.is_file():
        raise WeightsError(
            f"{weights}: no weights of RAFT. Get {WHERE}, check its digest and give its path; "
            "nothing is downloaded here."
        )
    verify_digest(weights, expected_sha256)
    with torch.random.fork_rng(devices=[]):
        network = raft_large(weights=None, progress=False)
    try:
        network.load_state_dict(named_tensors(weights))
    except RuntimeError as error:
        raise WeightsError(f"{weights}: these are not the weights of RAFT ({error})") from error
    identity = f"raft-large {UPDATES} updates torchvision-{version('torchvision')}"
    ready = network.eval().to(device)
    return Raft(ready, identity, file_digest(weights), batch_size, device)
