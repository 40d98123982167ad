"""`bloomdiff select`, `select import` and the stage `simulate`, as users call them."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from lab import truth_of
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import read_manifest
from bloomdiff.errors import BloomDiffError
from bloomdiff.selection.queue import Queue

ROOT = Path(__file__).parents[2]


def call(*arguments):
    return CliRunner().invoke(app, ["select", *arguments], catch_exceptions=False)


def test_queue_labels_back_and_the_next_queue(project):
    done = call("-n", "6", "--format", "csv", "--format", "html", "--jobs", "1")
    assert done.exit_code == 0
    assert "6 cells, " in done.stdout
    queue = Queue.load("selection/queue.parquet")
    table = pd.read_csv("selection/table/queue.csv")
    asked = table["cell_id"].tolist()
    assert asked == queue.table["cell_id"].tolist()
    table["label"] = [truth_of(c) if i < 4 else "" for i, c in enumerate(asked)]
    table.to_csv("selection/table/queue.csv", index=False)

    done = call("import", "selection/table", "--format", "csv")
    assert "4 labels: data/manifest.csv; 32 cells without a label" in done.stdout
    cells = read_manifest("data/manifest.csv").set_index("cell_id")["label"]
    assert [cells[c] for c in asked] == [*map(truth_of, asked[:4]), "", ""]

    call("-n", "6", "--jobs", "1")
    then = Queue.load("selection/queue.parquet").table["cell_id"].tolist()
    assert then[:2] == asked[4:]
    assert not set(then) & set(asked[:4])


def test_a_class_of_ones_own_is_offered_and_comes_back(project):
    call("-n", "3", "--class", "fern_cell", "--format", "csv", "--jobs", "1")
    table = pd.read_csv("selection/table/queue.csv")
    table.assign(label="fern_cell").to_csv("selection/table/queue.csv", index=False)
    assert "3 labels" in call("import", "selection/table", "--format", "csv").stdout
    call("-n", "3", "--jobs", "1")
    assert "fern_cell" in Queue.load("selection/queue.parquet").classes[:4]


def test_nothing_is_half_written(project):
    before = (project / "data" / "manifest.csv").read_bytes()
    call("-n", "6", "--format", "csv", "--jobs", "1")
    table = pd.read_csv("selection/table/queue.csv")
    table.assign(label=["monocyte"] * 5 + ["martian"]).to_csv(
        "selection/table/queue.csv", index=False
    )
    with pytest.raises(BloomDiffError, match=r"row 7: class 'martian' is unknown"):
        call("import", "selection/table", "--format", "csv")
    assert (project / "data" / "manifest.csv").read_bytes() == before

    queue = (project / "selection" / "queue.parquet").read_bytes()
    with pytest.raises(BloomDiffError, match="no readable image"):
        call("-n", "7", "--fields", "nowhere", "--jobs", "1")
    assert (project / "selection" / "queue.parquet").read_bytes() == queue


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-n", "99"], "objects 99: the pool has 36 cells; ask for at most 36"),
        (["--strategy", "magic"], "strategy 'magic': unknown name"),
        (["--set", "gama=3"], "did you mean 'gamma'?"),
        (["--format", "xlsx"], "format 'xlsx': unknown name"),
        (["--minutes", "-1"], "limits: minutes: is -1.0; input should be greater than 0"),
        (["--min-cosine", "99.5"], "min_cosine: is 99.5; give a number above 0, at most 1"),
        (["--min-iou", "nan"], "min_iou: is nan; give a number above 0, at most 1"),
        (["--class", " blast"], "class ' blast': is no name of a class"),
        (["--embeddings", "gone.parquet"], "gone.parquet: no such file"),
        (["--data", "gone"], "gone/manifest.csv: no such file"),
    ],
)
def test_mistakes_are_one_line(project, arguments, line):
    with pytest.raises(BloomDiffError) as caught:
        call(
            "--jobs", "1", "--no-look", *(["-n", "5"] if "-n" not in arguments else []), *arguments
        )
    assert line in str(caught.value)
    assert not (project / "selection").exists()


@pytest.mark.slow
def test_simulate_is_a_stage_and_an_mlflow_run(project):
    from bloomdiff.data.embedding_set import EmbeddingSet

    embeddings = EmbeddingSet.load("embeddings/cells.parquet")
    labels = [truth_of(c) for c in embeddings.cell_id]
    rows = embeddings.rows.assign(label=labels, group=embeddings.cell_id)
    EmbeddingSet(embeddings.X, rows, embeddings.header).save("embeddings/cells.parquet")
    params = yaml.safe_load((ROOT / "params.demo.yaml").read_text())
    params["jobs"] = 1
    params["simulate"] |= {"n_seeds": 2, "budgets": [8], "classifier": "diffusion"}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    done = call("simulate")
    assert done.exit_code == 0
    assert "| expected-gain |" in done.stdout
    folder = Path("reports/selection")
    curves = pd.read_parquet(folder / "curves.parquet")
    assert set(curves["strategy"]) == set(params["simulate"]["strategies"])
    assert len(curves) == 3 * 2
    assert (folder / "curves.png").stat().st_size > 5000

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name(params["tracking"]["experiment"])
    runs = client.search_runs([experiment.experiment_id])
    names = {run.info.run_name for run in runs}
    assert {"random seed 0", "expected-gain seed 1"} <= names
    told = {run.data.params.get("simulate.classifier") for run in runs}
    assert "diffusion" in told

    params["sweep"]["classifiers"]["diffusion"] = {"shrinkage": 1.0, "pool_trust": 0.0}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert call("simulate").exit_code == 0
    runs = client.search_runs([experiment.experiment_id])
    assert "1.0" in {run.data.params.get("simulate.classifier.shrinkage") for run in runs}
    other = pd.read_parquet(folder / "curves.parquet")
    assert other.shape == curves.shape
    assert not other["macro_f1"].equals(curves["macro_f1"])


def test_random_is_always_beside(project):
    params = yaml.safe_load((ROOT / "params.demo.yaml").read_text())
    params["simulate"]["strategies"] = {"margin": {}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(BloomDiffError, match="strategies must name random"):
        call("simulate")


def test_an_export_of_the_whole_project_comes_in_again(project):
    call("-n", "6", "--format", "csv", "--jobs", "1", "--no-look")
    asked = pd.read_csv("selection/table/queue.csv")
    asked["label"] = [truth_of(c) if i < 3 else "" for i, c in enumerate(asked["cell_id"])]
    asked.to_csv("export.csv", index=False)
    assert "3 labels" in call("import", "export.csv", "--format", "csv").stdout
    call("-n", "6", "--jobs", "1", "--no-look")
    done = call("import", "export.csv", "--format", "csv")
    assert "0 labels" in done.stdout
    asked.loc[0, "label"] = "blast"
    asked.to_csv("export.csv", index=False)
    with pytest.raises(BloomDiffError, match="and now blast; give --overwrite"):
        call("import", "export.csv", "--format", "csv")
    done = call("import", "export.csv", "--format", "csv", "--overwrite")
    assert "1 labels" in done.stdout
    cells = read_manifest("data/manifest.csv").set_index("cell_id")["label"]
    assert cells[asked["cell_id"][0]] == "blast"


def test_options_before_a_command_are_refused(project):
    with pytest.raises(BloomDiffError, match="--data before import: is an option of the queue"):
        call("--data", "elsewhere", "import", "selection/table", "--format", "csv")


def test_one_row_twice_in_the_manifest_is_told_at_the_import(project):
    call("-n", "3", "--format", "csv", "--jobs", "1", "--no-look")
    table = pd.read_csv("selection/table/queue.csv")
    table.assign(label="monocyte").to_csv("selection/table/queue.csv", index=False)
    path = project / "data" / "manifest.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[-1]]) + "\n")
    with pytest.raises(BloomDiffError, match="is there twice"):
        call("import", "selection/table", "--format", "csv")


def test_two_folders_are_written_or_none(project):
    both = ("--format", "csv", "--format", "label-studio", "--jobs", "1", "--no-look")
    call("-n", "5", *both)
    (project / "selection" / "label-studio" / "export.json").write_text("[]")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for formats in (both, (*both[2:4], *both[:2], *both[4:])):
        with pytest.raises(BloomDiffError, match=r"export\.json: would be lost"):
            call("-n", "9", "--fresh", "--strategy", "random", *formats)
        assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_seeds_that_libraries_do_not_take_are_refused(project):
    done = CliRunner().invoke(app, ["select", "--seed", str(2**31)])
    assert done.exit_code == 2


def test_an_embedding_that_is_there_twice_is_one_line(project):
    cells = EmbeddingSet.load("embeddings/cells.parquet")
    cells.take([*range(len(cells)), 0]).save("embeddings/cells.parquet")
    with pytest.raises(BloomDiffError, match="embeddings of cell 'lab/cell-000': are there twice"):
        call("-n", "3", "--jobs", "1", "--no-look")
