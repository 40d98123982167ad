"""What is registered, and under which alias."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.fingerprint import assert_disjoint
from bloomdiff.errors import InputError, IntegrityError, LeakageError
from bloomdiff.experiments.tracking import pipeline_run
from bloomdiff.experiments.tracking_client import client_of
from bloomdiff.metrics.calibration import scale_temperature
from bloomdiff.serving import CellTyper, cell_typer
from bloomdiff.stages.project import Project
from bloomdiff.stages.register import choose_setting, register_with_report


def register(project):
    done = CliRunner().invoke(app, ["runs", "register", "--project", str(project.root)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def registry(project):
    client = client_of(f"sqlite:///{project.root}/mlruns/mlflow.db")
    (model,) = client.search_registered_models()
    return client, model


def registered(project):
    register(project)
    (path,) = (project.root / "mlruns").rglob("bundle/card.json")
    return CellTyper.load(path.parent)


def with_gain(project, gain):
    """Make synthetic rows look better than they are by `gain` in every fold and seed."""
    path = project.scores / "scores.parquet"
    scores = pd.read_parquet(path)
    base = scores[scores["generator"] == "none"].set_index(["fold", "seed"])["macro_f1"]
    rows = scores["generator"] == "smote"
    keys = pd.MultiIndex.from_frame(scores.loc[rows, ["fold", "seed"]])
    wobble = np.linspace(0, 1e-4, rows.sum())
    scores.loc[rows, "macro_f1"] = base.loc[keys].to_numpy() + gain + wobble
    return scores


def test_champion_needs_the_test(project):
    shown = choose_setting(project, with_gain(project, 0.05))
    assert (shown.generator, shown.ratio, shown.supported) == ("smote", "1", True)
    noisy = with_gain(project, 0.05)
    smote = noisy["generator"] == "smote"
    noisy.loc[smote & (noisy["fold"] == "r0f0"), "macro_f1"] += 0.2
    unsure = choose_setting(project, noisy)
    assert (unsure.generator, unsure.supported) == ("smote", False)
    assert "no gain over real cells only could be shown" in unsure.evidence
    worse = choose_setting(project, with_gain(project, -0.05))
    assert (worse.generator, worse.ratio, worse.supported) == ("none", "0", False)


def test_registered_once_per_model(project):
    assert "version 1\n" in register(project)
    assert "version 1 (unchanged)" in register(project)
    client, model = registry(project)
    assert set(model.aliases) == {"challenger"}
    (version,) = client.search_model_versions(f"name = '{model.name}'")
    run = client.get_run(version.run_id)
    assert run.data.tags["stage.register"] == "finished"
    assert float(version.tags["threshold"]) > 0


def test_the_model_is_the_sweeps_and_saw_all_cells(project):
    typer = registered(project)
    cells = EmbeddingSet.load(project.embeddings)
    told = typer.predict(cells.X)
    expected = np.mean(
        [
            scale_temperature(member.classifier.predict_proba(cells.X), member.temperature)
            for member in typer.members
        ],
        axis=0,
    )
    columns = [f"p.{name}" for name in typer.classes]
    np.testing.assert_allclose(told[columns], expected, atol=1e-12)
    np.testing.assert_allclose(told[columns].sum(axis=1), 1)
    assert (told["confidence"] == told[columns].max(axis=1)).all()
    assert (told["defer"] == (told["confidence"] < typer.card["threshold"])).all()
    for member in typer.members:
        with pytest.raises(LeakageError):
            assert_disjoint(cells.group, member.classifier.fingerprint)


def test_threshold_keeps_the_stated_share_of_test_cells(project):
    card = registered(project).card
    assert card["coverage"] >= project.params.serving.coverage
    assert card["accuracy"] >= card["accuracy_all"] - 0.05
    predictions = pd.read_parquet(project.scores / "predictions.parquet")
    own = predictions[
        (predictions["generator"] == card["generator"])
        & (predictions["ratio"] == card["ratio"])
        & (predictions["seed"] == 0)
    ]
    columns = [name for name in own.columns if name.startswith("p.")]
    predicted = own[columns].fillna(0).to_numpy().argmax(axis=1)
    truth = [columns.index(f"p.{name}") for name in own["true"]]
    # Temperature does not change which class is first.
    assert card["accuracy_all"] == pytest.approx((predicted == truth).mean())


def test_outputs_that_do_not_belong_together_are_refused(project):
    path = project.scores / "scores.parquet"
    scores = pd.read_parquet(path)
    scores["macro_f1"] += 0.01
    scores.to_parquet(path)
    with pytest.raises(IntegrityError, match=r"when fitted again.*dvc repro"):
        register(project)
    client = client_of(f"sqlite:///{project.root}/mlruns/mlflow.db")
    assert client.search_registered_models() == []


def test_the_report_stands_where_nothing_can_be_registered(project, capsys):
    path = project.scores / "scores.parquet"
    scores = pd.read_parquet(path)
    scores["macro_f1"] += 0.01
    scores.to_parquet(path)
    with pipeline_run(project.root, stage="report", experiment="bloomdiff") as run:
        register_with_report(project, run)
    told = capsys.readouterr().err
    assert "nothing was registered: " in told
    assert "another processor" in told


def test_the_sweep_of_another_primary_classifier_is_refused(project):
    for name in ("predictions", "calibration"):
        table = pd.read_parquet(project.scores / f"{name}.parquet")
        assert set(table["classifier"]) == {"logistic"}
    path = project.root / "params.yaml"
    text = path.read_text().replace("primary: logistic", "primary: knn")
    path.write_text(text.replace("    logistic: {}", "    knn: {}"))
    with pytest.raises(IntegrityError, match=r"is about logistic, not knn .*dvc repro classify"):
        register(Project(project.root))


def test_without_a_sweep_one_line(project):
    project.scores.rename(project.scores.with_name("elsewhere"))
    with pytest.raises(InputError, match="run `dvc repro` first"):
        register(Project(project.root))


def test_wrong_embeddings_are_one_line(project):
    typer = registered(project)
    with pytest.raises(InputError, match=r"are not \(n, 512\).*colour-histogram"):
        typer.predict(np.zeros((2, 5), np.float32))
    X = np.zeros((2, 512), np.float32)
    X[1, 3] = np.nan
    with pytest.raises(InputError, match=r"embedding 1.*not finite"):
        typer.predict(X)


def test_weights_of_a_relative_path_are_the_projects(project, tmp_path, monkeypatch):
    content = yaml.safe_load((project.root / "params.yaml").read_text()) | {"encoder": "file:w.pth"}
    (project.root / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"{project.root / 'w.pth'}: is no file"):
        registered(Project(project.root))
    (project.root / "w.pth").write_text("weights")
    with pytest.raises(InputError, match=r"w\.pth: "):  # which it copied and could not read
        registered(Project(project.root))
    digest = EmbeddingSet.load(project.embeddings).header["digest"]
    others, own = (SimpleNamespace(name="w", digest=told) for told in ("another", digest))
    monkeypatch.setattr(cell_typer, "load_encoder", lambda *args, **more: others)
    with pytest.raises(IntegrityError, match="has other weights"):
        registered(Project(project.root))
    monkeypatch.setattr(cell_typer, "load_encoder", lambda *args, **more: own)
    card = registered(Project(project.root)).card
    assert card["encoder"]["params"]["name"] == "file:encoder/w.pth"
