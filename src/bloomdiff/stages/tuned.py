"""The YAML of tuned hyper-parameters: per fold and method, with the rows that they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.errors import InputError
from bloomdiff.experiments.studies import StudyResult
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import read_yaml, sha256_file, write_yaml
from bloomdiff.params import TuneParams
from bloomdiff.stages.inputs import FoldRows
from bloomdiff.stages.project import Project


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


def write_tuned(path: Path, entries: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    """Write `{fold: {method: entry}}` in a stable order."""
    nested: dict[str, dict[str, Any]] = {}
    for (fold, name), value in entries.items():
        nested.setdefault(fold, {})[name] = value
    write_yaml(path, nested)


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


def track_studies(
    run: StageRun, path: Path, entries: Mapping[tuple[str, str], dict[str, Any]]
) -> None:
    """Tell the tracker what was chosen, and the inner score that it was chosen by."""
    for (fold, name), value in entries.items():
        if value["study"] is not None:
            run.log_metrics({f"inner_macro_f1.{name}.{fold}": value["study"]["macro_f1"]})
    run.log_artifact(path)
