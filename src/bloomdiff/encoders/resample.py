"""Fit a vision transformer's position embedding to another input size."""

from __future__ import annotations

import math

import torch
from torch import nn


def resample_positions(positions: torch.Tensor, grid: int, prefix: int = 1) -> torch.Tensor:
    """Resample `(1, prefix + g*g, d)` to `(1, prefix + grid*grid, d)`, bicubic.

    Without antialiasing, as DINOv2 itself does (timm's own resampling smooths first and differs
    in the fourth decimal): M. Oquab et al., "DINOv2", 2023, arXiv:2304.07193.
    """
    head, patches = positions[:, :prefix], positions[:, prefix:]
    side = math.isqrt(patches.shape[1])
    if side == grid:
        return positions
    patches = patches.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    patches = nn.functional.interpolate(patches, size=(grid, grid), mode="bicubic", antialias=False)
    patches = patches.permute(0, 2, 3, 1).reshape(1, grid * grid, -1).to(positions.dtype)
    return torch.cat([head, patches], dim=1)
