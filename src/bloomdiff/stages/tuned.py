"""The YAML of tuned hyper-parameters: per fold and method, with the rows that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.errors import InputError
from bloomdiff.experiments.studies import StudyResult
from bloomdiff.files import read_yaml
from bloomdiff.stages.inputs import FoldRows


def entry(
    values: Mapping[str, Any], fingerprint: Fingerprint, result: StudyResult | None
) -> dict[str, Any]:
    """One method in one fold, as plain data: what was given, and what was tuned."""
    study = None
    if result is not None:
        # Not the seconds: they differ from run to run, and this becomes an output.
        told = {key: result.best_values.get(key) for key in ("macro_f1", "frechet")}
        study = {
            **{key: round(value, 6) for key, value in told.items() if value is not None},
            "complete": result.n_complete,
            "pruned": result.n_pruned,
            "within_limits": result.within,
        }
        values = {**values, **result.best_params}
    return {"params": dict(values), "study": study, "fitted_on": fingerprint.to_dict()}


def read_studies(path: Path) -> dict[str, dict[str, Any]]:
    """Every entry of a tuning stage's output: fold to method to what `entry` gives.

    Raises
    ------
    InputError
        The file is missing or cut off.
    """
    studies = read_yaml(path)
    whole = isinstance(studies, dict) and all(
        isinstance(one, dict) and one.keys() >= {"params", "study", "fitted_on"}
        for methods in studies.values()
        for one in (methods.values() if isinstance(methods, dict) else [None])
    )
    if not whole:
        raise InputError(str(path), "is not what its stage wrote", "run its stage again")
    return dict(studies)


def tuned_values(path: Path, fold: str, name: str, rows: FoldRows) -> dict[str, Any]:
    """Hyper-parameters of `name` in `fold`.

    Raises
    ------
    LeakageError
        The study that chose them saw cells that are about to be tested.
    """
    found = read_studies(path).get(fold, {}).get(name)
    if found is None:
        raise InputError(str(path), f"has no entry {fold}.{name}", "run its stage again")
    where = f"{path}: {fold}.{name}"
    fingerprint = Fingerprint.from_dict(found["fitted_on"], where=where)
    assert_disjoint(rows.test.group, fingerprint, what=f"the tuning of {name} in {fold}")
    return dict(found["params"])
