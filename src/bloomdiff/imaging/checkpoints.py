"""A training that survives being killed, and shows how far it is."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from bloomdiff.data.embedding_set import Floats
from bloomdiff.data.images import Pixels
from bloomdiff.files import atomic_file
from bloomdiff.imaging.config import ImageDiffusionConfig
from bloomdiff.imaging.training import Checkpoint, ImageTrainer

CHECKPOINT_STEPS = 100


def checkpoint_path(
    folder: Path, config: ImageDiffusionConfig, seed: int, images: Pixels, vectors: Floats
) -> Path:
    """Named after all that the training depends on, so that no other run's is taken up."""
    told = [asdict(config), seed, images.shape, vectors.shape]
    digest = hashlib.sha256(json.dumps(told).encode())
    for array in (images, vectors):
        digest.update(np.ascontiguousarray(array).data)
    return Path(folder) / f"image-diffusion-{digest.hexdigest()[:16]}.safetensors"


def train(trainer: ImageTrainer, path: Path | None) -> None:
    """Run the trainer to its end, with a progress bar on stderr.

    Parameters
    ----------
    trainer
        It goes on from the checkpoint at `path`, if there is one.
    path
        Where the checkpoint is kept until the end; None keeps none.
    """
    if path is not None and path.exists():
        trainer.resume(load_file(path))

    def save(state: Checkpoint) -> None:
        assert path is not None
        with atomic_file(path) as temporary:
            save_file(state, temporary)

    with tqdm(
        total=trainer.config.n_steps,
        initial=trainer.step,
        desc="image diffusion",
        unit="step",
        leave=False,
        file=sys.stderr,
        disable=None,
    ) as bar:

        def progress(step: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.4f}")

        trainer.run(every=CHECKPOINT_STEPS, save=None if path is None else save, progress=progress)
    if path is not None:
        path.unlink(missing_ok=True)
