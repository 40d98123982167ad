"""What bends the denoiser while samples are drawn: guidance, and feedback from a classifier."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.network import Denoiser
from bloomdiff.diffusion.samplers import Denoise

ROUNDING = 1e-6
"""Of noise levels, relative: one that is an end of the interval can lie beyond it in float32."""


@dataclass(frozen=True)
class Feedback:
    """A linear classifier as it sees residuals: logits = `offset` + z `slope`.

    Attributes
    ----------
    slope
        `(k, c)`.
    offset
        Logits of the rows at residual zero, `(b, c)`.
    """

    slope: Tensor
    offset: Tensor

    def gradient(self, z: Tensor) -> Tensor:
        """Gradient `(b, k)` of the entropy of the class probabilities by the residuals."""
        log_p = torch.log_softmax(self.offset + z @ self.slope, dim=1)
        p = log_p.exp()
        entropy = -(p * log_p).sum(dim=1, keepdim=True)
        return (-p * (log_p + entropy)) @ self.slope.T


def guided(
    network: Denoiser,
    guide: Denoiser | None,
    index: int,
    n: int,
    config: DiffusionConfig,
    feedback: Feedback | None = None,
) -> Denoise:
    """The denoiser of class `index` for `n` rows, guided as `config` says.

    Parameters
    ----------
    network, guide
        The denoiser and the weaker one; None for `network` without class.
    index, n
        The class, and how many rows it is asked about.
    config
        Guidance scale, its interval, and strength of the feedback.
    feedback
        The classifier that steers; None for no steering.
    """
    w, device = config.guidance, network.places.device
    low, high = config.guidance_interval or (0.0, torch.inf)
    low, high = low * (1 - ROUNDING), high * (1 + ROUNDING)
    own = torch.full((n,), index, device=device)
    none = torch.full((n,), len(network.places) - 1, device=device)

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        sigmas = sigma.expand(len(x))
        clean = network(x, sigmas, own)
        if w != 1 and low <= float(sigma) <= high:
            weak = network(x, sigmas, none) if guide is None else guide(x, sigmas, own)
            clean = torch.lerp(weak, clean, w)
        if feedback is not None:
            # The step is measured by what the noise leaves open: the variance of the clean rows.
            open_variance = sigma**2 / (1 + sigma**2)
            clean = clean + config.feedback * open_variance * feedback.gradient(clean)
        return clean

    return denoise
