"""A small project taken down the street by hand, up to what the registry needs."""

import shutil
from pathlib import Path

import pytest
import yaml

from bloomdiff.data.phantom import write_phantom
from bloomdiff.experiments.tracking_client import client_of
from bloomdiff.params import load_params
from bloomdiff.stages import run_stage
from bloomdiff.stages.project import Project

STAGES = [
    *("prepare", "embed", "tune_generator", "fit_generator", "synthesize"),
    *("tune_classifier", "classify"),
]


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """A project whose sweep is done, on colour histograms of 160 drawn cells."""
    root = tmp_path_factory.mktemp("served") / "project"
    root.mkdir()
    params = yaml.safe_load((Path(__file__).parents[2] / "params.demo.yaml").read_text())
    params["phantom"] |= {"n_cells": 160, "image_size": 64, "min_per_class": 10}
    params["phantom"]["micrometres_per_pixel"] = 0.35
    params["prepare"]["folds"]["n_splits"] = 2
    params["encoder"] = "colour-histogram"
    params["embed"]["image_size"] = None
    params["generators"] = {"none": {}, "smote": {}}
    params["tune_generator"]["enabled"] = params["tune_classifier"]["enabled"] = False
    params["sweep"] |= {"ratios": [0, 1], "classifiers": {"logistic": {}}}
    params["report"] |= {"generator": "smote", "ratio": 1}
    params["jobs"] = 1
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    loaded = load_params(root / "params.yaml")
    write_phantom(root / "data", loaded.phantom, seed=loaded.seed, jobs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for stage in STAGES:
            run_stage(stage, root)
    return Project(root)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow database without anything in it."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    client_of(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(swept, empty_store, tmp_path, monkeypatch):
    """A copy that a test may change, with a store of its own: artefacts have absolute paths."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "project"
    shutil.copytree(swept.root, root, ignore=shutil.ignore_patterns("mlruns"))
    (root / "mlruns").mkdir()
    shutil.copy(empty_store, root / "mlruns" / "mlflow.db")
    return Project(root)
