"""One thread for numerical libraries."""

from __future__ import annotations

from typing import Any


def one_thread() -> Any:
    """Hold numerical libraries to one thread: same bytes on any machine load, and no contention.

    The matrices here are small; two threads on busy cores are slower than one, and the sum's
    order, hence the last bits, would depend on how many there were.
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
