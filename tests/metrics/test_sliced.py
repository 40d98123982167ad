import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from bloomdiff.errors import InputError
from bloomdiff.metrics.bootstrap import bootstrap_counts, resampled_means
from bloomdiff.metrics.sliced import _with_influences, sliced_wasserstein


@pytest.mark.parametrize(("n", "m", "d"), [(50, 80, 3), (200, 200, 384), (1, 5, 2)])
def test_agrees_with_scipy_on_the_same_directions(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(n)
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 1.3 + 0.2
    directions = np.random.default_rng(7).standard_normal((d, 16))
    directions /= np.linalg.norm(directions, axis=0)
    expected = np.mean([wasserstein_distance(X @ u, Y @ u) for u in directions.T])
    assert sliced_wasserstein(X, Y, seed=7, n_directions=16) == pytest.approx(expected, rel=1e-9)


def test_identical_sets_and_a_shift() -> None:
    X = np.random.default_rng(0).normal(size=(60, 1))
    assert sliced_wasserstein(X, X[::-1], seed=0) == pytest.approx(0, abs=1e-12)
    assert sliced_wasserstein(X, X + 3, seed=0) == pytest.approx(3)
    with pytest.raises(InputError, match="synthetic row 0: is not finite"):
        sliced_wasserstein(X, np.array([[np.nan]]), seed=0)


def test_first_order_draws_spread_as_true_resamples_do() -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(300, 4)), rng.normal(size=(200, 4)) * 1.5 + 0.7
    value, of_x, of_y = _with_influences(X, Y, np.random.default_rng(2), 32)
    counts = [bootstrap_counts(len(P), 300, rng) for P in (X, Y)]
    draws = value + resampled_means(of_x, counts[0]) + resampled_means(of_y, counts[1])
    true = []
    for b in range(60):
        rows = [np.repeat(np.arange(len(c)), c[:, b].astype(int)) for c in counts]
        true.append(sliced_wasserstein(X[rows[0]], Y[rows[1]], seed=2, n_directions=32))
    assert draws.std() == pytest.approx(np.std(true), rel=0.3)
    assert np.corrcoef(draws[:60], true)[0, 1] > 0.95
