"""An Optuna study per classifier and outer fold, on real rows of its training part alone.

The real-only baseline is thereby tuned in its own right, and every generator's rows are then
judged by the classifier that suits the real rows best: the comparison leans to the baseline.
"""

from __future__ import annotations

from dataclasses import replace

from bloomdiff.classifiers import CLASSIFIERS, make_classifier
from bloomdiff.experiments.inner import InnerFolds
from bloomdiff.experiments.objectives import classifier_objective, space_left
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.stages.inputs import load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuning import TuningTask, tune_all


def run(project: Project, run: StageRun) -> None:
    """Write the best hyper-parameters of every classifier in every fold."""
    params = project.params
    tune_all(
        project,
        run,
        make_task,
        methods(project),
        project.classifier_params,
        params.tune_classifier,
        params.sweep.classifiers,
    )


def methods(project: Project) -> list[str]:
    """Names of the classifiers."""
    return list(project.params.sweep.classifiers)


def make_task(project: Project, fold: str, name: str) -> TuningTask:
    """What there is to tune for one classifier in one fold."""
    params = project.params
    tune = params.tune_classifier
    rows = load_fold(project, fold)
    values = dict(params.sweep.classifiers[name])
    given = TuningTask("classifier", name, fold, values, rows.fingerprint, tune)
    space = space_left(CLASSIFIERS[name], values) if tune.enabled else None
    if space is None:
        return given
    folds = InnerFolds(rows.train, rows.pool, n_splits=tune.inner_folds, seed=params.seed)
    if not folds:  # too few groups to hold any out: nothing can be compared
        return given
    return replace(
        given,
        objective=classifier_objective(name, values, folds, seed=params.seed, device=params.device),
        space=space,
        first=make_classifier(name, values, seed=0).params.model_dump(mode="json"),
    )
