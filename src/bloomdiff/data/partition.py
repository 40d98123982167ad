"""Grouped, stratified parts, none of which takes the whole of a class away from training.

scikit-learn's `StratifiedGroupKFold` [1]_ does the division. It may test all groups of a rare class
in one part, whose training side then has none, and leave a part empty where there are hardly more
groups than parts: both are mended here. It also goes through the groups from the most to the least
uneven one, so that its shuffle decides next to nothing where no two groups are alike, and every
repetition would test the same slides: such groups are joined in random pairs before.

References
----------
.. [1] https://scikit-learn.org/stable/modules/cross_validation.html#stratifiedgroupkfold
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bloomdiff.data.embedding_set import EmbeddingSet, Labels
from bloomdiff.errors import ParameterError

Index = npt.NDArray[np.intp]
ALWAYS_TRAIN = -1
ENOUGH = 4
"""Groups for each part, from which on pairs of them can be divided."""


def partition(label: Labels, group: Labels, n_splits: int, *, seed: Sequence[int]) -> Index:
    """The part under test of each row, or -1 where the row is always trained on.

    A class that stands in one group only cannot be trained on and tested at once: its group is
    always trained on. Every other class stands in at least one group outside of each test part.

    Parameters
    ----------
    label, group
        Class and group names `(n,)`.
    n_splits
        Number of parts; none is empty.
    seed
        Entropy of the shuffle.

    Raises
    ------
    ParameterError
        Fewer groups that can be tested than parts.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    names, g = np.unique(group, return_inverse=True)
    classes, y = np.unique(label, return_inverse=True)
    count = np.zeros((len(names), len(classes)), dtype=np.intp)
    np.add.at(count, (g, y), 1)
    alone = (count > 0).sum(axis=0) == 1
    held = np.asarray(count[:, alone].sum(axis=1) > 0)
    n_free = int((~held).sum())
    if n_free < n_splits:
        raise ParameterError(
            f"n_splits {n_splits}",
            f"only {n_free} of {len(names)} groups can be tested"
            + (f" (class {classes[alone][0]!r} stands in one group)" if alone.any() else ""),
            f"lower n_splits to {n_free}" if n_free > 1 else "name more groups in the manifest",
        )
    rows = np.flatnonzero(~held[g])
    random_state = int(np.random.SeedSequence(list(seed)).generate_state(1)[0])
    # The stratified splitter refuses rows among which no class has n_splits cells.
    stratify = count[~held].sum(axis=0).max() >= n_splits
    kind = StratifiedGroupKFold if stratify else GroupKFold
    splitter = kind(n_splits=n_splits, shuffle=True, random_state=random_state)
    unit = np.arange(len(names))
    if len(g) >= 2 * len(names) and n_free >= ENOUGH * n_splits:
        shuffled = np.random.default_rng(random_state).permutation(n_free)
        unit[~held] = len(names) + shuffled // 2
    part = np.full(len(names), ALWAYS_TRAIN, dtype=np.intp)
    with warnings.catch_warnings():
        # "The least populated class has fewer members than n_splits": mended and reported here.
        warnings.simplefilter("ignore", UserWarning)
        for k, (_, test) in enumerate(splitter.split(rows, y[rows], unit[g[rows]])):
            part[g[rows[test]]] = k
    _fill(part, count, n_splits)
    _spread(part, count, n_splits)
    return part[g]


def _fill(part: Index, count: Index, n_splits: int) -> None:
    """Give each part without a group the smallest one of the part that has most."""
    size = count.sum(axis=1)
    for k in range(n_splits):
        held = np.bincount(part[part != ALWAYS_TRAIN], minlength=n_splits)
        if not held[k]:
            spare = np.flatnonzero(part == held.argmax())
            part[spare[size[spare].argmin()]] = k


def _spread(part: Index, count: Index, n_splits: int) -> None:
    """Move groups until no part holds the whole of a class; failing that, always train on one."""
    size = count.sum(axis=1)
    for c in _gathered(part, count):
        members = np.flatnonzero(count[:, c])
        if len(np.unique(part[members])) > 1:  # an earlier move has mended this class too
            continue
        before = len(_gathered(part, count))
        home = part[members[0]]
        load = np.bincount(part[part != ALWAYS_TRAIN], size[part != ALWAYS_TRAIN], n_splits)
        smallest_first = members[np.argsort(size[members], kind="stable")]
        for group, k in itertools.product(smallest_first, np.argsort(load, kind="stable")):
            part[group] = k
            if len(_gathered(part, count)) < before:
                break
            part[group] = home
        else:
            part[smallest_first[0]] = ALWAYS_TRAIN


def _gathered(part: Index, count: Index) -> list[int]:
    """Classes all of whose groups are in the same part under test."""
    whole = []
    for c in range(count.shape[1]):
        parts = part[count[:, c] > 0]
        if (parts == parts[0]).all() and parts[0] != ALWAYS_TRAIN:
            whole.append(c)
    return whole


def unseen_pool(pool: EmbeddingSet, held_out: EmbeddingSet) -> EmbeddingSet:
    """Pool cells of no held-out group.

    What a subsample set aside may share a slide with the cells that validate.
    """
    return pool.take(~np.isin(pool.group, held_out.group))
