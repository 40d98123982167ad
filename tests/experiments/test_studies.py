import os
import shutil
import signal
import subprocess
import sys

import optuna
import pandas as pd
import pytest

from bloomdiff.classifiers import CLASSIFIERS
from bloomdiff.errors import InputError, IntegrityError
from bloomdiff.experiments.studies import report, run_study, space_digest, studies_page
from bloomdiff.experiments.studies.spaces import distributions
from bloomdiff.generators import GENERATORS

# The same objective in this process and in the one that is killed.
OBJECTIVE = """
import os, time

def objective(trial):
    x = trial.suggest_float("x", -3, 3)
    k = trial.suggest_int("k", 1, 50, log=True)
    c = trial.suggest_categorical("c", ["a", "b"])
    value = -((x - 1) ** 2) - abs(k - 7) / 10 - (c == "b")
    for step in range(3):
        report(trial, value, step)
        if trial.number == int(os.environ.get("HANG_AT", -1)):
            print("hangs", flush=True)
            time.sleep(600)
    return value
"""
namespace = {"report": report}
exec(OBJECTIVE, namespace)
objective = namespace["objective"]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An SQLite storage whose tables exist: copying it is faster than creating one."""
    path = tmp_path_factory.mktemp("studies") / "optuna.db"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    return path


@pytest.fixture
def storage(tmp_path, template):
    return shutil.copy(template, tmp_path / "optuna.db")


def study(storage, n_trials, function=objective, **changes):
    settings = {
        "seed": 3,
        "directions": {"value": "maximize"},
        "fingerprint": "data",
        **changes,
    }
    return run_study("s", function, storage=storage, n_trials=n_trials, **settings)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, template):
    return study(shutil.copy(template, tmp_path_factory.mktemp("undisturbed")), 16)


def assert_same(one, other):
    pd.testing.assert_frame_equal(one.trials, other.trials, check_exact=True)
    assert (one.best_params, one.best_values) == (other.best_params, other.best_values)
    assert (one.n_complete, one.n_pruned) == (other.n_complete, other.n_pruned)


def test_result_is_consistent(undisturbed):
    trials = undisturbed.trials
    assert len(trials) == undisturbed.n_complete + undisturbed.n_pruned == 16
    assert undisturbed.n_pruned > 0
    assert trials["value"].isna().sum() == undisturbed.n_pruned
    best = trials.loc[trials["value"].idxmax()]
    assert best["value"] == undisturbed.best_values["value"]
    assert {k: best[f"params.{k}"] for k in "xkc"} == undisturbed.best_params
    assert trials["params.x"].nunique() == 16  # no point drawn twice


def test_same_seed_same_trials_another_seed_others(storage, tmp_path, template, undisturbed):
    assert_same(study(storage, 16), undisturbed)
    elsewhere = shutil.copy(template, tmp_path / "other.db")
    assert study(elsewhere, 3, seed=4).best_params != study(storage, 3).best_params


def test_what_is_drawn_does_not_depend_on_the_name(storage, undisturbed):
    settings = {"seed": 3, "directions": {"value": "maximize"}, "fingerprint": "data"}
    other = run_study("another", objective, storage=storage, n_trials=16, **settings)
    assert_same(other, undisturbed)


def test_a_finished_study_adds_nothing(storage):
    def forbidden(trial):
        raise AssertionError("a finished study ran a trial")

    first = study(storage, 4)
    assert_same(study(storage, 4, forbidden), first)
    with pytest.raises(AssertionError, match="ran a trial"):
        study(storage, 5, forbidden)


def test_more_trials_add_only_the_difference(storage, undisturbed):
    calls = []

    def counted(trial):
        calls.append(trial.number)
        return objective(trial)

    study(storage, 9, counted)
    assert len(calls) == 9
    assert_same(study(storage, 16, counted), undisturbed)
    assert len(calls) == 16


def test_fewer_trials_do_not_look_at_the_rest(storage, tmp_path, template):
    study(storage, 9)
    fresh = study(shutil.copy(template, tmp_path / "fresh.db"), 4)
    assert_same(study(storage, 4), fresh)


@pytest.mark.parametrize("hang_at", [3, 12])
def test_killed_and_resumed_equals_undisturbed(storage, undisturbed, hang_at):
    code = "import sys\nfrom bloomdiff.experiments.studies import report, run_study\n" + OBJECTIVE
    code += "run_study('s', objective, storage=sys.argv[1], n_trials=16, seed=3,"
    code += " directions={'value': 'maximize'}, fingerprint='data')\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(storage)],
        stdout=subprocess.PIPE,
        env={**os.environ, "HANG_AT": str(hang_at)},
        text=True,
    )
    assert process.stdout.readline() == "hangs\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    opened = optuna.load_study(study_name="s", storage=f"sqlite:///{storage}")
    assert opened.trials[hang_at].state.name == "RUNNING"
    assert_same(study(storage, 16), undisturbed)
    states = [trial.state.name for trial in opened.trials]
    assert len(states) == 17
    assert states[hang_at] == "FAIL"
    assert opened.trials[hang_at].params == opened.trials[hang_at + 1].params


def test_a_plain_seeded_sampler_would_repeat_itself(storage):
    """Why each trial has a sampler of its own: resumed studies of Optuna draw the same points."""
    for _ in range(2):
        plain = optuna.create_study(
            study_name="plain",
            storage=f"sqlite:///{storage}",
            sampler=optuna.samplers.TPESampler(seed=3),
            load_if_exists=True,
        )
        plain.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    drawn = [trial.params["x"] for trial in plain.trials]
    assert drawn[:2] == drawn[2:]


def test_a_failing_objective_is_told_and_does_not_count(storage, undisturbed):
    def broken(trial):
        if trial.number == 2:
            raise OSError("disk full")
        return objective(trial)

    with pytest.raises(OSError, match="disk full"):
        study(storage, 16, broken)
    assert_same(study(storage, 16), undisturbed)


def test_a_value_that_is_not_finite_counts_as_pruned(storage):
    result = study(
        storage, 3, lambda t: float("nan") if t.number == 1 else t.suggest_float("x", 0, 1)
    )
    assert result.trials["state"].tolist() == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert (result.n_complete, result.n_pruned) == (2, 1)


def test_no_complete_trial_is_told(storage):
    with pytest.raises(InputError, match="no complete trial"):
        study(storage, 2, lambda trial: float("nan"))


def test_direction_and_ties(storage):
    result = study(
        storage, 5, lambda t: t.suggest_int("x", 0, 1000) * 0.0, directions={"value": "minimize"}
    )
    assert result.best_params["x"] == result.trials["params.x"][0]  # the earliest of equals


def test_other_data_or_space_is_refused(storage):
    def space(trial):
        trial.suggest_float("x", 0, 1)

    def wider(trial):
        trial.suggest_float("x", 0, 2)

    def value(trial):
        return trial.suggest_float("x", 0, 1)

    study(storage, 1, value, space=space)
    study(storage, 1, value, space=space)
    with pytest.raises(IntegrityError, match=r"another fingerprint.*delete-study"):
        study(storage, 1, value, space=space, fingerprint="other data")
    with pytest.raises(IntegrityError, match="another space"):
        study(storage, 1, value, space=wider)


def test_space_digest_sees_every_change():
    def space(low=1e-3, log=True, choices=("a", "b")):
        def suggest(trial):
            trial.suggest_float("x", low, 1, log=log)
            trial.suggest_categorical("c", choices)

        return suggest

    digests = {
        space_digest(space(**changes))
        for changes in ({}, {"low": 1e-4}, {"log": False}, {"choices": ("a", "c")})
    }
    assert len(digests) == 4
    assert space_digest(space()) == space_digest(space())


def test_report_prunes_the_hopeless(storage):
    def value(trial):
        x = 1.0 if trial.number < 6 else -1.0
        report(trial, x, 0)
        report(trial, x, 1)
        return x + trial.suggest_float("x", 0, 0.1)

    assert study(storage, 7, value).trials["state"].tolist() == ["COMPLETE"] * 6 + ["PRUNED"]


@pytest.mark.slow
def test_four_processes_create_one_storage(tmp_path):
    code = (
        "import sys\nfrom bloomdiff.experiments.studies import run_study\n"
        "run_study(sys.argv[2], lambda t: t.suggest_float('x', 0, 1), storage=sys.argv[1],"
        " n_trials=3, seed=1, directions={'value': 'maximize'}, fingerprint='d')"
    )
    path = tmp_path / "mlruns" / "optuna.db"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(path), f"study-{k}"]) for k in range(4)
    ]
    assert [process.wait() for process in processes] == [0] * 4
    names = optuna.get_all_study_names(f"sqlite:///{path}")
    assert sorted(names) == [f"study-{k}" for k in range(4)]


def test_first_trial_leaves_open_what_is_not_given(storage):
    result = study(storage, 2, first={"x": 1.0, "k": None})
    assert result.trials.loc[0, "params.x"] == 1.0
    assert 1 <= result.trials.loc[0, "params.k"] <= 50


def test_none_is_the_first_where_it_is_a_choice(storage):
    def space(trial):
        return {"shrinkage": trial.suggest_categorical("shrinkage", [None, 0.1, 0.3, 0.9])}

    def tried(trial):
        return -abs((space(trial)["shrinkage"] or 0.2) - 0.2)

    result = study(storage, 1, tried, space=space, first={"shrinkage": None})
    assert result.best_params == {"shrinkage": None}


@pytest.mark.parametrize("registry", [GENERATORS, CLASSIFIERS], ids=["generators", "classifiers"])
def test_every_default_can_be_the_first_trial(registry):
    for name in registry:
        default = registry[name].Params()
        for key, choices in distributions(registry[name].search_space).items():
            value = getattr(default, key)
            assert choices._contains(choices.to_internal_repr(value)), (name, key, value)


def test_first_trial_is_the_given_one(storage, tmp_path, template):
    first = {"x": 1.0, "k": 7, "c": "a", "elsewhere": None}
    result = study(storage, 4, first=first)
    assert result.trials.loc[0, "params.x"] == 1.0
    assert result.best_values["value"] == pytest.approx(0)
    again = study(storage, 6, first=first)
    assert (again.trials["params.x"] == 1.0).sum() == 1
    straight = study(shutil.copy(template, tmp_path / "straight.db"), 6, first=first)
    pd.testing.assert_frame_equal(again.trials, straight.trials)


def test_scores_that_differ_by_rounding_alone_are_drawn(storage):
    """No parameter is important for them, which the forest behind importance refuses to tell."""
    study = optuna.create_study(study_name="ties", storage=f"sqlite:///{storage}")
    for number, value in enumerate([0.3, 0.30000000000000004, 0.3, 0.1 + 0.2, 0.3]):
        study.ask().suggest_float("x", 0, 1)
        study.tell(number, value)
    assert "5 complete" in studies_page(f"sqlite:///{storage}", {"ties": "ties"})
