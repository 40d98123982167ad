"""DVC beside the tracker: remotes, restored stages, damage, overhead."""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.experiments.dvc_cache import find_damage
from bloomdiff.experiments.tracking import ChildRun
from bloomdiff.experiments.tracking_restored import log_restored

pytestmark = pytest.mark.slow

STAGE = """
import sys
from pathlib import Path
from bloomdiff.experiments.tracking import pipeline_run

name, out = sys.argv[1:]
with pipeline_run(Path.cwd(), stage=name, experiment="test"):
    Path(out).mkdir()
    for k in range(3):
        Path(out, f"{k}.txt").write_text(name + Path("params.yaml").read_text() + str(k))
"""
DVC_YAML = f"""
stages:
  embed:
    cmd: {sys.executable} stage.py embed embeddings
    deps: [data]
    params: [encoder]
    outs: [embeddings]
  classify:
    cmd: {sys.executable} stage.py classify scores
    deps: [embeddings]
    params: [sweep]
    outs: [scores]
"""


SCRIPTS = Path(sys.executable).parent
# DVC finds the worker of its queue by the search path.
ENVIRONMENT = {
    "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
    "OMP_NUM_THREADS": "1",
}


def dvc(root, *arguments, check=True):
    done = subprocess.run(
        [str(SCRIPTS / "dvc"), *arguments],
        cwd=root,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory, template):
    """A project with two stages that ran, told to its store."""
    root = tmp_path_factory.mktemp("dvc") / "project"
    (root / "data").mkdir(parents=True)
    (root / "data" / "a.txt").write_text("a")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(DVC_YAML)
    (root / "params.yaml").write_text("encoder: x\nsweep: {ratios: [0, inf]}\n")
    (root / ".dvcignore").write_text("/mlruns\n")
    (root / "mlruns").mkdir()
    shutil.copy(template, root / "mlruns" / "mlflow.db")
    dvc(root, "init", "--no-scm", "-q")
    dvc(root, "add", "-q", "data")
    dvc(root, "repro", "-q")
    return root


@pytest.fixture
def built(made, template, tmp_path):
    """A copy of it, whose store is empty: as in another checkout."""
    root = tmp_path / "project"
    shutil.copytree(made, root, ignore=shutil.ignore_patterns("mlruns"))
    (root / "mlruns").mkdir()
    shutil.copy(template, root / "mlruns" / "mlflow.db")
    return root


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
    assert log_restored(made, "test", children) == []


def test_what_ran_or_is_stale_is_not_called_restored(built):
    (built / "params.yaml").write_text("encoder: x\nsweep: {ratios: [0, 1]}\n")
    assert log_restored(built, "test", lambda stage: []) == ["embed"]
    dvc(built, "repro", "-q")
    assert log_restored(built, "test", lambda stage: []) == []
    shutil.rmtree(built / "embeddings")
    (built / "params.yaml").write_text("encoder: y\nsweep: {ratios: [0, 1]}\n")
    assert log_restored(built, "test", lambda stage: []) == []


def cached(root, output):
    """The cache's copy of one file of an output."""
    wanted = sorted((root / output).glob("*"))[0].read_bytes()
    paths = [p for p in (root / ".dvc" / "cache" / "files" / "md5").glob("*/*") if p.is_file()]
    (path,) = [p for p in paths if p.read_bytes() == wanted]
    return path


def damage(path):
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    path.chmod(0o444)


def test_damage_in_the_cache_is_named_and_healed(built, tmp_path):
    dvc(built, "remote", "add", "-q", "-d", "here", str(tmp_path / "remote"))
    dvc(built, "push", "-q")
    intact = {p.name: p.read_bytes() for p in (built / "scores").iterdir()}
    runner = CliRunner()
    assert "whole" in runner.invoke(app, ["cache", "--project", str(built)]).stdout
    victim = cached(built, "scores")
    damage(victim)
    shutil.rmtree(built / "scores")
    dvc(built, "checkout", "-q")
    # Why the command exists: DVC hands out the damaged file and calls the project clean.
    assert {p.name: p.read_bytes() for p in (built / "scores").iterdir()} != intact
    assert "up to date" in dvc(built, "status")

    told = runner.invoke(app, ["cache", "--project", str(built)])
    assert f"damaged: {victim.relative_to(built)}, of scores" in told.stdout
    assert "1 damaged files" in str(told.exception)
    assert runner.invoke(app, ["cache", "--project", str(built), "--remove"]).exit_code == 0
    dvc(built, "pull", "-q")
    assert {p.name: p.read_bytes() for p in (built / "scores").iterdir()} == intact
    assert find_damage(built) == []
    assert "Running stage" not in dvc(built, "repro")


def check_out_again(root, output):
    """The output as DVC hands it out of a damaged cache."""
    shutil.rmtree(root / output)
    dvc(root, "checkout", "-q")


def remove(root):
    with contextlib.chdir(root):
        return CliRunner().invoke(app, ["cache", "--remove"])


def test_damage_without_a_remote_is_computed_again(built):
    damage(cached(built, "scores"))
    check_out_again(built, "scores")
    told = remove(built)
    assert told.exit_code == 0
    assert (
        "removed scores/0.txt as well: `dvc pull classify` or `dvc repro classify`" in told.stdout
    )
    assert sorted(p.name for p in (built / "scores").iterdir()) == ["1.txt", "2.txt"]
    assert "Running stage 'classify'" in dvc(built, "repro")
    assert find_damage(built) == []


@pytest.mark.parametrize(("output", "stage"), [("data", "data.dvc"), ("scores", "classify")])
def test_whole_files_of_a_damaged_cache_stay_and_heal_it(built, output, stage):
    intact = {p.name: p.read_bytes() for p in (built / output).iterdir()}
    victim = cached(built, output)
    damage(victim)
    told = remove(built)
    assert told.exit_code == 0
    first = min(intact)
    assert f"kept {output}/{first}, which is whole: `dvc commit {stage}`" in told.stdout
    assert not victim.exists()
    assert {p.name: p.read_bytes() for p in (built / output).iterdir()} == intact
    dvc(built, "commit", stage)
    assert victim.read_bytes() == intact[first]
    assert find_damage(built) == []
    assert "Running stage" not in dvc(built, "repro")


@pytest.mark.parametrize("output", ["data", "scores"])
def test_a_damaged_listing_costs_no_file(built, output):
    intact = {p.name: p.read_bytes() for p in (built / output).iterdir()}
    digests = {hashlib.md5(content).hexdigest() for content in intact.values()}
    (listing,) = (
        path
        for path in (built / ".dvc" / "cache").glob("files/md5/*/*.dir")
        if {entry["md5"] for entry in json.loads(path.read_text())} == digests
    )
    damage(listing)
    done = remove(built)
    assert f"kept {output}, which is whole" in done.stdout
    assert {p.name: p.read_bytes() for p in (built / output).iterdir()} == intact
    dvc(built, "commit", {"data": "data.dvc", "scores": "classify"}[output])
    assert find_damage(built) == []


def test_a_damaged_file_of_the_users_own_is_named_and_stays(built):
    damage(cached(built, "data"))
    check_out_again(built, "data")
    told = remove(built)
    assert told.exit_code == 0
    assert "deleted nothing in data; data/a.txt is not what it was either" in told.stdout
    assert (built / "data" / "a.txt").read_text() == "?"
    (built / "data" / "a.txt").write_text("a")
    dvc(built, "commit", "data.dvc")
    assert find_damage(built) == []
    assert "Running stage" not in dvc(built, "repro")


def test_what_the_users_own_file_is_a_link_to_stays(built):
    victim = cached(built, "data")
    (built / "data" / "a.txt").unlink()
    (built / "data" / "a.txt").symlink_to(victim)
    damage(victim)
    told = remove(built)
    assert "data/a.txt is a link to it" in told.stdout
    assert isinstance(told.exception, IntegrityError)
    assert victim.read_text() == (built / "data" / "a.txt").read_text() == "?"


def test_a_stage_that_is_not_run_again_keeps_its_files(built):
    path = built / "dvc.yaml"
    path.write_text(
        path.read_text().replace("    outs: [scores]", "    outs: [scores]\n    frozen: true")
    )
    damage(cached(built, "scores"))
    check_out_again(built, "scores")
    assert "deleted nothing in scores; scores/0.txt is not" in remove(built).stdout
    assert len(list((built / "scores").iterdir())) == 3


def test_a_cache_elsewhere_and_above_is_hashed(built, tmp_path):
    shutil.move(built / ".dvc" / "cache", tmp_path / "elsewhere")
    dvc(built, "cache", "dir", "--local", str(tmp_path / "elsewhere"))
    check = ["cache", "--project", str(built)]
    assert CliRunner().invoke(app, check).stdout.strip() == "the cache is whole"
    (victim,) = (p for p in (tmp_path / "elsewhere").glob("files/md5/*/*") if p.read_text() == "a")
    damage(victim)
    assert f"damaged: {victim}, of data" in CliRunner().invoke(app, check).stdout
    victim.unlink()
    dvc(built, "commit", "data.dvc")
    shutil.move(built / ".dvc", tmp_path / ".dvc")
    damage(victim)
    assert f"damaged: {victim}, of data" in CliRunner().invoke(app, check).stdout


def test_a_cache_where_nothing_is_hashed_is_not_called_whole(built):
    shutil.rmtree(built / ".dvc" / "cache")
    done = CliRunner().invoke(app, ["cache", "--project", str(built)])
    assert "whole" not in done.stdout
    assert isinstance(done.exception, InputError)
    assert f"{built}/.dvc/cache/files/md5: holds no file" in str(done.exception)


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
