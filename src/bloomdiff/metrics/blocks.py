"""All pairs of two point sets, a block of rows at a time, in bounded memory.

`scan` computes squared Euclidean distances once and shows each block to every *reducer*, which
keeps only what its metric needs. Large sets are scanned in float32, four times faster than float64;
a reducer whose answer hangs on a comparison recomputes the close calls in float64 from the
differences, so that its answer is exact. Sums over millions of pairs average the rounding away;
small sets, whose sums would not, are scanned in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Reals = npt.NDArray[np.floating[Any]]
Indices = npt.NDArray[np.intp]

_BLOCK_BYTES = 1 << 26  # of one block; a few such buffers exist at a time
_PAIR_BYTES = 1 << 26  # of gathered float64 differences

_FLOAT64_PAIRS = 1 << 22  # up to so many pairs float64 costs little
_FLOAT32_NORM = 1e12  # a generator that diverged must not overflow float32, nor its cube

# Error of a squared distance, in units of the rounding of its type and relative to the sum of the
# two squared norms: a product of some hundred terms loses about ten units, this leaves a margin.
_ROUNDING = 32


@dataclass(frozen=True)
class Block:
    """Rows `start:stop` of X against all of Y.

    Attributes
    ----------
    start, stop
        The rows of X.
    d2
        Squared distances, float32 or float64 `(stop - start, n_y)`, to be read only; infinite
        between a point and itself.
    error
        Bound on the rounding error of each row of `d2`, `(stop - start, 1)`.
    """

    start: int
    stop: int
    d2: Reals
    error: Reals


class Reducer(Protocol):
    """Sees each block once, in order; several see one block at the same time."""

    def see(self, block: Block) -> None:
        """Take from the block what is needed; it is overwritten afterwards."""


def exact_d2(X: Doubles, Y: Doubles, rows: Indices, columns: Indices) -> Doubles:
    """Squared distances of the pairs `(X[rows], Y[columns])` from differences, float64."""
    out = np.empty(len(rows))
    step = max(1, _PAIR_BYTES // (8 * X.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = X[rows[part]] - Y[columns[part]]
        out[part] = np.einsum("ij,ij->i", difference, difference)
    return out


def scan(X: Doubles, Y: Doubles, reducers: Sequence[Reducer], *, same: bool = False) -> None:
    """Show every block of the distances between `X` `(n, d)` and `Y` `(m, d)` to `reducers`.

    Parameters
    ----------
    X, Y
        Finite points.
    reducers
        What to compute.
    same
        `Y` is `X`: a point's distance to itself is infinite, so that it is nobody's neighbour.
    """
    # Distances do not change with the origin; norms, and with them the rounding, do.
    origin = Y.mean(axis=0)
    a, b = X - origin, Y - origin
    norm_a = np.einsum("ij,ij->i", a, a)
    norm_b = np.einsum("ij,ij->i", b, b)
    small = len(X) * len(Y) <= _FLOAT64_PAIRS
    largest = max(norm_a.max(), norm_b.max())
    kind = np.float64 if small or largest > _FLOAT32_NORM else np.float32
    error = (_ROUNDING * np.finfo(kind).eps * (norm_a + norm_b.max())).astype(kind)[:, None]
    left = (-2 * a).astype(kind)
    right = np.ascontiguousarray(b.astype(kind).T)
    rows_a, columns_b = norm_a.astype(kind)[:, None], norm_b.astype(kind)
    step = min(len(X), max(1, _BLOCK_BYTES // (left.itemsize * len(Y))))
    buffer = np.empty((step, len(Y)), dtype=kind)
    # Threads for the reducers, which numpy computes on one core each; their sums keep the blocks'
    # order, so that no bit depends on how many there are.
    with ThreadPoolExecutor(1 if small else len(reducers)) as pool:
        for start in range(0, len(X), step):
            stop = min(start + step, len(X))
            d2 = np.matmul(left[start:stop], right, out=buffer[: stop - start])
            d2 += rows_a[start:stop]
            d2 += columns_b
            if same:
                d2[np.arange(stop - start), np.arange(start, stop)] = np.inf
            block = Block(start, stop, d2, error[start:stop])
            for _ in pool.map(methodcaller("see", block), reducers):
                pass
