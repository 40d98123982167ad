import io
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import optuna
import pandas as pd
import pytest

from bloomdiff.errors import InputError
from bloomdiff.experiments import parents
from bloomdiff.experiments.runs_table import sweep_scores
from bloomdiff.experiments.studies import run_study
from bloomdiff.experiments.studies.storage import open_storage
from bloomdiff.experiments.studies.study import RUN
from bloomdiff.experiments.tracking import ChildRun, pipeline_run
from bloomdiff.experiments.tracking_restored import log_restored
from bloomdiff.experiments.trial_runs import TrialRuns

DVC_YAML = """
stages:
  classify:
    cmd: bloomdiff stage classify
    params: [sweep]
  report:
    cmd: bloomdiff stage report
"""


def stage(root, name="classify"):
    return pipeline_run(root, stage=name, experiment="test")


def runs(client):
    experiment = client.get_experiment_by_name("test")
    return list(reversed(client.search_runs([experiment.experiment_id], max_results=1000)))


def child(ratio="2", seed=0, value=0.5):
    params = {"fold": "f0", "generator": "smote", "ratio": ratio, "seed": seed}
    return ChildRun(f"smote ratio {ratio} f0 seed {seed}", params, {"macro_f1": value})


def test_stages_of_an_execution_share_one_parent(root, client, executions):
    with stage(root, "prepare") as first:
        assert client.get_run(first.run_id).info.status == "RUNNING"
        first.log_params({"cells": 12})
    assert client.get_run(first.run_id).info.status == "FINISHED"
    with stage(root, "embed") as second:
        assert client.get_run(second.run_id).info.status == "RUNNING"
        second.log_params({"cells": 13})
        second.log_metrics({"dim": 384})
    assert second.run_id == first.run_id
    found = client.get_run(first.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params == {"prepare.cells": "12", "embed.cells": "13"}
    assert found.data.metrics == {"embed.dim": 384}
    assert found.data.tags["stage.prepare"] == found.data.tags["stage.embed"] == "finished"


def test_another_execution_another_parent(root, client, executions):
    with stage(root) as first:
        pass
    executions.start()
    with stage(root) as second:
        pass
    assert second.run_id != first.run_id


def test_a_stage_run_again_is_another_execution(root, client, executions):
    with stage(root) as first:
        first.log_params({"k": 1})
    with stage(root) as second:
        second.log_params({"k": 2})
    assert second.run_id != first.run_id


def test_a_failed_stage_fails_the_execution_for_good(root, client, executions):
    with pytest.raises(ZeroDivisionError), stage(root, "embed") as first:
        1 / 0  # noqa: B018
    assert client.get_run(first.run_id).info.status == "FAILED"
    with stage(root, "report") as second:
        pass
    assert second.run_id == first.run_id
    assert client.get_run(first.run_id).info.status == "FAILED"


def test_an_interrupted_stage_is_killed(root, client, executions):
    with pytest.raises(KeyboardInterrupt), stage(root) as run:
        raise KeyboardInterrupt
    assert client.get_run(run.run_id).info.status == "KILLED"


def test_children_are_read_back(root, client, executions, tmp_path):
    (tmp_path / "curve.txt").write_text("1 2 3")
    record = ChildRun(
        "smote ratio inf f0 seed 1",
        {"ratio": "inf", "seed": 1},
        {"macro_f1": 0.75, "auroc": float("nan")},
        {"fold": "f0"},
        {"tables/a.csv": "x,y\n", "b.bin": b"\x00\x01", "c.txt": tmp_path / "curve.txt"},
    )
    with stage(root) as run:
        run.set_tags({"encoder_digest": "abc"})
        run_id, other = run.log_children([record, child()])
    assert run_id != other
    found = client.get_run(run_id)
    assert found.info.run_name == record.name
    assert found.info.status == "FINISHED"
    assert found.data.params == {"ratio": "inf", "seed": "1"}
    assert found.data.metrics["macro_f1"] == 0.75
    assert np.isnan(found.data.metrics["auroc"])
    assert found.data.tags["mlflow.parentRunId"] == run.run_id
    assert found.data.tags["encoder_digest"] == "abc"
    assert found.data.tags["fold"] == "f0"
    assert found.data.tags["stage"] == "classify"
    assert {f.path for f in client.list_artifacts(run_id)} == {"tables", "b.bin", "c.txt"}
    for path, expected in (("tables/a.csv", b"x,y\n"), ("b.bin", b"\x00\x01"), ("c.txt", b"1 2 3")):
        local = client.download_artifacts(run_id, path)
        with open(local, "rb") as stream:
            assert stream.read() == expected
    shown = client.search_runs([found.info.experiment_id], "params.ratio = '2'")
    assert [r.info.run_id for r in shown] == [other]


def test_artifacts_stay_inside_their_run(root, executions):
    with pytest.raises(ValueError, match="inside its run"), stage(root) as run:
        run.log_children([ChildRun("x", {}, {}, {}, {"../../escape.txt": "x"})])
    assert not list((root / "mlruns").rglob("escape.txt"))


def test_parent_artifacts_models_and_inputs(root, client, executions, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "classifier.json").write_text("{}")
    with stage(root) as run:
        run.log_artifact(folder / "classifier.json")
        (child_id,) = run.log_children([child()])
        model_id = run.log_model("smote-2", folder, run_id=child_id)
        run.log_input("cells", "d" * 64, "embeddings/cells.parquet", context="training")
    assert client.list_artifacts(run.run_id, "classify")[0].path == "classify/classifier.json"
    model = client.get_logged_model(model_id)
    assert (model.status, model.source_run_id) == ("READY", child_id)
    assert client.list_logged_model_artifacts(model_id)[0].path == "classifier.json"
    assert client.get_run(child_id).outputs.model_outputs[0].model_id == model_id
    dataset = client.get_run(run.run_id).inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("cells", "d" * 36)


def test_run_id_in_the_environment_has_no_say(root, client, executions, monkeypatch):
    with stage(root, "prepare") as first:
        pass
    monkeypatch.setenv("MLFLOW_RUN_ID", first.run_id)
    executions.start()
    with stage(root, "prepare") as second:
        (child_id,) = second.log_children([child()])
    assert second.run_id != first.run_id
    assert client.get_run(child_id).data.tags["mlflow.parentRunId"] == second.run_id


def test_nothing_run_nothing_told(root, client, executions):
    with stage(root):
        pass
    before = len(runs(client))
    executions.start()
    assert len(runs(client)) == before


def test_what_a_killed_process_left_open_is_closed(root, client, executions):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from bloomdiff.experiments.tracking import pipeline_run\n"
        "with pipeline_run(Path(sys.argv[1]), stage='classify', experiment='test') as run:\n"
        "    print(run.run_id, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True
    )
    run_id = process.stdout.readline().strip()
    with stage(root, "prepare"):
        assert client.get_run(run_id).info.status == "RUNNING"  # its writer lives
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with stage(root, "embed"):
        assert client.get_run(run_id).info.status == "KILLED"


KILLED_STAGE = """
import os, signal, sys
from pathlib import Path
from bloomdiff.experiments import parents
from bloomdiff.experiments.tracking import pipeline_run

parents.pipeline_owner = lambda: sys.argv[2]
with pipeline_run(Path(sys.argv[1]), stage="embed", experiment="test") as run:
    print(run.run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_stage_killed_under_a_living_dvc_leaves_no_finished_execution(root, client, executions):
    """`dvc repro --keep-going` runs the next stage, which takes up the parent."""
    with stage(root, "prepare") as first:
        assert client.get_run(first.run_id).data.tags["stage.prepare"] == "open"
    command = [sys.executable, "-c", KILLED_STAGE, str(root), parents.pipeline_owner()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.strip() == first.run_id
    with stage(root, "report") as last:
        assert last.run_id == first.run_id
    found = client.get_run(first.run_id)
    outcomes = {key: value for key, value in found.data.tags.items() if key[:6] == "stage."}
    assert outcomes == {
        "stage.prepare": "finished",
        "stage.embed": "killed",
        "stage.report": "finished",
    }
    assert found.info.status == "KILLED"


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:Heartbeat of storage:UserWarning")
def test_the_run_of_a_trial_whose_node_died_is_closed(root, client, executions, tmp_path):
    """Nobody here can ask after a process of another machine; its trial's heartbeat tells."""
    path = tmp_path / "server.db"
    storage = f"sqlite+pysqlite:///{path}"  # treated as a server's, with heartbeats
    opened = open_storage(storage, heartbeat=1)
    study = optuna.create_study(study_name="s", storage=opened)
    with stage(root, "tune classifier") as run:
        log = TrialRuns(run, {})
        begun = [log.begin("s", 0), log.begin("s", 1), 32 * "0"]  # the last is of another store
        for run_id in begun:
            dead = study.ask()
            dead.set_user_attr(RUN, run_id)
            opened.record_heartbeat(dead._trial_id)
        for run_id in begun[:2]:
            client.set_tag(run_id, "process", "elsewhere:1:0.00")
        log.end(begun[1], "COMPLETE", {}, {})  # died between telling MLflow and Optuna
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'")
        settings = {"seed": 0, "directions": {"x": "minimize"}, "fingerprint": "d", "heartbeat": 1}
        run_study("s", lambda trial: 0.0, storage=storage, n_trials=3, log=log, **settings)
    assert [client.get_run(run_id).info.status for run_id in begun[:2]] == ["KILLED", "FINISHED"]
    again = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    states = [client.get_run(trial.user_attrs[RUN]).info.status for trial in again]
    assert states == ["FINISHED"] * 3


# ------------------------------------------------------------------ the table for reports
def write_project(root, sweep):
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text(f"sweep: {sweep}\n")


def export(root):
    with stage(root, "report") as run:
        run.export_runs(root / "runs.csv")
    return (root / "runs.csv").read_text()


def test_table_is_sorted_and_independent_of_the_execution(root, executions):
    write_project(root, 1)
    with stage(root) as run:
        run.log_params({"jobs": 2})
        run.log_children([child("2", 1, 0.25), child("10", 0), child("2", 0)])
    table = export(root)
    read = pd.read_csv(root / "runs.csv", keep_default_na=False)
    assert read["stage"].tolist() == ["classify"] * 4
    assert read["run"].tolist() == sorted(read["run"].tolist())
    assert read["params.jobs"].tolist()[0] == "2"
    assert read["metrics.macro_f1"].tolist()[1:] == ["0.5", "0.5", "0.25"]
    executions.start()
    assert export(root) == table  # `report` alone ran again


def test_table_shows_the_runs_of_the_present_parameters(root, executions):
    write_project(root, 1)
    with stage(root) as run:
        run.log_children([child("2")])
    first = export(root)
    executions.start()
    write_project(root, 7)
    with stage(root) as run:
        run.log_children([child("7")])
    second = export(root)
    assert "ratio 7" in second
    assert "ratio 2" not in second
    executions.start()
    write_project(root, 1)  # DVC restores the outputs from its cache and runs `report` alone
    assert export(root) == first


def test_table_shows_the_latest_execution_of_equal_inputs(root, executions):
    write_project(root, 1)
    for value in (0.25, 0.75):  # the code changed between the two
        with stage(root) as run:
            run.log_children([child(value=value)])
        executions.start()
    read = pd.read_csv(io.StringIO(export(root)))
    assert read["metrics.macro_f1"].dropna().tolist() == [0.75]


def sweep(value):
    """One run of a sweep, with all that is read back."""
    params = {"fold": "f0", "generator": "none", "ratio": "0", "seed": 0, "n_train": 9, "n": 9}
    params |= {"allocation": "balance", "classifier": "knn"}
    return ChildRun("none", params, {"macro_f1": value}, {"kind": "sweep", "stage": "classify"})


def restored(root, setting, value):
    """Tell the store that DVC restored the sweep of this setting."""
    write_project(root, setting)
    (root / "scores").mkdir(exist_ok=True)
    entry = f"{{params: {{params.yaml: {{sweep: {setting}}}}}, outs: [{{path: scores}}]}}"
    (root / "dvc.lock").write_text(f"stages: {{classify: {entry}}}\n")
    assert log_restored(root, "test", lambda _: [sweep(value)]) == ["classify"]


def test_the_sweep_that_is_compared_is_the_one_behind_todays_outputs(root, client, executions):
    def told():
        experiment = client.get_experiment_by_name("test").experiment_id
        return sweep_scores(client, experiment, root, "macro_f1")["macro_f1"].tolist()

    write_project(root, 1)
    with stage(root) as run:
        run.log_children([sweep(0.25)])
    restored(root, 2, 0.5)
    assert told() == [0.5]  # although another was run, not restored
    write_project(root, 1)
    assert told() == [0.25]  # although another is newer
    write_project(root, 3)
    assert told() == [0.5]  # nobody made this one: the newest of both kinds
    executions.start()
    write_project(root, 4)
    with stage(root) as run:
        run.log_children([sweep(0.75)])
    write_project(root, 3)
    assert told() == [0.75]


@pytest.mark.parametrize("how", ["1", "1.0", "1e0"])
@pytest.mark.parametrize("again", ["1", "1.0", "1e0"])
def test_what_ran_is_not_restored_where_its_numbers_are_spelled_otherwise(
    root, executions, how, again
):
    write_project(root, how)
    with stage(root) as run:
        run.log_children([sweep(0.25)])
    (root / "scores").mkdir()
    entry = "{params: {params.yaml: {sweep: 1}}, outs: [{path: scores}]}"
    (root / "dvc.lock").write_text(f"stages: {{classify: {entry}}}\n")
    write_project(root, again)
    assert log_restored(root, "test", lambda _: [sweep(0.25)]) == []


def test_table_leaves_out_unfinished_stages(root, executions):
    write_project(root, 1)

    def interrupted():
        with stage(root) as run:
            run.log_children([child("2")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert export(root).splitlines() == ["stage,run"]


# ------------------------------------------------------------------ processes and servers
def test_a_file_in_the_way_of_the_runs_is_one_line(tmp_path):
    (tmp_path / "mlruns").write_text("")
    with pytest.raises(InputError, match=r"mlruns: is no folder to write to"), stage(tmp_path):
        pass
    with pytest.raises(InputError, match=r"mlruns: is no folder to write to"):
        log_restored(tmp_path, "test", lambda _: [])


def test_a_dead_server_is_told_at_once(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    start = time.time()
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9.*does not answer"), stage(root):
        pass
    assert time.time() - start < 10
