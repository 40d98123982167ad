"""Are copies of cells found, is nothing else joined, and what does a random split claim?

    python bench/duplicates.py CELLS

Writes bench/results/duplicates.json and .md. Which field each copy of `bccd-augmented` was made
from is not published: bench/duplicates_truth.py finds it out by an exhaustive search and keeps it
in bench/results/duplicates_truth.json; delete that file to search again (some 15 CPU minutes).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.data.duplicates import (
    DuplicateParams,
    find_duplicates,
    join_families,
)
from bloomdiff.data.images import pixel_digest, read_rgb
from bloomdiff.data.manifest import read_manifest
from bloomdiff.data.phantom import PhantomParams, write_phantom
from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file, write_json
from duplicates_split import REPEATS, bench_cosine, bench_split, embed
from duplicates_truth import Truth, read_truth

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
Result = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path, help="the folder of real cells")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench" / "duplicates")
    options = parser.parse_args()
    shared: Path = options.shared
    truth = read_truth(shared, RESULTS / "duplicates_truth.json")
    augmented, families = bench_augmented(shared, truth)
    result = {
        "augmented": augmented,
        "acevedo": bench_acevedo(shared),
        "bone_marrow": bench_unrelated(shared, "bone-marrow/*/*.jpg"),
        "phantom": bench_phantom(),
        "random_split": {},
        "cosine": {},
    }
    for name in ("colour-histogram", "dinov2-s"):
        embeddings = embed(families, shared, name, options.work)
        result["random_split"][name] = bench_split(embeddings)
        result["cosine"][name] = bench_cosine(embeddings, truth)
    write_json(RESULTS / "duplicates.json", result)
    with atomic_file(RESULTS / "duplicates.md") as temporary:
        temporary.write_text(markdown(result), encoding="utf-8")
    print(markdown(result))


def manifest(root: Path, patterns: Sequence[str]) -> pd.DataFrame:
    """Unlabelled cells below `root`: labels play no part in finding duplicates."""
    paths = sorted(path for pattern in patterns for path in root.glob(pattern))
    names = [path.relative_to(root).as_posix() for path in paths]
    cells = pd.DataFrame({"cell_id": names, "path": names, "label": "", "group": names})
    digest = [pixel_digest(read_rgb(path)) for path in paths]
    return cells.assign(split="", source=root.name, blake3=digest)


def search(cells: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, pd.DataFrame, Result]:
    """Pairs, grouped cells, and the cost in CPU seconds of one process."""
    start = time.process_time()
    pairs = find_duplicates(cells, root, DuplicateParams(near=True), jobs=1)
    seconds = time.process_time() - start
    cost = {"cells": len(cells), "cpu_seconds_per_1000": 1000 * seconds / len(cells)}
    return pairs, join_families(cells, pairs), cost


def bench_augmented(shared: Path, truth: Truth) -> tuple[Result, pd.DataFrame]:
    """Copies with and without their originals; returns the copies' families without them too."""
    known = {name: original for name, original in truth.original.items() if original is not None}
    related = pd.Series({name: truth.scene[original] for name, original in known.items()})
    together = manifest(shared, ["bccd-augmented/*/*.jpeg", "bccd/JPEGImages/*.jpg"])
    _, with_originals, cost = search(together, shared)
    group = with_originals.set_index("cell_id")["group"]
    home = np.mean([group[name] == group[original] for name, original in known.items()])

    alone = manifest(shared, ["bccd-augmented/*/*.jpeg"])
    pairs, families, _ = search(alone, shared)
    group = families.set_index("cell_id")["group"]
    siblings = pd.Series(known)
    together_again = [
        group[name] == group[other]
        for _, members in siblings.groupby(siblings).groups.items()
        for name in members
        for other in members
        if name < other
    ]
    scenes = (
        group[related.index]
        .groupby(group[related.index])
        .transform(lambda names: related[names.index].nunique())
    )
    labels = alone["cell_id"].str.split("/").str[1]
    return {
        **cost,
        "copies": len(truth.original),
        "copies_of_known_original": len(known),
        "recall_in_group_of_original": float(home),
        "recall_of_pairs_without_originals": float(np.mean(together_again)),
        "unrelated_joined": float((scenes > 1).mean()),
        "precision_of_pairs": precision(pairs, related),
        "two_labels": contradictions(alone.assign(label=labels), pairs),
    }, families.assign(label=labels)


def precision(pairs: pd.DataFrame, kind: pd.Series) -> float:
    """Part of the pairs of two cells of known kind that are of the same kind."""
    judged = pairs[pairs["cell_a"].isin(kind.index) & pairs["cell_b"].isin(kind.index)]
    return float((judged["cell_a"].map(kind) == judged["cell_b"].map(kind)).mean())


def contradictions(cells: pd.DataFrame, pairs: pd.DataFrame) -> int:
    """Pairs that show one cell under two labels."""
    try:
        join_families(cells, pairs)
    except InputError as error:
        return len(str(error).splitlines())
    return 0


def bench_acevedo(shared: Path) -> Result:
    """Cells in several folders under other sizes and formats, known by their file names."""
    patterns = ["pbc-five/*/*.jpg", "pbc-thirteen/*/*.jpg", "pbc-examples/*/*.png"]
    cells = manifest(shared, patterns)
    name = cells["path"].map(lambda path: Path(path).stem)
    pairs, grouped, cost = search(cells, shared)
    twice = cells.groupby(name).filter(lambda rows: len(rows) > 1).groupby(name)
    found = twice.apply(lambda rows: grouped.loc[rows.index, "group"].nunique() == 1)
    names = grouped["group"].map(name.groupby(grouped["group"]).nunique())
    other = pairs[pairs["cell_a"].map(stem) != pairs["cell_b"].map(stem)]
    return {
        **cost,
        "cells_under_one_name": len(found),
        "recall": float(found.mean()),
        "joined_under_other_names": float((names > 1).mean()),
        "pairs_under_other_names": other[["cell_a", "cell_b", "correlation", "inliers"]]
        .round(3)
        .to_dict("records"),
    }


def stem(path: str) -> str:
    return Path(path).stem


def bench_unrelated(shared: Path, pattern: str) -> Result:
    """Cells of which no duplicates are known: whatever is joined."""
    cells = manifest(shared, [pattern])
    pairs, grouped, cost = search(cells, shared)
    joined = grouped["group"].duplicated(keep=False).mean()
    found = pairs[["cell_a", "cell_b", "correlation", "inliers"]].round(3).to_dict("records")
    return {**cost, "joined": float(joined), "pairs": found}


def bench_phantom() -> Result:
    """Drawn cells: no two are the same."""
    with tempfile.TemporaryDirectory() as folder:
        write_phantom(folder, PhantomParams(), seed=0, jobs=1)
        cells = read_manifest(Path(folder) / "manifest.csv")
        paths = [Path(folder) / path for path in cells["path"]]
        cells["blake3"] = [pixel_digest(read_rgb(path)) for path in paths]
        cells["group"] = cells["cell_id"]
        pairs, grouped, cost = search(cells, Path(folder))
    joined = grouped["group"].duplicated(keep=False).mean()
    return {**cost, "joined": float(joined), "pairs": len(pairs)}


def markdown(result: Result) -> str:
    """The figures as sentences and tables."""
    a, p, b = result["augmented"], result["acevedo"], result["bone_marrow"]
    lines = [
        "# Duplicates: what is found, what is joined wrongly, what a random split claims",
        "",
        "Made by `python bench/duplicates.py CELLS`. CPU seconds are of one process.",
        "",
        "| set | cells | found | unrelated cells joined | CPU s per 1,000 |",
        "|---|---|---|---|---|",
        f"| BCCD's augmented copies, with the originals | {a['cells']} | "
        f"{a['recall_in_group_of_original']:.1%} of {a['copies_of_known_original']} copies in "
        f"their original's group | {a['unrelated_joined']:.2%} | "
        f"{a['cpu_seconds_per_1000']:.0f} |",
        f"| the copies alone | {a['copies']} | {a['recall_of_pairs_without_originals']:.1%} of "
        f"pairs from one original | precision of pairs {a['precision_of_pairs']:.2%} | |",
        f"| Acevedo, three folders | {p['cells']} | {p['recall']:.1%} of "
        f"{p['cells_under_one_name']} cells that are there twice or more | "
        f"{p['joined_under_other_names']:.2%} under other names | "
        f"{p['cpu_seconds_per_1000']:.0f} |",
        f"| bone marrow | {b['cells']} | none known | {b['joined']:.2%} | "
        f"{b['cpu_seconds_per_1000']:.0f} |",
        f"| phantom | {result['phantom']['cells']} | none there | "
        f"{result['phantom']['joined']:.2%} | "
        f"{result['phantom']['cpu_seconds_per_1000']:.0f} |",
        "",
        f"Pairs of the augmented copies that show one cell under two published labels: "
        f"{a['two_labels']}.",
        "",
        "## What a random split of the augmented copies claims",
        "",
        f"Logistic regression, 5 folds, mean of {REPEATS} repeats (least to greatest).",
        "",
        "| embedding | accuracy, random split | grouped | macro-F1, random split | grouped |",
        "|---|---|---|---|---|",
    ]
    for name, split in result["random_split"].items():
        cells = [
            f"{np.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})"
            for score in ("accuracy", "macro_f1")
            for v in (split["random"][score], split["grouped"][score])
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Joining on the cosine of embeddings alone",
        "",
        "| embedding | least cosine | families whole | unrelated cells joined |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['threshold']} | {row['families_whole']:.1%} | "
        f"{row['unrelated_joined']:.1%} |"
        for name, rows in result["cosine"].items()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
