"""The YAML of tuned hyper-parameters: per fold and method, with the rows that they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.errors import InputError
from bloomdiff.experiments.studies import StudyResult
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import read_json, read_yaml, sha256_file, write_json, write_yaml
from bloomdiff.params import TuneParams
from bloomdiff.stages.inputs import FoldRows, fold_names
from bloomdiff.stages.project import Project
from bloomdiff.stages.work import finish, key_of, run_units

TuneOne = Callable[[Project, str, str], dict[str, Any]]


def tune_all(
    project: Project,
    run: StageRun,
    tune_one: TuneOne,
    names: Sequence[str],
    path: Path,
    *depends: Any,
) -> None:
    """Tune every method in every fold and write what was chosen.

    Parameters
    ----------
    project, run
        Of the stage.
    tune_one
        Maps project, fold and method to an `entry`; runs in worker processes.
    names
        The methods.
    path
        YAML to write: `{fold: {method: entry}}` in a stable order.
    depends
        Plain data that the choice depends on, beside the embeddings, the folds and the seed.
    """
    units = [(fold, name) for fold in fold_names(project) for name in names]
    working = project.working / run.stage
    inputs = [sha256_file(project.embeddings), sha256_file(project.folds)]
    done = run_units(
        partial(_write_entry, project, tune_one),
        units,
        working=working,
        key=key_of(project.params.seed, *inputs, *depends),
        jobs=project.params.jobs,
        describe=run.stage,
    )
    nested: dict[str, dict[str, Any]] = {}
    for fold, name in units:
        chosen = read_json(done((fold, name)) / "entry.json")
        nested.setdefault(fold, {})[name] = chosen
        if chosen["study"] is not None:
            run.log_metrics({f"inner_macro_f1.{name}.{fold}": chosen["study"]["macro_f1"]})
    write_yaml(path, nested)
    finish(working)
    run.log_artifact(path)


def _write_entry(project: Project, tune_one: TuneOne, folder: Path, fold: str, name: str) -> None:
    write_json(folder / "entry.json", tune_one(project, fold, name))


def entry(
    values: Mapping[str, Any], fingerprint: Fingerprint, result: StudyResult | None
) -> dict[str, Any]:
    """One method in one fold, as plain data."""
    study = None
    if result is not None:
        study = {
            "macro_f1": round(result.best_value, 6),
            "complete": result.n_complete,
            "pruned": result.n_pruned,
        }
    return {"params": dict(values), "study": study, "fitted_on": fingerprint.to_dict()}


def tuned_values(path: Path, fold: str, name: str, rows: FoldRows) -> dict[str, Any]:
    """Hyper-parameters of `name` in `fold`.

    Raises
    ------
    LeakageError
        The study that chose them saw cells that are about to be tested.
    """
    try:
        found = read_yaml(path)[fold][name]
    except (KeyError, TypeError):
        raise InputError(str(path), f"has no entry {fold}.{name}", "run its stage again") from None
    where = f"{path}: {fold}.{name}"
    fingerprint = Fingerprint.from_dict(found["fitted_on"], where=where)
    assert_disjoint(rows.test.group, fingerprint, what=f"the tuning of {name} in {fold}")
    return dict(found["params"])


def study_name(
    kind: str, name: str, fold: str, project: Project, tune: TuneParams, *depends: Any
) -> str:
    """Name a study after all that its trials depend on, except how many of them there shall be.

    A larger `n_trials` thereby resumes the same study, and any other change begins a new one.
    """
    settings = tune.model_dump(mode="json", exclude={"n_trials", "enabled", "storage"})
    inputs = [sha256_file(project.embeddings), sha256_file(project.folds)]
    text = json.dumps([settings, project.params.seed, *inputs, *depends], sort_keys=True)
    return f"{kind}-{name}-{fold}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def study_storage(project: Project, tune: TuneParams) -> str:
    """URL of the studies' database: beside the tracker's, unless a parameter names another."""
    return tune.storage or f"sqlite:///{project.root / 'mlruns' / 'optuna.db'}"
