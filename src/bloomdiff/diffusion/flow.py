"""The trained denoiser at work: noise to whitened residuals, and residuals to likelihoods."""

from __future__ import annotations

import numpy as np
import torch

from bloomdiff.diffusion.config import DiffusionConfig, Divergence
from bloomdiff.diffusion.guidance import Feedback, guided
from bloomdiff.diffusion.likelihood import GainKind, denoising_gain, flow_gain
from bloomdiff.diffusion.network import Denoiser
from bloomdiff.diffusion.samplers import SOLVERS, even_levels, noise_levels
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
        Noise range, solver and guidance.
    guide
        The weaker denoiser of autoguidance; None for `network` without class.
    """

    def __init__(
        self, network: Denoiser, config: DiffusionConfig, guide: Denoiser | None = None
    ) -> None:
        self.network, self.config, self.guide = network, config, guide
        self.device = network.places.device
        self.sigma_max = config.sigma_max or 2 * np.sqrt(network.leave.out_features)

    def draw(
        self, noise: Floats, index: int, view: tuple[Doubles, Doubles] | None = None
    ) -> Floats:
        """Residuals of class `index` from standard normal noise, both float32 `(b, k)`.

        `view` is what `Feedback` holds, where there is to be any.
        """
        config = self.config
        spaced = noise_levels if config.objective == "edm" else even_levels
        levels = spaced(config.sampling_steps, config.sigma_min, float(self.sigma_max))
        # The noisy data, not the noise alone: unit variance plus that of the noise.
        x = torch.from_numpy(noise.copy()).to(self.device) * np.sqrt(1 + self.sigma_max**2)
        feedback = None if view is None else Feedback(*(torch.as_tensor(v).to(x) for v in view))
        denoise = guided(self.network, self.guide, index, len(noise), config, feedback)
        with torch.inference_mode():
            clean = SOLVERS[config.sampler](denoise, x, levels.to(self.device))
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
