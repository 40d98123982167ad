"""An Optuna study per classifier and outer fold, on real rows of its training part alone.

The real-only baseline is thereby tuned in its own right, and every generator's rows are then
judged by the classifier that suits the real rows best: the comparison leans to the baseline.
"""

from __future__ import annotations

from typing import Any

from bloomdiff.classifiers import CLASSIFIERS, make_classifier
from bloomdiff.data.folds import inner_folds
from bloomdiff.experiments.objectives import classifier_objective
from bloomdiff.experiments.studies import run_study
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.stages.inputs import load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuned import entry, study_name, study_storage, tune_all


def run(project: Project, run: StageRun) -> None:
    """Write the best hyper-parameters of every classifier in every fold."""
    params = project.params
    tune_all(
        project,
        run,
        tune_one,
        list(params.sweep.classifiers),
        project.classifier_params,
        params.sweep.classifiers,
        params.tune_classifier.model_dump(mode="json"),
    )


def tune_one(project: Project, fold: str, name: str) -> dict[str, Any]:
    """Tune one classifier in one fold, or keep its given values where tuning is off."""
    params = project.params
    tune = params.tune_classifier
    train = load_fold(project, fold).train
    values = dict(params.sweep.classifiers[name])
    # Too few groups to hold any out: nothing can be compared, and the given values stand.
    if not tune.enabled or not inner_folds(train, tune.inner_folds, params.seed):
        return entry(values, train.fingerprint, None)
    objective = classifier_objective(
        name, values, train, n_splits=tune.inner_folds, seed=params.seed, device=params.device
    )
    result = run_study(
        study_name("classifier", name, fold, project, tune, values),
        objective,
        storage=study_storage(project, tune),
        n_trials=tune.n_trials,
        seed=params.seed,
        direction="maximize",
        fingerprint=train.fingerprint.digest,
        space=CLASSIFIERS[name].search_space,
        first=make_classifier(name, values, seed=0).params.model_dump(mode="json"),
    )
    return entry({**values, **result.best_params}, train.fingerprint, result)
