"""Detections of the same cell: boxes that overlap, and embeddings that are all but identical."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from bloomdiff.selection.geometry import Doubles, Floats, Index, blocks, nearest, unit


def iou(box: Doubles, others: Doubles) -> Doubles:
    """Intersection over union of a box `(4,)` (x, y, width, height) with others `(n, 4)`."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = box[2:].prod() + others[:, 2:].prod(axis=1) - shared
    return np.divide(shared, union, out=np.zeros(len(others)), where=union > 0)


class TwinFilter:
    """Remembers the cells that were taken, and knows which others show the same.

    Parameters
    ----------
    X
        Embeddings of the pool, float32 `(n, d)`.
    field
        Field of view of each cell `(n,)`; '' where there is none.
    boxes
        x, y, width, height `(n, 4)`; NaN where there is none.
    min_cosine, min_iou
        From which on two cells are taken for one.
    """

    def __init__(
        self,
        X: Floats,
        field: list[str],
        boxes: Doubles,
        *,
        min_cosine: float,
        min_iou: float,
    ) -> None:
        self._X, self._field, self._boxes = X, field, boxes
        self._min_cosine, self._min_iou = at_least(min_cosine), min_iou
        self._rows: Floats = np.empty((0, X.shape[1]), dtype=X.dtype)
        self._n = 0
        self._in_field: defaultdict[str, list[Doubles]] = defaultdict(list)

    def repeats(self, i: int) -> bool:
        """Whether a cell that was taken before shows the same as cell `i` of the pool."""
        taken = self._rows[: self._n]
        if len(taken) and float((taken @ self._direction(i)).max()) >= self._min_cosine:
            return True
        boxes = self._in_field[self._field[i]] if self._field[i] else []
        return bool(boxes) and bool((iou(self._boxes[i], np.stack(boxes)) >= self._min_iou).any())

    def take(self, i: int) -> None:
        """Remember cell `i` of the pool."""
        if self._n == len(self._rows):  # room for twice as many: to copy at each would be square
            room = np.empty((max(64, self._n), self._X.shape[1]), dtype=self._X.dtype)
            self._rows = np.concatenate([self._rows, room])
        self._rows[self._n] = self._direction(i)
        self._n += 1
        if self._field[i]:
            self._in_field[self._field[i]].append(self._boxes[i])

    def _direction(self, i: int) -> Floats:
        """Embedding of cell `i` at length 1: those of the whole pool would be a second pool."""
        return unit(self._X[i : i + 1])[0]

    def remember_boxes(self, field: list[str], boxes: Doubles) -> None:
        """Remember labelled boxes as well."""
        for name, box in zip(field, boxes, strict=True):
            if name:
                self._in_field[name].append(box)


def at_least(min_cosine: float) -> float:
    """The same bound, less what float32 loses: of a row and its copy the cosine is not quite 1."""
    return min_cosine - 1e-6


def repeats_of(X: Floats, known: Floats, *, min_cosine: float) -> Index:
    """Rows of the pool `(n, d)` that are all but identical with a known row, positions `(k,)`."""
    U = unit(known)
    alike = np.zeros(len(X), dtype=bool)
    for rows in blocks(len(X), max(X.shape[1], len(U))):
        d2, _ = nearest(unit(X[rows]), U)  # of rows of length 1: 2 - 2 cosine
        alike[rows] = 1 - d2 / 2 >= at_least(min_cosine)
    return np.flatnonzero(alike)
