import json
from pathlib import Path

import anndata
import numpy as np
import pytest

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
