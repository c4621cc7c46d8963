"""The weights that are shipped: whole, small, loadable, and as good as their card says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AnimateDiffPipeline, AutoencoderKL, MotionAdapter

from poc.models import read_models
from poc.tiny import architecture as tiny
from poc.tiny import world
from poc.tiny.export import digests
from poc.tiny.judges import evaluate_judges
from poc.tiny.reconstruction import SAID, reconstruct

WEIGHTS = Path("poc/tiny/weights")


def test_every_file_is_the_one_in_the_index() -> None:
    index = json.loads((WEIGHTS / "index.json").read_text())

    assert index["files"] == digests(WEIGHTS)


def test_all_weights_together_stay_below_32_megabytes() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < 32e6


def test_every_model_that_ships_is_verified() -> None:
    models = read_models()
    ours = [
        name
        for name, model in models.models.items()
        if model.entry.hub is None and model.entry.made_by is None
    ]

    assert len(ours) >= 8
    assert all(models.verify(model).is_dir() for model in ours)


@pytest.mark.parametrize("adapter", ["motion_teacher", "motion_stage2", "motion_animatelcm"])
def test_the_models_load_by_ordinary_calls(adapter: str) -> None:
    pipe = AnimateDiffPipeline.from_pretrained(
        WEIGHTS / "base", motion_adapter=MotionAdapter.from_pretrained(WEIGHTS / adapter)
    )
    for lora in ("lcm_lora", "style_pastel", "style_neon"):
        pipe.load_lora_weights(WEIGHTS / lora, adapter_name=lora, use_safetensors=True)
        pipe.delete_adapters(lora)

    assert pipe.unet.config.cross_attention_dim == tiny.TINY.text_width


@pytest.mark.parametrize("style", world.Style)
def test_the_card_says_how_many_stills_a_style_was_learnt_from(style: world.Style) -> None:
    stills = len(list((WEIGHTS / "stills" / style / "train").glob("*.png")))
    card = (WEIGHTS / "MODEL_CARD.md").read_text("utf-8")

    assert f"| style_{style} | style LoRA from {stills} stills alone |" in card


def test_the_judges_score_on_unseen_scenes_what_the_card_promises() -> None:
    scores = evaluate_judges(WEIGHTS, count=48)

    assert scores["clip_auc"] >= 0.9
    assert min(value for name, value in scores.items() if name.startswith("style_auc_")) >= 0.8
    for style in world.Style:
        assert scores[f"style_similarity_{style}"] > scores[f"style_similarity_{style}_of_plain"]
    named = {name: value for name, value in scores.items() if name.startswith("video_")}
    assert named.pop("video_texture") >= 0.6  # half of the clips are of one of three strengths
    assert min(named.values()) >= 0.8


def test_the_oracle_reads_what_went_through_the_autoencoder() -> None:
    vae = AutoencoderKL.from_pretrained(WEIGHTS / "base", subfolder="vae").eval()

    shares = reconstruct(vae, count=16).shares

    assert set(shares) == {"plain", "pastel", "neon"}
    assert min(found[name] for found in shares.values() for name in (*SAID, "style")) >= 15 / 16


def test_what_went_through_an_untrained_autoencoder_is_not_what_was_drawn() -> None:
    torch.manual_seed(0)

    found = reconstruct(tiny.build_vae().eval(), count=4).shares["plain"]

    assert sum(found[name] for name in SAID) / len(SAID) <= 0.25
