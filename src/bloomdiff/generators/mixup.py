"""Mixup of embeddings with the label of the larger part."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from bloomdiff.data.embedding_set import Floats
from bloomdiff.generators.base import GENERATORS, GeneratorParams
from bloomdiff.generators.blocks import BLOCK, in_blocks
from bloomdiff.generators.rows import RowsGenerator


class MixupParams(GeneratorParams):
    """Hyper-parameters of mixup."""

    alpha: float = Field(default=0.4, gt=0, description="of the Beta distribution of the share")


@GENERATORS.register("mixup")
class MixupGenerator(RowsGenerator):
    """A row of the class, mixed with a row of any class in a share of at least one half.

    Mixup (Zhang et al. 2018, arXiv:1710.09412) with the hard label of the larger part, since a
    synthetic row here has exactly one class, as in Remix (Chou et al. 2020, arXiv:2007.03943).
    """

    name = "mixup"
    Params = MixupParams
    params: MixupParams

    @staticmethod
    def search_space(trial: Any) -> dict[str, Any]:
        """Suggest alpha."""
        return {"alpha": trial.suggest_float("alpha", 0.05, 2.0, log=True)}

    def _prepare(self) -> None:
        """The rows are all there is."""

    def _sample_class(self, index: int, n: int, rng: np.random.Generator) -> Floats:
        rows = self._rows_of(index)

        def draw() -> Floats:
            own = self._X[rows[rng.integers(len(rows), size=BLOCK)]]
            other = self._X[rng.integers(len(self._X), size=BLOCK)]
            share = rng.beta(self.params.alpha, self.params.alpha, size=(BLOCK, 1))
            share = np.maximum(share, 1 - share)
            return (share * own + (1 - share) * other).astype(np.float32)

        return in_blocks(n, draw)
