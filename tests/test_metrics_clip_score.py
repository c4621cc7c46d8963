"""CLIP score on torchmetrics' scale, from features that are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.functional.multimodal.clip_score import clip_score as torchmetrics_clip_score
from transformers import CLIPConfig, CLIPModel

from metrics.base import ClipMetric, FloatArray, Frames
from metrics.clip_score import ClipScore, clip_logit, clip_score, truncated_prompts
from metrics.extractors.base import ImageTextExtractor

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class _ByColour:
    """An image is its mean colour, a prompt the colours it names: no network, same contract."""

    id: str = "colour"
    digest: str = "00"
    max_tokens: int = 4

    def image_features(self, images: Frames) -> NDArray[np.float32]:
        return self._unit(images.mean(axis=(1, 2)) + 1e-3)

    def text_features(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        counts = [[prompt.split().count(colour) for colour in COLOURS] for prompt in prompts]
        return self._unit(np.array(counts, dtype=np.float64))

    def token_counts(self, prompts: Sequence[str]) -> tuple[int, ...]:
        return tuple(len(prompt.split()) + 2 for prompt in prompts)

    @staticmethod
    def _unit(rows: FloatArray) -> NDArray[np.float32]:
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(unit, dtype=np.float32)


EXTRACTOR: ImageTextExtractor = _ByColour()


def _rows(seed: int, n: int, d: int = 16) -> FloatArray:
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _clip_of(colour: str, count: int = 4) -> Frames:
    frames = np.zeros((count, 8, 8, 3), np.uint8)
    frames[..., COLOURS.index(colour)] = 255
    return frames


@pytest.mark.parametrize(("angle", "expected"), [(0, 100.0), (60, 50.0), (90, 0.0)])
def test_the_score_is_a_hundred_times_the_cosine(angle: float, expected: float) -> None:
    text = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])

    value = clip_score(np.array([[1.0, 0.0]] * 3), text).value

    assert value == pytest.approx(expected, abs=1e-12)


def test_the_clamp_comes_after_the_mean() -> None:
    images, text = np.array([[1.0, 0.0], [-0.6, 0.8]]), np.array([1.0, 0.0])

    assert clip_score(images, text).value == pytest.approx(20.0)
    assert clip_score(-images, text).value == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_torchmetrics_agrees(seed: int) -> None:
    images, text = _rows(seed, 6), _rows(seed + 50, 1)[0]
    assert clip_score(images, text).value == pytest.approx(
        _by_torchmetrics(3.0 * images, 7.0 * text), rel=1e-6
    )


def _by_torchmetrics(images: FloatArray, text: FloatArray) -> float:
    """torchmetrics' own arithmetic around a stand-in network that returns given features."""
    model, nothing = MagicMock(), torch.zeros(1)
    model.to.return_value = model
    model.config.text_config.max_position_embeddings = 77
    model.get_image_features.return_value = torch.from_numpy(images)
    model.get_text_features.return_value = torch.from_numpy(text).repeat(len(images), 1)
    processor = MagicMock(
        return_value={"pixel_values": nothing, "input_ids": nothing, "attention_mask": nothing}
    )
    pictures = [torch.zeros(3, 2, 2)] * len(images)
    network: Any = MagicMock(return_value=(model, processor))
    return float(torchmetrics_clip_score(pictures, ["a"] * len(images), network))


def test_the_right_prompt_scores_higher_than_a_wrong_one() -> None:
    metric: ClipMetric = ClipScore(EXTRACTOR)
    right, wrong = (metric(_clip_of("red"), prompt).value for prompt in ("red", "blue"))

    assert right == pytest.approx(100.0, abs=0.1)
    assert wrong == pytest.approx(0.0, abs=0.1)


def test_a_clip_that_loses_its_colour_on_the_way_scores_lower() -> None:
    clip = _clip_of("red")
    faded = clip.copy()
    faded[2:] = 128
    metric = ClipScore(EXTRACTOR)

    whole, lost = (metric(frames, "red").value for frames in (clip, faded))

    assert whole is not None
    assert lost is not None
    assert lost < whole


def test_prompts_beyond_the_limit_are_named() -> None:
    prompts = ["red circle", "a red circle moving left"]

    assert truncated_prompts(EXTRACTOR, prompts) == ("a red circle moving left",)


def test_features_that_are_not_unit_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"image_features.*rows of length 1"):
        clip_score(2 * _rows(0, 3), _rows(1, 1)[0])
    with pytest.raises(ValueError, match=r"text_features.*rows of length 1"):
        clip_score(_rows(0, 3), np.zeros(16))


def test_features_of_two_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="one network, got 16 and 8"):
        clip_score(_rows(0, 3), _rows(1, 1, d=8)[0])


# --- the paper's variant ------------------------------------------------------------------------


@pytest.mark.parametrize(("degrees", "expected"), [(0, 50.0), (60, 25.0), (180, -50.0)])
def test_the_logit_is_the_scale_times_the_cosine(degrees: float, expected: float) -> None:
    text = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])

    value = clip_logit(np.array([[1.0, 0.0]] * 3), text, 50.0).value

    assert value == pytest.approx(expected, abs=1e-12)


def _small_clip() -> CLIPModel:
    """The real class with random weights of a toy size."""
    layer = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "projection_dim": 12}
    vision = {**layer, **heads, "image_size": 16, "patch_size": 8}
    text = {**layer, **heads, "vocab_size": 30, "max_position_embeddings": 8, "eos_token_id": 29}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=12)
        return CLIPModel(config).eval()


@pytest.mark.parametrize("scale", [1.0, 14.29, 100.0])
def test_transformers_own_logits_per_image_are_the_same(scale: float) -> None:
    network = _small_clip()
    network.logit_scale.data.fill_(float(np.log(scale)))
    pixels = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 3, 16, 16))).float()
    with torch.no_grad():
        found = network(input_ids=torch.tensor([[1, 7, 4, 29]]), pixel_values=pixels)
    images, text = (
        np.asarray(rows.numpy(), np.float64) for rows in (found.image_embeds, found.text_embeds)
    )

    value = clip_logit(images, text[0], scale).value

    assert value == pytest.approx(float(found.logits_per_image.mean()), rel=1e-4, abs=1e-5)


def test_the_logit_falls_as_frames_turn_away_from_the_words() -> None:
    text, away = np.eye(16)[0], np.eye(16)[1]
    clip = np.repeat(text[None], 6, axis=0)

    values = []
    for lost in range(7):
        spoilt = clip.copy()
        spoilt[:lost] = 0.6 * text + 0.8 * away
        values.append(clip_logit(spoilt, text, 100.0).value)

    assert values == sorted({value for value in values if value is not None}, reverse=True)
    assert len(values) == 7


def test_the_logit_refuses_what_is_no_unit_row_and_two_networks() -> None:
    with pytest.raises(ValueError, match=r"image_features.*rows of length 1"):
        clip_logit(2 * _rows(0, 3), _rows(1, 1)[0], 100.0)
    with pytest.raises(ValueError, match="one network, got 16 and 8"):
        clip_logit(_rows(0, 3), _rows(1, 1, d=8)[0], 100.0)


def test_the_logit_is_not_clamped() -> None:
    images, text = np.array([[1.0, 0.0]]), np.array([1.0, 0.0])

    assert clip_logit(-images, text, 100.0).value == -100.0
    assert clip_score(-images, text).value == 0.0


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="logit_scale"):
        clip_logit(_rows(0, 3), _rows(1, 1)[0], scale)
