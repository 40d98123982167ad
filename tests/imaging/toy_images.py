"""Discs whose colour and size a vector tells."""

import numpy as np

SIDE = 16


def discs(n, seed=0):
    """Images `(n, 16, 16, 3)` and vectors `(n, 2)`: redness and radius of a disc."""
    rng = np.random.default_rng(seed)
    vectors = np.stack([rng.integers(0, 2, n), rng.uniform(2, 6, n)], axis=1).astype(np.float32)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = np.hypot(y, x) < vectors[:, 1, None, None]
    colours = np.where(vectors[:, :1] > 0, [[200, 30, 30]], [[30, 30, 200]])
    images = np.where(inside[..., None], colours[:, None, None, :], 230)
    return images.astype(np.uint8), vectors
