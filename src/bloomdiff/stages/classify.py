"""The ratio sweep: classifiers on real and synthetic rows, tested on real cells only."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.experiments.sweep import Scored, sweep_fold
from bloomdiff.experiments.temperature import fit_temperatures
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_dir, read_yaml, sha256_file
from bloomdiff.metrics.calibration import scale_temperature
from bloomdiff.metrics.classification import score_classification
from bloomdiff.stages.children import log_sweep, training_counts
from bloomdiff.stages.inputs import FoldRows, encoder_digest, fold_names, images_for, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.synthesize import synthetic_units
from bloomdiff.stages.tuned import tuned_values
from bloomdiff.stages.work import Unit, finish, key_of, run_units

TABLES = ("scores", "per_class", "confusion", "predictions", "calibration")


def run(project: Project, run: StageRun) -> None:
    """Write the tables of scores and tell the tracker one run per fold, method, ratio and seed."""
    params = project.params
    real_only = [(fold, "none") for fold in fold_names(project)]
    units: list[Unit] = [*real_only, *synthetic_units(project)]
    working = project.working / "classify"
    sets = [sha256_file(project.synthetic_set(*unit)) for unit in synthetic_units(project)]
    done = run_units(
        partial(classify_one, project),
        units,
        working=working,
        key=key_of(
            params.sweep.model_dump(mode="json"),
            params.seeds,
            read_yaml(project.classifier_params),
            read_yaml(project.generator_params),
            sets,
            *map(sha256_file, (project.embeddings, project.folds)),
        ),
        jobs=params.jobs,
        describe="classify",
    )
    tables = {
        name: pd.concat(
            [pd.read_parquet(done(unit) / f"{name}.parquet") for unit in units], ignore_index=True
        )
        for name in TABLES
    }
    run.set_tags({"encoder_digest": encoder_digest(project)})
    models = {unit: done(unit) / "models" for unit in units}
    log_sweep(run, tables, models, params, training_counts(project))
    with atomic_dir(project.scores, stale="*") as folder:
        for name, table in tables.items():
            table.to_parquet(folder / f"{name}.parquet", index=False)
    finish(working)


def classify_one(project: Project, folder: Path, fold: str, name: str) -> None:
    """Sweep one generator in one fold; keep the tables, and the first seed's primary models."""
    params = project.params
    sweep = params.sweep
    rows = load_fold(project, fold)
    synthetic = None
    if name != "none":
        synthetic = SyntheticSet.load(project.synthetic_set(fold, name))
    values = {
        classifier: tuned_values(project.classifier_params, fold, classifier, rows)
        for classifier in sweep.classifiers
    }
    ratios = sweep.ratios if synthetic is not None else (0.0,)
    temperatures = temperatures_of(project, rows, name, ratios, values[params.primary])
    parts: dict[str, list[pd.DataFrame]] = {table: [] for table in TABLES}
    for scored in sweep_fold(
        rows.train,
        rows.test,
        synthetic,
        ratios=ratios,
        seeds=params.seeds,
        allocation=sweep.allocation,
        classifiers=values,
        pool=rows.pool,
        device=params.device,
    ):
        key: dict[str, Any] = {
            "fold": fold,
            "generator": name,
            "ratio": ratio_name(scored.ratio),
            "seed": scored.seed,
        }
        tables = tables_of(scored, key, len(rows.train))
        if scored.classifier.name == params.primary:
            temperature = temperatures.loc[key["ratio"]].to_dict()
            own = {**key, "classifier": params.primary}
            tables |= primary_tables(scored, own, rows.test, temperature)
            if scored.seed == params.seeds[0]:
                scored.classifier.save(folder / "models" / ratio_name(scored.ratio))
        for table, part in tables.items():
            parts[table].append(part)
    for table, frames in parts.items():
        pd.concat(frames, ignore_index=True).to_parquet(folder / f"{table}.parquet", index=False)


def temperatures_of(
    project: Project, rows: FoldRows, name: str, ratios: tuple[float, ...], values: dict[str, Any]
) -> pd.DataFrame:
    """Temperatures of the primary classifier, from the training part of the fold: ratio to one."""
    params = project.params
    generator = None
    if name != "none":
        generator = (name, tuned_values(project.generator_params, rows.name, name, rows))
    return fit_temperatures(
        rows.train,
        rows.pool,
        generator=generator,
        classifier=(params.primary, values),
        ratios=[ratio for ratio in ratios if (ratio == 0) == (generator is None)],
        allocation=params.sweep.allocation,
        n_splits=params.sweep.calibration_folds,
        seed=params.seeds[0],
        device=params.device,
        images=None if generator is None else images_for(project, name),
    ).set_index("ratio")


def tables_of(scored: Scored, key: dict[str, Any], n_train: int) -> dict[str, pd.DataFrame]:
    """Spell one scored classifier as rows of the tables that every classifier has."""
    own = {**key, "classifier": scored.classifier.name}
    classes = scored.classifier.classes_
    confusion = pd.DataFrame(
        {
            "true": np.tile(classes, len(classes)),
            "predicted": np.repeat(classes, len(classes)),
            "n": scored.confusion.T.ravel(),
        }
    )
    sizes = {"n_train": n_train, "n_synthetic": scored.n_synthetic}
    return {
        "scores": pd.DataFrame([{**own, **sizes, **scored.scores}]),
        "per_class": scored.per_class.assign(**own),
        "confusion": confusion.assign(**own),
    }


def primary_tables(
    scored: Scored, key: dict[str, Any], test: EmbeddingSet, temperature: dict[str, float]
) -> dict[str, pd.DataFrame]:
    """Each test cell's probabilities, and calibration before and after temperature scaling.

    Both have the columns of `key`. `predictions` has `cell_id`, `group`, `true`, and one column
    `p.<class>` of float32 a class; `calibration` has the temperature, the cells that it was learned
    on, and each score twice, the second with `_scaled`.
    """
    classes = scored.classifier.classes_.tolist()
    columns = [f"p.{name}" for name in classes]
    cells = pd.DataFrame({"cell_id": test.cell_id, "group": test.group, "true": test.label})
    proba = pd.DataFrame(scored.proba.astype("float32"), columns=columns)
    scores = {name: scored.scores[name] for name in ("ece", "brier", "log_loss")}
    after = dict.fromkeys(scores, math.nan)
    if math.isfinite(temperature["temperature"]):
        scaled = scale_temperature(scored.proba, temperature["temperature"])
        after = score_classification(test.label, scaled, classes)
    record = {**key, **temperature, **scores, **{f"{name}_scaled": after[name] for name in scores}}
    return {
        "predictions": pd.concat([cells.assign(**key), proba], axis=1),
        "calibration": pd.DataFrame([record]),
    }
