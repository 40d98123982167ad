"""The real pipeline, as users run it: `dvc repro`, again, with a knob changed, after a kill."""

import json
import os
import signal
import sqlite3
import time

import numpy as np
import pandas as pd
import pytest
from workspace import Workspace

from bloomdiff.data.embedding_set import EmbeddingSet, SyntheticSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.errors import LeakageError
from bloomdiff.params import load_params

# A pipeline run takes minutes, more where the machine is shared.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
STAGES = [
    "prepare",
    "embed",
    "tune_generator",
    "fit_generator",
    "synthesize",
    "evaluate",
    "tune_classifier",
    "classify",
    "caution",
    "simulate",
    "render",
    "report",
]
RESULTS = [
    "manifest/cells.parquet",
    "manifest/folds.parquet",
    "embeddings/cells.parquet",
    "models/generator_params.yaml",
    "models/classifier_params.yaml",
    "reports/metrics.json",
    "reports/fidelity.parquet",
    "reports/scores/scores.parquet",
    "reports/morphology.parquet",
    "reports/scores/confusion.parquet",
    "reports/scores/predictions.parquet",
    "reports/scores/calibration.parquet",
    "reports/report/tables/costs.parquet",
    "reports/report/tables/macro_f1.parquet",
    "reports/render.json",
    "reports/report/report.md",
    "reports/report/index.html",
    "reports/report/ratio_curves.png",
    "reports/runs.csv",
]


def results_of(workspace):
    return {name: (workspace.root / name).read_bytes() for name in RESULTS}


def runs_of(workspace):
    with sqlite3.connect(workspace.root / "mlruns" / "mlflow.db") as store:
        return store.execute("select run_uuid, status, name from runs").fetchall()


def test_every_stage_ran_and_the_table_is_printed(demo):
    workspace, output = demo
    assert sorted(workspace.stages_run(output)) == sorted(STAGES)
    printed = workspace.run("bloomdiff", "results").stdout
    params = load_params(workspace.root / "params.yaml")
    for name in params.generators:
        assert ("real cells only" if name == "none" else name) in printed
    assert "make ui" in printed
    assert "interval" in printed


def test_second_run_runs_nothing_and_tells_nothing(demo):
    workspace, _ = demo
    before = runs_of(workspace)
    assert workspace.stages_run(workspace.run("dvc", "repro").stdout) == []
    assert runs_of(workspace) == before


def test_runs_are_nested_and_comparable(demo):
    workspace, _ = demo
    params = load_params(workspace.root / "params.yaml")
    with sqlite3.connect(workspace.root / "mlruns" / "mlflow.db") as store:
        table = pd.read_sql(
            "select r.run_uuid, r.status, k.key, k.value from runs r "
            "join (select run_uuid, key, value from params union all "
            "select run_uuid, key, value from tags union all "
            "select run_uuid, key, cast(value as text) from latest_metrics) k using (run_uuid)",
            store,
        )
    wide = table.pivot_table(index="run_uuid", columns="key", values="value", aggfunc="first")
    assert set(table["status"]) == {"FINISHED"}
    parents = wide[wide["mlflow.parentRunId"].isna()]
    assert len(parents) == 1
    sweep = wide[wide["kind"] == "sweep"]
    assert set(sweep["mlflow.parentRunId"]) == set(parents.index)
    n_generators, n_ratios = len(params.generators) - 1, len(params.sweep.ratios) - 1
    per_fold = params.sweep.n_seeds * (1 + n_generators * n_ratios)
    assert len(sweep) == params.prepare.folds.n_splits * per_fold
    scores = pd.read_parquet(workspace.root / "reports" / "scores" / "scores.parquet")
    told = sweep.set_index(["fold", "generator", "ratio", "seed"])["macro_f1"].astype(float)
    primary = scores[scores["classifier"] == params.primary].astype({"seed": str})
    kept = primary.set_index(["fold", "generator", "ratio", "seed"])["macro_f1"]
    np.testing.assert_allclose(told.sort_index(), kept.sort_index())


def test_the_page_answers_each_question_and_its_tables_lie_beside_it(demo):
    workspace, _ = demo
    folder = workspace.root / "reports" / "report"
    page = (folder / "report.md").read_text()
    for title in (
        "Gain by class",
        "Gain by number of real cells",
        "Tests",
        "Calibration",
        "Deferring doubtful cells",
        "What the errors cost",
        "Differential count",
        "Tuning's own estimate",
        "The synthetic sets themselves",
        "Which metric predicts usefulness",
        "Morphology",
    ):
        assert f"## {title}\n" in page
    assert "## Cross-domain" not in page
    assert "**not trustworthy**" in page
    assert "too few: needs" in page
    for picture in ("reject_curves", "shot_gains", "critical_difference", "ratio_curves"):
        assert f"({picture}.png)" in page
        assert (folder / f"{picture}.png").stat().st_size > 5000
    tables = {path.stem: pd.read_parquet(path) for path in (folder / "tables").glob("*.parquet")}
    assert len(tables) >= 15
    assert tables["domains"].empty
    assert tables["costs"]["mean"].between(0, 10).all()
    scaled = pd.read_parquet(workspace.root / "reports" / "scores" / "calibration.parquet")
    assert scaled["temperature"].between(0.05, 20).all()
    # The demonstration's few cells make an over-confident probe; its own cells can mend that.
    assert scaled["log_loss_scaled"].mean() < scaled["log_loss"].mean()


def test_every_synthetic_row_says_what_it_is_and_saw_no_test_cell(demo):
    workspace, _ = demo
    folds = pd.read_parquet(workspace.root / "manifest" / "folds.parquet")
    cells = EmbeddingSet.load(workspace.root / "embeddings" / "cells.parquet")
    paths = sorted((workspace.root / "synthetic").rglob("*.parquet"))
    assert paths
    for path in paths:
        rows = SyntheticSet.load(path)
        assert (rows.rows["generator"] == path.stem).all()
        assert (rows.rows["parent"] == rows.fingerprint.digest).all()
        own = folds[folds["fold"] == path.parent.name]
        test = cells.select(own[own["role"] == "test"]["cell_id"].tolist())
        train = cells.select(own[own["role"] == "train"]["cell_id"].tolist())
        assert_disjoint(test.group, rows)
        with pytest.raises(LeakageError):
            assert_disjoint(train.group, rows)
        with pytest.raises(LeakageError):
            EmbeddingSet.load(path)


def test_metrics_and_plots_show_offline(demo):
    workspace, _ = demo
    shown = json.loads(workspace.run("dvc", "metrics", "show", "--json").stdout)
    assert "macro_f1" in json.dumps(shown)
    workspace.run("dvc", "plots", "show", "--no-html", check=False)
    workspace.run("dvc", "plots", "show")
    assert (workspace.root / "dvc_plots" / "index.html").exists()


@pytest.mark.parametrize(
    ("key", "value", "first"),
    [
        ("report.confidence", 0.9, ["report", "simulate", "render"]),
        ("evaluate.k", 4, ["evaluate", "report"]),
        ("tune_classifier.n_trials", 4, ["tune_classifier", "report"]),
        ("simulate.n_seeds", 3, ["simulate", "report"]),
        (
            "sweep.allocation",
            "uniform",
            ["tune_generator", "synthesize", "classify", "caution", "render", "report"],
        ),
        (
            "sweep.primary",
            "knn",
            ["tune_generator", "classify", "caution", "simulate", "render", "report"],
        ),
        ("protocol", "cytodiff-2025", ["caution", "report"]),
        ("prepare.folds.n_splits", 4, ["prepare", "report"]),
        ("device", "cpu", []),
        ("jobs", 1, []),
    ],
)
def test_a_knob_touches_only_what_depends_on_it(demo, key, value, first):
    # The report prints every knob that the results depend on.
    workspace, _ = demo
    path = workspace.root / "params.yaml"
    original = path.read_text()
    try:
        workspace.set_param(key, value)
        status = json.loads(workspace.run("dvc", "status", "--json").stdout or "{}")
    finally:
        path.write_text(original)
    changed = {
        stage
        for stage, changes in status.items()
        if any("params.yaml" in str(change.get("changed deps", {})) for change in changes)
    }
    assert changed == set(first)


def test_larger_study_adds_only_the_difference(demo):
    workspace, _ = demo
    params = load_params(workspace.root / "params.yaml")
    path = workspace.root / "params.yaml"
    original = path.read_text()

    def finished():
        with sqlite3.connect(workspace.root / "mlruns" / "optuna.db") as store:
            return store.execute(
                "select count(*) from trials join studies using (study_id) "
                "where state in ('COMPLETE', 'PRUNED') and study_name like 'classifier-%'"
            ).fetchone()[0]

    before = finished()
    studies = params.prepare.folds.n_splits * len(params.sweep.classifiers)
    assert before == studies * params.tune_classifier.n_trials
    try:
        workspace.run("bloomdiff", "stage", "tune_classifier")
        assert finished() == before
        workspace.set_param("tune_classifier.n_trials", params.tune_classifier.n_trials + 1)
        workspace.run("bloomdiff", "stage", "tune_classifier")
        assert finished() == before + studies
    finally:
        path.write_text(original)
        workspace.run("dvc", "checkout", "--force", "--quiet")


@pytest.mark.parametrize("stage", ["tune_generator", "classify"])
def test_killed_run_ends_with_the_same_results(demo, fresh, stage):
    undisturbed, _ = demo
    process = fresh.start("dvc", "repro")
    working = fresh.root / ".bloomdiff" / stage
    deadline = time.monotonic() + 400
    while not any(working.glob("*/*")) and time.monotonic() < deadline:
        assert process.poll() is None, "the pipeline ended before it could be killed"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (fresh.root / "reports" / "metrics.json").exists()
    assert stage in fresh.stages_run(fresh.run("dvc", "repro").stdout)
    assert results_of(fresh) == results_of(undisturbed)
    assert {status for _, status, _ in runs_of(fresh)} <= {"FINISHED", "KILLED", "FAILED"}


def test_unreadable_image_is_one_line_and_nothing_else(fresh):
    victim = sorted((fresh.root / "data" / "images").rglob("*.png"))[0]
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[:200])
    done = fresh.run("bloomdiff", "stage", "prepare", check=False)
    assert done.returncode == 2
    assert victim.name in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
    assert not (fresh.root / "manifest").exists()


def test_label_without_image_and_rare_class_are_told(fresh):
    manifest = fresh.root / "data" / "manifest.csv"
    manifest.chmod(0o644)
    table = pd.read_csv(manifest, keep_default_na=False)
    rare = table["label"].value_counts().idxmin()
    rows = table.index[table["label"] == rare]
    table.drop(index=rows[1:]).to_csv(manifest, index=False)
    done = fresh.run("bloomdiff", "stage", "prepare", check=False)
    assert done.returncode == 2
    assert rare in done.stderr
    table.loc[0, "path"] = "images/phantom/nowhere.png"
    table.to_csv(manifest, index=False)
    done = fresh.run("bloomdiff", "stage", "prepare", check=False)
    assert done.returncode == 2
    assert "nowhere.png" in done.stderr
    assert not (fresh.root / "manifest").exists()


def test_experiment_with_a_changed_knob(fresh):
    for command in (
        ["git", "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "start"],
        ["dvc", "config", "--local", "--unset", "core.no_scm"],
    ):
        fresh.run(*command)
    fresh.run("dvc", "exp", "run", "-S", "prepare.folds.n_splits=4", "-n", "four", "prepare")
    folds = pd.read_parquet(fresh.root / "manifest" / "folds.parquet")
    assert folds["fold"].nunique() == 4
    assert "four" in fresh.run("dvc", "exp", "show", "--csv").stdout


def test_workspace_is_a_copy_without_data(tmp_path):
    workspace = Workspace.create(tmp_path / "copy")
    assert (workspace.root / "dvc.yaml").exists()
    assert not (workspace.root / "data").exists()
