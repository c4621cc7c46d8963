"""Faults below the spec, as a careless change of the code makes them: what is declared stays.

Each takes a `MonkeyPatch` and lasts as long as that does.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from poc.pipelines import animatediff
from poc.pipelines.animatediff import AnimateDiffFamily
from poc.pipelines.schedulers import make_scheduler


def wrong_beta_schedule(patch: pytest.MonkeyPatch) -> None:
    """Take another noise schedule than the arm declares."""

    def wrong(name: Any, config: dict[str, Any]) -> Any:
        return make_scheduler(name, config | {"beta_schedule": "scaled_linear"})

    patch.setattr(animatediff, "make_scheduler", wrong)


def one_step_less(patch: pytest.MonkeyPatch) -> None:
    """Take one step less than the arm declares."""
    arguments = AnimateDiffFamily._arguments

    def fewer(self: AnimateDiffFamily, arm: Any) -> dict[str, Any]:
        found = arguments(self, arm)
        return found | {"num_inference_steps": found["num_inference_steps"] - 1}

    patch.setattr(AnimateDiffFamily, "_arguments", fewer)


def lora_dropped(patch: pytest.MonkeyPatch) -> None:
    """Put the base's weights back after the fusion: the record says that the LoRA is there."""
    put_in = AnimateDiffFamily._put_loras_in

    def dropped(self: AnimateDiffFamily, arm: Any) -> None:
        put_in(self, arm)
        state = self._pipe.unet.state_dict()
        for key, tensor in self._pristine.items():
            state[key.replace(".base_layer.", ".")].copy_(tensor)

    patch.setattr(AnimateDiffFamily, "_put_loras_in", dropped)


def frames_blurred(patch: pytest.MonkeyPatch) -> None:
    """Give every pixel the mean of the nine around it."""
    decode = AnimateDiffFamily.decode

    def blurred(self: AnimateDiffFamily, latents: torch.Tensor) -> Any:
        frames, finite = decode(self, latents)
        pictures = torch.from_numpy(frames).float().flatten(0, 1).permute(0, 3, 1, 2)
        soft = torch.nn.functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
        whole = soft.permute(0, 2, 3, 1).reshape(frames.shape)
        return whole.round().byte().numpy(), finite

    patch.setattr(AnimateDiffFamily, "decode", blurred)


def slower(patch: pytest.MonkeyPatch) -> None:
    """Take a quarter longer over every denoising: 15 % and more of the whole clip."""
    denoise = AnimateDiffFamily.denoise

    def late(self: AnimateDiffFamily, *given: Any) -> torch.Tensor:
        start = time.perf_counter()
        latents = denoise(self, *given)
        time.sleep(0.25 * (time.perf_counter() - start))
        return latents

    patch.setattr(AnimateDiffFamily, "denoise", late)
