"""The pools of the selection benchmark: real and drawn cells, as they come and as a long tail.

Sets are imported and embedded once, under ``build/``, those of the augmenters' benchmark by it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from augmenters_data import CHOSEN_ON as CHOSEN_FOR_THE_MODEL
from augmenters_data import WITH_VIEWS, encoder, load
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.manifest import read_manifest
from bloomdiff.selection.simulation import hold_out

PARTS = 3  # one grouped part of so many is the test
IMBALANCE = 50.0  # largest over smallest class of a long tail
FEWEST = 3  # cells of its last class
OBJECTS = "fields-6"  # every object of the BCCD fields of view
CHOICE_PHANTOM = "phantom-choice"  # another drawing of the phantom
CHOICE_SEED = 77
WHITE_CELL = "white_blood_cell"

SETS = (
    *(f"{name}{tail}" for name in ("blood-13", "marrow-6") for tail in ("", " tail")),
    OBJECTS,
    "fields-4",
    "phantom",
)
VIEW_SETS = (
    *(f"{name}{WITH_VIEWS}{tail}" for name in ("blood-13", "marrow-6") for tail in ("", " tail")),
    *(f"{name}{WITH_VIEWS}" for name in ("fields-4", "phantom")),
)
"""The same pools, in the units of their cells' views."""
CHOSEN_ON = (
    *(f"{name}{tail}" for name in CHOSEN_FOR_THE_MODEL for tail in ("", " tail")),
    CHOICE_PHANTOM,
)
"""Sets on which the defaults of `expected-gain` were chosen: never part of a claim."""


def cells_of(name: str, build: Path, real: Path) -> EmbeddingSet:
    """The labelled cells of a set, with their images' digests and their fields of view, if any."""
    base = name.removesuffix(" tail")
    if base == OBJECTS:
        found = _objects(build, real)
    elif base == CHOICE_PHANTOM:
        found = _drawn(build)
    else:
        found = load(base, build, real)
    manifest = build / base.removesuffix(WITH_VIEWS) / "data" / "manifest.csv"
    if manifest.exists():
        told = read_manifest(manifest).filter(["cell_id", "blake3", "field"])
        found = replace(found, rows=found.rows.merge(told, on="cell_id", validate="one_to_one"))
    # A class with too few cells to be on both sides cannot be tested.
    kept = found.rows["label"].map(found.rows["label"].value_counts()) >= 2 * PARTS
    return found.take(kept.to_numpy())


def divide(cells: EmbeddingSet, name: str, seed: int) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Pool and test part; the pool of a long tail is thinned, class after class in random order."""
    pool, test = hold_out(cells, PARTS, seed)
    if not name.endswith(" tail"):
        return pool, test
    rng = np.random.default_rng([seed, 1])
    classes, count = np.unique(pool.label, return_counts=True)
    kept = np.zeros(len(pool), dtype=bool)
    for rank, c in enumerate(rng.permutation(len(classes))):
        n = round(count.max() * IMBALANCE ** (-rank / (len(classes) - 1)))
        rows = rng.permutation(np.flatnonzero(pool.label == classes[c]))
        kept[rows[: max(n, FEWEST)]] = True
    return pool.take(kept), test


def _objects(build: Path, real: Path) -> EmbeddingSet:
    """Every red cell, platelet and white cell of BCCD; white ones by type, or left out."""
    from bloomdiff.data.importers import import_cells

    path, folder = build / OBJECTS / "cells.parquet", build / OBJECTS / "data"
    if not path.exists():
        if not (folder / "manifest.csv").exists():
            import_cells("voc", real / "bccd", folder)
        _embed(folder, build).save(path)
    found = EmbeddingSet.load(path)
    place = ["field", "box_x", "box_y", "box_width", "box_height"]
    load("fields-4", build, real)
    typed = read_manifest(build / "fields-4" / "data" / "manifest.csv").set_index(place)["label"]
    table = read_manifest(folder / "manifest.csv").set_index("cell_id")
    table = table.loc[found.cell_id.tolist()]
    by_type = typed.reindex(pd.MultiIndex.from_frame(table[place])).to_numpy()
    is_white = found.label == "WBC"
    label = np.where(is_white, by_type, found.label)
    told = ~(is_white & pd.isna(by_type))
    return EmbeddingSet(found.X, found.rows.assign(label=label), found.header).take(told)


def _drawn(build: Path) -> EmbeddingSet:
    from bloomdiff.data.phantom import PhantomParams, write_phantom

    path, folder = build / CHOICE_PHANTOM / "cells.parquet", build / CHOICE_PHANTOM / "data"
    if not path.exists():
        params = PhantomParams(n_cells=1300, n_slides=40, min_per_class=12)
        write_phantom(folder, params, seed=CHOICE_SEED)
        _embed(folder, build).save(path)
    return EmbeddingSet.load(path)


def _embed(folder: Path, build: Path) -> EmbeddingSet:
    from bloomdiff.encoders import embed_cells

    table = read_manifest(folder / "manifest.csv")
    return embed_cells(table, folder, encoder(build), cache_dir=build / "cache")
