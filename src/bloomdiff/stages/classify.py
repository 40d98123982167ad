"""The ratio sweep: classifiers on real and synthetic rows, tested on real cells only."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bloomdiff.data.embedding_set import SyntheticSet
from bloomdiff.experiments.ratios import ratio_name
from bloomdiff.experiments.sweep import Scored, sweep_fold
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_dir, read_yaml, sha256_file
from bloomdiff.stages.children import log_sweep
from bloomdiff.stages.inputs import fold_names, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.synthesize import synthetic_units
from bloomdiff.stages.tuned import tuned_values
from bloomdiff.stages.work import Unit, finish, key_of, run_units

TABLES = ("scores", "per_class", "confusion")


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
    log_sweep(run, tables, {unit: done(unit) / "models" for unit in units}, params)
    with atomic_dir(project.scores) as folder:
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
    parts: dict[str, list[pd.DataFrame]] = {table: [] for table in TABLES}
    for scored in sweep_fold(
        rows.train,
        rows.test,
        synthetic,
        ratios=sweep.ratios if synthetic is not None else (0.0,),
        seeds=params.seeds,
        allocation=sweep.allocation,
        classifiers=values,
        device=params.device,
    ):
        for table, part in tables_of(scored, fold, name, len(rows.train)).items():
            parts[table].append(part)
        if scored.classifier.name == params.primary and scored.seed == params.seeds[0]:
            scored.classifier.save(folder / "models" / ratio_name(scored.ratio))
    for table, frames in parts.items():
        pd.concat(frames, ignore_index=True).to_parquet(folder / f"{table}.parquet", index=False)


def tables_of(scored: Scored, fold: str, generator: str, n_train: int) -> dict[str, pd.DataFrame]:
    """Spell one scored classifier as rows of the three tables."""
    key: dict[str, Any] = {
        "fold": fold,
        "generator": generator,
        "ratio": ratio_name(scored.ratio),
        "seed": scored.seed,
        "classifier": scored.classifier.name,
    }
    classes = scored.classifier.classes_
    counts = pd.DataFrame(scored.confusion, index=classes, columns=classes)
    confusion = counts.rename_axis("true").melt(
        ignore_index=False, var_name="predicted", value_name="n"
    )
    sizes = {"n_train": n_train, "n_synthetic": scored.n_synthetic}
    return {
        "scores": pd.DataFrame([{**key, **sizes, **scored.scores}]),
        "per_class": scored.per_class.assign(**key),
        "confusion": confusion.reset_index().assign(**key),
    }
