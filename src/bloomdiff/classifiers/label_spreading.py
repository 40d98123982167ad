"""Label spreading: labels run along a graph of labelled and unlabelled rows."""

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
from bloomdiff.classifiers.projection import principal_axes
from bloomdiff.data.embedding_set import Floats

_NO_LABEL = -1
WEIGHTS = 1 << 24
"""Of rows against rows of the graph that are held together."""


class LabelSpreadingParams(ClassifierParams):
    """Hyper-parameters of `LabelSpreading`."""

    kernel: Literal["rbf", "knn"] = "rbf"
    gamma: float = Field(20.0, gt=0, description="rbf: exp(-gamma d²), mean length of a row 1")
    n_neighbors: int = Field(7, ge=1, description="knn: neighbours of a row in the graph")
    alpha: float = Field(0.2, gt=0, lt=1, description="share of a label that comes from neighbours")
    max_iter: int = Field(200, ge=1)
    metric: Literal["cosine", "euclidean"] = "cosine"
    n_components: int | None = Field(
        48, ge=1, description="principal components of labelled rows and pool; None for all"
    )


@CLASSIFIERS.register("label-spreading")
class LabelSpreading(Classifier):
    """Scikit-learn's `LabelSpreading` (Zhou et al. 2004) on principal components.

    A row is judged by the kernel-weighted vote of all rows of the graph, labelled or not; as in
    `KNearestNeighbours`, a vote weighs as its class does. Without a pool the graph holds the
    labelled rows alone. With `kernel="rbf"` memory grows with the square of the rows.
    """

    name = "label-spreading"
    Params = LabelSpreadingParams
    params: LabelSpreadingParams
    uses_pool = True

    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        rows = Z if pool is None else np.concatenate([Z, pool])
        self._axes = principal_axes(rows, self.params.n_components)
        length = np.sqrt(np.mean(np.sum((rows @ self._axes.T) ** 2, axis=1)))
        self._axes /= length if length > 0 else 1
        start = np.full(len(rows), _NO_LABEL)
        start[: len(y)] = y
        graph = self._graph(len(rows)).fit(self._place(rows), start)
        of_class = np.empty(n_classes)
        of_class[y] = weight
        votes = graph.label_distributions_
        unreached = votes.sum(axis=1) == 0
        votes *= of_class
        votes[unreached] = 1 / n_classes  # any class, however few rows it has
        self._restore({"axes": self._axes, "rows": graph.X_, "votes": votes})

    def _graph(self, n: int) -> Any:
        from sklearn.semi_supervised import LabelSpreading as SkLabelSpreading

        params = self.params
        return SkLabelSpreading(
            kernel=params.kernel,
            gamma=params.gamma,
            n_neighbors=min(params.n_neighbors, n - 1),
            alpha=params.alpha,
            max_iter=params.max_iter,
        )

    def _place(self, Z: Floats) -> Probabilities:
        """Components, of unit length each or in the mean, `(n, k)`."""
        from sklearn.preprocessing import normalize

        # In single precision the kernel of far rows would vanish.
        P = (Z @ self._axes.T).astype(np.float64)
        return normalize(P) if self.params.metric == "cosine" else P

    def _proba(self, Z: Floats) -> Probabilities:
        # A part at a time: each row is weighed against every one of the graph.
        P, step = self._place(Z), max(1, WEIGHTS // len(self._fitted.X_))
        parts = [P[at : at + step] for at in range(0, len(P), step)]
        with np.errstate(invalid="ignore"):
            proba = np.concatenate([self._fitted.predict_proba(part) for part in parts])
        # A row so far off that no kernel reaches it could be of any class.
        return np.where(np.isnan(proba), 1 / proba.shape[1], proba)

    def _state(self) -> Arrays:
        fitted = self._fitted
        return {"axes": self._axes, "rows": fitted.X_, "votes": fitted.label_distributions_}

    def _restore(self, state: Arrays) -> None:
        self._axes = state["axes"]
        fitted = self._graph(len(state["rows"]))
        fitted.X_, fitted.label_distributions_ = state["rows"], state["votes"]
        fitted.n_features_in_ = state["rows"].shape[1]
        fitted.classes_ = np.arange(state["votes"].shape[1])
        fitted.nn_fit = None  # the neighbours' index, built at the first prediction
        self._fitted = fitted

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """The graph, and how far labels run along it."""
        return {
            "kernel": trial.suggest_categorical("kernel", ["rbf", "knn"]),
            "gamma": trial.suggest_float("gamma", 1.0, 100.0, log=True),
            "n_neighbors": trial.suggest_int("n_neighbors", 3, 30, log=True),
            "metric": trial.suggest_categorical("metric", ["cosine", "euclidean"]),
            "alpha": trial.suggest_float("alpha", 0.01, 0.99),
            "n_components": trial.suggest_categorical("n_components", [24, 48, 96]),
        }
