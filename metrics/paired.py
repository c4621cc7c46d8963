"""A clip beside another of the same prompt and seed: how far apart are the two?

Two models that start from one noise make clips that can be laid on each other. Closeness to the
teacher's clip is no quality in itself: another clip may be as good. It says how much a student
keeps of what its teacher would have shown.
"""

from __future__ import annotations

import numpy as np

from metrics import frames as frames_
from metrics.base import AnyFloats, ClipValue, Frames

WINDOW = 11
"""Pixels of SSIM's Gaussian window on a side, at a standard deviation of 1.5."""


def ssim_to_baseline(frames: Frames, baseline_frames: Frames) -> ClipValue:
    """Structural similarity of two clips frame by frame, uint8 (t, h, w, 3); 1 is identical.

    RGB in [0, 1], Gaussian window, K1 0.01 and K2 0.03, borders mirrored. Mean over all pixels and
    frames. Invalid where the clips differ in shape, or are smaller than the window.

    Source: Wang et al. 2004 (SSIM), as torchmetrics computes it.
    """
    if reason := _unlike(frames, baseline_frames):
        return ClipValue.invalid(reason)
    if min(frames.shape[1:3]) < WINDOW:
        return ClipValue.invalid(f"SSIM needs frames of at least {WINDOW} px")
    pairs = zip(frames, baseline_frames, strict=True)
    # Frame by frame, a long clip takes no more memory than a short one.
    return ClipValue.ok(np.mean([_ssim(one, other) for one, other in pairs]))


def lpips_to_baseline(lpips_distances: AnyFloats) -> ClipValue:
    """Mean LPIPS distance of a clip's frames to the baseline's, from one distance a frame (t,).

    0 is identical; compares only within one network.

    >>> lpips_to_baseline(np.array([0.25, 0.75])).value
    0.5
    """
    distances = np.asarray(lpips_distances, dtype=np.float64)
    if distances.ndim != 1 or len(distances) == 0 or not np.isfinite(distances).all():
        raise ValueError(
            f"`lpips_distances` must be finite, one a frame (n >= 1,), got {distances.shape}"
        )
    return ClipValue.ok(distances.mean())


def negative_prompt_effect(frames: Frames, unprompted_frames: Frames) -> ClipValue:
    """Mean absolute difference to the clip made without the negative prompt, levels of 255.

    Both uint8 (t, h, w, 3), all else equal, the seed too. 0: the negative prompt does nothing, as
    without guidance, where the sampler never reads it.
    """
    if reason := _unlike(frames, unprompted_frames):
        return ClipValue.invalid(reason)
    pairs = zip(frames, unprompted_frames, strict=True)
    total = sum(int(np.abs(a.astype(np.int16) - b).sum(dtype=np.int64)) for a, b in pairs)
    return ClipValue.ok(total / frames.size)


def _unlike(frames: Frames, other: Frames) -> str:
    """Return why two clips cannot be laid on each other; empty where they can."""
    mine, theirs = frames_.check(frames).shape, frames_.check(other).shape
    if mine == theirs:
        return ""
    return f"{_form(mine)} against {_form(theirs)}: bring both to one form first"


def _form(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} frames of {shape[2]}x{shape[1]}"


def _ssim(one: Frames, other: Frames) -> float:
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    # In float64: variances of flat areas are differences of nearly equal numbers.
    mine, theirs = (
        torch.from_numpy(frame.astype(np.float64) / 255).permute(2, 0, 1)[None]
        for frame in (one, other)
    )
    found = structural_similarity_index_measure(mine, theirs, data_range=1.0, sigma=1.5)
    if isinstance(found, tuple):
        raise TypeError("torchmetrics returned more than the similarity, which was not asked for")
    return float(found)
