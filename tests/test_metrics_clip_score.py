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


@pytest.mark.parametrize("scale", [1.0, 14.29, 100.0])
def test_the_logit_is_transformers_logit_per_image(scale: float) -> None:
    images, text = _rows(0, 6), _rows(50, 1)[0]
    # CLIPModel.forward: text features times image features, times exp(logit_scale).
    logits = torch.from_numpy(images) @ torch.from_numpy(text) * np.exp(np.log(scale))

    assert clip_logit(images, text, scale).value == pytest.approx(float(logits.mean()), rel=1e-9)


def test_the_logit_is_not_clamped() -> None:
    images, text = np.array([[1.0, 0.0]]), np.array([1.0, 0.0])

    assert clip_logit(-images, text, 100.0).value == -100.0
    assert clip_score(-images, text).value == 0.0


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="logit_scale"):
        clip_logit(_rows(0, 3), _rows(1, 1)[0], scale)
