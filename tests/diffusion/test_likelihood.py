"""Densities against scipy's, against their own integral, and against one another."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.estimator import EmbeddingDiffusion
from bloomdiff.diffusion.likelihood import denoising_gain, flow_gain
from bloomdiff.diffusion.model import ClassDiffusion
from bloomdiff.diffusion.network import Denoiser


def rows(seed, n=(40, 12, 3), d=6):
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(9).normal(size=(d, d))
    y = np.repeat(["a", "b", "c"], n)
    X = rng.normal(size=(len(y), d)) @ mix + 3 * (y == "b")[:, None]
    return X.astype(np.float32), y


def predictive(model, name):
    """Mean and covariance of the rows that the untrained model draws, from many of them."""
    drawn = model.sample(np.repeat(name, 400_000), random_state=0).astype(np.float64)
    return drawn.mean(axis=0), np.cov(drawn.T)


def test_without_the_network_it_is_the_predictive_gaussian():
    X, y = rows(0)
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y)
    prior = model.model_.prior
    zero = np.zeros((1, 6), dtype=np.float32)
    test, _ = rows(1)
    for i, name in enumerate("abc"):
        centre = prior.place(zero, i, zero)[0]
        # The covariance from the definition: residual plus scatter of the centre, coloured.
        scatter = prior.centres.scatter(i, np.eye(6, dtype=np.float32)).astype(np.float64)
        outwards = (prior.whitening.basis * prior.whitening.scale).T
        covariance = outwards.T @ (np.eye(6) + scatter.T @ scatter) @ outwards
        np.testing.assert_allclose(
            model.score_samples(test, [name] * len(test)),
            multivariate_normal(centre, covariance).logpdf(test),
            rtol=1e-4,
        )
        own = model.score_samples(test, [name] * len(test))
        np.testing.assert_allclose(prior.log_densities(test)[:, i], own, rtol=1e-6)


def test_it_is_the_density_of_the_samples_that_are_drawn():
    X, y = rows(0)
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y)
    test, _ = rows(1)
    np.testing.assert_allclose(
        model.score_samples(test, ["c"] * len(test)),
        multivariate_normal(*predictive(model, "c")).logpdf(test),
        rtol=0.01,
    )


def test_the_mixture_is_that_of_the_classes():
    X, y = rows(0)
    model = EmbeddingDiffusion(n_steps=0, random_state=0).fit(X, y)
    each = np.stack([model.score_samples(X, [c] * len(X)) for c in "abc"], axis=1)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(each, axis=1) - np.log(3))
    share = np.log(np.asarray([40, 12, 3]) / 55)
    np.testing.assert_allclose(
        model.score_samples(X, frequencies="training"), logsumexp(each + share, axis=1)
    )
    with pytest.raises(ValueError, match="'blast'"):
        model.score_samples(X, ["blast"] * len(X))


@pytest.fixture(scope="module")
def ring():
    """A model trained on two classes on half rings, with more than a Gaussian learned."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1500)
    angle = rng.uniform(0, np.pi, len(y))
    X = np.stack([3 * np.cos(angle), np.where(y == 0, 3, -3) * np.sin(angle)], axis=1)
    X = (X + rng.normal(0, 0.3, X.shape)).astype(np.float32)
    config = DiffusionConfig(width=48, n_steps=600)
    return ClassDiffusion(config).fit(X[:1000], y[:1000], seed=0), X[1000:], y[1000:]


@pytest.fixture(scope="module")
def on_grid(ring):
    """Log density of both classes at points 0.2 apart."""
    axis = np.linspace(-8, 8, 81)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2).astype(np.float32)
    return [ring[0].log_likelihood(grid, index) for index in (0, 1)]


def test_a_trained_density_integrates_to_one(ring, on_grid):
    assert ring[0].learned
    for log_p in on_grid:
        assert np.exp(log_p).sum() * 0.2**2 == pytest.approx(1, abs=0.02)


def test_training_makes_held_out_rows_likelier(ring):
    model, X, y = ring
    own = np.concatenate([model.log_likelihood(X[y == c], c) for c in (0, 1)])
    losses, model.losses = model.losses, np.ones(2)  # as if nothing had been learned
    gaussian = np.concatenate([model.log_likelihood(X[y == c], c) for c in (0, 1)])
    model.losses = losses
    assert own.mean() > gaussian.mean() + 0.2


def test_it_says_where_samples_fall(ring, on_grid):
    """The mean of the log density over its own samples is minus the entropy from the grid."""
    model, log_p = ring[0], on_grid[0]
    entropy = -(np.exp(log_p) * log_p).sum() * 0.2**2
    drawn = model.sample(0, 2048, np.random.default_rng(0))
    assert model.log_likelihood(drawn, 0).mean() == pytest.approx(-entropy, abs=0.15)


def network(dim=5, seed=0):
    """With random weights everywhere, so that F and its Jacobian are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Denoiser(dim, torch.eye(2), width=16, depth=2)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return net.eval()


def test_estimated_and_exact_divergence_agree():
    z, label = (
        torch.randn(64, 5, generator=torch.Generator().manual_seed(0)),
        torch.zeros(64).long(),
    )
    exact = flow_gain(network(), z, label, 0.02, 4.0, divergence="exact")
    assert exact.std() > 0.1
    estimates = torch.stack(
        [
            flow_gain(
                network(), z, label, 0.02, 4.0, divergence="hutchinson", n_probes=64, seed=seed
            )
            for seed in range(4)
        ]
    )
    assert not torch.equal(estimates[0], estimates[1])
    torch.testing.assert_close(estimates.mean(dim=0), exact, atol=0.1, rtol=0)


def test_the_solver_has_converged():
    z, label = (
        torch.randn(32, 5, generator=torch.Generator().manual_seed(0)),
        torch.zeros(32).long(),
    )
    few, more, most = (flow_gain(network(), z, label, 0.02, 4.0, n_steps=n) for n in (12, 24, 150))
    # Second order: twice the steps, about a quarter of the error.
    assert (more - most).abs().mean() < (few - most).abs().mean() / 3
    assert (few - most).abs().max() < 0.1


def test_an_untrained_network_gains_nothing():
    net = Denoiser(3, torch.eye(2), width=16, depth=1)
    z, label = torch.randn(7, 3), torch.zeros(7).long()
    for gain in (flow_gain, denoising_gain):
        torch.testing.assert_close(gain(net, z, label, 0.02, 4.0), torch.zeros(7))


def test_the_denoising_bound_lies_near_the_likelihood(ring):
    """In the mean over rows and draws of noise, where training has come near to its end."""
    model, X, y = ring
    Z, _ = model.prior.standardize(model.prior.whitening.whiten(X[y == 0]), 0)
    z, label = torch.as_tensor(Z, dtype=torch.float32), torch.zeros(len(Z)).long()
    bounds = [denoising_gain(model.network, z, label, 0.02, 2.83, seed=s).mean() for s in range(8)]
    flow = flow_gain(model.network, z, label, 0.02, 2.83).mean()
    assert float(sum(bounds)) / 8 == pytest.approx(float(flow), abs=0.15)


@pytest.mark.parametrize("classifier", ["flow", "denoising"])
def test_a_classifier_sees_what_a_gaussian_cannot(classifier):
    """A ring around a disc: same mean and nearly all that a common covariance can tell."""
    rng = np.random.default_rng(0)
    y = np.repeat(["disc", "ring"], 600)
    radius = np.where(y == "disc", 0.5, 3) + rng.normal(0, 0.2, len(y))
    angle = rng.uniform(0, 2 * np.pi, len(y))
    X = (radius * np.stack([np.cos(angle), np.sin(angle)])).T.astype(np.float32)
    X += 0.2 * (y == "ring")[:, None].astype(np.float32)
    model = EmbeddingDiffusion(n_steps=300, random_state=0).fit(X[::2], y[::2])
    prior = model.score(X[1::2], y[1::2])
    model.classifier = classifier
    assert model.score(X[1::2], y[1::2]) > max(prior + 0.1, 0.9)
