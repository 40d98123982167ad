"""What generators that resample training rows share: the rows of each class, kept."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from bloomdiff.data.embedding_set import Floats
from bloomdiff.generators.base import Arrays, Generator


class RowsGenerator(Generator):
    """Keeps its training rows, class by class."""

    def _fit(self, X: Floats, y: npt.NDArray[np.intp], X_unlabelled: Floats | None) -> None:
        self._X, self._y = X, y
        self._prepare()

    @abstractmethod
    def _prepare(self) -> None:
        """Compute whatever follows from the rows `_X` and their classes `_y`."""

    def _state(self) -> Arrays:
        return {"X": self._X, "y": self._y.astype(np.int64)}

    def _restore(self, state: Arrays) -> None:
        self._X, self._y = state["X"], state["y"].astype(np.intp)
        self._prepare()

    def _rows_of(self, index: int) -> npt.NDArray[np.intp]:
        """Positions of the rows of one class, `(m,)`."""
        return np.flatnonzero(self._y == index)
