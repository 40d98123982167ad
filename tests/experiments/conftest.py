import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from bloomdiff.experiments import parents
from bloomdiff.experiments.processes import _name


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """An empty MLflow database: creating one takes seconds, copying it does not."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    code = f"from mlflow import MlflowClient as C; C('sqlite:///{path}').search_experiments()"
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, capture_output=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    return path


@pytest.fixture
def root(tmp_path, template):
    """A project with an empty store."""
    (tmp_path / "mlruns").mkdir()
    shutil.copy(template, tmp_path / "mlruns" / "mlflow.db")
    return tmp_path


@pytest.fixture
def client(root):
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")


class Executions:
    """Plays the `dvc` processes that own pipeline executions."""

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch
        self._processes = []

    def start(self):
        """Let a new process own what follows; end the one before."""
        self.end()
        process = subprocess.Popen(["sleep", "600"])
        self._processes.append(process)
        name = _name(process.pid)
        self._monkeypatch.setattr(parents, "pipeline_owner", lambda: name)

    def end(self):
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()


@pytest.fixture
def executions(monkeypatch):
    played = Executions(monkeypatch)
    played.start()
    yield played
    played.end()
