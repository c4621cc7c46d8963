"""VideoMAE as a video extractor: transformers' own classes, from a local folder alone.

It learnt without labels to fill in hidden patches of clips, and so depends less on what single
frames show than a classifier does: the second, content-debiased opinion beside I3D. Source: Tong
et al. 2022 (VideoMAE); Ge et al. 2024, "On the Content Bias in Frechet Video Distance". Theirs
are features of a VideoMAE v2 that was fine-tuned, so values do not compare with theirs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError

from metrics.extractors.base import (
    Preparation,
    WeightsError,
    folder_digest,
    verify_digest,
    video_id,
)
from metrics.extractors.i3d import prepare
from metrics.extractors.tiny import CONFIG, WEIGHTS, NetworkExtractor

NETWORK: Final = "videomae"
PREPROCESSOR: Final = "preprocessor_config.json"
TO_BE_HAD: Final = (
    "To be had: config.json, preprocessor_config.json and model.safetensors of a VideoMAE on "
    "huggingface.co, such as MCG-NJU/videomae-base"
)


class _MeanToken(torch.nn.Module):
    """Mean of all tokens that a VideoMAE encoder gives for clips in [-1, 1] of any size."""

    def __init__(self, encoder: Any, preparation: Preparation, statistics: torch.Tensor) -> None:
        super().__init__()
        self.encoder, self.preparation = encoder, preparation
        self.register_buffer("statistics", statistics)  # (2, 3): mean and deviation of [0, 1]

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        config = self.encoder.config
        frames = list(_spread(clips.shape[2], config.num_frames))
        square = prepare(clips[:, :, frames], self.preparation, config.image_size)
        mean, deviation = self.get_buffer("statistics").view(2, 1, 3, 1, 1, 1).unbind()
        pixels = ((square + 1) / 2 - mean) / deviation
        tokens = self.encoder(pixel_values=pixels.transpose(1, 2)).last_hidden_state
        return torch.as_tensor(tokens.mean(dim=1))


def _spread(total: int, count: int) -> tuple[int, ...]:
    from metrics.frames import sample_indices

    return sample_indices(total, count)


def load_videomae(
    folder: Path,
    *,
    preparation: Preparation,
    batch_size: int = 1,
    expected_sha256: str | None,
    device: str = "cpu",
) -> NetworkExtractor:
    """Load `config.json`, `preprocessor_config.json` and `model.safetensors` of one folder.

    Clips longer than the network takes (16 frames, as a rule) are sampled evenly; shorter ones
    are refused. `expected_sha256` pins the weights; the digest covers all three files.

    Raises:
        WeightsError: a file is missing, damaged or of another digest; says where to get them.
    """
    config, statistics = read_config(folder), _statistics(folder)
    verify_digest(folder / WEIGHTS, expected_sha256)
    digest = folder_digest([folder / name for name in (CONFIG, PREPROCESSOR, WEIGHTS)])
    encoder = _encoder(folder).eval().float()
    return NetworkExtractor(
        _MeanToken(encoder, preparation, statistics).eval().to(device),
        video_id(NETWORK, "mean", preparation),
        digest,
        config["hidden_size"],
        config["num_frames"],
        batch_size,
        device,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """Return the network's config with its defaults filled in.

    Raises:
        WeightsError: it is no folder of a VideoMAE.
    """
    from transformers import VideoMAEConfig

    missing = [n for n in (CONFIG, PREPROCESSOR, WEIGHTS) if not (folder / n).is_file()]
    if missing:
        raise WeightsError(f"{folder}: {', '.join(missing)} missing. {TO_BE_HAD}.")
    stated = _json(folder / CONFIG)
    if stated.get("model_type") != "videomae":
        raise WeightsError(
            f"{folder / CONFIG}: expected model_type videomae, got {stated.get('model_type')!r}"
        )
    config: dict[str, Any] = VideoMAEConfig(**stated).to_dict()
    return config


def _encoder(folder: Path) -> Any:
    from transformers import VideoMAEModel

    try:
        encoder, found = VideoMAEModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"{folder}: VideoMAE cannot be loaded ({error}). {TO_BE_HAD}."
        ) from error
    # Missing layers would be drawn at random; a decoder or a classifier beside them is no harm.
    if found["missing_keys"] or found["mismatched_keys"]:
        keys = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        raise WeightsError(f"{folder}: {len(keys)} layers are not in the weights, as {keys[0]}")
    return encoder


def _statistics(folder: Path) -> torch.Tensor:
    """Return mean and deviation (2, 3) of colours in [0, 1] that the network was taught with."""
    stated = _json(folder / PREPROCESSOR) if (folder / PREPROCESSOR).is_file() else {}
    try:
        both = torch.tensor([stated["image_mean"], stated["image_std"]], dtype=torch.float32)
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{folder / PREPROCESSOR}: expected image_mean and image_std of three colours. "
            f"{TO_BE_HAD}."
        ) from error
    if both.shape != (2, 3) or not bool((both[1] > 0).all()):
        raise WeightsError(f"{folder / PREPROCESSOR}: image_mean and image_std are no such numbers")
    return both


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be read ({error}). {TO_BE_HAD}.") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object")
    return content
