"""Balls that cover as many cells as possible."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.geometry import (
    Floats,
    Index,
    blocks,
    farthest_first,
    nearest,
    squared_distances,
    unit,
)
from bloomdiff.selection.strategies.typiclust import clusters


class ProbCoverParams(StrategyParams):
    """Options of ProbCover.

    Attributes
    ----------
    radius
        Radius of the balls; None for the largest at which `purity` of the balls hold cells of one
        cluster only.
    purity
        Share of pure balls that sets the radius.
    n_clusters
        Clusters that stand for classes; None for as many as there are classes, at least 10.
    normalise
        Whether rows are scaled to length 1 first.
    max_rows
        Rows of the pool that are looked at, drawn at random from a larger one.
    """

    radius: float | None = Field(default=None, gt=0)
    purity: float = Field(default=0.95, gt=0, lt=1)
    n_clusters: int | None = Field(default=None, ge=2)
    normalise: bool = True
    max_rows: int = Field(default=10_000, ge=1)


@STRATEGIES.register("probcover")
class ProbCover(Strategy):
    """Each cell's ball covers the most cells not yet covered (Yehuda et al. 2022).

    arXiv:2205.11320. Once every cell is covered, the farthest from all labels comes next.
    """

    name = "probcover"
    summary = "each cell's neighbourhood covers the most cells not yet covered"
    Params = ProbCoverParams
    params: ProbCoverParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by greedy coverage; the score is the number of cells newly covered."""
        p, limit = len(situation.X), max(self.params.max_rows, n)
        rng = situation.rng()
        rows = np.arange(p) if p <= limit else np.sort(rng.choice(p, limit, replace=False))
        X, covered = situation.X[rows], situation.covered
        if self.params.normalise:
            X, covered = unit(X), unit(covered)
        radius = self.params.radius or self._radius(X, len(situation.classes), situation.seed)
        index, newly = _greedy(X, covered, radius, n)
        if len(index) < n:
            rest = np.setdiff1d(np.arange(len(X)), index)
            reached = np.concatenate([covered, X[index]])
            more, _ = farthest_first(X[rest], reached, n - len(index), 0)
            index = np.concatenate([index, rest[more]])
            newly = np.concatenate([newly, np.zeros(len(more))])
        code = np.where(newly > 0, "typical", "distant")
        return Ranking(rows[index], {"score": newly.astype(np.float64)}, code)

    def _radius(self, X: Floats, n_classes: int, seed: int) -> float:
        k = min(self.params.n_clusters or max(n_classes, 10), len(X))
        cluster = clusters(X, k, seed)
        if len(np.unique(cluster)) == 1:  # equal rows
            return 1.0
        other = np.full(len(X), np.inf, dtype=np.float32)
        for c in np.unique(cluster):
            inside = cluster == c
            other[inside], _ = nearest(X[inside], X[~inside])
        # A ball is pure if its radius is below the distance to the nearest foreign cell.
        return float(np.sqrt(np.quantile(other, 1 - self.params.purity)))


def _greedy(X: Floats, covered: Floats, radius: float, n: int) -> tuple[Index, Index]:
    """Rows until all are covered or `n` are chosen, and how many each covers anew."""
    edge = np.empty((len(X), len(X)), dtype=bool)
    for rows in blocks(len(X), len(X)):
        edge[rows] = squared_distances(X[rows], X) <= radius**2
    np.fill_diagonal(edge, True)
    open_: npt.NDArray[np.bool_] = nearest(X, covered)[0] > radius**2
    gain = edge[:, open_].sum(axis=1)
    index: list[int] = []
    newly: list[int] = []
    while len(index) < n and gain.max() > 0:
        best = int(gain.argmax())
        index.append(best)
        newly.append(int(gain[best]))
        reached = np.flatnonzero(edge[best] & open_)
        open_[reached] = False
        gain = gain - edge[:, reached].sum(axis=1)
    return np.asarray(index, dtype=np.intp), np.asarray(newly, dtype=np.intp)
