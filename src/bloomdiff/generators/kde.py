"""Kernel density estimate, class by class: Silverman's smoothed bootstrap."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.whitening import Whitening
from bloomdiff.generators.base import GENERATORS, GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks
from bloomdiff.generators.rows import RowsGenerator


class KdeParams(GeneratorParams):
    """Hyper-parameters of the kernel density estimate."""

    bandwidth: float = Field(
        default=0.5, ge=0, description="deviation of the kernel, in within-class deviations"
    )


@GENERATORS.register("kde")
class KdeGenerator(RowsGenerator):
    """A random row of the class with noise of the shared, shrunk within-class covariance.

    Row and noise are drawn towards the class mean by 1 / sqrt(1 + h²), so that the samples vary as
    much as the rows do (Silverman 1986, Density Estimation, section 6.4).
    """

    name = "kde"
    Params = KdeParams
    params: KdeParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the bandwidth."""
        return {"bandwidth": trial.suggest_float("bandwidth", 0.05, 2.0, log=True)}

    def _prepare(self) -> None:
        self._whitening = Whitening.fit(self._X, self._y)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        rows, h = self._rows_of(index), self.params.bandwidth
        residual = self._X[rows] - self._whitening.means[index]

        def draw() -> Floats:
            chosen = residual[rng.integers(len(rows), size=BLOCK)]
            noise = h * rng.standard_normal((BLOCK, self.dim_))
            scattered = self._whitening.colour(noise, index) - self._whitening.means[index]
            moved = (chosen + scattered) / np.sqrt(1 + h**2)
            return (self._whitening.means[index] + moved).astype(np.float32)

        return in_blocks(n, draw)
