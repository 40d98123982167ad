"""A store that MLflow cannot open is one line that names it."""

import shutil
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from bloomdiff.errors import InputError
from bloomdiff.experiments.mlflow_store import check_server, without_password
from bloomdiff.experiments.tracking_client import open_store


def refusal(root):
    """What is told about the store, in seconds and not in minutes."""
    began = time.monotonic()
    with pytest.raises(InputError) as error:
        open_store(root, "bloomdiff")
    assert time.monotonic() - began < 15
    assert "\n" not in str(error.value)
    assert "MLFLOW_TRACKING_URI" in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("uri", ["foo://x", "file:///nowhere/mlruns"])
def test_a_store_of_no_known_kind_is_one_line(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert refusal(tmp_path).startswith(f"MLflow store {uri}: ")


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("mysql+nothing://u:secret@h/x", "MLflow store mysql+nothing://u:***@h/x: Can't load"),
        ("postgresql://u:secret@localhost:1/x", "MLflow store postgresql://u:***@localhost:1/x: "),
        ("postgresql://u:s[ecret@h:x/y", "MLflow store postgresql://u:***@h:x/y: invalid literal"),
        ("http://[bad", "MLflow server http://[bad: does not answer (Invalid IPv6 URL)"),
        ("http://host:xx", "MLflow server http://host:xx: does not answer (nonnumeric port: 'xx')"),
        ("http://u:secret@127.0.0.1:1", "MLflow server http://u:***@127.0.0.1:1: does not answer"),
    ],
)
def test_a_store_that_does_not_answer_is_one_line_at_once(tmp_path, monkeypatch, uri, told):
    if uri.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="psycopg is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    line = refusal(tmp_path)
    assert line.startswith(told)
    assert "secret" not in line


def test_a_driver_that_is_missing_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mysql://u:secret@h/x")
    line = refusal(tmp_path)
    assert line.startswith("MLflow store mysql://u:***@h/x: ")
    assert "install its driver" in line


def test_a_folder_in_a_files_place_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}")
    assert "unable to open database file" in refusal(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    assert f"MLflow store sqlite:///{tmp_path}/file/mlflow.db: " in refusal(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kept", [0, 100, 20_000])
def test_a_damaged_database_is_one_line_that_names_it(root, kept):
    path = root / "mlruns" / "mlflow.db"
    whole = path.read_bytes()
    damaged = whole[:kept] + b"?" * (len(whole) - kept)
    path.write_bytes(damaged)
    line = refusal(root)
    assert line.startswith(f"MLflow store sqlite:///{path}: ")
    assert "move it away" in line
    assert path.read_bytes() == damaged


def test_a_server_that_wants_a_name_and_a_password_answers():
    class Guarded(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(401)

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        check_server(f"http://u:secret@127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("postgresql://u:a@b/c@h/x", "postgresql://u:***@h/x"),
        ("postgresql://h/x?password=p&user=u", "postgresql://h/x?password=***&user=u"),
        ("postgresql://u@h:5432/x", "postgresql://u@h:5432/x"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_no_password_is_told(uri, told):
    assert without_password(uri) == told


def test_a_deleted_experiment_is_one_line(root, client):
    _, experiment = open_store(root, "bloomdiff")
    client.delete_experiment(experiment)
    line = refusal(root)
    assert line.startswith("MLflow experiment 'bloomdiff': was deleted from sqlite:///")
    assert f"--experiment-id {experiment}" in line


@pytest.mark.parametrize("by", [shutil.copytree, shutil.move])
def test_a_project_in_another_place_keeps_its_files_there(root, client, tmp_path_factory, by):
    _, experiment = open_store(root, "bloomdiff")
    old = (root / "mlruns" / "artifacts").as_uri()
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "before", "told.txt")
    client.create_registered_model("m")
    client.create_model_version("m", f"{old}/{run}/artifacts", run)
    project = tmp_path_factory.mktemp("elsewhere") / "new place"
    by(root, project)
    there, again = open_store(project, "bloomdiff")
    new = (project / "mlruns" / "artifacts").as_uri()
    assert again == experiment
    assert there.get_experiment(experiment).artifact_location == new
    assert there.create_run(experiment).info.artifact_uri.startswith(f"{new}/")
    assert there.get_run(run).info.artifact_uri == f"{new}/{run}/artifacts"
    assert there.get_model_version("m", "1").source == f"{new}/{run}/artifacts"
    assert [item.path for item in there.list_artifacts(run)] == ["told.txt"]
    if by is shutil.copytree:
        assert client.get_experiment(experiment).artifact_location == old


def test_an_address_of_ones_own_choice_stays(root, client):
    chosen = (root / "archive").as_uri()
    experiment = client.create_experiment("bloomdiff", artifact_location=chosen)
    assert open_store(root, "bloomdiff")[1] == experiment
    assert client.get_experiment(experiment).artifact_location == chosen
