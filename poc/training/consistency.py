"""Decoupled consistency distillation: first images as a LoRA, then the motion module.

Both stages pull f(x_t, t) towards f(x_s, s) of a slowly following target, where x_s is one guided
DDIM step of the frozen teacher away (AnimateLCM, arXiv 2402.00769v3, sections 3 and 4). The grid
has 50 times {19, 39, ..., 999} and its last step ends at 0, where f is the identity: that anchors
the whole chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel, UNetMotionModel
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer

from poc.training.diffusion import (
    NoiseSchedule,
    distillation_grid,
    guided,
    plain_distance,
    signal_distance,
)
from poc.training.image import LatentSet, adopt, named
from poc.training.loop import Draw, Log, LoopConfig, StageResult, autocast, train

GRID_STEPS = 50
LORA = "lcm"

Distance = Callable[[NoiseSchedule, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Loss of two estimates of x0 at timesteps t: (schedule, found, wanted, t)."""

Network = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Predicts noise from (x, t, words)."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """The frozen model to be distilled, its words, and the guidance g = 1 + w to fold in."""

    network: Network
    words: Callable[[torch.Tensor], torch.Tensor]
    empty: torch.Tensor
    """Token ids (1, length) of the empty caption."""
    guidance: float
    schedule: NoiseSchedule

    def solve(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        s: torch.Tensor,
        words: torch.Tensor,
        *,
        steps: int = 1,
    ) -> torch.Tensor:
        """Follow the guided ODE from t to s in DDIM steps of about equal length."""
        stops = [t + (s - t) * step // steps for step in range(steps + 1)]
        for start, stop in pairwise(stops):
            x = self.step(x, start, stop, words)
        return x

    @torch.no_grad()
    def step(
        self, x: torch.Tensor, t: torch.Tensor, s: torch.Tensor, words: torch.Tensor
    ) -> torch.Tensor:
        """Take one guided DDIM step from t to s."""
        nothing = self.words(self.empty).expand(len(words), -1, -1)
        both = self.network(torch.cat([x, x]), torch.cat([t, t]), torch.cat([words, nothing]))
        conditional, unconditional = both.chunk(2)
        noise = guided(conditional, unconditional, self.guidance)
        return self.schedule.ddim_step(x, noise, t, s)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student learns: from whom, on what, and by which distance."""

    teacher: Teacher
    data: LatentSet
    distance: Distance
    own_share: float = 0.0
    """Share of examples that the student makes itself, in [0, 1]; the rest are of the data."""
    jump: int = 1
    """Grid steps between the two points whose estimates are compared."""
    solver_steps: int = 1
    """DDIM steps of the teacher over one jump."""


def distillation_loss(
    draw: Draw, lesson: Lesson, *, online: Network, target: Network, batch: int
) -> torch.Tensor:
    """One draw of the consistency distillation loss."""
    teacher, data = lesson.teacher, lesson.data
    schedule = teacher.schedule
    grid = distillation_grid(GRID_STEPS, len(schedule.alphas_cumprod))
    index = draw.indices(len(data.latents), batch)
    x0 = data.latents[index].float()
    t = grid[draw.indices(len(grid), batch)]
    with torch.no_grad():
        words = teacher.words(data.tokens(draw, index))
    if lesson.own_share:
        x0, t = with_own_samples(draw, lesson, online, (x0, t, words))
    s = (t - lesson.jump * (grid[1] - grid[0])).clamp(min=0)
    x_t = schedule.add_noise(x0, draw.noise_like(x0), t)
    x_s = teacher.solve(x_t, t, s, words, steps=lesson.solver_steps)
    with torch.no_grad():
        wanted = schedule.consistency(x_s, target(x_s, s, words), s)
    found = schedule.consistency(x_t, online(x_t, t, words), t)
    return lesson.distance(schedule, found, wanted, t)


MOST_ROUNDS = 3


@torch.no_grad()
def with_own_samples(
    draw: Draw,
    lesson: Lesson,
    student: Network,
    examples: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put what the student itself makes of the words in the place of some examples (x0, t, words).

    A sampler of several steps hands the student its own estimate, noised anew, and not the data
    that a consistency loss noises; what goes wrong in one step is nothing the next was taught to
    mend. Each own sample has gone through one to three rounds at timesteps that fall at random,
    as every sampler's do, and meets the loss at one below them. (DMD2, arXiv 2405.14867, section
    4.5, calls it backward simulation; AnimateLCM has no such stage.) Returns the new x0 and t.
    """
    x0, t, words = examples
    schedule = lesson.teacher.schedule
    count = len(x0)
    grid = distillation_grid(GRID_STEPS, len(schedule.alphas_cumprod))
    rounds = 1 + draw.step % MOST_ROUNDS
    falling = grid[draw.indices(len(grid) - 1, count * rounds)].view(rounds, count)
    falling = falling.sort(dim=0, descending=True).values
    at = torch.full((count,), int(grid[-1]))
    x = draw.noise_like(x0)
    for after in falling:
        own = schedule.consistency(x, student(x, at, words), at)
        x, at = schedule.add_noise(own, draw.noise_like(own), after), after
    mine = torch.from_numpy(draw.rng.random(count) < lesson.own_share)
    return torch.where(mine.view(-1, *[1] * (x0.dim() - 1)), own, x0), torch.where(mine, at, t)


def image_network(unet: UNet2DConditionModel, config: LoopConfig) -> Network:
    """Wrap an image UNet as a network on latents (n, c, h, w)."""

    def call(x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        with autocast(config):
            predicted: torch.Tensor = unet(x, t, encoder_hidden_states=words).sample
        return predicted.float()

    return call


def video_network(unet: UNetMotionModel, config: LoopConfig) -> Network:
    """Wrap a motion UNet as a network on latents (n, c, t, h, w)."""

    def call(x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        repeated = words.repeat_interleave(x.shape[2], dim=0)
        with autocast(config):
            predicted: torch.Tensor = unet(x, t, encoder_hidden_states=repeated).sample
        return predicted.float()

    return call


def add_lora(unet: Any, name: str, rank: int, targets: tuple[str, ...]) -> None:
    """Give a diffusers UNet a LoRA on its spatial layers only, initially without effect."""
    wanted = [
        key
        for key, module in unet.named_modules()
        if "motion_modules" not in key
        and any(key == end or key.endswith(f".{end}") for end in targets)
        and isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    ]
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=wanted), name)


@dataclass(frozen=True, slots=True)
class FusedLora:
    """A frozen LoRA that is part of the weights of its layers, which can run without it.

    A layer with its LoRA beside it computes two products more, forward and backward; a fused one
    costs what it did without. Neither the LoRA nor its layers can learn then.
    """

    weights: list[torch.nn.Parameter]
    bases: list[torch.Tensor]
    """The weights without the LoRA."""

    @classmethod
    def of(cls, unet: Any, state: dict[str, torch.Tensor]) -> FusedLora:
        """Fuse the LoRA `state`, in peft's naming, into a diffusers UNet; nothing of it learns."""
        unet.load_lora_adapter(state, prefix="unet", adapter_name=LORA)
        layers = [module for module in unet.modules() if isinstance(module, BaseTunerLayer)]
        weights = [layer.get_base_layer().weight for layer in layers]
        bases = [weight.detach().clone() for weight in weights]
        unet.fuse_lora(adapter_names=[LORA])
        unet.unload_lora()
        return cls(weights, bases)

    def at(self, scale: float) -> _Swapped:
        """Return a context in which the network runs with this share of the LoRA."""
        pairs = zip(self.bases, self.weights, strict=True)
        mixed = [base.lerp(weight.detach(), scale) for base, weight in pairs]
        return _Swapped(mixed, self.weights)


def distill_images(
    unet: UNet2DConditionModel,
    teacher: Teacher,
    data: LatentSet,
    config: LoopConfig,
    *,
    average: float,
    work: Path,
    log: Log,
) -> StageResult:
    """Stage 1: teach the LoRA of `unet`; the target is the same network with averaged LoRA."""
    student = Student.of(image_network(unet, config), named(unet=unet), average)

    lesson = Lesson(teacher, data, plain_distance)
    return _distill(
        "lcm_lora", student, lambda _: student.averaged, lesson, config=config, work=work, log=log
    )


def distill_motion(
    unet: UNetMotionModel,
    teacher: Teacher,
    data: LatentSet,
    config: LoopConfig,
    *,
    average: float,
    special_initialisation: FusedLora | None,
    name: str = "animatelcm",
    work: Path,
    log: Log,
) -> StageResult:
    """Stage 2: teach what of `unet` learns: its motion module, under the LoRA of stage 1.

    With the paper's special initialisation, for which the LoRA has to be fused, the target starts
    as the teacher: its motion module, and no LoRA. It takes both up at the pace of its average. The
    weight that a LoRA adds is a product of two factors; averaging each factor would add the square
    of the wanted share, so the target's LoRA is scaled by 1 - mu^k after k updates instead, which
    is what averaging the added weight gives. Without it the target starts as the student, LoRA
    and all.
    """
    student = Student.of(video_network(unet, config), named(motion=unet), average)

    def after(updates: int) -> Network:
        if special_initialisation is None:
            return student.averaged
        return taking_up(special_initialisation, uptake(average, updates), student.averaged)

    lesson = Lesson(teacher, data, signal_distance)
    return _distill(name, student, after, lesson, config=config, work=work, log=log)


def taking_up(lora: FusedLora, share: float, network: Network) -> Network:
    """Return a network that runs with a share of its fused LoRA, in [0, 1]."""

    def call(x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        with lora.at(share):
            return network(x, t, words)

    return call


OWN_SHARE = 0.75
OWN_JUMP = 5
OWN_SOLVER_STEPS = 2


def rehearse_motion(
    unet: UNetMotionModel,
    teacher: Teacher,
    data: LatentSet,
    config: LoopConfig,
    *,
    average: float,
    work: Path,
    log: Log,
) -> StageResult:
    """Go on with the motion module of a distilled `unet`, on its own samples for the most part.

    The target is the student's average from the start. Jumps are five times as long as before: an
    estimate is compared with one at most ten jumps from the data, and fine detail, which every
    comparison of a chain blurs a little, is kept.
    """
    student = Student.of(video_network(unet, config), named(motion=unet), average)

    lesson = Lesson(teacher, data, signal_distance, OWN_SHARE, OWN_JUMP, OWN_SOLVER_STEPS)
    return _distill(
        "rehearsal", student, lambda _: student.averaged, lesson, config=config, work=work, log=log
    )


@dataclass(frozen=True, slots=True)
class Student:
    """The network that learns, its parameters, and their averages that the target runs on."""

    network: Network
    parameters: dict[str, torch.nn.Parameter]
    follower: Follower

    @classmethod
    def of(
        cls, network: Network, parameters: dict[str, torch.nn.Parameter], average: float
    ) -> Student:
        """Return a student whose averages begin at its parameters."""
        return cls(network, parameters, Follower(parameters, average))

    def averaged(self, x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Predict with the averages in the parameters' place."""
        with self.follower.in_place():
            return self.network(x, t, words)


def _distill(
    name: str,
    student: Student,
    target: Callable[[int], Network],
    lesson: Lesson,
    *,
    config: LoopConfig,
    work: Path,
    log: Log,
) -> StageResult:
    """Teach a student; `target` gives the target network after a number of updates."""

    def loss(draw: Draw) -> torch.Tensor:
        return distillation_loss(
            draw, lesson, online=student.network, target=target(draw.step), batch=config.batch
        )

    result = train(
        name,
        config,
        student.parameters,
        loss,
        work=work,
        log=log,
        extra=student.follower,
        after=student.follower.follow,
    )
    adopt(student.parameters, result)
    return result


def uptake(average: float, updates: int) -> float:
    """Share of a constant weight that an average started at 0 has taken up: 1 - mu^k.

    >>> uptake(0.95, 0), round(uptake(0.95, 58), 2)
    (0.0, 0.95)
    """
    return float(1.0 - average**updates)


class Follower(torch.nn.Module):
    """Averaged copies of parameters that can take the parameters' place for a while."""

    def __init__(self, parameters: dict[str, torch.nn.Parameter], average: float) -> None:
        super().__init__()
        self._parameters_followed = list(parameters.values())
        self._average = average
        for number, parameter in enumerate(self._parameters_followed):
            self.register_buffer(f"copy_{number}", parameter.detach().clone())

    @torch.no_grad()
    def follow(self, _step: int) -> None:
        """target <- mu target + (1 - mu) online."""
        for copy, parameter in zip(self.buffers(), self._parameters_followed, strict=True):
            copy.lerp_(parameter.detach(), 1 - self._average)

    def in_place(self) -> _Swapped:
        """Return a context in which the network runs on the averaged weights."""
        return _Swapped(list(self.buffers()), self._parameters_followed)


class _Swapped:
    def __init__(self, copies: list[torch.Tensor], parameters: list[torch.nn.Parameter]) -> None:
        self._copies, self._parameters = copies, parameters

    def __enter__(self) -> None:
        self._kept = [parameter.data for parameter in self._parameters]
        for parameter, copy in zip(self._parameters, self._copies, strict=True):
            parameter.data = copy

    def __exit__(self, *_: object) -> None:
        for parameter, kept in zip(self._parameters, self._kept, strict=True):
            parameter.data = kept
