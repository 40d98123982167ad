"""Time a queue from a million cells, one process a strategy, with its peak memory.

    python bench/selection_scale.py                            # `select` on vectors in memory
    python bench/selection_scale.py --whole --strategies expected-gain

With `--whole` the clock and the memory take in what the command does: manifest and embeddings are
read from files, then the queue is built. Seconds depend on what else the machine
does: `load` is how many processes wanted a processor in the last minute, this one among them.

Figures go to bench/results/selection_scale.json; `bench/selection.py` puts them into its page.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.files import read_json, write_json
from bloomdiff.selection import select
from bloomdiff.selection.geometry import Floats

FILE = Path(__file__).parent / "results" / "selection_scale.json"
STRATEGIES = ("expected-gain", "k-center", "margin", "maxherding", "typiclust")


def scale(n: int, names: list[str], chosen: int, dim: int, *, whole: bool) -> None:
    """Time one queue of each strategy on random clusters, one process a strategy."""
    import multiprocessing

    file = FILE
    rows = read_json(file) if file.exists() else []
    for strategy in names:
        name = f"{strategy}, from files" if whole else strategy
        with TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
            if whole:
                # Written by another process: what it took must not count.
                with multiprocessing.get_context("spawn").Pool(1) as writer:
                    writer.apply(write, (Path(folder), n, dim))
                row = pool.apply(timed_whole, (Path(folder), strategy, chosen))
            else:
                row = pool.apply(timed, (strategy, n, chosen, dim))
        told: dict[str, Any] = {"strategy": name, "cells": n, "chosen": chosen, **row}
        rows = [r for r in rows if (r["strategy"], r["cells"]) != (name, n)] + [told]
        rows.sort(key=lambda r: (r["cells"], r["strategy"]))
        write_json(file, rows)
        print(told, flush=True)


def timed(name: str, n: int, chosen: int, dim: int) -> dict[str, float]:
    """Seconds and peak memory of `select` on vectors in memory."""
    X, known, y = clusters(n, dim)
    begin = time.monotonic()
    made = select(X, X_labelled=known, y_labelled=y, strategy=name, n=chosen, seed=0)
    assert len(set(made.index.tolist())) == chosen
    return taken(begin)


def timed_whole(folder: Path, name: str, chosen: int) -> dict[str, float]:
    """Seconds and peak memory of what `bloomdiff select` does: files in, queue out."""
    from bloomdiff.data.embedding_set import EmbeddingSet
    from bloomdiff.data.manifest import read_manifest
    from bloomdiff.selection.limits import Limits
    from bloomdiff.selection.plan import Plan, build_queue

    begin = time.monotonic()
    made = build_queue(
        read_manifest(folder / "manifest.csv"),
        EmbeddingSet.load(folder / "cells.parquet"),
        Plan(strategy=name, limits=Limits(objects=chosen)),
    )
    assert len(made) == chosen
    return taken(begin)


def write(folder: Path, n: int, dim: int) -> None:
    """Manifest and embeddings of a pool and its 200 labelled cells."""
    from bloomdiff.data.embedding_set import EmbeddingSet
    from bloomdiff.data.manifest import write_manifest

    X, known, y = clusters(n, dim)
    ids = [f"cell-{i:07d}" for i in range(n + len(y))]
    cells = pd.DataFrame(
        {
            "cell_id": ids,
            "path": [f"images/{name}.png" for name in ids],
            "label": [*y.tolist(), *[""] * n],
            "group": [f"slide-{i // 500}" for i in range(len(ids))],
            "split": "",
            "source": "bench",
            "width": 64,
            "height": 64,
            "blake3": "",
        }
    )
    rows = cells[["cell_id", "label", "group"]]
    EmbeddingSet(np.concatenate([known, X]), rows).save(folder / "cells.parquet")
    write_manifest(cells, folder / "manifest.csv")


def clusters(n: int, dim: int) -> tuple[Floats, Floats, npt.NDArray[np.str_]]:
    """A pool `(n, dim)` of twenty clusters, 200 labelled rows and their labels."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, dim)).astype(np.float32)
    X = rng.standard_normal((n, dim), dtype=np.float32)
    for start in range(0, n, 65536):
        part = X[start : start + 65536]
        part += 2 * centres[rng.integers(20, size=len(part))]
    # One class has a single label, so that classes without any are looked for too.
    y = np.append(rng.integers(19, size=199), 19)
    known = (2 * centres[y] + rng.standard_normal((200, dim))).astype(np.float32)
    return X, known, y.astype(str)


def taken(begin: float) -> dict[str, float]:
    """Seconds since `begin`, this process's peak memory, and how many jobs the machine had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": round(time.monotonic() - begin, 1),
        "peak_gib": round(peak, 2),
        "load": round(os.getloadavg()[0], 1),
        "processors": os.cpu_count() or 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--chosen", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--whole", action="store_true", help="from files, as the command does")
    options = parser.parse_args()
    scale(options.cells, options.strategies, options.chosen, options.dim, whole=options.whole)


if __name__ == "__main__":
    main()
