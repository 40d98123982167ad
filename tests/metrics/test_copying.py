import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from bloomdiff.metrics.copying import copying_test
from bloomdiff.metrics.neighbours import nearest


def test_one_cell_is_the_mann_whitney_test_of_scipy() -> None:
    rng = np.random.default_rng(0)
    train, held_out = rng.normal(size=(300, 5)), rng.normal(size=(120, 5))
    synthetic = rng.normal(size=(150, 5)) * 1.1
    d_real, d_fake = (nearest(P, train)[0][:, 0] for P in (held_out, synthetic))
    p = mannwhitneyu(d_fake, d_real, use_continuity=False, method="asymptotic").pvalue
    z = copying_test(synthetic, train, held_out, seed=0, n_cells=1)
    from scipy.special import ndtr

    assert 2 * ndtr(-abs(z)) == pytest.approx(p, rel=1e-6)
    assert np.sign(z) == np.sign(np.median(d_fake) - np.median(d_real))


def test_copying_honesty_and_underfitting() -> None:
    rng = np.random.default_rng(1)
    train, held_out, honest = rng.normal(size=(3, 500, 6))
    blurred = train[rng.integers(500, size=500)] + 0.3 * rng.normal(size=(500, 6))
    assert copying_test(blurred, train, held_out, seed=0) < -3
    assert abs(copying_test(honest, train, held_out, seed=0)) < 3
    assert copying_test(honest * 2, train, held_out, seed=0) > 3


def test_copying_in_one_place_only_is_found_by_cells() -> None:
    """Half of space is copied, the other under-fitted: together they look honest."""
    rng = np.random.default_rng(2)
    offset = np.array([20.0, 0, 0, 0])
    train, held_out = (
        np.vstack([rng.normal(size=(400, 4)), rng.normal(size=(100, 4)) + offset]) for _ in range(2)
    )
    copied = train[:400] + 0.05 * rng.normal(size=(400, 4))
    wide = np.vstack([copied, rng.normal(size=(400, 4)) * 3 + offset])
    assert copying_test(wide, train, held_out, seed=0, n_cells=2) < -3


def test_too_few_rows_are_undefined() -> None:
    points = np.random.default_rng(3).normal(size=(30, 2))
    assert np.isnan(copying_test(points[:19], points, points, seed=0, n_cells=1))
