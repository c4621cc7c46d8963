"""The equations that all diffusion stages share: noising, x0, DDIM, guidance, consistency."""

from __future__ import annotations

from dataclasses import dataclass

import torch

MOST_WEIGHT = 20.0
"""Largest weight of a timestep in the noise loss, before weights are scaled to a mean of 1."""
SIGMA_DATA = 0.5
TIMESTEP_SCALING = 10.0
"""Constants of the boundary condition, as in diffusers' LCMScheduler."""


@dataclass(frozen=True, slots=True)
class NoiseSchedule:
    """Cumulative alphas (T,) of a variance-preserving schedule."""

    alphas_cumprod: torch.Tensor

    def scales(self, t: torch.Tensor, dims: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sqrt(alpha_bar) and sqrt(1 - alpha_bar) at timesteps (n,), shaped to broadcast."""
        alpha = self.alphas_cumprod[t].view(-1, *[1] * (dims - 1))
        return alpha.sqrt(), (1 - alpha).sqrt()

    def add_noise(self, x0: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise (Ho et al. 2020, eq. 4)."""
        signal, sigma = self.scales(t, x0.dim())
        return signal * x0 + sigma * noise

    def noise_loss(
        self, predicted: torch.Tensor, noise: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        """Mean squared error of predicted noise, weighted by 1 / alpha_bar_t up to `MOST_WEIGHT`.

        That is the error of x0 and noise together (Salimans and Ho 2022, eq. 12, "SNR + 1" in
        terms of x0). Unweighted, an error in where something lies counts next to nothing at the
        high noise where it is decided: with it, words for directions were not learned at all.
        """
        weights = (1 / self.alphas_cumprod).clamp(max=MOST_WEIGHT)
        weights = (weights / weights.mean())[t]
        return (weights * ((predicted - noise) ** 2).flatten(1).mean(1)).mean()

    def predict_x0(self, x: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Invert `add_noise` for x0."""
        signal, sigma = self.scales(t, x.dim())
        return (x - sigma * noise) / signal

    def ddim_step(
        self, x: torch.Tensor, noise: torch.Tensor, t: torch.Tensor, s: torch.Tensor
    ) -> torch.Tensor:
        """Go from t to s < t along the probability-flow ODE (Song et al. 2021, eq. 12, eta 0)."""
        return self.add_noise(self.predict_x0(x, noise, t), noise, s)

    def consistency(self, x: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """f(x, t) = c_skip x + c_out x0, so that f(x, 0) = x (Luo et al. 2023, eq. 9)."""
        scaled = TIMESTEP_SCALING * t.to(x.dtype).view(-1, *[1] * (x.dim() - 1))
        c_skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        c_out = scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5
        return c_skip * x + c_out * self.predict_x0(x, noise, t)


def guided(conditional: torch.Tensor, unconditional: torch.Tensor, g: float) -> torch.Tensor:
    """Classifier-free guidance at scale g = 1 + w (Ho and Salimans 2022)."""
    return unconditional + g * (conditional - unconditional)


def pseudo_huber(a: torch.Tensor, b: torch.Tensor, h: float = 0.001) -> torch.Tensor:
    """Mean of sqrt((a - b)^2 + h^2) - h: the distance of the consistency losses."""
    return (((a - b) ** 2 + h**2).sqrt() - h).mean()


def distillation_grid(steps: int, train_steps: int) -> torch.Tensor:
    """The `steps` timesteps of the ODE solver, ascending.

    >>> distillation_grid(50, 1000)[[0, 1, -1]].tolist()
    [19, 39, 999]
    """
    stride = train_steps // steps
    return torch.arange(1, steps + 1) * stride - 1
