"""LPIPS, the learned distance of two pictures, from weights that lie on this machine.

torchmetrics brings the network's code and the calibration of Zhang et al. along, not AlexNet
itself: its weights are torchvision's, and are given as a file. Nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.image.lpips import _LPIPS

from metrics import frames as frames_
from metrics.base import Frames
from metrics.extractors.base import WeightsError, file_digest, verify_digest
from metrics.extractors.torch_files import named_tensors

SMALLEST_SIDE = 32
"""Below it nothing is left of a picture in AlexNet's last layer."""

PUBLISHED = "alexnet-owt-7be5be79.pth"
"""torchvision's file; by its convention the digits are the first of the file's SHA-256."""

WHERE = f"https://download.pytorch.org/models/{PUBLISHED}"


@dataclass(frozen=True, slots=True)
class Lpips:
    """The distance of frames to other frames; `batch_size` bounds memory."""

    network: Any
    id: str
    digest: str
    batch_size: int
    device: str = "cpu"

    @torch.inference_mode()
    def distances(self, frames: Frames, others: Frames) -> NDArray[np.float64]:
        """Return a distance a pair of frames (t,), of two clips uint8 (t, h, w, 3) of one shape.

        Raises:
            ValueError: the shapes differ, or the frames are smaller than `SMALLEST_SIDE`.
        """
        one, other = frames_.check(frames), frames_.check(others, name="others")
        if one.shape != other.shape:
            raise ValueError(f"LPIPS compares clips of one shape, got {one.shape}, {other.shape}")
        if min(one.shape[1:3]) < SMALLEST_SIDE:
            raise ValueError(
                f"LPIPS needs frames of at least {SMALLEST_SIDE} px, got {one.shape[1:3]}"
            )
        starts = range(0, len(one), self.batch_size)
        parts = [self._pairs(one[i : i + self.batch_size], other[i:][: self.batch_size])
                 for i in starts]  # fmt: skip
        return np.concatenate(parts)

    def _pairs(self, one: Frames, other: Frames) -> NDArray[np.float64]:
        signed = (
            torch.from_numpy(frames_.to_signed(clip)).permute(0, 3, 1, 2).to(self.device)
            for clip in (one, other)
        )
        return np.asarray(self.network(*signed).flatten().cpu().numpy(), dtype=np.float64)


def load_lpips(
    weights: Path, *, batch_size: int, device: str = "cpu", expected_sha256: str | None = None
) -> Lpips:
    """Load LPIPS with AlexNet's weights: `PUBLISHED`, or its tensors as safetensors.

    `expected_sha256` pins the file. Of a pickle only the numbers are read.

    Raises:
        WeightsError: missing, damaged, of another digest, or no AlexNet.
    """
    if not weights.is_file():
        raise WeightsError(
            f"{weights}: no weights of LPIPS's AlexNet. Get {WHERE}, check its digest and give "
            "its path; nothing is downloaded here."
        )
    verify_digest(weights, expected_sha256)
    tensors = named_tensors(weights)
    network = _LPIPS(pretrained=True, net="alex", pnet_rand=True, use_dropout=True)
    try:
        # `slice2.3.weight` of torchmetrics is `features.3.weight` of torchvision.
        own = {key: tensors[f"features.{key.partition('.')[2]}"] for key in _names(network)}
        network.net.load_state_dict(own)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{weights}: these are not the weights of AlexNet ({error})") from error
    identity = f"lpips-alex torchmetrics-{version('torchmetrics')}"
    return Lpips(network.eval().to(device), identity, file_digest(weights), batch_size, device)


def _names(network: Any) -> list[str]:
    return list(network.net.state_dict())
