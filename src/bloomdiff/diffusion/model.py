"""Class-conditional diffusion of vectors about their class means: fit, sample, state."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from bloomdiff.diffusion.centres import Centres
from bloomdiff.diffusion.config import DiffusionConfig, Divergence
from bloomdiff.diffusion.copies import first_alike
from bloomdiff.diffusion.domains import classes_on_either_side, on_either_side
from bloomdiff.diffusion.judge import Judge, undisputed
from bloomdiff.diffusion.noise import balanced_noise
from bloomdiff.diffusion.pool import NEGLIGIBLE, Learned, prior_with_pool
from bloomdiff.diffusion.prior import ClassPrior
from bloomdiff.diffusion.state import Arrays, pack, pack_network, part, restore_network
from bloomdiff.diffusion.whitening import Doubles, Floats, Index, Whitening
from bloomdiff.torch_state import learning, seeded_globally, single_precision

if TYPE_CHECKING:
    from bloomdiff.diffusion.likelihood import GainKind
    from bloomdiff.diffusion.training_state import Checkpoint

ClassifierKind = Literal["prior", "flow", "denoising"]
BLOCK = 256
"""Rows sampled together."""
KEPT = BLOCK // 8
"""Rows of a block that the filter leaves at least."""


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

    @learning()
    def fit(
        self,
        X: Floats,
        y: Index,
        *,
        seed: int,
        pool: Floats | None = None,
        parents: Index | None = None,
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
        parents
            Index of each class's parent `(c,)`, see `Centres.fit`.
        resume
            A checkpoint of the same rows and configuration to continue from.
        save, progress
            See `Trainer.run`.
        """
        from bloomdiff.diffusion.fitting import make_trainer

        config, rng = self.config, np.random.default_rng(seed)
        needs_judge = config.filter == "logistic" or config.feedback != 0
        self.judge = Judge.fit(X, y) if needs_judge else None
        weight, squares = np.ones(len(y)), np.bincount(y).astype(np.float64)
        self.prior, counts_for, self.offset = self.learn_prior(X, y, pool, parents)
        if pool is not None and counts_for is not None:
            # One label a row here: the same row in training and held-out part would be a leak.
            X = np.concatenate([X, pool - self.offset])
            y = np.concatenate([y, counts_for.argmax(axis=1)])
            weight = np.concatenate([weight, counts_for.max(axis=1)])
            joined = np.where(counts_for > NEGLIGIBLE, counts_for, 0)
            squares = squares + (joined**2).sum(axis=0)
        self._build(seed=int(rng.integers(2**62)))
        whitening, rows_of = self.prior.whitening, self.prior.whitening.rows
        Z = whitening.residuals(X, y, weight=weight, squares=squares)[:, : self.n_diffused]
        alike = first_alike(X)
        trainer = make_trainer(self.network, Z, y, weight, rows_of, alike, config, rng)
        self.losses = np.ones(2)
        if trainer is not None:
            if resume is not None:
                trainer.resume(resume)
            trainer.run(save=save, progress=progress)
            self.losses = np.asarray([trainer.first_loss, trainer.loss])
            if self.guide is not None and trainer.early is not None:
                self.guide.load_state_dict(trainer.early.state_dict())
        return self

    def learn_prior(
        self, X: Floats, y: Index, pool: Floats | None, parents: Index | None
    ) -> Learned:
        """What is known before the network, of rows and a pool as given to `fit`."""
        config = self.config
        return prior_with_pool(
            X,
            y,
            pool,
            rounds=config.pool_rounds,
            trust=config.pool_trust,
            shares=config.pool_shares,
            shrinkage=config.shrinkage,
            parents=parents,
        )

    def sample(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        """Draw rows of class `index`, float32 `(n, d)`; row k does not depend on `n`.

        Rows are balanced in eights (`balanced_noise`). A matrix product's last bits depend on the
        shape of the whole product, so every block is drawn whole.
        """
        blocks, drawn = [], 0
        while drawn < n:
            block = self._sample_block(index, rng)
            if self.config.filter != "none":
                judge = self.prior if self.config.filter == "prior" else self.judge
                assert judge is not None
                block = block[undisputed(judge.scores(block), index, KEPT)]
            block[1::2] += self.offset  # as many from where the pool is as from here
            blocks.append(block)
            drawn += len(block)
        return np.ascontiguousarray(np.concatenate(blocks)[:n])

    def _sample_block(self, index: int, rng: np.random.Generator) -> Floats:
        white = balanced_noise(BLOCK, 2 * self.prior.whitening.dim, rng).reshape(BLOCK, 2, -1)
        Z, noise = (self.prior.whitening.rotate(white[:, part]) for part in (0, 1))
        k, scale = self.n_diffused, self.config.nuisance_scale
        if self.config.feedback != 0 and k > 0:
            Z[:, :k] = self.flow.draw(Z[:, :k], index, self._view(Z, index, noise))
        elif self.learned:
            Z[:, :k] = self.flow.draw(Z[:, :k], index)
        return self.prior.place(Z, index, noise, nuisance_scale=scale)

    def _view(self, Z: Floats, index: int, noise: Floats) -> tuple[Doubles, Doubles]:
        """How the judge sees the diffused residuals: slope `(k, c)` and offset `(BLOCK, c)`.

        Placing rows and judging them are affine, so that unit residuals show the slope.
        """
        assert self.judge is not None
        k, scale = self.n_diffused, self.config.nuisance_scale
        rest = np.concatenate([np.zeros_like(Z[:, :k]), Z[:, k:]], axis=1)
        unit = np.eye(k + 1, Z.shape[1], dtype=np.float32)
        unit[k:] = 0
        still = np.zeros_like(unit)
        seen = self.judge.scores(self.prior.place(unit, index, still, nuisance_scale=scale))
        placed = self.prior.place(rest, index, noise, nuisance_scale=scale)
        return seen[:k] - seen[k], self.judge.scores(placed)

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

        def here(X: Floats) -> Doubles:
            Z, log_det = self.prior.standardize(self.prior.whitening.whiten(X), index)
            gaussian = log_det - (Z**2).sum(axis=1) / 2
            return gaussian + self._gain(Z, index, "flow", divergence)

        return on_either_side(here, X, self.offset)

    def class_scores(self, X: Floats, classifier: ClassifierKind) -> Doubles:
        """Log-likelihoods of the classes up to a constant of each row, float64 `(n, c)`.

        The predictive Gaussians in the directions in which the classes differ, and on top what
        the network adds: by its flow, by its denoising bound, or (prior) not at all.
        """

        def here(X: Floats) -> Doubles:
            scores = self.prior.scores(X)
            if classifier == "prior" or not self.learned:
                return scores
            whitened = self.prior.whitening.whiten(X)
            for i in range(self.n_classes):
                Z, _ = self.prior.standardize(whitened, i)
                scores[:, i] += self._gain(Z, i, classifier, "auto")
            return scores

        return classes_on_either_side(here, self.prior.log_densities, X, self.offset)

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
        device = torch.device(auto if self.device == "auto" else self.device)
        with seeded_globally(seed, devices=[]), single_precision():
            network = Denoiser(
                max(self.n_diffused, 1),
                torch.as_tensor(self.prior.centres.places, dtype=torch.float32),
                width=max(config.width, self.n_diffused),
                depth=config.depth,
                prediction=config.prediction,
            )
        self.network = network.to(device).eval()
        self.guide = copy.deepcopy(self.network) if config.guide == "early" else None
        self.flow = ResidualFlow(self.network, config, self.guide)

    # ---------------------------------------------------------------------------------- state
    def state(self) -> Arrays:
        """Everything learned, as named arrays."""
        arrays = pack("whitening", self.prior.whitening) | pack("centres", self.prior.centres)
        arrays |= {"losses": self.losses, "offset": self.offset}
        if self.judge is not None:
            arrays |= pack("judge", self.judge)
        if self.guide is not None:
            arrays |= pack_network("guide", self.guide)
        return arrays | pack_network("network", self.network)

    def restore(self, state: Arrays) -> Self:
        """Take back what `state` gave."""
        whitening = Whitening(**part("whitening", state))
        self.prior = ClassPrior(whitening, Centres(**part("centres", state)))
        judge = part("judge", state)
        self.judge = Judge(**judge) if judge else None
        self.losses, self.offset = state["losses"], state["offset"]
        self._build(seed=0)
        restore_network("network", self.network, state)
        if self.guide is not None:
            restore_network("guide", self.guide, state)
        return self
