"""DVC beside the tracker: remotes, restored stages, queued experiments, overhead."""

import os
import resource
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from dvc_project import ENVIRONMENT, SCRIPTS, dvc

from bloomdiff.errors import InputError
from bloomdiff.experiments.processes import this_process
from bloomdiff.experiments.tracking import ChildRun
from bloomdiff.experiments.tracking_restored import log_restored

pytestmark = pytest.mark.slow


def wipe(root):
    shutil.rmtree(root / ".dvc" / "cache")
    for name in ("embeddings", "scores", "data"):
        shutil.rmtree(root / name)


def parents_of(root):
    from bloomdiff.experiments.tracking_client import client_of

    client = client_of(f"sqlite:///{root}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("test")
    if experiment is None:
        return client, []
    runs = client.search_runs([experiment.experiment_id])
    return client, [run for run in runs if "mlflow.parentRunId" not in run.data.tags]


def test_local_remote_push_wipe_pull_runs_nothing(built, tmp_path):
    dvc(built, "remote", "add", "-q", "-d", "here", str(tmp_path / "remote"))
    dvc(built, "push", "-q")
    wipe(built)
    dvc(built, "pull", "-q")
    assert "Running stage" not in dvc(built, "repro")
    assert parents_of(built)[1] == []


@pytest.mark.timeout(180)
def test_s3_remote_push_wipe_pull_runs_nothing(built, monkeypatch):
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("dvc_s3", reason="dvc-s3 is not installed")
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        s3 = boto3.client("s3", endpoint_url=address)
        s3.create_bucket(Bucket="cells")
        dvc(built, "remote", "add", "-q", "-d", "store", "s3://cells/dvc")
        dvc(built, "remote", "modify", "-q", "store", "endpointurl", address)
        dvc(built, "push", "-q")
        assert s3.list_objects_v2(Bucket="cells")["KeyCount"] >= 9
        wipe(built)
        dvc(built, "pull", "-q")
        assert "Running stage" not in dvc(built, "repro")
    finally:
        server.stop()


def test_restored_stages_are_told_once_with_their_lineage(built, made):
    def children(stage):
        return [ChildRun("ratio 0", {"ratio": 0}, {"macro_f1": 0.5})] * (stage == "classify")

    assert log_restored(built, "test", children) == ["embed", "classify"]
    assert log_restored(built, "test", children) == []
    client, (parent,) = parents_of(built)
    tags = parent.data.tags
    assert parent.info.status == "FINISHED"
    assert (tags["restored"], tags["stage.embed"], tags["stage.classify"]) == (
        *("true", "restored"),
        "restored",
    )
    _, (original,) = parents_of(made)
    for key in ("inputs.embed", "inputs.classify", "dvc.data", "dvc.embeddings"):
        assert tags[key] == original.data.tags[key]
    assert tags["out.embeddings"] == tags["dvc.embeddings"]
    (child,) = client.search_runs([parent.info.experiment_id], "tags.stage = 'classify'")[:1]
    assert child.data.tags["restored"] == "true"
    assert child.data.tags["process"] == this_process()  # by which it is closed where that dies
    assert log_restored(made, "test", children) == []


def test_two_at_once_tell_it_once(built):
    with ThreadPoolExecutor(2) as both:
        told = list(both.map(lambda _: log_restored(built, "test", lambda stage: []), range(2)))
    assert sorted(told) == [[], ["embed", "classify"]]
    assert len(parents_of(built)[1]) == 1


def test_an_output_that_is_not_here_leaves_no_open_run(built):
    def children(stage):
        raise InputError("embeddings/cells.parquet", "no such file", "dvc pull")
        yield

    with pytest.raises(InputError, match="no such file"):
        log_restored(built, "test", children)
    assert parents_of(built)[1] == []


def test_what_ran_or_is_stale_is_not_called_restored(built):
    (built / "params.yaml").write_text("encoder: x\nsweep: {ratios: [0, 1]}\n")
    assert log_restored(built, "test", lambda stage: []) == ["embed"]
    dvc(built, "repro", "-q")
    assert log_restored(built, "test", lambda stage: []) == []
    shutil.rmtree(built / "embeddings")
    (built / "params.yaml").write_text("encoder: y\nsweep: {ratios: [0, 1]}\n")
    assert log_restored(built, "test", lambda stage: []) == []


@pytest.mark.timeout(400)
def test_queued_experiments_run(built):
    ignored = ["/data", "/embeddings", "/scores", "/mlruns", "/.dvc/cache", "/.dvc/tmp"]
    (built / ".gitignore").write_text("\n".join(ignored) + "\n")
    dvc(built, "config", "--unset", "core.no_scm")
    for command in (
        ["git", "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "start"],
    ):
        subprocess.run(command, cwd=built, check=True, capture_output=True)
    for name in ("one", "two"):
        dvc(built, "exp", "run", "--queue", "-n", name, "-S", f"encoder={name}")
    # The worker that this starts outlives it, and would keep a pipe open.
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    subprocess.run(
        [str(SCRIPTS / "dvc"), "queue", "start"],
        cwd=built,
        env={**os.environ, **ENVIRONMENT},
        check=True,
        stderr=subprocess.DEVNULL,
        **quiet,
    )
    deadline = time.monotonic() + 300
    while dvc(built, "queue", "status").count("Success") < 2:
        assert time.monotonic() < deadline, dvc(built, "queue", "status")
        time.sleep(2)
    shown = dvc(built, "exp", "show", "--csv")
    assert "one" in shown
    assert "two" in shown
    assert (built / "params.yaml").read_text().startswith("encoder: x")


def test_overhead_of_the_command_line():
    """Of the processor's time, best of three: this machine may be doing something else."""

    def seconds(code):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    imported = min(seconds("import bloomdiff.cli") for _ in range(3))
    assert imported - min(seconds("pass") for _ in range(3)) < 0.5
