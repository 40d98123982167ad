"""An image diffusion's training that survives being killed, and shows how far it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

from bloomdiff import resumable
from bloomdiff.data.embedding_set import Floats
from bloomdiff.data.images import Pixels
from bloomdiff.imaging.config import ImageDiffusionConfig
from bloomdiff.imaging.training import ImageTrainer

CHECKPOINT_STEPS = 100


def checkpoint_path(
    folder: Path | None, config: ImageDiffusionConfig, seed: int, images: Pixels, vectors: Floats
) -> Path | None:
    """Named after all that the training depends on; None where no folder is given."""
    told = json.dumps([asdict(config), seed, images.shape, vectors.shape])
    return resumable.checkpoint_path(folder, "image-diffusion", told, images, vectors)


def train(trainer: ImageTrainer, path: Path | None) -> None:
    """Run the trainer to its end, with a progress bar on stderr.

    Parameters
    ----------
    trainer
        It goes on from the checkpoint at `path`, if there is one.
    path
        Where the checkpoint is kept until the end; None keeps none.
    """
    state = resumable.read_checkpoint(path)
    if state is not None:
        trainer.resume(state)
    save = None if path is None else partial(resumable.write_checkpoint, path)
    with resumable.progress_bar(
        "image diffusion", trainer.config.n_steps, done=trainer.step
    ) as progress:
        trainer.run(every=CHECKPOINT_STEPS, save=save, progress=progress)
    if path is not None:
        path.unlink(missing_ok=True)
