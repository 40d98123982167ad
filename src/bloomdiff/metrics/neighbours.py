"""The k nearest points of another set, or of the same one, exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.blocks import Block, Doubles, Indices, exact_d2, scan

Labels = npt.NDArray[np.str_]


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
        self._X, self._Y = X, Y
        self._available = min(k, len(Y) - same)
        self.d2 = np.full((len(X), k), np.inf)
        self.index = np.full((len(X), k), -1, dtype=np.intp)

    def see(self, block: Block) -> None:
        """Keep the nearest of the block's rows."""
        k = self._available
        if k == 0:
            return
        kth = np.partition(block.d2, k - 1, axis=1)[:, k - 1 : k]
        # Whoever is truly among the k nearest lies below this, whatever rounding did to both.
        flat = np.flatnonzero((block.d2 <= kth + 2 * block.error).ravel())
        rows, columns = np.divmod(flat, block.d2.shape[1])
        d2 = exact_d2(self._X, self._Y, rows + block.start, columns)
        # Stable on sorted columns: of equally near points the first row of Y counts.
        order = np.lexsort((d2, rows))
        first = np.searchsorted(rows, np.arange(block.stop - block.start))
        chosen = order[first[:, None] + np.arange(k)]
        self.d2[block.start : block.stop, :k] = d2[chosen]
        self.index[block.start : block.stop, :k] = columns[chosen]


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


def nearest_elsewhere(
    X: Doubles, groups: Labels, Y: Doubles, groups_of_Y: Labels, *, k: int = 1
) -> tuple[Doubles, Indices]:
    """As `nearest`, among the points of `Y` that are of another group than the point of `X`.

    Parameters
    ----------
    X, Y
        Points `(n, d)` and `(m, d)`.
    groups, groups_of_Y
        Group of each, `(n,)` and `(m,)`; no group holds all of `Y`.
    k
        Neighbours; where the other groups have fewer, the rest are infinite and -1.
    """
    distance = np.full((len(X), k), np.inf)
    index = np.full((len(X), k), -1, dtype=np.intp)
    for group in np.unique(groups):
        own, others = np.flatnonzero(groups == group), np.flatnonzero(groups_of_Y != group)
        distance[own], found = nearest(X[own], Y[others], k=k)
        index[own] = np.where(found < 0, -1, others[found])
    return distance, index
