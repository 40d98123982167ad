"""The cells of the augmenters' benchmark, and how a seed divides them into the three parts.

Every set is imported by the project's own importers and embedded by its default encoder, once,
under ``build/augmenters/``. Pixel-identical cells share a group, groups never straddle the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bloomdiff.data.duplicates import DuplicateParams, group_duplicates
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.importers import import_cells
from bloomdiff.data.importers.classes import ClassRules
from bloomdiff.data.manifest import read_manifest
from bloomdiff.data.phantom import PhantomParams, write_phantom
from bloomdiff.data.subsample import subsample

LONG_TAIL_HEAD = 100  # labelled cells of the largest class
PHANTOM = PhantomParams(n_cells=1900, n_slides=60, min_per_class=90)
PHANTOM_SEED = 1117  # not the pipeline's: the diffusion model was not designed on these cells


@dataclass(frozen=True)
class Regime:
    """How many cells of the training part have their labels.

    Attributes
    ----------
    name
        As the tables spell it.
    shots
        Labelled cells of each class; of the largest one, where `imbalance` is given.
    imbalance
        Largest over smallest class.
    """

    name: str
    shots: int
    imbalance: float | None = None


REGIMES = {
    regime.name: regime
    for regime in (
        *(Regime(f"{k}-shot", k) for k in (1, 2, 5, 10, 25)),
        *(Regime(f"long tail {f}", LONG_TAIL_HEAD, f) for f in (10, 50, 100)),
    )
}


@dataclass(frozen=True)
class Source:
    """Where a set of cells comes from, in the words of `bloomdiff data import`."""

    kind: str
    folder: str
    options: Mapping[str, str] | None = None
    rules: ClassRules | None = None


SOURCES = {
    "blood-5": Source("acevedo", "pbc-five"),
    "blood-13": Source("acevedo", "pbc-thirteen"),
    "marrow-6": Source("bone-marrow", "bone-marrow"),
    "fields-4": Source(
        "voc",
        "bccd",
        {"types": "bccd/wbc_types.csv"},
        ClassRules(drop=("BASOPHIL",), common=True),
    ),
}
CHOSEN_ON = ("blood-5",)  # its cells served to choose the model: never part of a claim
DATA = ("phantom", *SOURCES)


def load(name: str, build: Path, cells: Path) -> EmbeddingSet:
    """Embeddings of a set; made on the first call.

    Parameters
    ----------
    name
        One of `DATA`.
    build
        Folder of everything made here.
    cells
        Folder that holds the real cells.
    """
    path = build / name / "cells.parquet"
    if not path.exists():
        folder = build / name / "data"
        if name == "phantom":
            write_phantom(folder, PHANTOM, seed=PHANTOM_SEED)
        elif not (folder / "manifest.csv").exists():
            source = SOURCES[name]
            options = {key: str(cells / value) for key, value in (source.options or {}).items()}
            import_cells(source.kind, cells / source.folder, folder, options, classes=source.rules)
        _embed(folder, build).save(path)
    return EmbeddingSet.load(path)


def _embed(folder: Path, build: Path) -> EmbeddingSet:
    from bloomdiff.encoders import embed_cells, load_encoder
    from bloomdiff.encoders.params import EncoderParams

    table = group_duplicates(read_manifest(folder / "manifest.csv"), folder, DuplicateParams())
    encoder = load_encoder(EncoderParams(name="dinov2-s"), cache_dir=build / "weights")
    return embed_cells(table, folder, encoder, cache_dir=build / "cache")


@dataclass(frozen=True)
class Parts:
    """What one seed makes of a set of cells: disjoint, the test part by groups.

    Attributes
    ----------
    labelled
        Real training cells.
    pool
        The training part's other cells; no method looks at their labels.
    test
        A third of the groups.
    all_labels
        Labelled and pool cells with all their labels: what more labelling would bring.
    """

    labelled: EmbeddingSet
    pool: EmbeddingSet
    test: EmbeddingSet
    all_labels: EmbeddingSet


def divide(cells: EmbeddingSet, regime: Regime, seed: int) -> Parts:
    """Test on a third of the groups; keep so many labels of the rest as the regime has."""
    train, test = inner_folds(cells, 3, seed)[0]
    kept = subsample(
        cells.label[train],
        np.ones(len(train), dtype=bool),
        shots_per_class=regime.shots,
        imbalance_factor=regime.imbalance,
        rng=np.random.default_rng([seed, 1]),
    )
    return Parts(
        cells.take(train[kept]), cells.take(train[~kept]), cells.take(test), cells.take(train)
    )
