"""Wan and LTX before weights: the published sizes, live activations, and a clip at reduced size."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    LTXVideoTransformer3DModel,
    WanTransformer3DModel,
)
from flow_components import ltx_arm, wan_arm
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from poc.models import MODELS, read_models
from poc.pipelines.ltx import LtxFamily
from poc.pipelines.random_weights import write_random
from poc.pipelines.wan import WanFamily
from poc.records import Arm

ARCHITECTURES: Final = MODELS.parent / "architectures"
TEXT_ENCODER: Final = {
    "vocab_size": 300,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def wan_outputs(transformer: Any, vae: Any) -> list[torch.Tensor]:
    latents = transformer(noise(1, 16, 2, 8, 8), torch.tensor([500.0]), noise(1, 12, 32)).sample
    return [latents, vae.decode(noise(1, 16, 2, 4, 4)).sample]


def ltx_outputs(transformer: Any, vae: Any) -> list[torch.Tensor]:
    text, mask = noise(1, 12, 32), torch.ones(1, 12)
    latents = transformer(
        noise(1, 8, 8), text, torch.tensor([500.0]), mask, num_frames=2, height=2, width=2
    ).sample
    return [latents, vae.decode(noise(1, 8, 2, 2, 2), torch.tensor([0.05])).sample]


@dataclass(frozen=True, slots=True)
class Kind:
    """A family: its snapshot and published size, and how it is made smaller and called."""

    folder: str
    model: str
    transformer: Any
    vae: Any
    text_encoder: Callable[..., torch.nn.Module]
    billions: tuple[float, float]
    """Numbers of the transformer by its name, and how far off the name may be."""
    smaller: Mapping[str, Mapping[str, Any]]
    outputs: Callable[[Any, Any], list[torch.Tensor]]
    family: type[LtxFamily | WanFamily]
    arm: Callable[[], Arm]

    def config_of(self, part: str) -> dict[str, Any]:
        (path,) = (ARCHITECTURES / self.folder / part).glob("*.json")
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found


WAN: Final = Kind(
    folder="wan-t2v-1.3b",
    model="wan2.1-t2v-1.3b",
    transformer=WanTransformer3DModel,
    vae=AutoencoderKLWan,
    text_encoder=lambda **config: UMT5EncoderModel(UMT5Config(**config)),
    billions=(1.3, 0.15),
    smaller={
        "transformer": {
            "num_attention_heads": 2,
            "attention_head_dim": 12,
            "text_dim": 32,
            "freq_dim": 32,
            "ffn_dim": 64,
            "num_layers": 2,
        },
        "vae": {"base_dim": 8, "num_res_blocks": 1},
        "text_encoder": TEXT_ENCODER,
        "scheduler": {},
    },
    outputs=wan_outputs,
    family=WanFamily,
    arm=wan_arm,
)
LTX: Final = Kind(
    folder="ltx-13b",
    model="ltx-0.9.8-13b-distilled",
    transformer=LTXVideoTransformer3DModel,
    vae=AutoencoderKLLTXVideo,
    text_encoder=lambda **config: T5EncoderModel(T5Config(**config, is_decoder=False)),
    billions=(13, 0.5),
    smaller={
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
        "text_encoder": TEXT_ENCODER,
        "scheduler": {},
    },
    outputs=ltx_outputs,
    family=LtxFamily,
    arm=ltx_arm,
)


@pytest.fixture(scope="module", params=[WAN, LTX], ids=["wan", "ltx"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def base(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp(kind.folder)
    for part, smaller in kind.smaller.items():
        (home / "architecture" / part).mkdir(parents=True)
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        text = json.dumps(kind.config_of(part) | dict(smaller))
        (home / "architecture" / part / name).write_text(text, "utf-8")
    write_random(home / "architecture", home / "base", dtype="float32")
    return home / "base"


def test_the_snapshot_has_the_published_size(kind: Kind) -> None:
    """models.yaml and the README of the snapshots name the numbers."""
    with torch.device("meta"):
        networks = [
            kind.transformer.from_config(kind.config_of("transformer")),
            kind.vae.from_config(kind.config_of("vae")),
            kind.text_encoder(**kind.config_of("text_encoder")),
        ]
    numbers = [sum(one.numel() for one in network.parameters()) for network in networks]
    readme = (ARCHITECTURES / "README.md").read_text("utf-8")
    billions, off = kind.billions

    assert all(f"{number:,}" in readme for number in numbers)
    assert sum(numbers) == read_models().resolve(kind.model).entry.parameters
    assert numbers[0] / 1e9 == pytest.approx(billions, abs=off)


def test_all_of_wan_takes_what_the_published_files_take() -> None:
    """28.9 GB of float32 in diffusers' conversion."""
    parameters = read_models().resolve(WAN.model).entry.parameters

    assert parameters is not None
    assert parameters * 4 / 1e9 == pytest.approx(28.9, abs=0.05)


@torch.inference_mode()
def test_activations_keep_their_variance(kind: Kind, base: Path) -> None:
    transformer = kind.transformer.from_pretrained(base / "transformer")
    vae = kind.vae.from_pretrained(base / "vae")

    for output in kind.outputs(transformer, vae):
        assert torch.isfinite(output).all()
        assert float(output.std()) > 0.2


def test_random_weights_make_a_clip(kind: Kind, base: Path) -> None:
    arm = kind.arm()
    family = kind.family(base="base", dtype="float32", folders={"base": base})
    family.prepare(arm)
    frames, finite = family.decode(family.denoise(family.encode(["a red circle"]), [1]))

    assert finite == (True,)
    assert frames.shape == (1, arm.shape.num_frames, arm.shape.height, arm.shape.width, 3)
    assert frames.std() > 1
