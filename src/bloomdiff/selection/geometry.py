"""Distances between large point sets, in float32 blocks and bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

BLOCK_BYTES = 1 << 26  # of one block of distances
WORKING_SET = 4096  # rows whose distances `farthest_first` keeps exact


def unit(X: Floats) -> Floats:
    """Rows scaled to length 1, float32 `(n, d)`; a row of zeros stays."""
    length = np.sqrt(np.einsum("ij,ij->i", X, X))[:, None]
    return np.divide(X, length, out=np.zeros_like(X), where=length > 0)


def blocks(n: int, width: int) -> Iterator[slice]:
    """Consecutive rows of an `(n, width)` float32 matrix, as many as `BLOCK_BYTES` hold."""
    step = max(1, BLOCK_BYTES // (4 * max(width, 1)))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def squared_distances(X: Floats, Y: Floats) -> Floats:
    """All squared Euclidean distances, float32 `(n, m)`, never negative."""
    d2 = X @ Y.T
    d2 *= -2
    d2 += np.einsum("ij,ij->i", X, X)[:, None]
    d2 += np.einsum("ij,ij->i", Y, Y)[None]
    return np.maximum(d2, 0, out=d2)


def nearest(X: Floats, Y: Floats) -> tuple[Floats, Index]:
    """Squared distance of each row of X `(n, d)` to the nearest of Y `(m, d)`, and which it is.

    Without any row in Y the distances are infinite and the positions 0.
    """
    d2 = np.full(len(X), np.inf, dtype=np.float32)
    at = np.zeros(len(X), dtype=np.intp)
    if len(Y):
        for rows in blocks(len(X), len(Y)):
            block = squared_distances(X[rows], Y)
            at[rows] = block.argmin(axis=1)
            d2[rows] = block[np.arange(len(block)), at[rows]]
    return d2, at


def neighbour_distance(X: Floats, k: int) -> Floats:
    """Mean distance of each row to its `k` nearest others within X, float32 `(n,)`."""
    k = min(k, len(X) - 1)
    if k < 1:
        return np.zeros(len(X), dtype=np.float32)
    out = np.empty(len(X), dtype=np.float32)
    for rows in blocks(len(X), len(X)):
        d2 = squared_distances(X[rows], X)
        d2[np.arange(len(d2)), np.arange(rows.start, rows.stop)] = np.inf
        out[rows] = np.sqrt(np.partition(d2, k - 1, axis=1)[:, :k]).mean(axis=1)
    return out


def farthest_first(X: Floats, covered: Floats, n: int, first: int) -> tuple[Index, Floats]:
    """Rows of X in the order of k-center's greedy choice, each the farthest from all before.

    Distances to the nearest centre only fall, so the farthest row is among those that were far
    when last looked at: only `WORKING_SET` of them are kept exact between passes over X, and a
    pass serves all the centres found since the last one as one matrix product. The order is that
    of the plain algorithm, up to the rounding of float32.

    Parameters
    ----------
    X
        Candidates `(p, d)`.
    covered
        Rows that are centres already, `(m, d)`.
    n
        Rows to choose, at most p.
    first
        The row to begin with where nothing is covered.

    Returns
    -------
    Positions `(n,)`, and the distance of each to the nearest centre when it was chosen `(n,)`;
    infinite for `first`.
    """
    far, _ = nearest(X, covered)
    if not len(covered):
        far[first] = np.finfo(np.float32).max
        far[np.isinf(far)] = np.finfo(np.float32).max / 2
    chosen: list[int] = []
    distance: list[float] = []
    while len(chosen) < n:
        size = min(WORKING_SET, len(X))
        order = np.argpartition(-far, size - 1)[:size] if size < len(X) else np.arange(len(X))
        order = np.sort(order)
        beyond = far.copy()
        beyond[order] = -1
        limit = float(beyond.max())
        near, fresh = far[order].copy(), len(chosen)
        while len(chosen) < n:
            best = int(near.argmax())
            if near[best] < max(limit, 0) and len(chosen) > fresh:
                break
            chosen.append(int(order[best]))
            distance.append(float(near[best]))
            d2 = squared_distances(X[order], X[order[best]][None])[:, 0]
            near = np.minimum(near, d2, out=near)
            near[best] = -1  # a chosen row is never chosen again, nor are there ties with it
        if len(chosen) < n:
            d2, _ = nearest(X, X[chosen[fresh:]])
            np.minimum(far, d2, out=far)
            far[chosen] = -1
    at = np.asarray(chosen, dtype=np.intp)
    reach = np.sqrt(np.maximum(distance, 0)).astype(np.float32)
    if not len(covered) and n:
        reach[0] = np.inf
    return at, reach
