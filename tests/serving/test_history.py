"""The sweep read back from the tracker, and told again where DVC restored it."""

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import InputError
from bloomdiff.experiments.runs_table import sweep_scores
from bloomdiff.experiments.scores import SCORES, is_score
from bloomdiff.experiments.summary import summarise
from bloomdiff.experiments.tracking_client import client_of
from bloomdiff.files import write_yaml
from bloomdiff.report.tables import ratio_grid, text_table
from bloomdiff.stages import history
from bloomdiff.stages.history import compare, complete_history


@pytest.fixture
def no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def expected_table(project):
    params = project.params
    scores = pd.read_parquet(project.scores / "scores.parquet")
    table, sentence = summarise(
        scores[scores["classifier"] == params.primary],
        metric="macro_f1",
        allocation=params.sweep.allocation,
        confidence=params.report.confidence,
        beforehand=(params.report.generator, params.report.ratio),
    )
    return text_table(*ratio_grid(table, params.report.confidence)), sentence


def test_the_store_alone_tells_the_curves(swept, tmp_path, no_server):
    picture = tmp_path / "curves.png"
    moved = swept.scores.rename(swept.scores.with_name("away"))
    try:
        command = ["runs", "compare", "--project", str(swept.root), "--plot", str(picture)]
        done = CliRunner().invoke(app, command)
    finally:
        moved.rename(swept.scores)
    assert done.exit_code == 0, done.output
    grid, sentence = expected_table(swept)
    assert grid in done.stdout
    assert sentence in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("metric", "classifier"),
    [("macro_f1", "logistic"), ("macro_f1_knn", "knn"), ("ece_scaled", "logistic")],
)
def test_a_classifiers_figures_bear_its_name(swept, metric, classifier, tmp_path, monkeypatch):
    def scores_of_two(*given):
        return sweep_scores(*given[:-1], "macro_f1").rename(columns={"macro_f1": metric})

    monkeypatch.setattr(history, "sweep_scores", scores_of_two)
    monkeypatch.setitem(swept.params.sweep.classifiers, "knn", {})
    told = compare(swept, metric, tmp_path / "curves.png")
    assert told.splitlines()[0].endswith(f"interval], {classifier} classifier")


def test_what_no_run_tells_is_one_line(swept, project, tmp_path, no_server):
    with pytest.raises(InputError, match=r"'nothing'.*no score.*macro_f1"):
        compare(swept, "nothing", tmp_path / "curves.png")
    with pytest.raises(InputError, match=r"'macro_f1_nothing'.*in no run.*macro_f1") as caught:
        compare(swept, "macro_f1_nothing", tmp_path / "curves.png")
    # What is offered instead is what would be taken.
    offered = str(caught.value).split("name one of: ")[1].split(", ")
    assert {"macro_f1", "log_loss"} <= set(offered)
    assert all(is_score(name) for name in offered)
    with pytest.raises(InputError, match=r"no finished sweep.*`bloomdiff runs sync`"):
        compare(project, "macro_f1", tmp_path / "curves.png")
    (project.root / "mlruns" / "mlflow.db").unlink()
    with pytest.raises(InputError, match=r"no such file.*`bloomdiff runs sync`"):
        compare(project, "macro_f1", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("metric", [*SCORES, "brier_scaled", "log_loss_scaled"])
def test_every_score_is_compared(swept, metric, tmp_path, no_server):
    told = compare(swept, metric, tmp_path / "curves.png")
    assert told.startswith(f"{metric} in points")
    assert ("smaller is better" in told) == ("minus" in told) == ("+ is better" in told)
    assert (metric in told.splitlines()[-1]) == (metric != "macro_f1")
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("metric", ["temperature", "n_classes_scored"])
def test_what_is_no_score_is_not_drawn(swept, metric, tmp_path, no_server):
    with pytest.raises(InputError, match=f"'{metric}': is no score"):
        compare(swept, metric, tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_a_score_that_no_fold_defines_is_one_line(swept, tmp_path, no_server, monkeypatch):
    def undefined(*arguments):
        return sweep_scores(*arguments).assign(auroc=float("nan"))

    monkeypatch.setattr("bloomdiff.stages.history.sweep_scores", undefined)
    with pytest.raises(InputError, match="'auroc': is undefined in every fold"):
        compare(swept, "auroc", tmp_path / "curves.png")


def test_a_picture_that_cannot_be_written_is_one_line(swept, tmp_path, no_server):
    (tmp_path / "file").write_text("x")
    for picture, told in (
        (tmp_path, "is a folder"),
        (tmp_path / "x.txt", "is not named as a PNG"),
        (tmp_path / "x", "is not named as a PNG"),
        (tmp_path / "file" / "x.png", "is no folder"),
    ):
        with pytest.raises(InputError, match=told):
            compare(swept, "macro_f1", picture)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    compare(swept, "macro_f1", tmp_path / "new" / "x.PNG")
    assert (tmp_path / "new" / "x.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_restored_sweep_compares_like_the_one_that_ran(swept, project, tmp_path):
    write_yaml(
        project.root / "dvc.yaml",
        {"stages": {"classify": {"cmd": "x", "outs": ["reports/scores"]}}},
    )
    outs = [{"path": "reports/scores", "md5": "0123.dir"}]
    write_yaml(project.root / "dvc.lock", {"stages": {"classify": {"cmd": "x", "outs": outs}}})
    assert complete_history(project) == ["classify"]
    assert complete_history(project) == []
    told = compare(project, "macro_f1", tmp_path / "restored.png")
    assert told == compare(swept, "macro_f1", tmp_path / "ran.png")
    assert (tmp_path / "restored.png").read_bytes() == (tmp_path / "ran.png").read_bytes()
    assert curves_of(project) == curves_of(swept) != {}


def test_each_run_says_which_encoder_and_how_many_rows_of_each_class(swept, no_server):
    client = client_of(f"sqlite:///{swept.root}/mlruns/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'bloomdiff'")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'sweep'")
    embeddings = EmbeddingSet.load(swept.embeddings)
    assert runs
    for run in runs:
        assert run.data.tags["encoder_digest"] == embeddings.header["digest"] != ""
        real, synthetic = (
            json.loads(run.data.tags[f"rows.{kind}"]) for kind in ("real", "synthetic")
        )
        assert sum(real.values()) == int(run.data.params["n_train"])
        assert sum(synthetic.values()) == int(run.data.params["n_synthetic"])
        assert set(synthetic) <= set(real) <= set(embeddings.label)
        assert bool(synthetic) == (run.data.params["generator"] != "none")


def curves_of(project):
    """The points of each generator's curve in the store, which must be the scores' means."""
    client = client_of(f"sqlite:///{project.root}/mlruns/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'bloomdiff'")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'curve'")
    curves = {
        run.data.params["generator"]: {
            point.step: point.value
            for point in client.get_metric_history(run.info.run_id, "macro_f1_by_ratio")
        }
        for run in runs
    }
    scores = pd.read_parquet(project.scores / "scores.parquet")
    for name, points in curves.items():
        for step, value in points.items():
            rows = (scores["generator"] == (name if step else "none")) & (
                scores["ratio"].astype(float) * 100 == step
            )
            assert value == pytest.approx(scores.loc[rows, "macro_f1"].mean())
    return curves
