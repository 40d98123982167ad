"""Sampling in blocks of one size, so that row k is the same row however many are asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bloomdiff.data.embedding_set import Floats

BLOCK = 256
"""Rows drawn together."""


def in_blocks(n: int, draw: Callable[[], Floats]) -> Floats:
    """Stack whole blocks from `draw` and cut them to `n` rows.

    A matrix product's last bits depend on the shape of the whole product, so a short last block
    would differ from the same rows within a longer request; every block is therefore drawn whole.

    Parameters
    ----------
    n
        Rows wanted, at least 1.
    draw
        Returns the next block, float32 `(BLOCK, d)`.
    """
    blocks = [draw() for _ in range(-(-n // BLOCK))]
    return np.ascontiguousarray(np.concatenate(blocks)[:n])
