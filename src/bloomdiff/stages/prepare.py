"""Images to a validated manifest, duplicate families and grouped, stratified outer folds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bloomdiff.data.duplicates import group_duplicates
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
    given = cells["group"]
    cells = group_duplicates(cells, project.data, params.prepare.duplicates, jobs=params.jobs)
    folds = make_folds(cells, params.prepare.folds, seed=params.seed)
    report = describe(cells, given, folds)
    write_manifest(cells, project.cells)
    with atomic_file(project.folds) as temporary:
        folds.to_parquet(temporary, index=False)
    write_json(project.prepare_report, report)
    run.log_params({"cells": len(cells), "groups": report["groups"], "folds": report["folds"]})
    run.log_artifact(project.prepare_report)


def describe(cells: pd.DataFrame, given: pd.Series, folds: pd.DataFrame) -> dict[str, Any]:
    """Count cells, groups and classes, and what the duplicates joined."""
    labelled = cells[cells["label"] != ""]
    classes = labelled.groupby("label").agg(cells=("cell_id", "size"), groups=("group", "nunique"))
    return {
        "cells": len(cells),
        "unlabelled": len(cells) - len(labelled),
        "sources": sorted(cells["source"].unique().tolist()),
        "groups": int(cells["group"].nunique()),
        "groups_given": int(given.nunique()),
        "folds": int(folds["fold"].nunique()),
        "classes": {str(name): row.to_dict() for name, row in classes.iterrows()},
    }
