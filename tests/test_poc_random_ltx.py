"""LTX-Video with random weights: the snapshot, its size, and clips from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from flow_components import LTX_SHAPE, ltx_arm
from transformers import T5Config, T5EncoderModel

from poc.models import MODELS, read_models
from poc.pipelines.ltx import LtxFamily
from poc.pipelines.random_weights import write_random

LTX: Final = MODELS.parent / "architectures" / "ltx-13b"
SMALLER: Final[dict[str, dict[str, Any]]] = {
    "transformer": {
        "in_channels": 8,
        "out_channels": 8,
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "cross_attention_dim": 32,
        "num_layers": 2,
        "caption_channels": 32,
    },
    "vae": {
        "latent_channels": 8,
        "block_out_channels": [8, 8, 16, 16, 16],
        "decoder_block_out_channels": [8, 16, 32],
        "layers_per_block": [1, 1, 1, 1, 1],
        "decoder_layers_per_block": [1, 1, 1, 1],
    },
    "text_encoder": {
        "vocab_size": 300,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
    },
    "scheduler": {},
}


def config_of(part: str) -> dict[str, Any]:
    (path,) = (LTX / part).glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_the_snapshot_has_the_published_size() -> None:
    """13 B by its name; models.yaml and the README name the numbers."""
    with torch.device("meta"):
        networks = [
            LTXVideoTransformer3DModel.from_config(config_of("transformer")),
            AutoencoderKLLTXVideo.from_config(config_of("vae")),
            T5EncoderModel(T5Config(**config_of("text_encoder"), is_decoder=False)),
        ]
    numbers = [sum(one.numel() for one in network.parameters()) for network in networks]
    readme = (LTX.parent / "README.md").read_text("utf-8")

    assert all(f"{number:,}" in readme for number in numbers)
    assert sum(numbers) == read_models().resolve("ltx-0.9.8-13b-distilled").entry.parameters
    assert numbers[0] / 1e9 == pytest.approx(13, abs=0.5)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("random-ltx")
    for part, smaller in SMALLER.items():
        (home / "architecture" / part).mkdir(parents=True)
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        text = json.dumps(config_of(part) | smaller)
        (home / "architecture" / part / name).write_text(text, "utf-8")
    write_random(home / "architecture", home / "base", dtype="float32")
    return home / "base"


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_activations_of_ltx_keep_their_variance(base: Path) -> None:
    transformer = LTXVideoTransformer3DModel.from_pretrained(base / "transformer")
    vae = AutoencoderKLLTXVideo.from_pretrained(base / "vae")
    text, mask = noise(1, 12, 32), torch.ones(1, 12)
    latents = transformer(
        noise(1, 8, 8), text, torch.tensor([500.0]), mask, num_frames=2, height=2, width=2
    ).sample
    video = vae.decode(noise(1, 8, 2, 2, 2), torch.tensor([0.05])).sample

    for output in (latents, video):
        assert torch.isfinite(output).all()
        assert float(output.std()) > 0.2


def test_random_ltx_weights_make_a_clip(base: Path) -> None:
    family = LtxFamily(base="base", dtype="float32", folders={"base": base})
    family.prepare(ltx_arm())
    frames, finite = family.decode(family.denoise(family.encode(["a red circle"]), [1]))

    assert finite == (True,)
    assert frames.shape == (1, LTX_SHAPE.num_frames, LTX_SHAPE.height, LTX_SHAPE.width, 3)
    assert frames.std() > 1
