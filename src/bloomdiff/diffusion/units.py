"""Units in which the single precision that the model works in is enough, whatever the rows are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bloomdiff.diffusion.whitening import Doubles


@dataclass(frozen=True)
class Units:
    """Rows less their means, over one scale for all columns, and back, in double precision.

    Attributes
    ----------
    mean
        Mean of each column, float64 `(d,)`.
    scale
        A power of two, which costs no bits; the largest difference from the means lies between it
        and twice it.
    """

    mean: Doubles
    scale: float

    @classmethod
    def of(cls, X: npt.NDArray[Any]) -> Units:
        """The units of rows `(n, d)` of any real type."""
        X = X.astype(np.float64)
        mean = X.mean(axis=0)
        largest = np.abs(X - mean).max(initial=0.0)
        return cls(mean, float(np.ldexp(1.0, np.frexp(largest)[1] - 1)) if largest else 1.0)

    def inwards(self, X: npt.NDArray[Any]) -> Doubles:
        """Rows `(n, d)` in these units."""
        return (X.astype(np.float64) - self.mean) / self.scale

    def outwards(self, Z: npt.NDArray[np.floating]) -> Doubles:
        """Rows `(n, d)` back from these units."""
        return Z.astype(np.float64) * self.scale + self.mean
