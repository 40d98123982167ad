"""The denoiser: a U-Net on space-to-depth pixels, preconditioned, told of a vector.

References
----------
Karras et al. (2022), Elucidating the design space of diffusion-based generative models,
arXiv:2206.00364, table 1 (preconditioning); Ho and Salimans (2022), arXiv:2207.12598 (guidance).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from bloomdiff.imaging.config import ImageDiffusionConfig
from bloomdiff.imaging.diffusers_import import import_diffusers

LAYOUT_SIDE, LAYOUT_CHANNELS = 8, 8
"""A coarse drawing that is made of the vector and laid beside the pixels: convolutions do not
know where they are, and would take long to learn that cells lie in the middle."""


class ImageDenoiser(nn.Module):
    """Predicts clean images from noisy ones.

    Parameters
    ----------
    config
        Its shape.
    dim
        Dimension d of the vectors.
    sigma_data
        Standard deviation of the pixels about their mean image.
    """

    def __init__(self, config: ImageDiffusionConfig, dim: int, sigma_data: float) -> None:
        super().__init__()
        widths, n = config.widths, len(config.widths)
        channels = 3 * config.patch**2
        code = 4 * widths[0]
        self.sigma_data, self.patch = sigma_data, config.patch
        self.unet: Any = import_diffusers().UNet2DModel(
            sample_size=config.image_size // config.patch,
            in_channels=channels + LAYOUT_CHANNELS,
            out_channels=channels,
            block_out_channels=widths,
            layers_per_block=config.layers,
            down_block_types=["DownBlock2D"] * (n - 1) + ["AttnDownBlock2D"],
            up_block_types=["AttnUpBlock2D"] + ["UpBlock2D"] * (n - 1),
            attention_head_dim=16,
            # Eight channels or more a group: one alone would lose its level, hence the colour.
            norm_num_groups=math.gcd(*widths) // 8,
            # The vector's code is added to that of the noise level, and both scale and shift the
            # features of every block.
            class_embed_type="identity",
            resnet_time_scale_shift="scale_shift",
        )
        nn.init.zeros_(self.unet.conv_out.weight)
        nn.init.zeros_(self.unet.conv_out.bias)
        self.layout = nn.Linear(code, LAYOUT_CHANNELS * LAYOUT_SIDE**2)
        self.code = nn.Sequential(nn.Linear(dim, code), nn.SiLU(), nn.Linear(code, code))
        self.no_vector = nn.Parameter(torch.zeros(code))

    def residual(self, x: Tensor, sigma: Tensor, vector: Tensor, known: Tensor) -> Tensor:
        """What the network adds: F of equation 7, `(b, 3, s, s)`.

        Parameters
        ----------
        x
            Noisy pixels `(b, 3, s, s)`.
        sigma
            Noise levels `(b,)`.
        vector
            Standardised vectors `(b, d)`.
        known
            Whether each vector may be looked at, `(b,)`.
        """
        c_in = (sigma**2 + self.sigma_data**2).rsqrt()[:, None, None, None]
        code = torch.where(known[:, None], self.code(vector), self.no_vector)
        places = nn.functional.pixel_unshuffle(c_in * x, self.patch)
        # The U-Net's sinusoids are made for hundreds of steps, not for log σ itself.
        drawn = self.layout(code).unflatten(1, (LAYOUT_CHANNELS, LAYOUT_SIDE, LAYOUT_SIDE))
        drawn = nn.functional.interpolate(drawn, places.shape[2:], mode="bilinear")
        F = self.unet(
            torch.cat([places, drawn], dim=1), 100 * sigma.log(), class_labels=code
        ).sample
        return nn.functional.pixel_shuffle(F, self.patch)

    def target(self, clean: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """What `residual` should be for noisy pixels `x` of `clean` ones: variance one."""
        c_skip, c_out = self._scales(sigma)
        return (clean - c_skip * x) / c_out

    def forward(self, x: Tensor, sigma: Tensor, vector: Tensor, known: Tensor) -> Tensor:
        """Clean pixels `(b, 3, s, s)`; arguments as for `residual`."""
        c_skip, c_out = self._scales(sigma)
        return c_skip * x + c_out * self.residual(x, sigma, vector, known)

    def _scales(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        s = sigma[:, None, None, None]
        total = s**2 + self.sigma_data**2
        return self.sigma_data**2 / total, s * self.sigma_data * total.rsqrt()
