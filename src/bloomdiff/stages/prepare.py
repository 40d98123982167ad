"""Images to a validated manifest, duplicate families and grouped, stratified outer folds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bloomdiff.data.duplicates import find_duplicates, join_families
from bloomdiff.data.fold_report import fold_report
from bloomdiff.data.folds import make_folds
from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.data.validate import validate_manifest
from bloomdiff.experiments.tracking import StageRun
from bloomdiff.files import atomic_file, write_json
from bloomdiff.stages.project import Project


def run(project: Project, run: StageRun) -> None:
    """Write the manifest, the folds and their report; nothing if anything is wrong."""
    params = project.params
    cells = read_manifest(project.data / "manifest.csv")
    cells = validate_manifest(cells, project.data, jobs=params.jobs)
    pairs = find_duplicates(cells, project.data, params.prepare.duplicates, jobs=params.jobs)
    cells = join_families(cells, pairs)
    folds = make_folds(cells, params.prepare.folds, seed=params.seed)
    report = describe(cells, pairs, folds)
    write_manifest(cells, project.cells)
    with atomic_file(project.folds) as temporary:
        folds.to_parquet(temporary, index=False)
    write_json(project.prepare_report, report)
    run.log_params({"cells": len(cells), "groups": report["groups"], "folds": report["folds"]})
    run.log_artifact(project.prepare_report)


def describe(cells: pd.DataFrame, pairs: pd.DataFrame, folds: pd.DataFrame) -> dict[str, Any]:
    """Count cells, groups and classes, tell what the duplicates joined and what is out of order."""
    classes = fold_report(folds, cells).set_index("label")
    return {
        "cells": len(cells),
        "unlabelled": int((cells["label"] == "").sum()),
        "sources": sorted(cells["source"].unique().tolist()),
        "groups": int(cells["group"].nunique()),
        "duplicates": {kind: int((pairs["kind"] == kind).sum()) for kind in ("exact", "near")},
        "folds": int(folds["fold"].nunique()),
        "classes": classes[["cells", "groups", "folds_tested", "untested"]].to_dict("index"),
        "warnings": [f"class {name}: {note}" for name, note in classes["note"].items() if note],
    }
