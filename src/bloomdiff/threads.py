"""How the processor is shared: one batch a core, one thread a batch.

Splitting one batch among threads makes them wait for each other after every layer: with one core
busy elsewhere, two threads can be many times slower than one. Independent batches on independent
threads never wait and use every free core in full. And the bits do not depend on the number of
cores, which they do where a matrix product is divided among threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext


def usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within the block every torch operation uses its calling thread alone."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numerical libraries to one thread; torch too, where it has been imported."""
    from threadpoolctl import threadpool_limits

    torch_too = one_torch_thread() if "torch" in sys.modules else nullcontext()
    with threadpool_limits(limits=1), torch_too:
        yield
