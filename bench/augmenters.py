"""Every way of making up for few labelled cells, side by side, tested on real cells alone.

    python bench/augmenters.py --cells CELLS            # everything, hours
    python bench/augmenters.py --cells CELLS --quick    # a part of it in ten minutes
    python bench/augmenters.py --imported lab=../lab/data        # cells of your own, see below
    python bench/augmenters.py --summary                         # tables of what was scored so far,
                                                                 # those of README and docs

A unit is a data set, a regime (how many labels there are) and a seed, which divides the cells into
labelled cells, the unlabelled pool and test cells. Every method is tuned inside the labelled cells
with the same number of configurations. Scores go to ``bench/results/augmenters/scores.parquet``
unit by unit, so that an interrupted run is taken up again, and the tables and pictures beside it
are made of that file alone. Scores of cells of one's own (`--imported`, a folder that
`bloomdiff data import` has written, or a project's `embeddings/cells.parquet`) go to
``build/augmenters/imported``, apart from the published ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from augmenters_data import (
    ACROSS,
    CHOSEN_ON,
    DATA,
    REGIMES,
    SOURCES,
    WITH_VIEWS,
    divide,
    imported,
    load,
)
from augmenters_methods import ALL_LABELS, METHODS, PLAIN, VIEW_ROWS
from augmenters_pages import PAGES, PICTURES, TABLES
from augmenters_summary import summarise
from augmenters_tuning import Trained, compete
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import BloomDiffError
from bloomdiff.files import atomic_file
from pages import write_page

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "augmenters"
KEY = ["data", "regime", "seed", "method", "classifier"]
Unit = tuple[str, str, int]  # the first three
# Of the extra [bench], and most of them slow: asked for by name.
SLOW = ("forest-diffusion", "ctgan", "tvae", "gaussian-copula")
QUICK = {
    "data": ["marrow-6"],
    "regimes": ["1-shot", "5-shot", "long tail 50"],
    "seeds": 3,
    "methods": [
        "real only",
        "smote",
        "gaussian",
        "diffusion",
        "self-training + pool",
        "diffusion + pool",
        "diffusion classifier + pool",
    ],
    "classifiers": ["logistic"],
}


def run_unit(
    cells: EmbeddingSet, unit: Unit, methods: Sequence[str], classifiers: Sequence[str]
) -> pd.DataFrame:
    """Scores of some methods on one division of one data set."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    data, regime, seed = unit
    base = data.removesuffix(WITH_VIEWS)
    labelled_from = SOURCES[ACROSS[base].labelled].kind if base in ACROSS else None
    parts = divide(cells, REGIMES[regime], seed, labelled_from=labelled_from)
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for name in methods:
            if name == ALL_LABELS:
                top = Trained(METHODS["real only"], parts.all_labels, None, seed)
                score = top.score("logistic", {"C": 10.0}, 0, parts.test)
                rows.append({"method": name, "classifier": "logistic", **score})
                continue
            rows += [
                {"method": name, **scored}
                for scored in compete(METHODS[name], parts, classifiers, seed)
            ]
    sizes = {
        "n_labelled": len(parts.labelled),
        "n_pool": len(parts.pool),
        "n_test": len(parts.test),
    }
    return pd.DataFrame(rows).assign(data=data, regime=regime, seed=seed, **sizes)


def missing(
    scores: pd.DataFrame, units: Sequence[Unit], methods: Sequence[str], classifiers: Sequence[str]
) -> list[tuple[Unit, list[str], list[str]]]:
    """Units with the methods, and the classifiers behind these, that they still lack, in order."""
    done = set(map(tuple, scores[KEY].to_numpy())) if len(scores) else set()
    found = []
    for unit in units:
        lacking: dict[tuple[str, ...], list[str]] = {}
        with_views = unit[0].endswith(WITH_VIEWS)
        for name in (m for m in methods if with_views or m != VIEW_ROWS):
            columns = ["logistic"] if name == ALL_LABELS else METHODS[name].runs(classifiers)
            lacks = tuple(c for c in columns if (*unit, name, c) not in done)
            if lacks:
                lacking.setdefault(lacks, []).append(name)
        found += [(unit, names, list(lacks)) for lacks, names in lacking.items()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cells", type=Path, help="folder of the real cells; the phantom if none")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "augmenters")
    parser.add_argument("--results", type=Path)
    parser.add_argument(
        "--imported", nargs="+", default=[], metavar="NAME=PATH", help="cells of your own"
    )
    parser.add_argument("--data", nargs="+", choices=DATA)
    parser.add_argument("--regimes", nargs="+", choices=list(REGIMES), default=list(REGIMES))
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, ALL_LABELS])
    parser.add_argument("--classifiers", nargs="+", choices=list(PLAIN), default=list(PLAIN))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--quick", action="store_true", help="a part that takes ten minutes")
    parser.add_argument("--summary", action="store_true", help="only the tables")
    options = parser.parse_args()
    if options.quick:
        own = {"data": options.data or []} if options.imported else {}
        vars(options).update(QUICK | own)
    if options.results is None:
        options.results = options.build / "imported" if options.imported else RESULTS
    if not options.summary:
        try:
            score_all(options)
        except BloomDiffError as error:
            parser.exit(2, f"{error}\n")
    print(summarise(options.results))
    if options.results == RESULTS:
        scores = pd.read_parquet(RESULTS / "scores.parquet")
        for page in PAGES:
            write_page(ROOT / page, TABLES, scores)
        for drawn, shown in PICTURES.items():
            shutil.copyfile(RESULTS / drawn, ROOT / shown)


def score_all(options: argparse.Namespace) -> None:
    """Score what is missing, the seeds outermost: whenever it stops, all regimes are as far."""
    import joblib
    from tqdm import tqdm

    path = options.results / "scores.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    scores = pd.read_parquet(path) if path.exists() else pd.DataFrame()
    names = options.data or [d for d in DATA if d.removesuffix(WITH_VIEWS) not in CHOSEN_ON]
    if options.imported and not options.data:
        names = []
    if options.cells is None:
        names = [name for name in names if name == "phantom"]
    sets = {name: load(name, options.build, options.cells) for name in names}
    sets |= dict(imported(given, options.build) for given in options.imported)
    names = list(sets)
    methods = options.methods or [m for m in (*METHODS, ALL_LABELS) if m not in SLOW]
    units = [(d, r, seed) for seed in range(options.seeds) for r in options.regimes for d in names]
    todo = missing(scores, units, methods, options.classifiers)
    tables = joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(
        joblib.delayed(run_unit)(sets[unit[0]], unit, *lacking) for unit, *lacking in todo
    )
    for table in tqdm(tables, total=len(todo), unit="unit"):
        scores = pd.concat([scores, table], ignore_index=True).sort_values(KEY, ignore_index=True)
        with atomic_file(path) as temporary:
            scores.to_parquet(temporary, index=False)


if __name__ == "__main__":
    main()
