"""Discovery's parts beside oracles, and that it finds what others overlook."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from bloomdiff.selection import select
from bloomdiff.selection.geometry import farthest_first
from bloomdiff.selection.strategies.discovery import _moments, smoothed


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 100), k=st.integers(1, 40))
def test_a_smoothed_row_is_the_mean_of_its_neighbours(seed, k):
    Z = np.random.default_rng(seed).normal(size=(30, 4)).astype(np.float32)
    at = NearestNeighbors(n_neighbors=min(k, 30)).fit(Z).kneighbors(Z, return_distance=False)
    np.testing.assert_allclose(smoothed(Z, k), Z[at].mean(axis=1), rtol=1e-5, atol=1e-6)


def test_moments_of_parts_are_those_of_all_rows(monkeypatch):
    monkeypatch.setattr("bloomdiff.selection.strategies.discovery.CHUNK", 7)
    X = np.random.default_rng(0).normal(3, 2, size=(50, 5)).astype(np.float32)
    mean, scatter = _moments([X[:20], X[20:20], X[20:]])
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scatter, 50 * np.cov(X.T, bias=True), rtol=1e-4, atol=1e-3)


def test_without_labels_and_smoothing_it_is_farthest_first_in_principal_components():
    X = np.random.default_rng(1).normal(size=(80, 12)).astype(np.float32) * np.arange(1, 13)
    params = {"components": 3, "neighbours": 1}
    chosen = select(X.astype(np.float32), strategy="discovery", params=params, n=20).index
    Z = PCA(3).fit_transform(X).astype(np.float32)
    first = int((Z**2).sum(axis=1).argmin())
    expected, _ = farthest_first(Z, Z[:0], 20, first)
    assert chosen.tolist() == expected.tolist()


def test_units_of_the_scatter_within_the_labelled_classes():
    """A large scatter that all classes share is divided out once labels show it."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 6)).astype(np.float32)
    X[:, 0] *= 10  # says nothing about the classes
    y = np.repeat(["a", "b"], 200)
    X[:, 1] += np.where(y == "a", -4, 4)
    X[-6:, 1] = 40 + rng.normal(size=6)  # another class, that nobody has labelled
    labelled = np.r_[:40, 200:240]
    rest = np.setdiff1d(np.arange(400), labelled)
    told = {"X_labelled": X[labelled], "strategy": "discovery", "n": 1}
    params = {"components": 1, "neighbours": 1}
    blind = select(X[rest], y_labelled=y[labelled], params=params | {"scatter_from": 99}, **told)
    aware = select(X[rest], y_labelled=y[labelled], params=params, **told)
    assert rest[blind.index[0]] < 394
    assert rest[aware.index[0]] >= 394


@pytest.mark.parametrize("seed", range(5))
def test_a_small_class_among_oddities_is_found_before_others_find_it(seed):
    """Twelve of 600 cells are alike; in 60 directions of noise every cell is odd."""
    rng = np.random.default_rng(seed)
    X = rng.standard_t(3, size=(600, 60)).astype(np.float32)
    X[:294, :3] += (0, 12, 0)
    X[294:588, :3] -= (0, 12, 0)
    X[588:, :3] = rng.normal((14, 0, 0), size=(12, 3))

    def labels_until_found(strategy):
        index = select(X, strategy=strategy, n=200, seed=seed).index
        return next((i for i, row in enumerate(index, start=1) if row >= 588), 201)

    found = labels_until_found("discovery")
    assert found <= 15
    assert found < labels_until_found("k-center")


def test_labelled_cells_that_are_all_alike_give_no_units():
    X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    same = np.ones((12, 4), dtype=np.float32)
    choice = select(
        X, X_labelled=same, y_labelled=np.repeat(["a", "b"], 6), strategy="discovery", n=5
    )
    assert len(set(choice.index.tolist())) == 5
    assert choice.reason[0].startswith("distant: far from the labelled cells; the nearest is a ")
