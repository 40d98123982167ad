import threading

import numpy as np
import pytest
import torch

from bloomdiff.classifiers import make_classifier
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.diffusion import DiffusionOverSampler, EmbeddingDiffusion
from bloomdiff.generators import make_generator
from bloomdiff.torch_state import seeded_globally


def test_draws_are_those_of_the_seed_and_leave_no_trace():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with seeded_globally(7):
        drawn = torch.rand(5)
    torch.testing.assert_close(drawn, torch.rand(5, generator=torch.Generator().manual_seed(7)))
    assert torch.equal(torch.get_rng_state(), before)


def test_one_thread_waits_for_another():
    inside, done, drawn = threading.Event(), threading.Event(), []

    def other():
        inside.wait()
        with seeded_globally(8):
            drawn.append(torch.rand(3))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with seeded_globally(7):
        first = torch.rand(2)
        inside.set()
        assert not done.wait(0.2)
        rest = torch.rand(3)
    thread.join()
    assert torch.equal(drawn[0], torch.rand(3, generator=torch.Generator().manual_seed(8)))
    alone = torch.Generator().manual_seed(7)
    assert torch.equal(first, torch.rand(2, generator=alone))
    assert torch.equal(rest, torch.rand(3, generator=alone))


def test_an_error_lets_the_others_go_on():
    with pytest.raises(RuntimeError, match="in between"), seeded_globally(1):
        raise RuntimeError("in between")
    with seeded_globally(1):
        assert torch.rand(1).shape == (1,)


def rows():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], [60, 20])
    X = rng.normal(size=(80, 4)) + 3 * (y == "b")[:, None] + 2 * rng.choice([-1, 1], (80, 1))
    return X.astype(np.float32), y


def sampled(name, **params):
    def draw(X, y):
        model = make_generator(name, params, seed=0).fit(X, y, fingerprint=Fingerprint.of(["g"]))
        return model.sample(y, seed=0)

    return draw


def likelihoods(X, y):
    model = EmbeddingDiffusion(n_steps=100, guidance=1.5, random_state=0).fit(X, y)
    return np.concatenate([model.sample(y, 0).ravel(), model.score_samples(X)])


def resampled(X, y):
    return DiffusionOverSampler(n_steps=100, random_state=0).fit_resample(X, y)[0]


def judged(X, y):
    model = make_classifier("mlp", {"steps": 20}).fit(X, y, fingerprint=Fingerprint.of(["g"]))
    return model.predict_proba(X)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "learn",
    [
        likelihoods,
        resampled,
        judged,
        sampled("diffusion", n_steps=100),
        sampled("latent-ddim", n_steps=20),
    ],
    ids=["estimator", "over-sampler", "mlp", "diffusion", "latent-ddim"],
)
def test_a_fit_is_the_same_where_gradients_are_off(learn, mode):
    plain = learn(*rows())
    with mode():
        np.testing.assert_array_equal(learn(*rows()), plain)


def test_what_was_fitted_where_gradients_are_off_serves_elsewhere():
    X, y = rows()
    plain = EmbeddingDiffusion(n_steps=100, random_state=0).fit(X, y)
    with torch.inference_mode():
        model = EmbeddingDiffusion(n_steps=100, random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.score_samples(X), plain.score_samples(X))
