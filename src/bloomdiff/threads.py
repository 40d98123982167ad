"""One thread for numerical libraries."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numerical libraries to one thread: same bytes on any machine load, and no contention.

    The matrices here are small; two threads on busy cores are slower than one, and the sum's
    order, hence the last bits, would depend on how many there were. Torch is held where it has
    been imported.
    """
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 1
    with threadpool_limits(limits=1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(threads)
