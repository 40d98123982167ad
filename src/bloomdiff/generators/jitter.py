"""Gaussian jitter: real rows with noise added."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.diffusion.whitening import class_means
from bloomdiff.generators.base import GENERATORS, GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks
from bloomdiff.generators.rows import RowsGenerator


class JitterParams(GeneratorParams):
    """Hyper-parameters of the jitter."""

    scale: float = Field(
        default=0.3, ge=0, description="deviation of the noise, in within-class deviations"
    )


@GENERATORS.register("jitter")
class JitterGenerator(RowsGenerator):
    """A random row of the class, each dimension moved by noise in proportion to its deviation.

    The deviation is about the class means, over all classes, so that a lone row moves as well.
    """

    name = "jitter"
    Params = JitterParams
    params: JitterParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest the scale."""
        return {"scale": trial.suggest_float("scale", 0.01, 1.0, log=True)}

    def _prepare(self) -> None:
        residual = self._X - class_means(self._X, self._y, len(self.classes_))[self._y]
        free = max(len(self._X) - len(self.classes_), 1)
        self._noise = self.params.scale * np.sqrt((residual**2).sum(axis=0) / free)

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        rows = self._rows_of(index)

        def draw() -> Floats:
            chosen = self._X[rows[rng.integers(len(rows), size=BLOCK)]]
            z = rng.standard_normal((BLOCK, self.dim_))
            return (chosen + z * self._noise).astype(np.float32)

        return in_blocks(n, draw)
