"""A linear classifier of the training rows that samples are checked against and steered by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from bloomdiff.diffusion.whitening import Doubles, Floats, Index

STRENGTH = 10.0
"""Of the mean loss against the L2 penalty, on standardised rows."""


@dataclass(frozen=True)
class Judge:
    """Class-weighted logistic regression.

    Attributes
    ----------
    weight
        float64 `(d, c)`.
    bias
        float64 `(c,)`.
    """

    weight: Doubles
    bias: Doubles

    @classmethod
    def fit(cls, X: Floats, y: Index) -> Self:
        """Learn from rows `(n, d)` of classes `(n,)`, every class present."""
        from sklearn.linear_model import LogisticRegression

        n_classes = int(y.max()) + 1
        if n_classes == 1:
            return cls(np.zeros((X.shape[1], 1)), np.zeros(1))
        mean, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
        scale[scale == 0] = 1
        model = LogisticRegression(C=STRENGTH / len(X), class_weight="balanced", max_iter=500)
        model.fit((X - mean) / scale, y)
        weight, bias = model.coef_.T / scale[:, None], model.intercept_
        if n_classes == 2:  # scikit-learn gives the second class's logit only
            weight, bias = np.hstack([0 * weight, weight]), np.append(0, bias)
        return cls(weight, bias - mean @ weight)

    def scores(self, X: Floats) -> Doubles:
        """Log-odds of the classes up to a constant of each row, `(n, c)`."""
        return X @ self.weight + self.bias


def undisputed(scores: Doubles, index: int, at_least: int) -> Index:
    """Rows that are taken for class `index`, in their order; the surest where those are too few.

    Parameters
    ----------
    scores
        Log-likelihoods or log-odds of the classes, `(n, c)`.
    index
        The class that was asked for.
    at_least
        How many rows to keep however they are judged.
    """
    others = np.delete(scores, index, axis=1).max(axis=1, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        margin = scores[:, index] - others
    margin = np.nan_to_num(margin, nan=0.0)
    agreed = np.flatnonzero(margin >= 0)
    if len(agreed) >= at_least:
        return agreed
    return np.sort(np.argsort(-margin, kind="stable")[:at_least])
