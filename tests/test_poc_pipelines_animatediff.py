"""Switching arms on one resident model: every switch acts, and none leaves a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AnimateDiffPipeline, LCMScheduler, MotionAdapter
from numpy.typing import NDArray
from tiny_components import SHAPE, SMALL, lora, make_arm, write_lora, write_models

from poc.errors import InputError
from poc.pipelines.animatediff import AnimateDiffFamily, fill, load_adapter
from poc.pipelines.resident import weight_file
from poc.records import Arm, BetaSchedule, SchedulerName
from poc.tiny.architecture import build_motion_adapter, build_vae

PROMPTS = ["a red circle on a grey background", "a blue ring growing on a black background"]
SEEDS = [11, 12]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def family(folders: dict[str, Path]) -> AnimateDiffFamily:
    return AnimateDiffFamily(base="base", dtype="float32", folders=folders)


def _frames(family: AnimateDiffFamily, arm: Arm) -> NDArray[np.uint8]:
    family.prepare(arm)
    latents = family.denoise(family.encode_reused(PROMPTS), SEEDS)
    frames, finite = family.decode(latents)
    assert all(finite)
    return frames


def _plain_frames(folders: dict[str, Path], *, fused: bool) -> NDArray[np.uint8]:
    """Sample the first prompt by diffusers alone, with one LoRA at 0.8."""
    plain = AnimateDiffPipeline.from_pretrained(
        folders["base"], motion_adapter=MotionAdapter.from_pretrained(folders["motion_a"])
    )
    plain.vae.requires_grad_(False)  # the CPU's kernels differ by rounding where it is asked for
    plain.scheduler = LCMScheduler.from_config(plain.scheduler.config, original_inference_steps=50)
    plain.load_lora_weights(
        folders["lora_a"], weight_name="pytorch_lora_weights.safetensors", adapter_name="a"
    )
    plain.set_adapters(["a"], [0.8])
    if fused:
        plain.fuse_lora(components=["unet"])
    plain.set_progress_bar_config(disable=True)
    frames = plain(
        PROMPTS[0],
        num_frames=SHAPE.num_frames,
        height=64,
        width=64,
        num_inference_steps=2,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(SEEDS[0]),
        output_type="np",
    ).frames[0]
    rounded: NDArray[np.uint8] = np.rint(frames * 255).astype(np.uint8)
    return rounded


def _first_frames(family: AnimateDiffFamily) -> NDArray[np.uint8]:
    family.prepare(make_arm(loras=(lora("lora_a", 0.8),)))
    frames, _ = family.decode(family.denoise(family.encode([PROMPTS[0]]), SEEDS[:1]))
    first: NDArray[np.uint8] = frames[0]
    return first


def test_an_arm_gives_the_frames_of_a_plain_diffusers_call(
    folders: dict[str, Path], family: AnimateDiffFamily
) -> None:
    np.testing.assert_array_equal(_first_frames(family), _plain_frames(folders, fused=True))


def test_fusing_changes_no_frame_beyond_rounding(
    folders: dict[str, Path], family: AnimateDiffFamily
) -> None:
    apart = _plain_frames(folders, fused=False).astype(int)

    assert np.abs(_first_frames(family).astype(int) - apart).max() <= 2


def test_a_prepared_network_holds_no_lora_layers(family: AnimateDiffFamily) -> None:
    for arm in (make_arm(loras=(lora("lora_a"),)), make_arm()):
        family.prepare(arm)
        assert not [key for key in family.network().state_dict() if "lora" in key]


def test_the_order_of_arms_changes_no_frame(folders: dict[str, Path]) -> None:
    plain = make_arm()
    styled = make_arm(loras=(lora("lora_a"), lora("lora_b", 0.5)), motion_adapter="motion_b")
    guided = make_arm(scheduler=SchedulerName.DDIM, guidance=4.0)
    arms = [plain, styled, guided]

    def sweep(order: list[Arm]) -> dict[str, bytes]:
        family = AnimateDiffFamily(base="base", dtype="float32", folders=folders)
        return {arm.id: _frames(family, arm).tobytes() for arm in order}

    assert sweep(arms) == sweep(arms[::-1])


def test_weights_are_equal_after_a_lora_was_taken_out(family: AnimateDiffFamily) -> None:
    family.prepare(make_arm())
    before = {key: tensor.clone() for key, tensor in family.network().state_dict().items()}
    family.prepare(make_arm(loras=(lora("lora_a"), lora("lora_b"))))
    assert not _same(family.network().state_dict(), before)

    family.prepare(make_arm())

    assert _same(family.network().state_dict(), before)


def test_a_weight_that_changed_under_a_lora_is_noticed(family: AnimateDiffFamily) -> None:
    family.prepare(make_arm(loras=(lora("lora_a"),)))
    with torch.no_grad():
        family.network().get_parameter("conv_out.bias").add_(1.0)

    with pytest.raises(RuntimeError, match="base weights differ"):
        family.prepare(make_arm())


def _same(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 3},
        {"guidance": 3.0},
        {"motion_adapter": "motion_b"},
        {"loras": (lora("lora_a"),)},
        {"scheduler": SchedulerName.DDIM},
    ],
)
def test_everything_an_arm_declares_reaches_the_frames(
    family: AnimateDiffFamily, change: dict[str, object]
) -> None:
    assert _frames(family, make_arm()).tobytes() != _frames(family, make_arm(**change)).tobytes()


def test_a_lora_that_changes_nothing_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    write_lora(tmp_path / "dead", scale=0.0)
    family = AnimateDiffFamily(
        base="base", dtype="float32", folders=folders | {"dead": tmp_path / "dead"}
    )

    with pytest.raises(InputError, match="did not change"):
        family.prepare(make_arm(loras=(lora("dead"),)))


def test_clips_of_a_batch_start_from_their_own_seeds(family: AnimateDiffFamily) -> None:
    family.prepare(make_arm())
    embeddings = family.encode([PROMPTS[0], PROMPTS[0]])
    one, other = family.denoise(embeddings, [1, 2])
    same, again = family.denoise(embeddings, [1, 1])

    assert not torch.equal(one, other)
    assert torch.equal(same, again)


def test_what_is_not_finite_is_flagged_and_not_blackened(family: AnimateDiffFamily) -> None:
    family.prepare(make_arm())
    latents = family.denoise(family.encode(PROMPTS), SEEDS).clone()
    latents[1, 0, 0, 0, 0] = float("nan")

    assert family.decode(latents)[1] == (True, False)


@pytest.mark.parametrize(
    ("scheduler", "steps", "expected"),
    [
        (SchedulerName.LCM, 4, (999, 759, 499, 259)),
        (SchedulerName.LCM, 8, (999, 879, 759, 639, 499, 379, 259, 139)),
        (SchedulerName.DDIM, 4, (999, 749, 499, 249)),
        (SchedulerName.DPMPP_2M, 4, (999, 749, 499, 249)),
    ],
)
def test_timesteps_are_those_of_the_paper_and_of_trailing_spacing(
    family: AnimateDiffFamily, scheduler: SchedulerName, steps: int, expected: tuple[int, ...]
) -> None:
    resolved = family.prepare(make_arm(scheduler=scheduler, steps=steps))

    assert resolved.timesteps == expected
    assert resolved.scheduler_config["beta_schedule"] == "linear"
    assert not any(key.startswith("_") for key in resolved.scheduler_config)


# --- models of other makers ----------------------------------------------------------------------


def test_an_arm_may_ask_for_another_noise_schedule_than_the_base(
    family: AnimateDiffFamily,
) -> None:
    own = family.prepare(make_arm())
    other = family.prepare(make_arm(beta_schedule=BetaSchedule.SCALED_LINEAR))
    again = family.prepare(make_arm())

    assert own.scheduler_config["beta_schedule"] == "linear"
    assert other.scheduler_config["beta_schedule"] == "scaled_linear"
    assert again == own


def test_another_vae_decodes_and_nothing_else_changes(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    build_vae(SMALL).save_pretrained(tmp_path / "vae", safe_serialization=True)
    plain = AnimateDiffFamily(base="base", dtype="float32", folders=folders)
    other = AnimateDiffFamily(
        base="base", dtype="float32", folders=folders | {"vae": tmp_path / "vae"}, vae="vae"
    )
    own, exchanged = plain.prepare(make_arm()), other.prepare(make_arm(vae="vae"))

    changed = {
        name
        for name, value in own.component_digests.items()
        if exchanged.component_digests[name] != value
    }
    assert changed == {"vae"}
    with pytest.raises(InputError, match="VAE None, but 'vae' is loaded"):
        other.prepare(make_arm())


def test_a_lora_file_may_have_any_name(folders: dict[str, Path], tmp_path: Path) -> None:
    source = weight_file(folders["lora_a"])
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "SomeMakers_lora.safetensors").write_bytes(source.read_bytes())
    renamed = AnimateDiffFamily(
        base="base", dtype="float32", folders=folders | {"lora_a": tmp_path / "lora"}
    )
    plain = AnimateDiffFamily(base="base", dtype="float32", folders=folders)
    arm = make_arm(loras=(lora("lora_a"),))

    assert renamed.prepare(arm).component_digests == plain.prepare(arm).component_digests


@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_a_folder_with_none_or_several_weight_files_is_refused(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for name in names:
        (tmp_path / f"{name}.safetensors").touch()
    with pytest.raises(InputError, match=rf"expected one \.safetensors file, found {len(names)}"):
        weight_file(tmp_path)


def test_bare_weights_fill_a_motion_module_of_their_form(folders: dict[str, Path]) -> None:
    path = weight_file(folders["motion_b"])
    filled = fill(build_motion_adapter(SMALL), path)
    loaded = load_adapter(folders["motion_b"], torch.float32)

    assert filled.state_dict().keys() == loaded.state_dict().keys()
    for key, tensor in loaded.state_dict().items():
        torch.testing.assert_close(filled.state_dict()[key], tensor, rtol=0.0, atol=0.0)
    with pytest.raises(InputError, match="these are no weights of this motion module"):
        fill(build_motion_adapter(SMALL), weight_file(folders["lora_a"]))
