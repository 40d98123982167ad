"""The table that the expert fills in is never emptied by the next queue."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from lab import make, truth_of
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.errors import InputError, ParameterError
from bloomdiff.selection.exchange import FORMATS, Sheet, read_answers
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.plan import Plan, build_queue
from bloomdiff.selection.queue import Queue

TABLE = Path("selection/table/queue.csv")


def call(*arguments):
    given = ["--format", "csv", "--jobs", "1", "--no-look"] if arguments[0] == "-n" else []
    return CliRunner().invoke(app, ["select", *arguments, *given], catch_exceptions=False)


def fill_in(n):
    """Label the first `n` cells; give all labels by cell."""
    table = pd.read_csv(TABLE, keep_default_na=False)
    table["label"] = [truth_of(c) if i < n else "" for i, c in enumerate(table["cell_id"])]
    table.to_csv(TABLE, index=False)
    return dict(zip(table["cell_id"], table["label"], strict=True))


def test_labels_of_cells_that_are_still_asked_for_stay(project):
    call("-n", "6")
    labels = fill_in(3)
    call("-n", "8")
    table = pd.read_csv(TABLE, keep_default_na=False)
    assert len(table) == 8
    now = dict(zip(table["cell_id"], table["label"], strict=True))
    assert {cell: now[cell] for cell in labels} == labels


def test_a_label_that_would_be_lost_is_told(project):
    call("-n", "6")
    cells = list(fill_in(3))
    before, queue = TABLE.read_bytes(), Path("selection/queue.parquet").read_bytes()
    told = rf"queue\.csv row 3: label '\w+' of cell '{cells[1]}' would be lost; import it first"
    with pytest.raises(InputError, match=told):
        call("-n", "1", "--fresh")
    assert TABLE.read_bytes() == before
    assert Path("selection/queue.parquet").read_bytes() == queue


def test_imported_labels_may_go_and_changed_ones_may_not(project):
    call("-n", "6")
    fill_in(3)
    assert call("import", "selection/table", "--format", "csv").exit_code == 0
    imported = TABLE.read_bytes()
    table = pd.read_csv(TABLE, keep_default_na=False)
    table.loc[0, "label"] = "blast"
    table.to_csv(TABLE, index=False)
    with pytest.raises(InputError, match="label 'blast' of cell"):
        call("-n", "6")
    TABLE.write_bytes(imported)
    call("-n", "6")
    assert set(pd.read_csv(TABLE, keep_default_na=False)["label"]) == {""}


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_empty_queue_is_written_and_comes_back(name, tmp_path):
    cells, embeddings = make(tmp_path)
    full = build_queue(cells, embeddings, Plan(limits=Limits(objects=3)))
    empty = Queue(full.table[:0], full.review, full.header)
    path = tmp_path / FORMATS[name].file
    FORMATS[name]().write(Sheet.of(empty, tmp_path), path)
    assert path.exists()
    if FORMATS[name].answers:
        assert read_answers(path, name, empty) == {}


@pytest.mark.parametrize("name", ["Monocyte", "MON"])
def test_the_manifests_name_of_a_class_is_that_of_the_label(project, name):
    manifest = project / "data" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",monocyte,", f",{name},"))
    call("-n", "6")
    table = pd.read_csv(TABLE, keep_default_na=False)
    table.assign(label="monocyte").to_csv(TABLE, index=False)
    assert "6 labels" in call("import", "selection/table", "--format", "csv").stdout
    assert call("-n", "4").exit_code == 0


def test_commas_behind_the_last_column_are_no_columns(project):
    call("-n", "3")
    head, *lines = TABLE.read_text().replace(",,", ",monocyte,", 3).splitlines()
    TABLE.write_text("\n".join([head, *(line + "," for line in lines)]))
    assert "3 labels" in call("import", "selection/table", "--format", "csv").stdout


def test_what_is_out_with_an_annotator_comes_back_whatever_is_asked_for_since(project):
    call("-n", "6")
    sent = project / "sent"
    shutil.copytree(TABLE.parent, sent)
    table = pd.read_csv(sent / TABLE.name, keep_default_na=False)
    table.assign(label=table["cell_id"].map(truth_of)).to_csv(sent / TABLE.name, index=False)
    told = call("-n", "3")
    assert "asked for before, neither labelled nor asked for now: 3" in told.stdout
    call("-n", "2", "--fresh", "--strategy", "random")
    queue = Queue.load("selection/queue.parquet")
    missing = set(table["cell_id"]) - set(queue.table["cell_id"])
    assert missing <= set(queue.earlier["cell_id"])
    assert call("import", str(sent), "--format", "csv").stdout.startswith("6 labels: ")
    assert "asked for before" not in call("-n", "30").stdout
    assert Queue.load("selection/queue.parquet").earlier.empty


def test_limits_that_let_nothing_in_replace_no_queue(project):
    call("-n", "6")
    before = Path("selection/queue.parquet").read_bytes()
    with pytest.raises(ParameterError, match="the limits: let no cell in; raise the budget"):
        call("-n", "6", "--minutes", "0.2")
    assert Path("selection/queue.parquet").read_bytes() == before
