import numpy as np
import pytest
import torch

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.guidance import Feedback, guided
from bloomdiff.diffusion.model import ClassDiffusion
from bloomdiff.diffusion.network import Denoiser


def denoiser(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Denoiser(3, torch.eye(2), width=16, depth=1)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


@pytest.fixture
def x():
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def at(network, x, sigma, label):
    return network(x, torch.full((len(x),), sigma), torch.full((len(x),), label))


@torch.no_grad()
def test_guidance_leads_away_from_the_network_without_class(x):
    network = denoiser(0)
    out = guided(network, None, 1, 6, DiffusionConfig(guidance=1.5))(x, torch.tensor(0.7))
    own, none = at(network, x, 0.7, 1), at(network, x, 0.7, 2)
    torch.testing.assert_close(out, none + 1.5 * (own - none))


@torch.no_grad()
def test_autoguidance_leads_away_from_the_guide_of_the_same_class(x):
    network, weak = denoiser(0), denoiser(1)
    config = DiffusionConfig(guidance=2.0, guide="early")
    out = guided(network, weak, 1, 6, config)(x, torch.tensor(0.7))
    torch.testing.assert_close(out, 2 * at(network, x, 0.7, 1) - at(weak, x, 0.7, 1))


@torch.no_grad()
def test_outside_its_interval_guidance_does_nothing(x):
    network = denoiser(0)
    config = DiffusionConfig(guidance=3.0, guidance_interval=(0.5, 1.0))
    denoise = guided(network, None, 0, 6, config)
    for sigma, changed in ((0.2, False), (0.7, True), (2.0, False)):
        differs = not torch.allclose(denoise(x, torch.tensor(sigma)), at(network, x, sigma, 0))
        assert differs == changed


@torch.no_grad()
@pytest.mark.parametrize("ends", [(0.1, 1.0), (0.1, 1.0 / 3), (0.02, 0.7), (0.6, 0.7)])
def test_the_ends_of_the_interval_belong_to_it(x, ends):
    network = denoiser(0)
    config = DiffusionConfig(guidance=3.0, guidance_interval=ends)
    denoise = guided(network, None, 0, 6, config)
    for sigma in ends:
        level = torch.tensor(sigma, dtype=torch.float64).float()
        assert not torch.allclose(denoise(x, level), at(network, x, sigma, 0))
    for sigma in (ends[0] * 0.999, ends[1] * 1.001):
        torch.testing.assert_close(denoise(x, torch.tensor(sigma)), at(network, x, sigma, 0))


def test_the_feedback_gradient_is_that_of_autograd():
    generator = torch.Generator().manual_seed(0)
    slope, offset = torch.randn(3, 4, generator=generator), torch.randn(5, 4, generator=generator)
    z = torch.randn(5, 3, generator=generator, requires_grad=True)
    entropy = torch.distributions.Categorical(logits=offset + z @ slope).entropy().sum()
    expected = torch.autograd.grad(entropy, z)[0]
    torch.testing.assert_close(Feedback(slope, offset).gradient(z.detach()), expected)


def cells(n=300, d=5):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    X = rng.normal(size=(n, d)) + 2.5 * np.eye(3, d)[y]
    return X.astype(np.float32), y


def unsureness(model, index):
    rows = model.sample(index, 512, np.random.default_rng(0))
    logits = torch.as_tensor(model.judge.scores(rows))
    return float(torch.distributions.Categorical(logits=logits).entropy().mean())


def test_feedback_draws_rows_of_which_the_classifier_is_unsure():
    X, y = cells()
    unsure = [
        unsureness(ClassDiffusion(DiffusionConfig(n_steps=0, feedback=w)).fit(X, y, seed=0), 0)
        for w in (1e-9, 5.0)
    ]
    assert unsure[1] > 1.2 * unsure[0]


def test_the_classifier_is_seen_through_the_placing_of_rows():
    """What `_view` tells of logits is what placed rows are judged to be."""
    X, y = cells()
    config = DiffusionConfig(n_steps=0, feedback=1.0, n_components=2, nuisance_scale=1.5)
    model = ClassDiffusion(config).fit(X, y, seed=0)
    Z, noise = np.random.default_rng(0).standard_normal((2, 8, 5), dtype=np.float32)
    slope, offset = model._view(Z, 1, noise)
    rows = model.prior.place(Z, 1, noise, nuisance_scale=1.5)
    np.testing.assert_allclose(offset + Z[:, :2] @ slope, model.judge.scores(rows), atol=1e-4)
