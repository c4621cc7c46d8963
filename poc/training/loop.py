"""One training loop for every stage: seeded per step, checkpointed, resumable, averaged.

Every random choice of a step comes from (seed, step), so a run that was stopped and resumed takes
the same steps as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

Log = Callable[[str], None]
LOG_EVERY = 50


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How long and how fast a stage learns."""

    steps: int
    batch: int
    learning_rate: float
    seed: int
    warmup: int = 100
    final_rate: float = 0.05
    """Share of the learning rate left at the end of the cosine."""
    weight_decay: float = 0.0
    gradient_norm: float = 1.0
    average: float = 0.999
    """Decay of the averaged weights; 0 keeps the last ones."""
    checkpoint_every: int = 250
    bfloat16: bool = False
    """Compute in bfloat16; on a CPU this helps large convolutions and slows small ones down."""


@dataclass(frozen=True, slots=True)
class Draw:
    """The randomness of one step, derived from (seed, step) and nothing else."""

    step: int
    rng: np.random.Generator
    torch_rng: torch.Generator

    @classmethod
    def of(cls, seed: int, step: int) -> Draw:
        """Return the draw of a step."""
        torch_rng = torch.Generator().manual_seed((seed << 32) + step)
        return cls(step, np.random.default_rng([seed, step]), torch_rng)

    def indices(self, count: int, size: int) -> torch.Tensor:
        """Draw `size` indices below `count`, with repetition."""
        return torch.randint(count, (size,), generator=self.torch_rng)

    def noise_like(self, tensor: torch.Tensor) -> torch.Tensor:
        """Draw standard normal noise of a tensor's shape."""
        return torch.randn(tensor.shape, generator=self.torch_rng)


Loss = Callable[[Draw], torch.Tensor]
After = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage leaves behind: averaged trainable weights, and its history."""

    config: LoopConfig
    weights: dict[str, torch.Tensor]
    steps: int
    losses: tuple[tuple[int, float], ...]
    duration_s: float


def train(
    name: str,
    config: LoopConfig,
    parameters: Mapping[str, torch.nn.Parameter],
    loss: Loss,
    *,
    work: Path,
    log: Log,
    extra: torch.nn.Module | None = None,
    after: After | None = None,
) -> StageResult:
    """Minimise `loss` over `parameters`; goes on from `work/NAME.pt` when it is there.

    `extra` is state that changes beside the parameters (a target network); `after(step)` runs
    after each update. Raises FloatingPointError when the loss is not finite.
    """
    state = _State.start(config, parameters, extra)
    path = work / f"{name}.pt"
    if path.exists():
        state.load(path)
        log(f"{name}: goes on at step {state.step} of {config.steps}")
    start = time.monotonic() - state.duration_s
    while state.step < config.steps:
        value = _step(state, config, loss(Draw.of(config.seed, state.step)), name)
        if after is not None:
            after(state.step)
        state.note(value)
        state.duration_s = time.monotonic() - start
        if state.step % config.checkpoint_every == 0 or state.step == config.steps:
            state.save(path)
        if state.step % LOG_EVERY == 0 or state.step == config.steps:
            pace = state.duration_s / state.step
            left_s = pace * (config.steps - state.step)
            log(
                f"{name}: step {state.step} of {config.steps}, loss {state.smooth:.5f}, "
                f"{pace:.2f} s a step, {left_s / 60:.0f} min left"
            )
    return StageResult(
        config, dict(state.average), state.step, tuple(state.losses), state.duration_s
    )


class _State:
    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], decay: float) -> None:
        self.parameters, self.decay = dict(parameters), decay
        self.average = {k: p.detach().clone() for k, p in parameters.items()}
        self.step, self.smooth, self.duration_s = 0, float("nan"), 0.0
        self.losses: list[tuple[int, float]] = []

    @classmethod
    def start(
        cls,
        config: LoopConfig,
        parameters: Mapping[str, torch.nn.Parameter],
        extra: torch.nn.Module | None,
    ) -> _State:
        state = cls(parameters, config.average)
        state.extra = extra
        state.optimizer = torch.optim.AdamW(
            list(parameters.values()),
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
        )
        return state

    extra: torch.nn.Module | None
    optimizer: torch.optim.Optimizer

    @torch.no_grad()
    def advance_average(self) -> None:
        decay = min(self.decay, (1 + self.step) / (10 + self.step)) if self.decay else 0.0
        for key, parameter in self.parameters.items():
            self.average[key].lerp_(parameter.detach(), 1 - decay)

    def note(self, value: float) -> None:
        self.smooth = value if math.isnan(self.smooth) else 0.98 * self.smooth + 0.02 * value
        if self.step % LOG_EVERY == 0:
            self.losses.append((self.step, self.smooth))

    def save(self, path: Path) -> None:
        content = {
            "parameters": {k: p.detach() for k, p in self.parameters.items()},
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
            "extra": None if self.extra is None else self.extra.state_dict(),
            "step": self.step,
            "history": json.dumps([self.smooth, self.duration_s, self.losses]),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".tmp")
        torch.save(content, beside)
        beside.replace(path)

    def load(self, path: Path) -> None:
        content: dict[str, Any] = torch.load(path, weights_only=True)
        with torch.no_grad():
            for key, parameter in self.parameters.items():
                parameter.copy_(content["parameters"][key])
        self.average = content["average"]
        self.optimizer.load_state_dict(content["optimizer"])
        if self.extra is not None:
            self.extra.load_state_dict(content["extra"])
        self.step = content["step"]
        self.smooth, self.duration_s, losses = json.loads(content["history"])
        self.losses = [(step, value) for step, value in losses]


def _step(state: _State, config: LoopConfig, loss: torch.Tensor, name: str) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(
            f"{name}: loss is {value} at step {state.step}; lower the learning rate and start "
            "again from the last checkpoint"
        )
    for group in state.optimizer.param_groups:
        group["lr"] = config.learning_rate * _rate(config, state.step)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(state.parameters.values()), config.gradient_norm)
    state.optimizer.step()
    state.step += 1
    state.advance_average()
    return value


def _rate(config: LoopConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to `final_rate`; in (0, 1].

    >>> config = LoopConfig(steps=1000, batch=1, learning_rate=1.0, seed=0, warmup=100)
    >>> round(_rate(config, 0), 2), round(_rate(config, 999), 2)
    (0.01, 0.05)
    """
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return warm * (config.final_rate + (1 - config.final_rate) * cosine)


def autocast(config: LoopConfig, device: str = "cpu") -> torch.autocast:
    """Return the context in which a stage computes on a kind of device, float32 or bfloat16."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=config.bfloat16)
