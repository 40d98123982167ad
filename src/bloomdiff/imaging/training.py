"""Denoising score matching on images, with a moving average and bit-identical resume."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from bloomdiff.data.images import Pixels
from bloomdiff.diffusion.training_state import Checkpoint, follow, pack_training, restore_training
from bloomdiff.errors import ParameterError
from bloomdiff.imaging.config import ImageDiffusionConfig
from bloomdiff.imaging.network import ImageDenoiser
from bloomdiff.imaging.pixels import N_TURNS, to_tensor, turned
from bloomdiff.threads import one_torch_thread, usable_cores

SHARDS = 2
"""Parts of a batch on a processor: each has one core's thread, and the sum's order is fixed, so
that the bits do not depend on the number of cores."""


class ImageTrainer:
    """Trains a denoiser; everything that decides the next step is in its checkpoint.

    Parameters
    ----------
    model
        The denoiser, changed in place; after `run` it holds the average.
    images
        uint8 `(n, s, s, 3)`.
    vectors
        Standardised, float32 `(n, d)`.
    centre
        Mean image `(3, s, s)`, which is taken off.
    config
        How.
    seed
        Seed of batches, turns, noise and dropped vectors.
    """

    def __init__(
        self,
        model: ImageDenoiser,
        images: Pixels,
        vectors: Tensor,
        centre: Tensor,
        config: ImageDiffusionConfig,
        *,
        seed: int,
    ) -> None:
        self.model, self.images, self.vectors = model, images, vectors
        self.centre, self.config = centre, config
        self.device = next(model.parameters()).device
        self.generator = torch.Generator().manual_seed(seed)
        self.average = copy.deepcopy(model)
        self.weights: list[Tensor] = list(model.parameters())
        self.optimizer = torch.optim.AdamW(
            self.weights, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0
        self.loss = 1.0

    def run(
        self,
        *,
        every: int,
        save: Callable[[Checkpoint], None] | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> None:
        """Train to the end and leave the average in `model`.

        Parameters
        ----------
        every
            Steps between checkpoints.
        save
            Called with each checkpoint.
        progress
            Called after each step with its number and the smoothed loss.

        Raises
        ------
        ParameterError
            The loss is no longer finite.
        """
        self.model.train()
        on_processor = self.device.type == "cpu"
        with (
            one_torch_thread() if on_processor else nullcontext(),
            ThreadPoolExecutor(min(SHARDS, usable_cores())) as pool,
        ):
            while self.step < self.config.n_steps:
                self._advance(pool, SHARDS if on_processor else 1)
                if progress is not None:
                    progress(self.step, self.loss)
                if save is not None and self.step % every == 0:
                    save(self.checkpoint())
        self.model.load_state_dict(self.average.state_dict())
        self.model.eval()

    def _advance(self, pool: ThreadPoolExecutor, shards: int) -> None:
        config, n = self.config, self.config.batch_size
        # A linear warm-up and a cosine to zero: the last average is then a converged one.
        warm = min(1.0, (self.step + 1) / max(1, config.n_steps // 20))
        rate = warm * 0.5 * (1 + math.cos(math.pi * self.step / config.n_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rate
        batch = self._batch(n)
        shards = min(shards, n)  # an empty part has no loss
        parts = zip(*(tensor.tensor_split(shards) for tensor in batch), strict=True)
        found = list(pool.map(lambda part: self._gradients(n, *part), parts))
        loss = sum(float(value) for value, _ in found)
        if not math.isfinite(loss):
            raise ParameterError(
                f"the image diffusion's training, step {self.step}",
                f"has a loss of {loss}",
                "lower the learning rate, and look whether the images are what they should be",
            )
        for weight, *grads in zip(self.weights, *(grads for _, grads in found), strict=True):
            weight.grad = grads[0] if len(grads) == 1 else torch.stack(grads).sum(dim=0)
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.step += 1
        self.loss += max(0.02, 1 / self.step) * (loss - self.loss)
        follow(self.average, self.weights, self.step, config.ema_decay)

    def _batch(self, n: int) -> tuple[Tensor, ...]:
        """Clean pixels, noise levels, noise, vectors and which of them may be looked at."""
        config, draw = self.config, self.generator
        rows = torch.randint(len(self.images), (n,), generator=draw)
        clean = to_tensor(self.images[rows.numpy()])
        turn = torch.randint(N_TURNS, (n,), generator=draw)
        clean = (turned(clean, turn) if config.turns else clean) - self.centre
        noise = torch.randn(clean.shape, generator=draw)
        u = torch.randn(n, generator=draw)
        sigma = torch.exp(config.log_sigma_mean + config.log_sigma_std * u)
        vector = self.vectors[rows]
        vector = vector + config.condition_noise * torch.randn(vector.shape, generator=draw)
        known = torch.rand(n, generator=draw) >= config.condition_dropout
        return tuple(tensor.to(self.device) for tensor in (clean, sigma, noise, vector, known))

    def _gradients(
        self, n: int, clean: Tensor, sigma: Tensor, noise: Tensor, vector: Tensor, known: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Loss and gradients of one part of a batch of `n`."""
        x = clean + sigma[:, None, None, None] * noise
        F = self.model.residual(x, sigma, vector, known)
        error = (F - self.model.target(clean, x, sigma)) ** 2
        loss = error.flatten(1).mean(dim=1).sum() / n
        return loss.detach(), torch.autograd.grad(loss, self.weights)

    # ---------------------------------------------------------------------------- checkpoints
    def checkpoint(self) -> Checkpoint:
        """Everything that decides the rest of the run, as tensors."""
        return pack_training(self.generator, self._modules(), self.optimizer) | {
            "step": torch.tensor(self.step),
            "loss": torch.tensor(self.loss, dtype=torch.float64),
        }

    def resume(self, state: Checkpoint) -> None:
        """Continue from what `checkpoint` gave, as if there had been no interruption."""
        restore_training(state, self.generator, self._modules(), self.optimizer)
        self.step, self.loss = int(state["step"]), float(state["loss"])

    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average}
