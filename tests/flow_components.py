"""Small untrained Wan and LTX models of the real classes, saved as a user would have them."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXVideoTransformer3DModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from peft import LoraConfig, get_peft_model_state_dict
from tiny_components import make_arm
from transformers import T5Config, T5EncoderModel, T5TokenizerFast, UMT5Config, UMT5EncoderModel

from poc.records import Arm, ClipShape, SchedulerName

WIDTH = 16
"""Of the text encoders."""
WAN_SHAPE = ClipShape(num_frames=5, height=32, width=32, fps=8)
LTX_SHAPE = ClipShape(num_frames=9, height=32, width=32, fps=8)
LTX_TIMESTEPS = (1000.0, 909.0)


def write_wan(folder: Path) -> dict[str, Path]:
    """Write a Wan base and two LoRAs with seeded random weights."""
    torch.manual_seed(0)
    encoder = UMT5Config(
        vocab_size=200, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2, is_decoder=False
    )
    WanPipeline(
        tokenizer=_tokenizer(),
        text_encoder=UMT5EncoderModel(encoder),
        vae=AutoencoderKLWan(
            base_dim=3,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        ),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=wan_transformer(),
    ).save_pretrained(folder / "base", safe_serialization=True)
    for name in ("lora_a", "lora_b"):
        write_wan_lora(folder / name, scale=0.3)
    return {name: folder / name for name in ("base", "lora_a", "lora_b")}


def write_wan_lora(folder: Path, *, scale: float) -> None:
    """Write a LoRA whose up-matrices have standard deviation `scale`."""
    layers = _lora_layers(wan_transformer(), scale)
    WanPipeline.save_lora_weights(folder, transformer_lora_layers=layers, safe_serialization=True)


def write_ltx(folder: Path) -> dict[str, Path]:
    """Write an LTX base, its decoder a denoiser as in the distilled models, and a LoRA."""
    torch.manual_seed(0)
    encoder = T5Config(
        vocab_size=200, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2, is_decoder=False
    )
    LTXConditionPipeline(
        tokenizer=_tokenizer(),
        text_encoder=T5EncoderModel(encoder),
        vae=AutoencoderKLLTXVideo(
            latent_channels=8,
            block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1),
            spatio_temporal_scaling=(True, True, True, False),
            decoder_spatio_temporal_scaling=(True, True, True, False),
            decoder_inject_noise=(False, False, False, False, False),
            upsample_residual=(False, False, False, False),
            upsample_factor=(1, 1, 1, 1),
            timestep_conditioning=True,
            patch_size=4,
            patch_size_t=1,
            encoder_causal=True,
            decoder_causal=False,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        transformer=_ltx_transformer(),
    ).save_pretrained(folder / "base", safe_serialization=True)
    layers = _lora_layers(_ltx_transformer(), 0.3)
    LTXConditionPipeline.save_lora_weights(
        folder / "lora_a", transformer_lora_layers=layers, safe_serialization=True
    )
    return {name: folder / name for name in ("base", "lora_a")}


def wan_arm(**changes: object) -> Arm:
    """Return a runnable arm on the models of `write_wan`, with `changes` applied."""
    fields = {
        "family": "wan",
        "motion_adapter": None,
        "scheduler": SchedulerName.FLOW_UNIPC,
        "shape": WAN_SHAPE,
        "flow_shift": 3.0,
    }
    return make_arm(**(fields | changes))


def ltx_arm(**changes: object) -> Arm:
    """Return a runnable arm on the models of `write_ltx`, with `changes` applied."""
    fields = {
        "family": "ltx",
        "motion_adapter": None,
        "scheduler": SchedulerName.FLOW_EULER,
        "shape": LTX_SHAPE,
        "timesteps": LTX_TIMESTEPS,
    }
    return make_arm(**(fields | changes))


def wan_transformer() -> WanTransformer3DModel:
    return WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=WIDTH, freq_dim=32, ffn_dim=32, num_layers=2, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", rope_max_seq_len=32,
    )  # fmt: skip


def _ltx_transformer() -> LTXVideoTransformer3DModel:
    return LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=8,
        cross_attention_dim=16, num_layers=2, caption_channels=WIDTH,
    )  # fmt: skip


def _lora_layers(transformer: torch.nn.Module, scale: float) -> dict[str, torch.Tensor]:
    transformer.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_v"]))  # type: ignore[operator]
    for name, parameter in transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=scale) if scale else torch.nn.init.zeros_(
                parameter
            )
    layers: dict[str, torch.Tensor] = get_peft_model_state_dict(transformer)
    return layers


def _tokenizer() -> T5TokenizerFast:
    """Letters for words."""
    letters = [(f"▁{letter}", -2.0) for letter in string.ascii_lowercase]
    letters += [(letter, -3.0) for letter in (*string.ascii_lowercase, "▁", ",")]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *letters]
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0)
