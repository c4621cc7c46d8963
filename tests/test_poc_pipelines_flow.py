"""Wan and LTX: the frames of diffusers alone, arms that leave no trace, LoRAs in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import LTXConditionPipeline, UniPCMultistepScheduler, WanPipeline
from flow_components import (
    LTX_SHAPE,
    LTX_TIMESTEPS,
    WAN_SHAPE,
    ltx_arm,
    wan_arm,
    write_ltx,
    write_wan,
    write_wan_lora,
)
from numpy.typing import NDArray
from tiny_components import lora, write_lora

from poc.errors import InputError
from poc.pipelines.flow import FlowFamily
from poc.pipelines.ltx import DECODE_NOISE, DECODE_TIMESTEP, LtxFamily
from poc.pipelines.wan import WanFamily
from poc.records import Arm, SchedulerName

PROMPTS = ["a red circle on a grey background", "a blue ring"]
SEEDS = [11, 12]


@dataclass(frozen=True)
class Kind:
    """A family with models of its own on disk."""

    family_class: type[FlowFamily]
    arm: Callable[..., Arm]
    folders: Mapping[str, Path]

    def load(self) -> FlowFamily:
        return self.family_class(base="base", dtype="float32", folders=self.folders)


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return Kind(WanFamily, wan_arm, write_wan(tmp_path_factory.mktemp("wan")))


@pytest.fixture(scope="module")
def ltx(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return Kind(LtxFamily, ltx_arm, write_ltx(tmp_path_factory.mktemp("ltx")))


@pytest.fixture(params=["wan", "ltx"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.getfixturevalue(request.param)
    return found


def _frames(family: FlowFamily, arm: Arm, *, prompts: int = 2) -> NDArray[np.uint8]:
    family.prepare(arm)
    latents = family.denoise(family.encode_reused(PROMPTS[:prompts]), SEEDS[:prompts])
    frames, finite = family.decode(latents)
    assert all(finite)
    return frames


def _plain(pipe: Any, **arguments: Any) -> NDArray[np.uint8]:
    """Sample the first prompt by diffusers alone."""
    pipe.set_progress_bar_config(disable=True)
    for part in (pipe.transformer, pipe.vae, pipe.text_encoder):
        part.requires_grad_(False)
    frames = pipe(
        prompt=PROMPTS[0],
        num_inference_steps=2,
        generator=[torch.Generator().manual_seed(SEEDS[0])],
        output_type="np",
        **arguments,
    ).frames[0]
    rounded: NDArray[np.uint8] = np.rint(frames * 255).astype(np.uint8)
    return rounded


def test_wan_gives_the_frames_of_a_plain_diffusers_call(wan: Kind) -> None:
    pipe = WanPipeline.from_pretrained(wan.folders["base"])
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config, flow_shift=5.0)
    pipe.load_lora_weights(wan.folders["lora_a"], adapter_name="a")
    pipe.set_adapters(["a"], [0.8])
    pipe.fuse_lora(components=["transformer"])
    pipe.unload_lora_weights()
    size = {"num_frames": WAN_SHAPE.num_frames, "height": 32, "width": 32}
    expected = _plain(pipe, guidance_scale=3.0, negative_prompt="", **size)

    arm = wan_arm(guidance=3.0, flow_shift=5.0, loras=(lora("lora_a", 0.8),))

    np.testing.assert_array_equal(_frames(wan.load(), arm, prompts=1)[0], expected)


@pytest.mark.parametrize("timesteps", [LTX_TIMESTEPS, None])
def test_ltx_gives_the_frames_of_a_plain_diffusers_call(
    ltx: Kind, timesteps: tuple[float, ...] | None
) -> None:
    expected = _plain(
        LTXConditionPipeline.from_pretrained(ltx.folders["base"]),
        num_frames=LTX_SHAPE.num_frames,
        height=32,
        width=32,
        frame_rate=LTX_SHAPE.fps,
        guidance_scale=1.0,
        timesteps=list(timesteps) if timesteps else None,
        decode_timestep=DECODE_TIMESTEP,
        decode_noise_scale=DECODE_NOISE,
    )

    found = _frames(ltx.load(), ltx_arm(timesteps=timesteps), prompts=1)[0]

    np.testing.assert_array_equal(found, expected)


def test_the_order_of_arms_changes_no_frame(kind: Kind) -> None:
    arms = [
        kind.arm(),
        kind.arm(loras=(lora("lora_a"),)),
        kind.arm(guidance=4.0, negative_prompt="dull"),
    ]

    def sweep(order: list[Arm]) -> dict[str, bytes]:
        family = kind.load()
        return {arm.id: _frames(family, arm).tobytes() for arm in order}

    assert sweep(arms) == sweep(arms[::-1])


def test_a_clip_does_not_depend_on_its_neighbours_seed(kind: Kind) -> None:
    family = kind.load()
    family.prepare(kind.arm())
    embedded = family.encode_reused(PROMPTS)
    one, other = (family.denoise(embedded, seeds) for seeds in ([1, 2], [1, 3]))

    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])


def test_weights_are_equal_after_a_lora_was_taken_out(kind: Kind) -> None:
    family = kind.load()
    family.prepare(kind.arm())
    before = {key: tensor.clone() for key, tensor in family.network().state_dict().items()}
    family.prepare(kind.arm(loras=(lora("lora_a"),)))
    fused = {key: tensor.clone() for key, tensor in family.network().state_dict().items()}
    family.prepare(kind.arm())
    after = family.network().state_dict()

    assert before.keys() == fused.keys() == after.keys()  # no wrapper stays
    assert any(not torch.equal(fused[key], before[key]) for key in before)
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_two_loras_are_the_sum_of_both(wan: Kind) -> None:
    family = wan.load()
    key = "blocks.0.attn1.to_q.weight"

    def weight(*names: str) -> torch.Tensor:
        family.prepare(wan_arm(loras=tuple(lora(name, 0.5) for name in names)))
        return family.network().get_parameter(key).detach().clone()

    base, first, second = weight(), weight("lora_a"), weight("lora_b")

    torch.testing.assert_close(weight("lora_a", "lora_b") - base, first + second - 2 * base)


def test_a_weight_that_changed_under_a_lora_is_noticed(kind: Kind) -> None:
    family = kind.load()
    family.prepare(kind.arm(loras=(lora("lora_a"),)))
    with torch.no_grad():
        family.network().get_parameter("proj_out.bias").add_(1.0)

    with pytest.raises(RuntimeError, match="base weights differ"):
        family.prepare(kind.arm())


@pytest.mark.parametrize(
    "change", [{"guidance": 3.0}, {"loras": (lora("lora_a"),)}, {"steps": 3, "timesteps": None}]
)
def test_everything_an_arm_declares_reaches_the_frames(
    kind: Kind, change: dict[str, object]
) -> None:
    family = kind.load()

    assert _frames(family, kind.arm()).tobytes() != _frames(family, kind.arm(**change)).tobytes()


def test_consistency_sampling_of_a_flow_draws_from_the_clips_own_seeds(wan: Kind) -> None:
    family, arm = wan.load(), wan_arm(scheduler=SchedulerName.FLOW_LCM, flow_shift=5.0)
    both = _frames(family, arm)
    torch.rand(7)  # moves the process's own generator

    np.testing.assert_array_equal(_frames(family, arm), both)
    np.testing.assert_array_equal(_frames(family, arm, prompts=1)[0], both[0])


def test_the_grid_of_consistency_sampling_is_that_of_self_forcing(wan: Kind) -> None:
    """1000, 750, 500 and 250, each moved by s t / (1 + (s - 1) t)."""
    arm = wan_arm(scheduler=SchedulerName.FLOW_LCM, steps=4, flow_shift=5.0)
    expected = [5 * t / (1 + 4 * t) * 1000 for t in (1.0, 0.75, 0.5, 0.25)]

    assert wan.load().prepare(arm).timesteps == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("change", [{"flow_shift": 8.0}, {"scheduler": SchedulerName.FLOW_EULER}])
def test_the_sampler_of_wan_reaches_the_frames(wan: Kind, change: dict[str, object]) -> None:
    family = wan.load()

    assert _frames(family, wan_arm()).tobytes() != _frames(family, wan_arm(**change)).tobytes()


def test_timesteps_are_recorded_as_they_are_sampled(ltx: Kind, wan: Kind) -> None:
    given = ltx.load().prepare(ltx_arm())
    shifted = [wan.load().prepare(wan_arm(flow_shift=shift)).timesteps for shift in (1.0, 5.0)]

    assert given.timesteps == LTX_TIMESTEPS
    assert shifted[0][-1] < shifted[1][-1]  # a larger shift stays with noise for longer


def test_a_lora_is_found_where_its_repository_keeps_it(wan: Kind, tmp_path: Path) -> None:
    write_wan_lora(tmp_path / "deep" / "LoRAs" / "some", scale=0.3)
    folders = {**wan.folders, "deep": tmp_path / "deep"}
    family = WanFamily(base="base", dtype="float32", folders=folders)

    resolved = family.prepare(wan_arm(loras=(lora("deep"),)))

    assert "lora:deep" in resolved.component_digests


def test_a_lora_that_can_change_nothing_is_refused(wan: Kind, tmp_path: Path) -> None:
    write_wan_lora(tmp_path / "dead", scale=0.0)
    family = WanFamily(
        base="base", dtype="float32", folders={**wan.folders, "dead": tmp_path / "dead"}
    )

    with pytest.raises(InputError, match="dead: the LoRA was loaded but can change nothing"):
        family.prepare(wan_arm(loras=(lora("dead"),)))


def test_a_lora_of_another_family_is_refused(wan: Kind, tmp_path: Path) -> None:
    write_lora(tmp_path / "unet", scale=0.3)
    family = WanFamily(
        base="base", dtype="float32", folders={**wan.folders, "unet": tmp_path / "unet"}
    )

    with pytest.raises(InputError, match="belongs to another base model"):
        family.prepare(wan_arm(loras=(lora("unet"),)))


@pytest.mark.parametrize(
    ("family", "arm", "message"),
    [
        (WanFamily, wan_arm(flow_shift=None), "'flow_shift' is missing"),
        (WanFamily, wan_arm(scheduler=SchedulerName.DDIM), "does not sample flows"),
        (LtxFamily, ltx_arm(scheduler=SchedulerName.FLOW_UNIPC), "does not sample LTX"),
        (LtxFamily, ltx_arm(steps=3), "2 'timesteps' for 3 'steps'"),
    ],
)
def test_settings_that_a_family_cannot_sample_are_refused(
    wan: Kind, ltx: Kind, family: type[FlowFamily], arm: Arm, message: str
) -> None:
    folders = wan.folders if family is WanFamily else ltx.folders

    with pytest.raises(InputError, match=message):
        family(base="base", dtype="float32", folders=folders).prepare(arm)
