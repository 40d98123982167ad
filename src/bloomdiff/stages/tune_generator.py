"""An Optuna study per generator and outer fold, on the inner folds of its training part."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from bloomdiff.data.folds import inner_folds
from bloomdiff.experiments.objectives import generator_objective, is_tunable
from bloomdiff.experiments.studies import StudyResult, run_study
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import read_json, sha256_file, write_json
from bloomdiff.generators import GENERATORS
from bloomdiff.stages.inputs import fold_names, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuned import entry, study_name, study_storage, track_studies, write_tuned
from bloomdiff.stages.work import finish, key_of, run_units


def run(project: Project, run: StageRun) -> None:
    """Write the best hyper-parameters of every generator in every fold."""
    params = project.params
    units = [(fold, name) for fold in fold_names(project) for name in params.generators]
    working = project.working / "tune_generator"
    done = run_units(
        partial(tune_one, project),
        units,
        working=working,
        key=key_of(
            params.tune_generator.model_dump(mode="json"),
            params.generators,
            params.sweep.model_dump(mode="json"),
            params.seed,
            *map(sha256_file, (project.embeddings, project.folds)),
        ),
        jobs=params.jobs,
        describe="tune_generator",
    )
    entries = {unit: read_json(done(unit) / "entry.json") for unit in units}
    write_tuned(project.generator_params, entries)
    finish(working)
    track_studies(run, project.generator_params, entries)


def tune_one(project: Project, folder: Path, fold: str, name: str) -> None:
    """Tune one generator in one fold; keep its given values if tuning is off or impossible."""
    params = project.params
    tune, sweep = params.tune_generator, params.sweep
    rows = load_fold(project, fold)
    values: dict[str, Any] = dict(params.generators[name])
    primary = (params.primary, sweep.classifiers[params.primary])
    result: StudyResult | None = None
    can_hold_out = inner_folds(rows.train, tune.inner_folds, params.seed)
    if tune.enabled and is_tunable(GENERATORS[name]) and can_hold_out:
        objective = generator_objective(
            name,
            values,
            rows.train,
            rows.pool,
            classifier=primary,
            ratio=tune.ratio,
            allocation=sweep.allocation,
            n_splits=tune.inner_folds,
            seed=params.seed,
            device=params.device,
        )
        result = run_study(
            study_name("generator", name, fold, project, tune, values, primary, sweep.allocation),
            objective,
            storage=study_storage(project, tune),
            n_trials=tune.n_trials,
            seed=params.seed,
            direction="maximize",
            fingerprint=rows.fingerprint.digest,
            space=GENERATORS[name].search_space,
        )
        values.update(result.best_params)
    write_json(folder / "entry.json", entry(values, rows.fingerprint, result))
