"""Outer folds that no group straddles: who is trained on, tested, and set aside as the pool.

The table has one row per fold and cell: `fold` ('r0f0': repeat 0, fold 0), `cell_id`, and `role`
('train', 'test' or 'pool'). A cell without a row in a fold is left out of it. How classes with few
groups are dealt with is stated in `docs/folds.md` and told, class by class, by `fold_report`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from bloomdiff.data.embedding_set import EmbeddingSet, Labels
from bloomdiff.data.fingerprint import Fingerprint, assert_disjoint
from bloomdiff.data.partition import partition
from bloomdiff.data.subsample import subsample
from bloomdiff.errors import InputError, LeakageError, ParameterError, raise_all
from bloomdiff.files import atomic_file, read_table

Index = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
_MENDS = {
    "grouped": "lower n_splits or name more groups",
    "official": "mend the official split",
    "leave-one-source-out": "mend the sources",
}


class FoldParams(BaseModel):
    """How real cells are divided; an unknown key is an error.

    Attributes
    ----------
    scheme
        'grouped': stratified k-fold over groups, shuffled anew in each repeat; 'official': the
        manifest's `split` ('test' against 'train' and 'val'); 'leave-one-source-out': each
        source is the test part once.
    n_splits
        Folds of a repeat of the grouped scheme.
    n_repeats
        Repeats; without a subsample the two other schemes would only repeat themselves.
    shots_per_class
        Training cells of each class (k-shot); of the largest class if `imbalance_factor` is given.
    imbalance_factor
        Ratio of the largest to the smallest class in an exponential long tail.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scheme: Literal["grouped", "official", "leave-one-source-out"] = "grouped"
    n_splits: int = Field(default=5, ge=2)
    n_repeats: int = Field(default=1, ge=1)
    shots_per_class: int | None = Field(default=None, ge=1)
    imbalance_factor: float | None = Field(default=None, ge=1, allow_inf_nan=False)

    @model_validator(mode="after")
    def _repeats_differ(self) -> Self:
        subsampled = self.shots_per_class is not None or self.imbalance_factor is not None
        if self.n_repeats > 1 and self.scheme != "grouped" and not subsampled:
            raise ValueError(f"n_repeats must be 1: scheme {self.scheme!r} repeats the same folds")
        return self


@dataclass(frozen=True)
class Fold:
    """One outer fold: cell ids of each role, sorted, `(n_train,)`, `(n_test,)`, `(n_pool,)`."""

    name: str
    train: Labels
    test: Labels
    pool: Labels


def make_folds(cells: pd.DataFrame, params: FoldParams, *, seed: int) -> pd.DataFrame:
    """Divide the cells of a manifest into outer folds.

    Parameters
    ----------
    cells
        Manifest: `cell_id, label, group, split, source`; '' is an unlabelled cell.
    params
        Scheme and sizes.
    seed
        Seed of shuffles and subsamples; the order of the manifest's rows does not matter.

    Returns
    -------
    DataFrame
        `fold, cell_id, role`, sorted. Unlabelled cells are 'pool' wherever their group is not
        under test, nor their source or official split, and so are the training cells that a
        subsample sets aside.

    Raises
    ------
    InputError
        A cell without a group, a class with fewer cells than folds (all of them are told), or
        nothing to train on or to test.
    ParameterError
        Fewer groups than folds.
    """
    cells = cells.sort_values("cell_id", ignore_index=True)
    if (cells["group"] == "").any():
        cell = cells.loc[cells["group"] == "", "cell_id"].iloc[0]
        raise InputError(f"manifest cell {cell!r}", "has no group", "group the duplicates first")
    label = cells["label"].to_numpy(dtype=str)
    tables = []
    for repeat in range(params.n_repeats):
        for number, (train, test, away) in enumerate(_divide(cells, params, seed, repeat)):
            # Official splits and sources may share groups: the test part keeps them.
            train &= ~cells["group"].isin(cells["group"][test]).to_numpy()
            # A class that nothing is trained on cannot be recognised.
            test &= np.isin(label, label[train])
            name = f"r{repeat}f{number}"
            if not (train.any() and test.any()):
                empty = "test" if train.any() else "training"
                raise InputError(
                    f"fold {name}", f"its {empty} part is empty", _MENDS[params.scheme]
                )
            kept = subsample(
                label,
                train,
                shots_per_class=params.shots_per_class,
                imbalance_factor=params.imbalance_factor,
                rng=np.random.default_rng([seed, repeat, number]),
            )
            unlabelled = (label == "") & ~away
            unlabelled &= ~cells["group"].isin(cells["group"][test]).to_numpy()
            role = np.select([test, kept, train | unlabelled], ["test", "train", "pool"], "")
            rows = pd.DataFrame({"fold": name, "cell_id": cells["cell_id"], "role": role})
            tables.append(rows[role != ""])
    table = pd.concat(tables).sort_values(["fold", "cell_id"], ignore_index=True)
    check_folds(table, cells)
    return table


def _divide(
    cells: pd.DataFrame, params: FoldParams, seed: int, repeat: int
) -> list[tuple[Mask, Mask, Mask]]:
    """Masks of each fold: labelled cells to train on, to test on, and cells that nothing may see.

    The last are those of the tested source or official split: their unlabelled cells as well.
    """
    labelled = (cells["label"] != "").to_numpy()
    if params.scheme == "official":
        split = cells["split"].to_numpy(dtype=str)
        tested = split == "test"
        return [(labelled & np.isin(split, ["train", "val"]), labelled & tested, tested)]
    if params.scheme == "leave-one-source-out":
        source = cells["source"].to_numpy(dtype=str)
        each = (source == name for name in np.unique(source[labelled]))
        return [(labelled & ~mask, labelled & mask, mask) for mask in each]
    _check_counts(cells["label"][labelled], params.n_splits)
    rows = np.flatnonzero(labelled)
    part = np.full(len(cells), -2)
    part[rows] = partition(
        cells["label"].to_numpy(dtype=str)[rows],
        cells["group"].to_numpy(dtype=str)[rows],
        params.n_splits,
        seed=[seed, repeat],
    )
    return [(labelled & (part != k), part == k, part == k) for k in range(params.n_splits)]


def _check_counts(label: pd.Series, n_splits: int) -> None:
    count = label.value_counts().sort_index()
    if not len(count):
        raise InputError("manifest", "no cell has a label", "label some cells")
    raise_all(
        [
            InputError(
                f"manifest class {name!r}",
                f"has {n} cells, fewer than the {n_splits} folds",
                (f"lower n_splits to {n}, or " if n > 1 else "") + "merge or drop the class",
            )
            for name, n in count.items()
            if n < n_splits
        ]
    )


def check_folds(folds: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Raise `LeakageError` if a group stands in the test part and elsewhere in the same fold."""
    group = cells.set_index("cell_id")["group"]
    for name, rows in folds.groupby("fold", sort=True):
        tested = rows["role"] == "test"
        unknown = sorted(set(rows["cell_id"]) - set(group.index))
        if unknown:
            raise InputError(
                f"fold {name} cell {unknown[0]!r}", "is not in the manifest", "make the folds anew"
            )
        seen = Fingerprint.of(group[rows["cell_id"][~tested]])
        assert_disjoint(group[rows["cell_id"][tested]], seen, what=f"training part of fold {name}")
        twice = rows["cell_id"][rows["cell_id"].duplicated()]
        if len(twice):
            raise LeakageError(
                f"fold {name}", f"cell {twice.iloc[0]!r} has two roles", "make the folds anew"
            )


def write_folds(folds: pd.DataFrame, path: str | Path) -> None:
    """Write the table of `make_folds` as Parquet, atomically."""
    with atomic_file(path) as temporary:
        folds.to_parquet(temporary, index=False)


def read_folds(path: str | Path, cells: pd.DataFrame | None = None) -> list[Fold]:
    """Read folds written by `write_folds`, checked against the manifest where it is given.

    Raises
    ------
    InputError
        The file is missing or not a table of folds.
    LeakageError
        A group straddles a fold of this manifest.
    """
    table = read_table(path, "run `dvc repro prepare`", columns=["fold", "cell_id", "role"])
    if cells is not None:
        check_folds(table, cells)
    return [
        Fold(str(name), *(_ids(rows, role) for role in ("train", "test", "pool")))
        for name, rows in table.groupby("fold", sort=True)
    ]


def _ids(rows: pd.DataFrame, role: str) -> Labels:
    return np.sort(rows.loc[rows["role"] == role, "cell_id"].to_numpy(dtype=str))


def inner_folds(train: EmbeddingSet, n_splits: int, seed: int) -> list[tuple[Index, Index]]:
    """Grouped, stratified folds inside an outer training part, for tuning.

    Rare classes are dealt with as in the outer folds, and `n_splits` is lowered to the number of
    groups that can be held out. Where fewer than two can be (every class in a single group, as in
    one-shot training) there is nothing to tune on: the list is empty, defaults must do.

    Returns
    -------
    list of (train_index, validation_index)
        Row positions in `train`, sorted; unlabelled rows are in neither.
    """
    rows = np.flatnonzero(train.label != "")
    label, group = train.label[rows], train.group[rows]
    while n_splits > 1:
        try:
            part = partition(label, group, n_splits, seed=[seed])
        except ParameterError:
            n_splits -= 1
            continue
        return [(rows[part != k], rows[part == k]) for k in range(n_splits)]
    return []
