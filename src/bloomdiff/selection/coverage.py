"""Facility location: the rows that together leave the least of the pool unlike all of them.

The objective is the weighted mean over reference rows j of max over chosen rows i of k(i, j); the
greedy choice reaches at least 1 - 1/e of the best value (Nemhauser et al. 1978,
doi:10.1007/BF01588971). Gains only fall as rows are chosen, so that a stale gain is an upper bound
and few have to be computed anew (Minoux 1978, doi:10.1007/BFb0006528).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bloomdiff.selection.geometry import Doubles, Floats, Index, blocks, nearest, squared_distances

AT_ONCE = 32  # stale gains that are computed anew together


def rbf(X: Floats, Y: Floats, gamma: float) -> Floats:
    """Gaussian kernel exp(-gamma * squared distance), float32 `(n, m)`."""
    d2 = squared_distances(X, Y)
    d2 *= -gamma
    return np.exp(d2, out=d2)


def greedy_cover(
    X: Floats,
    reference: Floats,
    weight: Doubles,
    covered: Floats,
    n: int,
    *,
    gamma: float,
) -> tuple[Index, Doubles]:
    """Choose rows of X, each with the largest gain in coverage given those before.

    Parameters
    ----------
    X
        Candidates `(p, d)`.
    reference
        Rows to be covered `(r, d)`.
    weight
        What covering each of them is worth, `(r,)`.
    covered
        Rows chosen earlier `(m, d)`.
    n
        Rows to choose, at most p.
    gamma
        Of the Gaussian kernel.

    Returns
    -------
    Positions `(n,)` and their gains when chosen `(n,)`.
    """
    share = (weight / max(weight.sum(), np.finfo(float).tiny)).astype(np.float32)
    d2, _ = nearest(reference, covered)
    best = np.exp(-gamma * d2).astype(np.float32)  # 0 where nothing is covered yet
    kernel = np.empty((len(X), len(reference)), dtype=np.float32)
    for rows in blocks(len(X), len(reference)):
        kernel[rows] = rbf(X[rows], reference, gamma)

    def gain(rows: Index) -> Doubles:
        return (np.maximum(kernel[rows] - best, 0) @ share).astype(np.float64)

    return _lazy(gain, lambda row: np.maximum(best, kernel[row], out=best), len(X), n)


def _lazy(
    gain: Callable[[Index], Doubles], take: Callable[[int], object], p: int, n: int
) -> tuple[Index, Doubles]:
    """Greedy choice of n out of p by gains that only fall; equal gains go to the first row."""
    bound = np.concatenate([gain(np.arange(p)[rows]) for rows in blocks(p, 4096)])
    fresh = np.ones(p, dtype=bool)
    chosen, gained = np.empty(n, dtype=np.intp), np.empty(n)
    for k in range(n):
        while not fresh[top := int(bound.argmax())]:
            size = min(AT_ONCE, p)
            stale = np.argpartition(-bound, size - 1)[:size]
            stale = np.union1d(stale[~fresh[stale]], [top])
            bound[stale] = gain(stale)
            fresh[stale] = True
        chosen[k], gained[k] = top, bound[top]
        take(top)
        fresh[:] = False
        bound[chosen[: k + 1]] = -np.inf
        fresh[chosen[: k + 1]] = True
    return chosen, gained
