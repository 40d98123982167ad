"""Decoding in worker processes, so that it overlaps the network, in the order asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.encoders.transform import Pixels, Transform
from bloomdiff.errors import InputError
from bloomdiff.parallel import workers

# Batches decoded ahead, per worker: enough to never starve the network, few enough for memory.
_AHEAD = 2


def decode_batch(
    paths: Sequence[Path], digests: Sequence[str], transform: Transform
) -> list[Pixels]:
    """Read, verify and transform images.

    Raises
    ------
    InputError
        An image cannot be read, or its pixels are not those of the manifest.
    """
    images = []
    for path, expected in zip(paths, digests, strict=True):
        rgb = read_rgb(path)
        if pixel_digest(rgb) != expected:
            raise InputError(
                str(path),
                "has changed since the manifest was written",
                "restore the file, or run `dvc repro prepare`",
            )
        images.append(transform(rgb))
    return images


def decoded_batches(
    batches: Iterable[tuple[Sequence[Path], Sequence[str]]], transform: Transform, jobs: int
) -> Iterator[list[Pixels]]:
    """Yield the images of each batch of (paths, digests), in order, decoded by `jobs` processes.

    With `jobs` 0 the calling process decodes.
    """
    if jobs == 0:
        for paths, digests in batches:
            yield decode_batch(paths, digests, transform)
        return
    # Workers that start afresh: forking a process that runs torch's threads can deadlock, and the
    # standard library's other ways run a caller's unguarded script a second time.
    waiting: deque[Future[list[Pixels]]] = deque()
    with workers(jobs) as pool:
        try:
            for paths, digests in batches:
                waiting.append(pool.submit(decode_batch, paths, digests, transform))
                if len(waiting) > _AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
