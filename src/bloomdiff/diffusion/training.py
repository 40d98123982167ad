"""Denoising score matching with EMA, early stopping and bit-identical resume."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bloomdiff.diffusion.config import Objective
from bloomdiff.diffusion.network import Denoiser, loss_weight, target
from bloomdiff.diffusion.training_state import Checkpoint, follow, pack_training, restore_training


@dataclass(frozen=True)
class TrainingPlan:
    """How the denoiser is trained.

    Attributes
    ----------
    n_steps
        Optimiser steps at most.
    batch_size
        Rows a step.
    learning_rate, weight_decay
        AdamW's.
    ema_decay
        Decay of the moving average a step, after a warm-up in which it grows as step / (step + 10).
    log_sigma_mean, log_sigma_std
        Normal distribution of log σ over the training draws (P_mean and P_std of Karras et al.).
    label_dropout
        Probability of training a row without its class.
    objective
        What is minimised, see `DiffusionConfig`.
    guide_steps
        Steps after which the average is kept as the early guide; None to keep none.
    eval_every
        Steps between looks at the held-out loss, and between checkpoints.
    patience
        Looks without improvement before stopping.
    """

    n_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    ema_decay: float
    log_sigma_mean: float
    log_sigma_std: float
    label_dropout: float
    objective: Objective = "edm"
    guide_steps: int | None = None
    eval_every: int = 100
    patience: int = 5


@dataclass(frozen=True)
class Rows:
    """Rows to denoise: `Z` `(n, k)`, class indices `label` `(n,)`, sampling `weight` `(n,)`."""

    Z: Tensor
    label: Tensor
    weight: Tensor


def held_out_loss(model: Denoiser, rows: Rows, plan: TrainingPlan) -> float:
    """Mean loss on held-out rows, at fixed noise and evenly spaced quantiles of log σ.

    With EDM's objective one is the loss of the untrained denoiser, if the data are standard normal.
    """
    fixed = torch.Generator().manual_seed(0)
    quantiles = (torch.arange(8) + 0.5) / 8
    normal = torch.special.ndtri(quantiles.double()).float()
    sigmas = torch.exp(plan.log_sigma_mean + plan.log_sigma_std * normal).to(rows.Z.device)
    model.eval()
    total, weight = 0.0, rows.weight / rows.weight.sum()
    with torch.inference_mode():
        for sigma in sigmas:
            noise = torch.randn(rows.Z.shape, generator=fixed).to(rows.Z.device)
            s = sigma.expand(len(rows.Z))
            F = model.residual(_scaled(rows.Z, noise, s), s, rows.label)
            error = ((F - target(rows.Z, noise, s)) ** 2).mean(dim=1)
            error = error * loss_weight(s, plan.objective)
            total += float((error.double() * weight).sum())
    return total / len(sigmas)


def _scaled(Z: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    return (Z + sigma[:, None] * noise) / (sigma[:, None] ** 2 + 1).sqrt()


class Trainer:
    """Trains a denoiser; everything that decides the next step is in its checkpoint.

    Parameters
    ----------
    model
        The denoiser, changed in place; after `run` it holds the best average.
    train, held_out
        Rows to learn from and to stop by.
    plan
        How.
    seed
        Seed of batches, noise and dropped labels.
    """

    def __init__(
        self, model: Denoiser, train: Rows, held_out: Rows, plan: TrainingPlan, *, seed: int
    ) -> None:
        self.model, self.train, self.held_out, self.plan = model, train, held_out, plan
        self.generator = torch.Generator().manual_seed(seed)
        self.average = copy.deepcopy(model)
        self.best = copy.deepcopy(model)
        self.early = None if plan.guide_steps is None else copy.deepcopy(model)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
        )
        self.step = 0
        self.stale = 0
        self.loss = self.first_loss = held_out_loss(model, held_out, plan)

    def run(
        self,
        *,
        save: Callable[[Checkpoint], None] | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> None:
        """Train to the end and leave the best average in `model`.

        Parameters
        ----------
        save
            Called with a checkpoint after every look at the held-out loss.
        progress
            Called there too, with the step and the best held-out loss so far.
        """
        while self.step < self.plan.n_steps and self.stale < self.plan.patience:
            for _ in range(min(self.plan.eval_every, self.plan.n_steps - self.step)):
                self._advance()
            self._look()
            if save is not None:
                save(self.checkpoint())
            if progress is not None:
                progress(self.step, self.loss)
        self.model.load_state_dict(self.best.state_dict())
        self.model.eval()

    def _advance(self) -> None:
        plan, Z = self.plan, self.train.Z
        rows = torch.multinomial(
            self.train.weight.cpu(), plan.batch_size, replacement=True, generator=self.generator
        ).to(Z.device)
        noise = torch.randn((plan.batch_size, Z.shape[1]), generator=self.generator).to(Z.device)
        u = torch.randn(plan.batch_size, generator=self.generator).to(Z.device)
        sigma = torch.exp(plan.log_sigma_mean + plan.log_sigma_std * u)
        dropped = torch.rand(plan.batch_size, generator=self.generator) < plan.label_dropout
        no_class = len(self.model.places) - 1
        label = self.train.label[rows].masked_fill(dropped.to(Z.device), no_class)
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = plan.learning_rate * self._rate()
        F = self.model.residual(_scaled(Z[rows], noise, sigma), sigma, label)
        error = (F - target(Z[rows], noise, sigma)) ** 2
        loss = (error * loss_weight(sigma, plan.objective)[:, None]).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        follow(self.average, self.model.parameters(), self.step, plan.ema_decay)

    def _rate(self) -> float:
        # A linear warm-up and a cosine to zero: the last average is then a converged one.
        done = self.step / self.plan.n_steps
        return min(1.0, (self.step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * done))

    def _look(self) -> None:
        if self.early is not None and self._is_early():
            self.early.load_state_dict(self.average.state_dict())
        loss = held_out_loss(self.average, self.held_out, self.plan)
        if loss < self.loss:
            self.loss, self.stale = loss, 0
            self.best.load_state_dict(self.average.state_dict())
        else:
            self.stale += 1

    def _is_early(self) -> bool:
        """Whether this is the first look at or after `guide_steps`, or one before it."""
        assert self.plan.guide_steps is not None
        every = self.plan.eval_every  # but the last look, which comes at the end
        return (self.step - 1) // every * every < self.plan.guide_steps

    # ---------------------------------------------------------------------------- checkpoints
    def checkpoint(self) -> Checkpoint:
        """Everything that decides the rest of the run, as tensors."""
        return pack_training(self.generator, self._modules(), self.optimizer) | {
            "counters": torch.tensor([self.step, self.stale]),
            "losses": torch.tensor([self.loss, self.first_loss], dtype=torch.float64),
        }

    def resume(self, state: Checkpoint) -> None:
        """Continue from what `checkpoint` gave, as if there had been no interruption."""
        restore_training(state, self.generator, self._modules(), self.optimizer)
        self.step, self.stale = (int(v) for v in state["counters"])
        self.loss, self.first_loss = (float(v) for v in state["losses"])

    def _modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module]
        modules = {"model": self.model, "average": self.average, "best": self.best}
        return modules if self.early is None else modules | {"early": self.early}
