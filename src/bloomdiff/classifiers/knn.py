"""k-nearest neighbours on standardised embeddings, with class-balanced votes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from bloomdiff.classifiers.base import (
    CLASSIFIERS,
    Arrays,
    Classifier,
    ClassifierParams,
    Indices,
    Probabilities,
)
from bloomdiff.data.embedding_set import Floats


class KNNParams(ClassifierParams):
    """Hyper-parameters of `KNearestNeighbours`."""

    k: int = Field(10, ge=1, description="neighbours that vote; all rows where there are fewer")
    metric: Literal["cosine", "euclidean"] = "cosine"


@CLASSIFIERS.register("knn")
class KNearestNeighbours(Classifier):
    """Vote of the `k` nearest training rows, each weighing as its class does.

    The vote of a row is `n / (c * n_class)`, as a balanced loss weighs it, so that a rare class
    is not outvoted by its mere number.
    """

    name = "knn"
    Params = KNNParams
    params: KNNParams

    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        self._restore({"rows": Z, "y": y, "weight": weight})

    def _proba(self, Z: Floats) -> Probabilities:
        k = min(self.params.k, len(self._rows))
        neighbours = self._index.kneighbors(Z, n_neighbors=k, return_distance=False)
        votes = np.zeros((len(Z), int(self._y.max()) + 1))
        np.add.at(
            votes,
            (np.arange(len(Z))[:, None], self._y[neighbours]),
            self._weight[neighbours].astype(np.float64),
        )
        return votes / votes.sum(axis=1, keepdims=True)

    def _state(self) -> Arrays:
        return {"rows": self._rows, "y": self._y, "weight": self._weight}

    def _restore(self, state: Arrays) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._rows, self._y, self._weight = state["rows"], state["y"], state["weight"]
        self._index = NearestNeighbors(metric=self.params.metric, algorithm="brute")
        self._index.fit(self._rows)

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """`k` from 1 to 50, logarithmically, and both metrics."""
        return {
            "k": trial.suggest_int("k", 1, 50, log=True),
            "metric": trial.suggest_categorical("metric", ["cosine", "euclidean"]),
        }
