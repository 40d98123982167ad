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
        Probability of each base, `(m,)`, summing to one.
    neighbours
        Positions of the rows to walk towards, `(m, k)`; a base without any holds itself, which
        repeats the row.
    """

    base: npt.NDArray[np.intp]
    weight: npt.NDArray[np.float64]
    neighbours: npt.NDArray[np.intp]


def nearest_rows(X: Floats, base: npt.NDArray[np.intp], k: int) -> npt.NDArray[np.intp]:
    """The nearest others of each base among the bases, `(m, min(k, m - 1))`; a lone one itself."""
    from sklearn.neighbors import NearestNeighbors

    k = min(k, len(base) - 1)
    if k == 0:
        return base[:, None]
    search = NearestNeighbors(n_neighbors=k).fit(X[base])
    return base[search.kneighbors(return_distance=False)]


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
        k = segments.neighbours.shape[1]
        end = segments.neighbours[start, np.minimum((u[:, 1] * k).astype(np.intp), k - 1)]
        origin = self._X[segments.base[start]]
        step = u[:, 2:].astype(np.float32)
        return origin + step * (self._X[end] - origin)
