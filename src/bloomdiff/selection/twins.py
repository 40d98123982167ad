"""Detections of the same cell: boxes that overlap, and embeddings that are all but identical."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from bloomdiff.selection.geometry import Doubles, Floats, Index, nearest


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
    directions
        Embeddings of the pool at length 1, float32 `(n, d)`.
    field
        Field of view of each cell `(n,)`; '' where there is none.
    boxes
        x, y, width, height `(n, 4)`; NaN where there is none.
    min_cosine, min_iou
        From which on two cells are taken for one.
    """

    def __init__(
        self,
        directions: Floats,
        field: list[str],
        boxes: Doubles,
        *,
        min_cosine: float,
        min_iou: float,
    ) -> None:
        self._U, self._field, self._boxes = directions, field, boxes
        self._min_cosine, self._min_iou = min_cosine, min_iou
        self._rows: list[Floats] = []
        self._in_field: defaultdict[str, list[Doubles]] = defaultdict(list)

    def repeats(self, i: int) -> bool:
        """Whether a cell that was taken before shows the same as cell `i` of the pool."""
        if self._rows and float((np.stack(self._rows) @ self._U[i]).max()) >= self._min_cosine:
            return True
        boxes = self._in_field[self._field[i]] if self._field[i] else []
        return bool(boxes) and bool((iou(self._boxes[i], np.stack(boxes)) >= self._min_iou).any())

    def take(self, i: int) -> None:
        """Remember cell `i` of the pool."""
        self._rows.append(self._U[i])
        if self._field[i]:
            self._in_field[self._field[i]].append(self._boxes[i])

    def remember_boxes(self, field: list[str], boxes: Doubles) -> None:
        """Remember labelled boxes as well."""
        for name, box in zip(field, boxes, strict=True):
            if name:
                self._in_field[name].append(box)


def repeats_of(directions: Floats, known: Floats, *, min_cosine: float) -> Index:
    """Rows of the pool `(n, d)` that are all but identical with a known row, positions `(k,)`."""
    d2, _ = nearest(directions, known)  # of rows of length 1: 2 - 2 cosine
    return np.flatnonzero(1 - d2 / 2 >= min_cosine)
