"""Peak memory of writing an archive's embeddings in a stream, with a stub for the encoder.

    python bench/stream_memory.py 1000000

The stub gives each cell a vector drawn from its own digest; cache, index and streamed Parquet file
are the real ones. Prints one JSON line.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.encoders.base import Encoder, Floats
from bloomdiff.encoders.cache import EmbeddingCache, as_digests
from bloomdiff.encoders.embed import CHUNK_ROWS
from bloomdiff.encoders.params import EncoderParams
from bloomdiff.encoders.stream import embed_to_file
from bloomdiff.encoders.transform import Pixels, Transform


class Stub(Encoder):
    """Vectors that cost nothing, so that only writing is measured."""

    def __init__(self, dim: int) -> None:
        self.name, self.dim, self.batch_size = "stub", dim, 64
        self.digest = hashlib.sha256(b"stub").hexdigest()
        self.transform = Transform(None)
        self.preprocessing = {}
        self.params = EncoderParams(name="stub")

    def _forward(self, images: Sequence[Pixels]) -> Floats:
        raise RuntimeError("every vector stands in the cache")


def write_archive(folder: str | Path, n: int, dim: int = 384) -> int:
    """Fill the cache chunk by chunk, then write `cells.parquet`; return the file's bytes."""
    folder = Path(folder)
    encoder = Stub(dim)
    digests = pd.Series(
        (hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)), dtype="str"
    )
    cache = EmbeddingCache(folder, encoder)
    for start in range(0, n, CHUNK_ROWS):
        rng = np.random.default_rng(start)
        part = digests.iloc[start : start + CHUNK_ROWS]
        cache.add(as_digests(part), rng.standard_normal((len(part), dim), np.float32))
    cells = pd.DataFrame(
        {
            "cell_id": [f"cell{i:08d}" for i in range(n)],
            "path": "unread.png",
            "label": pd.Series(list("abcdefgh") * (n // 8 + 1), dtype="str").iloc[:n],
            "group": [f"patient{i // 1000}" for i in range(n)],
            "split": "",
            "source": "archive",
            "blake3": digests,
        }
    )
    path = folder / "cells.parquet"
    embed_to_file(cells, folder, encoder, path, cache_dir=folder, jobs=0)
    return path.stat().st_size


def peak_resident_bytes() -> int:
    """Peak of this process alone: getrusage would count what its parent held when it forked."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    n = int(sys.argv[1])
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        started = time.perf_counter()
        size = write_archive(folder, n)
        seconds = time.perf_counter() - started
    result = {
        "embeddings": n,
        "dim": 384,
        "file_bytes": size,
        "peak_resident_bytes": peak_resident_bytes(),
        "seconds": round(seconds, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
