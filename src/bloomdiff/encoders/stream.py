"""Embeddings of any number of cells, written to one file in bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bloomdiff.encoders.base import Encoder, Floats
from bloomdiff.encoders.cache import EmbeddingCache
from bloomdiff.encoders.embed import fill_cache, row_table
from bloomdiff.files import atomic_file
from bloomdiff.vector_file import METADATA_KEY

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 8192


def embed_to_file(
    cells: pd.DataFrame,
    root: str | Path,
    encoder: Encoder,
    path: str | Path,
    *,
    cache_dir: str | Path,
    jobs: int = 2,
) -> None:
    """`embed_cells` straight into a Parquet file that `EmbeddingSet.load` reads.

    At no time are more than a few row groups of vectors in memory; only the manifest and 40 bytes
    a cell of index grow with the number of cells.
    """
    digests = fill_cache(cells, root, encoder, cache_dir=cache_dir, jobs=jobs)
    cache = EmbeddingCache(cache_dir, encoder)

    def vectors() -> Iterator[Floats]:
        for start in range(0, len(digests), ROW_GROUP):
            yield cache.gather(digests[start : start + ROW_GROUP])

    write_stream(path, row_table(cells), vectors, encoder.dim, encoder.header)


def write_stream(
    path: str | Path,
    rows: pd.DataFrame,
    vectors: Callable[[], Iterator[Floats]],
    dim: int,
    header: dict[str, Any],
) -> None:
    """Write the file that ``EmbeddingSet(X, rows, header).save(path)`` would, part by part.

    Parameters
    ----------
    path
        Parquet file, written atomically.
    rows
        Row-aligned table.
    vectors
        Called twice, since the digest stands in the header: float32 parts `(k, d)` of X, in order.
    dim
        Dimension d.
    header
        Plain data.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    meta = {
        "synthetic": False,
        "sha256": _digest(rows, vectors(), dim, header),
        "header": header,
    }
    text = [str(c) for c in rows.columns if not pd.api.types.is_numeric_dtype(rows[c])]
    # Of the whole table: a part of it, or none, need not tell what an object column holds.
    schema = pa.Schema.from_pandas(rows, preserve_index=False)
    schema = schema.append(pa.field("x", pa.list_(pa.float32(), dim))).with_metadata(
        {**(schema.metadata or {}), METADATA_KEY: json.dumps(meta, sort_keys=True)}
    )
    with (
        atomic_file(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", use_dictionary=text) as writer,
    ):
        start = 0
        for X in vectors():
            part = _table(rows.iloc[start : start + len(X)], X)
            writer.write_table(part.cast(schema))
            start += len(X)
        if start != len(rows):
            raise ValueError(f"{start} vectors but {len(rows)} rows")


def _table(rows: pd.DataFrame, X: Floats) -> pa.Table:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(X).reshape(-1), type=pa.float32())
    table = pa.Table.from_pandas(rows.reset_index(drop=True), preserve_index=False)
    return table.append_column("x", pa.FixedSizeListArray.from_arrays(flat, X.shape[1]))


def _digest(rows: pd.DataFrame, parts: Iterator[Floats], dim: int, header: dict[str, Any]) -> str:
    digest = hashlib.sha256(f"{(len(rows), dim)}".encode())
    for X in parts:
        digest.update(np.ascontiguousarray(X).data)
    digest.update(rows.iloc[:0].to_csv(index=False).encode())
    for start in range(0, len(rows), ROW_GROUP):
        part = rows.iloc[start : start + ROW_GROUP]
        digest.update(part.to_csv(index=False, header=False).encode())
    digest.update(json.dumps(header, sort_keys=True).encode())
    return digest.hexdigest()
