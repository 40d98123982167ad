"""Cells to embeddings: decode, encode what the cache lacks, gather."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.encoders.base import Encoder, Floats
from bloomdiff.encoders.cache import Digests, EmbeddingCache, as_digests
from bloomdiff.encoders.decode import decoded_batches
from bloomdiff.errors import InputError

ROW_COLUMNS = ("cell_id", "label", "group", "split", "source")
# A chunk reaches the disk at the latest after this long, or this many rows.
CHUNK_SECONDS = 15.0
CHUNK_ROWS = 16_384


@dataclass(frozen=True)
class Todo:
    """Distinct images that the cache lacks, in the manifest's order.

    Attributes
    ----------
    root
        Folder that the paths are relative to.
    cells
        Columns `path` and `blake3`.
    """

    root: Path
    cells: pd.DataFrame

    def __len__(self) -> int:
        return len(self.cells)

    def part(self, start: int, stop: int) -> Todo:
        """The images from `start` to before `stop`."""
        return Todo(self.root, self.cells.iloc[start:stop])

    @property
    def paths(self) -> list[Path]:
        """Image files."""
        return [self.root / path for path in self.cells["path"]]

    @property
    def blake3(self) -> list[str]:
        """Digests of their pixels."""
        return [str(value) for value in self.cells["blake3"]]


def embed_cells(
    cells: pd.DataFrame,
    root: str | Path,
    encoder: Encoder,
    *,
    cache_dir: str | Path,
    jobs: int = 2,
) -> EmbeddingSet:
    """Embed every cell of a manifest; images that are in the cache are not computed again.

    Parameters
    ----------
    cells
        Manifest. Cells with equal `blake3` share one computation; where it is empty, the pixels
        are read for it.
    root
        Folder that the manifest's paths are relative to.
    encoder
        From `load_encoder`.
    cache_dir
        Folder of the embedding cache.
    jobs
        Decoding processes; 0 decodes in this one.

    Returns
    -------
    EmbeddingSet
        Rows in the manifest's order.

    Raises
    ------
    InputError
        An image is missing, unreadable or changed, or the encoder gives vectors that are not
        finite or all alike.
    """
    digests = fill_cache(cells, root, encoder, cache_dir=cache_dir, jobs=jobs)
    X = EmbeddingCache(cache_dir, encoder).gather(digests)
    check_not_constant(X, int((digests != digests[:1]).sum()), encoder)
    return EmbeddingSet(X, row_table(cells), encoder.header)


def row_table(cells: pd.DataFrame) -> pd.DataFrame:
    """The manifest's columns that travel with embeddings."""
    return cells[list(ROW_COLUMNS)].reset_index(drop=True)


def fill_cache(
    cells: pd.DataFrame,
    root: str | Path,
    encoder: Encoder,
    *,
    cache_dir: str | Path,
    jobs: int = 2,
) -> Digests:
    """Put the vector of every image into the cache; return the image digest of each row."""
    table = cells[["path", "blake3"]].reset_index(drop=True)
    unknown = np.flatnonzero(table["blake3"].isna() | (table["blake3"] == ""))
    if len(unknown):
        filled = table["blake3"].tolist()
        for row in unknown:
            filled[row] = pixel_digest(read_rgb(Path(root) / table["path"].iloc[row]))
        table["blake3"] = filled
    digests = as_digests(table["blake3"])
    _, first = np.unique(digests, return_index=True)
    first = np.sort(first)
    first = first[EmbeddingCache(cache_dir, encoder).missing(digests[first])]
    todo = Todo(Path(root), table.iloc[first])
    if len(todo) and encoder.params.engine == "ray":
        from bloomdiff.encoders.ray_engine import embed_on_ray

        embed_on_ray(todo, encoder, cache_dir=cache_dir)
    elif len(todo):
        embed_todo(todo, encoder, cache_dir=cache_dir, jobs=jobs)
    return digests


def embed_todo(
    todo: Todo,
    encoder: Encoder,
    *,
    cache_dir: str | Path,
    jobs: int,
    streams: int | None = None,
    whole: bool = False,
) -> None:
    """Compute and cache every image of `todo`, in order, in chunks of whole batches.

    A killed run leaves whole chunks, so the rest starts at a batch's first image, and every batch
    holds the images that it would have held without the kill.

    Parameters
    ----------
    todo
        Distinct images.
    encoder, cache_dir, jobs
        As in `embed_cells`.
    streams
        Batches computed at once; the encoder's own choice where None.
    whole
        Write one chunk at the end, silently: for partitions of a larger job.
    """
    from tqdm import tqdm

    cache = EmbeddingCache(cache_dir, encoder)
    parts: list[Floats] = []
    start = done = 0
    flushed = time.monotonic()
    label = f"embed {encoder.name}"
    with tqdm(total=len(todo), desc=label, unit="cell", disable=whole) as bar:
        for X in _encoded(todo, encoder, jobs, streams or encoder.streams):
            parts.append(X)
            done += len(X)
            bar.update(len(X))
            late = not whole and time.monotonic() - flushed > CHUNK_SECONDS
            if late or done - start >= CHUNK_ROWS or done == len(todo):
                cache.add(as_digests(todo.part(start, done).blake3), np.concatenate(parts))
                parts, start, flushed = [], done, time.monotonic()


def _encoded(todo: Todo, encoder: Encoder, jobs: int, streams: int) -> Iterator[Floats]:
    """Vectors of each batch, in order; what tells no two images of the first apart is refused."""
    size = encoder.batch_size
    batches = (todo.part(start, start + size) for start in range(0, len(todo), size))
    with encoder.session(), ThreadPoolExecutor(streams) as pool:
        running: deque[Future[Floats]] = deque()
        different = -1
        try:
            for images in decoded_batches(
                ((part.paths, part.blake3) for part in batches), encoder.transform, jobs
            ):
                running.append(pool.submit(encoder.encode_transformed, images))
                if different < 0:
                    # As the network sees them: blank crops of two sizes are one image to it.
                    different = sum(not np.array_equal(image, images[0]) for image in images)
                    check_not_constant(running[0].result(), different, encoder)
                if len(running) > streams:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def check_not_constant(X: Floats, different: int, encoder: Encoder) -> None:
    """Raise `InputError` where a network tells the first image from none of `different` others."""
    if not encoder.learned or different == 0:
        return
    spread = float(np.ptp(X, axis=0).max())
    if spread <= 1e-6 * float(np.abs(X).max()):
        raise InputError(
            f"encoder {encoder.name!r}",
            f"gives {different} images the same vector as a different one, and tells none apart",
            "its weights are empty or damaged: fetch them again",
        )
