"""Embeddings as AnnData, which scanpy and the rest of the single-cell tools open."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import is_number
from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file

_UNHOLDABLE = frozenset({"", "_index"})


def write_anndata(
    embeddings: EmbeddingSet, path: str | Path, *, cells: pd.DataFrame | None = None
) -> None:
    """Write an ``.h5ad`` file: `X` the vectors, `obs` the manifest, `uns["bloomdiff"]` the header.

    Numbers and booleans stay what they are; all other columns are texts, empty ones where a value
    is missing. Views are not written, nor told of.

    Parameters
    ----------
    embeddings
        What to write.
    path
        Target, replaced atomically.
    cells
        Manifest with further columns for `obs`; without it, the columns of `embeddings.rows`.

    Raises
    ------
    InputError
        A cell of the embeddings that the manifest lacks or has twice, or a column whose name no
        such file holds.
    """
    import anndata

    obs = embeddings.rows.set_index("cell_id")
    if cells is not None:
        manifest = cells.set_index("cell_id")
        twice = manifest.index[manifest.index.duplicated()]
        if len(twice):
            raise InputError(
                f"manifest cell {twice[0]!r}", "is there twice", "keep one of its rows"
            )
        missing = obs.index.difference(manifest.index)
        if len(missing):
            raise InputError(
                f"embeddings of cell {missing[0]!r}",
                "are not in the manifest",
                "name the manifest that was embedded",
            )
        obs = manifest.loc[obs.index]
    for name in sorted(_UNHOLDABLE.intersection(obs.columns)):
        raise InputError(f"column {name!r}", "has a name that .h5ad files cannot hold", "rename it")
    for name in obs.columns:
        obs[name] = _writable(obs[name])
    obs.index = obs.index.astype(str).astype(object)
    names = pd.Index([f"x{i}" for i in range(embeddings.dim)], dtype=object)
    data = anndata.AnnData(X=embeddings.X, obs=obs, var=pd.DataFrame(index=names))
    header = {name: told for name, told in embeddings.header.items() if name != "views"}
    data.uns["bloomdiff"] = json.dumps(header, sort_keys=True)
    with atomic_file(path) as temporary:
        data.write_h5ad(temporary, compression="gzip")


def _writable(column: pd.Series) -> pd.Series:
    """The column as it is where it holds numbers or plain booleans, else as texts."""
    if pd.api.types.is_numeric_dtype(column) and not isinstance(column.dtype, pd.ArrowDtype):
        # Whole numbers may have missing ones in the format, others say it by NaN.
        extended = isinstance(column.dtype, (pd.Float32Dtype, pd.Float64Dtype))
        return column.astype(np.float64) if extended else column
    if is_number(str(column.name)):
        # A manifest in CSV comes with texts where some cells have no number.
        with suppress(ValueError, TypeError):
            return pd.to_numeric(column.astype(object))
    texts = [
        "" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)
    ]
    # Object strings: the form that every released reader of .h5ad knows.
    return pd.Series(texts, index=column.index, dtype=object)
