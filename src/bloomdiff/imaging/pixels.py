"""Images as the network sees them: squares, pixels in [-1, 1], mirrored and turned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bloomdiff.data.images import Pixels, read_rgb
from bloomdiff.encoders.transform import Transform

N_TURNS = 8
"""Mirrorings and turns by right angles of a square."""


def squares(paths: Sequence[Path], size: int) -> Pixels:
    """Read images and fit them into squares, uint8 `(n, size, size, 3)`.

    Raises
    ------
    InputError
        An image is missing or damaged.
    """
    transform = Transform(size, interpolation="lanczos")
    return np.stack([transform(read_rgb(path)) for path in paths])


def to_tensor(images: Pixels) -> Tensor:
    """uint8 `(n, s, s, 3)` to float32 `(n, 3, s, s)` in [-1, 1]."""
    channels_first = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.from_numpy(channels_first).float() / 127.5 - 1


def to_pixels(x: Tensor) -> npt.NDArray[np.uint8]:
    """Floats `(n, 3, s, s)` to uint8 `(n, s, s, 3)`; what lies outside [-1, 1] is clipped."""
    grey = ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(grey.cpu().numpy().transpose(0, 2, 3, 1))


def turned(x: Tensor, turn: Tensor) -> Tensor:
    """Each image `(b, 3, s, s)` in one of `N_TURNS` attitudes, by its number in `turn` `(b,)`."""
    out = x.clone()
    for number in range(1, N_TURNS):
        rows = torch.nonzero(turn == number)[:, 0]
        if len(rows):
            some = x[rows].flip(3) if number >= 4 else x[rows]
            out[rows] = torch.rot90(some, number % 4, (2, 3))
    return out
