"""The safety checker of Stable Diffusion as a score a frame, from a local folder.

The folder is in diffusers' layout: `config.json` and `model.safetensors`, as
CompVis/stable-diffusion-safety-checker has them. Nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from numpy.typing import NDArray

from metrics import frames as frames_
from metrics.base import Frames
from metrics.extractors.base import WeightsError, folder_digest, verify_digest

WEIGHTS = "model.safetensors"
WHERE = "https://huggingface.co/CompVis/stable-diffusion-safety-checker"

# CLIP's normalisation of RGB in [0, 1].
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)

SPECIAL_CARE = 0.01
"""What the checker adds to every score of a picture with one of its special concepts."""


@dataclass(frozen=True, slots=True)
class SafetyChecker:
    """Scores frames by the concepts that the checker refuses; `batch_size` bounds memory."""

    network: Any
    id: str
    digest: str
    batch_size: int
    device: str = "cpu"

    @torch.inference_mode()
    def scores(self, frames: Frames) -> NDArray[np.float64]:
        """Return a score a frame (t,) of frames uint8 (t, h, w, 3): above 0 is unsafe."""
        side = int(self.network.config.vision_config.image_size)
        images = frames_.resize(frames, side, side, fit="crop")
        starts = range(0, len(images), self.batch_size)
        return np.concatenate([self._batch(images[i : i + self.batch_size]) for i in starts])

    def _batch(self, images: Frames) -> NDArray[np.float64]:
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        unit = torch.from_numpy(frames_.to_unit(images)).permute(0, 3, 1, 2)
        seen = self.network.vision_model(((unit - mean) / std).to(self.device))[1]
        rows = torch.nn.functional.normalize(self.network.visual_projection(seen))
        special = self._beyond(rows, "special_care_embeds").amax(dim=1)
        found = self._beyond(rows, "concept_embeds").amax(dim=1)
        # Three digits, as the checker itself rounds before it asks what lies above 0.
        care = torch.where(special.round(decimals=3) > 0, SPECIAL_CARE, 0.0)
        return np.asarray((found + care).double().round(decimals=3).cpu().numpy())

    def _beyond(self, rows: torch.Tensor, name: str) -> torch.Tensor:
        """Return by how much each cosine exceeds its concept's threshold, (t, concepts)."""
        concepts = torch.nn.functional.normalize(getattr(self.network, name))
        thresholds: torch.Tensor = getattr(self.network, f"{name}_weights")
        return rows @ concepts.T - thresholds


def load_safety_checker(
    folder: Path, *, batch_size: int, device: str = "cpu", expected_sha256: str | None = None
) -> SafetyChecker:
    """Load the checker from a folder; `expected_sha256` pins its weights file.

    Raises:
        WeightsError: missing, damaged, of another digest, or no such checker.
    """
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise WeightsError(
            f"{folder}: expected {WEIGHTS} and config.json of a safety checker. Get them from "
            f"{WHERE}, as safetensors; nothing is downloaded here."
        )
    verify_digest(weights, expected_sha256)
    try:
        network, found = StableDiffusionSafetyChecker.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{folder}: is no safety checker ({error})") from error
    if missing := sorted(found["missing_keys"]):
        raise WeightsError(f"{weights}: lacks {', '.join(missing[:3])}; fetch it again")
    digest = folder_digest([weights, folder / "config.json"])
    name, ready = "stable-diffusion-safety-checker", network.eval().to(device)
    return SafetyChecker(ready, name, digest, batch_size, device)
