import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.judge import Judge, undisputed
from bloomdiff.diffusion.model import ClassDiffusion


def cells(seed, n=(150, 60, 20), d=6, gap=1.5):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(n)), n)
    X = 3 * (rng.normal(size=(len(y), d)) + gap * np.eye(len(n), d)[y]) + 1
    return X.astype(np.float32), y


@pytest.mark.parametrize("n", [(150, 60, 20), (80, 20)])
def test_it_is_class_weighted_logistic_regression(n):
    X, y = cells(0, n)
    test, _ = cells(1, n)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    model = LogisticRegression(C=10 / len(X), class_weight="balanced", max_iter=500).fit(Z, y)
    log_odds = Judge.fit(X, y).scores(test)
    p = np.exp(log_odds) / np.exp(log_odds).sum(axis=1, keepdims=True)
    expected = model.predict_proba((test - X.mean(axis=0)) / X.std(axis=0))
    np.testing.assert_allclose(p, expected, atol=1e-3)


def test_one_class_is_never_disputed():
    X, y = cells(0, (12,))
    scores = Judge.fit(X, y).scores(X)
    assert undisputed(scores, 0, 3).tolist() == list(range(12))


def test_undisputed_rows_keep_their_order():
    scores = np.asarray([[1.0, 0], [0, 1], [2, 0], [0, 3]])
    assert undisputed(scores, 0, 1).tolist() == [0, 2]
    # Too few: the surest of the disputed ones make up the number.
    assert undisputed(scores, 0, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["logistic", "prior"])
def test_what_the_filter_lets_through_is_undisputed(kind):
    X, y = cells(0)
    plain = ClassDiffusion(DiffusionConfig(n_steps=0)).fit(X, y, seed=0)
    sieved = ClassDiffusion(DiffusionConfig(n_steps=0, filter=kind)).fit(X, y, seed=0)
    judge = Judge.fit(X, y) if kind == "logistic" else plain.prior

    def agreed(model):
        rows = model.sample(2, 300, np.random.default_rng(0))
        return (judge.scores(rows).argmax(axis=1) == 2).mean()

    assert agreed(plain) < 0.95
    assert agreed(sieved) == 1
    few, many = (sieved.sample(2, n, np.random.default_rng(0)) for n in (10, 700))
    np.testing.assert_array_equal(few, many[:10])


def test_a_class_that_is_always_disputed_is_drawn_all_the_same():
    X, y = cells(0, gap=0)
    X[y == 2] = X[y == 1][:20]
    model = ClassDiffusion(DiffusionConfig(n_steps=0, filter="logistic")).fit(X, y, seed=0)
    assert model.sample(2, 500, np.random.default_rng(0)).shape == (500, 6)
