from dataclasses import replace

import numpy as np
import pytest
import torch

from bloomdiff.diffusion.network import Denoiser, target
from bloomdiff.diffusion.training import Rows, Trainer, TrainingPlan, held_out_loss

PLAN = TrainingPlan(
    n_steps=200,
    batch_size=64,
    learning_rate=3e-3,
    weight_decay=0.01,
    ema_decay=0.99,
    log_sigma_mean=0.0,
    log_sigma_std=1.2,
    label_dropout=0.2,
    eval_every=40,
)


def denoiser(dim=2, n_classes=2, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Denoiser(dim, torch.eye(n_classes), width=32, depth=2)


def rows(n, seed, *, bimodal=True):
    """Unit variance; two far modes, on opposite axes in the two classes."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n)
    Z = rng.normal(size=(n, 2))
    if bimodal:
        sign = rng.choice([-1, 1], n)
        Z[np.arange(n), label] = 0.97 * sign + 0.25 * rng.normal(size=n)
    return Rows(
        torch.as_tensor(Z, dtype=torch.float32),
        torch.as_tensor(label),
        torch.ones(n, dtype=torch.float64),
    )


def trainer(plan=PLAN, **kw):
    return Trainer(denoiser(), rows(400, 0, **kw), rows(200, 1, **kw), plan, seed=5)


def test_the_untrained_denoiser_is_exact_for_normal_data():
    x, sigma = torch.randn(7, 2), torch.full((7,), 3.0)
    label = torch.zeros(7, dtype=torch.long)
    torch.testing.assert_close(denoiser()(x, sigma, label), x / (1 + 3.0**2))


def test_the_target_recovers_the_clean_rows():
    """D with F at its target returns the data: the preconditioning is consistent."""
    clean, noise, sigma = torch.randn(5, 2), torch.randn(5, 2), torch.rand(5) * 4 + 0.1
    x, s = clean + sigma[:, None] * noise, sigma[:, None]
    back = x / (s**2 + 1) + s / (s**2 + 1).sqrt() * target(clean, noise, sigma)
    torch.testing.assert_close(back, clean, atol=1e-5, rtol=1e-4)


def test_the_untrained_loss_of_normal_data_is_one():
    assert held_out_loss(denoiser(), rows(4000, 0, bimodal=False), PLAN) == pytest.approx(
        1, abs=0.03
    )


def test_structure_is_learned():
    """At best 0.95 of the loss is left here (2,000 steps on 2,000 rows); noise leaves all of it."""
    run = trainer(replace(PLAN, n_steps=500, batch_size=256, learning_rate=1e-2))
    run.run()
    assert run.first_loss == pytest.approx(1, abs=0.03)
    assert run.loss < 0.98
    assert held_out_loss(run.model, run.held_out, PLAN) == run.loss


def test_nothing_is_learned_from_noise_and_nothing_is_lost():
    run = trainer(bimodal=False)
    run.run()
    assert run.loss <= run.first_loss
    assert run.loss > run.first_loss - 0.02


def state(model):
    return b"".join(v.numpy().tobytes() for v in model.state_dict().values())


@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumed_it_ends_in_the_same_bytes(stop_after):
    straight = trainer()
    straight.run()

    class KilledError(Exception):
        pass

    kept = []

    def save(checkpoint):
        kept.append(checkpoint)
        if len(kept) == stop_after:
            raise KilledError

    with pytest.raises(KilledError):
        trainer().run(save=save)
    resumed = trainer()
    resumed.resume(kept[-1])
    assert resumed.step == stop_after * PLAN.eval_every
    resumed.run()
    assert state(resumed.model) == state(straight.model)
    assert resumed.loss == straight.loss


def test_another_seed_gives_other_bytes():
    one, other = trainer(), Trainer(denoiser(), rows(400, 0), rows(200, 1), PLAN, seed=6)
    one.run()
    other.run()
    assert state(one.model) != state(other.model)


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(3)
    run = trainer()
    before = torch.get_rng_state()
    run.run()
    assert torch.equal(torch.get_rng_state(), before)
