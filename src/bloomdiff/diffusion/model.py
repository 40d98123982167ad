"""Class-conditional diffusion of vectors about their class means: fit, sample, state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from bloomdiff.diffusion.centres import Centres
from bloomdiff.diffusion.config import DiffusionConfig
from bloomdiff.diffusion.noise import balanced_noise
from bloomdiff.diffusion.pool import join, pseudo_labels
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.whitening import Doubles, Floats, Index, Whitening

if TYPE_CHECKING:
    from bloomdiff.diffusion.likelihood import Divergence, GainKind
    from bloomdiff.diffusion.training import Checkpoint, Trainer

Arrays = dict[str, npt.NDArray[Any]]


ClassifierKind = Literal["prior", "flow", "denoising"]
BLOCK = 256
"""Rows sampled together."""
HELD_OUT = 0.15
"""Part of the rows that decides when to stop."""
MIN_ROWS = 20
"""Rows in classes of two or more below which nothing is trained."""


class ClassDiffusion:
    """Diffusion on whitened residuals about the class means.

    Parameters
    ----------
    config
        Hyper-parameters.
    device
        "cpu", "cuda" or "auto".
    """

    def __init__(self, config: DiffusionConfig, *, device: str = "cpu") -> None:
        self.config = config
        self.device = device

    def fit(
        self,
        X: Floats,
        y: Index,
        *,
        seed: int,
        pool: Floats | None = None,
        resume: Checkpoint | None = None,
        save: Callable[[Checkpoint], None] | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> Self:
        """Learn from rows `(n, d)` of classes `(n,)`, indices 0 to c - 1, every class present.

        Parameters
        ----------
        X, y
            float32 rows and their class indices.
        seed
            Seed of the split, the weights and the training.
        pool
            Rows `(m, d)` without labels to learn from as well.
        resume
            A checkpoint of the same rows and configuration to continue from.
        save, progress
            See `Trainer.run`.
        """
        config, rng = self.config, np.random.default_rng(seed)
        weight = np.ones(len(y))
        if pool is None or len(pool) == 0 or config.pool_trust == 0 or y.max() == 0:
            self.prior = ClassPrior.fit(X, y, shrinkage=config.shrinkage)
        else:
            counts_for = pseudo_labels(
                X,
                y,
                pool,
                rounds=config.pool_rounds,
                trust=config.pool_trust,
                shrinkage=config.shrinkage,
            )
            rows, labels, soft = join(X, y, pool, counts_for)
            self.prior = ClassPrior.fit(rows, labels, weight=soft, shrinkage=config.shrinkage)
            # One label a row here: the same row in training and held-out part would be a leak.
            X = np.concatenate([X, pool])
            y = np.concatenate([y, counts_for.argmax(axis=1)])
            weight = np.concatenate([weight, counts_for.max(axis=1)])
        self._build(seed=int(rng.integers(2**62)))
        Z = self.prior.whitening.residuals(X, y)[:, : self.n_diffused]
        trainer = self._trainer(Z, y, weight, rng)
        self.losses = np.ones(2)
        if trainer is not None:
            if resume is not None:
                trainer.resume(resume)
            trainer.run(save=save, progress=progress)
            self.losses = np.asarray([trainer.first_loss, trainer.loss])
        return self

    def sample(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        """Draw rows of class `index`, float32 `(n, d)`; row k does not depend on `n`.

        Rows are balanced in eights (`balanced_noise`). A matrix product's last bits depend on the
        shape of the whole product, so every block is drawn whole.
        """
        blocks = [self._sample_block(index, rng) for _ in range(-(-n // BLOCK))]
        return np.ascontiguousarray(np.concatenate(blocks)[:n])

    def _sample_block(self, index: int, rng: np.random.Generator) -> Floats:
        noise = balanced_noise(BLOCK, 2 * self.prior.whitening.dim, rng).reshape(BLOCK, 2, -1)
        Z, k = noise[:, 0], self.n_diffused
        if self.learned:
            Z = Z.copy()
            Z[:, :k] = self.flow.draw(Z[:, :k], index)
        return self.prior.place(Z, index, noise[:, 1], nuisance_scale=self.config.nuisance_scale)

    @property
    def learned(self) -> bool:
        """Whether training found more than the Gaussian; where not, noise is the residual."""
        return bool(self.losses[1] < self.losses[0])

    def log_likelihood(self, X: Floats, index: int, *, divergence: Divergence = "auto") -> Doubles:
        """Log density of rows `(n, d)` in class `index`, nats, float64 `(n,)`.

        The density is that of the data as learned, whatever guidance and `nuisance_scale` do to
        the samples: the probability flow in the diffused directions, a Gaussian in the others,
        both about the shrunk centre and, by a change of variables that makes the covariance the
        predictive one, with the centre's uncertainty. Directions without spread in the training
        rows are left out.
        """
        Z, log_det = self.prior.standardize(self.prior.whitening.whiten(X), index)
        gaussian = log_det - (Z**2).sum(axis=1) / 2
        return gaussian + self._gain(Z, index, "flow", divergence)

    def class_scores(self, X: Floats, classifier: ClassifierKind) -> Doubles:
        """Log-likelihoods of the classes up to a constant of each row, float64 `(n, c)`.

        The predictive Gaussians in the directions in which the classes differ, and on top what
        the network adds: by its flow, by its denoising bound, or (prior) not at all.
        """
        scores = self.prior.scores(X)
        if classifier == "prior" or not self.learned:
            return scores
        whitened = self.prior.whitening.whiten(X)
        for i in range(self.n_classes):
            Z, _ = self.prior.standardize(whitened, i)
            scores[:, i] += self._gain(Z, i, classifier, "auto")
        return scores

    def _gain(self, Z: Doubles, index: int, by: GainKind, divergence: Divergence) -> Doubles:
        if not self.learned:
            return np.zeros(len(Z))
        return self.flow.gain(Z[:, : self.n_diffused], index, by, divergence)

    def _build(self, *, seed: int) -> None:
        import torch

        from bloomdiff.diffusion.flow import ResidualFlow
        from bloomdiff.diffusion.network import Denoiser

        config, whitening = self.config, self.prior.whitening
        self.n_classes = len(whitening.rows)
        varying = int((whitening.scale > 0).sum())
        self.n_diffused = min(varying, config.n_components or varying)
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.torch_device = torch.device(auto if self.device == "auto" else self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Denoiser(
                max(self.n_diffused, 1),
                torch.as_tensor(self.prior.centres.places, dtype=torch.float32),
                width=max(config.width, self.n_diffused),
                depth=config.depth,
            )
        self.network = network.to(self.torch_device).eval()
        self.flow = ResidualFlow(self.network, config)

    def _trainer(
        self, Z: Floats, y: Index, weight: Doubles, rng: np.random.Generator
    ) -> Trainer | None:
        """The trainer, or None where too few rows are left to learn more than the Gaussian."""
        import torch

        from bloomdiff.diffusion.training import Rows, Trainer, TrainingPlan

        rows_of = self.prior.whitening.rows[y]
        usable = rng.permutation(np.flatnonzero(rows_of >= 2))
        if len(usable) < MIN_ROWS or self.n_diffused == 0:
            return None
        config = self.config
        cut = round(HELD_OUT * len(usable))
        weight = weight * rows_of ** (config.balance - 1)

        def rows(index: Index) -> Rows:
            return Rows(
                torch.as_tensor(Z[index]).to(self.torch_device),
                torch.as_tensor(y[index]).to(self.torch_device),
                torch.as_tensor(weight[index]).to(self.torch_device),
            )

        plan = TrainingPlan(
            n_steps=config.n_steps,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            ema_decay=config.ema_decay,
            log_sigma_mean=config.log_sigma_mean,
            log_sigma_std=config.log_sigma_std,
            label_dropout=config.label_dropout,
        )
        train, held_out = rows(usable[cut:]), rows(usable[:cut])
        return Trainer(self.network, train, held_out, plan, seed=int(rng.integers(2**62)))

    # ---------------------------------------------------------------------------------- state
    def state(self) -> Arrays:
        """Everything learned, as named arrays."""
        whitening, centres = self.prior.whitening, self.prior.centres
        arrays: Arrays = {
            f"whitening.{f.name}": getattr(whitening, f.name) for f in fields(whitening)
        }
        arrays |= {f"centres.{f.name}": getattr(centres, f.name) for f in fields(centres)}
        arrays["losses"] = self.losses
        weights = self.network.state_dict()
        return arrays | {f"network.{k}": v.detach().cpu().numpy() for k, v in weights.items()}

    def restore(self, state: Arrays) -> Self:
        """Take back what `state` gave."""
        import torch

        whitening = {f.name: state[f"whitening.{f.name}"] for f in fields(Whitening)}
        centres = {f.name: state[f"centres.{f.name}"] for f in fields(Centres)}
        self.prior = ClassPrior(Whitening(**whitening), Centres(**centres))
        self.losses = state["losses"]
        self._build(seed=0)
        prefix = "network."
        self.network.load_state_dict(
            {
                k.removeprefix(prefix): torch.from_numpy(v.copy())
                for k, v in state.items()
                if k.startswith(prefix)
            }
        )
        return self
