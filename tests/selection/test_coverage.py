import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel

from bloomdiff.selection.coverage import greedy_cover, rbf


def cloud(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


def test_the_kernel_is_scikit_learns():
    X, Y = cloud(20), cloud(9, 1)
    np.testing.assert_allclose(rbf(X, Y, 0.3), rbf_kernel(X, Y, gamma=0.3), rtol=1e-4)


def plain(K, weight, covered, n):
    """Every gain anew at every step."""
    best, chosen = covered.copy(), []
    for _ in range(n):
        gain = np.maximum(K - best, 0) @ weight
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        best = np.maximum(best, K[chosen[-1]])
    return chosen


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), m=st.sampled_from([0, 4]))
def test_lazy_greedy_is_plain_greedy(seed, m):
    X, covered = cloud(70, seed), cloud(m, seed + 1)
    weight = np.random.default_rng(seed).random(70)
    index, gain = greedy_cover(X, X, weight, covered, 12, gamma=0.5)
    seen = rbf_kernel(X, covered, gamma=0.5).max(axis=1) if m else np.zeros(70)
    assert index.tolist() == plain(rbf_kernel(X, gamma=0.5), weight, seen, 12)
    assert (np.diff(gain) <= 1e-6).all()


def test_greedy_reaches_the_promised_share_of_the_best():
    X = cloud(12)
    K = rbf_kernel(X, gamma=1)
    best = max(K[list(s)].max(axis=0).mean() for s in itertools.combinations(range(12), 3))
    index, _ = greedy_cover(X, X, np.ones(12), X[:0], 3, gamma=1)
    assert K[index].max(axis=0).mean() >= (1 - 1 / np.e) * best


def test_all_rows_can_be_chosen():
    X = np.repeat(cloud(4), 3, axis=0)
    index, _ = greedy_cover(X, X, np.ones(12), X[:0], 12, gamma=1)
    assert sorted(index.tolist()) == list(range(12))
