"""Deterministic solvers of the probability-flow equation, from noise to data."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Denoise = Callable[[Tensor, Tensor], Tensor]
"""Maps noisy rows `(b, k)` and one noise level `()` to clean ones `(b, k)`."""


def noise_levels(n_steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Falling noise levels and a final zero, `(n_steps + 1,)` (Karras et al. 2022, equation 5)."""
    ramp = torch.linspace(0, 1, n_steps, dtype=torch.float64)
    low, high = sigma_min ** (1 / rho), sigma_max ** (1 / rho)
    levels = (high + ramp * (low - high)) ** rho
    return torch.cat([levels, levels.new_zeros(1)])


def even_levels(n_steps: int, sigma_min: float, sigma_max: float) -> Tensor:
    """As `noise_levels`, even in the time t = σ / (1 + σ) of rectified flow."""
    low, high = sigma_min / (1 + sigma_min), sigma_max / (1 + sigma_max)
    t = torch.linspace(high, low, n_steps, dtype=torch.float64)
    return torch.cat([t / (1 - t), t.new_zeros(1)])


def heun(denoise: Denoise, x: Tensor, levels: Tensor) -> Tensor:
    """Heun's method of second order (Karras et al. 2022, algorithm 1).

    Parameters
    ----------
    denoise
        The denoiser.
    x
        Rows at noise level `levels[0]`, `(b, k)`.
    levels
        Falling noise levels that end in zero, `(n_steps + 1,)`; 2 n_steps - 1 evaluations.
    """
    steps = levels.to(x.dtype)
    for sigma, following in pairwise(steps):
        slope = (x - denoise(x, sigma)) / sigma
        euler = x + (following - sigma) * slope
        if following > 0:
            slope = (slope + (euler - denoise(euler, following)) / following) / 2
            x = x + (following - sigma) * slope
        else:
            x = euler
    return x


def dpm_solver(denoise: Denoise, x: Tensor, levels: Tensor) -> Tensor:
    """DPM-Solver++ (2M) of Lu et al. 2022 (arXiv:2211.01095): one evaluation a step.

    Arguments as for `heun`.
    """
    steps = levels.to(x.dtype)
    before: Tensor | None = None
    for i in range(len(steps) - 1):
        sigma, following = steps[i], steps[i + 1]
        clean = denoise(x, sigma)
        if following == 0:
            return clean
        direction = clean
        if before is not None:
            ratio = torch.log(steps[i - 1] / sigma) / torch.log(sigma / following)
            direction = clean + (clean - before) / (2 * ratio)
        x = following / sigma * x + (1 - following / sigma) * direction
        before = clean
    return x


SOLVERS = {"dpm-solver++": dpm_solver, "heun": heun}
