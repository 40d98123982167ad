"""Replay annotation by our strategies and their peers, and time a queue from a million cells.

    python bench/selection.py ../shared/data --sets phantom blood bone_marrow bccd --seeds 10
    python bench/selection.py --scale 1000000

Each set is imported and embedded once, under `--cache`. Every replay is kept as it ends, so that a
second call takes up where a first one stopped. Figures go to bench/results/selection.{parquet,md}.
`pbc-five` is the set that the defaults of `expected-gain` were chosen on; the others were not
looked at.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.files import atomic_file, read_json, write_json
from bloomdiff.selection import STRATEGIES, Situation, select
from bloomdiff.selection.curves import outcome, summarise, to_markdown
from bloomdiff.selection.simulation import Chooser, by_strategy, full_score, hold_out, replay

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
SCORE = "macro_f1"
BUDGETS = (5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200)
PARTS = 3  # one grouped part of so many is the test
SETS: dict[str, tuple[str, ...]] = {
    "pbc-five": ("acevedo", "pbc-five"),
    "blood": ("acevedo", "pbc-thirteen"),
    "bone_marrow": ("bone-marrow", "bone-marrow"),
    "bccd": ("voc", "bccd", "--types", "bccd/wbc_types.csv", "--drop", "BASOPHIL"),
    "phantom": (),
}


def embedded(name: str, cells: Path, cache: Path) -> EmbeddingSet:
    """The set's embeddings, made where the cache lacks them."""
    from bloomdiff.data.importers import ClassRules, import_cells
    from bloomdiff.data.manifest import read_manifest
    from bloomdiff.encoders import EncoderParams, embed_cells, load_encoder

    folder = cache / name
    file = folder / "cells.parquet"
    if not file.exists():
        data = folder / "data"
        if not (data / "manifest.csv").exists():
            if name == "phantom":
                from bloomdiff.data.phantom import PhantomParams, write_phantom

                write_phantom(data, PhantomParams(), seed=0, jobs=2)
            else:
                kind, where, *rest = SETS[name]
                options = dict(zip(rest[::2], rest[1::2], strict=True))
                params: dict[str, Any] = {}
                if "--types" in options:
                    params["types"] = cells / options["--types"]
                rules = ClassRules(drop=(options["--drop"],)) if "--drop" in options else None
                import_cells(kind, cells / where, data, params, classes=rules)
        table = read_manifest(data / "manifest.csv")
        encoder = load_encoder(EncoderParams(name="dinov2-s"), device="cpu", cache_dir=cache)
        embed_cells(table, data, encoder, cache_dir=cache / "embeddings").save(file)
    made = EmbeddingSet.load(file)
    table = read_manifest(folder / "data" / "manifest.csv").set_index("cell_id")
    rows = made.rows
    if "field" in table:
        rows = rows.assign(field=table["field"][rows["cell_id"]].to_numpy())
    # A class with too few cells to be on both sides cannot be tested.
    kept = rows["label"].map(rows["label"].value_counts()) >= 2 * PARTS
    return EmbeddingSet(made.X, rows, made.header).take(kept.to_numpy())


def peers() -> dict[str, Chooser]:
    """scikit-activeml's and modAL's strategies, with their own defaults and a linear probe."""
    warnings.filterwarnings("ignore")
    from skactiveml import pool
    from skactiveml.classifier import SklearnClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def probe() -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))

    def ask(make: Callable[[int], Any], needs: str, s: Situation, n: int) -> npt.NDArray[np.intp]:
        rng = np.random.default_rng(s.seed)
        m = len(s.y)
        if needs and len(np.unique(s.y)) < 2:  # without classes they cannot be asked
            return rng.permutation(len(s.X))[:n]
        X = np.concatenate([s.X_labelled, s.X]).astype(np.float64)
        y = np.concatenate([s.y.astype(float), np.full(len(s.X), np.nan)])
        more: dict[str, Any] = {}
        if needs:
            model = SklearnClassifier(probe(), classes=list(range(len(s.classes))))
            more = {needs: model, f"fit_{needs}": True}
        index = make(s.seed % 2**31).query(X, y, batch_size=n, **more)
        return np.asarray(index, dtype=np.intp) - m

    def modal(s: Situation, n: int) -> npt.NDArray[np.intp]:
        from modAL.models import ActiveLearner
        from modAL.uncertainty import margin_sampling

        if len(np.unique(s.y)) < 2:
            return np.random.default_rng(s.seed).permutation(len(s.X))[:n]
        learner = ActiveLearner(probe(), margin_sampling, s.X_labelled, s.y)
        index = learner.query(s.X, n_instances=n)[0]
        return np.asarray(index, dtype=np.intp)

    uncertain = pool.UncertaintySampling
    made: dict[str, tuple[Callable[[int], Any], str]] = {
        "least-confidence": (lambda r: uncertain(method="least_confident", random_state=r), "clf"),
        "margin": (lambda r: uncertain(method="margin_sampling", random_state=r), "clf"),
        "entropy": (lambda r: uncertain(method="entropy", random_state=r), "clf"),
        "k-center": (lambda r: pool.CoreSet(random_state=r), ""),
        "typiclust": (lambda r: pool.TypiClust(random_state=r), ""),
        "probcover": (lambda r: pool.ProbCover(n_classes=10, random_state=r), ""),
        "maxherding": (lambda r: pool.MaxHerding(random_state=r), ""),
        "badge": (lambda r: pool.Badge(random_state=r), "clf"),
    }
    table: dict[str, Chooser] = {
        f"skactiveml:{name}": partial(ask, make, needs) for name, (make, needs) in made.items()
    }
    return table | {"modal:margin": modal}


def play(name: str, cells: EmbeddingSet, who: str, choose: Chooser, seed: int, kept: Path) -> None:
    """Replay one strategy on one division and keep its figures."""
    file = kept / name / f"{who.replace(':', '_')}-{seed}.json"
    if file.exists():
        return
    pool, test = hold_out(cells, PARTS, seed)
    begin = time.monotonic()
    budgets = [b for b in BUDGETS if b < len(pool)]
    played = replay(pool, test, choose, budgets=budgets, seed=seed)
    full = full_score(pool, test, seed=seed)[SCORE]
    figures = outcome(pool, played, full, SCORE)
    figures |= {f"score_{s.budget}": s.scores[SCORE] for s in played.steps}
    record = {k: v if np.isfinite(v) else None for k, v in figures.items()}
    seconds = round(time.monotonic() - begin, 2)
    write_json(file, {"set": name, "strategy": who, "seed": seed, "seconds": seconds, **record})


def gather(kept: Path) -> None:
    """Every replay that is kept, as a table and in words."""
    records = [read_json(path) for path in sorted(kept.glob("*/*.json"))]
    table = pd.DataFrame(records)
    never = [c for c in map(str, table) if c.startswith(("labels_", "all_found_"))]
    table[never] = table[never].astype(float).fillna(np.inf)
    with atomic_file(RESULTS / "selection.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    text = [
        "# Selection: replayed annotation\n",
        "DINOv2-S embeddings; a linear probe is judged on cells apart by group, one part of "
        f"{PARTS}; budgets {', '.join(map(str, BUDGETS))}. `skactiveml:` and `modal:` are peers' "
        "own implementations with their defaults, random while fewer than two classes are known. "
        "The defaults of `expected-gain` were chosen on pbc-five: it is no evidence for them.\n",
    ]
    for name, part in table.groupby("set", sort=True):
        seeds = set.intersection(*(set(p["seed"]) for _, p in part.groupby("strategy")))
        common = part[part["seed"].isin(seeds)].dropna(axis=1, how="all")
        if not seeds:
            continue
        summary = summarise(common.drop(columns="set"), confidence=0.95)
        text += [f"## {name}\n", to_markdown(summary, score="macro-F1", confidence=0.95)]
    scale = RESULTS / "selection_scale.json"
    if scale.exists():
        rows = json.loads(scale.read_text())
        text += [
            "## Scale\n",
            "| strategy | cells | chosen | seconds | peak GiB |",
            "|---|---|---|---|---|",
        ]
        text += [
            f"| {r['strategy']} | {r['cells']:,} | {r['chosen']} | {r['seconds']:.0f} "
            f"| {r['peak_gib']:.1f} |"
            for r in rows
        ]
    with atomic_file(RESULTS / "selection.md") as temporary:
        temporary.write_text("\n".join(text) + "\n", encoding="utf-8")


def scale(n: int, names: list[str], chosen: int, dim: int) -> None:
    """Time one queue of each strategy on random clusters, one process a strategy."""
    import multiprocessing

    file = RESULTS / "selection_scale.json"
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
    y = rng.integers(20, size=200)
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
    parser.add_argument("cells", type=Path, nargs="?", default=ROOT.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), default=sorted(SETS))
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES.names())
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "selection")
    parser.add_argument("--scale", type=int, metavar="CELLS", help="time queues instead")
    parser.add_argument("--chosen", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=384)
    options = parser.parse_args()
    kept = options.cache / "replays"
    if options.scale:
        scale(options.scale, options.strategies, options.chosen, options.dim)
    else:
        from tqdm import tqdm

        choosers = {name: by_strategy(name) for name in options.strategies}
        choosers |= {} if options.no_peers else peers()
        for name in options.sets:
            cells = embedded(name, options.cells.resolve(), options.cache)
            work = [(who, seed) for seed in range(options.seeds) for who in choosers]
            for who, seed in tqdm(work, desc=name, unit="replay"):
                play(name, cells, who, choosers[who], seed, kept)
    if kept.exists():
        gather(kept)


if __name__ == "__main__":
    main()
