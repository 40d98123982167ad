import numpy as np
import pytest
from vendi_score import vendi

from bloomdiff.metrics.bootstrap import bootstrap_counts, resampled_means
from bloomdiff.metrics.vendi import _with_influences, vendi_score


@pytest.mark.parametrize(("n", "d"), [(200, 10), (30, 384), (1, 5), (2, 3)])
def test_agrees_with_vendi_score(n: int, d: int) -> None:
    X = np.random.default_rng(n).normal(size=(n, d)) + 0.3
    assert vendi_score(X) == pytest.approx(vendi.score_dual(X), rel=1e-4)


def test_counts_different_points() -> None:
    assert vendi_score(np.ones((50, 4))) == pytest.approx(1)
    assert vendi_score(np.repeat(np.eye(6), 9, axis=0)) == pytest.approx(6)
    assert vendi_score(np.zeros((5, 3))) == 1


def test_points_at_the_origin_do_not_count() -> None:
    X = np.random.default_rng(1).normal(size=(50, 6))
    assert vendi_score(np.vstack([X, np.zeros((50, 6))])) == pytest.approx(vendi_score(X))


@pytest.mark.parametrize("zeros", [0, 150])
def test_first_order_draws_spread_as_true_resamples_do(zeros: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(400, 5)) - 0.5
    X[:zeros] = 0
    value, influence = _with_influences(X)
    counts = bootstrap_counts(400, 200, rng)
    draws = value + resampled_means(influence, counts)
    true = [vendi_score(X[np.repeat(np.arange(400), c.astype(int))]) for c in counts.T]
    assert draws.std() == pytest.approx(np.std(true), rel=0.2)
    assert np.corrcoef(draws, true)[0, 1] > 0.9
