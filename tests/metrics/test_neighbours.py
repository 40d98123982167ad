import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from bloomdiff.metrics import blocks, neighbours
from bloomdiff.metrics.blocks import Block, scan
from bloomdiff.metrics.neighbours import nearest, nearest_elsewhere


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 40),
    m=st.integers(7, 60),
    d=st.integers(1, 30),
    seed=st.integers(0, 10_000),
    offset=st.sampled_from([0.0, 1e3]),
)
def test_neighbours_agree_with_scikit_learn(
    n: int, m: int, d: int, seed: int, offset: float
) -> None:
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, d)) + offset, rng.normal(size=(m, d)) + offset
    oracle = NearestNeighbors(algorithm="kd_tree").fit(Y)
    distance, index = nearest(X, Y, k=5)
    expected, expected_index = oracle.kneighbors(X, n_neighbors=5)
    np.testing.assert_allclose(distance, expected, rtol=1e-9, atol=1e-12)
    assert (index == expected_index).all()
    distance, _ = nearest(Y, Y, k=5, same=True)
    np.testing.assert_allclose(distance, oracle.kneighbors(n_neighbors=5)[0], rtol=1e-9)


def test_copies_have_distance_zero_exactly() -> None:
    X = np.random.default_rng(0).normal(size=(50, 100)) * 7 + 1000
    distance, index = nearest(X[::2], X)
    assert (distance == 0).all()
    assert (index[:, 0] == np.arange(0, 50, 2)).all()
    twins = np.repeat(X, 2, axis=0)
    assert (nearest(twins, twins, same=True)[0] == 0).all()


def test_too_few_neighbours_are_infinitely_far() -> None:
    distance, index = nearest(np.zeros((2, 3)), np.ones((1, 3)), k=3)
    np.testing.assert_allclose(distance, [[3**0.5, np.inf, np.inf]] * 2)
    assert index.tolist() == [[0, -1, -1]] * 2
    alone, _ = nearest(np.zeros((1, 3)), np.zeros((1, 3)), same=True)
    assert np.isinf(alone).all()


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(1).normal(size=(97, 12))
    whole = nearest(X, X, k=4, same=True)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 4 * 97 * 10)
    monkeypatch.setattr(blocks, "_PAIR_BYTES", 8 * 12 * 7)
    parts = nearest(X, X, k=4, same=True)
    assert (whole[0] == parts[0]).all()
    assert (whole[1] == parts[1]).all()


@pytest.mark.parametrize("pairs", [0, 1 << 22])
def test_the_stated_rounding_error_holds(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    """The bound that the exact answers rest on, in high dimension and with an outlier."""
    monkeypatch.setattr(blocks, "_FLOAT64_PAIRS", pairs)
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(60, 1536)), rng.normal(size=(80, 1536)) * 2
    Y[0] *= 50
    truth = ((X[:, None] - Y[None]) ** 2).sum(axis=2)
    seen = []

    class Keep:
        def see(self, block: Block) -> None:
            assert block.d2.dtype == (np.float64 if pairs else np.float32)
            seen.append(np.abs(block.d2 - truth[block.start : block.stop]) / block.error)

    scan(X, Y, [Keep()])
    assert np.concatenate(seen).max() < 0.5


def test_float32_blocks_give_exact_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty points closer together than float32 can tell, beside one far away."""
    monkeypatch.setattr(blocks, "_FLOAT64_PAIRS", 0)
    X = 1e-3 * np.random.default_rng(3).normal(size=(40, 6))
    X[0] = 500
    expected = NearestNeighbors(algorithm="kd_tree").fit(X).kneighbors(n_neighbors=5)
    distance, index = nearest(X, X, k=5, same=True)
    np.testing.assert_allclose(distance, expected[0], rtol=1e-9)
    assert (index == expected[1]).all()


def test_neighbours_elsewhere_are_those_among_the_other_groups() -> None:
    rng = np.random.default_rng(4)
    X, groups = rng.normal(size=(60, 5)), rng.choice(list("abc"), size=60)
    Y, others = rng.normal(size=(40, 5)), rng.choice(list("abd"), size=40)
    far = ((X[:, None] - Y[None]) ** 2).sum(axis=2) ** 0.5
    far[groups[:, None] == others[None]] = np.inf
    distance, index = nearest_elsewhere(X, groups, Y, others, k=3)
    assert (index == np.argsort(far, axis=1)[:, :3]).all()
    np.testing.assert_allclose(distance, np.sort(far, axis=1)[:, :3])
    distance, index = nearest_elsewhere(
        X[:2], np.array(["a", "b"]), X[:2], np.array(["a", "b"]), k=2
    )
    assert index.tolist() == [[1, -1], [0, -1]]
    assert np.isinf(distance[:, 1]).all()


def test_of_groups_that_have_no_other_nothing_is_near() -> None:
    X, groups = np.random.default_rng(6).normal(size=(7, 3)), np.array(list("aaaaabb"))
    distance, index = nearest_elsewhere(X, groups, X[:5], groups[:5], k=2)
    assert (index[:5] == -1).all()
    assert np.isinf(distance[:5]).all()
    assert (index[5:] >= 0).all()
    assert (nearest_elsewhere(X[:5], groups[:5], X[:5], groups[:5])[1] == -1).all()


def test_many_groups_are_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    scans = []
    monkeypatch.setattr(neighbours, "scan", lambda *a, **k: scans.append(1) or scan(*a, **k))
    X = np.random.default_rng(7).normal(size=(2100, 3))  # blocks in single precision
    groups = (np.arange(2100) // 2).astype(str)
    distance, index = nearest_elsewhere(X, groups, X, groups)
    assert scans == [1]
    far = ((X[:, None] - X[None]) ** 2).sum(axis=2) ** 0.5
    far[groups[:, None] == groups[None]] = np.inf
    assert (index[:, 0] == far.argmin(axis=1)).all()
    np.testing.assert_allclose(distance[:, 0], far.min(axis=1))


def test_where_each_point_is_a_group_it_alone_is_left_out() -> None:
    X = np.random.default_rng(5).normal(size=(50, 4))
    names = np.arange(50).astype(str)
    for one, other in zip(
        nearest_elsewhere(X, names, X, names, k=4), nearest(X, X, k=4, same=True), strict=True
    ):
        assert (one == other).all()
