"""What classifiers of linear log-probabilities share, however they were fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from bloomdiff.classifiers.base import Arrays, Classifier, Probabilities
from bloomdiff.data.embedding_set import Floats


class LinearClassifier(Classifier):
    """Softmax of a linear map."""

    def _keep(self, coefficients: npt.NDArray[Any], intercept: npt.NDArray[Any]) -> None:
        """Store what scikit-learn's `coef_` and `intercept_` hold, one row a class."""
        if len(intercept) == 1:  # scikit-learn keeps one row for two classes: the second's log-odds
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            intercept = np.concatenate([np.zeros_like(intercept), intercept])
        self._coefficients: Floats = np.ascontiguousarray(coefficients, dtype=np.float32)
        self._intercept: Floats = intercept.astype(np.float32)

    def _proba(self, Z: Floats) -> Probabilities:
        logits = Z @ self._coefficients.T + self._intercept
        return softmax(logits.astype(np.float64), axis=1)

    def _state(self) -> Arrays:
        return {"coefficients": self._coefficients, "intercept": self._intercept}

    def _restore(self, state: Arrays) -> None:
        self._coefficients, self._intercept = state["coefficients"], state["intercept"]
