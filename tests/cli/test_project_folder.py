"""Commands that would say something about any folder ask for a project's."""

import subprocess

import pytest
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.errors import InputError


@pytest.mark.parametrize(("command", "file"), [("ui", "params.yaml"), ("cache", "dvc.yaml")])
def test_outside_a_project_one_is_asked_for(tmp_path, monkeypatch, command, file):
    monkeypatch.setattr(subprocess, "call", lambda *arguments: pytest.fail("a server is started"))
    for folder in (tmp_path / "nope", tmp_path):
        done = CliRunner().invoke(app, [command, "--project", str(folder)])
        assert isinstance(done.exception, InputError)
        assert str(done.exception).startswith(f"{folder / file}: no such file; ")
        assert "--project" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_in_a_project_they_go_on(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").touch()
    (tmp_path / "dvc.yaml").touch()
    called = []
    monkeypatch.setattr(subprocess, "call", lambda command: called.append(command) or 0)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["ui"]).exit_code == 0
    assert f"sqlite:///{tmp_path}/mlruns/mlflow.db" in called[0]
    done = CliRunner().invoke(app, ["cache"])
    assert isinstance(done.exception, InputError)
    assert str(done.exception).startswith(f"{tmp_path}: is not inside a DVC repository; ")


@pytest.mark.parametrize(
    "uri", ["foo://x", "mysql+nothing://u:secret@h/x", "http://u:secret@h:5000"]
)
def test_a_store_that_no_page_can_show_is_one_line(tmp_path, monkeypatch, uri):
    (tmp_path / "params.yaml").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setattr(subprocess, "call", lambda *arguments: pytest.fail("a server is started"))
    done = CliRunner().invoke(app, ["ui", "--project", str(tmp_path)])
    assert isinstance(done.exception, InputError)
    line = str(done.exception)
    assert line.startswith("MLflow s")
    assert "MLFLOW_TRACKING_URI" in line
    assert "\n" not in line
    assert "secret" not in line
