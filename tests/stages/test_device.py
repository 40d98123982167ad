"""`device: cuda` is looked for before a stage begins, by those that hand the device on."""

import importlib
import shutil

import pytest
import torch
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.cli.stage import STAGES
from bloomdiff.errors import ParameterError
from bloomdiff.stages import WITHOUT_DEVICE, run_stage


@pytest.fixture
def on_cuda(project, monkeypatch):
    """The project with `device: cuda`, and what it asks torch."""
    path = project.root / "params.yaml"
    path.write_text(path.read_text().replace("device: auto", "device: cuda"))
    shutil.rmtree(project.embeddings.parent)
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(asked.append("cuda")))
    return project, asked


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in WITHOUT_DEVICE])
def test_without_cuda_no_stage_begins(on_cuda, stage):
    with pytest.raises(ParameterError) as error:
        run_stage(stage, on_cuda[0].root)
    assert str(error.value) == (
        f"{on_cuda[0].root}/params.yaml: device: is cuda, but this torch sees no CUDA device; "
        "set auto or cpu"
    )


@pytest.mark.parametrize("command", [["runs", "register"], ["tune", "classifier"]])
def test_neither_does_a_command(on_cuda, command):
    done = CliRunner().invoke(app, [*command, "--project", str(on_cuda[0].root)])
    assert isinstance(done.exception, ParameterError)


@pytest.mark.parametrize("stage", WITHOUT_DEVICE)
def test_a_stage_that_needs_no_device_does_not_ask(on_cuda, stage, monkeypatch):
    project, asked = on_cuda
    ran = []
    module = importlib.import_module(f"bloomdiff.stages.{stage}")
    monkeypatch.setattr(module, "run", lambda project, run: ran.append(stage))
    run_stage(stage, project.root)
    assert (ran, asked) == ([stage], [])
