"""What every registered strategy must do, and what each one alone promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bloomdiff.errors import BloomDiffError, InputError, ParameterError
from bloomdiff.selection import STRATEGIES, Situation, make_strategy, select
from bloomdiff.selection.reasons import CODES
from bloomdiff.selection.strategies.density_entropy import mean_cosine
from bloomdiff.selection.strategies.herding import herd

NAMES = STRATEGIES.names()


def test_every_strategy_asked_for_is_there():
    assert NAMES == [
        "badge",
        "bald",
        "density-entropy",
        "entropy",
        "expected-gain",
        "herding",
        "k-center",
        "least-confidence",
        "margin",
        "maxherding",
        "probcover",
        "random",
        "tcm",
        "typiclust",
    ]


@pytest.fixture(scope="module", params=["cold", "one class", "warm"])
def labelled(request, blobs):
    _, y = blobs
    rows = {
        "cold": [],
        "one class": np.flatnonzero(y == "blast")[:3],
        "warm": np.concatenate([np.flatnonzero(y == c)[:3] for c in np.unique(y)]),
    }[request.param]
    return np.asarray(rows, dtype=np.intp)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name, labelled, blobs):
    X, y = blobs
    rest = np.setdiff1d(np.arange(len(X)), labelled)
    known = {"X_labelled": X[labelled], "y_labelled": y[labelled]}
    choice = select(X[rest], **known, strategy=name, n=25, seed=3)
    again = select(X[rest], **known, strategy=name, n=25, seed=3)
    assert len(set(choice.index.tolist())) == 25
    assert set(choice.index.tolist()) <= set(range(len(rest)))
    assert choice.index.tolist() == again.index.tolist()
    assert choice.reason == again.reason
    assert set(choice.code.tolist()) <= set(CODES)
    assert all(r.startswith(f"{c}: ") for r, c in zip(choice.reason, choice.code, strict=True))
    for part in choice.parts.values():
        assert part.shape == (25,)
        assert np.isfinite(part).all()
    assert (choice.predicted == "").all() == (len(np.unique(y[labelled])) < 2)


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_pool_can_be_ranked(name, blobs):
    X, y = blobs
    choice = select(X[20:60], X_labelled=X[:20], y_labelled=y[:20], strategy=name, n=40)
    assert sorted(choice.index.tolist()) == list(range(40))


@pytest.mark.parametrize("name", NAMES)
def test_equal_rows_and_a_pool_of_one_are_no_trouble(name):
    X = np.ones((6, 3), dtype=np.float32)
    assert sorted(select(X, strategy=name, n=6).index.tolist()) == list(range(6))
    assert select(X[:1], strategy=name, n=1).index.tolist() == [0]


@pytest.mark.parametrize("name", ["random", "badge", "typiclust", "k-center"])
def test_another_seed_is_another_order(name, blobs):
    X, _ = blobs
    orders = {tuple(select(X, strategy=name, n=20, seed=s).index.tolist()) for s in range(4)}
    assert len(orders) > 1


@pytest.mark.parametrize("name", ["k-center", "maxherding", "probcover", "expected-gain"])
def test_pending_cells_are_not_chosen_over_again(name, blobs):
    X, _ = blobs
    first = select(X, strategy=name, n=1).index[0]
    twin = np.concatenate([X, X[[first]]])
    then = select(twin, strategy=name, n=1, X_pending=X[[first]]).index[0]
    assert then not in (first, len(X))


def test_given_probabilities_take_the_place_of_the_probe(blobs):
    X, _ = blobs
    proba = np.tile([0.9, 0.1], (len(X), 1))
    proba[[7, 11]] = [[0.52, 0.48], [0.6, 0.4]]
    choice = select(X, strategy="margin", n=3, proba=proba, classes=["blast", "monocyte"])
    assert choice.index.tolist() == [7, 11, 0]
    assert choice.reason[0] == "disputed: blast 0.52, monocyte 0.48"
    assert choice.predicted.tolist() == ["blast"] * 3


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 100))
def test_the_mean_cosine_is_that_over_all_pairs(seed):
    X = np.random.default_rng(seed).normal(1, 1, size=(20, 4)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(mean_cosine(X), np.maximum((X @ X.T).mean(axis=1), 0), atol=1e-5)


def test_herding_is_the_greedy_mean():
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    index, distance = herd(X, 6)
    chosen: list[int] = []
    for _ in range(6):
        rest = [i for i in range(30) if i not in chosen]
        off = [np.linalg.norm(X[[*chosen, i]].mean(axis=0) - X.mean(axis=0)) for i in rest]
        chosen.append(rest[int(np.argmin(off))])
    assert index.tolist() == chosen
    assert distance[-1] == pytest.approx(min(off), rel=1e-4)


def test_herding_takes_turns_among_the_predicted_classes(blobs):
    X, y = blobs
    proba = (y[:, None] == np.unique(y)[None]) * 0.97 + 0.01
    choice = select(X, strategy="herding", n=9, proba=proba, classes=np.unique(y).tolist())
    assert np.unique(choice.predicted, return_counts=True)[1].tolist() == [3, 3, 3]


def test_tcm_turns_from_typical_to_disputed(blobs):
    X, y = blobs
    few = np.concatenate([np.flatnonzero(y == c)[:2] for c in np.unique(y)])
    many = np.concatenate([np.flatnonzero(y == c)[:3] for c in np.unique(y)])
    for rows, code in ((few, "typical"), (many, "disputed")):
        choice = select(X[60:], X_labelled=X[rows], y_labelled=y[rows], strategy="tcm", n=4)
        assert set(choice.code) == {code}


def test_density_entropy_without_density_is_entropy(blobs):
    X, y = blobs
    known = {"X_labelled": X[:20], "y_labelled": y[:20], "n": 30}
    plain = select(X[20:], strategy="entropy", **known)
    flat = select(X[20:], strategy="density-entropy", params={"beta": 0}, **known)
    assert flat.index.tolist() == plain.index.tolist()


@pytest.mark.parametrize("name", ["typiclust", "probcover", "maxherding", "expected-gain"])
def test_a_large_pool_is_sampled(name, blobs):
    X, _ = blobs
    limits = {
        "maxherding": {"max_candidates": 30, "max_reference": 20},
        "expected-gain": {"max_candidates": 30, "max_reference": 20},
    }.get(name, {"max_rows": 30})
    none = np.empty((0, X.shape[1]), dtype=np.float32)
    situation = Situation(X, none, np.empty(0, dtype=np.intp), (), 0, none)
    index = make_strategy(name, limits).rank(situation, 25).index
    assert len(set(index.tolist())) == 25
    assert index.max() >= 30


BAD = {
    "an empty pool": ({"X_pool": np.empty((0, 3)), "n": 1}, "the pool: holds no cell"),
    "too many": ({"n": 9}, "n 9: the pool has 8 cells; give a number from 1 to 8"),
    "none": ({"n": 0}, "n 0: the pool has 8 cells"),
    "an unknown strategy": ({"strategy": "margins"}, "did you mean 'margin'?"),
    "an unknown option": ({"strategy": "bald", "params": {"member": 3}}, "did you mean 'members'?"),
    "not finite": ({"X_pool": np.full((8, 3), np.nan)}, "pool row 0: is not finite"),
    "no probabilities": (
        {"proba": np.full((8, 2), 0.6), "classes": ["a", "b"]},
        "probabilities of pool row 0: are no distribution",
    ),
    "probabilities of other cells": (
        {"proba": np.full((7, 2), 0.5), "classes": ["a", "b"]},
        "proba: has shape (7, 2); give (8, 2)",
    ),
    "an empty label": (
        {"X_labelled": np.zeros((2, 3)), "y_labelled": ["a", ""]},
        "labelled row 1: has no label",
    ),
    "a label too few": ({"X_labelled": np.zeros((2, 3)), "y_labelled": ["a"]}, "has 1 labels"),
    "an unknown label": (
        {"X_labelled": np.zeros((1, 3)), "y_labelled": ["c"], "classes": ["a"]},
        "class 'c': is not among",
    ),
    "rows of another length": (
        {"X_labelled": np.zeros((1, 4)), "y_labelled": ["c"]},
        "the labelled rows: have shape (1, 4)",
    ),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_input_is_one_line(case):
    given_, line = BAD[case]
    good = {"X_pool": np.arange(24.0).reshape(8, 3), "n": 2, "strategy": "random"}
    with pytest.raises(BloomDiffError) as caught:
        select(**{**good, **given_})
    assert isinstance(caught.value, (InputError, ParameterError))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def several(y: np.ndarray, k: int) -> np.ndarray:
    return np.concatenate([np.flatnonzero(y == c)[:k] for c in np.unique(y)])


@pytest.mark.parametrize("params", [{}, {"hypotheses": "diffusion"}, {"unseen": 0.5}])
def test_expected_gain_turns_to_stakes_when_the_classes_are_found(params, blobs):
    X, y = blobs
    seen = set()
    for k in (1, 2, 4):
        rows = several(y, k)
        known = {"X_labelled": X[rows], "y_labelled": y[rows]}
        choice = select(X[60:], **known, strategy="expected-gain", n=10, params=params)
        seen |= set(choice.code)
        if k == 1 and "unseen" not in params:  # every class has one label: much is not found yet
            assert set(choice.code) <= {"typical", "new"}
        elif "unseen" not in params:
            assert set(choice.code) <= {"rare", "disputed"}
    assert "rare" in seen
    assert any(reason.startswith("rare: nearest labelled class (") for reason in choice.reason)


@pytest.mark.parametrize(
    ("labels", "share"), [("aabb", 0.0), ("aabc", 0.5), ("abc", 1.0), ("aaaab", 0.2)]
)
def test_good_and_turings_estimate(labels, share):
    from bloomdiff.selection.strategies.expected_gain import unseen_share

    names, y = np.unique(list(labels), return_inverse=True)
    rows = np.ones((len(y), 2), dtype=np.float32)
    situation = Situation(rows, rows, y, tuple(names), 0, rows[:0])
    assert unseen_share(situation) == pytest.approx(share)


def test_the_estimate_is_right_on_average():
    """Good's theorem: over draws, the share of singletons is the probability of an unseen class."""
    from bloomdiff.selection.strategies.expected_gain import unseen_share

    rng = np.random.default_rng(3)
    p = 0.6 ** np.arange(12) / (0.6 ** np.arange(12)).sum()
    told, truth = [], []
    for _ in range(2000):
        y = rng.choice(12, 15, p=p)
        names, index = np.unique(y, return_inverse=True)
        rows = np.ones((15, 2), dtype=np.float32)
        situation = Situation(rows, rows, index, tuple(map(str, names)), 0, rows[:0])
        told.append(unseen_share(situation))
        truth.append(1 - p[names].sum())
    assert np.mean(told) == pytest.approx(np.mean(truth), abs=0.01)


def test_expected_gain_prefers_the_costly_class(blobs):
    """Two pairs of classes are equally disputed; one pair is rare in the pool."""
    X, _ = blobs
    proba = np.tile([0.97, 0.01, 0.01, 0.01], (len(X), 1))
    proba[5] = [0.499, 0.499, 0.001, 0.001]
    proba[9] = [0.01, 0.02, 0.48, 0.49]
    known = {"proba": proba, "classes": list("abcd"), "params": {"gamma": 1e4}}
    assert select(X, strategy="expected-gain", n=1, **known).index.tolist() == [9]
    flat = {**known, "params": {"gamma": 1e4, "rarity": 0}}
    assert select(X, strategy="expected-gain", n=1, **flat).index.tolist() == [5]


def test_what_no_class_explains_is_new(blobs):
    X, y = blobs
    pool = np.concatenate([X[60:], X[:1] + 30])
    rows = several(y, 5)
    choice = select(
        pool,
        X_labelled=X[rows],
        y_labelled=y[rows],
        strategy="expected-gain",
        params={"unseen": 1.0, "gamma": 50},
        n=5,
    )
    at = choice.index.tolist().index(60)
    assert choice.code[at] == "new"
    assert choice.reason[at] == "new: less likely than 99 % of the pool under every labelled class"


def test_the_priors_view_is_a_gaussian_mixtures(blobs):
    from scipy.stats import multivariate_normal, spearmanr

    from bloomdiff.diffusion.prior import ClassPrior
    from bloomdiff.selection.strategies.expected_gain import prior_view

    X, y = blobs
    names, index = np.unique(y, return_inverse=True)
    none = np.empty((0, X.shape[1]), dtype=np.float32)
    situation = Situation(X, X, index, tuple(names), 0, none)
    _, odd = prior_view(situation, np.arange(len(X)))
    prior = ClassPrior.fit(X, index)
    Z, c = prior.whitening.whiten(X), prior.centres
    log = []
    for k, mean in enumerate(c.mean):
        U = c.directions
        inside = U.T @ np.diag(c.along[k] ** 2) @ U
        outside = c.across[k] ** 2 * (np.eye(6) - U.T @ U)
        log.append(multivariate_normal(mean, np.eye(6) + inside + outside).logpdf(Z))
    assert spearmanr(odd, -np.max(log, axis=0)).statistic == pytest.approx(1)


def test_of_a_large_pool_some_rows_are_looked_at_for_new_classes(blobs, monkeypatch):
    from bloomdiff.selection.strategies import expected_gain

    X, y = blobs
    rows = several(y, 5)
    known = {"X_labelled": X[rows], "y_labelled": y[rows], "strategy": "expected-gain", "n": 20}
    monkeypatch.setattr(expected_gain, "MOST_JUDGED", 10)
    choice = select(X, **known, params={"unseen": 1.0})
    assert 0 < np.count_nonzero(choice.parts["strangeness"]) <= 10
