"""Multinomial logistic regression: the linear probe."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from bloomdiff.classifiers.balance import BalancedParams
from bloomdiff.classifiers.base import CLASSIFIERS, Indices
from bloomdiff.classifiers.linear import LinearClassifier
from bloomdiff.data.embedding_set import Floats


class LogisticParams(BalancedParams):
    """Hyper-parameters of `LogisticRegression`."""

    C: float = Field(10.0, gt=0, description="strength of the mean loss against the L2 penalty")
    max_iter: int = Field(500, ge=1, description="L-BFGS iterations")


@CLASSIFIERS.register("logistic")
class LogisticRegression(LinearClassifier):
    """Softmax regression with an L2 penalty, by scikit-learn's L-BFGS in float32.

    It minimises `C` times the weighted *mean* loss plus half the squared norm. scikit-learn's own
    `C` multiplies the sum, so that adding synthetic rows would weaken the penalty, and a curve
    over ratios would mix what the rows say with how strongly the model is regularised.
    """

    name = "logistic"
    Params = LogisticParams
    params: LogisticParams

    def _fit(
        self, Z: Floats, y: Indices, weight: Floats, n_classes: int, pool: Floats | None
    ) -> None:
        from sklearn.linear_model import LogisticRegression as SkLogisticRegression

        params = self.params
        model = SkLogisticRegression(C=params.C / len(Z), tol=1e-4, max_iter=params.max_iter)
        model.fit(Z, y, sample_weight=params.loss_weight(weight))
        self._keep(model.coef_, model.intercept_)
        self._intercept += params.logit_shift(y, n_classes)

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """`C` from 0.1 to 10,000, logarithmically."""
        return {"C": trial.suggest_float("C", 0.1, 1e4, log=True)}
