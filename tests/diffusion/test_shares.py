import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.diffusion import shares
from bloomdiff.diffusion.pool import prior_with_pool
from bloomdiff.diffusion.shares import evened, own_shares
from bloomdiff.errors import ParameterError
from bloomdiff.generators import make_generator


def posteriors(share, n, seed, *, gap=3.0):
    """True class probabilities under equal frequencies of rows drawn with given ones."""
    rng = np.random.default_rng(seed)
    y = rng.choice(len(share), n, p=share)
    x = rng.normal(size=(n, len(share))) + gap * np.eye(len(share))[y]
    return softmax(gap * x, axis=1), y


def test_own_shares_are_the_likeliest(monkeypatch):
    """Beside the maximum of the mixture's likelihood, found by another method."""
    monkeypatch.setattr(shares, "ITERATIONS", 2000)
    p, _ = posteriors([0.8, 0.15, 0.05], 2000, 0, gap=1.5)

    def surprise(logit):
        return -np.log(p @ softmax(np.append(logit, 0.0))).sum()

    best = softmax(np.append(minimize(surprise, np.zeros(2), method="BFGS").x, 0.0))
    np.testing.assert_allclose(own_shares(p, 1.0).mean(axis=0), best, atol=1e-4)


def test_own_shares_are_about_the_true_ones():
    share = [0.85, 0.1, 0.04, 0.01]
    p, y = posteriors(share, 4000, 1)
    true = np.bincount(y, minlength=4) / len(y)
    assert np.abs(p.mean(axis=0) - true).max() > 0.02  # equal frequencies see more of the rare
    np.testing.assert_allclose(own_shares(p, 1.0).mean(axis=0), true, atol=0.005)


def test_equal_shares_change_nothing():
    p = np.repeat(np.array([[0.7, 0.2, 0.1]]), 3, axis=0)
    p = np.stack([np.roll(row, k) for k, row in enumerate(p)])
    np.testing.assert_allclose(own_shares(p, 1.0), p, atol=1e-12)


def test_no_power_is_equal_shares():
    p, _ = posteriors([0.9, 0.1], 50, 0)
    assert own_shares(p, 0.0) is p


@given(st.integers(1, 40), st.integers(1, 6), st.floats(0.001, 5.0), st.integers(0, 10_000))
def test_own_shares_are_probabilities(m, c, concentration, seed):
    p = np.random.default_rng(seed).dirichlet(np.full(c, concentration), m)
    q = own_shares(p, 1.0)
    assert q.shape == p.shape
    assert ((q >= 0) & np.isfinite(q)).all()
    np.testing.assert_allclose(q.sum(axis=1), 1)
    sure = np.isclose(p.max(axis=1), 1, atol=1e-12)  # of these no share makes anything else
    np.testing.assert_array_equal(q[sure].argmax(axis=1), p[sure].argmax(axis=1))


def dominated(seed, *, per_class=4, n=2000, share=0.9, d=20, gap=2.5):
    """Few labelled rows of four classes, and a pool of which one class is nearly everything."""
    rng = np.random.default_rng(seed)
    corners = gap * np.eye(4, d)

    def rows(y):
        return (rng.normal(size=(len(y), d)) + corners[y]).astype(np.float32)

    y = np.repeat(np.arange(4), per_class)
    often = [share, *[(1 - share) / 3] * 3]
    test = np.repeat(np.arange(4), 500)
    return rows(y), y, rows(rng.choice(4, n, p=often)), rows(test), test


def balanced_accuracy(prior, X, y):
    right = prior.posterior(X).argmax(axis=1) == y
    return np.mean([right[y == c].mean() for c in range(4)])


@pytest.mark.parametrize("trust", [0.1, 1.0])
def test_a_class_that_is_nearly_everything_does_not_outweigh_the_others(trust):
    found = {0.0: [], 1.0: []}
    for seed in range(4):
        X, y, pool, test, truth = dominated(seed)
        for power, scores in found.items():
            prior = prior_with_pool(X, y, pool, rounds=2, trust=trust, shares=power).prior
            scores.append(balanced_accuracy(prior, test, truth))
    equal, own = (np.mean(scores) for scores in found.values())
    assert own > equal + 0.1


def test_classifier_and_generator_hand_the_shares_on():
    X, y, pool, test, _ = dominated(0)
    names = np.array(list("abcd"))[y]
    rows = pd.DataFrame({"cell_id": [f"p{i}" for i in range(len(pool))], "label": "", "group": ""})
    rows["group"] = rows["cell_id"]
    cells = EmbeddingSet(pool, rows.astype(object), {"encoder": "test"})
    proba, drawn = [], []
    for power in (0.0, 1.0):
        values = {"pool_shares": power}
        empty = Fingerprint.empty()
        model = make_classifier("diffusion", values).fit(X, names, fingerprint=empty, pool=cells)
        proba.append(model.predict_proba(test))
        made = make_generator("diffusion", {**values, "n_steps": 0}, seed=0)
        made.fit(X, names, fingerprint=empty, X_unlabelled=pool)
        drawn.append(made.sample(["b"] * 8, seed=0))
        oracle = prior_with_pool(X, y, pool, rounds=2, trust=0.1, shares=power).prior
        agree = oracle.posterior(test).argmax(axis=1) == proba[-1].argmax(axis=1)
        assert agree.mean() > 0.99  # the classifier centres its rows: but for last bits
    assert np.abs(proba[0] - proba[1]).max() > 0.05
    assert np.abs(drawn[0] - drawn[1]).max() > 0.05


@pytest.mark.parametrize("power", [-0.1, 1.1])
@pytest.mark.parametrize("make", [make_classifier, make_generator])
def test_shares_beyond_all_or_none_are_told(make, power):
    with pytest.raises(ParameterError, match="pool_shares"):
        make("diffusion", {"pool_shares": power}, seed=0)


def test_shares_are_held_even():
    p = np.random.default_rng(0).dirichlet([0.1, 0.3, 2.0], 500)
    for own in (0.0, 0.5, 1.0):
        q = evened(p, own)
        np.testing.assert_allclose(q.sum(axis=1), 1)
        np.testing.assert_allclose(q.mean(axis=0), own * p.mean(axis=0) + (1 - own) / 3, atol=1e-6)
    np.testing.assert_allclose(evened(p, 1.0), p, atol=1e-9)
    sure = np.tile([1.0, 0.0, 0.0], (30, 1))  # even where a class seemed to be out of the question
    np.testing.assert_allclose(evened(sure, 0.0), 1 / 3)


def test_evened_rows_keep_their_order():
    """A class's factor is the same for all rows: who is likelier of it than another stays so."""
    p = np.random.default_rng(0).dirichlet([0.5, 0.5, 3.0], 200)
    q = evened(p, 0.0)
    odds = (q[:, 0] / q[:, 1]) / (p[:, 0] / p[:, 1])
    np.testing.assert_allclose(odds, odds[0], rtol=1e-6)
