import datetime
import json
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import read_manifest, write_manifest
from bloomdiff.encoders import embed_cells
from bloomdiff.encoders.anndata_export import write_anndata
from bloomdiff.errors import InputError


def test_obs_is_the_manifest_and_x_the_vectors(images, stub, tmp_path: Path) -> None:
    cells, root = images
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    shuffled = cells.sample(frac=1, random_state=0)
    write_anndata(made, tmp_path / "x.h5ad", cells=shuffled)
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    np.testing.assert_array_equal(back.X, made.X)
    assert back.obs_names.tolist() == cells["cell_id"].tolist()
    assert set(back.obs.columns) == set(cells.columns) - {"cell_id"}
    assert back.obs["label"].astype(str).tolist() == cells["label"].tolist()
    assert back.obs["width"].tolist() == cells["width"].tolist()
    assert json.loads(back.uns["bloomdiff"]) == stub.header


def test_without_a_manifest_the_rows_travel(images, stub, tmp_path: Path) -> None:
    cells, root = images
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    write_anndata(made, tmp_path / "x.h5ad")
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert set(back.obs.columns) == {"label", "group", "split", "source"}


def test_a_cell_that_the_manifest_lacks_is_named(images, stub, tmp_path: Path) -> None:
    cells, root = images
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    with pytest.raises(InputError, match="s0_009"):
        write_anndata(made, tmp_path / "x.h5ad", cells=cells.iloc[:9])
    assert not (tmp_path / "x.h5ad").exists()
    twice = cells.iloc[[*range(len(cells)), 3]]
    again = f"cell '{cells['cell_id'].iloc[3]}': is there twice"
    with pytest.raises(InputError, match=again):
        write_anndata(made, tmp_path / "x.h5ad", cells=twice)


@pytest.mark.parametrize(
    ("values", "written"),
    [
        (pd.to_datetime(["2024-01-02", None]), ["2024-01-02 00:00:00", ""]),
        ([datetime.date(2024, 1, 2), None], ["2024-01-02", ""]),
        (pd.Series([True, None], dtype=object), ["True", ""]),
        (pd.Series([None, None], dtype=object), ["", ""]),
        (pd.Categorical([7, None]), ["7", ""]),
        (["blast", 3], ["blast", "3"]),
        ([True, False], [True, False]),
        ([1.5, np.nan], [1.5, np.nan]),
        (pd.array([4, 5], "Int64"), [4, 5]),
    ],
)
def test_columns_of_any_kind_are_written(tmp_path: Path, values, written) -> None:
    rows = pd.DataFrame({"cell_id": ["a", "b"], "label": "x", "group": "g", "taken": values})
    made = EmbeddingSet(np.eye(2, dtype=np.float32), rows, {"encoder": "e", "views": {"n": 2}})
    write_anndata(made, tmp_path / "x.h5ad")
    back = anndata.read_h5ad(tmp_path / "x.h5ad")
    found = back.obs["taken"]
    if isinstance(written[0], str):
        assert found.astype(str).tolist() == written
    else:
        np.testing.assert_array_equal(found.to_numpy(float), np.asarray(written, float))
        assert not isinstance(found.dtype, pd.CategoricalDtype)
    assert json.loads(back.uns["bloomdiff"]) == {"encoder": "e"}


@pytest.mark.parametrize("name", ["_index", ""])
def test_a_column_of_a_name_that_no_file_holds_is_one_line(tmp_path: Path, name: str) -> None:
    rows = pd.DataFrame({"cell_id": ["a"], "label": "x", "group": "g", name: 1})
    made = EmbeddingSet(np.ones((1, 2), np.float32), rows)
    with pytest.raises(InputError, match=rf"column '{name}': has a name") as error:
        write_anndata(made, tmp_path / "x.h5ad")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.h5ad").exists()


def test_numbers_stay_numbers_where_some_cells_have_none(tmp_path: Path) -> None:
    ids = ["a", "b"]
    made = EmbeddingSet(
        np.eye(2, dtype=np.float32), pd.DataFrame({"cell_id": ids, "label": "x", "group": "g"})
    )
    numbers = {"box_x": [1.5, None], "score": [None, 0.5], "p.x": [None, 1.0], "width": [7, 8]}
    cells = pd.DataFrame({"cell_id": ids, "path": ids, "label": "x", "group": "g"})
    cells = cells.assign(split="", source="s", height="", blake3="", age=[60, None], **numbers)
    write_manifest(cells, tmp_path / "m.csv")
    write_anndata(made, tmp_path / "x.h5ad", cells=read_manifest(tmp_path / "m.csv"))
    obs = anndata.read_h5ad(tmp_path / "x.h5ad").obs
    for name, values in numbers.items():
        np.testing.assert_array_equal(obs[name].to_numpy(float), np.array(values, float))
        assert pd.api.types.is_numeric_dtype(obs[name])
    assert obs["height"].isna().all()
    assert obs["age"].astype(str).tolist() == ["60.0", ""]  # a laboratory's own column is text
    write_anndata(made, tmp_path / "x.h5ad", cells=cells.assign(score=["high", 0.5]))
    assert set(anndata.read_h5ad(tmp_path / "x.h5ad").obs["score"]) == {"high", "0.5"}


def test_whatever_pandas_made_of_a_manifest_is_written(images, stub, tmp_path: Path) -> None:
    cells, root = images
    made = embed_cells(cells, root, stub, cache_dir=tmp_path / "c", jobs=0)
    given = cells.assign(dose=np.arange(len(cells)) / 4).convert_dtypes()
    given.loc[0, "dose"] = pd.NA
    write_anndata(made, tmp_path / "x.h5ad", cells=given)
    dose = anndata.read_h5ad(tmp_path / "x.h5ad").obs["dose"]
    assert np.isnan(dose.iloc[0])
    assert dose.iloc[1:].tolist() == [n / 4 for n in range(1, len(cells))]
    numbered = replace(made, rows=made.rows.assign(cell_id=range(len(made))))
    write_anndata(numbered, tmp_path / "n.h5ad")
    assert anndata.read_h5ad(tmp_path / "n.h5ad").obs_names.tolist()[:2] == ["0", "1"]
