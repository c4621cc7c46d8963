"""The equations that all diffusion stages share, from noising to the consistency function."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0
"""Constants of the boundary condition, as in diffusers' LCMScheduler."""


class Prediction(StrEnum):
    """What a network predicts; the words are those of diffusers' scheduler configurations."""

    EPSILON = "epsilon"
    """The noise, as in Stable Diffusion 1.5."""
    V = "v_prediction"
    """sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0 (Salimans and Ho 2022, eq. 12 and after)."""


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """Cumulative alphas (T,) of a variance-preserving schedule, and what its networks predict.

    Predicting noise says next to nothing of x0 where there is almost only noise, and that is where
    the place and the path of an object are decided: with it, words for directions were not learnt.
    The loss of v is the error of x0 and noise together at every timestep.
    """

    alphas_cumprod: torch.Tensor
    prediction: Prediction = Prediction.EPSILON

    @classmethod
    def of(cls, scheduler: Any) -> NoiseSchedule:
        """Return the schedule that a diffusers scheduler describes."""
        alphas, config = scheduler.alphas_cumprod, scheduler.config
        return cls(alphas, Prediction(config.prediction_type))

    def scales(self, t: torch.Tensor, dims: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sqrt(alpha_bar) and sqrt(1 - alpha_bar) at timesteps (n,), shaped to broadcast."""
        alpha = self.alphas_cumprod[t].view(-1, *[1] * (dims - 1))
        return alpha.sqrt(), (1 - alpha).sqrt()

    def add_noise(self, x0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise (Ho et al. 2020, eq. 4)."""
        signal, sigma = self.scales(t, x0.dim())
        return signal * x0 + sigma * noise

    def wanted(self, x0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Return what a network must predict of `add_noise(x0, noise, t)`."""
        if self.prediction is Prediction.EPSILON:
            return noise
        signal, sigma = self.scales(t, x0.dim())
        return signal * noise - sigma * x0

    def loss(
        self, predicted: torch.Tensor, x0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        """Mean squared error of a prediction."""
        return ((predicted - self.wanted(x0, noise, t)) ** 2).mean()

    def split(
        self, x: torch.Tensor, predicted: torch.Tensor, t: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the x0 and the noise that a prediction means at x_t."""
        signal, sigma = self.scales(t, x.dim())
        if self.prediction is Prediction.EPSILON:
            return (x - sigma * predicted) / signal, predicted
        return signal * x - sigma * predicted, sigma * x + signal * predicted

    def ddim_step(
        self, x: torch.Tensor, predicted: torch.Tensor, t: torch.Tensor, s: torch.Tensor
    ) -> torch.Tensor:
        """Go from t to s < t along the probability-flow ODE (Song et al. 2021, eq. 12, eta 0)."""
        return self.add_noise(*self.split(x, predicted, t), s)

    def consistency(
        self, x: torch.Tensor, predicted: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        """f(x, t) = c_skip x + c_out x0, so that f(x, 0) = x (Luo et al. 2023, eq. 9)."""
        scaled = TIMESTEP_SCALING * t.to(x.dtype).view(-1, *[1] * (x.dim() - 1))
        c_skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        c_out = scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5
        return c_skip * x + c_out * self.split(x, predicted, t)[0]


def guided(conditional: torch.Tensor, unconditional: torch.Tensor, g: float) -> torch.Tensor:
    """Classifier-free guidance at scale g = 1 + w (Ho and Salimans 2022)."""
    return unconditional + g * (conditional - unconditional)


SIGNAL_SCALE = (0.5, 2.0)

HUBER = 0.05
"""Of latents with variance 1. The paper's 0.001 makes an absolute error of it, which pulls as hard
at the small errors of low noise as at large ones: few steps at a high rate then never settle."""


def pseudo_huber(a: torch.Tensor, b: torch.Tensor, h: float = HUBER) -> torch.Tensor:
    """Mean of sqrt((a - b)^2 + h^2) - h: the distance of the consistency losses."""
    return (((a - b) ** 2 + h**2).sqrt() - h).mean()


def plain_distance(_schedule: NoiseSchedule, found: Tensor, wanted: Tensor, _t: Tensor) -> Tensor:
    """Distance of two estimates of x0 that weighs all timesteps alike."""
    return pseudo_huber(found, wanted)


def signal_distance(schedule: NoiseSchedule, found: Tensor, wanted: Tensor, t: Tensor) -> Tensor:
    """Distance of two estimates of x0, both scaled by sqrt(SNR) at t, kept between 1/2 and 2.

    Where there is little noise errors are small, and hardly count beside those where there is much.
    The frames of a clip then drift apart in the last of several steps. The paper leaves the weight
    lambda(t) open; AnimateLCM's code holds a scaling by sqrt(SNR) that nothing calls.
    """
    signal, sigma = schedule.scales(t, found.dim())
    scale = (signal / sigma).clamp(*SIGNAL_SCALE)
    return pseudo_huber(scale * found, scale * wanted)


def distillation_grid(steps: int, train_steps: int) -> torch.Tensor:
    """The `steps` timesteps of the ODE solver, ascending.

    >>> distillation_grid(50, 1000)[[0, 1, -1]].tolist()
    [19, 39, 999]
    """
    stride = train_steps // steps
    return torch.arange(1, steps + 1) * stride - 1
