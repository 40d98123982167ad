"""Long trainings that survive being killed, and show how far they are."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bloomdiff.files import atomic_file

if TYPE_CHECKING:
    from torch import Tensor


def checkpoint_path(
    folder: Path | None, name: str, told: str, *arrays: npt.NDArray[Any]
) -> Path | None:
    """Where a training keeps its checkpoint, so that no other one's is taken up.

    Parameters
    ----------
    folder
        Where checkpoints lie; None keeps none, and None is returned.
    name
        What is trained, the start of the file's name.
    told, arrays
        All that the training depends on: the file is named after their digest.
    """
    if folder is None:
        return None
    digest = hashlib.sha256(told.encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return Path(folder) / f"{name}-{digest.hexdigest()[:16]}.safetensors"


def read_checkpoint(path: Path | None) -> dict[str, Tensor] | None:
    """What `write_checkpoint` wrote to `path`, or None where there is nothing."""
    from safetensors.torch import load_file

    return load_file(path) if path is not None and path.exists() else None


def write_checkpoint(path: Path, state: dict[str, Tensor]) -> None:
    """Write named tensors as safetensors, atomically."""
    from safetensors.torch import save_file

    with atomic_file(path) as temporary:
        save_file(state, temporary)


@contextmanager
def progress_bar(
    name: str, n_steps: int, *, done: int = 0
) -> Iterator[Callable[[int, float], None]]:
    """Show a bar on stderr; yield what tells it the steps so far and the loss."""
    from tqdm import tqdm

    with tqdm(
        total=n_steps,
        initial=done,
        desc=name,
        unit="step",
        leave=False,
        file=sys.stderr,
        disable=None,
    ) as bar:

        def progress(step: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.4f}")

        yield progress
