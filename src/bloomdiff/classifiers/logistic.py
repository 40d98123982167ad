"""Multinomial logistic regression: the linear probe."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field
from scipy.special import softmax

from bloomdiff.classifiers.base import (
    CLASSIFIERS,
    Arrays,
    Classifier,
    ClassifierParams,
    Indices,
    Probabilities,
)
from bloomdiff.data.embedding_set import Floats


class LogisticParams(ClassifierParams):
    """Hyper-parameters of `LogisticRegression`."""

    C: float = Field(10.0, gt=0, description="strength of the mean loss against the L2 penalty")
    max_iter: int = Field(500, ge=1, description="L-BFGS iterations")


@CLASSIFIERS.register("logistic")
class LogisticRegression(Classifier):
    """Softmax regression with an L2 penalty, by scikit-learn's L-BFGS in float32.

    It minimises `C` times the weighted *mean* loss plus half the squared norm. scikit-learn's own
    `C` multiplies the sum, so that adding synthetic rows would weaken the penalty, and a curve
    over ratios would mix what the rows say with how strongly the model is regularised.
    """

    name = "logistic"
    Params = LogisticParams
    params: LogisticParams

    def _fit(self, Z: Floats, y: Indices, weight: Floats, n_classes: int) -> None:
        from sklearn.linear_model import LogisticRegression as SkLogisticRegression

        C = self.params.C / len(Z)
        model = SkLogisticRegression(C=C, tol=1e-4, max_iter=self.params.max_iter)
        model.fit(Z, y, sample_weight=weight)
        coefficients, intercept = model.coef_, model.intercept_
        if n_classes == 2:  # scikit-learn keeps one row for two classes: the second's log-odds
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

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """`C` from 0.1 to 10,000, logarithmically."""
        return {"C": trial.suggest_float("C", 0.1, 1e4, log=True)}
