"""The Wan family: Wan2.1 text to video and few-step LoRAs on it, through diffusers' WanPipeline.

The VAE runs in float32, as diffusers' documentation of Wan has it, whatever the arm's precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchLCMScheduler,
    UniPCMultistepScheduler,
    WanPipeline,
)

from poc.errors import InputError
from poc.pipelines.flow import FlowFamily
from poc.pipelines.resident import Embedded, as_floats
from poc.records import Arm, SchedulerName

TOKENS: Final = 512
"""Of the text encoder's answer; shorter prompts are padded with zeros."""


class FlowConsistencyScheduler(FlowMatchLCMScheduler):  # type: ignore[misc]  # diffusers is untyped
    """Multistep consistency sampling of a flow, with the noise of each step from its clip's seed.

    WanPipeline hands its generators to no scheduler, so that diffusers' own class would draw from
    the process's global state: a clip would then depend on what was made before it. The grid is
    that of Self-Forcing, n steps from t = 1 down by 1/n, shifted; diffusers' own ends near 0, where
    one of the few evaluations would be wasted.
    """

    generators: list[torch.Generator] | None = None
    """One a clip; set before every call of the pipeline."""

    def set_timesteps(self, num_inference_steps: int, device: Any = None, **_: Any) -> None:
        """Place the timesteps."""
        sigmas = [1 - place / num_inference_steps for place in range(num_inference_steps)]
        super().set_timesteps(sigmas=sigmas, device=device)

    def step(self, *given: Any, **named: Any) -> Any:
        """Take a step, with fresh noise from the clips' own generators."""
        return super().step(*given, **(named | {"generator": self.generators}))


class WanFamily(FlowFamily):
    """Wan2.1 text to video."""

    pipeline_class: ClassVar[type[Any]] = WanPipeline
    vae_class: ClassVar[type[Any]] = AutoencoderKLWan
    vae_in_float32: ClassVar[bool] = True

    def _scheduler(self, arm: Arm) -> Any:
        shift = arm.flow_shift
        if shift is None:
            raise InputError(f"arm {arm.name!r}: 'flow_shift' is missing. Give 3.0 at 480 lines.")
        if arm.scheduler is SchedulerName.FLOW_UNIPC:
            return UniPCMultistepScheduler(
                num_train_timesteps=1000,
                prediction_type="flow_prediction",
                use_flow_sigmas=True,
                flow_shift=shift,
                solver_order=2,
            )
        if arm.scheduler is SchedulerName.FLOW_EULER:
            return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=shift)
        if arm.scheduler is SchedulerName.FLOW_LCM:
            return FlowConsistencyScheduler(num_train_timesteps=1000, shift=shift)
        raise InputError(
            f"arm {arm.name!r}: scheduler {arm.scheduler} does not sample flows. Take flow_unipc, "
            "flow_euler or flow_lcm."
        )

    def _arguments(self, arm: Arm) -> dict[str, Any]:
        return {
            "num_frames": arm.shape.num_frames,
            "height": arm.shape.height,
            "width": arm.shape.width,
            "num_inference_steps": arm.steps,
            "guidance_scale": arm.guidance,
            "max_sequence_length": TOKENS,
        }

    def _timesteps(self, arm: Arm) -> tuple[float, ...]:
        self._pipe.scheduler.set_timesteps(arm.steps, device="cpu")
        return as_floats(self._pipe.scheduler.timesteps)

    def _embed(self, texts: Sequence[str]) -> Embedded:
        embeds, _ = self._pipe.encode_prompt(
            list(texts), do_classifier_free_guidance=False, max_sequence_length=TOKENS
        )
        return {"prompt_embeds": embeds}

    def _before(self, generators: list[torch.Generator]) -> None:
        if isinstance(self._pipe.scheduler, FlowConsistencyScheduler):
            self._pipe.scheduler.generators = generators

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        vae = self._pipe.vae
        latents = latents.to(vae.dtype)
        of_channels = (1, vae.config.z_dim, 1, 1, 1)
        mean = torch.tensor(vae.config.latents_mean).view(of_channels).to(latents)
        # The inverse of the inverse, as diffusers has it: to the bit.
        inverse_std = 1.0 / torch.tensor(vae.config.latents_std).view(of_channels).to(latents)
        video: torch.Tensor = vae.decode(latents / inverse_std + mean, return_dict=False)[0]
        return video
