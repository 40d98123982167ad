import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from bloomdiff.selection import geometry
from bloomdiff.selection.geometry import (
    blocks,
    farthest_first,
    nearest,
    neighbour_distance,
    squared_distances,
    unit,
)


def cloud(n: int, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_distances_are_scipys():
    X, Y = cloud(40), cloud(30, seed=1)
    np.testing.assert_allclose(squared_distances(X, Y), cdist(X, Y, "sqeuclidean"), rtol=1e-4)


def test_nearest_is_scipys_in_blocks_of_any_size(monkeypatch):
    X, Y = cloud(57), cloud(13, seed=1)
    monkeypatch.setattr(geometry, "BLOCK_BYTES", 4 * 13 * 10)
    d2, at = nearest(X, Y)
    truth = cdist(X, Y, "sqeuclidean")
    assert (at == truth.argmin(axis=1)).all()
    np.testing.assert_allclose(d2, truth.min(axis=1), rtol=1e-4)


def test_nothing_is_infinitely_far_from_nothing():
    d2, _ = nearest(cloud(3), np.empty((0, 5), dtype=np.float32))
    assert np.isinf(d2).all()


@given(n=st.integers(0, 200), width=st.integers(0, 50_000_000))
def test_blocks_are_all_rows_once(n, width):
    rows = [i for part in blocks(n, width) for i in range(part.start, part.stop)]
    assert rows == list(range(n))


def test_neighbour_distance_leaves_the_row_itself_out():
    X = np.asarray([[0.0], [1.0], [3.0]], dtype=np.float32)
    np.testing.assert_allclose(neighbour_distance(X, 1), [1, 1, 2], atol=1e-5)
    np.testing.assert_allclose(neighbour_distance(X, 9), [2, 1.5, 2.5], atol=1e-5)
    assert neighbour_distance(X[:1], 3).tolist() == [0]


def test_unit_rows_have_length_one_and_zero_stays():
    X = np.asarray([[3, 4], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(unit(X), [[0.6, 0.8], [0, 0]])


def plain_farthest_first(X, covered, n, first):
    chosen = []
    while len(chosen) < n:
        centres = np.concatenate([covered, X[chosen]])
        if len(centres):
            d = cdist(X.astype(np.float64), centres.astype(np.float64)).min(axis=1)
            d[chosen] = -1
            chosen.append(int(d.argmax()))
        else:
            chosen.append(first)
    return chosen


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), working=st.sampled_from([2, 5, 64]), m=st.sampled_from([0, 3]))
def test_farthest_first_is_the_plain_algorithm_whatever_the_working_set(seed, working, m):
    X, covered = cloud(60, seed=seed), cloud(m, seed=seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "WORKING_SET", working)
        index, distance = farthest_first(X, covered, 20, first=3)
    assert index.tolist() == plain_farthest_first(X, covered, 20, 3)
    assert (np.diff(distance[1:]) <= 1e-3).all()


def test_farthest_first_takes_each_of_many_equal_rows_once():
    X = np.ones((8, 3), dtype=np.float32)
    index, _ = farthest_first(X, X[:0], 8, first=5)
    assert sorted(index.tolist()) == list(range(8))
    assert index[0] == 5
