"""CSD from local weights: the published arithmetic, whatever file its tensors come in."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel

from metrics.base import Frames
from metrics.extractors.base import WeightsError, file_digest
from metrics.extractors.csd import StyleDescriptor, load_csd

WIDTH, LAYERS, HIDDEN, SIDE, PATCH = 128, 2, 256, 32, 8
IMAGES: Frames = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
PARTS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


@pytest.fixture(scope="module")
def theirs() -> CLIPVisionModel:
    """CLIP's encoder as transformers writes it, small and with random numbers."""
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=WIDTH // 64,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="quick_gelu",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = CLIPVisionModel(config).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.fixture(scope="module")
def tensors(theirs: CLIPVisionModel) -> dict[str, torch.Tensor]:
    """The same numbers under the names of CSD's published file."""
    state = {k.removeprefix("vision_model."): v for k, v in theirs.state_dict().items()}
    found = {
        "class_embedding": state["embeddings.class_embedding"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "conv1.weight": state["embeddings.patch_embedding.weight"],
    }
    for end in ("weight", "bias"):
        found[f"ln_pre.{end}"] = state[f"pre_layrnorm.{end}"]
        found[f"ln_post.{end}"] = state[f"post_layernorm.{end}"]
        for layer in range(LAYERS):
            own, other = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
            for name, its in PARTS.items():
                found[f"{own}.{name}.{end}"] = state[f"{other}.{its}.{end}"]
            found[f"{own}.attn.in_proj_{end}"] = torch.cat(
                [state[f"{other}.self_attn.{part}_proj.{end}"] for part in "qkv"]
            )
    named = {f"backbone.{name}": value.clone() for name, value in found.items()}
    generator = torch.Generator().manual_seed(4)
    heads = {
        f"last_layer_{head}": torch.randn(WIDTH, 24, generator=generator)
        for head in ("style", "content")
    }
    return named | heads


@pytest.fixture(scope="module")
def file(tensors: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("csd") / "model.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def descriptor(file: Path) -> StyleDescriptor:
    return load_csd(file, batch_size=2)


def _by_transformers(
    theirs: CLIPVisionModel, tensors: dict[str, torch.Tensor], images: Frames
) -> np.ndarray:
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
    pixels = ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.inference_mode():
        seen = theirs(pixel_values=pixels).pooler_output @ tensors["last_layer_style"]
    return np.asarray(seen / seen.norm(dim=1, keepdim=True))


def test_features_are_those_of_another_implementation(
    descriptor: StyleDescriptor, theirs: CLIPVisionModel, tensors: dict[str, torch.Tensor]
) -> None:
    expected = _by_transformers(theirs, tensors, IMAGES)
    assert descriptor.image_features(IMAGES) == pytest.approx(expected, abs=2e-5)


def test_of_an_oblong_picture_the_centred_square_is_seen(descriptor: StyleDescriptor) -> None:
    wide = np.random.default_rng(1).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    square = Image.fromarray(wide[0]).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC, box=(16, 0, 80, 64)
    )

    expected = descriptor.image_features(np.asarray(square)[None])
    assert descriptor.image_features(wide) == pytest.approx(expected, abs=1e-6)


def test_neither_batches_nor_neighbours_change_features(
    descriptor: StyleDescriptor, file: Path
) -> None:
    whole = load_csd(file, batch_size=5).image_features(IMAGES)
    assert descriptor.image_features(IMAGES) == pytest.approx(whole, abs=1e-6)
    assert descriptor.image_features(IMAGES[3:4])[0] == pytest.approx(whole[3], abs=1e-6)


def test_the_style_head_is_read_and_not_the_content_head(
    descriptor: StyleDescriptor, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    swapped = tensors | {"last_layer_content": torch.zeros(WIDTH, 24)}
    save_file(swapped, tmp_path / "other.safetensors")
    same = load_csd(tmp_path / "other.safetensors", batch_size=2).image_features(IMAGES)
    assert (same == descriptor.image_features(IMAGES)).all()


def test_a_file_of_training_gives_the_same_features(
    descriptor: StyleDescriptor, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """As published: wrapped by training, beside its options, which are never unpickled."""
    path = tmp_path / "csd.pth"
    state = {f"module.{name}": value for name, value in tensors.items()}
    torch.save({"model_state_dict": state, "args": argparse.Namespace(lr=1)}, path)
    found = load_csd(path, batch_size=2)
    assert (found.image_features(IMAGES) == descriptor.image_features(IMAGES)).all()
    assert found.digest == file_digest(path)


def test_an_encoder_without_the_style_head_is_refused(
    tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    del (bare := dict(tensors))["last_layer_style"]
    save_file(bare, tmp_path / "clip.safetensors")
    with pytest.raises(WeightsError, match="not the weights of CSD"):
        load_csd(tmp_path / "clip.safetensors", batch_size=2)


def test_a_lost_tensor_is_refused(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    del (torn := dict(tensors))["backbone.ln_post.bias"]
    save_file(torn, tmp_path / "torn.safetensors")
    with pytest.raises(WeightsError, match=r"ln_post\.bias"):
        load_csd(tmp_path / "torn.safetensors", batch_size=2)


def test_a_missing_file_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"huggingface\.co/tomg-group-umd"):
        load_csd(tmp_path / "none.pth", batch_size=2)


def test_another_digest_is_refused(file: Path) -> None:
    with pytest.raises(WeightsError, match="expected sha256"):
        load_csd(file, batch_size=2, expected_sha256="0" * 64)


@pytest.mark.parametrize("name", ["7.x", "1000000.x", "..x"])
def test_blocks_that_lack_others_are_refused(
    tensors: dict[str, torch.Tensor], name: str, tmp_path: Path
) -> None:
    more = tensors | {f"backbone.transformer.resblocks.{name}": torch.zeros(1)}
    save_file(more, tmp_path / "more.safetensors")
    with pytest.raises(WeightsError, match="numbered from 0"):
        load_csd(tmp_path / "more.safetensors", batch_size=2)


def test_more_blocks_than_any_encoder_has_are_refused_before_they_are_made(
    tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    blocks = {f"backbone.transformer.resblocks.{i}.x": torch.zeros(1) for i in range(100_000)}
    save_file(tensors | blocks, tmp_path / "many.safetensors")
    with pytest.raises(WeightsError, match="up to 64 blocks"):
        load_csd(tmp_path / "many.safetensors", batch_size=2)


def test_a_width_that_is_no_multiple_of_a_head_is_refused(
    tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    odd = tensors | {"backbone.conv1.weight": torch.zeros(200, 3, PATCH, PATCH)}
    save_file(odd, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="multiple of 64 features, got 200"):
        load_csd(tmp_path / "odd.safetensors", batch_size=2)
