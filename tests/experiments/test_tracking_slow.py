"""The tracker among real processes: DVC's, four at once, and a tracking server over HTTP."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bloomdiff.experiments.mlflow_store import ui_command
from bloomdiff.experiments.tracking import ChildRun, pipeline_run

pytestmark = pytest.mark.slow

STAGE = """
import sys
from pathlib import Path
from bloomdiff.experiments.tracking import ChildRun, pipeline_run

name, out = sys.argv[1:]
with pipeline_run(Path.cwd(), stage=name, experiment="test") as run:
    if name == "classify":
        run.log_children([ChildRun(f"ratio {r}", {"ratio": r}, {"macro_f1": 0.5}) for r in (0, 2)])
    if name == "report":
        run.export_runs("runs.csv")
    Path(out).write_text(Path("params.yaml").read_text())
"""
DVC_YAML = f"""
stages:
  embed:
    cmd: {sys.executable} stage.py embed embeddings.txt
    deps: [data]
    params: [encoder]
    outs: [embeddings.txt]
  classify:
    cmd: {sys.executable} stage.py classify scores.txt
    deps: [embeddings.txt, data/a.txt, stage.py]
    params: [sweep]
    outs: [scores.txt]
  report:
    cmd: {sys.executable} stage.py report report.txt
    deps: [scores.txt]
    params: [report]
    outs: [report.txt]
"""


def run(command, root, **environment):
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "DVC_NO_ANALYTICS": "1", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(root, *arguments):
    return run([str(Path(sys.executable).parent / "dvc"), *arguments], root)


def parents_of(client):
    experiment = client.get_experiment_by_name("test")
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [r for r in found if "mlflow.parentRunId" not in r.data.tags]


def stages_of(parent):
    return {key[6:] for key in parent.data.tags if key.startswith("stage.")}


def test_one_parent_per_execution_of_dvc(root, client):
    (root / "data").mkdir()
    (root / "data" / "a.txt").write_text("a")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text("encoder: x\nsweep: 1\nreport: 1\n")
    dvc(root, "init", "--no-scm", "-q")
    dvc(root, "add", "-q", "data")
    dvc(root, "repro", "-q")
    (parent,) = parents_of(client)
    assert stages_of(parent) == {"embed", "classify", "report"}
    assert parent.info.status == "FINISHED"

    # What DVC itself wrote down is the oracle for the hashes of the inputs; it hashes a file
    # inside a tracked folder alone, where the folder's hash is told here.
    lock = yaml.safe_load((root / "dvc.lock").read_text())["stages"]
    data = yaml.safe_load((root / "data.dvc").read_text())["outs"][0]["md5"]
    assert lock["embed"]["deps"] == [{**lock["embed"]["deps"][0], "path": "data", "md5": data}]
    assert parent.data.tags["dvc.data"] == data
    assert parent.data.tags["dvc.data/a.txt"] == data
    for stage, path in (("classify", "embeddings.txt"), ("report", "scores.txt")):
        (recorded,) = (dep["md5"] for dep in lock[stage]["deps"] if dep["path"] == path)
        assert parent.data.tags[f"dvc.{path}"] == recorded

    read = {one.dataset.name: one.dataset.digest for one in parent.inputs.dataset_inputs}
    assert read == {key[4:]: md5 for key, md5 in parent.data.tags.items() if key[:4] == "dvc."}

    dvc(root, "repro", "-q")  # runs nothing
    assert len(parents_of(client)) == 1

    first = (root / "runs.csv").read_text()
    assert first.count("ratio") >= 2
    (root / "params.yaml").write_text("encoder: x\nsweep: 1\nreport: 2\n")
    dvc(root, "repro", "-q")
    assert [stages_of(p) for p in parents_of(client)][1:] == [{"report"}]
    assert (root / "runs.csv").read_text() == first


def test_four_processes_create_one_store(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from bloomdiff.experiments.tracking import ChildRun, pipeline_run\n"
        "with pipeline_run(Path(sys.argv[1]), stage='s', experiment='test') as run:\n"
        "    run.log_children([ChildRun(str(k), {}, {'m': k}) for k in range(5)])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name("test").experiment_id])
    assert len(found) == 4 * 6
    assert {r.info.status for r in found} == {"FINISHED"}


def child():
    return ChildRun("one", {"ratio": "2"}, {"macro_f1": 0.5}, {}, {"confusion.csv": "a,b\n"})


def test_a_server_named_by_the_environment(root, template, tmp_path, monkeypatch, serve, port):
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(template, served / "server.db")
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{served}/server.db"]
    command += ["--artifacts-destination", str(served / "artifacts")]
    model = tmp_path / "model"
    model.mkdir()
    (model / "classifier.json").write_text("{}")
    with serve(command, served) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        with pipeline_run(root, stage="classify", experiment="test") as stage:
            stage.log_params({"jobs": 2})
            (run_id,) = stage.log_children([child()])
            stage.log_model("m", model, run_id=run_id)
        found = server.get("/api/2.0/mlflow/runs/get", run_id=run_id)
        data = json.loads(found)["run"]["data"]
        assert data["params"] == [{"key": "ratio", "value": "2"}]
        assert data["metrics"][0]["value"] == 0.5
        content = server.get("/get-artifact", run_id=run_id, path="confusion.csv")
        assert content == b"a,b\n"
    assert list(served.rglob("classifier.json"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    from mlflow import MlflowClient

    own = MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    assert own.get_experiment_by_name("test") is None  # nothing went into the project's store


def test_the_ui_serves_the_projects_store(root, tmp_path, serve, port):
    with pipeline_run(root, stage="classify", experiment="test") as stage:
        (run_id,) = stage.log_children([child()])
    with serve(ui_command(root, port), tmp_path) as server:
        assert b"<html" in server.get("/").lower()
        experiment = json.loads(
            server.get("/api/2.0/mlflow/experiments/get-by-name", experiment_name="test")
        )["experiment"]["experiment_id"]
        found = server.post(
            "runs/search", {"experiment_ids": [experiment], "filter": "params.ratio = '2'"}
        )
        assert [r["info"]["run_id"] for r in found["runs"]] == [run_id]
        tags = {tag["key"]: tag["value"] for tag in found["runs"][0]["data"]["tags"]}
        assert tags["mlflow.parentRunId"] == stage.run_id
        content = server.get("/get-artifact", run_id=run_id, path="confusion.csv")
        assert content == b"a,b\n"
