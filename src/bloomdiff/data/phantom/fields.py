"""Random fields and soft masks on the pixel grid: the brushes that the phantom paints with.

Everything is float64: the pictures are rounded to bytes at the end, so that differences in the last
place between machines' vector units do not show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]


def smooth_noise(shape: tuple[int, int], scale: float, rng: np.random.Generator) -> Array:
    """Gaussian random field of mean 0 and standard deviation about 1, `(h, w)`.

    Parameters
    ----------
    shape
        Height and width, pixels.
    scale
        Correlation length, pixels. Long ones are drawn on a coarser grid and enlarged.
    rng
        Source of randomness.
    """
    step = max(1, int(scale / 2.0))
    coarse = (shape[0] // step + 3, shape[1] // step + 3)
    sigma = scale / step
    # A Gaussian kernel of width sigma leaves white noise a deviation of 1 / (2 sqrt(pi) sigma).
    field = gaussian_filter(rng.standard_normal(coarse), sigma, mode="wrap", truncate=3.0)
    field *= max(1.0, 2.0 * np.sqrt(np.pi) * sigma)
    if step > 1:
        field = _enlarge(_enlarge(field, shape[0], step).T, shape[1], step).T
    return field[: shape[0], : shape[1]]


def _enlarge(field: Array, n: int, step: int) -> Array:
    """The first `n` rows of `field` interpolated linearly, `step` new rows a row."""
    row, part = np.divmod(np.arange(n), step)
    weight = (part / step)[:, None]
    return field[row] * (1.0 - weight) + field[row + 1] * weight


def coverage(distance: Array, softness: float = 1.0) -> Array:
    """Share of a pixel inside an outline, from the signed distance (pixels, positive inside)."""
    t = np.clip(distance / softness + 0.5, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def grid(size: int) -> tuple[Array, Array]:
    """Pixel coordinates `y`, `x`, each `(size, size)`, with the origin at the image's centre."""
    axis = np.arange(size, dtype=np.float64) - (size - 1) / 2.0
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


def window(size: int, centre: tuple[float, float], radius: float) -> tuple[slice, slice] | None:
    """Slices of the square around `centre` (y, x from the image's centre), None if outside."""
    middle = (size - 1) / 2.0
    slices = []
    for c in centre:
        low = max(0, int(np.floor(c - radius + middle)))
        high = min(size, int(np.ceil(c + radius + middle)) + 1)
        if low >= high:
            return None
        slices.append(slice(low, high))
    return slices[0], slices[1]
