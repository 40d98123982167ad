import numpy as np
import pytest
import torch

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.copies import first_alike
from bloomdiff.diffusion.fitting import FEW_ROWS, make_trainer
from bloomdiff.diffusion.network import Denoiser


def trainer(n, labels=2, copies=1, **config):
    rng = np.random.default_rng(0)
    Z = np.tile(rng.normal(size=(n, 3)).astype(np.float32), (copies, 1))
    y = np.tile(np.arange(n) % labels, copies)
    counts = np.bincount(y).astype(float)
    network = Denoiser(3, torch.eye(labels), width=8, depth=1)
    return make_trainer(
        network,
        Z,
        y,
        np.ones(len(y)),
        counts,
        first_alike(Z),
        DiffusionConfig(**config),
        np.random.default_rng(1),
    )


@pytest.mark.parametrize(
    ("n", "decay"),
    [(FEW_ROWS // 4, 0.6), (FEW_ROWS, 0.6), (2 * FEW_ROWS, 0.3), (10 * FEW_ROWS, 0.06)],
)
def test_the_weight_decay_gives_way_to_many_rows(n, decay):
    assert trainer(n, weight_decay=0.6).plan.weight_decay == pytest.approx(decay)


def test_rows_part_into_those_that_train_and_those_that_stop():
    made = trainer(400)
    train, held_out = made.train.Z, made.held_out.Z
    assert (len(train), len(held_out)) == (340, 60)
    together = {tuple(row) for row in torch.cat([train, held_out]).tolist()}
    assert len(together) == 400


@pytest.mark.parametrize("copies", [2, 8])
def test_copies_are_held_out_together(copies):
    """Else training would be judged on what it has learned by heart, and never stop."""
    made, once = trainer(400, copies=copies), trainer(400)
    train, held_out = (
        {tuple(row) for row in part.Z.tolist()} for part in (made.train, made.held_out)
    )
    assert not train & held_out
    assert (len(made.train.Z), len(made.held_out.Z)) == (340 * copies, 60 * copies)
    assert held_out == {tuple(row) for row in once.held_out.Z.tolist()}
    assert trainer(19, copies=copies) is None


def test_nothing_is_trained_on_a_handful():
    assert trainer(19) is None
    assert trainer(20) is not None
    assert trainer(30, labels=30) is None  # one row a class: its residual is zero
