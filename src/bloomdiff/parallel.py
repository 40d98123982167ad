"""Work on many items in a few workers: in order, in bounded memory, with a progress bar."""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNKS_AHEAD = 4  # per worker: enough that none waits, few enough that memory stays flat
_IDLE_SECONDS = 60  # after which a worker process that got no work ends
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR")}


def map_chunks(
    function: Callable[[list[Item]], Result],
    items: Iterable[Item],
    *,
    jobs: int,
    chunk: int = 32,
    threads: bool = False,
    describe: str = "",
    total: int | None = None,
    unit: str = "image",
) -> Iterator[Result]:
    """Yield `function(chunk)` for consecutive chunks of `items`, in their order.

    `items` is consumed lazily, so that an iterable larger than memory works: no more than
    `CHUNKS_AHEAD` chunks a worker are taken beyond those whose results were yielded, even where
    one chunk holds all others up.

    Parameters
    ----------
    function
        Takes a list of items. Picklable, unless `threads` is set.
    items
        Picklable things, unless `threads` is set.
    jobs
        Workers; 1 works in this thread.
    chunk
        Items per call.
    threads
        Threads in place of processes: for a function that mostly reads, writes, decodes or hashes,
        all of which leave the interpreter to others, threads start at once and copy nothing.
    describe
        Title of the progress bar on standard error; no bar where empty.
    total
        Number of items, for the bar, where known.
    unit
        What an item is, for the bar.
    """
    from tqdm import tqdm

    iterator = iter(items)
    chunks = iter(lambda: list(islice(iterator, chunk)), [])
    with tqdm(total=total, desc=describe, unit=unit, disable=not describe) as bar:
        for size, result in _results(function, chunks, jobs, threads):
            bar.update(size)
            yield result


def _results(
    function: Callable[[list[Item]], Result],
    chunks: Iterator[list[Item]],
    jobs: int,
    threads: bool,
) -> Iterator[tuple[int, Result]]:
    """Each chunk's length and result, in order."""
    if jobs == 1:
        yield from ((len(part), function(part)) for part in chunks)
        return
    pending: deque[tuple[int, Future[Result]]] = deque()
    with workers(jobs, threads=threads) as pool:
        try:
            for part in chunks:
                pending.append((len(part), pool.submit(function, part)))
                if len(pending) == CHUNKS_AHEAD * jobs:
                    size, future = pending.popleft()
                    yield size, future.result()
            while pending:
                size, future = pending.popleft()
                yield size, future.result()
        finally:
            for _, future in pending:
                future.cancel()


@contextmanager
def workers(jobs: int, *, threads: bool = False) -> Iterator[Executor]:
    """Threads that end with the block, or processes that wait for the next one a while."""
    if threads:
        with ThreadPoolExecutor(jobs) as pool:
            yield pool
        return
    try:
        yield _processes(jobs)
    except BrokenExecutor:  # a worker was killed; the others cannot be used again
        _processes.cache_clear()
        raise


@cache
def _processes(jobs: int) -> Executor:
    # Unlike those of the standard library, its workers take functions by value and do not need
    # the caller's main module to be importable. Not joblib's own pool, which others use meanwhile.
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(jobs, timeout=_IDLE_SECONDS, env=_ONE_THREAD)
    atexit.register(pool.shutdown)  # left to the interpreter's end, it complains there
    return pool
