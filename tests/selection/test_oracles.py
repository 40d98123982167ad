"""Our strategies beside scikit-activeml's on the same rows and the same probabilities."""

import numpy as np
import pytest

from bloomdiff.selection.base import Situation, make_strategy

pool = pytest.importorskip("skactiveml.pool")
classifier = pytest.importorskip("skactiveml.classifier")

CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def world():
    """Pool and labelled rows, the joint table for the oracle, and the classifier of both."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    X = rng.normal(size=(90, 8)).astype(np.float32)
    X[:30, 0] += 2
    X[30:60, 1] += 2
    y = np.full(90, np.nan)
    labelled = np.asarray([0, 5, 31, 44, 61, 70])
    y[labelled] = [0, 0, 1, 1, 2, 2]
    free = np.flatnonzero(np.isnan(y))
    model = classifier.SklearnClassifier(LogisticRegression(), classes=[0, 1, 2]).fit(X, y)
    proba = model.predict_proba(X[free])
    situation = Situation(
        X[free],
        X[labelled],
        y[labelled].astype(np.intp),
        CLASSES,
        0,
        np.empty((0, 8), dtype=np.float32),
        proba,
    )
    return situation, X, y, free, model


def ours(situation, name, n, **params):
    return make_strategy(name, params).rank(situation, n)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("least-confidence", "least_confident"),
        ("margin", "margin_sampling"),
        ("entropy", "entropy"),
    ],
)
def test_uncertainty_scores_and_ranks(world, name, method):
    situation, X, y, free, model = world
    oracle = pool.UncertaintySampling(method=method, random_state=0)
    _, utility = oracle.query(X, y, model, fit_clf=False, batch_size=1, return_utilities=True)
    ranking = ours(situation, name, len(free))
    np.testing.assert_allclose(ranking.parts["score"], utility[0][free][ranking.index], rtol=1e-6)
    assert (np.diff(ranking.parts["score"]) <= 0).all()


def test_bald_scores(world):
    from skactiveml.pool._query_by_committee import average_kl_divergence

    from bloomdiff.selection.strategies.uncertainty import bald

    proba = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 30))
    # The mean divergence from the consensus is the mutual information.
    np.testing.assert_allclose(bald(proba), average_kl_divergence(proba), rtol=1e-5)


def test_bald_ranks_by_its_ensemble(world):
    from bloomdiff.selection.strategies.uncertainty import bald, resampled

    situation = Situation(**{**vars_of(world[0]), "given": None})
    ranking = ours(situation, "bald", 20, members=3)
    rng = np.random.default_rng(0)
    members = [situation.probe(resampled(situation.y, rng), 0) for _ in range(3)]
    np.testing.assert_allclose(
        ranking.parts["score"], np.sort(bald(np.stack(members)))[::-1][:20], rtol=1e-9, atol=1e-12
    )


def vars_of(situation):
    names = ("X", "X_labelled", "y", "classes", "seed", "X_pending", "given")
    return {name: getattr(situation, name) for name in names}


def test_k_center_ranks(world):
    situation, X, y, free, _ = world
    index = pool.CoreSet(random_state=0).query(X, y, batch_size=15)
    assert free[ours(situation, "k-center", 15).index].tolist() == list(index)


def test_typiclust_picks_one_of_each_cluster_like_the_oracle():
    X = np.random.default_rng(1).normal(size=(120, 4)).astype(np.float32)
    none = np.empty((0, 4), dtype=np.float32)
    situation = Situation(X, none, np.empty(0, dtype=np.intp), (), 5, none)
    options = {"n_init": 1, "random_state": 5}
    oracle = pool.TypiClust(k=20, cluster_algo_dict=options, random_state=0)
    index = oracle.query(X, np.full(120, np.nan), batch_size=9)
    ranking = ours(situation, "typiclust", 9, normalise=False, min_cluster=1)
    assert sorted(ranking.index.tolist()) == sorted(index.tolist())
    assert (np.diff(ranking.parts["cluster_size"]) <= 0).all()


def test_probcover_gains(world):
    situation, X, y, free, _ = world
    oracle = pool.ProbCover(n_classes=3, deltas=[2.5], random_state=0)
    _, utility = oracle.query(X, y, batch_size=1, return_utilities=True)
    ranking = ours(situation, "probcover", 12, radius=2.5, normalise=False)
    labelled = y.copy()
    for index, newly in zip(free[ranking.index], ranking.parts["score"], strict=True):
        # Ties are broken differently, so that each of our choices is shown to be a best one.
        _, utility = oracle.query(X, labelled, batch_size=1, return_utilities=True, update=True)
        assert utility[0][index] == np.nanmax(utility[0]) == newly or newly == 0
        labelled[index] = 0


def test_maxherding_ranks_and_gains(world):
    situation, X, y, free, _ = world
    oracle = pool.MaxHerding(metric="rbf", metric_dict={"gamma": 1.0}, random_state=0)
    index, utility = oracle.query(X, y, batch_size=15, return_utilities=True)
    ranking = ours(situation, "maxherding", 15)
    assert free[ranking.index].tolist() == index.tolist()
    gains = [utility[k][i] for k, i in enumerate(index)]
    np.testing.assert_allclose(ranking.parts["score"], gains, rtol=1e-4)


def test_badge_begins_alike_and_draws_from_the_same_distribution(world):
    situation, X, y, free, model = world
    oracle = pool.Badge(random_state=0)
    index, utility = oracle.query(X, y, model, fit_clf=False, batch_size=2, return_utilities=True)
    ranking = ours(situation, "badge", 2)
    assert free[ranking.index[0]] == index[0]
    from bloomdiff.selection.strategies.badge import residuals, squared_length

    error, first = residuals(situation.proba), ranking.index[0]
    length = squared_length(error, situation.X)
    d2 = length + length[first]
    d2 -= 2 * (error @ error[first]) * (situation.X @ situation.X[first])
    d2 = np.minimum(np.maximum(d2, 0), length)  # the oracle keeps the first step's lengths
    chance = utility[1][free]
    others = np.isfinite(chance)
    assert others.sum() == len(free) - 1
    np.testing.assert_allclose((d2 / d2.sum())[others], chance[others], atol=1e-3)
