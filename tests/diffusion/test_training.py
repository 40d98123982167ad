from dataclasses import replace

import numpy as np
import pytest
import torch

from bloomdiff.diffusion.network import Denoiser, loss_weight, target
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


def denoiser(dim=2, n_classes=2, seed=0, prediction="preconditioned"):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Denoiser(dim, torch.eye(n_classes), width=32, depth=2, prediction=prediction)


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


PREDICTIONS = ["preconditioned", "data", "noise"]


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_untrained_denoiser_is_exact_for_normal_data(prediction):
    x, sigma = torch.randn(7, 2), torch.full((7,), 3.0)
    label = torch.zeros(7, dtype=torch.long)
    out = denoiser(prediction=prediction)(x, sigma, label)
    torch.testing.assert_close(out, x / (1 + 3.0**2))


@pytest.mark.parametrize(("prediction", "factor"), [("data", 1.0), ("noise", -3.0)])
def test_what_the_last_layer_gives_is_added_to_the_estimate(prediction, factor):
    """Of the clean rows; an error of the noise is one of the clean rows, times minus sigma."""
    net = denoiser(prediction=prediction)
    torch.nn.init.ones_(net.leave.bias)
    x, sigma = torch.randn(7, 2), torch.full((7,), 3.0)
    out = net(x, sigma, torch.zeros(7, dtype=torch.long))
    torch.testing.assert_close(out, x / (1 + 3.0**2) + factor)


def test_rectified_flow_weighs_as_the_error_of_the_velocity():
    """From the definition: x_t = (1 - t) x + t n, and the velocity is n - x."""
    clean, noise, guess = torch.randn(3, 5, 2)
    sigma = torch.rand(5) * 4 + 0.1
    s, t = sigma[:, None], (sigma / (1 + sigma))[:, None]
    x_t = (1 - t) * clean + t * noise
    velocity_error = ((x_t - guess) / t - (noise - clean)) ** 2
    F = (guess - (clean + s * noise) / (s**2 + 1)) * (s**2 + 1).sqrt() / s
    error = (F - target(clean, noise, sigma)) ** 2
    weighted = error * loss_weight(sigma, "rectified-flow")[:, None]
    torch.testing.assert_close(weighted, velocity_error, rtol=1e-3, atol=1e-4)
    assert (loss_weight(sigma, "edm") == 1).all()


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


@pytest.mark.parametrize("objective", ["edm", "rectified-flow"])
def test_structure_is_learned(objective):
    """At best 0.95 of the loss is left here (2,000 steps on 2,000 rows); noise leaves all of it."""
    plan = replace(PLAN, n_steps=500, batch_size=256, learning_rate=1e-2, objective=objective)
    run = trainer(plan)
    run.run()
    if objective == "edm":
        assert run.first_loss == pytest.approx(1, abs=0.03)
    assert run.loss < 0.98 * run.first_loss
    assert held_out_loss(run.model, run.held_out, plan) == run.loss


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_every_prediction_learns(prediction):
    plan = replace(PLAN, n_steps=500, batch_size=128, learning_rate=3e-3)
    net = denoiser(prediction=prediction)
    run = Trainer(net, rows(400, 0), rows(200, 1), plan, seed=5)
    run.run()
    assert run.loss < 0.99 * run.first_loss


@pytest.mark.parametrize("n_steps", [PLAN.n_steps, 90])  # 90 is a look of its own, after 80
def test_the_early_guide_is_the_average_at_its_step(n_steps):
    kept = []
    plan = replace(PLAN, n_steps=n_steps, guide_steps=60)  # the looks are at 40, 80 and so on
    run = trainer(plan)
    run.run(save=lambda checkpoint: kept.append(checkpoint))
    weights = {k.removeprefix("average."): v for k, v in kept[1].items() if "average." in k}
    for name, value in run.early.state_dict().items():
        assert torch.equal(value, weights[name])
    assert any(not torch.equal(v, kept[-1][f"average.{k}"]) for k, v in weights.items())


def test_nothing_is_learned_from_noise_and_nothing_is_lost():
    run = trainer(bimodal=False)
    run.run()
    assert run.loss <= run.first_loss
    assert run.loss > run.first_loss - 0.02


def state(model):
    return b"".join(v.numpy().tobytes() for v in model.state_dict().values())


@pytest.mark.parametrize(("stop_after", "guide_steps"), [(1, None), (3, None), (2, 50)])
def test_resumed_it_ends_in_the_same_bytes(stop_after, guide_steps):
    plan = replace(PLAN, guide_steps=guide_steps)
    straight = trainer(plan)
    straight.run()

    class KilledError(Exception):
        pass

    kept = []

    def save(checkpoint):
        kept.append(checkpoint)
        if len(kept) == stop_after:
            raise KilledError

    with pytest.raises(KilledError):
        trainer(plan).run(save=save)
    resumed = trainer(plan)
    resumed.resume(kept[-1])
    assert resumed.step == stop_after * PLAN.eval_every
    resumed.run()
    assert state(resumed.model) == state(straight.model)
    assert resumed.loss == straight.loss
    if guide_steps:
        assert state(resumed.early) == state(straight.early)


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
