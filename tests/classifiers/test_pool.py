"""Checks of every classifier that is handed an unlabelled pool, and of those that learn from it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.semi_supervised import SelfTrainingClassifier

from bloomdiff.classifiers import CLASSIFIERS, label_spreading, load_classifier, make_classifier
from bloomdiff.classifiers.projection import principal_axes
from bloomdiff.classifiers.self_training import _most_certain
from bloomdiff.errors import InputError, LeakageError

LEARNERS = [name for name in CLASSIFIERS if CLASSIFIERS[name].uses_pool]
FAST = {"mlp": {"steps": 20}, "gradient-boosting": {"iterations": 2}}
OPTIONS = [
    ("self-training", {"selection": "threshold"}),
    ("self-training", {"selection": "k-best"}),
    ("self-training", {"selection": "curriculum"}),
    ("self-training", {"n_components": None}),
    ("label-spreading", {"kernel": "rbf"}),
    ("label-spreading", {"kernel": "knn", "n_neighbors": 20, "alpha": 0.95}),
    ("label-spreading", {"metric": "euclidean"}),
    ("diffusion", {}),
    ("diffusion", {"shrinkage": 0.5, "pool_trust": 1.0}),
]


@pytest.fixture(scope="module")
def parts(digits):
    """Three cells a class, a pool with groups of its own, and test cells."""
    train, test = digits
    label = train.label
    shots = np.concatenate([np.flatnonzero(label == name)[:3] for name in np.unique(label)])
    pool = train.take(np.setdiff1d(np.arange(len(train)), shots))
    return train.take(shots), replace(pool, rows=pool.rows.assign(group="pool")), test


@pytest.fixture(scope="module")
def clusters(digits):
    """Five round clusters in 20 dimensions: one labelled row of each says little alone."""
    X, y = make_blobs(1000, 20, centers=5, cluster_std=5.5, random_state=0)
    label = np.array([f"cluster {k}" for k in y])
    _, first = np.unique(label, return_index=True)
    part = np.full(len(y), "pool", dtype=object)
    part[500:], part[first] = "test", "labelled"
    kind = type(digits[0])
    table = {"cell_id": np.arange(len(y)).astype(str), "label": label, "group": part}
    cells = kind(X.astype(np.float32), pd.DataFrame(table).astype(object))
    return tuple(cells.take(part == name) for name in ("labelled", "pool", "test"))


def fit(name, parts, params=None, **more):
    few, pool, _ = parts
    model = make_classifier(name, FAST.get(name, params))
    return model.fit(few.X, few.label, fingerprint=few.fingerprint, **{"pool": pool, **more})


def macro_f1(model, test):
    return f1_score(test.label, model.predict(test.X), average="macro")


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_the_pools_groups_join_the_fingerprint(name, parts):
    few, pool, test = parts
    model = fit(name, parts)
    assert model.fingerprint == few.fingerprint | pool.fingerprint
    with pytest.raises(LeakageError, match="pool"):
        model.predict_on(replace(test, rows=test.rows.assign(group="pool")))


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_the_pools_labels_are_not_looked_at(name, parts):
    _, pool, test = parts
    blank = replace(pool, rows=pool.rows.assign(label=""))
    here, there = fit(name, parts), fit(name, parts, pool=blank)
    np.testing.assert_array_equal(here.predict_proba(test.X), there.predict_proba(test.X))


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_only_those_that_say_so_learn_from_the_pool(name, parts):
    test = parts[2]
    same = np.array_equal(
        fit(name, parts).predict_proba(test.X), fit(name, parts, pool=None).predict_proba(test.X)
    )
    assert same == (name not in LEARNERS)


@pytest.mark.parametrize(("name", "params"), OPTIONS)
def test_the_pool_helps_where_classes_are_clusters(name, params, clusters):
    alone = macro_f1(fit("logistic", clusters), clusters[2])
    assert alone < 0.8
    assert macro_f1(fit(name, clusters, params), clusters[2]) > alone + 0.1


@pytest.mark.parametrize(("name", "params"), OPTIONS)
def test_saved_and_loaded_it_says_the_same(name, params, parts, tmp_path):
    test = parts[2]
    model = fit(name, parts, params)
    model.save(tmp_path / "model")
    loaded = load_classifier(tmp_path / "model")
    assert loaded.fingerprint == model.fingerprint
    np.testing.assert_array_equal(loaded.predict_proba(test.X), model.predict_proba(test.X))


@pytest.mark.parametrize("name", LEARNERS)
def test_pool_rows_that_do_not_fit_are_told(name, parts):
    _, pool, _ = parts
    broken = pool.X.copy()
    broken[3, 1] = np.inf
    with pytest.raises(InputError, match="pool row 3"):
        fit(name, parts, pool=replace(pool, X=broken))
    with pytest.raises(ValueError, match="pool rows 5"):
        fit(name, parts, pool=replace(pool, X=pool.X[:, :5].copy()))


@pytest.mark.parametrize("name", LEARNERS)
def test_an_empty_pool_is_none(name, parts):
    _, pool, test = parts
    empty, none = fit(name, parts, pool=pool.take([])), fit(name, parts, pool=None)
    np.testing.assert_array_equal(empty.predict_proba(test.X), none.predict_proba(test.X))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_pool_of_one_and_two_classes(name, parts):
    few, pool, test = parts
    pair = ["digit 0", "digit 1"]
    few, test = (part.take(np.isin(part.label, pair)) for part in (few, test))
    model = fit(name, (few, pool.take([0]), test))
    assert (model.predict(test.X) == test.label).mean() > 0.8


@pytest.mark.parametrize("selection", ["threshold", "k-best"])
def test_self_training_is_scikit_learns(parts, selection):
    """In all components: a rotation, which the penalty does not see."""
    few, pool, test = parts
    params = {"selection": selection, "threshold": 0.8, "k_best": 30, "n_components": None}
    ours = fit("self-training", parts, {**params, "C": 3.0})
    y = np.concatenate([[int(label[-1]) for label in few.label], np.full(len(pool), -1)])
    oracle = SelfTrainingClassifier(
        LogisticRegression(C=3.0 / len(few), class_weight="balanced", max_iter=2000, tol=1e-6),
        criterion=selection.replace("-", "_"),
        threshold=0.8,
        k_best=30,
        max_iter=10,
    ).fit(ours._standardise(np.concatenate([few.X, pool.X])), y)
    theirs = oracle.predict(ours._standardise(test.X))
    assert (ours.predict(test.X) == [f"digit {k}" for k in theirs]).mean() > 0.98
    assert (fit("logistic", parts).predict(test.X) == ours.predict(test.X)).mean() < 0.98


def test_without_a_pool_self_training_is_logistic_regression(parts):
    test = parts[2]
    ours, plain = fit("self-training", parts, pool=None), fit("logistic", parts, pool=None)
    np.testing.assert_allclose(
        ours.predict_proba(test.X), plain.predict_proba(test.X), rtol=0, atol=1e-4
    )


def test_the_curriculum_takes_a_share_of_each_class():
    guess = np.array([0] * 10 + [1] * 3)
    certainty = np.concatenate([np.linspace(0.9, 1.0, 10), [0.5, 0.4, 0.6]])
    assert _most_certain(guess, certainty, 0.3).tolist() == [7, 8, 9, 12]
    assert _most_certain(guess, certainty, 1.0).tolist() == list(range(13))


def test_label_spreading_reaches_the_closed_form(parts):
    """F = (I - alpha S)^-1 Y with S the normalised kernel without its diagonal (Zhou et al.)."""
    few, pool, test = parts
    alpha, gamma = 0.9, 20.0
    params = {"alpha": alpha, "gamma": gamma, "max_iter": 2000}
    model = fit("label-spreading", parts, params)
    nodes = model._place(model._standardise(np.concatenate([few.X, pool.X])))
    W = rbf_kernel(nodes, gamma=gamma)
    np.fill_diagonal(W, 0)
    root = np.sqrt(W.sum(axis=0))
    Y = np.zeros((len(nodes), 10))
    Y[np.arange(len(few)), [int(label[-1]) for label in few.label]] = 1
    F = np.linalg.solve(np.eye(len(nodes)) - alpha * W / np.outer(root, root), Y)
    votes = rbf_kernel(model._place(model._standardise(test.X)), nodes, gamma=gamma) @ (
        F / F.sum(axis=1, keepdims=True)
    )
    proba = votes / votes.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(test.X), proba, atol=5e-3)
    other = fit("label-spreading", parts, {**params, "alpha": 0.1})
    assert np.abs(other.predict_proba(test.X) - proba).max() > 0.05


def test_rows_are_judged_a_part_at_a_time(parts, monkeypatch):
    model = fit("label-spreading", parts, {})
    whole = model.predict_proba(parts[2].X)
    monkeypatch.setattr(label_spreading, "WEIGHTS", 7 * len(model._fitted.X_))
    np.testing.assert_allclose(model.predict_proba(parts[2].X), whole, atol=1e-12)
    assert model.predict_proba(parts[2].X[:0]).shape == (0, whole.shape[1])


def test_votes_weigh_as_their_class_does(parts):
    """Doubling every row of one class leaves what is said of it nearly as it was."""
    few, pool, test = parts
    zero = np.flatnonzero(few.label == "digit 0")
    doubled = few.take(np.concatenate([np.arange(len(few)), np.repeat(zero, 3)]))
    params = {"alpha": 0.01, "n_components": None}
    here, there = (
        fit("label-spreading", (labelled, pool, test), params, pool=None).predict_proba(test.X)
        for labelled in (few, doubled)
    )
    assert np.abs(here[:, 0] - there[:, 0]).mean() < 0.05


@pytest.mark.filterwarnings("error")
def test_a_row_that_no_kernel_reaches_could_be_of_any_class(parts):
    model = fit("label-spreading", parts, {"metric": "euclidean", "gamma": 100.0})
    far = np.full((1, 64), 1e4, dtype=np.float32)
    np.testing.assert_allclose(model.predict_proba(far), 0.1)


@pytest.mark.parametrize("params", [{"kernel": "knn"}, {"metric": "euclidean", "gamma": 1000.0}])
def test_a_pool_row_that_no_label_reaches_could_be_of_any_class(digits, params):
    rng = np.random.default_rng(0)
    table = {
        "cell_id": np.arange(140).astype(str),
        "label": list("a" * 90 + "b" * 9 + "c" + "?" * 40),
    }
    X = np.concatenate([rng.normal(size=(100, 2)), rng.normal(30, 0.1, size=(40, 2))])
    cells = type(digits[0])(
        X.astype(np.float32), pd.DataFrame(table | {"group": "g"}).astype(object)
    )
    few, pool = cells.take(range(100)), cells.take(range(100, 140))
    model = fit("label-spreading", (few, pool, None), params)
    np.testing.assert_allclose(model.predict_proba(pool.X), 1 / 3)


def test_axes_are_those_that_rows_span() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 30)).astype(np.float32)
    assert principal_axes(rows, None).shape == (4, 30)
    assert principal_axes(np.repeat(rows, 3, axis=0), 10).shape == (4, 30)
    assert principal_axes(rows, 2).shape == (2, 30)
    assert principal_axes(np.ones((4, 30), np.float32), None).shape == (1, 30)
    other = principal_axes(rows[::-1], None)
    # The same space, whatever the order of the rows.
    np.testing.assert_allclose(other.T @ other, (a := principal_axes(rows, None)).T @ a, atol=1e-5)
