"""The k nearest points of another set, or of the same one, exactly."""

from __future__ import annotations

import numpy as np

from bloomdiff.metrics.blocks import Block, Doubles, Indices, exact_d2, scan

_SPARE = 8  # candidates beyond k: rounding may misorder neighbours almost as near


class NearestNeighbours:
    """Reducer: for each row of X its `k` nearest rows of Y.

    Attributes
    ----------
    d2
        Ascending squared distances, float64 `(n, k)`; columns beyond the available neighbours
        are infinite.
    index
        Rows of Y, intp `(n, k)`; -1 beyond the available neighbours.
    """

    def __init__(self, X: Doubles, Y: Doubles, k: int, *, same: bool = False) -> None:
        self._X, self._Y, self._k = X, Y, k
        self._available = min(k, len(Y) - same)
        self.d2 = np.full((len(X), k), np.inf)
        self.index = np.full((len(X), k), -1, dtype=np.intp)
        self._candidates = min(self._available + _SPARE, len(Y) - same)

    def see(self, block: Block) -> None:
        """Keep the nearest of the block's rows."""
        if self._candidates == 0:
            return
        rows = np.arange(block.start, block.stop)
        near = np.argpartition(block.d2, self._candidates - 1, axis=1)[:, : self._candidates]
        near.sort(axis=1)
        d2 = exact_d2(self._X, self._Y, rows.repeat(self._candidates), near.ravel())
        d2 = d2.reshape(near.shape)
        self._take(rows, near, d2)
        # A row that was no candidate may still be nearer, where rounding hides the order. Of
        # copies, at distance zero, none can be.
        farthest = np.take_along_axis(block.d2, near, axis=1).max(axis=1)
        kth = np.sort(d2, axis=1)[:, self._available - 1]
        doubt = (kth > farthest - block.error[:, 0]) & (kth > 0)
        if self._candidates < block.d2.shape[1]:
            for row in rows[doubt]:
                every = np.flatnonzero(np.isfinite(block.d2[row - block.start]))
                exact = exact_d2(self._X, self._Y, np.full(len(every), row), every)
                self._take(np.array([row]), every[None], exact[None])

    def _take(self, rows: Indices, near: Indices, d2: Doubles) -> None:
        # Stable on sorted columns: of equally near points the first row of Y counts.
        order = np.argsort(d2, axis=1, kind="stable")[:, : self._available]
        self.d2[rows, : self._available] = np.take_along_axis(d2, order, axis=1)
        self.index[rows, : self._available] = np.take_along_axis(near, order, axis=1)


def radii_squared(X: Doubles, k: int) -> Doubles:
    """Squared distance of each row of `X` to its k-th nearest other row, `(n,)`."""
    found = NearestNeighbours(X, X, k, same=True)
    scan(X, X, [found], same=True)
    return found.d2[:, -1]


def nearest(X: Doubles, Y: Doubles, *, k: int = 1, same: bool = False) -> tuple[Doubles, Indices]:
    """Distances `(n, k)` and rows `(n, k)` of the `k` points of `Y` nearest to each of `X`.

    Parameters
    ----------
    X, Y
        Points `(n, d)` and `(m, d)`.
    k
        Neighbours; where `Y` has fewer, the rest are infinite and -1.
    same
        `Y` is `X`, and no point is its own neighbour.
    """
    found = NearestNeighbours(X, Y, k, same=same)
    scan(X, Y, [found], same=same)
    return np.sqrt(found.d2), found.index
