"""Wan before weights: the published sizes, live activations, and a clip at reduced size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from flow_components import wan_arm
from transformers import UMT5Config, UMT5EncoderModel

from poc.models import MODELS, read_models
from poc.pipelines.random_weights import write_random
from poc.pipelines.wan import WanFamily

WAN: Final = MODELS.parent / "architectures" / "wan-t2v-1.3b"
SMALLER: Final[dict[str, dict[str, Any]]] = {
    "transformer": {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "text_dim": 32,
        "freq_dim": 32,
        "ffn_dim": 64,
        "num_layers": 2,
    },
    "vae": {"base_dim": 8, "num_res_blocks": 1},
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
    (path,) = (WAN / part).glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_the_snapshot_has_the_published_size() -> None:
    """28.9 GB of float32 in diffusers' conversion; models.yaml and the README name the numbers."""
    with torch.device("meta"):
        networks = [
            WanTransformer3DModel.from_config(config_of("transformer")),
            AutoencoderKLWan.from_config(config_of("vae")),
            UMT5EncoderModel(UMT5Config(**config_of("text_encoder"))),
        ]
    numbers = [sum(one.numel() for one in network.parameters()) for network in networks]
    readme = (WAN.parent / "README.md").read_text("utf-8")

    assert all(f"{number:,}" in readme for number in numbers)
    assert sum(numbers) == read_models().resolve("wan2.1-t2v-1.3b").entry.parameters
    assert sum(numbers) * 4 / 1e9 == pytest.approx(28.9, abs=0.05)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("random-wan")
    for part, smaller in SMALLER.items():
        (home / "architecture" / part).mkdir(parents=True)
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        text = json.dumps(config_of(part) | smaller)
        (home / "architecture" / part / name).write_text(text, "utf-8")
    write_random(home / "architecture", home / "base", dtype="float32")
    return home


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def test_activations_of_wan_keep_their_variance(small: Path) -> None:
    transformer = WanTransformer3DModel.from_pretrained(small / "base" / "transformer")
    vae = AutoencoderKLWan.from_pretrained(small / "base" / "vae")
    latents = transformer(noise(1, 16, 2, 8, 8), torch.tensor([500.0]), noise(1, 12, 32)).sample
    video = vae.decode(noise(1, 16, 2, 4, 4)).sample

    for output in (latents, video):
        assert torch.isfinite(output).all()
        assert float(output.std()) > 0.2


def test_random_wan_weights_make_a_clip(small: Path) -> None:
    family = WanFamily(base="base", dtype="float32", folders={"base": small / "base"})
    family.prepare(wan_arm())
    frames, finite = family.decode(family.denoise(family.encode(["a red circle"]), [1]))

    assert finite == (True,)
    assert frames.shape == (1, 5, 32, 32, 3)
    assert frames.std() > 1
