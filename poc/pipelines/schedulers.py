"""The sampler of an arm: diffusers' own classes, every setting that matters stated here.

The teacher's samplers run on *trailing* timesteps (Lin et al. 2024, arXiv 2305.08891, table 2):
at four steps the leading grid starts at t = 751 and would make the baseline look worse than it is.
AnimateLCM's grid is that of its distillation: 50 DDIM steps {19, 39, ..., 999} of 1000.
"""

from __future__ import annotations

from typing import Any

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
)

from poc.errors import InputError
from poc.records import LCM_GRID_STEPS, SchedulerName

_NOISE_KEYS = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")

_SETTINGS: dict[SchedulerName, tuple[type[Any], dict[str, Any]]] = {
    SchedulerName.DDIM: (
        DDIMScheduler,
        {"clip_sample": False, "set_alpha_to_one": True, "timestep_spacing": "trailing"},
    ),
    SchedulerName.DPMPP_2M: (
        DPMSolverMultistepScheduler,
        {
            "algorithm_type": "dpmsolver++",
            "solver_order": 2,
            "timestep_spacing": "trailing",
            "use_karras_sigmas": False,
        },
    ),
    SchedulerName.EULER: (EulerDiscreteScheduler, {"timestep_spacing": "trailing"}),
    SchedulerName.LCM: (
        LCMScheduler,
        {"original_inference_steps": LCM_GRID_STEPS, "clip_sample": False},
    ),
}


def make_scheduler(name: SchedulerName, base_config: dict[str, Any]) -> Any:
    """Build the sampler on the noise schedule of the base model.

    Only the noise schedule is taken over from `base_config`; everything else is set here, so that
    a base repository cannot change a sampler silently. Raises InputError when the base does not
    state its noise schedule.
    """
    missing = [key for key in _NOISE_KEYS if key not in base_config]
    if missing:
        raise InputError(
            f"scheduler_config.json of the base model: missing {', '.join(missing)}; "
            "a sampler on a guessed noise schedule gives plausible bad video. Add the keys."
        )
    scheduler_class, settings = _SETTINGS[name]
    return scheduler_class(**{key: base_config[key] for key in _NOISE_KEYS}, **settings)
