"""Normal noise whose rows balance one another."""

from __future__ import annotations

import numpy as np

from bloomdiff.diffusion.whitening import Floats

GROUP = 8
"""Rows whose noise sums to zero."""


def balanced_noise(n: int, dim: int, rng: np.random.Generator) -> Floats:
    """Standard normal rows, float32 `(n, dim)`, of which every eight in turn sum to zero.

    Each row is exactly standard normal, while the mean of a few dozen lies far nearer to zero than
    that of independent rows would. It is what antithetic pairs do (Hammersley and Morton 1956,
    doi:10.1017/S0305004100031455), but leaves seven eighths of the directions in which n rows can
    differ rather than a half of them.

    Parameters
    ----------
    n
        Rows, a multiple of eight.
    dim
        Dimension.
    rng
        Gives n dim variates.
    """
    free = rng.standard_normal((n // GROUP, GROUP, dim), dtype=np.float32)
    balanced = free - free.mean(axis=1, keepdims=True)
    return balanced.reshape(n, dim) * np.float32((GROUP / (GROUP - 1)) ** 0.5)
