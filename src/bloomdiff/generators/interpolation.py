"""The family of SMOTE: a point on the segment from a real row to one of its neighbours.

Its members differ only in which rows they start from and which neighbours they walk towards.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bloomdiff.data.embedding_set import Floats
from bloomdiff.generators.rows import RowsGenerator


@dataclass(frozen=True)
class Segments:
    """Where the samples of one class lie.

    Attributes
    ----------
    base
        Positions of the rows to start from, `(m,)`.
    weight
        Relative probability of each base, `(m,)`, not all zero.
    neighbours
        For each base, positions of the rows to walk towards, `(m, k)`, unused places -1; a base
        without any walks nowhere, which repeats the row.
    """

    base: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float64]
    neighbours: npt.NDArray[np.intp]

    def __post_init__(self) -> None:
        if not self.weight.sum() > 0:
            raise ValueError("no base has a positive weight")


def nearest_rows(
    X: Floats, base: npt.NDArray[np.intp], among: npt.NDArray[np.intp], k: int
) -> npt.NDArray[np.intp]:
    """The k nearest of the rows `among` to each base, itself left out, `(m, min(k, ...))`.

    Euclidean, as positions in `X`; each base is expected among the others.
    """
    from sklearn.neighbors import NearestNeighbors

    k = min(k, len(among) - 1)
    if k < 1:
        return np.full((len(base), 1), -1, dtype=np.intp)
    search = NearestNeighbors(n_neighbors=k + 1).fit(X[among])
    found = among[search.kneighbors(X[base], return_distance=False)]
    # A row with exact copies need not come first among them: take itself out wherever it is.
    other = found != base[:, None]
    other[other.all(axis=1), -1] = False
    return found[other].reshape(len(base), k)


class InterpolationGenerator(RowsGenerator):
    """Samples uniformly on segments between rows of one class."""

    def _prepare(self) -> None:
        self._segments = [self._segments_of(index) for index in range(len(self.classes_))]

    @abstractmethod
    def _segments_of(self, index: int) -> Segments:
        """The segments of one class."""

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        segments = self._segments[index]
        u = rng.random((n, 3))
        cumulative = np.cumsum(segments.weight)
        start = np.searchsorted(cumulative, u[:, 0] * cumulative[-1], side="right")
        k = (segments.neighbours[start] >= 0).sum(axis=1)
        end = segments.neighbours[start, (u[:, 1] * k).astype(np.intp)]
        base = segments.base[start]
        origin = self._X[base]
        step = u[:, 2:].astype(np.float32)
        return origin + step * (self._X[np.where(k > 0, end, base)] - origin)
