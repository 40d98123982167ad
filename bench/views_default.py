"""What whitening by views is worth where every training cell has its label.

    python bench/views_default.py phantom=. blood=build/real/blood

Each project is a folder in which the pipeline has run up to `embed`, with views: its embeddings and
outer folds are read, nothing is written there. Real cells only: every classifier is tuned on the
fold's training part with the pipeline's number of trials and inner folds, once with the cells'
views and once without, and judged on the same test cells with the same seeds. Writes
bench/results/views_default.csv, whose folds are not computed again, and .md.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from augmenters_views import points
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.experiments.inner import InnerFolds
from bloomdiff.experiments.objectives import classifier_objective
from bloomdiff.experiments.studies import run_study
from bloomdiff.experiments.summary import fraction_tested
from bloomdiff.experiments.sweep import sweep_fold
from bloomdiff.metrics.statistics import paired_difference
from bloomdiff.stages.inputs import FoldRows, split
from projects import Done, folds_of, run_resumed

RESULTS = Path(__file__).parent / "results" / "views_default.csv"
CLASSIFIERS = ("logistic", "knn", "mlp", "diffusion")
TRIALS, INNER_FOLDS, SEEDS = 10, 3, (0, 1, 2)  # as in params.yaml
UNIT = ["data", "classifier", "fold"]


def without_views(cells: EmbeddingSet) -> EmbeddingSet:
    """The same cells as the encoder gives them."""
    return replace(cells, views=None)


def tuned(rows: FoldRows, classifier: str) -> dict[str, Any]:
    """Hyper-parameters that the inner folds of the training part prefer."""
    folds = InnerFolds(rows.train, rows.pool, n_splits=INNER_FOLDS, seed=0)
    objective = classifier_objective(classifier, {}, folds, seed=0, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        found = run_study(
            f"{classifier}, {rows.name}",
            objective,
            storage=f"journal:///{folder}/study.log",
            n_trials=TRIALS,
            seed=0,
            directions={"macro_f1": "maximize"},
            fingerprint=rows.fingerprint.digest,
            progress=False,
        )
    return found.best_params


def both(rows: FoldRows, data: str, classifier: str) -> pd.DataFrame:
    """Scores on one fold with the views and without."""
    import torch

    torch.set_num_threads(1)
    plain = FoldRows(rows.name, *map(without_views, (rows.train, rows.test, rows.pool)))
    told = []
    for units, part in (("as they are", plain), ("whitened", rows)):
        for scored in sweep_fold(
            part.train,
            part.test,
            None,
            ratios=[0.0],
            seeds=SEEDS,
            allocation="balance",
            classifiers={classifier: tuned(part, classifier)},
            pool=part.pool,
        ):
            value = scored.scores["macro_f1"]
            told.append({"units": units, "seed": scored.seed, "macro_f1": value})
    sizes = {"n_train": len(rows.train), "n": len(rows.test)}
    return pd.DataFrame(told).assign(data=data, classifier=classifier, fold=rows.name, **sizes)


def work(projects: list[str], done: Done) -> Iterator[Any]:
    """What is still to be computed."""
    for data, cells, _, fold in folds_of(projects):
        if cells.views is None:
            raise SystemExit(f"{data}: the embeddings have no views; set embed.views")
        for name in CLASSIFIERS:
            if (data, name, fold.name) not in done:
                yield joblib.delayed(both)(split(cells, fold), data, name)


def tell(table: pd.DataFrame) -> str:
    """A table of means and paired differences."""
    lines = [
        "# Whitening by views with all training labels\n",
        f"Macro-F1 of real cells only on the pipeline's outer folds, {len(SEEDS)} seeds; every"
        f" classifier tuned in {TRIALS} trials on {INNER_FOLDS} inner folds of the training part,"
        " with views and without. Differences in points with 95 % intervals over the folds"
        " (corrected resampled t); nothing was named beforehand.\n",
        "| data | cells | classifier | as they are | whitened | difference |",
        "|---|---|---|---|---|---|",
    ]
    for (data, classifier), part in table.groupby(["data", "classifier"], sort=False):
        wide = part.pivot(index="fold", columns=["units", "seed"], values="macro_f1").sort_index()
        plain, white = (wide[units].to_numpy() for units in ("as they are", "whitened"))
        gain = paired_difference(white, plain, fraction_tested(part))
        cells = int((part["n"] + part["n_train"]).max())
        lines.append(
            f"| {data} | {cells} | {classifier} | {100 * plain.mean():.1f} |"
            f" {100 * white.mean():.1f} | {points(gain)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("projects", nargs="*", help="name=folder")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    missing = partial(work, options.projects)
    run_resumed(missing, RESULTS, UNIT, ["units", "seed"], tell, options.jobs)


if __name__ == "__main__":
    main()
