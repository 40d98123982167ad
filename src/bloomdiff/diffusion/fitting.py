"""From residuals to a trainer: which rows train, which decide when to stop."""

from __future__ import annotations

import numpy as np
import torch

from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.network import Denoiser
from bloomdiff.diffusion.training import Rows, Trainer, TrainingPlan
from bloomdiff.diffusion.whitening import Doubles, Floats, Index

HELD_OUT = 0.15
"""Part of the rows that decides when to stop."""
MAX_HELD_OUT = 10_000
"""Rows that decide at most: more would take time and tell no more."""
MIN_ROWS = 20
"""Rows in classes of two or more below which nothing is trained."""
FEW_ROWS = 2_000
"""Rows up to which the weight decay is as asked for; the defaults were chosen on fewer."""


def make_trainer(
    network: Denoiser,
    Z: Floats,
    y: Index,
    weight: Doubles,
    rows_of: Doubles,
    alike: Index,
    config: DiffusionConfig,
    rng: np.random.Generator,
) -> Trainer | None:
    """The trainer, or None where too few rows are left to learn more than the Gaussian.

    Copies of a row are held out together: training would not stop while copies of what it has
    learned by heart are what it is judged on.

    Parameters
    ----------
    network
        To be trained, in place.
    Z, y, weight
        Residuals `(n, k)`, their class indices and what each row counts for, `(n,)`.
    rows_of
        Rows of each class, `(c,)`.
    alike
        Of each row the position of its first copy, `(n,)`.
    config
        Hyper-parameters.
    rng
        Splits the rows and seeds the training.
    """
    usable = np.flatnonzero(rows_of[y] >= 2)
    distinct = rng.permutation(np.unique(alike[usable]))
    if len(distinct) < MIN_ROWS or Z.shape[1] == 0:
        return None
    place = np.empty(len(y), dtype=np.intp)
    place[distinct] = np.arange(len(distinct))
    place = place[alike[usable]]
    usable = usable[np.argsort(place, kind="stable")]
    cut = int((place < min(round(HELD_OUT * len(distinct)), MAX_HELD_OUT)).sum())
    weight = weight * rows_of[y] ** (config.balance - 1)
    # A prior on the weights counts for as many rows as it ever did, so for less among more rows.
    decay = config.weight_decay * min(1.0, FEW_ROWS / len(distinct))
    device = network.places.device

    def rows(index: Index) -> Rows:
        return Rows(
            torch.as_tensor(Z[index]).to(device),
            torch.as_tensor(y[index]).to(device),
            torch.as_tensor(weight[index]).to(device),
        )

    plan = TrainingPlan(
        n_steps=config.n_steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=decay,
        ema_decay=config.ema_decay,
        log_sigma_mean=config.log_sigma_mean,
        log_sigma_std=config.log_sigma_std,
        label_dropout=config.label_dropout,
        objective=config.objective,
        guide_steps=config.guide_steps if config.guide == "early" else None,
    )
    train, held_out = rows(usable[cut:]), rows(usable[:cut])
    return Trainer(network, train, held_out, plan, seed=int(rng.integers(2**62)))
