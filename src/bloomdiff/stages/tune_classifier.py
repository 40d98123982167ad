"""An Optuna study per classifier and outer fold, on real rows of its training part alone.

The real-only baseline is thereby tuned in its own right, and every generator's rows are then
judged by the classifier that suits the real rows best: the comparison leans to the baseline.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from bloomdiff.classifiers import CLASSIFIERS
from bloomdiff.data.folds import inner_folds
from bloomdiff.experiments.objectives import classifier_objective
from bloomdiff.experiments.studies import StudyResult, run_study
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import read_json, sha256_file, write_json
from bloomdiff.stages.inputs import fold_names, load_fold
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuned import entry, study_name, study_storage, track_studies, write_tuned
from bloomdiff.stages.work import finish, key_of, run_units


def run(project: Project, run: StageRun) -> None:
    """Write the best hyper-parameters of every classifier in every fold."""
    params = project.params
    units = [(fold, name) for fold in fold_names(project) for name in params.sweep.classifiers]
    working = project.working / "tune_classifier"
    done = run_units(
        partial(tune_one, project),
        units,
        working=working,
        key=key_of(
            params.tune_classifier.model_dump(mode="json"),
            params.sweep.classifiers,
            params.seed,
            *map(sha256_file, (project.embeddings, project.folds)),
        ),
        jobs=params.jobs,
        describe="tune_classifier",
    )
    entries = {unit: read_json(done(unit) / "entry.json") for unit in units}
    write_tuned(project.classifier_params, entries)
    finish(working)
    track_studies(run, project.classifier_params, entries)


def tune_one(project: Project, folder: Path, fold: str, name: str) -> None:
    """Tune one classifier in one fold; keep its given values if tuning is off or impossible."""
    params = project.params
    tune = params.tune_classifier
    rows = load_fold(project, fold)
    values: dict[str, Any] = dict(params.sweep.classifiers[name])
    result: StudyResult | None = None
    if tune.enabled and inner_folds(rows.train, tune.inner_folds, params.seed):
        result = run_study(
            study_name("classifier", name, fold, project, tune, values),
            classifier_objective(
                name,
                values,
                rows.train,
                n_splits=tune.inner_folds,
                seed=params.seed,
                device=params.device,
            ),
            storage=study_storage(project, tune),
            n_trials=tune.n_trials,
            seed=params.seed,
            direction="maximize",
            fingerprint=rows.train.fingerprint.digest,
            space=CLASSIFIERS[name].search_space,
        )
        values.update(result.best_params)
    write_json(folder / "entry.json", entry(values, rows.train.fingerprint, result))
