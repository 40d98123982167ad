"""Logit adjustment against its formula, and against doing nothing."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from bloomdiff.classifiers import make_classifier
from bloomdiff.classifiers.balance import BalancedParams
from bloomdiff.data.fingerprint import Fingerprint

ADJUSTED = {"balance": "logit-adjustment"}
COUNTS = {"common": 4000, "rare": 200}
MEANS = {"common": 0.0, "rare": 2.0}


@pytest.fixture(scope="module")
def overlapping():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(MEANS[name], 1, (n, 1)) for name, n in COUNTS.items()])
    return X.astype(np.float32), np.repeat(list(COUNTS), list(COUNTS.values()))


def fit(name, rows, **params):
    X, y = rows
    return make_classifier(name, params).fit(X, y, fingerprint=Fingerprint.of(["a"]))


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_the_formula_on_top_of_an_unweighted_model(digits, tau):
    train, test = digits
    ours = make_classifier("logistic", {**ADJUSTED, "tau": tau, "C": 50.0}).fit(
        train.X, train.label, fingerprint=train.fingerprint
    )
    oracle = LogisticRegression(C=50.0 / len(train), tol=1e-8, max_iter=10_000).fit(
        ours._standardise(train.X).astype(np.float64), train.label
    )
    frequency = np.unique(train.label, return_counts=True)[1] / len(train)
    logits = oracle.decision_function(ours._standardise(test.X)) - tau * np.log(frequency)
    np.testing.assert_allclose(ours.predict_proba(test.X), softmax(logits, axis=1), atol=2e-2)


def test_synthetic_rows_count_among_the_frequencies(digits, synthetic):
    train, test = digits
    kwargs = {"fingerprint": train.fingerprint, "synthetic": synthetic}
    plain, ours = (
        make_classifier("logistic", {**ADJUSTED, "tau": tau}).fit(train.X, train.label, **kwargs)
        for tau in (0.0, 1.0)
    )
    labels = np.concatenate([train.label, synthetic.label])
    frequency = np.unique(labels, return_counts=True)[1] / len(labels)
    expected = plain.predict_proba(test.X) / frequency
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours.predict_proba(test.X), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "mlp"])
def test_the_posterior_under_equal_frequencies(name, overlapping):
    """Two normal distributions: the true balanced posterior is known."""
    grid = np.linspace(-1, 3, 9, dtype=np.float32)[:, None]
    likelihood = np.column_stack([norm.pdf(grid[:, 0], mean) for mean in MEANS.values()])
    truth = likelihood / likelihood.sum(axis=1, keepdims=True)
    params = {"logistic": {"C": 1e4}, "mlp": {"dropout": 0.0}}[name]
    adjusted = fit(name, overlapping, **ADJUSTED, **params).predict_proba(grid)
    untouched = fit(name, overlapping, **ADJUSTED, tau=0.0, **params).predict_proba(grid)
    assert np.abs(adjusted - truth).max() < 0.12
    assert np.abs(untouched - truth).max() > 0.4


def test_class_weights_shift_nothing():
    y = np.array([0, 0, 0, 1])
    assert (BalancedParams().logit_shift(y, 2) == 0).all()
    adjusted = BalancedParams(balance="logit-adjustment", tau=2.0)
    np.testing.assert_allclose(adjusted.logit_shift(y, 2), -2 * np.log([0.75, 0.25]), rtol=1e-6)
    weight = np.array([0.5, 2.0], dtype=np.float32)
    assert adjusted.loss_weight(weight).tolist() == [1, 1]
    assert BalancedParams().loss_weight(weight) is weight
