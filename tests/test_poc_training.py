"""The training: laws of its equations, and a chain that resumes as if it had not stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler, UNetMotionModel
from PIL import Image
from safetensors.torch import load_file

from poc.errors import InputError
from poc.tiny import architecture as tiny
from poc.tiny import recipe as recipes
from poc.tiny import world
from poc.tiny.card_pictures import FILE, SHOWN
from poc.tiny.model_card import row
from poc.training.consistency import (
    LORA,
    MOST_ROUNDS,
    Follower,
    FusedLora,
    Lesson,
    Network,
    Student,
    Teacher,
    add_lora,
    taking_up,
    uptake,
    video_network,
    with_own_samples,
)
from poc.training.diffusion import (
    NoiseSchedule,
    Prediction,
    distillation_grid,
    guided,
    plain_distance,
    pseudo_huber,
    signal_distance,
)
from poc.training.image import LatentSet, named
from poc.training.loop import Draw, LoopConfig, StageResult, train
from poc.training.motion import with_motion
from poc.training.style import lora_state


def schedule(prediction: Prediction) -> NoiseSchedule:
    return NoiseSchedule.of(scheduler(prediction))


def scheduler(prediction: Prediction) -> DDIMScheduler:
    """The tiny world's noise schedule under DDIM, for a network of this prediction."""
    return DDIMScheduler.from_config(
        tiny.build_scheduler().config, prediction_type=str(prediction), steps_offset=0
    )


def quiet(_: str) -> None:
    """Hear a log line and forget it."""


def latents(seed: int) -> torch.Tensor:
    return torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


both = pytest.mark.parametrize("prediction", list(Prediction))


@both
def test_a_ddim_step_is_that_of_diffusers(prediction: Prediction) -> None:
    reference = scheduler(prediction)
    reference.set_timesteps(50)
    x, predicted = latents(0), latents(1)
    t, s = int(reference.timesteps[10]), int(reference.timesteps[11])
    expected = reference.step(predicted, t, x).prev_sample
    found = schedule(prediction).ddim_step(
        x, predicted, torch.tensor([t] * 3), torch.tensor([s] * 3)
    )

    torch.testing.assert_close(found, expected)


@both
def test_the_consistency_function_is_the_identity_at_zero(prediction: Prediction) -> None:
    x, predicted = latents(0), latents(1)
    found = schedule(prediction).consistency(x, predicted, torch.zeros(3, dtype=torch.long))

    assert torch.equal(found, x)


@both
def test_the_consistency_function_is_what_the_sampler_takes_at_its_last_step(
    prediction: Prediction,
) -> None:
    config = scheduler(prediction).config
    sampler = LCMScheduler.from_config(config, original_inference_steps=50)
    sampler.set_timesteps(1)
    x, predicted = latents(0), latents(1)
    expected = sampler.step(predicted, sampler.timesteps[0], x).denoised
    found = schedule(prediction).consistency(x, predicted, sampler.timesteps.repeat(3))

    torch.testing.assert_close(found, expected)


@both
def test_a_right_prediction_gives_picture_and_noise_back(prediction: Prediction) -> None:
    x0, noise, t = latents(0), latents(1), torch.tensor([19, 499, 999])
    found = schedule(prediction)
    noisy = found.add_noise(x0, noise, t)
    clean, rest = found.split(noisy, found.wanted(x0, noise, t), t)

    torch.testing.assert_close(clean, x0, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(rest, noise, atol=1e-3, rtol=1e-3)


def test_what_a_network_must_predict_as_v_is_the_velocity_of_diffusers() -> None:
    x0, noise, t = latents(0), latents(1), torch.tensor([19, 499, 999])
    expected = scheduler(Prediction.V).get_velocity(x0, noise, t)

    torch.testing.assert_close(schedule(Prediction.V).wanted(x0, noise, t), expected)


def test_a_prediction_that_diffusers_does_not_know_is_refused() -> None:
    config = scheduler(Prediction.V)
    config.register_to_config(prediction_type="flow")

    with pytest.raises(ValueError, match="flow"):
        NoiseSchedule.of(config)


def test_the_grid_is_the_samplers_own_at_fifty_steps() -> None:
    sampler = LCMScheduler.from_config(tiny.build_scheduler().config, original_inference_steps=50)
    sampler.set_timesteps(50)

    assert distillation_grid(50, 1000).flip(0).tolist() == sampler.timesteps.tolist()


def test_guidance_of_one_is_the_conditional_prediction() -> None:
    conditional, unconditional = latents(0), latents(1)

    torch.testing.assert_close(guided(conditional, unconditional, 1.0), conditional)


@pytest.mark.parametrize(("difference", "expected"), [(0.0, 0.0), (3.0, (9 + 1e-6) ** 0.5 - 0.001)])
def test_pseudo_huber_has_its_closed_form(difference: float, expected: float) -> None:
    a = torch.zeros(5)

    assert float(pseudo_huber(a, a + difference, 0.001)) == pytest.approx(expected)


@pytest.mark.parametrize(("alpha", "scale"), [(0.5, 1.0), (0.9, 2.0), (0.01, 0.5), (0.64, 4 / 3)])
def test_the_signal_distance_scales_by_the_root_of_the_ratio_within_its_bounds(
    alpha: float, scale: float
) -> None:
    levels = NoiseSchedule(torch.tensor([alpha]))
    found, wanted, t = torch.randn(2, 3), torch.randn(2, 3), torch.tensor([0, 0])

    expected = pseudo_huber(scale * found, scale * wanted)

    torch.testing.assert_close(signal_distance(levels, found, wanted, t), expected)
    torch.testing.assert_close(
        plain_distance(levels, found, wanted, t), pseudo_huber(found, wanted)
    )


def lesson(network: Network, own_share: float) -> Lesson:
    """Teach with a network on latents (n, 4, 8, 8); no words."""
    teacher = Teacher(
        network,
        words=lambda ids: torch.zeros(len(ids), 1, 1),
        empty=torch.zeros(1, 1, dtype=torch.long),
        guidance=1.5,
        schedule=schedule(Prediction.V),
    )
    data = LatentSet(latents(7), lambda _draw, index: torch.zeros(len(index), 1))
    return Lesson(teacher, data, plain_distance, own_share=own_share)


def certain(x0: torch.Tensor) -> Network:
    """Return the network that sees x0, and nothing else, behind any noise."""
    levels = schedule(Prediction.V)

    def call(x: torch.Tensor, t: torch.Tensor, _words: torch.Tensor) -> torch.Tensor:
        signal, sigma = levels.scales(t, x.dim())
        whole = x0.repeat(len(x) // len(x0), 1, 1, 1)
        return levels.wanted(whole, (x - signal * whole) / sigma, t)

    return call


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_teacher_follows_a_straight_path_to_its_end_in_any_number_of_steps(steps: int) -> None:
    x0, noise = latents(0), latents(1)
    teacher = lesson(certain(x0), 0.0).teacher
    t, s = torch.tensor([999, 519, 119]), torch.tensor([899, 419, 0])

    x_s = teacher.solve(
        teacher.schedule.add_noise(x0, noise, t), t, s, torch.zeros(3, 1, 1), steps=steps
    )

    torch.testing.assert_close(x_s, teacher.schedule.add_noise(x0, noise, s), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("step", range(MOST_ROUNDS))
def test_own_samples_are_what_the_student_makes_of_noise(step: int) -> None:
    mine, data = latents(2), latents(3)
    words = torch.zeros(3, 1, 1)
    student = certain(mine)

    found, t = with_own_samples(
        Draw.of(8, step), lesson(student, 1.0), student, (data, torch.tensor([999] * 3), words)
    )

    torch.testing.assert_close(found, mine, atol=1e-3, rtol=1e-3)
    assert set(t.tolist()) <= set(distillation_grid(50, 1000)[:-1].tolist())


def test_own_samples_get_less_noise_from_round_to_round() -> None:
    seen: list[torch.Tensor] = []
    network = certain(latents(2))

    def student(x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        seen.append(t)
        return network(x, t, words)

    examples = (latents(3), torch.tensor([999] * 3), torch.zeros(3, 1, 1))
    _, last = with_own_samples(Draw.of(8, 2), lesson(network, 1.0), student, examples)
    path = torch.stack([*seen, last])

    assert path[0].tolist() == [999] * 3
    assert len(path) == MOST_ROUNDS + 1
    assert bool((path[1:] <= path[:-1]).all())


def test_a_share_of_nought_leaves_data_and_timesteps_as_they_are() -> None:
    data, t = latents(3), torch.tensor([19, 499, 999])
    student = certain(latents(2))

    found, at = with_own_samples(
        Draw.of(8, 0), lesson(student, 0.0), student, (data, t, torch.zeros(3, 1, 1))
    )

    assert torch.equal(found, data)
    assert torch.equal(at, t)


def test_the_targets_lora_follows_the_average_of_the_weight_it_adds() -> None:
    mu, added = 0.9, torch.randn(4, 4)
    average = torch.zeros(4, 4)
    for _ in range(7):
        average = mu * average + (1 - mu) * added

    torch.testing.assert_close(uptake(mu, 7) * added, average)


def test_a_follower_holds_the_running_average_and_gives_the_network_back() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    follower = Follower({"p": parameter}, average=0.75)
    with torch.no_grad():
        parameter.add_(4.0)
    follower.follow(1)
    with follower.in_place():
        inside = parameter.detach().clone()

    torch.testing.assert_close(inside, torch.full((2,), 1.0))
    torch.testing.assert_close(parameter.detach(), torch.full((2,), 4.0))


def _untrained() -> UNetMotionModel:
    """Return the same random motion UNet at every call."""
    torch.manual_seed(3)
    return with_motion(tiny.build_unet(), tiny.build_motion_adapter())


def _lora() -> dict[str, torch.Tensor]:
    """Return a random LoRA of that UNet, which adds something."""
    unet = _untrained()
    add_lora(unet, LORA, 4, tiny.LORA_TARGETS)
    state = lora_state(unet, LORA)
    return {key: 0.1 * torch.randn_like(tensor) for key, tensor in state.items()}


@torch.no_grad()
def _predicted(unet: UNetMotionModel) -> torch.Tensor:
    rng = torch.Generator().manual_seed(4)
    x, words = torch.randn(1, 4, 2, 8, 8, generator=rng), torch.randn(2, 20, 96, generator=rng)
    found: torch.Tensor = unet(x, torch.tensor([400]), encoder_hidden_states=words).sample
    return found


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0])
def test_a_fused_lora_does_at_any_scale_what_it_does_beside_its_layers(scale: float) -> None:
    beside, fused, state = _untrained(), _untrained(), _lora()
    beside.load_lora_adapter(state, prefix="unet", adapter_name=LORA)
    beside.set_adapters([LORA], [scale])
    with FusedLora.of(fused, state).at(scale):
        found = _predicted(fused)

    torch.testing.assert_close(found, _predicted(beside), atol=1e-4, rtol=1e-4)
    assert (scale == 0) == torch.allclose(found, _predicted(_untrained()), atol=1e-4)


def test_a_fused_lora_is_whole_again_after_a_share_of_it_ran() -> None:
    fused = _untrained()
    lora = FusedLora.of(fused, _lora())
    before = _predicted(fused)
    with pytest.raises(KeyboardInterrupt), lora.at(0.3):
        raise KeyboardInterrupt

    assert torch.equal(_predicted(fused), before)


@torch.no_grad()
def test_with_the_special_initialisation_the_target_starts_as_the_teacher() -> None:
    config = recipes.QUICK.animatelcm
    teacher, student = _untrained(), _untrained()
    lora = FusedLora.of(student, _lora())
    for key, parameter in student.named_parameters():
        parameter.requires_grad_("motion_modules" in key)
    pupil = Student.of(video_network(student, config), named(motion=student), 0.9)
    x, words = torch.randn(1, 4, 2, 8, 8), torch.randn(1, 20, 96)
    at = x, torch.tensor([400]), words
    expected = video_network(teacher, config)(*at)
    for parameter in pupil.parameters.values():
        parameter.add_(0.01)  # a step that the averages have not followed

    start = taking_up(lora, uptake(0.9, 0), pupil.averaged)
    later = taking_up(lora, uptake(0.9, 500), pupil.averaged)

    torch.testing.assert_close(start(*at), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(later(*at), pupil.averaged(*at), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(later(*at), expected, atol=1e-2)


def test_a_fused_lora_leaves_no_layer_of_its_own() -> None:
    fused = _untrained()
    FusedLora.of(fused, _lora())

    assert fused.state_dict().keys() == _untrained().state_dict().keys()


def test_a_lora_of_the_image_stage_leaves_motion_modules_alone() -> None:
    joined = with_motion(tiny.build_unet(), tiny.build_motion_adapter())
    add_lora(joined, "lcm", 4, tiny.LORA_TARGETS)
    layers = [name for name, _ in joined.named_parameters() if ".lora_" in name]

    assert layers
    assert not any("motion_modules" in name for name in layers)


def _fit(work: Path, steps: int) -> StageResult:
    """Fit a line to noise; stopped after `steps` when the config says more."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 1)

    def loss(draw: Draw) -> torch.Tensor:
        if draw.step == steps:
            raise KeyboardInterrupt
        x = torch.randn(8, 3, generator=draw.torch_rng)
        error: torch.Tensor = layer(x) - x.sum(1, keepdim=True)
        return (error**2).mean()

    config = LoopConfig(
        steps=12, batch=8, learning_rate=0.1, seed=5, average=0.9, checkpoint_every=3
    )
    return train("fit", config, dict(layer.named_parameters()), loss, work=work, log=quiet)


def test_a_training_that_was_stopped_equals_one_that_was_not(tmp_path: Path) -> None:
    whole = _fit(tmp_path / "whole", steps=99)
    with pytest.raises(KeyboardInterrupt):
        _fit(tmp_path / "parts", steps=7)
    parts = _fit(tmp_path / "parts", steps=99)

    assert all(torch.equal(whole.weights[key], parts.weights[key]) for key in whole.weights)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.ones(1))
    config = LoopConfig(steps=3, batch=1, learning_rate=0.1, seed=0)

    with pytest.raises(FloatingPointError, match="step 0"):
        train(
            "bad", config, {"p": parameter}, lambda _: parameter * float("nan"),
            work=tmp_path, log=quiet,
        )  # fmt: skip


def test_no_training_scene_is_unseen() -> None:
    import numpy as np

    scenes = recipes.draw_scenes(500, np.random.default_rng(0))

    assert not any(world.is_unseen(scene) for scene in scenes)


@pytest.mark.slow
def test_the_whole_chain_makes_weights_that_load(tmp_path: Path) -> None:
    lines: list[str] = []
    out, work = tmp_path / "weights", tmp_path / "work"
    recipes.train_tiny(out, work, quick=True, log=lines.append)
    index = json.loads((out / "index.json").read_text())
    lora = load_file(out / "lcm_lora" / "pytorch_lora_weights.safetensors")

    assert {"base", "motion_teacher", "motion_stage2", "motion_animatelcm", "clip"} <= {
        name.partition("/")[0] for name in index["files"]
    }
    assert any(bool(tensor.any()) for key, tensor in lora.items() if "lora_B" in key)
    card = (out / "MODEL_CARD.md").read_text()
    assert "| rehearsal |" in card
    assert f"({FILE})" in card
    with Image.open(out / FILE) as pictures:
        assert pictures.width == recipes.QUICK.clips * len(SHOWN) * world.SIZE

    lines.clear()
    recipes.train_tiny(out, work, quick=True, log=lines.append)
    assert sum("already finished" in line for line in lines) == len(recipes.STAGES) + 2


def result_of_one_step() -> StageResult:
    config = LoopConfig(steps=1, batch=7, learning_rate=2e-3, seed=41)
    return StageResult(config, {}, 1, ((1, 0.5),), 60.0)


def test_the_card_tells_with_what_numbers_a_stage_was_trained(tmp_path: Path) -> None:
    kitchen = recipes.Kitchen(recipes.QUICK, tmp_path, quiet)
    kitchen.keep("vae", {"w": torch.zeros(1)}, result_of_one_step())

    assert row(kitchen, "vae", "what") == "| vae | what | 1 | 7 | 0.002 | 41 |  | 0.5000 | 1 |"


def test_the_card_takes_no_number_of_the_recipe_for_one_that_a_stage_did_not_keep(
    tmp_path: Path,
) -> None:
    kitchen = recipes.Kitchen(recipes.QUICK, tmp_path, quiet)
    (tmp_path / "vae.json").write_text('{"steps": 1, "losses": [], "duration_s": 60.0}')

    assert "| 1 | not kept | not kept | not kept |  | not kept | 1 |" in row(kitchen, "vae", "what")


def test_a_stage_of_another_version_of_the_recipe_is_not_built_upon(tmp_path: Path) -> None:
    kitchen = recipes.Kitchen(recipes.QUICK, tmp_path, quiet)
    kitchen.keep("vae", {"w": torch.zeros(1)}, result_of_one_step(), scaling=1.0)
    recipes.run_stage(kitchen, "vae")
    card = tmp_path / "vae.json"
    card.write_text(card.read_text().replace(f'"recipe": {recipes.VERSION}', '"recipe": 1'))

    with pytest.raises(InputError, match="made by version 1 of the recipe"):
        recipes.run_stage(kitchen, "vae")
