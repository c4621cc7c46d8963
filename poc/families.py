"""What each family of video models can be told, and the clip shapes its networks can make.

Facts of diffusers' pipelines (v0.42): WanPipeline and LTXConditionPipeline round another number of
frames or another size without an error, so that a plan would name a clip that nobody made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from poc.records import SchedulerName

FAMILY_FACTORS: Final = frozenset(
    {"motion_adapter", "vae", "beta_schedule", "flow_shift", "timesteps"}
)
"""Settings of an arm that not every family has."""


@dataclass(frozen=True, slots=True)
class FamilyRules:
    """What a family takes."""

    factors: frozenset[str]
    """Those of `FAMILY_FACTORS` that mean something to it."""
    schedulers: frozenset[SchedulerName]
    frames_per_latent: int
    """Clips have a multiple of it, plus one, frames."""
    size_multiple: int
    """Height and width are multiples of it, in pixels."""
    most_frames: int | None = None
    """None: no limit of the network."""
    motion_adapter: bool = False
    """Whether an arm has to name a motion module."""


FAMILIES: Final[Mapping[str, FamilyRules]] = MappingProxyType(
    {
        "animatediff": FamilyRules(
            factors=frozenset({"motion_adapter", "vae", "beta_schedule"}),
            schedulers=frozenset(
                {
                    SchedulerName.DDIM,
                    SchedulerName.DPMPP_2M,
                    SchedulerName.EULER,
                    SchedulerName.LCM,
                }
            ),
            frames_per_latent=1,
            size_multiple=8,
            most_frames=32,  # positions that motion modules were made with
            motion_adapter=True,
        ),
        "wan": FamilyRules(
            factors=frozenset({"flow_shift"}),
            schedulers=frozenset(
                {SchedulerName.FLOW_UNIPC, SchedulerName.FLOW_EULER, SchedulerName.FLOW_LCM}
            ),
            frames_per_latent=4,
            size_multiple=16,
        ),
        "ltx": FamilyRules(
            factors=frozenset({"timesteps"}),
            schedulers=frozenset({SchedulerName.FLOW_EULER}),
            frames_per_latent=8,
            size_multiple=32,
        ),
    }
)
