"""How much clips of one prompt differ when nothing but the seed does.

Distillation can take variety away: all seeds then show one clip, and whoever pays for four takes
gets one. Too much variety is no virtue either, where the baseline's prompts pin the picture down.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.base import AnyFloats, FloatArray
from metrics.extractors.base import check_unit_rows


@dataclass(frozen=True, slots=True)
class Diversity:
    """`value` is the mean over prompts; `of_prompt` has each prompt of two clips or more."""

    value: float
    of_prompt: Mapping[Hashable, float]
    clips: int
    """Clips that took part."""


def clip_feature(image_features: AnyFloats) -> FloatArray:
    """One unit vector (d,) of a clip from its frames' unit features (t, d): their mean's direction.

    Raises:
        ValueError: the frames cancel out, or rows are not of length 1.

    >>> clip_feature(np.array([[1.0, 0.0], [0.0, 1.0]])).round(3).tolist()
    [0.707, 0.707]
    """
    mean = check_unit_rows(image_features, "image_features").mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise ValueError("`image_features` cancel out: their mean has no direction")
    return np.asarray(mean / length)


def seed_diversity(clip_features: AnyFloats, prompt_ids: Sequence[Hashable]) -> Diversity:
    """Mean of 1 - cosine over pairs of clips of one prompt, then over prompts; in [0, 2].

    `clip_features` are unit rows (n, d) from `clip_feature`, `prompt_ids` say what each was made
    for. Prompts with one clip have no pair and take no part.

    Raises:
        ValueError: no prompt has 2 clips, or rows and prompts do not match.
    """
    rows = check_unit_rows(clip_features, "clip_features")
    if len(rows) != len(prompt_ids):
        raise ValueError(f"each clip has one prompt, got {len(rows)} clips, {len(prompt_ids)} ids")
    members: dict[Hashable, list[int]] = {}
    for row, prompt in enumerate(prompt_ids):
        members.setdefault(prompt, []).append(row)
    several = {prompt: those for prompt, those in members.items() if len(those) > 1}
    if not several:
        raise ValueError("diversity takes n >= 2 clips of one prompt, no prompt has them")
    of_prompt = {prompt: _mean_distance(rows[those]) for prompt, those in several.items()}
    value = float(np.mean(list(of_prompt.values())))
    return Diversity(value, of_prompt, sum(map(len, several.values())))


def _mean_distance(rows: FloatArray) -> float:
    """Mean of 1 - cosine over different rows (k >= 2, d)."""
    above = np.triu_indices(len(rows), k=1)
    # From differences, not 1 - dot: equal clips are then at 0 exactly.
    apart = rows[above[0]] - rows[above[1]]
    return float((apart**2).sum(axis=1).mean() / 2)
