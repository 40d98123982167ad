import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from bloomdiff.experiments import parents
from bloomdiff.experiments.processes import _name

sys.path.insert(0, str(Path(__file__).parent))


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


class Served:
    """An MLflow server on a free port, ended with its worker processes."""

    def __init__(self, command, folder):
        self._log = (folder / "server.log").open("w")
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        )
        self.uri = f"http://127.0.0.1:{command[command.index('--port') + 1]}"

    def __enter__(self):
        until = time.time() + 120
        while time.time() < until:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=2).close()
            except OSError:
                time.sleep(0.3)
            else:
                return self
        raise TimeoutError(Path(self._log.name).read_text())

    def __exit__(self, *error):
        os.killpg(self._process.pid, 15)
        self._process.wait(30)
        self._log.close()

    def get(self, page, **query):
        with urllib.request.urlopen(f"{self.uri}{page}?{urlencode(query)}", timeout=30) as answer:
            return answer.read()

    def post(self, path, body):
        request = urllib.request.Request(
            f"{self.uri}/api/2.0/mlflow/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def serve():
    """What serves a command's address while a test looks at it."""
    return Served


@pytest.fixture
def port():
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def made(tmp_path_factory, template):
    """A project with two stages that ran, told to its store."""
    from dvc_project import make

    root = tmp_path_factory.mktemp("dvc") / "project"
    make(root, template)
    return root


@pytest.fixture
def built(made, template, tmp_path):
    """A copy of it, whose store is empty: as in another checkout."""
    root = tmp_path / "project"
    shutil.copytree(made, root, ignore=shutil.ignore_patterns("mlruns"))
    (root / "mlruns").mkdir()
    shutil.copy(template, root / "mlruns" / "mlflow.db")
    return root
