"""A generator of images beside one of embeddings, from pictures to scores."""

import pandas as pd
import pytest
import yaml
from workspace import Workspace

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SETTING = {
    "phantom": {"n_cells": 90, "n_slides": 9, "image_size": 48, "min_per_class": 6},
    "prepare": {"folds": {"n_splits": 2}},
    "sweep": {"ratios": [0, 1], "n_seeds": 1, "calibration_folds": 0},
    "tune_generator": {"enabled": False},
    "tune_classifier": {"enabled": False},
}
GENERATORS = {
    "none": {},
    "diffusion": {"n_steps": 50, "width": 32},
    "image-diffusion": {
        "image_size": 16,
        "widths": [16, 32],
        "n_steps": 20,
        "batch_size": 8,
        "sampling_steps": 4,
    },
}


def merged(block, changes):
    for key, value in changes.items():
        block[key] = merged(block[key], value) if isinstance(value, dict) else value
    return block


def test_images_are_sampled_embedded_and_scored_beside_embeddings(tmp_path):
    pytest.importorskip("diffusers", reason="the extra [image-space] is not installed")
    workspace = Workspace.create(tmp_path / "project")
    path = workspace.root / "params.yaml"
    params = merged(yaml.safe_load(path.read_text()), SETTING)
    params |= {"encoder": "colour-histogram", "generators": GENERATORS}
    params["embed"]["image_size"] = None
    params["sweep"]["classifiers"] = {"logistic": {}}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    workspace.run("bloomdiff", "data", "phantom")
    workspace.run("dvc", "add", "--quiet", "data")
    workspace.run("dvc", "repro", "classify")

    real = EmbeddingSet.load(workspace.root / "embeddings" / "cells.parquet")
    folds = pd.read_parquet(workspace.root / "manifest" / "folds.parquet")
    for fold, rows in folds.groupby("fold"):
        test = real.select(rows.loc[rows["role"] == "test", "cell_id"].tolist())
        sets = {
            name: SyntheticSet.load(workspace.root / "synthetic" / fold / f"{name}.parquet")
            for name in ("diffusion", "image-diffusion")
        }
        for name, synthetic in sets.items():
            assert set(synthetic.rows["generator"]) == {name}
            assert synthetic.dim == real.dim
            assert_disjoint(test.group, synthetic, what=name)
        assert sets["diffusion"].fingerprint == sets["image-diffusion"].fingerprint
        assert sets["diffusion"].label.tolist() == sets["image-diffusion"].label.tolist()
        # Shares of an image's pixels: what only the encoder, looking at an image, gives.
        X = sets["image-diffusion"].X
        assert (X >= 0).all()
        assert X.sum(axis=1) == pytest.approx(1, abs=1e-5)
    scores = pd.read_parquet(workspace.root / "reports" / "scores" / "scores.parquet")
    assert set(scores["generator"]) == set(GENERATORS)
    assert scores["macro_f1"].between(0, 1).all()
    assert (scores.loc[scores["generator"] != "none", "n_synthetic"] > 0).all()
    assert workspace.stages_run(workspace.run("dvc", "repro", "classify").stdout) == []
