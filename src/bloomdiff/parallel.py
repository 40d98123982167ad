"""Work on many items in a few processes: in order, in bounded memory, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNKS_IN_FLIGHT = 4  # per worker: enough that none waits, few enough that memory stays flat


def map_chunks(
    function: Callable[[list[Item]], Result],
    items: Iterable[Item],
    *,
    jobs: int,
    chunk: int = 32,
    describe: str = "",
    total: int | None = None,
    unit: str = "image",
) -> Iterator[Result]:
    """Yield `function(chunk)` for consecutive chunks of `items`, in their order.

    `items` is consumed lazily, so that an iterable larger than memory works.

    Parameters
    ----------
    function
        Picklable; takes a list of items.
    items
        Picklable things.
    jobs
        Worker processes; 1 works in this process.
    chunk
        Items per call.
    describe
        Title of the progress bar on standard error; no bar where empty.
    total
        Number of items, for the bar, where known.
    unit
        What an item is, for the bar.
    """
    import joblib
    from tqdm import tqdm

    iterator = iter(items)
    chunks = iter(lambda: list(islice(iterator, chunk)), [])
    sizes: list[int] = []

    def calls() -> Iterator[object]:
        for part in chunks:
            sizes.append(len(part))
            yield joblib.delayed(function)(part)

    pool = joblib.Parallel(
        n_jobs=jobs,
        return_as="generator",
        batch_size=1,
        pre_dispatch=_CHUNKS_IN_FLIGHT * jobs,
        max_nbytes=None,  # small arrays travel faster in the message than as mapped files
    )
    with tqdm(total=total, desc=describe, unit=unit, disable=not describe) as bar:
        for done, result in enumerate(pool(calls())):
            bar.update(sizes[done])
            yield result
