"""The k nearest points of another set, or of the same one, exactly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bloomdiff.metrics.blocks import Block, Doubles, Indices, exact_d2, scan

Labels = npt.NDArray[np.str_]


class NearestNeighbours:
    """Reducer: for each row of X its `k` nearest rows of Y, of other groups where these are given.

    Attributes
    ----------
    d2
        Ascending squared distances, float64 `(n, k)`; columns beyond the available neighbours
        are infinite.
    index
        Rows of Y, intp `(n, k)`; -1 beyond the available neighbours.
    """

    def __init__(
        self,
        X: Doubles,
        Y: Doubles,
        k: int,
        *,
        same: bool = False,
        groups: tuple[Indices, Indices] | None = None,
    ) -> None:
        self._X, self._Y, self._groups = X, Y, groups
        self._available = min(k, len(Y) - same)
        self.d2 = np.full((len(X), k), np.inf)
        self.index = np.full((len(X), k), -1, dtype=np.intp)

    def see(self, block: Block) -> None:
        """Keep the nearest of the block's rows."""
        k = self._available
        if k == 0:
            return
        d2 = block.d2
        if self._groups is not None:
            own, theirs = self._groups
            d2 = np.where(own[block.start : block.stop, None] == theirs, np.inf, d2)
        kth = np.partition(d2, k - 1, axis=1)[:, k - 1 : k]
        # Whoever is truly among the k nearest lies below this, whatever rounding did to both.
        flat = np.flatnonzero(((d2 <= kth + 2 * block.error) & (d2 < np.inf)).ravel())
        if not len(flat):
            return
        rows, columns = np.divmod(flat, d2.shape[1])
        exact = exact_d2(self._X, self._Y, rows + block.start, columns)
        # Stable on sorted columns: of equally near points the first row of Y counts.
        order = np.lexsort((exact, rows))
        starts = np.searchsorted(rows, np.arange(len(d2) + 1))
        first, last = starts[:-1], starts[1:]
        place = first[:, None] + np.arange(k)
        there = place < last[:, None]
        chosen = order[np.where(there, place, 0)]
        self.d2[block.start : block.stop, :k] = np.where(there, exact[chosen], np.inf)
        self.index[block.start : block.stop, :k] = np.where(there, columns[chosen], -1)


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
        Group of each, `(n,)` and `(m,)`.
    k
        Neighbours; where the other groups have fewer, the rest are infinite and -1.
    """
    code = np.unique(np.concatenate([groups, groups_of_Y]), return_inverse=True)[1]
    found = NearestNeighbours(X, Y, k, groups=(code[: len(X)], code[len(X) :]))
    scan(X, Y, [found])
    return np.sqrt(found.d2), found.index
