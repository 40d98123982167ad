"""The denoiser: a residual MLP with adaptive normalisation inside EDM's preconditioning."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bloomdiff.diffusion.config import Objective, Prediction


class Block(nn.Module):
    """Residual MLP block whose normalised input is scaled and shifted by the condition."""

    def __init__(self, width: int, n_condition: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(n_condition, 2 * width)
        self.expand = nn.Linear(width, width)
        self.contract = nn.Linear(width, width)
        # A block that starts as the identity lets depth come in gradually (Goyal et al. 2017).
        nn.init.zeros_(self.contract.weight)
        nn.init.zeros_(self.contract.bias)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        """Map `h` `(b, width)` under `condition` `(b, n_condition)`."""
        scale, shift = self.modulation(condition).chunk(2, dim=-1)
        u = torch.addcmul(shift, self.norm(h), 1 + scale)
        return h + self.contract(functional.silu(self.expand(u)))


class Denoiser(nn.Module):
    """Denoiser D(x; σ, c) of Karras et al. 2022 (arXiv:2206.00364, equation 7).

    With unit variance of the data, D = x / (σ² + 1) + σ / √(σ² + 1) · F, and the last layer of F
    starts at zero: the untrained denoiser is the exact one of the standard normal distribution.

    Parameters
    ----------
    dim
        Dimension k of the data.
    places
        What the network is told of each class, `(c, r)`: where it lies among the others. Classes
        that lie close are denoised alike, so that a rare class profits from its neighbours. Index
        c stands for "no class".
    width, depth
        Units and number of the residual blocks.
    n_condition
        Units of the conditioning vector.
    prediction
        What the last layer gives: F, or what is to be added to the normal distribution's estimate
        of the clean "data" or of the "noise".
    """

    def __init__(
        self,
        dim: int,
        places: Tensor,
        *,
        width: int,
        depth: int,
        n_condition: int = 64,
        prediction: Prediction = "preconditioned",
    ) -> None:
        super().__init__()
        self.prediction = prediction
        self.enter = nn.Linear(dim, width)
        self.frequency: Tensor
        self.register_buffer("frequency", 2.0 ** torch.linspace(-1, 4, n_condition // 2))
        self.noise = nn.Linear(n_condition, n_condition)
        self.places: Tensor
        self.register_buffer("places", torch.cat([places, torch.zeros_like(places[:1])]))
        self.place = nn.Linear(places.shape[1], n_condition, bias=False)
        nn.init.zeros_(self.place.weight)
        self.blocks = nn.ModuleList(Block(width, n_condition) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, dim)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def residual(self, x: Tensor, sigma: Tensor, label: Tensor) -> Tensor:
        """The network F at scaled input `x` `(b, k)`, `sigma` `(b,)`, class indices `(b,)`."""
        angle = torch.log(sigma)[:, None] / 4 * self.frequency
        noise = self.noise(torch.cat([angle.cos(), angle.sin()], dim=-1))
        condition = functional.silu(noise + self.place(self.places[label]))
        h = self.enter(x)
        for block in self.blocks:
            h = block(h, condition)
        out = self.leave(functional.silu(self.norm(h)))
        if self.prediction == "preconditioned":
            return out
        root = (sigma**2 + 1).sqrt()[:, None]
        return out * root / sigma[:, None] if self.prediction == "data" else -out * root

    def forward(self, x: Tensor, sigma: Tensor, label: Tensor) -> Tensor:
        """Estimate of the clean rows from noisy `x` `(b, k)` at noise `sigma` `(b,)`."""
        variance = (sigma**2 + 1)[:, None]
        F = self.residual(x / variance.sqrt(), sigma, label)
        return x / variance + sigma[:, None] / variance.sqrt() * F


def target(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """What F should return for x = clean + σ noise, with unit variance over the data."""
    sigma = sigma[:, None]
    return (sigma * clean - noise) / (sigma**2 + 1).sqrt()


def loss_weight(sigma: Tensor, objective: Objective) -> Tensor:
    """Weight of the squared error of F, `(b,)`.

    The error of rectified flow's velocity, (x̂ - x) / t with t = σ / (1 + σ), is that of F times
    (1 + σ) / √(1 + σ²).
    """
    if objective == "edm":
        return torch.ones_like(sigma)
    return (1 + sigma) ** 2 / (1 + sigma**2)
