"""Class-conditional diffusion of vectors about their class means: fit, sample, state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from bloomdiff.diffusion.whitening import Floats, Index, Whitening

if TYPE_CHECKING:
    import torch

    from bloomdiff.diffusion.samplers import Denoise
    from bloomdiff.diffusion.training import Checkpoint, Trainer

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class DiffusionConfig:
    """Hyper-parameters of the model; the defaults are those of `bench/ablations.py`.

    Attributes
    ----------
    n_components
        Leading within-class principal components that are diffused; the remaining ones are drawn
        from their Gaussian. None for all.
    shrinkage
        Of the within-class covariance, in [0, 1]; None for Ledoit and Wolf's.
    width, depth
        Units and number of residual blocks; the width is raised to the dimension diffused.
    dropout
        Dropout probability before the last layer.
    class_prior
        Rows of a class at which its own embedding counts half; a class of m rows has weight
        m / (m + class_prior).
    balance
        Exponent of the class frequencies in training: 1 for natural, 0 for equal ones.
    n_steps, batch_size, learning_rate, weight_decay, ema_decay, label_dropout
        Of the training.
    log_sigma_mean, log_sigma_std
        Normal distribution of log σ in training.
    sigma_min, sigma_max
        Noise range of the sampler, in units of the whitened data; sigma_max None for
        2 √k with k the dimension diffused.
    sampling_steps
        Steps of the solver.
    guidance
        Classifier-free guidance scale w: D = D_none + w (D_class - D_none); 1 for none.
    """

    n_components: int | None = 64
    shrinkage: float | None = None
    width: int = 256
    depth: int = 2
    dropout: float = 0.1
    class_prior: float = 20.0
    balance: float = 0.5
    n_steps: int = 1500
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    ema_decay: float = 0.995
    label_dropout: float = 0.2
    log_sigma_mean: float = 0.0
    log_sigma_std: float = 1.2
    sigma_min: float = 0.02
    sigma_max: float | None = None
    sampling_steps: int = 16
    guidance: float = 1.0


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
        resume
            A checkpoint of the same rows and configuration to continue from.
        save, progress
            See `Trainer.run`.
        """
        rng = np.random.default_rng(seed)
        self.whitening = Whitening.fit(X, y, shrinkage=self.config.shrinkage)
        self.counts = np.bincount(y)
        self._build(seed=int(rng.integers(2**62)))
        Z = self.whitening.whiten(X, y)[:, : self.n_diffused]
        trainer = self._trainer(Z, y, rng)
        self.losses = np.ones(2)
        if trainer is not None:
            if resume is not None:
                trainer.resume(resume)
            trainer.run(save=save, progress=progress)
            self.losses = np.asarray([trainer.first_loss, trainer.loss])
        return self

    def sample(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        """Draw rows of class `index`, float32 `(n, d)`; row k does not depend on `n`."""
        blocks = [self._sample_block(index, rng) for _ in range(-(-n // BLOCK))]
        return self.whitening.colour(np.concatenate(blocks), index)[:n]

    def _sample_block(self, index: int, rng: np.random.Generator) -> Floats:
        """Whitened residuals `(BLOCK, d)`.

        A matrix product's last bits depend on the shape of the whole product, so every block is
        drawn whole.
        """
        import torch

        from bloomdiff.diffusion.samplers import dpm_solver, noise_levels

        Z = rng.standard_normal((BLOCK, self.whitening.dim), dtype=np.float32)
        k = self.n_diffused
        if k == 0:
            return Z
        config = self.config
        sigma_max = config.sigma_max or 2 * np.sqrt(k)
        levels = noise_levels(config.sampling_steps, config.sigma_min, sigma_max)
        # The noisy data, not the noise alone: unit variance plus that of the noise.
        x = torch.from_numpy(Z[:, :k]).to(self.torch_device) * np.sqrt(1 + sigma_max**2)
        with torch.inference_mode():
            clean = dpm_solver(self._denoiser(index), x, levels.to(self.torch_device))
        Z[:, :k] = clean.cpu().numpy()
        return Z

    def _denoiser(self, index: int) -> Denoise:
        """The denoiser of one class with classifier-free guidance (Ho and Salimans 2022)."""
        import torch

        w, network = self.config.guidance, self.network
        own = torch.full((BLOCK,), index, device=self.torch_device)
        none = torch.full((BLOCK,), len(self.counts), device=self.torch_device)

        def denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            sigmas = sigma.expand(len(x))
            clean = network(x, sigmas, own)
            if w == 1:
                return clean
            shared = network(x, sigmas, none)
            return torch.lerp(shared, clean, w)

        return denoise

    def _build(self, *, seed: int) -> None:
        import torch

        from bloomdiff.diffusion.network import Denoiser

        config = self.config
        varying = int((self.whitening.scale > 0).sum())
        self.n_diffused = min(varying, config.n_components or varying)
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.torch_device = torch.device(auto if self.device == "auto" else self.device)
        strength = self.counts / (self.counts + config.class_prior)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Denoiser(
                max(self.n_diffused, 1),
                len(self.counts),
                width=max(config.width, self.n_diffused),
                depth=config.depth,
                strength=torch.as_tensor(strength, dtype=torch.float32),
                dropout=config.dropout,
            )
        self.network = network.to(self.torch_device).eval()

    def _trainer(self, Z: Floats, y: Index, rng: np.random.Generator) -> Trainer | None:
        """The trainer, or None where too few rows are left to learn more than the Gaussian."""
        import torch

        from bloomdiff.diffusion.training import Rows, Trainer, TrainingPlan

        usable = rng.permutation(np.flatnonzero(self.counts[y] >= 2))
        if len(usable) < MIN_ROWS or self.n_diffused == 0:
            return None
        config = self.config
        cut = round(HELD_OUT * len(usable))
        weight = self.counts[y].astype(np.float64) ** (config.balance - 1)

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
        arrays: Arrays = {
            "means": self.whitening.means,
            "basis": self.whitening.basis,
            "scale": self.whitening.scale,
            "counts": self.counts.astype(np.int64),
            "losses": self.losses,
        }
        weights = self.network.state_dict()
        return arrays | {f"network.{k}": v.detach().cpu().numpy() for k, v in weights.items()}

    def restore(self, state: Arrays) -> Self:
        """Take back what `state` gave."""
        import torch

        self.whitening = Whitening(state["means"], state["basis"], state["scale"])
        self.counts, self.losses = state["counts"], state["losses"]
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
