"""Relative paths in `params.yaml` begin at the project, wherever a command is called."""

import numpy as np
import pandas as pd
import pytest
import torch
from altered import set_params
from PIL import Image
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.images import pixel_digest
from bloomdiff.encoders.timm_import import import_timm
from bloomdiff.experiments.studies import storage_from
from bloomdiff.stages import run_stage

EMBED = {"checkpoint": "weights/w.pth", "image_size": 32, "views": 0, "precision": "float32"}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another folder, which is the current one."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_weights_are_the_projects(project, elsewhere, monkeypatch):
    project = set_params(project, encoder="timm:resnet10t", embed=EMBED)
    rng = np.random.default_rng(0)
    rows = []
    for name in "abcd":
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        project.data.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(project.data / f"{name}.png")
        told = {"cell_id": name, "path": f"{name}.png", "label": "x", "group": name, "split": ""}
        size = {"width": 40, "height": 40, "sha256": ""}
        rows.append(told | size | {"source": "drawn", "blake3": pixel_digest(pixels)})
    pd.DataFrame(rows).to_parquet(project.cells)
    (project.root / "weights").mkdir()
    torch.manual_seed(0)
    model = import_timm().create_model("resnet10t", pretrained=False)
    torch.save(model.state_dict(), project.root / "weights" / "w.pth")
    run_stage("embed", "../project")
    there = project.embeddings.read_bytes()
    assert EmbeddingSet.load(project.embeddings).header["encoder"] == "timm:resnet10t"
    caches = {path.name for path in (project.working / "embeddings").iterdir()}
    monkeypatch.chdir(project.root)
    run_stage("embed", ".")
    assert project.embeddings.read_bytes() == there
    assert {path.name for path in (project.working / "embeddings").iterdir()} == caches


def test_only_paths_are_changed(project):
    def told(name, checkpoint=None):
        embed = {"checkpoint": checkpoint}
        opened = set_params(project, encoder=name, embed=embed)
        assert opened.params.encoder_params.name == name  # what is written stays
        assert opened.params.encoder_params.checkpoint == checkpoint
        return opened.encoder_params.name, opened.encoder_params.checkpoint

    root = project.root
    assert told("file:a/w.pth") == (f"file:{root}/a/w.pth", None)
    assert told("file:/a/w.pth") == ("file:/a/w.pth", None)
    assert told("file:") == ("file:", None)
    assert told("timm:resnet10t", "/a/w.pth") == ("timm:resnet10t", "/a/w.pth")
    assert told("dinov2-s", "w.pth") == ("dinov2-s", f"{root}/w.pth")


def test_studies_are_kept_in_the_project(project, elsewhere):
    set_params(project, tune_classifier={"storage": "sqlite:///studies.db", "n_trials": 1})
    arguments = ["--fold", "r0f0", "--name", "knn", "--project", "../project"]
    done = CliRunner().invoke(app, ["tune", "classifier", *arguments])
    assert done.exit_code == 0, done.output
    assert (project.root / "studies.db").is_file()
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("sqlite:///a/b.db", "sqlite:////root/a/b.db"),
        ("a/b.db", "sqlite:////root/a/b.db"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        *((same, same) for same in ("sqlite://", "sqlite:///", "sqlite:///:memory:")),
        ("journal:///a/b.log", "journal:////root/a/b.log"),
        *((same, same) for same in ("journal:////a/b.log", "postgresql+psycopg://u@h/d")),
    ],
)
def test_only_the_path_of_a_file_is_changed(tmp_path, written, taken):
    assert storage_from(tmp_path, written) == taken.replace("/root", str(tmp_path))
