"""k-means SMOTE (Douzas et al. 2018, doi:10.1016/j.ins.2018.06.056), class by class."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bloomdiff.generators.base import GENERATORS
from bloomdiff.generators.interpolation import InterpolationGenerator, Segments, nearest_rows
from bloomdiff.generators.smote import SmoteParams

MOST_PAIRED = 4_000
"""Rows of a cluster all of whose distances are taken: memory grows with their square."""


class KMeansSmoteParams(SmoteParams):
    """Hyper-parameters of k-means SMOTE."""

    n_clusters: int = Field(default=8, ge=1, description="clusters over all classes")
    threshold: float = Field(
        default=0.1, ge=0, le=1, description="share of the class that a cluster must exceed"
    )
    density_exponent: float | None = Field(
        default=None,
        ge=0,
        description="of the mean distance in a cluster's sparsity; None: by its rows, as in"
        " imbalanced-learn",
    )


@GENERATORS.register("kmeans-smote")
class KMeansSmoteGenerator(InterpolationGenerator):
    """SMOTE within clusters in which the class is common, more often where it is sparse.

    A cluster is used if it holds at least two rows of the class and the class's share of it
    exceeds `threshold`; it gets samples in proportion to its sparsity, the mean distance between
    its rows of the class to the power of an exponent, over their number. The paper's exponent is
    the dimension, which hundreds of dimensions forbid; imbalanced-learn's grows with the rows. A
    class without any such cluster is sampled as by SMOTE, where imbalanced-learn refuses.
    """

    name = "kmeans-smote"
    Params = KMeansSmoteParams
    params: KMeansSmoteParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest neighbours, clusters and threshold."""
        return {
            "k_neighbors": trial.suggest_int("k_neighbors", 1, 10),
            "n_clusters": trial.suggest_int("n_clusters", 2, 30),
            "threshold": trial.suggest_float("threshold", 0.0, 0.5),
        }

    def _prepare(self) -> None:
        from sklearn.cluster import KMeans

        n_clusters = min(self.params.n_clusters, len(np.unique(self._X, axis=0)))
        kmeans = KMeans(n_clusters, n_init=1, random_state=self.seed)
        self._cluster = kmeans.fit_predict(self._X)
        super()._prepare()

    def _segments_of(self, index: int) -> Segments:
        rows, k = self._rows_of(index), self.params.k_neighbors
        found: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], float]] = []
        for cluster in np.unique(self._cluster[rows]):
            own = rows[self._cluster[rows] == cluster]
            if len(own) < 2 or len(own) / (self._cluster == cluster).sum() <= self.params.threshold:
                continue
            near = nearest_rows(self._X, own, own, k)
            padded = np.pad(near, ((0, 0), (0, k - near.shape[1])), constant_values=-1)
            # Copies of one row have no distance; they must not make the only cluster impossible.
            distance = max(self._spread(own), 1e-12)
            log_sparsity = self._exponent(len(own)) * math.log(distance) - math.log(len(own))
            found.append((own, padded, log_sparsity))
        if not found:
            return Segments(rows, np.ones(len(rows)), nearest_rows(self._X, rows, rows, k))
        bases, neighbours, log_sparsities = zip(*found, strict=True)
        # Less the largest: the power of a distance may be beyond any number.
        sparsity = np.exp(np.asarray(log_sparsities) - max(log_sparsities))
        weights = [np.full(len(own), s / len(own)) for own, s in zip(bases, sparsity, strict=True)]
        return Segments(np.concatenate(bases), np.concatenate(weights), np.concatenate(neighbours))

    def _spread(self, rows: npt.NDArray[np.intp]) -> float:
        """Mean distance between rows, of `MOST_PAIRED` drawn at random where there are more."""
        from scipy.spatial.distance import pdist

        if len(rows) > MOST_PAIRED:
            rows = np.random.default_rng(0).choice(rows, MOST_PAIRED, replace=False)
        return float(pdist(self._X[rows]).mean())

    def _exponent(self, rows: int) -> float:
        given = self.params.density_exponent
        return math.log(rows, 1.6) ** 1.8 * 0.16 if given is None else given
