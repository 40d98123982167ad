"""A pool from elsewhere: is it told apart, by how much was it moved, who is meant by a row."""

import numpy as np
import pytest
from scipy.special import log_softmax
from scipy.stats import multivariate_normal

from bloomdiff.diffusion.domains import (
    classes_on_either_side,
    common_offset,
    on_either_side,
    told_apart,
)


def rows(n, seed, move=0.0):
    return (np.random.default_rng(seed).normal(size=(n, 8)) + move).astype(np.float32)


def apart(X, pool, y=None, p=None):
    y = np.zeros(len(X), dtype=np.intp) if y is None else y
    return told_apart(X, y, pool, np.ones((len(pool), 1)) if p is None else p)


@pytest.mark.parametrize("n", [10, 40, 200])
def test_rows_of_one_kind_are_not_told_apart(n):
    assert apart(rows(n, 0), rows(400, 1)) < 0.8


@pytest.mark.parametrize("n", [4, 40])
def test_moved_rows_are_told_apart(n):
    assert apart(rows(n, 0), rows(400, 1, move=4.0)) > 0.97


def test_other_shares_of_the_classes_are_no_move():
    """A long tail of labels, and a pool in which the classes are as frequent the other way."""
    y, truth = np.repeat([0, 1], [90, 10]), np.repeat([0, 1], [20, 380])
    X = rows(100, 0) + 6 * (y[:, None] * (np.arange(8) < 4)).astype(np.float32)
    pool = rows(400, 1) + 6 * (truth[:, None] * (np.arange(8) < 4)).astype(np.float32)
    p = np.eye(2)[truth]
    assert apart(X, pool, y, p) < 0.7
    assert apart(X, pool) > 0.9  # without the classes
    aside = 4 * (np.arange(8) >= 4).astype(np.float32)  # else one class moves into the other
    assert apart(X, pool + aside, y, p) > 0.97


def test_too_few_rows_are_never_told_apart():
    assert apart(rows(3, 0), rows(400, 1, move=100.0)) == 0.5


def test_a_large_pool_is_looked_at_in_part():
    assert apart(rows(20, 0), rows(20_000, 1, move=4.0)) > 0.97


def test_the_offset_is_the_least_squares_one():
    """Beside a regression of all rows on their classes and on the side, pool rows weighted."""
    rng = np.random.default_rng(0)
    y, labels = rng.integers(3, size=30), rng.integers(3, size=50)
    y[:3] = np.arange(3)
    means = 4 * rng.normal(size=(3, 8))
    X = means[y] + rng.normal(size=(30, 8))
    pool = means[labels] + rng.normal(size=(50, 8)) + 7
    weight = 0.1
    design = np.concatenate([np.eye(3)[y], np.eye(3)[labels]])
    design = np.c_[design, np.r_[np.zeros(30), np.ones(50)]]
    root = np.sqrt(np.r_[np.ones(30), np.full(50, weight)])[:, None]
    oracle = np.linalg.lstsq(root * design, root * np.concatenate([X, pool]), rcond=None)[0][3]
    ours = common_offset(X, y, pool, weight * np.eye(3)[labels])
    np.testing.assert_allclose(ours, oracle, rtol=1e-4)


def test_classes_that_the_pool_lacks_say_nothing():
    X, y = rows(6, 0), np.array([0, 0, 0, 1, 1, 1])
    X[3:] += 50
    pool = rows(40, 1)
    counts_for = np.tile([0.1, 0.0], (40, 1))
    np.testing.assert_allclose(
        common_offset(X, y, pool, counts_for), pool.mean(axis=0) - X[:3].mean(axis=0), atol=1e-4
    )
    assert not common_offset(X, y, pool, np.zeros((40, 2))).any()


def test_the_density_is_that_of_both_sides():
    X, offset = rows(20, 0), np.full(8, 2.0, dtype=np.float32)
    normal = multivariate_normal(np.zeros(8))

    def score(Z):
        return normal.logpdf(Z)[:, None]

    both = (normal.pdf(X) + multivariate_normal(offset).pdf(X)) / 2
    np.testing.assert_allclose(on_either_side(score, X, offset)[:, 0], np.log(both), rtol=1e-5)
    np.testing.assert_array_equal(on_either_side(score, X, 0 * offset), score(X))


def test_what_tells_the_sides_apart_has_a_say_in_the_class():
    """Two classes a step apart, and a pool moved by that step and by ten across it."""
    centres = np.array([[0.0, 0.0], [3.0, 0.0]])
    offset = np.array([3.0, 10.0], dtype=np.float32)

    def density(Z):
        return np.stack([multivariate_normal(c).logpdf(Z) for c in centres], axis=1)

    def score(Z):  # along the classes alone, less what is the row's own
        return -((Z[:, :1] - centres[:, 0]) ** 2) / 2 + Z[:, :1] ** 2 / 2

    noise = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    here, there = noise + centres[1], noise + offset  # second class, and where the pool is first
    true = np.logaddexp(density(np.r_[here, there]), density(np.r_[here, there] - offset))
    told = classes_on_either_side(score, density, np.r_[here, there], offset)
    np.testing.assert_allclose(
        log_softmax(told, axis=1), log_softmax(true, axis=1), rtol=1e-4, atol=1e-4
    )
    assert (told.argmax(axis=1)[:200] == 1).mean() > 0.9
    assert (told.argmax(axis=1)[200:] == 0).mean() > 0.9
    forgetful = on_either_side(score, np.r_[here, there], offset)
    assert (forgetful.argmax(axis=1) == true.argmax(axis=1)).mean() < 0.8
    np.testing.assert_array_equal(
        classes_on_either_side(score, density, here, 0 * offset), score(here)
    )
