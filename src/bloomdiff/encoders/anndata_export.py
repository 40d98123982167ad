"""Embeddings as AnnData, which scanpy and the rest of the single-cell tools open."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.errors import InputError
from bloomdiff.files import atomic_file


def write_anndata(
    embeddings: EmbeddingSet, path: str | Path, *, cells: pd.DataFrame | None = None
) -> None:
    """Write an ``.h5ad`` file: `X` the vectors, `obs` the manifest, `uns["bloomdiff"]` the header.

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
        A cell of the embeddings that the manifest lacks.
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
    for column in obs.columns:
        if not pd.api.types.is_numeric_dtype(obs[column]):
            # Object strings: the form that every released reader of .h5ad knows.
            obs[column] = obs[column].astype(object)
    obs.index = obs.index.astype(object)
    names = pd.Index([f"x{i}" for i in range(embeddings.dim)], dtype=object)
    data = anndata.AnnData(X=embeddings.X, obs=obs, var=pd.DataFrame(index=names))
    data.uns["bloomdiff"] = json.dumps(embeddings.header, sort_keys=True)
    with atomic_file(path) as temporary:
        data.write_h5ad(temporary, compression="gzip")
