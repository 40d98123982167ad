from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.domains import on_either_side
from bloomdiff.diffusion.model import ClassDiffusion
from bloomdiff.diffusion.pool import join, prior_with_pool, pseudo_labels
from bloomdiff.diffusion.prior import ClassPrior


def cells(per_class, seed, *, d=20, gap=2.0):
    """Four classes on the corners of a square, correlated noise in all directions."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(4), per_class)
    mix = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d) + np.eye(d)
    X = rng.normal(size=(len(y), d)) @ mix
    X[:, 0] += gap * (y % 2)
    X[:, 1] += gap * (y // 2)
    return X.astype(np.float32), y


def test_with_many_rows_the_posterior_is_that_of_discriminant_analysis():
    X, y = cells(2000, 0)
    test, _ = cells(50, 1)
    ours = ClassPrior.fit(X, y, shrinkage=0.0).posterior(test)
    np.testing.assert_allclose(
        ours, LinearDiscriminantAnalysis().fit(X, y).predict_proba(test), atol=0.02
    )


def test_the_posterior_of_one_class_is_certain():
    X, _ = cells(5, 0)
    prior = ClassPrior.fit(X, np.zeros(len(X), dtype=np.intp))
    np.testing.assert_allclose(prior.posterior(X), 1)


def test_samples_of_the_prior_are_predictive():
    """Variance 1 + 1 / m in whitened units: the spread, and the error of a mean of m rows."""
    rng = np.random.default_rng(0)
    X, y = cells(3000, 0)
    prior = ClassPrior.fit(X, y, shrinkage=0.0)
    Z, noise = rng.standard_normal((2, 5000, 20), dtype=np.float32)
    rows = prior.place(Z, 2, noise)
    np.testing.assert_allclose(rows.mean(axis=0), X[y == 2].mean(axis=0), atol=0.15)
    np.testing.assert_allclose(np.cov(rows.T), np.cov(X[y == 2].T), atol=0.35)


def test_nuisance_scale_leaves_what_tells_the_classes_apart():
    X, y = cells(3000, 0)
    prior = ClassPrior.fit(X, y, shrinkage=0.0)
    Z = np.random.default_rng(0).standard_normal((4000, 20), dtype=np.float32)
    rows = prior.place(Z, 0, np.zeros_like(Z), nuisance_scale=3.0)
    back = prior.whitening.whiten(rows - prior.whitening.means[0])
    along = back @ prior.centres.directions.T
    np.testing.assert_allclose(along.var(axis=0), 1, atol=0.1)
    assert back.var() > 5


@pytest.mark.parametrize("seed", range(3))
def test_the_pool_brings_the_centres_nearer(seed):
    X, y = cells(4, seed, gap=5.0)
    pool, truth = cells(200, 100 + seed, gap=5.0)
    many, of_many = cells(5000, 7, gap=5.0)
    true = np.stack([many[of_many == c].mean(axis=0) for c in range(4)])
    counts_for, moved = pseudo_labels(X, y, pool, rounds=5, trust=0.3)
    assert not moved
    assert counts_for.shape == (800, 4)
    assert counts_for.max() <= 0.3
    assert (counts_for.argmax(axis=1) == truth).mean() > 0.7
    rows, labels, weight = join(X, y, pool, counts_for)
    alone = ClassPrior.fit(X, y)
    with_pool = ClassPrior.fit(rows, labels, weight=weight)

    def error(prior):
        zero = np.zeros((1, 20), dtype=np.float32)
        centres = np.concatenate([prior.place(zero, c, zero) for c in range(4)])
        return np.linalg.norm(centres - true)

    assert error(with_pool) < error(alone)


def test_no_trust_is_no_pool():
    X, y = cells(4, 0)
    pool, _ = cells(10, 1)
    rows, labels, weight = join(
        X, y, pool, pseudo_labels(X, y, pool, rounds=1, trust=0.0).counts_for
    )
    assert (len(rows), len(labels), weight.tolist()) == (16, 16, [1.0] * 16)


@pytest.mark.parametrize("labels", [1, 5])
def test_samples_beside_a_pool_scatter_as_cells_do(labels):
    """By a cell's variance of one, and by what remains unknown of the centre: at most 1 / W.

    A pool's rows are many of little weight. Counted as whole ones, they would scatter the samples
    of one label a class by another 0.14.
    """
    rng = np.random.default_rng(0)
    centres = 1.2 * rng.normal(size=(8, 64))

    def drawn(each):
        y = np.repeat(np.arange(8), each)
        return (centres[y] + rng.normal(size=(len(y), 64))).astype(np.float32), y

    (X, y), (pool, _) = drawn(labels), drawn(70)
    model = ClassDiffusion(DiffusionConfig()).fit(X, y, seed=0, pool=pool)
    variance = np.mean([model.sample(c, 1024, rng).var(axis=0).mean() for c in range(8)])
    assert 1 <= variance <= 1.02 + 1 / (labels + 7)


def long_tail(seed):
    X, y = cells(60, seed, gap=5.0)
    kept = np.concatenate([np.flatnonzero(y == c)[:m] for c, m in enumerate((60, 20, 3, 2))])
    return X[kept], y[kept]


@pytest.mark.parametrize("trust", [0.05, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_moved_pool_is_taken_back(seed, trust):
    """Moved as another stain would move it: without the offset every row of it is one class."""
    X, y = long_tail(seed)
    pool, truth = cells(60, 50 + seed, gap=5.0)
    moved = pool.copy()
    moved[:, :2] += 12
    with pytest.warns(UserWarning, match="pool can be told from the labelled rows"):
        prior, counts_for, offset = prior_with_pool(X, y, moved, rounds=2, trust=trust)
    assert counts_for is not None
    np.testing.assert_allclose(offset[:2], 12, atol=1)
    np.testing.assert_allclose(offset[2:], 0, atol=1)
    alone = ClassPrior.fit(X, y)
    assert (alone.scores(moved).argmax(axis=1) == truth).mean() < 0.3
    for rows in (moved, pool):  # rows from either side
        found = on_either_side(prior.scores, rows, offset).argmax(axis=1)
        assert (found == truth).mean() > 0.9


@pytest.mark.parametrize("trust", [0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_pool_of_the_same_cells_is_learned_from(seed, trust, recwarn):
    X, y = long_tail(seed)
    pool, truth = cells(60, 50 + seed, gap=5.0)
    prior, counts_for, offset = prior_with_pool(X, y, pool, rounds=2, trust=trust)
    assert counts_for is not None
    assert not offset.any()
    assert trust / 2 < counts_for.max() <= trust
    assert not [w for w in recwarn if "pool" in str(w.message)]
    right = (prior.posterior(pool).argmax(axis=1) == truth).mean()
    assert right >= (ClassPrior.fit(X, y).posterior(pool).argmax(axis=1) == truth).mean()


SPREADLESS = {
    "every row twice": (np.repeat([[0, 0], [9, 9], [5, 0]], 2, axis=0), np.repeat([0, 1, 2], 2)),
    "all but one class": (
        np.concatenate([np.repeat([[0, 0, 0], [9, 9, 0]], 4, axis=0), 5 + np.eye(3)[:, ::-1]]),
        np.repeat([0, 1, 2], [4, 4, 3]),
    ),
}


@pytest.mark.parametrize(("X", "y"), SPREADLESS.values(), ids=SPREADLESS)
def test_classes_without_spread_are_told_apart(X, y):
    X = X.astype(np.float32)
    assert ClassPrior.fit(X, y).scores(X).argmax(axis=1).tolist() == y.tolist()
    assert (
        make_classifier("diffusion", seed=0)
        .fit(X, y.astype(str), fingerprint=Fingerprint.of(["a"]))
        .predict(X)
        .tolist()
        == y.astype(str).tolist()
    )


def test_a_column_that_is_the_label_decides():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 50)
    X = np.column_stack([y, rng.normal(size=(100, 4))]).astype(np.float32)
    for shrinkage in (0.0, None):
        prior = ClassPrior.fit(X, y, shrinkage=shrinkage)
        assert prior.scores(X).argmax(axis=1).tolist() == y.tolist()


def test_constant_columns_decide_nothing():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    X = (rng.normal(size=(60, 5)) + 2 * np.eye(3, 5)[y]).astype(np.float32)
    wider = np.concatenate([X, np.full((60, 3), 1e4 / 3, dtype=np.float32)], axis=1)
    expected = ClassPrior.fit(X, y).scores(X)
    np.testing.assert_allclose(ClassPrior.fit(wider, y).scores(wider), expected, atol=1e-2)


@pytest.mark.parametrize("config", [DiffusionConfig(), DiffusionConfig(nuisance_scale=2.0)])
def test_rows_do_not_depend_on_how_a_library_chooses_axes(config):
    """With fewer rows than dimensions many eigenvalues are equal, and any axes stand for them.

    Which ones hangs on the number of threads and on the processor.
    """
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), [40, 20, 9, 1])
    X = (rng.normal(size=(4, 300))[y] + rng.normal(size=(70, 300))).astype(np.float32)
    model = ClassDiffusion(config).fit(X, y, seed=0)
    whitening, centres = model.prior.whitening, model.prior.centres
    equal = np.isclose(whitening.scale, whitening.scale[-1], rtol=1e-6)
    assert equal.sum() > 200
    turn = np.eye(300)
    turn[np.ix_(equal, equal)] = np.linalg.qr(rng.normal(size=(equal.sum(),) * 2))[0]
    expected = model.sample(1, 16, np.random.default_rng(5))
    model.prior = ClassPrior(
        replace(whitening, basis=whitening.basis @ turn),
        replace(centres, mean=centres.mean @ turn, directions=centres.directions @ turn),
    )
    drawn = model.sample(1, 16, np.random.default_rng(5))
    np.testing.assert_allclose(drawn, expected, atol=1e-3)
