"""The solvers against closed forms: the probability flow of Gaussian data is known exactly."""

import pytest
import torch

from bloomdiff.diffusion.samplers import dpm_solver, even_levels, heun, noise_levels

S = torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)


def gaussian_denoiser(x, sigma):
    """Exact for independent normal data of deviations `S`."""
    return x * S**2 / (S**2 + sigma**2)


def exact_end(x, sigma_max):
    """Rows scale as their marginal deviation does: sqrt(s² + σ²)."""
    return x * S / torch.sqrt(S**2 + sigma_max**2)


@pytest.fixture
def start():
    generator = torch.Generator().manual_seed(0)
    return 10 * torch.randn((50, 3), generator=generator, dtype=torch.float64)


def error(solver, start, n_steps):
    levels = noise_levels(n_steps, 1e-3, 10)
    return float((solver(gaussian_denoiser, start, levels) - exact_end(start, 10)).abs().max())


def test_noise_levels_fall_from_the_largest_to_zero():
    levels = noise_levels(7, 0.02, 30)
    assert levels[0] == pytest.approx(30)
    assert levels[-2] == pytest.approx(0.02)
    assert levels[-1] == 0
    assert (levels.diff() < 0).all()


def test_even_levels_are_even_in_the_time_of_rectified_flow():
    levels = even_levels(7, 0.02, 30)
    assert levels[0] == pytest.approx(30)
    assert levels[-2] == pytest.approx(0.02)
    assert levels[-1] == 0
    t = levels[:-1] / (1 + levels[:-1])
    torch.testing.assert_close(t.diff(), t.diff()[:1].expand(6))


@pytest.mark.parametrize("solver", [heun, dpm_solver])
def test_gaussian_data_are_reached(solver, start):
    assert error(solver, start, 64) < 0.02


@pytest.mark.parametrize("solver", [heun, dpm_solver])
def test_twice_the_steps_a_quarter_of_the_error(solver, start):
    """Second order; a first-order method would halve it."""
    assert error(solver, start, 80) < 0.32 * error(solver, start, 40)


def test_evaluations_are_as_many_as_told(start):
    calls = []

    def counting(x, sigma):
        calls.append(float(sigma))
        return gaussian_denoiser(x, sigma)

    levels = noise_levels(6, 0.01, 10)
    heun(counting, start, levels)
    assert len(calls) == 2 * 6 - 1
    calls.clear()
    dpm_solver(counting, start, levels)
    assert len(calls) == 6


@pytest.mark.parametrize("solver", [heun, dpm_solver])
def test_a_mixture_keeps_its_weights_and_places(solver):
    """Two narrow modes at -2 (weight 0.3) and 3 (weight 0.7), by their exact denoiser."""
    place = torch.tensor([-2.0, 3.0], dtype=torch.float64)
    weight = torch.tensor([0.3, 0.7], dtype=torch.float64)
    deviation = 0.2

    def denoise(x, sigma):
        variance = deviation**2 + sigma**2
        log = weight.log() - (x - place) ** 2 / (2 * variance)
        posterior = torch.softmax(log, dim=1)
        mean = (deviation**2 * x + sigma**2 * place) / variance
        return (posterior * mean).sum(dim=1, keepdim=True)

    # Equal quantiles of the noisy marginal, which at σ = 80 is normal to within 0.1 %.
    quantile = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    start = 1.5 + torch.special.ndtri(quantile)[:, None] * 80.05
    x = solver(denoise, start, noise_levels(60, 0.002, 80))[:, 0]
    high = x > 0.5
    assert float(high.double().mean()) == pytest.approx(0.7, abs=0.01)
    assert float(x[high].mean()) == pytest.approx(3, abs=0.02)
    assert float(x[~high].mean()) == pytest.approx(-2, abs=0.02)
    assert float(x[high].std()) == pytest.approx(0.2, rel=0.1)
