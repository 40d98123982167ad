"""One way to tune, for both stages and for `bloomdiff tune`: a study per method and outer fold."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bloomdiff.data.fingerprint import Fingerprint
from bloomdiff.errors import ParameterError
from bloomdiff.experiments.objectives import DIRECTIONS, Objective, ObjectiveName
from bloomdiff.experiments.studies import (
    Engine,
    StudyResult,
    storage_from,
    studies_page,
    study_runner,
)
from bloomdiff.experiments.tracking import RunHandle, StageRun, pipeline_run
from bloomdiff.experiments.trial_runs import TrialRuns
from bloomdiff.files import read_json, sha256_file, write_json, write_yaml
from bloomdiff.params import TuneParams
from bloomdiff.stages.inputs import fold_names
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuned import entry
from bloomdiff.stages.work import finish, key_of, run_units, source_digest


@dataclass(frozen=True)
class TuningTask:
    """What there is to tune for one method in one outer fold.

    Attributes
    ----------
    kind, name, fold
        "generator" or "classifier", the method's name, the outer fold's.
    values
        The hyper-parameters as given.
    fingerprint
        Groups that the study may see: those of the outer training part.
    settings
        The stage's block of parameters.
    objective
        None where nothing can be tuned: the given values stand.
    objectives
        What the objective returns, in its order.
    space
        The search space.
    first
        Hyper-parameters of the first trial.
    depends
        Plain data that a trial's value depends on, beside the embeddings, folds, seed, settings.
    """

    kind: str
    name: str
    fold: str
    values: Mapping[str, Any]
    fingerprint: Fingerprint
    settings: TuneParams
    objective: Objective | None = None
    objectives: Sequence[ObjectiveName] = ("macro_f1",)
    space: Callable[[Any], Any] | None = None
    first: Mapping[str, Any] | None = None
    depends: tuple[Any, ...] = ()


MakeTask = Callable[[Project, str, str], TuningTask]


def run_task(
    project: Project, task: TuningTask, run: StageRun | None, engine: Engine = "local"
) -> StudyResult | None:
    """Bring the study of a task to its number of trials; None where nothing is tuned."""
    if task.objective is None:
        return None
    tags = {"fold": task.fold, "method": task.name}
    return study_runner(engine, project.params.device)(
        study_name(project, task),
        task.objective,
        storage=study_storage(project, task.settings),
        n_trials=task.settings.n_trials,
        seed=project.params.seed,
        directions={name: DIRECTIONS[name] for name in task.objectives},
        fingerprint=task.fingerprint.digest,
        space=task.space,
        first=task.first,
        log=None if run is None else TrialRuns(run, tags),
    )


def tune_all(
    project: Project,
    run: StageRun,
    make_task: MakeTask,
    names: Sequence[str],
    path: Path,
    settings: TuneParams,
    *depends: Any,
) -> None:
    """Tune every method in every fold and write what was chosen.

    Parameters
    ----------
    project, run
        Of the stage.
    make_task
        Maps project, fold and method to what there is to tune; runs in worker processes.
    names
        The methods.
    path
        YAML to write: `{fold: {method: entry}}` in a stable order.
    settings
        The stage's block of parameters.
    depends
        Plain data that the choice depends on, beside these, the embeddings, the folds, the seed.
    """
    units = [(fold, name) for fold in fold_names(project) for name in names]
    working = project.working / run.stage
    inputs = [sha256_file(project.embeddings), sha256_file(project.folds)]
    done = run_units(
        partial(_tune_unit, project, make_task, run.handle),
        units,
        working=working,
        key=key_of(project.params.seed, settings.model_dump(mode="json"), *inputs, *depends),
        jobs=project.params.jobs,
        describe=run.stage,
    )
    nested: dict[str, dict[str, Any]] = {}
    for fold, name in units:
        chosen = read_json(done((fold, name)) / "entry.json")
        nested.setdefault(fold, {})[name] = chosen
        if chosen["study"] is not None:
            run.log_metrics({f"inner_macro_f1.{name}.{fold}": chosen["study"]["macro_f1"]})
    studies = {
        f"{name}, {fold}": study
        for fold, name in units
        if (study := read_json(done((fold, name)) / "study.json")) is not None
    }
    _log_page(run, settings, studies, project)
    write_yaml(path, nested)
    finish(working)
    run.log_artifact(path)


def _tune_unit(
    project: Project, make_task: MakeTask, handle: RunHandle, folder: Path, fold: str, name: str
) -> None:
    task = make_task(project, fold, name)
    result = run_task(project, task, StageRun.attach(handle))
    told = entry(task.values, task.fingerprint, result)
    write_json(folder / "entry.json", told)
    write_json(folder / "study.json", study_name(project, task) if result else None)


def tune_now(
    project: Project,
    kind: str,
    *,
    folds: Sequence[str] = (),
    names: Sequence[str] = (),
    n_trials: int | None = None,
    engine: Engine = "local",
) -> list[tuple[TuningTask, StudyResult]]:
    """Run the studies of a stage without writing its output, which `dvc repro` then takes up.

    Any number of processes may do this at once: they share the studies' trials.

    Parameters
    ----------
    project
        Its embeddings and folds exist.
    kind
        "generator" or "classifier".
    folds, names
        Outer folds and methods; all of the project's where empty.
    n_trials
        Finished trials a study; the stage's own number where None.
    engine
        Where the trials run: in this process, or on the Ray cluster at hand.

    Raises
    ------
    ParameterError
        A fold or method that the project does not have.
    """
    stage = importlib.import_module(f"bloomdiff.stages.tune_{kind}")
    known_folds, known_names = fold_names(project), stage.methods(project)
    for asked, known, what in ((folds, known_folds, "fold"), (names, known_names, kind)):
        for one in asked:
            if one not in known:
                mend = f"name one of: {', '.join(known)}"
                raise ParameterError(f"{what} {one!r}", "is not in this project", mend)
    found = []
    with pipeline_run(
        project.root,
        stage=f"tune {kind}",
        experiment=project.params.tracking.experiment,
        lineage_of=f"tune_{kind}",
    ) as run:
        for fold in folds or known_folds:
            for name in names or known_names:
                task = stage.make_task(project, fold, name)
                if n_trials is not None:
                    settings = task.settings.model_copy(update={"n_trials": n_trials})
                    task = replace(task, settings=settings)
                result = run_task(project, task, run, engine)
                if result is not None:
                    found.append((task, result))
        if found:
            studies = {f"{t.name}, {t.fold}": study_name(project, t) for t, _ in found}
            _log_page(run, found[0][0].settings, studies, project)
    return found


def _log_page(
    run: StageRun, settings: TuneParams, studies: Mapping[str, str], project: Project
) -> None:
    """Attach the drawn studies to the run."""
    if studies:
        page = studies_page(study_storage(project, settings), studies)
        run.log_content({f"{run.stage}/studies.html": page})


def study_name(project: Project, task: TuningTask) -> str:
    """Name a study after all that its trials depend on, except how many of them there shall be.

    A larger `n_trials` thereby resumes the same study, and any other change begins a new one, an
    edit of the package's code among them. What is drawn does not depend on the name.
    """
    settings = task.settings.model_dump(mode="json", exclude={"n_trials", "enabled", "storage"})
    inputs = [sha256_file(project.embeddings), sha256_file(project.folds)]
    given = [settings, project.params.seed, *inputs, dict(task.values), *task.depends]
    parts = [source_digest(), *given]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"{task.kind}-{task.name}-{task.fold}-{digest[:12]}"


def study_storage(project: Project, settings: TuneParams) -> str:
    """URL of the studies' storage: beside the tracker's, unless a parameter names another."""
    return storage_from(project.root, settings.storage or "mlruns/optuna.db")
