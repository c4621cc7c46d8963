"""A small video network: 32 numbers that say what a clip shows, how it moves and how clean it is.

It stands where I3D stands for real clips: its features feed FVD and KVD. Layout and range of the
input are I3D's too: float32 (n, 3, t, h, w) in [-1, 1].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from metrics.extractors.base import WeightsError
from metrics.extractors.tiny import CONFIG, NetworkExtractor, load_network
from poc.tiny.world import FRAMES

BATCH: Final = 16  # clips; bounds memory, moves features by rounding only


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """The sizes of the video network, as its `config.json` states them."""

    feature_width: int = 32
    channels: tuple[int, ...] = (12, 24, 48, 64)
    minimum_frames: int = FRAMES

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> VideoConfig:
        """Read what `as_json` wrote.

        Raises:
            KeyError: an entry is missing.
        """
        channels = tuple(int(width) for width in config["channels"])
        return cls(int(config["feature_width"]), channels, int(config["minimum_frames"]))

    def as_json(self) -> str:
        """The text of `config.json`."""
        entries = {
            "feature_width": self.feature_width,
            "channels": list(self.channels),
            "minimum_frames": self.minimum_frames,
        }
        return json.dumps(entries, indent=2, allow_nan=False) + "\n"


class VideoNetwork(nn.Module):
    """Convolutions over space and time, then one linear map to the features.

    `mean` and `scale` are fixed after the training: each feature has mean 0 and variance 1 over
    clean plain clips of the world, so that distances between sets have a sane scale.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, config: VideoConfig) -> None:
        super().__init__()
        self.body = nn.Sequential(*_stages(config.channels), nn.AdaptiveAvgPool3d(4), nn.Flatten())
        self.head = nn.Linear(64 * config.channels[-1], config.feature_width)
        self.register_buffer("mean", torch.zeros(config.feature_width))
        self.register_buffer("scale", torch.ones(config.feature_width))

    def raw(self, clips: torch.Tensor) -> torch.Tensor:
        """Features (n, feature_width) before they are centred and scaled; for training."""
        features: torch.Tensor = self.head(self.body(clips))
        return features

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Features (n, feature_width) of clips float32 (n, 3, t, h, w) in [-1, 1]."""
        return (self.raw(clips) - self.mean) / self.scale


def _stages(channels: tuple[int, ...]) -> list[nn.Module]:
    """Convolutions that halve the sides each time, the first two of them space only."""
    layers: list[nn.Module] = []
    before = 3
    for level, width in enumerate(channels):
        kernel = (1, 3, 3) if level == 0 else (3, 3, 3)
        padding = (0, 1, 1) if level == 0 else (1, 1, 1)
        stride = (1, 2, 2) if level < 2 else (2, 2, 2)
        layers += [nn.Conv3d(before, width, kernel, stride, padding), nn.GroupNorm(4, width)]
        layers.append(nn.SiLU())
        before = width
    return layers


def build_video_network(config: Mapping[str, Any]) -> VideoNetwork:
    """The untrained network of a `config.json`; `forward` gives features only.

    Raises:
        KeyError: the config lacks an entry.
    """
    return VideoNetwork(VideoConfig.of(config))


def load_video_extractor(
    folder: Path, *, extractor_id: str, expected_sha256: str | None = None, device: str = "cpu"
) -> NetworkExtractor:
    """The trained network of a folder with `config.json` and `model.safetensors`.

    Raises:
        WeightsError: a file is missing, damaged or does not fit.
    """
    try:
        config = VideoConfig.of(json.loads((folder / CONFIG).read_bytes()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / CONFIG}: no config of a video network ({error})") from error
    return load_network(
        folder,
        build_video_network,
        extractor_id=extractor_id,
        dimension=config.feature_width,
        minimum_frames=config.minimum_frames,
        batch_size=BATCH,
        expected_sha256=expected_sha256,
        device=device,
    )
