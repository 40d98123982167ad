"""Labels of a detector and labels of an expert: who has looked at a cell is never forgotten."""

import threading
import time
from pathlib import Path

import pandas as pd
import pytest
from lab import make, truth_of
from typer.testing import CliRunner

from bloomdiff.cli import app
from bloomdiff.cli.select import import_
from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.data.schema import table_problems
from bloomdiff.errors import InputError
from bloomdiff.selection.exchange import apply_answers
from bloomdiff.selection.limits import Limits
from bloomdiff.selection.lock import manifest_lock
from bloomdiff.selection.plan import Plan, build_queue
from bloomdiff.selection.pool import Pool

PLAN = Plan(limits=Limits(objects=8))


@pytest.fixture
def detected(tmp_path):
    """36 cells that a detector takes for monocytes, and 12 that an expert has labelled."""
    cells, embeddings = make(tmp_path, images=False)
    cells.loc[12:, ["source", "label"]] = ["detector", "monocyte"]
    manifest = tmp_path / "manifest.csv"
    write_manifest(cells, manifest)
    return manifest, embeddings


def queue_of(manifest, embeddings, before=None):
    cells = read_manifest(manifest)
    return build_queue(cells, embeddings, PLAN, unverified=("detector",), before=before)


def test_a_verified_cell_leaves_the_pool_and_teaches(detected):
    manifest, embeddings = detected
    first = queue_of(manifest, embeddings)
    asked = first.table["cell_id"].tolist()
    labels = {cell: truth_of(cell) for cell in asked}
    assert {"monocyte", "basophil"} <= set(labels.values())  # confirmed and corrected
    cells = read_manifest(manifest)
    after = apply_answers(cells, labels, manifest, unverified=first.unverified)
    write_manifest(after, manifest)

    cells = read_manifest(manifest)
    assert table_problems(cells, manifest) == []
    pool = Pool.of(cells, embeddings, ("detector",), None, manifest)
    assert not set(asked) & set(pool.cells["cell_id"])
    known = dict(zip(pool.labelled.cell_id, pool.labelled.label, strict=True))
    assert {cell: known[cell] for cell in asked} == labels
    then = queue_of(manifest, embeddings, before=first)
    assert not set(asked) & set(then.table["cell_id"])


def test_labels_that_agree_with_a_detector_are_not_lost_without_its_name(project):
    manifest = project / "data" / "manifest.csv"
    cells = read_manifest(manifest)
    cells.loc[24:, ["source", "label"]] = ["detector", "monocyte"]
    write_manifest(cells, manifest)
    call = ["select", "--format", "csv", "--jobs", "1", "--no-look", "--strategy", "random"]
    told = CliRunner().invoke(app, [*call, "-n", "20", "--unverified", "detector"])
    assert told.exit_code == 0
    file = project / "selection" / "table" / "queue.csv"
    table = pd.read_csv(file, keep_default_na=False)
    table.assign(label="monocyte").to_csv(file, index=False)
    for fresh in ([], ["--fresh"]):
        with pytest.raises(InputError, match=r"label 'monocyte' of cell .* would be lost"):
            CliRunner().invoke(app, [*call, "-n", "2", *fresh], catch_exceptions=False)
    (project / "selection" / "queue.parquet").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is no queue"):
        CliRunner().invoke(app, [*call, "-n", "2"], catch_exceptions=False)
    file.unlink()
    assert CliRunner().invoke(app, [*call, "-n", "2", "--fresh"]).exit_code == 0


def test_an_experts_label_is_not_overwritten_unasked(detected):
    manifest, embeddings = detected
    unverified = queue_of(manifest, embeddings).unverified
    cells = read_manifest(manifest)
    once = apply_answers(cells, {"lab/cell-020": "basophil"}, manifest, unverified=unverified)
    with pytest.raises(InputError, match="is labelled basophil, and now lymphocyte"):
        apply_answers(once, {"lab/cell-020": "lymphocyte"}, manifest, unverified=unverified)
    with pytest.raises(InputError, match="is labelled monocyte, and now basophil"):
        apply_answers(cells, {"lab/cell-020": "basophil"}, manifest)


def test_the_mark_is_yes_or_nothing(detected):
    manifest, embeddings = detected
    broken = read_manifest(manifest).assign(verified="no")
    with pytest.raises(InputError, match="verified 'no' is not yes; write yes or nothing"):
        build_queue(broken, embeddings, PLAN)


def test_two_imports_at_once_wait_for_one_another(detected, tmp_path):
    manifest, embeddings = detected
    queue = queue_of(manifest, embeddings)
    queue.save(tmp_path / "queue.parquet")
    asked, other = queue.table["cell_id"][0], "lab/cell-000"
    answers = tmp_path / "answers.csv"
    pd.DataFrame({"cell_id": [asked], "label": ["basophil"]}).to_csv(answers, index=False)

    def bring_back():
        import_(answers, "csv", tmp_path, tmp_path / "queue.parquet", None, False)

    second = threading.Thread(target=bring_back)
    with manifest_lock(manifest):
        cells = read_manifest(manifest)
        second.start()
        time.sleep(0.5)
        cells.loc[cells["cell_id"] == other, "label"] = "lymphocyte"
        write_manifest(cells, manifest)
    second.join()
    labels = read_manifest(manifest).set_index("cell_id")["label"]
    assert (labels[asked], labels[other]) == ("basophil", "lymphocyte")
    assert not list(tmp_path.glob(".manifest*"))


def test_a_lock_that_cannot_be_made_is_one_line(project, monkeypatch):
    opened = Path.open

    def denied(path, *arguments, **options):
        if path.name == ".manifest.csv.lock":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", denied)
    told = r"\.manifest\.csv\.lock: cannot be written \(Permission denied\)"
    with pytest.raises(InputError, match=told), manifest_lock(Path("data/manifest.csv")):
        pass
