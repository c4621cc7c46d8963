"""The LTX family: LTX-Video 0.9.5 and later, by diffusers' LTXConditionPipeline without images.

diffusers' LTXPipeline cannot be used for the distilled models: they have to be sampled at given
timesteps, and it refuses those, because it always gives sigmas of its own as well (v0.42).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
)
from diffusers.pipelines.ltx.pipeline_ltx_condition import linear_quadratic_schedule
from diffusers.utils.torch_utils import randn_tensor

from poc.errors import InputError
from poc.pipelines.flow import FlowFamily
from poc.pipelines.resident import Embedded, as_floats
from poc.records import Arm, SchedulerName

TOKENS: Final = 256
"""Of the text encoder's answer; shorter prompts are padded."""
DECODE_TIMESTEP: Final = 0.05
DECODE_NOISE: Final = 0.025
"""Of a decoder that takes a timestep, the last denoiser: diffusers v0.40.0, LTX-Video."""


class GivenTimestepsScheduler(FlowMatchEulerDiscreteScheduler):  # type: ignore[misc]  # untyped
    """Euler at given timesteps, each with its own sigma: t / 1000, not moved.

    diffusers' class takes timesteps alone as well, and then warns at every clip that they may not
    agree with sigmas; without a shift they do.
    """

    def set_timesteps(
        self, num_inference_steps: int | None = None, device: Any = None, *, timesteps: Any
    ) -> None:
        """Take the timesteps as they are."""
        del num_inference_steps  # as many as there are timesteps
        given = np.array(as_floats(timesteps), np.float32)
        sigmas = given / self.config.num_train_timesteps
        super().set_timesteps(sigmas=sigmas, timesteps=given, device=device)


class LtxFamily(FlowFamily):
    """LTX-Video, text to video."""

    pipeline_class: ClassVar[type[Any]] = LTXConditionPipeline
    vae_class: ClassVar[type[Any]] = AutoencoderKLLTXVideo

    def _scheduler(self, arm: Arm) -> Any:
        if arm.scheduler is not SchedulerName.FLOW_EULER:
            raise InputError(
                f"arm {arm.name!r}: scheduler {arm.scheduler} does not sample LTX-Video. Take "
                "flow_euler."
            )
        if arm.timesteps is not None and len(arm.timesteps) != arm.steps:
            raise InputError(
                f"arm {arm.name!r}: {len(arm.timesteps)} 'timesteps' for {arm.steps} 'steps'."
            )
        return GivenTimestepsScheduler(num_train_timesteps=1000, shift=1.0)

    def _arguments(self, arm: Arm) -> dict[str, Any]:
        return {
            "num_frames": arm.shape.num_frames,
            "height": arm.shape.height,
            "width": arm.shape.width,
            "frame_rate": arm.shape.fps,
            "num_inference_steps": arm.steps,
            "timesteps": list(arm.timesteps) if arm.timesteps else None,
            "guidance_scale": arm.guidance,
        }

    def _timesteps(self, arm: Arm) -> tuple[float, ...]:
        asked = arm.timesteps or as_floats(linear_quadratic_schedule(arm.steps) * 1000)
        self._pipe.scheduler.set_timesteps(timesteps=list(asked), device="cpu")
        return as_floats(self._pipe.scheduler.timesteps)

    def _embed(self, texts: Sequence[str]) -> Embedded:
        embeds, mask, _, _ = self._pipe.encode_prompt(
            list(texts), do_classifier_free_guidance=False, max_sequence_length=TOKENS
        )
        return {"prompt_embeds": embeds, "prompt_attention_mask": mask}

    def _for_decoder(
        self, latents: torch.Tensor, generators: list[torch.Generator]
    ) -> torch.Tensor:
        vae = self._pipe.vae
        mean, std = (
            one.view(1, -1, 1, 1, 1).to(latents) for one in (vae.latents_mean, vae.latents_std)
        )
        latents = (latents * std / vae.config.scaling_factor + mean).to(self._dtype)
        if not vae.config.timestep_conditioning:
            return latents
        noise = randn_tensor(
            latents.shape, generator=generators, device=self._device, dtype=latents.dtype
        )
        share = torch.tensor([DECODE_NOISE], device=self._device, dtype=latents.dtype)
        mixed: torch.Tensor = (1 - share) * latents + share * noise
        return mixed

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        vae, time = self._pipe.vae, None
        if vae.config.timestep_conditioning:
            times = [DECODE_TIMESTEP] * len(latents)
            time = torch.tensor(times, device=self._device, dtype=latents.dtype)
        video: torch.Tensor = vae.decode(latents, time, return_dict=False)[0]
        return video
