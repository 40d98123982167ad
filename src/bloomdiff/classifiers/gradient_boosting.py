"""Gradient-boosted trees: scikit-learn's histogram implementation, saved without a pickle."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.special import expit, softmax

from bloomdiff.classifiers.base import (
    CLASSIFIERS,
    Arrays,
    Classifier,
    ClassifierParams,
    Indices,
    Probabilities,
)
from bloomdiff.data.embedding_set import Floats

# What prediction needs of scikit-learn's tree nodes, and the type that it is saved in.
_FIELDS = {
    "value": np.float64,
    "feature_idx": np.int64,
    "num_threshold": np.float64,
    "left": np.int64,
    "right": np.int64,
    "is_leaf": np.uint8,
}


class GradientBoostingParams(ClassifierParams):
    """Hyper-parameters of `GradientBoosting`."""

    iterations: int = Field(60, ge=1, description="boosting rounds, one tree a class in each")
    learning_rate: float = Field(0.1, gt=0)
    max_leaf_nodes: int = Field(15, ge=2, description="leaves of a tree")
    min_samples_leaf: int = Field(5, ge=1, description="rows of a leaf")
    l2: float = Field(1.0, ge=0, description="L2 penalty on the leaves' values")
    max_features: float = Field(0.2, gt=0, le=1, description="share of features tried at a node")
    max_bins: int = Field(63, ge=2, le=255, description="bins of a feature's histogram")


@CLASSIFIERS.register("gradient-boosting")
class GradientBoosting(Classifier):
    """Histogram gradient boosting with a fixed number of rounds.

    The rounds are fixed for the reason that the perceptron's steps are: a validation part would
    cost the rare classes cells.
    """

    name = "gradient-boosting"
    Params = GradientBoostingParams
    params: GradientBoostingParams

    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        from sklearn.ensemble import HistGradientBoostingClassifier

        params = self.params
        model = HistGradientBoostingClassifier(
            max_iter=params.iterations,
            learning_rate=params.learning_rate,
            max_leaf_nodes=params.max_leaf_nodes,
            min_samples_leaf=params.min_samples_leaf,
            l2_regularization=params.l2,
            max_features=params.max_features,
            max_bins=params.max_bins,
            early_stopping=False,
            random_state=self.seed,
        )
        model.fit(Z, y, sample_weight=weight)
        # Scikit-learn offers no form of a fitted model but a pickle. Its trees are plain arrays,
        # under a private name; the tests hold our reading of them to its own predictions.
        trees = [tree.nodes for rounds in model._predictors for tree in rounds]
        nodes = np.concatenate(trees)
        self._nodes: Arrays = {
            name: np.ascontiguousarray(nodes[name], dtype=dtype) for name, dtype in _FIELDS.items()
        }
        self._first: Indices = np.cumsum([0, *map(len, trees)], dtype=np.intp)[:-1]
        self._baseline: npt.NDArray[np.float64] = model._baseline_prediction.reshape(-1).astype(
            np.float64
        )

    def _proba(self, Z: Floats) -> Probabilities:
        n_scores = len(self._baseline)
        scores = np.tile(self._baseline, (len(Z), 1))
        for number, root in enumerate(self._first):
            scores[:, number % n_scores] += self._leaf_values(Z, root)
        if n_scores == 1:  # two classes: the log-odds of the second
            second = expit(scores[:, 0])
            return np.column_stack([1 - second, second])
        return softmax(scores, axis=1)

    def _leaf_values(self, Z: Floats, root: np.intp) -> Probabilities:
        """Value `(m,)` of the leaf that each row falls into, in the tree that begins at `root`."""
        nodes = self._nodes
        at = np.full(len(Z), root)
        rows = np.arange(len(Z))
        while len(rows):
            here = at[rows]
            rows = rows[nodes["is_leaf"][here] == 0]
            here = at[rows]
            goes_left = Z[rows, nodes["feature_idx"][here]] <= nodes["num_threshold"][here]
            at[rows] = root + np.where(goes_left, nodes["left"][here], nodes["right"][here])
        return nodes["value"][at]

    def _state(self) -> Arrays:
        return {**self._nodes, "first": self._first, "baseline": self._baseline}

    def _restore(self, state: Arrays) -> None:
        self._first, self._baseline = state.pop("first"), state.pop("baseline")
        self._nodes = state

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Rounds, learning rate, and the size and penalty of the trees."""
        return {
            "iterations": trial.suggest_int("iterations", 20, 120, step=20),
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 4, 31, log=True),
            "l2": trial.suggest_float("l2", 1e-2, 100.0, log=True),
        }
