"""A network that is handed in gives the same features in any batches, or one clear error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from metrics.base import Frames
from metrics.extractors.base import VideoExtractor, WeightsError, file_digest
from metrics.extractors.tiny import NetworkExtractor, load_network

CLIPS: Frames = np.random.default_rng(0).integers(0, 256, (5, 6, 16, 16, 3), dtype=np.uint8)


class _Conv(torch.nn.Module):
    """A small convolution over space and time, then a mean."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv3d(3, width, 3)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.conv(clips)).mean(dim=(2, 3, 4))


class _Echo(torch.nn.Module):
    """Mean of red, first row and first frame: shows the layout and the range it was given."""

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [clips[:, 0].mean(dim=(1, 2, 3)), clips[:, :, :, 0].mean(dim=(1, 2, 3)),
             clips[:, :, 0].mean(dim=(1, 2, 3))], dim=1,
        )  # fmt: skip


class _Broken(torch.nn.Module):
    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return torch.full((len(clips), 4), torch.nan)


def _extractor(module: torch.nn.Module, dimension: int, batch_size: int = 2) -> NetworkExtractor:
    return NetworkExtractor(module.eval(), "net", "00", dimension, 4, batch_size)


def _conv() -> _Conv:
    torch.manual_seed(0)
    return _Conv(4)


def _folder(path: Path, dtype: torch.dtype = torch.float32) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"width": 4}))
    state = {name: value.to(dtype) for name, value in _conv().state_dict().items()}
    save_file(state, path / "model.safetensors")
    return path


def _build(config: Mapping[str, Any]) -> torch.nn.Module:
    return _Conv(config["width"])


def _load(folder: Path, expected_sha256: str | None = None) -> NetworkExtractor:
    return load_network(
        folder,
        _build,
        extractor_id="net",
        dimension=4,
        minimum_frames=4,
        batch_size=2,
        expected_sha256=expected_sha256,
    )


@pytest.mark.parametrize("batch_size", [1, 2, 5, 9])
def test_features_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    whole = _extractor(_conv(), 4, batch_size=5).features(CLIPS)

    np.testing.assert_allclose(_extractor(_conv(), 4, batch_size).features(CLIPS), whole, atol=1e-6)


def test_clips_reach_the_network_channels_first_in_signed_range() -> None:
    clips = np.zeros((1, 4, 8, 8, 3), np.uint8)
    clips[..., 0] = 255
    clips[0, 0] = 255
    clips[0, :, 0] = 255

    red, row, first = _extractor(_Echo(), 3).features(clips)[0]

    assert (red, row, first) == (1.0, 1.0, 1.0)


def test_it_is_a_video_extractor() -> None:
    extractor: VideoExtractor = _extractor(_conv(), 4)

    assert (extractor.dimension, extractor.minimum_frames) == (4, 4)
    assert extractor.features(CLIPS).dtype == np.float32


def test_a_clip_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4 frames, got 3"):
        _extractor(_conv(), 4).features(CLIPS[:, :3])


def test_floats_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        _extractor(_conv(), 4).features(CLIPS / 255.0)  # type: ignore[arg-type]


def test_a_network_that_returns_nan_is_caught() -> None:
    with pytest.raises(ValueError, match="8 NaN"):
        _extractor(_Broken(), 4).features(CLIPS)


def test_a_network_of_another_dimension_is_caught() -> None:
    with pytest.raises(ValueError, match=r"\(2, 5\), got \(2, 4\)"):
        _extractor(_conv(), 5).features(CLIPS)


def test_a_network_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call \.eval\(\)"):
        NetworkExtractor(_conv(), "net", "00", 4, 4, 2)


def test_a_folder_gives_the_network_that_was_saved(tmp_path: Path) -> None:
    loaded = _load(_folder(tmp_path / "net"))

    assert np.array_equal(loaded.features(CLIPS), _extractor(_conv(), 4).features(CLIPS))


def test_half_precision_weights_are_widened(tmp_path: Path) -> None:
    loaded = _load(_folder(tmp_path / "net", torch.float16))

    np.testing.assert_allclose(
        loaded.features(CLIPS), _extractor(_conv(), 4).features(CLIPS), atol=1e-3
    )


def test_the_digest_covers_weights_and_config(tmp_path: Path) -> None:
    one, same, other = (_folder(tmp_path / name) for name in "abc")
    (other / "config.json").write_text('{"width":4}')

    assert _load(one).digest == _load(same).digest
    assert _load(one).digest != _load(other).digest


def test_a_pinned_digest_is_checked(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "net")

    assert _load(folder, file_digest(folder / "model.safetensors")).id == "net"
    with pytest.raises(WeightsError, match="expected sha256"):
        _load(folder, "00" * 32)


@pytest.mark.parametrize("damage", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b'{"width": 5}', None])
def test_damaged_and_missing_files_are_one_clear_error(
    tmp_path: Path, damage: str, content: bytes | None
) -> None:
    folder = _folder(tmp_path / "net")
    (folder / damage).unlink()
    if content is not None:
        (folder / damage).write_bytes(content)

    with pytest.raises(WeightsError, match="net"):
        _load(folder)
