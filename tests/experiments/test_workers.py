"""Several workers on one study, one of them killed: a real PostgreSQL, and a journal file."""

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest

from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.experiments.studies import run_study
from bloomdiff.experiments.studies.storage import WRITER, fail_orphans, open_storage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]
N_TRIALS = 24
WORKER = """
import os, sys, time
from pathlib import Path
from bloomdiff.experiments.studies import run_study

def objective(trial):
    x = trial.suggest_float("x", -3, 3)
    hangs = os.environ.get("HANG") and trial.number >= 4
    if hangs:
        Path(sys.argv[3]).touch()
    print("trial", trial.number, os.getpid(), flush=True)
    if hangs:
        time.sleep(600)
    while trial.number >= 12 and not Path(sys.argv[3]).exists():  # the slowest may start late
        time.sleep(0.05)
    time.sleep(0.1)
    return -((x - 1) ** 2)

result = run_study("shared", objective, storage=sys.argv[1], n_trials=int(sys.argv[2]), seed=3,
                   directions={"value": "maximize"}, fingerprint="data", heartbeat=1)
print("result", len(result.trials), result.n_complete, flush=True)
"""


def postgres_binaries():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """URL of a server of our own, on a free port, which listens on this machine alone."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("postgres")
    account = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        account = {"user": "nobody", "group": "nogroup"}
        for path in (folder, *folder.parents[: len(folder.parents) - 2]):
            path.chmod(path.stat().st_mode | 0o011)
        shutil.chown(folder, "nobody", "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder, **account}
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "tester", "--auth=trust", "--no-sync"],
        check=True,
        **quiet,
    )
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-p", str(port), "-k", str(folder), *options],
        stderr=subprocess.DEVNULL,
        **quiet,
    )
    try:
        ready = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready).returncode and time.monotonic() < deadline:
            time.sleep(0.2)
        yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def work_together(storage, folder, n_workers=4):
    """Workers on one study, the last of which hangs in its fifth trial or later and is killed."""
    workers = []
    for k in range(n_workers):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        if k == n_workers - 1:
            environment["HANG"] = "1"
        workers.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, storage, str(N_TRIALS), str(folder / "hung")],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
    *healthy, victim = workers
    try:
        number = -1
        while number < 4:
            number = int(victim.stdout.readline().split()[1])
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        told = [worker.communicate(timeout=120) for worker in healthy]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in healthy] == [0] * len(healthy), told
    return number, [out for out, _ in told]


def assert_exact(study, killed, outputs):
    states = Counter(trial.state.name for trial in study.trials)
    assert states["COMPLETE"] == N_TRIALS
    assert states["RUNNING"] == states["WAITING"] == 0
    assert study.trials[killed].state.name == "FAIL"
    assert all(out.splitlines()[-1] == f"result {N_TRIALS} {N_TRIALS}" for out in outputs)
    drawn = [trial.params["x"] for trial in study.trials if trial.state.name == "COMPLETE"]
    assert len(set(drawn)) == N_TRIALS  # no two workers drew the same point
    evaluated = Counter(line for out in outputs for line in out.splitlines() if "trial" in line)
    assert set(evaluated.values()) == {1}


@pytest.mark.timeout(400)
def test_killed_worker_on_postgresql(postgres, tmp_path):
    killed, outputs = work_together(postgres, tmp_path)
    study = optuna.load_study(study_name="shared", storage=postgres)
    assert_exact(study, killed, outputs)
    retry = optuna.storages.RetryHeartbeatStaleTrialCallback.retried_trial_number
    (again,) = [trial for trial in study.trials if retry(trial) == killed]
    assert again.state.name == "COMPLETE"
    assert again.params == study.trials[killed].params

    settings = {"storage": postgres, "n_trials": N_TRIALS, "seed": 3}
    settings["directions"] = {"value": "maximize"}
    with pytest.raises(IntegrityError, match=r"another fingerprint.*delete-study"):
        run_study("shared", lambda trial: 0.0, fingerprint="other data", **settings)


@pytest.mark.timeout(400)
def test_killed_worker_on_a_journal_file(tmp_path):
    storage = f"journal:///{tmp_path}/studies.log"
    killed, outputs = work_together(storage, tmp_path)
    study = optuna.load_study(study_name="shared", storage=open_storage(storage))
    assert_exact(study, killed, outputs)


@pytest.mark.parametrize("scheme", ["journal", "sqlite"])
def test_a_killed_containers_trial_is_failed_by_the_next_one(tmp_path, scheme):
    """It has another host name, and the file of its studies."""
    opened = open_storage(f"{scheme}:///{tmp_path}/studies")
    study = optuna.create_study(study_name="s", storage=opened)
    study.ask().set_user_attr(WRITER, "container-aaaa:17:1700000000.00")
    fail_orphans(study, opened)
    assert [trial.state.name for trial in study.trials] == ["FAIL"]


@pytest.mark.parametrize("scheme", ["journal", "sqlite"])
def test_two_workers_fail_the_same_orphan_at_once(tmp_path, scheme):
    opened = open_storage(f"{scheme}:///{tmp_path}/studies")
    other = optuna.create_study(study_name="shared", storage=opened)

    class OtherIsFaster(optuna.samplers.RandomSampler):
        """Called by `tell` after it has looked at the trial's state, before it writes the new."""

        def after_trial(self, study, trial, state, values):
            other.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    orphan = other.ask()
    orphan.set_user_attr(WRITER, f"{platform.node()}:{2**22 + 1}:0.0")  # above the largest pid
    study = optuna.load_study(study_name="shared", storage=opened, sampler=OtherIsFaster())
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        study.tell(other.ask().number, state=optuna.trial.TrialState.FAIL)
    fail_orphans(study, opened)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL"]


def test_a_server_that_does_not_answer_is_one_line():
    with pytest.raises(InputError, match=r"postgresql.*tester:\*\*\*@127.*cannot be opened"):
        open_storage("postgresql+psycopg://tester:secret@127.0.0.1:1/postgres")


def test_an_unknown_driver_is_one_line():
    with pytest.raises(InputError, match="cannot be opened"):
        open_storage("nothing://tester@127.0.0.1/postgres")
