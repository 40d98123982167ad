import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torchmetrics.image.fid import _compute_fid

from bloomdiff.errors import InputError
from bloomdiff.metrics.frechet import (
    Moments,
    frechet_distance,
    frechet_infinity,
    frechet_influences,
    frechet_score,
)
from bloomdiff.metrics.reference import Reference
from bloomdiff.metrics.set_comparison import SetComparison


@pytest.mark.parametrize(
    ("n", "m", "d"), [(500, 400, 20), (3000, 3000, 64), (60, 80, 100), (5, 7, 3)]
)
def test_agrees_with_torchmetrics_and_torch_fidelity(n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(d)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / d**0.5
    Y = rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) / d**0.5 + 0.2
    ours = frechet_distance(X, Y)
    mu, sigma = [X.mean(0), Y.mean(0)], [np.cov(X.T), np.cov(Y.T)]
    a, b = ({"mu": mean, "sigma": covariance} for mean, covariance in zip(mu, sigma, strict=True))
    fidelity = fid_statistics_to_metric(a, b, verbose=False)["frechet_inception_distance"]
    tensors = [torch.from_numpy(t) for t in (mu[0], sigma[0], mu[1], sigma[1])]
    assert ours == pytest.approx(fidelity, rel=1e-4)
    assert ours == pytest.approx(_compute_fid(*tensors).item(), rel=1e-4)


def test_closed_form_of_diagonal_gaussians() -> None:
    """Exact moments by symmetric points: (m1 - m2)² + Σ (s1 - s2)²."""
    d = 6
    axes = np.vstack([np.eye(d), -np.eye(d)])
    s1, s2 = np.linspace(1, 2, d), np.linspace(3, 0.5, d)
    X, Y = axes * s1, axes * s2 + 4.0
    scale = 2 / (2 * d - 1)  # variance of +-s among 2d points, with n - 1
    expected = d * 16 + (((s1 - s2) ** 2) * scale).sum()
    assert frechet_distance(X, Y) == pytest.approx(expected, rel=1e-12)


def test_a_set_has_no_distance_to_itself_even_with_few_rows() -> None:
    X = np.random.default_rng(0).normal(size=(10, 300))
    assert frechet_distance(X, X) == pytest.approx(0, abs=1e-9 * (X**2).sum())
    assert frechet_distance(X, X[::-1] + 1) == pytest.approx(300, rel=1e-9)


def test_identical_points_one_point_and_nan() -> None:
    assert frechet_distance(np.ones((5, 3)), np.ones((9, 3))) == 0
    assert frechet_distance(np.ones((5, 3)), np.zeros((2, 3))) == 3
    with pytest.raises(InputError, match="synthetic rows: too few: needs 2, has 1"):
        frechet_distance(np.ones((5, 3)), np.ones((1, 3)))
    with pytest.raises(InputError, match="real row 1: is not finite"):
        frechet_distance(np.array([[0.0], [np.nan], [1.0]]), np.ones((3, 1)))


def test_influences_predict_the_effect_of_reweighting() -> None:
    """Shift a little weight to one point: the distance moves by its influence."""
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(200, 5)), rng.normal(size=(150, 5)) * 1.3 + 0.5
    value, of_x, of_y = frechet_influences(Moments.of(X), Moments.of(Y))
    assert value == pytest.approx(frechet_distance(X, Y), rel=1e-12)
    # Duplicating every point 500 times and one of them once more is a small change of weight.
    big = np.repeat(X, 500, axis=0)
    for row in (3, 77):
        heavier = np.vstack([big, np.repeat(X[row : row + 1], 500, axis=0)])
        shift = 500 / len(heavier)
        moved = frechet_distance(heavier, Y) - frechet_distance(big, Y)
        assert moved == pytest.approx(shift * of_x[row], rel=0.05, abs=2e-4)
    assert abs(of_x.mean()) < 1e-9
    assert abs(of_y.mean()) < 1e-9


def test_first_order_spread_is_the_true_sampling_spread() -> None:
    rng = np.random.default_rng(2)
    values, predicted = [], []
    for _ in range(150):
        X, Y = rng.normal(size=(300, 4)), rng.normal(size=(250, 4)) * 1.4 + 0.6
        value, of_x, of_y = frechet_influences(Moments.of(X), Moments.of(Y))
        values.append(value)
        predicted.append((of_x.var() / 300 + of_y.var() / 250) ** 0.5)
    assert np.mean(predicted) == pytest.approx(np.std(values), rel=0.2)


def test_extrapolation_takes_the_bias_away() -> None:
    rng = np.random.default_rng(3)
    plain, extrapolated = [], []
    for seed in range(20):
        X, Y = rng.normal(size=(2, 200, 12))
        plain.append(frechet_distance(X, Y))
        extrapolated.append(frechet_infinity(X, Y, seed=seed))
    # The truth is 0; about d²/n of bias goes.
    assert np.mean(plain) > 0.5
    assert abs(np.mean(extrapolated)) < 0.1 * np.mean(plain)
    shifted = rng.normal(size=(400, 12)) + 1
    assert frechet_infinity(rng.normal(size=(400, 12)), shifted, seed=0) == pytest.approx(
        12, rel=0.1
    )
    with pytest.raises(InputError, match="real rows: too few: needs 26, has 25"):
        frechet_infinity(shifted[:25], shifted, seed=0)


def test_influences_of_the_second_set_too() -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(200, 5)), rng.normal(size=(150, 5)) * 1.3 + 0.5
    _, _, of_y = frechet_influences(Moments.of(X), Moments.of(Y))
    big = np.repeat(Y, 500, axis=0)
    for row in (3, 77):
        heavier = np.vstack([big, np.repeat(Y[row : row + 1], 500, axis=0)])
        moved = frechet_distance(X, heavier) - frechet_distance(X, big)
        assert moved == pytest.approx(500 / len(heavier) * of_y[row], rel=0.05, abs=2e-4)


def test_the_interval_knows_how_few_synthetic_rows_there_are() -> None:
    rng = np.random.default_rng(4)
    train, test = rng.normal(size=(2, 600, 4))
    reference = Reference.of(train, test, seed=0, n_bootstrap=2000)
    comparison = SetComparison.of(reference, rng.normal(size=(60, 4)) + 0.5)
    parts = frechet_influences(reference.test_moments, Moments.of(comparison.synthetic))[1:]
    expected = sum(part.var() / len(part) for part in parts) ** 0.5
    assert frechet_score(comparison).draws.std() == pytest.approx(expected, rel=0.1)
