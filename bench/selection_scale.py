"""Time a queue from a million cells, one process a strategy, with its peak memory.

    python bench/selection_scale.py

Figures go to bench/results/selection_scale.json; `bench/selection.py` puts them into its page.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from bloomdiff.files import read_json, write_json
from bloomdiff.selection import select

FILE = Path(__file__).parent / "results" / "selection_scale.json"
STRATEGIES = ("expected-gain", "k-center", "margin", "maxherding", "typiclust")


def scale(n: int, names: list[str], chosen: int, dim: int) -> None:
    """Time one queue of each strategy on random clusters, one process a strategy."""
    import multiprocessing

    file = FILE
    rows = read_json(file) if file.exists() else []
    for name in names:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            row = pool.apply(timed, (name, n, chosen, dim))
        rows = [r for r in rows if (r["strategy"], r["cells"]) != (name, n)] + [row]
        rows.sort(key=lambda r: (r["cells"], r["strategy"]))
        write_json(file, rows)
        print(row, flush=True)


def timed(name: str, n: int, chosen: int, dim: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, dim)).astype(np.float32)
    X = rng.standard_normal((n, dim), dtype=np.float32)
    for start in range(0, n, 65536):
        part = X[start : start + 65536]
        part += 2 * centres[rng.integers(20, size=len(part))]
    # One class has a single label, so that classes without any are looked for too.
    y = np.append(rng.integers(19, size=199), 19)
    known = (2 * centres[y] + rng.standard_normal((200, dim))).astype(np.float32)
    begin = time.monotonic()
    made = select(X, X_labelled=known, y_labelled=y.astype(str), strategy=name, n=chosen, seed=0)
    seconds = time.monotonic() - begin
    assert len(set(made.index.tolist())) == chosen
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "strategy": name,
        "cells": n,
        "chosen": chosen,
        "seconds": round(seconds, 1),
        "peak_gib": round(peak, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--chosen", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args()
    scale(options.cells, options.strategies, options.chosen, options.dim)


if __name__ == "__main__":
    main()
