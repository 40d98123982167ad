"""What of torch's state belongs to the process or the caller, set for a block."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_GLOBAL_GENERATOR = threading.RLock()


@contextmanager
def seeded_globally(seed: int, devices: Sequence[int] | None = None) -> Iterator[None]:
    """Within the block torch's own generators start from `seed`; behind it they are as before.

    For what takes no generator: dropout, and the first weights of layers. All threads of a process
    share these generators, so that one block waits for another.

    Parameters
    ----------
    seed
        The seed.
    devices
        Accelerators whose generators are put back; None for all.
    """
    import torch

    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def single_precision() -> Iterator[None]:
    """Within the block layers are made of float32, whatever default the caller has set."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def learning() -> Iterator[None]:
    """Within the block gradients are taken, of float32, whatever the caller has set.

    Tensors made in `torch.inference_mode` can never be learned, so the block holds all of a fit.
    """
    import torch

    with torch.inference_mode(False), torch.enable_grad(), single_precision():
        yield
