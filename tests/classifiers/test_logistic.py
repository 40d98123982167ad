"""Scikit-learn's solvers, run to convergence in double precision, as the oracle."""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from bloomdiff.classifiers import make_classifier


@pytest.mark.parametrize("C", [1e-3, 1e-2, 1.0])
@pytest.mark.parametrize("solver", ["newton-cg", "lbfgs"])
def test_agrees_with_a_converged_solution(digits, C, solver):
    train, test = digits
    ours = make_classifier("logistic", {"C": C * len(train)}).fit(
        train.X, train.label, fingerprint=train.fingerprint
    )
    Z, Z_test = ours._standardise(train.X), ours._standardise(test.X)
    oracle = LogisticRegression(
        C=C, solver=solver, class_weight="balanced", tol=1e-8, max_iter=10_000
    ).fit(Z.astype(np.float64), train.label)
    assert (ours.predict(test.X) == oracle.predict(Z_test)).mean() >= 0.99
    best = _loss(oracle.coef_, oracle.intercept_, Z, train.label, C)
    reached = _loss(ours._coefficients, ours._intercept, Z, train.label, C)
    assert best * (1 - 1e-6) <= reached <= best * 1.005


def _loss(coefficients, intercept, Z, label, C):
    """The balanced, penalised cross-entropy, written out."""
    names, y = np.unique(label, return_inverse=True)
    weight = len(y) / (len(names) * np.bincount(y))[y]
    logits = Z.astype(np.float64) @ coefficients.T.astype(np.float64) + intercept
    nll = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
    return C * (weight * nll).sum() + 0.5 * (coefficients.astype(np.float64) ** 2).sum()


def test_rows_repeated_change_nothing(digits):
    """The penalty weighs against the mean loss: more rows of the same are not more evidence."""
    train, test = digits
    once, twice = (
        make_classifier("logistic").fit(
            np.tile(train.X, (n, 1)), np.tile(train.label, n), fingerprint=train.fingerprint
        )
        for n in (1, 2)
    )
    np.testing.assert_allclose(once.predict_proba(test.X), twice.predict_proba(test.X), atol=5e-3)
