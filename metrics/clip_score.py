"""How well frames agree with their prompt, by an image-text network.

The number is 100 x cosine, averaged over frames and then clamped at 0, as torchmetrics does for
a set of images: a scale of 0 to 100 on which real photographs with their captions lie near 30
for ViT-B/32. It is not the 2.5 x cosine of the first paper, nor the logit (cosine x the
network's learned scale) that some repositories print, and it compares only within one network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.base import AnyFloats, ClipValue, FloatArray, Frames
from metrics.extractors.base import ImageTextExtractor, check_unit_rows


def clip_score(image_features: AnyFloats, text_features: AnyFloats) -> ClipValue:
    """CLIP score of one clip from unit features of its frames (t, d) and its prompt (d,).

    Raises:
        ValueError: the dimensions differ, or rows are not of length 1.

    >>> clip_score(np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([1.0, 0.0])).value
    80.0
    """
    return ClipValue.ok(max(100.0 * _mean_cosine(image_features, text_features), 0.0))


def clip_logit(
    image_features: AnyFloats, text_features: AnyFloats, logit_scale: float
) -> ClipValue:
    """The paper's variant: mean over frames of cosine times the network's learned scale.

    Not clamped at 0. With OpenCLIP ViT-H/14, whose scale is 100, the number that AnimateLCM and
    others print as CLIPSIM; the scale of another network makes another number.

    >>> clip_logit(np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([1.0, 0.0]), 50.0).value
    40.0
    """
    if not (np.isfinite(logit_scale) and logit_scale > 0):
        raise ValueError(f"`logit_scale` must be finite and above 0, got {logit_scale!r}")
    return ClipValue.ok(logit_scale * _mean_cosine(image_features, text_features))


def _mean_cosine(image_features: AnyFloats, text_features: AnyFloats) -> float:
    images = check_unit_rows(image_features, "image_features")
    text = check_unit_rows(np.asarray(text_features)[None], "text_features")[0]
    if images.shape[1] != len(text):
        raise ValueError(
            f"image and text features must come from one network, got {images.shape[1]} and "
            f"{len(text)} dimensions"
        )
    return float(np.mean(images @ text))


def truncated_prompts(extractor: ImageTextExtractor, prompts: list[str]) -> tuple[str, ...]:
    """The prompts that are longer than the text encoder reads; their tails do not count.

    Pages must name them: a prompt that is cut off is scored for its beginning only.
    """
    counts = extractor.token_counts(prompts)
    pairs = zip(prompts, counts, strict=True)
    return tuple(prompt for prompt, count in pairs if count > extractor.max_tokens)


@dataclass(frozen=True, slots=True)
class ClipScore:
    """CLIP score as a `ClipMetric`, for a single number; harnesses share features instead."""

    extractor: ImageTextExtractor

    def __call__(self, frames: Frames, prompt: str) -> ClipValue:
        """Score frames uint8 (t, h, w, 3) against `prompt`."""
        text: FloatArray = np.asarray(self.extractor.text_features([prompt])[0], dtype=np.float64)
        return clip_score(self.extractor.image_features(frames), text)
