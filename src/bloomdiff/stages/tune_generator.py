"""An Optuna study per generator and outer fold, on the inner folds of its training part."""

from __future__ import annotations

from typing import Any

from bloomdiff.data.folds import inner_folds
from bloomdiff.experiments.objectives import generator_objective, is_tunable
from bloomdiff.experiments.studies import run_study
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.stages.inputs import load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuned import entry, study_name, study_storage, tune_all


def run(project: Project, run: StageRun) -> None:
    """Write the best hyper-parameters of every generator in every fold."""
    params = project.params
    tune_all(
        project,
        run,
        tune_one,
        list(params.generators),
        project.generator_params,
        params.generators,
        params.tune_generator.model_dump(mode="json"),
        params.sweep.model_dump(mode="json", include={"allocation", "classifiers"}),
    )


def tune_one(project: Project, fold: str, name: str) -> dict[str, Any]:
    """Tune one generator in one fold, or keep its given values where tuning is off."""
    params = project.params
    tune, sweep = params.tune_generator, params.sweep
    rows = load_fold(project, fold)
    values = dict(params.generators[name])
    wanted = tune.enabled and is_tunable(GENERATORS[name])
    # Too few groups to hold any out: nothing can be compared, and the given values stand.
    if not wanted or not inner_folds(rows.train, tune.inner_folds, params.seed):
        return entry(values, rows.fingerprint, None)
    primary = (params.primary, sweep.classifiers[params.primary])
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
        first=make_generator(name, values, seed=0).params.model_dump(mode="json"),
    )
    return entry({**values, **result.best_params}, rows.fingerprint, result)
