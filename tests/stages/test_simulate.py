import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import write_manifest
from bloomdiff.errors import InputError
from bloomdiff.stages import run_stage
from bloomdiff.stages.simulate import _child, _with_fields


def test_what_was_never_reached_is_not_logged():
    row = {"strategy": "random", "seed": 3, "area": 0.5, "labels_90%": 40.0}
    child = _child({**row, "labels_95%": float("inf"), "found_5.blast": float("inf")})
    assert child.metrics == {"area": 0.5, "labels_90pct": 40.0}
    assert child.params == {"strategy": "random", "seed": 3}


def test_without_embeddings_one_line(project):
    project.embeddings.unlink()
    with pytest.raises(InputError, match=r"embeddings/cells\.parquet: no such file"):
        run_stage("simulate", project.root)


def test_fields_are_told_where_the_manifest_has_them(project):
    assert "field" not in _with_fields(project).rows
    cells = EmbeddingSet.load(project.embeddings).rows[["cell_id", "label", "group"]]
    cells = cells.assign(path=cells["cell_id"] + ".png", split="", source="drawn")
    cells = cells.assign(width=1, height=1, blake3="")
    write_manifest(cells, project.cells)
    assert "field" not in _with_fields(project).rows
    field = [f"f{i // 5}" if i % 3 else "" for i in range(len(cells))]
    write_manifest(cells.assign(field=field), project.cells)
    rows = _with_fields(project).rows
    by_cell = dict(zip(cells["cell_id"], field, strict=True))
    assert rows["field"].tolist() == [by_cell[cell] for cell in rows["cell_id"]]
