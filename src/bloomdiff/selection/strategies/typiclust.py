"""Typical cells of as many clusters as there are labels."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from bloomdiff.selection.base import STRATEGIES, Ranking, Situation, Strategy, StrategyParams
from bloomdiff.selection.geometry import Doubles, Floats, Index, neighbour_distance, unit

EXACT_ROWS = 20_000  # above it, k-means works on mini-batches


class TypiClustParams(StrategyParams):
    """Options of TypiClust.

    Attributes
    ----------
    neighbours
        Neighbours within the cluster that typicality looks at.
    max_clusters
        Bound on the number of clusters.
    min_cluster
        Cells below which a cluster is passed over as long as there are larger ones.
    normalise
        Whether rows are scaled to length 1 first.
    max_rows
        Rows of the pool that are looked at, drawn at random from a larger one.
    """

    neighbours: int = Field(default=20, ge=1)
    max_clusters: int = Field(default=500, ge=1)
    min_cluster: int = Field(default=5, ge=1)
    normalise: bool = True
    max_rows: int = Field(default=100_000, ge=1)


@STRATEGIES.register("typiclust")
class TypiClust(Strategy):
    """The most typical cell of each of many clusters (Hacohen et al. 2022, arXiv:2202.02794).

    Pool, labelled and pending rows are clustered together into as many clusters as there will be
    labels, at most `max_clusters`. The next cell comes from the cluster with the fewest labels,
    the largest of such clusters first; it is the one with the smallest mean distance to its
    neighbours there.
    """

    name = "typiclust"
    summary = "the most typical cell of each of many clusters"
    Params = TypiClustParams
    params: TypiClustParams

    def rank(self, situation: Situation, n: int) -> Ranking:
        """Rank by cluster, then typicality."""
        rng = situation.rng()
        p, limit = len(situation.X), max(self.params.max_rows, n)
        rows = np.arange(p) if p <= limit else np.sort(rng.choice(p, limit, replace=False))
        X, covered = situation.X[rows], situation.covered
        if self.params.normalise:
            X, covered = unit(X), unit(covered)
        k = min(len(covered) + n, self.params.max_clusters, len(X) + len(covered))
        cluster = clusters(np.concatenate([covered, X]), k, situation.seed)
        labels = np.bincount(cluster[: len(covered)], minlength=k)
        index, typicality, size = self._choose(X, cluster[len(covered) :], labels, n)
        return Ranking.of(rows[index], "typical", score=typicality, cluster_size=size)

    def _choose(
        self, X: Floats, cluster: Index, labels: Index, n: int
    ) -> tuple[Index, Doubles, Doubles]:
        """Positions `(n,)`, typicality and size of the cluster."""
        members = [np.flatnonzero(cluster == c) for c in range(len(labels))]
        size = np.asarray([len(m) for m in members])
        queues: dict[int, list[tuple[int, float]]] = {}
        left, had = size.copy(), labels.copy()
        index, typicality = np.empty(n, dtype=np.intp), np.empty(n)
        from_size = np.empty(n)
        for i in range(n):
            small = (size < self.params.min_cluster) & (left > 0)
            # Fewest labels, then large before small clusters, then by size.
            c = int(np.lexsort((-size, had, small, left == 0))[0])
            if c not in queues:
                at = members[c]
                distance = neighbour_distance(X[at], self.params.neighbours)
                typical = 1 / (distance.astype(np.float64) + 1e-7)
                order = np.argsort(-typical, kind="stable")
                queues[c] = [(int(at[j]), float(typical[j])) for j in order]
            index[i], typicality[i] = queues[c].pop(0)
            from_size[i] = size[c]
            left[c] -= 1
            had[c] += 1
        return index, typicality, from_size


def clusters(X: Floats, k: int, seed: int) -> Index:
    """Cluster of each row `(n,)` by k-means."""
    import warnings

    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    if len(X) <= EXACT_ROWS:
        model = KMeans(k, n_init=1, random_state=seed)
    else:
        model = MiniBatchKMeans(k, n_init=1, batch_size=4096, random_state=seed)
    with warnings.catch_warnings():
        # Fewer distinct rows than clusters: some clusters stay empty and are passed over.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit_predict(X).astype(np.intp)
