import numpy as np
import pandas as pd
import pytest
from scipy.stats import truncnorm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel

from bloomdiff.diffusion.centres import (
    FLOORS,
    Centres,
    _kriged,
    _not_negative,
    between,
    correlation,
    likeliest_correlation,
    likeliest_floor,
    parent_indices,
)
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.errors import ParameterError


def draws(seed, *, c=40, d=30, v=(9.0, 4.0), floor=0.1, rows=4.0):
    """Class means from the assumed prior, and observed ones that err by I / rows."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, np.sqrt(floor), (c, d))
    true[:, : len(v)] += rng.normal(0, 1, (c, len(v))) * np.sqrt(v)
    n = np.full(c, rows)
    return true, true + rng.normal(0, 1, (c, d)) / np.sqrt(n)[:, None], n


def test_between_finds_the_directions_in_which_classes_differ():
    _, observed, n = draws(0, c=2000, floor=0.0)
    grand, directions, v = between(observed, n, n)
    np.testing.assert_allclose(grand, 0, atol=0.3)
    np.testing.assert_allclose(v[:2], [9, 4], rtol=0.15)
    np.testing.assert_allclose(np.abs(directions[:2, :2]), np.eye(2), atol=0.05)
    np.testing.assert_allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_few_means_lies_in_the_components_that_it_is_found_in(seed):
    """Few classes in many dimensions, a long tail: the variances are those of the true means."""
    rng = np.random.default_rng(seed)
    n = np.round(np.geomspace(90, 1, 13))
    true = 3 * rng.normal(size=(13, 4)) @ np.linalg.qr(rng.normal(size=(384, 4)))[0].T
    observed = true + rng.normal(size=true.shape) / np.sqrt(n)[:, None]
    share = n / n.sum()
    varying = np.linalg.svd((true - share @ true) * np.sqrt(share)[:, None])[1] ** 2
    v = between(observed, n, n)[2]
    np.testing.assert_allclose(v[:4], varying[:4], rtol=0.1, atol=0.2)
    assert v[4:].max() < 0.5
    # The mean of one row errs by 19 to 20, and shrunk by 11 to 12 where c / n is taken for d / n.
    error = np.linalg.norm(Centres.fit(observed, n).mean - true, axis=1)
    assert error[-1] < 7 < np.linalg.norm(observed - true, axis=1)[-1]
    assert error[0] < 2.5


def test_classes_that_can_hardly_be_told_apart_do_not_fall_together():
    """A variance below its error is small, not zero, which would leave one mean for all classes."""
    rng = np.random.default_rng(0)
    n = np.full(6, 5.0)
    observed = rng.normal(size=(6, 384)) / np.sqrt(5)
    below = between(observed, n, n)[2]
    deviation = np.sqrt(6 * 384) / 30
    assert (below > 0.05 * deviation).all()
    assert below.mean() < deviation


def test_a_variance_that_is_not_negative_has_the_mean_of_a_truncated_normal():
    observed = np.asarray([-8.0, -3.0, 0.0, 2.0, 40.0])
    expected = [truncnorm(-m / 1.5, np.inf, loc=m, scale=1.5).mean() for m in observed]
    np.testing.assert_allclose(_not_negative(observed, 1.5), expected, rtol=1e-5)


def test_single_rows_are_not_judged_by_a_variance_that_nobody_knows():
    """With one row a class the spread within them is a guess, and so is the unit of the error."""
    rng = np.random.default_rng(0)
    observed = rng.normal(size=(13, 384))
    once, twice = np.ones(13), np.full(13, 2.0)
    assert between(observed, once, once)[2].min() > 10
    assert between(observed, twice, twice)[2].min() < 10


def test_rows_that_count_for_a_tenth_err_as_whole_ones():
    """Beside a pool the error of the means is that of the rows seen, not of what they count for."""
    rng = np.random.default_rng(0)
    true = 3 * rng.normal(size=(13, 4)) @ np.linalg.qr(rng.normal(size=(384, 4)))[0].T
    observed = true + rng.normal(size=true.shape) / np.sqrt(70)
    varying = np.linalg.svd((true - true.mean(axis=0)) / np.sqrt(13))[1][:4] ** 2
    counted, seen = np.full(13, 7.0), np.full(13, 70.0)
    np.testing.assert_allclose(between(observed, counted, seen)[2][:4], varying, rtol=0.1, atol=0.2)
    assert between(observed, counted, counted)[2][:4].sum() < 0.7 * varying.sum()
    # And a prior tells which they are: a weight of all rows alike leaves the components.
    y = np.repeat(np.arange(13), 20)
    X = (true[y] + rng.normal(size=(len(y), 384))).astype(np.float32)
    whole, tenth = (ClassPrior.fit(X, y, weight=np.full(len(y), w)).centres for w in (1.0, 0.1))
    assert len(tenth.directions) == pytest.approx(len(whole.directions), abs=4)
    places = [np.linalg.norm(c.mean - c.mean.mean(axis=0)) for c in (whole, tenth)]
    assert places[1] == pytest.approx(places[0], rel=0.25)


def test_shrunk_means_are_nearer_to_the_true_ones():
    gain = []
    for seed in range(10):
        true, observed, n = draws(seed)
        shrunk = Centres.fit(observed, n).mean
        gain.append(((shrunk - true) ** 2).sum() / ((observed - true) ** 2).sum())
    # Knowing the prior, 0.1 / (0.1 + 0.25) = 0.29 of the error across would be left; not knowing
    # the directions costs the rest.
    assert np.mean(gain) < 0.55


def test_the_floor_is_found():
    for floor in (0.03, 1.0):
        found = []
        for seed in range(5):
            _, observed, n = draws(seed, floor=floor)
            found.append(likeliest_floor(observed, n, n))
        assert np.exp(np.mean(np.log(found))) == pytest.approx(floor, rel=0.8)


def test_classes_that_have_nothing_in_common_are_left_where_they_are():
    observed = 50 * np.eye(4, 10)
    centres = Centres.fit(observed, np.asarray([30.0, 20.0, 5.0, 1.0]))
    np.testing.assert_allclose(centres.mean, observed, atol=1.0)
    n = np.full(4, 3.0)
    assert likeliest_floor(observed, n, n) < FLOORS[-1]


def test_many_rows_leave_the_mean_as_observed():
    _, observed, _ = draws(1)
    centres = Centres.fit(observed, np.full(len(observed), 1e7))
    np.testing.assert_allclose(centres.mean, observed, atol=1e-4)
    assert centres.across.max() < 1e-3


def test_a_single_class_keeps_its_mean_and_the_error_of_it():
    centres = Centres.fit(np.full((1, 5), 3.0), np.asarray([4.0]))
    np.testing.assert_allclose(centres.mean, 3.0)
    scatter = centres.scatter(0, np.random.default_rng(0).normal(size=(20000, 5)))
    np.testing.assert_allclose(np.cov(scatter.T), np.eye(5) / 4, atol=0.01)


def test_scatter_is_the_posterior():
    """Covered as often as it says: the squared standardised error averages one."""
    ratio = []
    for seed in range(10):
        true, observed, n = draws(seed)
        centres = Centres.fit(observed, n)
        noise = np.random.default_rng(seed).normal(size=(400, observed.shape[1]))
        told = np.mean([centres.scatter(i, noise).var(axis=0).sum() for i in range(len(n))])
        ratio.append(((centres.mean - true) ** 2).sum(axis=1).mean() / told)
    assert np.mean(ratio) == pytest.approx(1, abs=0.25)


class Table(Kernel):
    """A covariance given by its entries; scikit-learn has no kernel for it."""

    def __init__(self, K):
        self.K = K

    def __call__(self, X, Y=None, eval_gradient=False):
        other = X if Y is None else Y
        return self.K[np.ix_(X[:, 0].astype(int), other[:, 0].astype(int))]

    def diag(self, X):
        return np.diag(self.K)[X[:, 0].astype(int)]

    def is_stationary(self):
        return False


def families(seed, rho, *, c=24, d=20, rows=2.0):
    """Class means that are correlated by `rho` within families of six, and observed ones."""
    rng = np.random.default_rng(seed)
    parents = np.arange(c) % 4
    K = correlation(parents, rho)
    true = np.linalg.cholesky(K) @ rng.normal(size=(c, d)) * np.sqrt([9.0, 4.0] + [1.0] * (d - 2))
    n = np.full(c, rows)
    return true, true + rng.normal(size=(c, d)) / np.sqrt(n)[:, None], n, parents


def test_siblings_lend_one_another_their_place():
    gain = []
    for seed in range(6):
        true, observed, n, parents = families(seed, 0.8)
        alone, related = Centres.fit(observed, n), Centres.fit(observed, n, parents)
        gain.append(((related.mean - true) ** 2).sum() / ((alone.mean - true) ** 2).sum())
    assert np.mean(gain) < 0.9


def test_parents_that_say_nothing_change_next_to_nothing():
    gain = []
    for seed in range(6):
        true, observed, n, parents = families(seed, 0.0)
        alone, related = Centres.fit(observed, n), Centres.fit(observed, n, parents)
        gain.append(((related.mean - true) ** 2).sum() / ((alone.mean - true) ** 2).sum())
    assert 0.9 < np.mean(gain) < 1.05


def test_the_correlation_is_found():
    found = []
    for seed in range(6):
        _, observed, n, parents = families(seed, 0.6)
        f = likeliest_floor(observed, n, n)
        found.append(likeliest_correlation(observed, n, parents, f, n))
    assert np.mean(found) == pytest.approx(0.6, abs=0.2)


def test_prediction_of_correlated_means_is_that_of_gaussian_processes():
    """One direction at right angles to all others, beside scikit-learn's regression."""
    _, observed, n, parents = families(0, 0.5)
    K, f = correlation(parents, 0.5), 1.7
    grand, directions, _ = between(observed, n, n)
    mean, _, _, across = _kriged(observed, n, K, f, n)
    offset = observed - grand
    beyond = offset - offset @ directions.T @ directions
    process = GaussianProcessRegressor(Table(f * K), alpha=1 / n, optimizer=None)
    index = np.arange(len(n))[:, None]
    expected, deviation = process.fit(index, beyond).predict(index, return_std=True)
    ours = mean - grand - (mean - grand) @ directions.T @ directions
    np.testing.assert_allclose(ours, expected, atol=1e-8)
    np.testing.assert_allclose(across, deviation.reshape(len(n), -1)[:, 0], rtol=1e-6)


def test_parents_by_name():
    parents = {"blast": "myeloid", "band": "myeloid", "smudge": ""}
    index = parent_indices(["band", "blast", "myeloid", "smudge"], parents)
    assert index[0] == index[1]
    assert len(set(index.tolist())) == 3


@pytest.mark.parametrize("missing", [None, "", float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_a_missing_parent_is_none(missing):
    index = parent_indices(["a", "b", "c"], {"a": missing, "b": missing, "c": "p"})
    assert len(set(index.tolist())) == 3


@pytest.mark.parametrize("strange", [0, 1, False, 2.5, ("p",), ["p"], np.asarray(["p"]), b"p"])
def test_a_parent_that_is_no_text_is_told(strange):
    with pytest.raises(ParameterError, match=r"parents: class 'b': has the parent .*no text"):
        parent_indices(["a", "b"], {"a": "p", "b": strange})


def test_directions_in_which_nothing_varies_do_not_move_the_floor():
    _, observed, n = draws(0)
    wider = np.pad(observed, ((0, 0), (0, 300)))
    assert likeliest_floor(wider, n, n) == likeliest_floor(observed, n, n)
    parents = np.arange(len(n)) % 4
    rho = likeliest_correlation(observed, n, parents, 0.5, n)
    assert likeliest_correlation(wider, n, parents, 0.5, n) == rho
