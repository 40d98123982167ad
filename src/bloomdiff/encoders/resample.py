"""Fit a vision transformer's position embedding to another input size."""

from __future__ import annotations

import math

import torch
from torch import nn


def resample_positions(
    positions: torch.Tensor, grid: int, prefix: int = 1, *, antialias: bool = False
) -> torch.Tensor:
    """Resample `(1, prefix + g*g, d)` to `(1, prefix + grid*grid, d)`, bicubic.

    Positions that are no square of patches after the prefix are returned as they are.

    Parameters
    ----------
    positions
        The position embedding.
    grid
        Patches a side of the input.
    prefix
        Tokens before the patches that have a position.
    antialias
        Whether to smooth before shrinking. DINOv2 (M. Oquab et al., 2023, arXiv:2304.07193) does
        so for networks with register tokens alone; timm does for all, which differs in the fourth
        decimal. DINOv2's own code besides adds 0.1 to the grid of those without registers, against
        rounding; as in the library transformers, that is not done here.
    """
    head, patches = positions[:, :prefix], positions[:, prefix:]
    side = math.isqrt(patches.shape[1])
    if side == grid or len(positions) != 1 or side == 0 or side**2 != patches.shape[1]:
        return positions
    patches = patches.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    patches = nn.functional.interpolate(
        patches, size=(grid, grid), mode="bicubic", antialias=antialias
    )
    patches = patches.permute(0, 2, 3, 1).reshape(1, grid * grid, -1).to(positions.dtype)
    return torch.cat([head, patches], dim=1)
