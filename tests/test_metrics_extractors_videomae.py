"""VideoMAE gives transformers' own tokens, from local files of a known digest alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEModel

from metrics.base import Frames
from metrics.extractors.base import Preparation, VideoExtractor, WeightsError, file_digest
from metrics.extractors.videomae import load_videomae

CLIPS: Frames = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 3), dtype=np.uint8)
MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = VideoMAEConfig(
        image_size=16,
        patch_size=8,
        num_frames=4,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    VideoMAEForVideoClassification(config).save_pretrained(tmp_path)
    stated = {"image_mean": MEAN, "image_std": DEVIATION}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
    return tmp_path


def _load(folder: Path, *, batch_size: int = 2, digest: str | None = None) -> VideoExtractor:
    return load_videomae(
        folder, preparation=Preparation.CLEAN, batch_size=batch_size, expected_sha256=digest
    )


def test_features_are_the_mean_of_transformers_own_tokens(folder: Path) -> None:
    encoder = VideoMAEModel.from_pretrained(folder, local_files_only=True).eval()
    pixels = (CLIPS / 255.0 - np.array(MEAN)) / np.array(DEVIATION)
    with torch.inference_mode():
        tokens = encoder(torch.from_numpy(pixels).float().permute(0, 1, 4, 2, 3))[0]

    got = _load(folder).features(CLIPS)

    np.testing.assert_allclose(got, tokens.numpy().mean(axis=1), rtol=1e-4, atol=1e-5)
    assert np.ptp(got, axis=0).max() > 1e-3


def test_a_batch_of_any_size_gives_the_same(folder: Path) -> None:
    one, three = (_load(folder, batch_size=size).features(CLIPS) for size in (1, 3))

    np.testing.assert_allclose(one, three, rtol=1e-4, atol=1e-6)


def test_a_longer_clip_is_sampled_evenly_and_a_shorter_one_refused(folder: Path) -> None:
    extractor = _load(folder)
    longer = np.repeat(CLIPS, 3, axis=1)

    np.testing.assert_array_equal(extractor.features(longer), extractor.features(CLIPS))
    with pytest.raises(ValueError, match="at least 4 frames, got 3"):
        extractor.features(CLIPS[:, :3])


def test_the_order_of_frames_counts(folder: Path) -> None:
    extractor = _load(folder)

    assert not np.allclose(extractor.features(CLIPS), extractor.features(CLIPS[:, ::-1]))


def test_the_digest_pins_the_weights_and_covers_what_else_is_read(folder: Path) -> None:
    digest = file_digest(folder / "model.safetensors")
    before = _load(folder, digest=digest).digest
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": DEVIATION, "image_std": MEAN})
    )

    assert _load(folder, digest=digest).digest != before
    with pytest.raises(WeightsError, match="expected sha256"):
        _load(folder, digest="0" * 64)


def test_a_layer_that_the_weights_lack_is_not_drawn_at_random(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if "attention" in name)
    save_file({k: v for k, v in weights.items() if k != gone}, folder / "model.safetensors")

    with pytest.raises(WeightsError, match="layers are not in the weights"):
        _load(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named_with_where_to_get_it(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(WeightsError, match=rf"{name} missing\. To be had: .*huggingface"):
        _load(folder)


def test_a_folder_of_another_network_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))

    with pytest.raises(WeightsError, match="model_type videomae, got 'vit'"):
        _load(folder)
