"""What one unit of each stage does with the fold, the seeds and what was tuned."""

import numpy as np
import pandas as pd
import pytest
from altered import set_params

from bloomdiff.classifiers import load_classifier
from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.folds import FoldParams, make_folds, write_folds
from bloomdiff.experiments.ratios import class_counts
from bloomdiff.files import write_yaml
from bloomdiff.generators import load_generator
from bloomdiff.metrics.calibration import scale_temperature
from bloomdiff.metrics.classification import score_classification
from bloomdiff.stages import (
    classify,
    evaluate,
    fit_generator,
    synthesize,
    tune_classifier,
    tune_generator,
    tuning,
)
from bloomdiff.stages.inputs import load_fold
from bloomdiff.stages.tuned import entry
from bloomdiff.stages.tuning import study_name


@pytest.fixture
def fitted(project):
    """The project after tuning and fitting `smote` in one fold: what was tuned is no default."""
    sweep = {"ratios": [0, 0.5, 1, float("inf")], "n_seeds": 2, "calibration_folds": 2}
    project = set_params(project, seed=5, sweep=sweep)
    rows = load_fold(project, "r0f0")
    for path, tuned in (
        (project.generator_params, {"smote": {"k_neighbors": 2}}),
        (project.classifier_params, {"logistic": {"C": 2.5}, "knn": {"k": 3}}),
    ):
        told = {name: entry(values, rows.fingerprint, None) for name, values in tuned.items()}
        path.parent.mkdir(exist_ok=True)
        write_yaml(path, {"r0f0": told})
    folder = project.generators / "r0f0"
    folder.mkdir(parents=True)
    fit_generator.fit_one(project, folder / "checkpoints", folder, "r0f0", "smote")
    (folder / "generator").rename(project.generator("r0f0", "smote"))
    made = project.synthetic_set("r0f0", "smote")
    made.parent.mkdir(parents=True)
    synthesize.synthesize_one(project, made.parent, "r0f0", "smote")
    (made.parent / "set.parquet").rename(made)
    return project


def test_a_generator_is_fitted_with_its_seed_and_what_was_tuned(fitted):
    model, rows = load_generator(fitted.generator("r0f0", "smote")), load_fold(fitted, "r0f0")
    assert (model.params.k_neighbors, model.seed) == (2, 5)
    assert model.fingerprint == rows.fingerprint


def test_every_seed_has_rows_for_the_largest_ratio_and_for_the_real_proportions(fitted):
    made, rows = SyntheticSet.load(fitted.synthetic_set("r0f0", "smote")), load_fold(fitted, "r0f0")
    model, counts = (
        load_generator(fitted.generator("r0f0", "smote")),
        class_counts(rows.train.label),
    )
    assert sorted(set(made.rows["seed"])) == sorted(fitted.params.seeds)
    for seed in fitted.params.seeds:
        own = made.take(np.flatnonzero(made.rows["seed"] == seed))
        np.testing.assert_array_equal(own.X, model.sample(own.label, seed=seed))
        found = class_counts(own.label)
        assert sum(found.values()) >= len(rows.train)
        assert all(found[name] >= n for name, n in counts.items())


def test_a_sweep_is_scored_with_what_was_tuned_and_scaled_by_its_ratios_temperature(
    fitted, tmp_path
):
    classify.classify_one(fitted, tmp_path, "r0f0", "smote")
    rows, seeds = load_fold(fitted, "r0f0"), fitted.params.seeds
    for ratio in ("0.5", "1", "inf"):
        model = load_classifier(tmp_path / "models" / ratio)
        assert (model.params.C, model.seed) == (2.5, seeds[0])
    table = {name: pd.read_parquet(tmp_path / f"{name}.parquet") for name in classify.TABLES}
    calibration = table["calibration"]
    assert calibration.groupby("ratio")["temperature"].nunique().tolist() == [1] * 3
    assert calibration["temperature"].nunique() == 3
    keys = ["ratio", "seed"]
    told = table["predictions"].groupby(keys)
    assert len(told) == len(calibration) == 3 * len(seeds)
    for record in calibration.to_dict("records"):
        part = told.get_group((record["ratio"], record["seed"]))
        assert part["cell_id"].tolist() == rows.test.cell_id.tolist()
        assert part["true"].tolist() == rows.test.label.tolist()
        proba = part[[f"p.{name}" for name in rows.classes]].to_numpy(np.float64)
        scaled = scale_temperature(proba, record["temperature"])
        for name, values in (("log_loss", proba), ("log_loss_scaled", scaled)):
            expected = score_classification(part["true"].to_numpy(str), values, rows.classes)
            assert record[name] == pytest.approx(expected["log_loss"], rel=1e-4), name


def test_sets_are_judged_by_slide_and_under_the_first_seed(fitted, tmp_path, monkeypatch):
    seen, real = [], evaluate.judge

    def spy(reference, X, y, controls):
        seen.append((reference, X))
        return real(reference, X, y, controls)

    monkeypatch.setattr(evaluate, "judge", spy)
    monkeypatch.setattr(evaluate, "synthetic_units", lambda project: [("r0f0", "smote")])
    evaluate.evaluate_one(set_params(fitted, evaluate={"n_bootstrap": 10}), tmp_path, "r0f0")
    ((reference, X),) = seen
    rows, made = load_fold(fitted, "r0f0"), SyntheticSet.load(fitted.synthetic_set("r0f0", "smote"))
    assert reference.test_groups.tolist() == rows.test.group.tolist()
    assert reference.y_test.tolist() == rows.test.label.tolist()
    np.testing.assert_allclose(reference.test, reference.scale(rows.test.X.astype(np.float64)))
    np.testing.assert_array_equal(X, made.X[made.rows["seed"] == fitted.params.seeds[0]])


@pytest.mark.parametrize("changed", ["embeddings", "folds", "seed"])
def test_a_study_is_named_after_what_its_trials_see(project, changed):
    before = study_name(project, tune_generator.make_task(project, "r0f0", "jitter"))
    cells = EmbeddingSet.load(project.embeddings)
    if changed == "embeddings":
        EmbeddingSet(cells.X + 1, cells.rows, cells.header).save(project.embeddings)
    elif changed == "folds":
        write_folds(make_folds(cells.rows, FoldParams(n_splits=2), seed=1), project.folds)
    else:
        project = set_params(project, seed=5)
    after = study_name(project, tune_generator.make_task(project, "r0f0", "jitter"))
    assert after.rsplit("-", 1)[0] == before.rsplit("-", 1)[0]
    assert after != before


@pytest.mark.parametrize("stage", ["generator", "classifier"])
def test_new_tuning_has_seen_the_pool(project, stage):
    embeddings = EmbeddingSet.load(project.embeddings)
    rows = embeddings.rows.copy()
    rows.loc[rows["group"].isin(["slide00", "slide01"]), "label"] = ""
    EmbeddingSet(embeddings.X, rows, embeddings.header).save(project.embeddings)
    write_folds(make_folds(rows, FoldParams(n_splits=2), seed=0), project.folds)
    make_task, name = {
        "generator": (tune_generator.make_task, "jitter"),
        "classifier": (tune_classifier.make_task, "knn"),
    }[stage]
    task = make_task(project, "r0f0", name)
    assert "slide00" in task.fingerprint.overlap(["slide00"])


def test_a_study_draws_under_the_projects_seed(project, monkeypatch):
    told = {}
    monkeypatch.setattr(tuning, "study_runner", lambda *_: lambda *_, **given: told.update(given))
    project = set_params(project, seed=5)
    task = tune_generator.make_task(project, "r0f0", "jitter")
    tuning.run_task(project, task, None)
    assert (told["seed"], told["fingerprint"]) == (5, task.fingerprint.digest)
