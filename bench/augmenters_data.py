"""The cells of the augmenters' benchmark, and how a seed divides them into the three parts.

Every set is imported by the project's own importers and embedded by its default encoder, once,
under ``build/augmenters/``. Pixel-identical cells share a group, groups never straddle the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bloomdiff.data.duplicates import DuplicateParams, group_duplicates
from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.importers import import_cells
from bloomdiff.data.importers.classes import ClassRules
from bloomdiff.data.manifest import read_manifest
from bloomdiff.data.partition import unseen_pool
from bloomdiff.data.phantom import PhantomParams, write_phantom
from bloomdiff.data.subsample import subsample
from bloomdiff.encoders.base import Encoder
from bloomdiff.errors import InputError

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
        Labelled cells of each class; of the largest one, where `imbalance` is given; None: all.
    imbalance
        Largest over smallest class.
    """

    name: str
    shots: int | None
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


@dataclass(frozen=True)
class Across:
    """Two laboratories: labels from one, the pool and the test from the other.

    Attributes
    ----------
    labelled, tested
        Names in `SOURCES`.
    coarser
        Classes of the first that the second does not tell apart.
    """

    labelled: str
    tested: str
    coarser: Mapping[str, str] = field(default_factory=dict)


_NEUTROPHILS = {"neutrophil_band": "neutrophil", "neutrophil_segmented": "neutrophil"}
ACROSS = {
    "blood to marrow": Across("blood-13", "marrow-6"),
    "blood to fields": Across("blood-13", "fields-4", _NEUTROPHILS),
}
WITH_VIEWS = " views"  # the same cells, each with random views of its image
N_VIEWS = 4
_PLAIN = ("phantom", *SOURCES, *ACROSS)
DATA = (*_PLAIN, *(f"{name}{WITH_VIEWS}" for name in _PLAIN))


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
    base = name.removesuffix(WITH_VIEWS)
    if base in ACROSS:
        return _joined(ACROSS[base], name.removeprefix(base), build, cells)
    path = build / base / ("cells.parquet" if name == base else "views.parquet")
    if not path.exists():
        _embed(*manifest(base, build, cells), build, 0 if name == base else N_VIEWS).save(path)
    found = EmbeddingSet.load(path)
    if base == "blood-13":
        # The two folders share images of one published set, which have the same file names.
        chosen_on = {Path(cell).name for cell in load("blood-5", build, cells).cell_id}
        found = found.take(np.array([Path(cell).name not in chosen_on for cell in found.cell_id]))
    return found


def manifest(name: str, build: Path, cells: Path) -> tuple[pd.DataFrame, Path]:
    """Grouped manifest of one of `SOURCES` or the phantom, and its folder, made where missing."""
    folder = build / name / "data"
    if not (folder / "manifest.csv").exists():
        if name == "phantom":
            write_phantom(folder, PHANTOM, seed=PHANTOM_SEED)
        else:
            source = SOURCES[name]
            options = {key: str(cells / value) for key, value in (source.options or {}).items()}
            import_cells(source.kind, cells / source.folder, folder, options, classes=source.rules)
    return _grouped(folder), folder


def _grouped(folder: Path) -> pd.DataFrame:
    """Manifest of a folder, duplicates in one group."""
    return group_duplicates(read_manifest(folder / "manifest.csv"), folder, DuplicateParams())


def imported(given: str, build: Path) -> tuple[str, EmbeddingSet]:
    """Name and embeddings of a user's own cells.

    Parameters
    ----------
    given
        `NAME=PATH`: a folder with a manifest, as `bloomdiff data import` writes it, or embeddings,
        as `dvc repro` leaves them (`embeddings/cells.parquet`).
    build
        Folder of everything made here.

    Raises
    ------
    InputError
        No such name or path, or cells of too few groups to hold out any.
    """
    name, _, path = given.partition("=")
    if not name or not path or name in DATA or name.endswith(WITH_VIEWS):
        mend = f"write NAME=PATH, with a name of your own (not {', '.join(_PLAIN)})"
        raise InputError(f"--imported {given}", "is no name and path", mend)
    if path.endswith(".parquet"):
        cells = EmbeddingSet.load(path)
    else:
        cells = _embed(_grouped(Path(path)), Path(path), build, 0)
    if not inner_folds(cells, 3, 0):
        raise InputError(path, "has too few labelled groups to hold any out", "import more")
    return name, cells


def _joined(across: Across, views: str, build: Path, cells: Path) -> EmbeddingSet:
    """Cells of both laboratories, of the classes that both have."""
    names = (across.labelled, across.tested)
    first, second = (load(f"{name}{views}", build, cells) for name in names)
    both = EmbeddingSet.concatenate([first, second])
    label = both.rows["label"].replace(dict(across.coarser))
    common = set(label[: len(first)]) & set(label[len(first) :])
    return replace(both, rows=both.rows.assign(label=label)).take(label.isin(common).to_numpy())


def encoder(build: Path) -> Encoder:
    """The pipeline's default encoder, in the precision that every processor has."""
    from bloomdiff.encoders import load_encoder
    from bloomdiff.encoders.params import EncoderParams

    params = EncoderParams(name="dinov2-s", precision="float32")
    return load_encoder(params, cache_dir=build / "weights")


def _embed(table: pd.DataFrame, folder: Path, build: Path, n_views: int) -> EmbeddingSet:
    from bloomdiff.encoders import embed_cells
    from bloomdiff.encoders.views import with_views

    network, cache = encoder(build), build / "cache"
    found = embed_cells(table, folder, network, cache_dir=cache)
    if n_views:
        found = with_views(found, table, folder, network, n_views, cache_dir=cache)
    return found


@dataclass(frozen=True)
class Parts:
    """What one seed makes of a set of cells: disjoint, the test part by groups.

    Attributes
    ----------
    labelled
        Real training cells.
    pool
        The training part's other cells, whose labels no method looks at, and those that never had
        one and share no group with the test cells.
    test
        A third of the groups.
    all_labels
        Labelled and pool cells with all their labels: what more labelling would bring.
    """

    labelled: EmbeddingSet
    pool: EmbeddingSet
    test: EmbeddingSet
    all_labels: EmbeddingSet


def divide(
    cells: EmbeddingSet, regime: Regime, seed: int, *, labelled_from: str | None = None
) -> Parts:
    """Test on a third of the groups; keep so many labels of the rest as the regime has.

    Where `labelled_from` names a source, all labels come from its cells, and pool and test are
    parts of the others.
    """
    own = np.ones(len(cells), dtype=bool)
    if labelled_from is not None:
        own = cells.rows["source"].to_numpy() != labelled_from
    there = np.flatnonzero(own)
    train, test = (there[part] for part in inner_folds(cells.take(there), 3, seed)[0])
    if labelled_from is not None:
        train = np.concatenate([np.flatnonzero(~own), train])
    kept = subsample(
        cells.label[train],
        np.ones(len(train), dtype=bool) if labelled_from is None else ~own[train],
        shots_per_class=regime.shots,
        imbalance_factor=regime.imbalance,
        rng=np.random.default_rng([seed, 1]),
    )
    hidden = ~kept if labelled_from is None else own[train]
    never = there[cells.label[there] == ""]
    tested = cells.take(test)
    return Parts(
        cells.take(train[kept]),
        unseen_pool(cells.take(np.concatenate([train[hidden], never])), tested),
        tested,
        cells.take(train[kept | hidden]),
    )
