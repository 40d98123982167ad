"""Labels that the other labelled cells contradict.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068): a cell counts as
confidently of a class if the probability of that class is at least its mean over the cells labelled
so; the labels off the diagonal of the counts are likely wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bloomdiff.data.embedding_set import EmbeddingSet
from bloomdiff.data.folds import inner_folds
from bloomdiff.data.view_whitening import ViewWhitening
from bloomdiff.selection.geometry import Doubles, Index, blocks, unit
from bloomdiff.selection.twins import at_least

FOLDS = 5
PARTNERS = 3  # near-identical cells of other labels that are told of one cell


def likely_wrong(y: Index, proba: Doubles) -> tuple[Index, Index]:
    """Rows whose label is likely wrong, and the class that they rather belong to.

    Parameters
    ----------
    y
        Class indices `(n,)`.
    proba
        Out-of-sample probabilities `(n, c)`.

    Returns
    -------
    Positions `(k,)` and class indices `(k,)`, the least believable label first.
    """
    n_classes = proba.shape[1]
    threshold = np.full(n_classes, np.inf)  # a class without labels convinces of nothing
    for c in np.unique(y):
        threshold[c] = proba[y == c, c].mean()
    sure = np.where(proba >= threshold - 1e-6, proba, -1.0)
    told = sure.argmax(axis=1)
    confident = sure.max(axis=1) >= 0
    wrong = np.flatnonzero(confident & (told != y))
    own = proba[wrong, y[wrong]]
    order = np.argsort(own, kind="stable")
    return wrong[order], told[wrong][order]


def out_of_fold(labelled: EmbeddingSet, *, seed: int) -> tuple[Index, Index, Doubles, list[str]]:
    """Probabilities of each labelled cell by a probe that saw no cell of its group.

    Returns
    -------
    Positions of the cells that could be held out `(k,)`, their class indices `(k,)`, probabilities
    `(k, c)` and the class names. Empty where groups or classes are too few.
    """
    from bloomdiff.classifiers import make_classifier

    # A cell of no group is one by itself.
    group = np.where(labelled.group == "", "cell " + labelled.cell_id, labelled.group)
    labelled = replace(labelled, rows=labelled.rows.assign(group=group))
    names = sorted(set(labelled.label.tolist()))
    at: list[Index] = []
    parts: list[Doubles] = []
    if len(names) > 1:
        for train, held in inner_folds(labelled, FOLDS, seed):
            if not len(held) or len(np.unique(labelled.label[train])) < 2:
                continue
            rows = labelled.take(train)
            model = make_classifier("logistic", seed=seed)
            model.fit(
                rows.X,
                rows.label,
                fingerprint=rows.fingerprint,
                classes=names,
                whitening=ViewWhitening.of(rows),
            )
            at.append(held)
            parts.append(model.predict_on(labelled.take(held)))
    index = np.concatenate(at) if at else np.empty(0, dtype=np.intp)
    proba = np.concatenate(parts) if parts else np.empty((0, len(names)))
    return index, np.searchsorted(names, labelled.label[index]).astype(np.intp), proba, names


def contradictions(labelled: EmbeddingSet, *, seed: int, min_cosine: float) -> pd.DataFrame:
    """Labels to look at again: `cell_id, label, rather, confidence, reason`.

    First near-identical cells with two labels, each with the `PARTNERS` most alike, then likely
    wrong labels by confident learning.
    """
    rows: list[tuple[str, str, str, float, str]] = []
    ids, label = labelled.cell_id, labelled.label
    for i, j in _twins(labelled, min_cosine):
        told = f"conflict: all but identical with {ids[j]}, which is labelled {label[j]}"
        rows.append((ids[i], label[i], label[j], 1.0, told))
    index, y, proba, names = out_of_fold(labelled, seed=seed)
    wrong, rather = likely_wrong(y, proba) if len(index) else (index, index)
    for i, c in zip(wrong, rather, strict=True):
        p = float(proba[i, c])
        told = f"likely wrong: {names[c]} {p:.2f}, {names[y[i]]} {proba[i, y[i]]:.2f}"
        rows.append((ids[index[i]], names[y[i]], names[c], p, told))
    columns = ["cell_id", "label", "rather", "confidence", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _twins(labelled: EmbeddingSet, min_cosine: float) -> list[tuple[int, int]]:
    """Rows with the `PARTNERS` most alike rows of other labels, the most alike first.

    A cluster of n identical rows has n² pairs: all of them would tell no more.
    """
    U, min_cosine = unit(labelled.X), at_least(min_cosine)
    _, code = np.unique(labelled.label, return_inverse=True)
    pairs: list[tuple[int, int]] = []
    for rows in blocks(len(U), len(U)):
        cosine = U[rows] @ U.T
        cosine[code[rows, None] == code[None]] = -np.inf
        at = np.flatnonzero(cosine.max(axis=1) >= min_cosine)
        cosine = cosine[at]
        for _ in range(PARTNERS):
            other = cosine.argmax(axis=1)
            near = cosine[np.arange(len(at)), other] >= min_cosine
            found = zip(at[near] + rows.start, other[near], strict=True)
            pairs += [(int(i), int(j)) for i, j in found]
            cosine[np.arange(len(at)), other] = -np.inf
    return sorted(pairs, key=lambda pair: pair[0])
