"""One run of the whole pipeline on the small parameters, shared by the tests that look at it."""

import shutil

import pytest
from workspace import Workspace


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """A workspace after `dvc repro`, and what that printed."""
    workspace = Workspace.create(tmp_path_factory.mktemp("demo") / "project")
    workspace.run("bloomdiff", "data", "phantom")
    workspace.run("dvc", "add", "--quiet", "data")
    return workspace, workspace.run("dvc", "repro").stdout


@pytest.fixture
def fresh(demo, tmp_path):
    """A workspace with the same images and cached embeddings, in which nothing has run."""
    done, _ = demo
    workspace = Workspace.create(tmp_path / "project")
    shutil.copytree(done.root / "data", workspace.root / "data")
    shutil.copytree(done.root / ".bloomdiff", workspace.root / ".bloomdiff")
    shutil.rmtree(workspace.root / ".bloomdiff" / "locks")
    workspace.run("dvc", "add", "--quiet", "data")
    return workspace
