import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bloomdiff.diffusion.whitening import Whitening, class_means, residual_covariance


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(5, 5))
    y = np.repeat([0, 1, 2], [300, 60, 10])
    return (10 * rng.normal(size=(3, 5))[y] + rng.normal(size=(370, 5)) @ mix), y, mix


def test_pooled_covariance_is_that_of_discriminant_analysis(rows):
    X, y, _ = rows
    lda = LinearDiscriminantAnalysis(store_covariance=True).fit(X, y)
    n, c = len(y), 3
    ours = residual_covariance(X, y, shrinkage=0.0)
    np.testing.assert_allclose(ours, lda.covariance_ * n / (n - c), rtol=1e-8)
    np.testing.assert_allclose(class_means(X, y, 3), lda.means_)


def test_shrinkage_is_that_of_ledoit_and_wolf(rows):
    X, y, _ = rows
    centred = X - class_means(X, y, 3)[y]
    expected = ledoit_wolf(centred, assume_centered=True)[0] * 370 / 367
    np.testing.assert_allclose(residual_covariance(X, y), expected, rtol=1e-3)


def test_a_weight_is_trust_not_a_number_of_rows(rows):
    """Means are those of rows seen so often, the covariance is that of the rows there are."""
    X, y, _ = rows
    weight = np.random.default_rng(1).integers(1, 4, len(y)).astype(float)
    twice = np.repeat(np.arange(len(y)), weight.astype(int))
    a, b = Whitening.fit(X, y, weight=weight), Whitening.fit(X[twice], y[twice])
    np.testing.assert_allclose(a.means, b.means)
    np.testing.assert_allclose(a.rows, b.rows)
    for trust in (1e-9, 0.1, 3.0):
        found = residual_covariance(X, y, weight=np.full(len(y), trust), shrinkage=0.0)
        np.testing.assert_allclose(found, residual_covariance(X, y, shrinkage=0.0), rtol=1e-9)


def test_a_weighted_class_has_the_covariance_that_numpy_gives_it(rows):
    X = rows[0][:300]
    weight = np.random.default_rng(1).uniform(0.1, 2, 300)
    found = residual_covariance(X, np.zeros(300, dtype=int), weight=weight, shrinkage=0.0)
    np.testing.assert_allclose(found, np.cov(X.T, aweights=weight), rtol=1e-9)


def test_residuals_are_white_and_unbiased_in_scale():
    """Twelve classes of two rows: without the correction the variance would be one half."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(4, 4))
    y = np.concatenate([np.zeros(4000, dtype=int), np.repeat(np.arange(1, 1001), 2)])
    X = 5 * rng.normal(size=(1001, 4))[y] + rng.normal(size=(len(y), 4)) @ mix
    whitening = Whitening.fit(X.astype(np.float32), y, shrinkage=0.0)
    Z = whitening.residuals(X.astype(np.float32), y)
    np.testing.assert_allclose(np.cov(Z[y == 0].T), np.eye(4), atol=0.12)
    assert Z[y > 0].var() == pytest.approx(1, abs=0.1)


def test_colour_undoes_whiten(rows):
    X, y, _ = rows
    whitening = Whitening.fit(X.astype(np.float32), y)
    back = whitening.colour(whitening.whiten(X[y == 1] - whitening.means[1]), 1)
    np.testing.assert_allclose(back, X[y == 1], rtol=1e-4, atol=1e-4)


def test_directions_without_spread_are_left_out():
    X = np.zeros((10, 3), dtype=np.float32)
    X[:, 1] = np.arange(10)
    whitening = Whitening.fit(X, np.zeros(10, dtype=np.intp), shrinkage=0.0)
    assert (whitening.scale > 0).tolist() == [True, False, False]
    assert np.isfinite(whitening.residuals(X, np.zeros(10, dtype=np.intp))).all()


def test_lone_rows_borrow_the_spread_about_the_overall_mean_but_no_direction():
    X = np.asarray([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]]) / np.sqrt(2)
    covariance = residual_covariance(X, np.asarray([0, 1, 2]), shrinkage=0.0)
    np.testing.assert_allclose(covariance, [[2, 0], [0, 2]], atol=1e-9)
    assert (residual_covariance(X[:1], np.asarray([0])) == 0).all()


@pytest.mark.parametrize(("pool", "weight"), [(8, 0.1), (40, 0.02), (5, 0.16)])
def test_many_rows_of_little_weight_show_the_spread_within_classes(pool, weight):
    """Fewer than two rows a class by their weights, but the class means lie 100 times as far."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(200), 1 + pool)
    X = 100 * rng.normal(size=(200, 4))[y] + rng.normal(size=(len(y), 4))
    each = np.where(np.arange(len(y)) < 200, 1.0, weight)
    found = np.diag(residual_covariance(X, y, weight=each))
    np.testing.assert_allclose(found, 1, atol=0.15)


def test_rows_of_next_to_no_weight_show_it_too():
    """Ten a class that weigh one together, or less."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(100), 10)
    X = 100 * rng.normal(size=(100, 3))[y] + rng.normal(size=(1000, 3))
    for weight in (0.1, 1e-9):
        found = residual_covariance(X, y, weight=np.full(1000, weight), shrinkage=0.0)
        np.testing.assert_allclose(found, residual_covariance(X, y, shrinkage=0.0), rtol=1e-9)


def test_a_label_beside_pool_rows_of_next_to_no_weight_is_a_lone_row():
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(50), 4)
    X = 100 * rng.normal(size=(50, 3))[y] + rng.normal(size=(200, 3))
    each = np.where(np.arange(200) < 50, 1.0, 0.01)
    alone = residual_covariance(X[:50], y[:50])
    np.testing.assert_allclose(residual_covariance(X, y, weight=each), alone, rtol=0.05, atol=50)


@pytest.mark.parametrize("labels", [1, 5])
def test_rows_beside_a_pool_are_white_whatever_they_weigh(labels):
    """Counted as whole rows, the variance would be 11 % too large at one label, 5 % at five."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(300), labels + 70)
    X = rng.normal(size=(len(y), 2)).astype(np.float32)
    known = np.arange(len(y)) < 300 * labels
    weight = np.where(known, 1.0, 0.1)
    np.testing.assert_allclose(np.diag(residual_covariance(X, y, weight=weight)), 1, rtol=0.02)
    whitening = Whitening.fit(X, y, weight=weight)
    squares = np.bincount(y, weight**2)
    Z = whitening.residuals(X, y, weight=weight, squares=squares)
    assert Z[known].var() == pytest.approx(1, rel=0.1)
    assert Z[~known].var() == pytest.approx(1, rel=0.02)


def test_many_rows_are_whitened_in_parts(rows, monkeypatch):
    X, y, _ = rows
    X = X.astype(np.float32)
    whitening = Whitening.fit(X, y)
    whole = whitening.residuals(X, y)
    monkeypatch.setattr("bloomdiff.diffusion.whitening.CHUNK", 100)
    np.testing.assert_allclose(whitening.residuals(X, y), whole, atol=1e-5)


@pytest.mark.parametrize("shrinkage", [None, 0.3])
def test_constant_columns_change_nothing_of_the_others(rows, shrinkage):
    X, y, _ = rows
    for d in (1, 60):
        wider = np.concatenate([X, np.full((len(X), d), 7.0)], axis=1)
        expected = np.zeros((5 + d, 5 + d))
        expected[:5, :5] = residual_covariance(X, y, shrinkage=shrinkage)
        np.testing.assert_array_equal(residual_covariance(wider, y, shrinkage=shrinkage), expected)
        whitening = Whitening.fit(wider, y, shrinkage=shrinkage)
        assert (whitening.scale == 0).sum() == d
        drawn = whitening.colour(np.ones((2, 5 + d)), 0)
        np.testing.assert_allclose(drawn[:, 5:], 7.0)


def test_one_row_a_class_leaves_constant_columns_alone():
    X = np.concatenate([np.random.default_rng(0).normal(size=(3, 4)), np.ones((3, 2))], axis=1)
    covariance = residual_covariance(X, np.arange(3))
    assert (np.diag(covariance) > 0).tolist() == [True] * 4 + [False] * 2
