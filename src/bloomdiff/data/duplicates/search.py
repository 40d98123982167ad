"""The search for duplicates: equal pixels, then candidates laid over one another."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from bloomdiff.data.duplicates.candidates import (
    Pair,
    near_by_appearance,
    near_by_embedding,
    visual_words,
)
from bloomdiff.data.duplicates.families import components, field_numbers, join_families
from bloomdiff.data.duplicates.features import extract_features
from bloomdiff.data.duplicates.registration import Registration, register
from bloomdiff.data.embedding_set import EmbeddingSet, Labels
from bloomdiff.errors import InputError
from bloomdiff.parallel import map_chunks

COLUMNS = ["cell_a", "cell_b", "kind", "same_cell", "correlation", "overlap", "inliers", "mirrored"]
# Crops are roughly centred on their cell: where the centres lie farther apart, in shorter sides,
# they may show two touching cells (0.2 in the Acevedo set). These share pixels, hence a group, but
# not a label.
_SAME_CELL_OFFSET = 0.15


MIN_COSINE = 0.9
"""Of two embeddings that are compared."""


class DuplicateParams(BaseModel):
    """Which duplicates are looked for, besides equal pixels; an unknown key is an error.

    Attributes
    ----------
    near
        Copies turned, mirrored, shifted, cropped, scaled, sheared or compressed anew; 10 to 16
        CPU seconds per 1,000 cells.
    n_candidates
        Images that each one is compared with.
    min_correlation
        Least correlation of the fine detail of two copies laid over one another.
    min_overlap
        Least area that two copies share, as a part of the smaller image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    near: bool = False
    n_candidates: int = Field(default=6, ge=1)
    min_correlation: float = Field(default=0.5, gt=0, le=1)
    min_overlap: float = Field(default=0.25, gt=0, le=1)


def group_duplicates(
    cells: pd.DataFrame,
    root: str | Path,
    params: DuplicateParams,
    *,
    jobs: int = 2,
    embeddings: EmbeddingSet | None = None,
    min_cosine: float = MIN_COSINE,
) -> pd.DataFrame:
    """Put duplicates into one group; see `find_duplicates` and `join_families`."""
    pairs = find_duplicates(
        cells, root, params, jobs=jobs, embeddings=embeddings, min_cosine=min_cosine
    )
    return join_families(cells, pairs)


def find_duplicates(
    cells: pd.DataFrame,
    root: str | Path,
    params: DuplicateParams,
    *,
    jobs: int = 2,
    embeddings: EmbeddingSet | None = None,
    min_cosine: float = MIN_COSINE,
) -> pd.DataFrame:
    """Find pairs of cells that are copies of one another.

    Parameters
    ----------
    cells
        Validated manifest: its `blake3` are filled in.
    root
        The folder that `path` is relative to.
    params
        What to look for.
    jobs
        Worker processes.
    embeddings
        Embeddings of these cells, whose near pairs are compared besides. (The stage `prepare` has
        none yet.)
    min_cosine
        Least cosine similarity of two of the embeddings to be compared, in (0, 1].

    Returns
    -------
    DataFrame
        `cell_a, cell_b, kind` ('exact' or 'near'), `same_cell` (False for overlapping crops of
        two cells), `correlation, overlap, inliers, mirrored`; sorted. Enough pairs to connect each
        family, not all of them.

    Raises
    ------
    InputError
        A cell whose pixels have no digest yet, or an image that cannot be read.
    """
    cells = cells.sort_values("cell_id", ignore_index=True)
    if (cells["blake3"] == "").any():
        cell = cells.loc[cells["blake3"] == "", "cell_id"].iloc[0]
        raise InputError(f"manifest cell {cell!r}", "has no blake3", "validate the manifest first")
    pairs = _exact(cells)
    if params.near:
        near = _near(cells, Path(root), params, jobs, embeddings, min_cosine)
        pairs = pd.concat([pairs, near]) if len(near) else pairs
    return pairs.sort_values(["cell_a", "cell_b"], ignore_index=True)


def _exact(cells: pd.DataFrame) -> pd.DataFrame:
    first = cells.groupby("blake3")["cell_id"].transform("first")
    again = cells[cells["cell_id"] != first]
    pairs = pd.DataFrame({"cell_a": first[again.index], "cell_b": again["cell_id"]})
    return pairs.assign(
        kind="exact", same_cell=True, correlation=1.0, overlap=1.0, inliers=0, mirrored=False
    )[COLUMNS]


def _near(
    cells: pd.DataFrame,
    root: Path,
    params: DuplicateParams,
    jobs: int,
    embeddings: EmbeddingSet | None,
    min_cosine: float,
) -> pd.DataFrame:
    cells = cells.drop_duplicates("blake3", ignore_index=True)
    ids = cells["cell_id"].to_numpy(dtype=str)
    with tempfile.TemporaryDirectory(prefix="bloomdiff-") as folder:
        store = Path(folder) / "features.npy"
        records = extract_features([root / p for p in cells["path"]], store, jobs=jobs)
        bags = visual_words(records)
        family, rows = np.arange(len(ids)), np.arange(len(ids))
        candidates: set[Pair] = set()
        if embeddings is not None:
            candidates = _by_embedding(ids, embeddings, min_cosine, params.n_candidates)
        compared: set[Pair] = set()
        fits: dict[Pair, Registration] = {}
        # The nearest of a cell with many copies are all copies, and hide those of a second
        # photograph of it: families grow by rounds, in which each looks outside of itself.
        while len(rows):
            candidates |= near_by_appearance(bags, family, rows, params.n_candidates)
            todo = sorted(_of_two_fields(candidates - compared, cells))
            compared |= candidates
            found = map_chunks(
                partial(_compare, store, params),
                todo,
                jobs=jobs,
                chunk=256,
                describe="compare",
                total=len(todo),
                unit="pair",
            )
            fits.update(fit for chunk in found for fit in chunk)
            before, family = family, components(np.array([*fits]).reshape(-1, 3)[:, :2], len(ids))
            grown = np.bincount(family)[family] > np.bincount(before)[before]
            rows = np.flatnonzero(grown)
    table = [
        (
            *(ids[a], ids[b], "near", fit.offset <= _SAME_CELL_OFFSET),
            *(fit.correlation, fit.overlap, fit.inliers, fit.mirrored),
        )
        for (a, b, _), fit in fits.items()
    ]
    # A pair may have been compared both as it is and mirrored.
    return pd.DataFrame(table, columns=COLUMNS).drop_duplicates(["cell_a", "cell_b"])


def _by_embedding(
    ids: Labels, embeddings: EmbeddingSet, min_cosine: float, n_candidates: int
) -> set[Pair]:
    """Candidates from embeddings, to be compared as they are and mirrored."""
    alike = near_by_embedding(embeddings.select(ids), min_cosine, n_candidates=n_candidates)
    a, b = np.searchsorted(ids, alike["cell_a"]), np.searchsorted(ids, alike["cell_b"])
    return {(int(i), int(j), flip) for i, j in zip(a, b, strict=True) for flip in (False, True)}


def _of_two_fields(pairs: set[Pair], cells: pd.DataFrame) -> set[Pair]:
    """Leave out boxes of one field of view: two cells, however much of it both show.

    They need no comparing, since they share a group by their field.
    """
    field = field_numbers(cells)
    return {p for p in pairs if field[p[0]] != field[p[1]] or field[p[0]] < 0}


def _compare(
    store: Path, params: DuplicateParams, pairs: list[Pair]
) -> list[tuple[Pair, Registration]]:
    """Those of the pairs that fit, with how well they do."""
    records = np.load(store, mmap_mode="r")
    fits = ((pair, register(records[pair[0]], records[pair[1]], flip=pair[2])) for pair in pairs)
    return [
        (pair, fit)
        for pair, fit in fits
        if fit is not None
        and fit.correlation >= params.min_correlation
        and fit.overlap >= params.min_overlap
    ]
