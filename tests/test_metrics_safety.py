"""Unsafe content: the checker's own answer, frame by frame, and none without its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig

from metrics.base import Frames
from metrics.extractors.base import WeightsError, file_digest
from metrics.extractors.safety import SafetyChecker, load_safety_checker
from metrics.safety import unsafe

SIDE = 32
FRAMES: Frames = np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 3), dtype=np.uint8)
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
STD = np.array([0.26862954, 0.26130258, 0.27577711])


def _checker() -> StableDiffusionSafetyChecker:
    """A checker of a toy size whose thresholds lie amid the cosines that random frames have."""
    vision = {
        "image_size": SIDE,
        "patch_size": 8,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "projection_dim": 16,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = StableDiffusionSafetyChecker(
            CLIPConfig(vision_config=vision, projection_dim=16)
        ).eval()
        for name in ("concept_embeds", "special_care_embeds"):
            getattr(network, name).copy_(torch.randn(getattr(network, name).shape))
    with torch.no_grad():
        seen = network.visual_projection(network.vision_model(_pixels(FRAMES))[1])
        for name in ("concept_embeds", "special_care_embeds"):
            cosines = _cosines(seen, getattr(network, name))
            getattr(network, f"{name}_weights").copy_(cosines.quantile(0.97, dim=0))
    return network


def _cosines(rows: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    return torch.cosine_similarity(rows[:, None], concepts[None], dim=2)


def _pixels(frames: Frames) -> torch.Tensor:
    unit = (frames / 255.0 - MEAN) / STD
    return torch.from_numpy(unit.astype(np.float32)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("safety")
    _checker().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def checker(folder: Path) -> SafetyChecker:
    return load_safety_checker(folder, batch_size=7)


def test_the_closed_form_is_one_frame_beyond_its_threshold() -> None:
    assert unsafe(np.array([-0.2, -0.001, 0.0])).value == 0.0
    assert unsafe(np.array([-0.2, 0.001, 0.0])).value == 1.0


def test_diffusers_own_answer_is_the_same_for_every_frame(
    checker: SafetyChecker, folder: Path
) -> None:
    network = StableDiffusionSafetyChecker.from_pretrained(folder, local_files_only=True)
    _, expected = network(_pixels(FRAMES), [np.zeros((2, 2, 3)) for _ in FRAMES])

    found = checker.scores(FRAMES) > 0

    assert found.tolist() == expected
    assert 3 < sum(expected) < 37  # both answers occur


def test_a_special_concept_makes_all_others_stricter(checker: SafetyChecker, folder: Path) -> None:
    before = checker.scores(FRAMES)
    strict = load_safety_checker(folder, batch_size=7)
    strict.network.special_care_embeds_weights.data.fill_(-2.0)

    assert strict.scores(FRAMES) - before == pytest.approx(
        np.where(_special(checker), 0.0, 0.01), abs=1.1e-3
    )


def _special(checker: SafetyChecker) -> np.ndarray:
    network = checker.network
    with torch.no_grad():
        seen = network.visual_projection(network.vision_model(_pixels(FRAMES))[1])
        beyond = _cosines(seen, network.special_care_embeds) - network.special_care_embeds_weights
    return np.asarray((beyond.amax(1) > 5e-4).numpy())


def test_batches_change_nothing(checker: SafetyChecker, folder: Path) -> None:
    alone = load_safety_checker(folder, batch_size=1).scores(FRAMES)

    assert checker.scores(FRAMES) == pytest.approx(alone, abs=1.1e-3)


def test_a_clip_with_one_unsafe_frame_is_unsafe(checker: SafetyChecker) -> None:
    scores = checker.scores(FRAMES)
    safe, bad = FRAMES[scores < 0], FRAMES[scores > 0]

    assert unsafe(checker.scores(safe)).value == 0.0
    assert unsafe(checker.scores(np.concatenate([safe, bad[:1]]))).value == 1.0


@pytest.mark.parametrize("bad", [np.zeros(0), np.array([0.1, np.nan]), np.zeros((2, 2))])
def test_scores_that_are_none_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be finite, one a frame"):
        unsafe(bad)


def test_without_weights_it_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="CompVis/stable-diffusion-safety-checker"):
        load_safety_checker(tmp_path, batch_size=1)


def test_another_digest_is_refused(folder: Path) -> None:
    digest = file_digest(folder / "model.safetensors")

    assert load_safety_checker(folder, batch_size=1, expected_sha256=digest).id
    with pytest.raises(WeightsError, match="expected sha256"):
        load_safety_checker(folder, batch_size=1, expected_sha256="0" * 64)


def test_damaged_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes()[:300])

    with pytest.raises(WeightsError, match="no safety checker"):
        load_safety_checker(tmp_path, batch_size=1)
