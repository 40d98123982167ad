"""The two tuning stages and `bloomdiff tune`, which share one implementation."""

import optuna
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.data.folds import FoldParams, make_folds, write_folds
from bloomdiff.errors import LeakageError, ParameterError
from bloomdiff.experiments import tracking
from bloomdiff.experiments.objectives import search_spaces
from bloomdiff.experiments.studies import run_study
from bloomdiff.experiments.tracking_client import client_of
from bloomdiff.files import read_yaml
from bloomdiff.params import load_params
from bloomdiff.stages import run_stage, tune_classifier, tuning
from bloomdiff.stages.project import Project
from bloomdiff.stages.tuning import tune_now


def set_params(project, block, **values):
    path = project.root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params[block] |= values
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    return Project(project.root)


def studies_of(project):
    storage = f"sqlite:///{project.root}/mlruns/optuna.db"
    return {
        name: optuna.load_study(study_name=name, storage=storage)
        for name in optuna.get_all_study_names(storage)
    }


def runs_of(project, kind="trial"):
    client = client_of(f"sqlite:///{project.root}/mlruns/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'bloomdiff'")
    return client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'")


def test_stage_takes_up_what_the_command_found(project):
    runner = CliRunner()
    done = runner.invoke(app, ["tune", "generator", "--project", str(project.root)])
    assert done.exit_code == 0, done.output
    printed = [line.split() for line in done.stdout.splitlines()]
    assert [line[:3] for line in printed] == [
        [fold, name, "macro_f1"] for fold in ("r0f0", "r0f1") for name in ("jitter", "smote")
    ]
    assert not project.generator_params.exists()
    trials = {name: len(study.trials) for name, study in studies_of(project).items()}
    assert set(trials.values()) == {project.params.tune_generator.n_trials}

    run_stage("tune_generator", project.root)
    assert {name: len(study.trials) for name, study in studies_of(project).items()} == trials
    written = read_yaml(project.generator_params)
    for fold, name, _, value, *_ in printed:
        assert written[fold][name]["study"]["macro_f1"] == pytest.approx(
            float(value.rstrip(",")), rel=1e-3
        )
    assert written["r0f0"]["none"]["study"] is None


def test_what_is_given_stays_and_the_rest_is_tuned(project):
    set_params(project, "generators", jitter={"scale": 3.0})
    opened = set_params(project, "sweep", classifiers={"knn": {"k": 4}, "logistic": {"C": 7.0}})
    run_stage("tune_generator", opened.root)
    run_stage("tune_classifier", opened.root)
    generators, classifiers = map(read_yaml, (opened.generator_params, opened.classifier_params))
    for fold in ("r0f0", "r0f1"):
        assert generators[fold]["jitter"]["params"] == {"scale": 3.0}
        assert classifiers[fold]["logistic"]["params"] == {"C": 7.0}
        assert generators[fold]["jitter"]["study"] is classifiers[fold]["logistic"]["study"] is None
        assert generators[fold]["smote"]["study"] is not None
        assert set(classifiers[fold]["knn"]["params"]) == {"k", "metric"}
        assert classifiers[fold]["knn"]["params"]["k"] == 4
    knn = [study for name, study in studies_of(opened).items() if name.startswith("classifier-knn")]
    assert [set(trial.params) for study in knn for trial in study.trials] == [{"metric"}] * (
        2 * opened.params.tune_classifier.n_trials
    )


def test_what_was_tuned_for_another_classifier_is_not_taken_up(project, monkeypatch):
    with monkeypatch.context() as killed:
        killed.setattr(tuning, "finish", lambda working: None)  # as if it had died before
        run_stage("tune_generator", project.root)
    opened = set_params(project, "sweep", primary="knn")
    run_stage("tune_generator", opened.root)
    told = read_yaml(opened.generator_params)
    for study in studies_of(opened).values():
        assert study.trials
    best = {
        name.split("-")[1] + name.split("-")[2]: study for name, study in studies_of(opened).items()
    }
    assert len(studies_of(opened)) == 2 * len(best)  # of either classifier
    for fold in ("r0f0", "r0f1"):
        for name in ("jitter", "smote"):
            of_knn = best[name + fold].best_value
            assert told[fold][name]["study"]["macro_f1"] == pytest.approx(of_knn, abs=1e-6)


def test_a_classifiers_tuning_has_seen_the_pool(project):
    embeddings = EmbeddingSet.load(project.embeddings)
    rows = embeddings.rows.copy()
    rows.loc[rows["group"].isin(["slide00", "slide01"]), "label"] = ""
    embeddings = EmbeddingSet(embeddings.X, rows, embeddings.header)
    embeddings.save(project.embeddings)
    write_folds(make_folds(rows, FoldParams(n_splits=2), seed=0), project.folds)
    task = tune_classifier.make_task(Project(project.root), "r0f0", "knn")
    with pytest.raises(LeakageError):
        assert_disjoint(["slide00"], task.fingerprint, what="the tuning")


def test_trial_and_run_name_each_other(project):
    run_stage("tune_classifier", project.root)
    runs = {run.info.run_id: run for run in runs_of(project)}
    seen = set()
    for study in studies_of(project).values():
        for trial in study.trials:
            run = runs[trial.user_attrs["mlflow_run"]]
            seen.add(run.info.run_id)
            assert run.data.tags["optuna.study"] == study.study_name
            assert run.data.tags["optuna.trial"] == str(trial.number)
            assert run.data.tags["optuna.state"] == trial.state.name
            assert run.data.metrics["macro_f1"] == trial.value
            assert run.data.params == {key: str(value) for key, value in trial.params.items()}
            assert run.info.status == "FINISHED"
    assert seen == set(runs)
    assert len(runs) == 2 * 2 * project.params.tune_classifier.n_trials


def test_runs_of_the_command_have_the_lineage_of_the_stage(project, monkeypatch):
    asked = []

    def inputs(root, stage):
        asked.append(stage)
        return {"embeddings": "abc"}

    monkeypatch.setattr(tracking, "dvc_inputs", inputs)
    tune_now(project, "classifier", names=["knn"], folds=["r0f0"])
    assert set(asked) == {"tune_classifier"}
    runs = runs_of(project)
    assert runs
    assert {run.data.tags["dvc.embeddings"] for run in runs} == {"abc"}


@pytest.mark.slow
def test_the_command_runs_its_trials_on_ray(project):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        arguments = ["--engine", "ray", "--fold", "r0f0", "--name", "smote", "--trials", "4"]
        done = CliRunner().invoke(
            app, ["tune", "generator", *arguments, "--project", str(project.root)]
        )
    finally:
        ray.shutdown()
    assert done.exit_code == 0, done.output
    (study,) = studies_of(project).values()
    assert len(study.trials) == 4
    runs = {run.info.run_id: run for run in runs_of(project)}
    assert set(runs) == {trial.user_attrs["mlflow_run"] for trial in study.trials}
    for trial in study.trials:
        assert runs[trial.user_attrs["mlflow_run"]].data.metrics["macro_f1"] == trial.value
    # The same study in this process adds nothing, and says the same.
    ((_, here),) = tune_now(project, "generator", folds=["r0f0"], names=["smote"], n_trials=4)
    assert len(study.trials) == 4
    assert f"macro_f1 {here.best_values['macro_f1']:.4g}" in done.stdout


def test_the_drawn_studies_need_no_network(project):
    tune_now(project, "classifier", folds=["r0f0"], names=["knn"], n_trials=4)
    (page,) = (project.root / "mlruns" / "artifacts").rglob("studies.html")
    text = page.read_text()
    assert 'src="http' not in text
    assert "<link" not in text
    assert text.count("Plotly.newPlot(") >= 2
    assert "<h2>knn, r0f0</h2>" in text


def test_only_what_is_named_is_tuned_and_trials_add_up(project):
    (first,) = tune_now(project, "classifier", folds=["r0f1"], names=["knn"], n_trials=2)
    (more,) = tune_now(project, "classifier", folds=["r0f1"], names=["knn"], n_trials=3)
    assert [len(result.trials) for _, result in (first, more)] == [2, 3]
    (study,) = studies_of(project).values()
    assert study.study_name.startswith("classifier-knn-r0f1-")
    assert len(study.trials) == 3


def test_an_edit_of_the_code_begins_a_new_study_with_the_same_draws(project, monkeypatch):
    wanted = {"folds": ["r0f0"], "names": ["knn"], "n_trials": 3}
    ((_, before),) = tune_now(project, "classifier", **wanted)
    monkeypatch.setattr(tuning, "source_digest", lambda: "of other code")
    ((_, after),) = tune_now(project, "classifier", **wanted)
    assert [len(study.trials) for study in studies_of(project).values()] == [3, 3]
    pd.testing.assert_frame_equal(before.trials, after.trials)


@pytest.mark.parametrize(("what", "named"), [("folds", "r9f9"), ("names", "nothing")])
def test_what_is_not_in_the_project_is_refused(project, what, named):
    with pytest.raises(ParameterError, match=f"{named}.*not in this project.*name one of"):
        tune_now(project, "generator", **{what: [named]})


def test_a_ratio_of_no_row_is_told(project):
    set_params(project, "tune_generator", ratio=1e-4)
    with pytest.raises(
        ParameterError, match=r"tune_generator.ratio: 0.0001 is less than one synth"
    ):
        run_stage("tune_generator", project.root)


def test_several_objectives(project):
    project = set_params(
        project, "tune_generator", objectives=["macro_f1", "frechet", "seconds"], n_trials=4
    )
    found = tune_now(project, "generator", folds=["r0f0"], names=["jitter"])
    (_, result) = found[0]
    trials = result.trials
    assert (trials["seconds"] > 0).all()
    near = trials[trials["frechet"] <= project.params.tune_generator.max_frechet]
    assert result.best_values["macro_f1"] == near["macro_f1"].max()
    (page,) = (project.root / "mlruns" / "artifacts").rglob("studies.html")
    assert "Pareto" in page.read_text()


def test_samples_that_leave_the_data_are_not_taken(project):
    """Jitter far beyond the classes' spread: the tolerance decides, whatever macro-F1 says."""
    strict = set_params(project, "tune_generator", max_frechet=0.5, n_trials=6)
    ((_, bound),) = tune_now(strict, "generator", folds=["r0f0"], names=["jitter"])
    loose = set_params(project, "tune_generator", max_frechet=None, n_trials=6)
    ((_, free),) = tune_now(loose, "generator", folds=["r0f0"], names=["jitter"])
    assert "frechet" not in free.best_values
    studies = studies_of(project)
    (limited,) = [s for s in studies.values() if any(t.constraints for t in s.trials)]
    complete = [t for t in limited.trials if t.state.name == "COMPLETE"]
    distances = [t.user_attrs["frechet"] for t in complete]
    kept = [t for t in complete if t.user_attrs["frechet"] <= 0.5]
    if kept:
        assert bound.within
        assert bound.best_values["macro_f1"] == max(t.value for t in kept)
    else:
        assert not bound.within
        assert bound.best_values["frechet"] == min(distances)


def test_objectives_must_begin_with_the_one_that_decides(project):
    set_params(project, "tune_generator", objectives=["frechet", "macro_f1"])
    with pytest.raises(ParameterError, match="macro_f1 comes first"):
        load_params(project.root / "params.yaml")


def test_best_within_the_limits_is_taken_else_the_least_beyond(tmp_path):
    def study(limit):
        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            trial.set_constraint("x", x - limit)
            return x

        return run_study(
            f"limit {limit}",
            objective,
            storage=tmp_path / "optuna.db",
            n_trials=12,
            seed=0,
            directions={"x": "maximize"},
            fingerprint="d",
        )

    bound = study(0.5)
    drawn = bound.trials["x"]
    assert drawn.max() > 0.5
    assert bound.best_params["x"] == drawn[drawn <= 0.5].max()
    assert bound.within
    hopeless = study(-1.0)
    assert hopeless.best_params["x"] == hopeless.trials["x"].min()
    assert not hopeless.within


def test_spaces_are_readable_in_one_place():
    rows = search_spaces()
    assert ("classifier", "knn", "k", "1 to 50, log") in rows
    assert {kind for kind, *_ in rows} == {"generator", "classifier"}
    assert CliRunner().invoke(app, ["tune", "spaces"]).stdout.count("\n") == len(rows) + 1
