"""Small training sets cut from large ones: k-shot, and an exponential long tail."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bloomdiff.data.embedding_set import Labels

Mask = npt.NDArray[np.bool_]


def subsample(
    label: Labels,
    train: Mask,
    *,
    shots_per_class: int | None,
    imbalance_factor: float | None,
    rng: np.random.Generator,
) -> Mask:
    """Choose the training cells to keep.

    The class of rank r among c, by its cells in `label`, keeps `head * factor ** (-r / (c - 1))`
    cells, at least one and at most those it has [1]_; without a factor every class keeps `head`.

    Parameters
    ----------
    label
        Class names `(n,)`, of which those outside `train` count for the ranks alone: head and
        tail are then the same classes in every fold.
    train
        Cells to choose from `(n,)`; at least one.
    shots_per_class
        Size of the head; None is the largest class among `train`.
    imbalance_factor
        Largest over smallest class; None is a flat profile.
    rng
        With equal draws, what a smaller `head` keeps is part of what a larger one keeps.

    Returns
    -------
    mask `(n,)` of the cells kept, all of them in `train`.

    References
    ----------
    .. [1] Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019.
    """
    classes, count = np.unique(label[train], return_counts=True)
    overall = np.array([np.sum(label == name) for name in classes])
    rank = np.empty(len(classes))
    rank[np.argsort(-overall, kind="stable")] = np.arange(len(classes))
    head = count.max() if shots_per_class is None else shots_per_class
    decay = 1.0 if imbalance_factor is None else imbalance_factor
    wanted = np.rint(head * decay ** (-rank / max(len(classes) - 1, 1))).astype(int).clip(min=1)
    kept = np.zeros_like(train)
    for name, n in zip(classes, wanted, strict=True):
        kept[rng.permutation(np.flatnonzero(train & (label == name)))[:n]] = True
    return kept
