"""Trials on a Ray cluster of this machine: two workers, one of them killed in the middle of one."""

import sys
import threading
import time
from collections import Counter

import optuna
import pytest

from bloomdiff.errors import BloomDiffError, InputError, ParameterError
from bloomdiff.experiments.studies import report, study_runner

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
N_TRIALS = 12


def space(trial):
    return {"x": trial.suggest_float("x", -3, 3), "kind": trial.suggest_categorical("kind", "ab")}


def tune(objective, folder, **changed):
    settings = {
        "storage": f"sqlite:///{folder}/optuna.db",
        "n_trials": N_TRIALS,
        "seed": 3,
        "directions": {"value": "maximize"},
        "fingerprint": "data",
        "space": space,
    }
    return study_runner("ray", "auto")("study", objective, **(settings | changed))


def study_in(folder):
    return optuna.load_study(study_name="study", storage=f"sqlite:///{folder}/optuna.db")


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")
    from ray import cloudpickle

    # The workers know nothing of the tests' modules.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=100_000_000,
    )
    yield ray
    ray.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
def test_a_killed_worker_costs_no_trial(cluster, tmp_path):
    import psutil

    victim = tmp_path / "victim"

    def objective(trial):
        import contextlib
        import os
        import time

        values = space(trial)
        with (tmp_path / "evaluated.log").open("a") as log:
            log.write(f"{trial.number} {os.getpid()}\n")
        if trial.number >= 4 and not victim.exists():
            own = victim.with_name(str(os.getpid()))
            own.write_text(own.name)
            with contextlib.suppress(FileExistsError):  # there is one victim
                os.link(own, victim)
                time.sleep(600)
        time.sleep(0.3)
        trial.set_user_attr("pid", os.getpid())
        return -((values["x"] - 1) ** 2)

    def kill():
        deadline = time.monotonic() + 100
        while not victim.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        psutil.Process(int(victim.read_text())).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    result = tune(objective, tmp_path)
    killer.join()

    trials = study_in(tmp_path).trials
    assert Counter(trial.state.name for trial in trials) == {"COMPLETE": N_TRIALS}
    assert len(result.trials) == result.n_complete == N_TRIALS
    lines = [line.split() for line in (tmp_path / "evaluated.log").read_text().splitlines()]
    times = Counter(int(number) for number, _ in lines)
    (killed,) = [int(number) for number, pid in lines if pid == victim.read_text()][-1:]
    # One trial was begun twice, by the worker that died and by its successor; the others once.
    assert times == dict.fromkeys(range(N_TRIALS), 1) | {killed: 2}
    pids = {trial.user_attrs["pid"] for trial in trials}
    assert len(pids) >= 2
    assert trials[killed].user_attrs["pid"] != int(victim.read_text())
    assert len({trial.params["x"] for trial in trials}) == N_TRIALS


@pytest.mark.slow
def test_reports_constraints_and_values_arrive(cluster, tmp_path):
    def objective(trial):
        values = space(trial)
        good = trial.number < 5
        for step in range(3):
            report(trial, float(good), step)
        trial.set_constraint("x", values["x"])
        return 1.0

    result = tune(objective, tmp_path, n_trials=8)
    trials = study_in(tmp_path).trials
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert pruned
    assert all(trial.number >= 5 for trial in pruned)
    assert {len(trial.intermediate_values) for trial in trials if trial not in pruned} == {3}
    complete = [trial for trial in trials if trial not in pruned]
    assert all(trial.constraints == {"x": trial.params["x"]} for trial in complete)
    assert (result.n_complete, result.n_pruned) == (len(complete), len(pruned))


@pytest.mark.slow
def test_what_the_objective_says_is_wrong_is_one_line(cluster, tmp_path):
    def objective(trial):
        raise InputError("cells.parquet", "is empty", "embed some")

    with pytest.raises(BloomDiffError, match="is empty") as error:
        tune(objective, tmp_path)
    assert "\n" not in str(error.value)
    assert {trial.state.name for trial in study_in(tmp_path).trials} == {"FAIL"}


def test_without_ray_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ParameterError, match=r"engine ray.*pip install 'bloomdiff\[cluster\]'"):
        tune(space, tmp_path)
