"""Builds the untrained networks of the tiny world, all from one frozen configuration."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, DDIMScheduler, MotionAdapter, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from poc.tiny.world import FRAMES, SIZE, words

START: Final = "<|startoftext|>"
END: Final = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class TinyConfig:
    """Every size that the tiny networks have."""

    tokens: int = 20  # a full caption has 17, plus start and end
    text_width: int = 96
    text_layers: int = 2
    vae_channels: tuple[int, ...] = (16, 32, 64, 64)
    unet_channels: tuple[int, ...] = (64, 128)
    unet_layers: int = 1
    attention_heads: int = 4
    groups: int = 16  # of the group normalisations
    motion_heads: int = 4
    lora_rank: int = 16
    style_rank: int = 8
    clip_width: int = 128
    clip_layers: int = 3
    clip_embed: int = 64
    feature_width: int = 32


TINY: Final = TinyConfig()

LORA_TARGETS: Final = (
    "to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2",
    "conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv",
    "time_emb_proj",
)  # fmt: skip


def vocabulary(whole: tuple[str, ...]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-pair tables in which each whole word becomes one token.

    CLIP's byte-pair encoding starts from letters, so every prefix of a word is a token too. The
    unknown token is CLIP's own, the end token: a word outside the world comes out as end tokens.
    """
    tokens: dict[str, int] = {}
    merges: list[tuple[str, str]] = []
    for word in whole:
        for piece in _letters(word):
            tokens.setdefault(piece, len(tokens))
        while len(pieces := _merged(_letters(word), merges)) > 1:
            merges.append((pieces[0], pieces[1]))
            tokens.setdefault("".join(pieces[:2]), len(tokens))
    tokens[START] = len(tokens)
    tokens[END] = len(tokens)
    return tokens, merges


def _letters(word: str) -> list[str]:
    return [*word[:-1], word[-1] + "</w>"]


def _merged(pieces: list[str], merges: list[tuple[str, str]]) -> list[str]:
    """Apply byte-pair merges in order of rank, as the tokenizer will.

    A merge that one word needs can fire inside another; so each word is tried, and what it still
    lacks is added at the end, where it comes too late to disturb the words before.
    """
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    while len(pieces) > 1:
        pairs = list(itertools.pairwise(pieces))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        at = pairs.index(best)
        pieces = [*pieces[:at], "".join(best), *pieces[at + 2 :]]
    return pieces


def build_tokenizer(config: TinyConfig = TINY) -> CLIPTokenizer:
    """A CLIPTokenizer for the world's vocabulary, `config.tokens` long."""
    vocab, merges = vocabulary(words())
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=config.tokens)


def build_text_encoder(config: TinyConfig = TINY) -> CLIPTextModel:
    """An untrained CLIPTextModel for `build_tokenizer`."""
    tokenizer = build_tokenizer(config)
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.text_width,
            intermediate_size=3 * config.text_width,
            num_hidden_layers=config.text_layers,
            num_attention_heads=4,
            max_position_embeddings=config.tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_vae(config: TinyConfig = TINY, scaling: float = 1.0) -> AutoencoderKL:
    """An untrained autoencoder: eight times smaller sides, 4 latent channels."""
    levels = len(config.vae_channels)
    return AutoencoderKL(
        block_out_channels=config.vae_channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIZE,
        scaling_factor=scaling,
    )


def build_unet(config: TinyConfig = TINY) -> UNet2DConditionModel:
    """An untrained image UNet with cross-attention at both levels."""
    levels = len(config.unet_channels)
    return UNet2DConditionModel(
        sample_size=SIZE // 8,
        in_channels=4,
        out_channels=4,
        block_out_channels=config.unet_channels,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        layers_per_block=config.unet_layers,
        attention_head_dim=config.attention_heads,
        cross_attention_dim=config.text_width,
        norm_num_groups=config.groups,
    )


def build_motion_adapter(config: TinyConfig = TINY) -> MotionAdapter:
    """An untrained motion module; its zero output projections make it start as the image model."""
    return MotionAdapter(
        block_out_channels=config.unet_channels,
        motion_layers_per_block=config.unet_layers,
        motion_num_attention_heads=config.motion_heads,
        motion_norm_num_groups=config.groups,
        motion_max_seq_length=FRAMES,
    )


def build_scheduler() -> DDIMScheduler:
    """The noise schedule of all training here: linear, as AnimateDiff's motion modules use."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
        timestep_spacing="leading",
    )


def clip_config(config: TinyConfig = TINY) -> dict[str, Any]:
    """The `open_clip_config.json` of the tiny judge, read by open_clip's `local-dir:` schema."""
    return {
        "model_cfg": {
            "embed_dim": config.clip_embed,
            "vision_cfg": {
                "image_size": SIZE,
                "patch_size": 8,
                "width": config.clip_width,
                "layers": config.clip_layers,
                "head_width": 32,
            },
            "text_cfg": {
                "context_length": config.tokens,
                "vocab_size": len(build_tokenizer(config)),
                "hf_tokenizer_name": "local",
                "width": config.clip_width,
                "heads": 4,
                "layers": 2,
            },
        },
        "preprocess_cfg": {
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bilinear",
            "resize_mode": "squash",
        },
    }


def write_clip_folder(folder: Path, config: TinyConfig = TINY) -> None:
    """Write config and tokenizer of the judge; the weights come beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(clip_config(config), indent=2, allow_nan=False)
    (folder / "open_clip_config.json").write_text(text + "\n")
    build_tokenizer(config).save_pretrained(folder)


def count_parameters(module: torch.nn.Module) -> int:
    """How many numbers a network has."""
    return sum(parameter.numel() for parameter in module.parameters())
