"""Images from vectors: fit on pairs, draw one image per vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from bloomdiff.artifacts import Arrays, read_artifact, write_artifact
from bloomdiff.data.embedding_set import Floats
from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.data.images import Pixels
from bloomdiff.diffusion.samplers import dpm_solver, noise_levels
from bloomdiff.diffusion.state import pack_network, restore_network
from bloomdiff.errors import InputError
from bloomdiff.imaging.checkpoints import checkpoint_path, train
from bloomdiff.imaging.config import ImageDiffusionConfig
from bloomdiff.imaging.network import ImageDenoiser
from bloomdiff.imaging.pixels import to_pixels, to_tensor, turned
from bloomdiff.imaging.training import ImageTrainer
from bloomdiff.parallel import map_chunks
from bloomdiff.threads import one_torch_thread, usable_cores
from bloomdiff.torch_state import seeded_globally

_NOUN, _NAME = "image_model", "image-diffusion"
BATCH = {"cpu": 16, "cuda": 256}
"""Images drawn at once; a last batch is filled up, so that an image does not depend on how many
are asked for."""


class ImageDiffusion:
    """Diffusion of square RGB images, conditioned on a vector.

    Parameters
    ----------
    config
        Hyper-parameters; the defaults where None.
    device
        "cpu", "cuda" or "auto".

    Attributes
    ----------
    fingerprint
        Groups of the cells that were fitted on, available after `fit`.
    dim_
        Dimension d of the vectors.

    References
    ----------
    Karras et al. (2022), arXiv:2206.00364; Li, Katabi and He (2023), Return of unconditional
    generation, arXiv:2312.03701 (pixels conditioned on a generated representation).
    """

    def __init__(self, config: ImageDiffusionConfig | None = None, *, device: str = "cpu") -> None:
        self.config = ImageDiffusionConfig() if config is None else config
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(auto if device == "auto" else device)

    def fit(
        self,
        images: Pixels,
        conditions: Floats,
        *,
        fingerprint: Fingerprint,
        seed: int,
        checkpoint_dir: Path | None = None,
    ) -> Self:
        """Learn from pairs of image and vector.

        Parameters
        ----------
        images
            uint8 RGB `(n, s, s, 3)` with s the configured `image_size`.
        conditions
            float32 `(n, d)`: embeddings, or one-hot classes. Standardised here, by these rows.
        fingerprint
            Groups of the rows.
        seed
            Seed of everything random.
        checkpoint_dir
            Folder of a checkpoint, from which a fit that was cut short on the same rows with the
            same configuration and seed goes on, bit-identically. None keeps none.

        Raises
        ------
        InputError
            A vector that is not finite.
        ParameterError
            The training diverged, or the extra is not installed.
        """
        side = self.config.image_size
        if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3) or len(images) == 0:
            raise ValueError(f"images must be uint8 (n, {side}, {side}, 3): {images.shape}")
        X = _checked(conditions, len(images), "training vector")
        scale = X.std(axis=0)
        self._mean = X.mean(axis=0)
        self._scale = np.where(scale > 1e-6 * max(float(scale.max()), 1e-12), scale, 1.0)
        self.fingerprint, self.dim_ = fingerprint, int(X.shape[1])
        self._centre, sigma_data = self._moments(images)
        self._build(sigma_data, seed)
        trainer = ImageTrainer(
            self._network,
            images,
            self._standardised(X),
            self._centre,
            self.config,
            seed=seed,
        )
        train(trainer, checkpoint_path(checkpoint_dir, self.config, seed, images, X))
        return self

    def sample(self, conditions: Floats, *, seed: int, guidance: float | None = None) -> Pixels:
        """Draw one image per vector, uint8 RGB `(n, s, s, 3)`.

        Image k depends on the seed, on k and on vector k alone.

        Parameters
        ----------
        conditions
            float32 `(n, d)`, in the units that were fitted on.
        seed
            Seed of the noise.
        guidance
            Other than the configured one.
        """
        X = _checked(conditions, len(conditions), "vector")
        if X.shape[1] != self.dim_:
            raise ValueError(f"vectors must have dimension {self.dim_}, however: {X.shape[1]}")
        config, size = self.config, BATCH[self.device.type]
        weight = config.guidance if guidance is None else guidance
        shape = (3, config.image_size, config.image_size)
        rng = np.random.default_rng(seed)
        levels = noise_levels(config.sampling_steps, config.sigma_min, config.sigma_max)
        vectors = self._standardised(X)

        def part(batch: list[tuple[int, Tensor]]) -> Pixels:
            ((start, noise),) = batch
            own = vectors[start : start + size]
            fill = size - len(own)
            own = torch.nn.functional.pad(own, (0, 0, 0, fill)).to(self.device)
            noise = torch.nn.functional.pad(noise, (0, 0) * 3 + (0, fill)).to(self.device)
            with torch.inference_mode():
                denoise = self._denoiser(own, weight)
                x = dpm_solver(denoise, float(levels[0]) * noise, levels)
            return to_pixels(x.cpu()[: size - fill] + self._centre)

        def noises() -> Iterator[tuple[int, Tensor]]:
            # In the rows' order, whichever thread is the first, and no sooner than it is needed.
            for start in range(0, len(X), size):
                noise = rng.standard_normal((min(size, len(X) - start), *shape), np.float32)
                yield start, torch.from_numpy(noise)

        on_processor = self.device.type == "cpu"
        jobs = usable_cores() if on_processor else 1
        with one_torch_thread() if on_processor else nullcontext():
            parts = list(map_chunks(part, noises(), jobs=jobs, chunk=1, threads=True))
        return np.concatenate(parts) if parts else np.empty((0, *shape[1:], 3), np.uint8)

    def save(self, path: str | Path) -> None:
        """Write the folder `path` (safetensors and JSON), atomically."""
        card = {
            _NOUN: _NAME,
            "config": asdict(self.config),
            "fingerprint": self.fingerprint.to_dict(),
        }
        write_artifact(path, _NOUN, card, self.state())

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """Read a folder written by `save`; a damaged one is an `IntegrityError`."""
        card, state = read_artifact(path, _NOUN, _NAME)
        values = card["config"]
        config = ImageDiffusionConfig(**{**values, "widths": tuple(values["widths"])})
        self = cls(config, device=device)
        fingerprint = Fingerprint.from_dict(card["fingerprint"], where=str(path))
        return self.restore(state, fingerprint)

    def state(self) -> Arrays:
        """Everything learned, as named arrays."""
        return pack_network("network", self._network) | {
            "mean": self._mean,
            "scale": self._scale,
            "centre": self._centre.numpy(),
            "sigma_data": np.asarray([self._network.sigma_data]),
        }

    def restore(self, state: Arrays, fingerprint: Fingerprint) -> Self:
        """Take back what `state` gave, of a model with this configuration."""
        self.fingerprint, self.dim_ = fingerprint, len(state["mean"])
        self._mean, self._scale = state["mean"], state["scale"]
        self._centre = torch.from_numpy(state["centre"].copy())
        self._build(float(state["sigma_data"][0]), 0)
        restore_network("network", self._network, state)
        return self

    # ------------------------------------------------------------------------------- inside
    def _moments(self, images: Pixels) -> tuple[Tensor, float]:
        """Mean image and the pixels' standard deviation about it."""
        mean = torch.from_numpy(images.mean(axis=0, dtype=np.float64)).permute(2, 0, 1)
        centre = (mean / 127.5 - 1).float()
        if self.config.turns:
            every = torch.arange(8)
            centre = turned(centre.expand(8, -1, -1, -1), every).mean(dim=0)
        square = sum(
            float(((to_tensor(images[i : i + 256]) - centre) ** 2).double().sum())
            for i in range(0, len(images), 256)
        )
        return centre, max((square / images.size) ** 0.5, 1e-3)

    def _build(self, sigma_data: float, seed: int) -> None:
        with seeded_globally(seed, devices=[]):
            network = ImageDenoiser(self.config, self.dim_, sigma_data)
        self._network = network.to(self.device).eval()

    def _standardised(self, X: Floats) -> Tensor:
        return torch.from_numpy(((X - self._mean) / self._scale).astype(np.float32))

    def _denoiser(self, vectors: Tensor, weight: float) -> Callable[[Tensor, Tensor], Tensor]:
        known = torch.ones(len(vectors), dtype=torch.bool, device=self.device)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            levels = sigma.to(self.device).expand(len(x))
            told: Tensor = self._network(x, levels, vectors, known)
            if weight == 1:
                return told
            untold = self._network(x, levels, vectors, ~known)
            return untold + weight * (told - untold)

        return denoise


def _checked(conditions: Floats, n: int, what: str) -> Floats:
    X = np.ascontiguousarray(conditions, dtype=np.float32)
    if X.ndim != 2 or len(X) != n:
        raise ValueError(f"vectors must be (n, d) with n = {n}, however: {X.shape}")
    if not np.isfinite(X).all():
        row = int(np.flatnonzero(~np.isfinite(X).all(axis=1))[0])
        raise InputError(f"{what} {row}", "is not finite", "embed that cell again or drop it")
    return X
