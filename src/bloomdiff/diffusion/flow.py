"""The trained denoiser at work: noise to whitened residuals, and residuals to likelihoods."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.likelihood import Divergence, GainKind, denoising_gain, flow_gain
from bloomdiff.diffusion.network import Denoiser
from bloomdiff.diffusion.samplers import Denoise, dpm_solver, noise_levels
from bloomdiff.diffusion.whitening import Doubles, Floats

CHUNK = 4096
"""Rows whose likelihood is taken together."""


class ResidualFlow:
    """The probability flow of one denoiser.

    Parameters
    ----------
    network
        The denoiser of k dimensions and c classes.
    config
        Noise range, steps and guidance.
    """

    def __init__(self, network: Denoiser, config: DiffusionConfig) -> None:
        self.network, self.config = network, config
        self.n_classes = len(network.places) - 1
        self.device = network.places.device
        self.sigma_max = config.sigma_max or 2 * np.sqrt(network.leave.out_features)

    def draw(self, noise: Floats, index: int) -> Floats:
        """Residuals of class `index` from standard normal noise, both float32 `(b, k)`."""
        config = self.config
        levels = noise_levels(config.sampling_steps, config.sigma_min, self.sigma_max)
        # The noisy data, not the noise alone: unit variance plus that of the noise.
        x = torch.from_numpy(noise.copy()).to(self.device) * np.sqrt(1 + self.sigma_max**2)
        with torch.inference_mode():
            clean = dpm_solver(self._denoiser(index, len(noise)), x, levels.to(self.device))
        return clean.cpu().numpy()

    def gain(
        self, Z: Doubles, index: int, by: GainKind, divergence: Divergence = "auto"
    ) -> Doubles:
        """Log density of residuals `(n, k)` of class `index`, less the standard normal's, `(n,)`.

        By the unguided flow, or by the denoising bound.
        """
        ends, out = (self.config.sigma_min, float(self.sigma_max)), [np.zeros(0)]
        for start in range(0, len(Z), CHUNK):
            z = torch.as_tensor(Z[start : start + CHUNK], dtype=torch.float32).to(self.device)
            label = torch.full((len(z),), index, device=self.device)
            if by == "flow":
                nats = flow_gain(self.network, z, label, *ends, divergence=divergence)
            else:
                nats = denoising_gain(self.network, z, label, *ends)
            out.append(nats.double().cpu().numpy())
        return np.concatenate(out)

    def _denoiser(self, index: int, n: int) -> Denoise:
        """The denoiser of one class with classifier-free guidance (Ho and Salimans 2022)."""
        w, network = self.config.guidance, self.network
        own = torch.full((n,), index, device=self.device)
        none = torch.full((n,), self.n_classes, device=self.device)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            sigmas = sigma.expand(len(x))
            clean = network(x, sigmas, own)
            if w == 1:
                return clean
            shared = network(x, sigmas, none)
            return torch.lerp(shared, clean, w)

        return denoise
