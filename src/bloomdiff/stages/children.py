"""The sweep as nested runs: one per fold, generator, ratio and seed, its models beside it."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.experiments.parents import CURVE
from bloomdiff.experiments.ratios import allocate, class_counts, largest_finite
from bloomdiff.experiments.run_artifacts import Content
from bloomdiff.experiments.tracking import ChildRun, StageRun
from bloomdiff.params import Params
from bloomdiff.serving.classifier_flavor import as_mlflow_model
from bloomdiff.stages.inputs import fold_names, load_fold
from bloomdiff.stages.project import Project

Counts = Mapping[str, Mapping[str, int]]
KEY = ["fold", "generator", "ratio", "seed"]


def training_counts(project: Project) -> Counts:
    """Fold to its training rows of each class."""
    return {
        fold: class_counts(load_fold(project, fold).train.label) for fold in fold_names(project)
    }


def log_sweep(
    run: StageRun,
    tables: Mapping[str, pd.DataFrame],
    models: Mapping[tuple[str, ...], Path],
    params: Params,
    counts: Counts,
) -> None:
    """Tell the tracker every run of the sweep.

    Parameters
    ----------
    run
        The stage's run: the parent.
    tables
        `scores`, `per_class` and `confusion`, each with the columns of `KEY` and `classifier`, and
        `calibration` of the primary classifier.
    models
        Fold and generator to a folder that holds one saved model per ratio, of the first seed.
    params
        For the name of the primary classifier and the sweep's settings.
    counts
        As `training_counts` has them.
    """
    keys, children = [], []
    for key, child in sweep_runs(tables, params, counts):
        keys.append(key)
        children.append(child)
    for key, run_id in zip(keys, run.log_children(children), strict=True):
        folder = models[key["fold"], key["generator"]] / key["ratio"]
        if key["seed"] == params.seeds[0] and folder.exists():
            name = f"{key['generator']}-{key['ratio'].replace('.', '_')}-{key['fold']}"
            with tempfile.TemporaryDirectory() as scratch:
                as_mlflow_model(folder, Path(scratch) / "model")
                run.log_model(name, Path(scratch) / "model", run_id=run_id)
    run.log_children(curve_runs(tables["scores"], params))


def sweep_runs(
    tables: Mapping[str, pd.DataFrame], params: Params, counts: Counts
) -> Iterator[tuple[dict[str, Any], ChildRun]]:
    """Spell each fold, generator, ratio and seed as one run.

    The primary classifier's scores have plain names (`macro_f1`), the others' end in theirs
    (`macro_f1_knn`).
    """
    details = {
        name: dict(iter(tables[name].groupby(KEY, sort=False)))
        for name in ("per_class", "confusion")
    }
    calibration = tables["calibration"].set_index(KEY)[CALIBRATED].dropna().T.to_dict()
    for values, rows in tables["scores"].groupby(KEY, sort=False):
        key: dict[str, Any] = dict(zip(KEY, values, strict=True))
        metrics: dict[str, float] = {}
        for classifier, scores in (
            rows.set_index("classifier").drop(columns=[*KEY, *SIZES]).iterrows()
        ):
            suffix = "" if classifier == params.primary else f"_{classifier}"
            metrics |= {f"{name}{suffix}": float(value) for name, value in scores.items()}
        metrics |= calibration.get(values, {})
        first = rows.iloc[0]
        yield (
            key,
            ChildRun(
                name="{generator} ratio {ratio} {fold} seed {seed}".format(**key),
                params={
                    **key,
                    "allocation": params.sweep.allocation,
                    "classifier": params.primary,
                    "encoder": params.encoder,
                    **{name: int(first[name]) for name in SIZES},
                },
                metrics=metrics,
                tags={
                    "fold": key["fold"],
                    "kind": "sweep",
                    **_rows_by_class(key, params, counts[key["fold"]]),
                },
                artifacts=_tables(details, values),
            ),
        )


def _rows_by_class(
    key: Mapping[str, Any], params: Params, real: Mapping[str, int]
) -> dict[str, str]:
    """Tags `rows.real` and `rows.synthetic`: class to the rows that the classifier learned from."""
    ratio = float(key["ratio"])
    finite = ratio if math.isfinite(ratio) else largest_finite(params.sweep.ratios)
    synthetic = {}
    if key["generator"] != "none":
        synthetic = allocate(real, finite, params.sweep.allocation)
    learned = real if math.isfinite(ratio) else {}
    return {"rows.real": json.dumps(learned), "rows.synthetic": json.dumps(synthetic)}


def curve_runs(scores: pd.DataFrame, params: Params) -> Iterator[ChildRun]:
    """Each generator's ratio curve as one run, which MLflow's UI draws without being told how.

    The step is the number of synthetic rows per hundred real ones, from real cells only at 0; the
    value the primary classifier's mean macro-F1 over folds and seeds. Synthetic rows alone have no
    place on that axis, nor has a ratio between two steps.
    """
    primary = scores[(scores["classifier"] == params.primary) & (scores["ratio"] != "inf")]
    per_hundred = 100 * primary["ratio"].astype(float)
    primary = primary[np.isclose(per_hundred, per_hundred.round(), rtol=0, atol=1e-6)]
    steps = (100 * primary["ratio"].astype(float)).round().astype(int)
    means = primary.groupby(["generator", steps])["macro_f1"].mean()
    real_only = means.get("none", pd.Series(dtype=float))
    for name in means.index.unique("generator").drop("none", errors="ignore"):
        yield ChildRun(
            name=f"{name} ratio curve",
            params={"generator": name, "classifier": params.primary, "encoder": params.encoder},
            metrics={},
            tags={"kind": CURVE},
            series={"macro_f1_by_ratio": {**real_only.to_dict(), **means[name].to_dict()}},
        )


def _tables(details: Mapping[str, Mapping[Any, pd.DataFrame]], values: Any) -> dict[str, Content]:
    return {
        f"{name}.csv": parts[values].drop(columns=KEY).to_csv(index=False)
        for name, parts in details.items()
    }


CALIBRATED = ["temperature", "ece_scaled", "brier_scaled", "log_loss_scaled"]
SIZES = ("n_train", "n_synthetic", "n")
