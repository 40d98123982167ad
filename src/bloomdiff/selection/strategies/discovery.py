"""Ours: one cell of every class as soon as can be, whatever that teaches about the others.

Rare-category detection (Pelleg and Moore 2004, NIPS; He and Carbonell 2007, NIPS): the expert's
first question to a pool is often which types of cells are in it. Far from all labels is where a new
type would be, but in hundreds of dimensions every cell is far from every other one, and the
farthest are oddities of cut and stain. So distances are taken in the few directions in which the
pool varies most, in units of the scatter within the labelled classes once some of them have more
than one label, and each cell stands at the mean of its nearest neighbours: a type is more than one
odd cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.geometry import Doubles, Floats, farthest_first

CHUNK = 1 << 16  # rows that are multiplied together


class DiscoveryParams(StrategyParams):
    """Options of discovery.

    Attributes
    ----------
    components
        Directions that distances are taken in.
    neighbours
        Cells whose mean a cell stands at, itself among them.
    scatter_from
        Labels beyond the first of their class from which on the scatter within the classes is
        estimated.
    ridge
        Added to that scatter, part of its mean variance: few labels do not show all of it.
    """

    components: int = Field(default=8, ge=1)
    neighbours: int = Field(default=3, ge=1)
    scatter_from: int = Field(default=5, ge=1)
    ridge: float = Field(default=0.3, gt=0)


@STRATEGIES.register("discovery")
class Discovery(Strategy):
    """Farthest-first in the pool's main directions, smoothed; see the module."""

    name = "discovery"
    summary = "cells where a class without a label would be (ours)"
    Params = DiscoveryParams
    params: DiscoveryParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by farthest-first traversal; the score is the distance when chosen."""
        Z = self._main_directions(situation)
        Z = smoothed(Z, self.params.neighbours)
        pool, covered = Z[: len(situation.X)], Z[len(situation.X) :]
        # Without a label the most central place is a class's, an outlying one may be nobody's.
        first = int(((pool - pool.mean(axis=0)) ** 2).sum(axis=1).argmin())
        index, distance = farthest_first(pool, covered, n, first)
        distance[np.isinf(distance)] = distance[1] if n > 1 else 0
        return Ranking.of(index, "distant", score=distance)

    def _main_directions(self, situation: Situation) -> Floats:
        """Pool, labelled and pending rows in the main directions, float32 `(n + m + q, k)`."""
        parts, inwards = (situation.X, situation.covered), self._units(situation)
        mean, scatter = _moments(parts)
        _, vector = np.linalg.eigh(inwards.T @ scatter @ inwards)
        onto = (inwards @ vector[:, ::-1][:, : self.params.components]).astype(np.float32)
        return np.concatenate([(X - mean) @ onto for X in parts])

    def _units(self, situation: Situation) -> Doubles:
        """The map to units of the scatter within the labelled classes, float64 `(d, d)`."""
        from bloomdiff.diffusion.whitening import residual_covariance

        present, y = np.unique(situation.y, return_inverse=True)
        d = situation.X.shape[1]
        if len(y) - len(present) < self.params.scatter_from:
            return np.eye(d)
        value, basis = np.linalg.eigh(residual_covariance(situation.X_labelled, y))
        level = value.mean()
        if level <= 0:  # labelled cells that are all alike
            return np.eye(d)
        return basis / np.sqrt(np.maximum(value, 0) + self.params.ridge * level)


def smoothed(Z: Floats, k: int) -> Floats:
    """Each row replaced by the mean of the `k` rows nearest to it, itself one, float32 `(n, d)`."""
    from scipy.spatial import cKDTree

    k = min(k, len(Z))
    if k == 1:
        return Z
    # In few dimensions a tree finds neighbours among a million rows in seconds.
    _, at = cKDTree(Z).query(Z, k=k, workers=-1)
    return np.asarray(Z[at].mean(axis=1), dtype=np.float32)


def _moments(parts: Sequence[Floats]) -> tuple[Floats, Doubles]:
    """Mean `(d,)` and scatter `(d, d)` of the rows of some matrices, in bounded memory."""
    total = sum(X.sum(axis=0, dtype=np.float64) for X in parts)
    mean = np.asarray(total / sum(map(len, parts)), dtype=np.float32)
    scatter = np.zeros((len(mean), len(mean)))
    for X in parts:
        for start in range(0, len(X), CHUNK):
            part = X[start : start + CHUNK] - mean
            scatter += part.T @ part
    return mean, scatter
