"""An Optuna study per generator and outer fold, on the inner folds of its training part."""

from __future__ import annotations

from dataclasses import replace

from bloomdiff.experiments.inner import InnerFolds
from bloomdiff.experiments.objectives import generator_objective, space_left
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.generators import GENERATORS, make_generator
from bloomdiff.stages.inputs import images_for, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuning import TuningTask, tune_all


def run(project: Project, run: StageRun) -> None:
    """Write the best hyper-parameters of every generator in every fold."""
    params = project.params
    tune_all(
        project,
        run,
        make_task,
        methods(project),
        project.generator_params,
        params.tune_generator,
        params.generators,
        params.primary,
        params.sweep.model_dump(mode="json", include={"allocation", "classifiers"}),
    )


def methods(project: Project) -> list[str]:
    """Names of the generators."""
    return list(project.params.generators)


def make_task(project: Project, fold: str, name: str) -> TuningTask:
    """What there is to tune for one generator in one fold."""
    params = project.params
    tune, sweep = params.tune_generator, params.sweep
    rows = load_fold(project, fold)
    values = dict(params.generators[name])
    given = TuningTask("generator", name, fold, values, rows.fingerprint, tune)
    space = space_left(GENERATORS[name], values) if tune.enabled else None
    if space is None:
        return given
    folds = InnerFolds(rows.train, rows.pool, n_splits=tune.inner_folds, seed=params.seed)
    if not folds:  # too few groups to hold any out: nothing can be compared
        return given
    primary = (params.primary, sweep.classifiers[params.primary])
    objective = generator_objective(
        name,
        values,
        folds,
        classifier=primary,
        ratio=tune.ratio,
        allocation=sweep.allocation,
        seed=params.seed,
        device=params.device,
        objectives=tune.objectives,
        max_frechet=tune.max_frechet,
        images=images_for(project, name),
    )
    return replace(
        given,
        objective=objective,
        objectives=tune.objectives,
        space=space,
        first=make_generator(name, values, seed=0).params.model_dump(mode="json"),
        depends=(primary, sweep.allocation),
    )
