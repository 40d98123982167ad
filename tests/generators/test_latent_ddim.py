"""The plain latent diffusion against closed forms."""

import numpy as np
import pytest
import torch

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.generators import make_generator
from bloomdiff.generators.latent_ddim import TIMES, ddim, signal


def test_the_schedule_is_ddpms():
    """The value that is known for the linear schedule (4.04e-5 of the variance is left)."""
    keep = signal()
    assert keep.shape == (TIMES,)
    assert keep[0] == pytest.approx(1 - 1e-4)
    assert keep[-1] == pytest.approx(4.036e-5, rel=1e-3)


@pytest.mark.parametrize(("n_steps", "tolerance"), [(500, 0.02), (20, 0.3)])
def test_ddim_solves_the_flow_of_a_gaussian(n_steps, tolerance):
    """With the exact noise of N(m, s²), noise z becomes m + s z."""
    m, s = 2.0, 0.3
    keep = signal()

    def exact(x, time):
        a = keep[time]
        return (1 - a).sqrt() * (x - a.sqrt() * m) / (a * s**2 + 1 - a)

    z = torch.linspace(-2, 2, 9)[:, None]
    error = (ddim(exact, z, n_steps) - (m + s * z)).abs().max()
    assert error < tolerance


def test_fewer_steps_err_more():
    with pytest.raises(AssertionError):
        test_ddim_solves_the_flow_of_a_gaussian(3, 0.02)


@pytest.mark.slow
def test_learns_classes_of_different_shape():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * 3 + rng.normal(0, 0.1, (600, 2))
    X = np.concatenate([ring, rng.normal([8, 0], 0.5, (600, 2))]).astype(np.float32)
    y = np.repeat(["ring", "spot"], 600)
    params = {"n_steps": 1200, "width": 128, "batch_size": 512, "learning_rate": 3e-3}
    generator, gaussian = (
        make_generator(name, given, seed=0).fit(X, y, fingerprint=Fingerprint.of(["a"]))
        for name, given in {"latent-ddim": params, "gaussian": {}}.items()
    )

    def off_the_ring(generator):
        radius = np.linalg.norm(generator.sample(np.repeat("ring", 400), seed=0), axis=1)
        return np.median(np.abs(radius - 3))

    assert off_the_ring(generator) < 0.6 < 0.8 < off_the_ring(gaussian)
    spot = generator.sample(np.repeat("spot", 400), seed=0)
    np.testing.assert_allclose(spot.mean(axis=0), [8, 0], atol=0.3)
