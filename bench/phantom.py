"""How hard is the phantom, and is there room for augmentation? Writes bench/results/phantom.json.

    python bench/phantom.py

A linear probe on the default embeddings, tested on slides that it never saw: its macro-F1, class by
class, beside three yardsticks (a colour histogram; the true morphology, of which the pictures are
an imperfect witness; folds that ignore the slides), its learning curve, and what real cells of
the rare classes would bring: the gain that synthetic ones are after.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, f1_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from bloomdiff.data.manifest import read_manifest
from bloomdiff.data.phantom import PhantomParams, write_phantom
from bloomdiff.data.phantom.cell_types import TRAIT_NAMES
from bloomdiff.data.phantom.write import MANIFEST, MORPHOLOGY, class_counts
from bloomdiff.encoders import EncoderParams, embed_cells, load_encoder
from bloomdiff.files import write_json

ROOT = Path(__file__).parents[1]
REPEATS, FOLDS, RESAMPLES = 3, 5, 1000
RARE_CELLS = 60  # real cells of each rare class in the last experiment
DEFAULT = PhantomParams()
COUNTS = class_counts(DEFAULT)
# The default phantom is a part of one with more rare cells, so that one drawing serves both. The
# sixty more keep the frequent classes' shares at or above the default's.
LARGER = DEFAULT.model_copy(
    update={
        "n_cells": DEFAULT.n_cells + sum(max(0, RARE_CELLS - n) for n in COUNTS.values()) + 60,
        "min_per_class": RARE_CELLS,
    }
)
Matrix = NDArray[np.float64]
Texts = NDArray[np.str_]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench" / "phantom")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "phantom.json")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    begin = time.monotonic()
    write_phantom(options.work, LARGER, seed=options.seed)
    rate = LARGER.n_cells / (time.monotonic() - begin)
    result = {
        "params": DEFAULT.model_dump(),
        "seed": options.seed,
        "cells_drawn_per_second": round(rate, 1),
        **measure(options.work),
    }
    write_json(options.out, result)
    print(summary(result))


def measure(folder: Path) -> dict[str, Any]:
    """Every experiment on the phantom `LARGER` in `folder`, of which the default is a part."""
    cells = read_manifest(folder / MANIFEST)
    number = cells.cell_id.str.rsplit("-", n=1).str[1].astype(int)
    cells["in_default"] = number < cells.label.map(COUNTS)
    cells = cells[cells["in_default"] | (number < RARE_CELLS)].reset_index(drop=True)
    ours = cells.in_default.to_numpy()
    X = embedded(cells, folder, "dinov2-s")
    colour = embedded(cells[ours], folder, "colour-histogram")
    truth = pd.read_parquet(folder / MORPHOLOGY).set_index("cell_id").loc[cells.cell_id[ours]]
    traits = np.log1p(truth[list(TRAIT_NAMES)].to_numpy())
    all_y, all_slides = (cells[name].to_numpy(dtype=str) for name in ("label", "group"))
    y, slides = all_y[ours], all_slides[ours]
    return {
        "cells": COUNTS,
        "slides": len(set(slides)),
        "default": judge(X[ours], y, slides, repeats=REPEATS),
        "folds_that_ignore_slides": judge(X[ours], y, slides, grouped=False),
        "colour_histogram": judge(colour, y, slides),
        "true_morphology": judge(traits, y, slides),
        "half_of_the_training_cells": judge(X[ours], y, slides, share=0.5),
        "quarter_of_the_training_cells": judge(X[ours], y, slides, share=0.25),
        f"rare_classes_with_{RARE_CELLS}_cells": judge(X, all_y, all_slides, tested=ours),
    }


def embedded(cells: pd.DataFrame, root: Path, encoder: str) -> Matrix:
    """Embeddings of the cells, `(n, d)`."""
    cache = ROOT / ".bloomdiff" / "embeddings"
    loaded = load_encoder(EncoderParams(name=encoder), cache_dir=cache)
    return embed_cells(cells, root, loaded, cache_dir=cache).X.astype(np.float64)


def probe() -> Pipeline:
    return make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )


def judge(
    X: Matrix,
    y: Texts,
    slides: Texts,
    *,
    grouped: bool = True,
    repeats: int = 1,
    share: float = 1.0,
    tested: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Out-of-fold scores of the probe, pooled over folds, averaged over repeats.

    `share` is the part of each training fold that is used; only rows in `tested` are scored.
    The interval resamples slides.
    """
    tested = np.ones(len(y), bool) if tested is None else tested
    guesses = []
    for repeat in range(repeats):
        splitter = (
            StratifiedGroupKFold(FOLDS, shuffle=True, random_state=repeat)
            if grouped
            else StratifiedKFold(FOLDS, shuffle=True, random_state=repeat)
        )
        guess = np.empty_like(y)
        for train, test in splitter.split(X, y, slides):
            if share < 1:
                train, _ = train_test_split(
                    train, train_size=share, stratify=y[train], random_state=repeat
                )
            guess[test] = probe().fit(X[train], y[train]).predict(X[test])
        guesses.append(guess[tested])
    y, slides = y[tested], slides[tested]
    names = np.unique(y)
    f1 = np.mean([f1_score(y, g, labels=names, average=None) for g in guesses], axis=0)
    confusion = np.mean([confusion_matrix(y, g, labels=names) for g in guesses], axis=0)
    low, high = interval(y, guesses, slides, names)
    return {
        "macro_f1": round(float(f1.mean()), 3),
        "interval_95": [round(low, 3), round(high, 3)],
        "accuracy": round(float(np.mean([np.mean(g == y) for g in guesses])), 3),
        "f1": dict(zip(names.tolist(), f1.round(3).tolist(), strict=True)),
        "confusion": confusion.round(1).tolist(),
    }


def interval(y: Texts, guesses: list[Texts], slides: Texts, names: Texts) -> tuple[float, float]:
    """Bootstrap over slides of the macro-F1, 95 %: slides are resampled whole."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(slides == name) for name in np.unique(slides)]
    index = {name: i for i, name in enumerate(names.tolist())}
    true = np.array([index[name] for name in y.tolist()])
    given = [np.array([index[name] for name in g.tolist()]) for g in guesses]
    scores = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        per_repeat = []
        for g in given:
            n = len(names)
            table = np.bincount(true[rows] * n + g[rows], minlength=n * n).reshape(n, n)
            total = table.sum(0) + table.sum(1)
            seen = table.sum(1) > 0  # a class that no resampled slide holds has no F1
            per_repeat.append(np.mean((2 * np.diag(table) / np.maximum(total, 1))[seen]))
        scores.append(np.mean(per_repeat))
    low, high = np.quantile(scores, [0.025, 0.975])
    return float(low), float(high)


def summary(result: dict[str, Any]) -> str:
    """The figures as lines of text."""
    lines = [f"{'':34}macro-F1  95 % interval"]
    for name, value in result.items():
        if isinstance(value, dict) and "macro_f1" in value:
            low, high = value["interval_95"]
            lines.append(f"{name:34}{value['macro_f1']:.3f}     {low:.3f} to {high:.3f}")
    rare = result[f"rare_classes_with_{RARE_CELLS}_cells"]["f1"]
    lines.append("F1 of each class, and with more cells of the rare ones:")
    for name, score in result["default"]["f1"].items():
        lines.append(f"{name:24}{result['cells'][name]:6} cells  {score:.2f}  {rare[name]:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
