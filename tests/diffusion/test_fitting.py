import numpy as np
import pytest
import torch

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.fitting import FEW_ROWS, make_trainer
from bloomdiff.diffusion.network import Denoiser


def trainer(n, labels=2, **config):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n, 3)).astype(np.float32)
    y = np.arange(n) % labels
    counts = np.bincount(y).astype(float)
    network = Denoiser(3, torch.eye(labels), width=8, depth=1)
    return make_trainer(
        network, Z, y, np.ones(n), counts, DiffusionConfig(**config), np.random.default_rng(1)
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


def test_nothing_is_trained_on_a_handful():
    assert trainer(19) is None
    assert trainer(20) is not None
    assert trainer(30, labels=30) is None  # one row a class: its residual is zero
